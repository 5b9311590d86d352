/* voxels.h - pixel types in C, and the conversions of VoxLogicA-2 ("as-bool", "as-float", scalar to pixel type).
 *
 * Conversions out of a type's range are not defined by C; here they are what x86-64 compilers do (and so what was
 * recorded from ITK): 8- and 16-bit types wrap a value that fits 32 bits and give 0 otherwise, and so on. */
#ifndef LOOM_KERNELS_VOXELS_H
#define LOOM_KERNELS_VOXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/value.h"

/* X(dtype, C type): every pixel type. */
#define LOOM_EACH_PIXEL(X)                                                                                             \
    X(LOOM_BOOL8, uint8_t)                                                                                             \
    X(LOOM_U8, uint8_t)                                                                                                \
    X(LOOM_I8, int8_t)                                                                                                 \
    X(LOOM_U16, uint16_t)                                                                                              \
    X(LOOM_I16, int16_t)                                                                                               \
    X(LOOM_U32, uint32_t)                                                                                              \
    X(LOOM_I32, int32_t)                                                                                               \
    X(LOOM_U64, uint64_t)                                                                                              \
    X(LOOM_I64, int64_t)                                                                                               \
    X(LOOM_F32, float)                                                                                                 \
    X(LOOM_F64, double)

/* The pixel types without the second name of uint8_t, for _Generic-like naming by C type. */
#define LOOM_EACH_CTYPE(X)                                                                                             \
    X(uint8_t)                                                                                                         \
    X(int8_t)                                                                                                          \
    X(uint16_t)                                                                                                        \
    X(int16_t)                                                                                                         \
    X(uint32_t)                                                                                                        \
    X(int32_t)                                                                                                         \
    X(uint64_t)                                                                                                        \
    X(int64_t)                                                                                                         \
    X(float)                                                                                                           \
    X(double)

/* One value of any pixel type. */
typedef union loom_pixel {
    uint8_t as_uint8_t;
    int8_t as_int8_t;
    uint16_t as_uint16_t;
    int16_t as_int16_t;
    uint32_t as_uint32_t;
    int32_t as_int32_t;
    uint64_t as_uint64_t;
    int64_t as_int64_t;
    float as_float;
    double as_double;
} loom_pixel;

bool loom_dtype_is_float(uint8_t dtype);

/* Component value `first` of an image, or of other values of the type. */
static inline const void *loom_values_at(const loom_value *image, uint64_t first) {
    return (const uint8_t *)image->image.voxels + first * loom_dtype_bytes(image->image.header->dtype);
}
static inline void *loom_values_of(void *values, uint8_t dtype, uint64_t first) {
    return (uint8_t *)values + first * loom_dtype_bytes(dtype);
}

/* A double in the given pixel type. */
loom_pixel loom_pixel_from_double(uint8_t dtype, double value);

/* Voxels that a kernel works on at a time: with one buffer of each kind it stays within the first-level cache. */
#define LOOM_CHUNK 4096u

/* `count` component values from `first` on as 8-bit values (as-bool before it is compared with 0). Points into the
 * image when it already is 8-bit, else at `buffer` (count values). */
const uint8_t *loom_as_u8(const loom_value *image, uint64_t first, size_t count, uint8_t *buffer);
/* The same as truth: 0 or 1 each. Points into a bool8 image. */
const uint8_t *loom_as_bool(const loom_value *image, uint64_t first, size_t count, uint8_t *buffer);
/* The same as float32. */
const float *loom_as_float(const loom_value *image, uint64_t first, size_t count, float *buffer);

/* Casts between any two pixel types, as above. */
void loom_cast(uint8_t from, const void *source, uint8_t to, void *target, size_t count);

#endif
