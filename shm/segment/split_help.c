/* split_help.c - a helper's side of a split: see split.h. */
#include "shm/platform_futex.h"
#include "shm/segment/segment_layout.h"
#include "shm/segment/split.h"

#define SPINS 500u
#define NEXT_PHASE_MS                                                                                                  \
    1 /* how long a helper sleeps at a split between two phases before it looks for something else                     \
       */

static loom_split_slot *slot_of(const loom_segment *segment, uint32_t worker) {
    return &segment->board->slots[worker];
}

static bool is_open(uint64_t state) {
    return (uint32_t)state != 0 && (uint32_t)state != LOOM_SPLIT_BETWEEN;
}

/* ---- looking ---- */

static bool has_parts(const loom_split_slot *slot, uint64_t state) {
    if (!is_open(state) || (uint32_t)state > LOOM_PARTS_MAX) return false;
    for (uint32_t word = 0; word * LOOM_SPLIT_BITS < (uint32_t)state; word++) {
        uint64_t taken = atomic_load_explicit(&slot->taken[word], memory_order_relaxed);
        if (taken >> 32 == state >> 32 && (uint32_t)taken != UINT32_MAX) return true;
    }
    return false;
}

static uint64_t name_of(const loom_split_slot *slot, uint32_t owner) {
    /* relaxed: a wrong guess costs one more look */
    uint64_t word = atomic_load_explicit(&slot->words[offsetof(loom_split_phase, split) / 8], memory_order_relaxed);
    uint32_t split = (uint32_t)(word >> (offsetof(loom_split_phase, split) % 8 * 8));
    return (uint64_t)split << 32 | (owner + 1);
}

/* Whether parts of this owner may be had. */
static bool is_offered(const loom_segment *segment, uint32_t owner) {
    const loom_split_slot *slot = slot_of(segment, owner);
    if (owner == segment->self) return false;
    uint64_t bits = atomic_load_explicit(&segment->board->open[owner / 64], memory_order_relaxed);
    return bits >> owner % 64 & 1 && has_parts(slot, atomic_load_explicit(&slot->state, memory_order_acquire)) &&
           name_of(slot, owner) != segment->shunned;
}

bool loom_split_waits(const loom_segment *segment) {
    for (uint32_t word = 0; word * 64 < segment->workers; word++) {
        uint64_t bits = atomic_load_explicit(&segment->board->open[word], memory_order_relaxed);
        for (; bits != 0; bits &= bits - 1) {
            uint32_t owner = word * 64 + (uint32_t)__builtin_ctzll(bits);
            if (owner < segment->workers && is_offered(segment, owner)) return true;
        }
    }
    return false;
}

/* ---- coming and going ---- */

