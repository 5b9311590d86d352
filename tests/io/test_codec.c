/* test_codec.c - bulk bytes through every codec and back: whole, in parts, on several threads; against libzstd used
 * directly on the layout of SCHEMA.md; and with every kind of damage, which must never give other bytes. */
#include "codec_support.h"

#include <xxhash.h>
#include <zstd.h>

#include "io/zstd_codec.h"

static loom_store *store;
static loom_extents *extents;
static loom_extent_writer *writer;
static int bulk_fd; /* of the extent file, to read and damage it */
static loom_cipher *cipher;
static loom_arena *arena;

static int setup(void **state) {
    (void)state;
    loom_error err = {0};
    loom_zstd_register();
    REQUIRE_OK(loom_store_open(&(loom_store_options){.path = ":memory:"}, &store, &err));
    extents = loom_store_extents(store);
    REQUIRE_OK(loom_extent_writer_open(extents, &writer, &err));
    assert_true(loom_store_inherit(store, &bulk_fd, 1) >= 1);
    uint8_t master[32];
    for (unsigned i = 0; i < sizeof master; i++)
        master[i] = (uint8_t)(7 * i + 1);
    REQUIRE_OK(loom_cipher_new(master, &cipher, &err));
    arena = loom_arena_new();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    loom_arena_free(arena);
    loom_cipher_free(cipher);
    loom_extent_writer_close(writer);
    loom_store_close(store);
    return 0;
}

static void encode(object *of, loom_codec codec, int level, unsigned threads) {
    loom_error err = {0};
    of->result.block_hashes = of->hashes;
    REQUIRE_OK(loom_bulk_encode(of->raw, codec, level, cipher, writer, threads, arena, &of->result, &err));
}

static void require_decoded(const object *of, uint64_t from, uint64_t length, unsigned threads) {
    loom_error err = {0};
    uint8_t *out = malloc(length);
    REQUIRE_OK(loom_bulk_decode(extents, &of->result, cipher, from, length, threads, out, &err));
    assert_int_equal(memcmp(out, of->raw + from, length), 0);
    free(out);
}

/* ---- round trips ---- */

static void round_trip(size_t bytes, pattern kind, loom_codec codec, unsigned threads) {
    loom_error err = {0};
    object of = make_object(bytes, kind);
    encode(&of, codec, 3, threads);
    bool worth = loom_codec_compresses(of.result.codec);
    if (worth) assert_true(of.result.stored_bytes <= bytes - bytes / 8);
    if (loom_codec_compresses(codec) && bytes > 3 * LOOM_PAGE_BYTES && kind != PATTERN_MIXED)
        assert_int_equal(worth, is_compressible(kind));
    assert_int_equal(loom_codec_encrypts(of.result.codec), loom_codec_encrypts(codec));
    assert_int_equal(of.result.codec_data_bytes, loom_frames_bytes(of.result.codec, bytes));
    REQUIRE_OK(loom_frames_check(of.result.codec, bytes, of.result.stored_bytes, of.result.codec_data,
                                 of.result.codec_data_bytes, &err));
    require_decoded(&of, 0, bytes, threads);
    REQUIRE_OK(loom_bulk_check(extents, &of.result, cipher, threads, NULL, &err));
    free_object(&of);
    loom_arena_reset(arena);
}

static void test_every_pattern_comes_back(void **state) {
    (void)state;
    for (pattern kind = 0; kind < PATTERNS; kind++)
        for (loom_codec codec = LOOM_CODEC_RAW; codec <= LOOM_CODEC_ZSTD_AES; codec++)
            round_trip(2 * LOOM_BLOCK_BYTES + 777, kind, codec, 1);
}

