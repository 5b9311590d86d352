/* shape.c - images made from a grid alone: border, x, y, z, constant. One pass in parts, no scratch memory. */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/domain.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/kernels.h"

enum { BORDER_LOOP, COORDINATE_LOOP, CONSTANT_LOOP };

/* What the parts must know of the grid. */
typedef struct grid {
    uint64_t size[LOOM_RANK_MAX];
    unsigned rank;
} grid;

/* Axes beyond the rank have size 1 and do not count; an axis of size 1 within it makes all border. */
static bool is_edge(const grid *on, uint64_t row) {
    uint64_t y = row % on->size[1], z = row / on->size[1] % on->size[2], t = row / on->size[1] / on->size[2];
    return y == 0 || y + 1 == on->size[1] || (on->rank > 2 && (z == 0 || z + 1 == on->size[2])) ||
           (on->rank > 3 && (t == 0 || t + 1 == on->size[3]));
}

/* Some rows. */
static loom_status border_part(loom_part *part) {
    const grid *on = part->state;
    uint8_t *row = (uint8_t *)part->voxels + part->first * on->size[0];
    for (uint64_t number = part->first; number < part->first + part->count; number++, row += on->size[0]) {
        if (is_edge(on, number)) memset(row, 1, on->size[0]);
        row[0] = 1;
        row[on->size[0] - 1] = 1;
    }
    return LOOM_OK;
}

loom_status loom_run_border(loom_call *call) {
    loom_image_header header = {0};
    void *voxels = NULL;
    LOOM_TRY(loom_arg_domain(call, 0, &header));
    LOOM_TRY(loom_result_image(call, &header, LOOM_BOOL8, 1, &voxels));
    grid on = {.rank = header.rank};
    memcpy(on.size, header.size, sizeof on.size);
    return loom_run_parts(call, BORDER_LOOP, loom_image_voxels(&header) / header.size[0],
                          LOOM_PART_VALUES / header.size[0], &on, sizeof on);
}

/* An axis: its indexes are `stride` voxels apart. */
typedef struct axis {
    uint64_t stride, size;
} axis;

/* Some voxels. */
static loom_status coordinate_part(loom_part *part) {
    const axis *along = part->state;
    float *out = (float *)part->voxels;
    for (uint64_t k = part->first, end = part->first + part->count; k < end;) {
        uint64_t index = k / along->stride % along->size, left = along->stride - k % along->stride;
        for (uint64_t stop = left < end - k ? k + left : end; k < stop; k++)
            out[k] = (float)index;
    }
    return LOOM_OK;
}

/* The index along one axis as float32, at every voxel. */
static loom_status coordinate(loom_call *call, unsigned number) {
    loom_image_header header = {0};
    void *voxels = NULL;
    LOOM_TRY(loom_arg_domain(call, 0, &header));
    LOOM_TRY(loom_result_image(call, &header, LOOM_F32, 1, &voxels));
    axis along = {.stride = 1, .size = header.size[number]};
    for (unsigned d = 0; d < number; d++)
        along.stride *= header.size[d];
    return loom_run_parts(call, COORDINATE_LOOP, loom_image_voxels(&header), LOOM_PART_VALUES, &along, sizeof along);
}

loom_status loom_run_x(loom_call *call) {
    return coordinate(call, 0);
}
loom_status loom_run_y(loom_call *call) {
    return coordinate(call, 1);
}
loom_status loom_run_z(loom_call *call) {
    return coordinate(call, 2);
}

static loom_status constant_part(loom_part *part) {
    float *out = (float *)part->voxels + part->first, value = *(const float *)part->state;
    for (uint64_t k = 0; k < part->count; k++)
        out[k] = value;
    return LOOM_OK;
}

loom_status loom_run_constant(loom_call *call) {
    double number = 0;
    loom_image_header header = {0};
    void *voxels = NULL;
    LOOM_TRY(loom_arg_number(call, 0, &number));
    LOOM_TRY(loom_arg_domain(call, 1, &header));
    LOOM_TRY(loom_result_image(call, &header, LOOM_F32, 1, &voxels));
    float value = (float)number;
    return loom_run_parts(call, CONSTANT_LOOP, loom_image_voxels(&header), LOOM_PART_VALUES, &value, sizeof value);
}

static const loom_part_run loops[] = {
    [BORDER_LOOP] = border_part, [COORDINATE_LOOP] = coordinate_part, [CONSTANT_LOOP] = constant_part};
const loom_loops loom_loops_shape = {.run = loops, .count = 3};
