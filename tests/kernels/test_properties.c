/* test_properties.c - image kernels against simple independent implementations, on random volumes of odd sizes: thin
 * axes, anisotropic spacing, empty and full masks, NaN and infinities. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shapes.h"

/* ---- near, interior ---- */

static void near_and_interior(void **state) {
    uint64_t seed = 11;
    for (size_t k = 0; k < SHAPES; k++) {
        harness *h = *state;
        const shape *s = &shapes[k];
        loom_value mask = random_mask(h, s, &seed), near = RUN(h, "vox1.near", mask);
        loom_value interior = RUN(h, "vox1.interior", mask);
        loom_value dual = RUN(h, "vox1.not", RUN(h, "vox1.near", RUN(h, "vox1.not", mask)));
        assert_int_equal(near.image.header->dtype, LOOM_BOOL8);
        for (uint64_t v = 0; v < voxels_of(s); v++) {
            bool any = false, all = true;
            for (uint64_t w = 0; w < voxels_of(s); w++)
                if (are_neighbours(s, v, w)) {
                    any = any || bytes_of(&mask)[w];
                    all = all && bytes_of(&mask)[w];
                }
            assert_int_equal(bytes_of(&near)[v], any);
            assert_int_equal(bytes_of(&interior)[v], all);
        }
        assert_memory_equal(bytes_of(&interior), bytes_of(&dual), voxels_of(s));
    }
}

/* Values other than 0 and 1: only 1 is foreground; others stay where nothing covers them. */
static void near_and_interior_of_other_values(void **state) {
    harness *h = *state;
    const shape s = {2, {5, 1, 1, 1}, {1, 1, 1, 1}, 0};
    loom_value image = image_of(h, &s, LOOM_U8);
    memcpy(bytes_of(&image), (const uint8_t[]){1, 7, 9, 1, 1}, 5);
    loom_value near = RUN(h, "vox1.near", image), interior = RUN(h, "vox1.interior", image);
    assert_int_equal(near.image.header->dtype, LOOM_U8);
    assert_memory_equal(bytes_of(&near), ((const uint8_t[]){1, 1, 1, 1, 1}), 5);
    assert_memory_equal(bytes_of(&interior), ((const uint8_t[]){0, 7, 9, 0, 1}), 5);
    memcpy(bytes_of(&image), (const uint8_t[]){7, 7, 0, 0, 1}, 5);
    near = RUN(h, "vox1.near", image);
    assert_memory_equal(bytes_of(&near), ((const uint8_t[]){7, 7, 0, 1, 1}), 5);
}

/* ---- distances ---- */

/* The definition, in double. */
static double distance_to_boundary(const shape *s, const uint8_t *mask, uint64_t v, bool *any) {
    double best = INFINITY;
    int64_t here[LOOM_RANK_MAX], there[LOOM_RANK_MAX];
    coordinates(s, v, here);
    for (uint64_t w = 0; w < voxels_of(s); w++) {
        bool boundary = false;
        for (uint64_t n = 0; mask[w] && n < voxels_of(s) && !boundary; n++)
            boundary = !mask[n] && are_neighbours(s, w, n);
        if (!boundary) continue;
        double sum = 0;
        coordinates(s, w, there);
        for (unsigned d = 0; d < s->rank; d++)
            sum += pow((double)(here[d] - there[d]) * s->spacing[d], 2);
        if (sum < best) best = sum;
        *any = true;
    }
    return sqrt(best);
}

static void distances(void **state) {
    harness *h = *state;
    uint64_t seed = 12;
    for (size_t k = 0; k < SHAPES; k++) {
        const shape *s = &shapes[k];
        loom_value mask = random_mask(h, s, &seed), map = RUN(h, "vox1.dt", mask);
        assert_int_equal(map.image.header->dtype, LOOM_F32);
        for (uint64_t v = 0; v < voxels_of(s); v++) {
            bool any = false;
            double expected = distance_to_boundary(s, bytes_of(&mask), v, &any), got = floats_of(&map)[v];
            if (!any) expected = (double)sqrtf(FLT_MAX);
            if (bytes_of(&mask)[v]) expected = -expected;
            /* Spacings that float32 cannot hold round in two ways, as in ITK: see runtime/kernels/spatial/distance.c.
             */
            if (fabs(got - expected) > 2e-6 * fabs(expected) + 2e-6)
                fail_msg("shape %zu voxel %d: %.9g, want %.9g", k, (int)v, got, expected);
            if (got == 0) assert_false(signbit(got));
        }
    }
}

/* ---- components ---- */

