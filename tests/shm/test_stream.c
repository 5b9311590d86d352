/* test_stream.c - streams in and out of stores in memory, on disk, encrypted and compressed: every size around a
 * boundary and chunks of all lengths, against bytes of an independent generator and against what an ordinary put would
 * have stored; suspended, resumed, aborted, damaged. */
#include <pthread.h>

#include "io/zstd_codec.h"
#include "shm/platform_file.h"
#include "shm/seal/key.h"
#include "shm/stream/stream.h"
#include "store_support.h"

#define MIB (UINT64_C(1) << 20)

static char folder[256], path[300];
static loom_store *store;
static enum { DISK, MEMORY, ENCRYPTED, COMPRESSED } kind;
static bool memory_kind;

static void open_store(void) {
    loom_error err = {0};
    static const loom_key key = {{1, 2, 3}};
    loom_store_options options = {.path = memory_kind ? ":memory:" : path,
                                  .create = true,
                                  .step_bytes = 1 << 20,
                                  .durability = LOOM_DURABLE_NONE,
                                  .key = kind == ENCRYPTED ? &key : NULL,
                                  .compression = kind == COMPRESSED ? LOOM_COMPRESS_ALWAYS : LOOM_COMPRESS_OFF};
    REQUIRE_OK(loom_store_open(&options, &store, &err));
}

static int setup(void **state) {
    kind = *(const unsigned char *)*state - '0';
    memory_kind = kind == MEMORY;
    make_temporary(folder);
    snprintf(path, sizeof path, "%s/store", folder);
    open_store();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    loom_store_close(store);
    remove_tree(folder);
    return 0;
}

static void reopen(void) {
    loom_store_close(store);
    open_store();
}

/* ---- content ---- */

/* Word `number` of object `seed`: xorshift64*, so that any part can be made alone. */
static uint64_t word_of(uint64_t seed, uint64_t number) {
    uint64_t x = (number + 1) * UINT64_C(0x9E3779B97F4A7C15) ^ seed;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    x *= UINT64_C(2685821657736338717);
    return kind == COMPRESSED ? x & UINT64_C(0x0303030303030303) : x;
}

static uint8_t *content(uint64_t seed, uint64_t begin, uint64_t length) {
    uint8_t *bytes = malloc(length > 0 ? length : 1);
    for (uint64_t i = 0; i < length;) {
        uint64_t at = begin + i, word = word_of(seed, at / 8), within = at % 8, here = 8 - within;
        if (here > length - i) here = length - i;
        memcpy(bytes + i, (const uint8_t *)&word + within, here);
        i += here;
    }
    return bytes;
}

static loom_stream_writer *create(loom_type type, uint64_t seed, uint64_t announced) {
    loom_error err = {0};
    loom_stream_options options = {.rkey = id_of("stream", seed), .type = type, .bytes = announced};
    loom_stream_writer *writer;
    REQUIRE_OK(loom_stream_writer_create(store, &options, &writer, &err));
    return writer;
}

static loom_stream_writer *create_image(uint64_t seed, uint64_t bytes) {
    loom_error err = {0};
    loom_image_header header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){bytes, 1});
    loom_stream_options options = {.rkey = id_of("stream", seed), .type = LOOM_IMAGE, .image = &header};
    loom_stream_writer *writer;
    REQUIRE_OK(loom_stream_writer_create(store, &options, &writer, &err));
    return writer;
}

/* Writes [from, to) of the content in chunks of pseudo-random lengths up to `chunk`. */
static void feed(loom_stream_writer *writer, uint64_t seed, uint64_t to, uint64_t chunk) {
    loom_error err = {0};
    uint64_t state = seed + chunk, from = loom_stream_writer_position(writer);
    uint8_t *bytes = content(seed, from, to - from);
    for (uint64_t at = from; at < to;) {
        uint64_t length = chunk > 1 ? 1 + next_random(&state) % chunk : 1;
        if (length > to - at) length = to - at;
        REQUIRE_OK(loom_stream_writer_write(writer, bytes + (at - from), length, &err));
        at += length;
        assert_int_equal(loom_stream_writer_position(writer), at);
    }
    free(bytes);
}

