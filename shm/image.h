/* image.h - what an image is: pixel type, shape and where it lies in space. Voxels follow elsewhere, x fastest. */
#ifndef LOOM_SHM_IMAGE_H
#define LOOM_SHM_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/status.h"

/* Pixel types. bool8 holds 0 or 1 and prints as ITK's 8-bit unsigned. Values are written to disk: append, never
 * renumber. */
#define LOOM_DTYPE_LIST(X)                                                                                             \
    X(LOOM_BOOL8, 1, 1, "bool8", "8-bit unsigned integer")                                                             \
    X(LOOM_U8, 2, 1, "u8", "8-bit unsigned integer")                                                                   \
    X(LOOM_I8, 3, 1, "i8", "8-bit signed integer")                                                                     \
    X(LOOM_U16, 4, 2, "u16", "16-bit unsigned integer")                                                                \
    X(LOOM_I16, 5, 2, "i16", "16-bit signed integer")                                                                  \
    X(LOOM_U32, 6, 4, "u32", "32-bit unsigned integer")                                                                \
    X(LOOM_I32, 7, 4, "i32", "32-bit signed integer")                                                                  \
    X(LOOM_U64, 8, 8, "u64", "64-bit unsigned integer")                                                                \
    X(LOOM_I64, 9, 8, "i64", "64-bit signed integer")                                                                  \
    X(LOOM_F32, 10, 4, "f32", "32-bit float")                                                                          \
    X(LOOM_F64, 11, 8, "f64", "64-bit float")

typedef enum loom_dtype {
#define LOOM_DTYPE_ENUM(name, value, bytes, text, itk) name = (value),
    LOOM_DTYPE_LIST(LOOM_DTYPE_ENUM)
#undef LOOM_DTYPE_ENUM
} loom_dtype;

/* Bytes of one component; 0 for a number that names no pixel type. */
size_t loom_dtype_bytes(uint8_t dtype);
const char *loom_dtype_name(uint8_t dtype);     /* "f32"; "?" if unknown */
const char *loom_dtype_itk_name(uint8_t dtype); /* "32-bit float"; "?" if unknown */

#define LOOM_RANK_MAX 4

/* The header of an image, as kept in memory, in the shared segment and in the store (little-endian, no padding).
 * Axes beyond `rank` have size 1, spacing 1, origin 0 and identity direction, always. */
typedef struct loom_image_header {
    uint8_t dtype;                                   /* loom_dtype */
    uint8_t rank;                                    /* 2..4 */
    uint16_t components;                             /* values per voxel, interleaved; 1 for a scalar image */
    uint32_t reserved;                               /* 0 */
    uint64_t size[LOOM_RANK_MAX];                    /* voxels along x, y, z, t; each at least 1 */
    double spacing[LOOM_RANK_MAX];                   /* physical units (mm), positive */
    double origin[LOOM_RANK_MAX];                    /* physical position of voxel 0, ITK convention (LPS) */
    double direction[LOOM_RANK_MAX * LOOM_RANK_MAX]; /* row-major: direction[row * 4 + column]; columns are axes */
} loom_image_header;

_Static_assert(sizeof(loom_image_header) == 232, "the image header is a disk format: see shm/SCHEMA.md");

/* A header of the given type and shape with unit spacing, zero origin and identity direction. rank in 2..4. */
loom_image_header loom_image_header_make(loom_dtype dtype, unsigned rank, const uint64_t size[]);

/* Checks every field (known dtype, rank, components >= 1, sizes >= 1, finite positive spacing, finite origin and
 * direction, unused axes neutral, byte count within 2^47). For headers that come from a file or from another process.
 */
loom_status loom_image_header_check(const loom_image_header *header, loom_error *err);

/* Voxels of a checked header, and bytes of its voxel array (voxels * components * dtype bytes). */
uint64_t loom_image_voxels(const loom_image_header *header);
uint64_t loom_image_bytes(const loom_image_header *header);

/* Same size, and origin, spacing and direction within ITK's tolerance: 1e-6 * |spacing[0]| for origin and spacing, 1e-6
 * for direction (ITK, ImageToImageFilter::VerifyInputInformation). When false, `why` (>= 160 bytes, may be NULL) names
 * the difference. */
bool loom_image_same_domain(const loom_image_header *a, const loom_image_header *b, char *why);

#endif
