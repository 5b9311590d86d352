/* test_segment_budget.c - what a run has committed of its memory: exact whatever workers do and wherever they die; and
 * tasks that are held back for want of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "shm/segment/segment_layout.h"

#define MIB (UINT64_C(1) << 20)

typedef struct fixture {
    loom_segment *coordinator, *workers[2];
    uint64_t empty; /* what the segment itself comes to */
} fixture;

/* A segment with `tasks` tasks that are READY. */
static fixture begin(uint32_t tasks, uint64_t budget) {
    fixture it;
    loom_segment_options options = {.workers = 2, .tasks_max = 1024, .heap_bytes = MIB, .budget_bytes = budget};
    assert_int_equal(loom_segment_create(&options, &it.coordinator, NULL), LOOM_OK);
    for (uint32_t i = 0; i < 2; i++)
        it.workers[i] = loom_segment_alias(it.coordinator, i);
    for (uint32_t i = 0, index; i < tasks; i++) {
        assert_int_equal(loom_task_create(it.coordinator, NULL, 0, &index, NULL), LOOM_OK);
        assert_int_equal(loom_task_submit(it.coordinator, index, NULL), LOOM_OK);
    }
    it.empty = loom_segment_committed(it.coordinator);
    return it;
}

static void end(fixture *it) {
    for (int i = 0; i < 2; i++)
        loom_segment_close(it->workers[i]);
    loom_segment_close(it->coordinator);
}

static uint64_t committed(const fixture *it) {
    return loom_segment_committed(it->coordinator) - it->empty;
}

static uint32_t take(fixture *it, int worker) {
    bool stopped;
    uint32_t index = loom_task_take(it->workers[worker], 0, &stopped);
    assert_int_not_equal(index, LOOM_TASK_NONE);
    return index;
}

static void a_result_counts_until_it_is_released(void **state) {
    (void)state;
    fixture it = begin(2, 0);
    assert_true(loom_segment_budget(it.coordinator) == UINT64_MAX);
    uint32_t first = take(&it, 0), second = take(&it, 1);
    assert_true(loom_segment_commit_bytes(it.workers[0], 3 * MIB, UINT64_MAX));
    assert_true(loom_segment_commit_bytes(it.workers[0], 2 * MIB, UINT64_MAX)); /* scratch */
    assert_true(loom_segment_commit_bytes(it.workers[1], 7 * MIB, UINT64_MAX));
    assert_int_equal(committed(&it), 12 * MIB);
    loom_segment_keep_bytes(it.workers[0], 3 * MIB);
    loom_task_finish(it.workers[0], first, LOOM_TASK_DONE);
    assert_int_equal(committed(&it), 10 * MIB);
    loom_task_finish(it.workers[1], second, LOOM_TASK_FAILED); /* has no result */
    assert_int_equal(committed(&it), 3 * MIB);
    loom_segment_release_bytes(it.coordinator, 3 * MIB);
    assert_int_equal(committed(&it), 0);
    assert_int_equal(loom_segment_committed_peak(it.coordinator) - it.empty, 12 * MIB);
    end(&it);
}

static void what_exceeds_the_limit_is_not_committed(void **state) {
    (void)state;
    fixture it = begin(2, 64 * MIB);
    uint64_t limit = it.empty + 10 * MIB;
    assert_int_equal(loom_segment_budget(it.workers[0]), 64 * MIB);
    (void)take(&it, 0);
    (void)take(&it, 1);
    assert_true(loom_segment_commit_bytes(it.workers[0], 6 * MIB, limit));
    assert_false(loom_segment_commit_bytes(it.workers[1], 5 * MIB, limit));
    assert_int_equal(committed(&it), 6 * MIB);
    assert_true(loom_segment_commit_bytes(it.workers[1], 4 * MIB, limit));
    assert_false(loom_segment_commit_bytes(it.workers[1], 1, limit));
    end(&it);
}

