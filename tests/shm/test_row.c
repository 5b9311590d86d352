/* test_row.c - the bytes of a row: the layout as SCHEMA.md says, what decoding returns, and that no changed byte, cut
 * or wrong number passes. */
#include "shm/index/row.h"
#include "store_support.h"

static uint64_t get(const uint8_t *bytes, size_t at, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)bytes[at + i] << (8 * i);
    return value;
}

typedef struct sample {
    loom_result result;
    uint8_t payload[5], recipe[7];
    uint64_t hashes[3];
} sample;

static void make_sample(sample *made) {
    memcpy(made->payload, "paylo", 5);
    memcpy(made->recipe, "recipe!", 7);
    for (uint64_t i = 0; i < 3; i++)
        made->hashes[i] = UINT64_C(0x1111111111111111) * (i + 1);
    made->result = (loom_result){.rkey = id_of("r", 1),
                                 .vid = id_of("v", 1),
                                 .node = id_of("n", 1),
                                 .type = LOOM_IMAGE,
                                 .worker = 9,
                                 .payload = made->payload,
                                 .payload_bytes = 5,
                                 .bulk = {.extent = 3, .offset = 40960, .bytes = (2u << 20) + 1},
                                 .block_hashes = made->hashes,
                                 .root = {77, 88},
                                 .recipe = made->recipe,
                                 .recipe_bytes = 7,
                                 .created_ns = 123,
                                 .cost_ns = 456};
}

static _Alignas(8) uint8_t row_bytes[4096];

static size_t encode_sample(sample *made, uint64_t row) {
    loom_error err = {0};
    make_sample(made);
    REQUIRE_OK(loom_row_check_result(&made->result, &err));
    size_t length = loom_row_bytes(&made->result);
    assert_true(length <= sizeof row_bytes);
    loom_row_encode(&made->result, row, row_bytes);
    return length;
}

static void layout_is_that_of_the_document(void **state) {
    (void)state;
    sample made;
    size_t length = encode_sample(&made, 42);
    assert_int_equal(length, 208 + 3 * 8 + 5 + 7);
    assert_int_equal(get(row_bytes, 0, 2), 1);
    assert_int_equal(get(row_bytes, 2, 2), 208);
    assert_int_equal(row_bytes[4], 1);
    assert_int_equal(row_bytes[5], 8);
    assert_int_equal(get(row_bytes, 12, 4), 9);
    assert_memory_equal(row_bytes + 16, made.result.rkey.bytes, 32);
    assert_memory_equal(row_bytes + 48, made.result.vid.bytes, 32);
    assert_memory_equal(row_bytes + 80, made.result.node.bytes, 32);
    assert_int_equal(get(row_bytes, 112, 4), 3);
    assert_int_equal(get(row_bytes, 120, 8), 40960);
    assert_int_equal(get(row_bytes, 128, 8), (2u << 20) + 1);
    assert_int_equal(get(row_bytes, 136, 8), (2u << 20) + 1);
    assert_int_equal(get(row_bytes, 144, 8), 77);
    assert_int_equal(get(row_bytes, 152, 8), 88);
    assert_int_equal(get(row_bytes, 160, 8), 123);
    assert_int_equal(get(row_bytes, 168, 8), 456);
    assert_int_equal(get(row_bytes, 184, 4), 3);
    assert_int_equal(get(row_bytes, 188, 4), 5);
    assert_int_equal(get(row_bytes, 192, 4), 7);
    assert_int_equal(get(row_bytes, 208, 8), made.hashes[0]);
    assert_memory_equal(row_bytes + 232, "paylorecipe!", 12);
}

static void decoding_returns_what_was_encoded(void **state) {
    (void)state;
    loom_error err = {0};
    sample made;
    size_t length = encode_sample(&made, 42);
    loom_result got;
    loom_row_kind kind;
    REQUIRE_OK(loom_row_decode(row_bytes, length, 42, &got, &kind, &err));
    assert_int_equal(kind, LOOM_ROW_LIVE);
    assert_memory_equal(&got.rkey, &made.result.rkey, 32);
    assert_memory_equal(&got.vid, &made.result.vid, 32);
    assert_memory_equal(&got.node, &made.result.node, 32);
    assert_int_equal(got.type, LOOM_IMAGE);
    assert_false(got.blob);
    assert_int_equal(got.worker, 9);
    assert_memory_equal(&got.bulk, &made.result.bulk, sizeof got.bulk);
    assert_memory_equal(got.block_hashes, made.hashes, sizeof made.hashes);
    assert_int_equal(got.root[0], 77);
    assert_int_equal(got.root[1], 88);
    assert_int_equal(got.payload_bytes, 5);
    assert_memory_equal(got.payload, "paylo", 5);
    assert_int_equal(got.recipe_bytes, 7);
    assert_memory_equal(got.recipe, "recipe!", 7);
    assert_int_equal(got.row, 42);
}

