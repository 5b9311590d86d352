/* voxels.c - conversions between pixel types: see voxels.h. */
#include "runtime/kernels/base/voxels.h"

#include <string.h>

#include "runtime/kernels/base/simd.h"

bool loom_dtype_is_float(uint8_t dtype) {
    return dtype == LOOM_F32 || dtype == LOOM_F64;
}

/* What a conversion instruction of x86-64 gives: out of range and NaN are the "integer indefinite" value. */
static inline int32_t int32_of(double value) {
    return value > -2147483649.0 && value < 2147483648.0 ? (int32_t)value : INT32_MIN;
}

static inline int64_t int64_of(double value) {
    return value >= -9223372036854775808.0 && value < 9223372036854775808.0 ? (int64_t)value : INT64_MIN;
}

static inline int32_t int32_of_float(float value) {
    return value >= -2147483648.0f && value < 2147483648.0f ? (int32_t)value : INT32_MIN;
}

static inline uint8_t uint8_t_of_real(double value) {
    return (uint8_t)int32_of(value);
}
static inline int8_t int8_t_of_real(double value) {
    return (int8_t)int32_of(value);
}
static inline uint16_t uint16_t_of_real(double value) {
    return (uint16_t)int32_of(value);
}
static inline int16_t int16_t_of_real(double value) {
    return (int16_t)int32_of(value);
}
static inline uint32_t uint32_t_of_real(double value) {
    return (uint32_t)int64_of(value);
}
static inline int32_t int32_t_of_real(double value) {
    return int32_of(value);
}
static inline int64_t int64_t_of_real(double value) {
    return int64_of(value);
}
static inline float float_of_real(double value) {
    return (float)value;
}
static inline double double_of_real(double value) {
    return value;
}
static inline uint64_t uint64_t_of_real(double value) {
    const double half = 9223372036854775808.0;
    return value < half ? (uint64_t)int64_of(value) : (uint64_t)int64_of(value - half) ^ (UINT64_C(1) << 63);
}

loom_pixel loom_pixel_from_double(uint8_t dtype, double value) {
    loom_pixel pixel = {0};
    switch (dtype) {
#define CONVERT(dtype_, type_)                                                                                         \
    case dtype_:                                                                                                       \
        pixel.as_##type_ = type_##_of_real(value);                                                                     \
        break;
        LOOM_EACH_PIXEL(CONVERT)
#undef CONVERT
    default:
        break;
    }
    return pixel;
}

static LOOM_SIMD void bytes_of_floats(const float *restrict in, uint8_t *restrict out, size_t count) {
    for (size_t k = 0; k < count; k++)
        out[k] = (uint8_t)int32_of_float(in[k]);
}

static LOOM_SIMD void truths_of(const uint8_t *in, uint8_t *out, size_t count) {
    for (size_t k = 0; k < count; k++)
        out[k] = in[k] != 0;
}

const uint8_t *loom_as_u8(const loom_value *image, uint64_t first, size_t count, uint8_t *buffer) {
    uint8_t dtype = image->image.header->dtype;
    const void *voxels = image->image.voxels;
    switch (dtype) {
    case LOOM_BOOL8:
    case LOOM_U8:
    case LOOM_I8:
        return (const uint8_t *)voxels + first;
    case LOOM_F32:
        bytes_of_floats((const float *)voxels + first, buffer, count);
        return buffer;
    default:
        loom_cast(dtype, (const uint8_t *)voxels + first * loom_dtype_bytes(dtype), LOOM_U8, buffer, count);
        return buffer;
    }
}

const uint8_t *loom_as_bool(const loom_value *image, uint64_t first, size_t count, uint8_t *buffer) {
    const uint8_t *bytes = loom_as_u8(image, first, count, buffer);
    if (image->image.header->dtype == LOOM_BOOL8) return bytes;
    truths_of(bytes, buffer, count);
    return buffer;
}

const float *loom_as_float(const loom_value *image, uint64_t first, size_t count, float *buffer) {
    uint8_t dtype = image->image.header->dtype;
    const void *voxels = image->image.voxels;
    if (dtype == LOOM_F32) return (const float *)voxels + first;
    loom_cast(dtype, (const uint8_t *)voxels + first * loom_dtype_bytes(dtype), LOOM_F32, buffer, count);
    return buffer;
}

/* Integer to any: C defines it (wrapping is what every compiler here does). Real to any: through the rules above. */
#define CAST_FROM_INTEGER(to_dtype_, to_type_)                                                                         \
    case to_dtype_: {                                                                                                  \
        to_type_ *out = target;                                                                                        \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k] = (to_type_)in[k];                                                                                  \
        break;                                                                                                         \
    }
#define CAST_FROM_REAL(to_dtype_, to_type_)                                                                            \
    case to_dtype_: {                                                                                                  \
        to_type_ *out = target;                                                                                        \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k] = to_type_##_of_real((double)in[k]);                                                                \
        break;                                                                                                         \
    }
#define DEFINE_CAST(type_, each_)                                                                                      \
    static LOOM_SIMD void cast_from_##type_(const type_ *in, uint8_t to, void *target, size_t count) {                 \
        switch (to) {                                                                                                  \
            LOOM_EACH_PIXEL(each_)                                                                                     \
        default:                                                                                                       \
            break;                                                                                                     \
        }                                                                                                              \
    }
DEFINE_CAST(uint8_t, CAST_FROM_INTEGER)
DEFINE_CAST(int8_t, CAST_FROM_INTEGER)
DEFINE_CAST(uint16_t, CAST_FROM_INTEGER)
DEFINE_CAST(int16_t, CAST_FROM_INTEGER)
DEFINE_CAST(uint32_t, CAST_FROM_INTEGER)
DEFINE_CAST(int32_t, CAST_FROM_INTEGER)
DEFINE_CAST(uint64_t, CAST_FROM_INTEGER)
DEFINE_CAST(int64_t, CAST_FROM_INTEGER)
DEFINE_CAST(float, CAST_FROM_REAL)
DEFINE_CAST(double, CAST_FROM_REAL)

void loom_cast(uint8_t from, const void *source, uint8_t to, void *target, size_t count) {
    if (from == to) {
        memcpy(target, source, count * loom_dtype_bytes(from));
        return;
    }
    switch (from) {
#define FROM(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        cast_from_##type_(source, to, target, count);                                                                  \
        break;
        LOOM_EACH_PIXEL(FROM)
#undef FROM
    default:
        break;
    }
}
