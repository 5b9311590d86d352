/* test_segment.c - each function of segment.h in one process: who may attach, the heap, and the life of a task. */
#include "segment_scene.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/segment/split.h"

/* ---- identity ---- */

static loom_status attach(int fd, uint32_t worker, const uint8_t *table, loom_error *err) {
    loom_segment *segment;
    loom_status status = loom_segment_attach(dup(fd), worker, table, &segment, err);
    loom_segment_close(segment);
    return status;
}

static void test_attach_sees_the_same_bytes(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){.workers = 3}), *other;
    uint32_t index = add_done(segment);
    loom_offset text = loom_segment_put(segment, "shared", 6);
    assert_int_equal(loom_segment_attach(dup(loom_segment_fd(segment)), 2, signature, &other, NULL), LOOM_OK);
    assert_int_equal(loom_segment_workers(other), 3);
    assert_int_equal(loom_segment_task_count(other), 1);
    assert_int_equal(state_of(other, index), LOOM_TASK_DONE);
    size_t length;
    assert_memory_equal(loom_segment_get(other, text, &length), "shared", 6);
    assert_int_equal(length, 6);
    loom_segment_close(other);
    loom_segment_close(segment);
    loom_segment_close(NULL);
}

static void test_attach_refuses_strangers(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){0});
    loom_segment_header *header = segment->header, original = *header;
    int fd = loom_segment_fd(segment);
    loom_error err;
    uint8_t other_table[32] = {1};
    assert_int_equal(attach(fd, 0, signature, &err), LOOM_OK);
    assert_int_equal(attach(fd, 0, other_table, &err), LOOM_LAYOUT_MISMATCH);
    assert_non_null(strstr(err.message, "operator table"));
    assert_int_equal(attach(fd, 2, signature, &err), LOOM_INTERNAL);
    assert_int_equal(attach(-1, 0, signature, &err), LOOM_IO);
#define REFUSES(change, word)                                                                                          \
    do {                                                                                                               \
        change;                                                                                                        \
        assert_int_equal(attach(fd, 0, signature, &err), LOOM_LAYOUT_MISMATCH);                                        \
        assert_non_null(strstr(err.message, word));                                                                    \
        memcpy(header, &original, offsetof(loom_segment_header, stop));                                                \
    } while (0)
    REFUSES(header->magic ^= 1, "magic");
    REFUSES(header->version++, "version");
    REFUSES(header->layout ^= 1, "layout");
    REFUSES(header->workers = 0, "counts");
    REFUSES(header->workers = UINT32_MAX, "counts");
    REFUSES(header->tasks_max = UINT32_MAX, "counts");
    REFUSES(header->deque_slots = 3, "counts");
    REFUSES(header->heap_units = UINT64_MAX, "counts");
    REFUSES(header->heap_units += 512, "size");
    REFUSES(header->total_bytes++, "size");
    REFUSES(header->tasks_max *= 2, "size");
    assert_int_equal(attach(fd, 0, signature, &err), LOOM_OK);
    assert_int_equal(ftruncate(fd, 5 * LOOM_PAGE_BYTES), 0);
    assert_int_equal(attach(fd, 0, signature, &err), LOOM_LAYOUT_MISMATCH);
    assert_int_equal(ftruncate(fd, 10), 0);
    assert_int_equal(attach(fd, 0, signature, &err), LOOM_LAYOUT_MISMATCH);
    loom_segment_close(segment);
}

static void test_create_checks(void **state) {
    (void)state;
    loom_segment *segment;
    loom_error err = {0};
    assert_int_equal(loom_segment_create(&(loom_segment_options){.workers = 0}, &segment, &err), LOOM_UNSUPPORTED);
    assert_int_equal(loom_segment_create(&(loom_segment_options){.workers = LOOM_WORKERS_MAX + 1}, &segment, &err),
                     LOOM_UNSUPPORTED);
    assert_null(segment);
    segment = create((loom_segment_options){.workers = LOOM_WORKERS_MAX});
    assert_int_equal(segment->tasks_max, 10000);
    loom_segment_close(segment);
}

/* Sanitizers and valgrind need the address space themselves. */
static bool address_space_can_be_limited(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return false;
#else
    return getenv("VOXLOOM_MEMCHECK") == NULL;
#endif
}

