/* What workers report: a finished task makes its value known and goes to the committer; a failed one is recorded once,
 * and what needs it is skipped, while everything else goes on. */
#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/sweep.h"
#include "runtime/task_result.h"

static loom_status finished(loom_session *session, uint32_t index, uint32_t number) {
    loom_step *step = &session->graph.steps[index];
    const loom_task *task = loom_segment_task(session->segment, number);
    step->state = LOOM_STEP_DONE;
    step->type = task->type;
    step->vid = task->vid;
    step->rkey = task->rkey;
    step->has_vid = step->has_rkey = true;
    session->done++;
    session->windows_over |= step->window != 0;
    step->unstored = false;
    if (task->origin == LOOM_ORIGIN_STORED) {
        session->reused++;
        LOOM_TRY(loom_hold_computed(session, index, task));
        if (task->flags & LOOM_TASK_FRESH) {
            LOOM_TRY(loom_committer_replace(session->committer, number));
            loom_commit_queued(session, index);
        }
    } else {
        session->computed++;
        if (!loom_sweep_computed(session, index)) loom_fuse_count(session, task);
        loom_measure(session, index);
        LOOM_TRY(loom_store_step(session, index));
        step = &session->graph.steps[index];
        if (step->unstored && task->flags & LOOM_TASK_CLAIMED) loom_store_unclaim(session->store, &task->rkey);
        if (step->unstored && task->flags & LOOM_TASK_REPLACES)
            LOOM_TRY(loom_committer_forget(session->committer, &task->rkey));
    }
    if (task->memo && (step->unstored || task->origin == LOOM_ORIGIN_STORED)) {
        LOOM_TRY(loom_committer_note(session->committer, number)); /* hashes of its input files */
        loom_commit_queued(session, index);
    }
    return loom_announce(session, index, LOOM_EVENT_VALUE);
}

