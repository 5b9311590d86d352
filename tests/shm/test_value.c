/* test_value.c - values and their encoding against bytes written by hand from the MessagePack specification
 * (https://github.com/msgpack/msgpack/blob/master/spec.md), and round trips of every type. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shm/value.h"

static loom_arena *arena;

static int make_arena(void **state) {
    (void)state;
    arena = loom_arena_new();
    return arena ? 0 : -1;
}

static int free_arena(void **state) {
    (void)state;
    loom_arena_free(arena);
    return 0;
}

static loom_value float_of_bits(uint64_t bits) {
    loom_value value = loom_float(0);
    memcpy(&value.number, &bits, sizeof bits);
    return value;
}

/* The encoding begins with `expected` (hex), has `length` bytes, and decodes to an equal value. */
static void assert_encodes_as(loom_value value, const char *expected, size_t length) {
    loom_buffer buffer = {0};
    assert_int_equal(loom_value_encode(&value, &buffer), LOOM_OK);
    assert_int_equal(buffer.length, length);
    for (size_t i = 0; 2 * i < strlen(expected); i++) {
        char hex[3];
        snprintf(hex, sizeof hex, "%02x", buffer.bytes[i]);
        assert_memory_equal(hex, expected + 2 * i, 2);
    }
    loom_value back;
    loom_error err = {0};
    assert_int_equal(loom_value_decode(buffer.bytes, buffer.length, arena, &back, &err), LOOM_OK);
    assert_true(loom_value_equal(&value, &back));

    loom_buffer again = {0};
    assert_int_equal(loom_value_encode(&back, &again), LOOM_OK);
    assert_int_equal(again.length, buffer.length);
    assert_memory_equal(again.bytes, buffer.bytes, buffer.length);
    loom_buffer_free(&again);
    loom_buffer_free(&buffer);
}

static void assert_bytes(loom_value value, const char *expected) {
    assert_encodes_as(value, expected, strlen(expected) / 2);
}

static void null_and_truth(void **state) {
    (void)state;
    assert_bytes(loom_null(), "c0");
    assert_bytes(loom_bool(false), "c2");
    assert_bytes(loom_bool(true), "c3");
}

static void integers_at_every_border(void **state) {
    (void)state;
    assert_bytes(loom_int(0), "00");
    assert_bytes(loom_int(127), "7f");
    assert_bytes(loom_int(128), "cc80");
    assert_bytes(loom_int(255), "ccff");
    assert_bytes(loom_int(256), "cd0100");
    assert_bytes(loom_int(65535), "cdffff");
    assert_bytes(loom_int(65536), "ce00010000");
    assert_bytes(loom_int(4294967295), "ceffffffff");
    assert_bytes(loom_int(4294967296), "cf0000000100000000");
    assert_bytes(loom_int(INT64_MAX), "cf7fffffffffffffff");
    assert_bytes(loom_int(-1), "ff");
    assert_bytes(loom_int(-32), "e0");
    assert_bytes(loom_int(-33), "d0df");
    assert_bytes(loom_int(-128), "d080");
    assert_bytes(loom_int(-129), "d1ff7f");
    assert_bytes(loom_int(-32768), "d18000");
    assert_bytes(loom_int(-32769), "d2ffff7fff");
    assert_bytes(loom_int(INT32_MIN), "d280000000");
    assert_bytes(loom_int((int64_t)INT32_MIN - 1), "d3ffffffff7fffffff");
    assert_bytes(loom_int(INT64_MIN), "d38000000000000000");
}

static void floats_keep_every_bit(void **state) {
    (void)state;
    assert_bytes(loom_float(5), "cb4014000000000000");
    assert_bytes(loom_float(0.0), "cb0000000000000000");
    assert_bytes(loom_float(-0.0), "cb8000000000000000");
    assert_bytes(loom_float((double)INFINITY), "cb7ff0000000000000");
    assert_bytes(float_of_bits(0x7ff8000000000000), "cb7ff8000000000000"); /* quiet */
    assert_bytes(float_of_bits(0xfff8000000000001), "cbfff8000000000001"); /* with a sign and a payload */
    assert_bytes(float_of_bits(0x7ff0000000000001), "cb7ff0000000000001"); /* signalling */
    assert_bytes(float_of_bits(1), "cb0000000000000001");                  /* the smallest */
}

