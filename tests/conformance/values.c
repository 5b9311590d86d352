/* values.c - every type comes back in every bit, before and after the store was closed. */
#include <float.h>
#include <math.h>

#include "conformance.h"
#include "shm/stream/stream.h"

enum { VALUES_MAX = 64 };

static loom_value of_bits(uint64_t bits) {
    double number;
    memcpy(&number, &bits, sizeof number);
    return loom_float(number);
}

/* One opening for all of them. */
static void require_all_kept(const loom_value *values, size_t count) {
    loom_id keys[VALUES_MAX];
    assert_true(count <= VALUES_MAX);
    for (size_t i = 0; i < count; i++) {
        loom_result result = drafted(NULL, &values[i]);
        keys[i] = result.rkey;
        put_one(&result);
        require_value(&keys[i], &values[i]);
    }
    open_again();
    for (size_t i = 0; i < count; i++)
        require_value(&keys[i], &values[i]);
}

static void test_scalars(void **state) {
    (void)state;
    const loom_value values[] = {loom_null(),
                                 loom_bool(false),
                                 loom_bool(true),
                                 loom_int(0),
                                 loom_int(-1),
                                 loom_int(INT64_MIN),
                                 loom_int(INT64_MAX),
                                 loom_float(0.0),
                                 loom_float(-0.0),
                                 loom_float(1.0),
                                 loom_float(INFINITY),
                                 loom_float(-INFINITY),
                                 loom_float(DBL_MIN / 4503599627370496.0), /* the smallest there is */
                                 loom_float(DBL_MAX),
                                 of_bits(UINT64_C(0x7ff8000000000000)), /* NaN, quiet */
                                 of_bits(UINT64_C(0xfff8000000000001)), /* with sign and payload */
                                 of_bits(UINT64_C(0x7ff0000000000001)), /* signalling */
                                 of_bits(UINT64_C(0x7ff4dead0000beef))};
    require_all_kept(values, sizeof values / sizeof values[0]);
}

/* Lengths around each of MessagePack's limits, of the index's (16 KiB) and of a block (1 MiB). */
static void test_text_of_any_length(void **state) {
    (void)state;
    static const size_t lengths[] = {0,     1,     31,    32,    255,     256,     16379,   16380,  16381,
                                     16384, 65535, 65536, 70000, 1048570, 1048576, 1048581, 3000000};
    char *text = malloc(3000000);
    assert_non_null(text);
    for (size_t i = 0; i < 3000000; i++)
        text[i] = (char)('a' + i % 23);
    enum { LENGTHS = sizeof lengths / sizeof lengths[0] };
    loom_value values[2 * LENGTHS];
    for (size_t i = 0; i < LENGTHS; i++) {
        values[2 * i] = loom_string(text, lengths[i]);
        values[2 * i + 1] = loom_bytes(text, lengths[i]);
    }
    require_all_kept(values, 2 * LENGTHS);
    free(text);
}

static void test_odd_text(void **state) {
    (void)state;
    const loom_value values[] = {loom_string("a\0b", 3), loom_string_of("\xc3\xa9\xe2\x82\xac\xf0\x9f\xa7\xa0"),
                                 loom_string("\xff\xfe", 2), loom_bytes("\0\xff\x80", 3)};
    require_all_kept(values, sizeof values / sizeof values[0]);
}

static void test_records_and_sequences(void **state) {
    (void)state;
    const loom_value numbers[] = {loom_int(1), loom_float(1.0), loom_string_of("1"), loom_null(), loom_bool(true)};
    const loom_field inner[] = {{"b", 1, loom_sequence(numbers, 5)}, {"a", 1, loom_bytes("\0", 1)}};
    const loom_value pair[] = {loom_record(inner, 2), loom_tuple(numbers, 2)};
    const loom_field outer[] = {
        {"", 0, loom_null()}, {"sequence", 8, loom_sequence(pair, 2)}, {"a\0b", 3, loom_record(NULL, 0)}};
    loom_value deep = loom_int(7);
    loom_value levels[LOOM_VALUE_DEPTH_MAX];
    for (size_t i = 0; i < LOOM_VALUE_DEPTH_MAX; i++) {
        levels[i] = deep;
        deep = loom_sequence(&levels[i], 1);
    }
    const loom_value values[] = {loom_record(outer, 3), loom_record(NULL, 0), loom_sequence(NULL, 0),
                                 loom_tuple(NULL, 0),   loom_tuple(pair, 2),  deep};
    require_all_kept(values, sizeof values / sizeof values[0]);
}

