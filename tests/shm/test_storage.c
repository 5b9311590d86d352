/* test_storage.c - the conformance suite of the storage interface: the same tests run against every implementation. */
#include "store_support.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

static bool memory_kind; /* which implementation this group tests */
static char folder[256];
static loom_store *store;
static loom_arena *arena;

static void open_store(void) {
    loom_error err = {0};
    char path[300];
    snprintf(path, sizeof path, "%s/store", folder);
    REQUIRE_OK(loom_store_open(
        &(loom_store_options){.path = memory_kind ? ":memory:" : path, .create = true, .memory_writers = 2}, &store,
        &err));
}

static int setup(void **state) {
    (void)state;
    make_temporary(folder);
    open_store();
    arena = loom_arena_new();
    return arena == NULL;
}

static int teardown(void **state) {
    (void)state;
    loom_store_close(store);
    loom_arena_free(arena);
    remove_tree(folder);
    return 0;
}

/* What was stored must be found after closing and opening too, where a store lasts. */
static void reopen(void) {
    if (memory_kind) return;
    loom_store_close(store);
    open_store();
}

/* ---- values ---- */

static void store_value(uint64_t number, const loom_value *value) {
    loom_error err = {0};
    loom_buffer bytes = {0};
    loom_batch *batch;
    REQUIRE_OK(loom_value_encode(value, &bytes));
    loom_result result = {.rkey = id_of("value", number),
                          .vid = loom_sha256(bytes.bytes, bytes.length),
                          .type = value->type,
                          .payload = bytes.bytes,
                          .payload_bytes = bytes.length};
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_buffer_free(&bytes);
}

static void require_value(uint64_t number, const loom_value *expected) {
    loom_error err = {0};
    loom_id rkey = id_of("value", number);
    loom_result found;
    loom_value value;
    loom_view view;
    REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
    REQUIRE_OK(loom_store_value(store, &found, arena, &value, &view, &err));
    assert_true(loom_value_equal(&value, expected));
    loom_extent_release(&view);
}

static double from_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void every_small_type_returns_bit_exact(void **state) {
    (void)state;
    loom_value inner[] = {loom_int(-3), loom_string_of("x"), loom_null()};
    loom_value reference = {.type = LOOM_REFERENCE, .reference = {LOOM_IMAGE, id_of("image", 1)}};
    loom_value mixed[] = {reference, loom_float(0.5), loom_sequence(inner, 3)};
    loom_field nested[] = {{"age", 3, loom_int(61)}};
    loom_field fields[] = {{"patient", 7, loom_record(nested, 1)}, {"", 0, loom_sequence(inner, 2)}};
    loom_value bytes = {.type = LOOM_BYTES, .text = {"\0\xff\x80", 3}};
    loom_value values[] = {loom_null(),
                           loom_bool(false),
                           loom_bool(true),
                           loom_int(INT64_MIN),
                           loom_int(INT64_MAX),
                           loom_float(-0.0),
                           loom_float(from_bits(UINT64_C(0x7ff8dead0000beef))),
                           loom_float(-INFINITY),
                           loom_string_of(""),
                           loom_string_of("gr\xc3\xbc\xc3\x9f"),
                           bytes,
                           loom_sequence(mixed, 3),
                           loom_sequence(NULL, 0),
                           loom_record(fields, 2)};
    size_t count = sizeof values / sizeof *values;
    for (size_t i = 0; i < count; i++)
        store_value(i, &values[i]);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < count; i++)
            require_value(i, &values[i]);
        reopen();
    }
}

