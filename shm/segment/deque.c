/* deque.c - see deque.h. Each memory order says what would break without it. */
#include "shm/segment/deque.h"

#include "shm/segment/segment_layout.h"

static _Atomic uint32_t *slot_of(loom_deque_view view, int64_t at) {
    return &view.slots[(uint64_t)at & view.mask];
}

bool loom_deque_push(loom_deque_view view, uint32_t task) {
    /* relaxed: only the owner writes bottom */
    int64_t bottom = atomic_load_explicit(&view.deque->bottom, memory_order_relaxed);
    /* acquire, with the thief's CAS on top: its read of a slot is over before the slot is written again here */
    int64_t top = atomic_load_explicit(&view.deque->top, memory_order_acquire);
    if (bottom - top > (int64_t)view.mask) return false;
    atomic_store_explicit(slot_of(view, bottom), task, memory_order_relaxed);
    LOOM_PROBE("push:slot");
    /* release: a thief that sees the new bottom sees the slot */
    atomic_store_explicit(&view.deque->bottom, bottom + 1, memory_order_release);
    LOOM_PROBE("push:bottom");
    return true;
}

uint32_t loom_deque_pop(loom_deque_view view, loom_journal *journal) {
    int64_t bottom = atomic_load_explicit(&view.deque->bottom, memory_order_relaxed) - 1;
    atomic_store_explicit(&view.deque->bottom, bottom, memory_order_relaxed);
    LOOM_PROBE("pop:reserved");
    /* Dekker with the thief: the store of bottom comes before the load of top in the one order of all seq_cst fences.
     * Without it owner and thief could both take the last entry (harmless here, the state decides) or, worse, the owner
     * could miss that a thief took several and restore a wrong bottom. */
    atomic_thread_fence(memory_order_seq_cst);
    int64_t top = atomic_load_explicit(&view.deque->top, memory_order_relaxed);
    if (top > bottom) {
        atomic_store_explicit(&view.deque->bottom, bottom + 1, memory_order_relaxed);
        return LOOM_TASK_NONE;
    }
    uint32_t task = atomic_load_explicit(slot_of(view, bottom), memory_order_relaxed);
    loom_journal_write(journal, LOOM_PHASE_TAKING, task);
    LOOM_PROBE("pop:announced");
    if (top < bottom) return task;
    /* the last entry: whoever moves top has it. seq_cst as in the paper; release also keeps the journal before it */
    bool won = atomic_compare_exchange_strong_explicit(&view.deque->top, &top, top + 1, memory_order_seq_cst,
                                                       memory_order_relaxed);
    LOOM_PROBE("pop:last");
    /* release: a thief that sees this bottom sees top as it was when this was written, or later */
    atomic_store_explicit(&view.deque->bottom, bottom + 1, memory_order_release);
    return won ? task : LOOM_TASK_NONE;
}

uint32_t loom_deque_steal(loom_deque_view view, loom_journal *journal, bool *contended) {
    int64_t top = atomic_load_explicit(&view.deque->top, memory_order_acquire);
    /* Dekker with the owner's pop, see there */
    atomic_thread_fence(memory_order_seq_cst);
    /* acquire, with the owner's release in push: the slot is written before it counts */
    int64_t bottom = atomic_load_explicit(&view.deque->bottom, memory_order_acquire);
    if (top >= bottom) return LOOM_TASK_NONE;
    uint32_t task = atomic_load_explicit(slot_of(view, top), memory_order_relaxed);
    loom_journal_write(journal, LOOM_PHASE_TAKING, task);
    LOOM_PROBE("steal:announced");
    /* seq_cst: release keeps the read of the slot and the journal before the entry is given up */
    if (!atomic_compare_exchange_strong_explicit(&view.deque->top, &top, top + 1, memory_order_seq_cst,
                                                 memory_order_relaxed)) {
        *contended = true;
        return LOOM_TASK_NONE;
    }
    LOOM_PROBE("steal:taken");
    return task;
}

int64_t loom_deque_length(loom_deque_view view) {
    /* acquire on both: the caller's fence orders them against its own announcement; see park() */
    int64_t top = atomic_load_explicit(&view.deque->top, memory_order_acquire);
    int64_t bottom = atomic_load_explicit(&view.deque->bottom, memory_order_acquire);
    return bottom > top ? bottom - top : 0;
}

uint32_t loom_deque_unsettled(loom_deque_view view) {
    /* A push that had not yet moved bottom left its task in slot[bottom]; so did a pop that had moved bottom down and
     * not yet announced the task. Anything else in that slot is an old entry, and an old entry is harmless. */
    int64_t bottom = atomic_load_explicit(&view.deque->bottom, memory_order_acquire);
    return atomic_load_explicit(slot_of(view, bottom), memory_order_relaxed);
}

void loom_deque_settle(loom_deque_view view) {
    /* A pop from an empty deque may have died with bottom = top - 1; the next owner's first push would then be hidden.
     * No thief moves top now: bottom <= top, and nobody else writes bottom. */
    int64_t top = atomic_load_explicit(&view.deque->top, memory_order_acquire);
    atomic_store_explicit(&view.deque->bottom, top, memory_order_release);
}