static void test_every_size_comes_back(void **state) {
    (void)state;
    static const size_t sizes[] = {1,
                                   7,
                                   4095,
                                   4096,
                                   4097,
                                   8192,
                                   70000,
                                   LOOM_BLOCK_BYTES - 1,
                                   LOOM_BLOCK_BYTES,
                                   LOOM_BLOCK_BYTES + 1,
                                   3 * LOOM_BLOCK_BYTES};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (loom_codec codec = LOOM_CODEC_ZSTD; codec <= LOOM_CODEC_ZSTD_AES; codec++) {
            round_trip(sizes[i], PATTERN_SCAN, codec, 2);
            round_trip(sizes[i], PATTERN_MIXED, codec, 2);
        }
}

static void test_levels(void **state) {
    (void)state;
    loom_error err = {0};
    static const int levels[] = {1, 9, LOOM_COMPRESSION_LEVEL_MAX};
    uint64_t before = UINT64_MAX;
    for (unsigned i = 0; i < 3; i++) {
        object of = make_object(LOOM_BLOCK_BYTES + 5, PATTERN_SCAN);
        encode(&of, LOOM_CODEC_ZSTD, levels[i], 1);
        require_decoded(&of, 0, LOOM_BLOCK_BYTES + 5, 1);
        assert_true(of.result.stored_bytes < before);
        before = of.result.stored_bytes;
        free_object(&of);
    }
    object of = make_object(100000, PATTERN_SCAN);
    static const int wrong[] = {0, -1, LOOM_COMPRESSION_LEVEL_MAX + 1};
    for (unsigned i = 0; i < 3; i++)
        REQUIRE_STATUS(loom_bulk_encode(of.raw, LOOM_CODEC_ZSTD, wrong[i], cipher, writer, 1, arena, &of.result, &err),
                       LOOM_BAD_ARGUMENT);
    free_object(&of);
}

static void test_what_does_not_shrink_stays_raw(void **state) {
    (void)state;
    object noise = make_object(3 * LOOM_BLOCK_BYTES, PATTERN_NOISE);
    encode(&noise, LOOM_CODEC_ZSTD, 3, 2);
    assert_int_equal(noise.result.codec, LOOM_CODEC_RAW);
    assert_int_equal(noise.result.stored_bytes, 3 * LOOM_BLOCK_BYTES);
    assert_null(noise.result.codec_data);
    encode(&noise, LOOM_CODEC_ZSTD_AES, 3, 2);
    assert_int_equal(noise.result.codec, LOOM_CODEC_AES);
    free_object(&noise);
    object page = make_object(LOOM_PAGE_BYTES, PATTERN_ZERO); /* would occupy a page in any case */
    encode(&page, LOOM_CODEC_ZSTD, 3, 1);
    assert_int_equal(page.result.codec, LOOM_CODEC_RAW);
    free_object(&page);
}

/* ---- against libzstd itself, by the layout of SCHEMA.md ---- */

static void test_frames_are_plain_zstd(void **state) {
    (void)state;
    size_t bytes = 4 * LOOM_BLOCK_BYTES + 1234;
    object of = make_object(bytes, PATTERN_MIXED);
    encode(&of, LOOM_CODEC_ZSTD, 3, 2);
    assert_int_equal(of.result.codec, LOOM_CODEC_ZSTD);
    assert_int_equal(of.result.codec_data_bytes, 5 * 4);
    uint8_t *stored = malloc(of.result.stored_bytes), *block = malloc(LOOM_BLOCK_BYTES);
    assert_int_equal(pread(bulk_fd, stored, of.result.stored_bytes, (off_t)of.result.bulk.offset),
                     of.result.stored_bytes);
    size_t at = 0;
    for (size_t i = 0; i < 5; i++) {
        uint32_t length;
        memcpy(&length, of.result.codec_data + 4 * i, 4);
        size_t expected = i < 4 ? LOOM_BLOCK_BYTES : 1234;
        if (length == expected)
            memcpy(block, stored + at, length);
        else
            assert_int_equal(ZSTD_decompress(block, expected, stored + at, length), expected);
        assert_memory_equal(block, of.raw + i * LOOM_BLOCK_BYTES, expected);
        assert_int_equal(of.hashes[i], XXH3_64bits(block, expected));
        assert_int_equal(length == expected, i % 2 == 0); /* noise, zeros in turn */
        at += length;
    }
    assert_int_equal(at, of.result.stored_bytes);
    free(block);
    free(stored);
    free_object(&of);
}

