/* discrete_gaussian.c - DiscreteGaussian: convolution with the discrete Gaussian kernel of each axis (separable.h).
 *
 * T. Lindeberg, "Scale-space for discrete signals", IEEE PAMI 12(3), 1990: weights are exp(-v) I_n(v), with the
 * modified Bessel functions of M. Abramowitz, I. Stegun, "Handbook of Mathematical Functions", 9.8.1-9.8.4, and
 * downward recurrence (9.6.26; J. Miller's method) for n > 1, all as in ITK's GaussianOperator. As there, what one axis
 * gives is an image of the pixel type before the next axis is taken: of whole numbers it is cut off each time.
 * Exponentials are rounded from long double: the C library's own double function differs between processors. */
#include <math.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/filters/options.h"
#include "runtime/kernels/filters/separable.h"
#include "runtime/kernels/kernels.h"

static double polynomial(const double *coefficients, int count, double x) {
    double value = coefficients[count - 1];
    for (int k = count - 2; k >= 0; k--)
        value = coefficients[k] + x * value;
    return value;
}
#define POLYNOMIAL(array, x) polynomial(array, (int)(sizeof(array) / sizeof((array)[0])), x)

/* exp(x) / sqrt(x) */
static double growth(double x) {
    return (double)expl(x) / sqrt(x);
}

static double bessel0(double x) {
    static const double near[] = {1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.360768e-1, 0.45813e-2};
    static const double far[] = {0.39894228,    0.1328592e-1, 0.225319e-2,   -0.157565e-2, 0.916281e-2,
                                 -0.2057706e-1, 0.2635537e-1, -0.1647633e-1, 0.392377e-2};
    if (x < 3.75) return POLYNOMIAL(near, (x / 3.75) * (x / 3.75));
    return growth(x) * POLYNOMIAL(far, 3.75 / x);
}

static double bessel1(double x) {
    static const double near[] = {0.5, 0.87890594, 0.51498869, 0.15084934, 0.2658733e-1, 0.301532e-2, 0.32411e-3};
    static const double far[] = {0.39894228,   -0.3988024e-1, -0.362018e-2, 0.163801e-2, -0.1031555e-1,
                                 0.2282967e-1, -0.2895312e-1, 0.1787654e-1, -0.420059e-2};
    if (x < 3.75) return x * POLYNOMIAL(near, (x / 3.75) * (x / 3.75));
    return POLYNOMIAL(far, 3.75 / x) * growth(x);
}

/* Order n > 1. */
static double bessel(int n, double x) {
    if (x == 0.0) return 0.0;
    const double step = 2.0 / x;
    double above = 0.0, here = 1.0, found = 0.0;
    for (int j = 2 * (n + (int)sqrt(40.0 * n)); j > 0; j--) {
        double below = above + j * step * here;
        above = here;
        here = below;
        if (fabs(here) > 1.0e10) { /* only ratios count */
            found *= 1.0e-10;
            here *= 1.0e-10;
            above *= 1.0e-10;
        }
        if (j == n) found = above;
    }
    return found * (bessel0(x) / here);
}

/* The weights of one axis, lowest voxel first, in the arena: as many as leave less than `error` of the sum out, but no
 * more than `width` on either side of the first. */
static loom_status make_weights(loom_call *call, double variance, double error, uint64_t width, const double **weights,
                                uint64_t *radius) {
    double *half = loom_arena_array(call->arena, width + 3, sizeof *half);
    if (half == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
    const double scale = (double)expl(-(long double)variance);
    uint64_t count = 2;
    half[0] = scale * bessel0(variance);
    half[1] = scale * bessel1(variance);
    double sum = half[0] + half[1] * 2.0;
    while (sum < 1.0 - error) {
        half[count] = scale * bessel((int)count, variance);
        sum += half[count] * 2.0;
        if (half[count++] <= 0.0 || count > width) break;
    }
    double *all = loom_arena_array(call->arena, 2 * count - 1, sizeof *all);
    if (all == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
    *radius = count - 1;
    for (uint64_t k = 0; k < count; k++)
        all[*radius + k] = all[*radius - k] = half[k] / sum;
    *weights = all;
    return LOOM_OK;
}

#define WIDTH_MAX 1000
#define VARIANCE_MAX 500.0 /* in squared voxels: exp(-v) must not vanish */

loom_status loom_run_discrete_gaussian(loom_call *call) {
    const loom_value *image = NULL;
    double variance[LOOM_RANK_MAX] = {0}, error[LOOM_RANK_MAX] = {0};
    uint64_t width = 0;
    bool by_spacing = true;
    loom_separable kernel = {.divisor = 1.0, .rounded = true};
    LOOM_TRY(loom_arg_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    LOOM_TRY(loom_option_axes(call, 1, header->rank, 1.0, variance));
    LOOM_TRY(loom_option_count(call, 2, 32, WIDTH_MAX, &width));
    LOOM_TRY(loom_option_axes(call, 3, header->rank, 0.01, error));
    LOOM_TRY(loom_option_truth(call, 4, true, &by_spacing));
    for (unsigned d = 0; d < header->rank; d++) {
        double voxels = by_spacing ? variance[d] / (header->spacing[d] * header->spacing[d]) : variance[d];
        if (!(voxels >= 0.0 && voxels <= VARIANCE_MAX))
            return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                             "`%s` got a variance of %g squared voxels along axis %u; it takes 0 to 500: use "
                             "`SmoothingRecursiveGaussian` beyond",
                             call->op->name, voxels, d + 1);
        if (!(error[d] > 0.0 && error[d] < 1.0)) return loom_arg_refuse(call, 3, "a maximum error between 0 and 1");
        LOOM_TRY(make_weights(call, voxels, error[d], width, &kernel.weights[d], &kernel.radius[d]));
    }
    return loom_separable_run(call, &kernel, header->dtype == LOOM_BOOL8 ? LOOM_U8 : (loom_dtype)header->dtype);
}
