/* close_call.h - where the last bit of a double decides what is stored.
 *
 * The C library's exp, log, pow and trigonometry are not rounded correctly, and their last bit differs from processor
 * to processor (it has versions with and without fused multiply-adds). Results must not. So what is close to where
 * rounding to the pixel type turns is computed again in long double and rounded once. */
#ifndef LOOM_KERNELS_CLOSE_CALL_H
#define LOOM_KERNELS_CLOSE_CALL_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "shm/value.h"

/* Whether doubles that differ from `value` by a few units in the last place may give another pixel of the type: always
 * for 64-bit floats, near the middle between two 32-bit floats, and near whole numbers, which are cut off. */
static inline bool loom_is_close_call(uint8_t dtype, double value) {
    uint64_t bits;
    if (dtype == LOOM_F64) return true;
    if (dtype != LOOM_F32) return fabs(value - nearbyint(value)) <= fabs(value) * 0x1p-44;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t below = bits & 0x1FFFFFFF; /* the bits that a float has not; half of it is the middle */
    return (below >= 0x10000000 - 64 && below <= 0x10000000 + 64) || (fabs(value) < (double)FLT_MIN && value != 0);
}

#endif
