/* Long loops: which there are, and their windows one after the other. What a window does: window.c. */
#include "runtime/coordinator/loop.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/window.h"

#define ANY_CONTEXT (LOOM_STEP_NONE - 1) /* no step has this number */
#define BODY_NODES_MAX 1024u             /* of loops that might be long */
#define SIDE_BY_SIDE_MAX 64u             /* loops behind the first that are looked at */

static loom_loops *loops_of(loom_session *session) {
    if (!session->loops) session->loops = calloc(1, sizeof *session->loops);
    return session->loops;
}

/* ---- which loops there are ---- */

static uint64_t loop_key(loom_node_index node, uint32_t context) {
    return (uint64_t)node << 32 | context;
}

/* The number of a loop that was started, in any context or in this one. */
static uint32_t find_loop(const loom_loops *loops, loom_node_index node, uint32_t context) {
    uint32_t found = loom_memo_get(&loops->started, loop_key(node, ANY_CONTEXT));
    return found != LOOM_MEMO_NONE ? found : loom_memo_get(&loops->started, loop_key(node, context));
}

static loom_status add_loop(loom_expansion *at, loom_loop *made, loom_node_index node) {
    loom_loops *loops = at->session->loops;
    if (loops->count == loops->capacity) {
        uint32_t capacity = loops->capacity ? loops->capacity * 2 : 16;
        loom_loop *grown = realloc(loops->loops, capacity * sizeof *grown);
        if (!grown) return loom_expansion_no_memory(at);
        loops->loops = grown;
        loops->capacity = capacity;
    }
    uint64_t key = loop_key(node, at->contextual ? at->context : ANY_CONTEXT);
    if (loom_memo_set(&loops->started, key, loops->count) != LOOM_OK) return loom_expansion_no_memory(at);
    loops->loops[loops->count++] = *made;
    return LOOM_OK;
}

/* ---- starting one ---- */

/* Small values throughout: no reference within. */
static bool is_small(const loom_value *value, int depth) {
    if (value->type == LOOM_REFERENCE || value->type == LOOM_IMAGE || value->type >= LOOM_DATASET || depth == 0)
        return false;
    for (size_t i = 0; value->type == LOOM_SEQUENCE && i < value->sequence.count; i++)
        if (!is_small(&value->sequence.items[i], depth - 1)) return false;
    for (size_t i = 0; value->type == LOOM_RECORD && i < value->record.count; i++)
        if (!is_small(&value->record.fields[i].value, depth - 1)) return false;
    return true;
}

static bool is_image(const loom_value *value) {
    return value->type == LOOM_REFERENCE && value->reference.type == LOOM_IMAGE;
}

/* Whether a window can be made of these: small or images, and alike in what the planner knows of them. */
static bool are_alike(const loom_value *sequence) {
    const loom_value *items = sequence->sequence.items;
    for (size_t i = 0; i < sequence->sequence.count; i++)
        if ((!is_image(&items[i]) && !is_small(&items[i], LOOM_NESTING_MAX)) ||
            is_image(&items[i]) != is_image(&items[0]) ||
            (items[i].type == LOOM_SEQUENCE) != (items[0].type == LOOM_SEQUENCE))
            return false;
    return true;
}

/* Keeps the elements encoded, window by window: some bytes an item. */
static loom_status keep_elements(loom_expansion *at, const loom_value *sequence, loom_loop *loop) {
    size_t count = sequence->sequence.count;
    loop->count = (uint32_t)count;
    loop->window_count = (uint32_t)((count + LOOM_WINDOW_ITEMS - 1) / LOOM_WINDOW_ITEMS);
    loop->offsets = calloc((size_t)loop->window_count + 1, sizeof *loop->offsets);
    loop->parts = calloc(loop->window_count, sizeof *loop->parts);
    if (loop->filters) loop->kept = calloc(count, sizeof *loop->kept);
    if (!loop->offsets || !loop->parts || (loop->filters && !loop->kept)) return loom_expansion_no_memory(at);
    for (uint32_t w = 0; w < loop->window_count; w++) {
        size_t first = (size_t)w * LOOM_WINDOW_ITEMS;
        loom_value window = loom_sequence(sequence->sequence.items + first, loom_loop_window_items(loop, w));
        if (loom_value_encode(&window, &loop->elements) != LOOM_OK) return loom_expansion_no_memory(at);
        loop->offsets[w + 1] = loop->elements.length;
    }
    return LOOM_OK;
}

