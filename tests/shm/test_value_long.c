/* test_value_long.c - long sequences in pages, and datasets: their bytes built again by hand, read back, and damaged.
 */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <stdlib.h>
#include <string.h>

#include "shm/value.h"

static loom_buffer encoded(const loom_value *value) {
    loom_buffer buffer = {0};
    assert_int_equal(loom_value_encode(value, &buffer), LOOM_OK);
    return buffer;
}

static void add(loom_buffer *buffer, const void *bytes, size_t length) {
    assert_int_equal(loom_buffer_add(buffer, bytes, length), LOOM_OK);
}

static void add_number(loom_buffer *buffer, uint64_t number) {
    uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
    add(buffer, bytes, 4);
}

static loom_id vid_of(size_t number) {
    return loom_sha256(&number, sizeof number);
}

static loom_value *references(size_t count) {
    loom_value *items = calloc(count, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        loom_id vid = vid_of(i);
        items[i] = loom_reference(LOOM_IMAGE, &vid);
    }
    return items;
}

/* The format's description, followed a second time. */
static loom_buffer pages_by_hand(size_t count, bool tuple) {
    loom_buffer body = {0}, whole = {0};
    size_t pages = (count + 1023) / 1024;
    add(&body, tuple ? "\1" : "\0", 1);
    add_number(&body, count);
    /* Every full page: 3 bytes of head, 1,024 references of 36. */
    for (size_t page = 0; page < pages; page++)
        add_number(&body, page * (3 + 1024 * 36));
    for (size_t i = 0; i < count; i++) {
        if (i % 1024 == 0) {
            size_t in_page = count - i < 1024 ? count - i : 1024;
            uint8_t longer[3] = {0xDC, (uint8_t)(in_page >> 8), (uint8_t)in_page},
                    shorter[1] = {(uint8_t)(0x90 | in_page)};
            if (in_page < 16)
                add(&body, shorter, 1);
            else
                add(&body, longer, 3);
        }
        loom_id vid = vid_of(i);
        add(&body, "\xC7\x21\x02\x08", 4); /* 33 bytes, extension 2, image */
        add(&body, vid.bytes, 32);
    }
    add(&whole, "\xC9", 1);
    add_number(&whole, body.length);
    add(&whole, "\5", 1);
    add(&whole, body.bytes, body.length);
    loom_buffer_free(&body);
    return whole;
}

static void long_sequences_lie_in_pages(void **state) {
    (void)state;
    static const size_t counts[] = {4097, 5119, 5120, 5121, 5135, 5136, 100000};
    loom_value *items = references(100000);
    loom_arena *arena = loom_arena_new();
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (int tuple = 0; tuple < 2; tuple++) {
            loom_value value = tuple ? loom_tuple(items, counts[i]) : loom_sequence(items, counts[i]), read;
            loom_buffer bytes = encoded(&value), expected = pages_by_hand(counts[i], tuple);
            assert_int_equal(bytes.length, expected.length);
            assert_memory_equal(bytes.bytes, expected.bytes, expected.length);
            loom_error err = {0};
            assert_int_equal(loom_value_decode(bytes.bytes, bytes.length, arena, &read, &err), LOOM_OK);
            assert_true(loom_value_equal(&value, &read));
            loom_buffer_free(&bytes);
            loom_buffer_free(&expected);
            loom_arena_reset(arena);
        }
    loom_arena_free(arena);
    free(items);
}

/* What was stored before pages existed keeps its bytes, so its id. */
static void short_sequences_stay_plain(void **state) {
    (void)state;
    loom_value *items = references(4096);
    loom_value value = loom_sequence(items, 4096), few = loom_tuple(items, 3);
    loom_buffer bytes = encoded(&value);
    assert_int_equal(bytes.length, 3 + 4096 * 36);
    assert_memory_equal(bytes.bytes, "\xDC\x10\x00\xC7\x21\x02\x08", 7);
    loom_buffer_free(&bytes);
    bytes = encoded(&few);
    assert_int_equal(bytes.length, 3 + 1 + 3 * 36);
    assert_memory_equal(bytes.bytes, "\xC7\x6D\x03\x93", 4);
    loom_buffer_free(&bytes);
    free(items);
}

