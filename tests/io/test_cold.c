/* test_cold.c - compression of a store in a folder: "always" as results are put, "cold" for what nobody used for a
 * while; and back to mappable bytes when they are read. Marks and dates of creation stand in for time. */
#include "codec_support.h"

#include "io/zstd_codec.h"
#include "shm/codec/cold.h"
#include "shm/codec/cold_thread.h"
#include "shm/control/control.h"
#include "shm/platform_file.h"
#include "shm/seal/key.h"
#include "shm/store/store.h"

static char folder[256], path[300];
static loom_store *store;
static loom_arena *arena;

static void open_with(loom_store_options options) {
    loom_error err = {0};
    options.path = path;
    options.create = !options.read_only;
    REQUIRE_OK(loom_store_open(&options, &store, &err));
}

static int setup(void **state) {
    (void)state;
    loom_zstd_register();
    make_temporary(folder);
    snprintf(path, sizeof path, "%s/store", folder);
    arena = loom_arena_new();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    loom_arena_free(arena);
    loom_store_close(store);
    store = NULL;
    remove_tree(folder);
    return 0;
}

/* An image as a worker leaves it: raw in the run's extents, not yet put. */
typedef struct made_image {
    loom_result result;
    loom_buffer payload;
    loom_image_header header;
    uint64_t hashes[HASHES_MAX];
    uint8_t *raw;
} made_image;

static loom_extent_writer *new_writer(void) {
    loom_error err = {0};
    loom_extent_writer *writer;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    return writer;
}

static made_image *make_image(uint64_t number, size_t bytes, pattern kind) {
    loom_error err = {0};
    made_image *image = calloc(1, sizeof *image);
    assert_non_null(image);
    image->header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){bytes, 1});
    loom_value value = loom_image(&image->header, NULL);
    REQUIRE_OK(loom_value_encode(&value, &image->payload));
    loom_extent_writer *writer = new_writer();
    loom_reservation reservation;
    REQUIRE_OK(loom_extent_reserve(writer, bytes, true, &reservation, &err));
    fill_pattern(reservation.window, bytes, kind);
    image->raw = malloc(bytes);
    memcpy(image->raw, reservation.window, bytes);
    REQUIRE_OK(loom_extent_seal(writer, &reservation, image->hashes, image->result.root, &err));
    loom_extent_writer_close(writer);
    image->result.rkey = image->result.vid = id_of("image", number);
    image->result.type = LOOM_IMAGE;
    image->result.payload = image->payload.bytes;
    image->result.payload_bytes = image->payload.length;
    image->result.bulk = reservation.placement;
    image->result.block_hashes = image->hashes;
    image->result.created_ns = 1000000000; /* in 1970 */
    return image;
}

static void free_image(made_image *image) {
    loom_buffer_free(&image->payload);
    free(image->raw);
    free(image);
}

