/* recursive_gaussian.c - coefficients of Deriche's recursive Gaussian: see recursive_gaussian.h.
 *
 * R. Deriche, "Recursively implementing the Gaussian and its derivatives", INRIA research report 1893, 1993: two damped
 * cosines with his constants for order 0. The arithmetic follows ITK's RecursiveGaussianImageFilter step by step.
 * Exponentials and angles are taken in long double and rounded once: the C library's own double functions differ in the
 * last bit from processor to processor, and results must not. */
#include "runtime/kernels/filters/recursive_gaussian.h"

#include <math.h>

static double exp_of(double x) {
    return (double)expl(x);
}
static double sin_of(double x) {
    return (double)sinl(x);
}
static double cos_of(double x) {
    return (double)cosl(x);
}

loom_gaussian loom_gaussian_make(double sigma) {
    const double a1 = 1.3530, b1 = 1.8151, w1 = 0.6681, l1 = -1.3932;
    const double a2 = -0.3531, b2 = 0.0902, w2 = 2.0787, l2 = -1.3732;
    const double sin1 = sin_of(w1 / sigma), sin2 = sin_of(w2 / sigma);
    const double cos1 = cos_of(w1 / sigma), cos2 = cos_of(w2 / sigma);
    const double exp1 = exp_of(l1 / sigma), exp2 = exp_of(l2 / sigma);
    loom_gaussian made;
    double *n = made.n, *d = made.d, *m = made.m;
    d[3] = exp1 * exp1 * exp2 * exp2;
    d[2] = -2 * cos1 * exp1 * exp2 * exp2;
    d[2] += -2 * cos2 * exp2 * exp1 * exp1;
    d[1] = 4 * cos2 * cos1 * exp1 * exp2;
    d[1] += exp1 * exp1 + exp2 * exp2;
    d[0] = -2 * (exp2 * cos2 + exp1 * cos1);
    n[0] = a1 + a2;
    n[1] = exp2 * (b2 * sin2 - (a2 + 2 * a1) * cos2);
    n[1] += exp1 * (b1 * sin1 - (a1 + 2 * a2) * cos1);
    n[2] = (a1 + a2) * cos2 * cos1;
    n[2] -= b1 * cos2 * sin1 + b2 * cos1 * sin2;
    n[2] *= 2 * exp1 * exp2;
    n[2] += a2 * exp1 * exp1 + a1 * exp2 * exp2;
    n[3] = exp2 * exp1 * exp1 * (b2 * sin2 - a2 * cos2);
    n[3] += exp1 * exp2 * exp2 * (b1 * sin1 - a1 * cos1);
    /* The response to a constant is made that constant. */
    const double sum_d = 1.0 + d[0] + d[1] + d[2] + d[3];
    const double gain = 2 * (n[0] + n[1] + n[2] + n[3]) / sum_d - n[0];
    for (int k = 0; k < 4; k++)
        n[k] *= 1.0 / gain;
    for (int k = 0; k < 3; k++)
        m[k] = n[k + 1] - d[k] * n[0];
    m[3] = -d[3] * n[0];
    const double sum_n = n[0] + n[1] + n[2] + n[3], sum_m = m[0] + m[1] + m[2] + m[3];
    for (int k = 0; k < 4; k++) {
        made.bn[k] = d[k] * sum_n / sum_d;
        made.bm[k] = d[k] * sum_m / sum_d;
    }
    return made;
}
