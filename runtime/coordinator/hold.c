/* Results in use. While a run needs the bytes of a result, it holds them in the store, so that no eviction, collection
 * or compression (of this run or another) takes them away. When they are let go: release.c. */
#include "runtime/coordinator/session.h"

#include <stdlib.h>

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
    if (loom_committer_replace(session->committer, number) == LOOM_OK) {
        loom_commit_queued(session, index);
        return LOOM_OK;
    }
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while results came in");
}

void loom_unhold_step(loom_session *session, uint32_t index) {
    loom_hold hold = {.pin = session->graph.steps[index].hold};
    session->graph.steps[index].hold = 0;
    if (hold.pin) loom_store_unhold(session->store, &hold);
}
