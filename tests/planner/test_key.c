/* The byte format of result keys, written out a second time: whoever changes it orphans every store in the world. */
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "planner/key.h"

typedef struct bytes {
    uint8_t data[512];
    size_t length;
} bytes;

static void add(bytes *out, const void *data, size_t length) {
    assert_true(out->length + length <= sizeof out->data);
    memcpy(out->data + out->length, data, length);
    out->length += length;
}

static void add_u64(bytes *out, uint64_t number) {
    for (int i = 0; i < 8; i++) {
        uint8_t byte = (uint8_t)(number >> 8 * i);
        add(out, &byte, 1);
    }
}

static void add_text(bytes *out, const char *text, size_t length) {
    add_u64(out, length);
    add(out, text, length);
}

static void assert_key(const loom_operator *op, const loom_key_parts *parts, const bytes *expected) {
    loom_id wanted;
    SHA256(expected->data, expected->length, wanted.bytes);
    loom_hasher *hasher = loom_hasher_new();
    assert_non_null(hasher);
    loom_id key = loom_result_key(hasher, op, parts);
    loom_hasher_free(hasher);
    assert_memory_equal(key.bytes, wanted.bytes, sizeof key.bytes);
}

static const loom_operator near = {.name = "vox1.near", .signature = "i:i", .version = 3};
static const loom_operator fold = {.name = "default.fold", .signature = "vv:v", .version = 1};
static const loom_operator read_image = {
    .name = "simpleitk.ReadImage", .signature = "s:i", .version = 2, .flags = LOOM_OP_READS_FILES};

static loom_id id_of(uint8_t fill) {
    loom_id id;
    memset(id.bytes, fill, sizeof id.bytes);
    return id;
}

static void an_operator_with_arguments(void **state) {
    (void)state;
    loom_id vids[] = {id_of(1), id_of(2)};
    bytes expected = {.length = 0};
    add_text(&expected, "loom.rkey.1", 11);
    add_text(&expected, "vox1.near", 9);
    add_u64(&expected, 3);
    add_u64(&expected, 0);
    add_u64(&expected, 2);
    add(&expected, vids, sizeof vids);
    assert_key(&near, &(loom_key_parts){.vids = vids, .vid_count = 2}, &expected);
}

static void attributes_count(void **state) {
    (void)state;
    loom_id vid = id_of(7);
    bytes expected = {.length = 0};
    add_text(&expected, "loom.rkey.1", 11);
    add_text(&expected, "default.fold", 12);
    add_u64(&expected, 1);
    add_text(&expected, "\x81\xa8operator\xa1+", 12);
    add_u64(&expected, 1);
    add(&expected, &vid, sizeof vid);
    assert_key(
        &fold,
        &(loom_key_parts){.attributes = "\x81\xa8operator\xa1+", .attributes_bytes = 12, .vids = &vid, .vid_count = 1},
        &expected);
}

/* The path of an input does not count, but for its suffix; its content does. */
static void inputs_replace_the_path(void **state) {
    (void)state;
    loom_id vids[] = {id_of(1)}, content = id_of(9);
    bytes expected = {.length = 0};
    add_text(&expected, "loom.rkey.1", 11);
    add_text(&expected, "simpleitk.ReadImage", 19);
    add_u64(&expected, 2);
    add_u64(&expected, 0);
    add_u64(&expected, 1);
    add_text(&expected, "gz", 2);
    add_u64(&expected, 1);
    add(&expected, &content, sizeof content);
    static const char *const same[] = {"a.nii.gz", "/some/where.else/b.gz"};
    for (int i = 0; i < 2; i++) {
        vids[0] = id_of((uint8_t)i);
        assert_key(&read_image,
                   &(loom_key_parts){.vids = vids,
                                     .vid_count = 1,
                                     .inputs = &content,
                                     .input_count = 1,
                                     .path = same[i],
                                     .path_length = strlen(same[i])},
                   &expected);
    }
}

static void a_dot_in_a_folder_is_no_suffix(void **state) {
    (void)state;
    loom_id vid = id_of(1), content = id_of(9);
    bytes expected = {.length = 0};
    add_text(&expected, "loom.rkey.1", 11);
    add_text(&expected, "simpleitk.ReadImage", 19);
    add_u64(&expected, 2);
    add_u64(&expected, 0);
    add_u64(&expected, 1);
    add_u64(&expected, 0);
    add_u64(&expected, 1);
    add(&expected, &content, sizeof content);
    assert_key(&read_image,
               &(loom_key_parts){.vids = &vid,
                                 .vid_count = 1,
                                 .inputs = &content,
                                 .input_count = 1,
                                 .path = "case.1/volume",
                                 .path_length = 13},
               &expected);
}

static void a_hidden_name_is_no_suffix(void **state) {
    (void)state;
    loom_id vid = id_of(1), content = id_of(9);
    loom_hasher *hasher = loom_hasher_new();
    assert_non_null(hasher);
    loom_key_parts hidden = {
        .vids = &vid, .vid_count = 1, .inputs = &content, .input_count = 1, .path = "a/.gz", .path_length = 5};
    loom_key_parts suffix = hidden, plain = hidden;
    suffix.path = "a/b.gz", suffix.path_length = 6;
    plain.path = "a/b", plain.path_length = 3;
    loom_id hidden_key = loom_result_key(hasher, &read_image, &hidden),
            suffix_key = loom_result_key(hasher, &read_image, &suffix);
    loom_id plain_key = loom_result_key(hasher, &read_image, &plain);
    loom_hasher_free(hasher);
    assert_false(loom_id_equal(&hidden_key, &suffix_key));
    assert_true(loom_id_equal(&hidden_key, &plain_key));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operator_with_arguments), cmocka_unit_test(attributes_count),
        cmocka_unit_test(inputs_replace_the_path),    cmocka_unit_test(a_dot_in_a_folder_is_no_suffix),
        cmocka_unit_test(a_hidden_name_is_no_suffix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