static void put(const made_image *image, bool prepared) {
    loom_error err = {0};
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    if (prepared) REQUIRE_OK(loom_batch_prepare(batch, &image->result, &err));
    REQUIRE_OK(loom_batch_put(batch, &image->result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
}

static made_image *put_new(uint64_t number, size_t bytes, pattern kind) {
    made_image *image = make_image(number, bytes, kind);
    put(image, number % 2 == 0);
    return image;
}

/* Without a mark: loom_store_find would count as a use. */
static loom_result stored_result(const made_image *image) {
    loom_error err = {0};
    loom_result result;
    loom_row_kind kind;
    REQUIRE_OK(store->ops->find(store, LOOM_BY_RKEY, &image->result.rkey, arena, &result, &kind, &err));
    assert_int_equal(kind, LOOM_ROW_LIVE);
    return result;
}

static void require_value(const made_image *image, loom_codec codec) {
    loom_error err = {0};
    loom_value value;
    loom_view view;
    loom_result result = stored_result(image);
    assert_int_equal(result.codec, codec);
    assert_int_equal(result.bulk.bytes, image->result.bulk.bytes);
    REQUIRE_OK(loom_store_verify(store, &result, &err));
    REQUIRE_OK(loom_store_value(store, &result, arena, &value, &view, &err));
    assert_int_equal(memcmp(value.image.voxels, image->raw, image->result.bulk.bytes), 0);
    loom_extent_release(&view);
}

static loom_cold_report compress_cold(uint64_t limit_bytes) {
    loom_error err = {0};
    loom_cold_report report;
    REQUIRE_OK(loom_store_compress_cold(
        store, &(loom_cold_options){.limit_bytes = limit_bytes, .thorough = limit_bytes == 0, .threads = 2}, &report,
        &err));
    return report;
}

static void replace(const loom_result *result) {
    loom_error err = {0};
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_replace(batch, result, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
}

/* As a worker and its coordinator do: hold, materialise, commit the new place. */
static loom_result materialise(const made_image *image, bool expected_fresh) {
    loom_error err = {0};
    loom_result result;
    loom_hold hold;
    bool fresh = !expected_fresh;
    loom_extent_writer *writer = new_writer();
    REQUIRE_OK(loom_store_hold(store, &image->result.rkey, arena, &result, &hold, &err));
    REQUIRE_OK(loom_store_materialise(store, writer, arena, &result, &fresh, &err));
    assert_int_equal(fresh, expected_fresh);
    assert_int_equal(result.codec, LOOM_CODEC_RAW);
    loom_view view;
    REQUIRE_OK(loom_extent_view(loom_store_extents(store), &result.bulk, true, &view, &err));
    assert_int_equal(memcmp(view.bytes, image->raw, image->result.bulk.bytes), 0);
    if (fresh) replace(&result);
    assert_int_equal(memcmp(view.bytes, image->raw, image->result.bulk.bytes), 0);
    loom_extent_release(&view);
    loom_store_unhold(store, &hold);
    loom_extent_writer_close(writer);
    return result;
}

/* Every page below the tails has an owner, or is known to be free. */
static void require_accounted(void) {
    loom_error err = {0};
    loom_store_stats stats;
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    assert_int_equal(stats.unowned_bytes, 0);
}

/* ---- always ---- */

static void test_always(void **state) {
    (void)state;
    open_with((loom_store_options){.compression = LOOM_COMPRESS_ALWAYS});
    made_image *scan = put_new(1, 3 * LOOM_BLOCK_BYTES + 7, PATTERN_SCAN);
    made_image *mask = put_new(2, 2 * LOOM_BLOCK_BYTES, PATTERN_MASK);
    made_image *noise = put_new(3, LOOM_BLOCK_BYTES, PATTERN_NOISE);
    made_image *small = put_new(4, 900, PATTERN_ZERO);
    require_value(scan, LOOM_CODEC_ZSTD);
    require_value(mask, LOOM_CODEC_ZSTD);
    require_value(noise, LOOM_CODEC_RAW);
    require_value(small, LOOM_CODEC_RAW);
    loom_result stored = stored_result(noise); /* where its worker left it */
    assert_memory_equal(&stored.bulk, &noise->result.bulk, sizeof stored.bulk);
    /* The row stays compressed; the raw copy was this run's. */
    materialise(scan, true);
    require_value(scan, LOOM_CODEC_ZSTD);
    materialise(noise, false);
    loom_store_close(store);
    open_with((loom_store_options){.compression = LOOM_COMPRESS_OFF});
    require_accounted();
    require_value(scan, LOOM_CODEC_ZSTD);
    materialise(scan, true); /* now it becomes mappable */
    require_value(scan, LOOM_CODEC_RAW);
    require_value(mask, LOOM_CODEC_ZSTD);
    free_image(scan);
    free_image(mask);
    free_image(noise);
    free_image(small);
}

static void test_always_twice(void **state) {
    (void)state;
    loom_error err = {0};
    open_with((loom_store_options){.compression = LOOM_COMPRESS_ALWAYS});
    made_image *first = put_new(1, 2 * LOOM_BLOCK_BYTES, PATTERN_SCAN);
    made_image *again = make_image(1, 2 * LOOM_BLOCK_BYTES, PATTERN_SCAN);
    made_image *other = make_image(1, 2 * LOOM_BLOCK_BYTES, PATTERN_MASK);
    put(again, true);
    put(again, false); /* its range was given up: only the value is looked at */
    loom_batch *batch;
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_prepare(batch, &other->result, &err));
    REQUIRE_STATUS(loom_batch_put(batch, &other->result, &err), LOOM_IRREPRODUCIBLE);
    REQUIRE_OK(loom_batch_commit(batch, &err));
    require_value(first, LOOM_CODEC_ZSTD);
    free_image(first);
    free_image(again);
    free_image(other);
}

/* ---- cold ---- */

static void test_cold_and_back(void **state) {
    (void)state;
    open_with((loom_store_options){.compression = LOOM_COMPRESS_COLD});
    made_image *scan = put_new(1, 3 * LOOM_BLOCK_BYTES + 7, PATTERN_SCAN);
    made_image *labels = put_new(2, 70000, PATTERN_LABELS);
    require_value(scan, LOOM_CODEC_RAW);
    loom_cold_report report = compress_cold(0);
    assert_int_equal(report.compressed, 2);
    assert_int_equal(report.read_bytes, 3 * LOOM_BLOCK_BYTES + 7 + 70000);
    assert_true(report.saved_bytes > LOOM_BLOCK_BYTES && report.finished);
    require_value(scan, LOOM_CODEC_ZSTD);
    require_value(labels, LOOM_CODEC_ZSTD);
    assert_int_equal(compress_cold(0).compressed, 0);
    loom_result back = materialise(scan, true);
    require_value(scan, LOOM_CODEC_RAW);
    loom_result stored = stored_result(scan);
    assert_memory_equal(&stored.bulk, &back.bulk, sizeof back.bulk);
    assert_null(stored.codec_data);
    materialise(scan, false);
    require_accounted();
    assert_int_equal(compress_cold(0).compressed, 0); /* it was used just now */
    require_value(scan, LOOM_CODEC_RAW);
    free_image(scan);
    free_image(labels);
}

static void test_what_is_used_is_not_cold(void **state) {
    (void)state;
    loom_error err = {0};
    open_with((loom_store_options){.compression = LOOM_COMPRESS_COLD, .cold_after_s = 1000});
    made_image *used = put_new(1, 70000, PATTERN_ZERO), *unused = put_new(2, 70000, PATTERN_ZERO);
    made_image *fresh = make_image(3, 70000, PATTERN_ZERO);
    fresh->result.created_ns = (uint64_t)time(NULL) * 1000000000u;
    put(fresh, false);
    loom_result result;
    REQUIRE_OK(loom_store_find(store, &used->result.rkey, arena, &result, &err)); /* marks it */
    assert_int_equal(compress_cold(0).compressed, 1);
    require_value(used, LOOM_CODEC_RAW);
    require_value(unused, LOOM_CODEC_ZSTD);
    require_value(fresh, LOOM_CODEC_RAW);
    free_image(used);
    free_image(unused);
    free_image(fresh);
}

static void test_a_view_keeps_its_bytes(void **state) {
    (void)state;
    loom_error err = {0};
    open_with((loom_store_options){.compression = LOOM_COMPRESS_COLD});
    made_image *scan = put_new(1, 2 * LOOM_BLOCK_BYTES, PATTERN_SCAN);
    loom_result result = stored_result(scan);
    loom_value value;
    loom_view view;
    REQUIRE_OK(loom_store_value(store, &result, arena, &value, &view, &err));
    assert_int_equal(compress_cold(0).compressed, 1);
    made_image *more = put_new(2, 2 * LOOM_BLOCK_BYTES, PATTERN_NOISE); /* would take the old range */
    assert_int_equal(memcmp(view.bytes, scan->raw, 2 * LOOM_BLOCK_BYTES), 0);
    loom_extent_release(&view);
    require_value(scan, LOOM_CODEC_ZSTD);
    require_value(more, LOOM_CODEC_RAW);
    free_image(scan);
    free_image(more);
}

static void test_piece_by_piece(void **state) {
    (void)state;
    open_with((loom_store_options){.compression = LOOM_COMPRESS_COLD});
    made_image *images[5];
    for (unsigned i = 0; i < 5; i++)
        images[i] = put_new(i, 100000, PATTERN_LABELS);
    loom_cold_report report = compress_cold(150000);
    assert_int_equal(report.compressed, 2);
    assert_false(report.finished);
    report = compress_cold(150000);
    assert_int_equal(report.compressed, 2);
    report = compress_cold(150000);
    assert_int_equal(report.compressed, 1);
    assert_true(report.finished);
    /* Then it rests, unless asked to be thorough. */
    made_image *late = put_new(7, 100000, PATTERN_LABELS);
    report = compress_cold(150000);
    assert_true(report.compressed == 0 && report.finished);
    assert_int_equal(compress_cold(0).compressed, 1);
    for (unsigned i = 0; i < 5; i++) {
        require_value(images[i], LOOM_CODEC_ZSTD);
        free_image(images[i]);
    }
    free_image(late);
}

/* A budget without room for the copy: nothing is evicted for the sake of what nobody uses. */
static void test_no_room(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store_stats before, after;
    open_with((loom_store_options){.compression = LOOM_COMPRESS_COLD,
                                   .budget_bytes = UINT64_C(40) << 20,
                                   .ballast_bytes = 1 << 20,
                                   .step_bytes = 1 << 20});
    made_image *images[3];
    for (unsigned i = 0; i < 3; i++)
        images[i] = put_new(i, 10 * LOOM_BLOCK_BYTES, PATTERN_ZERO);
    REQUIRE_OK(loom_store_stat(store, &before, &err));
    loom_cold_report report = compress_cold(0);
    assert_true(report.no_space && report.compressed == 0);
    REQUIRE_OK(loom_store_stat(store, &after, &err));
    assert_int_equal(after.rows, 3);
    assert_int_equal(after.evicted_rows, 0);
    assert_int_equal(after.used_bytes, before.used_bytes);
    loom_store_close(store);
    open_with((loom_store_options){.compression = LOOM_COMPRESS_COLD, .budget_bytes = UINT64_C(80) << 20});
    assert_int_equal(compress_cold(0).compressed, 3);
    for (unsigned i = 0; i < 3; i++) {
        require_value(images[i], LOOM_CODEC_ZSTD);
        free_image(images[i]);
    }
}

static bool cancel_second(const char *phase, uint64_t done, uint64_t total, void *context) {
    unsigned *calls = context;
    assert_string_equal(phase, "compress");
    assert_true(done < total);
    return ++*calls < 4; /* in the second image of two blocks */
}

static void test_cancelled(void **state) {
    (void)state;
    loom_error err = {0};
    unsigned calls = 0;
    loom_cold_report report;
    open_with((loom_store_options){.compression = LOOM_COMPRESS_COLD});
    made_image *first = put_new(1, 2 * LOOM_BLOCK_BYTES, PATTERN_LABELS);
    made_image *second = put_new(2, 2 * LOOM_BLOCK_BYTES, PATTERN_LABELS);
    loom_cold_options options = {.threads = 2, .progress = cancel_second, .context = &calls};
    REQUIRE_STATUS(loom_store_compress_cold(store, &options, &report, &err), LOOM_CANCELLED);
    require_value(first, LOOM_CODEC_ZSTD);
    require_value(second, LOOM_CODEC_RAW);
    options.progress = NULL;
    REQUIRE_OK(loom_store_compress_cold(store, &options, &report, &err)); /* goes on */
    assert_int_equal(report.compressed, 1);
    require_value(second, LOOM_CODEC_ZSTD);
    free_image(first);
    free_image(second);
}

static void test_in_vain_only_once(void **state) {
    (void)state;
    open_with((loom_store_options){.compression = LOOM_COMPRESS_COLD});
    made_image *noise = put_new(1, 2 * LOOM_BLOCK_BYTES, PATTERN_NOISE);
    loom_cold_report report = compress_cold(0);
    assert_true(report.vain == 1 && report.compressed == 0);
    report = compress_cold(0);
    assert_true(report.vain == 0 && report.read_bytes == 0);
    loom_store_close(store);
    open_with((loom_store_options){.compression = LOOM_COMPRESS_COLD});
    assert_int_equal(compress_cold(0).read_bytes, 0);
    loom_store_close(store);
    open_with((loom_store_options){.compression = LOOM_COMPRESS_COLD, .compression_level = 9});
    assert_int_equal(compress_cold(0).vain, 1); /* another level may do better */
    require_value(noise, LOOM_CODEC_RAW);
    free_image(noise);
}

static void test_damage_is_not_sealed_anew(void **state) {
    (void)state;
    loom_error err = {0};
    open_with((loom_store_options){.compression = LOOM_COMPRESS_COLD});
    made_image *scan = put_new(1, 2 * LOOM_BLOCK_BYTES, PATTERN_SCAN);
    char name[400];
    snprintf(name, sizeof name, "%s/extents/%08x.ext", path, scan->result.bulk.extent);
    int fd = open(name, O_RDWR);
    uint8_t byte = (uint8_t)(scan->raw[77] ^ 1);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)scan->result.bulk.offset + 77), 1);
    close(fd);
    loom_cold_report report = compress_cold(0);
    assert_true(report.damaged == 1 && report.compressed == 0);
    loom_result result = stored_result(scan);
    assert_int_equal(result.codec, LOOM_CODEC_RAW);
    REQUIRE_STATUS(loom_store_verify(store, &result, &err), LOOM_CORRUPT);
    free_image(scan);
}

