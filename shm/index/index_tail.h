/* index_tail.h - a private hash from id prefixes to row numbers: the rows that the index's hash-keyed tables do not
 * have yet. A hint, as those tables are: the row itself decides. Not thread-safe. */
#ifndef LOOM_SHM_INDEX_TAIL_H
#define LOOM_SHM_INDEX_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/id.h"

#define LOOM_PREFIX_BYTES 16u

typedef struct loom_tail_entry {
    uint8_t prefix[LOOM_PREFIX_BYTES];
    uint64_t row; /* 0: empty place */
} loom_tail_entry;

/* Zero-initialise. Open addressing with linear probing, at most half full; entries are only ever added. */
typedef struct loom_tail {
    loom_tail_entry *entries;
    size_t capacity; /* power of two, or 0 */
    size_t count;
} loom_tail;

/* False when out of memory. Equal prefixes may be added many times. */
bool loom_tail_add(loom_tail *tail, const uint8_t prefix[LOOM_PREFIX_BYTES], uint64_t row);
/* The next row under the prefix of `id`, or 0. Start with *cursor = 0 and pass it on. */
uint64_t loom_tail_next(const loom_tail *tail, const loom_id *id, size_t *cursor);
void loom_tail_clear(loom_tail *tail); /* keeps its memory */
void loom_tail_free(loom_tail *tail);

#endif