static char *text_of(size_t length) {
    char *text = loom_arena_alloc(arena, length + 1);
    memset(text, 'x', length);
    return text;
}

static void text_at_every_border(void **state) {
    (void)state;
    assert_bytes(loom_string_of(""), "a0");
    assert_bytes(loom_string_of("caf\xC3\xA9"), "a5636166c3a9");
    assert_bytes(loom_string("a\0b", 3), "a3610062");
    assert_encodes_as(loom_string(text_of(31), 31), "bf78", 32);
    assert_encodes_as(loom_string(text_of(32), 32), "d92078", 34);
    assert_encodes_as(loom_string(text_of(255), 255), "d9ff78", 257);
    assert_encodes_as(loom_string(text_of(256), 256), "da010078", 259);
    assert_encodes_as(loom_string(text_of(65535), 65535), "daffff78", 65538);
    assert_encodes_as(loom_string(text_of(65536), 65536), "db0001000078", 65541);
    assert_bytes(loom_bytes("", 0), "c400");
    assert_bytes(loom_bytes("\xFF\x00", 2), "c402ff00");
    assert_encodes_as(loom_bytes(text_of(255), 255), "c4ff78", 257);
    assert_encodes_as(loom_bytes(text_of(256), 256), "c5010078", 259);
    assert_encodes_as(loom_bytes(text_of(65536), 65536), "c60001000078", 65541);
}

static loom_value *nulls(size_t count) {
    return loom_arena_array(arena, count, sizeof(loom_value));
}

static void sequences_and_tuples(void **state) {
    (void)state;
    loom_value items[3] = {loom_int(1), loom_float(1), loom_string_of("a")};
    assert_bytes(loom_sequence(NULL, 0), "90");
    assert_bytes(loom_sequence(items, 3), "9301cb3ff0000000000000a161");
    assert_encodes_as(loom_sequence(nulls(15), 15), "9fc0", 16);
    assert_encodes_as(loom_sequence(nulls(16), 16), "dc0010c0", 19);
    assert_encodes_as(loom_sequence(nulls(4096), 4096), "dc1000c0", 4099); /* longer ones: test_value_long.c */

    /* Extension type 3 over the encoded array: 1, 2, 4, 8 and 16 bytes have heads of their own. */
    assert_bytes(loom_tuple(NULL, 0), "d40390");
    assert_bytes(loom_tuple(items, 1), "d5039101");
    assert_bytes(loom_tuple(nulls(2), 2), "c7030392c0c0");
    assert_bytes(loom_tuple(nulls(3), 3), "d60393c0c0c0");
    assert_bytes(loom_tuple(nulls(7), 7), "d70397c0c0c0c0c0c0c0");
    assert_encodes_as(loom_tuple(nulls(15), 15), "d8039fc0", 18);
    assert_encodes_as(loom_tuple(items, 3), "c70d039301cb3ff0000000000000a161", 16);
    assert_encodes_as(loom_tuple(nulls(252), 252), "c7ff03dc00fcc0", 258);
    assert_encodes_as(loom_tuple(nulls(253), 253), "c8010003dc00fdc0", 260);
    assert_encodes_as(loom_tuple(nulls(4096), 4096), "c8100303dc1000c0", 4103);

    loom_value plain = loom_sequence(items, 3), tuple = loom_tuple(items, 3);
    assert_false(loom_value_equal(&plain, &tuple));
    loom_value inner = loom_tuple(&plain, 1), outer = loom_tuple(&inner, 1);
    /* 13 bytes of items; 1 + 13 in the inner body; 1 + 3 + 14 in the outer one. */
    assert_bytes(outer, "c7120391c70e03919301cb3ff0000000000000a161");
}

