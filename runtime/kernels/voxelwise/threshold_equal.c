/* threshold_equal.c - arrays.threshold_equal: one value where a voxel equals a number, another elsewhere. 8-bit, as
 * SimpleITK's Equal gives it. One pass in parts, no scratch memory. */
#include <math.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/statistics/array.h"

typedef struct choice {
    double number;
    uint8_t equal, other;
} choice;

/* Some voxels. */
static loom_status choose_part(loom_part *part) {
    const choice *of = part->state;
    loom_array array;
    uint8_t *out = (uint8_t *)part->voxels + part->first;
    LOOM_TRY(loom_arg_array(part->call, 0, &array));
    loom_array_equal(&array, part->first, part->count, of->number, out);
    for (uint64_t k = 0; k < part->count; k++)
        out[k] = out[k] ? of->equal : of->other;
    return LOOM_OK;
}

static const loom_part_run loops[] = {choose_part};
const loom_loops loom_loops_threshold_equal = {.run = loops, .count = 1};

static loom_status byte_at(loom_call *call, uint32_t position, uint8_t *byte) {
    double number = 0;
    if (call->argument_count <= position) return LOOM_OK;
    LOOM_TRY(loom_arg_number(call, position, &number));
    if (!(number >= 0 && number <= 255 && trunc(number) == number))
        return loom_arg_refuse(call, position, "a whole number from 0 to 255");
    *byte = (uint8_t)number;
    return LOOM_OK;
}

loom_status loom_run_threshold_equal(loom_call *call) {
    const loom_value *image = NULL;
    choice of = {.equal = 1, .other = 0};
    void *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    LOOM_TRY(loom_arg_number(call, 1, &of.number));
    LOOM_TRY(byte_at(call, 2, &of.equal));
    LOOM_TRY(byte_at(call, 3, &of.other));
    const loom_image_header *header = image->image.header;
    LOOM_TRY(loom_result_image(call, header, LOOM_U8, 1, &voxels));
    return loom_run_parts(call, 0, loom_image_voxels(header), LOOM_PART_VALUES, &of, sizeof of);
}
