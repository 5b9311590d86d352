/* wakeup.c - how workers sleep and are woken: a bit per sleeper, and a word per worker to sleep on.
 *
 * A waker takes the bit of one sleeper, so that a burst of pushes wakes each sleeper once and costs one load when
 * nobody sleeps. Bits, unlike a counter, stay right when a worker dies at any point: recovery clears its bit. */
#include "shm/platform_futex.h"
#include "shm/segment/segment_layout.h"

static bool sleeps(const loom_segment_header *header, uint32_t worker) {
    return atomic_load_explicit(&header->sleepers[worker / 64], memory_order_relaxed) >> worker % 64 & 1;
}

bool loom_segment_has_sleeper(const loom_segment *segment) {
    uint64_t any = 0;
    for (uint32_t word = 0; word * 64 < segment->workers; word++)
        any |= atomic_load_explicit(&segment->header->sleepers[word], memory_order_relaxed);
    return any != 0;
}

/* Wakes this sleeper unless another waker was faster. */
static bool wake(loom_segment *segment, uint32_t worker) {
    uint64_t bit = UINT64_C(1) << worker % 64;
    /* acq_rel: the sleeper, who finds its bit gone by a read-modify-write, sees what was pushed before */
    if (!(atomic_fetch_and_explicit(&segment->header->sleepers[worker / 64], ~bit, memory_order_acq_rel) & bit))
        return false;
    LOOM_PROBE("wake:chosen");
    /* release: the portable twin of the futex has no other edge from waker to sleeper */
    atomic_store_explicit(&segment->slots[worker].park, 0, memory_order_release);
    loom_futex_wake(&segment->slots[worker].park);
    return true;
}

void loom_wake_one(loom_segment *segment, uint32_t domain) {
    /* Dekker with loom_worker_park: our push comes before this look at the sleepers; a sleeper announces itself before
     * it looks at the deques. Without the fence both could look first, and a task would wait for the next wake-up. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!loom_segment_has_sleeper(segment)) return;
    for (int any_domain = 0; any_domain < 2; any_domain++)
        for (uint32_t worker = 0; worker < segment->workers; worker++) {
            if (!sleeps(segment->header, worker)) continue;
            bool near = atomic_load_explicit(&segment->slots[worker].domain, memory_order_relaxed) == domain;
            if ((near || any_domain) && wake(segment, worker)) return;
        }
}

void loom_wake_all(loom_segment *segment) {
    atomic_thread_fence(memory_order_seq_cst); /* as in loom_wake_one */
    for (uint32_t worker = 0; worker < segment->workers; worker++) {
        /* Not by the bits: a waker that died after it took a bit has woken nobody. */
        if (atomic_exchange_explicit(&segment->slots[worker].park, 0, memory_order_acq_rel))
            loom_futex_wake(&segment->slots[worker].park);
    }
}

bool loom_segment_has_queued(const loom_segment *segment) {
    for (uint32_t number = 0; number < loom_deque_count(segment); number++)
        if (loom_deque_length(loom_deque_at(segment, number)) > 0) return true;
    return false;
}

bool loom_segment_has_work(const loom_segment *segment) {
    const loom_segment_header *header = segment->header;
    if (loom_segment_has_queued(segment)) return true;
    return atomic_load_explicit(&header->unqueued, memory_order_relaxed) !=
               atomic_load_explicit(&header->searched, memory_order_relaxed) ||
           atomic_load_explicit(&header->stop, memory_order_relaxed);
}

void loom_worker_park(loom_segment *segment, int timeout_ms, bool *signalled) {
    loom_worker_slot *slot = &segment->slots[segment->self];
    _Atomic uint64_t *sleepers = &segment->header->sleepers[segment->self / 64];
    uint64_t bit = UINT64_C(1) << segment->self % 64;
    atomic_store_explicit(&slot->park, 1, memory_order_relaxed);
    atomic_fetch_or_explicit(
        sleepers, bit, memory_order_release); /* release: whoever takes the bit sees park = 1, and sets it to 0 after */
    /* Dekker with loom_wake_one, loom_wake_all and loom_segment_stop, see there */
    atomic_thread_fence(memory_order_seq_cst);
    LOOM_PROBE("park:announced");
    if (!loom_segment_has_work(segment) && !loom_split_waits(segment)) loom_futex_wait(&slot->park, 1, timeout_ms);
    LOOM_PROBE("park:awake");
    *signalled = !(atomic_fetch_and_explicit(sleepers, ~bit, memory_order_acq_rel) & bit);
    atomic_store_explicit(&slot->park, 0, memory_order_relaxed);
}
