/* gradient.c - the magnitude of the gradient by central differences, as ITK's GradientMagnitudeImageFilter computes it:
 * neighbours outside the image have the value of the voxel at its border, differences are divided by the spacing,
 * everything is done in double in ITK's order and rounded to float32 at the end. */
#include <math.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/spatial/box.h"

#define NEIGHBOURS (2u * (LOOM_RANK_MAX - 1)) /* of a row: before and after it, an axis */

/* A row and its neighbours, as float. */
typedef struct rows {
    const float *own;
    const float *around[NEIGHBOURS]; /* at 2 d - 2 and 2 d - 1 the rows before and after along axis d */
} rows;

static inline double square_of_difference(double half, float before, float after) {
    double difference = half * (double)after - half * (double)before;
    return difference * difference;
}

/* The voxel itself has weight 0 in ITK's operator, so what is not finite makes the result NaN. */
static inline float magnitude(double squares, float own) {
    return (float)sqrt(squares + 0.0 * (double)own);
}

/* Axes beyond the rank have the row itself before and after it, which adds 0. */
LOOM_SIMD static void row_of_volume(const rows *from, const double *half, float *restrict out, uint64_t width) {
    const float *own = from->own, *y0 = from->around[0], *y1 = from->around[1];
    const float *z0 = from->around[2], *z1 = from->around[3];
    for (uint64_t x = 1; x + 1 < width; x++)
        out[x] =
            magnitude(square_of_difference(half[0], own[x - 1], own[x + 1]) +
                          square_of_difference(half[1], y0[x], y1[x]) + square_of_difference(half[2], z0[x], z1[x]),
                      own[x]);
}

/* One voxel of any row. */
static float at(const rows *from, const double *half, unsigned rank, uint64_t x, uint64_t width) {
    double squares = square_of_difference(half[0], from->own[x > 0 ? x - 1 : x], from->own[x + 1 < width ? x + 1 : x]);
    for (unsigned d = 1; d < rank; d++)
        squares += square_of_difference(half[d], from->around[2 * d - 2][x], from->around[2 * d - 1][x]);
    return magnitude(squares, from->own[x]);
}

static void find_rows(const loom_value *image, uint64_t row, float *buffer, rows *found) {
    const loom_image_header *header = image->image.header;
    const uint64_t width = header->size[0];
    found->own = loom_as_float(image, row * width, width, buffer);
    uint64_t stride = 1;
    for (unsigned d = 1; d < LOOM_RANK_MAX; stride *= header->size[d++])
        for (unsigned side = 0; side < 2; side++) {
            uint64_t index = row / stride % header->size[d];
            bool outside = side == 0 ? index == 0 : index + 1 >= header->size[d];
            uint64_t other = side == 0 ? row - stride : row + stride;
            unsigned place = 2 * d - 2 + side;
            float *space = buffer == NULL ? NULL : buffer + (place + 1) * width;
            found->around[place] = outside ? found->own : loom_as_float(image, other * width, width, space);
        }
}

/* Some rows. */
static loom_status gradient_part(loom_part *part) {
    const loom_value *image = NULL;
    const double *half = part->state;
    rows from;
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    const loom_image_header *header = image->image.header;
    const uint64_t width = header->size[0];
    if (header->dtype != LOOM_F32 && *part->local == NULL)
        LOOM_TRY(loom_scratch(part->call, width, (NEIGHBOURS + 1) * sizeof(float), part->local));
    for (uint64_t row = part->first; row < part->first + part->count; row++) {
        float *out = (float *)part->voxels + row * width;
        find_rows(image, row, *part->local, &from);
        if (header->rank <= 3)
            row_of_volume(&from, half, out, width);
        else
            for (uint64_t x = 1; x + 1 < width; x++)
                out[x] = at(&from, half, header->rank, x, width);
        out[0] = at(&from, half, header->rank, 0, width);
        out[width - 1] = at(&from, half, header->rank, width - 1, width);
    }
    return LOOM_OK;
}

static uint64_t scratch(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    if (header == NULL || header->dtype == LOOM_F32) return 0;
    return lanes * header->size[0] * (NEIGHBOURS + 1) * sizeof(float);
}
static const loom_part_run loops[] = {gradient_part};
const loom_loops loom_loops_gradient = {.run = loops, .count = 1, .scratch = scratch};

/* Scratch: none for float32, else 7 rows of floats a worker. */
loom_status loom_run_gradient(loom_call *call) {
    const loom_value *image = NULL;
    void *voxels = NULL;
    double half[LOOM_RANK_MAX] = {0};
    LOOM_TRY(loom_arg_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    for (unsigned d = 0; d < header->rank; d++)
        half[d] = 0.5 * (1.0 / header->spacing[d]);
    LOOM_TRY(loom_result_image(call, header, LOOM_F32, 1, &voxels));
    return loom_run_parts(call, 0, loom_image_voxels(header) / header->size[0], loom_rows_a_part(header), half,
                          sizeof half);
}
