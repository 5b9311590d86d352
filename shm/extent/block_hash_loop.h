/* block_hash_loop.h - the two loops of the block hash, included by each file that compiles them for other instructions.
 */
#ifndef LOOM_SHM_BLOCK_HASH_LOOP_H
#define LOOM_SHM_BLOCK_HASH_LOOP_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "shm/extent/block_hash.h"

static inline uint64_t hash_passing(const void *bytes, size_t length, loom_block_pass pass, void *context) {
    const uint8_t *at = bytes;
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    (void)XXH3_64bits_reset(&state);
    while (length > 0) {
        size_t here = length < LOOM_BLOCK_PASS_BYTES ? length : LOOM_BLOCK_PASS_BYTES;
        (void)XXH3_64bits_update(&state, at, here);
        if (!pass(context, at, here)) break;
        at += here;
        length -= here;
    }
    return XXH3_64bits_digest(&state);
}

#endif
