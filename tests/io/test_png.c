/* test_png.c - PNG against files assembled here chunk by chunk (PNG specification, W3C 2003): every colour type and
 * depth, interlacing, and files that break off or lie. */
#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

typedef struct bytes {
    unsigned char data[1 << 16];
    size_t length;
} bytes;

static void put(bytes *out, const void *data, size_t length) {
    assert_true(out->length + length <= sizeof out->data);
    memcpy(out->data + out->length, data, length);
    out->length += length;
}

static void put_u32(bytes *out, uint32_t value) {
    const unsigned char big[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                                  (unsigned char)(value >> 8), (unsigned char)value};
    put(out, big, 4);
}

static void put_chunk(bytes *out, const char *type, const void *data, size_t length) {
    put_u32(out, (uint32_t)length);
    size_t start = out->length;
    put(out, type, 4);
    if (length > 0) put(out, data, length);
    put_u32(out, (uint32_t)crc32(0, out->data + start, (unsigned)(out->length - start)));
}

typedef struct picture {
    uint32_t width, height;
    unsigned char depth, colour, interlace;
    const unsigned char *palette;
    size_t palette_bytes;
    const unsigned char *transparency;
    size_t transparency_bytes;
    const char *scale; /* sCAL text after the unit byte: "x\0y" */
    size_t scale_bytes;
    const unsigned char *rows; /* each with its filter byte */
    size_t rows_bytes;
} picture;

static void make_png(const picture *p, bytes *out) {
    out->length = 0;
    put(out, "\x89PNG\r\n\x1a\n", 8);
    bytes *header = calloc(1, sizeof *header);
    put_u32(header, p->width);
    put_u32(header, p->height);
    const unsigned char rest[5] = {p->depth, p->colour, 0, 0, p->interlace};
    put(header, rest, 5);
    put_chunk(out, "IHDR", header->data, header->length);
    free(header);
    if (p->scale) {
        unsigned char scale[64] = {1};
        memcpy(scale + 1, p->scale, p->scale_bytes);
        put_chunk(out, "sCAL", scale, 1 + p->scale_bytes);
    }
    if (p->palette) put_chunk(out, "PLTE", p->palette, p->palette_bytes);
    if (p->transparency) put_chunk(out, "tRNS", p->transparency, p->transparency_bytes);
    unsigned char packed[1 << 14];
    uLongf packed_bytes = sizeof packed;
    assert_int_equal(compress(packed, &packed_bytes, p->rows, p->rows_bytes), Z_OK);
    put_chunk(out, "IDAT", packed, packed_bytes);
    put_chunk(out, "IEND", NULL, 0);
}

static bytes file;

static void check_picture(const picture *p, loom_dtype dtype, uint16_t components, const void *expected) {
    make_png(p, &file);
    const char *path = scratch_path("picture.png");
    write_file(path, file.data, file.length);
    loom_image_header header;
    unsigned char *pixels = load_volume(path, &header);
    assert_int_equal(header.dtype, dtype);
    assert_int_equal(header.components, components);
    assert_int_equal(header.rank, 2);
    assert_int_equal(header.size[0], p->width);
    assert_int_equal(header.size[1], p->height);
    assert_memory_equal(pixels, expected, (size_t)loom_image_bytes(&header));
    free(pixels);
}

