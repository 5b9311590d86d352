/* test_laws.c - laws that operators keep on every volume: monotone, idempotent, dual, additive, Lipschitz. They are
 * checked beside the definitions of test_properties.c, and tell where two operators do not fit together. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shapes.h"

static bool same(const shape *s, loom_value a, loom_value b) {
    return memcmp(bytes_of(&a), bytes_of(&b), voxels_of(s)) == 0;
}

static bool is_subset(const shape *s, loom_value a, loom_value b) {
    for (uint64_t v = 0; v < voxels_of(s); v++)
        if (bytes_of(&a)[v] && !bytes_of(&b)[v]) return false;
    return true;
}

static loom_value opening(harness *h, loom_value a) {
    return RUN(h, "vox1.near", RUN(h, "vox1.interior", a));
}
static loom_value closing(harness *h, loom_value a) {
    return RUN(h, "vox1.interior", RUN(h, "vox1.near", a));
}

/* Dilation and erosion by one box are adjoint: opening and closing are idempotent, and lie on either side of the set.
 */
static void openings_and_closings(harness *h, const shape *s, uint64_t *seed) {
    loom_value a = random_mask(h, s, seed), b = random_mask(h, s, seed);
    loom_value open = opening(h, a), close = closing(h, a);
    assert_true(same(s, opening(h, open), open) && same(s, closing(h, close), close));
    assert_true(is_subset(s, open, a) && is_subset(s, a, close));
    loom_value either = RUN(h, "vox1.or", a, b), both = RUN(h, "vox1.and", a, b);
    loom_value near_a = RUN(h, "vox1.near", a), near_b = RUN(h, "vox1.near", b);
    assert_true(same(s, RUN(h, "vox1.near", either), RUN(h, "vox1.or", near_a, near_b)));
    loom_value in_a = RUN(h, "vox1.interior", a), in_b = RUN(h, "vox1.interior", b);
    assert_true(same(s, RUN(h, "vox1.interior", both), RUN(h, "vox1.and", in_a, in_b)));
    /* Adjoint: the dilation of a fits into b exactly if a fits into the erosion of b. */
    assert_int_equal(is_subset(s, near_a, b), is_subset(s, a, in_b));
    assert_true(is_subset(s, RUN(h, "vox1.near", RUN(h, "vox1.interior", near_a)), near_a));
}

/* vol(a) + vol(b) = vol(a or b) + vol(a and b); and, or, not are a Boolean algebra. */
static void sets(harness *h, const shape *s, uint64_t *seed) {
    loom_value a = random_mask(h, s, seed), b = random_mask(h, s, seed), c = random_mask(h, s, seed);
    loom_value either = RUN(h, "vox1.or", a, b), both = RUN(h, "vox1.and", a, b);
    double sum = RUN(h, "vox1.volume", a).number + RUN(h, "vox1.vol", b).number;
    assert_true(sum == RUN(h, "vox1.volume", either).number + RUN(h, "vox1.volume", both).number);
    assert_true(same(s, RUN(h, "vox1.or", a, both), a) && same(s, RUN(h, "vox1.and", a, either), a));
    assert_true(
        same(s, RUN(h, "vox1.and", a, RUN(h, "vox1.or", b, c)), RUN(h, "vox1.or", both, RUN(h, "vox1.and", a, c))));
    assert_true(same(s, RUN(h, "vox1.not_compat", RUN(h, "vox1.not", a)), a));
    assert_true(RUN(h, "vox1.volume", RUN(h, "vox1.and", a, RUN(h, "vox1.not", a))).number == 0);
}

/* A component is taken or left whole; the largest is one of them; the labels count them. */
static void parts_of_sets(harness *h, const shape *s, uint64_t *seed) {
    loom_value a = random_mask(h, s, seed), b = random_mask(h, s, seed), c = random_mask(h, s, seed);
    loom_value through = RUN(h, "vox1.through", a, b);
    assert_true(is_subset(s, through, b));
    assert_true(same(s, RUN(h, "vox1.through", through, b), through)); /* idempotent */
    loom_value more = RUN(h, "vox1.through", RUN(h, "vox1.or", a, c), b);
    assert_true(same(s, more, RUN(h, "vox1.or", through, RUN(h, "vox1.through", c, b)))); /* additive in the seeds */
    assert_true(same(s, RUN(h, "vox1.through", b, b), b));
    loom_value largest = RUN(h, "vox1.maxvol", b);
    assert_true(same(s, RUN(h, "vox1.through", largest, b), largest));
    assert_true(same(s, RUN(h, "vox1.maxvol", largest), largest));
    loom_value lower = RUN(h, "vox1.lcc", b), upper = RUN(h, "vox1.Lcc", b);
    assert_memory_equal(floats_of(&lower), floats_of(&upper), voxels_of(s) * sizeof(float));
    /* Each label alone is a component: what goes through it is it. */
    double count = RUN(h, "vox1.max", lower).number;
    for (double label = 1; label <= count && label <= 3; label++) {
        loom_value one = RUN(h, "vox1.eq_sv", loom_float(label), lower);
        assert_true(same(s, RUN(h, "vox1.through", one, b), one));
    }
}

