/* split.c - the owner's side of a split, and what owners and helpers do alike: see split.h. */
#include "shm/segment/split.h"

#include "shm/platform_futex.h"
#include "shm/segment/segment_layout.h"

#define SPINS 1000u /* looks before sleeping: some tens of microseconds, about what a sleep and a wake-up cost */
#define SLEEP_MS 20 /* a wake-up is never missed; only where nobody rings, see loom_split_settle */

static loom_split_slot *slot_of(const loom_segment *segment, uint32_t worker) {
    return &segment->board->slots[worker];
}

static uint64_t tagged(uint32_t generation, uint32_t low) {
    return (uint64_t)generation << 32 | low;
}

/* ---- waking ---- */

void loom_split_ring_owner(loom_split_slot *slot) {
    /* Dekker with wait_for: our change comes before this look at who sleeps; the owner says that it sleeps before it
     * looks at what we change. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&slot->owner_waits, memory_order_relaxed)) return;
    atomic_fetch_add_explicit(&slot->owner_bell, 1, memory_order_release);
    loom_futex_wake(&slot->owner_bell);
}

void loom_split_ring_helpers(loom_split_slot *slot) {
    /* Dekker with loom_split_next, as above. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_exchange_explicit(&slot->helpers_wait, 0, memory_order_relaxed)) return;
    atomic_fetch_add_explicit(&slot->helpers_bell, 1, memory_order_release);
    loom_futex_wake(&slot->helpers_bell);
}

/* What an owner waits for; `number` is the condition's own. */
typedef bool (*condition)(const loom_segment *segment, uint32_t number);

static void wait_for(loom_segment *segment, condition holds, uint32_t number) {
    loom_split_slot *own = slot_of(segment, segment->self);
    for (unsigned looks = 0; !holds(segment, number); looks++) {
        if (looks < SPINS) {
            loom_relax();
            continue;
        }
        uint32_t seen = atomic_load_explicit(&own->owner_bell, memory_order_acquire);
        atomic_store_explicit(&own->owner_waits, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst); /* see loom_split_ring_owner */
        if (!holds(segment, number)) loom_futex_wait(&own->owner_bell, seen, SLEEP_MS);
        atomic_store_explicit(&own->owner_waits, 0, memory_order_relaxed);
    }
}

/* ---- owner ---- */

static void write_phase(loom_split_slot *slot, const loom_split_phase *phase) {
    const uint64_t *words = (const uint64_t *)(const void *)phase;
    size_t used = (offsetof(loom_split_phase, state) + phase->state_bytes + 7) / 8;
    for (size_t i = 0; i < used; i++)
        atomic_store_explicit(&slot->words[i], words[i], memory_order_relaxed);
}

static void offer_parts(loom_split_slot *slot, uint32_t generation, uint32_t parts) {
    for (uint32_t word = 0; word * LOOM_SPLIT_BITS < parts; word++) {
        uint32_t left = parts - word * LOOM_SPLIT_BITS;
        uint32_t beyond = left < LOOM_SPLIT_BITS ? UINT32_MAX << left : 0; /* parts that there are not */
        atomic_store_explicit(&slot->taken[word], tagged(generation, beyond), memory_order_relaxed);
    }
    atomic_store_explicit(&slot->done, tagged(generation, 0), memory_order_relaxed);
}

void loom_split_open(loom_segment *segment, const loom_split_phase *phase, loom_split_seat *seat) {
    loom_split_slot *slot = slot_of(segment, segment->self);
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed); /* only we write it */
    uint32_t generation = (uint32_t)(state >> 32) + 1;
    bool first = (uint32_t)state == 0;
    uint32_t split = first ? generation : segment->split;
    *seat = (loom_split_seat){.owner = segment->self, .generation = generation, .phase = *phase};
    seat->phase.split = segment->split = split;
    /* Readers copy the words between two looks at the state, and trust the copy if both saw the same: so the state
     * changes before the words do. Release fence: who reads a new word (and then passes its acquire fence) sees this
     * state or a later one. */
    atomic_store_explicit(&slot->state, tagged(generation - 1, LOOM_SPLIT_BETWEEN), memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    if (first) atomic_store_explicit(&slot->spoiled, 0, memory_order_relaxed);
    write_phase(slot, &seat->phase);
    offer_parts(slot, generation, phase->parts);
    LOOM_PROBE("split:written");
    /* release: who sees the phase open sees its words, its parts, and what the owner wrote to memory before */
    atomic_store_explicit(&slot->state, tagged(generation, phase->parts), memory_order_release);
    LOOM_PROBE("split:open");
    /* relaxed: a hint; the fences in the two calls below order it before the look at who sleeps */
    atomic_fetch_or_explicit(&segment->board->open[segment->self / 64], UINT64_C(1) << segment->self % 64,
                             memory_order_relaxed);
    loom_split_ring_helpers(slot);
    /* Two, and each that comes wakes two more: soon there are as many as there are parts. */
    for (int i = 0; i < 2; i++)
        loom_wake_one(segment, atomic_load_explicit(&segment->slots[segment->self].domain, memory_order_relaxed));
}

bool loom_split_is_spoiled(const loom_segment *segment, const loom_split_seat *seat) {
    /* acquire: pairs with recovery, and with a helper that gives up */
    return atomic_load_explicit(&slot_of(segment, seat->owner)->spoiled, memory_order_acquire) != 0;
}

static bool all_reported(const loom_segment *segment) {
    const loom_split_slot *own = slot_of(segment, segment->self);
    /* relaxed: our own phase, which nobody else closes. acquire: what the parts wrote is visible, see report */
    uint64_t state = atomic_load_explicit(&own->state, memory_order_relaxed);
    return atomic_load_explicit(&own->done, memory_order_acquire) == state;
}

static bool phase_is_over(const loom_segment *segment, uint32_t ignored) {
    (void)ignored;
    return all_reported(segment) ||
           atomic_load_explicit(&slot_of(segment, segment->self)->spoiled, memory_order_acquire) != 0;
}

bool loom_split_wait(loom_segment *segment, const loom_split_seat *seat) {
    (void)seat;
    wait_for(segment, phase_is_over, 0);
    /* What is all there is good, even if a helper died after its last part. */
    return all_reported(segment);
}

static bool nobody_helps(const loom_segment *segment, uint32_t owner) {
    for (uint32_t worker = 0; worker < segment->workers; worker++)
        /* seq_cst: the other half of Dekker with loom_split_join, which takes its seat before it looks at our state.
         * Also acquire: what the helper did before it left is over. */
        if ((uint32_t)atomic_load_explicit(&slot_of(segment, worker)->helping, memory_order_seq_cst) == owner + 1)
            return false;
    return true;
}

void loom_split_close(loom_segment *segment) {
    loom_split_slot *slot = slot_of(segment, segment->self);
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    if ((uint32_t)state == 0) return;
    /* seq_cst: before the look at who helps, see nobody_helps */
    atomic_store_explicit(&slot->state, tagged((uint32_t)(state >> 32) + 1, 0), memory_order_seq_cst);
    LOOM_PROBE("split:closed");
    atomic_fetch_and_explicit(&segment->board->open[segment->self / 64], ~(UINT64_C(1) << segment->self % 64),
                              memory_order_relaxed);
    loom_split_ring_helpers(slot);
    wait_for(segment, nobody_helps, segment->self);
}

uint64_t loom_split_take_work(loom_segment *segment) {
    /* relaxed: helpers that have left told before, and we have seen them gone (acquire) */
    return atomic_exchange_explicit(&slot_of(segment, segment->self)->helped_ns, 0, memory_order_relaxed);
}

static bool nobody_reads(const loom_segment *segment, uint32_t task) {
    for (uint32_t worker = 0; worker < segment->workers; worker++) {
        /* seq_cst: a helper that we do not see here took its seat after recovery had closed the dead owner's split
         * (seq_cst too, and before the task became READY for us), so it found it closed */
        uint64_t helping = atomic_load_explicit(&slot_of(segment, worker)->helping, memory_order_seq_cst);
        if ((uint32_t)helping != 0 && (uint32_t)(helping >> 32) == task) return false;
    }
    return true;
}

bool loom_split_is_read(const loom_segment *segment, uint32_t task) {
    return !nobody_reads(segment, task);
}

void loom_split_settle(loom_segment *segment, uint32_t task) {
    wait_for(segment, nobody_reads, task); /* helpers ring the slot of the dead owner: we look every SLEEP_MS */
}

/* ---- parts ---- */

static uint32_t first_part(const loom_segment *segment, const loom_split_seat *seat) {
    uint32_t place = (segment->self + segment->workers - seat->owner) % segment->workers;
    return (uint32_t)((uint64_t)seat->phase.parts * place / segment->workers);
}

/* Takes a part among `wanted` of one word; LOOM_PART_NONE if none of them is free. */
static uint32_t take_of_word(loom_segment *segment, const loom_split_seat *seat, uint32_t number, uint32_t wanted) {
    _Atomic uint64_t *word = &slot_of(segment, seat->owner)->taken[number];
    bool helps = seat->owner != segment->self;
    uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
    while (seen >> 32 == seat->generation && (~(uint32_t)seen & wanted) != 0) {
        uint32_t bit = (uint32_t)__builtin_ctz(~(uint32_t)seen & wanted), part = number * LOOM_SPLIT_BITS + bit;
        /* Announced before it is taken: the swap is a release operation, so this store is not delayed past it. */
        if (helps) atomic_store_explicit(&slot_of(segment, segment->self)->part, part + 1, memory_order_release);
        LOOM_PROBE("split:announced");
        if (atomic_compare_exchange_weak_explicit(word, &seen, seen | UINT64_C(1) << bit, memory_order_acq_rel,
                                                  memory_order_relaxed)) {
            LOOM_PROBE("split:taken");
            return part;
        }
    }
    return LOOM_PART_NONE;
}

uint32_t loom_split_take(loom_segment *segment, const loom_split_seat *seat) {
    uint32_t parts = seat->phase.parts, first = first_part(segment, seat);
    uint32_t words = (parts + LOOM_SPLIT_BITS - 1) / LOOM_SPLIT_BITS, begin = first / LOOM_SPLIT_BITS;
    uint32_t from_first = UINT32_MAX << first % LOOM_SPLIT_BITS;
    /* relaxed: a hint, so that a closed split is not worked on; the swap decides */
    uint64_t state = atomic_load_explicit(&slot_of(segment, seat->owner)->state, memory_order_relaxed);
    bool over = state != tagged(seat->generation, parts);
    /* From the first one upwards, round, to the one before it: its word comes twice. */
    for (uint32_t i = 0; !over && i <= words; i++) {
        uint32_t wanted = i == 0 ? from_first : i == words ? ~from_first : UINT32_MAX;
        uint32_t part = take_of_word(segment, seat, (begin + i) % words, wanted);
        if (part != LOOM_PART_NONE) return part;
    }
    if (seat->owner != segment->self)
        atomic_store_explicit(&slot_of(segment, segment->self)->part, 0, memory_order_release);
    return LOOM_PART_NONE;
}

void loom_split_report(loom_segment *segment, const loom_split_seat *seat) {
    loom_split_slot *slot = slot_of(segment, seat->owner);
    uint64_t done = atomic_load_explicit(&slot->done, memory_order_relaxed);
    LOOM_PROBE("split:ran");
    /* release: what the part wrote is visible to whoever sees the count; acquire: one chain of read-modify-writes hands
     * on what the others wrote. Another generation: the owner died, and nobody wants this part any more. */
    while (done >> 32 == seat->generation &&
           !atomic_compare_exchange_weak_explicit(&slot->done, &done, done + 1, memory_order_acq_rel,
                                                  memory_order_relaxed)) {
    }
    LOOM_PROBE("split:reported");
    if (seat->owner == segment->self) return;
    atomic_fetch_add_explicit(&segment->slots[segment->self].counters.parts_helped, 1, memory_order_relaxed);
    atomic_store_explicit(&slot_of(segment, segment->self)->part, 0, memory_order_release);
    if ((uint32_t)done + 1 == seat->phase.parts) loom_split_ring_owner(slot);
}
