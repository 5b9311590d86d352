/* shapes.c - see shapes.h. */
#include "shapes.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const shape shapes[SHAPES] = {
    {3, {7, 5, 6, 1}, {1, 1, 1, 1}, 40},         {3, {9, 1, 8, 1}, {0.7, 1, 2.5, 1}, 30},
    {3, {1, 1, 11, 1}, {1, 2, 0.3, 1}, 50},      {3, {1, 6, 1, 1}, {3, 0.25, 1, 1}, 50},
    {2, {13, 9, 1, 1}, {0.9, 1.1, 1, 1}, 35},    {2, {70, 3, 1, 1}, {1, 1, 1, 1}, 60},
    {4, {5, 4, 3, 3}, {1, 0.5, 2, 1.5}, 45},     {3, {6, 6, 6, 1}, {1, 1, 1, 1}, 0},
    {3, {6, 5, 4, 1}, {1, 1, 1, 1}, 100},        {3, {1, 1, 1, 1}, {1, 1, 1, 1}, 100},
    {3, {130, 3, 2, 1}, {0.5, 0.5, 0.5, 1}, 20}, {3, {8, 7, 9, 1}, {1.1, 0.9, 2.5, 1}, 4},
    {3, {65, 4, 3, 1}, {1, 1, 1, 1}, 97},        {2, {1, 40, 1, 1}, {1, 1, 1, 1}, 50},
};

loom_value image_of(harness *h, const shape *s, loom_dtype dtype) {
    loom_value image = make_image(h, dtype, s->rank, s->size, 1);
    memcpy(((loom_image_header *)(uintptr_t)image.image.header)->spacing, s->spacing, s->rank * sizeof(double));
    return image;
}

uint8_t *bytes_of(const loom_value *image) {
    return (uint8_t *)(uintptr_t)image->image.voxels;
}
float *floats_of(const loom_value *image) {
    return (float *)(uintptr_t)image->image.voxels;
}

loom_value random_mask(harness *h, const shape *s, uint64_t *seed) {
    loom_value image = image_of(h, s, LOOM_BOOL8);
    for (uint64_t k = 0; k < loom_image_voxels(image.image.header); k++)
        bytes_of(&image)[k] = next_random(seed) % 100 < s->percent;
    return image;
}

void coordinates(const shape *s, uint64_t voxel, int64_t at[LOOM_RANK_MAX]) {
    for (unsigned d = 0; d < LOOM_RANK_MAX; d++) {
        at[d] = (int64_t)(voxel % s->size[d]);
        voxel /= s->size[d];
    }
}

bool are_neighbours(const shape *s, uint64_t a, uint64_t b) {
    int64_t left[LOOM_RANK_MAX], right[LOOM_RANK_MAX];
    coordinates(s, a, left);
    coordinates(s, b, right);
    for (unsigned d = 0; d < LOOM_RANK_MAX; d++)
        if (llabs(left[d] - right[d]) > 1) return false;
    return true;
}

uint64_t voxels_of(const shape *s) {
    return s->size[0] * s->size[1] * s->size[2] * s->size[3];
}

float small_whole(uint64_t *seed) {
    return (float)(next_random(seed) % 20) - 5.0f;
}
float any_real(uint64_t *seed) {
    return ldexpf((float)(next_random(seed) % 2000001) - 1000000.0f, (int)(next_random(seed) % 40) - 20);
}
float odd_real(uint64_t *seed) {
    static const float odd[] = {0.0f, -0.0f, INFINITY, -INFINITY, FLT_MIN / 2, -FLT_MIN, FLT_MAX, 1.0f, 1.0000001f};
    uint64_t pick = next_random(seed) % 12;
    return pick < sizeof odd / sizeof odd[0] ? odd[pick] : nanf("");
}
float close_real(uint64_t *seed) {
    return 1.0f + (float)(next_random(seed) % 8388608) * FLT_EPSILON;
}

loom_value random_image(harness *h, const shape *s, value_maker make, uint64_t *seed) {
    loom_value image = image_of(h, s, LOOM_F32);
    for (uint64_t v = 0; v < voxels_of(s); v++)
        floats_of(&image)[v] = make(seed);
    return image;
}