/* Flood fill by repeated passes: the label of a component is its first voxel's number. */
static void flood(const shape *s, const uint8_t *mask, uint64_t *label) {
    for (uint64_t v = 0; v < voxels_of(s); v++)
        label[v] = v;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint64_t v = 0; v < voxels_of(s); v++)
            for (uint64_t w = 0; mask[v] && w < voxels_of(s); w++)
                if (mask[w] && label[w] < label[v] && are_neighbours(s, v, w)) {
                    label[v] = label[w];
                    changed = true;
                }
    }
}

static void components(void **state) {
    harness *h = *state;
    uint64_t seed = 13;
    for (size_t k = 0; k < SHAPES; k++) {
        shape s = shapes[k];
        for (int density = 0; density < 2; density++) {
            if (density == 1 && s.percent > 10 && s.percent < 100) s.percent = 12;
            uint64_t n = voxels_of(&s);
            loom_value mask = random_mask(h, &s, &seed);
            shape few = s;
            few.percent = 3;
            loom_value seeds = random_mask(h, &few, &seed);
            loom_value labels = RUN(h, "vox1.lcc", mask), through = RUN(h, "vox1.through", seeds, mask);
            loom_value largest = RUN(h, "vox1.maxvol", mask);
            uint64_t *label = calloc(n, sizeof *label), *volume = calloc(n, sizeof *volume), most = 0;
            float *number = calloc(n, sizeof *number), used = 0;
            bool *hit = calloc(n, sizeof *hit);
            assert_true(label != NULL && volume != NULL && number != NULL && hit != NULL);
            flood(&s, bytes_of(&mask), label);
            for (uint64_t v = 0; v < n; v++) {
                if (!bytes_of(&mask)[v]) continue;
                if (label[v] == v) number[v] = ++used;
                volume[label[v]]++;
                if (bytes_of(&seeds)[v]) hit[label[v]] = true;
            }
            for (uint64_t v = 0; v < n; v++)
                if (volume[v] > most) most = volume[v];
            for (uint64_t v = 0; v < n; v++) {
                bool in = bytes_of(&mask)[v];
                assert_true(floats_of(&labels)[v] == (in ? number[label[v]] : 0));
                assert_int_equal(bytes_of(&through)[v], in && hit[label[v]]);
                assert_int_equal(bytes_of(&largest)[v], in && volume[label[v]] == most);
            }
            free(label);
            free(volume);
            free(number);
            free(hit);
        }
    }
}

/* ---- ranks ---- */

static void check_ranks(harness *h, const shape *s, value_maker make, uint64_t *seed, double c) {
    loom_value image = image_of(h, s, LOOM_F32), mask = random_mask(h, s, seed);
    uint64_t n = voxels_of(s), inside = 0, nans = 0, before = 0;
    const uint8_t *in = bytes_of(&mask);
    float *value = floats_of(&image);
    for (uint64_t v = 0; v < n; v++) {
        value[v] = make(seed);
        inside += in[v];
        nans += in[v] && isnan(value[v]);
    }
    loom_value ranks = RUN(h, "vox1.percentiles", image, mask, loom_float(c));
    for (uint64_t v = 0; v < n; v++) {
        float expected = -1;
        uint64_t smaller = 0, equal = 0;
        for (uint64_t w = 0; in[v] && w < n; w++) {
            smaller += in[w] && value[w] < value[v];
            equal += in[w] && value[w] == value[v];
        }
        if (in[v] && isnan(value[v])) {
            smaller = inside - nans + before++;
            equal = 1;
        }
        if (in[v]) expected = (float)(((double)smaller + c * (double)equal) / (double)inside);
        if (floats_of(&ranks)[v] != expected)
            fail_msg("voxel %d of value %g: %.9g, want %.9g", (int)v, value[v], floats_of(&ranks)[v], expected);
    }
}

static void ranks(void **state) {
    harness *h = *state;
    uint64_t seed = 14;
    static const value_maker makers[] = {small_whole, any_real, odd_real, close_real};
    for (size_t k = 0; k < SHAPES; k++)
        for (size_t m = 0; m < sizeof makers / sizeof makers[0]; m++)
            check_ranks(h, &shapes[k], makers[m], &seed, m % 2 == 0 ? 0.0 : 0.5);
    const shape large = {2, {61, 53, 1, 1}, {1, 1, 1, 1}, 90};
    for (size_t m = 0; m < sizeof makers / sizeof makers[0]; m++)
        check_ranks(h, &large, makers[m], &seed, 1.0);
}

/* ---- numbers from images ---- */