/* A copy of the phase that is open; false if it changed meanwhile, or cannot be. */
static bool read_phase(const loom_segment *segment, uint32_t owner, uint64_t state, loom_split_seat *seat) {
    const loom_split_slot *slot = slot_of(segment, owner);
    uint64_t *words = (uint64_t *)(void *)&seat->phase;
    *seat = (loom_split_seat){.owner = owner, .generation = (uint32_t)(state >> 32)};
    for (size_t i = 0; i < sizeof seat->phase / 8; i++)
        words[i] = atomic_load_explicit(&slot->words[i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire); /* see loom_split_open */
    return atomic_load_explicit(&slot->state, memory_order_relaxed) == state && seat->phase.parts == (uint32_t)state &&
           seat->phase.parts <= LOOM_PARTS_MAX && seat->phase.state_bytes <= LOOM_SPLIT_STATE_MAX;
}

static bool join(loom_segment *segment, uint32_t owner, loom_split_seat *seat) {
    const loom_split_slot *slot = slot_of(segment, owner);
    loom_split_slot *own = slot_of(segment, segment->self);
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
    if (!has_parts(slot, state) || !read_phase(segment, owner, state, seat)) return false;
    /* seq_cst: the seat is taken before we look at the state again. The owner closes before it looks at the seats: one
     * of us sees the other. */
    atomic_store_explicit(&own->helping, (uint64_t)seat->phase.task << 32 | (owner + 1), memory_order_seq_cst);
    LOOM_PROBE("split:joined");
    if (atomic_load_explicit(&slot->state, memory_order_seq_cst) == state) return true;
    loom_split_leave(segment, seat, false);
    return false;
}

bool loom_split_join(loom_segment *segment, loom_split_seat *seat) {
    uint32_t domain = atomic_load_explicit(&segment->slots[segment->self].domain, memory_order_relaxed);
    for (int any_domain = 0; any_domain < 2; any_domain++)
        for (uint32_t i = 1; i < segment->workers; i++) {
            uint32_t owner = (segment->self + i) % segment->workers;
            bool near = atomic_load_explicit(&segment->slots[owner].domain, memory_order_relaxed) == domain;
            if ((!near && !any_domain) || !is_offered(segment, owner) || !join(segment, owner, seat)) continue;
            if (loom_split_waits(segment)) /* others may come too, see loom_split_open */
                for (int more = 0; more < 2; more++)
                    loom_wake_one(segment, domain);
            return true;
        }
    return false;
}

/* A later phase of the same split: 1; none yet: 0; the split is over: -1. */
static int look_for_next(const loom_segment *segment, loom_split_seat *seat) {
    const loom_split_slot *slot = slot_of(segment, seat->owner);
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
    if ((uint32_t)state == 0) return -1;
    if (!is_open(state) || state >> 32 == seat->generation) return 0;
    loom_split_seat next;
    if (!read_phase(segment, seat->owner, state, &next)) return 0;
    /* After the owner's death another process may use its slot, even for the same task. */
    if (next.phase.split != seat->phase.split || next.phase.task != seat->phase.task) return -1;
    *seat = next;
    return 1;
}

bool loom_split_next(loom_segment *segment, loom_split_seat *seat) {
    loom_split_slot *slot = slot_of(segment, seat->owner);
    int found = 0;
    for (unsigned looks = 0; found == 0 && looks < SPINS; looks++) {
        found = look_for_next(segment, seat);
        loom_relax();
    }
    if (found != 0) return found > 0;
    if (loom_segment_has_work(segment)) return false;
    uint32_t seen = atomic_load_explicit(&slot->helpers_bell, memory_order_acquire);
    atomic_store_explicit(&slot->helpers_wait, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* see loom_split_ring_helpers */
    found = look_for_next(segment, seat);
    if (found != 0) return found > 0;
    loom_futex_wait(&slot->helpers_bell, seen, NEXT_PHASE_MS);
    return look_for_next(segment, seat) > 0;
}

void loom_split_add_work(loom_segment *segment, const loom_split_seat *seat, uint64_t ns) {
    /* relaxed: before loom_split_leave, which is a release */
    atomic_fetch_add_explicit(&slot_of(segment, seat->owner)->helped_ns, ns, memory_order_relaxed);
}

void loom_split_give_up(loom_segment *segment, const loom_split_seat *seat) {
    loom_split_slot *slot = slot_of(segment, seat->owner);
    /* If the owner is not ours any more but the next process in its slot, that one works alone once: no harm. */
    atomic_store_explicit(&slot->spoiled, 1, memory_order_release);
    loom_split_ring_owner(slot);
}

void loom_split_leave(loom_segment *segment, const loom_split_seat *seat, bool shun) {
    loom_split_slot *own = slot_of(segment, segment->self);
    if (shun) segment->shunned = (uint64_t)seat->phase.split << 32 | (seat->owner + 1);
    atomic_store_explicit(&own->part, 0, memory_order_relaxed);
    LOOM_PROBE("split:leaving");
    /* release: we are done with the output, the arguments and what is shared */
    atomic_store_explicit(&own->helping, 0, memory_order_release);
    LOOM_PROBE("split:left");
    loom_split_ring_owner(slot_of(segment, seat->owner));
}
