/* Results in use. While a run needs the bytes of a result, it holds them in the store, so that no eviction, collection
 * or compression (of this run or another) takes them away. An image whose users are all done is let go: from then on it
 * is a stored result like any other, and is looked up again (or computed again) if something new asks for it. */
#include "runtime/coordinator/session.h"

#include <stdlib.h>

#define USERS_LOOKED_AT                                                                                                \
    256 /* a result with more users stays held to the end, rather than being looked at over and over */

loom_status loom_keep_hold(loom_session *session, loom_hold hold) {
    if (hold.pin == 0) return LOOM_OK;
    if (session->hold_count == session->hold_capacity) {
        uint32_t capacity = session->hold_capacity ? session->hold_capacity * 2 : 64;
        loom_hold *grown = realloc(session->holds, capacity * sizeof *grown);
        if (!grown) {
            loom_store_unhold(session->store, &hold);
            return LOOM_NO_MEMORY;
        }
        session->holds = grown;
        session->hold_capacity = capacity;
    }
    session->holds[session->hold_count++] = hold;
    return LOOM_OK;
}

loom_status loom_hold_items(loom_session *session, const loom_value *sequence, int depth, bool verify,
                            loom_error *err) {
    for (size_t i = 0; i < sequence->sequence.count; i++) {
        const loom_value *item = &sequence->sequence.items[i];
        if (item->type == LOOM_SEQUENCE && depth > 0) LOOM_TRY(loom_hold_items(session, item, depth - 1, verify, err));
        if (item->type != LOOM_REFERENCE) continue;
        loom_result result;
        loom_hold hold = {0};
        LOOM_TRY(loom_store_hold_value(session->store, &item->reference.vid, session->scratch, &result, &hold, err));
        LOOM_TRY(loom_keep_hold(session, hold));
        if (verify) LOOM_TRY(loom_store_verify(session->store, &result, err));
    }
    return LOOM_OK;
}

loom_status loom_hold_computed(loom_session *session, uint32_t index, const loom_task *task) {
    loom_hold hold = {0};
    if (task->bulk.bytes == 0) return LOOM_OK;
    LOOM_TRY(loom_store_hold_range(session->store, &task->bulk, &hold, NULL));
    session->graph.steps[index].hold = hold.pin;
    return LOOM_OK;
}

loom_status loom_hold_fresh(loom_session *session, uint32_t index, uint32_t number, loom_error *err) {
    loom_unhold_step(session, index); /* the bytes it was copied from */
    LOOM_TRY(loom_hold_computed(session, index, loom_segment_task(session->segment, number)));
    if (loom_committer_replace(session->committer, number) == LOOM_OK) return LOOM_OK;
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while results came in");
}

void loom_unhold_step(loom_session *session, uint32_t index) {
    loom_hold hold = {.pin = session->graph.steps[index].hold};
    session->graph.steps[index].hold = 0;
    if (hold.pin) loom_store_unhold(session->store, &hold);
}

/* ---- letting go ---- */

/* Whether everything that is known to use a step has ended. */
static bool users_are_done(const loom_session *session, const loom_step *step) {
    const loom_graph_run *graph = &session->graph;
    uint32_t seen = 0;
    for (uint32_t link = step->users; link; link = graph->links[link].next) {
        uint8_t state = graph->steps[loom_graph_resolve(graph, graph->links[link].user)].state;
        if (state != LOOM_STEP_DONE && state != LOOM_STEP_FAILED) return false;
        if (++seen == USERS_LOOKED_AT) return false;
    }
    return true;
}

/* Only images that are (about to be) stored: anything else is small, or would be lost. Working copies have no hold:
 * what lies in memory is nobody else's. */
static bool may_go(const loom_session *session, const loom_step *step) {
    bool has_bytes = step->hold || (step->task != LOOM_TASK_NONE && loom_store_has_working_copies(session->store));
    return has_bytes && step->state == LOOM_STEP_DONE && step->type == LOOM_IMAGE && !step->kept && step->op &&
           !(step->op->flags & (LOOM_OP_NOT_STORED | LOOM_OP_EFFECT)) && !loom_store_in_memory(session->store);
}

static loom_status let_go(loom_session *session, uint32_t index) {
    loom_step *step = &session->graph.steps[index];
    LOOM_TRY(loom_committer_discard(session->committer, step->task));
    loom_unhold_step(session, index);
    step->task = LOOM_TASK_NONE;
    step->stored = step->released = true;
    return LOOM_OK;
}

loom_status loom_release_arguments(loom_session *session, uint32_t index) {
    const loom_step *ended = &session->graph.steps[index];
    for (uint32_t i = 0; i < ended->argument_count; i++) {
        uint32_t argument = loom_graph_resolve(&session->graph, ended->arguments[i]);
        loom_step *step = &session->graph.steps[argument];
        if (step->consumers > 0) step->consumers--;
        if (step->consumers == 0 && may_go(session, step) && users_are_done(session, step))
            LOOM_TRY(let_go(session, argument));
    }
    return LOOM_OK;
}
