/* test_segment_priority.c - what the run will wait for is taken first: the order of a worker, and what it is worth,
 * by a simulation of two workers on real deques with a clock of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shm/segment/segment.h"

enum { WORKERS_MAX = 2, TASKS_MAX = 400 };

typedef struct scene {
    loom_segment *coordinator, *workers[WORKERS_MAX];
    uint32_t minutes[TASKS_MAX]; /* how long each task takes */
} scene;

static scene begin(uint32_t workers) {
    scene it = {0};
    loom_segment_options options = {.workers = workers, .tasks_max = 1024, .heap_bytes = 1u << 20};
    assert_int_equal(loom_segment_create(&options, &it.coordinator, NULL), LOOM_OK);
    for (uint32_t i = 0; i < workers; i++)
        it.workers[i] = loom_segment_alias(it.coordinator, i);
    return it;
}

static void end(scene *it) {
    for (int i = 0; i < WORKERS_MAX; i++)
        loom_segment_close(it->workers[i]);
    loom_segment_close(it->coordinator);
}

static uint32_t add(scene *it, uint32_t after, uint32_t minutes, uint16_t priority) {
    uint32_t index;
    assert_int_equal(loom_task_create(it->coordinator, &after, after != LOOM_TASK_NONE, &index, NULL), LOOM_OK);
    loom_segment_task(it->coordinator, index)->priority = priority;
    it->minutes[index] = minutes;
    assert_int_equal(loom_task_submit(it->coordinator, index, NULL), LOOM_OK);
    return index;
}

static uint32_t take(scene *it, uint32_t worker) {
    bool stopped;
    return loom_task_take(it->workers[worker], 0, &stopped);
}

static void the_most_critical_successor_is_taken_first(void **state) {
    (void)state;
    static const uint16_t priorities[] = {7, 3, 65535, 0, 512, 7, 64, 7};
    enum { COUNT = sizeof priorities / sizeof *priorities };
    scene it = begin(1);
    uint32_t root = add(&it, LOOM_TASK_NONE, 1, 0), tasks[COUNT];
    for (int i = 0; i < COUNT; i++)
        tasks[i] = add(&it, root, 1, priorities[i]);
    assert_int_equal(take(&it, 0), root);
    loom_task_finish(it.workers[0], root, LOOM_TASK_DONE);
    /* equal ones in the order in which they were submitted */
    static const int order[COUNT] = {2, 4, 6, 0, 5, 7, 1, 3};
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(take(&it, 0), tasks[order[i]]);
        loom_task_finish(it.workers[0], tasks[order[i]], LOOM_TASK_DONE);
    }
    end(&it);
}

/* More successors than are sorted at a time: none is lost, and the most critical of the last ones is first. */
static void many_successors_are_all_queued(void **state) {
    (void)state;
    enum { COUNT = 300 };
    scene it = begin(1);
    uint32_t root = add(&it, LOOM_TASK_NONE, 1, 0), first = LOOM_TASK_NONE, taken = 0, index;
    for (int i = 0; i < COUNT; i++) {
        uint32_t task = add(&it, root, 1, (uint16_t)(i == 5 ? 9 : 1));
        if (i == 5) first = task;
    }
    assert_int_equal(take(&it, 0), root);
    loom_task_finish(it.workers[0], root, LOOM_TASK_DONE);
    assert_int_equal(take(&it, 0), first);
    loom_task_finish(it.workers[0], first, LOOM_TASK_DONE);
    while ((index = take(&it, 0)) != LOOM_TASK_NONE) {
        loom_task_finish(it.workers[0], index, LOOM_TASK_DONE);
        taken++;
    }
    assert_int_equal(taken, COUNT - 1);
    end(&it);
}

/* Two workers that take what the segment gives them, until nothing is left. Returns when the last one ended. */
static uint32_t simulate(scene *it) {
    uint32_t running[WORKERS_MAX], until[WORKERS_MAX] = {0}, now = 0, index;
    for (int w = 0; w < WORKERS_MAX; w++)
        running[w] = LOOM_TASK_NONE;
    for (;;) {
        uint32_t next = UINT32_MAX;
        for (uint32_t w = 0; w < WORKERS_MAX; w++) {
            if (running[w] == LOOM_TASK_NONE && (index = take(it, w)) != LOOM_TASK_NONE) {
                running[w] = index;
                until[w] = now + it->minutes[index];
            }
            if (running[w] != LOOM_TASK_NONE && until[w] < next) next = until[w];
        }
        if (next == UINT32_MAX) return now;
        now = next;
        for (uint32_t w = 0; w < WORKERS_MAX; w++)
            if (running[w] != LOOM_TASK_NONE && until[w] == now) {
                loom_task_finish(it->workers[w], running[w], LOOM_TASK_DONE);
                running[w] = LOOM_TASK_NONE;
            }
    }
}

/* A root with forty short successors, and one that begins a chain as long as all of these together; `before` of the
 * short ones are submitted before the chain. Levels say that it is what the run will wait for. */
enum { SHORT = 40, CHAIN = 20, MINUTES = 2, CRITICAL_PATH = 1 + CHAIN * MINUTES };

static uint32_t time_of(int before, bool with_priorities) {
    scene it = begin(2);
    uint32_t root = add(&it, LOOM_TASK_NONE, 1, with_priorities ? CRITICAL_PATH : 0), after = root;
    for (int i = 0; i < before; i++)
        (void)add(&it, root, 1, with_priorities ? 1 : 0);
    for (int i = 0; i < CHAIN; i++)
        after = add(&it, after, MINUTES, (uint16_t)(with_priorities ? (CHAIN - i) * MINUTES : 0));
    for (int i = before; i < SHORT; i++)
        (void)add(&it, root, 1, with_priorities ? 1 : 0);
    uint32_t minutes = simulate(&it);
    end(&it);
    return minutes;
}

static void the_critical_path_is_not_left_for_later(void **state) {
    (void)state;
    for (int before = 0; before <= SHORT; before += SHORT / 4)
        assert_int_equal(time_of(before, true), CRITICAL_PATH);
    /* By order of submission alone, owner and thief meet in the middle: the chain begins when all else is done. */
    assert_int_equal(time_of(SHORT / 2, false), 1 + SHORT / 2 + CHAIN * MINUTES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_critical_successor_is_taken_first),
        cmocka_unit_test(many_successors_are_all_queued),
        cmocka_unit_test(the_critical_path_is_not_left_for_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
