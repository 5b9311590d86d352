/* separable.h - weighted sums over a box around each voxel, whose weights are a product of one factor an axis.
 *
 * The sums are taken along t, z, y and x in turn, in double, from the lowest voxel to the highest; beyond the edge of
 * the image the nearest voxel counts (ITK's ZeroFluxNeumann). Work is done row by row: the sums along t and z of the
 * rows within reach are kept in a ring, so that each is taken once. */
#ifndef LOOM_KERNELS_SEPARABLE_H
#define LOOM_KERNELS_SEPARABLE_H

#include "runtime/kernels/kernel.h"

typedef struct loom_separable {
    uint64_t radius[LOOM_RANK_MAX];
    const double *weights[LOOM_RANK_MAX]; /* 2 * radius + 1 an axis; NULL: all are 1 */
    double divisor;                       /* of the sum */
    bool rounded; /* sums along each axis are converted to the result's pixel type before the next axis */
} loom_separable;

/* Argument 0 filtered into an image of `dtype`, to which sums are converted as C does. The kernel's loops are
 * loom_loops_separable. */
loom_status loom_separable_run(loom_call *call, const loom_separable *filter, loom_dtype dtype);

#endif
