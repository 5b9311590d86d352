/* lost.c - a worker could not use an argument of its task: the bytes are damaged, or their file was cut off. The
 * argument is computed again (or found where another run has stored it since), and everything that was handed out to
 * be made from it is handed out again. */
#include <stdlib.h>

#include "runtime/coordinator/fuse.h"
#include "runtime/task_result.h"
#include "shm/segment/split.h"

#define LOSSES_MAX 3 /* of one result: then something else is wrong */

typedef struct step_list {
    uint32_t *steps;
    size_t count, capacity;
} step_list;

static loom_status add(step_list *list, uint32_t step) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 16;
        uint32_t *grown = realloc(list->steps, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        list->steps = grown;
        list->capacity = capacity;
    }
    list->steps[list->count++] = step;
    return LOOM_OK;
}

static bool refers_to(const loom_value *value, const loom_id *vid) {
    if (value->type == LOOM_REFERENCE) return loom_id_equal(&value->reference.vid, vid);
    for (size_t i = 0; value->type == LOOM_SEQUENCE && i < value->sequence.count; i++)
        if (refers_to(&value->sequence.items[i], vid)) return true;
    return false;
}

/* Whether it is the part of a window that was closed, whose items have no steps any more, and one of them is meant:
 * then the window is opened again, and finds out which is damaged. */
static bool is_lost_part(const loom_session *session, const loom_step *part, const loom_id *vid) {
    size_t length;
    loom_value sequence;
    if (!part->window || part->argument_count > 0 || part->state != LOOM_STEP_DONE || part->task == LOOM_TASK_NONE)
        return false;
    const void *payload = loom_task_payload(session->segment, loom_segment_task(session->segment, part->task), &length);
    loom_arena_reset(session->scratch);
    return payload && loom_value_decode(payload, length, session->scratch, &sequence, NULL) == LOOM_OK &&
           refers_to(&sequence, vid);
}

static bool has_value(const loom_step *step, const loom_id *vid) {
    return step->state == LOOM_STEP_DONE && step->has_vid && loom_id_equal(&step->vid, vid);
}

/* The step whose value has that id among those that a fused task takes: what is between may have tasks by now. */
static uint32_t find_taken(const loom_session *session, uint32_t user, const loom_id *vid) {
    const loom_graph_run *graph = &session->graph;
    for (uint32_t link = graph->steps[user].takes; link; link = graph->links[link].next) {
        uint32_t index = loom_graph_resolve(graph, graph->links[link].user);
        if (has_value(&graph->steps[index], vid)) return index;
    }
    return LOOM_STEP_NONE;
}

/* The step whose value has that id, among the arguments of a step and the items that these gather. */
static uint32_t find_argument(const loom_session *session, uint32_t user, const loom_id *vid, int depth) {
    const loom_step *step = &session->graph.steps[user];
    uint32_t taken = find_taken(session, user, vid);
    if (taken != LOOM_STEP_NONE) return taken;
    for (uint32_t i = 0; i < step->argument_count; i++) {
        uint32_t index = loom_graph_resolve(&session->graph, step->arguments[i]);
        const loom_step *argument = &session->graph.steps[index];
        if (has_value(argument, vid)) return index;
        if (argument->fused) {
            uint32_t deeper = find_argument(session, index, vid, depth);
            if (deeper != LOOM_STEP_NONE) return deeper;
        }
        if (depth == 0 || argument->type != LOOM_SEQUENCE) continue;
        if (is_lost_part(session, argument, vid)) return index;
        uint32_t item = find_argument(session, index, vid, depth - 1);
        if (item != LOOM_STEP_NONE) return item;
    }
    return LOOM_STEP_NONE;
}

/* The step has no task any more. The old one's slot waits: finishers of its other arguments may still walk over its
 * links. The step goes on using its arguments. */
static loom_status forget_task(loom_session *session, uint32_t index) {
    loom_step *step = &session->graph.steps[index];
    if (session->withdrawn_count == session->withdrawn_capacity) {
        uint32_t capacity = session->withdrawn_capacity ? session->withdrawn_capacity * 2 : 16;
        uint32_t *grown = realloc(session->withdrawn, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        session->withdrawn = grown;
        session->withdrawn_capacity = capacity;
    }
    session->withdrawn[session->withdrawn_count++] = step->task;
    step->state = LOOM_STEP_SETTLED;
    step->task = LOOM_TASK_NONE;
    return LOOM_OK;
}

loom_status loom_release_withdrawn(loom_session *session) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < session->withdrawn_count; i++) {
        uint32_t number = session->withdrawn[i];
        /* Read: by a worker that helped an attempt whose owner died. */
        if (loom_task_waits_for_completions(session, loom_segment_task(session->segment, number)) ||
            loom_split_is_read(session->segment, number))
            session->withdrawn[kept++] = number;
        else
            LOOM_TRY(loom_task_free(session->segment, number));
    }
    session->withdrawn_count = kept;
    return LOOM_OK;
}

