/* test_segment_deaths.c - workers killed with SIGKILL at every named step of the protocol.
 *
 * This program compiles the segment's sources itself, with LOOM_SEGMENT_PROBES: each LOOM_PROBE("name") calls
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
#include "shm/segment_layout.h"

#define DEATHS_EACH 8 /* incarnations that are armed, in one run */

static const char *armed;    /* the parent sets it; workers inherit it */
static uint32_t passes_left; /* 0: not armed */

void loom_probe(const char *name) {
    if (passes_left == 0 || strcmp(name, armed) != 0) return;
    if (--passes_left == 0) kill(getpid(), SIGKILL);
}

static void arm(uint32_t incarnation) {
    uint64_t seed = incarnation + 77;
    if (incarnation < DEATHS_EACH) passes_left = 1 + (uint32_t)(next_random(&seed) % 12);
}

/* Joints with 70 arguments (two words of bits and a summary) take a while, so that others sleep and must be woken. */
static uint32_t deaths_at(const char *probe, const test_graph *graph, run_options options) {
    uint32_t deaths = 0;
    armed = probe;
    options.in_worker = arm;
    options.joint_pause_us = 150;
    for (options.workers = 1; options.workers <= 4; options.workers *= 2)
        deaths += run_graph(graph, &options).deaths;
    return deaths;
}

static void killed_at(void **state) {
    test_graph graph = graph_fork_join(70, 24);
    uint32_t deaths = deaths_at(*state, &graph, (run_options){.submitted_first = 0});
    deaths += deaths_at(*state, &graph, (run_options){.submitted_first = 30});
    graph_free(&graph);
    if (deaths == 0) fail_msg("no worker ever came to %s", (const char *)*state);
}

static void arm_first_pass(uint32_t incarnation) {
    passes_left = incarnation < DEATHS_EACH;
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
        cmocka_unit_test(killed_while_the_ring_is_full),
    };
    return cmocka_run_group_tests_name("segment_deaths", tests, NULL, NULL);
}
