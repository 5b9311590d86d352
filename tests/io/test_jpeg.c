/* test_jpeg.c - JPEG files made by libjpeg's own plain interface, and read back by it: what our reader and writer add
 * (streaming, density, refusals) must change no pixel. */
#include "written.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

typedef struct picture {
    unsigned width, height;
    int components;
    bool progressive;
    unsigned char density_unit;
    unsigned short x_density, y_density;
} picture;

static void make_jpeg(const char *path, const picture *p, const unsigned char *pixels) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = p->width;
    jpeg.image_height = p->height;
    jpeg.input_components = p->components;
    jpeg.in_color_space = p->components == 1 ? JCS_GRAYSCALE : p->components == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    jpeg.density_unit = p->density_unit;
    jpeg.X_density = p->x_density;
    jpeg.Y_density = p->y_density;
    if (p->progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + (size_t)jpeg.next_scanline * p->width * (unsigned)p->components);
        (void)jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    assert_int_equal(fclose(file), 0);
}

static unsigned char *read_jpeg(const char *path) {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&jpeg);
    jpeg_stdio_src(&jpeg, file);
    (void)jpeg_read_header(&jpeg, TRUE);
    (void)jpeg_start_decompress(&jpeg);
    size_t stride = (size_t)jpeg.output_width * (unsigned)jpeg.output_components;
    unsigned char *pixels = malloc(stride * jpeg.output_height);
    assert_non_null(pixels);
    while (jpeg.output_scanline < jpeg.output_height) {
        JSAMPROW row = pixels + jpeg.output_scanline * stride;
        (void)jpeg_read_scanlines(&jpeg, &row, 1);
    }
    (void)jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    fclose(file);
    return pixels;
}

/* Smooth, so that little is lost. */
static unsigned char *make_pixels(unsigned width, unsigned height, int components) {
    unsigned char *pixels = malloc((size_t)width * height * (unsigned)components);
    assert_non_null(pixels);
    unsigned char *at = pixels;
    for (unsigned y = 0; y < height; y++)
        for (unsigned x = 0; x < width; x++)
            for (int c = 0; c < components; c++)
                *at++ = (unsigned char)(x / 4 + y / 4 + 40 * (unsigned)c);
    return pixels;
}

static void grey_and_colours(void **state) {
    (void)state;
    const char *path = scratch_path("image.jpg");
    for (int components = 1; components <= 3; components += 2)
        for (int progressive = 0; progressive < 2; progressive++) {
            picture p = {.width = 301, .height = 203, .components = components, .progressive = progressive != 0};
            unsigned char *pixels = make_pixels(p.width, p.height, components);
            make_jpeg(path, &p, pixels);
            unsigned char *expected = read_jpeg(path);
            expected_image image = {
                .dtype = LOOM_U8, .rank = 2, .components = (uint16_t)components, .size = {301, 203}};
            check_file(path, &image, expected);
            free(expected);
            free(pixels);
        }
}

static void density_is_spacing(void **state) {
    (void)state;
    const char *path = scratch_path("density.jpg");
    unsigned char *pixels = make_pixels(8, 8, 1);
    static const struct {
        unsigned char unit;
        double x, y;
    } cases[] = {{0, 1, 1}, {1, 0.254, 0.508}, {2, 0.1, 0.2}}; /* as ITK 5.2 reads them */
    for (size_t i = 0; i < 3; i++) {
        picture p = {
            .width = 8, .height = 8, .components = 1, .density_unit = cases[i].unit, .x_density = 100, .y_density = 50};
        make_jpeg(path, &p, pixels);
        unsigned char *expected = read_jpeg(path);
        expected_image image = {.dtype = LOOM_U8, .rank = 2, .size = {8, 8}, .spacing = {cases[i].x, cases[i].y}};
        check_file(path, &image, expected);
        free(expected);
    }
    free(pixels);
}

static void written_pictures(void **state) {
    (void)state;
    const char *path = scratch_path("new.jpeg");
    for (int components = 1; components <= 3; components += 2) {
        const uint64_t size[2] = {301, 203};
        loom_image_header image = loom_image_header_make(LOOM_U8, 2, size);
        image.components = (uint16_t)components;
        unsigned char *pixels = make_pixels(301, 203, components);
        loom_error err = {0};
        assert_loom_ok(loom_volume_write(path, &image, pixels, &err), &err);
        unsigned char *back = read_jpeg(path);
        for (size_t i = 0; i < (size_t)301 * 203 * (unsigned)components; i++)
            if (abs(back[i] - pixels[i]) > 6) fail_msg("pixel %zu is %d, was %d", i, back[i], pixels[i]);
        free(back);
        free(pixels);
    }
    loom_image_header header;
    loom_error err = {0};
    unsigned char *voxels = make_image(LOOM_F32, 2, 1, &header);
    assert_int_equal(loom_volume_write(scratch_path("no.jpg"), &header, voxels, &err), LOOM_UNSUPPORTED);
    free(voxels);
}

static void damaged_files_are_refused(void **state) {
    (void)state;
    const char *path = scratch_path("damaged.jpg");
    for (int progressive = 0; progressive < 2; progressive++) {
        picture p = {.width = 24, .height = 17, .components = 1, .progressive = progressive != 0};
        unsigned char *pixels = make_pixels(p.width, p.height, 1);
        make_jpeg(path, &p, pixels);
        check_hostile(path, 3);
        free(pixels);
    }
    /* The height of the frame header: far more pixels than the file can hold. */
    size_t length;
    unsigned char *bytes = read_file(path, &length);
    for (size_t at = 0; at + 9 < length; at++)
        if (bytes[at] == 0xff && bytes[at + 1] == 0xc2) memset(bytes + at + 5, 0xfe, 4);
    write_file(path, bytes, length);
    assert_int_equal(expect_refusal(path, "claims"), LOOM_BAD_INPUT);
    free(bytes);
    picture cmyk = {.width = 8, .height = 8, .components = 4};
    unsigned char *pixels = make_pixels(8, 8, 4);
    make_jpeg(path, &cmyk, pixels);
    assert_int_equal(expect_refusal(path, "4 components"), LOOM_UNSUPPORTED);
    free(pixels);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(grey_and_colours), cmocka_unit_test(density_is_spacing),
                                       cmocka_unit_test(written_pictures), cmocka_unit_test(damaged_files_are_refused)};
    return cmocka_run_group_tests_name("io jpeg", tests, scratch_setup, scratch_teardown);
}
