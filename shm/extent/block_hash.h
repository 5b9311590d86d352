/* block_hash.h - the hash of a block of bulk bytes, the hottest loop of the store: every image passes it when it is
 * sealed and when it is first used. */
#ifndef LOOM_SHM_BLOCK_HASH_H
#define LOOM_SHM_BLOCK_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* XXH3-64 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md), no seed, by the widest instructions that
 * this processor has. Thread-safe. */
uint64_t loom_block_hash(const void *bytes, size_t length);

/* Takes a piece of a block that was just hashed; false ends the hash, whose result is then nothing. */
typedef bool (*loom_block_pass)(void *context, const void *bytes, size_t length);
/* Half of what a core's own cache holds: a piece that was hashed is still there when it is written. */
#define LOOM_BLOCK_PASS_BYTES ((size_t)512 << 10)
/* The hash of the whole; each piece of LOOM_BLOCK_PASS_BYTES (the last: what is left) is passed on, in order, when it
 * was hashed. Thread-safe as far as `pass` is. */
uint64_t loom_block_hash_passing(const void *bytes, size_t length, loom_block_pass pass, void *context);

/* The same with one kind of instructions, for loom_block_hash and its test. The wide ones are there when
 * LOOM_BLOCK_HASH_WIDE is defined, and must not be called on a processor without AVX2, or AVX-512F. */
uint64_t loom_block_hash_plain(const void *bytes, size_t length);
uint64_t loom_block_hash_passing_plain(const void *bytes, size_t length, loom_block_pass pass, void *context);
#ifdef LOOM_BLOCK_HASH_WIDE
uint64_t loom_block_hash_avx2(const void *bytes, size_t length);
uint64_t loom_block_hash_passing_avx2(const void *bytes, size_t length, loom_block_pass pass, void *context);
uint64_t loom_block_hash_avx512(const void *bytes, size_t length);
uint64_t loom_block_hash_passing_avx512(const void *bytes, size_t length, loom_block_pass pass, void *context);
#endif

#endif
