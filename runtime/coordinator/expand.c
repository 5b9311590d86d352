/* Loops: for, map, filter, and what picks from them (index, slices), are not run as kernels: as soon as their items are
 * known, the pending step becomes an alias of the step that gathers them, or of the one item that is picked. */
#include <stdlib.h>

#include "runtime/coordinator/loop.h"

loom_status loom_gather(loom_session *session, const char *name, uint32_t *steps, uint32_t count, loom_node_index blame,
                        uint32_t *whole, loom_error *err) {
    while (count > LOOM_ARGUMENTS_MAX) {
        uint32_t parts = 0;
        for (uint32_t first = 0; first < count; first += LOOM_ARGUMENTS_MAX) {
            uint32_t left = count - first, size = left < LOOM_ARGUMENTS_MAX ? left : LOOM_ARGUMENTS_MAX;
            uint32_t part; /* not written over the items before they are read */
            LOOM_TRY(loom_lower_internal(session, name, steps + first, size, blame, &part, err));
            steps[parts++] = part;
        }
        count = parts;
        name = "loom.concat";
    }
    return loom_lower_internal(session, name, steps, count, blame, whole, err);
}

static loom_status lower_items(loom_expansion *at, const loom_items *items, uint32_t *whole) {
    uint32_t *steps = malloc((items->count + 1) * sizeof *steps);
    if (!steps) return loom_expansion_no_memory(at);
    loom_status status = LOOM_OK;
    for (uint32_t i = 0; i < items->count && status == LOOM_OK; i++)
        status = loom_lower(at->session, items->nodes[i], at->context, &steps[i], at->err);
    loom_node_index blame = at->session->graph.steps[at->step].node;
    if (status == LOOM_OK)
        status = loom_gather(at->session, "default.sequence", steps, items->count, blame, whole, at->err);
    free(steps);
    return status;
}

static loom_status all_closed(loom_expansion *at, const loom_items *items, bool *closed) {
    *closed = true;
    for (uint32_t i = 0; i < items->count && *closed; i++) {
        loom_node_facts facts;
        if (loom_facts_of(at->session->facts, items->nodes[i], &facts) != LOOM_OK) return loom_expansion_no_memory(at);
        *closed = facts.openness == LOOM_CLOSED;
    }
    return LOOM_OK;
}

/* The step that gathers the items of a list. One step serves all contexts if nothing depends on them: else a loop whose
 * items all use a common list would gather, and compute, that list once an item. */
static loom_status expand_list(loom_expansion *at, loom_node_index node, uint32_t *whole) {
    loom_session *session = at->session;
    loom_items items;
    bool closed;
    *whole = loom_memo_get(&session->gathered, node);
    if (*whole != LOOM_MEMO_NONE) return LOOM_OK;
    LOOM_TRY(loom_items_of(at, node, 0, &items));
    if (at->waiting) return LOOM_OK;
    LOOM_TRY(lower_items(at, &items, whole));
    if (at->contextual) return LOOM_OK;
    LOOM_TRY(all_closed(at, &items, &closed));
    return !closed || loom_memo_set(&session->gathered, node, *whole) == LOOM_OK ? LOOM_OK
                                                                                 : loom_expansion_no_memory(at);
}

loom_status loom_become(loom_session *session, uint32_t pending, uint32_t target, loom_error *err) {
    loom_graph_run *graph = &session->graph;
    target = loom_graph_resolve(graph, target);
    bool demanded = graph->steps[pending].demanded;
    graph->steps[pending].alias = target;
    graph->operators -= graph->steps[pending].op != NULL;
    graph->steps[target].open += graph->steps[pending].open;
    graph->steps[pending].open = 0;
    if (loom_step_ends(session, pending) != LOOM_OK ||
        (graph->steps[pending].item && loom_step_becomes_item(session, target) != LOOM_OK))
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while expanding a loop");
    if (graph->steps[target].state == LOOM_STEP_FAILED)
        return loom_fail_users(session, pending, graph->steps[target].failure);
    graph->steps[target].kept |= graph->steps[pending].kept;
    if (graph->steps[target].node == LOOM_NODE_NONE) graph->steps[target].node = graph->steps[pending].node;
    uint8_t state = graph->steps[target].state;
    for (uint32_t link = graph->steps[pending].users; link; link = graph->links[link].next) {
        loom_link old = graph->links[link];
        bool happened = state >= (old.event == LOOM_EVENT_VALUE ? LOOM_STEP_DONE : LOOM_STEP_SETTLED);
        loom_event event = happened ? LOOM_EVENT_FAILURE : (loom_event)old.event;
        if (state < LOOM_STEP_DONE) LOOM_TRY(loom_graph_link(graph, target, old.user, event));
        if (old.event != LOOM_EVENT_FAILURE && --graph->steps[old.user].waits == 0)
            LOOM_TRY(loom_work_add(session, old.user));
    }
    return demanded ? loom_demand(session, target, err) : LOOM_OK;
}

/* A fold over a loop: *whole is LOOM_STEP_NONE if it follows a long one, else an ordinary step. */
static loom_status expand_fold(loom_expansion *at, uint32_t *whole) {
    loom_session *session = at->session;
    loom_node_index fold = session->graph.steps[at->step].node;
    const loom_node *node = loom_plan_node(session->plan, fold);
    loom_node_index loop = node->arguments[node->argument_count - 1];
    bool started = false;
    uint32_t sequence;
    *whole = LOOM_STEP_NONE;
    LOOM_TRY(loom_lower(session, loop, at->context, &sequence, at->err));
    if (loom_memo_get(&session->gathered, loop) == LOOM_MEMO_NONE)
        LOOM_TRY(loom_loop_start(at, loop, sequence, &started));
    if (at->waiting) return LOOM_OK;
    return started ? loom_loop_fold(at, loop) : loom_lower_operator(session, fold, at->context, whole, at->err);
}

loom_status loom_expand(loom_session *session, uint32_t step, loom_error *err) {
    loom_node_index index = session->graph.steps[step].node;
    loom_expansion at = {.session = session, .step = step, .context = session->graph.steps[step].context, .err = err};
    uint32_t target;
    loom_shape found;
    if (loom_shape_of(session, index, &found) != LOOM_OK) return loom_expansion_no_memory(&at);
    if (found == LOOM_SHAPE_FOLDED) {
        LOOM_TRY(expand_fold(&at, &target));
        if (at.waiting || target == LOOM_STEP_NONE) return LOOM_OK;
    } else if (found == LOOM_SHAPE_ITEM) {
        loom_node node = *loom_plan_node(session->plan, index);
        loom_items items;
        LOOM_TRY(loom_picked_items(&at, &node, 0, &items));
        if (at.waiting) return LOOM_OK;
        LOOM_TRY(loom_lower(session, items.nodes[0], at.context, &target, err));
    } else {
        bool started = false;
        if (loom_memo_get(&session->gathered, index) == LOOM_MEMO_NONE)
            LOOM_TRY(loom_loop_start(&at, index, step, &started));
        if (!started && !at.waiting) LOOM_TRY(expand_list(&at, index, &target));
        if (started || at.waiting) return LOOM_OK;
    }
    return loom_become(session, step, target, err);
}
