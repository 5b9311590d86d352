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

/* From the step's beginning to the end of whatever needs it last. */
static uint64_t longest(const loom_session *session, uint32_t step) {
    uint64_t best = 0;
    for (uint32_t user = step + 1; user < session->graph.step_count; user++) {
        const loom_step *it = &session->graph.steps[user];
        for (uint32_t i = 0; i < it->argument_count; i++) {
            if (it->arguments[i] != step) continue;
            uint64_t below = longest(session, user);
            if (below > best) best = below;
            break;
        }
    }
    return best + cost_of(session->graph.steps[step].op);
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
        for (uint32_t i = 0; i < STEPS; i++)
            assert_int_equal(loom_level_of(session, i), longest(session, i));
        session_free(session);
    }
}

/* What is added on top later: its own levels are right, what it uses is raised, and nothing is visited again. */
static void later_steps_raise_what_they_use(void **state) {
    (void)state;
    loom_session *session = session_make();
    uint32_t bottom = add(session, 0, NULL, 0), used = add(session, 1, &bottom, 1);
    assert_int_equal(loom_find_levels(session, used), LOOM_OK);
    uint64_t before = loom_level_of(session, bottom);
    assert_int_equal(before, cost_of(&operators[0]) + cost_of(&operators[1]));
    uint32_t top = add(session, 4, &used, 1);
    assert_int_equal(loom_level_of(session, top), 0);
    assert_int_equal(loom_find_levels(session, top), LOOM_OK);
    assert_int_equal(loom_level_of(session, top), cost_of(&operators[4]));
    assert_int_equal(loom_level_of(session, used), cost_of(&operators[4]));
    assert_int_equal(loom_level_of(session, bottom), before);
    assert_int_equal(session->levels.visited, session->graph.step_count);
    session_free(session);
}

/* What decides how a loop expands is needed as much as anything. */
static void what_a_loop_waits_for_comes_first(void **state) {
    (void)state;
    loom_session *session = session_make();
    uint32_t expensive = add(session, 4, NULL, 0), loop;
    assert_int_equal(loom_find_levels(session, expensive), LOOM_OK);
    assert_int_equal(loom_graph_add(&session->graph, NULL, NULL, 0, &loop), LOOM_OK);
    session->graph.steps[loop].state = LOOM_STEP_PENDING;
    uint32_t decides = add(session, 0, NULL, 0);
    assert_int_equal(loom_graph_link(&session->graph, decides, loop, LOOM_EVENT_VALUE), LOOM_OK);
    assert_int_equal(loom_find_levels(session, decides), LOOM_OK);
    assert_true(loom_level_of(session, decides) > loom_level_of(session, expensive));
    session_free(session);
}

static void order_is_stable_and_most_critical_last(void **state) {
    (void)state;
    loom_session *session = session_make();
    uint32_t steps[6];
    static const int operators_of[] = {2, 4, 2, 0, 4, 2};
    for (int i = 0; i < 6; i++) {
        steps[i] = add(session, operators_of[i], NULL, 0);
        assert_int_equal(loom_find_levels(session, steps[i]), LOOM_OK);
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
        cmocka_unit_test(later_steps_raise_what_they_use),
        cmocka_unit_test(what_a_loop_waits_for_comes_first),
        cmocka_unit_test(order_is_stable_and_most_critical_last),
        cmocka_unit_test(classes_keep_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
