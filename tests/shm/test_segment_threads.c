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
        loom_task *task = loom_segment_task(segment, index);
        const uint32_t *arguments = loom_segment_pointer(segment, task->arguments);
        int64_t *values = calloc(task->argument_count + 1, sizeof *values);
        if (!values) abort();
        for (uint32_t i = 0; i < task->argument_count; i++)
            memcpy(&values[i], loom_segment_task(segment, arguments[i])->inline_payload, sizeof *values);
        int64_t value = node_value(task->cookie, values, task->argument_count);
        free(values);
        memcpy(task->inline_payload, &value, sizeof value);
        task->inline_bytes = sizeof value;
        loom_task_finish(segment, index, LOOM_TASK_DONE);
    }
    return NULL;
}

static void submit(loom_segment *segment, const test_graph *graph, uint32_t node) {
    uint32_t index;
    uint32_t count = graph->first[node + 1] - graph->first[node];
    assert_int_equal(loom_task_create(segment, &graph->arguments[graph->first[node]], count, &index, NULL), LOOM_OK);
    loom_segment_task(segment, index)->cookie = node;
    assert_int_equal(loom_task_submit(segment, index, NULL), LOOM_OK);
}

static void run_in_threads(test_graph graph, uint32_t submitted_first) {
    loom_segment *segment, *handles[THREADS];
    pthread_t threads[THREADS];
    loom_segment_options options = {.workers = THREADS, .tasks_max = graph.count, .heap_bytes = 16 << 20};
    assert_int_equal(loom_segment_create(&options, &segment, NULL), LOOM_OK);
    for (uint32_t i = 0; i < THREADS; i++) {
        handles[i] = loom_segment_alias(segment, i);
        assert_non_null(handles[i]);
        assert_int_equal(pthread_create(&threads[i], NULL, work, handles[i]), 0);
    }
    uint32_t submitted = 0, finished = 0, index;
    while (submitted < submitted_first && submitted < graph.count)
        submit(segment, &graph, submitted++);
    while (finished < graph.count) {
        loom_completion_wait(segment, -1);
        while (loom_completion_pop(segment, &index)) {
            int64_t value;
            memcpy(&value, loom_segment_task(segment, index)->inline_payload, sizeof value);
            assert_int_equal(value, graph.expected[index]);
            finished++;
            if (submitted < graph.count) submit(segment, &graph, submitted++);
        }
    }
    loom_segment_stop(segment);
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        loom_segment_close(handles[i]);
    }
    loom_segment_close(segment);
    graph_free(&graph);
}

static void test_threads(void **state) {
    (void)state;
    run_in_threads(graph_random(3000, 150, 41), 40);
    run_in_threads(graph_random(3000, 150, 42), UINT32_MAX);
    run_in_threads(graph_stencil(40, 50), UINT32_MAX);
    run_in_threads(graph_chain(1000), 1);
    run_in_threads(graph_fork_join(70, 20), UINT32_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests_name("segment_threads", tests, NULL, NULL);
}