static void images_and_blobs_live_in_extents(void **state) {
    (void)state;
    loom_error err = {0};
    loom_extent_writer *writer;
    loom_batch *batch;
    static image_result images[3];
    const uint64_t widths[] = {1, 4096, 1000000}; /* 3 bytes; whole pages; 3 blocks */
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    for (uint64_t i = 0; i < 3; i++) {
        write_image(writer, i, widths[i], &images[i]);
        REQUIRE_OK(loom_batch_put(batch, &images[i].result, &err));
    }
    /* A long string as a blob: encoded into an extent. */
    char *text = malloc(70000);
    memset(text, 'a', 70000);
    loom_value value = loom_string(text, 70000);
    loom_buffer encoded = {0};
    REQUIRE_OK(loom_value_encode(&value, &encoded));
    loom_reservation reservation;
    uint64_t hashes[1];
    loom_result blob = {.rkey = id_of("value", 7), .vid = id_of("value", 7), .type = LOOM_STRING, .blob = true};
    REQUIRE_OK(loom_extent_reserve(writer, encoded.length, true, &reservation, &err));
    memcpy(reservation.window, encoded.bytes, encoded.length);
    REQUIRE_OK(loom_extent_seal(writer, &reservation, hashes, blob.root, &err));
    blob.bulk = reservation.placement;
    blob.block_hashes = hashes;
    REQUIRE_OK(loom_batch_put(batch, &blob, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_extent_writer_close(writer);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 3; i++)
            require_image(store, i, widths[i]);
        require_value(7, &value);
        loom_store_stats stats;
        REQUIRE_OK(loom_store_stat(store, &stats, &err));
        assert_int_equal(stats.rows, 4);
        assert_int_equal(stats.images, 3);
        assert_int_equal(stats.blobs, 1);
        assert_int_equal(stats.bulk_bytes, 3 * (1 + 4096 + 1000000) + encoded.length);
        assert_true(stats.extent_allocated_bytes >= stats.bulk_bytes);
        assert_int_equal(stats.format, LOOM_STORE_FORMAT);
        reopen();
    }
    for (int i = 0; i < 3; i++)
        loom_buffer_free(&images[i].payload);
    loom_buffer_free(&encoded);
    free(text);
}

/* ---- batches ---- */

static void a_batch_is_visible_whole_or_not_at_all(void **state) {
    (void)state;
    loom_error err = {0};
    loom_batch *batch;
    uint8_t payload[64];
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    for (uint64_t i = 0; i < 10; i++) {
        loom_result result = small_result(i, payload);
        REQUIRE_OK(loom_batch_put(batch, &result, &err));
        assert_false(is_stored(store, i));
    }
    REQUIRE_OK(loom_batch_commit(batch, &err));
    for (uint64_t i = 0; i < 10; i++)
        require_small(store, i);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    loom_result result = small_result(99, payload);
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    loom_id rkey = id_of("rkey", 3);
    REQUIRE_OK(loom_batch_delete(batch, &rkey, &err));
    loom_batch_abort(batch);
    assert_false(is_stored(store, 99));
    require_small(store, 3);
}

static void a_second_batch_of_one_thread_is_refused(void **state) {
    (void)state;
    loom_error err = {0};
    loom_batch *first, *second;
    uint8_t payload[64];
    loom_result result = small_result(1, payload);
    REQUIRE_OK(loom_store_begin(store, &first, &err));
    REQUIRE_OK(loom_batch_put(first, &result, &err));
    REQUIRE_OK(loom_store_begin(store, &second, &err));
    REQUIRE_STATUS(loom_batch_put(second, &result, &err), LOOM_BUSY);
    loom_batch_abort(second);
    REQUIRE_OK(loom_batch_commit(first, &err));
    put_small(store, 1, 2);
}

static void the_first_of_two_results_is_kept(void **state) {
    (void)state;
    loom_error err = {0};
    loom_batch *batch;
    uint8_t payload[64];
    loom_result result = small_result(1, payload);
    for (int round = 0; round < 2; round++) { /* within one batch, then against the store */
        REQUIRE_OK(loom_store_begin(store, &batch, &err));
        REQUIRE_OK(loom_batch_put(batch, &result, &err));
        REQUIRE_OK(loom_batch_put(batch, &result, &err));
        loom_result other = result;
        other.vid = id_of("other", 1);
        REQUIRE_STATUS(loom_batch_put(batch, &other, &err), LOOM_IRREPRODUCIBLE);
        other = result, other.type = LOOM_STRING;
        REQUIRE_STATUS(loom_batch_put(batch, &other, &err), LOOM_IRREPRODUCIBLE);
        REQUIRE_OK(loom_batch_commit(batch, &err));
        require_small(store, 1);
        loom_store_stats stats;
        REQUIRE_OK(loom_store_stat(store, &stats, &err));
        assert_int_equal(stats.rows, 1);
    }
}

