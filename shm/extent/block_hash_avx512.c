/* block_hash_avx512.c - block_hash.c's loop, in a file of its own because the compiler is told of the instructions by
 * file.
 */
#include "shm/extent/block_hash_loop.h"

uint64_t loom_block_hash_avx512(const void *bytes, size_t length) {
    return XXH3_64bits(bytes, length);
}

uint64_t loom_block_hash_passing_avx512(const void *bytes, size_t length, loom_block_pass pass, void *context) {
    return hash_passing(bytes, length, pass, context);
}
