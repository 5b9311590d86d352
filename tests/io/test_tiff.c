/* test_tiff.c - TIFF files assembled here tag by tag or made by libtiff's plain interface; what we write is read by it.
 */
#include "written.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

/* ---- by hand ---- */

static unsigned char file[4096];

static void put(bool big, unsigned char *at, unsigned bytes, uint32_t value) {
    for (unsigned i = 0; i < bytes; i++)
        at[big ? bytes - 1 - i : i] = (unsigned char)(value >> 8 * i);
}

/* One strip at 8, then the directory. */
static size_t make_tiff(bool big, unsigned width, unsigned height, unsigned bits, unsigned format, const void *pixels,
                        size_t length) {
    const unsigned tags[][2] = {
        {256, width},  {257, height},           {258, bits},  {259, 1}, {262, 1}, {273, 8}, {277, 1},
        {278, height}, {279, (unsigned)length}, {339, format}};
    memset(file, 0, sizeof file);
    memcpy(file, big ? "MM\0*" : "II*\0", 4);
    uint32_t at = 8 + (uint32_t)(length + (length & 1));
    put(big, file + 4, 4, at);
    memcpy(file + 8, pixels, length);
    put(big, file + at, 2, 10);
    for (unsigned i = 0; i < 10; i++) {
        unsigned char *entry = file + at + 2 + 12 * i;
        put(big, entry, 2, tags[i][0]);
        put(big, entry + 2, 2, 4);
        put(big, entry + 4, 4, 1);
        put(big, entry + 8, 4, tags[i][1]);
    }
    return at + 2 + 120 + 4;
}

static const unsigned char numbers[24] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                                          13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24};

static void every_pixel_type(void **state) {
    (void)state;
    static const struct {
        loom_dtype dtype;
        unsigned bytes, format;
    } types[] = {{LOOM_U8, 1, 1},  {LOOM_U16, 2, 1}, {LOOM_U32, 4, 1}, {LOOM_U64, 8, 1}, {LOOM_I8, 1, 2},
                 {LOOM_I16, 2, 2}, {LOOM_I32, 4, 2}, {LOOM_I64, 8, 2}, {LOOM_F32, 4, 3}, {LOOM_F64, 8, 3}};
    const char *path = scratch_path("image.tif");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        for (int big = 0; big < 2; big++) {
            unsigned width = 12 / types[i].bytes, height = 24 / types[i].bytes / (width ? width : 1);
            if (types[i].bytes == 8) width = 3, height = 1;
            expected_image expected = {.dtype = types[i].dtype, .rank = 2, .size = {width, height}};
            unsigned char voxels[24];
            for (size_t k = 0; k < 24; k++)
                voxels[k] =
                    big ? numbers[k - k % types[i].bytes + types[i].bytes - 1 - k % types[i].bytes] : numbers[k];
            write_file(path, file,
                       make_tiff(big != 0, width, height, 8 * types[i].bytes, types[i].format, numbers, 24));
            check_file(path, &expected, voxels);
        }
}

/* ---- by libtiff ---- */

typedef struct picture {
    uint32_t width, height, pages;
    uint16_t bits, components, compression, format;
    uint32_t tile; /* 0: strips of three rows */
    float x, y;    /* pixels a unit; 0: none */
    uint16_t unit;
} picture;

static void make_page(TIFF *tiff, const picture *p, const unsigned char *pixels) {
    size_t pixel = p->bits / 8u * p->components, row = pixel * p->width;
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, p->width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, p->height);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, p->bits);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, p->components);
    TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, p->format);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, p->compression);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, p->components >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK);
    if (p->x > 0) {
        TIFFSetField(tiff, TIFFTAG_XRESOLUTION, p->x);
        TIFFSetField(tiff, TIFFTAG_YRESOLUTION, p->y);
        TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, p->unit);
    }
    if (p->tile == 0) {
        TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, 3u);
        for (uint32_t y = 0; y < p->height; y++)
            assert_int_equal(TIFFWriteScanline(tiff, (void *)(uintptr_t)(pixels + y * row), y, 0), 1);
        return;
    }
    TIFFSetField(tiff, TIFFTAG_TILEWIDTH, p->tile);
    TIFFSetField(tiff, TIFFTAG_TILELENGTH, p->tile);
    unsigned char *tile = calloc(p->tile * p->tile, pixel);
    assert_non_null(tile);
    for (uint32_t y = 0; y < p->height; y += p->tile)
        for (uint32_t x = 0; x < p->width; x += p->tile) {
            uint32_t count = p->width - x < p->tile ? p->width - x : p->tile;
            for (uint32_t k = 0; k < p->tile && y + k < p->height; k++)
                memcpy(tile + k * p->tile * pixel, pixels + (y + k) * row + x * pixel, count * pixel);
            assert_true(TIFFWriteTile(tiff, tile, x, y, 0, 0) > 0);
        }
    free(tile);
}

