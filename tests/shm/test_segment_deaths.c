/* test_segment_deaths.c - workers killed with SIGKILL at every named step of the protocol.
 *
 * This program compiles the segment's sources itself, with LOOM_PROBES: each LOOM_PROBE("name") calls
 * loom_probe below, which kills the process when the armed probe was passed often enough. Every graph must still give
 * what the plain loop gives, and every probe must have killed somebody. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "segment_graph.h"
#include "shm/segment/segment_layout.h"

#define ATTEMPTS 10   /* some steps need luck: somebody must sleep just then */
#define DEATHS_EACH 8 /* incarnations that are armed, in one run */

static const char *armed;    /* the parent sets it; workers inherit it */
static uint32_t passes_left; /* 0: not armed */

static void (*meanwhile)(void); /* called once at the armed probe instead, with passes_left = 0 */

void loom_probe(const char *name) {
    if (meanwhile && strcmp(name, armed) == 0) {
        void (*call)(void) = meanwhile;
        meanwhile = NULL;
        call();
    }
    if (passes_left == 0 || strcmp(name, armed) != 0) return;
    if (--passes_left == 0) kill(getpid(), SIGKILL);
}

static void arm(uint32_t incarnation) {
    uint64_t seed = incarnation + 77;
    if (incarnation < DEATHS_EACH) passes_left = 1 + (uint32_t)(next_random(&seed) % 12);
}

static void arm_first_pass(uint32_t incarnation) {
    passes_left = incarnation < DEATHS_EACH;
}

/* Joints with 70 arguments (two words of bits and a summary) take a while, so that others sleep and must be woken. */
static uint32_t deaths_at(const char *probe, const test_graph *graph, run_options options) {
    uint32_t deaths = 0;
    armed = probe;
    if (!options.in_worker) options.in_worker = arm;
    options.joint_pause_us = 150;
    for (options.workers = 1; options.workers <= 4; options.workers *= 2)
        deaths += run_graph(graph, &options).deaths;
    return deaths;
}

static void killed_at(void **state) {
    test_graph graph = graph_fork_join(70, 16);
    uint32_t deaths = 0;
    for (int attempt = 0; attempt < ATTEMPTS && deaths == 0; attempt++) {
        deaths += deaths_at(*state, &graph, (run_options){.submitted_first = 0});
        /* in slots of freed tasks, submitted while others run */
        deaths += deaths_at(*state, &graph, (run_options){.tasks_max = 160});
    }
    graph_free(&graph);
    if (deaths == 0) fail_msg("no worker ever came to %s", (const char *)*state);
}

/* A worker dies with a chain of free heap pieces that it has just taken: they are lost, and nothing else. */
static void killed_with_free_pieces(void **state) {
    test_graph graph = graph_stencil(40, 120);
    uint32_t deaths = deaths_at(*state, &graph, (run_options){.tasks_max = 200, .in_worker = arm_first_pass});
    graph_free(&graph);
    if (deaths == 0) fail_msg("no worker ever came to %s", (const char *)*state);
}

/* The same where almost every task finds its deque full. */
static void killed_at_with_full_deques(void **state) {
    test_graph graph = graph_random(600, 70, 5);
    uint32_t deaths = 0;
    for (int attempt = 0; attempt < ATTEMPTS && deaths == 0; attempt++)
        deaths += deaths_at(*state, &graph, (run_options){.deque_slots = 2, .in_worker = arm_first_pass});
    graph_free(&graph);
    if (deaths == 0) fail_msg("no worker ever came to %s", (const char *)*state);
}

/* Workers find no room for every third task at first; they die while they put one back. */
static void killed_while_putting_back(void **state) {
    test_graph graph = graph_fork_join(70, 16);
    uint32_t deaths = 0;
    for (int attempt = 0; attempt < ATTEMPTS && deaths == 0; attempt++)
        deaths += deaths_at(*state, &graph, (run_options){.put_back_one_in = 3});
    graph_free(&graph);
    if (deaths == 0) fail_msg("no worker ever came to %s", (const char *)*state);
}

/* The same for want of memory: held back, and let go on by the coordinator; nothing stays committed for the dead. */
static void killed_while_holding_back(void **state) {
    test_graph graph = graph_fork_join(70, 16);
    uint32_t deaths = 0;
    for (int attempt = 0; attempt < ATTEMPTS && deaths == 0; attempt++)
        deaths += deaths_at(*state, &graph, (run_options){.put_back_one_in = 3, .commits = true});
    graph_free(&graph);
    if (deaths == 0) fail_msg("no worker ever came to %s", (const char *)*state);
}

static loom_segment *small, *first, *second;