static bool has(const step_list *list, uint32_t step) {
    size_t i = 0;
    while (i < list->count && list->steps[i] != step)
        i++;
    return i < list->count;
}

/* Takes back the tasks of all that uses a step, and of what uses that. What runs now goes on: it may have read its
 * argument before, and if not finds the damage itself. */
static loom_status withdraw_users(loom_session *session, uint32_t index, step_list *withdrawn) {
    const loom_graph_run *graph = &session->graph;
    for (uint32_t link = graph->steps[index].users; link; link = graph->links[link].next) {
        uint32_t user = graph->links[link].user;
        const loom_step *step = &graph->steps[user];
        /* It is in the tasks of its users. */
        if (step->fused && step->task == LOOM_TASK_NONE && !has(withdrawn, user)) LOOM_TRY(add(withdrawn, user));
        if (step->state != LOOM_STEP_TASK || step->alias != LOOM_STEP_NONE) continue;
        if (!loom_task_fail(session->segment, step->task, LOOM_SKIPPED, NULL)) continue;
        session->in_flight--;
        LOOM_TRY(forget_task(session, user));
        LOOM_TRY(add(withdrawn, user));
    }
    return LOOM_OK;
}

/* Older tasks may still map the place: it is kept to the end of the run, so that nobody else's bytes come there. */
static loom_status lose(loom_session *session, uint32_t index, loom_error *err) {
    loom_step *step = &session->graph.steps[index];
    loom_hold hold = {.pin = step->hold};
    step->hold = 0;
    step->losses++;
    if (loom_keep_hold(session, hold) != LOOM_OK)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while a lost result is computed again");
    return loom_recompute(session, index, LOOM_CORRUPT, err);
}

static void tell(const loom_session *session, uint32_t index) {
    char line[400];
    loom_error place = {0};
    if (!session->options->notice) return;
    loom_describe_step(session, index, &place);
    snprintf(line, sizeof line, "the stored bytes of %.160s are damaged or gone; it is computed again", place.node);
    session->options->notice(line, session->options->context);
}

/* `argument`: LOOM_STEP_NONE if it is being computed again already. */
static loom_status hand_out_again(loom_session *session, uint32_t user, uint32_t argument, step_list *withdrawn,
                                  loom_error *err) {
    if (forget_task(session, user) != LOOM_OK || add(withdrawn, user) != LOOM_OK ||
        (argument != LOOM_STEP_NONE && withdraw_users(session, argument, withdrawn) != LOOM_OK))
        return loom_segment_full(err);
    for (size_t i = 0; i < withdrawn->count; i++) /* grows meanwhile */
        if (withdraw_users(session, withdrawn->steps[i], withdrawn) != LOOM_OK) return loom_segment_full(err);
    if (argument != LOOM_STEP_NONE) LOOM_TRY(lose(session, argument, err));
    for (size_t i = 0; i < withdrawn->count; i++)
        if (!session->graph.steps[withdrawn->steps[i]].fused) LOOM_TRY(loom_submit(session, withdrawn->steps[i], err));
    return LOOM_OK;
}

/* Whether the task of `user` took that argument from a task which was given up since: another that ran had lost it too,
 * and it is being computed again, or was. Else the second would fail, or count as another loss. */
static bool is_replaced(const loom_session *session, uint32_t user, const loom_id *vid) {
    const loom_task *task = loom_segment_task(session->segment, session->graph.steps[user].task);
    const uint32_t *numbers = loom_segment_pointer(session->segment, task->arguments);
    for (uint32_t i = 0; numbers && i < task->argument_count; i++) {
        const loom_task *argument = loom_segment_task(session->segment, numbers[i]);
        if (argument && loom_id_equal(&argument->vid, vid) && !loom_task_argument_step(session, task, i)) return true;
    }
    return false;
}

loom_status loom_argument_lost(loom_session *session, uint32_t user, const loom_id *vid, bool *again, loom_error *err) {
    uint32_t argument = LOOM_STEP_NONE;
    *again = is_replaced(session, user, vid);
    if (!*again) {
        argument = find_argument(session, user, vid, LOOM_NESTING_MAX);
        *again = argument != LOOM_STEP_NONE && session->graph.steps[argument].losses < LOSSES_MAX;
        if (!*again) return LOOM_OK;
        tell(session, argument);
    }
    step_list withdrawn = {0};
    loom_status status = hand_out_again(session, user, argument, &withdrawn, err);
    free(withdrawn.steps);
    return status;
}
