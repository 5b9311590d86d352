/* test_split_threads.c - tasks in parts with workers that are threads of this process, on one mapping, so that
 * ThreadSanitizer sees both sides: what parts write is plain memory, handed on by the split's atomics alone. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "split_scene.h"

typedef struct member {
    loom_segment *segment;
    uint32_t worker;
} member;

static void in_part(void) {
    nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
}

static void *work(void *context) {
    const member *self = context;
    split_work(self->segment, self->worker, getppid());
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    loom_segment *segment;
    member members[SPLIT_WORKERS_MAX];
    pthread_t threads[SPLIT_WORKERS_MAX];
    const loom_segment_options options = {
        .workers = SPLIT_WORKERS_MAX, .tasks_max = SPLIT_TASKS, .heap_bytes = 1 << 20};
    split_memory_make();
    assert_int_equal(loom_segment_create(&options, &segment, NULL), LOOM_OK);
    for (uint32_t i = 0; i < SPLIT_WORKERS_MAX; i++) {
        members[i] = (member){loom_segment_alias(segment, i), i};
        assert_non_null(members[i].segment);
        assert_int_equal(pthread_create(&threads[i], NULL, work, &members[i]), 0);
    }
    split_submit(segment);
    for (uint32_t finished = 0, index; finished < SPLIT_TASKS;) {
        loom_completion_wait(segment, -1);
        while (loom_completion_pop(segment, &index))
            finished++;
    }
    loom_segment_stop(segment);
    for (uint32_t i = 0; i < SPLIT_WORKERS_MAX; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        loom_segment_close(members[i].segment);
    }
    split_check(segment);
    assert_true(atomic_load(&split_memory_of_test->helped) > 0);
    loom_segment_close(segment);
    split_memory_free();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};
    split_in_part = in_part;
    return cmocka_run_group_tests_name("split_threads", tests, NULL, NULL);
}