static loom_status decode(const uint8_t *bytes, size_t length) {
    loom_arena *arena = loom_arena_new();
    loom_value value;
    loom_error err = {0};
    uint8_t *exact = malloc(length > 0 ? length : 1); /* so that a sanitizer sees the end */
    memcpy(exact, bytes, length);
    loom_status status = loom_value_decode(exact, length, arena, &value, &err);
    if (status == LOOM_OK) { /* what is accepted is what would be written */
        loom_buffer again = encoded(&value);
        assert_int_equal(again.length, length);
        assert_memory_equal(again.bytes, exact, length);
        loom_buffer_free(&again);
    }
    free(exact);
    loom_arena_free(arena);
    return status;
}

static void damaged_pages_are_refused(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    loom_value *items = calloc(COUNT, sizeof *items);
    for (size_t i = 0; i < COUNT; i++)
        items[i] = loom_int((int64_t)(i % 100)); /* one byte each */
    loom_value value = loom_sequence(items, COUNT);
    loom_buffer bytes = encoded(&value);
    assert_int_equal(bytes.length, 1 + 2 + 1 + 5 + 5 * 4 + 5 * 3 + COUNT);
    assert_int_equal(decode(bytes.bytes, bytes.length), LOOM_OK);
    for (size_t cut = 0; cut < bytes.length; cut += cut < 64 ? 1 : 97)
        assert_int_equal(decode(bytes.bytes, cut), LOOM_CORRUPT);
    for (size_t at = 0; at < 40; at++) /* heads, count, directory, the first page's head */
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes.bytes[at] ^= (uint8_t)(1u << bit);
            loom_status status = decode(bytes.bytes, bytes.length);
            bool item_or_tuple = at == 4 || at >= 4 + 5 + 5 * 4 + 3;
            if (!item_or_tuple) assert_int_equal(status, LOOM_CORRUPT);
            bytes.bytes[at] ^= (uint8_t)(1u << bit);
        }
    /* The same items in the old form are read; a short sequence in pages is not. */
    loom_buffer plain = {0};
    add(&plain, "\xDC\x13\x88", 3);
    for (size_t i = 0; i < COUNT; i++)
        add(&plain, &(uint8_t){(uint8_t)(i % 100)}, 1);
    loom_arena *arena = loom_arena_new();
    loom_value old;
    assert_int_equal(loom_value_decode(plain.bytes, plain.length, arena, &old, NULL), LOOM_OK);
    assert_true(loom_value_equal(&old, &value));
    loom_arena_free(arena);
    static const uint8_t short_pages[] = {0xC7, 11, 5, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x91, 7};
    assert_int_equal(decode(short_pages, sizeof short_pages), LOOM_CORRUPT);
    static const uint8_t huge[] = {0xC7, 9, 5, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0};
    assert_int_equal(decode(huge, sizeof huge), LOOM_CORRUPT);
    loom_buffer_free(&plain);
    loom_buffer_free(&bytes);
    free(items);
}

/* ---- datasets ---- */

static loom_field field(const char *name, loom_value value) {
    return (loom_field){name, strlen(name), value};
}

