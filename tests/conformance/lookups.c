/* lookups.c - lists, beginnings of ids, vids, files, named blobs, counts. */
#include "conformance.h"

static loom_result small(uint64_t number, uint8_t payload[64]) {
    return small_result(number, payload);
}

static void put_numbers(uint64_t first, uint64_t count) {
    put_small(store, first, count);
}

/* ---- lists ---- */

typedef struct seen_rows {
    loom_id rkeys[300];
    uint64_t rows[300];
    size_t count, stop_at;
} seen_rows;

static bool see_row(const loom_result *result, void *context) {
    seen_rows *seen = context;
    assert_true(seen->count < 300);
    seen->rkeys[seen->count] = result->rkey;
    seen->rows[seen->count++] = result->row;
    return seen->count != seen->stop_at;
}

static void test_list_in_order(void **state) {
    (void)state;
    loom_error err = {0};
    seen_rows seen = {.count = 0};
    REQUIRE_OK(loom_store_each(store, see_row, &seen, &err));
    assert_int_equal(seen.count, 0);
    put_numbers(0, 200);
    delete_one((const loom_id[]){id_of("rkey", 17)});
    put_numbers(200, 50);
    put_numbers(17, 1); /* again: a new row at the end */
    open_again();
    REQUIRE_OK(loom_store_each(store, see_row, &seen, &err));
    assert_int_equal(seen.count, 250);
    for (size_t i = 0; i < 250; i++) {
        uint64_t number = i < 17 ? i : i < 249 ? i + 1 : 17;
        const loom_id wanted = id_of("rkey", number);
        assert_memory_equal(&seen.rkeys[i], &wanted, sizeof wanted);
        if (i > 0) assert_true(seen.rows[i] > seen.rows[i - 1]);
    }
    seen = (seen_rows){.stop_at = 3};
    REQUIRE_OK(loom_store_each(store, see_row, &seen, &err));
    assert_int_equal(seen.count, 3);
}

static bool find_itself(const loom_result *result, void *context) {
    loom_error err = {0};
    loom_result found;
    REQUIRE_OK(loom_store_find(store, &result->rkey, arena, &found, &err));
    assert_int_equal(found.row, result->row);
    ++*(size_t *)context;
    return true;
}

static void test_a_visit_may_look_up(void **state) {
    (void)state;
    loom_error err = {0};
    size_t count = 0;
    put_numbers(0, 20);
    REQUIRE_OK(loom_store_each(store, find_itself, &count, &err));
    assert_int_equal(count, 20);
}

/* ---- beginnings of ids ---- */

static void test_prefixes(void **state) {
    (void)state;
    loom_error err = {0};
    uint8_t payload[64];
    char hex[LOOM_ID_HEX_BYTES];
    loom_result found, result = small(1, payload);
    result.node = id_of("node", 1);
    put_one(&result);
    const loom_id *ids[] = {&result.rkey, &result.vid, &result.node};
    for (size_t i = 0; i < 3; i++)
        for (size_t digits = 4; digits <= 64; digits++) {
            loom_id_hex(ids[i], hex);
            hex[digits] = '\0';
            REQUIRE_OK(loom_store_find_prefix(store, hex, arena, &found, &err));
            assert_memory_equal(&found.rkey, &result.rkey, sizeof found.rkey);
        }
    loom_id_hex(&result.rkey, hex);
    hex[3] = '\0';
    REQUIRE_STATUS(loom_store_find_prefix(store, hex, arena, &found, &err), LOOM_BAD_USAGE);
    REQUIRE_STATUS(loom_store_find_prefix(store, "", arena, &found, &err), LOOM_BAD_USAGE);
    REQUIRE_STATUS(loom_store_find_prefix(store, "12345g", arena, &found, &err), LOOM_BAD_USAGE);
    loom_id other = id_of("nobody", 1);
    loom_id_hex(&other, hex);
    REQUIRE_STATUS(loom_store_find_prefix(store, hex, arena, &found, &err), LOOM_NOT_FOUND);
}

