/* test_segment.c - each function of segment.h in one process: a coordinator's handle and aliases that play the workers,
 * so that every interleaving here is chosen by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "shm/platform_futex.h"
#include "shm/segment/segment_layout.h"
#include "shm/segment/split.h"

static const uint8_t signature[32] = {9, 8, 7};

static loom_segment *create(loom_segment_options options) {
    loom_segment *segment = NULL;
    loom_error err = {0};
    memcpy(options.table_signature, signature, sizeof signature);
    if (!options.workers) options.workers = 2;
    if (!options.tasks_max) options.tasks_max = 10000;
    if (!options.heap_bytes) options.heap_bytes = 8 << 20;
    assert_int_equal(loom_segment_create(&options, &segment, &err), LOOM_OK);
    return segment;
}

static loom_task_state state_of(const loom_segment *segment, uint32_t index) {
    return loom_state_of(atomic_load(&loom_segment_task(segment, index)->state));
}

static uint32_t add(loom_segment *segment, const uint32_t *arguments, uint32_t count) {
    uint32_t index = LOOM_TASK_NONE;
    loom_error err = {0};
    assert_int_equal(loom_task_create(segment, arguments, count, &index, &err), LOOM_OK);
    return index;
}

static uint32_t add_submitted(loom_segment *segment, const uint32_t *arguments, uint32_t count) {
    uint32_t index = add(segment, arguments, count);
    assert_int_equal(loom_task_submit(segment, index, NULL), LOOM_OK);
    return index;
}

static uint32_t add_done(loom_segment *segment) {
    uint32_t index = LOOM_TASK_NONE;
    assert_int_equal(loom_task_create_done(segment, &index, NULL), LOOM_OK);
    loom_task_publish_done(segment, index);
    return index;
}

static uint32_t take(loom_segment *worker) {
    bool stopped;
    return loom_task_take(worker, 0, &stopped);
}

static uint32_t pop(loom_segment *segment) {
    uint32_t index;
    return loom_completion_pop(segment, &index) ? index : LOOM_TASK_NONE;
}

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

static void test_create_checks_and_shrinks(void **state) {
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
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they need the address space themselves */
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {.rlim_cur = UINT64_C(1) << 30, .rlim_max = UINT64_C(1) << 30};
        loom_segment_options options = {.workers = 2};
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
#endif
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
    uint32_t before = add_submitted(segment, &bad, 1), other = add_submitted(segment, &bad, 1);
    assert_int_equal(take(worker), bad);
    assert_false(loom_task_fail(segment, bad, LOOM_CANCELLED, NULL)); /* it runs */
    loom_segment_task(segment, bad)->status = LOOM_BAD_ARGUMENT;
    loom_task_finish(worker, bad, LOOM_TASK_FAILED);
    assert_int_equal(pop(segment), bad);
    assert_int_equal(state_of(segment, bad), LOOM_TASK_FAILED);
    assert_int_equal(take(worker), LOOM_TASK_NONE);
    loom_offset cursor = 0;
    uint32_t successor;
    assert_true(loom_task_next_successor(segment, bad, &cursor, &successor));
    assert_int_equal(successor, other);
    assert_true(loom_task_next_successor(segment, bad, &cursor, &successor));
    assert_int_equal(successor, before);
    assert_false(loom_task_next_successor(segment, bad, &cursor, &successor));
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