loom_status loom_add_failure(loom_session *session, const loom_error *cause, uint32_t *failure) {
    if (session->failure_count == session->failure_capacity) {
        uint32_t capacity = session->failure_capacity ? session->failure_capacity * 2 : 8;
        loom_failure *grown = realloc(session->failures, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        session->failures = grown;
        session->failure_capacity = capacity;
    }
    *failure = session->failure_count++;
    session->out_of_space |= cause->status == LOOM_NO_SPACE;
    session->failures[*failure] =
        (loom_failure){.error = *cause, .cause_bytes = strnlen(cause->message, sizeof cause->message)};
    return LOOM_OK;
}

static loom_status record_failure(loom_session *session, uint32_t index, const loom_error *cause, uint32_t *failure) {
    LOOM_TRY(loom_add_failure(session, cause, failure));
    loom_failure *record = &session->failures[*failure];
    loom_describe_step(session, index, &record->error);
    loom_blame_calls(session, *failure, index);
    const loom_step *step = &session->graph.steps[index];
    if (step->node != LOOM_NODE_NONE && !step->unnamed)
        loom_id_hex(&loom_plan_node(session->plan, step->node)->id, record->node);
    return LOOM_OK;
}

/* Marks one step failed; false if it was failed already. */
static bool mark_failed(loom_session *session, uint32_t index, uint32_t failure) {
    loom_step *step = &session->graph.steps[index];
    if (step->state == LOOM_STEP_FAILED || step->state == LOOM_STEP_DONE) return false;
    session->windows_over |= step->window || !step->op;
    if (step->alias != LOOM_STEP_NONE) return false; /* its users hear of what it became */
    if (step->state == LOOM_STEP_TASK) {
        /* What runs has all that it needs: let it end. Its users go on from there. */
        if (!loom_task_fail(session->segment, step->task, LOOM_SKIPPED, NULL)) return false;
        session->in_flight--;
    }
    step->state = LOOM_STEP_FAILED;
    step->failure = failure;
    if (step->op) session->failed++;
    (void)loom_task_ended(session, index); /* out of memory: held to the end */
    return true;
}

loom_status loom_fail_users(loom_session *session, uint32_t index, uint32_t failure) {
    loom_graph_run *graph = &session->graph;
    uint32_t *todo = malloc(sizeof *todo);
    size_t count = 1, capacity = 1;
    if (!todo) return LOOM_NO_MEMORY;
    todo[0] = index;
    while (count > 0) {
        uint32_t step = todo[--count];
        for (uint32_t link = graph->steps[step].users; link; link = graph->links[link].next) {
            uint32_t user = graph->links[link].user;
            loom_blame_item(session, failure, step, user);
            if (!mark_failed(session, user, failure)) {
                loom_blame_items_above(session, failure, user);
                continue;
            }
            if (count == capacity) {
                uint32_t *grown = realloc(todo, (capacity *= 2) * sizeof *grown);
                if (!grown) {
                    free(todo);
                    return LOOM_NO_MEMORY;
                }
                todo = grown;
            }
            todo[count++] = user;
        }
    }
    free(todo);
    return LOOM_OK;
}

loom_status loom_step_skipped(loom_session *session, uint32_t index, uint32_t failure) {
    return mark_failed(session, index, failure) ? loom_fail_users(session, index, failure) : LOOM_OK;
}

loom_status loom_step_fails(loom_session *session, uint32_t index, const loom_error *cause) {
    uint32_t failure;
    if (session->graph.steps[index].state == LOOM_STEP_FAILED) return LOOM_OK;
    LOOM_TRY(record_failure(session, index, cause, &failure));
    return loom_step_skipped(session, index, failure);
}

/* Why the worker says it failed; a copy, for the task goes with its step. */
static loom_task_failure failure_of(const loom_session *session, const loom_task *task) {
    loom_task_failure failure;
    size_t length = 0;
    const void *told = task->error ? loom_segment_get(session->segment, task->error, &length) : NULL;
    if (told && length == sizeof failure) {
        memcpy(&failure, told, sizeof failure);
        return failure;
    }
    failure = (loom_task_failure){.member = UINT32_MAX};
    loom_fail(&failure.error, (loom_status)task->status, "%s", loom_status_message((loom_status)task->status));
    return failure;
}

/* Of a fused task one member has failed, and takes the step at the end with it as its user. */
static loom_status task_failed(loom_session *session, uint32_t index, const loom_task *task) {
    const loom_task_failure failure = failure_of(session, task);
    uint32_t culprit = loom_fuse_culprit(session, index, failure.member);
    session->graph.steps[index].state = LOOM_STEP_SETTLED;
    LOOM_TRY(loom_step_fails(session, culprit, &failure.error));
    return loom_step_fails(session, index, &failure.error);
}

loom_status loom_complete(loom_session *session, uint32_t number, loom_error *err) {
    loom_profiling_drain(session);
    loom_task *task = loom_segment_task(session->segment, number);
    if (!task || task->cookie >= session->graph.step_count)
        return loom_fail(err, LOOM_INTERNAL, "a worker reported a task that does not exist; please report it");
    uint32_t index = task->cookie;
    if (session->graph.steps[index].state != LOOM_STEP_TASK || session->graph.steps[index].task != number)
        return LOOM_OK; /* reported twice after a recovery, or skipped */
    unsigned state = (unsigned)(atomic_load_explicit(&task->state, memory_order_acquire) & 0xff);
    if (state == LOOM_TASK_READY) return loom_brake_hold(session, index);
    if (state != LOOM_TASK_DONE && state != LOOM_TASK_FAILED) return LOOM_OK; /* held back, and found by a search */
    session->in_flight--;
    session->idle_deaths = 0;
    loom_status status;
    if (state == LOOM_TASK_DONE) {
        status = finished(session, index, number);
    } else {
        bool again = false;
        if (task->flags & LOOM_TASK_LOST) LOOM_TRY(loom_argument_lost(session, index, &task->vid, &again, err));
        if (again) return LOOM_OK;
        status = task_failed(session, index, task);
    }
    if (status == LOOM_OK && state == LOOM_TASK_DONE) status = loom_task_ended(session, index);
    return status == LOOM_OK ? LOOM_OK : loom_fail(err, status, "out of memory while results came in");
}