static void test_threads_write_the_same_bytes(void **state) {
    (void)state;
    size_t bytes = 9 * LOOM_BLOCK_BYTES + 5;
    object one = make_object(bytes, PATTERN_SCAN);
    encode(&one, LOOM_CODEC_ZSTD, 1, 1);
    for (unsigned threads = 2; threads <= 70; threads += 34) {
        object many = make_object(bytes, PATTERN_SCAN);
        encode(&many, LOOM_CODEC_ZSTD, 1, threads);
        assert_int_equal(many.result.stored_bytes, one.result.stored_bytes);
        assert_memory_equal(many.result.codec_data, one.result.codec_data, one.result.codec_data_bytes);
        uint8_t *a = malloc(one.result.stored_bytes), *b = malloc(one.result.stored_bytes);
        assert_int_equal(pread(bulk_fd, a, one.result.stored_bytes, (off_t)one.result.bulk.offset),
                         one.result.stored_bytes);
        assert_int_equal(pread(bulk_fd, b, one.result.stored_bytes, (off_t)many.result.bulk.offset),
                         one.result.stored_bytes);
        assert_int_equal(memcmp(a, b, one.result.stored_bytes), 0);
        free(a);
        free(b);
        free_object(&many);
    }
    free_object(&one);
}

static void test_space_that_was_not_needed_is_given_back(void **state) {
    (void)state;
    object first = make_object(2 * LOOM_BLOCK_BYTES, PATTERN_ZERO), second = make_object(9999, PATTERN_NOISE);
    encode(&first, LOOM_CODEC_ZSTD, 3, 1);
    encode(&second, LOOM_CODEC_RAW, 3, 1);
    assert_true(first.result.stored_bytes < LOOM_PAGE_BYTES);
    assert_int_equal(second.result.bulk.offset, first.result.bulk.offset + LOOM_PAGE_BYTES);
    require_decoded(&first, 0, 2 * LOOM_BLOCK_BYTES, 1);
    require_decoded(&second, 0, 9999, 1);
    free_object(&first);
    free_object(&second);
}

/* ---- any range ---- */

static void test_any_range(void **state) {
    (void)state;
    loom_error err = {0};
    size_t bytes = 5 * LOOM_BLOCK_BYTES + 123;
    for (loom_codec codec = LOOM_CODEC_RAW; codec <= LOOM_CODEC_ZSTD_AES; codec++) {
        object of = make_object(bytes, PATTERN_MIXED);
        encode(&of, codec, 1, 1);
        uint64_t seed = 5;
        for (unsigned i = 0; i < 24; i++) {
            uint64_t from = next_random(&seed) % bytes;
            uint64_t most = i % 3 == 0 ? 100 : bytes - from;
            if (most > bytes - from) most = bytes - from;
            require_decoded(&of, from, 1 + next_random(&seed) % most, 1 + i % 3);
        }
        require_decoded(&of, LOOM_BLOCK_BYTES - 1, 2, 2);
        require_decoded(&of, bytes - 1, 1, 1);
        uint8_t byte = 1;
        REQUIRE_OK(loom_bulk_decode(extents, &of.result, cipher, bytes, 0, 1, &byte, &err));
        REQUIRE_STATUS(loom_bulk_decode(extents, &of.result, cipher, bytes, 1, 1, &byte, &err), LOOM_BAD_ARGUMENT);
        REQUIRE_STATUS(loom_bulk_decode(extents, &of.result, cipher, 1, UINT64_MAX, 1, &byte, &err), LOOM_BAD_ARGUMENT);
        free_object(&of);
    }
}

/* ---- damage ---- */

static bool is_zero(const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != 0) return false;
    return true;
}

