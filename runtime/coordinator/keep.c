/* keep.c - values of goals that outlive the run: small ones are copied, images mapped read-only where they lie. */
#include "runtime/coordinator/keep.h"

#include "runtime/coordinator/session.h"

/* An image that this run computed or made mappable: the session's hold on it ends with the session, the view's does
 * not. */
static loom_status view_task(loom_session *session, const loom_task *task, loom_kept_goal *kept, loom_error *err) {
    loom_hold hold;
    LOOM_TRY(loom_store_hold_range(session->store, &task->bulk, &hold, err));
    loom_status status = loom_extent_view(loom_store_extents(session->store), &task->bulk, true, &kept->view, err);
    if (status != LOOM_OK) {
        loom_store_unhold(session->store, &hold);
        return status;
    }
    if (hold.pin != 0) {
        kept->view.held_by = session->store;
        kept->view.pin = hold.pin;
    }
    return LOOM_OK;
}

static loom_status view_stored(loom_session *session, uint32_t step, loom_kept_goal *kept, loom_error *err) {
    loom_result result;
    loom_value value;
    LOOM_TRY(loom_step_find_stored(session, step, session->scratch, &result, err));
    LOOM_TRY(loom_store_verify(session->store, &result, err));
    return loom_store_value(session->store, &result, session->scratch, &value, &kept->view, err);
}

static loom_status keep_goal(loom_session *session, size_t index, loom_kept *all, loom_error *err) {
    loom_kept_goal *kept = &all->goals[index];
    uint32_t number = loom_graph_resolve(&session->graph, session->goals[index].step);
    const loom_step *step = &session->graph.steps[number];
    loom_value value;
    loom_arena_reset(session->scratch);
    LOOM_TRY(loom_step_value(session, number, session->scratch, &value, err));
    LOOM_TRY(loom_value_copy(all->arena, &value, &kept->value));
    if (value.type == LOOM_IMAGE) {
        if (step->task != LOOM_TASK_NONE)
            LOOM_TRY(view_task(session, loom_segment_task(session->segment, step->task), kept, err));
        else
            LOOM_TRY(view_stored(session, number, kept, err));
        kept->value.image.voxels = kept->view.bytes;
    }
    if (step->has_rkey) kept->rkey = step->rkey;
    if (step->has_vid) kept->vid = step->vid;
    kept->met = true;
    return LOOM_OK;
}

loom_status loom_keep_goals(loom_session *session, loom_error *err) {
    loom_kept *kept = session->options->kept;
    size_t count = loom_plan_goal_count(session->plan);
    *kept = (loom_kept){.store = session->store, .arena = loom_arena_new()};
    kept->goals = kept->arena ? loom_arena_array(kept->arena, count, sizeof *kept->goals) : NULL;
    if (!kept->goals) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while keeping the results of a run");
    kept->count = count;
    for (size_t i = 0; i < count; i++)
        if (session->goals[i].stage == LOOM_GOAL_MET) LOOM_TRY(keep_goal(session, i, kept, err));
    return LOOM_OK;
}

void loom_kept_release(loom_kept *kept) {
    for (size_t i = 0; i < kept->count; i++)
        loom_extent_release(&kept->goals[i].view);
    loom_arena_free(kept->arena);
    loom_store_close(kept->store);
    *kept = (loom_kept){0};
}