static void records(void **state) {
    (void)state;
    loom_field fields[2] = {{"b", 1, loom_int(1)}, {"a", 1, loom_null()}};
    assert_bytes(loom_record(NULL, 0), "80");
    assert_bytes(loom_record(fields, 2), "82a16201a161c0"); /* order is kept */
    loom_field nested[2] = {{"", 0, loom_record(fields, 2)}, {"s", 1, loom_sequence(NULL, 0)}};
    loom_value record = loom_record(nested, 2);
    assert_bytes(record, "82a082a16201a161c0a17390");
    assert_ptr_equal(loom_record_get(&record, "s"), &nested[1].value);
    assert_ptr_equal(loom_record_get(&record, ""), &nested[0].value);
    assert_null(loom_record_get(&record, "b"));
    assert_null(loom_record_get(loom_record_get(&record, "s"), "b"));

    static loom_field many[70000];
    static char names[70000][8];
    for (size_t i = 0; i < 70000; i++)
        many[i] = (loom_field){names[i], (size_t)snprintf(names[i], sizeof names[i], "%zu", i), loom_int(1)};
    assert_encodes_as(loom_record(many, 15), "8fa13001", 1 + 10 * 3 + 5 * 4);
    assert_encodes_as(loom_record(many, 16), "de0010a13001", 3 + 10 * 3 + 6 * 4);
    assert_encodes_as(loom_record(many, 70000), "df00011170a13001",
                      5 + 10 * 3 + 90 * 4 + 900 * 5 + 9000 * 6 + 60000 * 7);
    loom_field long_names[2] = {{text_of(40), 40, loom_null()}, {text_of(70000), 70000, loom_null()}};
    assert_encodes_as(loom_record(long_names, 2), "82d92878", 1 + 42 + 1 + 70005 + 1);
}

static void images_and_references(void **state) {
    (void)state;
    loom_image_header header = loom_image_header_make(LOOM_F32, 3, (const uint64_t[]){4, 5, 6});
    header.origin[0] = -12.5;
    assert_encodes_as(loom_image(&header, NULL),
                      "c7e801"
                      "0a030100"
                      "00000000"
                      "0400000000000000"
                      "0500000000000000",
                      235);
    loom_id vid = loom_sha256("abc", 3);
    assert_encodes_as(loom_reference(LOOM_IMAGE, &vid), "c7210208ba7816bf8f01cfea", 36);
}

static loom_value a_bit_of_everything(void) {
    static loom_image_header header;
    static loom_value items[12], inner[2];
    static loom_field fields[3];
    header = loom_image_header_make(LOOM_U16, 4, (const uint64_t[]){2, 2, 2, 2});
    loom_id vid = loom_sha256("", 0);
    inner[0] = loom_int(-40000);
    inner[1] = loom_string(text_of(300), 300);
    fields[0] = (loom_field){"tuple", 5, loom_tuple(inner, 2)};
    fields[1] = (loom_field){"reference", 9, loom_reference(LOOM_SEQUENCE, &vid)};
    fields[2] = (loom_field){"image", 5, loom_image(&header, NULL)};
    items[0] = loom_null();
    items[1] = loom_bool(true);
    items[2] = loom_int(INT64_MIN);
    items[3] = float_of_bits(0x7ff0000000000001);
    items[4] = loom_string_of("text");
    items[5] = loom_bytes("\0\1", 2);
    items[6] = loom_record(fields, 3);
    items[7] = loom_sequence(inner, 2);
    items[8] = loom_sequence(NULL, 0);
    items[9] = loom_record(NULL, 0);
    items[10] = loom_bytes(text_of(70000), 70000);
    items[11] = loom_tuple(NULL, 0);
    return loom_sequence(items, 12);
}

static void everything_nested_round_trips(void **state) {
    (void)state;
    loom_value value = a_bit_of_everything();
    loom_buffer buffer = {0};
    assert_int_equal(loom_value_encode(&value, &buffer), LOOM_OK);
    assert_encodes_as(value, "9c", buffer.length);
    loom_buffer_free(&buffer);
}

