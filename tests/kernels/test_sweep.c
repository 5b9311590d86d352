/* test_sweep.c - `loom.sweep` gives what `volume` gives of each comparison: on images of every pixel type with zeros of
 * both signs, NaN and infinities, for numbers between, at, and beyond the values, whole and in shuffled parts; and what
 * a loop over the voxels counts here. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"
#include "runtime/kernels/statistics/sweep.h"

enum { WIDTH = 101, HEIGHT = 67, DEPTH = 41, ITEMS = 90 };

static const struct {
    loom_dtype dtype;
    double low, high; /* of the values */
} kinds[] = {{LOOM_BOOL8, 0, 2},
             {LOOM_U8, 0, 256},
             {LOOM_I8, -128, 128},
             {LOOM_U16, 0, 65536},
             {LOOM_I16, -32768, 32768},
             {LOOM_U32, 0, 4294967296},
             {LOOM_I32, -50, 50},
             {LOOM_U64, 0, 1e19},
             {LOOM_I64, -9e18, 9e18},
             {LOOM_F32, -1, 1},
             {LOOM_F64, -1e30, 1e30},
             {LOOM_F32, 0, 900},
             {LOOM_I32, -2147483648., 2147483648.},
             {LOOM_F64, 0, 1}};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static double random_between(uint64_t *seed, double low, double high) {
    return low + (double)(next_random(seed) >> 11) * 0x1p-53 * (high - low);
}

static loom_value make_random(harness *h, int kind, uint64_t *seed) {
    const uint64_t size[] = {WIDTH, HEIGHT, DEPTH};
    loom_value image = make_image(h, kinds[kind].dtype, 3, size, 1);
    void *voxels = (void *)(uintptr_t)image.image.voxels;
    static const double special[] = {0.0, -0.0, NAN, INFINITY, -INFINITY, 0.25, 1e-310, -NAN};
    for (size_t k = 0; k < (size_t)WIDTH * HEIGHT * DEPTH; k++) {
        double value = random_between(seed, kinds[kind].low, kinds[kind].high);
        bool background = next_random(seed) % 4 == 0;
        if (kinds[kind].dtype >= LOOM_F32 && next_random(seed) % 16 == 0) value = special[next_random(seed) % 8];
        switch (kinds[kind].dtype) {
        case LOOM_BOOL8:
        case LOOM_U8:
            ((uint8_t *)voxels)[k] = background ? 0 : (uint8_t)value;
            break;
        case LOOM_I8:
            ((int8_t *)voxels)[k] = background ? 0 : (int8_t)value;
            break;
        case LOOM_U16:
            ((uint16_t *)voxels)[k] = background ? 0 : (uint16_t)value;
            break;
        case LOOM_I16:
            ((int16_t *)voxels)[k] = background ? 0 : (int16_t)value;
            break;
        case LOOM_U32:
            ((uint32_t *)voxels)[k] = background ? UINT32_MAX : (uint32_t)value;
            break;
        case LOOM_I32:
            ((int32_t *)voxels)[k] = background ? INT32_MAX : (int32_t)value;
            break;
        case LOOM_U64:
            ((uint64_t *)voxels)[k] = background ? UINT64_MAX : (uint64_t)value;
            break;
        case LOOM_I64:
            ((int64_t *)voxels)[k] = background ? INT64_MIN : (int64_t)value;
            break;
        case LOOM_F32:
            ((float *)voxels)[k] = (float)value;
            break;
        default:
            ((double *)voxels)[k] = value;
        }
    }
    return image;
}

/* ---- one comparison, as a program would write it ---- */

static loom_status volume_alone(harness *h, unsigned code, loom_value image, const loom_value *numbers,
                                loom_value *volume) {
    static const char *const names[] = {"vox1.==", "vox1.!=", "vox1.<", "vox1.<=", "vox1.>", "vox1.>="};
    unsigned relation = code % LOOM_SWEEP_NOT;
    loom_value mask = loom_null();
    const loom_value with_number[] = {image, numbers[0]}, between[] = {numbers[0], numbers[1], image};
    loom_status status = relation == LOOM_SWEEP_BETWEEN ? harness_run(h, "vox1.between", between, 3, NULL, &mask)
                                                        : harness_run(h, names[relation], with_number, 2, NULL, &mask);
    if (status != LOOM_OK) return status;
    loom_value counted = code >= LOOM_SWEEP_NOT ? RUN(h, "vox1.not", mask) : mask;
    *volume = RUN(h, "vox1.volume", counted);
    if (code >= LOOM_SWEEP_NOT) harness_drop(h, counted.image.voxels);
    harness_drop(h, mask.image.voxels);
    return LOOM_OK;
}

/* A number that an item may be given: most lie among the values, some are equal, some are none of the type's. */
static loom_value random_number(int kind, uint64_t *seed) {
    static const double odd[] = {0.0,   -0.0,   NAN,   INFINITY, -INFINITY, 0.25,
                                 1e300, -1e300, 255.5, -1,       65535,     2147483647};
    uint64_t random = next_random(seed);
    if (random % 4 == 0) return loom_float(odd[random / 4 % 12]);
    double value = random_between(seed, kinds[kind].low, kinds[kind].high);
    if (random % 4 == 1 && fabs(value) < 1e15) return loom_int((int64_t)value);
    return loom_float(value);
}

typedef struct sweep {
    char letters[ITEMS];
    loom_value numbers[2 * ITEMS];
    uint32_t first[ITEMS], numbers_count;
} sweep;

