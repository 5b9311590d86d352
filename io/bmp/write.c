/* write.c - 2D images of u8 as BMP: grey with a palette, RGB or RGBA; rows from the bottom up. The spacing goes into
 * the pixels a metre, as ITK does (which does not read it). */
#include "io/bmp/write.h"

#include <stdlib.h>
#include <string.h>

#include "io/numbers.h"
#include "io/output.h"

#define HEADERS_BYTES 54u
#define GREY_PALETTE_BYTES 1024u

static loom_status check(const loom_writing *writing, loom_error *err) {
    const loom_image_header *header = writing->header;
    bool type = header->dtype == LOOM_U8 || header->dtype == LOOM_BOOL8;
    if (header->rank != 2 || !type || (header->components != 1 && header->components != 3 && header->components != 4))
        return loom_fail(
            err, LOOM_UNSUPPORTED,
            "%s: BMP holds 2D images of 1, 3 or 4 components of u8, not %uD %s of %u; take a slice and cast "
            "it, or write .nii.gz",
            writing->path, header->rank, loom_dtype_name(header->dtype), header->components);
    if (header->size[0] > INT32_MAX / 4 || header->size[1] > INT32_MAX || loom_image_bytes(header) > INT32_MAX)
        return loom_fail(err, LOOM_TOO_LARGE, "%s: BMP files have at most 2 GiB; write .nii.gz", writing->path);
    return LOOM_OK;
}

static uint32_t pixels_a_metre(double spacing) {
    double pixels = 1000.0 / spacing;
    return pixels < 1e9 ? (uint32_t)(pixels + 0.5) : 0;
}

static void make_headers(const loom_image_header *image, uint32_t offset, uint32_t row_bytes,
                         uint8_t headers[HEADERS_BYTES]) {
    memset(headers, 0, HEADERS_BYTES);
    uint32_t data = row_bytes * (uint32_t)image->size[1];
    memcpy(headers, "BM", 2);
    loom_put_le32(headers + 2, offset + data);
    loom_put_le32(headers + 10, offset);
    loom_put_le32(headers + 14, 40);
    loom_put_le32(headers + 18, (uint32_t)image->size[0]);
    loom_put_le32(headers + 22, (uint32_t)image->size[1]);
    loom_put_le16(headers + 26, 1);
    loom_put_le16(headers + 28, (uint16_t)(8 * image->components));
    loom_put_le32(headers + 34, data);
    loom_put_le32(headers + 38, pixels_a_metre(image->spacing[0]));
    loom_put_le32(headers + 42, pixels_a_metre(image->spacing[1]));
}

static void make_row(const loom_image_header *image, const uint8_t *from, uint8_t *row) {
    size_t components = image->components;
    for (size_t x = 0; x < image->size[0]; x++, from += components, row += components) {
        memcpy(row, from, components);
        if (components == 1) continue;
        row[0] = from[2];
        row[2] = from[0];
    }
}

static loom_status put_rows(const loom_writing *writing, size_t row_bytes, loom_error *err) {
    const loom_image_header *image = writing->header;
    const uint8_t *voxels = writing->voxels;
    size_t stride = (size_t)image->size[0] * image->components;
    uint8_t *row = calloc(1, row_bytes); /* what pads a row is zero */
    if (!row) return loom_fail(err, LOOM_NO_MEMORY, "no memory to write %s", writing->path);
    loom_status status = LOOM_OK;
    for (uint64_t y = image->size[1]; y-- > 0 && status == LOOM_OK;) {
        make_row(image, voxels + y * stride, row);
        status = loom_write_all(writing->fd, writing->path, row, row_bytes, err);
    }
    free(row);
    return status;
}

loom_status loom_bmp_write(const loom_writing *writing, loom_error *err) {
    LOOM_TRY(check(writing, err));
    const loom_image_header *image = writing->header;
    bool grey = image->components == 1;
    uint32_t row_bytes = ((uint32_t)image->size[0] * image->components + 3) / 4 * 4;
    if ((uint64_t)row_bytes * image->size[1] > INT32_MAX)
        return loom_fail(err, LOOM_TOO_LARGE, "%s: BMP files have at most 2 GiB; write .nii.gz", writing->path);
    uint8_t headers[HEADERS_BYTES], palette[GREY_PALETTE_BYTES] = {0};
    make_headers(image, HEADERS_BYTES + (grey ? GREY_PALETTE_BYTES : 0), row_bytes, headers);
    LOOM_TRY(loom_write_all(writing->fd, writing->path, headers, sizeof headers, err));
    for (size_t i = 0; i < GREY_PALETTE_BYTES; i++)
        palette[i] = (uint8_t)(i % 4 == 3 ? 0 : i / 4);
    if (grey) LOOM_TRY(loom_write_all(writing->fd, writing->path, palette, sizeof palette, err));
    return put_rows(writing, row_bytes, err);
}
