/* test_values.c - kernels on numbers, sequences and small images: the rules of voxlogica2.md, section 8, one by one. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"
#include "runtime/text.h"

#define F loom_float
#define I loom_int
#define S loom_string_of
#define IS(expected, value) assert_printed(value, expected, __LINE__)

/* Compares by Python's repr, which tells ints from floats and lists from tuples. */
static void assert_printed(loom_value value, const char *expected, int line) {
    loom_buffer out = {0};
    assert_int_equal(loom_value_repr(&value, &out), LOOM_OK);
    if (out.length != strlen(expected) || memcmp(out.bytes, expected, out.length) != 0)
        fail_msg("line %d: got %.*s, want %s", line, (int)out.length, (char *)out.bytes, expected);
    loom_buffer_free(&out);
}

static loom_value list(harness *h, size_t count, const loom_value *items) {
    loom_value *copy = loom_arena_copy(h->arena, items, count * sizeof *items);
    assert_non_null(copy);
    return loom_sequence(copy, count);
}
#define LIST(...) list(h, sizeof((loom_value[]){__VA_ARGS__}) / sizeof(loom_value), (loom_value[]){__VA_ARGS__})

static void refuses(harness *h, const char *name, uint32_t count, const loom_value *arguments) {
    loom_value result;
    if (harness_run(h, name, arguments, count, NULL, &result) == LOOM_OK) fail_msg("%s accepted it", name);
}
#define REFUSES(name, ...)                                                                                             \
    refuses(h, name, sizeof((loom_value[]){__VA_ARGS__}) / sizeof(loom_value), (loom_value[]){__VA_ARGS__})

static loom_value fold(harness *h, const char *op, uint32_t count, const loom_value *arguments) {
    loom_field attribute = {"operator", 8, S(op)};
    loom_value attributes = loom_record(&attribute, 1), result = loom_null();
    if (harness_run(h, "default.fold", arguments, count, &attributes, &result) != LOOM_OK) return S("error");
    return result;
}
#define FOLD(op, ...) fold(h, op, sizeof((loom_value[]){__VA_ARGS__}) / sizeof(loom_value), (loom_value[]){__VA_ARGS__})

static void numbers(void **state) {
    harness *h = *state;
    IS("3.0", RUN(h, "vox1.+", I(1), I(2)));
    IS("3", RUN(h, "default.addition", I(1), I(2)));
    IS("2", RUN(h, "default.addition", loom_bool(true), loom_bool(true)));
    IS("0.5", RUN(h, "default.division", I(1), I(2)));
    IS("'ab'", RUN(h, "default.addition", S("a"), S("b")));
    IS("'ababab'", RUN(h, "default.multiplication", S("ab"), I(3)));
    IS("5.5", RUN(h, "vox1.+", S(" 5 "), F(0.5)));
    IS("inf", RUN(h, "vox1.num_add", S("-Infinity"), F(-INFINITY)).number < 0 ? F(INFINITY) : F(0));
    IS("6.0", RUN(h, "vox1.num_mul", loom_bool(true), S("6")));
    IS("False", RUN(h, "default.num_lt", F(NAN), F(1)));
    IS("True", RUN(h, "default.num_neq", F(NAN), F(NAN)));
    REFUSES("vox1.+", S("a"), S("b"));
    REFUSES("default.multiplication", S("ab"), F(3));
    REFUSES("default.division", I(1), I(0));
    REFUSES("default.addition", I(INT64_MAX), I(1));
    REFUSES("vox1.num_div", F(1), F(0));
    REFUSES("vox1.+", loom_null(), F(0));
}

static void broadcasting(void **state) {
    harness *h = *state;
    loom_value three = RUN(h, "default.range", F(3)), empty = loom_sequence(NULL, 0);
    IS("[1.0, 2.0, 3.0]", RUN(h, "vox1.+", three, F(1)));
    IS("[0, 2, 4]", RUN(h, "default.addition", three, three));
    IS("[10.0, 5.0]", RUN(h, "vox1./", F(10), LIST(F(1), F(2))));
    IS("[True, False]", RUN(h, "vox1.<", LIST(I(1), I(3)), F(2)));
    IS("[]", RUN(h, "default.addition", empty, empty));
    REFUSES("vox1.+", three, LIST(F(1), F(2)));
    REFUSES("vox1.+", empty, F(1));
    REFUSES("vox1.+", LIST(LIST(F(1))), F(1));
}

