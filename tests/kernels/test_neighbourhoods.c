/* test_neighbourhoods.c - crossCorrelation, gradient, label_mean, hd95 and nsd against their definitions, written
 * plainly: two to four dimensions, odd sizes, anisotropic spacing, values that count nowhere. Recorded results, which
 * are all of three dimensions, are compared in test_golden.c. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"

static loom_value image_of(harness *h, loom_dtype dtype, unsigned rank, const uint64_t size[], const double spacing[]) {
    loom_value image = make_image(h, dtype, rank, size, 1);
    loom_image_header *header = (loom_image_header *)(uintptr_t)image.image.header;
    memcpy(header->spacing, spacing, rank * sizeof *spacing);
    return image;
}

static void *voxels_of(loom_value image) {
    return (void *)(uintptr_t)image.image.voxels;
}

static void position(const loom_image_header *header, uint64_t voxel, int64_t at[LOOM_RANK_MAX]) {
    for (unsigned d = 0; d < LOOM_RANK_MAX; d++) {
        at[d] = (int64_t)(voxel % header->size[d]);
        voxel /= header->size[d];
    }
}

/* Squared extent of the step from one voxel to another in voxels; the largest along an axis. */
static int64_t apart(const loom_image_header *header, uint64_t a, uint64_t b, int64_t step[LOOM_RANK_MAX]) {
    int64_t from[LOOM_RANK_MAX], to[LOOM_RANK_MAX], sum = 0;
    position(header, a, from);
    position(header, b, to);
    for (unsigned d = 0; d < LOOM_RANK_MAX; d++) {
        step[d] = to[d] - from[d];
        sum += step[d] * step[d];
    }
    return sum;
}

/* ---- crossCorrelation ---- */

typedef struct texture {
    double radius, low, high;
    int bins;
} texture;

static int bin_of(const texture *by, float value) {
    double width = (by->high - by->low) / by->bins;
    if (!(value >= by->low && (double)value < by->high) || width == 0) return -1;
    double place = trunc(((double)value - by->low) / width);
    return place < by->bins ? (int)place : -1;
}

static double pearson(const double *a, const double *b, int count) {
    double mean_a = 0, mean_b = 0, ab = 0, aa = 0, bb = 0;
    for (int k = 0; k < count; k++) {
        mean_a += a[k] / count;
        mean_b += b[k] / count;
    }
    for (int k = 0; k < count; k++) {
        ab += (a[k] - mean_a) * (b[k] - mean_b);
        aa += (a[k] - mean_a) * (a[k] - mean_a);
        bb += (b[k] - mean_b) * (b[k] - mean_b);
    }
    bool flat_a = aa < 1e-9, flat_b = bb < 1e-9;
    return flat_a || flat_b ? flat_a == flat_b : ab / sqrt(aa * bb);
}

static double correlation_at(const texture *by, loom_value a, uint64_t voxel, const double *reference) {
    const loom_image_header *header = a.image.header;
    double histogram[64] = {0};
    for (uint64_t other = 0; other < loom_image_voxels(header); other++) {
        int64_t step[LOOM_RANK_MAX];
        bool inside = true;
        apart(header, voxel, other, step);
        for (unsigned d = 0; d < header->rank; d++) {
            double radius = nearbyint(by->radius / header->spacing[d]);
            inside = inside && (double)llabs(step[d]) <= (radius < 1 ? 1 : radius);
        }
        int bin = bin_of(by, ((const float *)a.image.voxels)[other]);
        if (inside && bin >= 0) histogram[bin]++;
    }
    return pearson(histogram, reference, by->bins);
}

