/* block_hash.h - the hash of a block of bulk bytes, the hottest loop of the store: every image passes it when it is
 * sealed and when it is first used. */
#ifndef LOOM_SHM_BLOCK_HASH_H
#define LOOM_SHM_BLOCK_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3-64 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md), no seed. Thread-safe. */
uint64_t loom_block_hash(const void *bytes, size_t length);

#endif
