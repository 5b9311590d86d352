/* What the trace calls a task: the node that it was of, also when numbers of tasks and steps have been used again
 * before its entry is read; then rather nothing than the name of another. */
#include "../planner/program_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/coordinator/session.h"

typedef struct scene {
    loom_session session;
    loom_run_options options;
    loom_summary summary;
    loom_recorder *writer;
    char trace[64];
} scene;

static void open_scene(scene *at) {
    loom_error err = {0};
    *at = (scene){.trace = "/tmp/voxloom-names-XXXXXX"};
    int fd = mkstemp(at->trace);
    assert_true(fd >= 0);
    close(fd);
    loom_session *session = &at->session;
    session->plan = plan_of("a = 1 + 2\nb = 3 * 4\nprint \"a\" a\nprint \"b\" b\n");
    session->operators = loom_plan_operators(session->plan);
    session->workers = 1;
    at->options = (loom_run_options){.plan = session->plan, .trace = at->trace, .profile = true};
    session->options = &at->options;
    at->summary.arena = loom_arena_new();
    const loom_segment_options segment = {.workers = 1, .tasks_max = 16, .heap_bytes = 1 << 20};
    assert_int_equal(loom_graph_init(&session->graph), LOOM_OK);
    assert_int_equal(loom_segment_create(&segment, &session->segment, &err), LOOM_OK);
    assert_int_equal(loom_profiling_open(session, loom_recorder_now_ns(), &err), LOOM_OK);
    assert_int_equal(loom_profiling_engage(session, &err), LOOM_OK);
    int shared = dup(loom_recorder_fd(loom_profiling_recorder(session)));
    assert_int_equal(loom_recorder_attach(shared, 0, &at->writer, &err), LOOM_OK);
}

/* Ends the run and returns the trace, to be freed. */
static char *close_scene(scene *at) {
    loom_recorder_close(at->writer);
    assert_int_equal(loom_profiling_finish(&at->session, &at->summary, NULL), LOOM_OK);
    char *text = calloc(1, 1 << 16);
    FILE *file = fopen(at->trace, "rb");
    assert_non_null(text);
    assert_non_null(file);
    assert_true(fread(text, 1, (1 << 16) - 1, file) > 0);
    fclose(file);
    unlink(at->trace);
    return text;
}

static void free_scene(scene *at) {
    loom_profiling_close(at->session.profiling);
    loom_segment_close(at->session.segment);
    loom_graph_release(&at->session.graph);
    loom_plan_free(at->session.plan);
    loom_arena_free(at->summary.arena);
}

/* A step of the goal's value, handed to the workers; it takes a step and a task that are free. */
static uint32_t hand_out(scene *at, size_t goal) {
    loom_session *session = &at->session;
    loom_node_index node = loom_plan_goal(session->plan, goal)->node;
    uint32_t step, task;
    assert_int_equal(loom_graph_add_borrowing(&session->graph, loom_plan_node(session->plan, node)->op, NULL, 0, &step),
                     LOOM_OK);
    assert_int_equal(loom_task_create(session->segment, NULL, 0, &task, NULL), LOOM_OK);
    session->graph.steps[step].node = node;
    session->graph.steps[step].state = LOOM_STEP_TASK;
    session->graph.steps[step].task = task;
    loom_segment_task(session->segment, task)->cookie = step;
    return step;
}

static void run_it(scene *at, uint32_t step) {
    loom_recorder_task_begins(at->writer, 0);
    loom_recorder_task_ends(at->writer, at->session.segment, at->session.graph.steps[step].task, LOOM_TASK_DONE);
}

static void give_back(scene *at, uint32_t step) {
    uint32_t task = at->session.graph.steps[step].task;
    assert_true(loom_task_fail(at->session.segment, task, LOOM_SKIPPED, NULL));
    assert_int_equal(loom_task_free(at->session.segment, task), LOOM_OK);
    loom_graph_give_back(&at->session.graph, step);
}

static size_t times(const char *text, const char *part) {
    size_t count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        count++;
    return count;
}

static void entries_that_are_read_in_time_have_names(void **state) {
    (void)state;
    scene at;
    open_scene(&at);
    uint32_t first = hand_out(&at, 0);
    run_it(&at, first);
    loom_profiling_drain(&at.session);
    give_back(&at, first);
    uint32_t second = hand_out(&at, 1);
    assert_int_equal(second, first);
    run_it(&at, second);
    char *text = close_scene(&at);
    assert_int_equal(times(text, "\"line\":1"), 1);
    assert_int_equal(times(text, "\"line\":2"), 1);
    assert_int_equal(at.summary.profile->node_count, 2);
    free(text);
    free_scene(&at);
}

static void a_number_used_again_names_nobody(void **state) {
    (void)state;
    scene at;
    open_scene(&at);
    uint32_t first = hand_out(&at, 0), task = at.session.graph.steps[first].task;
    run_it(&at, first);
    give_back(&at, first);
    uint32_t second = hand_out(&at, 1);
    assert_int_equal(second, first);
    assert_int_equal(at.session.graph.steps[second].task, task);
    loom_profiling_drain(&at.session); /* what the entry names is gone */
    char *text = close_scene(&at);
    assert_int_equal(times(text, "\"ph\":\"X\""), 1);
    assert_int_equal(times(text, "\"line\":"), 0);
    assert_int_equal(at.summary.profile->node_count, 1);
    assert_string_equal(at.summary.profile->nodes[0].id, "");
    free(text);
    free_scene(&at);
}

/* Items of a long loop are steps of one node, whose id is that of none of them. */
static void items_without_an_id_have_a_line(void **state) {
    (void)state;
    scene at;
    open_scene(&at);
    uint32_t step = hand_out(&at, 1);
    at.session.graph.steps[step].unnamed = true;
    run_it(&at, step);
    run_it(&at, step);
    char *text = close_scene(&at);
    assert_int_equal(times(text, "\"line\":2"), 2);
    assert_int_equal(times(text, "\"node\":"), 0);
    assert_int_equal(at.summary.profile->node_count, 1);
    assert_int_equal(at.summary.profile->nodes[0].calls, 2);
    assert_string_equal(at.summary.profile->nodes[0].id, "");
    assert_int_equal(at.summary.profile->nodes[0].line, 2);
    free(text);
    free_scene(&at);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(entries_that_are_read_in_time_have_names),
                                       cmocka_unit_test(a_number_used_again_names_nobody),
                                       cmocka_unit_test(items_without_an_id_have_a_line)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
