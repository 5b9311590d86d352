/* test_id.c - SHA-256 against the vectors of FIPS 180-2 (appendix B), and ids as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shm/id.h"

static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
static const struct vector {
    const char *text, *digest;
} vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {two_blocks, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};
static const char million_a[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void assert_id_is(loom_id id, const char *expected) {
    char hex[LOOM_ID_HEX_BYTES];
    loom_id_hex(&id, hex);
    assert_string_equal(hex, expected);
}

static void fips_vectors(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        assert_id_is(loom_sha256(vectors[i].text, strlen(vectors[i].text)), vectors[i].digest);
    assert_id_is(loom_sha256(NULL, 0), vectors[0].digest);
}

static void a_hasher_is_reusable_and_does_not_see_the_pieces(void **state) {
    (void)state;
    loom_hasher *hasher = loom_hasher_new();
    assert_non_null(hasher);
    for (size_t cut = 0; cut <= strlen(two_blocks); cut++) {
        loom_hasher_begin(hasher);
        loom_hasher_add(hasher, two_blocks, cut);
        loom_hasher_add(hasher, two_blocks + cut, strlen(two_blocks) - cut);
        assert_id_is(loom_hasher_end(hasher), vectors[2].digest);
    }
    char block[1000];
    memset(block, 'a', sizeof block);
    loom_hasher_begin(hasher);
    loom_hasher_add(hasher, "forgotten", 9);
    loom_hasher_begin(hasher);
    for (int i = 0; i < 1000; i++)
        loom_hasher_add(hasher, block, sizeof block);
    assert_id_is(loom_hasher_end(hasher), million_a);
    loom_hasher_begin(hasher);
    loom_hasher_add(hasher, NULL, 0);
    assert_id_is(loom_hasher_end(hasher), vectors[0].digest);
    loom_hasher_free(hasher);
    loom_hasher_free(NULL);
}

static void two_hashers_do_not_mix(void **state) {
    (void)state;
    loom_hasher *a = loom_hasher_new(), *b = loom_hasher_new();
    loom_hasher_begin(a);
    loom_hasher_begin(b);
    loom_hasher_add(a, "a", 1);
    loom_hasher_add(b, two_blocks, strlen(two_blocks));
    loom_sha256("noise", 5);
    loom_hasher_add(a, "bc", 2);
    assert_id_is(loom_hasher_end(a), vectors[1].digest);
    assert_id_is(loom_hasher_end(b), vectors[2].digest);
    loom_hasher_free(a);
    loom_hasher_free(b);
}

static void hex_is_read_strictly(void **state) {
    (void)state;
    loom_id id, before;
    const char *lower = vectors[1].digest;
    assert_true(loom_id_from_hex(lower, 64, &id));
    assert_id_is(id, lower);
    const char *upper = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
    loom_id same;
    assert_true(loom_id_from_hex(upper, 64, &same));
    assert_true(loom_id_equal(&id, &same));
    before = id;
    assert_false(loom_id_from_hex(lower, 63, &id));
    assert_false(loom_id_from_hex(lower, 65, &id));
    assert_false(loom_id_from_hex("", 0, &id));
    static const char wrong[] = {'g', 'G', '/', ':', '@', '`', ' ', '\0', 'x', '-', (char)0xFF};
    for (size_t i = 0; i < sizeof wrong; i++)
        for (size_t at = 0; at < 64; at += 9) {
            char text[65];
            memcpy(text, lower, 65);
            text[at] = wrong[i];
            assert_false(loom_id_from_hex(text, 64, &id));
        }
    assert_true(loom_id_equal(&id, &before));
}

static void order_is_that_of_the_bytes(void **state) {
    (void)state;
    loom_id zero = {{0}}, low = {{0}}, high = {{0}};
    low.bytes[31] = 1;
    high.bytes[0] = 0x80;
    assert_true(loom_id_is_zero(&zero));
    assert_false(loom_id_is_zero(&low));
    assert_false(loom_id_is_zero(&high));
    assert_true(loom_id_compare(&zero, &low) < 0);
    assert_true(loom_id_compare(&low, &high) < 0);
    assert_true(loom_id_compare(&high, &low) > 0);
    assert_int_equal(loom_id_compare(&low, &low), 0);
    assert_false(loom_id_equal(&low, &high));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fips_vectors),
        cmocka_unit_test(a_hasher_is_reusable_and_does_not_see_the_pieces),
        cmocka_unit_test(two_hashers_do_not_mix),
        cmocka_unit_test(hex_is_read_strictly),
        cmocka_unit_test(order_is_that_of_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