static const uint8_t frame_table[] = "frames, as bulk_codec.c has them";

static void a_codec_and_an_expiry_go_both_ways(void **state) {
    (void)state;
    loom_error err = {0};
    sample made;
    make_sample(&made);
    made.result.codec = LOOM_CODEC_ZSTD;
    made.result.stored_bytes = 123456;
    made.result.codec_data = frame_table;
    made.result.codec_data_bytes = sizeof frame_table;
    made.result.expires_ns = 987654321;
    REQUIRE_OK(loom_row_check_result(&made.result, &err));
    size_t length = loom_row_bytes(&made.result);
    assert_int_equal(length, 208 + 3 * 8 + 5 + 7 + sizeof frame_table);
    loom_row_encode(&made.result, 7, row_bytes);
    assert_int_equal(row_bytes[8], 1);
    assert_int_equal(get(row_bytes, 128, 8), (2u << 20) + 1);
    assert_int_equal(get(row_bytes, 136, 8), 123456);
    assert_int_equal(get(row_bytes, 176, 8), 987654321);
    assert_int_equal(get(row_bytes, 196, 4), sizeof frame_table);
    assert_memory_equal(row_bytes + 208 + 3 * 8 + 5 + 7, frame_table, sizeof frame_table);
    loom_result got;
    loom_row_kind kind;
    REQUIRE_OK(loom_row_decode(row_bytes, length, 7, &got, &kind, &err));
    assert_int_equal(got.codec, LOOM_CODEC_ZSTD);
    assert_int_equal(got.stored_bytes, 123456);
    assert_int_equal(got.codec_data_bytes, sizeof frame_table);
    assert_memory_equal(got.codec_data, frame_table, sizeof frame_table);
    assert_int_equal(got.expires_ns, 987654321);
    assert_int_equal(loom_result_range(&got).bytes, 123456);
    assert_true(loom_result_expired(&got));
    length = loom_row_encode_tombstone(&got, 8, NULL);
    static _Alignas(8) uint8_t tombstone[4096];
    assert_int_equal(loom_row_encode_tombstone(&got, 8, tombstone), length);
    REQUIRE_OK(loom_row_decode(tombstone, length, 8, &got, &kind, &err));
    assert_int_equal(kind, LOOM_ROW_TOMBSTONE);
    assert_int_equal(got.codec, LOOM_CODEC_RAW);
    assert_null(got.codec_data);
    assert_int_equal(got.expires_ns, 0);
    assert_false(loom_result_expired(&got));
}

static void what_its_codec_does_not_explain_is_refused(void **state) {
    (void)state;
    loom_error err = {0};
    sample made;
    make_sample(&made);
    loom_result bad = made.result;
    bad.stored_bytes = 5; /* raw, and not its length */
    REQUIRE_STATUS(loom_row_check_result(&bad, &err), LOOM_BAD_ARGUMENT);
    bad = made.result, bad.codec_data = frame_table, bad.codec_data_bytes = 3;
    REQUIRE_STATUS(loom_row_check_result(&bad, &err), LOOM_BAD_ARGUMENT);
    bad = made.result, bad.codec = LOOM_CODEC_AES;
    REQUIRE_STATUS(loom_row_check_result(&bad, &err), LOOM_BAD_ARGUMENT);
    bad.stored_bytes = 5;
    REQUIRE_STATUS(loom_row_check_result(&bad, &err), LOOM_BAD_ARGUMENT);
    bad.codec_data = frame_table, bad.codec_data_bytes = 3;
    REQUIRE_OK(loom_row_check_result(&bad, &err));
    bad.stored_bytes = UINT64_MAX;
    REQUIRE_STATUS(loom_row_check_result(&bad, &err), LOOM_TOO_LARGE);
    bad.stored_bytes = 5, bad.codec_data_bytes = SIZE_MAX - 50;
    REQUIRE_STATUS(loom_row_check_result(&bad, &err), LOOM_TOO_LARGE);
    bad = made.result, bad.codec = (loom_codec)4;
    REQUIRE_STATUS(loom_row_check_result(&bad, &err), LOOM_BAD_ARGUMENT);
}