/* Items are settled as they are made, so what all of them use must be settled before. */
static loom_status wait_for_outer(loom_expansion *at, const loom_body *body) {
    loom_graph_run *graph = &at->session->graph;
    for (uint32_t i = 0; i < body->outer_count; i++) {
        uint32_t outer = loom_graph_resolve(graph, body->outer[i]);
        if (graph->steps[outer].state >= LOOM_STEP_SETTLED) continue;
        at->waiting = true;
        if (loom_graph_link(graph, outer, at->step, LOOM_EVENT_SETTLED) != LOOM_OK) return loom_expansion_no_memory(at);
    }
    return LOOM_OK;
}

/* If one of them fails, so does the loop; until the loop has ended they stay. */
static loom_status link_outer(loom_expansion *at, const loom_loop *loop) {
    loom_graph_run *graph = &at->session->graph;
    uint32_t first = loop->body.outer_count, count = first + loop->keeps.outer_count;
    uint32_t *all = loom_arena_array(at->session->arena, count, sizeof *all);
    if (!all) return loom_expansion_no_memory(at);
    for (uint32_t i = 0; i < count; i++)
        all[i] = i < first ? loop->body.outer[i] : loop->keeps.outer[i - first];
    graph->steps[loop->step].arguments = all;
    graph->steps[loop->step].argument_count = count;
    if (loom_step_uses(at->session, loop->step) != LOOM_OK) return loom_expansion_no_memory(at);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t outer = loom_graph_resolve(graph, all[i]);
        if (graph->steps[outer].state >= LOOM_STEP_DONE) continue;
        if (loom_graph_link(graph, outer, loop->step, LOOM_EVENT_FAILURE) != LOOM_OK)
            return loom_expansion_no_memory(at);
    }
    return LOOM_OK;
}

/* The bodies of a loop: of its items or, when it filters, of its conditions and of what it keeps. */
static loom_status make_bodies(loom_expansion *at, loom_node_index source, const loom_value *alike, loom_loop *loop,
                               bool *fits) {
    loom_shape shape;
    if (loom_shape_of(at->session, loop->node, &shape) != LOOM_OK) return loom_expansion_no_memory(at);
    loop->filters = shape == LOOM_SHAPE_FILTERED;
    LOOM_TRY(loom_body_make(at, loop->node, source, alike, &loop->body, fits));
    if (!*fits || !loop->filters) return LOOM_OK;
    loom_node_index from = loom_plan_node(at->session->plan, loop->node)->arguments[0];
    LOOM_TRY(loom_body_make(at, from, source, alike, &loop->keeps, fits));
    /* One that finds steps of the other, and holds what both use. */
    loop->body.heavy = loop->keeps.heavy = loop->body.heavy || loop->keeps.heavy;
    return LOOM_OK;
}

/* `value` is what `source` gives. */
static loom_status start_over(loom_expansion *at, loom_node_index node, uint32_t step, loom_node_index source,
                              const loom_value *value, bool *started) {
    if (!loom_is_long(at->session, value, BODY_NODES_MAX) || !are_alike(value)) return LOOM_OK;
    loom_loop loop = {.node = node, .source = source, .step = step};
    bool fits;
    loom_status status = make_bodies(at, source, &value->sequence.items[0], &loop, &fits);
    if (status != LOOM_OK || at->waiting || !fits || !loom_is_long(at->session, value, loop.body.step_count)) {
        loom_loop_release(&loop);
        return status;
    }
    status = wait_for_outer(at, &loop.body);
    if (status == LOOM_OK) status = wait_for_outer(at, &loop.keeps);
    if (status == LOOM_OK && !at->waiting) status = keep_elements(at, value, &loop);
    if (status == LOOM_OK && !at->waiting) status = link_outer(at, &loop);
    if (status == LOOM_OK && !at->waiting) status = add_loop(at, &loop, node);
    *started = status == LOOM_OK && !at->waiting;
    if (!*started) loom_loop_release(&loop);
    return status;
}

