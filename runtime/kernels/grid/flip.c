/* flip.c - simpleitk.Flip: the image mirrored along axes. Row copies in parts, no scratch memory. The voxels stay where
 * they are in space: origin and direction change (itkFlipImageFilter.h); flipped about the origin, the direction stays
 * and the origin changes its sign. */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/grid/axes.h"
#include "runtime/kernels/kernels.h"

typedef struct flips {
    bool axis[LOOM_RANK_MAX];
} flips;

#define REVERSE(type_)                                                                                                 \
    static void reverse_##type_(const void *source, void *target, uint64_t count) {                                    \
        const type_ *in = source;                                                                                      \
        type_ *out = target;                                                                                           \
        for (uint64_t k = 0; k < count; k++)                                                                           \
            out[k] = in[count - 1 - k];                                                                                \
    }
REVERSE(uint8_t)
REVERSE(uint16_t)
REVERSE(uint32_t)
REVERSE(uint64_t)

/* Vectors move byte by byte: what is aligned for a component need not be so for all of them. */
static void reverse_row(const loom_image_header *header, const uint8_t *in, uint8_t *out) {
    const size_t bytes = loom_dtype_bytes(header->dtype), voxel_bytes = bytes * header->components;
    const uint64_t count = header->size[0];
    if (voxel_bytes > bytes)
        for (uint64_t k = 0; k < count; k++)
            memcpy(out + k * voxel_bytes, in + (count - 1 - k) * voxel_bytes, voxel_bytes);
    else if (bytes == 1)
        reverse_uint8_t(in, out, count);
    else if (bytes == 2)
        reverse_uint16_t(in, out, count);
    else if (bytes == 4)
        reverse_uint32_t(in, out, count);
    else
        reverse_uint64_t(in, out, count);
}

/* Some rows of the result. */
static loom_status flip_part(loom_part *part) {
    const loom_value *image = NULL;
    const flips *what = part->state;
    LOOM_TRY(loom_arg_any_image(part->call, 0, &image));
    const loom_image_header *header = image->image.header;
    const uint64_t row_bytes = loom_dtype_bytes(header->dtype) * header->components * header->size[0];
    for (uint64_t number = part->first; number < part->first + part->count; number++) {
        loom_row at = loom_row_of(header->size, number);
        for (unsigned d = 1; d < LOOM_RANK_MAX; d++)
            if (what->axis[d]) at.at[d] = header->size[d] - 1 - at.at[d];
        const uint8_t *in = (const uint8_t *)image->image.voxels + loom_row_number(header->size, at) * row_bytes;
        uint8_t *out = (uint8_t *)part->voxels + number * row_bytes;
        if (what->axis[0])
            reverse_row(header, in, out);
        else
            memcpy(out, in, row_bytes);
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {flip_part};
const loom_loops loom_loops_flip = {.run = loops, .count = 1};

static void flip_header(loom_image_header *header, const flips *what, bool about_origin) {
    double index[LOOM_RANK_MAX] = {0};
    for (unsigned d = 0; d < header->rank; d++)
        if (what->axis[d]) index[d] = (double)(header->size[d] - 1);
    loom_move_origin(header, index);
    for (unsigned d = 0; d < header->rank; d++) {
        if (!what->axis[d]) continue;
        if (about_origin) header->origin[d] = 0.0 - header->origin[d];
        for (unsigned row = 0; row < header->rank && !about_origin; row++)
            header->direction[row * LOOM_RANK_MAX + d] = 0.0 - header->direction[row * LOOM_RANK_MAX + d];
    }
}

loom_status loom_run_sitk_flip(loom_call *call) {
    const loom_value *image = NULL;
    flips what = {0};
    bool about_origin = false;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    loom_image_header header = *image->image.header;
    if (call->argument_count > 1) LOOM_TRY(loom_arg_axis_flags(call, 1, header.rank, what.axis));
    if (call->argument_count > 2) LOOM_TRY(loom_arg_truth(call, 2, &about_origin));
    flip_header(&header, &what, about_origin);
    LOOM_TRY(call->services->new_image(call, &header, &voxels));
    return loom_run_parts(call, 0, loom_image_voxels(&header) / header.size[0], LOOM_PART_VALUES / header.size[0],
                          &what, sizeof what);
}