static loom_id finish(loom_stream_writer *writer) {
    loom_error err = {0};
    loom_id vid;
    REQUIRE_OK(loom_stream_writer_commit(writer, &vid, &err));
    return vid;
}

static void require_content(uint64_t seed, uint64_t length, uint64_t chunk) {
    loom_error err = {0};
    loom_id rkey = id_of("stream", seed);
    loom_stream_reader *reader;
    REQUIRE_OK(loom_stream_reader_open(store, &rkey, &reader, &err));
    assert_int_equal(loom_stream_reader_length(reader), length);
    uint8_t *expected = content(seed, 0, length), *bytes = malloc(chunk);
    size_t got = 1;
    for (uint64_t at = 0; got > 0; at += got) {
        assert_int_equal(loom_stream_reader_tell(reader), at);
        REQUIRE_OK(loom_stream_reader_read(reader, bytes, chunk, &got, &err));
        assert_int_equal(got, length - at < chunk ? length - at : chunk);
        assert_memory_equal(bytes, expected + at, got);
    }
    uint64_t state = seed;
    for (int i = 0; i < 20 && length > 0; i++) { /* anywhere */
        uint64_t at = next_random(&state) % (length + 1);
        REQUIRE_OK(loom_stream_reader_seek(reader, at, &err));
        REQUIRE_OK(loom_stream_reader_read(reader, bytes, chunk < 5000 ? chunk : 5000, &got, &err));
        assert_memory_equal(bytes, expected + at, got);
    }
    REQUIRE_STATUS(loom_stream_reader_seek(reader, length + 1, &err), LOOM_BAD_ARGUMENT);
    free(expected);
    free(bytes);
    loom_stream_reader_close(reader);
}

/* The stored bytes are those of the value's own encoding, and the value comes back. */
static void require_as_put(uint64_t seed, loom_type type, uint64_t length, const loom_id *vid) {
    loom_error err = {0};
    loom_id rkey = id_of("stream", seed);
    uint8_t *bytes = content(seed, 0, length);
    loom_value expected = type == LOOM_STRING ? loom_string((char *)bytes, length) : loom_bytes(bytes, length), value;
    loom_buffer encoded = {0};
    assert_int_equal(loom_value_encode(&expected, &encoded), LOOM_OK);
    loom_arena *arena = loom_arena_new();
    loom_result found;
    loom_view view;
    REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
    bool small = encoded.length <= LOOM_STREAM_INLINE_BYTES;
    loom_id hash = loom_sha256(encoded.bytes, encoded.length);
    assert_true(loom_id_equal(&found.vid, small ? &hash : &rkey) && loom_id_equal(&found.vid, vid));
    assert_int_equal(found.blob, !small);
    assert_int_equal(small ? found.payload_bytes : found.bulk.bytes, encoded.length);
    REQUIRE_OK(loom_store_verify(store, &found, &err));
    REQUIRE_OK(loom_store_value(store, &found, arena, &value, &view, &err));
    assert_true(loom_value_equal(&value, &expected));
    loom_extent_release(&view);
    loom_arena_free(arena);
    loom_buffer_free(&encoded);
    free(bytes);
}

static void text_of_every_size(void **state) {
    (void)state;
    static const uint64_t sizes[] = {0,       1,       31,          32,         255,     256,     16379,
                                     16380,   16381,   16382,       16383,      16384,   16385,   65531,
                                     65535,   65536,   MIB - 6,     MIB - 5,    MIB - 4, MIB - 1, MIB,
                                     MIB + 1, 2 * MIB, 3 * MIB + 7, 2 * MIB - 5};
    static const uint64_t chunks[] = {70000, 4096, 3 * MIB};
    uint64_t seed = 1;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int form = 0; form < 4; form++, seed++) {
            loom_type type = form % 2 ? LOOM_STRING : LOOM_BYTES;
            loom_stream_writer *writer = create(type, seed, form < 2 ? 0 : sizes[i]);
            feed(writer, seed, sizes[i], chunks[seed % 3]);
            loom_id vid = finish(writer);
            require_as_put(seed, type, sizes[i], &vid);
            require_content(seed, sizes[i], chunks[(seed + 1) % 3]);
        }
    reopen();
    if (!memory_kind) require_content(seed - 1, 2 * MIB - 5, 9999);
}