/* Either an error and no bytes, or the right bytes (a bit of a frame may mean nothing). */
static bool tells_damage(const object *of, const loom_result *damaged) {
    loom_error err = {0};
    uint8_t *out = malloc(of->result.bulk.bytes);
    memset(out, 0xee, of->result.bulk.bytes);
    loom_status status = loom_bulk_decode(extents, damaged, cipher, 0, of->result.bulk.bytes, 2, out, &err);
    if (status == LOOM_OK) {
        assert_int_equal(memcmp(out, of->raw, of->result.bulk.bytes), 0);
    } else {
        assert_int_equal(status, LOOM_CORRUPT);
        assert_true(err.message[0] != '\0' && strchr(err.message, '\n') == NULL);
        assert_true(is_zero(out, of->result.bulk.bytes));
    }
    assert_int_equal(loom_bulk_check(extents, damaged, cipher, 2, NULL, NULL), status);
    free(out);
    return status == LOOM_CORRUPT;
}

static void flip_stored(const object *of, uint64_t at, uint8_t bit) {
    uint8_t byte;
    off_t offset = (off_t)(of->result.bulk.offset + at);
    assert_int_equal(pread(bulk_fd, &byte, 1, offset), 1);
    byte ^= bit;
    assert_int_equal(pwrite(bulk_fd, &byte, 1, offset), 1);
}

static void test_a_flipped_bit(void **state) {
    (void)state;
    for (loom_codec codec = LOOM_CODEC_RAW; codec <= LOOM_CODEC_ZSTD_AES; codec++) {
        object of = make_object(2 * LOOM_BLOCK_BYTES + 99, PATTERN_LABELS);
        encode(&of, codec, 3, 1);
        uint64_t seed = codec;
        unsigned told = 0, tried = 24;
        for (unsigned i = 0; i < tried; i++) {
            uint64_t at = i < 8 ? i : next_random(&seed) % of.result.stored_bytes;
            flip_stored(&of, at, (uint8_t)(1u << i % 8));
            told += tells_damage(&of, &of.result);
            flip_stored(&of, at, (uint8_t)(1u << i % 8));
        }
        assert_true(told >= tried - 2);
        assert_false(tells_damage(&of, &of.result));
        free_object(&of);
    }
}

static void test_check_names_the_block(void **state) {
    (void)state;
    loom_error err = {0};
    loom_bulk_damage damage;
    object of = make_object(6 * LOOM_BLOCK_BYTES, PATTERN_NOISE);
    encode(&of, LOOM_CODEC_AES, 3, 1);
    flip_stored(&of, 4 * LOOM_BLOCK_BYTES + 7, 1);
    flip_stored(&of, 2 * LOOM_BLOCK_BYTES + 7, 1);
    REQUIRE_STATUS(loom_bulk_check(extents, &of.result, cipher, 3, &damage, &err), LOOM_CORRUPT);
    assert_int_equal(damage.bad_blocks, 2);
    assert_int_equal(damage.first_bad, 2);
    assert_non_null(strstr(err.message, "block 2 of 6"));
    /* What lies before and behind is still read. */
    require_decoded(&of, 0, 2 * LOOM_BLOCK_BYTES, 1);
    require_decoded(&of, 5 * LOOM_BLOCK_BYTES, LOOM_BLOCK_BYTES, 1);
    of.result.root[1] ^= 1;
    REQUIRE_STATUS(loom_bulk_check(extents, &of.result, cipher, 3, &damage, &err), LOOM_CORRUPT);
    assert_int_equal(damage.bad_blocks, 0);
    free_object(&of);
}