static void a_large_result_is_compared_by_its_hashes(void **state) {
    (void)state;
    loom_error err = {0};
    loom_extent_writer *writer;
    loom_batch *batch;
    static image_result first, same, other;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    write_image(writer, 5, 100, &first);
    write_image(writer, 5, 100, &same);
    write_image(writer, 6, 100, &other);
    other.result.rkey = other.result.vid = first.result.rkey;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &first.result, &err));
    REQUIRE_OK(loom_batch_put(batch, &same.result, &err));
    REQUIRE_STATUS(loom_batch_put(batch, &other.result, &err), LOOM_IRREPRODUCIBLE);
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_extent_writer_close(writer);
    require_image(store, 5, 100);
    reopen(); /* returns the space of the other two; the first must stay whole */
    require_image(store, 5, 100);
    loom_buffer_free(&first.payload), loom_buffer_free(&same.payload), loom_buffer_free(&other.payload);
}

static void deleting_keeps_the_trace(void **state) {
    (void)state;
    loom_error err = {0};
    loom_batch *batch;
    put_small(store, 0, 20);
    loom_id rkey = id_of("rkey", 4), vid;
    loom_type type;
    uint8_t payload[64];
    loom_result result = small_result(4, payload);
    for (int round = 0; round < 3; round++) {
        REQUIRE_OK(loom_store_begin(store, &batch, &err));
        REQUIRE_OK(loom_batch_delete(batch, &rkey, &err));
        REQUIRE_STATUS(loom_batch_delete(batch, &rkey, &err), LOOM_NOT_FOUND);
        REQUIRE_OK(loom_batch_commit(batch, &err));
        assert_false(is_stored(store, 4));
        reopen();
        assert_false(is_stored(store, 4));
        REQUIRE_OK(loom_store_trace(store, &rkey, &vid, &type, &err));
        assert_memory_equal(&vid, &result.vid, sizeof vid);
        assert_int_equal(type, LOOM_BYTES);
        loom_store_stats stats;
        REQUIRE_OK(loom_store_stat(store, &stats, &err));
        assert_int_equal(stats.rows, 19);
        put_small(store, 4, 1);
        require_small(store, 4);
        REQUIRE_OK(loom_store_stat(store, &stats, &err));
        assert_int_equal(stats.rows, 20);
        assert_int_equal(stats.payload_bytes, 20 * 64);
        reopen();
    }
    for (uint64_t i = 0; i < 20; i++)
        require_small(store, i);
    loom_id absent = id_of("rkey", 1000);
    REQUIRE_STATUS(loom_store_trace(store, &absent, &vid, &type, &err), LOOM_NOT_FOUND);
    /* In one batch: put, delete, put. */
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    result = small_result(50, payload);
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_delete(batch, &result.rkey, &err));
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    require_small(store, 50);
}

/* ---- look-ups ---- */

static loom_result sequence_result(uint64_t number, const char *vid_kind) {
    static const uint8_t empty[] = {0x90};
    return (loom_result){.rkey = id_of("sequence", number),
                         .vid = id_of(vid_kind, 0),
                         .type = LOOM_SEQUENCE,
                         .payload = empty,
                         .payload_bytes = 1};
}