static void truths(void **state) {
    harness *h = *state;
    loom_value empty = loom_sequence(NULL, 0);
    IS("False", RUN(h, "default.bool_and_scalar", F(1), S("")));
    IS("True", RUN(h, "default.bool_or_scalar", F(0), LIST(F(0))));
    IS("True", RUN(h, "default.not_compat", empty));
    IS("False", RUN(h, "vox1.bool_not_scalar", F(NAN)));
    IS("True", RUN(h, "vox1.and", F(2), S("x")));
}

static void ranges_and_items(void **state) {
    harness *h = *state;
    loom_value digits = RUN(h, "default.range", F(0), F(10));
    IS("[2, 3]", RUN(h, "default.range", F(2), I(4)));
    IS("[]", RUN(h, "default.range", F(4), F(4)));
    IS("3", RUN(h, "default.index", digits, F(3)));
    IS("3", RUN(h, "default.index", digits, S(" 3")));
    IS("'é'", RUN(h, "default.index", S("aé☃"), F(1)));
    REFUSES("default.index", digits, I(-1));
    REFUSES("default.index", digits, loom_bool(true));
    REFUSES("default.index", digits, F(10));
    REFUSES("default.range", loom_bool(true));
    loom_field fields[] = {{"a", 1, F(1)}, {"b", 1, F(2)}};
    IS("'b'", RUN(h, "default.index", loom_record(fields, 2), I(1)));
    loom_value bytes = loom_string("\x01\xff", 2);
    bytes.type = LOOM_BYTES;
    IS("255", RUN(h, "default.index", bytes, I(1)));
    uint64_t size[] = {2, 2};
    loom_value image = make_image(h, LOOM_I16, 2, size, 1);
    ((int16_t *)(uintptr_t)image.image.voxels)[3] = -7;
    IS("-7", RUN(h, "default.index", image, I(3)));
}

static void slices(void **state) {
    harness *h = *state;
    loom_value digits = RUN(h, "default.range", F(0), F(6)), none = loom_null();
    IS("[2, 3, 4]", RUN(h, "default.slice", digits, F(2), F(5)));
    IS("[0, 1]", RUN(h, "default.slice", digits, none, I(2)));
    IS("[4, 5]", RUN(h, "default.slice", digits, I(4), none));
    IS("[4, 5]", RUN(h, "default.slice", digits, I(-2), S(" ")));
    IS("[4]", RUN(h, "default.slice", digits, I(-2), I(5)));
    IS("[]", RUN(h, "default.slice", digits, none, I(-1)));
    IS("[]", RUN(h, "default.slice", digits, I(3), I(3)));
    IS("[0, 1, 2, 3, 4, 5]", RUN(h, "default.slice", digits, I(-99), I(99)));
    IS("['b', 'c']", RUN(h, "default.slice", S("abcd"), I(1), I(3)));
    REFUSES("default.slice", digits, F(0.5), none);
    IS("[0, 1]", RUN(h, "default.subsequence", digits, F(2)));
    IS("[1, 2]", RUN(h, "default.subsequence", digits, F(1), F(3)));
    IS("[0, 1]", RUN(h, "default.subsequence", digits, F(-4), F(2)));
    IS("[5]", RUN(h, "default.subsequence", digits, F(5), F(99)));
    IS("[]", RUN(h, "default.subsequence", digits, F(3), F(1)));
    IS("[0, 1, 'x']", RUN(h, "loom.concat", LIST(I(0), I(1)), loom_sequence(NULL, 0), LIST(S("x"))));
    IS("[1.0, None]", RUN(h, "default.sequence", F(1), none));
}

static void folds(void **state) {
    harness *h = *state;
    loom_value whole = LIST(I(3), I(1), I(2)), empty = loom_sequence(NULL, 0);
    IS("6", FOLD("+", whole));
    IS("-6", FOLD("-", whole));
    IS("6", FOLD("*", whole));
    IS("16.0", FOLD("+", F(10), whole));
    IS("6", FOLD("+", loom_null(), whole));
    IS("2.0", FOLD("/", F(12), whole));
    IS("'error'", FOLD("/", whole));
    IS("1", FOLD("min", whole));
    IS("3", FOLD("max", whole));
    IS("9", FOLD("max", I(9), whole));
    IS("'error'", FOLD("max", empty));
    IS("0", FOLD("+", empty));
    IS("True", FOLD("&&", empty));
    IS("False", FOLD("||", empty));
    IS("True", FOLD("&&", whole));
    IS("False", FOLD("&&", LIST(I(1), F(0))));
    IS("nan", FOLD("max", LIST(F(NAN), F(1))));
    IS("'b'", FOLD("max", LIST(S("a"), S("b"))));
    IS("'error'", FOLD("max", LIST(S("a"), F(1))));
    IS("'error'", FOLD("+", S("abc")));
    IS("[4, 6]", FOLD("+", LIST(LIST(I(1), I(2)), LIST(I(3), I(4)))));
    IS("'xab'", FOLD("+", S("x"), LIST(S("a"), S("b"))));
    IS("1", RUN(h, "default.argmax", LIST(F(1), F(5), F(5))));
    REFUSES("default.argmax", empty);
}

