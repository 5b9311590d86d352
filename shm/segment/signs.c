/* signs.c - what workers show of themselves. All accesses are relaxed: each word stands for itself, but for a fault,
 * which is read after its process has been waited for. */
#include "shm/segment/signs.h"

#include "shm/segment/segment_layout.h"

static loom_worker_slot *own(const loom_segment *segment) {
    return segment->self < segment->workers ? &segment->slots[segment->self] : NULL;
}

void loom_segment_beat(const loom_segment *segment) {
    loom_worker_slot *slot = own(segment);
    if (slot) atomic_fetch_add_explicit(&slot->beats, 1, memory_order_relaxed);
}

uint32_t loom_segment_beats(const loom_segment *segment, uint32_t worker) {
    return worker < segment->workers ? atomic_load_explicit(&segment->slots[worker].beats, memory_order_relaxed) : 0;
}

void loom_segment_set_wait(const loom_segment *segment, loom_wait wait) {
    loom_worker_slot *slot = own(segment);
    if (slot) atomic_store_explicit(&slot->wait, (uint32_t)wait, memory_order_relaxed);
}

loom_wait loom_segment_wait_of(const loom_segment *segment, uint32_t worker) {
    if (worker >= segment->workers) return LOOM_WAIT_NONE;
    const loom_worker_slot *slot = &segment->slots[worker];
    if (atomic_load_explicit(&slot->wait, memory_order_relaxed) == LOOM_WAIT_OTHER_RUN) return LOOM_WAIT_OTHER_RUN;
    return atomic_load_explicit(&slot->starving, memory_order_relaxed) ? LOOM_WAIT_ROOM : LOOM_WAIT_NONE;
}

uint64_t loom_segment_attempt(const loom_segment *segment, uint32_t worker) {
    uint32_t index = loom_segment_running(segment, worker);
    const loom_task *task = index == LOOM_TASK_NONE ? NULL : loom_segment_task(segment, index);
    if (!task) return 0;
    uint64_t word = atomic_load_explicit(&task->state, memory_order_relaxed);
    if (loom_state_of(word) != LOOM_TASK_RUNNING || loom_state_worker(word) != worker) return 0;
    return ((uint64_t)index + 1) << 32 | (uint32_t)loom_state_attempt(word);
}

void loom_segment_search_again(loom_segment *segment) {
    /* release, as whoever finds a deque full: who sees the count sees what was READY before */
    atomic_fetch_add_explicit(&segment->header->unqueued, 1, memory_order_release);
    loom_wake_all(segment);
}

void loom_segment_record_fault(const loom_segment *segment, const loom_fault *fault) {
    loom_worker_slot *slot = own(segment);
    if (!slot) return;
    atomic_store_explicit(&slot->fault_extent, fault->extent, memory_order_relaxed);
    atomic_store_explicit(&slot->fault_offset, fault->offset, memory_order_relaxed);
    atomic_store_explicit(&slot->fault_in, (uint32_t)fault->in, memory_order_relaxed);
}

loom_fault loom_segment_take_fault(const loom_segment *segment, uint32_t worker) {
    loom_fault fault = {.in = LOOM_FAULT_NONE};
    if (worker >= segment->workers) return fault;
    loom_worker_slot *slot = &segment->slots[worker];
    uint32_t in = atomic_exchange_explicit(&slot->fault_in, LOOM_FAULT_NONE, memory_order_relaxed);
    if (in <= LOOM_FAULT_RESULT) fault.in = (loom_fault_in)in;
    fault.extent = atomic_load_explicit(&slot->fault_extent, memory_order_relaxed);
    fault.offset = atomic_load_explicit(&slot->fault_offset, memory_order_relaxed);
    atomic_store_explicit(&slot->wait, LOOM_WAIT_NONE, memory_order_relaxed);
    return fault;
}
