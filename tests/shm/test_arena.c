/* test_arena.c - pieces are aligned, zeroed, disjoint, and gone at the end (the leak checker sees to that). */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shm/arena.h"

static bool all_bytes_are(const unsigned char *bytes, size_t count, unsigned char expected) {
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != expected) return false;
    return true;
}

/* Sizes around every border of the implementation, filled with a mark each; marks must survive later requests. */
static void pieces_are_aligned_zeroed_and_disjoint(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 15, 16, 17, 100, 1000, 1023, 1024, 4000, 4096, 5000, 300000, 2000000};
    enum { ROUNDS = 20, COUNT = sizeof sizes / sizeof sizes[0] };
    loom_arena *arena = loom_arena_new();
    assert_non_null(arena);
    unsigned char *pieces[ROUNDS][COUNT];
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < COUNT; i++) {
            unsigned char *piece = pieces[round][i] = loom_arena_alloc(arena, sizes[i]);
            assert_non_null(piece);
            assert_int_equal((uintptr_t)piece % alignof(max_align_t), 0);
            assert_true(all_bytes_are(piece, sizes[i], 0));
            memset(piece, (int)(1 + round * COUNT + i) & 0xFF, sizes[i]);
        }
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < COUNT; i++)
            assert_true(all_bytes_are(pieces[round][i], sizes[i], (unsigned char)(1 + round * COUNT + i)));
    loom_arena_free(arena);
}

static void reset_gives_zeroed_memory_again(void **state) {
    (void)state;
    loom_arena *arena = loom_arena_new();
    loom_arena_reset(arena); /* of an empty one */
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 200; i++) {
            unsigned char *piece = loom_arena_alloc(arena, 777);
            assert_non_null(piece);
            assert_true(all_bytes_are(piece, 777, 0));
            memset(piece, 0xFF, 777);
        }
        unsigned char *large = loom_arena_alloc(arena, 3 << 20);
        assert_non_null(large);
        assert_true(all_bytes_are(large, 3 << 20, 0));
        memset(large, 0xFF, 3 << 20);
        loom_arena_reset(arena);
    }
    loom_arena_free(arena);
}

static void sizes_that_overflow_are_refused(void **state) {
    (void)state;
    loom_arena *arena = loom_arena_new();
    assert_null(loom_arena_alloc(arena, SIZE_MAX));
    assert_null(loom_arena_alloc(arena, SIZE_MAX - 15));
    assert_null(loom_arena_alloc(arena, SIZE_MAX - 40));
    assert_null(loom_arena_array(arena, SIZE_MAX / 2, 3));
    assert_null(loom_arena_array(arena, 3, SIZE_MAX / 2));
    assert_null(loom_arena_array(arena, (size_t)1 << 32, (size_t)1 << 32));
    assert_null(loom_arena_text(arena, "", SIZE_MAX));
    assert_non_null(loom_arena_array(arena, 0, SIZE_MAX));
    assert_non_null(loom_arena_array(arena, SIZE_MAX, 0));
    assert_non_null(loom_arena_alloc(arena, 1)); /* still usable */
    loom_arena_free(arena);
}

static void text_and_copies(void **state) {
    (void)state;
    loom_arena *arena = loom_arena_new();
    char *text = loom_arena_text(arena, "hello world", 5);
    assert_string_equal(text, "hello");
    assert_string_equal(loom_arena_text(arena, NULL, 0), "");
    const unsigned char bytes[] = {1, 0, 2};
    const void *copy = loom_arena_copy(arena, bytes, sizeof bytes);
    assert_memory_equal(copy, bytes, sizeof bytes);
    assert_ptr_not_equal(copy, bytes);
    assert_non_null(loom_arena_copy(arena, NULL, 0));
    loom_arena_free(arena);
    loom_arena_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_zeroed_and_disjoint),
        cmocka_unit_test(reset_gives_zeroed_memory_again),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(text_and_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
