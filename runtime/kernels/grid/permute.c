/* permute.c - simpleitk.PermuteAxes: the image with its axes in another order. In parts, no scratch memory. Axis d of
 * the result is axis order[d] of the image; the origin stays (itkPermuteAxesImageFilter.h).
 *
 * Where rows stay rows they are copied; else tiles of EDGE x EDGE voxels along the result's first axis and the one that
 * was first are transposed, so that both images are read and written in whole cache lines. */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/grid/axes.h"
#include "runtime/kernels/kernels.h"

enum { EDGE = 32 };

typedef struct permutation {
    uint64_t size[LOOM_RANK_MAX];   /* of the result */
    uint64_t stride[LOOM_RANK_MAX]; /* voxels of the image between neighbours along the result's axis */
    unsigned inner;                 /* the axis of the result along which the image's rows lie */
} permutation;

#define TRANSPOSE(type_)                                                                                               \
    static void transpose_##type_(const void *source, uint64_t in_stride, void *target, uint64_t out_stride,           \
                                  uint64_t width, uint64_t height) {                                                   \
        const type_ *in = source;                                                                                      \
        type_ *out = target;                                                                                           \
        for (uint64_t j = 0; j < height; j++)                                                                          \
            for (uint64_t i = 0; i < width; i++)                                                                       \
                out[j * out_stride + i] = in[i * in_stride + j];                                                       \
    }
TRANSPOSE(uint8_t)
TRANSPOSE(uint16_t)
TRANSPOSE(uint32_t)
TRANSPOSE(uint64_t)

/* A tile: `width` voxels along the result's rows, `height` along the image's. Vectors move byte by byte. */
static void transpose(const loom_image_header *header, const uint8_t *in, uint64_t in_stride, uint8_t *out,
                      uint64_t out_stride, uint64_t width, uint64_t height) {
    const size_t bytes = loom_dtype_bytes(header->dtype), voxel_bytes = bytes * header->components;
    if (voxel_bytes > bytes)
        for (uint64_t j = 0; j < height; j++)
            for (uint64_t i = 0; i < width; i++)
                memcpy(out + (j * out_stride + i) * voxel_bytes, in + (i * in_stride + j) * voxel_bytes, voxel_bytes);
    else if (bytes == 1)
        transpose_uint8_t(in, in_stride, out, out_stride, width, height);
    else if (bytes == 2)
        transpose_uint16_t(in, in_stride, out, out_stride, width, height);
    else if (bytes == 4)
        transpose_uint32_t(in, in_stride, out, out_stride, width, height);
    else
        transpose_uint64_t(in, in_stride, out, out_stride, width, height);
}

/* Voxel of the image, and of the result, where the result's index is `at`. */
static uint64_t image_offset(const permutation *what, const uint64_t at[LOOM_RANK_MAX]) {
    uint64_t offset = 0;
    for (unsigned d = 0; d < LOOM_RANK_MAX; d++)
        offset += at[d] * what->stride[d];
    return offset;
}
static uint64_t result_offset(const permutation *what, const uint64_t at[LOOM_RANK_MAX]) {
    return ((at[3] * what->size[2] + at[2]) * what->size[1] + at[1]) * what->size[0] + at[0];
}

/* Rows of the result; those along the inner axis are taken EDGE at a time. */
static void permute_rows(const permutation *what, const loom_value *image, uint8_t *voxels, uint64_t at[LOOM_RANK_MAX],
                         uint64_t rows) {
    const loom_image_header *header = image->image.header;
    const size_t voxel_bytes = loom_dtype_bytes(header->dtype) * header->components;
    const uint8_t *in = image->image.voxels;
    if (what->inner == 0) {
        memcpy(voxels + result_offset(what, at) * voxel_bytes, in + image_offset(what, at) * voxel_bytes,
               what->size[0] * voxel_bytes);
        return;
    }
    uint64_t out_stride = 1;
    for (unsigned d = 0; d < what->inner; d++)
        out_stride *= what->size[d];
    for (at[0] = 0; at[0] < what->size[0]; at[0] += EDGE) {
        const uint64_t left = what->size[0] - at[0], width = left < EDGE ? left : EDGE;
        transpose(header, in + image_offset(what, at) * voxel_bytes, what->stride[0],
                  voxels + result_offset(what, at) * voxel_bytes, out_stride, width, rows);
    }
}

/* How many rows are taken together, and how many such bands lie along each axis of the result but the first. */
static uint64_t bands_of(const permutation *what, uint64_t bands[LOOM_RANK_MAX]) {
    uint64_t count = 1;
    for (unsigned d = 1; d < LOOM_RANK_MAX; d++) {
        bands[d] = d == what->inner ? (what->size[d] + EDGE - 1) / EDGE : what->size[d];
        count *= bands[d];
    }
    return count;
}

/* Some bands. */
static loom_status permute_part(loom_part *part) {
    const loom_value *image = NULL;
    const permutation *what = part->state;
    uint64_t bands[LOOM_RANK_MAX] = {1};
    LOOM_TRY(loom_arg_any_image(part->call, 0, &image));
    (void)bands_of(what, bands);
    for (uint64_t number = part->first; number < part->first + part->count; number++) {
        uint64_t at[LOOM_RANK_MAX] = {0}, rest = number, rows = 1;
        for (unsigned d = 1; d < LOOM_RANK_MAX; rest /= bands[d], d++) {
            at[d] = rest % bands[d];
            if (d != what->inner) continue;
            at[d] *= EDGE;
            rows = what->size[d] - at[d] < EDGE ? what->size[d] - at[d] : EDGE;
        }
        permute_rows(what, image, part->voxels, at, rows);
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {permute_part};
const loom_loops loom_loops_permute = {.run = loops, .count = 1};

static loom_status read_order(loom_call *call, unsigned rank, uint64_t order[LOOM_RANK_MAX]) {
    bool seen[LOOM_RANK_MAX] = {false};
    for (unsigned d = 0; d < LOOM_RANK_MAX; d++)
        order[d] = d;
    if (call->argument_count > 1) LOOM_TRY(loom_arg_axes(call, 1, rank, order));
    for (unsigned d = 0; d < rank; d++) {
        if (order[d] >= rank || seen[order[d]])
            return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                             "argument 2 of `%s` is no order of %u axes; name each of 0 to %u once", call->op->name,
                             rank, rank - 1);
        seen[order[d]] = true;
    }
    return LOOM_OK;
}

loom_status loom_run_sitk_permute_axes(loom_call *call) {
    const loom_value *image = NULL;
    uint64_t order[LOOM_RANK_MAX], bands[LOOM_RANK_MAX];
    permutation what = {0};
    void *voxels = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    const loom_image_header *from = image->image.header;
    LOOM_TRY(read_order(call, from->rank, order));
    loom_image_header header = *from;
    for (unsigned d = 0; d < LOOM_RANK_MAX; d++) {
        what.stride[d] = 1;
        for (unsigned below = 0; below < order[d]; below++)
            what.stride[d] *= from->size[below];
        what.size[d] = header.size[d] = from->size[order[d]];
        if (order[d] == 0) what.inner = d;
        header.spacing[d] = from->spacing[order[d]];
        for (unsigned row = 0; row < LOOM_RANK_MAX; row++)
            header.direction[row * LOOM_RANK_MAX + d] = from->direction[row * LOOM_RANK_MAX + order[d]];
    }
    LOOM_TRY(call->services->new_image(call, &header, &voxels));
    const uint64_t count = bands_of(&what, bands), band = loom_image_voxels(&header) / count;
    return loom_run_parts(call, 0, count, LOOM_PART_VALUES / band, &what, sizeof what);
}