static double apart(const shape *s, uint64_t a, uint64_t b) {
    int64_t from[LOOM_RANK_MAX], to[LOOM_RANK_MAX];
    double sum = 0;
    coordinates(s, a, from);
    coordinates(s, b, to);
    for (unsigned d = 0; d < s->rank; d++)
        sum += pow((double)(from[d] - to[d]) * s->spacing[d], 2);
    return sqrt(sum);
}

/* On either side of the border the map is 1-Lipschitz, which is the triangle inequality; across it a step of one voxel
 * is lost, because the border is voxels of the set. */
static void distances_are_lipschitz(harness *h, const shape *s, uint64_t *seed) {
    loom_value a = random_mask(h, s, seed), map = RUN(h, "vox1.dt", a);
    const float *distance = floats_of(&map);
    double diagonal = 0;
    for (unsigned d = 0; d < s->rank; d++)
        diagonal += s->spacing[d] * s->spacing[d];
    diagonal = sqrt(diagonal);
    if (fabsf(distance[0]) > 1e18f) return; /* no border at all */
    for (uint64_t u = 0; u < voxels_of(s); u++) {
        assert_int_equal(bytes_of(&a)[u], distance[u] <= 0);
        for (uint64_t v = 0; v < u; v++) {
            bool one_side = bytes_of(&a)[u] == bytes_of(&a)[v];
            double most = apart(s, u, v) + (one_side ? 0 : diagonal);
            assert_true(fabs((double)distance[u] - (double)distance[v]) <= most * (1 + 1e-5) + 1e-5);
        }
    }
}

/* Larger sets are nearer, from outside. */
static void distances_are_monotone(harness *h, const shape *s, uint64_t *seed) {
    loom_value a = random_mask(h, s, seed), more = RUN(h, "vox1.or", a, random_mask(h, s, seed));
    loom_value far = RUN(h, "vox1.dt", a), nearer = RUN(h, "vox1.dt", more);
    if (RUN(h, "vox1.volume", a).number == 0) return;
    for (uint64_t v = 0; v < voxels_of(s); v++)
        if (!bytes_of(&more)[v]) assert_true(floats_of(&nearer)[v] <= floats_of(&far)[v]);
}

/* A larger value has no smaller rank, equal ones have the same, and any growing function of the values has the same. */
static void ranks_are_monotone(harness *h, const shape *s, uint64_t *seed) {
    loom_value image = random_image(h, s, small_whole, seed), mask = random_mask(h, s, seed);
    loom_value ranks = RUN(h, "vox1.percentiles", image, mask, loom_float(0.5));
    const float *value = floats_of(&image), *rank = floats_of(&ranks);
    for (uint64_t u = 0; u < voxels_of(s); u++) {
        if (!bytes_of(&mask)[u]) assert_true(rank[u] == -1);
        for (uint64_t v = 0; v < u && bytes_of(&mask)[u]; v++) {
            if (!bytes_of(&mask)[v]) continue;
            if (value[u] == value[v]) assert_true(rank[u] == rank[v]);
            if (value[u] < value[v]) assert_true(rank[u] < rank[v]);
        }
    }
    loom_value grown = RUN(h, "vox1.add_vs", RUN(h, "vox1.mul_vs", image, loom_float(3)), loom_float(7));
    loom_value again = RUN(h, "vox1.percentiles", grown, mask, loom_float(0.5));
    assert_memory_equal(rank, floats_of(&again), voxels_of(s) * sizeof(float));
}

/* Comparisons cut every image in parts, NaN apart. */
static void comparisons_cover(harness *h, const shape *s, uint64_t *seed) {
    loom_value image = random_image(h, s, odd_real, seed), level = loom_float(1);
    loom_value least = RUN(h, "vox1.geq_sv", level, image), most = RUN(h, "vox1.leq_sv", level, image);
    loom_value equal = RUN(h, "vox1.eq_sv", level, image), above = RUN(h, "vox1.>", image, level);
    assert_true(same(s, RUN(h, "vox1.and", least, most), equal));
    assert_true(same(s, RUN(h, "vox1.between", level, level, image), equal));
    assert_true(same(s, RUN(h, "vox1.==", image, level), equal) && same(s, RUN(h, "vox1.>=", image, level), least));
    assert_true(same(s, RUN(h, "vox1.<=", image, level), most) && same(s, RUN(h, "vox1.<", level, image), above));
    assert_true(same(s, RUN(h, "vox1.and", least, RUN(h, "vox1.not", equal)), above));
    loom_value below = RUN(h, "vox1.<", image, level), other = RUN(h, "vox1.!=", image, level);
    for (uint64_t v = 0; v < voxels_of(s); v++) {
        bool nan = isnan(floats_of(&image)[v]);
        assert_int_equal(bytes_of(&least)[v] + bytes_of(&below)[v], !nan);
        assert_int_equal(bytes_of(&other)[v], nan || !bytes_of(&equal)[v]);
    }
}

typedef void (*law)(harness *h, const shape *s, uint64_t *seed);

static void on_all_shapes(void **state) {
    static const law laws[] = {
        openings_and_closings, sets, parts_of_sets, distances_are_lipschitz, distances_are_monotone, ranks_are_monotone,
        comparisons_cover};
    (void)state;
    for (size_t l = 0; l < sizeof laws / sizeof laws[0]; l++) {
        uint64_t seed = 71 + l;
        for (size_t k = 0; k < SHAPES; k++) {
            harness *h = harness_new();
            laws[l](h, &shapes[k], &seed);
            harness_free(h);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_all_shapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
