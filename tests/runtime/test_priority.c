/* test_priority.c - levels of steps against their definition: the longest path, by a plain recursion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/coordinator/session.h"

/* Operators of 1, 10, 100, ... microseconds a call. */
enum { OPERATORS = 5 };
static const loom_operator operators[OPERATORS] = {{.name = "t.a", .signature = "v*:v", .version = 1},
                                                   {.name = "t.b", .signature = "v*:v", .version = 1},
                                                   {.name = "t.c", .signature = "v*:v", .version = 1},
                                                   {.name = "t.d", .signature = "v*:v", .version = 1},
                                                   {.name = "t.e", .signature = "v*:v", .version = 1}};
static const loom_operator *const rows[] = {&operators[0], &operators[1], &operators[2], &operators[3], &operators[4]};
static const loom_operator_table table = {.operators = rows, .count = OPERATORS};

static uint64_t cost_of(const loom_operator *op) {
    uint64_t cost = 1000;
    for (long i = op - operators; i > 0; i--)
        cost *= 10;
    return cost;
}

static loom_session *session_make(void) {
    loom_session *session = calloc(1, sizeof *session);
    session->operators = &table;
    session->costs = loom_costs_new(&table);
    for (int i = 0; i < OPERATORS; i++)
        loom_costs_add(session->costs, &operators[i], 0, cost_of(&operators[i]));
    assert_int_equal(loom_graph_init(&session->graph), LOOM_OK);
    return session;
}

static void session_free(loom_session *session) {
    loom_levels_free(&session->levels);
    loom_costs_free(session->costs);
    loom_graph_release(&session->graph);
    free(session);
}

static uint32_t add(loom_session *session, int op, const uint32_t *arguments, uint32_t count) {
    uint32_t step;
    assert_int_equal(loom_graph_add(&session->graph, &operators[op], arguments, count, &step), LOOM_OK);
    session->graph.steps[step].state = LOOM_STEP_SETTLED;
    session->graph.steps[step].node = LOOM_NODE_NONE;
    return step;
}

/* From the step's beginning to the end of `goal`; 0: the goal does not need it. */
static uint64_t longest(const loom_session *session, uint32_t step, uint32_t goal) {
    uint64_t cost = cost_of(session->graph.steps[step].op), best = step == goal ? cost : 0;
    for (uint32_t user = step + 1; user <= goal; user++) {
        const loom_step *it = &session->graph.steps[user];
        for (uint32_t i = 0; i < it->argument_count; i++) {
            if (it->arguments[i] != step) continue;
            uint64_t below = longest(session, user, goal);
            if (below && cost + below > best) best = cost + below;
            break;
        }
    }
    return best;
}

static void levels_are_longest_paths(void **state) {
    (void)state;
    enum { STEPS = 14 };
    srand(20);
    for (int round = 0; round < 300; round++) {
        loom_session *session = session_make();
        for (uint32_t i = 0; i < STEPS; i++) {
            uint32_t arguments[3], count = i == 0 ? 0 : (uint32_t)rand() % 4;
            for (uint32_t a = 0; a < count; a++)
                arguments[a] = (uint32_t)rand() % i;
            (void)add(session, rand() % OPERATORS, arguments, count);
        }
        assert_int_equal(loom_find_levels(session, STEPS - 1), LOOM_OK);
        for (uint32_t i = 0; i < STEPS; i++) {
            uint64_t expected = longest(session, i, STEPS - 1), found = session->graph.steps[i].bottom_ns;
            if (expected == 0) {
                assert_int_equal(found, 0);
            } else if (found < expected || found > expected + 2) {
                fail_msg("round %d step %u: %llu, not %llu", round, i, (unsigned long long)found,
                         (unsigned long long)expected);
            }
        }
        session_free(session);
    }
}

/* Each step is visited once, however many roots share it: what has a level is not walked again. */
static void a_shared_part_is_walked_once(void **state) {
    (void)state;
    enum { CHAIN = 2000, ROOTS = 2000 };
    loom_session *session = session_make();
    uint32_t last = add(session, 0, NULL, 0), visited = 0;
    for (int i = 1; i < CHAIN; i++)
        last = add(session, 0, &last, 1);
    for (int i = 0; i < ROOTS; i++) {
        assert_int_equal(loom_find_levels(session, add(session, 1, &last, 1)), LOOM_OK);
        visited += session->levels.order_count;
    }
    assert_int_equal(visited, CHAIN + ROOTS);
    session_free(session);
}

static void order_is_stable_and_most_critical_last(void **state) {
    (void)state;
    loom_session *session = session_make();
    uint32_t steps[6];
    static const uint64_t levels[] = {5, 9, 5, 1, 9, 5};
    for (int i = 0; i < 6; i++) {
        steps[i] = add(session, 0, NULL, 0);
        session->graph.steps[steps[i]].bottom_ns = levels[i];
    }
    uint32_t sorted[6];
    for (int i = 0; i < 6; i++)
        sorted[i] = steps[i];
    loom_order_by_level(session, sorted, 6);
    static const int order[] = {3, 0, 2, 5, 1, 4};
    for (int i = 0; i < 6; i++)
        assert_int_equal(sorted[i], steps[order[i]]);
    session_free(session);
}

static void classes_keep_the_order(void **state) {
    (void)state;
    uint16_t last = 0;
    for (uint64_t level = 0; level < UINT64_C(1) << 62; level += level / 500 + 1) {
        uint16_t class = loom_level_class(level);
        assert_true(class >= last);
        if (level < 2048) assert_int_equal(class, level);
        last = class;
    }
    assert_true(loom_level_class(1000000) < loom_level_class(1002000)); /* 0.2% */
    assert_true(loom_level_class(UINT64_C(1) << 62) >= last);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_longest_paths),
        cmocka_unit_test(a_shared_part_is_walked_once),
        cmocka_unit_test(order_is_stable_and_most_critical_last),
        cmocka_unit_test(classes_keep_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