static unsigned char *make_pages(const char *path, const picture *p) {
    size_t page = (size_t)p->bits / 8u * p->components * p->width * p->height, length = page * p->pages;
    unsigned char *pixels = malloc(length);
    assert_non_null(pixels);
    for (size_t i = 0; i < length; i++)
        pixels[i] = (unsigned char)(i * 7 + i / 100);
    TIFF *tiff = TIFFOpen(path, "w");
    assert_non_null(tiff);
    for (uint32_t i = 0; i < p->pages; i++) {
        make_page(tiff, p, pixels + i * page);
        assert_int_equal(TIFFWriteDirectory(tiff), 1);
    }
    TIFFClose(tiff);
    return pixels;
}

static void strips_tiles_pages_and_compression(void **state) {
    (void)state;
    const char *path = scratch_path("made.tif");
    static const uint16_t ways[] = {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_PACKBITS};
    for (size_t way = 0; way < 4; way++)
        for (uint32_t tile = 0; tile <= 16; tile += 16)
            for (uint16_t components = 1; components <= 4; components++) {
                picture p = {.width = 37,
                             .height = 22,
                             .pages = components,
                             .bits = components % 2 ? 8 : 16,
                             .components = components,
                             .compression = ways[way],
                             .format = SAMPLEFORMAT_UINT,
                             .tile = tile};
                unsigned char *pixels = make_pages(path, &p);
                expected_image expected = {.dtype = p.bits == 8 ? LOOM_U8 : LOOM_U16,
                                           .rank = p.pages > 1 ? 3 : 2,
                                           .components = components,
                                           .size = {37, 22, p.pages}};
                check_file(path, &expected, pixels);
                free(pixels);
            }
}

static void resolution_is_spacing(void **state) {
    (void)state;
    const char *path = scratch_path("resolution.tif");
    static const struct {
        uint16_t unit;
        double x, y;
    } cases[] = {{RESUNIT_NONE, 1, 1}, {RESUNIT_INCH, 0.25, 0.5}, {RESUNIT_CENTIMETER, 10 / 101.6, 10 / 50.8}};
    for (size_t i = 0; i < 3; i++) {
        picture p = {.width = 3,
                     .height = 2,
                     .pages = 1,
                     .bits = 8,
                     .components = 1,
                     .compression = COMPRESSION_NONE,
                     .format = 1,
                     .x = 101.6f,
                     .y = 50.8f,
                     .unit = cases[i].unit};
        unsigned char *pixels = make_pages(path, &p);
        loom_image_header header;
        free(load_volume(path, &header));
        assert_true(header.spacing[0] > cases[i].x * 0.999999 && header.spacing[0] < cases[i].x * 1.000001);
        assert_true(header.spacing[1] > cases[i].y * 0.999999 && header.spacing[1] < cases[i].y * 1.000001);
        free(pixels);
    }
}