/* A loop over a filter is long if the filter is; it goes over the filter's value then. *goes_on: over any other value
 * it is to be seen. */
static loom_status start_filter(loom_expansion *at, loom_node_index source, bool *goes_on) {
    loom_shape shape;
    uint32_t step;
    if (loom_shape_of(at->session, source, &shape) != LOOM_OK) return loom_expansion_no_memory(at);
    *goes_on = shape != LOOM_SHAPE_FILTERED;
    if (*goes_on) return LOOM_OK;
    LOOM_TRY(loom_lower(at->session, source, at->context, &step, at->err));
    return loom_loop_start(at, source, step, goes_on);
}

loom_status loom_loop_start(loom_expansion *at, loom_node_index node, uint32_t step, bool *started) {
    loom_session *session = at->session;
    loom_loops *loops = loops_of(session);
    loom_node_index source;
    *started = false;
    if (!loops) return loom_expansion_no_memory(at);
    uint32_t found = find_loop(loops, node, at->context);
    if (found != LOOM_MEMO_NONE) {
        uint32_t first = loops->loops[found].step;
        *started = true;
        bool stands_alone = step != first && session->graph.steps[step].alias == LOOM_STEP_NONE;
        return stands_alone ? loom_become(session, step, first, at->err) : LOOM_OK;
    }
    if (loom_body_source(session, node, &source) != LOOM_OK) return loom_expansion_no_memory(at);
    if (source == LOOM_NODE_NONE || source == node) return LOOM_OK;
    LOOM_TRY(start_filter(at, source, started));
    if (at->waiting || !*started) return LOOM_OK;
    *started = false;
    loom_arena *arena = loom_arena_new();
    if (!arena) return loom_expansion_no_memory(at);
    loom_value value;
    loom_status status = loom_expansion_value(at, source, arena, &value);
    if (status == LOOM_OK && !at->waiting) status = start_over(at, node, step, source, &value, started);
    loom_arena_free(arena);
    return status;
}

loom_status loom_loop_fold(loom_expansion *at, loom_node_index node) {
    loom_session *session = at->session;
    uint32_t found = find_loop(session->loops, node, at->context);
    if (found == LOOM_MEMO_NONE) return loom_fail(at->err, LOOM_INTERNAL, "a loop was lost; please report it");
    return loom_fold_attach(at, &session->loops->loops[found]);
}

/* ---- one window after the other ---- */

static loom_status join_parts(loom_session *session, const loom_loop *loop, uint32_t *whole, loom_error *err) {
    if (loop->window_count == 1) return LOOM_OK;
    uint32_t *parts = malloc(loop->window_count * sizeof *parts);
    if (!parts) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while going through a loop; close other programs");
    memcpy(parts, loop->parts, loop->window_count * sizeof *parts);
    loom_status status = loom_gather(session, "loom.concat", parts, loop->window_count, loop->node, whole, err);
    free(parts);
    return status;
}

/* All windows have been opened: the loop's step becomes what joins the parts. */
static loom_status finish_loop(loom_session *session, loom_loop *loop, loom_error *err) {
    const loom_step *step = &session->graph.steps[loop->step];
    if (step->state != LOOM_STEP_FAILED && step->alias == LOOM_STEP_NONE) {
        uint32_t whole = loop->parts[0];
        LOOM_TRY(join_parts(session, loop, &whole, err));
        LOOM_TRY(loom_become(session, loop->step, whole, err));
    }
    return loom_folds_finish(session, loop, err);
}

static loom_status open_next(loom_session *session, uint32_t number, loom_error *err) {
    loom_loop *loop = &session->loops->loops[number];
    LOOM_TRY(loom_window_open(session, number, loop->opened, err));
    loop = &session->loops->loops[number]; /* may have moved */
    loop->opened++;
    LOOM_TRY(loom_folds_follow(session, loop, err));
    return !loop->filters && loop->opened == loop->window_count ? finish_loop(session, loop, err) : LOOM_OK;
}

