/* test_segment_free.c - slots and heap pieces that are used again, and everything that may still name what was freed.
 */
#include "segment_scene.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_come_back),        cmocka_unit_test(test_heap_pieces_come_back),
        cmocka_unit_test(test_pieces_do_not_overlap),  cmocka_unit_test(test_stale_hints),
        cmocka_unit_test(test_recovery_after_freeing),
    };
    return cmocka_run_group_tests_name("segment_free", tests, NULL, NULL);
}