static void what_is_written_is_read_by_libtiff(void **state) {
    (void)state;
    const char *path = scratch_path("new.tiff");
    for (loom_dtype dtype = LOOM_BOOL8; dtype <= LOOM_F64; dtype++)
        for (unsigned rank = 2; rank <= 3; rank++)
            for (uint16_t components = 1; components <= 4; components++) {
                if (components == 2 && dtype % 3 != 0) continue; /* each file is made durable, which takes its time */
                loom_image_header header;
                unsigned char *voxels = make_image(dtype, rank, components, &header);
                loom_error err = {0};
                assert_loom_ok(loom_volume_write(path, &header, voxels, &err), &err);
                TIFF *tiff = TIFFOpen(path, "r");
                assert_non_null(tiff);
                size_t row = 7 * components * loom_dtype_bytes(header.dtype);
                unsigned char *line = malloc(row);
                assert_int_equal(TIFFScanlineSize(tiff), row);
                for (unsigned page = 0; page < header.size[2]; page++) {
                    for (uint32_t y = 0; y < 5; y++) {
                        assert_int_equal(TIFFReadScanline(tiff, line, y, 0), 1);
                        assert_memory_equal(line, voxels + (page * 5 + y) * row, row);
                    }
                    assert_int_equal(TIFFReadDirectory(tiff), page + 1 < header.size[2]);
                }
                TIFFClose(tiff);
                free(line);
                loom_image_header back;
                unsigned char *got = load_volume(path, &back);
                assert_memory_equal(got, voxels, (size_t)loom_image_bytes(&header));
                assert_int_equal(back.dtype, dtype == LOOM_BOOL8 ? LOOM_U8 : dtype);
                assert_int_equal(back.rank, rank);
                assert_int_equal(back.components, components);
                /* The resolution is read in single precision. */
                assert_true(back.spacing[0] > 0.3 * 0.999999 && back.spacing[0] < 0.3 * 1.000001);
                assert_true(back.spacing[1] > 0.999999 && back.spacing[1] < 1.000001);
                free(got);
                free(voxels);
            }
    loom_image_header header;
    loom_error err = {0};
    unsigned char *voxels = make_image(LOOM_U8, 4, 1, &header);
    assert_int_equal(loom_volume_write(path, &header, voxels, &err), LOOM_UNSUPPORTED);
    free(voxels);
}

/* libtiff itself would fill what is missing with grey, and warn. */
static void damaged_jpeg_within(void **state) {
    (void)state;
    const picture p = {.width = 64,
                       .height = 64,
                       .pages = 1,
                       .bits = 8,
                       .components = 1,
                       .compression = COMPRESSION_JPEG,
                       .format = SAMPLEFORMAT_UINT,
                       .tile = 64};
    const char *path = scratch_path("jpeg.tif");
    free(make_pages(path, &p));
    loom_image_header header;
    free(load_volume(path, &header));
    TIFF *tiff = TIFFOpen(path, "r");
    uint64_t *offsets = NULL, *counts = NULL;
    assert_non_null(tiff);
    assert_int_equal(TIFFGetField(tiff, TIFFTAG_TILEOFFSETS, &offsets), 1);
    assert_int_equal(TIFFGetField(tiff, TIFFTAG_TILEBYTECOUNTS, &counts), 1);
    uint64_t middle = offsets[0] + counts[0] / 2;
    TIFFClose(tiff);
    size_t length;
    unsigned char *bytes = read_file(path, &length);
    memcpy(bytes + middle, "\xff\xd9", 2); /* the end of the image */
    write_file(path, bytes, length);
    free(bytes);
    assert_int_equal(expect_refusal(path, "damaged"), LOOM_BAD_INPUT);
}

static void files_that_lie(void **state) {
    (void)state;
    const char *path = scratch_path("lie.tif");
    write_file(path, file, make_tiff(false, 6, 4, 8, 1, numbers, 24));
    check_hostile(path, 1);
    write_file(path, file, make_tiff(false, 60000, 60000, 8, 1, numbers, 24));
    assert_int_equal(expect_refusal(path, "claims"), LOOM_BAD_INPUT);
    write_file(path, file, make_tiff(false, 4000000000u, 4000000000u, 64, 1, numbers, 24));
    assert_true(expect_refusal(path, "") != LOOM_OK);
    write_file(path, file, make_tiff(false, 6, 4, 8, 3, numbers, 24));
    assert_int_equal(expect_refusal(path, "format 3"), LOOM_UNSUPPORTED);
    write_file(path, file, make_tiff(false, 48, 4, 1, 1, numbers, 24));
    assert_int_equal(expect_refusal(path, "1 bits"), LOOM_UNSUPPORTED);
    picture p = {.width = 37,
                 .height = 22,
                 .pages = 2,
                 .bits = 16,
                 .components = 3,
                 .compression = COMPRESSION_LZW,
                 .format = 1};
    free(make_pages(path, &p));
    check_hostile(path, 97);
    p.tile = 16;
    free(make_pages(path, &p));
    check_hostile(path, 101);
}

int main(void) {
    TIFFSetWarningHandler(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pixel_type),      cmocka_unit_test(strips_tiles_pages_and_compression),
        cmocka_unit_test(resolution_is_spacing), cmocka_unit_test(what_is_written_is_read_by_libtiff),
        cmocka_unit_test(damaged_jpeg_within),   cmocka_unit_test(files_that_lie)};
    return cmocka_run_group_tests_name("io tiff", tests, scratch_setup, scratch_teardown);
}