static void test_damage_of_compressed_bytes(void **state) {
    (void)state;
    loom_error err = {0};
    open_with((loom_store_options){.compression = LOOM_COMPRESS_ALWAYS});
    made_image *scan = put_new(1, 2 * LOOM_BLOCK_BYTES, PATTERN_SCAN);
    loom_result result = stored_result(scan);
    char name[400];
    snprintf(name, sizeof name, "%s/extents/%08x.ext", path, result.bulk.extent);
    int fd = open(name, O_RDWR);
    uint8_t byte;
    off_t at = (off_t)(result.bulk.offset + result.stored_bytes / 2);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x20;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
    loom_value value;
    loom_view view;
    bool fresh;
    REQUIRE_STATUS(loom_store_verify(store, &result, &err), LOOM_CORRUPT);
    REQUIRE_STATUS(loom_store_value(store, &result, arena, &value, &view, &err), LOOM_CORRUPT);
    loom_extent_writer *writer = new_writer();
    REQUIRE_STATUS(loom_store_materialise(store, writer, arena, &result, &fresh, &err), LOOM_CORRUPT);
    assert_int_equal(result.codec, LOOM_CODEC_ZSTD);
    loom_reservation reservation; /* the writer is free again */
    REQUIRE_OK(loom_extent_reserve(writer, 10, false, &reservation, &err));
    loom_extent_abandon(writer, &reservation);
    loom_extent_writer_close(writer);
    free_image(scan);
}