static void test_create_shrinks(void **state) {
    (void)state;
    if (!address_space_can_be_limited()) {
        print_message("skipped: the address space cannot be limited here\n");
        skip();
    }
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {.rlim_cur = UINT64_C(1) << 30, .rlim_max = UINT64_C(1) << 30};
        loom_segment_options options = {.workers = 2};
        loom_segment *segment;
        loom_error err = {0};
        if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(1);
        if (loom_segment_create(&options, &segment, &err) != LOOM_OK) _exit(2);
        if (segment->map_bytes > limit.rlim_cur / 4 || segment->map_bytes < limit.rlim_cur / 16) _exit(3);
        limit.rlim_cur = limit.rlim_max = 6 << 20; /* no room even for the least */
        if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(4);
        _exit(loom_segment_create(&options, &segment, &err) == LOOM_NO_MEMORY ? 0 : 5);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- heap ---- */

static void test_heap_bounds(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){.heap_bytes = 1 << 20});
    assert_null(loom_segment_pointer(segment, 0));
    assert_null(loom_segment_pointer(segment, (1 << 20) / 8));
    assert_null(loom_segment_pointer(segment, UINT32_MAX));
    loom_offset empty = loom_segment_put(segment, NULL, 0), full;
    size_t length = 7;
    assert_non_null(loom_segment_get(segment, empty, &length));
    assert_int_equal(length, 0);
    /* a length that leads out of the heap */
    loom_offset lies = loom_segment_alloc(segment, 8);
    *(uint32_t *)loom_segment_pointer(segment, lies) = UINT32_MAX;
    assert_null(loom_segment_get(segment, lies, &length));
    assert_int_equal(length, 0);
    assert_null(loom_segment_get(segment, UINT32_MAX, &length));
    assert_int_equal(loom_segment_alloc(segment, SIZE_MAX), 0);
    assert_int_equal(loom_segment_alloc(segment, (1 << 20) + 1), 0);
    /* pieces do not overlap, are zero, and all of the heap can be had */
    uint64_t pieces = 0;
    while ((full = loom_segment_alloc(segment, 24)) != 0) {
        uint64_t *words = loom_segment_pointer(segment, full);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(words[i], 0);
            words[i] = ++pieces;
        }
    }
    assert_true(pieces * 8 > (1 << 20) - 200);
    assert_true(loom_segment_used_bytes(segment) >= (1 << 20));
    uint32_t index;
    loom_error err = {0};
    uint32_t done = add_done(segment), count = loom_segment_task_count(segment);
    uint32_t many[64] = {done};
    assert_int_equal(loom_task_create(segment, many, 64, &index, &err), LOOM_NO_MEMORY);
    assert_int_equal(loom_segment_task_count(segment), count);
    loom_segment_close(segment);
}

static void test_heap_chunks_of_processes_are_apart(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){0}), *worker = loom_segment_alias(segment, 0);
    loom_offset last = 0;
    for (int i = 0; i < 20000; i++) {
        loom_segment *turn = i % 3 ? worker : segment;
        loom_offset at = loom_segment_alloc(turn, 16);
        assert_int_not_equal(at, 0);
        assert_int_not_equal(at, last);
        uint64_t *words = loom_segment_pointer(segment, at);
        assert_true(words[0] == 0 && words[1] == 0);
        words[0] = words[1] = UINT64_MAX;
        last = at;
    }
    loom_offset large = loom_segment_alloc(worker, 1 << 20);
    assert_int_equal(*(uint64_t *)loom_segment_pointer(segment, large), 0);
    assert_null(loom_segment_alias(segment, 2));
    loom_segment_close(worker);
    loom_segment_close(segment);
}

/* ---- tasks ---- */

static void test_task_limits(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){.tasks_max = 3});
    uint32_t index, zeros[LOOM_ARGUMENTS_MAX + 1] = {0};
    loom_error err = {0};
    assert_null(loom_segment_task(segment, 3));
    assert_null(loom_segment_task(segment, LOOM_TASK_NONE));
    assert_int_equal(state_of(segment, 2), LOOM_TASK_FREE);
    assert_int_equal(loom_task_create(segment, zeros, 1, &index, &err), LOOM_INTERNAL); /* no task 0 yet */
    uint32_t first = add(segment, NULL, 0);
    assert_int_equal(loom_task_create(segment, zeros, LOOM_ARGUMENTS_MAX + 1, &index, &err), LOOM_TOO_LARGE);
    assert_int_equal(loom_task_submit(segment, 99, &err), LOOM_INTERNAL);
    assert_int_equal(loom_task_submit(segment, first, &err), LOOM_OK);
    assert_int_equal(loom_task_submit(segment, first, &err), LOOM_INTERNAL);
    add(segment, NULL, 0);
    add(segment, NULL, 0);
    assert_int_equal(loom_task_create(segment, NULL, 0, &index, &err), LOOM_NO_MEMORY);
    assert_int_equal(loom_task_create_done(segment, &index, &err), LOOM_NO_MEMORY);
    loom_segment_close(segment);
}

