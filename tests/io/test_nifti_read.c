/* test_nifti_read.c - NIfTI files written by an independent writer, read back: every type, byte order, version and
 * rank; scaling, colours, vectors; through memory and through the ring. */
#include "nifti_maker.h"
#include "support.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    int16_t datatype, bitpix;
    const char *name;
} types[] = {{2, 8, "u8"},   {256, 8, "i8"},    {512, 16, "u16"},  {4, 16, "i16"},  {768, 32, "u32"},
             {8, 32, "i32"}, {1280, 64, "u64"}, {1024, 64, "i64"}, {16, 32, "f32"}, {64, 64, "f64"}};

/* Any bits will do for integers; floats must be finite. */
static unsigned char *make_numbers(size_t index, size_t count) {
    size_t width = (size_t)types[index].bitpix / 8;
    unsigned char *bytes = malloc(count * width);
    assert_non_null(bytes);
    uint32_t seed = (uint32_t)index + 7;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < width; j++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[i * width + j] = (unsigned char)(seed >> 24);
        }
        double number = (double)seed * 1e-3 - 2e6;
        float narrow = (float)number;
        if (types[index].datatype == 16) memcpy(bytes + i * width, &narrow, 4);
        if (types[index].datatype == 64) memcpy(bytes + i * width, &number, 8);
    }
    return bytes;
}

static void check_type(size_t index, int version, bool big, int rank, bool gzip) {
    const int64_t sizes[3][5] = {{13, 7, 0}, {13, 7, 5, 0}, {13, 7, 5, 3, 0}};
    nifti_recipe recipe = nifti_recipe_make(types[index].datatype, types[index].bitpix, sizes[rank - 2]);
    size_t count = (size_t)(rank == 2 ? 13 * 7 : rank == 3 ? 13 * 7 * 5 : 13 * 7 * 5 * 3);
    unsigned char *numbers = make_numbers(index, count);
    recipe.version = version;
    recipe.big = big;
    recipe.data = numbers;
    recipe.data_bytes = count * (size_t)types[index].bitpix / 8;
    loom_image_header header;
    unsigned char *voxels = load_volume(nifti_make_file(&recipe, gzip ? "a.nii.gz" : "a.nii"), &header);
    assert_string_equal(loom_dtype_name(header.dtype), types[index].name);
    assert_int_equal(header.rank, rank);
    assert_int_equal(header.components, 1);
    for (int axis = 0; axis < 4; axis++)
        assert_int_equal(header.size[axis], axis < rank ? sizes[rank - 2][axis] : 1);
    assert_true(loom_image_bytes(&header) == recipe.data_bytes);
    assert_memory_equal(voxels, numbers, recipe.data_bytes);
    free(voxels);
    free(numbers);
}

static void every_type_order_version_and_rank(void **state) {
    (void)state;
    for (size_t index = 0; index < sizeof types / sizeof types[0]; index++)
        for (int version = 1; version <= 2; version++)
            for (int big = 0; big < 2; big++)
                for (int rank = 2; rank <= 4; rank++)
                    for (int gzip = 0; gzip < 2; gzip++)
                        check_type(index, version, big, rank, gzip);
}

/* ---- scaling ---- */

static void check_scaled(int16_t datatype, int16_t bitpix, const void *numbers, size_t count, double slope,
                         double inter, bool big, const char *type, const void *expected, size_t expected_bytes) {
    const int64_t sizes[] = {(int64_t)count, 1, 1, 0};
    nifti_recipe recipe = nifti_recipe_make(datatype, bitpix, sizes);
    recipe.slope = slope;
    recipe.inter = inter;
    recipe.big = big;
    recipe.data = numbers;
    recipe.data_bytes = count * (size_t)bitpix / 8;
    loom_image_header header;
    unsigned char *voxels = load_volume(nifti_make_file(&recipe, "scaled.nii.gz"), &header);
    assert_string_equal(loom_dtype_name(header.dtype), type);
    assert_true(loom_image_bytes(&header) == expected_bytes);
    assert_memory_equal(voxels, expected, expected_bytes);
    free(voxels);
}

