/* block_hash.h - the hash of a block of bulk bytes, the hottest loop of the store: every image passes it when it is
 * sealed and when it is first used. */
#ifndef LOOM_SHM_BLOCK_HASH_H
#define LOOM_SHM_BLOCK_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3-64 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md), no seed, by the widest instructions that
 * this processor has. Thread-safe. */
uint64_t loom_block_hash(const void *bytes, size_t length);

/* The same with one kind of instructions, for loom_block_hash and its test. The wide ones are there when
 * LOOM_BLOCK_HASH_WIDE is defined, and must not be called on a processor without AVX2, or AVX-512F. */
uint64_t loom_block_hash_plain(const void *bytes, size_t length);
#ifdef LOOM_BLOCK_HASH_WIDE
uint64_t loom_block_hash_avx2(const void *bytes, size_t length);
uint64_t loom_block_hash_avx512(const void *bytes, size_t length);
#endif

#endif
