/* explain.c - see explain.h. */
#include "runtime/coordinator/explain.h"

#include <string.h>

#include "runtime/coordinator/explain_nearest.h"
#include "runtime/text.h"

const char *loom_reason_name(loom_reason reason) {
    static const char *const names[] = {"stored",     "constant", "evicted",   "expired",  "effect",
                                        "not kept",   "new",      "unstored",  "operator", "version",
                                        "attributes", "arity",    "argument",  "result",   "input",
                                        "unreadable", "waits",    "forgotten", "later",    "fails"};
    return names[reason];
}

typedef struct explaining {
    loom_preview *preview;
    loom_session *session;
    loom_arena *arena;
    loom_explanation *to;
    loom_error *err;
} explaining;

static loom_cause *add_cause(explaining *at, loom_reason reason, uint32_t step) {
    loom_explanation *to = at->to;
    /* The last place is overwritten: what is deeper than anyone reads. */
    if (to->cause_count < LOOM_CAUSES_MAX) to->cause_count++;
    loom_cause *cause = &to->causes[to->cause_count - 1];
    *cause = (loom_cause){.reason = reason, .step = step};
    return cause;
}

/* ---- as text ---- */

static void put_text(char text[200], const void *bytes, size_t length) {
    size_t fits = length < 199 ? length : 199;
    memcpy(text, bytes, fits);
    text[fits] = '\0';
    if (length > fits) memcpy(text + 196, "...", 4);
}

/* As a program would have it: strings in quotes. */
static void put_value(char text[200], const loom_value *value) {
    loom_buffer as_text = {0};
    bool quoted = value->type == LOOM_STRING;
    if (value->type == LOOM_REFERENCE || loom_value_str(value, &as_text) != LOOM_OK) {
        snprintf(text, 200, "a %s",
                 loom_type_name(value->type == LOOM_REFERENCE ? value->reference.type : value->type));
    } else if (quoted && as_text.length < 190) {
        snprintf(text, 200, "\"%.*s\"", (int)as_text.length, (const char *)as_text.bytes);
    } else {
        put_text(text, as_text.bytes, as_text.length);
    }
    loom_buffer_free(&as_text);
}

static void put_maker(char text[200], const char *op, size_t length) {
    snprintf(text, 200, "a result of %.*s", (int)(length < 100 ? length : 100), op);
}

/* ---- comparing ---- */

static bool same_encoding(const loom_value *a, const loom_value *b) {
    loom_id first, second;
    return loom_value_id(a, &first) == LOOM_OK && loom_value_id(b, &second) == LOOM_OK &&
           loom_id_equal(&first, &second);
}

/* Attributes as recipes have them: null for none. */
static loom_status attributes_of(explaining *at, uint32_t step, loom_value *attributes) {
    loom_buffer encoded = {0};
    *attributes = loom_null();
    loom_status status = loom_step_attributes(at->session, step, &encoded);
    if (status == LOOM_OK && encoded.length > 0) {
        void *kept = loom_arena_copy(at->arena, encoded.bytes, encoded.length);
        status = kept ? loom_value_decode(kept, encoded.length, at->arena, attributes, NULL) : LOOM_NO_MEMORY;
    }
    loom_buffer_free(&encoded);
    return status;
}

/* What is compared next, below the argument that differs. */
typedef struct descent {
    uint32_t step;
    bool has_past; /* else its own nearest is looked for */
    loom_result past;
} descent;

typedef enum difference { NOTHING, FOUND, FOUND_BELOW, UNKNOWN_BELOW } difference;

/* One argument against what stood there. */
static difference compare_argument(explaining *at, uint32_t user, uint32_t i, const loom_value *before,
                                   descent *below) {
    loom_graph_run *graph = &at->session->graph;
    uint32_t index = loom_graph_resolve(graph, graph->steps[user].arguments[i]);
    const loom_step *step = &graph->steps[index];
    bool constant = !step->op && !step->stored && step->state == LOOM_STEP_DONE;
    loom_past past;
    *below = (descent){.step = index};
    if (constant && before->type != LOOM_REFERENCE) {
        const loom_value *now = loom_step_constant(at->session, step);
        if (same_encoding(now, before)) return NOTHING;
        loom_cause *cause = add_cause(at, LOOM_REASON_ARGUMENT, user);
        cause->argument = i + 1;
        put_value(cause->now, now);
        put_value(cause->before, before);
        return FOUND;
    }
    if (before->type == LOOM_REFERENCE) {
        if (step->has_rkey && loom_id_equal(&step->rkey, &before->reference.vid)) return NOTHING;
        below->has_past = loom_store_find_past(at->session->store, &before->reference.vid, at->arena, &below->past,
                                               &past, NULL) == LOOM_OK;
        if (below->has_past && step->has_vid && loom_id_equal(&step->vid, &below->past.vid)) return NOTHING;
        if (!constant && !step->has_vid) return UNKNOWN_BELOW;
        if (!constant && step->op) return FOUND_BELOW;
    } else if (!step->has_vid) {
        return UNKNOWN_BELOW;
    } else {
        loom_id was;
        if (loom_value_id(before, &was) == LOOM_OK && loom_id_equal(&was, &step->vid)) return NOTHING;
    }
    loom_cause *cause = add_cause(at, LOOM_REASON_ARGUMENT, user);
    cause->argument = i + 1;
    if (constant)
        put_value(cause->now, loom_step_constant(at->session, step));
    else if (step->op)
        put_maker(cause->now, step->op->name, strlen(step->op->name));
    else
        snprintf(cause->now, sizeof cause->now, "another item");
    put_value(cause->before, before);
    return FOUND;
}

