/* When a result may go. A step's task keeps its slot in the segment, its heap pieces and its bytes as long as something
 * reads them:
 *
 *   - users, that is steps that have it as an argument and have not ended: `open` counts them, once a position; `uses`
 *     says that a step is counted. A user has ended when it failed, was found stored, or its own task is finished and
 *     stored; a sequence that refers to large items, which its users find through its arguments, when its own task
 * goes. Users that are never asked for count as well: what they need then stays to the end;
 *   - the committer, until its batch is stored;
 *   - the finishers of its arguments, which may walk over its links until their completions come (loom_task_free);
 *   - goals, values that decide how loops expand, domains (`kept`), and large items of sequences, which are referred to
 *     by what they are (`item`): to the end of the run.
 *
 * From then on it is a stored result like any other, which is looked up if something new asks for it; or, where nothing
 * was stored, one that is computed again, and then kept, so that nothing is computed over and over. */
#include "runtime/coordinator/sweep.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/task_result.h"

#define LATE_LOOKED_AT 256u /* of those that wait for completions, at a time */

static bool is_large(const loom_session *session, const loom_step *step) {
    return step->type == LOOM_IMAGE || loom_segment_task(session->segment, step->task)->flags & LOOM_TASK_BLOB;
}

static bool may_go(const loom_session *session, const loom_step *step) {
    if (step->task == LOOM_TASK_NONE || step->open || step->kept || step->queued_commits || step->late) return false;
    if (step->state != LOOM_STEP_DONE && step->state != LOOM_STEP_FAILED) return false;
    return !(step->item && step->state == LOOM_STEP_DONE && is_large(session, step));
}

/* The bytes: those of a stored result are the store's; others are free at once. */
static void give_bytes_back(loom_session *session, uint32_t index, const loom_task *task) {
    bool working = loom_store_has_working_copies(session->store), unstored = session->graph.steps[index].unstored;
    if (task->bulk.bytes == 0) return;
    if (working)
        (void)loom_store_discard(session->store, &task->bulk, NULL); /* costs memory till the end, if it fails */
    else if (unstored)
        loom_extent_recycle(loom_store_extents(session->store), &task->bulk);
    if (working || unstored) loom_segment_release_bytes(session->segment, loom_task_committed_bytes(task));
    loom_unhold_step(session, index);
}

