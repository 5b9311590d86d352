/* read.c - BMP images of 8 bits with a palette (delivered as RGB, as ITK does), 24 bits (RGB) and 32 bits (RGBA), not
 * compressed. The file has its rows from the bottom up, unless its height is negative, and blue before red.
 *
 * Source: Microsoft's documentation of BITMAPFILEHEADER and BITMAPINFOHEADER. */
#include <stdlib.h>
#include <string.h>

#include "io/bmp/write.h"
#include "io/numbers.h"
#include "io/sink.h"

#define FILE_HEADER_BYTES 14u
#define INFO_HEADER_BYTES 40u
#define PALETTE 256u
/* Writers that keep the length of a file a multiple of four. */
#define PADDING_MAX 4u

typedef struct bmp_layout {
    uint32_t offset; /* of the rows */
    uint64_t row_bytes;
    bool top_down;
    unsigned bits;
    uint32_t colours;            /* of the palette */
    uint8_t palette[PALETTE][3]; /* red, green, blue */
} bmp_layout;

static bool bmp_recognise(const uint8_t *start, size_t length) {
    return length >= FILE_HEADER_BYTES + 4 && start[0] == 'B' && start[1] == 'M' &&
           loom_le32(start + 14) >= INFO_HEADER_BYTES && loom_le32(start + 14) <= 124;
}

static loom_status read_palette(const loom_volume *volume, const uint8_t *start, size_t length, bmp_layout *layout,
                                loom_error *err) {
    uint32_t at = FILE_HEADER_BYTES + loom_le32(start + 14), colours = loom_le32(start + 46);
    if (colours == 0) colours = PALETTE;
    if (colours > PALETTE || at + 4 * colours > length || at + 4 * colours > layout->offset)
        return loom_fail(err, LOOM_BAD_INPUT, "%s: its palette does not fit; the header is damaged", volume->path);
    for (uint32_t i = 0; i < colours; i++)
        for (unsigned c = 0; c < 3; c++)
            layout->palette[i][c] = start[at + 4 * i + 2 - c];
    layout->colours = colours;
    return LOOM_OK;
}

static loom_status describe(loom_volume *volume, const uint8_t *start, bmp_layout *layout, loom_error *err) {
    int32_t width = (int32_t)loom_le32(start + 18), height = (int32_t)loom_le32(start + 22);
    uint32_t compression = loom_le32(start + 30);
    layout->bits = loom_le16(start + 28);
    layout->offset = loom_le32(start + 10);
    layout->top_down = height < 0;
    if (compression != 0 || (layout->bits != 8 && layout->bits != 24 && layout->bits != 32))
        return loom_fail(err, LOOM_UNSUPPORTED,
                         "%s: is a BMP image of %u bits with compression %u; save it with 8, 24 or 32 bits, or as PNG",
                         volume->path, layout->bits, compression);
    if (width <= 0 || height == 0 || height == INT32_MIN)
        return loom_fail(err, LOOM_BAD_INPUT, "%s: claims %d x %d pixels; the header is damaged", volume->path, width,
                         height);
    const uint64_t size[2] = {(uint64_t)width, (uint64_t)(height < 0 ? -height : height)};
    volume->header = loom_image_header_make(LOOM_U8, 2, size);
    volume->header.components = layout->bits == 32 ? 4 : 3;
    layout->row_bytes = (size[0] * layout->bits / 8 + 3) / 4 * 4;
    uint64_t wanted = layout->offset + layout->row_bytes * size[1];
    if (layout->offset < FILE_HEADER_BYTES + loom_le32(start + 14) || wanted > volume->input.bytes ||
        volume->input.bytes - wanted >= PADDING_MAX)
        return loom_fail(err, LOOM_BAD_INPUT, "%s: has %llu bytes but its header describes %llu; get a complete copy",
                         volume->path, (unsigned long long)volume->input.bytes, (unsigned long long)wanted);
    return LOOM_OK;
}

static loom_status bmp_open(loom_volume *volume, const uint8_t *start, size_t length, loom_error *err) {
    if (length < FILE_HEADER_BYTES + INFO_HEADER_BYTES)
        return loom_fail(err, LOOM_BAD_INPUT, "%s: ends in its header; get a complete copy of the file", volume->path);
    bmp_layout *layout = calloc(1, sizeof *layout);
    if (!layout) return loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", volume->path);
    volume->detail = layout;
    LOOM_TRY(describe(volume, start, layout, err));
    return layout->bits == 8 ? read_palette(volume, start, length, layout, err) : LOOM_OK;
}

static bool has_colours(const bmp_layout *layout, const uint8_t *row, uint64_t width) {
    uint8_t largest = 0;
    for (uint64_t x = 0; x < width; x++)
        largest = row[x] > largest ? row[x] : largest;
    return largest < layout->colours;
}

static void convert_row(const bmp_layout *layout, const uint8_t *from, uint8_t *to, uint64_t width) {
    size_t step = layout->bits / 8;
    for (uint64_t x = 0; x < width; x++, from += step, to += step == 4 ? 4 : 3) {
        if (step == 1) {
            memcpy(to, layout->palette[*from], 3);
            continue;
        }
        to[0] = from[2];
        to[1] = from[1];
        to[2] = from[0];
        if (step == 4) to[3] = from[3];
    }
}

static loom_status read_rows(loom_volume *volume, loom_sink *sink, uint8_t *stored, uint8_t *row, loom_error *err) {
    const bmp_layout *layout = volume->detail;
    uint64_t width = volume->header.size[0], height = volume->header.size[1];
    for (uint64_t y = 0; y < height; y++) {
        uint64_t place = layout->top_down ? y : height - 1 - y;
        size_t got;
        LOOM_TRY(loom_input_read(&volume->input, stored, (size_t)layout->row_bytes,
                                 layout->offset + place * layout->row_bytes, &got, err));
        if (got < layout->row_bytes)
            return loom_fail(err, LOOM_BAD_INPUT, "%s: ends early; get a complete copy of the file", volume->path);
        if (layout->bits == 8 && !has_colours(layout, stored, width))
            return loom_fail(err, LOOM_BAD_INPUT, "%s: has pixels whose colour is not in its palette; get a fresh copy",
                             volume->path);
        convert_row(layout, stored, row, width);
        LOOM_TRY(loom_sink_append(sink, row, (size_t)width * volume->header.components, err));
    }
    return LOOM_OK;
}

static loom_status bmp_load(loom_volume *volume, const loom_volume_sink *target, loom_error *err) {
    const bmp_layout *layout = volume->detail;
    loom_sink sink;
    uint8_t *stored = malloc((size_t)layout->row_bytes);
    uint8_t *row = malloc((size_t)volume->header.size[0] * volume->header.components);
    loom_status status = stored && row ? loom_sink_open(target, loom_image_bytes(&volume->header), &sink, err)
                                       : loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", volume->path);
    if (status == LOOM_OK) {
        status = read_rows(volume, &sink, stored, row, err);
        if (status == LOOM_OK)
            status = loom_sink_close(&sink, err);
        else
            loom_sink_abort(&sink);
    }
    free(stored);
    free(row);
    return status;
}

const loom_format loom_format_bmp = {.name = "BMP",
                                     .suffixes = {".bmp"},
                                     .recognise = bmp_recognise,
                                     .open = bmp_open,
                                     .load = bmp_load,
                                     .write = loom_bmp_write};