static void images(void **state) {
    (void)state;
    static const uint64_t sizes[] = {1, 4095, 4096, 4097, MIB - 1, MIB, MIB + 1, 5 * MIB + 12345};
    loom_error err = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        loom_stream_writer *writer = create_image(i, sizes[i]);
        feed(writer, i, sizes[i], 2 * MIB);
        loom_id vid = finish(writer), rkey = id_of("stream", i);
        assert_true(loom_id_equal(&vid, &rkey));
        require_content(i, sizes[i], MIB);
        loom_stream_reader *reader;
        REQUIRE_OK(loom_stream_reader_open_value(store, &vid, &reader, &err));
        assert_int_equal(loom_stream_reader_image(reader)->size[0], sizes[i]);
        assert_int_equal(loom_stream_reader_result(reader)->type, LOOM_IMAGE);
        loom_stream_reader_close(reader);
    }
}

/* ---- the ends ---- */

static loom_store_stats stats_now(void) {
    loom_error err = {0};
    loom_store_stats stats;
    REQUIRE_OK(loom_store_stat(store, &stats, &err));
    return stats;
}

static void abort_leaves_nothing(void **state) {
    (void)state;
    loom_error err = {0};
    loom_stream_writer *writer = create(LOOM_BYTES, 1, 0);
    feed(writer, 1, 3 * MIB, MIB);
    finish(writer);
    loom_store_stats before = stats_now(), after;
    for (uint64_t seed = 2; seed < 6; seed++) {
        writer = create(LOOM_BYTES, seed, seed % 2 ? 0 : 9 * MIB);
        feed(writer, seed, 5 * MIB + 77, MIB);
        loom_stream_writer_abort(writer);
        loom_stream_reader *reader;
        loom_id rkey = id_of("stream", seed);
        REQUIRE_STATUS(loom_stream_reader_open(store, &rkey, &reader, &err), LOOM_NOT_FOUND);
        REQUIRE_STATUS(loom_stream_writer_resume(store, &rkey, &writer, &err), LOOM_NOT_FOUND);
    }
    loom_stream_writer_abort(NULL);
    after = stats_now();
    assert_int_equal(after.rows, before.rows);
    assert_int_equal(after.bulk_bytes, before.bulk_bytes);
    assert_int_equal(after.payload_bytes, before.payload_bytes);
    assert_int_equal(after.extent_files, before.extent_files);
    assert_int_equal(after.unowned_bytes, before.unowned_bytes);
    if (memory_kind) { /* the portable twin cannot punch: there the space is zero, and used again */
        if (loom_file_locks_are_shared()) assert_int_equal(after.extent_allocated_bytes, before.extent_allocated_bytes);
        return;
    }
    reopen(); /* space in front of a large object, to align it, is then listed as free */
    after = stats_now();
    /* A file system counts its own bookkeeping too (ext4: a block for more than four pieces of a file), and how many
     * pieces it takes depends on what else is on the disk. */
    assert_true(after.extent_allocated_bytes - after.free_bytes <= before.extent_allocated_bytes + 65536);
    assert_int_equal(after.unowned_bytes, 0);
    require_content(1, 3 * MIB, MIB);
}