/* ---- pixel types ---- */

static loom_value bytes_image(harness *h, loom_dtype dtype, uint8_t a, uint8_t b, uint8_t c) {
    uint64_t size[] = {3, 1};
    loom_value image = make_image(h, dtype, 2, size, 1);
    memcpy((uint8_t *)(uintptr_t)image.image.voxels, (uint8_t[]){a, b, c}, 3);
    return image;
}

static void assert_bytes(loom_value image, loom_dtype dtype, uint8_t a, uint8_t b, uint8_t c) {
    assert_int_equal(image.type, LOOM_IMAGE);
    assert_int_equal(image.image.header->dtype, dtype);
    assert_memory_equal(image.image.voxels, ((uint8_t[]){a, b, c}), 3);
}

static void integer_images(void **state) {
    harness *h = *state;
    loom_value u = bytes_image(h, LOOM_U8, 0, 200, 7), w = bytes_image(h, LOOM_U8, 1, 100, 0);
    assert_bytes(RUN(h, "vox1.+", u, w), LOOM_U8, 1, 44, 7);
    assert_bytes(RUN(h, "vox1.-", w, u), LOOM_U8, 1, 156, 249);
    assert_bytes(RUN(h, "vox1./", u, w), LOOM_U8, 0, 2, 255); /* the largest value where the divisor is 0 */
    assert_bytes(RUN(h, "vox1.+", u, F(0.9)), LOOM_U8, 0, 200, 7);
    assert_bytes(RUN(h, "vox1.-", F(10), u), LOOM_U8, 10, 66, 3);
    assert_bytes(RUN(h, "vox1.*", u, F(-1)), LOOM_U8, 0, 56, 249);
    assert_bytes(RUN(h, "vox1.>=", u, F(7.9)), LOOM_BOOL8, 0, 1, 1);
    assert_bytes(RUN(h, "vox1.<", F(7), u), LOOM_BOOL8, 0, 1, 0);
    assert_bytes(RUN(h, "vox1.div_vs", u, F(0.5)), LOOM_U8, 0, 144, 14);
    assert_bytes(RUN(h, "vox1.div_vs", u, F(2)), LOOM_U8, 0, 0, 0);
    assert_bytes(RUN(h, "vox1.div_sv", F(100), u), LOOM_U8, 255, 0, 14);
    assert_bytes(RUN(h, "vox1.not", u), LOOM_U8, 1, 0, 0);
    REFUSES("vox1./", u, F(0.5));
    REFUSES("vox1.div_vs", u, F(0));
    loom_value i = bytes_image(h, LOOM_I8, 0x80, 0xff, 5);
    assert_bytes(RUN(h, "vox1./", i, bytes_image(h, LOOM_I8, 0xff, 0xff, 0xfe)), LOOM_I8, 0x80, 1, 0xfe);
    assert_bytes(RUN(h, "vox1.abs", i), LOOM_I8, 0x80, 1, 5);
}

