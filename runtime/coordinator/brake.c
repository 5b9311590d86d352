/* Why nothing waits for ever. A task is held here only after a worker found no room for it, and its coming wakes the
 * coordinator, as does every completion, every death and every release by the committer; each time loom_brake_release
 * looks at the best one. If it fits it goes on. If not, it goes on beyond the budget: at once, if it releases as much
 * as it takes, unless another one does so now; any other as soon as nothing runs. What runs ends, and its end is
 * another look (or its worker's death is). So whenever nothing runs, one task is let go on, whatever the budget says.
 *
 * Nothing spins: a task that was let go on may fill the budget to the brim, so it comes back only if others committed
 * meanwhile what was there for it, or it wants more than it said; and one that may go beyond never does. */
#include "runtime/coordinator/brake.h"

#include <stdlib.h>

#include "runtime/coordinator/fuse.h"
#include "runtime/task_result.h"

enum held_class { RELEASES, USES_IMAGES, ROOT };

static enum held_class class_of(const struct loom_held *held) {
    return (enum held_class)(held->order >> 32);
}

static uint32_t step_of(const struct loom_held *held) {
    return (uint32_t)held->order;
}

/* ---- the heap ---- */

static void sift_up(loom_brake *brake, uint32_t at) {
    struct loom_held moved = brake->held[at];
    for (; at > 0 && brake->held[(at - 1) / 2].order > moved.order; at = (at - 1) / 2)
        brake->held[at] = brake->held[(at - 1) / 2];
    brake->held[at] = moved;
}

static void remove_best(loom_brake *brake) {
    struct loom_held moved = brake->held[--brake->count];
    uint32_t at = 0;
    for (uint32_t child; (child = 2 * at + 1) < brake->count; at = child) {
        if (child + 1 < brake->count && brake->held[child + 1].order < brake->held[child].order) child++;
        if (brake->held[child].order >= moved.order) break;
        brake->held[at] = brake->held[child];
    }
    if (brake->count > 0) brake->held[at] = moved;
}

/* ---- holding ---- */

/* What its end will release, and what its images come to. */
static void weigh(const loom_session *session, const loom_task *held, uint64_t *releases, uint64_t *images) {
    *releases = *images = 0;
    for (uint32_t i = 0; i < held->argument_count; i++) {
        const loom_step *argument = loom_task_argument_step(session, held, i);
        const loom_task *task = argument ? loom_segment_task(session->segment, argument->task) : NULL;
        if (!task || task->type != LOOM_IMAGE) continue;
        *images += task->bulk.bytes;
        if (argument->open == 1 && !argument->kept) *releases += loom_task_committed_bytes(task);
    }
}

loom_status loom_brake_hold(loom_session *session, uint32_t index) {
    loom_brake *brake = &session->brake;
    if (brake->count == brake->capacity) {
        uint32_t capacity = brake->capacity ? brake->capacity * 2 : 64;
        struct loom_held *grown = realloc(brake->held, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        brake->held = grown;
        brake->capacity = capacity;
    }
    const loom_step *step = &session->graph.steps[index];
    const loom_task *task = loom_segment_task(session->segment, step->task);
    uint64_t bytes = task->bulk.bytes, releases, images;
    weigh(session, task, &releases, &images);
    if (bytes == 0) bytes = images ? images : 4 * loom_costs_typical_voxels(session->costs);
    enum held_class class = releases >= bytes ? RELEASES : images ? USES_IMAGES : ROOT;
    brake->held[brake->count] = (struct loom_held){.order = (uint64_t) class << 32 | index,
                                                   .task = step->task,
                                                   .attempt = loom_task_attempt(task),
                                                   .bytes = bytes};
    sift_up(brake, brake->count++);
    brake->times++;
    if (brake->beyond == index) brake->beyond = LOOM_STEP_NONE; /* held back for the disk's sake, or by a recovery */
    loom_segment_set_held_back(session->segment, brake->count);
    return LOOM_OK;
}

/* ---- letting go on ---- */

/* Whether a worker runs a task whose end this side does not know of yet. What is only being taken is not seen: then one
 * task more than need be goes on. */
static bool something_runs(const loom_session *session) {
    for (uint32_t i = 0; i < session->workers; i++) {
        const loom_task *task = loom_segment_task(session->segment, loom_segment_running(session->segment, i));
        if (task && task->cookie < session->graph.step_count &&
            session->graph.steps[task->cookie].state == LOOM_STEP_TASK)
            return true;
    }
    return loom_segment_has_queued(session->segment);
}

/* Whether one may go beyond the budget: one at a time, and not while the committer makes room. */
static bool may_go_beyond(const loom_session *session) {
    if (session->brake.beyond != LOOM_STEP_NONE) return false;
    return loom_store_in_memory(session->store) || !loom_committer_hurry(session->committer);
}

/* Whether the best one may go on, and whether beyond the budget. `taken`: bytes of those that were let go on just now,
 * which their workers have not committed yet. */
static bool may_go_on(const loom_session *session, const struct loom_held *held, uint64_t taken, bool *beyond) {
    uint64_t budget = loom_segment_budget(session->segment), committed = loom_segment_committed(session->segment);
    uint64_t room = budget > committed ? budget - committed : 0, wanted = taken + held->bytes;
    /* Left free for those that release something, as in admission.c. */
    uint64_t spared = held->bytes > budget / 2 / session->workers ? budget / 2 : held->bytes * session->workers;
    *beyond = wanted > room;
    if (class_of(held) != RELEASES) {
        if (!*beyond && wanted + spared <= room) return true;
        if (something_runs(session)) return false;
    }
    return !*beyond || (taken == 0 && may_go_beyond(session));
}

static bool beyond_runs(const loom_session *session) {
    const loom_step *step = &session->graph.steps[session->brake.beyond];
    return step->state == LOOM_STEP_TASK && step->task == session->brake.beyond_task;
}

void loom_brake_forget(loom_session *session, uint32_t index) {
    if (session->brake.beyond == index) session->brake.beyond = LOOM_STEP_NONE;
}

void loom_brake_release(loom_session *session) {
    loom_brake *brake = &session->brake;
    uint64_t taken = 0;
    if (brake->count == 0) return;
    if (brake->beyond != LOOM_STEP_NONE && !beyond_runs(session)) brake->beyond = LOOM_STEP_NONE;
    while (brake->count > 0) {
        const struct loom_held best = brake->held[0];
        bool beyond;
        /* Else it was skipped or withdrawn meanwhile; or a search of the table found it, and its worker will say how it
         * ended. */
        if (loom_task_is_held_back(session->segment, best.task, best.attempt)) {
            if (!may_go_on(session, &best, taken, &beyond)) break;
            if (loom_task_go_on(session->segment, best.task, best.attempt, beyond)) {
                taken += best.bytes;
                if (beyond) {
                    brake->beyond = step_of(&best);
                    brake->beyond_task = best.task;
                }
            }
        }
        remove_best(brake);
    }
    loom_segment_set_held_back(session->segment, brake->count);
    if (brake->count > 0) (void)loom_committer_hurry(session->committer); /* what is stored needs no memory any more */
}

void loom_brake_free(loom_brake *brake) {
    free(brake->held);
    *brake = (loom_brake){0};
}
