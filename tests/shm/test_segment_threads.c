/* test_segment_threads.c - workers that are threads of this process, on one mapping, so that ThreadSanitizer sees both
 * sides of every access: the fields of a task and of an edge are plain memory, handed on by atomics alone. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segment_graph.h"

#define THREADS 3

static void *work(void *handle) {
    loom_segment *segment = handle;
    for (bool stopped = false; !stopped;) {
        uint32_t index = loom_task_take(segment, -1, &stopped);
        if (index == LOOM_TASK_NONE) continue;
        if (!graph_compute(segment, index)) abort();
        loom_task_finish(segment, index, LOOM_TASK_DONE);
    }
    return NULL;
}

static void run_in_threads(test_graph graph, uint32_t tasks_max, uint32_t submitted_first) {
    loom_segment *segment, *handles[THREADS];
    pthread_t threads[THREADS];
    graph_slots slots;
    loom_segment_options options = {.workers = THREADS, .tasks_max = tasks_max, .heap_bytes = 16 << 20};
    assert_int_equal(loom_segment_create(&options, &segment, NULL), LOOM_OK);
    slots_begin(&slots, &graph, segment);
    for (uint32_t i = 0; i < THREADS; i++) {
        handles[i] = loom_segment_alias(segment, i);
        assert_non_null(handles[i]);
        assert_int_equal(pthread_create(&threads[i], NULL, work, handles[i]), 0);
    }
    uint32_t submitted = 0, finished = 0, index;
    while (submitted < submitted_first && submitted < graph.count && slots_submit(&slots, submitted))
        submitted++;
    while (finished < graph.count) {
        loom_completion_wait(segment, -1);
        while (loom_completion_pop(segment, &index)) {
            const loom_task *task = loom_segment_task(segment, index);
            int64_t value;
            assert_true(graph_value(segment, task, &value));
            assert_int_equal(value, graph.expected[task->cookie]);
            finished++;
            slots_finished(&slots, task->cookie);
            while (submitted < graph.count && slots_submit(&slots, submitted))
                submitted++;
        }
    }
    assert_int_equal(loom_segment_live(segment), 0);
    loom_segment_stop(segment);
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        loom_segment_close(handles[i]);
    }
    slots_end(&slots);
    loom_segment_close(segment);
    graph_free(&graph);
}

static void test_threads(void **state) {
    (void)state;
    run_in_threads(graph_random(3000, 150, 41), 3000, 40);
    run_in_threads(graph_random(3000, 150, 42), 2500, UINT32_MAX);
    run_in_threads(graph_stencil(40, 50), 2000, UINT32_MAX);
    run_in_threads(graph_stencil(40, 50), 130, 100);
    run_in_threads(graph_chain(1000), 2, 1);
    run_in_threads(graph_fork_join(70, 20), 150, UINT32_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests_name("segment_threads", tests, NULL, NULL);
}
