/* pairs.c - simpleitk's functions of two operands that vox1 has not: Maximum, Minimum, Modulus, and what is computed
 * in double and converted back (Pow, DivideReal, DivideFloor, SquaredDifference, AbsoluteValueDifference).
 *
 * ITK's functors (itkArithmeticOpsFunctors.h, itkPowImageFilter.h, itkMaximumImageFilter.h, ...): the pixel type is
 * kept, results are converted to it as the processor does (see base/voxels.h). A number becomes a short row of equal
 * pixels, so that each function is one loop. One pass in parts, no scratch memory. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/voxelwise/arith.h"
#include "runtime/kernels/voxelwise/close_call.h"
#include "runtime/kernels/voxelwise/operands.h"

enum { ROW = 1024 }; /* values that are worked on at a time */

typedef enum pairing {
    MAXIMUM,
    MINIMUM,
    MODULUS,
    FIRST_REAL,
    POW = FIRST_REAL,
    DIVIDE_REAL,
    DIVIDE_FLOOR,
    SQUARED_DIFFERENCE,
    ABSOLUTE_DIFFERENCE
} pairing;

typedef struct pairs {
    pairing what;
    uint8_t to; /* pixel type of the result */
    loom_operands operands;
} pairs;

/* ---- in the pixel type ---- */

/* A divisor of 0 gives the largest value; the least value modulo -1, which processors trap, is 0. */
#define MODULUS_OF(type_, max_, minus_one_)                                                                            \
    static type_ modulus_##type_(type_ a, type_ b) {                                                                   \
        if (b == 0) return max_;                                                                                       \
        return (type_)((minus_one_) ? 0 : a % b);                                                                      \
    }
MODULUS_OF(uint8_t, UINT8_MAX, false)
MODULUS_OF(int8_t, INT8_MAX, b == -1)
MODULUS_OF(uint16_t, UINT16_MAX, false)
MODULUS_OF(int16_t, INT16_MAX, b == -1)
MODULUS_OF(uint32_t, UINT32_MAX, false)
MODULUS_OF(int32_t, INT32_MAX, b == -1)
MODULUS_OF(uint64_t, UINT64_MAX, false)
MODULUS_OF(int64_t, INT64_MAX, b == -1)
static float modulus_float(float a, float b) { /* refused before */
    (void)b;
    return a;
}
static double modulus_double(double a, double b) {
    (void)b;
    return a;
}

/* Which operand is kept when they are unordered is ITK's order of comparison: the second. */
#define DEFINE_PAIR(type_)                                                                                             \
    static LOOM_SIMD void pair_##type_(pairing what, const type_ *a, const type_ *b, type_ *restrict out,              \
                                       size_t count) {                                                                 \
        if (what == MAXIMUM)                                                                                           \
            for (size_t k = 0; k < count; k++)                                                                         \
                out[k] = a[k] > b[k] ? a[k] : b[k];                                                                    \
        else if (what == MINIMUM)                                                                                      \
            for (size_t k = 0; k < count; k++)                                                                         \
                out[k] = a[k] < b[k] ? a[k] : b[k];                                                                    \
        else                                                                                                           \
            for (size_t k = 0; k < count; k++)                                                                         \
                out[k] = modulus_##type_(a[k], b[k]);                                                                  \
    }
LOOM_EACH_CTYPE(DEFINE_PAIR)

static void pair_row(const pairs *how, const void *a, const void *b, void *out, size_t count) {
    switch (how->operands.dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        pair_##type_(how->what, a, b, out, count);                                                                     \
        break;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        break;
    }
}

/* ---- in double ---- */

static LOOM_SIMD void real_row(pairing what, const double *a, const double *b, double *restrict out, size_t count) {
    switch (what) {
    case POW:
        for (size_t k = 0; k < count; k++)
            out[k] = pow(a[k], b[k]);
        break;
    case DIVIDE_REAL:
        for (size_t k = 0; k < count; k++)
            out[k] = a[k] / b[k];
        break;
    case DIVIDE_FLOOR:
        for (size_t k = 0; k < count; k++)
            out[k] = floor(a[k] / b[k]);
        break;
    case SQUARED_DIFFERENCE:
        for (size_t k = 0; k < count; k++)
            out[k] = (a[k] - b[k]) * (a[k] - b[k]);
        break;
    default: /* not fabs: the difference of equal values is -0 in ITK */
        for (size_t k = 0; k < count; k++)
            out[k] = a[k] - b[k] > 0 ? a[k] - b[k] : -(a[k] - b[k]);
    }
}