static void check_correlation(harness *h, unsigned rank, const uint64_t size[], const double spacing[],
                              const texture *by) {
    loom_value a = image_of(h, LOOM_F32, rank, size, spacing), b = image_of(h, LOOM_F32, rank, size, spacing);
    loom_value mask = image_of(h, LOOM_U8, rank, size, spacing);
    uint64_t total = loom_image_voxels(a.image.header), seed = 99 + rank;
    double reference[64] = {0};
    for (uint64_t k = 0; k < total; k++) {
        static const float odd[] = {NAN, INFINITY, -INFINITY, 8.0f, -0.5f};
        uint64_t draw = next_random(&seed) >> 20;
        ((float *)voxels_of(a))[k] = draw % 40 < 5 ? odd[draw % 40] : (float)(draw % 81) / 10;
        ((float *)voxels_of(b))[k] = (float)(draw % 7) * (float)(draw % 5) / 3;
        ((uint8_t *)voxels_of(mask))[k] = (uint8_t)(draw % 11 < 4 ? draw % 3 : 0);
        int bin = bin_of(by, ((float *)voxels_of(b))[k]);
        if (((uint8_t *)voxels_of(mask))[k] != 0 && bin >= 0) reference[bin]++;
    }
    loom_value is = RUN(h, "vox1.crossCorrelation", loom_float(by->radius), a, b, mask, loom_float(by->low),
                        loom_float(by->high), loom_float(by->bins + 0.7));
    for (uint64_t k = 0; k < total; k++) {
        float got = ((const float *)is.image.voxels)[k];
        double want = correlation_at(by, a, k, reference);
        if (!(fabs(got - want) < 1e-6)) fail_msg("rank %u, voxel %d: %.9g, want %.9g", rank, (int)k, got, want);
    }
}

static void test_correlation(void **state) {
    (void)state;
    harness *h = harness_new();
    const double spacing[] = {1, 2, 0.7, 1.5}, fine[] = {0.4, 0.4, 0.4, 0.4};
    check_correlation(h, 2, (uint64_t[]){19, 23}, spacing, &(texture){2.5, 0, 8, 20});
    check_correlation(h, 3, (uint64_t[]){11, 9, 7}, spacing, &(texture){1, 0, 8, 33});
    check_correlation(h, 3, (uint64_t[]){1, 13, 5}, spacing, &(texture){3, 1, 7.5, 16});
    check_correlation(h, 4, (uint64_t[]){5, 4, 3, 4}, spacing, &(texture){2, -1, 9, 5});
    check_correlation(h, 3, (uint64_t[]){9, 8, 7}, fine, &(texture){50, 0, 8, 12});   /* more than the image */
    check_correlation(h, 2, (uint64_t[]){9, 8}, spacing, &(texture){0, 0, 8, 1});     /* one bin: both constant */
    check_correlation(h, 2, (uint64_t[]){9, 8}, spacing, &(texture){1, 100, 108, 4}); /* nothing counted */
    check_correlation(h, 2, (uint64_t[]){9, 8}, spacing, &(texture){1, 5, 5, 4});     /* an empty range */
    harness_free(h);
}

/* Counts beyond 16 bits: boxes that are the whole image, whose histogram is that of all. */
static void test_large_boxes(void **state) {
    (void)state;
    harness *h = harness_new();
    loom_value a = make_image(h, LOOM_U8, 3, (uint64_t[]){60, 41, 31}, 1);
    loom_value half = make_image(h, LOOM_BOOL8, 3, (uint64_t[]){60, 41, 31}, 1);
    uint64_t total = loom_image_voxels(a.image.header), seed = 5;
    double all[10] = {0}, some[10] = {0};
    for (uint64_t k = 0; k < total; k++) {
        uint8_t value = (uint8_t)(next_random(&seed) >> 33) % 7;
        value = value < 5 ? 3 : value;
        ((uint8_t *)voxels_of(a))[k] = value;
        ((uint8_t *)voxels_of(half))[k] = k % 3 == 0;
        all[value]++;
        some[value] += k % 3 == 0;
    }
    loom_value is =
        RUN(h, "vox1.crossCorrelation", loom_float(100), a, a, half, loom_int(0), loom_int(10), loom_int(10));
    float want = (float)pearson(all, some, 10);
    for (uint64_t k = 0; k < total; k++)
        if (fabsf(((const float *)is.image.voxels)[k] - want) > 1e-6f) fail_msg("voxel %d", (int)k);
    harness_free(h);
}

/* ---- gradient ---- */