static void what_was_announced_must_come(void **state) {
    (void)state;
    loom_error err = {0};
    loom_stream_writer *writer = create(LOOM_BYTES, 1, 1000);
    feed(writer, 1, 999, 100);
    REQUIRE_STATUS(loom_stream_writer_write(writer, "ab", 2, &err), LOOM_TOO_LARGE);
    assert_int_equal(loom_stream_writer_position(writer), 999);
    REQUIRE_STATUS(loom_stream_writer_commit(writer, NULL, &err), LOOM_BAD_ARGUMENT);
    writer = create_image(2, 2 * MIB);
    feed(writer, 2, 2 * MIB - 1, MIB);
    REQUIRE_STATUS(loom_stream_writer_commit(writer, NULL, &err), LOOM_BAD_ARGUMENT);
    assert_int_equal(stats_now().rows, 0);
    loom_stream_options options = {.type = LOOM_RECORD};
    REQUIRE_STATUS(loom_stream_writer_create(store, &options, &writer, &err), LOOM_UNSUPPORTED);
    options = (loom_stream_options){.type = LOOM_IMAGE};
    REQUIRE_STATUS(loom_stream_writer_create(store, &options, &writer, &err), LOOM_BAD_ARGUMENT);
    options = (loom_stream_options){.type = LOOM_BYTES, .bytes = UINT64_C(1) << 32};
    REQUIRE_STATUS(loom_stream_writer_create(store, &options, &writer, &err), LOOM_TOO_LARGE);
}

static void the_same_key_twice(void **state) {
    (void)state;
    loom_error err = {0};
    for (int round = 0; round < 2; round++) { /* the second time it is there already */
        loom_stream_writer *writer = create(LOOM_BYTES, 1, 0);
        feed(writer, 1, 2 * MIB, MIB);
        finish(writer);
    }
    loom_stream_writer *writer = create(LOOM_BYTES, 1, 0);
    feed(writer, 1, 2 * MIB + 1, MIB);
    REQUIRE_STATUS(loom_stream_writer_commit(writer, NULL, &err), LOOM_IRREPRODUCIBLE);
    require_content(1, 2 * MIB, MIB);
    assert_int_equal(stats_now().rows, 1);
}

/* ---- while it is written ---- */

static void read_meanwhile(void *context) {
    loom_error err = {0};
    (void)context;
    loom_store *own;
    static const loom_key key = {{1, 2, 3}};
    loom_store_options options = {.path = path, .key = kind == ENCRYPTED ? &key : NULL};
    if (loom_store_open(&options, &own, &err) != LOOM_OK) _exit(10);
    loom_id rkey = id_of("stream", 1);
    loom_stream_reader *reader;
    loom_stream_writer *writer;
    loom_status told = loom_stream_reader_open(own, &rkey, &reader, &err);
    if (told != LOOM_BUSY) print_error("%s: %s\n", loom_status_name(told), err.message);
    if (told != LOOM_BUSY) _exit(11);
    if (strstr(err.message, "is being written by another process") == NULL) _exit(12);
    loom_stream_options again = {.rkey = rkey, .type = LOOM_BYTES};
    if (loom_stream_writer_create(own, &again, &writer, &err) != LOOM_BUSY) _exit(13);
    loom_store_close(own);
}

static void a_reader_is_told(void **state) {
    (void)state;
    loom_error err = {0};
    loom_stream_reader *reader;
    loom_stream_writer *writer = create(LOOM_BYTES, 1, 0), *second;
    feed(writer, 1, 2 * MIB + 5, MIB);
    loom_id rkey = id_of("stream", 1);
    REQUIRE_STATUS(loom_stream_reader_open(store, &rkey, &reader, &err), LOOM_BUSY);
    assert_non_null(strstr(err.message, "is being written, 2097157 bytes or more so far"));
    loom_stream_options options = {.rkey = rkey, .type = LOOM_BYTES};
    REQUIRE_STATUS(loom_stream_writer_create(store, &options, &second, &err), LOOM_BUSY);
    REQUIRE_STATUS(loom_stream_writer_resume(store, &rkey, &second, &err), LOOM_BUSY);
    REQUIRE_STATUS(loom_stream_drop(store, &rkey, &err), LOOM_BUSY);
    if (!memory_kind) assert_int_equal(in_child(read_meanwhile, NULL), 0);
    finish(writer);
    require_content(1, 2 * MIB + 5, MIB);
}

