/* test_block_hash.c - the block hash by every kind of instructions that this processor has, against the library's XXH3:
 * a store that was written on one machine is verified on another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <xxhash.h>

#include "shm/extent/block_hash.h"

#define BYTES (UINT64_C(1) << 20)

static uint8_t *bytes;

static int setup(void **state) {
    (void)state;
    uint64_t value = 1;
    bytes = malloc(BYTES + 64);
    for (size_t i = 0; bytes != NULL && i < BYTES + 64; i++) {
        value = value * UINT64_C(6364136223846793005) + 1442695040888963407u;
        bytes[i] = (uint8_t)(value >> 56);
    }
    return bytes == NULL;
}

static int teardown(void **state) {
    (void)state;
    free(bytes);
    return 0;
}

static void assert_is_xxh3(uint64_t (*hash)(const void *, size_t)) {
    static const size_t lengths[] = {0,   1,   3,   4,   8,    9,    16,   17,   128,  129,       240,
                                     241, 256, 511, 512, 1023, 1024, 1025, 4096, 9000, BYTES - 1, BYTES};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t offset = 0; offset < 64; offset += 9)
            assert_int_equal(hash(bytes + offset, lengths[i]), XXH3_64bits(bytes + offset, lengths[i]));
}

static void all_widths_agree_with_the_library(void **state) {
    (void)state;
    assert_is_xxh3(loom_block_hash);
    assert_is_xxh3(loom_block_hash_plain);
#ifdef LOOM_BLOCK_HASH_WIDE
    if (__builtin_cpu_supports("avx2")) assert_is_xxh3(loom_block_hash_avx2);
    if (__builtin_cpu_supports("avx512f")) assert_is_xxh3(loom_block_hash_avx512);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_widths_agree_with_the_library)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