static void test_datasets(void **state) {
    (void)state;
    const loom_id vid = id_of("item", 1);
    const loom_value path = loom_string_of("a.nii.gz");
    const loom_field description[] = {{"op", 2, loom_string_of("simpleitk.ReadImage")},
                                      {"args", 4, loom_sequence(&path, 1)}};
    const loom_value items[] = {loom_reference(LOOM_IMAGE, &vid), loom_record(description, 2)};
    const loom_field fields[] = {{"study", 5, loom_string_of("flair")}, {"cases", 5, loom_int(2)}};
    const loom_value metadata = loom_record(fields, 2), nothing = loom_record(NULL, 0);
    const loom_value values[] = {loom_dataset(&metadata, items, 2), loom_dataset(&nothing, NULL, 0)};
    require_all_kept(values, 2);
}

static void test_a_long_sequence(void **state) {
    (void)state;
    enum { COUNT = 200000 };
    loom_value *items = malloc(COUNT * sizeof *items);
    assert_non_null(items);
    for (size_t i = 0; i < COUNT; i++)
        items[i] = i % 2 == 0 ? loom_int((int64_t)i * 1000003) : loom_float((double)i / 3);
    const loom_value value = loom_sequence(items, COUNT);
    require_all_kept(&value, 1);
    free(items);
}

/* ---- images ---- */

static void fill(uint8_t *bytes, size_t length, uint8_t dtype, uint64_t seed) {
    for (size_t i = 0; i < length; i++)
        bytes[i] = dtype == LOOM_BOOL8 ? (uint8_t)(next_random(&seed) % 2) : (uint8_t)next_random(&seed);
}

static loom_image_header odd_header(loom_dtype dtype, unsigned rank, uint64_t width) {
    const uint64_t size[4] = {width, 5, 3, 2};
    loom_image_header header = loom_image_header_make(dtype, rank, size);
    for (unsigned axis = 0; axis < rank; axis++) {
        header.spacing[axis] = 0.7 + axis / 3.0;
        header.origin[axis] = -1e3 / (axis + 7);
    }
    header.direction[0] = 0.6;
    header.direction[1] = -0.8;
    header.direction[4] = 0.8;
    header.direction[5] = 0.6;
    return header;
}

static void require_images_kept(const loom_image_header *headers, size_t count) {
    loom_value values[VALUES_MAX];
    loom_id keys[VALUES_MAX];
    assert_true(count <= VALUES_MAX);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = (size_t)loom_image_bytes(&headers[i]);
        uint8_t *voxels = loom_arena_alloc(arena, bytes);
        assert_non_null(voxels);
        fill(voxels, bytes, headers[i].dtype, i);
        loom_result result = drafted_image(NULL, &headers[i], voxels);
        values[i] = loom_image(&headers[i], voxels);
        keys[i] = result.rkey;
        put_one(&result);
        require_value(&keys[i], &values[i]);
    }
    open_again();
    for (size_t i = 0; i < count; i++)
        require_value(&keys[i], &values[i]);
}

static void test_images_of_all_kinds(void **state) {
    (void)state;
    loom_image_header headers[3 * LOOM_F64];
    size_t count = 0;
    for (unsigned dtype = LOOM_BOOL8; dtype <= LOOM_F64; dtype++)
        for (unsigned rank = 2; rank <= 4; rank++) {
            headers[count] = odd_header((loom_dtype)dtype, rank, 7);
            headers[count++].components = (uint16_t)(rank == 2 ? 3 : 1);
        }
    require_images_kept(headers, count);
}

/* 1 voxel, a page more or less, a block and one byte. */
static void test_images_of_all_sizes(void **state) {
    (void)state;
    static const uint64_t widths[] = {1, 4095, 4096, 4097, 1048575, 1048576, 1048577, 2500000};
    enum { COUNT = sizeof widths / sizeof widths[0] };
    loom_image_header headers[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        headers[i] = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){widths[i], 1});
    require_images_kept(headers, COUNT);
}

/* What zstd makes small must come back as well. */
static void test_a_smooth_image(void **state) {
    (void)state;
    loom_image_header header = loom_image_header_make(LOOM_U16, 3, (uint64_t[]){256, 256, 20});
    size_t bytes = (size_t)loom_image_bytes(&header);
    uint8_t *voxels = calloc(1, bytes);
    assert_non_null(voxels);
    for (size_t i = 0; i < bytes; i += 512)
        voxels[i] = (uint8_t)(i >> 12);
    loom_result result = drafted_image("smooth", &header, voxels);
    const loom_value value = loom_image(&header, voxels);
    put_one(&result);
    open_again();
    require_value(&result.rkey, &value);
    free(voxels);
}