static void every_colour_type_and_depth(void **state) {
    (void)state;
    const unsigned char grey8[] = {0, 1, 2, 3, 0, 4, 5, 6}, grey8_out[] = {1, 2, 3, 4, 5, 6};
    check_picture(&(picture){.width = 3, .height = 2, .depth = 8, .rows = grey8, .rows_bytes = 8}, LOOM_U8, 1,
                  grey8_out);
    /* 16 bits are big-endian in the file. */
    const unsigned char grey16[] = {0, 0x12, 0x34, 0xff, 0xfe};
    const uint16_t grey16_out[] = {0x1234, 0xfffe};
    check_picture(&(picture){.width = 2, .height = 1, .depth = 16, .rows = grey16, .rows_bytes = 5}, LOOM_U16, 1,
                  grey16_out);
    /* 1, 2 and 4 bits are spread over 0..255. */
    const unsigned char bits[] = {0, 0xa0}, bits_out[] = {255, 0, 255};
    check_picture(&(picture){.width = 3, .height = 1, .depth = 1, .rows = bits, .rows_bytes = 2}, LOOM_U8, 1, bits_out);
    const unsigned char two[] = {0, 0x1b}, two_out[] = {0, 85, 170, 255};
    check_picture(&(picture){.width = 4, .height = 1, .depth = 2, .rows = two, .rows_bytes = 2}, LOOM_U8, 1, two_out);
    const unsigned char four[] = {0, 0x0f, 0x80}, four_out[] = {0, 255, 136};
    check_picture(&(picture){.width = 3, .height = 1, .depth = 4, .rows = four, .rows_bytes = 3}, LOOM_U8, 1, four_out);
    const unsigned char grey_alpha[] = {0, 10, 20, 30, 40};
    check_picture(&(picture){.width = 2, .height = 1, .depth = 8, .colour = 4, .rows = grey_alpha, .rows_bytes = 5},
                  LOOM_U8, 2, grey_alpha + 1);
    const unsigned char rgb[] = {0, 1, 2, 3, 4, 5, 6};
    check_picture(&(picture){.width = 2, .height = 1, .depth = 8, .colour = 2, .rows = rgb, .rows_bytes = 7}, LOOM_U8,
                  3, rgb + 1);
    const unsigned char rgb16[] = {0, 1, 2, 3, 4, 5, 6};
    const uint16_t rgb16_out[] = {0x102, 0x304, 0x506};
    check_picture(&(picture){.width = 1, .height = 1, .depth = 16, .colour = 2, .rows = rgb16, .rows_bytes = 7},
                  LOOM_U16, 3, rgb16_out);
    const unsigned char rgba[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    check_picture(&(picture){.width = 2, .height = 1, .depth = 8, .colour = 6, .rows = rgba, .rows_bytes = 9}, LOOM_U8,
                  4, rgba + 1);
}

static void palettes_and_transparent_colours_are_expanded(void **state) {
    (void)state;
    const unsigned char palette[] = {10, 20, 30, 40, 50, 60, 70, 80, 90}, indices[] = {0, 2, 0, 1};
    const unsigned char rgb[] = {70, 80, 90, 10, 20, 30, 40, 50, 60};
    picture p = {.width = 3,
                 .height = 1,
                 .depth = 8,
                 .colour = 3,
                 .palette = palette,
                 .palette_bytes = 9,
                 .rows = indices,
                 .rows_bytes = 4};
    check_picture(&p, LOOM_U8, 3, rgb);
    const unsigned char alpha[] = {0, 128};
    const unsigned char rgba[] = {70, 80, 90, 255, 10, 20, 30, 0, 40, 50, 60, 128};
    p.transparency = alpha;
    p.transparency_bytes = 2;
    check_picture(&p, LOOM_U8, 4, rgba);
    const unsigned char grey[] = {0, 5, 6}, key[] = {0, 6}, grey_out[] = {5, 255, 6, 0};
    check_picture(&(picture){.width = 2,
                             .height = 1,
                             .depth = 8,
                             .transparency = key,
                             .transparency_bytes = 2,
                             .rows = grey,
                             .rows_bytes = 3},
                  LOOM_U8, 2, grey_out);
}

/* Adam7 (specification, 8.2) of a 5x3 image whose pixel is 10 * y + x: pass by pass. */
static const unsigned char adam7[] = {0, 0,  0,  4,           /* pass 1: x 0; pass 2: x 4 (y 0) */
                                      0, 2,                   /* pass 4 (x 2; y 0): pass 3 is empty */
                                      0, 20, 22, 24,          /* pass 5 (x 0 2 4; y 2) */
                                      0, 1,  3,  0,  21, 23,  /* pass 6 (x 1 3; y 0, 2) */
                                      0, 10, 11, 12, 13, 14}; /* pass 7 (y 1) */

static void interlaced_images_are_put_together(void **state) {
    (void)state;
    const unsigned char expected[] = {0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 20, 21, 22, 23, 24};
    picture p = {.width = 5, .height = 3, .depth = 8, .interlace = 1, .rows = adam7, .rows_bytes = sizeof adam7};
    check_picture(&p, LOOM_U8, 1, expected);
    /* And through a file. */
    loom_ring *ring;
    loom_volume *volume;
    loom_error err = {0};
    int fd = open(scratch_path("sink"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_loom_ok(loom_ring_open(LOOM_RING_AUTO, 4, &ring, NULL, &err), &err);
    assert_loom_ok(loom_volume_open(scratch_path("picture.png"), &volume, &err), &err);
    loom_volume_sink sink = {.ring = ring, .fd = fd, .offset = 5000};
    assert_loom_ok(loom_volume_load(volume, &sink, &err), &err);
    unsigned char back[15];
    assert_int_equal(pread(fd, back, 15, 5000), 15);
    assert_memory_equal(back, expected, 15);
    loom_volume_close(volume);
    loom_ring_close(ring);
    close(fd);
}

static void spacing_is_kept_in_scal(void **state) {
    (void)state;
    const unsigned char rows[] = {0, 7};
    picture p = {
        .width = 1, .height = 1, .depth = 8, .rows = rows, .rows_bytes = 2, .scale = "0.5\0002.25", .scale_bytes = 8};
    make_png(&p, &file);
    write_file(scratch_path("scale.png"), file.data, file.length);
    loom_image_header header;
    free(load_volume(scratch_path("scale.png"), &header));
    assert_true(header.spacing[0] == 0.5 && header.spacing[1] == 2.25);
}

static void round_trips(void **state) {
    (void)state;
    static const loom_dtype dtypes[] = {LOOM_U8, LOOM_BOOL8, LOOM_U16};
    for (int i = 0; i < 3; i++)
        for (uint16_t components = 1; components <= 4; components++) {
            const uint64_t size[2] = {701, 523}; /* rows end inside tiles */
            loom_image_header image = loom_image_header_make(dtypes[i], 2, size);
            image.components = components;
            image.spacing[0] = 0.25;
            size_t length = (size_t)loom_image_bytes(&image);
            unsigned char *data = malloc(length);
            for (size_t at = 0; at < length; at++)
                data[at] = (unsigned char)(dtypes[i] == LOOM_BOOL8 ? at / 3 & 1 : at * at >> 5);
            loom_error err = {0};
            const char *path = scratch_path("round.png");
            assert_loom_ok(loom_volume_write(path, &image, data, &err), &err);
            loom_image_header back;
            unsigned char *pixels = load_volume(path, &back);
            if (dtypes[i] == LOOM_BOOL8) image.dtype = LOOM_U8;
            assert_memory_equal(&back, &image, sizeof back);
            assert_memory_equal(pixels, data, length);
            free(pixels);
            free(data);
        }
    const uint64_t size[3] = {2, 2, 2};
    loom_image_header image = loom_image_header_make(LOOM_U8, 3, size);
    loom_error err = {0};
    assert_int_equal(loom_volume_write(scratch_path("3d.png"), &image, "01234567", &err), LOOM_UNSUPPORTED);
    image = loom_image_header_make(LOOM_F32, 2, size);
    float floats[4] = {0};
    assert_int_equal(loom_volume_write(scratch_path("f.png"), &image, floats, &err), LOOM_UNSUPPORTED);
    assert_non_null(strstr(err.message, "f32"));
}

static void damaged_files_are_refused(void **state) {
    (void)state;
    picture p = {.width = 5, .height = 3, .depth = 8, .interlace = 1, .rows = adam7, .rows_bytes = sizeof adam7};
    const unsigned char plain[] = {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5};
    const char *path = scratch_path("damaged.png");
    for (int interlace = 0; interlace < 2; interlace++) {
        if (!interlace) {
            p.interlace = 0;
            p.rows = plain;
            p.rows_bytes = sizeof plain;
        } else {
            p.interlace = 1;
            p.rows = adam7;
            p.rows_bytes = sizeof adam7;
        }
        make_png(&p, &file);
        for (size_t cut = 0; cut < file.length; cut++) {
            write_file(path, file.data, cut);
            assert_int_equal(expect_refusal(path, ""), LOOM_BAD_INPUT);
        }
        /* A flipped bit in a critical chunk spoils its checksum. */
        for (size_t at = 16; at < file.length - 12; at++) {
            file.data[at] ^= 0x04;
            write_file(path, file.data, file.length);
            assert_int_equal(expect_refusal(path, ""), LOOM_BAD_INPUT);
            file.data[at] ^= 0x04;
        }
    }
}

static void sizes_that_lie(void **state) {
    (void)state;
    const unsigned char rows[] = {0, 1, 2, 3};
    static const uint32_t sizes[][2] = {{0, 1},
                                        {1, 0},
                                        {0x7fffffff, 0x7fffffff},
                                        {1000000, 1000000},
                                        {60000, 50000},
                                        {0xffffffff, 1},
                                        {3, 2},
                                        {1000000, 1},
                                        {2000000, 1}};
    const char *path = scratch_path("lie.png");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        picture p = {.width = sizes[i][0], .height = sizes[i][1], .depth = 8, .rows = rows, .rows_bytes = sizeof rows};
        make_png(&p, &file);
        write_file(path, file.data, file.length);
        loom_status status = expect_refusal(path, "");
        assert_true(status == LOOM_BAD_INPUT || status == LOOM_TOO_LARGE);
    }
}

/* libpng would allocate a gigabyte for this sCAL chunk. */
static void a_chunk_that_lies_about_its_length(void **state) {
    (void)state;
    const unsigned char rows[] = {0, 7};
    picture p = {
        .width = 1, .height = 1, .depth = 8, .rows = rows, .rows_bytes = 2, .scale = "0.5\0002.25", .scale_bytes = 8};
    make_png(&p, &file);
    file.data[33] = 0x40; /* the length field after IHDR's 8 + 25 bytes */
    write_file(scratch_path("chunk.png"), file.data, file.length);
    assert_int_equal(expect_refusal(scratch_path("chunk.png"), "ends early"), LOOM_BAD_INPUT);
    /* A comment of nine megabytes that is really there. */
    size_t length = 9000000;
    unsigned char *comment = calloc(1, length + 45);
    memcpy(comment, file.data, 33);
    const unsigned char field[8] = {0, 0x89, 0x54, 0x40, 't', 'E', 'X', 't'};
    memcpy(comment + 33, field, 8);
    write_file(scratch_path("comment.png"), comment, length + 45);
    assert_int_equal(expect_refusal(scratch_path("comment.png"), "too long"), LOOM_BAD_INPUT);
    free(comment);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_colour_type_and_depth),
        cmocka_unit_test(palettes_and_transparent_colours_are_expanded),
        cmocka_unit_test(interlaced_images_are_put_together),
        cmocka_unit_test(spacing_is_kept_in_scal),
        cmocka_unit_test(round_trips),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(sizes_that_lie),
        cmocka_unit_test(a_chunk_that_lies_about_its_length),
    };
    return cmocka_run_group_tests_name("io png", tests, scratch_setup, scratch_teardown);
}
