/* Steps become tasks in the shared segment, arguments first. What is stored or constant becomes a task that is born
 * done. */
#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/fuse.h"
#include "runtime/coordinator/loop.h"
#include "runtime/coordinator/sweep.h"
#include "runtime/task_result.h"

static loom_status put_constant(loom_session *session, const loom_step *step, loom_task *task) {
    loom_buffer encoded = {0};
    loom_status status = loom_value_encode(loom_step_constant(session, step), &encoded);
    if (status == LOOM_OK) status = loom_task_put_payload(session->segment, task, encoded.bytes, encoded.length);
    loom_buffer_free(&encoded);
    task->origin = LOOM_ORIGIN_CONSTANT;
    return status;
}

/* Whether a stored result, which is held, is good; the items of a sequence lie in the store themselves, and if one is
 * gone or damaged the sequence must be gathered again from items that are computed again. The value is that of this
 * result: looked up again, it might lie elsewhere, and what is held would be that. */
static loom_status verify_stored(loom_session *session, uint32_t index, const loom_result *result, loom_error *err) {
    /* What is decoded next (make_mappable) is compared with its hashes there. */
    bool known = session->graph.steps[index].released || result->codec != LOOM_CODEC_RAW;
    if (!known) LOOM_TRY(loom_store_verify(session->store, result, err));
    if (result->type != LOOM_SEQUENCE) return LOOM_OK;
    loom_value sequence;
    loom_view view;
    LOOM_TRY(loom_store_value(session->store, result, session->scratch, &sequence, &view, err));
    loom_status status = loom_hold_items(session, &sequence, LOOM_NESTING_MAX, true, err);
    loom_extent_release(&view);
    return status;
}

/* A stored result whose bytes cannot be mapped (compressed, encrypted) gets a raw copy for this run. *fresh: the store
 * should keep the copy instead. */
static loom_status make_mappable(loom_session *session, loom_result *result, bool *fresh, loom_error *err) {
    *fresh = false;
    if (result->codec == LOOM_CODEC_RAW) return LOOM_OK;
    if (!session->writer) LOOM_TRY(loom_extent_writer_open(loom_store_extents(session->store), &session->writer, err));
    return loom_store_materialise(session->store, session->writer, session->scratch, result, fresh, err);
}

/* A task for a step that is done. LOOM_NOT_FOUND or LOOM_CORRUPT: the stored value is gone or damaged. */
static loom_status submit_done(loom_session *session, uint32_t index, loom_error *err) {
    loom_step *step = &session->graph.steps[index];
    loom_result result = {0};
    bool fresh = false;
    if (step->stored) {
        loom_arena_reset(session->scratch);
        LOOM_TRY(loom_step_find_stored(session, index, session->scratch, &result, err));
        LOOM_TRY(verify_stored(session, index, &result, err));
        LOOM_TRY(make_mappable(session, &result, &fresh, err));
    }
    uint32_t number;
    LOOM_TRY(loom_task_create_done(session->segment, &number, err));
    loom_task *task = loom_segment_task(session->segment, number);
    task->cookie = index;
    task->type = step->type;
    task->rkey = step->rkey;
    task->vid = step->vid;
    task->operator_index = step->op ? (uint32_t)loom_operator_index(session->operators, step->op) : UINT32_MAX;
    loom_status status =
        step->stored ? loom_task_adopt(session->segment, task, &result) : put_constant(session, step, task);
    if (status != LOOM_OK) return loom_segment_full(err);
    loom_task_publish_done(session->segment, number);
    step->task = number;
    return fresh ? loom_hold_fresh(session, index, number, err) : LOOM_OK;
}

/* `group` is NULL for a step that is computed by itself. */
static loom_status put_attributes(loom_session *session, uint32_t index, const loom_group *group, loom_task *task) {
    loom_buffer encoded = {0};
    loom_status status =
        group ? loom_tape_encode(&group->tape, &encoded) : loom_step_attributes(session, index, &encoded);
    if (status == LOOM_OK && encoded.length) {
        task->attributes = loom_segment_put(session->segment, encoded.bytes, encoded.length);
        if (!task->attributes) status = LOOM_NO_MEMORY;
    }
    loom_buffer_free(&encoded);
    return status;
}

/* The steps that a task takes. */
typedef struct needed {
    const loom_group *group; /* NULL: the step alone */
    const uint32_t *steps;
    uint32_t count;
} needed;

static const loom_operator *operator_of(const loom_session *session, const loom_step *step, const loom_group *group) {
    static const char name[] = "loom.fused";
    return group ? loom_operator_find(session->operators, name, strlen(name)) : step->op;
}

