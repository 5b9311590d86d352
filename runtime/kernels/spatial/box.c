/* box.c - dilation and erosion by the box: see box.h. */
#include "runtime/kernels/spatial/box.h"

#include <math.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"

#define STRIP_BYTES 8192u /* with what it is made from, within the first-level cache */

static bool has_bytes(const loom_image_header *header) {
    return loom_dtype_bytes(header->dtype) == 1;
}

static uint64_t strip_of(const loom_image_header *header) {
    uint64_t rows = header->size[0] < STRIP_BYTES ? STRIP_BYTES / header->size[0] : 1;
    return rows < header->size[1] ? rows : header->size[1];
}

loom_status loom_box_open(loom_call *call, const loom_value *image, loom_box_kind kind, loom_box *box) {
    const loom_image_header *header = image->image.header;
    void *memory = NULL;
    *box = (loom_box){.image = image,
                      .kind = kind,
                      .width = header->size[0],
                      .height = header->size[1],
                      .depth = header->size[2],
                      .times = header->size[3]};
    box->strip = strip_of(header);
    LOOM_TRY(loom_scratch(call, loom_box_scratch(header), 1, &memory));
    box->across = memory;
    box->line = box->across + (box->strip + 2) * box->width;
    box->bytes = has_bytes(header) ? NULL : box->line + box->strip * box->width + 2;
    return LOOM_OK;
}

uint64_t loom_box_scratch(const loom_image_header *header) {
    uint64_t strip = strip_of(header), rows = strip + 2 + strip + (has_bytes(header) ? 0 : 3 * (strip + 2));
    return header->size[0] * rows + 2;
}

loom_status loom_box_of_part(loom_part *part, const loom_value *image, loom_box_kind kind, loom_box **box) {
    void *memory = *part->local;
    if (memory == NULL) {
        LOOM_TRY(loom_scratch(part->call, 1, sizeof **box, &memory));
        LOOM_TRY(loom_box_open(part->call, image, kind, memory));
        *part->local = memory;
    }
    *box = memory;
    (*box)->image = image; /* as this part has found it */
    return LOOM_OK;
}

loom_box_blocks loom_box_cut(const loom_image_header *header) {
    const uint64_t width = header->size[0], height = header->size[1], slices = header->size[2] * header->size[3];
    uint64_t rows = width < LOOM_PART_VALUES ? LOOM_PART_VALUES / width : 1;
    if (slices > 1) rows = (uint64_t)sqrt((double)rows);
    if (rows > height) rows = height;
    uint64_t grain = rows * width < LOOM_PART_VALUES ? LOOM_PART_VALUES / (rows * width) : 1;
    return (loom_box_blocks){.rows = rows,
                             .slices = slices,
                             .units = slices * ((height + rows - 1) / rows),
                             .grain = slices > 1 ? grain : 1};
}

uint64_t loom_rows_a_part(const loom_image_header *header) {
    return header->size[0] < LOOM_PART_VALUES ? LOOM_PART_VALUES / header->size[0] : 1;
}

uint64_t loom_slices_a_part(const loom_image_header *header) {
    uint64_t voxels = header->size[0] * header->size[1];
    return voxels < LOOM_PART_VALUES ? LOOM_PART_VALUES / voxels : 1;
}

/* ---- rows ---- */

/* Three rows into one: IN of each byte, joined. */
#define DEFINE_JOIN(name_, IN, operator_)                                                                              \
    static LOOM_SIMD void name_(const uint8_t *restrict a, const uint8_t *restrict b, const uint8_t *restrict c,       \
                                uint8_t *restrict out, uint64_t count) {                                               \
        for (uint64_t k = 0; k < count; k++)                                                                           \
            out[k] = (uint8_t)(IN(a[k]) operator_ IN(b[k]) operator_ IN(c[k]));                                        \
    }
#define AS_IT_IS(byte_) (byte_)
#define IS_ONE(byte_) ((byte_) == 1)
#define IS_TRUE(byte_) ((byte_) != 0)
DEFINE_JOIN(unite, AS_IT_IS, |)
DEFINE_JOIN(unite_ones, IS_ONE, |)
DEFINE_JOIN(intersect, AS_IT_IS, &)
DEFINE_JOIN(intersect_ones, IS_ONE, &)
DEFINE_JOIN(intersect_true, IS_TRUE, &)

/* Rows of a slice as bytes: `count` voxels. */
static const uint8_t *bytes_of(const loom_box *box, uint64_t slice, uint64_t row, uint64_t count, unsigned place) {
    uint8_t *buffer = box->bytes == NULL ? NULL : box->bytes + place * (box->strip + 2) * box->width;
    return loom_as_u8(box->image, (slice * box->height + row) * box->width, count, buffer);
}

