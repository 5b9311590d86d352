/* fuse.c - see fuse.h. */
#include "runtime/coordinator/fuse.h"

#include <string.h>

#include "runtime/kernels/kernels.h"

/* Steps of a group while it is found. */
typedef struct collection {
    uint32_t steps[LOOM_TAPE_MEMBERS_MAX];
    uint32_t count, operands;
} collection;

/* ---- what may be in a group ---- */

/* Images that will be stored are made whole: all of them, or those that take longer to compute than to read, which a
 * pass over the voxels does not. */
static bool is_stored_anyway(const loom_session *session, const loom_step *step) {
    if (step->op->flags & LOOM_OP_NOT_STORED || loom_store_in_memory(session->store)) return false;
    return session->config->store.persist == LOOM_PERSIST_ALL;
}

/* Whether the step may be computed within the task of its user, if it has no other. */
static bool may_be_inside(loom_session *session, uint32_t index) {
    const loom_step *step = &session->graph.steps[index];
    if (!step->op || step->state != LOOM_STEP_SETTLED || step->task != LOOM_TASK_NONE) return false;
    if (step->kept || step->item || step->demanded || step->window) return false;
    return loom_is_fusible(step->op) && step->op->cost == LOOM_COST_VOXEL && !is_stored_anyway(session, step) &&
           loom_step_is_image(session, index);
}

static bool may_be_at_end(loom_session *session, uint32_t index) {
    const loom_step *step = &session->graph.steps[index];
    if (!session->config->kernels.fuse || !step->op || step->argument_count > LOOM_TAPE_OPERANDS_MAX) return false;
    if (!loom_ends_fusion(step->op)) return false;
    return step->op->flags & LOOM_OP_REDUCTION || loom_step_is_image(session, index);
}

static uint32_t number_in(const collection *of, uint32_t step) {
    uint32_t k = 0;
    while (k < of->count && of->steps[k] != step)
        k++;
    return k;
}

/* In how many positions the group uses a step: all of them, if that is how many are open. */
static uint32_t positions(const loom_session *session, const collection *of, uint32_t step) {
    uint32_t count = 0;
    for (uint32_t k = 0; k < of->count; k++) {
        const loom_step *member = &session->graph.steps[of->steps[k]];
        for (uint32_t i = 0; i < member->argument_count; i++)
            count += loom_graph_resolve(&session->graph, member->arguments[i]) == step;
    }
    return count;
}

/* Takes in those arguments of member `number` that may be; true if there were any. */
static bool take_arguments(loom_session *session, collection *of, uint32_t number) {
    const loom_step *member = &session->graph.steps[of->steps[number]];
    uint32_t before = of->count;
    for (uint32_t i = 0; i < member->argument_count && of->count < LOOM_TAPE_MEMBERS_MAX; i++) {
        uint32_t index = loom_graph_resolve(&session->graph, member->arguments[i]);
        const loom_step *argument = &session->graph.steps[index];
        if (number_in(of, index) < of->count || !may_be_inside(session, index)) continue;
        if (argument->argument_count > LOOM_TAPE_OPERANDS_MAX - of->operands) continue;
        if (positions(session, of, index) != argument->open) continue;
        of->steps[of->count++] = index;
        of->operands += argument->argument_count;
    }
    return of->count > before;
}

/* From the end backwards; a step that several members use is taken in when the last of them is. */
static void collect(loom_session *session, uint32_t end, collection *of) {
    *of = (collection){.steps = {end}, .count = 1, .operands = session->graph.steps[end].argument_count};
    for (bool more = true; more;) {
        more = false;
        for (uint32_t k = 0; k < of->count; k++)
            more |= take_arguments(session, of, k);
    }
}

/* ---- the tape ---- */

static uint32_t external(loom_group *group, uint32_t step) {
    uint32_t k = 0;
    while (k < group->argument_count && group->arguments[k] != step)
        k++;
    if (k == group->argument_count) group->arguments[group->argument_count++] = step;
    return k;
}

static uint32_t on_tape(const loom_tape *tape, uint32_t step) {
    uint32_t k = 0;
    while (k < tape->member_count && tape->steps[k] != step)
        k++;
    return k;
}

/* Whether all that a member needs of the group is on the tape. */
static bool is_next(const loom_session *session, const collection *of, const loom_tape *tape, uint32_t step) {
    const loom_step *member = &session->graph.steps[step];
    for (uint32_t i = 0; i < member->argument_count; i++) {
        uint32_t argument = loom_graph_resolve(&session->graph, member->arguments[i]);
        if (number_in(of, argument) < of->count && on_tape(tape, argument) == tape->member_count) return false;
    }
    return true;
}

