/* test_ranks.c - vox1.percentiles on images large enough for every way it has (a table, buckets, cells of many keys),
 * against ranks that are looked up in a sorted copy of the values. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"

enum { WIDTH = 67, HEIGHT = 59, DEPTH = 35, VOXELS = WIDTH * HEIGHT * DEPTH };

typedef double (*value_maker)(uint64_t random, uint64_t voxel);

static double uniform(uint64_t random, uint64_t voxel) {
    (void)voxel;
    return (double)(random % (1 << 24)) / (1 << 22) - 2;
}
/* Few values, far apart in their bits: cells of many equal keys. */
static double in_steps(uint64_t random, uint64_t voxel) {
    return (double)(random % 700) * 0.0037 + (voxel % 3 == 0 ? 1000.1 : 0.013);
}
/* Most keys within few of the least steps of a float: cells of many keys that differ. */
static double crowded(uint64_t random, uint64_t voxel) {
    if (voxel % 50 == 0) return (double)(random % 1000) * 1e30 - 3e32;
    return 1.0 + (double)(random % 3001) * FLT_EPSILON;
}
/* A background of one value, noise, and what is not a number. */
static double background(uint64_t random, uint64_t voxel) {
    static const double odd[] = {NAN, INFINITY, -INFINITY, -0.0, FLT_MAX, -FLT_MAX, FLT_MIN / 8, -FLT_MIN / 8};
    if (voxel % 5 < 3) return 0;
    if (random % 500 < 8) return odd[random % 500];
    return exp((double)(random % 100003) / 5000) * (random & 1 << 20 ? 1 : -1);
}
static double whole(uint64_t random, uint64_t voxel) {
    return (double)(random % 4001) - 200 + (double)(voxel % WIDTH);
}
static double few(uint64_t random, uint64_t voxel) {
    return (double)((random % 97 + voxel % 31) % 128);
}
static double only_nan(uint64_t random, uint64_t voxel) {
    (void)random;
    (void)voxel;
    return NAN;
}

static void set(void *voxels, loom_dtype dtype, uint64_t voxel, double value) {
    switch (dtype) {
    case LOOM_U8:
        ((uint8_t *)voxels)[voxel] = (uint8_t)value;
        break;
    case LOOM_I8:
        ((int8_t *)voxels)[voxel] = (int8_t)(value - 64);
        break;
    case LOOM_U16:
        ((uint16_t *)voxels)[voxel] = (uint16_t)(value + 300);
        break;
    case LOOM_I16:
        ((int16_t *)voxels)[voxel] = (int16_t)value;
        break;
    case LOOM_I32:
        ((int32_t *)voxels)[voxel] = (int32_t)(value * 400000);
        break;
    case LOOM_F64:
        ((double *)voxels)[voxel] = value;
        break;
    default:
        ((float *)voxels)[voxel] = (float)value;
    }
}

/* Written from the definition: values are compared as 32-bit floats. */
static float get(const void *voxels, loom_dtype dtype, uint64_t voxel) {
    switch (dtype) {
    case LOOM_U8:
        return ((const uint8_t *)voxels)[voxel];
    case LOOM_I8:
        return ((const int8_t *)voxels)[voxel];
    case LOOM_U16:
        return ((const uint16_t *)voxels)[voxel];
    case LOOM_I16:
        return ((const int16_t *)voxels)[voxel];
    case LOOM_I32:
        return (float)((const int32_t *)voxels)[voxel];
    case LOOM_F64:
        return (float)((const double *)voxels)[voxel];
    default:
        return ((const float *)voxels)[voxel];
    }
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* How many of the sorted values are below the limit; or, also those equal to it. */
static size_t count_of(const float *sorted, size_t count, float limit, bool also_equal) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        bool below = also_equal ? sorted[middle] <= limit : sorted[middle] < limit;
        low = below ? middle + 1 : low;
        high = below ? high : middle;
    }
    return low;
}

static void check(harness *h, loom_dtype dtype, value_maker make, unsigned percent, double correction) {
    const uint64_t size[] = {WIDTH, HEIGHT, DEPTH};
    loom_value image = make_image(h, dtype, 3, size, 1), mask = make_image(h, LOOM_BOOL8, 3, size, 1);
    void *voxels = (void *)(uintptr_t)image.image.voxels;
    uint8_t *in = (uint8_t *)(uintptr_t)mask.image.voxels;
    float *sorted = malloc(VOXELS * sizeof *sorted);
    assert_non_null(sorted);
    uint64_t seed = 99, inside = 0, numbers = 0, nans = 0;
    for (uint64_t v = 0; v < VOXELS; v++) {
        set(voxels, dtype, v, make(next_random(&seed) >> 16, v));
        in[v] = next_random(&seed) % 100 < percent;
        float value = get(voxels, dtype, v);
        inside += in[v];
        if (in[v] && !isnan(value)) sorted[numbers++] = value;
    }
    qsort(sorted, numbers, sizeof *sorted, by_value);
    for (int in_parts = 0; in_parts < 2; in_parts++, nans = 0) {
        h->shuffle = in_parts ? 5 : 0;
        loom_value ranks = RUN(h, "vox1.percentiles", image, mask, loom_float(correction));
        const float *rank = ranks.image.voxels;
        for (uint64_t v = 0; v < VOXELS; v++) {
            float value = get(voxels, dtype, v), expected = -1;
            size_t smaller = numbers + nans, equal = 1;
            if (in[v] && isnan(value)) {
                nans++;
            } else if (in[v]) {
                smaller = count_of(sorted, numbers, value, false);
                equal = count_of(sorted, numbers, value, true) - smaller;
            }
            if (in[v]) expected = (float)(((double)smaller + correction * (double)equal) / (double)inside);
            if (rank[v] != expected)
                fail_msg("voxel %d of value %.9g: %.9g, want %.9g", (int)v, value, rank[v], expected);
        }
        harness_drop(h, ranks.image.voxels);
    }
    free(sorted);
}

static void floats(void **state) {
    static const value_maker makers[] = {uniform, in_steps, crowded, background, whole, few, only_nan};
    for (size_t m = 0; m < sizeof makers / sizeof makers[0]; m++)
        check(*state, LOOM_F32, makers[m], m % 2 == 0 ? 100 : 60, m % 3 == 0 ? 0.5 : 0);
    check(*state, LOOM_F32, uniform, 1, 0);
    check(*state, LOOM_F64, uniform, 80, 1);
    check(*state, LOOM_F32, uniform, 0, 1);
}

static void whole_numbers(void **state) {
    check(*state, LOOM_U8, few, 55, 0.5);
    check(*state, LOOM_U8, few, 0, 0.5);
    check(*state, LOOM_I8, few, 100, 0);
    check(*state, LOOM_U16, whole, 70, 0.25);
    check(*state, LOOM_I16, whole, 70, 0.5);
    check(*state, LOOM_I32, whole, 90, 0.5);
}

static int setup(void **state) {
    *state = harness_new();
    return 0;
}

static int teardown(void **state) {
    harness_free(*state);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(floats), TEST(whole_numbers)};
    return cmocka_run_group_tests_name("ranks", tests, NULL, NULL);
}
