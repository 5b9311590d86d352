/* test_value_hostile.c - bytes that nobody honest wrote: truncated, changed, in longer forms, with lying counts. Every
 * one is LOOM_CORRUPT, or decodes to a value whose encoding is those very bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shm/value.h"

/* Decodes from an allocation of exactly `length` bytes, so that AddressSanitizer sees a read beyond them. */
static loom_status decode(const uint8_t *bytes, size_t length, loom_arena *arena, loom_value *value, uint8_t **exact) {
    *exact = malloc(length > 0 ? length : 1);
    if (length > 0) memcpy(*exact, bytes, length);
    loom_error err = {0};
    loom_status status = loom_value_decode(*exact, length, arena, value, &err);
    if (status != LOOM_OK) {
        assert_int_equal(status, LOOM_CORRUPT);
        assert_int_equal(err.status, LOOM_CORRUPT);
        assert_non_null(strstr(err.message, "byte"));
        assert_int_equal(value->type, LOOM_NULL);
    }
    return status;
}

static bool is_corrupt(const uint8_t *bytes, size_t length) {
    loom_arena *arena = loom_arena_new();
    loom_value value;
    uint8_t *exact;
    loom_status status = decode(bytes, length, arena, &value, &exact);
    free(exact);
    loom_arena_free(arena);
    return status == LOOM_CORRUPT;
}

/* The property that makes equal values have equal vids. */
static void assert_canonical_or_corrupt(const uint8_t *bytes, size_t length) {
    loom_arena *arena = loom_arena_new();
    loom_value value;
    uint8_t *exact;
    if (decode(bytes, length, arena, &value, &exact) == LOOM_OK) {
        loom_buffer again = {0};
        assert_int_equal(loom_value_encode(&value, &again), LOOM_OK);
        assert_int_equal(again.length, length);
        assert_memory_equal(again.bytes, bytes, length);
        loom_buffer_free(&again);
    }
    free(exact);
    loom_arena_free(arena);
}

static size_t from_hex(const char *hex, uint8_t *bytes) {
    size_t count = strlen(hex) / 2;
    for (size_t i = 0; i < count; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return count;
}

static void each_is_corrupt(const char *const *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[600];
        size_t length = from_hex(rows[i], bytes);
        if (!is_corrupt(bytes, length)) fail_msg("accepted: %s", rows[i]);
    }
}
#define EACH_IS_CORRUPT(rows) each_is_corrupt(rows, sizeof(rows) / sizeof((rows)[0]))

static void longer_forms_of_numbers(void **state) {
    (void)state;
    static const char *const rows[] = {
        "cc00",
        "cc7f",
        "cd0000",
        "cd00ff",
        "ce00000000",
        "ce0000ffff",
        "cf0000000000000000",
        "cf00000000ffffffff",
        "d000",
        "d07f",
        "d0ff",
        "d0e0",
        "d10000",
        "d1007f",
        "d1ff80",
        "d1ffff",
        "d17fff",
        "d200000001",
        "d2ffff8000",
        "d2ffffffff",
        "d27fffffff",
        "d30000000000000001",
        "d3ffffffff80000000",
        "d3ffffffffffffffff",
        "d37fffffffffffffff",
        "cf8000000000000000",
        "cfffffffffffffffff", /* beyond int64 */
        "ca40a00000",
        "ca7fc00000", /* 32-bit floats */
    };
    EACH_IS_CORRUPT(rows);
}

static void longer_forms_of_lengths(void **state) {
    (void)state;
    static const char *const rows[] = {
        "d900",           "d90161",           "da000161",     "db0000000161",     "c5000161",   "c60000000161",
        "dc0000",         "dc0001c0",         "dd00000000",   "dd00000001c0",     "de0000",     "de0001a161c0",
        "df00000000",     "df00000001a161c0", "c7010390",     "c702039101",       "c800010390", "c9000000010390",
        "c7040393c0c0c0", "81d90161c0",       "81da000161c0", "81db0000000161c0", /* names */
    };
    EACH_IS_CORRUPT(rows);
}