static void test_the_newest_of_a_node_and_ambiguity(void **state) {
    (void)state;
    loom_error err = {0};
    uint8_t payload[64];
    char hex[LOOM_ID_HEX_BYTES];
    loom_result found;
    for (uint64_t i = 1; i <= 2; i++) {
        loom_result result = small(i, payload);
        result.node = id_of("node", 1);
        put_one(&result);
    }
    const loom_id node = id_of("node", 1), second = id_of("rkey", 2);
    loom_id_hex(&node, hex);
    REQUIRE_OK(loom_store_find_prefix(store, hex, arena, &found, &err));
    assert_memory_equal(&found.rkey, &second, sizeof second);
    /* Two keys with one beginning. */
    loom_result third = small(3, payload);
    third.rkey = second;
    third.rkey.bytes[31] ^= 1;
    put_one(&third);
    loom_id_hex(&second, hex);
    hex[63] = '\0';
    REQUIRE_STATUS(loom_store_find_prefix(store, hex, arena, &found, &err), LOOM_BAD_USAGE);
}

/* Keys of which the first 16 bytes agree are different keys. */
static void test_keys_that_begin_alike(void **state) {
    (void)state;
    uint8_t payload[3][64];
    loom_result results[3];
    for (uint64_t i = 0; i < 3; i++) {
        results[i] = small(i, payload[i]);
        if (i > 0) memcpy(results[i].rkey.bytes, results[0].rkey.bytes, 24);
        put_one(&results[i]);
    }
    delete_one(&results[1].rkey);
    loom_error err = {0};
    loom_result found;
    REQUIRE_OK(loom_store_find(store, &results[0].rkey, arena, &found, &err));
    assert_memory_equal(&found.vid, &results[0].vid, 32);
    require_absent(&results[1].rkey);
    REQUIRE_OK(loom_store_find(store, &results[2].rkey, arena, &found, &err));
    assert_memory_equal(&found.vid, &results[2].vid, 32);
}

static void test_by_value_id(void **state) {
    (void)state;
    loom_error err = {0};
    loom_result found;
    const loom_value items[] = {loom_int(1), loom_int(2)};
    const loom_field fields[] = {{"x", 1, loom_int(3)}};
    const loom_value containers[] = {loom_sequence(items, 2), loom_record(fields, 1)};
    for (size_t i = 0; i < 2; i++) {
        loom_result first = drafted("one", &containers[i]), second = drafted("two", &containers[i]);
        if (i == 1) first = drafted("three", &containers[i]), second = drafted("four", &containers[i]);
        put_one(&first);
        put_one(&second);
        REQUIRE_OK(loom_store_find_value(store, &first.vid, arena, &found, &err));
        assert_memory_equal(&found.vid, &first.vid, 32);
        delete_one(&first.rkey);
        REQUIRE_OK(loom_store_find_value(store, &first.vid, arena, &found, &err));
        assert_memory_equal(&found.rkey, &second.rkey, 32);
        delete_one(&second.rkey);
        REQUIRE_STATUS(loom_store_find_value(store, &first.vid, arena, &found, &err), LOOM_NOT_FOUND);
    }
}

/* ---- what stands beside the rows ---- */