/* Newest first from one's own deque, oldest first from another's, neighbours before strangers. */
static void test_order_of_taking(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){.workers = 3}), *worker[3];
    for (uint32_t i = 0; i < 3; i++)
        worker[i] = loom_segment_alias(segment, i);
    loom_segment_set_worker_domain(segment, 0, 1);
    loom_segment_set_worker_domain(segment, 1, 0);
    loom_segment_set_worker_domain(segment, 2, 1);
    uint32_t root[2] = {add_submitted(segment, NULL, 0), add_submitted(segment, NULL, 0)}, leaf[2][4];
    for (uint32_t r = 0; r < 2; r++)
        for (uint32_t i = 0; i < 4; i++)
            leaf[r][i] = add_submitted(segment, &root[r], 1);
    assert_int_equal(take(worker[0]), root[0]);
    assert_int_equal(take(worker[1]), root[1]);
    loom_task_finish(worker[0], root[0], LOOM_TASK_DONE);
    loom_task_finish(worker[1], root[1], LOOM_TASK_DONE);
    /* successors are listed newest first, so the first submitted is pushed last and taken first */
    assert_int_equal(take(worker[0]), leaf[0][0]);
    assert_int_equal(take(worker[2]), leaf[0][3]); /* its neighbour's oldest */
    uint32_t near = add(segment, NULL, 0), far = add(segment, NULL, 0);
    loom_segment_task(segment, near)->domain = 1;
    loom_segment_task(segment, far)->domain = 0;
    assert_int_equal(loom_task_submit(segment, far, NULL), LOOM_OK);
    assert_int_equal(loom_task_submit(segment, near, NULL), LOOM_OK);
    assert_int_equal(take(worker[2]), near);       /* the coordinator's for this domain */
    assert_int_equal(take(worker[2]), leaf[0][2]); /* the neighbour's */
    assert_int_equal(take(worker[2]), leaf[0][1]);
    assert_int_equal(take(worker[2]), far);        /* the coordinator's for another domain */
    assert_int_equal(take(worker[2]), leaf[1][3]); /* a stranger's */
    assert_int_equal(atomic_load(&loom_segment_counters(segment, 2)->steals), 4);
    assert_null(loom_segment_counters(segment, 3));
    for (uint32_t i = 0; i < 3; i++)
        loom_segment_close(worker[i]);
    loom_segment_close(segment);
}

static void test_stop_and_timeouts(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){0}), *worker = loom_segment_alias(segment, 1);
    bool stopped = true;
    assert_int_equal(loom_task_take(worker, 3, &stopped), LOOM_TASK_NONE); /* parks and comes back */
    assert_false(stopped);
    assert_int_equal(atomic_load(&segment->header->sleepers[0]), 0);
    loom_completion_wait(segment, 3);
    loom_segment_ring_doorbell(segment);
    loom_completion_wait(segment, -1); /* the ring came before the wait: no limit is needed */
    uint32_t task = add_submitted(segment, NULL, 0);
    assert_int_equal(take(worker), task);
    loom_task_finish(worker, task, LOOM_TASK_DONE);
    loom_completion_wait(segment, -1); /* a completion is there */
    assert_int_equal(pop(segment), task);
    add_submitted(segment, NULL, 0);
    loom_segment_stop(segment);
    assert_int_equal(loom_task_take(worker, -1, &stopped), LOOM_TASK_NONE);
    assert_true(stopped);
    assert_int_equal(loom_task_take(segment, 0, &stopped), LOOM_TASK_NONE); /* the coordinator takes nothing */
    assert_true(stopped);
    loom_segment_close(worker);
    loom_segment_close(segment);
}

/* ---- freeing ---- */

static uint32_t run_one(loom_segment *segment, loom_segment *worker, const uint32_t *arguments, uint32_t count) {
    uint32_t index = add_submitted(segment, arguments, count);
    assert_int_equal(take(worker), index);
    loom_task_finish(worker, index, LOOM_TASK_DONE);
    assert_int_equal(pop(segment), index);
    return index;
}