static loom_status submit_task(loom_session *session, uint32_t index, const needed *of, loom_error *err) {
    loom_step *step = &session->graph.steps[index];
    const loom_operator *op = operator_of(session, step, of->group);
    if (!op) return loom_fail(err, LOOM_INTERNAL, "the operator loom.fused is missing from this build");
    loom_arena_reset(session->scratch);
    uint32_t *arguments = loom_arena_array(session->scratch, of->count, sizeof *arguments);
    if (!arguments) return loom_segment_full(err);
    for (uint32_t i = 0; i < of->count; i++)
        arguments[i] = session->graph.steps[loom_graph_resolve(&session->graph, of->steps[i])].task;
    uint32_t number;
    LOOM_TRY(loom_task_create(session->segment, arguments, of->count, &number, err));
    loom_task *task = loom_segment_task(session->segment, number);
    task->operator_index = (uint32_t)loom_operator_index(session->operators, op);
    task->cookie = index;
    task->domain = loom_session_domain(session, index);
    task->priority = loom_level_class(loom_level_of(session, index));
    if (step->has_rkey) {
        task->rkey = step->rkey;
        if (!(step->op->flags & LOOM_OP_EFFECT)) task->flags |= LOOM_TASK_NO_LOOKUP; /* the store was asked already */
    }
    if (put_attributes(session, index, of->group, task) != LOOM_OK) return loom_segment_full(err);
    step->task = number;
    step->fused = false; /* now it has one */
    step->state = LOOM_STEP_TASK;
    session->in_flight++;
    return loom_task_submit(session->segment, number, err);
}

/* ---- the order ---- */

/* Tasks that may be alive: enough for every worker, and so few that their slots stay in the cache; on disk also for
 * some batches of the committer, which may wait for a slow disk. */
#define WINDOW 8192u
#define WINDOW_ON_DISK 32768u
/* Room that is left for what a task still needs when the window is full. */
#define RESERVE_SHARE 4u

