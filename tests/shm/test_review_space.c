/* test_review_space.c - who owns a range in the corners: results refused and put again, files whose end a dead process
 * left behind, seals that fail, acknowledged results in a store that promises them. */
#include "space_scene.h"

#include <sys/resource.h>
#include <xxhash.h>

#include "io/zstd_codec.h"
#include "shm/care/admin.h"
#include "shm/codec/codec.h"
#include "shm/extent/extent_file.h"
#include "shm/index/index_batch.h"

#define WIDTH 100000u /* 300,000 bytes: 74 pages */
#define PAGES (UINT64_C(74) * LOOM_PAGE_BYTES)

static loom_store *open_with(loom_store_options options) {
    loom_error err = {0};
    loom_store *store;
    options.step_bytes = 1 << 16;
    REQUIRE_OK(try_open(options, &store, &err));
    return store;
}

static void put(loom_store *store, uint64_t number) {
    loom_error err = {0};
    REQUIRE_OK(try_put(store, number, WIDTH, 0, 0, &err));
}

static void reclaim(loom_store *store) {
    loom_error err = {0};
    REQUIRE_OK(loom_space_reclaim(space_of(store), loom_space_reuse_bytes(space_of(store)), &err));
}

static uint64_t unowned(loom_store *store) {
    return usage_of(store).unowned_bytes;
}

/* The sealed image `number`, to be put under the key of image `as`, at a place of its own. */
static void write_as(loom_store *store, uint64_t number, uint64_t as, image_result *image) {
    loom_error err = {0};
    loom_extent_writer *writer;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    write_image(writer, number, WIDTH, image);
    image->result.rkey = id_of("image", as);
    image->result.vid = id_of("other", number);
    loom_extent_writer_close(writer);
}

static void require_bytes(loom_store *store, uint64_t as, uint64_t number) {
    loom_error err = {0};
    loom_id rkey = id_of("image", as);
    loom_result found;
    loom_value value;
    loom_view view;
    uint8_t *expected = malloc(3 * WIDTH);
    loom_arena *arena = loom_arena_new();
    fill_image(expected, 3 * WIDTH, number);
    REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
    REQUIRE_OK(loom_store_verify(store, &found, &err));
    REQUIRE_OK(loom_store_value(store, &found, arena, &value, &view, &err));
    assert_memory_equal(value.image.voxels, expected, 3 * WIDTH);
    loom_extent_release(&view);
    loom_arena_free(arena);
    free(expected);
}

/* ---- refused, then put again in the same batch: what `store set --replace` does ---- */

