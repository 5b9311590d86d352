/* pad.c - simpleitk.ConstantPad: the image with margins of one value. Row copies in parts, no scratch memory. The first
 * voxel of the result is where the margin begins (itkPadImageFilter.h). */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/grid/axes.h"
#include "runtime/kernels/kernels.h"

typedef struct margins {
    uint64_t size[LOOM_RANK_MAX], lower[LOOM_RANK_MAX]; /* of the result; voxels before the image's first */
    loom_pixel constant;
} margins;

static void fill(uint8_t *out, const loom_pixel *pixel, size_t bytes, uint64_t count) {
    for (uint64_t k = 0; k < count; k++)
        memcpy(out + k * bytes, pixel, bytes);
}

/* False for a row that is all margin. */
static bool row_within(const margins *what, const loom_image_header *from, loom_row *at) {
    for (unsigned d = 1; d < LOOM_RANK_MAX; d++) {
        if (at->at[d] < what->lower[d] || at->at[d] - what->lower[d] >= from->size[d]) return false;
        at->at[d] -= what->lower[d];
    }
    return true;
}

/* Some rows of the result. */
static loom_status pad_part(loom_part *part) {
    const loom_value *image = NULL;
    const margins *what = part->state;
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    const loom_image_header *from = image->image.header;
    const size_t bytes = loom_dtype_bytes(from->dtype);
    uint8_t *out = (uint8_t *)part->voxels + part->first * what->size[0] * bytes;
    for (uint64_t number = part->first; number < part->first + part->count; number++, out += what->size[0] * bytes) {
        loom_row at = loom_row_of(what->size, number);
        if (!row_within(what, from, &at)) {
            fill(out, &what->constant, bytes, what->size[0]);
            continue;
        }
        const uint64_t before = what->lower[0], within = from->size[0];
        fill(out, &what->constant, bytes, before);
        memcpy(out + before * bytes, loom_values_at(image, loom_row_number(from->size, at) * within), within * bytes);
        fill(out + (before + within) * bytes, &what->constant, bytes, what->size[0] - before - within);
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {pad_part};
const loom_loops loom_loops_pad = {.run = loops, .count = 1};

loom_status loom_run_sitk_constant_pad(loom_call *call) {
    const loom_value *image = NULL;
    uint64_t upper[LOOM_RANK_MAX] = {0};
    margins what = {0};
    double constant = 0, index[LOOM_RANK_MAX] = {0};
    void *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    loom_image_header header = *image->image.header;
    if (call->argument_count > 1) LOOM_TRY(loom_arg_axes(call, 1, header.rank, what.lower));
    if (call->argument_count > 2) LOOM_TRY(loom_arg_axes(call, 2, header.rank, upper));
    if (call->argument_count > 3) LOOM_TRY(loom_arg_number(call, 3, &constant));
    what.constant = loom_pixel_from_double(header.dtype, constant);
    /* What is put into a boolean image may be no truth value. */
    if (header.dtype == LOOM_BOOL8 && what.constant.as_uint8_t > 1) header.dtype = LOOM_U8;
    for (unsigned d = 0; d < header.rank; d++) {
        if (__builtin_add_overflow(header.size[d], what.lower[d], &header.size[d]) ||
            __builtin_add_overflow(header.size[d], upper[d], &header.size[d]))
            return loom_fail(call->err, LOOM_TOO_LARGE, "`%s` got margins beyond 64 bits on axis %u; make them smaller",
                             call->op->name, d + 1);
        index[d] = -(double)what.lower[d];
    }
    loom_move_origin(&header, index);
    memcpy(what.size, header.size, sizeof what.size);
    LOOM_TRY(call->services->new_image(call, &header, &voxels));
    return loom_run_parts(call, 0, loom_image_voxels(&header) / header.size[0], LOOM_PART_VALUES / header.size[0],
                          &what, sizeof what);
}
