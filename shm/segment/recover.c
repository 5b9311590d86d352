/* recover.c - after the death of a worker: what it held runs again, what it had begun to announce is announced.
 *
 * The process is gone, so its stores are complete up to the instruction where it died, in program order, and nothing of
 * it will come later. The journal says where that was. O(degree of one task + entries of one deque). */
#include <string.h>

#include "shm/segment/segment_layout.h"

/* A rerun starts from a task without a result. */
static void forget_result(loom_task *task) {
    task->origin = LOOM_ORIGIN_NONE;
    task->flags &= (uint8_t) ~(LOOM_TASK_BLOB | LOOM_TASK_LOST | LOOM_TASK_REPLACES);
    task->status = LOOM_OK;
    task->error = task->payload = task->hashes = task->memo = 0;
    task->cost_us = 0;
    task->inline_bytes = task->refers = 0;
    task->bulk = (loom_placement){0};
    memset(task->root, 0, sizeof task->root);
}

static void queue_if_ready(loom_segment *segment, uint32_t index) {
    const loom_task *task = loom_segment_task(segment, index);
    /* acquire, release: our push hands on what made it READY */
    if (task && loom_state_of(atomic_load_explicit(&task->state, memory_order_acquire)) == LOOM_TASK_READY)
        loom_task_queue(segment, index);
}

/* RUNNING by the dead worker: READY again, or held back for loom_task_fail when too many died of it. */
static void run_again(loom_segment *segment, uint32_t index, uint64_t word, bool started) {
    loom_task *task = &segment->tasks[index];
    if (started && task->deaths < UINT8_MAX) task->deaths++;
    forget_result(task);
    bool held_back = segment->deaths_max > 0 && task->deaths >= segment->deaths_max;
    uint64_t next = held_back ? loom_state_word(LOOM_TASK_RUNNING, LOOM_COORDINATOR, loom_state_attempt(word))
                              : loom_state_word(LOOM_TASK_READY, 0, loom_state_attempt(word));
    /* release: whoever claims it sees the fields as we left them. A plain store: its owner is dead, others only look.
     */
    atomic_store_explicit(&task->state, next, memory_order_release);
    if (!held_back) loom_task_queue(segment, index);
}

/* DONE or FAILED by the dead worker, which may not have told anyone: tells everyone (again). */
static void finish_again(loom_segment *segment, uint32_t index, loom_task_state state) {
    loom_task *task = &segment->tasks[index];
    if (state == LOOM_TASK_DONE) loom_task_notify_successors(segment, index, true);
    if (task->list_next) return;
    task->list_next = segment->recovered_list ? segment->recovered_list : LOOM_TASK_NONE;
    segment->recovered_list = index + 1;
}

/* Whether the worker had finished the task well: then what it committed for it is the result's. */
static bool had_done(const loom_segment *segment, uint32_t worker, loom_phase phase, uint32_t index) {
    const loom_task *task = loom_segment_task(segment, index);
    uint64_t word = task ? atomic_load_explicit(&task->state, memory_order_acquire) : 0;
    return phase == LOOM_PHASE_FINISHING && loom_state_of(word) == LOOM_TASK_DONE && loom_state_worker(word) == worker;
}

/* What the journal's task needs. Returns the task if the worker was running it. */
static uint32_t settle_task(loom_segment *segment, uint32_t worker, loom_phase phase, uint32_t index) {
    loom_task *task = loom_segment_task(segment, index);
    if (!task || phase == LOOM_PHASE_IDLE) return LOOM_TASK_NONE;
    /* acquire: pairs with whoever moved the state on after the dead worker */
    uint64_t word = atomic_load_explicit(&task->state, memory_order_acquire);
    loom_task_state state = loom_state_of(word);
    bool its = loom_state_worker(word) == worker;
    if (state == LOOM_TASK_RUNNING && its) {
        run_again(segment, index, word, phase != LOOM_PHASE_TAKING);
        return index;
    }
    if (phase == LOOM_PHASE_FINISHING && its && (state == LOOM_TASK_DONE || state == LOOM_TASK_FAILED))
        finish_again(segment, index, state);
    if (phase == LOOM_PHASE_TAKING && state == LOOM_TASK_READY) loom_task_queue(segment, index);
    return LOOM_TASK_NONE;
}

/* Moves the entries to the coordinator's deques, as a thief among thieves. */
static void empty_deque(loom_segment *segment, uint32_t worker) {
    loom_deque_view view = loom_deque_at(segment, worker);
    queue_if_ready(segment, loom_deque_unsettled(view));
    while (loom_deque_length(view) > 0) {
        bool contended = false;
        uint32_t task = loom_deque_steal(view, &segment->nobody, &contended);
        if (task != LOOM_TASK_NONE) queue_if_ready(segment, task);
    }
    loom_deque_settle(view);
}

void loom_segment_recover(loom_segment *segment, uint32_t worker, uint32_t *running) {
    *running = LOOM_TASK_NONE;
    if (worker >= segment->workers) return;
    loom_worker_slot *slot = &segment->slots[worker];
    /* acquire: what the worker did before it wrote this is visible (and the process is gone, which orders everything)
     */
    uint64_t journal = atomic_load_explicit(&slot->journal.word, memory_order_acquire);
    loom_split_recover(segment, worker); /* before its task is READY again: see loom_split_settle */
    loom_committed_settle(slot, had_done(segment, worker, (loom_phase)(journal >> 32), (uint32_t)journal));
    *running = settle_task(segment, worker, (loom_phase)(journal >> 32), (uint32_t)journal);
    empty_deque(segment, worker);
    loom_journal_write(&slot->journal, LOOM_PHASE_IDLE, LOOM_TASK_NONE);
    /* Nobody may choose it as the one to wake any more; and whom it had chosen sleeps on: wake all. */
    atomic_fetch_and_explicit(&segment->header->sleepers[worker / 64], ~(UINT64_C(1) << worker % 64),
                              memory_order_acq_rel);
    atomic_store_explicit(&slot->park, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->ring_waits, 0, memory_order_relaxed);
    loom_wake_all(segment);
}