static void replace(loom_store *store, uint64_t number, uint64_t as) {
    loom_error err = {0};
    static image_result image;
    loom_batch *batch;
    write_as(store, number, as, &image);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_STATUS(loom_batch_put(batch, &image.result, &err), LOOM_IRREPRODUCIBLE);
    REQUIRE_OK(loom_batch_delete(batch, &image.result.rkey, &err));
    REQUIRE_OK(loom_batch_put(batch, &image.result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_buffer_free(&image.payload);
}

static void refused_then_stored(loom_compression compression) {
    loom_store *store = open_with((loom_store_options){.compression = compression});
    put(store, 1);
    put(store, 2);
    for (uint64_t round = 0; round < 4; round++) {
        replace(store, 100 + round, 1);
        reclaim(store);
        for (uint64_t i = 0; i < 3; i++)
            put(store, 10 + 3 * round + i); /* in whatever is free */
        require_bytes(store, 1, 100 + round);
        assert_int_equal(unowned(store), 0);
    }
    require_bytes(store, 2, 2);
    for (uint64_t i = 10; i < 22; i++)
        require_image(store, i, WIDTH);
    loom_store_close(store);
}

static void refused_then_stored_raw(void **state) {
    (void)state;
    refused_then_stored(LOOM_COMPRESS_OFF);
}

static void refused_then_stored_compressed(void **state) {
    (void)state;
    refused_then_stored(LOOM_COMPRESS_ALWAYS);
}

/* Encoded before another process stored another value under the key: both copies are given up. */
static void refused_after_it_was_encoded(void **state) {
    (void)state;
    loom_error err = {0};
    static image_result image;
    loom_batch *batch;
    loom_store *store = open_with((loom_store_options){.compression = LOOM_COMPRESS_ALWAYS});
    loom_extent_writer *writer;
    loom_reservation reservation;
    write_as(store, 7, 1, &image);
    loom_buffer_free(&image.payload);
    /* zeros, which compress */
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    REQUIRE_OK(loom_extent_reserve(writer, 3 * WIDTH, LOOM_RESERVE_WINDOW | LOOM_RESERVE_ZEROED, &reservation, &err));
    REQUIRE_OK(loom_extent_seal(writer, &reservation, image.hashes, image.result.root, &err));
    loom_extent_recycle(loom_store_extents(store), &image.result.bulk);
    image.result.bulk = reservation.placement;
    loom_extent_writer_close(writer);
    loom_value value = loom_image(&image.header, NULL);
    REQUIRE_OK(loom_value_encode(&value, &image.payload));
    image.result.payload = image.payload.bytes;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_prepare(batch, &image.result, &err));
    put(store, 1);
    REQUIRE_STATUS(loom_batch_put(batch, &image.result, &err), LOOM_IRREPRODUCIBLE);
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_buffer_free(&image.payload);
    assert_int_equal(usage_of(store).deleted_bytes, PAGES + LOOM_PAGE_BYTES);
    reclaim(store);
    assert_int_equal(unowned(store), 0);
    require_bytes(store, 1, 1);
    loom_store_close(store);
}

/* ---- what a dead process left behind the tail ---- */

static void zeros_behind_a_tail_that_is_not_clean(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_with((loom_store_options){0});
    put(store, 1);
    /* Killed between lowering the reserved tail and shortening the file, while we stay attached. */
    char full[600];
    static uint8_t junk[1 << 20];
    memset(junk, 0xAB, sizeof junk);
    snprintf(full, sizeof full, "%s/extents/00000000.ext", path);
    int fd = open(full, O_WRONLY | O_APPEND);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, junk, sizeof junk), sizeof junk);
    close(fd);
    loom_extent_writer *writer;
    loom_reservation reservation;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    REQUIRE_OK(loom_extent_reserve(writer, 3 * WIDTH, LOOM_RESERVE_WINDOW | LOOM_RESERVE_ZEROED, &reservation, &err));
    const uint8_t *window = reservation.window;
    for (size_t i = 0; i < PAGES; i++)
        assert_int_equal(window[i], 0);
    loom_extent_abandon(writer, &reservation);
    loom_extent_writer_close(writer);
    require_image(store, 1, WIDTH);
    loom_store_close(store);
}

/* ---- kept by a row ---- */

static void what_a_row_owns_of_recycled_space_is_not_given_back(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store *store = open_with((loom_store_options){0});
    put(store, 1);
    put(store, 2);
    delete_image(store, 1);
    reclaim(store);
    assert_int_equal(usage_of(store).free_bytes, PAGES);
    loom_extent_writer *writer;
    loom_reservation reservation, other;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    REQUIRE_OK(loom_extent_reserve(writer, 3 * WIDTH, 0, &reservation, &err));
    assert_int_equal(reservation.placement.offset, LOOM_PAGE_BYTES); /* recycled */
    loom_extent_keep(writer, &reservation, 3 * LOOM_PAGE_BYTES + 1);
    loom_extent_abandon(writer, &reservation);
    REQUIRE_OK(loom_extent_reserve(writer, 70 * LOOM_PAGE_BYTES, 0, &other, &err));
    assert_int_equal(other.placement.offset, 5 * LOOM_PAGE_BYTES);
    loom_extent_abandon(writer, &other);
    REQUIRE_OK(loom_extent_reserve(writer, PAGES, 0, &other, &err));
    assert_true(other.placement.offset > 70 * LOOM_PAGE_BYTES);
    loom_extent_abandon(writer, &other);
    loom_extent_writer_close(writer);
    loom_store_close(store);
}

/* ---- strict: what is acknowledged is durable, whoever stored it ---- */

static bool syncs(const loom_index_batch *batch, uint32_t number) {
    for (size_t i = 0; i < batch->extent_count; i++)
        if (batch->extents[i].number == number && batch->extents[i].written) return true;
    return false;
}

static void put_again_is_made_durable(void **state) {
    (void)state;
    loom_error err = {0};
    static image_result image;
    loom_index_batch *batch;
    loom_store_parts parts;
    loom_store *store = open_with((loom_store_options){0});
    write_as(store, 1, 1, &image);
    REQUIRE_OK(loom_store_parts_of(store, &parts, &err));
    for (int round = 0; round < 2; round++) {
        REQUIRE_OK(
            loom_index_begin(parts.index, round == 0 ? LOOM_DURABLE_VERIFIED : LOOM_DURABLE_STRICT, &batch, &err));
        REQUIRE_OK(loom_index_put(batch, &image.result, &err));
        assert_true(batch->changed); /* committed, which syncs the index */
        assert_true(syncs(batch, image.result.bulk.extent));
        REQUIRE_OK(loom_index_commit(batch, loom_store_extents(store), &err));
    }
    loom_buffer_free(&image.payload);
    loom_store_close(store);
}

