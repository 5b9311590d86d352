/* block_hash.c - XXH3 compiled here, by the header's own means, with our flags: the shared library of Debian 12 hashes
 * a block at a third of this speed, as it is built for size. The wide forms are two and three times as fast again
 * (perf/ANALYSIS.md); the result is the same by XXH3's specification. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "shm/extent/block_hash.h"

uint64_t loom_block_hash_plain(const void *bytes, size_t length) {
    return XXH3_64bits(bytes, length);
}

uint64_t loom_block_hash(const void *bytes, size_t length) {
#ifdef LOOM_BLOCK_HASH_WIDE
    /* VBMI2 came with the first processors that do not lower their clock for such instructions. */
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vbmi2"))
        return loom_block_hash_avx512(bytes, length);
    if (__builtin_cpu_supports("avx2")) return loom_block_hash_avx2(bytes, length);
#endif
    return loom_block_hash_plain(bytes, length);
}
