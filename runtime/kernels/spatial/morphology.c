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

/* Some blocks of rows. */
static loom_status box_part(loom_part *part) {
    const loom_value *image = NULL;
    loom_box *box = NULL;
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    LOOM_TRY(loom_box_of_part(part, image, *(const loom_box_kind *)part->state, &box));
    const loom_box_blocks cut = loom_box_cut(image->image.header);
    for (uint64_t unit = part->first; unit < part->first + part->count; unit++) {
        uint64_t slice = unit % cut.slices, row = unit / cut.slices * cut.rows;
        uint64_t rows = box->height - row < cut.rows ? box->height - row : cut.rows;
        uint64_t first = (slice * box->height + row) * box->width;
        uint8_t *out = (uint8_t *)part->voxels + first;
        loom_box_rows(box, slice, row, rows, out);
        if (image->image.header->dtype != LOOM_BOOL8) pass_others(image, first, rows * box->width, out);
    }
    return LOOM_OK;
}
static const loom_part_run box_loops[] = {box_part};

static uint64_t scratch(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    return header == NULL ? 0 : lanes * loom_box_scratch(header);
}
const loom_loops loom_loops_box = {.run = box_loops, .count = 1, .scratch = scratch};

/* Scratch: two strips of bytes a worker, five for pixel types of more than 8 bits: see box.h. */
static loom_status run_box(loom_call *call, loom_box_kind kind) {
    const loom_value *image = NULL;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    LOOM_TRY(loom_result_image(call, header, header->dtype == LOOM_BOOL8 ? LOOM_BOOL8 : LOOM_U8, 1, &voxels));
    const loom_box_blocks cut = loom_box_cut(header);
    return loom_run_parts(call, 0, cut.units, cut.grain, &kind, sizeof kind);
}

loom_status loom_run_near(loom_call *call) {
    return run_box(call, LOOM_DILATE_ONES);
}
loom_status loom_run_interior(loom_call *call) {
    return run_box(call, LOOM_ERODE_ONES);
}
