/* test_scalars.c - operators of one number, truth value or voxel at a time, against the same written in C. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shapes.h"

static const double numbers[] = {0, -0.0, 1, -1, 0.5, 3, 1e300, -1e-300, INFINITY, -INFINITY, NAN};
enum { NUMBERS = sizeof numbers / sizeof numbers[0] };

typedef struct comparison {
    const char *names[2]; /* default's and vox1's are alike */
    bool (*is)(double a, double b);
} comparison;

static bool is_equal(double a, double b) {
    return a == b;
}
static bool differs(double a, double b) {
    return a != b;
}
static bool is_less(double a, double b) {
    return a < b;
}
static bool is_at_most(double a, double b) {
    return a <= b;
}
static bool is_greater(double a, double b) {
    return a > b;
}
static bool is_at_least(double a, double b) {
    return a >= b;
}

static void comparisons(void **state) {
    harness *h = *state;
    static const comparison all[] = {
        {{"default.num_eq", "vox1.num_eq"}, is_equal},   {{"default.num_neq", "vox1.num_neq"}, differs},
        {{"default.num_lt", "vox1.num_lt"}, is_less},    {{"default.num_leq", "vox1.num_leq"}, is_at_most},
        {{"default.num_gt", "vox1.num_gt"}, is_greater}, {{"default.num_geq", "vox1.num_geq"}, is_at_least},
    };
    for (size_t c = 0; c < sizeof all / sizeof all[0]; c++)
        for (size_t n = 0; n < 2; n++)
            for (size_t k = 0; k < NUMBERS * NUMBERS; k++) {
                double a = numbers[k / NUMBERS], b = numbers[k % NUMBERS];
                loom_value got = RUN(h, all[c].names[n], loom_float(a), loom_float(b));
                if (got.type != LOOM_BOOL || got.boolean != all[c].is(a, b))
                    fail_msg("%s(%g, %g)", all[c].names[n], a, b);
            }
    assert_true(RUN(h, "vox1.num_eq", loom_string_of(" 2 "), loom_int(2)).boolean);
    assert_true(RUN(h, "vox1.num_lt", loom_bool(false), loom_bool(true)).boolean);
}

static void truths(void **state) {
    harness *h = *state;
    const loom_value values[] = {loom_null(),        loom_bool(false),    loom_bool(true),
                                 loom_float(0),      loom_float(NAN),     loom_int(7),
                                 loom_string_of(""), loom_string_of("0"), loom_sequence(NULL, 0)};
    static const bool is_true[] = {false, false, true, false, true, true, false, true, false};
    enum { COUNT = sizeof values / sizeof values[0] };
    for (size_t k = 0; k < COUNT * COUNT; k++) {
        size_t a = k / COUNT, b = k % COUNT;
        assert_int_equal(RUN(h, "vox1.bool_and_scalar", values[a], values[b]).boolean, is_true[a] && is_true[b]);
        assert_int_equal(RUN(h, "vox1.bool_or_scalar", values[a], values[b]).boolean, is_true[a] || is_true[b]);
        assert_int_equal(RUN(h, "default.bool_and_scalar", values[a], values[b]).boolean, is_true[a] && is_true[b]);
        assert_int_equal(RUN(h, "default.bool_or_scalar", values[a], values[b]).boolean, is_true[a] || is_true[b]);
    }
}

static bool same_float(float a, float b) {
    return a == b || (isnan(a) && isnan(b));
}

/* One rounding: what the number is in float32, and what the sum is. */
static void images_and_numbers(void **state) {
    harness *h = *state;
    uint64_t seed = 31;
    for (size_t k = 0; k < SHAPES; k++) {
        const shape *s = &shapes[k];
        loom_value image = random_image(h, s, k % 2 == 0 ? odd_real : any_real, &seed), number = loom_float(0.1);
        const float v = 0.1f, *x = floats_of(&image);
        loom_value less = RUN(h, "vox1.sub_vs", image, number), from = RUN(h, "vox1.sub_sv", number, image);
        loom_value more = RUN(h, "vox1.add_vs", image, number), times = RUN(h, "vox1.mul_vs", image, number);
        for (uint64_t i = 0; i < voxels_of(s); i++) {
            assert_true(same_float(floats_of(&less)[i], x[i] - v));
            assert_true(same_float(floats_of(&from)[i], v - x[i]));
            assert_true(same_float(floats_of(&more)[i], x[i] + v));
            assert_true(same_float(floats_of(&times)[i], x[i] * v));
        }
    }
}

static void differences(void **state) {
    harness *h = *state;
    for (size_t k = 0; k < NUMBERS * NUMBERS; k++) {
        double a = numbers[k / NUMBERS], b = numbers[k % NUMBERS], want = a - b;
        double one = RUN(h, "vox1.num_sub", loom_float(a), loom_float(b)).number;
        double two = RUN(h, "default.subtraction", loom_float(a), loom_float(b)).number;
        assert_true((one == want && two == want) || (isnan(one) && isnan(two) && isnan(want)));
    }
    loom_value whole = RUN(h, "default.subtraction", loom_int(5), loom_int(7));
    assert_true(whole.type == LOOM_INT && whole.integer == -2);
}