static double gradient_at(loom_value image, uint64_t voxel) {
    const loom_image_header *header = image.image.header;
    double squares = 0;
    uint64_t stride = 1;
    int64_t at[LOOM_RANK_MAX];
    position(header, voxel, at);
    for (unsigned d = 0; d < header->rank; stride *= header->size[d++]) {
        const int16_t *values = image.image.voxels;
        int16_t before = values[at[d] > 0 ? voxel - stride : voxel];
        int16_t after = values[at[d] + 1 < (int64_t)header->size[d] ? voxel + stride : voxel];
        squares += pow((after - before) / 2.0 / header->spacing[d], 2);
    }
    return sqrt(squares);
}

static void test_gradient(void **state) {
    (void)state;
    harness *h = harness_new();
    const uint64_t sizes[][LOOM_RANK_MAX] = {{17, 5}, {1, 9}, {7, 6, 5}, {9, 1, 4}, {5, 4, 3, 4}, {2, 2, 2, 1}};
    const unsigned ranks[] = {2, 2, 3, 3, 4, 4};
    const double spacing[] = {1, 0.5, 3, 0.25};
    uint64_t seed = 3;
    for (int s = 0; s < 6; s++) {
        loom_value image = image_of(h, LOOM_I16, ranks[s], sizes[s], spacing);
        uint64_t total = loom_image_voxels(image.image.header);
        for (uint64_t k = 0; k < total; k++)
            ((int16_t *)voxels_of(image))[k] = (int16_t)(next_random(&seed) >> 40);
        loom_value is = RUN(h, "vox1.gradient", image);
        for (uint64_t k = 0; k < total; k++) {
            double want = gradient_at(image, k), got = (double)((const float *)is.image.voxels)[k];
            if (!(fabs(got - want) <= want * 1e-7)) fail_msg("size %d, voxel %d: %g, want %g", s, (int)k, got, want);
        }
    }
    /* What is not finite spoils the voxel and its neighbours. */
    loom_value line = make_image(h, LOOM_F32, 2, (uint64_t[]){5, 1}, 1);
    ((float *)voxels_of(line))[2] = INFINITY;
    const float *out = RUN(h, "vox1.gradient", line).image.voxels;
    assert_true(out[0] == 0 && isinf(out[1]) && isnan(out[2]) && isinf(out[3]) && out[4] == 0);
    harness_free(h);
}

/* ---- label_mean ---- */

static void test_label_mean(void **state) {
    (void)state;
    harness *h = harness_new();
    const uint64_t size[] = {6, 5};
    static const int16_t labels[] = {0, 7, 2, 2, 300, 0};
    loom_value map = make_image(h, LOOM_I16, 2, size, 1), values = make_image(h, LOOM_U8, 2, size, 1);
    double sum[301] = {0}, count[301] = {0};
    for (int k = 0; k < 30; k++) {
        ((int16_t *)voxels_of(map))[k] = labels[k % 6];
        ((uint8_t *)voxels_of(values))[k] = (uint8_t)(k * k % 251);
        sum[labels[k % 6]] += k * k % 251;
        count[labels[k % 6]]++;
    }
    loom_value is = RUN(h, "vox1.label_mean", map, values), refused;
    assert_int_equal(is.image.header->dtype, LOOM_F32);
    for (int k = 0; k < 30; k++)
        assert_true(((const float *)is.image.voxels)[k] == (float)(sum[labels[k % 6]] / count[labels[k % 6]]));
    ((int16_t *)voxels_of(map))[9] = -1;
    const loom_value arguments[] = {map, values};
    assert_int_equal(harness_run(h, "vox1.label_mean", arguments, 2, NULL, &refused), LOOM_BAD_ARGUMENT);
    assert_non_null(strstr(h->err.message, "label -1"));
    harness_free(h);
}

/* ---- hd95 and nsd ---- */

/* A neighbour outside the mask, within a box (the boundary of dt) or a ball of radius 1 (the surface). */
static bool on_edge(loom_value mask, uint64_t voxel, int64_t ball) {
    const loom_image_header *header = mask.image.header;
    const uint8_t *in = mask.image.voxels;
    if (!in[voxel]) return false;
    for (uint64_t other = 0; other < loom_image_voxels(header); other++) {
        int64_t step[LOOM_RANK_MAX];
        if (in[other] || apart(header, voxel, other, step) > ball) continue;
        if (llabs(step[0]) <= 1 && llabs(step[1]) <= 1 && llabs(step[2]) <= 1) return true;
    }
    return false;
}

