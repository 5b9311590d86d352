/* shapes.h - random volumes for property tests: odd sizes, thin axes, anisotropic spacing, two to four dimensions. */
#ifndef LOOM_TESTS_KERNELS_SHAPES_H
#define LOOM_TESTS_KERNELS_SHAPES_H

#include "harness.h"

typedef struct shape {
    unsigned rank;
    uint64_t size[LOOM_RANK_MAX];
    double spacing[LOOM_RANK_MAX];
    unsigned percent; /* of true voxels */
} shape;

#define SHAPES 14
extern const shape shapes[SHAPES];

loom_value image_of(harness *h, const shape *s, loom_dtype dtype);
uint8_t *bytes_of(const loom_value *image);
float *floats_of(const loom_value *image);
loom_value random_mask(harness *h, const shape *s, uint64_t *seed);
void coordinates(const shape *s, uint64_t voxel, int64_t at[LOOM_RANK_MAX]);
bool are_neighbours(const shape *s, uint64_t a, uint64_t b);
uint64_t voxels_of(const shape *s);

/* Values of several sorts: small whole numbers, wide reals, NaN and infinities among others, close together. */
typedef float (*value_maker)(uint64_t *seed);
float small_whole(uint64_t *seed);
float any_real(uint64_t *seed);
float odd_real(uint64_t *seed);
float close_real(uint64_t *seed);
loom_value random_image(harness *h, const shape *s, value_maker make, uint64_t *seed);

#endif