/* The first argument that differs for certain; else the first of which it is not known yet. */
static difference compare_arguments(explaining *at, uint32_t index, const loom_recipe *recipe, descent *below) {
    difference unknown = NOTHING;
    uint32_t unknown_at = 0;
    descent unknown_below = {0};
    for (uint32_t i = 0; i < recipe->argument_count; i++) {
        difference found = compare_argument(at, index, i, &recipe->arguments[i], below);
        if (found == FOUND) return found;
        if (found == FOUND_BELOW) {
            add_cause(at, LOOM_REASON_RESULT, index)->argument = i + 1;
            return found;
        }
        if (found == UNKNOWN_BELOW && unknown == NOTHING) {
            unknown = found;
            unknown_at = i;
            unknown_below = *below;
        }
    }
    *below = unknown_below;
    if (unknown != NOTHING) add_cause(at, LOOM_REASON_WAITS, index)->argument = unknown_at + 1;
    return unknown;
}

/* The path that a file-reading step was given, if that is known. */
static void put_path(explaining *at, uint32_t index, char text[200]) {
    const loom_step *step = &at->session->graph.steps[index];
    loom_value path;
    if (step->argument_count == 0) return;
    uint32_t argument = loom_graph_resolve(&at->session->graph, step->arguments[0]);
    if (at->session->graph.steps[argument].state != LOOM_STEP_DONE) return;
    if (loom_step_value(at->session, argument, at->arena, &path, NULL) == LOOM_OK) put_value(text, &path);
}

/* A step that reads files has its key as soon as its arguments are known, unless a file cannot be read. */
static bool is_unreadable(const explaining *at, uint32_t index) {
    const loom_step *step = &at->session->graph.steps[index];
    if (!(step->op->flags & LOOM_OP_READS_FILES) || step->has_rkey) return false;
    for (uint32_t i = 0; i < step->argument_count; i++) {
        uint32_t argument = loom_graph_resolve(&at->session->graph, step->arguments[i]);
        if (at->session->graph.steps[argument].state != LOOM_STEP_DONE) return false;
    }
    return true;
}

/* Adds what differs between a step and a result. True: *below says where to look on. */
static bool compare(explaining *at, uint32_t index, const loom_result *past, descent *below) {
    const loom_step *step = &at->session->graph.steps[index];
    loom_recipe recipe;
    loom_value attributes;
    if (!loom_recipe_read(past->recipe, past->recipe_bytes, at->arena, &recipe)) {
        add_cause(at, LOOM_REASON_FORGOTTEN, index);
        return false;
    }
    if (recipe.op_bytes != strlen(step->op->name) || memcmp(recipe.op, step->op->name, recipe.op_bytes) != 0) {
        loom_cause *cause = add_cause(at, LOOM_REASON_OPERATOR, index);
        put_text(cause->now, step->op->name, strlen(step->op->name));
        put_text(cause->before, recipe.op, recipe.op_bytes);
        return false;
    }
    if (recipe.version != step->op->version) {
        loom_cause *cause = add_cause(at, LOOM_REASON_VERSION, index);
        snprintf(cause->now, sizeof cause->now, "%lld", (long long)step->op->version);
        snprintf(cause->before, sizeof cause->before, "%lld", (long long)recipe.version);
        return false;
    }
    if (attributes_of(at, index, &attributes) == LOOM_OK && !same_encoding(&attributes, recipe.attributes)) {
        loom_cause *cause = add_cause(at, LOOM_REASON_ATTRIBUTES, index);
        put_value(cause->now, &attributes);
        put_value(cause->before, recipe.attributes);
        return false;
    }
    if (recipe.argument_count != step->argument_count) {
        loom_cause *cause = add_cause(at, LOOM_REASON_ARITY, index);
        snprintf(cause->now, sizeof cause->now, "%u", (unsigned)step->argument_count);
        snprintf(cause->before, sizeof cause->before, "%zu", recipe.argument_count);
        return false;
    }
    difference found = compare_arguments(at, index, &recipe, below);
    if (found == NOTHING) {
        bool reads = (step->op->flags & LOOM_OP_READS_FILES) != 0;
        loom_cause *cause = add_cause(at, reads ? LOOM_REASON_INPUT : LOOM_REASON_FORGOTTEN, index);
        if (reads) put_path(at, index, cause->now);
    }
    return found == FOUND_BELOW || found == UNKNOWN_BELOW;
}

/* ---- one step ---- */