static void test_a_sequence_of_images(void **state) {
    (void)state;
    loom_error err = {0};
    loom_image_header header = odd_header(LOOM_F32, 3, 11);
    size_t bytes = (size_t)loom_image_bytes(&header);
    uint8_t *voxels = malloc(bytes);
    loom_value items[3];
    for (uint64_t i = 0; i < 3; i++) {
        fill(voxels, bytes, LOOM_F32, i);
        char name[] = "image 0";
        name[6] = (char)('0' + i);
        loom_result image =
            drafted_image(i == 0 ? NULL : name, &header, voxels); /* with a key of its own, and by name */
        put_one(&image);
        items[i] = loom_reference(LOOM_IMAGE, &image.vid);
    }
    const loom_value value = loom_sequence(items, 3);
    loom_result sequence = drafted("images", &value);
    put_one(&sequence);
    open_again();
    require_value(&sequence.rkey, &value);
    for (uint64_t i = 0; i < 3; i++) {
        loom_result found;
        loom_value image;
        loom_view view;
        fill(voxels, bytes, LOOM_F32, i);
        REQUIRE_OK(loom_store_find_value(store, &items[i].reference.vid, arena, &found, &err));
        REQUIRE_OK(loom_store_value(store, &found, arena, &image, &view, &err));
        const loom_value wanted = loom_image(&header, voxels);
        assert_true(loom_value_equal(&image, &wanted));
        loom_extent_release(&view);
    }
    free(voxels);
}

/* ---- streams ---- */

static void test_streams(void **state) {
    (void)state;
    enum { BYTES = 3 * 1048576 + 77 };
    loom_error err = {0};
    loom_stream_writer *out;
    loom_stream_reader *in;
    uint8_t *bytes = malloc(BYTES), *back = malloc(BYTES);
    size_t got = 0, at = 0;
    fill(bytes, BYTES, LOOM_U8, 99);
    const loom_stream_options options = {.rkey = id_of("stream", 1), .type = LOOM_BYTES};
    REQUIRE_OK(loom_stream_writer_create(store, &options, &out, &err));
    for (size_t done = 0; done < BYTES; done += got) {
        got = BYTES - done < 100003 ? BYTES - done : 100003;
        REQUIRE_OK(loom_stream_writer_write(out, bytes + done, got, &err));
    }
    require_absent(&options.rkey);
    REQUIRE_OK(loom_stream_writer_commit(out, NULL, &err));
    open_again();
    const loom_value value = loom_bytes(bytes, BYTES);
    require_value(&options.rkey, &value);
    REQUIRE_OK(loom_stream_reader_open(store, &options.rkey, &in, &err));
    assert_int_equal(loom_stream_reader_length(in), BYTES);
    do {
        REQUIRE_OK(loom_stream_reader_read(in, back + at, BYTES - at < 70001 ? BYTES - at : 70001, &got, &err));
        at += got;
    } while (got > 0);
    assert_int_equal(at, BYTES);
    assert_memory_equal(back, bytes, BYTES);
    loom_stream_reader_close(in);
    /* One that is given up leaves nothing. */
    const loom_stream_options other = {.rkey = id_of("stream", 2), .type = LOOM_BYTES};
    REQUIRE_OK(loom_stream_writer_create(store, &other, &out, &err));
    REQUIRE_OK(loom_stream_writer_write(out, bytes, BYTES, &err));
    loom_stream_writer_abort(out);
    require_absent(&other.rkey);
    free(bytes);
    free(back);
}

const struct CMUnitTest value_tests[] = {
    CONFORMANCE(test_scalars),
    CONFORMANCE(test_text_of_any_length),
    CONFORMANCE(test_odd_text),
    CONFORMANCE(test_records_and_sequences),
    CONFORMANCE(test_datasets),
    CONFORMANCE(test_a_long_sequence),
    CONFORMANCE(test_images_of_all_kinds),
    CONFORMANCE(test_images_of_all_sizes),
    CONFORMANCE(test_a_smooth_image),
    CONFORMANCE(test_a_sequence_of_images),
    CONFORMANCE(test_streams),
};
const size_t value_test_count = sizeof value_tests / sizeof value_tests[0];