/* A task becomes ready with its last argument, whichever way each argument was known. */
static void test_readiness(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){0}), *worker = loom_segment_alias(segment, 0);
    uint32_t constant = add_done(segment), early = add_submitted(segment, NULL, 0),
             late = add_submitted(segment, NULL, 0);
    uint32_t unpublished;
    assert_int_equal(loom_task_create_done(segment, &unpublished, NULL), LOOM_OK);
    assert_int_equal(take(worker), early);
    loom_task_finish(worker, early, LOOM_TASK_DONE);
    uint32_t sum = add_submitted(segment, (uint32_t[]){constant, early, late, late, unpublished}, 5);
    assert_int_equal(state_of(segment, sum), LOOM_TASK_WAITING);
    assert_int_equal(take(worker), late);
    assert_int_equal(loom_segment_running(segment, 0), late);
    assert_int_equal(loom_segment_running(segment, 1), LOOM_TASK_NONE);
    loom_task_finish(worker, late, LOOM_TASK_DONE);
    assert_int_equal(loom_segment_running(segment, 0), LOOM_TASK_NONE);
    assert_int_equal(state_of(segment, sum), LOOM_TASK_WAITING);
    loom_task_publish_done(segment, unpublished);
    assert_int_equal(state_of(segment, sum), LOOM_TASK_READY);
    assert_int_equal(take(worker), sum);
    loom_task_finish(worker, sum, LOOM_TASK_DONE);
    assert_int_equal(pop(segment), early);
    assert_int_equal(pop(segment), late);
    assert_int_equal(pop(segment), sum);
    assert_int_equal(pop(segment), LOOM_TASK_NONE);
    loom_segment_close(worker);
    loom_segment_close(segment);
}

/* 1, 63, 64, 65, 128, 4095, 4096 arguments, finished in an order that jumps between words. */
static void test_many_arguments(void **state) {
    (void)state;
    static const uint32_t counts[] = {1, 63, 64, 65, 128, 4095, LOOM_ARGUMENTS_MAX};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        uint32_t n = counts[c], *arguments = calloc(n, sizeof *arguments);
        loom_segment *segment = create((loom_segment_options){0});
        assert_non_null(arguments);
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(loom_task_create_done(segment, &arguments[i], NULL), LOOM_OK);
        uint32_t sum = add_submitted(segment, arguments, n);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(state_of(segment, sum), LOOM_TASK_WAITING);
            loom_task_publish_done(segment,
                                   arguments[(uint64_t)i * 2731 % n]); /* 2731 is prime and divides none of n */
        }
        assert_int_equal(state_of(segment, sum), LOOM_TASK_READY);
        loom_segment_close(segment);
        free(arguments);
    }
}