/* A stream that is completed in the pages that it had when it was suspended. */
static void succeeded_in_place_is_made_durable(void **state) {
    (void)state;
    loom_error err = {0};
    static image_result image;
    loom_index_batch *batch;
    loom_store_parts parts;
    loom_store *store = open_with((loom_store_options){0});
    write_as(store, 1, 1, &image);
    REQUIRE_OK(loom_store_parts_of(store, &parts, &err));
    REQUIRE_OK(loom_index_begin(parts.index, LOOM_DURABLE_VERIFIED, &batch, &err));
    REQUIRE_OK(loom_index_put(batch, &image.result, &err));
    REQUIRE_OK(loom_index_commit(batch, loom_store_extents(store), &err));
    loom_id from = image.result.rkey;
    image.result.rkey = image.result.vid = id_of("image", 2);
    REQUIRE_OK(loom_index_begin(parts.index, LOOM_DURABLE_STRICT, &batch, &err));
    REQUIRE_OK(loom_index_succeed(batch, &from, &image.result, &err));
    assert_true(syncs(batch, image.result.bulk.extent));
    REQUIRE_OK(loom_index_commit(batch, loom_store_extents(store), &err));
    require_bytes(store, 2, 1);
    assert_int_equal(unowned(store), 0);
    loom_buffer_free(&image.payload);
    loom_store_close(store);
}

/* ---- repair loses nothing that is good ---- */

static loom_status repair(loom_store *store, bool (*progress)(const char *, uint64_t, uint64_t, void *),
                          loom_verify_report *report, loom_error *err) {
    loom_verify_options options = {.repair = true, .threads = 2, .progress = progress};
    return loom_store_verify_all(store, &options, report, err);
}

/* By a program that cannot read what is compressed. */
static void unreadable_is_not_damaged(void **state) {
    (void)state;
    loom_error err = {0};
    loom_verify_report report;
    loom_store *store = open_with((loom_store_options){.compression = LOOM_COMPRESS_ALWAYS});
    loom_extent_writer *writer;
    loom_reservation reservation;
    loom_batch *batch;
    static image_result image;
    image.header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){WIDTH, 3});
    loom_value value = loom_image(&image.header, NULL);
    REQUIRE_OK(loom_value_encode(&value, &image.payload));
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    REQUIRE_OK(loom_extent_reserve(writer, 3 * WIDTH, LOOM_RESERVE_WINDOW | LOOM_RESERVE_ZEROED, &reservation, &err));
    REQUIRE_OK(loom_extent_seal(writer, &reservation, image.hashes, image.result.root, &err));
    loom_extent_writer_close(writer);
    image.result.rkey = image.result.vid = id_of("image", 1);
    image.result.type = LOOM_IMAGE;
    image.result.payload = image.payload.bytes;
    image.result.payload_bytes = image.payload.length;
    image.result.bulk = reservation.placement;
    image.result.block_hashes = image.hashes;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_put(batch, &image.result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    loom_buffer_free(&image.payload);
    loom_compressor_register(NULL);
    REQUIRE_STATUS(repair(store, NULL, &report, &err), LOOM_UNSUPPORTED);
    loom_zstd_register();
    assert_true(has_image(store, 1));
    REQUIRE_OK(repair(store, NULL, &report, &err));
    assert_int_equal(report.findings, 0);
    loom_store_close(store);
}

/* By a process that may not open one more file. */
static void unopened_is_not_damaged(void **state) {
    (void)state;
    loom_error err = {0};
    loom_verify_report report;
    loom_store *store = open_with((loom_store_options){0});
    struct rlimit before, limit;
    put(store, 1);
    put(store, 2);
    REQUIRE_OK(repair(store, NULL, &report, &err));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int free_fd = dup(0);
    close(free_fd);
    bool verified = false;
    /* At first the index cannot be read, then the folder of files, then one file, then its blocks. */
    for (rlim_t more = 0; !verified && more < 16; more++) {
        limit = before;
        limit.rlim_cur = (rlim_t)free_fd + more;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        loom_error_clear(&err);
        loom_status status = repair(store, NULL, &report, &err);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        verified = status == LOOM_OK;
        assert_int_equal(report.findings, 0);
        assert_true(has_image(store, 1) && has_image(store, 2));
    }
    assert_true(verified);
    require_image(store, 1, WIDTH);
    loom_store_close(store);
}

