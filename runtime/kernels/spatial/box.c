/* box.c - dilation and erosion by the box: see box.h. */
#include "runtime/kernels/spatial/box.h"

#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"

loom_status loom_box_open(loom_call *call, const loom_value *image, loom_box_kind kind, loom_box *box) {
    const loom_image_header *header = image->image.header;
    *box = (loom_box){.image = image,
                      .kind = kind,
                      .width = header->size[0],
                      .height = header->size[1],
                      .slice_voxels = header->size[0] * header->size[1],
                      .slices = header->size[2] * header->size[3],
                      .depth = header->size[2],
                      .cache_size = header->rank == 2   ? 1
                                    : header->rank == 3 ? 3
                                                        : 9};
    memset(box->held, 0xff, sizeof box->held);
    void *memory = NULL;
    LOOM_TRY(loom_scratch(call, box->width, 1, &memory));
    box->line = memory;
    LOOM_TRY(loom_scratch(call, box->slice_voxels, 1, &memory));
    box->plane = memory;
    LOOM_TRY(loom_scratch(call, box->slice_voxels, box->cache_size, &memory));
    box->cache = memory;
    return LOOM_OK;
}

uint64_t loom_box_scratch(const loom_image_header *header) {
    uint64_t slices = header->rank == 3 ? 4 : 10;
    if (loom_box_by_rows(header)) return 4 * header->size[0];
    return header->size[0] + slices * header->size[0] * header->size[1];
}

loom_status loom_box_open_rows(loom_call *call, const loom_value *image, loom_box_kind kind, loom_box *box) {
    const loom_image_header *header = image->image.header;
    *box = (loom_box){.image = image,
                      .kind = kind,
                      .width = header->size[0],
                      .height = header->size[1],
                      .slice_voxels = header->size[0],
                      .slices = 1,
                      .depth = 1,
                      .cache_size = 3};
    memset(box->held, 0xff, sizeof box->held);
    void *memory = NULL;
    LOOM_TRY(loom_scratch(call, box->width, 4, &memory));
    box->line = memory;
    box->cache = box->line + box->width;
    return LOOM_OK;
}

loom_status loom_box_of_part(loom_part *part, const loom_value *image, loom_box_kind kind, loom_box **box) {
    void *memory = *part->local;
    if (memory == NULL) {
        LOOM_TRY(loom_scratch(part->call, 1, sizeof **box, &memory));
        bool rows = loom_box_by_rows(image->image.header);
        LOOM_TRY((rows ? loom_box_open_rows : loom_box_open)(part->call, image, kind, memory));
        *part->local = memory;
    }
    *box = memory;
    (*box)->image = image; /* as this part has found it */
    return LOOM_OK;
}

uint64_t loom_slices_a_part(const loom_image_header *header) {
    uint64_t voxels = header->size[0] * header->size[1];
    return voxels < LOOM_PART_VALUES ? LOOM_PART_VALUES / voxels : 1;
}

uint64_t loom_rows_a_part(const loom_image_header *header) {
    return header->size[0] < LOOM_PART_VALUES ? LOOM_PART_VALUES / header->size[0] : 1;
}

/* What is to be dilated: the set, or for erosion its complement. */
static void read_row(const loom_box *box, uint64_t first, uint8_t *row) {
    for (uint64_t x = 0; x < box->width; x += LOOM_CHUNK) {
        uint8_t buffer[LOOM_CHUNK];
        size_t count = box->width - x < LOOM_CHUNK ? (size_t)(box->width - x) : LOOM_CHUNK;
        const uint8_t *in = loom_as_u8(box->image, first + x, count, buffer);
        if (box->kind == LOOM_DILATE_ONES)
            for (size_t k = 0; k < count; k++)
                row[x + k] = in[k] == 1;
        else if (box->kind == LOOM_ERODE_ONES)
            for (size_t k = 0; k < count; k++)
                row[x + k] = in[k] != 1;
        else
            for (size_t k = 0; k < count; k++)
                row[x + k] = in[k] == 0;
    }
}