/* ---- suspended ---- */

static loom_placement place_of(uint64_t seed) {
    loom_error err = {0};
    loom_id rkey = id_of("stream", seed);
    loom_arena *arena = loom_arena_new();
    loom_result found;
    REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
    loom_placement place = found.bulk;
    loom_arena_free(arena);
    return place;
}

static loom_stream_writer *resume(uint64_t seed, uint64_t position) {
    loom_error err = {0};
    loom_id rkey = id_of("stream", seed);
    loom_stream_writer *writer;
    REQUIRE_OK(loom_stream_writer_resume(store, &rkey, &writer, &err));
    assert_int_equal(loom_stream_writer_position(writer), position);
    return writer;
}

static void suspended_at_every_place(void **state) {
    (void)state;
    static const uint64_t places[] = {0,       1,       4091,        4096,    16384,       MIB - 6,
                                      MIB - 5, MIB - 4, MIB + 12345, 2 * MIB, 3 * MIB + 1, 4 * MIB};
    loom_error err = {0};
    for (int form = 0; form < 3; form++)
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            uint64_t seed = 100 * (uint64_t)form + i, length = 4 * MIB + 99;
            loom_stream_writer *writer =
                form == 2 ? create_image(seed, length) : create(LOOM_BYTES, seed, form == 1 ? length : 0);
            feed(writer, seed, places[i], MIB);
            REQUIRE_OK(loom_stream_writer_suspend(writer, &err));
            if (kind == DISK && i % 3 == 0) reopen();
            loom_stream_reader *reader;
            loom_id rkey = id_of("stream", seed);
            REQUIRE_STATUS(loom_stream_reader_open(store, &rkey, &reader, &err),
                           places[i] ? LOOM_BUSY : LOOM_NOT_FOUND);
            writer = resume(seed, places[i]);
            feed(writer, seed, (places[i] + length) / 2, MIB);
            REQUIRE_OK(loom_stream_writer_suspend(writer, &err)); /* twice */
            writer = resume(seed, (places[i] + length) / 2);
            feed(writer, seed, length, MIB);
            finish(writer);
            require_content(seed, length, MIB);
            assert_int_equal(stats_now().rows, (uint64_t)form * (sizeof places / sizeof *places) + i + 1);
        }
}

/* In place where nothing lies behind, copied where something does. */
static void in_place_or_copied(void **state) {
    (void)state;
    loom_error err = {0};
    for (uint64_t between = 0; between < 2; between++) {
        uint64_t seed = 10 + between;
        loom_stream_writer *writer = create(LOOM_BYTES, seed, 0);
        feed(writer, seed, 3 * MIB, MIB);
        REQUIRE_OK(loom_stream_writer_suspend(writer, &err));
        if (between) {
            writer = create(LOOM_BYTES, 20, 0);
            feed(writer, 20, 2 * MIB, MIB);
            finish(writer);
        }
        uint64_t bulk = stats_now().bulk_bytes;
        writer = resume(seed, 3 * MIB);
        feed(writer, seed, 40 * MIB, 2 * MIB);
        finish(writer);
        require_content(seed, 40 * MIB, MIB);
        assert_int_equal(stats_now().bulk_bytes, bulk + 37 * MIB);
        if (between) require_content(20, 2 * MIB, MIB);
    }
    assert_int_equal(place_of(11).bytes, 40 * MIB + 5);
}

