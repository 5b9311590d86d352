/* Folds over long loops: a step a part, in order, each starting from what the one before came to. So a fold runs while
 * later items are still computed, and the whole sequence is never in one place. */
#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/window.h"

loom_status loom_fold_attach(loom_expansion *at, loom_loop *loop) {
    loom_session *session = at->session;
    const loom_step *step = &session->graph.steps[at->step];
    const loom_node *node = loom_plan_node(session->plan, step->node);
    loom_fold fold = {.step = at->step, .init = LOOM_STEP_NONE, .last = LOOM_STEP_NONE};
    for (uint32_t i = 0; i < loop->fold_count; i++)
        if (session->graph.steps[loop->folds[i].step].node == step->node)
            return loop->folds[i].step == at->step ? LOOM_OK
                                                   : loom_become(session, at->step, loop->folds[i].step, at->err);
    if (session->graph.steps[loop->step].state == LOOM_STEP_FAILED) /* it opens no more windows, perhaps */
        return loom_step_skipped(session, at->step, session->graph.steps[loop->step].failure);
    if (node->argument_count > 1) {
        LOOM_TRY(loom_lower(session, node->arguments[0], at->context, &fold.init, at->err));
        fold.init = loom_graph_resolve(&session->graph, fold.init);
    }
    if (loop->fold_count == loop->fold_capacity) {
        uint32_t capacity = loop->fold_capacity ? loop->fold_capacity * 2 : 2;
        loom_fold *grown = realloc(loop->folds, capacity * sizeof *grown);
        if (!grown) return loom_expansion_no_memory(at);
        loop->folds = grown;
        loop->fold_capacity = capacity;
    }
    loop->folds[loop->fold_count++] = fold;
    LOOM_TRY(loom_folds_follow(session, loop, at->err));
    return !loop->filters && loop->opened == loop->window_count ? loom_folds_finish(session, loop, at->err) : LOOM_OK;
}

/* The step over the next part. Only the last has the program's name for the fold. */
static loom_status follow(loom_session *session, const loom_loop *loop, loom_fold *fold, loom_error *err) {
    loom_graph_run *graph = &session->graph;
    const loom_node_index node = graph->steps[fold->step].node;
    const loom_operator *op = loom_plan_node(session->plan, node)->op;
    uint32_t arguments[2], count = 0, step;
    if (fold->followed > 0)
        arguments[count++] = fold->last;
    else if (fold->init != LOOM_STEP_NONE)
        arguments[count++] = fold->init;
    arguments[count++] = loop->parts[fold->followed];
    loom_status status = loom_graph_add(graph, op, arguments, count, &step);
    for (uint32_t i = 0; status == LOOM_OK && i < count; i++)
        if (graph->steps[arguments[i]].state < LOOM_STEP_DONE)
            status = loom_graph_link(graph, arguments[i], step, LOOM_EVENT_FAILURE);
    if (status == LOOM_OK) status = loom_step_uses(session, step);
    if (status != LOOM_OK)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while going through a loop; close other programs");
    graph->steps[step].node = node;
    graph->steps[step].unnamed = fold->followed + 1 < loop->window_count;
    graph->steps[step].kept = true; /* the next goes on from it, and is not there yet */
    fold->last = step;
    fold->followed++;
    return loom_settle_and_demand(session, step, err);
}

loom_status loom_folds_follow(loom_session *session, loom_loop *loop, loom_error *err) {
    for (uint32_t i = 0; i < loop->fold_count && !loop->filters; i++)
        while (loop->folds[i].followed < loop->opened)
            LOOM_TRY(follow(session, loop, &loop->folds[i], err));
    return LOOM_OK;
}

loom_status loom_folds_finish(loom_session *session, loom_loop *loop, loom_error *err) {
    for (uint32_t i = 0; i < loop->fold_count; i++) {
        const loom_step *step = &session->graph.steps[loop->folds[i].step];
        if (step->state != LOOM_STEP_FAILED && step->alias == LOOM_STEP_NONE)
            LOOM_TRY(loom_become(session, loop->folds[i].step, loop->folds[i].last, err));
    }
    return LOOM_OK;
}

loom_status loom_folds_fail(loom_session *session, const loom_loop *loop, uint32_t failure) {
    for (uint32_t i = 0; i < loop->fold_count; i++)
        LOOM_TRY(loom_step_skipped(session, loop->folds[i].step, failure));
    return LOOM_OK;
}