static void boolean_images(void **state) {
    harness *h = *state;
    loom_value a = bytes_image(h, LOOM_BOOL8, 1, 1, 0), u = bytes_image(h, LOOM_U8, 3, 0, 4);
    assert_bytes(RUN(h, "vox1.+", a, a), LOOM_U8, 2, 2, 0);
    assert_bytes(RUN(h, "vox1.and", a, u), LOOM_U8, 1, 0, 0);
    assert_bytes(RUN(h, "vox1.or", u, a), LOOM_U8, 3, 1, 4);
    assert_bytes(RUN(h, "vox1.or", a, loom_bool(true)), LOOM_BOOL8, 1, 1, 1);
    assert_bytes(RUN(h, "vox1.and", I(0), a), LOOM_BOOL8, 0, 0, 0);
    assert_bytes(RUN(h, "vox1.or", a, I(2)), LOOM_U8, 3, 3, 2);
    assert_bytes(RUN(h, "vox1.==", a, u), LOOM_BOOL8, 0, 0, 0);
    assert_bytes(RUN(h, "vox1.mask", u, a), LOOM_U8, 3, 0, 0);
    assert_bytes(RUN(h, "simpleitk.BinaryThreshold", u, F(3), F(4), F(9), F(1)), LOOM_U8, 9, 1, 9);
    assert_bytes(RUN(h, "simpleitk.BinaryThreshold", u, F(1)), LOOM_BOOL8, 1, 0, 1);
    REFUSES("simpleitk.BinaryThreshold", u, F(1), F(2), F(0.5));
    REFUSES("vox1.and", a, F(0.5));
    loom_value domain = RUN(h, "loom.domain", a);
    assert_bytes(RUN(h, "vox1.tt", domain), LOOM_BOOL8, 1, 1, 1);
    assert_bytes(RUN(h, "vox1.ff", domain), LOOM_BOOL8, 0, 0, 0);
    assert_bytes(RUN(h, "vox1.bconstant", F(3), domain), LOOM_BOOL8, 1, 1, 1);
    IS("(0.0, 4.0)", RUN(h, "simpleitk.MinimumMaximum", u));
}

static loom_value reals(harness *h, float a, float b, float c) {
    uint64_t size[] = {3, 1};
    loom_value image = make_image(h, LOOM_F32, 2, size, 1);
    memcpy((float *)(uintptr_t)image.image.voxels, (float[]){a, b, c}, 12);
    return image;
}

static void assert_reals(loom_value image, float a, float b, float c) {
    assert_int_equal(image.image.header->dtype, LOOM_F32);
    const float *got = image.image.voxels, want[] = {a, b, c};
    for (int k = 0; k < 3; k++)
        if (!(got[k] == want[k] || (isnan(got[k]) && isnan(want[k]))))
            fail_msg("voxel %d: %.9g, want %.9g", k, got[k], want[k]);
}

static void real_images(void **state) {
    harness *h = *state;
    loom_value a = reals(h, 0.1f, NAN, 1.0f);
    assert_bytes(RUN(h, "vox1.eq_sv", F(0.1), a), LOOM_BOOL8, 1, 0, 0); /* 0.1 is float32 there */
    assert_bytes(RUN(h, "vox1.!=", a, F(1)), LOOM_BOOL8, 1, 1, 0);
    assert_bytes(RUN(h, "vox1.leq_sv", F(0.5), a), LOOM_BOOL8, 1, 0, 0);
    assert_bytes(RUN(h, "vox1.between", F(0.1), F(1), a), LOOM_BOOL8, 1, 0, 1);
    assert_reals(RUN(h, "vox1./", reals(h, 1, 1, 0), reals(h, 1e-8f, 2e-8f, 0)), FLT_MAX, 1.0f / 2e-8f, FLT_MAX);
    assert_reals(RUN(h, "vox1./", reals(h, 1, 2, 3), F(3)), 1 / 3.0f, 2 / 3.0f, 1);
    assert_reals(RUN(h, "vox1.div_vs", reals(h, 1, 2, 3), F(3)), (float)(1 / 3.0), 2 * (float)(1 / 3.0),
                 3 * (float)(1 / 3.0));
    assert_reals(RUN(h, "vox1.abs", reals(h, -1, -0.0f, -INFINITY)), 1, 0, INFINITY);
    loom_value colour = RUN(h, "vox1.rgb", reals(h, 1, 2, 3), bytes_image(h, LOOM_U8, 4, 5, 6), reals(h, 7, 8, 9));
    assert_int_equal(colour.image.header->components, 3);
    assert_reals(RUN(h, "vox1.green", colour), 4, 5, 6);
    assert_reals(RUN(h, "vox1.blue", colour), 7, 8, 9);
    assert_reals(RUN(h, "vox1.alpha", colour), 255, 255, 255);
    uint64_t size[] = {3, 1};
    loom_value rgb8 = make_image(h, LOOM_U8, 2, size, 3);
    memset((uint8_t *)(uintptr_t)rgb8.image.voxels, 100, 9);
    loom_value grey = RUN(h, "vox1.intensity", rgb8); /* the original gives zeros (S4) */
    assert_int_equal(grey.image.header->components, 1);
    assert_true(fabsf(((const float *)grey.image.voxels)[1] - 100.0f) < 1e-4f);
    IS("3", RUN(h, "simpleitk.GetPixelIDValueFromString", S("sitkUInt16")));
    assert_bytes(RUN(h, "simpleitk.Cast", reals(h, -1, 300, 1e20f), F(1)), LOOM_U8, 255, 44, 0);
}