static void scaling_follows_itk(void **state) {
    (void)state;
    const int16_t shorts[4] = {0, 1, -2, 32767};
    const float by_half[4] = {-1000.0f, -999.5f, -1001.0f, 15383.5f};
    check_scaled(4, 16, shorts, 4, 0.5, -1000.0, false, "f32", by_half, sizeof by_half);
    check_scaled(4, 16, shorts, 4, 0.5, -1000.0, true, "f32", by_half, sizeof by_half);
    /* Only an intercept is scaling too; neither slope 0 nor 1 alone is, nor numbers that are none. */
    const float plus_ten[4] = {10.0f, 11.0f, 8.0f, 32777.0f};
    check_scaled(4, 16, shorts, 4, 1.0, 10.0, false, "f32", plus_ten, sizeof plus_ten);
    check_scaled(4, 16, shorts, 4, 1.0, 0.0, false, "i16", shorts, sizeof shorts);
    check_scaled(4, 16, shorts, 4, 0.0, 10.0, false, "i16", shorts, sizeof shorts);
    check_scaled(4, 16, shorts, 4, (double)NAN, 0.0, false, "i16", shorts, sizeof shorts);
    check_scaled(4, 16, shorts, 4, (double)INFINITY, (double)NAN, true, "i16", shorts, sizeof shorts);
    const unsigned char bytes[3] = {0, 128, 255};
    const float thirds[3] = {0.0f, (float)(128.0 * 0.25), (float)(255.0 * 0.25)};
    check_scaled(2, 8, bytes, 3, 0.25, 0.0, false, "f32", thirds, sizeof thirds);
    /* A double stays one; 2^63 goes through float first, as in ITK. */
    const double doubles[2] = {1.0 / 3.0, -7.0}, doubled[2] = {2.0 / 3.0 + 1.0, -13.0};
    check_scaled(64, 64, doubles, 2, 2.0, 1.0, true, "f64", doubled, sizeof doubled);
    const uint64_t large[2] = {UINT64_MAX, 16777217};
    const float rounded[2] = {36893488147419103232.0f, 33554432.0f};
    check_scaled(1280, 64, large, 2, 2.0, 0.0, false, "f32", rounded, sizeof rounded);
}

/* niftilib replaces them while reading, before scaling. */
static void numbers_that_are_not_finite_become_zero(void **state) {
    (void)state;
    const float floats[5] = {(float)NAN, -(float)INFINITY, (float)INFINITY, -0.0f, 3.0e38f};
    const float cleaned[5] = {0.0f, 0.0f, 0.0f, -0.0f, 3.0e38f};
    check_scaled(16, 32, floats, 5, 1.0, 0.0, false, "f32", cleaned, sizeof cleaned);
    check_scaled(16, 32, floats, 5, 1.0, 0.0, true, "f32", cleaned, sizeof cleaned);
    const double doubles[3] = {(double)NAN, (double)INFINITY, 5e-324}, zeros[3] = {1.0, 1.0, 1.0};
    check_scaled(64, 64, doubles, 3, 1.0, 1.0, false, "f64", zeros, sizeof zeros);
}

/* ---- more than one component ---- */

static void colours_are_components(void **state) {
    (void)state;
    unsigned char data[4 * 6];
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 11);
    const int64_t sizes[] = {3, 2, 0};
    for (int components = 3; components <= 4; components++) {
        nifti_recipe recipe = nifti_recipe_make(components == 3 ? 128 : 2304, (int16_t)(8 * components), sizes);
        recipe.data = data;
        recipe.data_bytes = (size_t)components * 6;
        recipe.number_bytes = 1;
        recipe.big = components == 4;
        recipe.slope = 3.0; /* not for colours */
        loom_image_header header;
        unsigned char *voxels = load_volume(nifti_make_file(&recipe, "colour.nii"), &header);
        assert_int_equal(header.components, components);
        assert_int_equal(header.dtype, LOOM_U8);
        assert_int_equal(header.rank, 2);
        assert_memory_equal(voxels, data, recipe.data_bytes);
        free(voxels);
    }
}

#define VECTORS 40000u /* more than one scratch piece */

static nifti_recipe vector_recipe(int16_t *data) {
    for (unsigned c = 0; c < 3; c++)
        for (unsigned v = 0; v < VECTORS; v++)
            data[c * VECTORS + v] = (int16_t)(v * 3 + c);
    const int64_t sizes[] = {200, 100, 2, 1, 3, 0};
    nifti_recipe recipe = nifti_recipe_make(4, 16, sizes);
    recipe.intent = 1007;
    recipe.data = data;
    recipe.data_bytes = 3 * VECTORS * sizeof *data;
    return recipe;
}

static void vectors_are_delivered_side_by_side(void **state) {
    (void)state;
    int16_t *data = malloc(3 * VECTORS * sizeof *data);
    nifti_recipe recipe = vector_recipe(data);
    loom_image_header header;
    for (int big = 0; big < 2; big++) {
        recipe.big = big;
        int16_t *voxels = load_volume(nifti_make_file(&recipe, "vector.nii.gz"), &header);
        assert_int_equal(header.components, 3);
        assert_int_equal(header.rank, 3);
        assert_int_equal(header.size[2], 2);
        for (unsigned i = 0; i < 3 * VECTORS; i++)
            if (voxels[i] != (int16_t)i) fail_msg("number %u is %d", i, voxels[i]);
        free(voxels);
    }
    free(data);
}

/* ---- into a file ---- */

