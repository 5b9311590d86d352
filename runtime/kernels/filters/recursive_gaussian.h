/* recursive_gaussian.h - the coefficients of a recursive Gaussian along one axis. */
#ifndef LOOM_KERNELS_RECURSIVE_GAUSSIAN_H
#define LOOM_KERNELS_RECURSIVE_GAUSSIAN_H

/* y[i] = n0 x[i] + .. + n3 x[i-3] - d1 y[i-1] - .. - d4 y[i-4], forwards; the same backwards with m1 .. m4 of
 * x[i+1] .. x[i+4]; the result is their sum. bn and bm stand for d where y lies beyond the ends of the line, which are
 * taken to go on for ever. */
typedef struct loom_gaussian {
    double n[4], d[4], m[4], bn[4], bm[4];
} loom_gaussian;

/* Of standard deviation `sigma` in voxels, which is positive. */
loom_gaussian loom_gaussian_make(double sigma);

#endif
