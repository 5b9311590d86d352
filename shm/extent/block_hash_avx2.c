/* block_hash_avx2.c - block_hash.c's loop, in a file of its own because the compiler is told of the instructions by
 * file.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "shm/extent/block_hash.h"

uint64_t loom_block_hash_avx2(const void *bytes, size_t length) {
    return XXH3_64bits(bytes, length);
}