static void resumed_then_dropped_or_aborted(void **state) {
    (void)state;
    loom_error err = {0};
    loom_id rkey = id_of("stream", 1);
    for (int how = 0; how < 3; how++) {
        loom_stream_writer *writer = create(LOOM_BYTES, 1, 0);
        feed(writer, 1, 3 * MIB, MIB);
        REQUIRE_OK(loom_stream_writer_suspend(writer, &err));
        assert_int_equal(stats_now().rows, 1);
        assert_int_equal(stats_now().bulk_bytes, 3 * MIB + 5);
        if (how == 0) {
            REQUIRE_OK(loom_stream_drop(store, &rkey, &err));
        } else if (how == 1) {
            writer = resume(1, 3 * MIB);
            feed(writer, 1, 9 * MIB, MIB);
            loom_stream_writer_abort(writer);
        } else { /* begun anew */
            writer = create(LOOM_BYTES, 1, 0);
            loom_stream_writer_abort(writer);
        }
        assert_int_equal(stats_now().rows, 0);
        assert_int_equal(stats_now().bulk_bytes, 0);
        REQUIRE_STATUS(loom_stream_writer_resume(store, &rkey, &writer, &err), LOOM_NOT_FOUND);
        REQUIRE_STATUS(loom_stream_drop(store, &rkey, &err), LOOM_NOT_FOUND);
    }
}

static void begin_and_end_without_care(void *context) {
    (void)context;
    open_store();
    loom_error err = {0};
    loom_stream_writer *writer = create(LOOM_BYTES, 1, 0);
    feed(writer, 1, 3 * MIB, MIB);
    REQUIRE_OK(loom_stream_writer_suspend(writer, &err));
    writer = create(LOOM_BYTES, 2, 0);
    feed(writer, 2, 3 * MIB, MIB);
    writer = resume(1, 3 * MIB);
    feed(writer, 1, 6 * MIB, MIB);
    _exit(0); /* neither is ended */
}

static void a_process_that_just_ends(void **state) {
    (void)state;
    loom_error err = {0};
    loom_store_close(store);
    assert_int_equal(in_child(begin_and_end_without_care, NULL), 0);
    open_store();
    loom_id lost = id_of("stream", 2);
    loom_stream_writer *writer;
    loom_stream_reader *reader;
    REQUIRE_STATUS(loom_stream_reader_open(store, &lost, &reader, &err), LOOM_NOT_FOUND);
    REQUIRE_STATUS(loom_stream_writer_resume(store, &lost, &writer, &err), LOOM_NOT_FOUND);
    writer = resume(1, 3 * MIB); /* where it was suspended */
    feed(writer, 1, 7 * MIB, MIB);
    finish(writer);
    require_content(1, 7 * MIB, MIB);
    writer = create(LOOM_BYTES, 2, 0);
    feed(writer, 2, 2 * MIB, MIB);
    finish(writer);
    require_content(2, 2 * MIB, MIB);
    assert_int_equal(stats_now().rows, 2);
}

/* ---- damage ---- */

static void flip_bulk(const loom_placement *place, uint64_t at) {
    char name[400];
    snprintf(name, sizeof name, "%s/extents/%08x.ext", path, place->extent);
    int fd = open(name, O_RDWR);
    assert_true(fd >= 0);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)(place->offset + at)), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)(place->offset + at)), 1);
    close(fd);
}

static void damaged_blocks_are_not_handed_out(void **state) {
    (void)state;
    loom_error err = {0};
    loom_stream_writer *writer = create_image(1, 4 * MIB);
    feed(writer, 1, 4 * MIB, MIB);
    finish(writer);
    loom_placement place = place_of(1);
    flip_bulk(&place, 2 * MIB + 17);
    loom_id rkey = id_of("stream", 1);
    loom_stream_reader *reader;
    REQUIRE_OK(loom_stream_reader_open(store, &rkey, &reader, &err));
    uint8_t *bytes = malloc(4 * MIB), *expected = content(1, 0, 4 * MIB);
    size_t got;
    REQUIRE_OK(loom_stream_reader_read(reader, bytes, 2 * MIB, &got, &err));
    assert_memory_equal(bytes, expected, 2 * MIB);
    memset(bytes, 7, 4 * MIB);
    REQUIRE_STATUS(loom_stream_reader_read(reader, bytes, 2 * MIB, &got, &err), LOOM_CORRUPT);
    assert_non_null(strstr(err.message, "block 2"));
    assert_int_equal(got, 0);
    for (uint64_t i = 0; i < 2 * MIB; i++)
        assert_int_equal(bytes[i], 0);
    REQUIRE_STATUS(loom_stream_reader_read(reader, bytes, 10, &got, &err), LOOM_CORRUPT);
    REQUIRE_OK(loom_stream_reader_seek(reader, 3 * MIB, &err));
    REQUIRE_OK(loom_stream_reader_read(reader, bytes, 2 * MIB, &got, &err));
    assert_int_equal(got, MIB);
    assert_memory_equal(bytes, expected + 3 * MIB, MIB);
    loom_stream_reader_close(reader);
    free(bytes);
    free(expected);
}

