/* arith_pixels.h - + - * / on arrays of pixels, as ITK computes them.
 *
 * Integers wrap. Division: a divisor that is 0, or for floats at most a tenth of the type's epsilon, gives the largest
 * finite value of the type (ITK, Functor::Div with Math::AlmostEquals). */
#ifndef LOOM_KERNELS_ARITH_PIXELS_H
#define LOOM_KERNELS_ARITH_PIXELS_H

#include "runtime/kernels/base/voxels.h"

typedef enum loom_arith { LOOM_ADD, LOOM_SUBTRACT, LOOM_MULTIPLY, LOOM_DIVIDE } loom_arith;

/* out[k] = a[k] op b[k]; out may be a or b. */
void loom_arith_images(loom_arith op, uint8_t dtype, const void *a, const void *b, void *out, size_t count);
/* out[k] = a[k] op b. */
void loom_arith_right(loom_arith op, uint8_t dtype, const void *a, loom_pixel b, void *out, size_t count);
/* out[k] = a op b[k]. */
void loom_arith_left(loom_arith op, uint8_t dtype, loom_pixel a, const void *b, void *out, size_t count);
void loom_arith_abs(uint8_t dtype, const void *in, void *out, size_t count);
/* True for a divisor that division treats as 0. */
bool loom_arith_is_zero(uint8_t dtype, loom_pixel divisor);

#endif
