/* What a run says when nothing runs, nothing can, and goals are open: who waits for whom. No run should get there, so
 * the graph is made by hand. */
#include "../planner/program_test.h"

#include <stdio.h>
#include <string.h>

#include "runtime/coordinator/session.h"

static loom_node_index node_of(const loom_plan *plan, const char *op) {
    for (size_t i = 0; i < loom_plan_node_count(plan); i++) {
        const loom_node *node = loom_plan_node(plan, (loom_node_index)i);
        if (node->op && strcmp(node->op->name, op) == 0) return (loom_node_index)i;
    }
    fail_msg("no %s", op);
    return 0;
}

static uint32_t add(loom_session *session, const char *op, loom_step_state state, uint32_t argument) {
    loom_node_index node = node_of(session->plan, op);
    uint32_t step, count = argument != LOOM_STEP_NONE;
    assert_int_equal(loom_graph_add(&session->graph, loom_plan_node(session->plan, node)->op, &argument, count, &step),
                     LOOM_OK);
    session->graph.steps[step].node = node;
    session->graph.steps[step].state = (uint8_t)state;
    session->graph.steps[step].waits = count;
    return step;
}

static void who_waits_for_whom(void **state) {
    (void)state;
    loom_session session = {.plan = plan_of("a = 1 + 2\nb = a * 4\nprint \"first\" 5\nprint \"second\" b - 3\n")};
    assert_int_equal(loom_graph_init(&session.graph), LOOM_OK);
    uint32_t sum = add(&session, "vox1.+", LOOM_STEP_SETTLED, LOOM_STEP_NONE); /* nobody asked for it: the defect */
    uint32_t product = add(&session, "vox1.*", LOOM_STEP_WAITING, sum);
    uint32_t goal = add(&session, "vox1.-", LOOM_STEP_WAITING, product);
    loom_goal_state goals[] = {{.stage = LOOM_GOAL_MET}, {.step = goal, .write = LOOM_STEP_NONE}};
    session.goals = goals;
    session.goals_met = 1;
    loom_error err = {0};
    assert_int_equal(loom_no_progress(&session, &err), LOOM_INTERNAL);
    assert_non_null(strstr(err.message, "no progress is possible: goal 2 waits and nothing runs"));
    /* From the goal down to what holds it up, each with operator, place, state. */
    const char *third = strstr(err.message, "vox1.- "), *second = strstr(err.message, "vox1.* "),
               *first = strstr(err.message, "vox1.+ ");
    assert_true(third && second && first && third < second && second < first);
    assert_non_null(strstr(third, " of prog.imgql:4:16 (waiting, waits for 1)"));
    assert_non_null(strstr(second, " of prog.imgql:2:5 (waiting, waits for 1)"));
    assert_non_null(strstr(first, " of prog.imgql:1:5 (not asked for, waits for 0)"));
    assert_int_equal(err.line, 4);
    loom_graph_release(&session.graph);
    loom_plan_free(session.plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_waits_for_whom)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
