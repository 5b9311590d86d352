/* test_segment_take.c - in which order workers take tasks, and how they and the coordinator wait and stop. */
#include "segment_scene.h"

#include "shm/platform_futex.h"

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
        cmocka_unit_test(test_order_of_taking),
        cmocka_unit_test(test_stop_and_timeouts),
        cmocka_unit_test(test_futex_returns_on_change),
    };
    return cmocka_run_group_tests_name("segment_take", tests, NULL, NULL);
}