static void test_meta(void **state) {
    (void)state;
    loom_error err = {0};
    loom_batch *batch;
    const void *bytes;
    size_t length;
    char *large = malloc(300000), key[502];
    memset(large, 'x', 300000);
    memset(key, 'k', 501);
    key[501] = '\0';
    REQUIRE_STATUS(loom_store_get_meta(store, "a", arena, &bytes, &length, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put_meta(batch, "a", "one\0two", 7, &err));
    REQUIRE_OK(loom_batch_put_meta(batch, "empty", "", 0, &err));
    REQUIRE_OK(loom_batch_put_meta(batch, "large", large, 300000, &err));
    REQUIRE_STATUS(loom_batch_put_meta(batch, "", "x", 1, &err), LOOM_BAD_ARGUMENT);
    REQUIRE_STATUS(loom_batch_put_meta(batch, key, "x", 1, &err), LOOM_BAD_ARGUMENT);
    key[500] = '\0';
    REQUIRE_OK(loom_batch_put_meta(batch, key, "longest", 7, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put_meta(batch, "a", "new", 3, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    open_again();
    REQUIRE_OK(loom_store_get_meta(store, "a", arena, &bytes, &length, &err));
    assert_int_equal(length, 3);
    assert_memory_equal(bytes, "new", 3);
    REQUIRE_OK(loom_store_get_meta(store, "empty", arena, &bytes, &length, &err));
    assert_int_equal(length, 0);
    REQUIRE_OK(loom_store_get_meta(store, "large", arena, &bytes, &length, &err));
    assert_int_equal(length, 300000);
    assert_memory_equal(bytes, large, 300000);
    REQUIRE_OK(loom_store_get_meta(store, key, arena, &bytes, &length, &err));
    REQUIRE_STATUS(loom_store_get_meta(store, "b", arena, &bytes, &length, &err), LOOM_NOT_FOUND);
    free(large);
}

static void test_files(void **state) {
    (void)state;
    loom_error err = {0};
    loom_batch *batch;
    const loom_file_stamp stamp = {.device = 1, .inode = 2, .size = 3, .mtime_ns = -4, .ctime_ns = 5};
    const loom_id first = id_of("file", 1), second = id_of("file", 2);
    loom_id found;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put_file(batch, &stamp, &first, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    open_again();
    REQUIRE_OK(loom_store_get_file(store, &stamp, &found, &err));
    assert_memory_equal(&found, &first, sizeof found);
    loom_file_stamp others[] = {stamp, stamp, stamp, stamp, stamp};
    others[0].device++, others[1].inode++, others[2].size++, others[3].mtime_ns++, others[4].ctime_ns++;
    for (size_t i = 0; i < 5; i++)
        REQUIRE_STATUS(loom_store_get_file(store, &others[i], &found, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put_file(batch, &others[2], &second, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    REQUIRE_STATUS(loom_store_get_file(store, &stamp, &found, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_store_get_file(store, &others[2], &found, &err));
    assert_memory_equal(&found, &second, sizeof found);
}

static void test_counts(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store_stats before, after;
    loom_image_header header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){100, 3});
    uint8_t voxels[300] = {7};
    REQUIRE_OK(loom_store_stat(store, &before, &err));
    assert_int_equal(before.rows, 0);
    loom_result image = drafted_image(NULL, &header, voxels);
    put_one(&image);
    put_numbers(0, 3);
    char *text = calloc(1, 50000);
    const loom_value value = loom_string(text, 50000);
    loom_result blob = drafted(NULL, &value);
    put_one(&blob);
    delete_one((const loom_id[]){id_of("rkey", 1)});
    open_again();
    REQUIRE_OK(loom_store_stat(store, &after, &err));
    assert_int_equal(after.rows, 4);
    assert_int_equal(after.images, 1);
    assert_int_equal(after.blobs, 1);
    assert_true(after.payload_bytes >= 2 * 64);
    assert_true(after.bulk_bytes >= 50000 + 300);
    assert_int_equal(after.encrypted, strcmp(kind->name, "encrypted") == 0);
    assert_true(after.processes >= 1);
    free(text);
}

const struct CMUnitTest look_up_tests[] = {
    CONFORMANCE(test_list_in_order),
    CONFORMANCE(test_a_visit_may_look_up),
    CONFORMANCE(test_prefixes),
    CONFORMANCE(test_the_newest_of_a_node_and_ambiguity),
    CONFORMANCE(test_keys_that_begin_alike),
    CONFORMANCE(test_by_value_id),
    CONFORMANCE(test_meta),
    CONFORMANCE(test_files),
    CONFORMANCE(test_counts),
};
const size_t look_up_test_count = sizeof look_up_tests / sizeof look_up_tests[0];