static void test_slots_come_back(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){.tasks_max = 3}), *worker = loom_segment_alias(segment, 0);
    uint32_t root = run_one(segment, worker, NULL, 0), leaf = add_submitted(segment, &root, 1), index;
    assert_int_equal(loom_task_free(segment, leaf), LOOM_INTERNAL); /* READY */
    assert_int_equal(take(worker), leaf);
    assert_int_equal(loom_task_free(segment, leaf), LOOM_INTERNAL); /* RUNNING */
    assert_int_equal(loom_task_free(segment, 2), LOOM_INTERNAL);    /* never used */
    assert_int_equal(loom_task_free(segment, 3), LOOM_INTERNAL);
    loom_task_finish(worker, leaf, LOOM_TASK_DONE);
    assert_int_equal(pop(segment), leaf);
    assert_int_equal(loom_segment_live(segment), 2);
    loom_segment_task(segment, root)->payload = loom_segment_put(worker, "sixteen and more bytes", 22);
    assert_int_equal(loom_task_free(segment, root), LOOM_OK);
    assert_int_equal(loom_task_free(segment, root), LOOM_INTERNAL);                     /* twice */
    assert_int_equal(loom_task_create(segment, &root, 1, &index, NULL), LOOM_INTERNAL); /* no argument any more */
    assert_int_equal(loom_segment_live(segment), 1);
    uint32_t next = add(segment, &leaf, 1);
    assert_int_equal(next, root);
    const loom_task *task = loom_segment_task(segment, next);
    assert_int_equal(state_of(segment, next), LOOM_TASK_WAITING);
    assert_true(task->payload == 0 && task->flags == 0 && task->argument_count == 1 && task->list_next == 0);
    add(segment, NULL, 0);
    assert_int_equal(loom_task_create(segment, NULL, 0, &index, NULL), LOOM_NO_MEMORY);
    assert_int_equal(loom_segment_task_count(segment), 3);
    loom_segment_close(worker);
    loom_segment_close(segment);
}

/* A hundred thousand tasks of all sorts, in the memory of a few. */
static void test_heap_pieces_come_back(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){.tasks_max = 300}), *worker = loom_segment_alias(segment, 0);
    static const uint8_t bytes[70000];
    uint64_t seed = 5;
    uint32_t roots[200];
    for (uint32_t i = 0; i < 200; i++)
        roots[i] = run_one(segment, worker, NULL, 0);
    for (uint32_t i = 0; i < 30000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        uint32_t count = (uint32_t)(seed >> 33) % 200, index = add(segment, roots, count);
        loom_task *task = loom_segment_task(segment, index);
        task->attributes = loom_segment_put(segment, bytes, (seed >> 40) % 100);
        assert_int_equal(loom_task_submit(segment, index, NULL), LOOM_OK);
        assert_int_equal(take(worker), index);
        task->payload = loom_segment_put(worker, bytes, (seed >> 45) % (i % 100 ? 300 : sizeof bytes));
        task->memo = loom_segment_put(worker, bytes, 70);
        task->bulk.bytes = (seed >> 50) % 100 << 20;
        task->hashes = loom_segment_alloc(worker, loom_extent_block_count(task->bulk.bytes) * 8);
        assert_true(task->attributes && task->payload && task->memo && task->hashes);
        loom_task_finish(worker, index, i % 7 ? LOOM_TASK_DONE : LOOM_TASK_FAILED);
        assert_int_equal(pop(segment), index);
        assert_int_equal(loom_task_free(segment, index), LOOM_OK);
    }
    assert_int_equal(loom_segment_task_count(segment), 201);
    loom_segment_close(worker);
    loom_segment_close(segment);
}

/* Pieces of every size: what comes back is as large as what was asked for, and overlaps nothing. */
static void test_pieces_do_not_overlap(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){.heap_bytes = 64 << 20}),
                 *worker = loom_segment_alias(segment, 0);
    enum { PIECES = 400 };
    loom_offset at[PIECES] = {0};
    uint64_t units[PIECES] = {0}, seed = 9;
    for (uint32_t round = 0; round < 40000; round++) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        uint32_t i = (uint32_t)(seed >> 33) % PIECES;
        uint64_t *words = loom_segment_pointer(segment, at[i]);
        for (uint64_t k = 0; words && k < units[i]; k++)
            assert_int_equal(words[k], i);
        loom_segment_free_units(segment, at[i], units[i]);
        units[i] = 1 + (seed >> 40) % (round % 50 ? 70 : 3000);
        at[i] = loom_segment_alloc_units(round % 2 ? segment : worker, units[i]);
        words = loom_segment_pointer(segment, at[i]);
        assert_non_null(words);
        for (uint64_t k = 0; k < units[i]; k++)
            words[k] = i;
    }
    loom_segment_close(worker);
    loom_segment_close(segment);
}

