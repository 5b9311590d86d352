/* Priorities: the bottom level of a step is the longest path of estimated cost from its beginning to a goal's end (Hu
 * 1961; Adam, Chandy and Dickson 1974): what has the highest is what the run will wait for.
 *
 * Levels are found when steps are about to be submitted, from users down to arguments, over the steps that have none
 * yet: each step is visited once in a run, O(its arguments). A user that comes later, when a loop expands, raises its
 * arguments, but not what lies beneath them: that would be O(plan) a step, and these run already or are next.
 *
 * They decide orders, nothing else: of the arguments of a step, the most critical is submitted first (so roots come out
 * most critical first, and depth-first among equals), and of the successors that a finished task readies, the most
 * critical is taken first (loom_task.priority). */
#include <stdlib.h>

#include "runtime/coordinator/session.h"

#define USERS_LOOKED_AT 16
#define LEVEL_MAX (UINT64_C(1) << 62)

/* What bottom_ns says of a step without a level. A level that is known is more. */
enum { UNSEEN = 0, OPEN = 1, CLOSED = 2 };

static loom_status push(loom_levels *levels, uint32_t **list, uint32_t *count, uint32_t step) {
    if (*count == levels->capacity) {
        uint32_t capacity = levels->capacity ? levels->capacity * 2 : 256;
        uint32_t *stack = realloc(levels->stack, capacity * sizeof *stack);
        if (!stack) return LOOM_NO_MEMORY;
        levels->stack = stack;
        uint32_t *order = realloc(levels->order, capacity * sizeof *order);
        if (!order) return LOOM_NO_MEMORY;
        levels->order = order;
        levels->capacity = capacity;
    }
    (*list)[(*count)++] = step;
    return LOOM_OK;
}

static bool wants_a_level(const loom_step *step) {
    return step->bottom_ns == UNSEEN && step->state == LOOM_STEP_SETTLED && step->task == LOOM_TASK_NONE;
}

/* Into `order`: the steps beneath `root` that have no level, arguments before users. */
static loom_status walk(loom_session *session, uint32_t root) {
    loom_levels *levels = &session->levels;
    loom_step *steps = session->graph.steps;
    levels->stack_count = levels->order_count = 0;
    LOOM_TRY(push(levels, &levels->stack, &levels->stack_count, root));
    while (levels->stack_count > 0) {
        uint32_t index = levels->stack[levels->stack_count - 1];
        loom_step *step = &steps[index];
        if (step->bottom_ns == UNSEEN) {
            step->bottom_ns = OPEN;
            for (uint32_t i = 0; i < step->argument_count; i++) {
                uint32_t argument = loom_graph_resolve(&session->graph, step->arguments[i]);
                if (wants_a_level(&steps[argument]))
                    LOOM_TRY(push(levels, &levels->stack, &levels->stack_count, argument));
            }
            continue;
        }
        levels->stack_count--;
        if (step->bottom_ns != OPEN) continue; /* it was on the stack twice */
        step->bottom_ns = CLOSED;
        LOOM_TRY(push(levels, &levels->order, &levels->order_count, index));
    }
    return LOOM_OK;
}

/* From what its users still need. A loop that waits for its value may need anything: then it is as critical as the most
 * critical that was ever seen. */
static uint64_t level_below(const loom_session *session, const loom_step *step) {
    uint64_t below = CLOSED;
    int looked_at = 0;
    for (uint32_t link = step->users; link && looked_at < USERS_LOOKED_AT; looked_at++) {
        const loom_step *user = &session->graph.steps[session->graph.links[link].user];
        uint64_t level = user->state == LOOM_STEP_PENDING ? session->levels.highest_ns : user->bottom_ns;
        if (level > below) below = level;
        link = session->graph.links[link].next;
    }
    return below;
}

static void raise(loom_step *step, uint64_t level) {
    if (step->bottom_ns < level) step->bottom_ns = level;
}

loom_status loom_find_levels(loom_session *session, uint32_t root) {
    loom_levels *levels = &session->levels;
    if (!wants_a_level(&session->graph.steps[root])) return LOOM_OK;
    LOOM_TRY(walk(session, root));
    raise(&session->graph.steps[root], level_below(session, &session->graph.steps[root]));
    for (uint32_t i = levels->order_count; i-- > 0;) {
        loom_step *step = &session->graph.steps[levels->order[i]];
        uint64_t cost = loom_step_cost_ns(session, levels->order[i]);
        step->bottom_ns = step->bottom_ns < LEVEL_MAX - cost ? step->bottom_ns + cost : LEVEL_MAX;
        if (step->bottom_ns > levels->highest_ns) levels->highest_ns = step->bottom_ns;
        for (uint32_t a = 0; a < step->argument_count; a++) {
            loom_step *argument = &session->graph.steps[loom_graph_resolve(&session->graph, step->arguments[a])];
            if (argument->bottom_ns != UNSEEN) raise(argument, step->bottom_ns);
        }
    }
    return LOOM_OK;
}

void loom_order_by_level(const loom_session *session, uint32_t *steps, size_t count) {
    const loom_step *all = session->graph.steps;
    /* By insertion: nearly always few, or equal. At most LOOM_ARGUMENTS_MAX. */
    for (size_t i = 1; i < count; i++) {
        uint32_t moved = steps[i];
        size_t at = i;
        for (; at > 0 && all[steps[at - 1]].bottom_ns > all[moved].bottom_ns; at--)
            steps[at] = steps[at - 1];
        steps[at] = moved;
    }
}

/* A number of 6 bits of exponent and 10 of mantissa: monotonous, to a tenth of a percent. */
uint16_t loom_level_class(uint64_t level_ns) {
    unsigned exponent = 0;
    for (; level_ns >> exponent >= 2048; exponent++) {
    }
    return exponent == 0 && level_ns < 1024 ? (uint16_t)level_ns
                                            : (uint16_t)((exponent + 1) << 10 | (level_ns >> exponent & 1023));
}

void loom_levels_free(loom_levels *levels) {
    free(levels->stack);
    free(levels->order);
    *levels = (loom_levels){0};
}
