/* completion.c - how the coordinator learns what finished: a ring per worker (one writer, one reader), and a doorbell.
 */
#include <time.h>

#include "shm/platform_futex.h"
#include "shm/segment/segment_layout.h"

#define RING_MASK (LOOM_RING_SLOTS - 1)
_Static_assert((LOOM_RING_SLOTS & RING_MASK) == 0, "the ring's index wraps at 2^32");

/* How long a worker that waits for room sleeps before it looks again by itself. After a stop: how long it waits at all.
 */
#define ROOM_TIMEOUT_MS 1000

static _Atomic uint64_t *ring_of(const loom_segment *segment, uint32_t worker) {
    return segment->rings + (size_t)worker * LOOM_RING_SLOTS;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- worker ---- */

static void ring_the_bell_if_asleep(loom_segment_header *header) {
    /* Dekker with loom_completion_wait: our tail is stored before we look whether the coordinator sleeps; it says that
     * it sleeps before it looks at the tails. Without the fence both could look first, and it would sleep on a full
     * ring. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&header->coordinator_sleeps, memory_order_relaxed)) return;
    /* One waker is enough. acquire/release not needed: only says who makes the system call. */
    if (!atomic_exchange_explicit(&header->coordinator_sleeps, 0, memory_order_relaxed)) return;
    LOOM_PROBE("ring:awake");
    atomic_fetch_add_explicit(&header->doorbell, 1, memory_order_seq_cst);
    loom_futex_wake(&header->doorbell);
}

static bool has_room(const loom_worker_slot *slot, uint32_t tail) {
    /* acquire: the coordinator has read the slot that we are about to write again */
    return tail - atomic_load_explicit(&slot->ring_head, memory_order_acquire) < LOOM_RING_SLOTS;
}

/* False when the run stops and the coordinator does not read on. */
static bool wait_for_room(loom_segment *segment, loom_worker_slot *slot, uint32_t tail) {
    for (int64_t end = 0; !has_room(slot, tail);) {
        if (atomic_load_explicit(&segment->header->stop, memory_order_acquire)) {
            int64_t now = now_ms(); /* waits may end early: count time, not waits */
            if (end == 0) end = now + ROOM_TIMEOUT_MS;
            if (now >= end) return false;
        }
        loom_wake_all(segment); /* we may hold tasks that others can run meanwhile */
        atomic_store_explicit(&slot->ring_waits, 1, memory_order_relaxed);
        /* Dekker with give_room: we say that we wait, then look at head; it moves head, then looks who waits */
        atomic_thread_fence(memory_order_seq_cst);
        LOOM_PROBE("ring:waits");
        if (!has_room(slot, tail)) {
            ring_the_bell_if_asleep(segment->header);
            loom_futex_wait(&slot->ring_waits, 1, ROOM_TIMEOUT_MS);
        }
        atomic_store_explicit(&slot->ring_waits, 0, memory_order_relaxed);
    }
    return true;
}

void loom_completion_push(loom_segment *segment, uint32_t index, uint64_t attempt) {
    loom_worker_slot *slot = &segment->slots[segment->self];
    uint32_t tail = atomic_load_explicit(&slot->ring_tail, memory_order_relaxed); /* only we write it */
    /* After a stop perhaps nobody reads on: then the state word tells, when all workers have ended. */
    if (!wait_for_room(segment, slot, tail)) return;
    atomic_store_explicit(&ring_of(segment, segment->self)[tail & RING_MASK], index | attempt << 32,
                          memory_order_relaxed);
    LOOM_PROBE("ring:entry");
    /* release: who sees the tail sees the entry, and the task DONE */
    atomic_store_explicit(&slot->ring_tail, tail + 1, memory_order_release);
    LOOM_PROBE("ring:tail");
    ring_the_bell_if_asleep(segment->header);
}

/* ---- coordinator ---- */

/* Wakes workers that wait for room. */
static void give_room(loom_segment *segment) {
    /* Dekker with wait_for_room, see there */
    atomic_thread_fence(memory_order_seq_cst);
    for (uint32_t worker = 0; worker < segment->workers; worker++) {
        _Atomic uint32_t *waits = &segment->slots[worker].ring_waits;
        if (!atomic_load_explicit(waits, memory_order_relaxed)) continue;
        atomic_store_explicit(waits, 0, memory_order_relaxed);
        loom_futex_wake(waits);
    }
}

static bool pop_recovered(loom_segment *segment, uint32_t *index) {
    if (!segment->recovered_list) return false;
    *index = segment->recovered_list - 1;
    loom_task *task = &segment->tasks[*index];
    segment->recovered_list = task->list_next == LOOM_TASK_NONE ? 0 : task->list_next;
    task->list_next = 0;
    return true;
}

/* The next entry of one ring. */
static bool pop_ring(loom_segment *segment, uint32_t worker, uint64_t *entry) {
    loom_worker_slot *slot = &segment->slots[worker];
    uint32_t head = atomic_load_explicit(&slot->ring_head, memory_order_relaxed); /* only we write it */
    /* acquire: the entry is written, and the task it names is DONE or FAILED */
    uint32_t tail = atomic_load_explicit(&slot->ring_tail, memory_order_acquire);
    if (head == tail) return false;
    *entry = atomic_load_explicit(&ring_of(segment, worker)[head & RING_MASK], memory_order_relaxed);
    /* release: our read of the entry is over before the worker writes the slot again */
    atomic_store_explicit(&slot->ring_head, head + 1, memory_order_release);
    return true;
}

/* From here on nobody walks over the edges behind the task: its finisher has, before it sent the completion, and a
 * recovery that finds the journal of a worker that died just after that must not do it again, when tasks that these
 * edges lie in may have been freed. */
static bool take(loom_segment *segment, uint32_t index) {
    loom_task *task = loom_segment_task(segment, index);
    if (!task) return false;
    if (loom_state_of(atomic_load_explicit(&task->state, memory_order_relaxed)) == LOOM_TASK_DONE)
        atomic_store_explicit(&task->edges, 0, memory_order_relaxed); /* only we write it, only we read it now */
    return true;
}

/* Whether an entry speaks of the task that has this number now: after a recovery one came twice, perhaps, and the first
 * has had the task freed. */
static bool is_current(const loom_segment *segment, uint64_t entry) {
    const loom_task *task = loom_segment_task(segment, (uint32_t)entry);
    /* relaxed: DONE and FAILED were acquired with the ring's tail */
    uint64_t word = task ? atomic_load_explicit(&task->state, memory_order_relaxed) : 0;
    loom_task_state state = loom_state_of(word);
    /* READY: held back */
    return (state == LOOM_TASK_DONE || state == LOOM_TASK_FAILED || state == LOOM_TASK_READY) &&
           (uint32_t)loom_state_attempt(word) == (uint32_t)(entry >> 32);
}

bool loom_completion_pop(loom_segment *segment, uint32_t *index) {
    while (pop_recovered(segment, index))
        if (take(segment, *index)) return true;
    for (uint32_t tried = 0; tried < segment->workers;) {
        uint64_t entry;
        if (!pop_ring(segment, segment->ring_at, &entry)) {
            segment->ring_at = (segment->ring_at + 1) % segment->workers;
            tried++;
            continue;
        }
        /* A full ring must not wait for all others to be empty. */
        if (++segment->ring_popped % (LOOM_RING_SLOTS / 2) == 0) give_room(segment);
        *index = (uint32_t)entry;
        if (is_current(segment, entry) && take(segment, *index)) return true;
    }
    if (segment->ring_popped) give_room(segment);
    segment->ring_popped = 0;
    return false;
}

static bool has_completion(const loom_segment *segment) {
    if (segment->recovered_list) return true;
    for (uint32_t worker = 0; worker < segment->workers; worker++) {
        const loom_worker_slot *slot = &segment->slots[worker];
        /* acquire: as in pop_ring */
        if (atomic_load_explicit(&slot->ring_tail, memory_order_acquire) !=
            atomic_load_explicit(&slot->ring_head, memory_order_relaxed))
            return true;
    }
    return false;
}

void loom_completion_wait(loom_segment *segment, int timeout_ms) {
    loom_segment_header *header = segment->header;
    atomic_store_explicit(&header->coordinator_sleeps, 1, memory_order_relaxed);
    /* Dekker with ring_the_bell_if_asleep, see there */
    atomic_thread_fence(memory_order_seq_cst);
    if (!has_completion(segment)) loom_futex_wait(&header->doorbell, segment->doorbell_seen, timeout_ms);
    atomic_store_explicit(&header->coordinator_sleeps, 0, memory_order_relaxed);
    /* acquire: what another thread did before it rang is visible */
    segment->doorbell_seen = atomic_load_explicit(&header->doorbell, memory_order_acquire);
}

void loom_segment_ring_doorbell(loom_segment *segment) {
    /* A counter, so that a ring between two waits is not lost: the next wait finds it changed. release: see the wait.
     */
    atomic_fetch_add_explicit(&segment->header->doorbell, 1, memory_order_seq_cst);
    loom_futex_wake(&segment->header->doorbell);
}

bool loom_segment_take_space_wanted(loom_segment *segment) {
    /* acquire: pairs with the worker's release; what it finished before is in the rings */
    return atomic_exchange_explicit(&segment->header->space_wanted, 0, memory_order_acquire) != 0;
}

bool loom_segment_stopped(const loom_segment *segment) {
    return atomic_load_explicit(&segment->header->stop, memory_order_acquire) != 0;
}

void loom_segment_stop(loom_segment *segment) {
    /* seq_cst: a worker that is about to sleep either sees it, or is seen sleeping and woken */
    atomic_store_explicit(&segment->header->stop, 1, memory_order_seq_cst);
    loom_wake_all(segment);
    give_room(segment);
}