static void test_a_wrong_table(void **state) {
    (void)state;
    loom_error err = {0};
    for (loom_codec codec = LOOM_CODEC_ZSTD; codec <= LOOM_CODEC_ZSTD_AES; codec++) {
        object of = make_object(4 * LOOM_BLOCK_BYTES + 50, PATTERN_SCAN);
        encode(&of, codec, 3, 1);
        assert_int_equal(of.result.codec, codec);
        uint8_t *table = malloc(of.result.codec_data_bytes);
        loom_result damaged = of.result;
        damaged.codec_data = table;
        for (size_t i = 0; i < of.result.codec_data_bytes; i++) {
            memcpy(table, of.result.codec_data, of.result.codec_data_bytes);
            table[i] ^= (uint8_t)(1u << i % 8);
            assert_true(tells_damage(&of, &damaged));
        }
        memcpy(table, of.result.codec_data, of.result.codec_data_bytes);
        damaged.codec_data_bytes--;
        assert_true(tells_damage(&of, &damaged));
        damaged.codec_data_bytes = 0;
        assert_true(tells_damage(&of, &damaged));
        damaged = of.result;
        damaged.stored_bytes += codec == LOOM_CODEC_AES ? 1 : LOOM_PAGE_BYTES;
        assert_true(tells_damage(&of, &damaged));
        damaged = of.result;
        damaged.bulk.offset += UINT64_C(1) << 40; /* beyond the file */
        assert_true(tells_damage(&of, &damaged));
        damaged = of.result;
        damaged.codec = (loom_codec)9;
        assert_true(tells_damage(&of, &damaged));
        free(table);
        free_object(&of);
    }
    /* Lengths that add up, of the wrong blocks. */
    object of = make_object(2 * LOOM_BLOCK_BYTES, PATTERN_SCAN);
    encode(&of, LOOM_CODEC_ZSTD, 3, 1);
    uint32_t lengths[2];
    memcpy(lengths, of.result.codec_data, sizeof lengths);
    lengths[0]++;
    lengths[1]--;
    loom_result damaged = of.result;
    damaged.codec_data = (const uint8_t *)lengths;
    assert_true(tells_damage(&of, &damaged));
    of.hashes[1] ^= 4;
    assert_true(tells_damage(&of, &of.result));
    REQUIRE_STATUS(loom_frames_check(LOOM_CODEC_ZSTD, 0, 0, NULL, 0, &err), LOOM_CORRUPT);
    REQUIRE_STATUS(loom_frames_check(LOOM_CODEC_ZSTD, UINT64_MAX, 5, (const uint8_t *)lengths, 8, &err), LOOM_CORRUPT);
    free_object(&of);
}

/* Sound frames that give something else: a checksum of the frame alone would not tell. */
static void test_a_frame_of_other_bytes(void **state) {
    (void)state;
    uint8_t *other = calloc(1, LOOM_BLOCK_BYTES), *frame = malloc(ZSTD_compressBound(LOOM_BLOCK_BYTES));
    object of = make_object(LOOM_BLOCK_BYTES, PATTERN_LABELS);
    encode(&of, LOOM_CODEC_ZSTD, 3, 1);
    other[9] = 1;
    for (size_t length = LOOM_BLOCK_BYTES - 1; length <= LOOM_BLOCK_BYTES; length++) {
        uint32_t made = (uint32_t)ZSTD_compress(frame, ZSTD_compressBound(LOOM_BLOCK_BYTES), other, length, 3);
        assert_true(made < of.result.stored_bytes);
        assert_int_equal(pwrite(bulk_fd, frame, made, (off_t)of.result.bulk.offset), made);
        loom_result damaged = of.result;
        damaged.stored_bytes = made;
        damaged.codec_data = (const uint8_t *)&made;
        assert_true(tells_damage(&of, &damaged));
    }
    free(frame);
    free(other);
    free_object(&of);
}

static void test_without_zstd_or_key(void **state) {
    (void)state;
    loom_error err = {0};
    uint8_t byte;
    object of = make_object(LOOM_BLOCK_BYTES, PATTERN_ZERO);
    encode(&of, LOOM_CODEC_ZSTD, 3, 1);
    loom_compressor_register(NULL);
    REQUIRE_STATUS(loom_bulk_decode(extents, &of.result, NULL, 0, 1, 1, &byte, &err), LOOM_UNSUPPORTED);
    REQUIRE_STATUS(loom_bulk_encode(of.raw, LOOM_CODEC_ZSTD, 3, NULL, writer, 1, arena, &of.result, &err),
                   LOOM_UNSUPPORTED);
    loom_zstd_register();
    require_decoded(&of, 0, 1, 1);
    REQUIRE_STATUS(loom_bulk_encode(of.raw, LOOM_CODEC_AES, 3, NULL, writer, 1, arena, &of.result, &err),
                   LOOM_BAD_ARGUMENT);
    encode(&of, LOOM_CODEC_AES, 3, 1);
    REQUIRE_STATUS(loom_bulk_decode(extents, &of.result, NULL, 0, 1, 1, &byte, &err), LOOM_BAD_ARGUMENT);
    free_object(&of);
}