static LOOM_SIMD void widen_row(const uint8_t *row, uint8_t *out, uint64_t width) {
    if (width == 1) {
        out[0] = row[0];
        return;
    }
    out[0] = row[0] | row[1];
    for (uint64_t x = 1; x + 1 < width; x++)
        out[x] = row[x - 1] | row[x] | row[x + 1];
    out[width - 1] = row[width - 2] | row[width - 1];
}

static LOOM_SIMD void unite2(const uint8_t *restrict a, const uint8_t *restrict b, uint8_t *restrict out,
                             uint64_t count) {
    for (uint64_t k = 0; k < count; k++)
        out[k] = a[k] | b[k];
}

static LOOM_SIMD void unite3(const uint8_t *restrict a, const uint8_t *restrict b, const uint8_t *restrict c,
                             uint8_t *restrict out, uint64_t count) {
    for (uint64_t k = 0; k < count; k++)
        out[k] = a[k] | b[k] | c[k];
}

/* One slice widened along x and y, from the cache or computed into it. */
static const uint8_t *widened_slice(loom_box *box, uint64_t slice) {
    uint64_t z = slice % box->depth, t = slice / box->depth;
    uint64_t place = (z % 3 + 3 * (t % 3)) % box->cache_size;
    uint8_t *out = box->cache + place * box->slice_voxels;
    if (box->held[place] == slice) return out;
    box->held[place] = slice;
    const uint64_t width = box->width, height = box->height;
    uint8_t *plane = height == 1 ? out : box->plane;
    for (uint64_t y = 0; y < height; y++) {
        read_row(box, slice * box->slice_voxels + y * width, box->line);
        widen_row(box->line, plane + y * width, width);
    }
    if (height == 1) return out;
    unite2(plane, plane + width, out, width);
    for (uint64_t y = 1; y + 1 < height; y++)
        unite3(plane + (y - 1) * width, plane + y * width, plane + (y + 1) * width, out + y * width, width);
    unite2(plane + (height - 2) * width, plane + (height - 1) * width, out + (height - 1) * width, width);
    return out;
}

void loom_box_slice(loom_box *box, uint64_t slice, uint8_t *out) {
    uint64_t z = slice % box->depth, t = slice / box->depth, times = box->slices / box->depth;
    const uint8_t *near[9] = {NULL};
    unsigned count = 0;
    for (uint64_t nt = t > 0 ? t - 1 : t; nt <= t + 1 && nt < times; nt++)
        for (uint64_t nz = z > 0 ? z - 1 : z; nz <= z + 1 && nz < box->depth; nz++)
            near[count++] = widened_slice(box, nt * box->depth + nz);
    if (count == 1)
        memcpy(out, near[0], box->slice_voxels);
    else if (count == 2)
        unite2(near[0], near[1], out, box->slice_voxels);
    else
        unite3(near[0], near[1], near[2], out, box->slice_voxels);
    for (unsigned k = 3; k < count; k++)
        for (uint64_t i = 0; i < box->slice_voxels; i++)
            out[i] |= near[k][i];
    if (box->kind == LOOM_DILATE_ONES) return;
    for (uint64_t i = 0; i < box->slice_voxels; i++)
        out[i] ^= 1;
}

static const uint8_t *widened_row(loom_box *box, uint64_t row) {
    uint8_t *out = box->cache + row % 3 * box->width;
    if (box->held[row % 3] == row) return out;
    box->held[row % 3] = row;
    read_row(box, row * box->width, box->line);
    widen_row(box->line, out, box->width);
    return out;
}

void loom_box_row(loom_box *box, uint64_t row, uint8_t *out) {
    const uint8_t *own = widened_row(box, row), *before = row > 0 ? widened_row(box, row - 1) : own;
    const uint8_t *after = row + 1 < box->height ? widened_row(box, row + 1) : own;
    uint8_t flip = box->kind != LOOM_DILATE_ONES;
    for (uint64_t x = 0; x < box->width; x++)
        out[x] = (uint8_t)((before[x] | own[x] | after[x]) ^ flip);
}
