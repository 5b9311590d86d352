/* block_hash.c - XXH3 compiled here, by the header's own means, with our flags: the shared library of Debian 12 hashes a
 * block at a third of this speed (12 against 33 GB/s on the machine of perf/ANALYSIS.md), as it is built for size. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "shm/store/block_hash.h"

uint64_t loom_block_hash(const void *bytes, size_t length) {
    return XXH3_64bits(bytes, length);
}