/* ---- from what is stored ---- */

static bool stop_at_third(uint64_t done, uint64_t total, void *context) {
    unsigned *calls = context;
    assert_true(done < total && done == *calls * (uint64_t)LOOM_BLOCK_BYTES);
    return ++*calls < 3;
}

static void test_compressing_what_is_stored(void **state) {
    (void)state;
    loom_error err = {0};
    bool smaller;
    for (unsigned encrypted = 0; encrypted < 2; encrypted++) {
        loom_codec before = encrypted ? LOOM_CODEC_AES : LOOM_CODEC_RAW;
        loom_codec after = encrypted ? LOOM_CODEC_ZSTD_AES : LOOM_CODEC_ZSTD;
        object of = make_object(5 * LOOM_BLOCK_BYTES + 3, PATTERN_SCAN);
        encode(&of, before, 3, 1);
        loom_result plain = of.result;
        unsigned calls = 0;
        REQUIRE_STATUS(loom_bulk_compress(extents, after, 3, cipher, writer,
                                          &(loom_bulk_options){.threads = 2, .go_on = stop_at_third, .context = &calls},
                                          arena, &of.result, &smaller, &err),
                       LOOM_CANCELLED);
        assert_false(smaller);
        assert_memory_equal(&of.result, &plain, sizeof plain);
        REQUIRE_OK(loom_bulk_compress(extents, after, 3, cipher, writer,
                                      &(loom_bulk_options){.threads = 2, .idle = true}, arena, &of.result, &smaller,
                                      &err));
        assert_true(smaller);
        assert_int_equal(of.result.codec, after);
        require_decoded(&of, 0, of.result.bulk.bytes, 2);
        /* A damaged block is not handed on. */
        object whole = of;
        whole.result = plain;
        flip_stored(&whole, 3 * LOOM_BLOCK_BYTES, 2);
        REQUIRE_STATUS(loom_bulk_compress(extents, after, 3, cipher, writer,
                                          &(loom_bulk_options){.threads = 2, .idle = true}, arena, &whole.result,
                                          &smaller, &err),
                       LOOM_CORRUPT);
        assert_memory_equal(&whole.result, &plain, sizeof plain);
        free_object(&of);
    }
    object noise = make_object(4 * LOOM_BLOCK_BYTES, PATTERN_NOISE);
    encode(&noise, LOOM_CODEC_RAW, 3, 1);
    loom_placement before = noise.result.bulk;
    REQUIRE_OK(loom_bulk_compress(extents, LOOM_CODEC_ZSTD, 3, NULL, writer,
                                  &(loom_bulk_options){.threads = 2, .idle = true}, arena, &noise.result, &smaller,
                                  &err));
    assert_false(smaller);
    assert_memory_equal(&noise.result.bulk, &before, sizeof before);
    free_object(&noise);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pattern_comes_back),
        cmocka_unit_test(test_every_size_comes_back),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_what_does_not_shrink_stays_raw),
        cmocka_unit_test(test_frames_are_plain_zstd),
        cmocka_unit_test(test_threads_write_the_same_bytes),
        cmocka_unit_test(test_space_that_was_not_needed_is_given_back),
        cmocka_unit_test(test_any_range),
        cmocka_unit_test(test_a_flipped_bit),
        cmocka_unit_test(test_check_names_the_block),
        cmocka_unit_test(test_a_wrong_table),
        cmocka_unit_test(test_a_frame_of_other_bytes),
        cmocka_unit_test(test_without_zstd_or_key),
        cmocka_unit_test(test_compressing_what_is_stored),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
