/* control_space.c - ranges of extent files that are listed for reuse by any attached process.
 *
 * An entry's state word holds the length (0: empty, all ones: being filled), whether the range is punched, and a
 * sequence number that every change raises, so that a compare-and-swap takes exactly what was read. A process that dies
 * between taking and using leaves a range that nobody owns, never one that two own. */
#include <xxhash.h>

#include "shm/control/control_parts.h"

#define PAGES_MASK UINT64_C(0xffffffff)
#define FILLING PAGES_MASK
#define PUNCHED (UINT64_C(1) << 32)
#define SEQUENCE_ONE (UINT64_C(1) << 33)

typedef struct lent_entry {
    _Atomic uint64_t state;
    _Atomic uint64_t key;   /* extent << 40 | page */
    _Atomic uint64_t check; /* of key and length: a damaged entry is not used */
    uint64_t reserved;
} lent_entry;
_Static_assert(sizeof(lent_entry) == 32, "control is a shared format: see shm/SCHEMA.md");
_Static_assert(LOOM_CONTROL_LENT_AT + LOOM_CONTROL_LENT * sizeof(lent_entry) <= LOOM_CONTROL_PINS_AT,
               "the areas of control do not overlap");

static lent_entry *entries_of(const loom_control *control) {
    return (lent_entry *)(void *)(control->map + LOOM_CONTROL_LENT_AT);
}

loom_control_space *loom_control_space_of(loom_control *control) {
    return control->map == NULL ? NULL : (loom_control_space *)(void *)(control->map + LOOM_CONTROL_SPACE_AT);
}

static uint64_t check_of(uint64_t key, uint64_t pages) {
    uint64_t words[2] = {key, pages};
    return XXH3_64bits_withSeed(words, sizeof words, LOOM_CONTROL_MAGIC);
}

static uint64_t next_state(uint64_t before, uint64_t pages, bool punched) {
    return ((before / SEQUENCE_ONE + 1) * SEQUENCE_ONE) | (punched ? PUNCHED : 0) | pages;
}

static void raise_upto(loom_control_space *space, uint32_t used) {
    uint32_t upto = atomic_load(&space->lent_upto);
    while (upto < used && !atomic_compare_exchange_weak(&space->lent_upto, &upto, used))
        ;
}

bool loom_control_lend(loom_control *control, const loom_lent *range) {
    loom_control_space *space = loom_control_space_of(control);
    if (space == NULL || range->pages == 0 || range->pages >= FILLING || range->page == 0 || range->page >> 40 != 0 ||
        range->extent >> 24 != 0)
        return false;
    lent_entry *entries = entries_of(control);
    uint64_t key = (uint64_t)range->extent << 40 | range->page;
    for (uint32_t i = 0; i < LOOM_CONTROL_LENT; i++) {
        uint64_t state = atomic_load_explicit(&entries[i].state, memory_order_relaxed);
        if ((state & PAGES_MASK) != 0) continue;
        uint64_t filling = next_state(state, FILLING, false);
        if (!atomic_compare_exchange_strong(&entries[i].state, &state, filling)) continue;
        atomic_store_explicit(&entries[i].key, key, memory_order_relaxed);
        atomic_store_explicit(&entries[i].check, check_of(key, range->pages), memory_order_relaxed);
        raise_upto(space, i + 1);
        atomic_fetch_add_explicit(&space->lent_bytes, range->pages * LOOM_PAGE_BYTES, memory_order_relaxed);
        /* Release: who reads the length reads this key. */
        atomic_store_explicit(&entries[i].state, next_state(filling, range->pages, range->punched),
                              memory_order_release);
        return true;
    }
    return false;
}

/* The entry with the smallest sufficient length, and its state; LOOM_CONTROL_LENT if there is none. */
static uint32_t best_fit(loom_control *control, uint64_t pages, uint64_t *state) {
    lent_entry *entries = entries_of(control);
    uint32_t upto = atomic_load_explicit(&loom_control_space_of(control)->lent_upto, memory_order_acquire);
    uint32_t best = LOOM_CONTROL_LENT;
    uint64_t best_pages = FILLING;
    for (uint32_t i = 0; i < upto && i < LOOM_CONTROL_LENT && best_pages != pages; i++) {
        /* Acquire: see loom_control_lend. */
        uint64_t now = atomic_load_explicit(&entries[i].state, memory_order_acquire), length = now & PAGES_MASK;
        if (length < pages || length == 0 || length >= best_pages) continue;
        best = i;
        best_pages = length;
        *state = now;
    }
    return best;
}

bool loom_control_borrow(loom_control *control, uint64_t pages, loom_lent *range) {
    if (control->map == NULL) return false;
    for (;;) {
        uint64_t state = 0;
        uint32_t i = best_fit(control, pages, &state);
        if (i == LOOM_CONTROL_LENT) return false;
        lent_entry *entry = &entries_of(control)[i];
        uint64_t key = atomic_load_explicit(&entry->key, memory_order_relaxed);
        uint64_t check = atomic_load_explicit(&entry->check, memory_order_relaxed);
        /* If the state, with its sequence number, is still what it was, so were key and check when we read them. */
        uint64_t expected = state, length = state & PAGES_MASK;
        if (!atomic_compare_exchange_strong(&entry->state, &expected, next_state(state, 0, false))) continue;
        atomic_fetch_sub_explicit(&loom_control_space_of(control)->lent_bytes, length * LOOM_PAGE_BYTES,
                                  memory_order_relaxed);
        if (check != check_of(key, length)) continue; /* damaged: it stays unowned */
        *range = (loom_lent){.extent = (uint32_t)(key >> 40),
                             .punched = (state & PUNCHED) != 0,
                             .page = key & ((UINT64_C(1) << 40) - 1),
                             .pages = length};
        return true;
    }
}
