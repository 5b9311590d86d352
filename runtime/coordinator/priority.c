/* Priorities: the bottom level of a step is the longest path of estimated cost from its beginning to a goal's end (Hu
 * 1961; Adam, Chandy and Dickson 1974): what has the highest is what the run will wait for.
 *
 * Levels are found when steps are submitted, for all steps that came since: from the last to the first, because a step
 * is made after its arguments, so its users' levels are known by then. Each step is visited once in a run, O(its
 * arguments), in the order in which they lie in memory. A user that is older than its argument (a loop expands) or
 * comes later raises that argument, but not what lies beneath it: that would be O(plan) a step, and it runs already or
 * is next.
 *
 * Levels decide orders, nothing else: of the arguments of a step, the most critical is submitted first (so roots come
 * out most critical first, and depth-first among equals), and of the successors that a finished task readies, the most
 * critical is taken first (loom_task.priority). */
#include <stdlib.h>

#include "runtime/coordinator/session.h"
#include "shm/platform_array.h"

#define USERS_LOOKED_AT 16
#define LEVEL_MAX (UINT64_C(1) << 62)

static loom_status make_room(loom_levels *levels, uint32_t step_count) {
    if (step_count <= levels->capacity) return LOOM_OK;
    uint32_t larger = step_count < UINT32_MAX / 2 ? step_count * 2 : UINT32_MAX;
    uint64_t *grown = loom_array_grow(levels->of, levels->capacity * sizeof *grown, larger * sizeof *grown);
    if (!grown) return LOOM_NO_MEMORY;
    levels->of = grown;
    levels->capacity = larger;
    return LOOM_OK;
}

/* What its users still need. A loop that waits for its value may need anything: then it is as critical as the most
 * critical that was ever seen. */
static uint64_t level_below(const loom_session *session, const loom_step *step) {
    uint64_t below = 0;
    int looked_at = 0;
    for (uint32_t link = step->users; link && looked_at < USERS_LOOKED_AT; looked_at++) {
        uint32_t user = session->graph.links[link].user;
        bool pending = session->graph.steps[user].state == LOOM_STEP_PENDING;
        uint64_t level = pending ? session->levels.highest_ns : session->levels.of[user];
        if (level > below) below = level;
        link = session->graph.links[link].next;
    }
    return below;
}

static void raise(uint64_t *level, uint64_t to) {
    if (*level < to) *level = to;
}

loom_status loom_find_levels(loom_session *session, uint32_t root) {
    loom_levels *levels = &session->levels;
    const loom_graph_run *graph = &session->graph;
    if (root < levels->visited) return LOOM_OK;
    LOOM_TRY(make_room(levels, graph->step_count));
    raise(&levels->of[root], level_below(session, &graph->steps[root]));
    for (uint32_t i = graph->step_count; i-- > levels->visited;) {
        /* So far of[i] is the highest of its users' levels. */
        uint64_t cost = loom_step_cost_ns(session, i);
        uint64_t level = levels->of[i] < LEVEL_MAX - cost ? levels->of[i] + cost : LEVEL_MAX;
        levels->of[i] = level;
        raise(&levels->highest_ns, level);
        for (uint32_t a = 0; a < graph->steps[i].argument_count; a++)
            raise(&levels->of[loom_graph_resolve(graph, graph->steps[i].arguments[a])], level);
    }
    levels->visited = graph->step_count;
    return LOOM_OK;
}

uint64_t loom_level_of(const loom_session *session, uint32_t step) {
    return step < session->levels.visited ? session->levels.of[step] : 0;
}

typedef struct ranked {
    uint64_t level;
    uint32_t place, step;
} ranked;

static int by_level(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->level != y->level) return x->level < y->level ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place; /* equals stay in their order */
}

void loom_order_by_level(const loom_session *session, uint32_t *steps, size_t count) {
    ranked order[LOOM_ARGUMENTS_MAX];
    bool sorted = true;
    if (count > LOOM_ARGUMENTS_MAX) return; /* no task can have so many: loom_task_create says so */
    for (size_t i = 0; i < count; i++) {
        order[i] = (ranked){.level = loom_level_of(session, steps[i]), .place = (uint32_t)i, .step = steps[i]};
        sorted &= i == 0 || order[i - 1].level <= order[i].level;
    }
    if (sorted) return; /* nearly always: few, or equal */
    qsort(order, count, sizeof *order, by_level);
    for (size_t i = 0; i < count; i++)
        steps[i] = order[i].step;
}

/* A number of 6 bits of exponent and 10 of mantissa: monotonous, to a tenth of a percent. */
uint16_t loom_level_class(uint64_t level_ns) {
    unsigned exponent = 0;
    for (; level_ns >> exponent >= 2048; exponent++) {
    }
    uint64_t mantissa = level_ns >> exponent & 1023, class = (exponent + 1u) << 10 | mantissa;
    return (uint16_t)(exponent == 0 && level_ns < 1024 ? level_ns : class);
}

void loom_levels_free(loom_levels *levels) {
    loom_array_free(levels->of, levels->capacity * sizeof *levels->of);
    *levels = (loom_levels){0};
}