/* Everything that may still name a slot when another task has it. */
static void test_stale_hints(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){0}), *dead = loom_segment_alias(segment, 0);
    loom_segment *alive = loom_segment_alias(segment, 1);
    uint32_t root = add_submitted(segment, NULL, 0), leaf = add_submitted(segment, &root, 1), running;
    assert_int_equal(take(dead), root);
    loom_task_finish(dead, root, LOOM_TASK_DONE);
    /* dies as if just before IDLE: the completion is in the ring, and recovery puts it on its list too */
    loom_journal_write(&segment->slots[0].journal, LOOM_PHASE_FINISHING, root);
    loom_segment_recover(segment, 0, &running);
    assert_int_equal(pop(segment), root);
    assert_int_equal(take(alive), leaf);
    loom_task_finish(alive, leaf, LOOM_TASK_DONE);
    loom_journal_write(&segment->slots[1].journal, LOOM_PHASE_FINISHING, leaf);
    loom_segment_recover(segment, 1, &running);
    assert_int_equal(pop(segment), leaf); /* from the list; freed while the ring still has both */
    assert_int_equal(loom_task_free(segment, leaf), LOOM_OK);
    assert_int_equal(loom_task_free(segment, root), LOOM_OK);
    /* both numbers again, one born done, one finished: neither is what the ring speaks of */
    uint32_t born = add_done(segment), next = add_submitted(segment, &born, 1);
    assert_true((born == root && next == leaf) || (born == leaf && next == root));
    assert_int_equal(pop(segment), LOOM_TASK_NONE);
    loom_deque_push(loom_deque_at(segment, segment->workers), next); /* an old entry: the task is READY, so take it */
    assert_int_equal(take(alive), next);
    assert_int_equal(take(dead), LOOM_TASK_NONE); /* the other entry for it */
    loom_task_finish(alive, next, LOOM_TASK_DONE);
    assert_int_equal(pop(segment), next);
    /* a journal of the first life */
    loom_journal_write(&segment->slots[0].journal, LOOM_PHASE_FINISHING, root);
    loom_segment_recover(segment, 0, &running);
    assert_int_equal(running, LOOM_TASK_NONE);
    assert_int_equal(pop(segment), LOOM_TASK_NONE);
    loom_segment_close(alive);
    loom_segment_close(dead);
    loom_segment_close(segment);
}

/* A worker dies when its completion was taken and the tasks behind were freed, but its journal says FINISHING: nobody
 * walks into their links again. A task on the recovery's list can be freed. */
static void test_recovery_after_freeing(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){0}), *dead = loom_segment_alias(segment, 0);
    uint32_t source = add_submitted(segment, NULL, 0), user = add_submitted(segment, &source, 1), other[2], running;
    for (uint32_t taken = take(dead); taken != LOOM_TASK_NONE; taken = take(dead))
        loom_task_finish(dead, taken, LOOM_TASK_DONE);
    while (pop(segment) != LOOM_TASK_NONE) {
    }
    assert_int_equal(loom_task_free(segment, user), LOOM_OK);
    for (uint32_t i = 0; i < 2; i++)
        other[i] = add(segment, &source, 1); /* the first takes over number and links */
    assert_int_equal(other[0], user);
    loom_journal_write(&segment->slots[0].journal, LOOM_PHASE_FINISHING, source);
    loom_segment_recover(segment, 0, &running);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(state_of(segment, other[i]), LOOM_TASK_WAITING); /* not submitted: nobody may clear its bit */
    assert_int_equal(loom_task_free(segment, source), LOOM_OK);           /* from the middle of nothing: the list */
    assert_int_equal(pop(segment), LOOM_TASK_NONE);
    loom_segment_close(dead);
    loom_segment_close(segment);
}