static void folds_of_images(void **state) {
    harness *h = *state;
    loom_value images = LIST(reals(h, 1, 2, 3), reals(h, 10, 20, 30)), total = FOLD("+", images);
    assert_reals(total, 11, 22, 33);
    assert_reals(FOLD("*", F(2), images), 20, 80, 180);
    assert_reals(FOLD("-", reals(h, 0, 0, 1), images), -11, -22, -32);
    IS("True", FOLD("&&", images));
    IS("'error'", FOLD("+", LIST(reals(h, 1, 2, 3), bytes_image(h, LOOM_U8, 1, 2, 3))));
}

static void boxes(void **state) {
    harness *h = *state;
    uint64_t size[] = {4, 3, 2};
    loom_value image = make_image(h, LOOM_U8, 3, size, 1);
    for (int k = 0; k < 24; k++)
        ((uint8_t *)(uintptr_t)image.image.voxels)[k] = (uint8_t)k;
    loom_value part = RUN(h, "vox1.extract", image, LIST(F(2), F(1.9), F(0)), LIST(F(1), F(2), F(1)));
    assert_int_equal(part.image.header->rank, 2);
    assert_memory_equal(part.image.voxels, ((uint8_t[]){21, 22}), 2);
    part = RUN(h, "simpleitk.Extract", image, LIST(I(2), I(2), I(2)), LIST(I(2), I(1), I(0)));
    assert_memory_equal(part.image.voxels, ((uint8_t[]){6, 7, 10, 11, 18, 19, 22, 23}), 8);
    assert_true(part.image.header->origin[0] == 2.0 && part.image.header->origin[1] == 1.0);
    REFUSES("vox1.extract", image, LIST(F(4), F(3), F(3)), LIST(F(0), F(0), F(0)));
    REFUSES("vox1.extract", image, LIST(F(4), F(3), F(1)), LIST(F(-1), F(0), F(0)));
    REFUSES("vox1.extract", image, LIST(F(1), F(1)), LIST(F(0), F(0)));
    IS("[2, 0]", RUN(h, "arrays.vector_uint32", LIST(F(2.9), S("0"))));
    IS("[2.5, 1.0]", RUN(h, "arrays.vector_double", LIST(F(2.5), loom_bool(true))));
}

/* What ITK's recorded cases leave out. The values of the functions at 1/2 are from tables. */
static void pixel_names_and_trigonometry(void **state) {
    harness *h = *state;
    IS("'32-bit float'", RUN(h, "simpleitk.GetPixelIDValueAsString", I(8)));
    IS("'vector of 8-bit unsigned integer'", RUN(h, "simpleitk.GetPixelIDValueAsString", F(13)));
    IS("'Unknown pixel id'", RUN(h, "simpleitk.GetPixelIDValueAsString", I(-1)));
    IS("13", RUN(h, "simpleitk.GetPixelIDValueFromString", S("sitkVectorUInt8")));
    REFUSES("simpleitk.GetPixelIDValueAsString", I(26));
    REFUSES("simpleitk.GetPixelIDValueFromString", S("uint8"));
    static const struct {
        const char *name;
        double at_half;
    } functions[] = {{"simpleitk.Cos", 0.87758256189037271},
                     {"simpleitk.Tan", 0.54630248984379051},
                     {"simpleitk.Asin", 0.52359877559829887},
                     {"simpleitk.Acos", 1.0471975511965977}};
    uint64_t size[] = {1, 1};
    loom_value image = make_image(h, LOOM_F64, 2, size, 1);
    *(double *)(uintptr_t)image.image.voxels = 0.5;
    for (size_t k = 0; k < sizeof functions / sizeof functions[0]; k++) {
        loom_value result = run(h, functions[k].name, 1, &image);
        assert_true(fabs(*(const double *)result.image.voxels - functions[k].at_half) < 1e-15);
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
        TEST(pixel_names_and_trigonometry),
        TEST(numbers),
        TEST(broadcasting),
        TEST(truths),
        TEST(ranges_and_items),
        TEST(slices),
        TEST(folds),
        TEST(integer_images),
        TEST(boolean_images),
        TEST(real_images),
        TEST(folds_of_images),
        TEST(boxes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
