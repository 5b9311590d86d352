/* explain_nearest.c - see explain_nearest.h. */
#include "runtime/coordinator/explain_nearest.h"

#include <string.h>

#include "runtime/store_names.h"

/* An argument as recipes name it: a constant's value id, or the key of a result. */
typedef struct name {
    bool known, constant;
    loom_id id;
} name;

typedef struct search {
    const loom_step *step;
    const name *names; /* of the step's arguments */
    loom_id node;      /* zero: none */
    loom_arena *row;   /* reset for each row */
    loom_id best_named, best_alike;
    bool has_named, has_alike;
    uint32_t best_score;
} search;

static loom_status name_arguments(loom_session *session, const loom_step *step, name *names) {
    for (uint32_t i = 0; i < step->argument_count; i++) {
        const loom_step *argument = &session->graph.steps[loom_graph_resolve(&session->graph, step->arguments[i])];
        names[i].constant = !argument->op && !argument->stored;
        names[i].known = names[i].constant ? argument->has_vid : argument->has_rkey;
        names[i].id = names[i].constant ? argument->vid : argument->rkey;
    }
    return LOOM_OK;
}

static bool is_argument(const name *wanted, const loom_value *argument) {
    loom_id vid;
    if (!wanted->known || wanted->constant != (argument->type != LOOM_REFERENCE)) return false;
    if (!wanted->constant) return loom_id_equal(&wanted->id, &argument->reference.vid);
    return loom_value_id(argument, &vid) == LOOM_OK && loom_id_equal(&wanted->id, &vid);
}

/* More for each argument that is the same; the version decides among equals. */
static uint32_t score_of(const search *of, const loom_recipe *recipe) {
    uint32_t score = recipe->version == of->step->op->version;
    for (uint32_t i = 0; i < of->step->argument_count && i < recipe->argument_count; i++)
        if (is_argument(&of->names[i], &recipe->arguments[i])) score += 2;
    return score;
}

static bool look_at(const loom_result *result, loom_past past, void *context) {
    search *of = context;
    loom_recipe recipe;
    static const loom_id none;
    (void)past;
    if (!loom_id_equal(&of->node, &none) && loom_id_equal(&of->node, &result->node)) {
        of->best_named = result->rkey; /* rows come in order: the last is the newest */
        of->has_named = true;
    }
    loom_arena_reset(of->row);
    const char *op = of->step->op->name;
    if (!loom_recipe_read(result->recipe, result->recipe_bytes, of->row, &recipe)) return true;
    if (recipe.op_bytes != strlen(op) || memcmp(recipe.op, op, recipe.op_bytes) != 0) return true;
    uint32_t score = score_of(of, &recipe);
    if (of->has_alike && score < of->best_score) return true;
    of->best_alike = result->rkey;
    of->best_score = score;
    of->has_alike = true;
    return true;
}

static loom_status take(loom_session *session, const loom_id *rkey, loom_nearest_by as, loom_arena *arena,
                        loom_nearest_by *by, loom_result *result, loom_past *past, loom_error *err) {
    loom_status status = loom_store_find_past(session->store, rkey, arena, result, past, err);
    if (status == LOOM_OK && result->recipe_bytes > 0) *by = as;
    return status == LOOM_NOT_FOUND ? LOOM_OK : status;
}

/* What met the goal of that label last. */
static loom_status take_goal(loom_session *session, const char *label, loom_arena *arena, loom_nearest_by *by,
                             loom_result *result, loom_past *past, loom_error *err) {
    loom_id rkey;
    loom_error absent = {0};
    size_t length = strlen(label);
    char *text = loom_arena_alloc(arena, length + sizeof "goal:");
    if (!text) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while looking for the goal");
    memcpy(text, "goal:", 5);
    memcpy(text + 5, label, length + 1);
    loom_status status = loom_store_resolve_key(session->store, text, arena, &rkey, &absent);
    if (status == LOOM_NOT_FOUND) return LOOM_OK;
    if (status != LOOM_OK) return *err = absent, status;
    return take(session, &rkey, LOOM_NEAREST_GOAL, arena, by, result, past, err);
}

loom_status loom_explain_nearest(loom_session *session, uint32_t index, const char *label, loom_arena *arena,
                                 loom_nearest_by *by, loom_result *result, loom_past *past, loom_error *err) {
    *by = LOOM_NEAREST_NONE;
    if (label) LOOM_TRY(take_goal(session, label, arena, by, result, past, err));
    if (*by != LOOM_NEAREST_NONE) return LOOM_OK;
    search of = {.step = &session->graph.steps[index], .row = loom_arena_new()};
    if (of.step->node != LOOM_NODE_NONE) of.node = loom_plan_node(session->plan, of.step->node)->id;
    name *names = loom_arena_array(arena, of.step->argument_count, sizeof *names);
    if (!names || !of.row || name_arguments(session, of.step, names) != LOOM_OK) {
        loom_arena_free(of.row);
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while looking for similar results");
    }
    of.names = names;
    loom_status status = loom_store_each_past(session->store, look_at, &of, err);
    loom_arena_free(of.row);
    if (status == LOOM_OK && of.has_named)
        status = take(session, &of.best_named, LOOM_NEAREST_NODE, arena, by, result, past, err);
    if (status == LOOM_OK && *by == LOOM_NEAREST_NONE && of.has_alike)
        status = take(session, &of.best_alike, LOOM_NEAREST_ARGUMENTS, arena, by, result, past, err);
    return status;
}
