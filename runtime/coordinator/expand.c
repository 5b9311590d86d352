/* Loops: for, map, filter, and what picks from them (index, slices), are not run as kernels: as soon as their items are
 * known, the pending step becomes an alias of the step that gathers them, or of the one item that is picked. */
#include <stdlib.h>

#include "runtime/coordinator/expand.h"

/* One step that gathers all items into a sequence; beyond the limit of predecessors, a tree of them. */
static loom_status gather(loom_expansion *at, uint32_t *steps, uint32_t count, uint32_t *whole) {
    const char *operator_name = "default.sequence";
    loom_node_index blame = at->session->graph.steps[at->step].node;
    while (count > LOOM_ARGUMENTS_MAX) {
        uint32_t parts = 0;
        for (uint32_t first = 0; first < count; first += LOOM_ARGUMENTS_MAX) {
            uint32_t left = count - first, size = left < LOOM_ARGUMENTS_MAX ? left : LOOM_ARGUMENTS_MAX;
            uint32_t part; /* not written over the items before they are read */
            LOOM_TRY(loom_lower_internal(at->session, operator_name, steps + first, size, blame, &part, at->err));
            steps[parts++] = part;
        }
        count = parts;
        operator_name = "loom.concat";
    }
    return loom_lower_internal(at->session, operator_name, steps, count, blame, whole, at->err);
}

static loom_status lower_items(loom_expansion *at, const loom_items *items, uint32_t *whole) {
    uint32_t *steps = malloc((items->count + 1) * sizeof *steps);
    if (!steps) return loom_expansion_no_memory(at);
    loom_status status = LOOM_OK;
    for (uint32_t i = 0; i < items->count && status == LOOM_OK; i++)
        status = loom_lower(at->session, items->nodes[i], at->context, &steps[i], at->err);
    if (status == LOOM_OK) status = gather(at, steps, items->count, whole);
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

loom_status loom_expand(loom_session *session, uint32_t step, loom_error *err) {
    loom_node_index index = session->graph.steps[step].node;
    loom_expansion at = {.session = session, .step = step, .context = session->graph.steps[step].context, .err = err};
    uint32_t target;
    loom_shape found;
    if (loom_shape_of(session, index, &found) != LOOM_OK) return loom_expansion_no_memory(&at);
    if (found == LOOM_SHAPE_ITEM) {
        loom_node node = *loom_plan_node(session->plan, index);
        loom_items items;
        LOOM_TRY(loom_picked_items(&at, &node, 0, &items));
        if (at.waiting) return LOOM_OK;
        LOOM_TRY(loom_lower(session, items.nodes[0], at.context, &target, err));
    } else {
        LOOM_TRY(expand_list(&at, index, &target));
        if (at.waiting) return LOOM_OK;
    }
    return loom_become(session, step, target, err);
}
