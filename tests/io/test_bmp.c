/* test_bmp.c - BMP files assembled here byte by byte, and what is written against such bytes. */
#include "written.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put32(unsigned char *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> 8 * i);
}

static unsigned char file[4096];

/* Headers of 14 and 40 bytes, a palette, rows; returns the length. */
static size_t make_bmp(int32_t width, int32_t height, unsigned bits, const void *palette, uint32_t colours,
                       const void *rows, size_t rows_bytes) {
    memset(file, 0, sizeof file);
    uint32_t offset = 54 + 4 * colours;
    memcpy(file, "BM", 2);
    put32(file + 2, offset + (uint32_t)rows_bytes);
    put32(file + 10, offset);
    put32(file + 14, 40);
    put32(file + 18, (uint32_t)width);
    put32(file + 22, (uint32_t)height);
    file[26] = 1;
    file[28] = (unsigned char)bits;
    put32(file + 38, 2000); /* ITK does not read the resolution */
    put32(file + 46, colours);
    if (colours > 0) memcpy(file + 54, palette, 4 * colours);
    memcpy(file + offset, rows, rows_bytes);
    return offset + rows_bytes;
}

static void every_depth(void **state) {
    (void)state;
    const char *path = scratch_path("image.bmp");
    /* Two rows of three pixels, the lower one first, blue before red, each padded to four bytes. */
    const unsigned char rows[] = {3, 2, 1, 6, 5, 4, 9, 8, 7, 0, 0, 0, 13, 12, 11, 16, 15, 14, 19, 18, 17, 0, 0, 0};
    const unsigned char rgb[] = {11, 12, 13, 14, 15, 16, 17, 18, 19, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    expected_image colour = {.dtype = LOOM_U8, .rank = 2, .components = 3, .size = {3, 2}};
    write_file(path, file, make_bmp(3, 2, 24, NULL, 0, rows, sizeof rows));
    check_file(path, &colour, rgb);
    const unsigned char turned[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19};
    write_file(path, file, make_bmp(3, -2, 24, NULL, 0, rows, sizeof rows));
    check_file(path, &colour, turned);
    /* Up to three bytes may pad the file. */
    write_file(path, file, make_bmp(3, -2, 24, NULL, 0, rows, sizeof rows) + 3);
    check_file(path, &colour, turned);
    const unsigned char palette[] = {30, 20, 10, 0, 60, 50, 40, 0}, indices[] = {0, 1, 1, 0};
    const unsigned char looked_up[] = {10, 20, 30, 40, 50, 60, 40, 50, 60};
    expected_image line = {.dtype = LOOM_U8, .rank = 2, .components = 3, .size = {3, 1}};
    write_file(path, file, make_bmp(3, 1, 8, palette, 2, indices, sizeof indices));
    check_file(path, &line, looked_up);
    const unsigned char bgra[] = {3, 2, 1, 4, 7, 6, 5, 8}, rgba[] = {1, 2, 3, 4, 5, 6, 7, 8};
    expected_image four = {.dtype = LOOM_U8, .rank = 2, .components = 4, .size = {2, 1}};
    write_file(path, file, make_bmp(2, 1, 32, NULL, 0, bgra, sizeof bgra));
    check_file(path, &four, rgba);
}

static void bytes_that_are_written(void **state) {
    (void)state;
    const uint64_t size[2] = {3, 2};
    loom_image_header image = loom_image_header_make(LOOM_U8, 2, size);
    loom_error err = {0};
    const char *path = scratch_path("new.bmp");
    const unsigned char rows[] = {4, 5, 6, 0, 1, 2, 3, 0};
    size_t length;
    image.spacing[0] = image.spacing[1] = 0.5;
    assert_loom_ok(loom_volume_write(path, &image, "\1\2\3\4\5\6", &err), &err);
    unsigned char *bytes = read_file(path, &length), palette[1024];
    for (int i = 0; i < 1024; i++)
        palette[i] = (unsigned char)(i % 4 == 3 ? 0 : i / 4);
    size_t wanted = make_bmp(3, 2, 8, palette, 256, rows, sizeof rows);
    put32(file + 34, 8);
    put32(file + 42, 2000);
    put32(file + 46, 0); /* all of them */
    assert_int_equal(length, wanted);
    assert_memory_equal(bytes, file, wanted);
    free(bytes);
}

static void round_trips(void **state) {
    (void)state;
    for (uint16_t components = 3; components <= 4; components++) {
        loom_image_header header;
        unsigned char *voxels = make_image(LOOM_U8, 2, components, &header);
        header = (loom_image_header){0};
        const uint64_t size[2] = {7, 5};
        header = loom_image_header_make(LOOM_U8, 2, size);
        header.components = components;
        check_round_trip(scratch_path("round.bmp"), &header, voxels, 0);
        free(voxels);
    }
    loom_error err = {0};
    loom_image_header header;
    unsigned char *voxels = make_image(LOOM_U16, 2, 1, &header);
    assert_int_equal(loom_volume_write(scratch_path("no.bmp"), &header, voxels, &err), LOOM_UNSUPPORTED);
    free(voxels);
}

static void headers_that_lie(void **state) {
    (void)state;
    const char *path = scratch_path("lie.bmp");
    const unsigned char rows[] = {3, 2, 1, 6, 5, 4, 9, 8, 7, 0, 0, 0};
    static const struct {
        int32_t width, height;
        unsigned bits;
        loom_status status;
    } cases[] = {
        {0, 1, 24, LOOM_BAD_INPUT},         {-3, 1, 24, LOOM_BAD_INPUT}, {3, 0, 24, LOOM_BAD_INPUT},
        {3, INT32_MIN, 24, LOOM_BAD_INPUT}, {3, 2, 24, LOOM_BAD_INPUT},  {INT32_MAX, INT32_MAX, 32, LOOM_BAD_INPUT},
        {2, 1, 24, LOOM_BAD_INPUT},         {3, 1, 1, LOOM_UNSUPPORTED}, {3, 1, 16, LOOM_UNSUPPORTED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(path, file, make_bmp(cases[i].width, cases[i].height, cases[i].bits, NULL, 0, rows, sizeof rows));
        assert_int_equal(expect_refusal(path, ""), cases[i].status);
    }
    size_t length = make_bmp(3, 1, 24, NULL, 0, rows, sizeof rows);
    file[30] = 1; /* run lengths */
    write_file(path, file, length);
    assert_int_equal(expect_refusal(path, "compression"), LOOM_UNSUPPORTED);
    length = make_bmp(4, 1, 8, rows, 2, rows, 4);
    put32(file + 46, 200); /* colours */
    write_file(path, file, length);
    assert_int_equal(expect_refusal(path, "palette"), LOOM_BAD_INPUT);
    write_file(path, file, make_bmp(3, 1, 8, "\1\2\3\0\4\5\6", 2, "\0\1\2", 4));
    assert_int_equal(expect_refusal(path, "not in its palette"), LOOM_BAD_INPUT);
    size_t whole = make_bmp(3, 1, 24, NULL, 0, "\1\2\3\4\5\6\7\10\11\0\0", 12);
    file[10] = 50; /* the pixels begin in the header */
    write_file(path, file, whole);
    assert_int_equal(expect_refusal(path, "describes"), LOOM_BAD_INPUT);
    write_file(path, file, make_bmp(3, 1, 24, NULL, 0, rows, sizeof rows));
    check_hostile(path, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_depth), cmocka_unit_test(bytes_that_are_written),
                                       cmocka_unit_test(round_trips), cmocka_unit_test(headers_that_lie)};
    return cmocka_run_group_tests_name("io bmp", tests, scratch_setup, scratch_teardown);
}
