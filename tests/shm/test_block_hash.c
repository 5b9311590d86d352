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

typedef struct passed {
    const uint8_t *next;
    size_t left;
    unsigned pieces;
} passed;

static bool note_piece(void *context, const void *piece, size_t length) {
    passed *so_far = context;
    assert_ptr_equal(piece, so_far->next);
    assert_true(length > 0 && length <= LOOM_BLOCK_PASS_BYTES && length <= so_far->left);
    so_far->next += length;
    so_far->left -= length;
    so_far->pieces++;
    return true;
}

static void assert_passes_all(uint64_t (*hash)(const void *, size_t, loom_block_pass, void *)) {
    static const size_t lengths[] = {
        1, 240, 241, 4096, LOOM_BLOCK_PASS_BYTES - 1, LOOM_BLOCK_PASS_BYTES, LOOM_BLOCK_PASS_BYTES + 1, BYTES};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        passed so_far = {bytes + 3, lengths[i], 0};
        assert_int_equal(hash(bytes + 3, lengths[i], note_piece, &so_far), XXH3_64bits(bytes + 3, lengths[i]));
        assert_int_equal(so_far.left, 0);
        assert_int_equal(so_far.pieces, (lengths[i] + LOOM_BLOCK_PASS_BYTES - 1) / LOOM_BLOCK_PASS_BYTES);
    }
}

static bool refuse(void *context, const void *piece, size_t length) {
    (void)piece, (void)length;
    return ++*(int *)context < 1;
}

static void pieces_are_passed_on_until_refused(void **state) {
    (void)state;
    int calls = 0;
    assert_passes_all(loom_block_hash_passing);
    assert_passes_all(loom_block_hash_passing_plain);
#ifdef LOOM_BLOCK_HASH_WIDE
    if (__builtin_cpu_supports("avx2")) assert_passes_all(loom_block_hash_passing_avx2);
    if (__builtin_cpu_supports("avx512f")) assert_passes_all(loom_block_hash_passing_avx512);
#endif
    (void)loom_block_hash_passing(bytes, BYTES, refuse, &calls);
    assert_int_equal(calls, 1);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_widths_agree_with_the_library),
                                       cmocka_unit_test(pieces_are_passed_on_until_refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