/* A row that a later version wrote, its checksum right: kept for that one. */
static void newer_is_not_damaged(void **state) {
    (void)state;
    loom_error err = {0};
    loom_verify_report report;
    loom_index_batch *batch;
    loom_store_parts parts;
    loom_store *store = open_with((loom_store_options){0});
    put(store, 1);
    REQUIRE_OK(loom_store_parts_of(store, &parts, &err));
    REQUIRE_OK(loom_index_begin(parts.index, LOOM_DURABLE_VERIFIED, &batch, &err));
    size_t row = 1;
    MDB_val key = {sizeof row, &row}, value;
    assert_int_equal(mdb_get(batch->txn, parts.index->rows, &key, &value), 0);
    size_t length = value.mv_size;
    uint8_t *bytes = malloc(length);
    memcpy(bytes, value.mv_data, length);
    bytes[offsetof(loom_row_header, codec)] = 9;
    uint64_t check = XXH3_64bits_withSeed(bytes, offsetof(loom_row_header, check), row);
    check = XXH3_64bits_withSeed(bytes + sizeof(loom_row_header), length - sizeof(loom_row_header), check);
    memcpy(bytes + offsetof(loom_row_header, check), &check, sizeof check);
    value = (MDB_val){length, bytes};
    assert_int_equal(mdb_put(batch->txn, parts.index->rows, &key, &value, 0), 0);
    batch->changed = true;
    REQUIRE_OK(loom_index_commit(batch, NULL, &err));
    REQUIRE_STATUS(repair(store, NULL, &report, &err), LOOM_NEWER_STORE);
    REQUIRE_OK(loom_index_begin(parts.index, LOOM_DURABLE_VERIFIED, &batch, &err));
    assert_int_equal(mdb_get(batch->txn, parts.index->rows, &key, &value), 0);
    loom_index_abort(batch);
    free(bytes);
    loom_store_close(store);
}

/* ---- gc deletes what it chose, not what has its key by then ---- */

#define CROWD 5000u

static void put_crowd(loom_store *store, uint64_t first, uint64_t count, uint64_t expires_ns) {
    loom_error err = {0};
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    for (uint64_t i = first; i < first + count; i++) {
        uint8_t payload[64];
        loom_result result = small_result(i, payload);
        result.expires_ns = expires_ns;
        REQUIRE_OK(loom_batch_put(batch, &result, &err));
    }
    REQUIRE_OK(loom_batch_commit(batch, &err));
}

static bool change_the_last(const char *phase, uint64_t done, uint64_t total, void *context) {
    loom_error err = {0};
    loom_store *store = context;
    loom_batch *batch;
    if (strcmp(phase, "delete") != 0 || done == total) return true;
    put_crowd(store, CROWD - 1, 1, 0); /* computed again */
    loom_id pinned = id_of("rkey", CROWD - 3);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_pin(batch, &pinned, "hand", &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    return true;
}

static void gc_leaves_what_was_stored_meanwhile(void **state) {
    (void)state;
    loom_error err = {0};
    loom_gc_report report;
    loom_store_stats stats;
    loom_store *store = open_with((loom_store_options){0});
    put_crowd(store, 0, CROWD, 1);
    loom_gc_options options = {.keep_goals = UINT64_MAX, .progress = change_the_last, .context = store};
    REQUIRE_OK(loom_store_gc(store, &options, &report, &err));
    assert_int_equal(report.expired_rows, CROWD - 2);
    require_small(store, CROWD - 1);
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    assert_int_equal(stats.rows, 2); /* and the one that is pinned, though its time has come */
    loom_store_close(store);
}

int main(void) {
    loom_zstd_register();
    const struct CMUnitTest tests[] = {
        DISK_TEST(gc_leaves_what_was_stored_meanwhile),
        DISK_TEST(newer_is_not_damaged),
        DISK_TEST(unreadable_is_not_damaged),
        DISK_TEST(unopened_is_not_damaged),
        DISK_TEST(refused_then_stored_raw),
        DISK_TEST(refused_then_stored_compressed),
        DISK_TEST(refused_after_it_was_encoded),
        DISK_TEST(zeros_behind_a_tail_that_is_not_clean),
        DISK_TEST(what_a_row_owns_of_recycled_space_is_not_given_back),
        DISK_TEST(put_again_is_made_durable),
        DISK_TEST(succeeded_in_place_is_made_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