static void unknown_heads_and_extensions(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",
        "c1",
        "91c1",
        "d40090",
        "d40490",
        "d4ff90",
        "d6ffffffffff", /* a timestamp */
        "c70003",       /* an empty tuple body */
        "d403c0",
        "d50300c0",
        "d503a161",
        "d4039000", /* not an array, or more than one */
        "d50390c0",
        "d403d4",
        "d60392c0c0c0",
        "c7030393c0c0", /* body longer, or shorter, than its items */
        "c70101aa",
        "d80100000000000000000000000000000000", /* an image of the wrong length */
        "c70102aa",
        "d40201",
    };
    EACH_IS_CORRUPT(rows);
    for (unsigned head = 0; head < 256; head++)
        assert_canonical_or_corrupt(&(uint8_t){(uint8_t)head}, 1);
    for (unsigned pair = 0; pair < 65536; pair++)
        assert_canonical_or_corrupt((const uint8_t[]){(uint8_t)(pair >> 8), (uint8_t)pair}, 2);
}

static void left_over_bytes(void **state) {
    (void)state;
    static const char *const rows[] = {"c0c0", "0000", "a16100", "9000", "8000", "c40000", "d4039000"};
    EACH_IS_CORRUPT(rows);
}

static void names(void **state) {
    (void)state;
    static const char *const rows[] = {"8101c0",     "81c0c0", "8190c0", "81c40161c0", "82a161c0a161c0",
                                       "82a0c0a001", "81a161", "81",     "82a161c0"};
    EACH_IS_CORRUPT(rows);
    /* Two equal names among many. */
    uint8_t bytes[3 + 30 * 4];
    size_t length = from_hex("de001e", bytes);
    for (uint8_t i = 0; i < 30; i++) {
        const uint8_t field[4] = {0xA2, 'k', (uint8_t)('A' + i), 0xC0};
        memcpy(bytes + length, field, 4);
        length += 4;
    }
    assert_false(is_corrupt(bytes, length));
    bytes[3 + 29 * 4 + 2] = 'C';
    assert_true(is_corrupt(bytes, length));
}

static void claims_beyond_the_end(void **state) {
    (void)state;
    static const char *const rows[] = {
        "ddffffffff",
        "dd7fffffffc0",
        "dcffff",
        "9f",
        "dfffffffff",
        "df7fffffffa161c0",
        "deffff",
        "8f",
        "dbffffffff",
        "c6ffffffff",
        "c9ffffffff03",
        "c9ffffffff01",
        "daffff",
        "d9ff",
        "bf",
        "c4ff",
        "c5ffff",
        "c7ff03",
        "d803",
        "d4",
        "c7",
        "c8ff",
        "c9ffffff",
        "cb40",
        "cf00",
        "dc",
        "dd000000",
        "93ddffffffffc0c0",
        "c70503ddffffffff",
    };
    EACH_IS_CORRUPT(rows);
}

/* A megabyte of "array of one": recursion must stop. */
static void endless_nesting(void **state) {
    (void)state;
    size_t length = 1 << 20;
    uint8_t *bytes = malloc(length);
    static const uint8_t heads[] = {0x91, 0x81};
    for (size_t i = 0; i < sizeof heads; i++) {
        memset(bytes, heads[i], length);
        assert_true(is_corrupt(bytes, length));
    }
    for (size_t i = 0; i + 2 <= length; i += 2)
        memcpy(bytes + i, "\x81\xA0", 2); /* {"": {"": ... */
    assert_true(is_corrupt(bytes, length));
    free(bytes);
}

static void lying_image_headers(void **state) {
    (void)state;
    loom_image_header header = loom_image_header_make(LOOM_F32, 3, (const uint64_t[]){4, 5, 6});
    loom_value image = loom_image(&header, NULL);
    uint8_t bytes[300];
    size_t length;
    assert_int_equal(loom_value_encode_into(&image, bytes, sizeof bytes, &length), LOOM_OK);
    assert_false(is_corrupt(bytes, length));
    header.size[1] = UINT64_MAX / 2;
    memcpy(bytes + 3, &header, sizeof header);
    assert_true(is_corrupt(bytes, length));
    bytes[3 + 1] = 9; /* rank */
    assert_true(is_corrupt(bytes, length));
}