static void put(const loom_session *session, loom_group *group, uint32_t step) {
    loom_tape *tape = &group->tape;
    const loom_step *member = &session->graph.steps[step];
    tape->members[tape->member_count] =
        (loom_tape_member){.op = member->op, .first = tape->operand_count, .count = member->argument_count};
    for (uint32_t i = 0; i < member->argument_count; i++) {
        uint32_t argument = loom_graph_resolve(&session->graph, member->arguments[i]);
        uint32_t inside = on_tape(tape, argument);
        tape->operands[tape->operand_count++] =
            inside < tape->member_count ? LOOM_TAPE_MEMBER | inside : external(group, argument);
    }
    tape->steps[tape->member_count++] = step;
}

bool loom_fuse(loom_session *session, uint32_t index, loom_group *group) {
    collection of;
    if (!may_be_at_end(session, index)) return false;
    collect(session, index, &of);
    if (of.count == 1) return false;
    group->tape.member_count = group->tape.operand_count = group->tape.swept = group->argument_count = 0;
    /* What was taken in last is needed first, mostly; the end comes last, since all others are for it. */
    while (group->tape.member_count < of.count)
        for (uint32_t k = of.count; k-- > 0;)
            if (on_tape(&group->tape, of.steps[k]) == group->tape.member_count &&
                is_next(session, &of, &group->tape, of.steps[k]))
                put(session, group, of.steps[k]);
    return true;
}

/* ---- the task ---- */

/* Members may end before the group does, where something asked for one by itself; so the step at the end holds what the
 * task takes too. */
static loom_status take(loom_session *session, uint32_t end, const loom_group *group) {
    loom_graph_run *graph = &session->graph;
    uint32_t before = graph->steps[end].takes, list = 0; /* before: it was looked at already */
    for (uint32_t i = 0; i < group->argument_count; i++) {
        LOOM_TRY(loom_graph_list_add(graph, &list, group->arguments[i]));
        graph->steps[group->arguments[i]].open++;
    }
    graph->steps[end].takes = list;
    for (uint32_t step; (step = loom_graph_list_take(graph, &before)) != LOOM_STEP_NONE;)
        if (graph->steps[step].open > 0) graph->steps[step].open--;
    return LOOM_OK;
}

loom_status loom_fuse_begins(loom_session *session, const loom_group *group) {
    LOOM_TRY(take(session, group->tape.steps[group->tape.member_count - 1], group));
    for (uint32_t k = 0; k + 1 < group->tape.member_count; k++) {
        uint32_t index = group->tape.steps[k];
        LOOM_TRY(loom_step_uses(session, index));
        session->graph.steps[index].fused = true;
    }
    return LOOM_OK;
}

static bool is_fused(const loom_session *session, const loom_task *task) {
    return task->operator_index < session->operators->count &&
           loom_kernel_of(session->operators->operators[task->operator_index])->run == loom_run_fused;
}

bool loom_fuse_tape(const loom_session *session, const loom_task *task, loom_tape *tape) {
    size_t length;
    loom_value attributes;
    if (!is_fused(session, task)) return false;
    const void *bytes = loom_segment_get(session->segment, task->attributes, &length);
    loom_arena_reset(session->scratch);
    return bytes && loom_value_decode(bytes, length, session->scratch, &attributes, NULL) == LOOM_OK &&
           loom_tape_decode(&attributes, task->argument_count, tape, NULL) == LOOM_OK;
}

void loom_fuse_count(loom_session *session, const loom_task *task) {
    loom_tape tape;
    if (!loom_fuse_tape(session, task, &tape)) return;
    session->computed += tape.member_count - 1;
    session->done += tape.member_count - 1;
    session->fused += tape.member_count;
    if (tape.swept)
        session->swept++; /* the pass is that of the sweep */
    else
        session->passes++;
}

uint32_t loom_fuse_culprit(const loom_session *session, uint32_t index, uint32_t member) {
    loom_tape tape;
    const loom_task *task = loom_segment_task(session->segment, session->graph.steps[index].task);
    if (!task || !loom_fuse_tape(session, task, &tape) || member >= tape.member_count) return index;
    return tape.steps[member] < session->graph.step_count ? tape.steps[member] : index;
}

loom_step *loom_task_argument_step(const loom_session *session, const loom_task *task, uint32_t position) {
    const uint32_t *numbers = loom_segment_pointer(session->segment, task->arguments);
    if (!numbers || position >= task->argument_count) return NULL;
    const loom_task *argument = loom_segment_task(session->segment, numbers[position]);
    if (!argument || argument->cookie >= session->graph.step_count) return NULL;
    loom_step *step = &session->graph.steps[argument->cookie];
    return step->task == numbers[position] ? step : NULL;
}

bool loom_task_waits_for_completions(const loom_session *session, const loom_task *task) {
    for (uint32_t i = 0; i < task->argument_count; i++) {
        const loom_step *argument = loom_task_argument_step(session, task, i);
        if (argument && argument->state == LOOM_STEP_TASK) return true;
    }
    return false;
}