static loom_status push(uint32_t **items, size_t *count, size_t *capacity, uint32_t step) {
    if (*count == *capacity) {
        size_t larger = *capacity ? *capacity * 2 : 64;
        uint32_t *grown = realloc(*items, larger * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        *items = grown;
        *capacity = larger;
    }
    (*items)[(*count)++] = step;
    return LOOM_OK;
}

static uint32_t failed_argument(const loom_session *session, const needed *of) {
    for (uint32_t i = 0; i < of->count; i++) {
        uint32_t argument = loom_graph_resolve(&session->graph, of->steps[i]);
        if (session->graph.steps[argument].state == LOOM_STEP_FAILED) return argument;
    }
    return LOOM_STEP_NONE;
}

/* Pushes arguments that have no task yet, the most critical to be submitted first. */
static loom_status push_arguments(loom_session *session, const needed *of) {
    struct loom_submission *todo = &session->submission;
    size_t before = todo->count;
    for (uint32_t i = of->count; i-- > 0;) {
        uint32_t argument = loom_graph_resolve(&session->graph, of->steps[i]);
        if (session->graph.steps[argument].task != LOOM_TASK_NONE) continue;
        session->graph.steps[argument].demanded = true;
        if (session->graph.steps[argument].aside) continue;
        LOOM_TRY(push(&todo->stack, &todo->count, &todo->capacity, argument));
    }
    if (todo->count > before + 1) loom_order_by_level(session, todo->stack + before, todo->count - before);
    return LOOM_OK;
}

static bool needs_one_aside(const loom_session *session, const needed *of) {
    for (uint32_t i = 0; i < of->count; i++)
        if (session->graph.steps[loom_graph_resolve(&session->graph, of->steps[i])].aside) return true;
    return false;
}

/* Whether a stored item may be on its way still: completions come through a ring a worker, and that of a sequence may
 * come before that of its item, which is stored only then. */
static bool may_come(const loom_session *session, const loom_step *step) {
    return !step->op && session->in_flight > 0;
}

/* The step on top of the stack cannot be computed. */
static loom_status skip(loom_session *session, uint32_t index, uint32_t failed) {
    session->submission.count--;
    return loom_step_skipped(session, index, session->graph.steps[failed].failure);
}

/* What the task of a group takes; *over: that is not asked now, the step waits to be swept, or is skipped. */
static loom_status visit_group(loom_session *session, uint32_t index, loom_group *group, needed *of, bool *over,
                               loom_error *err) {
    loom_sweep_advice advice = LOOM_SWEEP_ALONE;
    uint32_t numbers[2], count = 0;
    *over = true;
    if (loom_fuse_begins(session, group) != LOOM_OK ||
        loom_sweep_advise(session, index, group, &advice, numbers, &count) != LOOM_OK)
        return loom_segment_full(err);
    if (advice == LOOM_SWEEP_ASIDE) {
        session->submission.count--;
        return LOOM_OK;
    }
    if (advice == LOOM_SWEEP_NEEDS) {
        const needed first = {.steps = numbers, .count = count};
        return push_arguments(session, &first) == LOOM_OK ? LOOM_OK : loom_segment_full(err);
    }
    *of = (needed){.group = group, .steps = group->arguments, .count = group->argument_count};
    /* Of another of the group, which was not told: an item's step does not hear of what all items use. */
    uint32_t failed = failed_argument(session, of);
    if (failed != LOOM_STEP_NONE) return skip(session, index, failed);
    *over = false;
    return LOOM_OK;
}

/* One visit of a step on the stack: pops it once it has a task or cannot have one. LOOM_BUSY: look again when a task
 * has ended. */
static loom_status visit(loom_session *session, loom_error *err) {
    struct loom_submission *todo = &session->submission;
    uint32_t index = todo->stack[todo->count - 1];
    loom_step *step = &session->graph.steps[index];
    if (step->task != LOOM_TASK_NONE || step->state == LOOM_STEP_FAILED || step->aside) {
        todo->count--;
        return LOOM_OK;
    }
    if (step->state == LOOM_STEP_DONE) {
        loom_error cause = {0};
        loom_status status = step->unstored ? LOOM_NOT_FOUND : submit_done(session, index, &cause);
        if (status == LOOM_NOT_FOUND && may_come(session, step)) return LOOM_BUSY;
        if (status == LOOM_NOT_FOUND || status == LOOM_CORRUPT) return loom_recompute(session, index, status, err);
        if (status != LOOM_OK && err) *err = cause;
        return status;
    }
    LOOM_TRY(loom_part_reopen(session, index, err));
    step = &session->graph.steps[index]; /* there may be more of them now */
    /* Before anything is demanded for it: what nobody submits then would count as about to be. */
    loom_group group;
    needed of = {.steps = step->arguments, .count = step->argument_count};
    uint32_t failed = failed_argument(session, &of);
    if (failed != LOOM_STEP_NONE) return skip(session, index, failed);
    size_t before = todo->count;
    if (loom_step_uses(session, index) != LOOM_OK) return loom_segment_full(err);
    if (loom_fuse(session, index, &group)) {
        bool over;
        loom_status status = visit_group(session, index, &group, &of, &over, err);
        if (status != LOOM_OK || over) return status;
    }
    if (push_arguments(session, &of) != LOOM_OK) return loom_segment_full(err);
    if (todo->count > before) return LOOM_OK;
    if (!needs_one_aside(session, &of)) return submit_task(session, index, &of, err);
    todo->count--;
    return loom_sweep_blocks(session, index) == LOOM_OK ? LOOM_OK : loom_segment_full(err);
}

/* Whether another task may be made now. When nothing runs and nothing waits to be stored, no end of a task will make
 * room: then what is alive is all needed, and the window has to be larger. */
static bool has_room(loom_session *session) {
    struct loom_submission *todo = &session->submission;
    uint32_t live = loom_segment_live(session->segment), most = loom_segment_tasks_max(session->segment);
    uint32_t window = loom_store_in_memory(session->store) ? WINDOW : WINDOW_ON_DISK;
    if (!todo->window) todo->window = most - most / RESERVE_SHARE < window ? most - most / RESERVE_SHARE : window;
    if (live < todo->window) return true;
    if (session->in_flight < todo->window / 8 && session->committing > 0)
        (void)loom_committer_hurry(session->committer);
    if (session->in_flight > 0 || session->committing > 0 || session->late_count > 0) return false;
    todo->window = todo->window < UINT32_MAX / 2 ? todo->window + todo->window / 2 : UINT32_MAX;
    return true;
}

/* Drops, of steps[first .. count - 1], those that are nobody's any more; returns how many there are then. */
static size_t drop_given_back(const loom_graph_run *graph, uint32_t *steps, size_t first, size_t count) {
    size_t kept = first;
    for (size_t i = first; i < count; i++)
        if (!loom_graph_was_given_back(graph, steps[i])) steps[kept++] = steps[i];
    return kept;
}

void loom_submission_forget(loom_session *session) {
    struct loom_submission *todo = &session->submission;
    todo->count = drop_given_back(&session->graph, todo->stack, 0, todo->count);
    todo->root_count = drop_given_back(&session->graph, todo->roots, todo->first, todo->root_count);
    loom_sweeps_forget(session);
    if (todo->first == todo->root_count) todo->first = todo->root_count = 0;
}

bool loom_submission_is_over(const loom_session *session) {
    return session->submission.count == 0 && session->submission.first == session->submission.root_count;
}

loom_status loom_submit_more(loom_session *session, loom_error *err) {
    struct loom_submission *todo = &session->submission;
    while (!loom_submission_is_over(session) && has_room(session)) {
        if (todo->count == 0 &&
            push(&todo->stack, &todo->count, &todo->capacity, todo->roots[todo->first++]) != LOOM_OK)
            return loom_segment_full(err);
        if (todo->first == todo->root_count) todo->first = todo->root_count = 0;
        loom_status status = visit(session, err);
        if (status == LOOM_BUSY && session->in_flight > 0) return LOOM_OK;
        LOOM_TRY(status);
    }
    return LOOM_OK;
}

loom_status loom_submit(loom_session *session, uint32_t index, loom_error *err) {
    struct loom_submission *todo = &session->submission;
    if (session->preview) return loom_preview_want(session->preview, index, err);
    LOOM_TRY(loom_engage(session, err));
    if (loom_find_levels(session, index) != LOOM_OK ||
        push(&todo->roots, &todo->root_count, &todo->root_capacity, index) != LOOM_OK)
        return loom_segment_full(err);
    return loom_submit_more(session, err);
}