static loom_status remember(loom_session *session, uint32_t index) {
    if (session->ending_count == session->ending_capacity) {
        uint32_t capacity = session->ending_capacity ? session->ending_capacity * 2 : 64;
        uint32_t *grown = realloc(session->ending, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        session->ending = grown;
        session->ending_capacity = capacity;
    }
    session->ending[session->ending_count++] = index;
    return LOOM_OK;
}

/* Lets the step's task go if nothing reads it. */
static loom_status let_go(loom_session *session, uint32_t index) {
    loom_step *step = &session->graph.steps[index];
    if (step->fused && step->task == LOOM_TASK_NONE && !step->open) { /* it needs its arguments as long as its users */
        step->fused = false;
        return step->uses ? remember(session, index) : LOOM_OK;
    }
    if (!may_go(session, step)) return LOOM_OK;
    give_bytes_back(session, index, loom_segment_task(session->segment, step->task));
    LOOM_TRY(loom_task_free(session->segment, step->task));
    step->task = LOOM_TASK_NONE;
    if (step->op && step->state == LOOM_STEP_DONE) {
        step->stored = !step->unstored;
        step->released = true;
    }
    return step->uses ? remember(session, index) : LOOM_OK;
}

loom_status loom_step_ends(loom_session *session, uint32_t index) {
    LOOM_TRY(remember(session, index));
    /* A list, not recursion: sequences of sequences can be as deep as the program. */
    while (session->ending_count > 0) {
        uint32_t ended = session->ending[--session->ending_count];
        loom_step *step = &session->graph.steps[ended];
        if (!step->uses) continue;
        step->uses = false;
        for (uint32_t i = 0; i < step->argument_count; i++) {
            uint32_t argument = loom_graph_resolve(&session->graph, step->arguments[i]);
            if (session->graph.steps[argument].open > 0) session->graph.steps[argument].open--;
            LOOM_TRY(let_go(session, argument));
        }
        for (uint32_t taken; (taken = loom_graph_list_take(&session->graph, &step->takes)) != LOOM_STEP_NONE;) {
            if (session->graph.steps[taken].open > 0) session->graph.steps[taken].open--;
            LOOM_TRY(let_go(session, taken));
        }
        uint32_t sweep;
        loom_sweep_leave(session, ended, &sweep);
        if (sweep != LOOM_STEP_NONE) LOOM_TRY(let_go(session, sweep));
    }
    return LOOM_OK;
}

loom_status loom_step_becomes_item(loom_session *session, uint32_t index) {
    loom_step *step = &session->graph.steps[index];
    if (step->item) return LOOM_OK;
    step->item = true;
    if (step->state != LOOM_STEP_DONE || !step->unstored || step->task == LOOM_TASK_NONE || !is_large(session, step))
        return LOOM_OK;
    return loom_store_step(session, index);
}

loom_status loom_step_uses(loom_session *session, uint32_t index) {
    loom_step *step = &session->graph.steps[index];
    if (step->uses) return LOOM_OK;
    step->uses = true;
    bool gathers = step->op && strcmp(step->op->name, "default.sequence") == 0;
    for (uint32_t i = 0; i < step->argument_count; i++) {
        uint32_t argument = loom_graph_resolve(&session->graph, step->arguments[i]);
        session->graph.steps[argument].open++;
        if (gathers) LOOM_TRY(loom_step_becomes_item(session, argument));
    }
    return LOOM_OK;
}

/* ---- storing ---- */

/* A cold disk gives 500 MB/s or more. */
#define READ_NS_PER_BYTE 2u

static uint32_t replay_us(const loom_session *session, const loom_task *task) {
    uint64_t sum = task->cost_us;
    for (uint32_t i = 0; i < task->argument_count; i++) {
        const loom_step *argument = loom_task_argument_step(session, task, i);
        if (argument && argument->unstored) sum += argument->replay_us;
    }
    return sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

/* Small results are kept even where intermediates are not: they cost a row, and keys depend on what they are, so that
 * without them a run that repeats would have to compute its way to the first key. An image's key names it. */
static bool is_kept_in_store(const loom_session *session, const loom_step *step, const loom_task *task) {
    if (step->op->flags & LOOM_OP_NOT_STORED) return false;
    if (step->op->flags & LOOM_OP_EFFECT || step->kept || (step->item && is_large(session, step))) return true;
    if (loom_store_in_memory(session->store)) return false; /* it would be gone after the run */
    if (session->config->store.persist == LOOM_PERSIST_ALL || step->type != LOOM_IMAGE) return true;
    return session->config->store.persist == LOOM_PERSIST_AUTO &&
           (uint64_t)step->replay_us * 1000 > task->bulk.bytes * READ_NS_PER_BYTE;
}

void loom_commit_queued(loom_session *session, uint32_t index) {
    session->graph.steps[index].queued_commits++;
    session->committing++;
}

loom_status loom_store_step(loom_session *session, uint32_t index) {
    if (session->options->audit) return loom_audit_compare(session, index);
    loom_step *step = &session->graph.steps[index];
    const loom_task *task = loom_segment_task(session->segment, step->task);
    static const loom_id none;
    step->replay_us = replay_us(session, task);
    step->unstored = !is_kept_in_store(session, step, task);
    if (step->unstored) return LOOM_OK;
    LOOM_TRY(loom_hold_computed(session, index, task));
    LOOM_TRY(loom_committer_add(
        session->committer, step->task,
        step->node == LOOM_NODE_NONE || step->unnamed ? &none : &loom_plan_node(session->plan, step->node)->id));
    loom_commit_queued(session, index);
    return LOOM_OK;
}

/* ---- the end of a task ---- */

/* Whether some argument's completion has not come yet, although the step's own has. */
static bool has_running_argument(const loom_session *session, const loom_step *step) {
    return loom_task_waits_for_completions(session, loom_segment_task(session->segment, step->task));
}

static loom_status wait_for_arguments(loom_session *session, uint32_t index) {
    if (session->late_count == session->late_capacity) {
        uint32_t capacity = session->late_capacity ? session->late_capacity * 2 : 64;
        uint32_t *grown = realloc(session->late, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        session->late = grown;
        session->late_capacity = capacity;
    }
    session->late[session->late_count++] = index;
    session->graph.steps[index].late = true;
    return LOOM_OK;
}

/* The step is DONE or FAILED, and what it gave is stored as far as it is going to be. */
static loom_status is_settled(loom_session *session, uint32_t index) {
    const loom_step *step = &session->graph.steps[index];
    bool refers = step->state == LOOM_STEP_DONE && step->task != LOOM_TASK_NONE &&
                  loom_segment_task(session->segment, step->task)->refers;
    if (!refers) LOOM_TRY(loom_step_ends(session, index));
    LOOM_TRY(let_go(session, index));
    return session->ending_count > 0 ? loom_step_ends(session, session->ending[--session->ending_count]) : LOOM_OK;
}

loom_status loom_task_ended(loom_session *session, uint32_t index) {
    loom_step *step = &session->graph.steps[index];
    if (step->task != LOOM_TASK_NONE && has_running_argument(session, step))
        LOOM_TRY(wait_for_arguments(session, index));
    return step->queued_commits ? LOOM_OK : is_settled(session, index);
}

loom_status loom_release_stored(loom_session *session) {
    const uint32_t *tasks;
    size_t count;
    if (!session->committer) return LOOM_OK;
    loom_committer_take_stored(session->committer, &tasks, &count);
    session->committing -= count;
    for (size_t i = 0; i < count; i++) {
        uint32_t index = loom_segment_task(session->segment, tasks[i])->cookie;
        loom_step *step = &session->graph.steps[index];
        if (step->task == tasks[i] && --step->queued_commits == 0) LOOM_TRY(is_settled(session, index));
    }
    return LOOM_OK;
}

loom_status loom_release_late(loom_session *session) {
    uint32_t kept = 0, looked = session->late_count < LATE_LOOKED_AT ? session->late_count : LATE_LOOKED_AT;
    uint32_t first = session->late_count - looked;
    for (uint32_t i = first; i < first + looked; i++) {
        uint32_t index = session->late[i];
        loom_step *step = &session->graph.steps[index];
        if (has_running_argument(session, step)) {
            session->late[first + kept++] = index;
            continue;
        }
        step->late = false;
        if (!step->queued_commits) LOOM_TRY(is_settled(session, index));
    }
    session->late_count = first + kept;
    return LOOM_OK;
}
