/* lower_plan.c - the beginning of a run: what the goals need of the plan, lowered and settled node by node.
 *
 * A walk down from each goal (loom_lower) comes to the same steps, but goes to the bottom of the plan first and settles
 * when all is lowered: in a plan of a million nodes each of these visits finds its step, its node and its arguments in
 * no cache. In order of node numbers, as the program made them, arguments come just before their users, mostly. */
#include <stdlib.h>

#include "runtime/coordinator/session.h"

/* Whether loom_lower, coming to the node, lowers it without a context and all its arguments with it. */
static loom_status is_plain(loom_session *session, loom_node_index index, bool *plain) {
    loom_node_facts facts;
    bool expandable;
    LOOM_TRY(loom_facts_of(session->facts, index, &facts));
    LOOM_TRY(loom_is_expandable(session, index, &expandable));
    *plain = loom_plan_node(session->plan, index)->kind == LOOM_NODE_PRIMITIVE && facts.openness == LOOM_CLOSED &&
             !expandable;
    return LOOM_OK;
}

/* Of what is needed, from the last to the first: arguments have smaller numbers than their users. What is not plain is
 * no longer needed here, but for constants. */
static loom_status mark(loom_session *session, bool *needed, size_t count) {
    for (size_t i = 0; i < loom_plan_goal_count(session->plan); i++)
        needed[loom_plan_goal(session->plan, i)->node] = true;
    for (size_t i = count; i-- > 0;) {
        bool plain;
        if (!needed[i]) continue;
        LOOM_TRY(is_plain(session, (loom_node_index)i, &plain));
        const loom_node *node = loom_plan_node(session->plan, (loom_node_index)i);
        needed[i] = plain || node->kind == LOOM_NODE_CONSTANT;
        for (uint32_t a = 0; plain && a < node->argument_count; a++)
            needed[node->arguments[a]] = true;
    }
    return LOOM_OK;
}

/* Of the steps that a node has brought. Loops among them expand later, when all goals are known. */
static loom_status settle(loom_session *session, uint32_t before, loom_error *err) {
    while (session->work_count > before) {
        uint32_t step = session->work[session->work_count - 1];
        if (session->graph.steps[step].state != LOOM_STEP_WAITING) return LOOM_OK;
        session->work_count--;
        session->graph.steps[step].queued = false;
        LOOM_TRY(loom_settle(session, step, err));
    }
    return LOOM_OK;
}

static loom_status lower_needed(loom_session *session, const bool *needed, size_t count, loom_error *err) {
    for (size_t i = 0; i < count; i++) {
        uint32_t before = session->work_count, step;
        loom_error cause = {0};
        if (!needed[i]) continue;
        loom_status status = loom_lower(session, (loom_node_index)i, LOOM_STEP_NONE, &step, &cause);
        /* The goals that need it will say so, and others go on; but each of its users would try it again here. */
        if (status != LOOM_OK && status != LOOM_NO_MEMORY) return LOOM_OK;
        if (status != LOOM_OK) return *err = cause, status;
        LOOM_TRY(settle(session, before, err));
    }
    return LOOM_OK;
}

loom_status loom_lower_plan(loom_session *session, loom_error *err) {
    size_t count = loom_plan_node_count(session->plan);
    bool *needed = calloc(count ? count : 1, sizeof *needed);
    loom_status status = needed ? mark(session, needed, count) : LOOM_NO_MEMORY;
    if (status != LOOM_OK) loom_fail(err, status, "out of memory while planning the run");
    if (status == LOOM_OK) status = lower_needed(session, needed, count, err);
    free(needed);
    return status;
}
