/* memo.h - a map from 64-bit keys to 32-bit numbers; entries are never removed. */
#ifndef LOOM_RUNTIME_MEMO_H
#define LOOM_RUNTIME_MEMO_H

#include <stdint.h>

#include "shm/status.h"

#define LOOM_MEMO_NONE UINT32_MAX

typedef struct loom_memo {
    struct loom_memo_slot {
        uint64_t key;
        uint32_t number; /* the value + 1; 0: the slot is free */
    } * slots;           /* open addressing */
    uint32_t count, capacity;
} loom_memo;

/* The value of a key, or LOOM_MEMO_NONE. */
uint32_t loom_memo_get(const loom_memo *memo, uint64_t key);
/* Sets it; value must not be LOOM_MEMO_NONE. LOOM_NO_MEMORY, LOOM_TOO_LARGE. */
loom_status loom_memo_set(loom_memo *memo, uint64_t key, uint32_t value);
void loom_memo_release(loom_memo *memo);

#endif