static void nested_sequences_are_found_by_value(void **state) {
    (void)state;
    loom_error err = {0};
    loom_batch *batch;
    loom_result one = sequence_result(1, "content"), two = sequence_result(2, "content"), found;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &one, &err));
    REQUIRE_OK(loom_batch_put(batch, &two, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    /* Whichever of the two goes, the value is found under the other. */
    for (uint64_t gone = 1; gone <= 2; gone++) {
        REQUIRE_OK(loom_store_find_value(store, &one.vid, arena, &found, &err));
        assert_memory_equal(&found.vid, &one.vid, sizeof found.vid);
        loom_id rkey = id_of("sequence", gone);
        REQUIRE_OK(loom_store_begin(store, &batch, &err));
        REQUIRE_OK(loom_batch_delete(batch, &rkey, &err));
        REQUIRE_OK(loom_batch_commit(batch, &err));
        reopen();
    }
    REQUIRE_STATUS(loom_store_find_value(store, &one.vid, arena, &found, &err), LOOM_NOT_FOUND);
    /* A large result is named by its key. */
    loom_result named = sequence_result(3, "unused");
    named.vid = named.rkey;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &named, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    REQUIRE_OK(loom_store_find_value(store, &named.rkey, arena, &found, &err));
    assert_memory_equal(&found.rkey, &named.rkey, sizeof found.rkey);
}

static void colliding_prefixes_are_told_apart(void **state) {
    (void)state;
    loom_error err = {0};
    loom_batch *batch;
    for (int part = 0; part < 2; part++) { /* the second part meets the first in the tables, after reopening */
        REQUIRE_OK(loom_store_begin(store, &batch, &err));
        for (int i = 0; i < 50; i++) {
            loom_result result = sequence_result(0, "x");
            memset(&result.rkey, 0, sizeof result.rkey);
            result.rkey.bytes[31] = (uint8_t)(50 * part + i);
            result.vid = result.rkey;
            result.vid.bytes[20] = 1;
            result.cost_ns = (uint64_t)(50 * part + i);
            REQUIRE_OK(loom_batch_put(batch, &result, &err));
            REQUIRE_OK(loom_batch_put(batch, &result, &err));
        }
        REQUIRE_OK(loom_batch_commit(batch, &err));
        reopen();
    }
    for (uint8_t i = 0; i < 100; i++) {
        loom_id rkey = {{0}}, vid;
        rkey.bytes[31] = i;
        vid = rkey;
        vid.bytes[20] = 1;
        loom_result found;
        REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
        assert_int_equal(found.cost_ns, i);
        REQUIRE_OK(loom_store_find_value(store, &vid, arena, &found, &err));
        assert_int_equal(found.cost_ns, i);
    }
}

/* More rows than the unindexed tail holds, in uneven batches. */
static void many_rows_are_all_found(void **state) {
    (void)state;
    const uint64_t count = 20000;
    for (uint64_t at = 0, step = 1; at < count; at += step, step = step * 3 % 4999 + 1) {
        if (at + step > count) step = count - at;
        put_small(store, at, step);
        require_small(store, at / 2);
    }
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < count; i += 7)
            require_small(store, i);
        assert_false(is_stored(store, count));
        reopen();
    }
}