/* Digests by Python's hashlib of b'\x05' and of bytes.fromhex('cb4014000000000000'). */
static void the_vid_is_the_digest_of_the_encoding(void **state) {
    (void)state;
    loom_value integer = loom_int(5), number = loom_float(5), closure = {.type = LOOM_CLOSURE};
    loom_id vid, large_vid;
    char hex[LOOM_ID_HEX_BYTES];
    assert_int_equal(loom_value_id(&integer, &vid), LOOM_OK);
    loom_id_hex(&vid, hex);
    assert_string_equal(hex, "e77b9a9ae9e30b0dbdb6f510a264ef9de781501d7b6b92ae89eb059c5ab743db");
    assert_int_equal(loom_value_id(&number, &vid), LOOM_OK);
    loom_id_hex(&vid, hex);
    assert_string_equal(hex, "004be2e5247670bd24bb785e538e01e6455c1763cffc615dbb443d656689659e");
    assert_int_equal(loom_value_id(&closure, &vid), LOOM_UNSUPPORTED);
    for (size_t length = 500; length < 520; length++) { /* around the stack buffer's size */
        loom_value text = loom_string(text_of(length), length);
        loom_buffer buffer = {0};
        assert_int_equal(loom_value_encode(&text, &buffer), LOOM_OK);
        loom_id expected = loom_sha256(buffer.bytes, buffer.length);
        assert_int_equal(loom_value_id(&text, &large_vid), LOOM_OK);
        assert_true(loom_id_equal(&large_vid, &expected));
        loom_buffer_free(&buffer);
    }
}

static void encoding_into_a_fixed_place(void **state) {
    (void)state;
    loom_value value = a_bit_of_everything();
    loom_buffer whole = {0};
    assert_int_equal(loom_value_encode(&value, &whole), LOOM_OK);
    uint8_t *place = malloc(whole.length);
    size_t length = 77;
    for (size_t capacity = 0; capacity < whole.length; capacity += capacity < 600 ? 1 : 997) {
        assert_int_equal(loom_value_encode_into(&value, place, capacity, &length), LOOM_TOO_LARGE);
        assert_int_equal(length, 77);
    }
    assert_int_equal(loom_value_encode_into(&value, place, whole.length, &length), LOOM_OK);
    assert_int_equal(length, whole.length);
    assert_memory_equal(place, whole.bytes, whole.length);
    free(place);
    loom_buffer_free(&whole);
}

static void a_failed_encoding_leaves_the_buffer_as_it_was(void **state) {
    (void)state;
    loom_value items[2] = {loom_string_of("written first"), {.type = LOOM_CLOSURE}};
    loom_value value = loom_tuple(items, 2), dataset = {.type = LOOM_DATASET};
    loom_buffer buffer = {0};
    assert_int_equal(loom_buffer_add(&buffer, "abc", 3), LOOM_OK);
    assert_int_equal(loom_value_encode(&value, &buffer), LOOM_UNSUPPORTED);
    assert_int_equal(loom_value_encode(&dataset, &buffer), LOOM_BAD_ARGUMENT); /* it has no metadata */
    assert_int_equal(buffer.length, 3);
    assert_memory_equal(buffer.bytes, "abc", 3);
    loom_buffer_free(&buffer);
}

static void what_could_not_be_read_is_not_written(void **state) {
    (void)state;
    loom_buffer buffer = {0};
    loom_field twice[20];
    char names[20];
    for (size_t i = 0; i < 20; i++) {
        names[i] = (char)('a' + i);
        twice[i] = (loom_field){&names[i], 1, loom_null()};
    }
    names[19] = 'c';
    loom_value many = loom_record(twice, 20), few = loom_record(twice + 18, 2);
    assert_int_equal(loom_value_encode(&many, &buffer), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_value_encode(&few, &buffer), LOOM_OK);
    names[18] = 'c';
    assert_int_equal(loom_value_encode(&few, &buffer), LOOM_BAD_ARGUMENT);

    loom_id vid = {{0}};
    loom_value reference = loom_reference(LOOM_REFERENCE, &vid);
    assert_int_equal(loom_value_encode(&reference, &buffer), LOOM_BAD_ARGUMENT);
    loom_image_header header = loom_image_header_make(LOOM_F32, 2, (const uint64_t[]){1, 0});
    loom_value image = loom_image(&header, NULL);
    assert_int_equal(loom_value_encode(&image, &buffer), LOOM_BAD_INPUT);

    loom_value huge = loom_string("", (size_t)UINT32_MAX + 1);
    assert_int_equal(loom_value_encode(&huge, &buffer), LOOM_TOO_LARGE);
    huge.type = LOOM_BYTES;
    assert_int_equal(loom_value_encode(&huge, &buffer), LOOM_TOO_LARGE);
    huge = loom_sequence(NULL, (size_t)UINT32_MAX + 1);
    assert_int_equal(loom_value_encode(&huge, &buffer), LOOM_TOO_LARGE);
    huge = loom_record(NULL, (size_t)UINT32_MAX + 1);
    assert_int_equal(loom_value_encode(&huge, &buffer), LOOM_TOO_LARGE);
    loom_buffer_free(&buffer);
}

