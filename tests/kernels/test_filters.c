/* test_filters.c - the filters of simpleitk against their definitions, voxel by voxel (what ITK gave: test_itk.c). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"

static const uint64_t sizes[][3] = {{37, 11, 6}, {5, 40, 3}, {70, 1, 9}, {3, 2, 1}, {130, 4, 4}};
enum { SIZES = sizeof sizes / sizeof sizes[0], WINDOW_MAX = 1000 };

static loom_value list(harness *h, const int64_t *numbers) {
    loom_value *items = loom_arena_array(h->arena, 3, sizeof *items);
    assert_non_null(items);
    for (int d = 0; d < 3; d++)
        items[d] = loom_int(numbers[d]);
    return loom_sequence(items, 3);
}

static double value_at(const loom_value *image, uint64_t k) {
    const void *voxels = image->image.voxels;
    switch (image->image.header->dtype) {
    case LOOM_BOOL8:
    case LOOM_U8:
        return ((const uint8_t *)voxels)[k];
    case LOOM_I16:
        return ((const int16_t *)voxels)[k];
    case LOOM_U32:
        return ((const uint32_t *)voxels)[k];
    case LOOM_F32:
        return (double)((const float *)voxels)[k];
    default:
        return ((const double *)voxels)[k];
    }
}

/* Values 0 .. most - 1; reals and signed ones lie around 0. */
static loom_value random_image(harness *h, loom_dtype dtype, const uint64_t size[3], uint64_t most, uint64_t *seed) {
    loom_value image = make_image(h, dtype, 3, size, 1);
    void *voxels = (void *)(uintptr_t)image.image.voxels;
    for (uint64_t k = 0; k < size[0] * size[1] * size[2]; k++) {
        uint64_t draw = (next_random(seed) >> 20) % most;
        if (dtype == LOOM_I16)
            ((int16_t *)voxels)[k] = (int16_t)((int64_t)draw - (int64_t)most / 3);
        else if (dtype == LOOM_F32)
            ((float *)voxels)[k] = ((float)draw - (float)most / 3) * 0.37f;
        else if (dtype == LOOM_F64)
            ((double *)voxels)[k] = ((double)draw - (double)most / 3) * 0.37;
        else
            ((uint8_t *)voxels)[k] = (uint8_t)draw;
    }
    return image;
}

static uint64_t clamped(int64_t at, uint64_t size) {
    return at < 0 ? 0 : (uint64_t)at >= size ? size - 1 : (uint64_t)at;
}