/* Nothing more can come of a loop one of whose outer values failed. */
static bool is_hopeless(const loom_session *session, const loom_loop *loop) {
    for (uint32_t i = 0; i < loop->body.outer_count; i++) {
        uint32_t outer = loom_graph_resolve(&session->graph, loop->body.outer[i]);
        if (session->graph.steps[outer].state == LOOM_STEP_FAILED) return true;
    }
    return session->failure_count > LOOM_LOOP_FAILURES_MAX;
}

/* A loop that is passed over before its last window fails, and its folds: an outer value may have failed before there
 * was a loop to be told, and too many failures are told to nobody. */
static loom_status pass_over(loom_session *session, const loom_loop *loop, loom_error *err) {
    uint32_t failure = 0;
    if (loop->opened == loop->window_count) return LOOM_OK;
    for (uint32_t i = 0; i < loop->body.outer_count; i++) {
        const loom_step *outer = &session->graph.steps[loom_graph_resolve(&session->graph, loop->body.outer[i])];
        if (outer->state == LOOM_STEP_FAILED) failure = outer->failure;
    }
    loom_status status = loom_step_skipped(session, loop->step, failure);
    if (status == LOOM_OK) status = loom_folds_fail(session, loop, failure);
    return status == LOOM_OK ? LOOM_OK : loom_fail(err, status, "out of memory while going through a loop");
}

/* Loops over the same elements go side by side, window by window: so they find each other's steps (window_share.c). */
static loom_status open_beside(loom_session *session, uint32_t number, loom_error *err) {
    uint32_t source = session->loops->loops[number].source, opened = session->loops->loops[number].opened;
    if (!session->loops->loops[number].body.heavy) return LOOM_OK;
    for (uint32_t i = number + 1; i < session->loops->count && i - number < SIDE_BY_SIDE_MAX; i++) {
        const loom_loop *other = &session->loops->loops[i];
        if (other->source != source || !other->body.heavy || is_hopeless(session, other)) continue;
        if (other->opened < opened && other->opened < other->window_count) LOOM_TRY(open_next(session, i, err));
    }
    return LOOM_OK;
}

loom_status loom_loops_advance(loom_session *session, bool *opened, loom_error *err) {
    loom_loops *loops = session->loops;
    *opened = false;
    if (!loops) return LOOM_OK;
    if (session->windows_over) {
        session->windows_over = false;
        LOOM_TRY(loom_windows_review(session, err));
    }
    /* A preview runs nothing, so no window would ever make room for the next. */
    while (loops->next < loops->count &&
           (loops->open_steps < LOOM_WINDOW_STEPS_MAX || loops->open_windows == 0 || session->preview)) {
        loom_loop *loop = &loops->loops[loops->next];
        if (loop->opened == loop->window_count || is_hopeless(session, loop)) {
            LOOM_TRY(pass_over(session, loop, err));
            loops->next++;
            continue;
        }
        *opened = true;
        uint32_t number = loops->next;
        LOOM_TRY(open_next(session, number, err));
        LOOM_TRY(open_beside(session, number, err));
    }
    return LOOM_OK;
}

void loom_loop_release(loom_loop *loop) {
    loom_body_release(&loop->body);
    loom_body_release(&loop->keeps);
    loom_buffer_free(&loop->elements);
    free(loop->offsets);
    free(loop->parts);
    free(loop->kept);
    free(loop->folds);
}

void loom_loops_release(loom_session *session) {
    loom_loops *loops = session->loops;
    if (!loops) return;
    for (uint32_t i = 0; i < loops->count; i++)
        loom_loop_release(&loops->loops[i]);
    for (uint32_t i = 0; i < loops->window_count; i++) {
        loom_arena_free(loops->windows[i].arena);
        free(loops->windows[i].borrowed);
    }
    loom_memo_release(&loops->started);
    loom_memo_release(&loops->shared);
    free(loops->loops);
    free(loops->windows);
    free(loops->open);
    free(loops);
    session->loops = NULL;
}