/* What it wanted is no place: whoever lets the task go must not give back bytes of extent 0. */
static void a_task_that_fails_while_held_back_has_no_bytes(void **state) {
    (void)state;
    fixture it = begin(1, 0);
    uint32_t told, index = take(&it, 0);
    loom_task_hold_back(it.workers[0], index, 9 * MIB);
    assert_true(loom_completion_pop(it.coordinator, &told));
    assert_true(loom_task_fail(it.coordinator, index, LOOM_SKIPPED, NULL));
    assert_int_equal(loom_segment_task(it.coordinator, index)->bulk.bytes, 0);
    end(&it);
}

/* It comes to the coordinator, and to nobody else until that lets it go on. */
static void a_task_is_held_back_and_goes_on(void **state) {
    (void)state;
    fixture it = begin(1, 0);
    bool stopped;
    uint32_t told, index = take(&it, 0);
    assert_true(loom_segment_commit_bytes(it.workers[0], 6 * MIB, UINT64_MAX));
    loom_task_hold_back(it.workers[0], index, 9 * MIB);
    assert_int_equal(committed(&it), 0);
    assert_int_equal(loom_task_take(it.workers[1], 0, &stopped), LOOM_TASK_NONE);
    assert_true(loom_completion_pop(it.coordinator, &told));
    assert_int_equal(told, index);
    const loom_task *task = loom_segment_task(it.coordinator, index);
    assert_int_equal(atomic_load(&task->state) & 0xff, LOOM_TASK_READY);
    assert_int_equal(task->bulk.bytes, 9 * MIB);
    assert_int_equal(task->deaths, 0);
    assert_false(loom_completion_pop(it.coordinator, &told));
    uint32_t attempt = loom_task_attempt(task);
    assert_true(loom_task_is_held_back(it.coordinator, index, attempt));
    assert_true(loom_task_go_on(it.coordinator, index, attempt, true));
    assert_int_equal(take(&it, 1), index);
    assert_true(task->flags & LOOM_TASK_BEYOND);
    assert_false(loom_task_go_on(it.coordinator, index, attempt, false)); /* it runs */
    assert_false(loom_task_is_held_back(it.coordinator, index, attempt));
    loom_task_finish(it.workers[1], index, LOOM_TASK_DONE);
    assert_true(loom_completion_pop(it.coordinator, &told));
    end(&it);
}

/* What is remembered of a task that was held back is not taken for what came after it: held back again, or another
 * task in the same slot. */
static void a_slot_is_another_tasks_later(void **state) {
    (void)state;
    fixture it = begin(1, 0);
    uint32_t told, index = take(&it, 0), other;
    const loom_task *task = loom_segment_task(it.coordinator, index);
    loom_task_hold_back(it.workers[0], index, MIB);
    assert_true(loom_completion_pop(it.coordinator, &told));
    uint32_t first = loom_task_attempt(task);
    assert_true(loom_task_go_on(it.coordinator, index, first, false));
    assert_int_equal(take(&it, 1), index);
    loom_task_hold_back(it.workers[1], index, 2 * MIB);
    assert_true(loom_completion_pop(it.coordinator, &told));
    uint32_t second = loom_task_attempt(task);
    assert_false(loom_task_go_on(it.coordinator, index, first, true));
    assert_false(task->flags & LOOM_TASK_BEYOND);
    assert_true(loom_task_fail(it.coordinator, index, LOOM_SKIPPED, NULL));
    assert_false(loom_task_is_held_back(it.coordinator, index, second));
    assert_int_equal(loom_task_free(it.coordinator, index), LOOM_OK);
    assert_int_equal(loom_task_create(it.coordinator, NULL, 0, &other, NULL), LOOM_OK);
    assert_int_equal(other, index);
    assert_int_equal(loom_task_submit(it.coordinator, other, NULL), LOOM_OK); /* READY, as what is held back */
    assert_false(loom_task_go_on(it.coordinator, index, second, true));
    assert_false(task->flags & LOOM_TASK_BEYOND);
    assert_int_equal(take(&it, 0), other);
    end(&it);
}