/* ---- encrypted: what a run works on is memory, what the row names is ciphertext ---- */

static void test_encrypted(void **state) {
    (void)state;
    static const loom_key key = {.bytes = {1, 2, 3, 4, 5}};
    open_with((loom_store_options){.key = &key, .compression = LOOM_COMPRESS_ALWAYS});
    made_image *scan = put_new(1, 3 * LOOM_BLOCK_BYTES + 7, PATTERN_SCAN);
    made_image *noise = put_new(2, LOOM_BLOCK_BYTES + 1, PATTERN_NOISE);
    require_value(scan, LOOM_CODEC_ZSTD_AES);
    require_value(noise, LOOM_CODEC_AES);
    put(scan, true); /* the same once more */
    put(noise, false);
    loom_store_close(store);
    open_with((loom_store_options){.key = &key, .compression = LOOM_COMPRESS_COLD});
    made_image *labels = put_new(3, 2 * LOOM_BLOCK_BYTES, PATTERN_LABELS);
    require_value(labels, LOOM_CODEC_AES);
    loom_cold_report report = compress_cold(0);
    assert_true(report.compressed == 1 && report.vain == 1);
    require_value(labels, LOOM_CODEC_ZSTD_AES);
    materialise(labels, true); /* into memory: the row stays */
    require_value(labels, LOOM_CODEC_ZSTD_AES);
    materialise(noise, true);
    require_value(noise, LOOM_CODEC_AES);
    assert_int_equal(compress_cold(0).read_bytes, 0);
    free_image(scan);
    free_image(noise);
    free_image(labels);
}

