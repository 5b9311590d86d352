/* Linear probing over Fibonacci hashing (Knuth, The Art of Computer Programming 3, section 6.4), at most half full. */
#include "runtime/coordinator/memo.h"

#include <string.h>

#include "shm/platform_array.h"

static struct loom_memo_slot *slot_of(const loom_memo *memo, uint64_t key) {
    uint32_t mask = memo->capacity - 1;
    uint32_t at = (uint32_t)((key * 0x9E3779B97F4A7C15u) >> 32) & mask;
    while (memo->slots[at].number && memo->slots[at].key != key)
        at = (at + 1) & mask;
    return &memo->slots[at];
}

static loom_status grow(loom_memo *memo) {
    if (memo->capacity > UINT32_MAX / 4) return LOOM_TOO_LARGE;
    loom_memo larger = {.count = memo->count, .capacity = memo->capacity ? memo->capacity * 2 : 1024};
    larger.slots = loom_array_grow(NULL, 0, larger.capacity * sizeof *larger.slots);
    if (!larger.slots) return LOOM_NO_MEMORY;
    for (uint32_t i = 0; i < memo->capacity; i++)
        if (memo->slots[i].number) *slot_of(&larger, memo->slots[i].key) = memo->slots[i];
    loom_memo_release(memo);
    *memo = larger;
    return LOOM_OK;
}

uint32_t loom_memo_get(const loom_memo *memo, uint64_t key) {
    return memo->capacity ? slot_of(memo, key)->number - 1 : LOOM_MEMO_NONE;
}

loom_status loom_memo_set(loom_memo *memo, uint64_t key, uint32_t value) {
    if (memo->count * 2 >= memo->capacity) LOOM_TRY(grow(memo));
    struct loom_memo_slot *slot = slot_of(memo, key);
    if (!slot->number) memo->count++;
    *slot = (struct loom_memo_slot){.key = key, .number = value + 1};
    return LOOM_OK;
}

void loom_memo_release(loom_memo *memo) {
    loom_array_free(memo->slots, memo->capacity * sizeof *memo->slots);
    memset(memo, 0, sizeof *memo);
}
