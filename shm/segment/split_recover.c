/* split_recover.c - after the death of a worker: its own split is closed; the one that it helped with is spoiled if it
 * held a part. */
#include "shm/segment/segment_layout.h"
#include "shm/segment/split.h"

/* Its helpers finish the part in their hands, into space that no result names, and leave. */
static void close_split(loom_segment *segment, loom_split_slot *slot, uint32_t worker) {
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    /* seq_cst: see loom_split_settle. A new generation: no part can be taken that was not yet. */
    atomic_store_explicit(&slot->state, ((state >> 32) + 1) << 32, memory_order_seq_cst);
    atomic_fetch_and_explicit(&segment->board->open[worker / 64], ~(UINT64_C(1) << worker % 64), memory_order_relaxed);
    atomic_store_explicit(&slot->owner_waits, 0, memory_order_relaxed);
    loom_split_ring_helpers(slot);
}

/* A death with a part in its hands counts as the task's, unless the task went on without it. */
static void blame_task(loom_segment *segment, uint32_t index, uint32_t owner) {
    loom_task *task = loom_segment_task(segment, index);
    if (!task) return;
    uint64_t word = atomic_load_explicit(&task->state, memory_order_acquire);
    bool runs = loom_state_of(word) == LOOM_TASK_RUNNING && loom_state_worker(word) == owner;
    if (runs && task->deaths < UINT8_MAX) task->deaths++; /* recovery alone writes it; the owner waits for us */
}

static void leave_split(loom_segment *segment, loom_split_slot *slot) {
    /* acquire: the process is gone; this is what it wrote last */
    uint64_t helping = atomic_load_explicit(&slot->helping, memory_order_acquire);
    uint32_t owner = (uint32_t)helping - 1;
    if ((uint32_t)helping != 0 && owner < segment->workers) {
        loom_split_slot *other = &segment->board->slots[owner];
        if (atomic_load_explicit(&slot->part, memory_order_acquire) != 0) {
            blame_task(segment, (uint32_t)(helping >> 32), owner);
            /* release: before the owner can see that nobody helps it any more */
            atomic_store_explicit(&other->spoiled, 1, memory_order_release);
        }
        atomic_store_explicit(&slot->helping, 0, memory_order_release);
        loom_split_ring_owner(other);
    }
    atomic_store_explicit(&slot->part, 0, memory_order_relaxed);
}

void loom_split_recover(loom_segment *segment, uint32_t worker) {
    loom_split_slot *slot = &segment->board->slots[worker];
    close_split(segment, slot, worker);
    leave_split(segment, slot);
    loom_split_scratch_reclaim(segment, worker);
}
