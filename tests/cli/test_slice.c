/* test_slice.c - slices as pixels: which voxels are picked, how they are windowed, enlarged and painted over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/cli/slice.h"

enum { WIDTH = 4, HEIGHT = 3, DEPTH = 2 };

static loom_image_header small_header(loom_dtype dtype) {
    const uint64_t size[3] = {WIDTH, HEIGHT, DEPTH};
    return loom_image_header_make(dtype, 3, size);
}

/* The grey (red channel) of the pixel in the middle of the cell that a voxel was enlarged to. */
static int cell(const loom_canvas *canvas, uint64_t columns, uint64_t rows, uint64_t column, uint64_t row) {
    uint64_t x = (2 * column + 1) * canvas->width / (2 * columns);
    uint64_t y = (2 * row + 1) * canvas->height / (2 * rows);
    return canvas->rgb[3 * (y * canvas->width + x)];
}

/* 0 and 200 alone: the window maps them to black and white, and every voxel stands where it should. */
static void test_places(void **state) {
    (void)state;
    const loom_image_header header = small_header(LOOM_U8);
    for (unsigned axis = 0; axis < 3; axis++) {
        uint8_t voxels[WIDTH * HEIGHT * DEPTH] = {0};
        voxels[2 + WIDTH * (1 + HEIGHT * 1)] = 200; /* x 2, y 1, z 1 */
        const uint64_t at[3] = {2, 1, 1};
        unsigned across = axis == 0 ? 1 : 0;
        unsigned down = axis == 2 ? 1 : 2;
        uint64_t columns = header.size[across];
        uint64_t rows = header.size[down];
        loom_canvas canvas = {0};
        assert_int_equal(loom_slice_draw(&header, voxels, NULL, NULL, axis, at[axis], &canvas, NULL), LOOM_OK);
        assert_true(canvas.width >= 512 || canvas.height >= 512);
        assert_int_equal(canvas.width * rows, canvas.height * columns);
        uint64_t row = axis == 2 ? at[down] : rows - 1 - at[down]; /* z grows upwards */
        for (uint64_t y = 0; y < rows; y++)
            for (uint64_t x = 0; x < columns; x++)
                assert_in_range(cell(&canvas, columns, rows, x, y), x == at[across] && y == row ? 250 : 0,
                                x == at[across] && y == row ? 255 : 5);
        free(canvas.rgb);
    }
}

static void test_every_pixel_type(void **state) {
    (void)state;
    static const loom_dtype types[] = {LOOM_BOOL8, LOOM_U8,  LOOM_I8,  LOOM_U16, LOOM_I16, LOOM_U32,
                                       LOOM_I32,   LOOM_U64, LOOM_I64, LOOM_F32, LOOM_F64};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const loom_image_header header = small_header(types[i]);
        uint64_t storage[WIDTH * HEIGHT * DEPTH] = {0};
        size_t bytes = loom_dtype_bytes((uint8_t)types[i]);
        /* All bits of an integer or a float whose first voxel is 1. */
        const float one32 = 1;
        const double one64 = 1;
        if (types[i] == LOOM_F32)
            memcpy(storage, &one32, bytes);
        else if (types[i] == LOOM_F64)
            memcpy(storage, &one64, bytes);
        else
            *(uint8_t *)storage = 1; /* little-endian */
        loom_canvas canvas = {0};
        assert_int_equal(loom_slice_draw(&header, storage, NULL, NULL, 2, 0, &canvas, NULL), LOOM_OK);
        assert_in_range(cell(&canvas, WIDTH, HEIGHT, 0, 0), 250, 255);
        assert_in_range(cell(&canvas, WIDTH, HEIGHT, 3, 2), 0, 5);
        free(canvas.rgb);
    }
}