static bool take_row(const loom_result *result, void *context) {
    *(loom_placement *)context = result->bulk;
    return true;
}

static void a_damaged_beginning_is_not_continued(void **state) {
    (void)state;
    loom_error err = {0};
    loom_stream_writer *writer = create(LOOM_BYTES, 1, 0);
    feed(writer, 1, 3 * MIB, MIB);
    REQUIRE_OK(loom_stream_writer_suspend(writer, &err));
    loom_placement place = {0};
    REQUIRE_OK(loom_store_each(store, take_row, &place, &err));
    assert_int_equal(place.bytes, 3 * MIB + 5);
    flip_bulk(&place, MIB + 1);
    loom_id rkey = id_of("stream", 1);
    REQUIRE_STATUS(loom_stream_writer_resume(store, &rkey, &writer, &err), LOOM_CORRUPT);
    REQUIRE_OK(loom_stream_drop(store, &rkey, &err));
    assert_int_equal(stats_now().rows, 0);
}

/* ---- at once ---- */

static void *write_one(void *context) {
    uint64_t seed = *(uint64_t *)context;
    for (uint64_t round = 0; round < 3; round++) {
        loom_stream_writer *writer = create(LOOM_BYTES, seed + 10 * round, 0);
        feed(writer, seed + 10 * round, 3 * MIB + seed, 300000);
        finish(writer);
    }
    return NULL;
}

static void several_at_once(void **state) {
    (void)state;
    enum { THREADS = 6 };
    pthread_t threads[THREADS];
    uint64_t seeds[THREADS];
    for (uint64_t i = 0; i < THREADS; i++) {
        seeds[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_one, &seeds[i]), 0);
    }
    for (uint64_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (uint64_t i = 0; i < THREADS; i++)
        for (uint64_t round = 0; round < 3; round++)
            require_content(i + 10 * round, 3 * MIB + i, MIB);
}

static char kinds[4][2] = {"0", "1", "2", "3"};
#define ON(test, where)                                                                                                \
    { #where ": " #test, test, setup, teardown, kinds[where] }
#define BOTH(test) ON(test, DISK), ON(test, MEMORY)
#define ALL(test) BOTH(test), ON(test, ENCRYPTED), ON(test, COMPRESSED)

int main(void) {
    loom_zstd_register();
    const struct CMUnitTest tests[] = {
        ALL(text_of_every_size),
        BOTH(images),
        BOTH(abort_leaves_nothing),
        ON(abort_leaves_nothing, COMPRESSED),
        BOTH(what_was_announced_must_come),
        BOTH(the_same_key_twice),
        ON(the_same_key_twice, COMPRESSED),
        BOTH(a_reader_is_told),
        BOTH(suspended_at_every_place),
        ON(suspended_at_every_place, ENCRYPTED),
        ALL(in_place_or_copied),
        BOTH(resumed_then_dropped_or_aborted),
        ON(a_process_that_just_ends, DISK),
        ON(damaged_blocks_are_not_handed_out, DISK),
        ON(damaged_blocks_are_not_handed_out, ENCRYPTED),
        ON(a_damaged_beginning_is_not_continued, DISK),
        BOTH(several_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
