/* test_segment_recover.c - what recovery makes of a dead worker; a worker "dies" when the test stops calling its
 * functions. */
#include "segment_scene.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recover_running),
        cmocka_unit_test(test_held_back_after_deaths),
        cmocka_unit_test(test_recover_finishing),
        cmocka_unit_test(test_recover_a_cut_off_pop),
    };
    return cmocka_run_group_tests_name("segment_recover", tests, NULL, NULL);
}
