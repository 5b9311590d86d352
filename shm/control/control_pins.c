/* control_pins.c - which ranges of the extent files living processes use: hazard pointers in the file `control`.
 *
 * An entry is free (owner 0), taken (owner, no key yet: pins nothing), or pins its key. Only its owner changes a taken
 * entry; others may take it once the owner is gone. Michael, "Hazard pointers", IEEE TPDS 15(6), 2004. */
#include <stdlib.h>
#include <string.h>

#include "shm/control/control_parts.h"
#include "shm/fork.h"

#define PIN_IS_BARRIER UINT32_MAX
#define PIN_IS_NOTHING (UINT32_MAX - 1) /* a quiet reader: nobody writes while it reads */

typedef struct pin_entry {
    _Atomic uint64_t owner;
    _Atomic uint64_t key; /* extent << 40 | page; 0 = none (page 0 is a header) */
} pin_entry;
_Static_assert(sizeof(pin_entry) == 16, "control is a shared format: see shm/SCHEMA.md");
_Static_assert(LOOM_CONTROL_PINS_AT + LOOM_CONTROL_PINS * sizeof(pin_entry) <= LOOM_CONTROL_MARKS_AT,
               "the areas of control do not overlap");

static pin_entry *entries_of(const loom_control *control) {
    return (pin_entry *)(void *)(control->map + LOOM_CONTROL_PINS_AT);
}

static uint64_t key_of(const loom_placement *place) {
    return (uint64_t)place->extent << 40 | (place->offset / LOOM_PAGE_BYTES & ((UINT64_C(1) << 40) - 1));
}

/* The slot of an owner's name; LOOM_CONTROL_SLOTS if it names none, or an owner that has been followed by another. */
static uint32_t slot_of_owner(const loom_control *control, uint64_t owner) {
    uint32_t slot = (uint32_t)owner - 1;
    if (slot >= LOOM_CONTROL_SLOTS) return LOOM_CONTROL_SLOTS;
    uint32_t generation = atomic_load_explicit(&loom_control_slot_at(control, slot)->generation, memory_order_acquire);
    return owner == loom_control_owner(slot, generation) ? slot : LOOM_CONTROL_SLOTS;
}

/* Asks the kernel at most once a slot. */
typedef struct liveness {
    uint8_t known[LOOM_CONTROL_SLOTS]; /* 0 not asked, 1 live, 2 gone */
} liveness;

static bool is_live(const loom_control *control, liveness *of, uint64_t owner) {
    uint32_t slot = slot_of_owner(control, owner);
    if (slot >= LOOM_CONTROL_SLOTS) return false;
    if (of->known[slot] == 0) of->known[slot] = loom_control_slot_is_live(control, slot) ? 1 : 2;
    return of->known[slot] == 1;
}

/* ---- pinning ---- */

/* An entry that is free, or (with `of`) whose owner is gone. LOOM_CONTROL_PINS if there is none. */
static uint32_t take_entry(loom_control *control, liveness *of) {
    pin_entry *entries = entries_of(control);
    uint32_t first = atomic_load_explicit(&control->pin_hint, memory_order_relaxed);
    for (uint32_t n = 0; n < LOOM_CONTROL_PINS; n++) {
        uint32_t i = (first + n) % LOOM_CONTROL_PINS;
        uint64_t owner = atomic_load_explicit(&entries[i].owner, memory_order_relaxed);
        bool void_now = owner == 0 || slot_of_owner(control, owner) >= LOOM_CONTROL_SLOTS ||
                        (of != NULL && !is_live(control, of, owner));
        /* Acquire: the last owner's clearing of the key comes before our setting it. */
        if (void_now && atomic_compare_exchange_strong_explicit(&entries[i].owner, &owner, control->run,
                                                                memory_order_acquire, memory_order_relaxed))
            return i;
    }
    return LOOM_CONTROL_PINS;
}

static uint32_t take_entry_of_dead(loom_control *control) {
    liveness of;
    memset(&of, 0, sizeof of);
    return take_entry(control, &of);
}

uint32_t loom_control_pin(loom_control *control, const loom_placement *place) {
    if (control->map == NULL) return PIN_IS_NOTHING;
    uint32_t i = take_entry(control, NULL);
    if (i == LOOM_CONTROL_PINS) i = take_entry_of_dead(control);
    if (i == LOOM_CONTROL_PINS) {
        loom_control_raise_barrier(control);
        return PIN_IS_BARRIER;
    }
    atomic_store_explicit(&control->pin_hint, i + 1, memory_order_relaxed);
    atomic_store_explicit(&entries_of(control)[i].key, key_of(place), memory_order_relaxed);
    /* Dekker's pattern with loom_control_pins: our look-up comes after the key is visible, theirs after the deletion
     * is. One of the two sees the other. */
    atomic_thread_fence(memory_order_seq_cst);
    return i + 1;
}