static void references_to_what_cannot_be_referenced(void **state) {
    (void)state;
    loom_id vid = {{0}};
    loom_value reference = loom_reference(LOOM_IMAGE, &vid);
    uint8_t bytes[64];
    size_t length;
    assert_int_equal(loom_value_encode_into(&reference, bytes, sizeof bytes, &length), LOOM_OK);
    for (unsigned type = 0; type < 256; type++) {
        bytes[3] = (uint8_t)type;
        assert_int_equal(is_corrupt(bytes, length), type > LOOM_DATASET);
    }
}

/* One value with every construct, about 600 bytes. */
static size_t sample(uint8_t *bytes, size_t capacity) {
    loom_image_header header = loom_image_header_make(LOOM_I16, 3, (const uint64_t[]){7, 8, 9});
    loom_id vid = loom_sha256("x", 1);
    char text[40];
    memset(text, 't', sizeof text);
    loom_value many[20];
    for (int i = 0; i < 20; i++)
        many[i] = loom_int(((int64_t)1 << (3 * i)) * (i % 2 ? -1 : 1));
    loom_field fields[] = {{"name", 4, loom_string(text, sizeof text)},
                           {"tuple", 5, loom_tuple(many, 3)},
                           {"image", 5, loom_image(&header, NULL)},
                           {"where", 5, loom_reference(LOOM_IMAGE, &vid)}};
    loom_value items[] = {loom_null(),         loom_bool(true),         loom_float(0.1),        loom_bytes("\0\1\2", 3),
                          loom_string_of("s"), loom_sequence(many, 20), loom_record(fields, 4), loom_tuple(NULL, 0)};
    loom_value value = loom_sequence(items, 8);
    size_t length = 0;
    assert_int_equal(loom_value_encode_into(&value, bytes, capacity, &length), LOOM_OK);
    return length;
}

static void truncation_at_every_byte(void **state) {
    (void)state;
    uint8_t bytes[1024];
    size_t length = sample(bytes, sizeof bytes);
    assert_false(is_corrupt(bytes, length));
    for (size_t cut = 0; cut < length; cut++)
        assert_true(is_corrupt(bytes, cut));
}

static void every_single_bit_and_many_bytes_changed(void **state) {
    (void)state;
    uint8_t bytes[1024];
    size_t length = sample(bytes, sizeof bytes);
    for (size_t at = 0; at < length; at++) {
        uint8_t original = bytes[at];
        for (unsigned change = 1; change < 256; change = change < 128 ? change * 2 : 256) {
            bytes[at] = (uint8_t)(original ^ change);
            assert_canonical_or_corrupt(bytes, length);
        }
        bytes[at] = 0xFF;
        assert_canonical_or_corrupt(bytes, length);
        bytes[at] = original;
    }
}

static void noise(void **state) {
    (void)state;
    uint64_t seed = 7;
    for (int round = 0; round < 30000; round++) {
        uint8_t bytes[48];
        for (size_t i = 0; i < sizeof bytes; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            bytes[i] = (uint8_t)(seed >> 56);
            if (round % 2) bytes[i] = (uint8_t)(0x80 | bytes[i]); /* mostly heads */
        }
        assert_canonical_or_corrupt(bytes, 1 + (size_t)round % sizeof bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longer_forms_of_numbers),
        cmocka_unit_test(longer_forms_of_lengths),
        cmocka_unit_test(unknown_heads_and_extensions),
        cmocka_unit_test(left_over_bytes),
        cmocka_unit_test(names),
        cmocka_unit_test(claims_beyond_the_end),
        cmocka_unit_test(endless_nesting),
        cmocka_unit_test(lying_image_headers),
        cmocka_unit_test(references_to_what_cannot_be_referenced),
        cmocka_unit_test(truncation_at_every_byte),
        cmocka_unit_test(every_single_bit_and_many_bytes_changed),
        cmocka_unit_test(noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