static void draw(sweep *of, int kind, bool spread, uint64_t *seed) {
    of->numbers_count = 0;
    for (int i = 0; i < ITEMS; i++) {
        unsigned relation = (unsigned)i % LOOM_SWEEP_RELATIONS, code = relation + (i % 3 == 0 ? LOOM_SWEEP_NOT : 0);
        of->letters[i] = (char)('a' + code);
        of->first[i] = of->numbers_count;
        for (unsigned k = 0; k < (relation == LOOM_SWEEP_BETWEEN ? 2u : 1u); k++) {
            double even = kinds[kind].low + (kinds[kind].high - kinds[kind].low) * ((double)i + k) / (ITEMS + 1);
            of->numbers[of->numbers_count++] = spread ? loom_float(even) : random_number(kind, seed);
        }
    }
}

static double number_of(const loom_value *value) {
    return value->type == LOOM_INT ? (double)value->integer : value->number;
}

static loom_value run_sweep(harness *h, loom_value image, const sweep *of, uint64_t shuffle) {
    double numbers[2 * ITEMS];
    for (uint32_t k = 0; k < of->numbers_count; k++)
        numbers[k] = number_of(&of->numbers[k]);
    h->shuffle = shuffle;
    loom_value volumes = RUN(h, "loom.sweep", image, loom_string(of->letters, ITEMS),
                             loom_bytes(numbers, of->numbers_count * sizeof *numbers));
    h->shuffle = 0;
    assert_int_equal(volumes.sequence.count, ITEMS);
    return volumes;
}

static void compare(harness *h, int kind, loom_value image, const sweep *of) {
    loom_value whole = run_sweep(h, image, of, 0), parts = run_sweep(h, image, of, 79);
    assert_true(loom_value_equal(&whole, &parts));
    for (int i = 0; i < ITEMS; i++) {
        loom_value alone = loom_null();
        const loom_value *numbers = &of->numbers[of->first[i]], *swept = &whole.sequence.items[i];
        loom_status status = volume_alone(h, (unsigned)(of->letters[i] - 'a'), image, numbers, &alone);
        if (!loom_value_equal(&alone, swept))
            fail_msg("kind %d, item %d (%c %.17g): %g alone, %g swept", kind, i, of->letters[i], number_of(&numbers[0]),
                     status == LOOM_OK ? alone.number : -1, swept->type == LOOM_FLOAT ? swept->number : -1);
    }
}

static void test_every_pixel_type(void **state) {
    (void)state;
    uint64_t seed = 5;
    for (int kind = 0; kind < KINDS; kind++) {
        harness *h = harness_new();
        static sweep of;
        loom_value image = make_random(h, kind, &seed);
        uint64_t parts = h->parts;
        for (int spread = 0; spread < 2; spread++) { /* edges that need a search; edges that a table tells apart */
            draw(&of, kind, spread, &seed);
            compare(h, kind, image, &of);
        }
        assert_true(h->parts >= parts + 4);
        harness_free(h);
    }
}

/* Counted here, without any kernel. */
static void test_against_a_loop(void **state) {
    (void)state;
    uint64_t seed = 9;
    harness *h = harness_new();
    loom_value image = make_random(h, 9, &seed);
    const float *voxels = image.image.voxels;
    sweep of;
    draw(&of, 9, true, &seed);
    memset(of.letters, 'a' + LOOM_SWEEP_GREATER_EQUAL, ITEMS);
    of.numbers_count = ITEMS;
    loom_value volumes = run_sweep(h, image, &of, 3);
    for (int i = 0; i < ITEMS; i++) {
        double count = 0;
        for (size_t k = 0; k < (size_t)WIDTH * HEIGHT * DEPTH; k++)
            count += voxels[k] >= (float)of.numbers[i].number;
        assert_true(count > 0);
        if (volumes.sequence.items[i].number != count) fail_msg("item %d", i);
    }
    harness_free(h);
}

/* What a comparison refuses is null, and harms no other item. */
static void test_what_is_refused(void **state) {
    (void)state;
    harness *h = harness_new();
    uint64_t seed = 3;
    const double bounds[] = {150, 100, 200, 200, 100, 150}, one[] = {1, 2};
    loom_value image = make_random(h, 11, &seed), colours = make_image(h, LOOM_U8, 2, (uint64_t[]){4, 4}, 3);
    const loom_value letters = loom_string_of("fggf"), numbers = loom_bytes(bounds, sizeof bounds);
    loom_value volumes = RUN(h, "loom.sweep", image, letters, numbers);
    assert_int_equal(volumes.sequence.items[0].type, LOOM_FLOAT);
    assert_int_equal(volumes.sequence.items[1].type, LOOM_FLOAT);
    assert_int_equal(volumes.sequence.items[2].type, LOOM_NULL);
    assert_int_equal(volumes.sequence.items[3].type, LOOM_FLOAT);
    volumes = RUN(h, "loom.sweep", colours, loom_string_of("fa"), loom_bytes(one, sizeof one));
    assert_int_equal(volumes.sequence.count, 2);
    assert_int_equal(volumes.sequence.items[0].type, LOOM_NULL);
    static const char *const wrong[] = {"", "f", "fff", "fgf", "zz", "g?"};
    for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
        loom_value unused;
        const loom_value arguments[] = {image, loom_string_of(wrong[k]), loom_bytes(one, sizeof one)};
        assert_int_equal(harness_run(h, "loom.sweep", arguments, 3, NULL, &unused), LOOM_BAD_ARGUMENT);
    }
    harness_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_pixel_type), cmocka_unit_test(test_against_a_loop),
                                       cmocka_unit_test(test_what_is_refused)};
    return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