/* Where a whole number was divided by 0: the largest and the least of its type (Functor::DivFloor). */
static void bound_infinities(uint8_t dtype, const double *quotients, void *out, size_t count) {
    const size_t bytes = loom_dtype_bytes(dtype);
    const bool is_signed = dtype == LOOM_I8 || dtype == LOOM_I16 || dtype == LOOM_I32 || dtype == LOOM_I64;
    const uint64_t all = UINT64_MAX >> (64 - 8 * bytes), largest = is_signed ? all >> 1 : all, least = all - largest;
    for (size_t k = 0; k < count; k++)
        if (isinf(quotients[k])) /* little-endian */
            memcpy((uint8_t *)out + k * bytes,
                   quotients[k] > 0 ? &largest
                   : is_signed      ? &least
                                    : &(uint64_t){0},
                   bytes);
}

static void convert_row(const pairs *how, const void *a, const void *b, void *out, size_t count) {
    double left[ROW], right[ROW], result[ROW];
    loom_cast(how->operands.dtype, a, LOOM_F64, left, count);
    loom_cast(how->operands.dtype, b, LOOM_F64, right, count);
    real_row(how->what, left, right, result, count);
    for (size_t k = 0; k < count && how->what == POW; k++)
        if (left[k] != 0 && loom_is_close_call(how->to, result[k]))
            result[k] = (double)powl((long double)left[k], (long double)right[k]);
    loom_cast(LOOM_F64, result, how->to, out, count);
    if (how->what == DIVIDE_FLOOR && !loom_dtype_is_float(how->to)) bound_infinities(how->to, result, out, count);
}

/* ---- both ---- */

static loom_status pairs_part(loom_part *part) {
    const pairs *how = part->state;
    const loom_value *image[2] = {NULL};
    const size_t bytes = loom_dtype_bytes(how->operands.dtype);
    uint64_t equal[ROW]; /* pixels of any type */
    for (uint32_t k = 0; k < 2; k++)
        if (how->operands.is_image[k]) {
            LOOM_TRY(loom_arg_any_image(part->call, k, &image[k]));
        } else {
            for (size_t i = 0; i < ROW; i++)
                memcpy((uint8_t *)equal + i * bytes, &how->operands.number, bytes);
        }
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += ROW) {
        const size_t count = end - first < ROW ? (size_t)(end - first) : ROW;
        const void *a = image[0] ? loom_values_at(image[0], first) : equal;
        const void *b = image[1] ? loom_values_at(image[1], first) : equal;
        void *out = loom_values_of(part->voxels, how->to, first);
        if (how->what < FIRST_REAL)
            pair_row(how, a, b, out, count);
        else
            convert_row(how, a, b, out, count);
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {pairs_part};
const loom_loops loom_loops_pairs = {.run = loops, .count = 1};

static loom_status run_pairs(loom_call *call, pairing what) {
    const loom_image_header *header = NULL;
    pairs how = {.what = what};
    void *voxels = NULL;
    LOOM_TRY(loom_read_operands(call, what == MODULUS ? LOOM_OPERANDS_WHOLE : 0, &how.operands, &header));
    how.to = what == DIVIDE_REAL ? (uint8_t)LOOM_F64 : how.operands.dtype;
    LOOM_TRY(loom_result_image(call, header, (loom_dtype)how.to, 1, &voxels));
    return loom_run_parts(call, 0, loom_image_voxels(header), LOOM_PART_VALUES, &how, sizeof how);
}

loom_status loom_run_sitk_maximum(loom_call *call) {
    return run_pairs(call, MAXIMUM);
}
loom_status loom_run_sitk_minimum(loom_call *call) {
    return run_pairs(call, MINIMUM);
}
loom_status loom_run_sitk_modulus(loom_call *call) {
    return run_pairs(call, MODULUS);
}
loom_status loom_run_sitk_pow(loom_call *call) {
    return run_pairs(call, POW);
}
loom_status loom_run_sitk_divide_real(loom_call *call) {
    return run_pairs(call, DIVIDE_REAL);
}
loom_status loom_run_sitk_divide_floor(loom_call *call) {
    return run_pairs(call, DIVIDE_FLOOR);
}
loom_status loom_run_sitk_squared_difference(loom_call *call) {
    return run_pairs(call, SQUARED_DIFFERENCE);
}
loom_status loom_run_sitk_absolute_difference(loom_call *call) {
    return run_pairs(call, ABSOLUTE_DIFFERENCE);
}