/* Rows and their neighbours in z. */
static void join_z(const loom_box *box, uint64_t slice, uint64_t row, uint64_t count, uint8_t *out) {
    const uint64_t z = slice % box->depth;
    const bool boolean = box->image->image.header->dtype == LOOM_BOOL8;
    const uint8_t *own = bytes_of(box, slice, row, count, 0), *before = own, *after = own;
    if (z > 0) before = bytes_of(box, slice - 1, row, count, 1);
    if (z + 1 < box->depth) after = bytes_of(box, slice + 1, row, count, 2);
    if (box->kind == LOOM_DILATE_ONES)
        (boolean ? unite : unite_ones)(before, own, after, out, count);
    else if (boolean)
        intersect(before, own, after, out, count);
    else
        (box->kind == LOOM_ERODE_ONES ? intersect_ones : intersect_true)(before, own, after, out, count);
}

/* Of bytes that are 0 or 1 already. */
static void join(const loom_box *box, const uint8_t *a, const uint8_t *b, const uint8_t *c, uint8_t *out,
                 uint64_t count) {
    (box->kind == LOOM_DILATE_ONES ? unite : intersect)(a, b, c, out, count);
}

/* Rows and their neighbours in z and t. */
static void join_slices(const loom_box *box, uint64_t slice, uint64_t row, uint64_t count, uint8_t *out) {
    const uint64_t t = slice / box->depth;
    join_z(box, slice, row, count, out);
    if (box->times == 1) return;
    for (uint64_t voxel = 0; voxel < count; voxel += box->width, row++)
        for (unsigned side = 0; side < 2; side++) {
            if (side == 0 ? t == 0 : t + 1 == box->times) continue;
            join_z(box, side == 0 ? slice - box->depth : slice + box->depth, row, box->width, box->line);
            for (uint64_t x = 0; x < box->width; x++)
                out[voxel + x] =
                    box->kind == LOOM_DILATE_ONES ? out[voxel + x] | box->line[x] : out[voxel + x] & box->line[x];
        }
}

/* The rows of `across` (the first is row `first` of the slice) along y. */
static void join_y(const loom_box *box, uint64_t first, uint64_t row, uint64_t rows, uint8_t *out) {
    const uint64_t width = box->width;
    const uint8_t *own = box->across + (row - first) * width;
    if (row == 0) { /* nothing before it */
        join(box, own, own, box->height > 1 ? own + width : own, out, width);
        if (rows == 1) return;
        join_y(box, first, 1, rows - 1, out + width);
        return;
    }
    const uint64_t inner = row + rows == box->height ? rows - 1 : rows;
    join(box, own - width, own, own + width, out, inner * width);
    if (inner == rows) return;
    own += inner * width; /* nothing after it */
    join(box, own - width, own, own, out + inner * width, width);
}

/* `line` along x: across the ends of rows too, which are then put right. */
static void join_x(const loom_box *box, uint64_t rows, uint8_t *out) {
    const uint64_t width = box->width;
    const bool dilate = box->kind == LOOM_DILATE_ONES;
    const uint8_t *line = box->line + 1;
    join(box, line - 1, line, line + 1, out, rows * width);
    for (uint64_t y = 0; y < rows; y++, line += width, out += width) {
        const uint8_t *last = line + width - 1;
        const bool single = width == 1;
        const uint8_t second = single ? *line : line[1], before = single ? *line : last[-1];
        out[0] = dilate ? *line | second : *line & second;
        out[width - 1] = dilate ? *last | before : *last & before;
    }
}

static void do_strip(loom_box *box, uint64_t slice, uint64_t row, uint64_t rows, uint8_t *out) {
    const uint64_t first = row > 0 ? row - 1 : 0, end = row + rows < box->height ? row + rows + 1 : box->height;
    join_slices(box, slice, first, (end - first) * box->width, box->across);
    box->line[0] = box->line[rows * box->width + 1] = 0; /* read, but not used */
    join_y(box, first, row, rows, box->line + 1);
    join_x(box, rows, out);
}

void loom_box_rows(loom_box *box, uint64_t slice, uint64_t row, uint64_t rows, uint8_t *out) {
    for (uint64_t done = 0; done < rows; done += box->strip) {
        uint64_t some = rows - done < box->strip ? rows - done : box->strip;
        do_strip(box, slice, row + done, some, out + done * box->width);
    }
}