static void remember_nearest(explaining *at, loom_nearest_by by, const loom_result *result, loom_past past) {
    if (at->to->nearest_by != LOOM_NEAREST_NONE) return;
    at->to->nearest_by = by;
    at->to->nearest = *result;
    at->to->nearest_past = past;
}

/* What its state alone says; false if it must be compared with others. */
static bool explain_state(explaining *at, uint32_t index) {
    const loom_step *step = &at->session->graph.steps[index];
    loom_result result;
    loom_past past;
    switch (loom_preview_fate(at->preview, index)) {
    case LOOM_FATE_KNOWN:
        add_cause(at, LOOM_REASON_KNOWN, index);
        return true;
    case LOOM_FATE_LATER:
        add_cause(at, LOOM_REASON_LATER, index);
        return true;
    case LOOM_FATE_FAILS:
        add_cause(at, LOOM_REASON_FAILS, index);
        return true;
    default:
        break;
    }
    if (step->op->flags & LOOM_OP_NOT_STORED) {
        add_cause(at, LOOM_REASON_NOT_KEPT, index);
        return true;
    }
    if (is_unreadable(at, index)) {
        put_path(at, index, add_cause(at, LOOM_REASON_UNREADABLE, index)->now);
        return true;
    }
    if (!step->has_rkey ||
        loom_store_find_past(at->session->store, &step->rkey, at->arena, &result, &past, NULL) != LOOM_OK)
        return false;
    remember_nearest(at, LOOM_NEAREST_NODE, &result, past);
    if (past == LOOM_PAST_STORED && step->state != LOOM_STEP_DONE && step->op->flags & LOOM_OP_EFFECT) {
        loom_cause *cause = add_cause(at, LOOM_REASON_EFFECT, index);
        const loom_value *path = NULL;
        loom_value record;
        if (loom_value_decode(result.payload, result.payload_bytes, at->arena, &record, NULL) == LOOM_OK &&
            record.type == LOOM_RECORD)
            path = loom_record_get(&record, "path");
        if (path && path->type == LOOM_STRING) put_text(cause->now, path->text.bytes, path->text.length);
        return true;
    }
    static const loom_reason reasons[] = {[LOOM_PAST_STORED] = LOOM_REASON_STORED,
                                          [LOOM_PAST_EXPIRED] = LOOM_REASON_EXPIRED,
                                          [LOOM_PAST_GONE] = LOOM_REASON_EVICTED};
    add_cause(at, reasons[past], index);
    return true;
}

/* Nothing like it is stored: why not. */
static void explain_absence(explaining *at, uint32_t index) {
    loom_session *session = at->session;
    loom_persist persist = session->config->store.persist;
    bool between = loom_step_is_image(session, index) && !session->graph.steps[index].kept;
    if (persist == LOOM_PERSIST_ALL || !between) {
        add_cause(at, LOOM_REASON_NEW, index);
        return;
    }
    const char *setting = persist == LOOM_PERSIST_GOALS ? "goals" : "auto";
    put_text(add_cause(at, LOOM_REASON_UNSTORED, index)->now, setting, strlen(setting));
}

/* Of a step without a key and without anything like it: the first argument whose value is not known. */
static bool waits_for(explaining *at, uint32_t index, descent *below) {
    const loom_graph_run *graph = &at->session->graph;
    const loom_step *step = &graph->steps[index];
    for (uint32_t i = 0; i < step->argument_count; i++) {
        uint32_t argument = loom_graph_resolve(graph, step->arguments[i]);
        if (graph->steps[argument].has_vid) continue;
        add_cause(at, LOOM_REASON_WAITS, index)->argument = i + 1;
        *below = (descent){.step = argument};
        return true;
    }
    return false;
}

loom_status loom_explain(loom_preview *preview, uint32_t step, const char *label, loom_arena *arena,
                         loom_explanation *explanation, loom_error *err) {
    explaining at = {preview, loom_preview_session(preview), arena, explanation, err};
    step = loom_graph_resolve(&at.session->graph, step);
    *explanation = (loom_explanation){.fate = loom_preview_fate(preview, step),
                                      .step = step,
                                      .has_rkey = at.session->graph.steps[step].has_rkey,
                                      .rkey = at.session->graph.steps[step].rkey};
    descent next = {.step = step};
    for (bool more = true; more && explanation->cause_count < LOOM_CAUSES_MAX;) {
        descent below = {0};
        uint32_t index = next.step;
        /* A cause that the step's state names is nearer than a difference from an older result. */
        if (explain_state(&at, index)) return LOOM_OK;
        loom_nearest_by by = LOOM_NEAREST_NODE;
        loom_past past = LOOM_PAST_STORED;
        if (!next.has_past) {
            LOOM_TRY(loom_explain_nearest(at.session, index, label, arena, &by, &next.past, &past, err));
            next.has_past = by != LOOM_NEAREST_NONE;
            if (next.has_past) remember_nearest(&at, by, &next.past, past);
        }
        label = NULL; /* only the first is the goal's value */
        if (next.has_past)
            more = compare(&at, index, &next.past, &below);
        else if (!(more = waits_for(&at, index, &below)))
            explain_absence(&at, index);
        next = below;
    }
    return LOOM_OK;
}