/* `depth` containers around a number. */
static loom_value nested(size_t depth, bool tuple) {
    loom_value *values = nulls(depth + 1);
    values[0] = loom_int(7);
    for (size_t i = 1; i <= depth; i++)
        values[i] = tuple ? loom_tuple(&values[i - 1], 1) : loom_sequence(&values[i - 1], 1);
    return values[depth];
}

static void nesting_is_bounded_for_writer_and_reader_alike(void **state) {
    (void)state;
    for (int tuple = 0; tuple <= 1; tuple++) {
        loom_value deepest = nested(LOOM_VALUE_DEPTH_MAX, tuple), deeper = nested(LOOM_VALUE_DEPTH_MAX + 1, tuple),
                   copy;
        loom_buffer buffer = {0};
        assert_int_equal(loom_value_encode(&deepest, &buffer), LOOM_OK);
        assert_encodes_as(deepest, "", buffer.length);
        assert_int_equal(loom_value_encode(&deeper, &buffer), LOOM_TOO_LARGE);
        assert_int_equal(loom_value_copy(arena, &deepest, &copy), LOOM_OK);
        assert_true(loom_value_equal(&copy, &deepest));
        assert_int_equal(loom_value_copy(arena, &deeper, &copy), LOOM_TOO_LARGE);
        loom_buffer_free(&buffer);
    }
}

static void a_copy_shares_nothing_but_voxels(void **state) {
    (void)state;
    char *text = strdup("text");
    loom_image_header *header = malloc(sizeof *header);
    *header = loom_image_header_make(LOOM_U8, 2, (const uint64_t[]){2, 1});
    loom_field *fields = malloc(sizeof *fields);
    *fields = (loom_field){text, 4, loom_image(header, "ab")};
    loom_value *items = malloc(2 * sizeof *items);
    items[0] = loom_record(fields, 1);
    items[1] = loom_string(text, 4);
    loom_value original = loom_tuple(items, 2), copy;
    assert_int_equal(loom_value_copy(arena, &original, &copy), LOOM_OK);
    assert_true(loom_value_equal(&original, &copy));
    const void *voxels = items[0].record.fields[0].value.image.voxels;
    free(text); /* AddressSanitizer sees what still points there */
    free(header);
    free(fields);
    free(items);
    assert_true(copy.tuple);
    assert_string_equal(copy.sequence.items[1].text.bytes, "text");
    const loom_value *image = loom_record_get(&copy.sequence.items[0], "text");
    assert_non_null(image);
    assert_ptr_equal(image->image.voxels, voxels);
    assert_int_equal(image->image.header->size[0], 2);
}

static void equality_looks_at_bits(void **state) {
    (void)state;
    loom_image_header header = loom_image_header_make(LOOM_U8, 2, (const uint64_t[]){2, 1}), moved = header;
    moved.origin[0] = 1;
    loom_id zero = {{0}}, one = {{1}};
    loom_field a = {"a", 1, loom_int(1)}, b = {"b", 1, loom_int(1)}, c = {"a", 1, loom_int(2)};
    char voxels[] = "ab";
    const loom_value distinct[] = {
        loom_null(),
        loom_bool(false),
        loom_bool(true),
        loom_int(0),
        loom_int(1),
        loom_float(0),
        loom_float(-0.0),
        loom_float(1),
        float_of_bits(0x7ff8000000000000),
        float_of_bits(0x7ff8000000000001),
        loom_string_of(""),
        loom_string_of("1"),
        loom_bytes("1", 1),
        loom_bytes("", 0),
        loom_sequence(NULL, 0),
        loom_tuple(NULL, 0),
        loom_sequence(&a.value, 1),
        loom_sequence(&c.value, 1),
        loom_record(NULL, 0),
        loom_record(&a, 1),
        loom_record(&b, 1),
        loom_record(&c, 1),
        loom_image(&header, NULL),
        loom_image(&moved, NULL),
        loom_image(&header, voxels),
        loom_image(&header, "ac"),
        loom_reference(LOOM_IMAGE, &zero),
        loom_reference(LOOM_IMAGE, &one),
        loom_reference(LOOM_SEQUENCE, &zero),
    };
    size_t count = sizeof distinct / sizeof distinct[0];
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            assert_int_equal(loom_value_equal(&distinct[i], &distinct[j]), i == j);
    loom_value same_voxels = loom_image(&header, "ab");
    assert_true(loom_value_equal(&same_voxels, &distinct[24]));
}

