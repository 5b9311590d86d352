/* morphology.c - near (dilation) and interior (erosion) by the 3x3x3 box, as ITK's BinaryDilate and BinaryErode with
 * foreground 1: see box.h for the algorithm. Voxels that are neither covered nor foreground keep their value. */
#include <string.h>

#include "runtime/kernels/arguments.h"
#include "runtime/kernels/box.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/voxels.h"

/* Scratch: 3, 4 or 10 slices of bytes (2D, 3D, 4D), see loom_box_open. */
static loom_status run_box(loom_call *call, loom_box_kind kind) {
    const loom_value *image = NULL;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    loom_box box = {0};
    LOOM_TRY(loom_box_open(call, image, kind, &box));
    loom_dtype dtype = header->dtype == LOOM_BOOL8 ? LOOM_BOOL8 : LOOM_U8;
    LOOM_TRY(loom_result_image(call, header, dtype, 1, &voxels));
    for (uint64_t slice = 0; slice < box.slices; slice++)
        loom_box_slice(&box, slice, (uint8_t *)voxels + slice * box.slice_voxels);
    if (dtype == LOOM_BOOL8) return LOOM_OK;
    /* Other values than 0 and 1 pass through where the result is 0 and the voxel is not foreground. */
    uint8_t buffer[LOOM_CHUNK];
    uint8_t *out = voxels;
    uint64_t total = loom_image_voxels(header);
    for (uint64_t first = 0; first < total; first += LOOM_CHUNK) {
        size_t count = total - first < LOOM_CHUNK ? (size_t)(total - first) : LOOM_CHUNK;
        const uint8_t *in = loom_as_u8(image, first, count, buffer);
        for (size_t k = 0; k < count; k++)
            if (in[k] > 1 && out[first + k] == 0) out[first + k] = in[k];
    }
    return LOOM_OK;
}

loom_status loom_run_near(loom_call *call) {
    return run_box(call, LOOM_DILATE_ONES);
}
loom_status loom_run_interior(loom_call *call) {
    return run_box(call, LOOM_ERODE_ONES);
}