static void datasets(void **state) {
    (void)state;
    loom_id vid = vid_of(1);
    loom_value args[] = {loom_string_of("/d/a.nii")};
    loom_field description[] = {field("op", loom_string_of("R")), field("args", loom_sequence(args, 1)),
                                field("age", loom_int(61))};
    loom_value items[] = {loom_reference(LOOM_IMAGE, &vid), loom_record(description, 3)};
    loom_field about[] = {field("study", loom_string_of("brats"))};
    loom_value metadata = loom_record(about, 1), value = loom_dataset(&metadata, items, 2);

    loom_buffer bytes = encoded(&value), expected = {0};
    add(&expected,
        "\xC7\x4C\x04\x81\xA5study\xA5"
        "brats\x92\xC7\x21\x02\x08",
        21);
    add(&expected, vid.bytes, 32);
    add(&expected,
        "\x83\xA2op\xA1R\xA4"
        "args\x91\xA8/d/a.nii\xA3"
        "age\x3D",
        26);
    assert_int_equal(bytes.length, expected.length);
    assert_memory_equal(bytes.bytes, expected.bytes, expected.length);

    loom_arena *arena = loom_arena_new();
    loom_value read, copy;
    loom_error err = {0};
    assert_int_equal(loom_value_decode(bytes.bytes, bytes.length, arena, &read, &err), LOOM_OK);
    assert_int_equal(read.type, LOOM_DATASET);
    assert_true(loom_value_equal(&value, &read));
    assert_int_equal(read.dataset.count, 2);
    assert_int_equal(loom_record_get(read.dataset.metadata, "study")->text.length, 5);
    assert_int_equal(loom_value_copy(arena, &read, &copy), LOOM_OK);
    assert_true(loom_value_equal(&copy, &value) && copy.dataset.items != read.dataset.items);
    assert_true(loom_value_is_true(&value));
    loom_id id, expected_id = loom_sha256(expected.bytes, expected.length);
    assert_int_equal(loom_value_id(&value, &id), LOOM_OK);
    assert_true(loom_id_equal(&id, &expected_id));

    items[1].record.count = 2; /* another description is another dataset */
    assert_false(loom_value_equal(&value, &read));
    for (size_t cut = 0; cut < bytes.length; cut++)
        assert_int_equal(decode(bytes.bytes, cut), LOOM_CORRUPT);
    for (size_t at = 0; at < bytes.length; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes.bytes[at] ^= (uint8_t)(1u << bit);
            (void)decode(bytes.bytes, bytes.length);
            bytes.bytes[at] ^= (uint8_t)(1u << bit);
        }
    loom_arena_free(arena);
    loom_buffer_free(&bytes);
    loom_buffer_free(&expected);
}

static void datasets_that_are_none(void **state) {
    (void)state;
    loom_value args = loom_sequence(NULL, 0), tuple = loom_tuple(NULL, 0), text = loom_string_of("R"),
               empty = loom_string_of("");
    loom_field no_args[] = {field("op", text)}, no_op[] = {field("args", args)},
               nameless[] = {field("op", empty), field("args", args)},
               tupled[] = {field("op", text), field("args", tuple)}, good[] = {field("op", text), field("args", args)};
    loom_value metadata = loom_record(NULL, 0), good_item = loom_record(good, 2);
    loom_value wrong[] = {loom_record(no_args, 1), loom_record(no_op, 1), loom_record(nameless, 2),
                          loom_record(tupled, 2),  loom_int(1),           loom_sequence(NULL, 0)};
    loom_buffer buffer = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        loom_value value = loom_dataset(&metadata, &wrong[i], 1);
        assert_int_equal(loom_value_encode(&value, &buffer), LOOM_BAD_ARGUMENT);
    }
    loom_value value = loom_dataset(&text, &good_item, 1);
    assert_int_equal(loom_value_encode(&value, &buffer), LOOM_BAD_ARGUMENT);
    value = loom_dataset(&metadata, &good_item, 1);
    assert_int_equal(loom_value_encode(&value, &buffer), LOOM_OK);
    loom_buffer_free(&buffer);
    static const uint8_t number_item[] = {0xC7, 3, 4, 0x80, 0x91, 1}, text_metadata[] = {0xD5, 4, 0xA0, 0x90},
                         no_items[] = {0xD4, 4, 0x80}, more[] = {0xC7, 3, 4, 0x80, 0x90, 0},
                         fine[] = {0xD5, 4, 0x80, 0x90};
    assert_int_equal(decode(number_item, sizeof number_item), LOOM_CORRUPT);
    assert_int_equal(decode(text_metadata, sizeof text_metadata), LOOM_CORRUPT);
    assert_int_equal(decode(no_items, sizeof no_items), LOOM_CORRUPT);
    assert_int_equal(decode(more, sizeof more), LOOM_CORRUPT);
    assert_int_equal(decode(fine, sizeof fine), LOOM_OK);
}

static void a_dataset_of_many(void **state) {
    (void)state;
    loom_value *items = references(10000), metadata = loom_record(NULL, 0);
    loom_value value = loom_dataset(&metadata, items, 10000);
    loom_buffer bytes = encoded(&value);
    assert_int_equal(decode(bytes.bytes, bytes.length), LOOM_OK);
    loom_buffer_free(&bytes);
    free(items);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_sequences_lie_in_pages), cmocka_unit_test(short_sequences_stay_plain),
        cmocka_unit_test(damaged_pages_are_refused),   cmocka_unit_test(datasets),
        cmocka_unit_test(datasets_that_are_none),      cmocka_unit_test(a_dataset_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