static void a_prefix_finds_for_people(void **state) {
    (void)state;
    loom_error err = {0};
    loom_batch *batch;
    loom_result found;
    char hex[LOOM_ID_HEX_BYTES];
    uint8_t payload[64];
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    loom_id node = id_of("node", 1);
    for (uint64_t i = 0; i < 3; i++) {
        loom_result result = small_result(i, payload);
        result.node = node;
        REQUIRE_OK(loom_batch_put(batch, &result, &err));
    }
    loom_result twin = small_result(7, payload);
    twin.rkey = id_of("rkey", 1);
    twin.rkey.bytes[31] ^= 1; /* differs from number 1 in the last digit only */
    REQUIRE_OK(loom_batch_put(batch, &twin, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_id rkey = id_of("rkey", 2);
    loom_id_hex(&rkey, hex);
    hex[9] = '\0';
    REQUIRE_OK(loom_store_find_prefix(store, hex, arena, &found, &err));
    assert_memory_equal(&found.rkey, &rkey, sizeof rkey);
    loom_id_hex(&node, hex);
    hex[12] = '\0';
    REQUIRE_OK(loom_store_find_prefix(store, hex, arena, &found, &err));
    assert_memory_equal(&found.rkey, &rkey, sizeof rkey); /* the latest */
    loom_id_hex(&twin.vid, hex);
    REQUIRE_OK(loom_store_find_prefix(store, hex, arena, &found, &err));
    assert_memory_equal(&found.rkey, &twin.rkey, sizeof rkey);
    loom_id_hex(&twin.rkey, hex);
    REQUIRE_OK(loom_store_find_prefix(store, hex, arena, &found, &err));
    hex[63] = '\0';
    REQUIRE_STATUS(loom_store_find_prefix(store, hex, arena, &found, &err), LOOM_BAD_USAGE);
    REQUIRE_STATUS(loom_store_find_prefix(store, "0123456789abcdef", arena, &found, &err), LOOM_NOT_FOUND);
    REQUIRE_STATUS(loom_store_find_prefix(store, "abc", arena, &found, &err), LOOM_BAD_USAGE);
    REQUIRE_STATUS(loom_store_find_prefix(store, "wxyz", arena, &found, &err), LOOM_BAD_USAGE);
}

typedef struct walk {
    uint64_t count, last_row, stop_after;
} walk;

static bool count_rows(const loom_result *result, void *context) {
    walk *walked = context;
    assert_true(result->row > walked->last_row);
    walked->last_row = result->row;
    assert_int_equal(result->payload_bytes, 64);
    assert_true(is_stored(store, result->cost_ns / 7)); /* the callback may use the store */
    return ++walked->count != walked->stop_after;
}

static void each_visits_live_rows_in_order(void **state) {
    (void)state;
    loom_error err = {0};
    loom_batch *batch;
    put_small(store, 0, 30);
    loom_id rkey = id_of("rkey", 11);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_delete(batch, &rkey, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    walk all = {0};
    REQUIRE_OK(loom_store_each(store, count_rows, &all, &err));
    assert_int_equal(all.count, 29);
    walk some = {.stop_after = 5};
    REQUIRE_OK(loom_store_each(store, count_rows, &some, &err));
    assert_int_equal(some.count, 5);
}

static void files_and_named_bytes_are_remembered(void **state) {
    (void)state;
    loom_error err = {0};
    loom_batch *batch;
    loom_file_stamp stamp = {1, 2, 300, 4, 5}, other = {1, 3, 300, 4, 5};
    loom_id content = id_of("content", 1), second = id_of("content", 2), got;
    const void *bytes;
    size_t length;
    REQUIRE_STATUS(loom_store_get_file(store, &stamp, &got, &err), LOOM_NOT_FOUND);
    REQUIRE_STATUS(loom_store_get_meta(store, "topology", arena, &bytes, &length, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put_file(batch, &stamp, &content, &err));
    REQUIRE_OK(loom_batch_put_meta(batch, "topology", "two cores", 9, &err));
    REQUIRE_OK(loom_batch_put_meta(batch, "empty", "", 0, &err));
    REQUIRE_STATUS(loom_batch_put_meta(batch, "", "x", 1, &err), LOOM_BAD_ARGUMENT);
    REQUIRE_STATUS(loom_store_get_file(store, &stamp, &got, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_batch_commit(batch, &err));
    reopen();
    REQUIRE_OK(loom_store_get_file(store, &stamp, &got, &err));
    assert_memory_equal(&got, &content, sizeof got);
    REQUIRE_STATUS(loom_store_get_file(store, &other, &got, &err), LOOM_NOT_FOUND);
    stamp.mtime_ns++;
    REQUIRE_STATUS(loom_store_get_file(store, &stamp, &got, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_store_get_meta(store, "topology", arena, &bytes, &length, &err));
    assert_int_equal(length, 9);
    assert_memory_equal(bytes, "two cores", 9);
    REQUIRE_OK(loom_store_get_meta(store, "empty", arena, &bytes, &length, &err));
    assert_int_equal(length, 0);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put_file(batch, &stamp, &second, &err));
    REQUIRE_OK(loom_batch_put_meta(batch, "topology", "four", 4, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    REQUIRE_OK(loom_store_get_file(store, &stamp, &got, &err));
    assert_memory_equal(&got, &second, sizeof got);
    REQUIRE_OK(loom_store_get_meta(store, "topology", arena, &bytes, &length, &err));
    assert_memory_equal(bytes, "four", 4);
}

/* ---- threads and processes ---- */

static void *read_all_the_time(void *context) {
    atomic_bool *stop = context;
    for (uint64_t i = 0; !atomic_load(stop); i++)
        require_small(store, i % 500);
    return NULL;
}

static void threads_read_while_one_writes(void **state) {
    (void)state;
    put_small(store, 0, 500);
    atomic_bool stop = false;
    pthread_t readers[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_all_the_time, &stop), 0);
    for (uint64_t i = 0; i < 40; i++)
        put_small(store, 500 + 300 * i, 300);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    require_small(store, 500 + 300 * 40 - 1);
}

static void use_parents_handle(void *context) {
    (void)context;
    loom_error err = {0};
    loom_id rkey = id_of("rkey", 1);
    loom_result found;
    loom_batch *batch;
    loom_extent_writer *writer;
    if (loom_store_find(store, &rkey, arena, &found, &err) != LOOM_UNSUPPORTED) _exit(1);
    if (loom_store_begin(store, &batch, &err) != LOOM_UNSUPPORTED) _exit(2);
    if (loom_extent_writer_open(loom_store_extents(store), &writer, &err) != LOOM_UNSUPPORTED) _exit(3);
    loom_store_close(store);
}

static void a_forked_child_cannot_use_the_handle(void **state) {
    (void)state;
    put_small(store, 1, 1);
    assert_int_equal(in_child(use_parents_handle, NULL), 0);
    require_small(store, 1);
    put_small(store, 2, 1);
}

typedef struct worker_report {
    loom_placement placement;
    uint64_t hashes[4], root[2];
} worker_report;

typedef struct worker_context {
    char token[4200];
    int pipe;
    uint32_t index;
} worker_context;

static void work(void *context) {
    const worker_context *worker = context;
    loom_error err = {0};
    loom_store *attached;
    loom_extent_writer *writer;
    loom_reservation reservation;
    loom_batch *batch;
    worker_report report = {.placement = {0}}; /* whole: it goes through a pipe */
    REQUIRE_OK(loom_store_attach(worker->token, worker->index, &attached, &err));
    if (loom_store_begin(attached, &batch, &err) != LOOM_DENIED) _exit(4);
    if (!memory_kind) require_small(attached, 1);
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(attached), &writer, &err));
    REQUIRE_OK(loom_extent_reserve(writer, 3 * 5000, true, &reservation, &err));
    fill_image(reservation.window, 3 * 5000, worker->index);
    REQUIRE_OK(loom_extent_seal(writer, &reservation, report.hashes, report.root, &err));
    report.placement = reservation.placement;
    if (write(worker->pipe, &report, sizeof report) != (ssize_t)sizeof report) _exit(5);
    if (worker->index == 0) {
        loom_extent_writer_close(writer);
        loom_store_close(attached);
    } /* the other one just ends */
}

static void workers_write_what_the_opener_commits(void **state) {
    (void)state;
    loom_error err = {0};
    put_small(store, 1, 1);
    loom_extent_writer *own;
    static image_result image;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &own, &err));
    write_image(own, 77, 5000, &image);
    worker_context worker;
    REQUIRE_OK(loom_store_token(store, worker.token, sizeof worker.token));
    assert_int_equal(loom_store_token(store, worker.token, 6), LOOM_TOO_LARGE);
    REQUIRE_OK(loom_store_token(store, worker.token, sizeof worker.token));
    int inherited[8];
    size_t to_inherit = loom_store_inherit(store, inherited, 8);
    if (memory_kind)
        assert_true(to_inherit >= 3); /* the opener's file, one each for two writers, some for streams */
    else
        assert_true(to_inherit <= 1); /* the claims of the run, where they can be inherited */
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &image.result, &err));
    for (uint32_t round = 0; round < 4; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        worker.pipe = ends[1];
        worker.index = round % 2;
        assert_int_equal(in_child(work, &worker), 0);
        worker_report report;
        assert_int_equal(read(ends[0], &report, sizeof report), sizeof report);
        close(ends[0]), close(ends[1]);
        image_result copy = image;
        copy.result.rkey = copy.result.vid = id_of("image", 1000 + round);
        copy.result.bulk = report.placement;
        copy.result.block_hashes = report.hashes;
        memcpy(copy.result.root, report.root, sizeof report.root);
        REQUIRE_OK(loom_batch_put(batch, &copy.result, &err));
    }
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_extent_writer_close(own);
    require_image(store, 77, 5000);
    for (uint64_t round = 0; round < 4; round++) {
        loom_id rkey = id_of("image", 1000 + round);
        loom_result found;
        loom_view view;
        uint8_t *expected = malloc(3 * 5000);
        fill_image(expected, 3 * 5000, round % 2);
        REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
        REQUIRE_OK(loom_store_verify(store, &found, &err));
        REQUIRE_OK(loom_extent_view(loom_store_extents(store), &found.bulk, false, &view, &err));
        assert_memory_equal(view.bytes, expected, 3 * 5000);
        loom_extent_release(&view);
        free(expected);
    }
    loom_buffer_free(&image.payload);
}