/* ---- recovery; a worker "dies" when the test stops calling its functions ---- */

static void test_recover_running(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){.deaths_max = 3}), *dead = loom_segment_alias(segment, 0);
    loom_segment *alive = loom_segment_alias(segment, 1);
    uint32_t root = add_submitted(segment, NULL, 0), leaf[5], running;
    for (uint32_t i = 0; i < 5; i++)
        leaf[i] = add_submitted(segment, &root, 1);
    assert_int_equal(take(dead), root);
    loom_task_finish(dead, root, LOOM_TASK_DONE);
    assert_int_equal(take(dead), leaf[0]);
    loom_task *task = loom_segment_task(segment, leaf[0]);
    task->inline_bytes = 8; /* a result that was half written */
    task->payload = 3;
    task->bulk.bytes = 4096;
    task->flags |= LOOM_TASK_BLOB | LOOM_TASK_NO_LOOKUP;
    loom_segment_recover(segment, 0, &running);
    assert_int_equal(running, leaf[0]);
    assert_int_equal(task->deaths, 1);
    assert_true(task->inline_bytes == 0 && task->payload == 0 && task->bulk.bytes == 0);
    assert_int_equal(task->flags, LOOM_TASK_NO_LOOKUP | LOOM_TASK_SUBMITTED);
    loom_segment_recover(segment, 0, &running); /* again: nothing more */
    assert_int_equal(running, LOOM_TASK_NONE);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < 5; i++) { /* all five, by the other worker; each once */
        uint32_t taken = take(alive);
        for (uint32_t k = 0; k < 5; k++)
            if (taken == leaf[k]) seen |= 1u << k;
        if (taken != leaf[0]) loom_task_finish(alive, taken, LOOM_TASK_DONE);
    }
    assert_int_equal(seen, 31);
    assert_int_equal(take(alive), LOOM_TASK_NONE);
    loom_segment_close(alive);
    loom_segment_close(dead);
    loom_segment_close(segment);
}

static void test_held_back_after_deaths(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){.deaths_max = 2}), *worker = loom_segment_alias(segment, 0);
    uint32_t task = add_submitted(segment, NULL, 0), running;
    for (int death = 0; death < 2; death++) {
        assert_int_equal(take(worker), task);
        loom_segment_recover(segment, 0, &running);
        assert_int_equal(running, task);
    }
    assert_int_equal(loom_segment_task(segment, task)->deaths, 2);
    assert_int_equal(take(worker), LOOM_TASK_NONE);
    assert_true(loom_task_fail(segment, task, LOOM_WORKER_DIED, NULL));
    assert_int_equal(state_of(segment, task), LOOM_TASK_FAILED);
    loom_segment_close(worker);
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
    loom_split_leave(helper, &seat, false);
    loom_split_close(owner);
    assert_int_equal(loom_split_take_work(owner), 5070);
    assert_int_equal(loom_split_take_work(owner), 0);
    loom_segment_close(helper);
    loom_segment_close(owner);
    loom_segment_close(segment);
}

