/* index_tail.c - see index_tail.h. */
#include "shm/index/index_tail.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Ids are SHA-256 digests, but a hostile file may name any: hash them, so that places do not follow its choice alone.
 */
static size_t home_of(const loom_tail *tail, const uint8_t prefix[LOOM_PREFIX_BYTES]) {
    return (size_t)XXH3_64bits(prefix, LOOM_PREFIX_BYTES) & (tail->capacity - 1);
}

static void place(loom_tail *tail, const loom_tail_entry *entry) {
    size_t at = home_of(tail, entry->prefix);
    while (tail->entries[at].row != 0)
        at = (at + 1) & (tail->capacity - 1);
    tail->entries[at] = *entry;
    tail->count++;
}

static bool grow(loom_tail *tail) {
    loom_tail larger = {.capacity = tail->capacity == 0 ? 1024 : 2 * tail->capacity};
    larger.entries = calloc(larger.capacity, sizeof *larger.entries);
    if (larger.entries == NULL) return false;
    for (size_t i = 0; i < tail->capacity; i++)
        if (tail->entries[i].row != 0) place(&larger, &tail->entries[i]);
    free(tail->entries);
    *tail = larger;
    return true;
}

bool loom_tail_add(loom_tail *tail, const uint8_t prefix[LOOM_PREFIX_BYTES], uint64_t row) {
    if (2 * (tail->count + 1) > tail->capacity && !grow(tail)) return false;
    loom_tail_entry entry = {.row = row};
    memcpy(entry.prefix, prefix, LOOM_PREFIX_BYTES);
    place(tail, &entry);
    return true;
}

uint64_t loom_tail_next(const loom_tail *tail, const loom_id *id, size_t *cursor) {
    if (tail->count == 0) return 0;
    size_t home = home_of(tail, id->bytes);
    while (*cursor < tail->capacity) {
        const loom_tail_entry *entry = &tail->entries[(home + *cursor) & (tail->capacity - 1)];
        if (entry->row == 0) return 0;
        ++*cursor;
        if (memcmp(entry->prefix, id->bytes, LOOM_PREFIX_BYTES) == 0) return entry->row;
    }
    return 0;
}

void loom_tail_clear(loom_tail *tail) {
    if (tail->count > 0) memset(tail->entries, 0, tail->capacity * sizeof *tail->entries);
    tail->count = 0;
}

void loom_tail_free(loom_tail *tail) {
    free(tail->entries);
    *tail = (loom_tail){0};
}