static void wrong_arguments_are_refused(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *none;
    loom_batch *batch;
    REQUIRE_STATUS(loom_store_open(&(loom_store_options){.path = ""}, &none, &err), LOOM_BAD_ARGUMENT);
    REQUIRE_STATUS(loom_store_attach("nowhere", 0, &none, &err), LOOM_BAD_ARGUMENT);
    REQUIRE_STATUS(loom_store_attach("memory:x", 0, &none, &err), LOOM_BAD_ARGUMENT);
    REQUIRE_STATUS(loom_store_attach("memory:3,4", 7, &none, &err), LOOM_BAD_ARGUMENT);
    loom_result empty = {.rkey = id_of("rkey", 1), .vid = id_of("vid", 1)};
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_STATUS(loom_batch_put(batch, &empty, &err), LOOM_BAD_ARGUMENT);
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_store_close(NULL);
    loom_batch_abort(NULL);
    loom_extent_writer_close(NULL);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int run_group(const char *name) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(every_small_type_returns_bit_exact),
        STORE_TEST(images_and_blobs_live_in_extents),
        STORE_TEST(a_batch_is_visible_whole_or_not_at_all),
        STORE_TEST(a_second_batch_of_one_thread_is_refused),
        STORE_TEST(the_first_of_two_results_is_kept),
        STORE_TEST(a_large_result_is_compared_by_its_hashes),
        STORE_TEST(deleting_keeps_the_trace),
        STORE_TEST(nested_sequences_are_found_by_value),
        STORE_TEST(colliding_prefixes_are_told_apart),
        STORE_TEST(many_rows_are_all_found),
        STORE_TEST(a_prefix_finds_for_people),
        STORE_TEST(each_visits_live_rows_in_order),
        STORE_TEST(files_and_named_bytes_are_remembered),
        STORE_TEST(threads_read_while_one_writes),
        STORE_TEST(a_forked_child_cannot_use_the_handle),
        STORE_TEST(workers_write_what_the_opener_commits),
        STORE_TEST(wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void) {
    memory_kind = false;
    int failed = run_group("disk");
    memory_kind = true;
    return failed + run_group("memory");
}
