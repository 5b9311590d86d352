/* test_split.c - tasks in parts with worker processes, killed with SIGKILL at every named step of the protocol and in
 * the middle of parts. One loop works in place, so a part that ran twice, or half, shows; ranges are sealed when their
 * task is finished, so a helper that comes late shows. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "shm/segment/split.h"
#include "split_scene.h"

enum { WAIT_MS = 2, RUN_LIMIT_S = 60, DEATHS_EACH = 4, ATTEMPTS = 12 };

/* ---- probes ---- */

static const char *armed; /* the parent sets it; workers inherit it */
static uint32_t passes_left;
static bool helpers_only;

void loom_probe(const char *name) {
    if (passes_left == 0 || !armed || strcmp(name, armed) != 0 || (helpers_only && !split_helps)) return;
    if (--passes_left == 0) kill(getpid(), SIGKILL);
}

static void in_part(void) {
    loom_probe("test:part");
    struct timespec moment = {.tv_nsec = 20000};
    nanosleep(&moment, NULL); /* so that others come and help, on one core too */
}

/* ---- one run ---- */

typedef struct split_run {
    loom_segment *segment;
    uint32_t workers, incarnations, deaths;
    pid_t pids[SPLIT_WORKERS_MAX];
    uint64_t seed;
} split_run;

static uint32_t next_number(split_run *run, uint32_t below) {
    run->seed = run->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(run->seed >> 33) % below;
}

static void start_worker(split_run *run, uint32_t worker) {
    uint32_t passes = 1 + next_number(run, 9), incarnation = run->incarnations++;
    pid_t parent = getpid(), pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        loom_segment *segment;
        if (armed && incarnation < DEATHS_EACH) passes_left = passes;
        if (loom_segment_attach(dup(loom_segment_fd(run->segment)), worker, (const uint8_t[32]){0}, &segment, NULL) !=
            LOOM_OK)
            _exit(2);
        split_work(segment, worker, parent);
        loom_segment_close(segment);
        _exit(0);
    }
    run->pids[worker] = pid;
}

static void bury_the_dead(split_run *run) {
    for (uint32_t worker = 0; worker < run->workers; worker++) {
        int status;
        uint32_t running;
        if (waitpid(run->pids[worker], &status, WNOHANG) != run->pids[worker]) continue;
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) fail_msg("a worker ended with status %x", status);
        run->deaths++;
        loom_segment_recover(run->segment, worker, &running);
        start_worker(run, worker);
    }
}

static double now_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void wait_for_all(split_run *run) {
    double end = now_seconds() + RUN_LIMIT_S;
    uint32_t finished = 0, index;
    bool seen[SPLIT_TASKS] = {false};
    while (finished < SPLIT_TASKS) {
        loom_completion_wait(run->segment, WAIT_MS);
        while (loom_completion_pop(run->segment, &index)) {
            finished += !seen[index];
            seen[index] = true;
        }
        bury_the_dead(run);
        if (now_seconds() > end) fail_msg("the run hangs at %s", armed ? armed : "nothing");
    }
}

/* Deaths; *helped and *alone are what split_memory counts. */
static uint32_t run_once(uint32_t workers, uint64_t seed, uint32_t *helped, uint32_t *alone) {
    split_run run = {.workers = workers, .seed = seed};
    const loom_segment_options options = {.workers = workers, .tasks_max = SPLIT_TASKS, .heap_bytes = 1 << 20};
    split_memory_make();
    assert_int_equal(loom_segment_create(&options, &run.segment, NULL), LOOM_OK);
    split_submit(run.segment);
    for (uint32_t worker = 0; worker < workers; worker++)
        start_worker(&run, worker);
    wait_for_all(&run);
    loom_segment_stop(run.segment);
    for (uint32_t worker = 0; worker < workers; worker++)
        assert_int_equal(waitpid(run.pids[worker], NULL, 0), run.pids[worker]);
    split_check(run.segment);
    *helped += atomic_load(&split_memory_of_test->helped);
    *alone += atomic_load(&split_memory_of_test->alone);
    loom_segment_close(run.segment);
    split_memory_free();
    return run.deaths;
}

/* ---- tests ---- */

static void nobody_dies(void **state) {
    uint32_t helped = 0, alone = 0;
    (void)state;
    armed = NULL;
    for (uint32_t workers = 1; workers <= SPLIT_WORKERS_MAX; workers++) {
        helped = 0;
        assert_int_equal(run_once(workers, workers, &helped, &alone), 0);
        if (workers == 1) assert_int_equal(helped, 0);
    }
    assert_true(helped > 0);
    assert_int_equal(alone, 0);
}

static void kill_at(const char *probe, bool helpers, bool in_its_hands) {
    uint32_t deaths = 0, helped = 0, alone = 0;
    armed = probe;
    helpers_only = helpers;
    for (uint32_t attempt = 0; attempt < ATTEMPTS && (deaths == 0 || (in_its_hands && alone == 0)); attempt++)
        deaths += run_once(2 + attempt % 3, attempt + 100, &helped, &alone);
    if (deaths == 0) fail_msg("no worker ever came to %s", armed);
    if (in_its_hands) assert_true(alone > 0);
    print_message("%s: %u deaths, %u parts by helpers, %u attempts repeated alone\n", armed, deaths, helped, alone);
}

static void killed_at(void **state) {
    kill_at(*state, false, false);
}

static void helper_killed_at(void **state) {
    kill_at(*state, true, false);
}

/* The part that it held must be done again, with all others of the task. */
static void helper_killed_in_part(void **state) {
    kill_at(*state, true, true);
}

#define AT(probe)                                                                                                      \
    { "killed_at " probe, killed_at, NULL, NULL, probe }
#define HELPER_AT(probe)                                                                                               \
    { "helper_killed_at " probe, helper_killed_at, NULL, NULL, probe }
#define HELPER_IN_PART(probe)                                                                                          \
    { "helper_killed_in_part " probe, helper_killed_in_part, NULL, NULL, probe }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_dies),
        AT("test:part"),
        AT("split:written"),
        AT("split:open"),
        AT("split:announced"),
        AT("split:taken"),
        AT("split:ran"),
        AT("split:reported"),
        AT("split:closed"),
        AT("split:joined"),
        AT("split:leaving"),
        AT("split:left"),
        HELPER_IN_PART("test:part"),
        HELPER_IN_PART("split:taken"),
        HELPER_IN_PART("split:ran"),
        HELPER_AT("split:announced"),
        HELPER_AT("split:reported"),
    };
    split_in_part = in_part;
    return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