/* The values of the box around a voxel, edges repeated. */
static size_t box_around(const loom_value *image, const uint64_t at[3], const int64_t radius[3], double *values) {
    const uint64_t *size = image->image.header->size;
    size_t count = 0;
    for (int64_t dz = -radius[2]; dz <= radius[2]; dz++)
        for (int64_t dy = -radius[1]; dy <= radius[1]; dy++)
            for (int64_t dx = -radius[0]; dx <= radius[0]; dx++) {
                uint64_t x = clamped((int64_t)at[0] + dx, size[0]), y = clamped((int64_t)at[1] + dy, size[1]),
                         z = clamped((int64_t)at[2] + dz, size[2]);
                values[count++] = value_at(image, (z * size[1] + y) * size[0] + x);
            }
    return count;
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void boxes(void **state) {
    (void)state;
    static const int64_t radii[][3] = {{1, 1, 1}, {0, 2, 1}, {3, 2, 2}, {0, 0, 0}};
    static const loom_dtype dtypes[] = {LOOM_U8, LOOM_I16, LOOM_F32, LOOM_F64};
    uint64_t seed = 5;
    static double values[WINDOW_MAX];
    for (int s = 0; s < SIZES; s++)
        for (int r = 0; r < 4; r++)
            for (int d = 0; d < 4; d++) {
                harness *h = harness_new();
                loom_value image = random_image(h, dtypes[d], sizes[s], 250, &seed);
                loom_value median = RUN(h, "simpleitk.Median", image, list(h, radii[r]));
                loom_value mean = RUN(h, "simpleitk.Mean", image, list(h, radii[r]));
                for (uint64_t k = 0; k < loom_image_voxels(image.image.header); k++) {
                    const uint64_t at[3] = {k % sizes[s][0], k / sizes[s][0] % sizes[s][1],
                                            k / sizes[s][0] / sizes[s][1]};
                    size_t count = box_around(&image, at, radii[r], values);
                    double sum = 0;
                    for (size_t v = 0; v < count; v++)
                        sum += values[v];
                    sum /= (double)count;
                    if (d < 2) sum = trunc(sum);
                    if (fabs(value_at(&mean, k) - sum) > (d < 2 ? 0 : 1e-5))
                        fail_msg("mean of type %d is %.17g, want %.17g", dtypes[d], value_at(&mean, k), sum);
                    qsort(values, count, sizeof values[0], compare_doubles);
                    if (value_at(&median, k) != values[count / 2])
                        fail_msg("median of type %d is %g, want %g", dtypes[d], value_at(&median, k),
                                 values[count / 2]);
                }
                harness_free(h);
            }
}

/* ---- sets ---- */

static bool is_in_element(int kind, const int64_t radius[3], const int64_t offset[3]) {
    double sum = 0;
    int off_axes = 0;
    for (int d = 0; d < 3; d++) {
        double share = (double)offset[d] / ((double)radius[d] + 0.5);
        sum += share * share;
        off_axes += offset[d] != 0;
    }
    return kind == 2 || (kind == 1 ? sum <= 1.0 : off_axes <= 1);
}

/* Whether any voxel of the element around `at` has (or has not) the foreground value. */
static bool is_hit(const loom_value *image, const uint64_t at[3], int kind, const int64_t radius[3], double foreground,
                   bool erode, bool edge) {
    const uint64_t *size = image->image.header->size;
    for (int64_t dz = -radius[2]; dz <= radius[2]; dz++)
        for (int64_t dy = -radius[1]; dy <= radius[1]; dy++)
            for (int64_t dx = -radius[0]; dx <= radius[0]; dx++) {
                int64_t x = (int64_t)at[0] + dx, y = (int64_t)at[1] + dy, z = (int64_t)at[2] + dz;
                if (!is_in_element(kind, radius, (const int64_t[3]){dx, dy, dz})) continue;
                bool inside = x >= 0 && y >= 0 && z >= 0 && (uint64_t)x < size[0] && (uint64_t)y < size[1] &&
                              (uint64_t)z < size[2];
                bool is_foreground = edge;
                if (inside)
                    is_foreground =
                        value_at(image, ((uint64_t)z * size[1] + (uint64_t)y) * size[0] + (uint64_t)x) == foreground;
                if (is_foreground != erode) return true;
            }
    return false;
}

static void check_morphology(harness *h, const loom_value *image, int kind, const int64_t radius[3], bool erode,
                             bool edge) {
    const char *name = erode ? "simpleitk.BinaryErode" : "simpleitk.BinaryDilate";
    const uint64_t *size = image->image.header->size;
    loom_value result =
        RUN(h, name, *image, list(h, radius), loom_int(kind), loom_float(3), loom_float(2), loom_bool(edge));
    for (uint64_t k = 0; k < loom_image_voxels(image->image.header); k++) {
        const uint64_t at[3] = {k % size[0], k / size[0] % size[1], k / size[0] / size[1]};
        double want = value_at(image, k);
        bool hit = is_hit(image, at, kind, radius, 2, erode, edge);
        if (hit && !erode) want = 2;
        if (hit && erode && want == 2) want = 3;
        if (value_at(&result, k) != want)
            fail_msg("%s kind %d radius %d %d %d edge %d at %llu: %g, want %g", name, kind, (int)radius[0],
                     (int)radius[1], (int)radius[2], edge, (unsigned long long)k, value_at(&result, k), want);
    }
}

static void morphology(void **state) {
    (void)state;
    static const int64_t radii[][3] = {{1, 1, 1}, {2, 0, 1}, {7, 3, 2}, {66, 1, 0}};
    uint64_t seed = 9;
    for (int s = 0; s < SIZES; s++)
        for (int r = 0; r < 4; r++)
            for (int kind = 1; kind <= 3; kind++)
                for (int flags = 0; flags < 4; flags++) {
                    harness *h = harness_new();
                    loom_value image = random_image(h, flags < 2 ? LOOM_U8 : LOOM_I16, sizes[s], 12, &seed);
                    check_morphology(h, &image, kind, radii[r], flags & 1, (flags >> 1 ^ r) & 1);
                    harness_free(h);
                }
}

/* ---- components ---- */

/* Labels by flood fill from voxel to voxel, in raster order of first voxels. */
static void flood(const loom_value *image, bool fully, uint32_t *label, uint64_t *stack) {
    const uint64_t *size = image->image.header->size, total = loom_image_voxels(image->image.header);
    uint32_t next = 0;
    memset(label, 0, total * sizeof *label);
    for (uint64_t k = 0; k < total; k++) {
        if (label[k] != 0 || value_at(image, k) == 0) continue;
        uint64_t depth = 0;
        label[k] = ++next;
        stack[depth++] = k;
        while (depth > 0) {
            uint64_t here = stack[--depth];
            for (int n = 0; n < 27; n++) {
                int dx = n % 3 - 1, dy = n / 3 % 3 - 1, dz = n / 9 - 1;
                int64_t x = (int64_t)(here % size[0]) + dx, y = (int64_t)(here / size[0] % size[1]) + dy,
                        z = (int64_t)(here / size[0] / size[1]) + dz;
                if (!fully && abs(dx) + abs(dy) + abs(dz) > 1) continue;
                if (x < 0 || y < 0 || z < 0 || (uint64_t)x >= size[0] || (uint64_t)y >= size[1] ||
                    (uint64_t)z >= size[2])
                    continue;
                uint64_t there = ((uint64_t)z * size[1] + (uint64_t)y) * size[0] + (uint64_t)x;
                if (label[there] != 0 || value_at(image, there) == 0) continue;
                label[there] = next;
                stack[depth++] = there;
            }
        }
    }
}

static void components(void **state) {
    (void)state;
    uint64_t seed = 17;
    for (int s = 0; s < SIZES; s++)
        for (uint64_t most = 2; most < 5; most++)
            for (int fully = 0; fully < 2; fully++) {
                harness *h = harness_new();
                loom_value image = random_image(h, LOOM_U8, sizes[s], most, &seed);
                uint64_t total = loom_image_voxels(image.image.header);
                uint32_t *label = malloc(total * sizeof *label);
                uint64_t *stack = malloc(total * sizeof *stack);
                assert_true(label != NULL && stack != NULL);
                flood(&image, fully, label, stack);
                loom_value result = RUN(h, "simpleitk.ConnectedComponent", image, loom_bool(fully));
                assert_int_equal(result.image.header->dtype, LOOM_U32);
                assert_memory_equal(result.image.voxels, label, total * sizeof *label);
                free(stack);
                free(label);
                harness_free(h);
            }
}

/* A mask takes voxels away; 256 is not 0, though its low byte is; labels are told apart beyond 8 bits. */
static void masks_and_wide_labels(void **state) {
    (void)state;
    harness *h = harness_new();
    uint64_t size[] = {6, 1};
    loom_value wide = make_image(h, LOOM_U16, 2, size, 1), mask = make_image(h, LOOM_U8, 2, size, 1);
    const uint16_t values[] = {256, 256, 0, 512, 7, 7};
    const uint8_t shown[] = {1, 0, 1, 200, 1, 0};
    memcpy((void *)(uintptr_t)wide.image.voxels, values, sizeof values);
    memcpy((void *)(uintptr_t)mask.image.voxels, shown, sizeof shown);
    loom_value result = RUN(h, "simpleitk.ConnectedComponent", wide);
    assert_memory_equal(result.image.voxels, ((uint32_t[]){1, 1, 0, 2, 2, 2}), 24);
    result = RUN(h, "simpleitk.ConnectedComponent", wide, mask);
    assert_memory_equal(result.image.voxels, ((uint32_t[]){1, 0, 0, 2, 2, 0}), 24);
    result = RUN(h, "simpleitk.RelabelComponent", wide);
    assert_memory_equal(result.image.voxels, ((uint16_t[]){2, 2, 0, 3, 1, 1}), 12);
    result = RUN(h, "simpleitk.RelabelComponent", wide, loom_int(2), loom_bool(false));
    assert_memory_equal(result.image.voxels, ((uint16_t[]){2, 2, 0, 0, 1, 1}), 12);
    harness_free(h);
}

/* Whatever NaNs come in, and however processors combine them: one goes out. */
static void one_nan(void **state) {
    (void)state;
    harness *h = harness_new();
    const uint64_t size[] = {21, 6, 5};
    const uint32_t nan = 0x7fc00000, several[] = {0x7fc54321, 0xffc00001, 0x7f800000, 0xff800000, 0x7fa00001};
    uint64_t seed = 11, found = 0;
    loom_value image = random_image(h, LOOM_F32, size, 100, &seed);
    for (unsigned k = 0; k < 5; k++)
        memcpy((float *)(uintptr_t)image.image.voxels + 100 * k + 30, &several[k], sizeof nan);
    loom_value result = RUN(h, "simpleitk.SmoothingRecursiveGaussian", image, loom_float(1.5));
    for (uint64_t k = 0; k < 21 * 6 * 5; k++) {
        uint32_t bits;
        memcpy(&bits, (const float *)result.image.voxels + k, sizeof bits);
        if ((bits & 0x7fffffff) <= 0x7f800000) continue;
        assert_int_equal(bits, nan);
        found++;
    }
    assert_true(found > 0);
    harness_free(h);
}

/* The widest Gaussian that is taken leaves a constant what it is; beyond, rounding would be all there is. */
static void widest_gaussian(void **state) {
    (void)state;
    harness *h = harness_new();
    loom_value image = make_image(h, LOOM_F32, 2, (uint64_t[]){700, 4}, 1), result;
    for (int k = 0; k < 2800; k++)
        ((float *)(uintptr_t)image.image.voxels)[k] = 100;
    result = RUN(h, "simpleitk.SmoothingRecursiveGaussian", image, loom_float(1000));
    for (int k = 0; k < 2800; k++)
        assert_true(fabsf(((const float *)result.image.voxels)[k] - 100) < 0.01f);
    for (int k = 0; k < 3; k++) {
        const loom_value wider[] = {image, loom_float((const double[]){1001, 1e5, 1e300}[k])};
        assert_int_equal(harness_run(h, "simpleitk.SmoothingRecursiveGaussian", wider, 2, NULL, &result),
                         LOOM_BAD_ARGUMENT);
    }
    harness_free(h);
}

/* Scratch is kept to the end of a call: it must not grow with the steps. */
static void steps_share_scratch(void **state) {
    (void)state;
    harness *h = harness_new();
    uint64_t seed = 12, few;
    loom_value image = random_image(h, LOOM_F32, (uint64_t[]){20, 9, 5}, 100, &seed);
    RUN(h, "simpleitk.CurvatureFlow", image, loom_float(0.05), loom_int(2));
    few = h->scratch_bytes;
    RUN(h, "simpleitk.CurvatureFlow", image, loom_float(0.05), loom_int(40));
    assert_int_equal(h->scratch_bytes, few);
    harness_free(h);
}

/* Positions that are no floats: the plain lines would search beyond their ends. */
static void spacing_beyond_floats(void **state) {
    (void)state;
    harness *h = harness_new();
    const double spacings[] = {1e38, 1e300};
    const char *const maps[] = {"vox1.dt", "simpleitk.SignedMaurerDistanceMap"};
    uint64_t seed = 13;
    for (unsigned k = 0; k < 2; k++)
        for (unsigned axis = 0; axis < 3; axis++)
            for (unsigned m = 0; m < 2; m++) {
                loom_value image = random_image(h, LOOM_U8, (uint64_t[]){9, 8, 7}, 2, &seed), result;
                ((loom_image_header *)(uintptr_t)image.image.header)->spacing[axis] = spacings[k];
                loom_value arguments[] = {image, loom_bool(false), loom_bool(false), loom_bool(true)};
                assert_int_equal(harness_run(h, maps[m], arguments, m == 0 ? 1 : 4, NULL, &result), LOOM_BAD_ARGUMENT);
                assert_non_null(strstr(h->err.message, "spacing"));
            }
    harness_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(boxes),
                                       cmocka_unit_test(morphology),
                                       cmocka_unit_test(components),
                                       cmocka_unit_test(masks_and_wide_labels),
                                       cmocka_unit_test(one_nan),
                                       cmocka_unit_test(steps_share_scratch),
                                       cmocka_unit_test(spacing_beyond_floats),
                                       cmocka_unit_test(widest_gaussian)};
    return cmocka_run_group_tests_name("filters", tests, NULL, NULL);
}
