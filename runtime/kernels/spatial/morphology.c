/* morphology.c - near (dilation) and interior (erosion) by the 3x3x3 box, as ITK's BinaryDilate and BinaryErode with
 * foreground 1: see box.h for the algorithm. Voxels that are neither covered nor foreground keep their value. */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/spatial/box.h"

/* Other values than 0 and 1 pass through where the result is 0 and the voxel is not foreground. */
static void pass_others(const loom_value *image, uint64_t begin, uint64_t voxels, uint8_t *out) {
    uint8_t buffer[LOOM_CHUNK];
    for (uint64_t first = 0; first < voxels; first += LOOM_CHUNK) {
        size_t count = voxels - first < LOOM_CHUNK ? (size_t)(voxels - first) : LOOM_CHUNK;
        const uint8_t *in = loom_as_u8(image, begin + first, count, buffer);
        for (size_t k = 0; k < count; k++)
            if (in[k] > 1 && out[first + k] == 0) out[first + k] = in[k];
    }
}

/* Some slices. */
static loom_status box_part(loom_part *part) {
    const loom_value *image = NULL;
    loom_box *box = NULL;
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    LOOM_TRY(loom_box_of_part(part, image, *(const loom_box_kind *)part->state, &box));
    for (uint64_t slice = part->first; slice < part->first + part->count; slice++) {
        uint8_t *out = (uint8_t *)part->voxels + slice * box->slice_voxels;
        loom_box_slice(box, slice, out);
        if (image->image.header->dtype != LOOM_BOOL8)
            pass_others(image, slice * box->slice_voxels, box->slice_voxels, out);
    }
    return LOOM_OK;
}

/* Some rows of the only slice. */
static loom_status rows_part(loom_part *part) {
    const loom_value *image = NULL;
    loom_box *box = NULL;
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    LOOM_TRY(loom_box_of_part(part, image, *(const loom_box_kind *)part->state, &box));
    for (uint64_t row = part->first; row < part->first + part->count; row++) {
        uint8_t *out = (uint8_t *)part->voxels + row * box->width;
        loom_box_row(box, row, out);
        if (image->image.header->dtype != LOOM_BOOL8) pass_others(image, row * box->width, box->width, out);
    }
    return LOOM_OK;
}
static const loom_part_run box_loops[] = {box_part, rows_part};

static uint64_t scratch(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    return header == NULL ? 0 : lanes * loom_box_scratch(header);
}
const loom_loops loom_loops_box = {.run = box_loops, .count = 2, .scratch = scratch};

/* Scratch: 4 or 10 slices of bytes (3D, 4D), or 4 rows (one slice), a worker: see box.h. */
static loom_status run_box(loom_call *call, loom_box_kind kind) {
    const loom_value *image = NULL;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    LOOM_TRY(loom_result_image(call, header, header->dtype == LOOM_BOOL8 ? LOOM_BOOL8 : LOOM_U8, 1, &voxels));
    if (loom_box_by_rows(header))
        return loom_run_parts(call, 1, header->size[1], loom_rows_a_part(header), &kind, sizeof kind);
    return loom_run_parts(call, 0, header->size[2] * header->size[3], loom_slices_a_part(header), &kind, sizeof kind);
}

loom_status loom_run_near(loom_call *call) {
    return run_box(call, LOOM_DILATE_ONES);
}
loom_status loom_run_interior(loom_call *call) {
    return run_box(call, LOOM_ERODE_ONES);
}