/* A worker that dies when the coordinator has taken its completion, and used the slot for another task. */
static void a_death_after_the_completion_was_taken(void **state) {
    (void)state;
    fixture it = begin(1, 0);
    uint32_t told, running, index = take(&it, 0);
    assert_true(loom_segment_commit_bytes(it.workers[0], 5 * MIB, UINT64_MAX));
    loom_segment_keep_bytes(it.workers[0], 3 * MIB);
    loom_task_finish(it.workers[0], index, LOOM_TASK_DONE);
    assert_true(loom_completion_pop(it.coordinator, &told));
    assert_int_equal(loom_task_free(it.coordinator, index), LOOM_OK);
    /* Its journal still says so: it had not come to the last line of loom_task_finish. */
    loom_journal_write(&it.coordinator->slots[0].journal, LOOM_PHASE_FINISHING, index);
    loom_segment_recover(it.coordinator, 0, &running);
    assert_int_equal(running, LOOM_TASK_NONE);
    assert_int_equal(committed(&it), 3 * MIB);
    loom_segment_release_bytes(it.coordinator, 3 * MIB);
    assert_int_equal(committed(&it), 0);
    end(&it);
}

static void a_death_takes_back_what_the_task_had_committed(void **state) {
    (void)state;
    fixture it = begin(3, 0);
    uint32_t running, first = take(&it, 0);
    assert_true(loom_segment_commit_bytes(it.workers[0], 3 * MIB, UINT64_MAX));
    loom_task_finish(it.workers[0], first, LOOM_TASK_DONE);
    uint32_t second = take(&it, 0);
    assert_true(loom_segment_commit_bytes(it.workers[0], 5 * MIB, UINT64_MAX));
    loom_segment_recover(it.coordinator, 0, &running);
    assert_int_equal(running, second);
    assert_int_equal(committed(&it), 3 * MIB);
    loom_segment_recover(it.coordinator, 0, &running); /* twice changes nothing */
    assert_int_equal(committed(&it), 3 * MIB);
    /* The next process in the slot goes on. */
    (void)take(&it, 0);
    assert_true(loom_segment_commit_bytes(it.workers[0], 2 * MIB, UINT64_MAX));
    assert_int_equal(committed(&it), 5 * MIB);
    end(&it);
}

/* Two workers, and room for one: never both. */
typedef struct contender {
    loom_segment *worker;
    uint64_t limit, granted;
    _Atomic int *inside;
    bool both;
} contender;

static void *contend(void *context) {
    contender *it = context;
    for (int i = 0; i < 200000; i++) {
        if (!loom_segment_commit_bytes(it->worker, MIB, it->limit)) continue;
        if (atomic_fetch_add(it->inside, 1) != 0) it->both = true;
        it->granted++;
        atomic_fetch_sub(it->inside, 1);
        loom_segment_keep_bytes(it->worker, 0);
    }
    return NULL;
}

static void two_that_do_not_fit_together_are_never_both_let_in(void **state) {
    (void)state;
    fixture it = begin(2, 0);
    _Atomic int inside = 0;
    contender both[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        (void)take(&it, i);
        both[i] = (contender){.worker = it.workers[i], .limit = it.empty + MIB, .inside = &inside};
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, contend, &both[i]), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_false(both[0].both || both[1].both);
    assert_true(both[0].granted + both[1].granted > 0);
    end(&it);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_counts_until_it_is_released),
        cmocka_unit_test(what_exceeds_the_limit_is_not_committed),
        cmocka_unit_test(a_task_that_fails_while_held_back_has_no_bytes),
        cmocka_unit_test(a_task_is_held_back_and_goes_on),
        cmocka_unit_test(a_slot_is_another_tasks_later),
        cmocka_unit_test(a_death_after_the_completion_was_taken),
        cmocka_unit_test(a_death_takes_back_what_the_task_had_committed),
        cmocka_unit_test(two_that_do_not_fit_together_are_never_both_let_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