static size_t measure(loom_value from, loom_value to, float *distances) {
    const loom_image_header *header = from.image.header;
    uint64_t total = loom_image_voxels(header);
    size_t count = 0;
    bool boundary[15 * 12 * 6];
    for (uint64_t k = 0; k < total; k++)
        boundary[k] = on_edge(to, k, 3);
    for (uint64_t k = 0; k < total; k++) {
        if (!on_edge(from, k, 2)) continue; /* the corners of the cube are not in ITK's ball */
        double least = DBL_MAX;
        for (uint64_t other = 0; other < total; other++) {
            int64_t step[LOOM_RANK_MAX];
            if (!boundary[other]) continue;
            apart(header, k, other, step);
            double square = 0;
            for (unsigned d = 0; d < header->rank; d++)
                square += pow((double)step[d] * header->spacing[d], 2);
            least = square < least ? square : least;
        }
        distances[count++] = (float)sqrt(least);
    }
    return count;
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static loom_value ball(harness *h, unsigned rank, double cx, double radius) {
    const uint64_t size[] = {15, 12, rank == 3 ? 6 : 1};
    const double spacing[] = {1, 1.5, 2.5};
    loom_value mask = image_of(h, LOOM_BOOL8, rank, size, spacing);
    for (uint64_t k = 0; k < loom_image_voxels(mask.image.header); k++) {
        int64_t at[LOOM_RANK_MAX];
        position(mask.image.header, k, at);
        double square = pow((double)at[0] - cx, 2) + pow((double)at[1] - 5, 2) + pow((double)at[2] - 2, 2);
        ((uint8_t *)voxels_of(mask))[k] = square < radius * radius;
    }
    return mask;
}

static double number_of(loom_value value) {
    assert_int_equal(value.type, LOOM_FLOAT);
    return value.number;
}

static void test_surfaces(void **state) {
    (void)state;
    harness *h = harness_new();
    for (unsigned rank = 2; rank <= 3; rank++) {
        static float distances[2 * 15 * 12 * 6];
        loom_value a = ball(h, rank, 6, 4.2), b = ball(h, rank, 9, 2.9);
        size_t count = measure(a, b, distances), within = 0;
        count += measure(b, a, distances + count);
        qsort(distances, count, sizeof *distances, by_size);
        double place = (double)(count - 1) * 0.95, low = (double)distances[(size_t)place];
        double high = (double)distances[(size_t)place + 1], want = low + (high - low) * (place - floor(place));
        double is = number_of(RUN(h, "vox1.hd95", a, b));
        if (fabs(is - want) > 1e-5) fail_msg("hd95 %g, want %g", is, want);
        for (size_t k = 0; k < count; k++)
            within += distances[k] <= 2.25f;
        assert_true(within > 0 && within < count);
        assert_true(number_of(RUN(h, "vox1.nsd", a, b, loom_float(2.25))) == (double)within / (double)count);
        /* Nothing to compare, and nothing between. */
        loom_value empty = ball(h, rank, 0, 0), full = ball(h, rank, 0, 100);
        assert_true(number_of(RUN(h, "vox1.hd95", a, empty)) == -1 && number_of(RUN(h, "vox1.hd95", a, a)) == 0);
        assert_true(number_of(RUN(h, "vox1.nsd", empty, b, loom_int(1))) == -1);
        assert_true(number_of(RUN(h, "vox1.nsd", full, full, loom_int(1))) == -1);
        assert_true(number_of(RUN(h, "vox1.nsd", b, b, loom_int(0))) == 1);
    }
    harness_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_correlation), cmocka_unit_test(test_large_boxes), cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_label_mean),  cmocka_unit_test(test_surfaces),
    };
    return cmocka_run_group_tests_name("neighbourhoods", tests, NULL, NULL);
}