/* A record with bulk bytes is a suspended stream: it goes on in place. */
static void test_streams_are_left_alone(void **state) {
    (void)state;
    open_with((loom_store_options){.compression = LOOM_COMPRESS_ALWAYS});
    uint8_t payload[] = {0x80}; /* {} */
    made_image *image = make_image(1, 70000, PATTERN_ZERO);
    image->result.type = LOOM_RECORD;
    image->result.payload = payload;
    image->result.payload_bytes = sizeof payload;
    put(image, true);
    loom_cold_report report = compress_cold(0);
    assert_true(report.compressed == 0 && report.read_bytes == 0);
    loom_result stored = stored_result(image);
    assert_int_equal(stored.codec, LOOM_CODEC_RAW);
    assert_memory_equal(&stored.bulk, &image->result.bulk, sizeof stored.bulk);
    free_image(image);
}

/* ---- beside a run ---- */

static void test_the_thread(void **state) {
    (void)state;
    loom_cold_thread *thread;
    open_with((loom_store_options){.compression = LOOM_COMPRESS_OFF});
    made_image *scan = put_new(1, 2 * LOOM_BLOCK_BYTES, PATTERN_SCAN);
    loom_cold_thread_start(store, &thread);
    assert_null(thread);
    loom_store_close(store);
    open_with((loom_store_options){.compression = LOOM_COMPRESS_COLD});
    loom_cold_thread_start(store, &thread);
    assert_non_null(thread);
    assert_int_equal(loom_cold_thread_stop(thread), 0); /* before it began */
    loom_cold_thread_start(store, &thread);
    for (unsigned i = 0; stored_result(scan).codec == LOOM_CODEC_RAW && i < 6000; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(loom_cold_thread_stop(thread), 1);
    require_value(scan, LOOM_CODEC_ZSTD);
    free_image(scan);
}

/* ---- when nothing is to be done ---- */

static void test_nothing_to_do(void **state) {
    (void)state;
    loom_error err = {0};
    loom_cold_report report;
    loom_cold_options options = {.thorough = true, .threads = 1};
    open_with((loom_store_options){.compression = LOOM_COMPRESS_OFF});
    made_image *scan = put_new(1, LOOM_BLOCK_BYTES, PATTERN_SCAN);
    report = compress_cold(0);
    assert_true(report.finished && report.compressed == 0);
    loom_store_close(store);
    open_with((loom_store_options){.compression = LOOM_COMPRESS_COLD, .read_only = true});
    REQUIRE_STATUS(loom_store_compress_cold(store, &options, &report, &err), LOOM_DENIED);
    loom_store_close(store);
    /* Another process is at it: as if it were finished. */
    open_with((loom_store_options){.compression = LOOM_COMPRESS_COLD});
    int ready[2], done[2];
    assert_true(pipe(ready) == 0 && pipe(done) == 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char name[400], byte = 0;
        snprintf(name, sizeof name, "%s/control", path);
        int fd = open(name, O_RDWR);
        if (fd < 0 || loom_file_lock(fd, LOOM_CONTROL_COLD_BYTE, 1, true) != 0) _exit(1);
        if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 1) _exit(2);
        _exit(0);
    }
    char byte = 0;
    int status;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    report = compress_cold(0);
    assert_true(report.finished && report.compressed == 0);
    assert_int_equal(write(done[1], &byte, 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (unsigned i = 0; i < 2; i++)
        assert_true(close(ready[i]) == 0 && close(done[i]) == 0);
    assert_int_equal(compress_cold(0).compressed, 1);
    loom_store_close(store);
    REQUIRE_OK(
        loom_store_open(&(loom_store_options){.path = ":memory:", .compression = LOOM_COMPRESS_COLD}, &store, &err));
    REQUIRE_OK(loom_store_compress_cold(store, &options, &report, &err));
    assert_true(report.finished);
    free_image(scan);
}

#define COLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        COLD_TEST(test_always),
        COLD_TEST(test_always_twice),
        COLD_TEST(test_cold_and_back),
        COLD_TEST(test_what_is_used_is_not_cold),
        COLD_TEST(test_a_view_keeps_its_bytes),
        COLD_TEST(test_piece_by_piece),
        COLD_TEST(test_no_room),
        COLD_TEST(test_cancelled),
        COLD_TEST(test_in_vain_only_once),
        COLD_TEST(test_damage_is_not_sealed_anew),
        COLD_TEST(test_damage_of_compressed_bytes),
        COLD_TEST(test_encrypted),
        COLD_TEST(test_streams_are_left_alone),
        COLD_TEST(test_the_thread),
        COLD_TEST(test_nothing_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
