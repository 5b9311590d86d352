/* budget.c - the memory that a run has taken on: what workers commit, what is released, and tasks that wait for it.
 *
 * A sum that no death can falsify: each worker has one word `committed` that it alone writes, and one word `settled`,
 * what of that belongs to tasks it has finished; whoever releases results adds to one word of the header. So a step is
 * one store, and what a dead worker had committed for the task at hand is the difference of its two words. */
#include "shm/segment/segment_layout.h"

static loom_worker_slot *own_slot(const loom_segment *segment) {
    return segment->self < segment->workers ? &segment->slots[segment->self] : NULL;
}

static uint64_t load(const _Atomic uint64_t *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

uint64_t loom_segment_budget(const loom_segment *segment) {
    uint64_t budget = segment->header->budget_bytes;
    return budget ? budget : UINT64_MAX;
}

uint64_t loom_segment_committed(const loom_segment *segment) {
    /* Released first (acquire): what was committed before that was released is then seen in the sum as well, which so
     * is never too small. */
    uint64_t released = atomic_load_explicit(&segment->header->released_bytes, memory_order_acquire), sum = 0;
    for (uint32_t i = 0; i < segment->workers; i++)
        sum += load(&segment->slots[i].committed_bytes);
    return (sum > released ? sum - released : 0) + loom_segment_used_bytes(segment);
}

bool loom_segment_commit_bytes(loom_segment *segment, uint64_t bytes, uint64_t limit) {
    loom_worker_slot *slot = own_slot(segment);
    if (!slot) return false;
    uint64_t before = load(&slot->committed_bytes);
    atomic_store_explicit(&slot->committed_bytes, before + bytes, memory_order_relaxed);
    /* Dekker among committing workers: of two whose bytes do not fit together at least one sees the other's. Both may;
     * then both give up, and the coordinator, which hears of it, lets one go on. */
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t total = loom_segment_committed(segment);
    if (total > limit) {
        atomic_store_explicit(&slot->committed_bytes, before, memory_order_relaxed);
        return false;
    }
    if (total > load(&slot->committed_peak)) atomic_store_explicit(&slot->committed_peak, total, memory_order_relaxed);
    return true;
}

void loom_segment_keep_bytes(loom_segment *segment, uint64_t bytes) {
    loom_worker_slot *slot = own_slot(segment);
    if (slot) atomic_store_explicit(&slot->committed_bytes, load(&slot->settled_bytes) + bytes, memory_order_relaxed);
}

void loom_committed_settle(loom_worker_slot *slot, bool done) {
    if (done)
        atomic_store_explicit(&slot->settled_bytes, load(&slot->committed_bytes), memory_order_relaxed);
    else
        atomic_store_explicit(&slot->committed_bytes, load(&slot->settled_bytes), memory_order_relaxed);
}

void loom_segment_release_bytes(loom_segment *segment, uint64_t bytes) {
    /* release: see loom_segment_committed */
    atomic_fetch_add_explicit(&segment->header->released_bytes, bytes, memory_order_release);
}

uint64_t loom_segment_committed_peak(const loom_segment *segment) {
    uint64_t peak = 0;
    for (uint32_t i = 0; i < segment->workers; i++) {
        uint64_t seen = load(&segment->slots[i].committed_peak);
        if (seen > peak) peak = seen;
    }
    return peak;
}

/* ---- tasks that wait for memory ---- */

void loom_task_hold_back(loom_segment *segment, uint32_t index, uint64_t bytes) {
    loom_task *task = loom_segment_task(segment, index);
    loom_worker_slot *slot = own_slot(segment);
    if (!task || !slot) return;
    uint64_t word = load(&task->state);
    if (loom_state_of(word) != LOOM_TASK_RUNNING || loom_state_worker(word) != segment->self) return;
    task->bulk = (loom_placement){.bytes = bytes};
    loom_committed_settle(slot, false);
    /* As if it were only being taken: a death from here on queues the task and counts as no death of its. */
    loom_journal_write(&slot->journal, LOOM_PHASE_TAKING, index);
    LOOM_PROBE("hold:announced");
    /* release: the coordinator and the next claim see the fields as we leave them. A swap: see loom_task_finish. */
    if (atomic_compare_exchange_strong_explicit(&task->state, &word,
                                                loom_state_word(LOOM_TASK_READY, 0, loom_state_attempt(word)),
                                                memory_order_release, memory_order_relaxed)) {
        LOOM_PROBE("hold:ready");
        loom_completion_push(segment, index, loom_state_attempt(word)); /* its only hint from now on */
    }
    LOOM_PROBE("hold:told");
    loom_journal_write(&slot->journal, LOOM_PHASE_IDLE, LOOM_TASK_NONE);
}

static bool is_held_back(uint64_t word, uint32_t attempt) {
    return loom_state_of(word) == LOOM_TASK_READY && (uint32_t)loom_state_attempt(word) == attempt;
}

bool loom_task_is_held_back(const loom_segment *segment, uint32_t index, uint32_t attempt) {
    const loom_task *task = loom_segment_task(segment, index);
    return task && is_held_back(load(&task->state), attempt);
}

bool loom_task_go_on(loom_segment *segment, uint32_t index, uint32_t attempt, bool beyond) {
    loom_task *task = loom_segment_task(segment, index);
    uint64_t word = task ? load(&task->state) : 0;
    if (!is_held_back(word, attempt)) return false;
    uint64_t held = loom_state_word(LOOM_TASK_RUNNING, LOOM_COORDINATOR, loom_state_attempt(word));
    /* Taken away from every worker meanwhile, so that the flags can be written: a search of the table might find it.
     * acquire: what the worker that held it back wrote comes before what we write. */
    if (!atomic_compare_exchange_strong_explicit(&task->state, &word, held, memory_order_acq_rel, memory_order_relaxed))
        return false;
    if (beyond) task->flags |= LOOM_TASK_BEYOND;
    /* release: the next claim sees the flags */
    atomic_store_explicit(&task->state, loom_state_word(LOOM_TASK_READY, 0, loom_state_attempt(word)),
                          memory_order_release);
    loom_task_queue(segment, index);
    return true;
}

void loom_segment_set_held_back(loom_segment *segment, uint32_t count) {
    atomic_store_explicit(&segment->header->held_back, count, memory_order_relaxed);
}

uint32_t loom_segment_held_back(const loom_segment *segment) {
    return atomic_load_explicit(&segment->header->held_back, memory_order_relaxed);
}