void loom_control_unpin(loom_control *control, uint32_t pin) {
    /* A child has no pins: those it sees are its parent's. */
    if (control->map == NULL || pin == 0 || control->fork_generation != loom_fork_generation()) return;
    if (pin == PIN_IS_BARRIER) loom_control_lower_barrier(control);
    if (pin > LOOM_CONTROL_PINS) return;
    pin_entry *entry = &entries_of(control)[pin - 1];
    if (atomic_load_explicit(&entry->owner, memory_order_relaxed) != control->run) return;
    atomic_store_explicit(&entry->key, 0, memory_order_relaxed);
    /* Release: what was read from the range was read before it may be reused. */
    atomic_store_explicit(&entry->owner, 0, memory_order_release);
    atomic_store_explicit(&control->pin_hint, pin - 1, memory_order_relaxed);
}

void loom_control_raise_barrier(loom_control *control) {
    if (control->map == NULL) return;
    atomic_fetch_add(&loom_control_slot_at(control, control->slot)->barriers, 1);
    atomic_thread_fence(memory_order_seq_cst);
}

void loom_control_lower_barrier(loom_control *control) {
    if (control->map == NULL || control->fork_generation != loom_fork_generation()) return;
    _Atomic uint32_t *barriers = &loom_control_slot_at(control, control->slot)->barriers;
    uint32_t count = atomic_load(barriers);
    while (count > 0 && !atomic_compare_exchange_weak(barriers, &count, count - 1))
        ;
}

/* ---- looking ---- */

static bool has_barrier(const loom_control *control, liveness *of) {
    for (uint32_t i = 0; i < LOOM_CONTROL_SLOTS; i++) {
        loom_control_slot *slot = loom_control_slot_at(control, i);
        uint32_t generation = atomic_load_explicit(&slot->generation, memory_order_acquire);
        if (atomic_load(&slot->barriers) > 0 && is_live(control, of, loom_control_owner(i, generation))) return true;
    }
    return false;
}

static int compare_keys(const void *a, const void *b) {
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static bool add_key(loom_pins *pins, size_t *capacity, uint64_t key) {
    if (pins->count == *capacity) {
        size_t larger = *capacity == 0 ? 64 : 2 * *capacity;
        uint64_t *grown = realloc(pins->keys, larger * sizeof *grown);
        if (grown == NULL) return false;
        pins->keys = grown;
        *capacity = larger;
    }
    pins->keys[pins->count++] = key;
    return true;
}

loom_status loom_control_pins(loom_control *control, loom_pins *pins, loom_error *err) {
    *pins = (loom_pins){0};
    if (control->map == NULL) return LOOM_OK;
    atomic_thread_fence(memory_order_seq_cst); /* see loom_control_pin */
    liveness of;
    memset(&of, 0, sizeof of);
    pins->barrier = has_barrier(control, &of);
    pin_entry *entries = entries_of(control);
    size_t capacity = 0;
    for (uint32_t i = 0; i < LOOM_CONTROL_PINS; i++) {
        uint64_t owner = atomic_load_explicit(&entries[i].owner, memory_order_acquire);
        if (owner == 0) continue;
        uint64_t key = atomic_load_explicit(&entries[i].key, memory_order_acquire);
        if (key == 0 || !is_live(control, &of, owner)) continue;
        if (!add_key(pins, &capacity, key)) {
            loom_pins_free(pins);
            return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading %s/control", control->path);
        }
    }
    if (pins->count > 1) qsort(pins->keys, pins->count, sizeof *pins->keys, compare_keys);
    return LOOM_OK;
}

bool loom_pins_has(const loom_pins *pins, const loom_placement *place) {
#ifdef LOOM_MUTANT_REUSE_PINNED /* a mistake that tests/crash must find; never in a product */
    if (pins != NULL) return false;
#endif
    if (pins->barrier) return true;
    if (pins->count == 0 || place->bytes == 0) return false;
    /* The first key at or behind the beginning of the range, if it lies before the end. */
    uint64_t first = key_of(place), pages = place->bytes / LOOM_PAGE_BYTES + (place->bytes % LOOM_PAGE_BYTES != 0);
    size_t low = 0, high = pins->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (pins->keys[middle] < first)
            low = middle + 1;
        else
            high = middle;
    }
    return low < pins->count && pins->keys[low] - first < pages;
}

void loom_pins_free(loom_pins *pins) {
    free(pins->keys);
    *pins = (loom_pins){0};
}

bool loom_control_is_pinned(loom_control *control, const loom_placement *place) {
    loom_pins pins;
    if (loom_control_pins(control, &pins, NULL) != LOOM_OK) return true; /* not known: nothing is touched */
    bool pinned = loom_pins_has(&pins, place);
    loom_pins_free(&pins);
    return pinned;
}