static void add_two(void) {
    for (uint32_t i = 0, index; i < 2; i++) { /* the second finds the deque of one slot full */
        assert_int_equal(loom_task_create(small, NULL, 0, &index, NULL), LOOM_OK);
        assert_int_equal(loom_task_submit(small, index, NULL), LOOM_OK);
    }
}

static uint32_t take_and_finish(loom_segment *worker) {
    bool stopped;
    uint32_t index = loom_task_take(worker, 0, &stopped);
    if (index != LOOM_TASK_NONE) loom_task_finish(worker, index, LOOM_TASK_DONE);
    return index;
}

static void search_and_add(void) {
    assert_int_equal(take_and_finish(second), LOOM_TASK_NONE);
    add_two();
}

/* Between one worker's vain search of the table and its record of that, another searches in vain too, and a task is
 * announced: it must still be found. */
static void announced_between_search_and_record(void **state) {
    (void)state;
    assert_int_equal(
        loom_segment_create(&(loom_segment_options){.workers = 2, .tasks_max = 8, .deque_slots = 1}, &small, NULL),
        LOOM_OK);
    first = loom_segment_alias(small, 0);
    second = loom_segment_alias(small, 1);
    add_two();
    assert_int_not_equal(take_and_finish(first), LOOM_TASK_NONE);
    assert_int_not_equal(take_and_finish(first), LOOM_TASK_NONE);
    armed = "search:vain";
    meanwhile = search_and_add;
    assert_int_not_equal(take_and_finish(first), LOOM_TASK_NONE);
    assert_null(meanwhile);
    assert_int_not_equal(take_and_finish(first), LOOM_TASK_NONE);
    assert_int_equal(take_and_finish(first), LOOM_TASK_NONE);
    loom_segment_close(first);
    loom_segment_close(second);
    loom_segment_close(small);
}

/* A worker that waits for room in its ring dies there: the completion that had no room must come all the same. Reading
 * starts when one task more is done than the ring has room for. */
static void killed_while_the_ring_is_full(void **state) {
    (void)state;
    test_graph graph = graph_fan_out(2 * LOOM_RING_SLOTS);
    armed = "ring:waits";
    run_options options = {.workers = 1, .in_worker = arm_first_pass, .pause_reading = LOOM_RING_SLOTS + 1};
    run_result result = run_graph(&graph, &options);
    graph_free(&graph);
    assert_true(result.deaths >= 1);
}

#define AT_FULL(probe)                                                                                                 \
    { "killed_at_with_full_deques " probe, killed_at_with_full_deques, NULL, NULL, probe }
#define AT_PUTTING_BACK(probe)                                                                                         \
    { "killed_while_putting_back " probe, killed_while_putting_back, NULL, NULL, probe }
#define AT_HOLDING_BACK(probe)                                                                                         \
    { "killed_while_holding_back " probe, killed_while_holding_back, NULL, NULL, probe }
#define AT(probe)                                                                                                      \
    { "killed_at " probe, killed_at, NULL, NULL, probe }

int main(void) {
    const struct CMUnitTest tests[] = {
        AT("push:slot"),
        AT("push:bottom"),
        AT("pop:reserved"),
        AT("pop:announced"),
        AT("pop:last"),
        AT("steal:announced"),
        AT("steal:taken"),
        AT("take:claimed"),
        AT("take:running"),
        AT("clear:bit"),
        AT("clear:summary"),
        AT("clear:ready"),
        AT("finish:announced"),
        AT("finish:done"),
        AT("finish:notified"),
        AT("finish:told"),
        AT("ring:entry"),
        AT("ring:tail"),
        AT("ring:awake"),
        AT("park:announced"),
        AT("park:awake"),
        AT("wake:chosen"),
        {"killed_with_free_pieces heap:chain", killed_with_free_pieces, NULL, NULL, "heap:chain"},
        AT_PUTTING_BACK("back:announced"),
        AT_PUTTING_BACK("back:ready"),
        AT_PUTTING_BACK("back:counted"),
        AT_HOLDING_BACK("hold:announced"),
        AT_HOLDING_BACK("hold:ready"),
        AT_HOLDING_BACK("hold:told"),
        AT_HOLDING_BACK("take:running"),
        AT_HOLDING_BACK("finish:announced"),
        AT_HOLDING_BACK("finish:done"),
        AT_HOLDING_BACK("finish:told"),
        AT_FULL("search:announced"),
        AT_FULL("search:vain"),
        cmocka_unit_test(announced_between_search_and_record),
        cmocka_unit_test(killed_while_the_ring_is_full),
    };
    return cmocka_run_group_tests_name("segment_deaths", tests, NULL, NULL);
}