static void test_mask_is_red(void **state) {
    (void)state;
    const loom_image_header header = small_header(LOOM_F32);
    const loom_image_header mask_header = small_header(LOOM_BOOL8);
    const float voxels[WIDTH * HEIGHT * DEPTH] = {0};
    uint8_t mask[WIDTH * HEIGHT * DEPTH] = {0};
    mask[1 + WIDTH * 1] = 1;
    loom_canvas canvas = {0};
    assert_int_equal(loom_slice_draw(&header, voxels, &mask_header, mask, 2, 0, &canvas, NULL), LOOM_OK);
    assert_in_range(cell(&canvas, WIDTH, HEIGHT, 1, 1), 50, 80); /* 25% of red over black */
    assert_int_equal(cell(&canvas, WIDTH, HEIGHT, 2, 1), 0);
    /* The edge: the first row of pixels of the voxel's cell is bright red. */
    uint64_t side = canvas.width / WIDTH;
    const uint8_t *edge = canvas.rgb + 3 * (side * canvas.width + side + side / 2);
    assert_int_equal(edge[0], 255);
    assert_true(edge[1] < 60);
    free(canvas.rgb);
}

static void test_fullest(void **state) {
    (void)state;
    const loom_image_header header = small_header(LOOM_U16);
    uint16_t voxels[WIDTH * HEIGHT * DEPTH] = {0};
    assert_int_equal(loom_slice_fullest(&header, voxels, 0), WIDTH / 2);
    voxels[3] = 1;                          /* x 3, y 0, z 0 */
    voxels[1 + WIDTH * (2 + HEIGHT)] = 5;   /* x 1, y 2, z 1 */
    voxels[1 + WIDTH * (0 + HEIGHT)] = 500; /* x 1, y 0, z 1 */
    assert_int_equal(loom_slice_fullest(&header, voxels, 0), 1);
    assert_int_equal(loom_slice_fullest(&header, voxels, 1), 0);
    assert_int_equal(loom_slice_fullest(&header, voxels, 2), 1);
}

/* What is not a number is black and does not spoil the window. */
static void test_not_a_number(void **state) {
    (void)state;
    const loom_image_header header = small_header(LOOM_F64);
    double voxels[WIDTH * HEIGHT * DEPTH] = {0};
    voxels[0] = 0.0 / strtod("0", NULL);
    voxels[1] = 1.0 / strtod("0", NULL);
    voxels[2] = 7;
    loom_canvas canvas = {0};
    assert_int_equal(loom_slice_draw(&header, voxels, NULL, NULL, 2, 0, &canvas, NULL), LOOM_OK);
    assert_in_range(cell(&canvas, WIDTH, HEIGHT, 0, 0), 0, 5);
    assert_in_range(cell(&canvas, WIDTH, HEIGHT, 1, 0), 250, 255);
    assert_in_range(cell(&canvas, WIDTH, HEIGHT, 2, 0), 250, 255);
    free(canvas.rgb);
}

/* Voxels twice as high as wide: the picture keeps the proportions of the head. */
static void test_proportions(void **state) {
    (void)state;
    loom_image_header header = small_header(LOOM_U8);
    header.spacing[1] = 2;
    const uint8_t voxels[WIDTH * HEIGHT * DEPTH] = {0};
    loom_canvas canvas = {0};
    assert_int_equal(loom_slice_draw(&header, voxels, NULL, NULL, 2, 0, &canvas, NULL), LOOM_OK);
    assert_int_equal(canvas.width * HEIGHT * 2, canvas.height * WIDTH);
    free(canvas.rgb);
    loom_error err = {0};
    header.spacing[1] = 1e9;
    assert_int_equal(loom_slice_draw(&header, voxels, NULL, NULL, 2, 0, &canvas, &err), LOOM_TOO_LARGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),  cmocka_unit_test(test_every_pixel_type), cmocka_unit_test(test_mask_is_red),
        cmocka_unit_test(test_fullest), cmocka_unit_test(test_not_a_number),     cmocka_unit_test(test_proportions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