/* Died after it made the task DONE and before it told anyone: recovery tells successors and coordinator. */
static void test_recover_finishing(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){0}), *dead = loom_segment_alias(segment, 0);
    loom_segment *alive = loom_segment_alias(segment, 1);
    uint32_t root[2] = {add_submitted(segment, NULL, 0), add_submitted(segment, NULL, 0)}, running;
    uint32_t leaf = add_submitted(segment, &root[0], 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(take(dead), root[i]);
        loom_journal_write(&segment->slots[0].journal, LOOM_PHASE_FINISHING, root[i]);
        atomic_store(&loom_segment_task(segment, root[i])->state,
                     loom_state_word(i ? LOOM_TASK_FAILED : LOOM_TASK_DONE, 0, 1));
        loom_segment_recover(segment, 0, &running);
        assert_int_equal(running, LOOM_TASK_NONE);
        loom_journal_write(&segment->slots[0].journal, LOOM_PHASE_FINISHING, root[i]); /* as if recovered twice */
        loom_segment_recover(segment, 0, &running);
    }
    assert_int_equal(take(alive), leaf);
    assert_int_equal(take(alive), LOOM_TASK_NONE);
    assert_int_equal(pop(segment), root[1]);
    assert_int_equal(pop(segment), root[0]);
    assert_int_equal(pop(segment), LOOM_TASK_NONE);
    loom_segment_close(alive);
    loom_segment_close(dead);
    loom_segment_close(segment);
}

static void test_recover_a_cut_off_pop(void **state) {
    (void)state;
    loom_segment *segment = create((loom_segment_options){0}), *dead = loom_segment_alias(segment, 0);
    loom_segment *alive = loom_segment_alias(segment, 1);
    uint32_t root = add_submitted(segment, NULL, 0), leaf[2], running;
    for (int i = 0; i < 2; i++)
        leaf[i] = add_submitted(segment, &root, 1);
    assert_int_equal(take(dead), root);
    loom_task_finish(dead, root, LOOM_TASK_DONE);
    loom_deque *deque = &segment->deques[0];
    atomic_fetch_sub(&deque->bottom, 1); /* the first step of a pop */
    loom_segment_recover(segment, 0, &running);
    assert_int_equal(atomic_load(&deque->bottom), atomic_load(&deque->top));
    uint32_t first = take(alive), second = take(alive);
    assert_true((first == leaf[0] && second == leaf[1]) || (first == leaf[1] && second == leaf[0]));
    /* the first step of a pop from an empty deque: the next owner's push must not be hidden */
    atomic_fetch_sub(&deque->bottom, 1);
    loom_segment_recover(segment, 0, &running);
    uint32_t more = add_submitted(segment, &first, 1);
    loom_task_finish(alive, second, LOOM_TASK_DONE);
    assert_int_equal(state_of(segment, first), LOOM_TASK_RUNNING);
    loom_task_finish(alive, first, LOOM_TASK_DONE);
    assert_int_equal(take(dead), more);
    loom_segment_close(alive);
    loom_segment_close(dead);
    loom_segment_close(segment);
}

static void test_futex_returns_on_change(void **state) {
    (void)state;
    _Atomic uint32_t word = 1;
    loom_futex_wait(&word, 0, -1); /* other value: at once */
    loom_futex_wait(&word, 1, 2);
    loom_futex_wake(&word);
    assert_int_equal(word, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attach_sees_the_same_bytes),
        cmocka_unit_test(test_attach_refuses_strangers),
        cmocka_unit_test(test_create_checks_and_shrinks),
        cmocka_unit_test(test_heap_bounds),
        cmocka_unit_test(test_heap_chunks_of_processes_are_apart),
        cmocka_unit_test(test_task_limits),
        cmocka_unit_test(test_readiness),
        cmocka_unit_test(test_many_arguments),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_finish_only_what_one_runs),
        cmocka_unit_test(test_order_of_taking),
        cmocka_unit_test(test_stop_and_timeouts),
        cmocka_unit_test(test_slots_come_back),
        cmocka_unit_test(test_heap_pieces_come_back),
        cmocka_unit_test(test_pieces_do_not_overlap),
        cmocka_unit_test(test_stale_hints),
        cmocka_unit_test(test_recovery_after_freeing),
        cmocka_unit_test(test_recover_running),
        cmocka_unit_test(test_held_back_after_deaths),
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_recover_finishing),
        cmocka_unit_test(test_recover_a_cut_off_pop),
        cmocka_unit_test(test_futex_returns_on_change),
    };
    return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
