/* test_segment_runs.c - real worker processes on one shared segment: every graph shape, with 1, 2 and 4 workers,
 * submitted at once or while they run, must give what a plain loop gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "segment_graph.h"
#include "shm/segment/segment_layout.h"

static const uint32_t worker_counts[] = {1, 2, 4};

static void run_everywhere(test_graph graph, uint32_t submitted_first, uint32_t deque_slots) {
    for (size_t i = 0; i < sizeof worker_counts / sizeof *worker_counts; i++) {
        run_options options = {
            .workers = worker_counts[i], .submitted_first = submitted_first, .deque_slots = deque_slots};
        run_graph(&graph, &options);
    }
    graph_free(&graph);
}

static void test_chain(void **state) {
    (void)state;
    run_everywhere(graph_chain(2000), 0, 0);
}
static void test_stencil(void **state) {
    (void)state;
    run_everywhere(graph_stencil(100, 50), 0, 0);
}
static void test_fan_in(void **state) {
    (void)state;
    run_everywhere(graph_fan_in(LOOM_ARGUMENTS_MAX), 0, 0);
}
static void test_fan_out(void **state) {
    (void)state;
    run_everywhere(graph_fan_out(4000), 0, 0);
}
static void test_diamonds(void **state) {
    (void)state;
    run_everywhere(graph_diamonds(700), 0, 0);
}
static void test_doubles(void **state) {
    (void)state;
    run_everywhere(graph_doubles(1000), 0, 0);
}
static void test_fork_join(void **state) {
    (void)state;
    run_everywhere(graph_fork_join(65, 20), 0, 0);
}

static void test_random(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        run_everywhere(graph_random(2000, 200, seed), 0, 0);
}

static void test_submission_while_running(void **state) {
    (void)state;
    run_everywhere(graph_random(3000, 200, 11), 10, 0);
    run_everywhere(graph_stencil(20, 100), 60, 0);
    run_everywhere(graph_chain(500), 1, 0);
}

/* With two slots a deque almost every task finds it full: all must be found in the table. */
static void test_full_deques(void **state) {
    (void)state;
    run_everywhere(graph_fan_out(500), 0, 2);
    run_everywhere(graph_random(800, 100, 21), 0, 2);
    run_everywhere(graph_random(800, 100, 22), 5, 1);
}

/* Nothing is read until more tasks are done than the ring holds less a few: the worker must wait, and lose nothing. */
static void test_full_ring(void **state) {
    (void)state;
    test_graph graph = graph_fan_out(3 * LOOM_RING_SLOTS);
    run_options one = {.workers = 1, .pause_reading = LOOM_RING_SLOTS};
    run_graph(&graph, &one);
    run_options two = {.workers = 2, .pause_reading = 2 * LOOM_RING_SLOTS};
    run_graph(&graph, &two);
    graph_free(&graph);
}

/* A worker that waits for room when the run stops still hands over what it finished, if the coordinator reads on. */
static void test_stop_with_a_full_ring(void **state) {
    (void)state;
    loom_segment *segment;
    loom_segment_options options = {.workers = 1, .tasks_max = 2 * LOOM_RING_SLOTS};
    memcpy(options.table_signature, test_signature, sizeof options.table_signature);
    assert_int_equal(loom_segment_create(&options, &segment, NULL), LOOM_OK);
    for (uint32_t i = 0, index; i < 2 * LOOM_RING_SLOTS; i++) {
        assert_int_equal(loom_task_create(segment, NULL, 0, &index, NULL), LOOM_OK);
        assert_int_equal(loom_task_submit(segment, index, NULL), LOOM_OK);
    }
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) worker_main(dup(loom_segment_fd(segment)), 0, &(run_options){0});
    while (atomic_load(&segment->slots[0].ring_waits) == 0)
        loom_completion_wait(segment, 1);
    loom_segment_stop(segment);
    uint32_t read = 0, index;
    int status;
    for (bool ended = false; !ended;) {
        ended = waitpid(child, &status, WNOHANG) == child;
        while (loom_completion_pop(segment, &index))
            read++;
        if (!ended) loom_completion_wait(segment, 1);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(read, LOOM_RING_SLOTS + 1);
    loom_segment_close(segment);
}

static void test_executed_workers(void **state) {
    (void)state;
    test_graph graph = graph_random(2000, 100, 31);
    run_options options = {.workers = 2, .exec = true, .submitted_first = 100};
    run_graph(&graph, &options);
    graph_free(&graph);
}

/* Slots and heap pieces are used again: each shape runs in far fewer slots than it has nodes, each slot ends up free,
 * and a long chain takes no more memory than a short one. */
static void run_in_few_slots(test_graph graph, uint32_t tasks_max) {
    for (size_t i = 0; i < sizeof worker_counts / sizeof *worker_counts; i++) {
        run_options options = {.workers = worker_counts[i], .tasks_max = tasks_max};
        run_graph(&graph, &options);
    }
    graph_free(&graph);
}

static void test_few_slots(void **state) {
    (void)state;
    run_in_few_slots(graph_stencil(40, 200), 130);
    run_in_few_slots(graph_fork_join(65, 60), 140);
    run_in_few_slots(graph_diamonds(2000), 8);
    run_in_few_slots(graph_doubles(3000), 3);
    run_in_few_slots(graph_fan_out(5000), 20);
    run_in_few_slots(graph_random(4000, 70, 51), 2500);
}

static void test_long_chain_takes_no_more(void **state) {
    (void)state;
    uint64_t bytes[2];
    for (uint32_t i = 0; i < 2; i++) {
        test_graph graph = graph_chain(i ? 40000 : 1000);
        bytes[i] = run_graph(&graph, &(run_options){.workers = 2, .tasks_max = 64}).segment_bytes;
        graph_free(&graph);
    }
    /* a chunk of the heap each for coordinator and workers, taken when one first needs it */
    assert_in_range(bytes[1], 1, bytes[0] + 3 * LOOM_HEAP_CHUNK * LOOM_HEAP_UNIT);
}

static void test_killed_at_random(void **state) {
    (void)state;
    uint32_t deaths = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        test_graph graph = seed % 3 == 0   ? graph_stencil(50, 200)
                           : seed % 3 == 1 ? graph_random(10000, 150, seed)
                                           : graph_fork_join(70, 100);
        run_options options = {
            .workers = 1 + (uint32_t)seed % 4, .kills = 10, .seed = seed, .submitted_first = seed % 2 ? 0 : 200};
        deaths += run_graph(&graph, &options).deaths;
        options.tasks_max = seed % 3 == 1 ? 6000 : 170;
        options.submitted_first = 0;
        deaths += run_graph(&graph, &options).deaths;
        graph_free(&graph);
    }
    assert_true(deaths >= 24); /* 240 are sent; some hit a worker that is dead already */
}

int main(int argc, char **argv) {
    become_worker_if_asked(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_stencil),
        cmocka_unit_test(test_fan_in),
        cmocka_unit_test(test_fan_out),
        cmocka_unit_test(test_diamonds),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_fork_join),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_submission_while_running),
        cmocka_unit_test(test_full_deques),
        cmocka_unit_test(test_full_ring),
        cmocka_unit_test(test_stop_with_a_full_ring),
        cmocka_unit_test(test_executed_workers),
        cmocka_unit_test(test_few_slots),
        cmocka_unit_test(test_long_chain_takes_no_more),
        cmocka_unit_test(test_killed_at_random),
    };
    return cmocka_run_group_tests_name("segment_runs", tests, NULL, NULL);
}
