/* arith_pixels.c - arithmetic on arrays of pixels: see arith_pixels.h. */
#include "runtime/kernels/voxelwise/arith_pixels.h"

#include <float.h>
#include <math.h>

#include "runtime/kernels/base/simd.h"

/* The unsigned type in which a pixel type's arithmetic is done, so that wrapping is defined. */
typedef uint32_t wide_uint8_t, wide_int8_t, wide_uint16_t, wide_int16_t, wide_uint32_t, wide_int32_t;
typedef uint64_t wide_uint64_t, wide_int64_t;
typedef float wide_float;
typedef double wide_double;

#define DEFINE_UNSIGNED_DIVIDE(type_, max_)                                                                            \
    static inline bool is_zero_##type_(type_ d) {                                                                      \
        return d == 0;                                                                                                 \
    }                                                                                                                  \
    static inline type_ divide_##type_(type_ n, type_ d) {                                                             \
        return (type_)(d == 0 ? (max_) : n / d);                                                                       \
    }                                                                                                                  \
    static inline type_ abs_##type_(type_ v) {                                                                         \
        return v;                                                                                                      \
    }
DEFINE_UNSIGNED_DIVIDE(uint8_t, UINT8_MAX)
DEFINE_UNSIGNED_DIVIDE(uint16_t, UINT16_MAX)
DEFINE_UNSIGNED_DIVIDE(uint32_t, UINT32_MAX)
DEFINE_UNSIGNED_DIVIDE(uint64_t, UINT64_MAX)

/* Dividing the least value by -1 wraps to itself, as negating it does. */
#define DEFINE_SIGNED_DIVIDE(type_, max_)                                                                              \
    static inline bool is_zero_##type_(type_ d) {                                                                      \
        return d == 0;                                                                                                 \
    }                                                                                                                  \
    static inline type_ negate_##type_(type_ v) {                                                                      \
        return (type_)(0 - (wide_##type_)v);                                                                           \
    }                                                                                                                  \
    static inline type_ divide_##type_(type_ n, type_ d) {                                                             \
        if (d == 0) return (max_);                                                                                     \
        return (type_)(d == -1 ? negate_##type_(n) : n / d);                                                           \
    }                                                                                                                  \
    static inline type_ abs_##type_(type_ v) {                                                                         \
        return v < 0 ? negate_##type_(v) : v;                                                                          \
    }
DEFINE_SIGNED_DIVIDE(int8_t, INT8_MAX)
DEFINE_SIGNED_DIVIDE(int16_t, INT16_MAX)
DEFINE_SIGNED_DIVIDE(int32_t, INT32_MAX)
DEFINE_SIGNED_DIVIDE(int64_t, INT64_MAX)

#define DEFINE_REAL_DIVIDE(type_, max_, epsilon_, abs_function_)                                                       \
    static inline type_ abs_##type_(type_ v) {                                                                         \
        return abs_function_(v);                                                                                       \
    }                                                                                                                  \
    static inline bool is_zero_##type_(type_ d) {                                                                      \
        return abs_##type_(d) <= (type_)(0.1 * (epsilon_));                                                            \
    }                                                                                                                  \
    static inline type_ divide_##type_(type_ n, type_ d) {                                                             \
        return is_zero_##type_(d) ? (max_) : n / d;                                                                    \
    }
DEFINE_REAL_DIVIDE(float, FLT_MAX, FLT_EPSILON, fabsf)
DEFINE_REAL_DIVIDE(double, DBL_MAX, DBL_EPSILON, fabs)

/* A and B are expressions of k. */
#define EVERY_OPERATION(type_, A, B)                                                                                   \
    switch (op) {                                                                                                      \
    case LOOM_ADD:                                                                                                     \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k] = (type_)((wide_##type_)(A) + (wide_##type_)(B));                                                   \
        break;                                                                                                         \
    case LOOM_SUBTRACT:                                                                                                \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k] = (type_)((wide_##type_)(A) - (wide_##type_)(B));                                                   \
        break;                                                                                                         \
    case LOOM_MULTIPLY:                                                                                                \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k] = (type_)((wide_##type_)(A) * (wide_##type_)(B));                                                   \
        break;                                                                                                         \
    case LOOM_DIVIDE:                                                                                                  \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k] = divide_##type_((A), (B));                                                                         \
        break;                                                                                                         \
    }
#define DEFINE_ARITHMETIC(type_)                                                                                       \
    static LOOM_SIMD void images_##type_(loom_arith op, const type_ *a, const type_ *b, type_ *out, size_t count) {    \
        EVERY_OPERATION(type_, a[k], b[k])                                                                             \
    }                                                                                                                  \
    static LOOM_SIMD void right_##type_(loom_arith op, const type_ *a, type_ b, type_ *out, size_t count) {            \
        EVERY_OPERATION(type_, a[k], b)                                                                                \
    }                                                                                                                  \
    static LOOM_SIMD void left_##type_(loom_arith op, type_ a, const type_ *b, type_ *out, size_t count) {             \
        EVERY_OPERATION(type_, a, b[k])                                                                                \
    }                                                                                                                  \
    static LOOM_SIMD void absolute_##type_(const type_ *in, type_ *out, size_t count) {                                \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k] = abs_##type_(in[k]);                                                                               \
    }
LOOM_EACH_CTYPE(DEFINE_ARITHMETIC)

void loom_arith_images(loom_arith op, uint8_t dtype, const void *a, const void *b, void *out, size_t count) {
    switch (dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        images_##type_(op, a, b, out, count);                                                                          \
        break;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        break;
    }
}

void loom_arith_right(loom_arith op, uint8_t dtype, const void *a, loom_pixel b, void *out, size_t count) {
    switch (dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        right_##type_(op, a, b.as_##type_, out, count);                                                                \
        break;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        break;
    }
}

void loom_arith_left(loom_arith op, uint8_t dtype, loom_pixel a, const void *b, void *out, size_t count) {
    switch (dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        left_##type_(op, a.as_##type_, b, out, count);                                                                 \
        break;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        break;
    }
}

void loom_arith_abs(uint8_t dtype, const void *in, void *out, size_t count) {
    switch (dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        absolute_##type_(in, out, count);                                                                              \
        break;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        break;
    }
}

bool loom_arith_is_zero(uint8_t dtype, loom_pixel divisor) {
    switch (dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        return is_zero_##type_(divisor.as_##type_);
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        return true;
    }
}
