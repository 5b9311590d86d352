/* gradient_magnitude.c - GradientMagnitude: the length of the vector of central differences, as float32.
 *
 * The operations are those of ITK's GradientMagnitudeImageFilter in their order, in double, the middle voxel times 0
 * included (it makes NaN of an infinity). Scratch, a worker: that of neighbours.h, and one row of doubles. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/filters/neighbours.h"
#include "runtime/kernels/filters/options.h"
#include "runtime/kernels/kernels.h"

LOOM_SIMD static void add_square(const double *restrict before, const double *restrict here,
                                 const double *restrict after, double weight, double *restrict sum, uint64_t count) {
    for (uint64_t k = 0; k < count; k++) {
        double slope = weight * before[k] + 0.0 * here[k] + -weight * after[k];
        sum[k] += slope * slope;
    }
}

LOOM_SIMD static void take_roots(const double *restrict sum, float *restrict out, uint64_t count) {
    for (uint64_t k = 0; k < count; k++)
        out[k] = (float)sqrt(sum[k]);
}

typedef struct workshop {
    loom_neighbours near;
    double *sum;
} workshop;

typedef struct weights {
    double along[LOOM_RANK_MAX]; /* 0.5 / spacing */
} weights;

static void gradient_row(workshop *shop, const weights *weight, float *out) {
    loom_neighbours *near = &shop->near;
    const uint64_t width = near->header->size[0];
    memset(shop->sum, 0, width * sizeof *shop->sum);
    const double *here = loom_neighbours_row(near, 0, 0, 0);
    add_square(here - 1, here, here + 1, weight->along[0], shop->sum, width);
    for (unsigned d = 1; d < near->header->rank; d++) {
        const int y = d == 1, z = d == 2, t = d == 3;
        add_square(loom_neighbours_row(near, -y, -z, -t), here, loom_neighbours_row(near, y, z, t), weight->along[d],
                   shop->sum, width);
    }
    take_roots(shop->sum, out, width);
}

/* Some rows. */
static loom_status rows_part(loom_part *part) {
    const loom_value *image = NULL;
    void *memory = *part->local;
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    const loom_image_header *header = image->image.header;
    workshop *shop = memory;
    if (shop == NULL) {
        LOOM_TRY(loom_scratch(part->call, 1, sizeof *shop, &memory));
        shop = memory;
        LOOM_TRY(loom_neighbours_open(part->call, header, &shop->near));
        LOOM_TRY(loom_scratch(part->call, header->size[0], sizeof(double), &memory));
        shop->sum = memory;
        *part->local = shop;
    }
    shop->near.header = header; /* as this part has found it */
    shop->near.voxels = image->image.voxels;
    shop->near.dtype = header->dtype;
    for (uint64_t row = part->first; row < part->first + part->count; row++) {
        loom_neighbours_move(&shop->near, row);
        gradient_row(shop, part->state, (float *)part->voxels + row * header->size[0]);
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {rows_part};
const loom_loops loom_loops_gradient_magnitude = {.run = loops, .count = 1};

loom_status loom_run_gradient_magnitude(loom_call *call) {
    const loom_value *image = NULL;
    bool by_spacing = true;
    weights weight = {{0}};
    void *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    LOOM_TRY(loom_option_truth(call, 1, true, &by_spacing));
    const loom_image_header *header = image->image.header;
    for (unsigned d = 0; d < header->rank; d++)
        weight.along[d] = by_spacing ? 0.5 * (1.0 / header->spacing[d]) : 0.5;
    LOOM_TRY(loom_result_image(call, header, LOOM_F32, 1, &voxels));
    return loom_run_parts(call, 0, header->size[1] * header->size[2] * header->size[3],
                          LOOM_PART_VALUES / header->size[0] / 4 + 1, &weight, sizeof weight);
}