static void a_tombstone_keeps_trace_and_recipe_only(void **state) {
    (void)state;
    loom_error err = {0};
    sample made;
    make_sample(&made);
    size_t length = loom_row_encode_tombstone(&made.result, 6, NULL);
    assert_int_equal(length, 208 + 7);
    assert_int_equal(loom_row_encode_tombstone(&made.result, 6, row_bytes), length);
    loom_result got;
    loom_row_kind kind;
    REQUIRE_OK(loom_row_decode(row_bytes, length, 6, &got, &kind, &err));
    assert_int_equal(kind, LOOM_ROW_TOMBSTONE);
    assert_memory_equal(&got.vid, &made.result.vid, 32);
    assert_int_equal(got.type, LOOM_IMAGE);
    assert_null(got.payload);
    assert_int_equal(got.bulk.bytes, 0);
    assert_memory_equal(got.recipe, "recipe!", 7);
}

/* Every single-bit change, every cut, one byte more, another number: refused. */
static void no_changed_row_passes(void **state) {
    (void)state;
    loom_error err = {0};
    sample made;
    size_t length = encode_sample(&made, 42);
    loom_result got;
    loom_row_kind kind;
    for (size_t bit = 0; bit < 8 * length; bit++) {
        row_bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        loom_status status = loom_row_decode(row_bytes, length, 42, &got, &kind, &err);
        assert_true(status == LOOM_CORRUPT || (status == LOOM_NEWER_STORE && bit < 16));
        row_bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t cut = 0; cut < length; cut++)
        REQUIRE_STATUS(loom_row_decode(row_bytes, cut, 42, &got, &kind, &err), LOOM_CORRUPT);
    REQUIRE_STATUS(loom_row_decode(row_bytes, length + 1, 42, &got, &kind, &err), LOOM_CORRUPT);
    REQUIRE_STATUS(loom_row_decode(row_bytes, length, 43, &got, &kind, &err), LOOM_CORRUPT);
}

static void what_cannot_be_a_row_is_refused(void **state) {
    (void)state;
    loom_error err = {0};
    sample made;
    make_sample(&made);
    loom_result bad = made.result;
    bad.type = (loom_type)99;
    REQUIRE_STATUS(loom_row_check_result(&bad, &err), LOOM_BAD_ARGUMENT);
    bad = made.result, bad.block_hashes = NULL;
    REQUIRE_STATUS(loom_row_check_result(&bad, &err), LOOM_BAD_ARGUMENT);
    bad = made.result, bad.bulk.offset += 1;
    REQUIRE_STATUS(loom_row_check_result(&bad, &err), LOOM_BAD_ARGUMENT);
    bad = made.result, bad.bulk.bytes = 0;
    REQUIRE_STATUS(loom_row_check_result(&bad, &err), LOOM_BAD_ARGUMENT);
    bad = made.result, bad.bulk.bytes = UINT64_MAX;
    REQUIRE_STATUS(loom_row_check_result(&bad, &err), LOOM_TOO_LARGE);
    bad = made.result, bad.payload_bytes = SIZE_MAX - 100;
    REQUIRE_STATUS(loom_row_check_result(&bad, &err), LOOM_TOO_LARGE);
    bad = made.result, bad.recipe = NULL;
    REQUIRE_STATUS(loom_row_check_result(&bad, &err), LOOM_BAD_ARGUMENT);
    bad = made.result, bad.blob = true;
    REQUIRE_STATUS(loom_row_check_result(&bad, &err), LOOM_BAD_ARGUMENT);
}

static void sameness_follows_the_value_id(void **state) {
    (void)state;
    sample made;
    make_sample(&made);
    loom_result other = made.result;
    other.root[1]++; /* vid is a content hash here: it decides */
    assert_true(loom_row_same_value(&made.result, &other));
    other.vid = id_of("v", 2);
    assert_false(loom_row_same_value(&made.result, &other));
    made.result.vid = made.result.rkey; /* a name: bytes decide */
    other = made.result;
    assert_true(loom_row_same_value(&made.result, &other));
    other.root[1]++;
    assert_false(loom_row_same_value(&made.result, &other));
    other = made.result, other.payload = (const uint8_t *)"PAYLO";
    assert_false(loom_row_same_value(&made.result, &other));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_is_that_of_the_document),
        cmocka_unit_test(decoding_returns_what_was_encoded),
        cmocka_unit_test(a_tombstone_keeps_trace_and_recipe_only),
        cmocka_unit_test(no_changed_row_passes),
        cmocka_unit_test(a_codec_and_an_expiry_go_both_ways),
        cmocka_unit_test(what_its_codec_does_not_explain_is_refused),
        cmocka_unit_test(what_cannot_be_a_row_is_refused),
        cmocka_unit_test(sameness_follows_the_value_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