static void truth_is_that_of_python(void **state) {
    (void)state;
    loom_value item = loom_null();
    loom_field field = {"a", 1, item};
    loom_image_header header = loom_image_header_make(LOOM_U8, 2, (const uint64_t[]){1, 1});
    const loom_value truths[] = {loom_bool(true),          loom_int(-1),         loom_float(0.1),
                                 loom_float((double)NAN),  loom_string_of("0"),  loom_bytes("", 1),
                                 loom_sequence(&item, 1),  loom_tuple(&item, 1), loom_record(&field, 1),
                                 loom_image(&header, NULL)};
    const loom_value falsehoods[] = {loom_null(),         loom_bool(false),       loom_int(0),
                                     loom_float(0),       loom_float(-0.0),       loom_string_of(""),
                                     loom_bytes("", 0),   loom_sequence(NULL, 0), loom_tuple(NULL, 0),
                                     loom_record(NULL, 0)};
    for (size_t i = 0; i < sizeof truths / sizeof truths[0]; i++)
        assert_true(loom_value_is_true(&truths[i]));
    for (size_t i = 0; i < sizeof falsehoods / sizeof falsehoods[0]; i++)
        assert_false(loom_value_is_true(&falsehoods[i]));
}

static void type_names(void **state) {
    (void)state;
    static const char *const names[] = {"null",   "bool",     "int",   "float",   "string",  "bytes",
                                        "record", "sequence", "image", "dataset", "closure", "reference"};
    for (int type = 0; type < 12; type++)
        assert_string_equal(loom_type_name((loom_type)type), names[type]);
    assert_string_equal(loom_type_name((loom_type)12), "?");
}

static void buffers_grow(void **state) {
    (void)state;
    loom_buffer buffer = {0};
    assert_int_equal(loom_buffer_add(&buffer, NULL, 0), LOOM_OK);
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t byte = (uint8_t)(i * 7);
        assert_int_equal(loom_buffer_add(&buffer, &byte, 1), LOOM_OK);
    }
    assert_int_equal(buffer.length, 100000);
    for (unsigned i = 0; i < 100000; i++)
        if (buffer.bytes[i] != (uint8_t)(i * 7)) fail_msg("byte %u changed", i);
    assert_int_equal(loom_buffer_add(&buffer, buffer.bytes, SIZE_MAX - 10), LOOM_NO_MEMORY);
    assert_int_equal(buffer.length, 100000);
    loom_buffer_free(&buffer);
    assert_null(buffer.bytes);
    assert_int_equal(buffer.capacity, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_and_truth),
        cmocka_unit_test(integers_at_every_border),
        cmocka_unit_test(floats_keep_every_bit),
        cmocka_unit_test(text_at_every_border),
        cmocka_unit_test(sequences_and_tuples),
        cmocka_unit_test(records),
        cmocka_unit_test(images_and_references),
        cmocka_unit_test(everything_nested_round_trips),
        cmocka_unit_test(the_vid_is_the_digest_of_the_encoding),
        cmocka_unit_test(encoding_into_a_fixed_place),
        cmocka_unit_test(a_failed_encoding_leaves_the_buffer_as_it_was),
        cmocka_unit_test(what_could_not_be_read_is_not_written),
        cmocka_unit_test(nesting_is_bounded_for_writer_and_reader_alike),
        cmocka_unit_test(a_copy_shares_nothing_but_voxels),
        cmocka_unit_test(equality_looks_at_bits),
        cmocka_unit_test(truth_is_that_of_python),
        cmocka_unit_test(type_names),
        cmocka_unit_test(buffers_grow),
    };
    return cmocka_run_group_tests(tests, make_arena, free_arena);
}