static void test_failure(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){0}), *worker = loom_segment_alias(segment, 0);
    uint32_t bad = add_submitted(segment, NULL, 0);
    uint32_t before = add_submitted(segment, &bad, 1);
    assert_int_equal(take(worker), bad);
    assert_false(loom_task_fail(segment, bad, LOOM_CANCELLED, NULL)); /* it runs */
    loom_segment_task(segment, bad)->status = LOOM_BAD_ARGUMENT;
    loom_task_finish(worker, bad, LOOM_TASK_FAILED);
    assert_int_equal(pop(segment), bad);
    assert_int_equal(state_of(segment, bad), LOOM_TASK_FAILED);
    assert_int_equal(take(worker), LOOM_TASK_NONE);
    uint32_t behind = add_submitted(segment, &bad, 1); /* submitted after the failure */
    assert_int_equal(state_of(segment, behind), LOOM_TASK_WAITING);
    loom_error cause = {0};
    loom_fail(&cause, LOOM_SKIPPED, "because");
    assert_true(loom_task_fail(segment, before, LOOM_SKIPPED, &cause));
    assert_false(loom_task_fail(segment, before, LOOM_SKIPPED, &cause));
    assert_int_equal(loom_segment_task(segment, before)->status, LOOM_SKIPPED);
    size_t length;
    const loom_error *copied = loom_segment_get(segment, loom_segment_task(segment, before)->error, &length);
    assert_int_equal(length, sizeof *copied);
    assert_string_equal(copied->message, "because");
    /* a READY one is failed in the queue: whoever finds the entry passes over it */
    uint32_t ready = add_submitted(segment, NULL, 0), next = add_submitted(segment, NULL, 0);
    assert_true(loom_task_fail(segment, ready, LOOM_CANCELLED, NULL));
    assert_int_equal(take(worker), next);
    assert_false(loom_task_fail(segment, add_done(segment), LOOM_CANCELLED, NULL));
    assert_int_equal(pop(segment), LOOM_TASK_NONE);
    loom_segment_close(worker);
    loom_segment_close(segment);
}

static void test_finish_only_what_one_runs(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){0}), *a = loom_segment_alias(segment, 0),
                 *b = loom_segment_alias(segment, 1);
    uint32_t task = add_submitted(segment, NULL, 0);
    loom_task_finish(a, task, LOOM_TASK_DONE);
    assert_int_equal(state_of(segment, task), LOOM_TASK_READY);
    assert_int_equal(take(a), task);
    loom_task_finish(b, task, LOOM_TASK_DONE);
    assert_int_equal(state_of(segment, task), LOOM_TASK_RUNNING);
    loom_task_finish(a, task, LOOM_TASK_DONE);
    loom_task_finish(a, task, LOOM_TASK_DONE);
    loom_task_finish(a, 5000000, LOOM_TASK_DONE);
    assert_int_equal(pop(segment), task);
    assert_int_equal(pop(segment), LOOM_TASK_NONE);
    loom_segment_close(a);
    loom_segment_close(b);
    loom_segment_close(segment);
}

/* What the coordinator has measured reaches the workers; what helpers worked reaches the owner, once. */
static void test_costs(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){.operators = 3}), *owner = loom_segment_alias(segment, 0);
    loom_segment *helper = loom_segment_alias(segment, 1);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(loom_segment_cost(owner, i), 0);
    loom_segment_set_cost(segment, 2, 700);
    loom_segment_set_cost(segment, 0, UINT64_C(1) << 40);
    loom_segment_set_cost(segment, 3, 1); /* there is no such operator */
    assert_int_equal(loom_segment_cost(owner, 2), 700);
    assert_int_equal(loom_segment_cost(owner, 0), UINT32_MAX);
    assert_int_equal(loom_segment_cost(owner, 1), 0);
    assert_int_equal(loom_segment_cost(owner, 3), 0);
    loom_split_seat own, seat;
    uint32_t task = add_submitted(segment, NULL, 0);
    assert_int_equal(take(owner), task);
    loom_split_open(owner, &(loom_split_phase){.task = task, .parts = 2, .units = 2, .grain = 1}, &own);
    assert_true(loom_split_join(helper, &seat));
    loom_split_add_work(helper, &seat, 5000);
    loom_split_add_work(helper, &seat, 70);
    assert_true(loom_split_is_read(segment, task));
    assert_false(loom_split_is_read(segment, task + 1));
    loom_split_leave(helper, &seat, false);
    assert_false(loom_split_is_read(segment, task));
    loom_split_close(owner);
    assert_int_equal(loom_split_take_work(owner), 5070);
    assert_int_equal(loom_split_take_work(owner), 0);
    loom_segment_close(helper);
    loom_segment_close(owner);
    loom_segment_close(segment);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attach_sees_the_same_bytes),
        cmocka_unit_test(test_attach_refuses_strangers),
        cmocka_unit_test(test_create_checks),
        cmocka_unit_test(test_create_shrinks),
        cmocka_unit_test(test_heap_bounds),
        cmocka_unit_test(test_heap_chunks_of_processes_are_apart),
        cmocka_unit_test(test_task_limits),
        cmocka_unit_test(test_readiness),
        cmocka_unit_test(test_many_arguments),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_finish_only_what_one_runs),
        cmocka_unit_test(test_costs),
    };
    return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
