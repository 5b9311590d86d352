/* test_platform_array.c - arrays that grow keep what is in them, and what is new is zero, on both sides of the size
 * from which on they are mappings of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shm/platform_array.h"

#define MIB ((size_t)1 << 20)

/* Another word for each place and round. */
static uint64_t mark(size_t at, unsigned round) {
    return (at + 1) * UINT64_C(0x9E3779B97F4A7C15) + round;
}

static bool is_zero(const uint64_t *words, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        if (words[i] != 0) return false;
    return true;
}

/* Sizes around every border: none, one word, a page, just below and above 4 MiB, no multiple of 2 MiB, the same twice.
 */
static void growing_keeps_and_zeroes(void **state) {
    (void)state;
    static const size_t sizes[] = {
        8,           4096,    MIB,           4 * MIB - 8,   4 * MIB,       4 * MIB + 8,
        4 * MIB + 8, 6 * MIB, 6 * MIB + 800, 13 * MIB - 16, 13 * MIB - 16, 32 * MIB,
    };
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    uint64_t *words = NULL;
    size_t bytes = 0;
    for (unsigned round = 0; round < COUNT; round++) {
        uint64_t *grown = loom_array_grow(words, bytes, sizes[round]);
        assert_non_null(grown);
        size_t before = bytes / sizeof *grown, after = sizes[round] / sizeof *grown;
        for (size_t i = 0; i < before; i++)
            if (grown[i] != mark(i, round - 1)) fail_msg("round %u: word %zu is lost", round, i);
        assert_true(is_zero(grown, before, after));
        for (size_t i = 0; i < after; i++)
            grown[i] = mark(i, round);
        words = grown;
        bytes = sizes[round];
    }
    loom_array_free(words, bytes);
}

/* What is used again by the next array must be as good as new. */
static void new_ones_are_zero(void **state) {
    (void)state;
    for (unsigned round = 0; round < 4; round++)
        for (size_t bytes = 3 * MIB; bytes <= 9 * MIB; bytes += MIB) {
            uint64_t *words = loom_array_grow(NULL, 0, bytes);
            assert_non_null(words);
            assert_true(is_zero(words, 0, bytes / sizeof *words));
            memset(words, 0xA5, bytes);
            loom_array_free(words, bytes);
        }
}

/* Two that grow in turns lie apart. */
static void neighbours_do_not_meet(void **state) {
    (void)state;
    unsigned char *pair[2] = {NULL, NULL};
    size_t bytes = 0;
    for (size_t larger = MIB + 4096; larger < 20 * MIB; bytes = larger, larger += 3 * MIB + 4096)
        for (int which = 0; which < 2; which++) {
            pair[which] = loom_array_grow(pair[which], bytes, larger);
            assert_non_null(pair[which]);
            memset(pair[which] + bytes, which + 1, larger - bytes);
        }
    for (int which = 0; which < 2; which++) {
        for (size_t i = 0; i < bytes; i++)
            if (pair[which][i] != which + 1) fail_msg("array %d: byte %zu is another's", which, i);
        loom_array_free(pair[which], bytes);
    }
}

static void refuses_more_than_there_is(void **state) {
    (void)state;
    const size_t far_too_much = SIZE_MAX / 2 + 1;
    assert_null(loom_array_grow(NULL, 0, far_too_much));
    unsigned char *kept = loom_array_grow(NULL, 0, 5 * MIB);
    assert_non_null(kept);
    memset(kept, 7, 5 * MIB);
    assert_null(loom_array_grow(kept, 5 * MIB, far_too_much));
    for (size_t i = 0; i < 5 * MIB; i++)
        if (kept[i] != 7) fail_msg("byte %zu is lost", i);
    loom_array_free(kept, 5 * MIB);
    loom_array_free(NULL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growing_keeps_and_zeroes),
        cmocka_unit_test(new_ones_are_zero),
        cmocka_unit_test(neighbours_do_not_meet),
        cmocka_unit_test(refuses_more_than_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