static void sums_and_extremes(void **state) {
    harness *h = *state;
    uint64_t seed = 15;
    for (size_t k = 0; k < SHAPES; k++) {
        const shape *s = &shapes[k];
        loom_value image = image_of(h, s, LOOM_F32), mask = random_mask(h, s, &seed);
        double sum = 0, low = INFINITY, high = -INFINITY;
        uint64_t count = 0;
        for (uint64_t v = 0; v < voxels_of(s); v++) {
            float value = floats_of(&image)[v] = small_whole(&seed) * 0.5f;
            if (bytes_of(&mask)[v]) sum += value;
            count += bytes_of(&mask)[v];
            low = value < low ? value : low;
            high = value > high ? value : high;
        }
        assert_true(RUN(h, "vox1.volume", mask).number == (double)count);
        assert_true(RUN(h, "vox1.min", image).number == low);
        assert_true(RUN(h, "vox1.max", image).number == high);
        assert_true(RUN(h, "vox1.avg0", image, mask).number == (count == 0 ? 0.0 : sum / (double)count));
    }
}

static void nan_is_passed_over_by_extremes_and_masks(void **state) {
    harness *h = *state;
    const shape s = {2, {3, 1, 1, 1}, {1, 1, 1, 1}, 0};
    loom_value image = image_of(h, &s, LOOM_F32), mask = image_of(h, &s, LOOM_BOOL8);
    memcpy(floats_of(&image), (const float[]){NAN, 2.0f, -3.0f}, 12);
    bytes_of(&mask)[1] = 1;
    assert_true(RUN(h, "vox1.min", image).number == -3.0);
    assert_true(RUN(h, "vox1.max", image).number == 2.0);
    assert_true(RUN(h, "vox1.avg", image, mask).number == 2.0);
    floats_of(&image)[1] = floats_of(&image)[2] = NAN;
    assert_true(isnan(RUN(h, "vox1.min", image).number));
    loom_value kept = RUN(h, "vox1.mask", image, mask);
    assert_true(floats_of(&kept)[0] == 0.0f && isnan(floats_of(&kept)[1]));
}

/* ---- logic ---- */

static void de_morgan(void **state) {
    harness *h = *state;
    uint64_t seed = 16;
    for (size_t k = 0; k < SHAPES; k++) {
        const shape *s = &shapes[k];
        loom_value a = random_mask(h, s, &seed), b = random_mask(h, s, &seed);
        loom_value left = RUN(h, "vox1.not", RUN(h, "vox1.and", a, b));
        loom_value right = RUN(h, "vox1.or", RUN(h, "vox1.not", a), RUN(h, "vox1.not", b));
        assert_memory_equal(bytes_of(&left), bytes_of(&right), voxels_of(s));
        loom_value same = RUN(h, "default.not_compat", RUN(h, "default.not_compat", a));
        assert_memory_equal(bytes_of(&same), bytes_of(&a), voxels_of(s));
        assert_int_equal(left.image.header->dtype, LOOM_BOOL8);
    }
}

static void borders_and_coordinates(void **state) {
    harness *h = *state;
    static const char *const names[] = {"vox1.x", "vox1.y", "vox1.z"};
    for (size_t k = 0; k < SHAPES; k++) {
        const shape *s = &shapes[k];
        loom_value image = image_of(h, s, LOOM_F32), domain = RUN(h, "loom.domain", loom_float(1), image);
        loom_value border = RUN(h, "vox1.border", domain), named = RUN(h, "vox1.border", image);
        assert_true(loom_image_same_domain(border.image.header, image.image.header, NULL));
        assert_memory_equal(bytes_of(&border), bytes_of(&named), voxels_of(s));
        loom_value axis[3];
        for (unsigned d = 0; d < 3; d++)
            axis[d] = RUN(h, names[d], domain);
        for (uint64_t v = 0; v < voxels_of(s); v++) {
            int64_t at[LOOM_RANK_MAX];
            bool edge = false;
            coordinates(s, v, at);
            for (unsigned d = 0; d < s->rank; d++)
                edge = edge || at[d] == 0 || at[d] + 1 == (int64_t)s->size[d];
            assert_int_equal(bytes_of(&border)[v], edge);
            for (unsigned d = 0; d < 3; d++)
                assert_true(floats_of(&axis[d])[v] == (float)at[d]);
        }
    }
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
    const struct CMUnitTest tests[] = {
        TEST(near_and_interior),
        TEST(near_and_interior_of_other_values),
        TEST(distances),
        TEST(components),
        TEST(ranks),
        TEST(sums_and_extremes),
        TEST(nan_is_passed_over_by_extremes_and_masks),
        TEST(de_morgan),
        TEST(borders_and_coordinates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