static void colours(void **state) {
    harness *h = *state;
    static const char *const names[] = {"vox1.red", "vox1.green", "vox1.blue", "vox1.alpha"};
    uint64_t seed = 33;
    for (size_t k = 0; k < SHAPES; k++) {
        const shape *s = &shapes[k];
        loom_value part[4];
        for (size_t c = 0; c < 4; c++)
            part[c] = random_image(h, s, small_whole, &seed);
        loom_value all = RUN(h, "vox1.rgba", part[0], part[1], part[2], part[3]);
        assert_int_equal(all.image.header->components, 4);
        for (size_t c = 0; c < 4; c++) {
            loom_value one = RUN(h, names[c], all);
            assert_memory_equal(floats_of(&one), floats_of(&part[c]), voxels_of(s) * sizeof(float));
            for (uint64_t v = 0; v < voxels_of(s); v++)
                assert_true(floats_of(&all)[4 * v + c] == floats_of(&part[c])[v]);
        }
    }
}

/* Angles, within what C libraries differ in. */
static void angles(void **state) {
    harness *h = *state;
    static const struct {
        const char *name;
        double (*of)(double x);
    } all[] = {{"simpleitk.Acos", acos}, {"simpleitk.Asin", asin}, {"simpleitk.Cos", cos}, {"simpleitk.Tan", tan}};
    const shape s = {2, {41, 1, 1, 1}, {1, 1, 1, 1}, 0};
    loom_value image = image_of(h, &s, LOOM_F32);
    for (int v = 0; v < 41; v++)
        floats_of(&image)[v] = (float)(v - 20) / 20;
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
        loom_value got = RUN(h, all[k].name, image);
        for (int v = 0; v < 41; v++) {
            double want = all[k].of((double)floats_of(&image)[v]);
            assert_true(fabs((double)floats_of(&got)[v] - want) <= 3e-7 * (1 + fabs(want)));
        }
    }
}

/* Last bits are those of long double, not those of the processor's version of the C library; of floats, too, where one
 * bit of a double decides. (To be tried with GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-FMA, and without.) */
static void last_bits(void **state) {
    harness *h = *state;
    static const struct {
        const char *name;
        long double (*of)(long double x);
    } all[] = {{"simpleitk.Exp", expl},   {"simpleitk.Log", logl},   {"simpleitk.Log10", log10l},
               {"simpleitk.Sin", sinl},   {"simpleitk.Cos", cosl},   {"simpleitk.Tan", tanl},
               {"simpleitk.Asin", asinl}, {"simpleitk.Acos", acosl}, {"simpleitk.Atan", atanl}};
    const uint64_t size[] = {100, 40};
    uint64_t seed = 21;
    loom_value image = make_image(h, LOOM_F64, 2, size, 1), whole = make_image(h, LOOM_I64, 2, size, 1);
    double *x = (double *)(uintptr_t)image.image.voxels;
    for (int v = 0; v < 4000; v++) {
        x[v] = (double)(next_random(&seed) >> 11) * 0x1p-53;
        ((int64_t *)(uintptr_t)whole.image.voxels)[v] = v % 44;
    }
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
        const loom_value got = RUN(h, all[k].name, image);
        for (int v = 0; v < 4000; v++)
            assert_true(((const double *)got.image.voxels)[v] == (double)all[k].of((long double)x[v]));
    }
    loom_value got = RUN(h, "simpleitk.Pow", image, loom_float(2.3));
    for (int v = 0; v < 4000; v++)
        assert_true(((const double *)got.image.voxels)[v] == (double)powl((long double)x[v], (long double)2.3));
    got = RUN(h, "simpleitk.Exp", whole); /* beyond 2^53 the last bit is a whole number */
    for (int v = 0; v < 4000; v++)
        assert_true(((const int64_t *)got.image.voxels)[v] == (int64_t)(double)expl((long double)(v % 44)));
}

static void printed(void **state) {
    harness *h = *state;
    loom_value line = RUN(h, "default.print_primitive", loom_string_of("\"n\""), loom_float(3));
    assert_true(line.type == LOOM_STRING && line.text.length == 5 && memcmp(line.text.bytes, "n=3.0", 5) == 0);
}

/* The grid of images that have one in common. */
static void common_grids(void **state) {
    harness *h = *state;
    for (size_t k = 0; k < SHAPES; k++) {
        const shape *s = &shapes[k];
        loom_value a = image_of(h, s, LOOM_F32), b = image_of(h, s, LOOM_BOOL8);
        loom_value grid = RUN(h, "loom.common_domain", a, b);
        const loom_value *size = loom_record_get(&grid, "size"), *spacing = loom_record_get(&grid, "spacing");
        assert_true(size != NULL && spacing != NULL && size->sequence.count == s->rank);
        for (unsigned d = 0; d < s->rank; d++) {
            assert_int_equal(size->sequence.items[d].integer, s->size[d]);
            assert_true(spacing->sequence.items[d].number == s->spacing[d]);
        }
        loom_value result;
        loom_value other[] = {a, image_of(h, &shapes[(k + 1) % SHAPES], LOOM_F32)};
        assert_int_equal(harness_run(h, "loom.common_domain", other, 2, NULL, &result), LOOM_BAD_DOMAIN);
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
    const struct CMUnitTest tests[] = {TEST(comparisons), TEST(truths),    TEST(images_and_numbers),
                                       TEST(differences), TEST(colours),   TEST(printed),
                                       TEST(angles),      TEST(last_bits), TEST(common_grids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
