/* shape.c - images made from a grid alone: border, x, y, z, constant. One pass, no scratch memory. */
#include <string.h>

#include "runtime/kernels/arguments.h"
#include "runtime/kernels/domain.h"
#include "runtime/kernels/kernels.h"

loom_status loom_run_border(loom_call *call) {
    loom_image_header header = {0};
    void *voxels = NULL;
    LOOM_TRY(loom_arg_domain(call, 0, &header));
    LOOM_TRY(loom_result_image(call, &header, LOOM_BOOL8, 1, &voxels));
    const uint64_t *size = header.size;
    uint8_t *row = voxels;
    for (uint64_t t = 0; t < size[3]; t++)
        for (uint64_t z = 0; z < size[2]; z++)
            for (uint64_t y = 0; y < size[1]; y++, row += size[0]) {
                /* Axes beyond the rank have size 1 and do not count; an axis of size 1 within it makes all border. */
                bool edge = y == 0 || y + 1 == size[1] || (header.rank > 2 && (z == 0 || z + 1 == size[2])) ||
                            (header.rank > 3 && (t == 0 || t + 1 == size[3]));
                if (edge) {
                    memset(row, 1, size[0]);
                } else {
                    row[0] = 1;
                    row[size[0] - 1] = 1;
                }
            }
    return LOOM_OK;
}

/* The index along one axis as float32, at every voxel. */
static loom_status coordinate(loom_call *call, unsigned axis) {
    loom_image_header header = {0};
    void *voxels = NULL;
    LOOM_TRY(loom_arg_domain(call, 0, &header));
    LOOM_TRY(loom_result_image(call, &header, LOOM_F32, 1, &voxels));
    uint64_t stride = 1, total = loom_image_voxels(&header);
    for (unsigned d = 0; d < axis; d++)
        stride *= header.size[d];
    float *out = voxels;
    for (uint64_t first = 0; first < total; first += stride * header.size[axis])
        for (uint64_t index = 0; index < header.size[axis]; index++)
            for (uint64_t k = 0; k < stride; k++)
                *out++ = (float)index;
    return LOOM_OK;
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

loom_status loom_run_constant(loom_call *call) {
    double number = 0;
    loom_image_header header = {0};
    void *voxels = NULL;
    LOOM_TRY(loom_arg_number(call, 0, &number));
    LOOM_TRY(loom_arg_domain(call, 1, &header));
    LOOM_TRY(loom_result_image(call, &header, LOOM_F32, 1, &voxels));
    float *out = voxels, value = (float)number;
    uint64_t total = loom_image_voxels(&header);
    for (uint64_t k = 0; k < total; k++)
        out[k] = value;
    return LOOM_OK;
}