static void load_through_ring(const char *path, loom_ring_kind kind, size_t tile_bytes) {
    loom_image_header header;
    unsigned char *expected = load_volume(path, &header);
    size_t bytes = (size_t)loom_image_bytes(&header);
    loom_error err = {0};
    loom_ring *ring;
    assert_loom_ok(loom_ring_open(kind, 4, &ring, NULL, &err), &err);
    int fd = open(scratch_path("sink"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    loom_volume *volume;
    assert_loom_ok(loom_volume_open(path, &volume, &err), &err);
    loom_volume_sink sink = {.ring = ring, .fd = fd, .offset = 8192, .tile_bytes = tile_bytes};
    /* Twice: loading starts again from the file. */
    for (int round = 0; round < 2; round++)
        assert_loom_ok(loom_volume_load(volume, &sink, &err), &err);
    loom_volume_close(volume);
    unsigned char *back = malloc(bytes);
    assert_true(pread(fd, back, bytes, 8192) == (ssize_t)bytes);
    assert_memory_equal(back, expected, bytes);
    free(back);
    free(expected);
    close(fd);
    loom_ring_close(ring);
}

static void volumes_stream_into_files(void **state) {
    (void)state;
    int16_t *data = malloc(3 * VECTORS * sizeof *data);
    nifti_recipe recipe = vector_recipe(data);
    const char *vector = nifti_make_file(&recipe, "v.nii.gz");
    recipe.intent = 0;
    recipe.dim[0] = 3;
    recipe.dim[3] = 6;
    recipe.big = true;
    const char *plain = nifti_make_file(&recipe, "p.nii");
    recipe.slope = 0.5; /* 16 bits grow to 32 */
    const char *scaled = nifti_make_file(&recipe, "s.nii.gz");
    const char *paths[] = {vector, plain, scaled};
    for (int i = 0; i < 3; i++)
        for (int kind = LOOM_RING_AUTO; kind <= LOOM_RING_POSIX; kind += 2) {
            load_through_ring(paths[i], (loom_ring_kind)kind, 0);
            load_through_ring(paths[i], (loom_ring_kind)kind, (size_t)64 << 10);
        }
    free(data);
}

/* ---- shapes ---- */

static void axes_of_length_one_are_dropped_as_itk_does(void **state) {
    (void)state;
    static const struct {
        int64_t sizes[8];
        int intent;
        int rank, components;
    } shapes[] = {
        {{4, 3, 0}, 0, 2, 1},
        {{4, 1, 0}, 0, 2, 1},
        {{4, 3, 1, 0}, 0, 3, 1},
        {{4, 3, 2, 1, 0}, 0, 3, 1},
        {{4, 3, 1, 1, 0}, 0, 3, 1},
        {{4, 3, 1, 2, 0}, 0, 4, 1},
        {{4, 3, 2, 2, 1, 1, 1}, 0, 4, 1},
        {{4, 3, 1, 1, 2, 0}, 1007, 2, 2},
        {{4, 3, 2, 1, 3, 0}, 1007, 3, 3},
        {{4, 3, 2, 2, 2, 0}, 1007, 4, 2},
        {{4, 3, 2, 1, 1, 0}, 1007, 3, 1},
    };
    unsigned char data[256] = {0};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        nifti_recipe recipe = nifti_recipe_make(2, 8, shapes[i].sizes);
        recipe.intent = shapes[i].intent;
        recipe.data = data;
        recipe.data_bytes = 1;
        for (int axis = 1; axis <= 7; axis++)
            recipe.data_bytes *= (size_t)recipe.dim[axis];
        loom_image_header header;
        free(load_volume(nifti_make_file(&recipe, "shape.nii"), &header));
        assert_int_equal(header.rank, shapes[i].rank);
        assert_int_equal(header.components, shapes[i].components);
    }
}

/* Voxels may start later than the header ends (extensions), and gzip files may have several members and padding. */
static void extensions_members_and_padding(void **state) {
    (void)state;
    const unsigned char data[6] = {1, 2, 3, 4, 5, 6};
    const int64_t sizes[] = {3, 2, 0};
    nifti_recipe recipe = nifti_recipe_make(2, 8, sizes);
    recipe.data = data;
    recipe.data_bytes = sizeof data;
    recipe.vox_offset = 5000;
    loom_image_header header;
    unsigned char *voxels = load_volume(nifti_make_file(&recipe, "late.nii.gz"), &header);
    assert_memory_equal(voxels, data, sizeof data);
    free(voxels);

    size_t length, sizes_packed[3], total = 0;
    unsigned char *bytes = nifti_make(&recipe, &length), file[8192] = {0};
    const size_t cuts[4] = {0, 100, 5003, length};
    for (int i = 0; i < 3; i++) {
        unsigned char *member = gzip_bytes(bytes + cuts[i], cuts[i + 1] - cuts[i], &sizes_packed[i]);
        assert_true(total + sizes_packed[i] < sizeof file);
        memcpy(file + total, member, sizes_packed[i]);
        total += sizes_packed[i];
        free(member);
    }
    const char *path = scratch_path("members.nii.gz");
    write_file(path, file, total + 512);
    voxels = load_volume(path, &header);
    assert_memory_equal(voxels, data, sizeof data);
    free(voxels);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_order_version_and_rank),          cmocka_unit_test(scaling_follows_itk),
        cmocka_unit_test(numbers_that_are_not_finite_become_zero),    cmocka_unit_test(colours_are_components),
        cmocka_unit_test(vectors_are_delivered_side_by_side),         cmocka_unit_test(volumes_stream_into_files),
        cmocka_unit_test(axes_of_length_one_are_dropped_as_itk_does), cmocka_unit_test(extensions_members_and_padding),
    };
    return cmocka_run_group_tests_name("io nifti read", tests, scratch_setup, scratch_teardown);
}
