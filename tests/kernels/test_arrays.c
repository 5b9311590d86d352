/* test_arrays.c - arrays and geom against plain computations: images of several pixel types, nested sequences, and
 * cases worked out by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"

enum { WIDTH = 90, HEIGHT = 70, DEPTH = 21, TOTAL = WIDTH * HEIGHT * DEPTH };

static const loom_value *field(const loom_value *record, const char *name) {
    const loom_value *value = loom_record_get(record, name);
    if (value == NULL) fail_msg("no field %s", name);
    return value;
}

static void assert_whole(const loom_value *record, const char *name, int64_t want) {
    const loom_value *is = field(record, name);
    if (is->type != LOOM_INT || is->integer != want)
        fail_msg("%s: %lld, want %lld", name, (long long)is->integer, (long long)want);
}

static void assert_number(const loom_value *is, const char *name, double want) {
    if (is->type != LOOM_FLOAT || !(fabs(is->number - want) <= 1e-12 * fabs(want)))
        fail_msg("%s: %.17g, want %.17g", name, is->number, want);
}

static void assert_real(const loom_value *record, const char *name, double want) {
    assert_number(field(record, name), name, want);
}

static loom_value volume(harness *h, loom_dtype dtype, void **voxels) {
    loom_value image = make_image(h, dtype, 3, (uint64_t[]){WIDTH, HEIGHT, DEPTH}, 1);
    *voxels = (void *)(uintptr_t)image.image.voxels;
    return image;
}

/* A list of numbers in the arena. */
static loom_value list(harness *h, size_t count, const loom_value *items) {
    loom_value *copy = loom_arena_copy(h->arena, items, count * sizeof *items);
    assert_non_null(copy);
    return loom_sequence(copy, count);
}
#define LIST(h, ...) list(h, sizeof((loom_value[]){__VA_ARGS__}) / sizeof(loom_value), (loom_value[]){__VA_ARGS__})
#define N(x) loom_int(x)

static void refuse(harness *h, const char *part, const char *name, uint32_t count, const loom_value *arguments) {
    loom_value result;
    assert_int_not_equal(harness_run(h, name, arguments, count, NULL, &result), LOOM_OK);
    if (strstr(h->err.message, part) == NULL) fail_msg("%s: `%s` lacks `%s`", name, h->err.message, part);
}
#define REFUSE(part, name, ...)                                                                                        \
    refuse(h, part, name, sizeof((loom_value[]){__VA_ARGS__}) / sizeof(loom_value), (loom_value[]){__VA_ARGS__})

/* ---- two label images ---- */

static void test_scores(void **state) {
    (void)state;
    harness *h = harness_new();
    void *memory[2];
    loom_value p = volume(h, LOOM_U8, &memory[0]), t = volume(h, LOOM_F32, &memory[1]);
    uint8_t *predicted = memory[0];
    float *truth = memory[1];
    int64_t matrix[4][4] = {{0}}, equal = 0;
    uint64_t seed = 7;
    for (int k = 0; k < TOTAL; k++) {
        uint64_t draw = next_random(&seed) >> 30;
        predicted[k] = (uint8_t)(draw % 3);
        truth[k] = draw % 5 == 0 ? (float)(draw / 7 % 4) + 0.5f : (float)predicted[k];
        matrix[(int)truth[k]][predicted[k]]++;
        equal += truth[k] == (float)predicted[k];
    }
    loom_value is = RUN(h, "arrays.pixel_accuracy", p, t);
    assert_whole(&is, "correct_pixels", equal);
    assert_whole(&is, "incorrect_pixels", TOTAL - equal);
    assert_real(&is, "accuracy", (double)equal / TOTAL);

    is = RUN(h, "arrays.confusion_matrix", p, t);
    assert_whole(&is, "num_classes", 4);
    double recalls = 0;
    for (int c = 0; c < 4; c++) {
        int64_t row = 0, column = 0;
        for (int k = 0; k < 4; k++) {
            const loom_value *cell = &field(&is, "confusion_matrix")->sequence.items[c].sequence.items[k];
            assert_int_equal(cell->integer, matrix[c][k]);
            row += matrix[c][k];
            column += matrix[k][c];
        }
        double right = (double)matrix[c][c], precision = column ? right / (double)column : 0;
        double recall = row ? right / (double)row : 0, sum = precision + recall;
        assert_number(&field(&is, "precision")->sequence.items[c], "precision", precision);
        assert_number(&field(&is, "recall")->sequence.items[c], "recall", recall);
        assert_number(&field(&is, "f1_score")->sequence.items[c], "f1", sum > 0 ? 2 * precision * recall / sum : 0);
        recalls += recall;
    }
    assert_real(&is, "mean_recall", recalls / 4);
    is = RUN(h, "arrays.confusion_matrix", p, t, loom_float(6));
    assert_int_equal(field(&is, "confusion_matrix")->sequence.count, 6);
    REFUSE("labels from 0 to 3", "arrays.confusion_matrix", p, t, N(3));
    REFUSE("labels from -1", "arrays.confusion_matrix", LIST(h, N(0), N(-1)), LIST(h, N(0), N(0)));
    harness_free(h);
}

static void test_overlaps(void **state) {
    (void)state;
    harness *h = harness_new();
    void *memory[2];
    loom_value p = volume(h, LOOM_I16, &memory[0]), t = volume(h, LOOM_BOOL8, &memory[1]);
    int64_t a = 0, b = 0, both = 0;
    uint64_t seed = 8;
    for (int k = 0; k < TOTAL; k++) {
        uint64_t draw = next_random(&seed) >> 30;
        ((int16_t *)memory[0])[k] = (int16_t)(draw % 4 - 1);
        ((uint8_t *)memory[1])[k] = draw % 3 == 0;
        a += draw % 4 == 2;
        b += draw % 3 == 0;
        both += draw % 4 == 2 && draw % 3 == 0;
    }
    loom_value is = RUN(h, "arrays.dice_score", p, t);
    assert_real(&is, "dice_score", 2.0 * (double)both / (double)(a + b));
    assert_whole(&is, "intersection", both);
    assert_whole(&is, "predicted_positive", a);
    assert_whole(&is, "ground_truth_positive", b);
    is = RUN(h, "arrays.jaccard_index", p, t, loom_float(1.9));
    assert_real(&is, "iou", (double)both / (double)(a + b - both));
    assert_real(&is, "jaccard_index", (double)both / (double)(a + b - both));
    assert_whole(&is, "union", a + b - both);
    is = RUN(h, "arrays.dice_score", p, t, N(77));
    assert_true(isnan(field(&is, "dice_score")->number));
    is = RUN(h, "arrays.jaccard_index", p, t, N(77));
    assert_real(&is, "iou", 0);
    REFUSE("different shapes", "arrays.dice_score", p, LIST(h, N(1)));
    harness_free(h);
}

/* ---- one array ---- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_counts_and_stats(void **state) {
    (void)state;
    static const loom_dtype dtypes[] = {LOOM_U8, LOOM_I8, LOOM_U16, LOOM_I32, LOOM_U64, LOOM_F32, LOOM_F64};
    static double values[TOTAL];
    harness *h = harness_new();
    for (int d = 0; d < 7; d++) {
        void *memory;
        loom_value plain = volume(h, LOOM_F64, &memory);
        double *numbers = memory, sum = 0, squares = 0;
        uint64_t seed = 9 + (uint64_t)d;
        int64_t sevens = 0, different = 0;
        for (int k = 0; k < TOTAL; k++) {
            numbers[k] = (double)(next_random(&seed) >> 30 & 63);
            if (dtypes[d] == LOOM_I8 || dtypes[d] >= LOOM_F32) numbers[k] -= 20;
            if (dtypes[d] >= LOOM_F32) numbers[k] /= 4;
        }
        loom_value cast = RUN(h, "simpleitk.Cast", plain, loom_int((int[]){1, 0, 3, 4, 7, 8, 9}[d]));
        assert_int_equal(cast.image.header->dtype, dtypes[d]);
        for (int k = 0; k < TOTAL; k++) {
            values[k] = numbers[k];
            sum += numbers[k];
            sevens += numbers[k] == 7;
        }
        for (int k = 0; k < TOTAL; k++)
            squares += (numbers[k] - sum / TOTAL) * (numbers[k] - sum / TOTAL);
        qsort(values, TOTAL, sizeof *values, by_value);

        loom_value all = RUN(h, "arrays.count_pixels", cast), stats = RUN(h, "arrays.array_stats", cast);
        const loom_value *unique = field(&all, "unique_values"), *counts = field(&all, "counts");
        for (int k = 0, end; k < TOTAL; k = end, different++) {
            for (end = k + 1; end < TOTAL && values[end] == values[k];)
                end++;
            const loom_value *item = &unique->sequence.items[different];
            assert_int_equal(item->type, dtypes[d] >= LOOM_F32 ? LOOM_FLOAT : LOOM_INT);
            assert_true((item->type == LOOM_INT ? (double)item->integer : item->number) == values[k]);
            assert_int_equal(counts->sequence.items[different].integer, end - k);
            assert_number(&field(&all, "percentages")->sequence.items[different], "share", 100.0 * (end - k) / TOTAL);
        }
        assert_int_equal(unique->sequence.count, different);
        assert_whole(&stats, "unique_values", different);
        if (!(fabs(field(&stats, "mean")->number - sum / TOTAL) < 1e-9)) fail_msg("mean");
        if (!(fabs(field(&stats, "std")->number - sqrt(squares / TOTAL)) < 1e-9)) fail_msg("deviation");
        assert_real(&stats, "min", values[0]);
        assert_real(&stats, "max", values[TOTAL - 1]);
        assert_real(&stats, "median", (values[TOTAL / 2 - 1] + values[TOTAL / 2]) / 2);
        assert_int_equal(field(&stats, "shape")->sequence.items[0].integer, DEPTH);
        assert_int_equal(field(&stats, "shape")->sequence.items[2].integer, WIDTH);
        all = RUN(h, "arrays.count_pixels", cast, loom_float(7));
        assert_whole(&all, "count", sevens);
        assert_real(&all, "percentage", 100.0 * (double)sevens / TOTAL);
        all = RUN(h, "arrays.count_pixels", cast, loom_float(7.1));
        assert_whole(&all, "count", 0);
        loom_value chosen = RUN(h, "arrays.threshold_equal", cast, loom_float(7), N(9), N(200));
        for (int k = 0; k < TOTAL; k++)
            if (((const uint8_t *)chosen.image.voxels)[k] != (numbers[k] == 7 ? 9 : 200)) fail_msg("voxel %d", k);
    }
    harness_free(h);
}

static void test_sequences(void **state) {
    (void)state;
    harness *h = harness_new();
    loom_value square = LIST(h, LIST(h, N(7), N(2)), LIST(h, N(4), N(1)));
    loom_value is = RUN(h, "arrays.array_stats", square);
    assert_real(&is, "mean", 3.5);
    assert_real(&is, "median", 3);
    assert_real(&is, "std", sqrt(21.0 / 4));
    assert_int_equal(field(&is, "shape")->sequence.count, 2);
    is = RUN(h, "arrays.count_pixels", LIST(h, loom_bool(true), loom_bool(false), loom_bool(true)));
    assert_int_equal(field(&is, "unique_values")->sequence.items[1].type, LOOM_BOOL);
    assert_int_equal(field(&is, "counts")->sequence.items[1].integer, 2);
    is = RUN(h, "arrays.array_stats", LIST(h, loom_float(1), loom_float(NAN), N(3)));
    assert_true(isnan(field(&is, "mean")->number) && isnan(field(&is, "min")->number));
    assert_true(isnan(field(&is, "max")->number) && isnan(field(&is, "median")->number));
    assert_whole(&is, "unique_values", 3);
    is = RUN(h, "arrays.pixel_accuracy", N(5), loom_float(5)); /* arrays without axes */
    assert_real(&is, "accuracy", 1);
    REFUSE("equal lengths", "arrays.array_stats", LIST(h, LIST(h, N(1)), LIST(h, N(1), N(2))));
    REFUSE("equal lengths", "arrays.array_stats", LIST(h, LIST(h, N(1)), N(1)));
    REFUSE("equal lengths", "arrays.array_stats", LIST(h, N(1), LIST(h, N(1))));
    REFUSE("not empty", "arrays.array_stats", loom_sequence(NULL, 0));
    REFUSE("argument 1 is a string", "arrays.count_pixels", loom_string_of("7"), N(1));
    harness_free(h);
}

static void test_differences(void **state) {
    (void)state;
    harness *h = harness_new();
    loom_value a = make_image(h, LOOM_U8, 2, (uint64_t[]){3, 2}, 1),
               b = make_image(h, LOOM_U8, 2, (uint64_t[]){3, 2}, 1);
    static const uint8_t first[] = {1, 2, 3, 9, 0, 0}, second[] = {1, 4, 2, 9, 0, 1};
    memcpy((void *)(uintptr_t)a.image.voxels, first, 6);
    memcpy((void *)(uintptr_t)b.image.voxels, second, 6);
    loom_value is = RUN(h, "arrays.compare_arrays", a, b); /* 2 - 3 wraps to 255 in 8 bits */
    assert_whole(&is, "elements_equal", 3);
    assert_whole(&is, "elements_different", 3);
    assert_real(&is, "percent_equal", 50);
    assert_real(&is, "mean_difference", (2 + 255 + 1) / 6.0);
    assert_real(&is, "max_difference", 255);
    assert_real(&is, "min_difference", 0);
    is = RUN(h, "arrays.compare_arrays", RUN(h, "simpleitk.Cast", a, N(2)), b); /* int16 holds both */
    assert_real(&is, "mean_difference", (2 - 1 + 1) / 6.0);
    assert_real(&is, "mean_absolute_difference", (2 + 1 + 1) / 6.0);
    assert_real(&is, "max_absolute_difference", 2);
    assert_real(&is, "min_difference", -1);
    loom_value truths = LIST(h, loom_bool(true), loom_bool(false));
    is = RUN(h, "arrays.compare_arrays", truths, truths);
    assert_int_equal(is.record.count, 5);
    is = RUN(h, "arrays.compare_arrays", LIST(h, loom_float(1), loom_float(NAN)), LIST(h, N(2), N(2)));
    assert_whole(&is, "elements_equal", 0);
    assert_true(isnan(field(&is, "max_difference")->number));
    harness_free(h);
}

/* ---- geom ---- */

static void test_shapes(void **state) {
    (void)state;
    harness *h = harness_new();
    loom_value blank = RUN(h, "geom.blank", N(40), loom_string_of("51"), loom_float(2.5));
    assert_int_equal(blank.image.header->size[0], 51);
    assert_int_equal(blank.image.header->size[1], 40);
    loom_value disc = RUN(h, "geom.circle", blank, N(20), N(18), N(10), N(7));
    for (int y = 0; y < 40; y++)
        for (int x = 0; x < 51; x++) {
            bool inside = (x - 20) * (x - 20) + (y - 18) * (y - 18) <= 100;
            assert_true(((const float *)disc.image.voxels)[y * 51 + x] == (inside ? 7.0f : 2.5f));
        }
    /* Half planes through neighbouring corners, the first of which points to -x; what is near an edge is left out. */
    for (int sides = 3; sides <= 9; sides++) {
        loom_value shape = RUN(h, "geom.regular_polygon", blank, N(25), N(20), N(17), N(sides), N(1));
        for (int y = 0; y < 40; y++)
            for (int x = 0; x < 51; x++) {
                double least = 1e9;
                for (int k = 0; k < sides; k++) {
                    double a = acos(-1.0) * (1 + 2.0 * k / sides), b = acos(-1.0) * (1 + 2.0 * (k + 1) / sides);
                    double px = 17 * cos(a), py = 17 * sin(a), ex = 17 * cos(b) - px, ey = 17 * sin(b) - py;
                    double side = (ex * (y - 20 - py) - ey * (x - 25 - px)) / hypot(ex, ey);
                    least = side < least ? side : least;
                }
                if (fabs(least) < 1e-9) continue;
                assert_true(((const float *)shape.image.voxels)[y * 51 + x] == (least > 0 ? 1.0f : 2.5f));
            }
    }
    /* Corners and edges belong to the shape. */
    const float *diamond = RUN(h, "geom.regular_polygon", blank, N(25), N(20), N(10), N(4), N(1)).image.voxels;
    for (int k = 0; k <= 10; k++)
        assert_true(diamond[(20 - k) * 51 + 15 + k] == 1 && diamond[(20 + k) * 51 + 35 - k] == 1);
    loom_value bytes = make_image(h, LOOM_U8, 2, (uint64_t[]){4, 4}, 1);
    assert_int_equal(((const uint8_t *)RUN(h, "geom.circle", bytes, N(1), N(1), N(1), loom_float(3.9)).image.voxels)[5],
                     3);
    REFUSE("dimensions", "geom.circle", make_image(h, LOOM_U8, 3, (uint64_t[]){4, 4, 4}, 1), N(1), N(1), N(1), N(1));
    REFUSE("3 or more", "geom.regular_polygon", bytes, N(1), N(1), N(1), N(2), N(1));
    REFUSE("positive", "geom.circle", bytes, N(1), N(1), N(0), N(1));
    REFUSE("positive", "geom.blank", N(0), N(3));
    REFUSE("truth value", "geom.blank", loom_bool(true), N(3));
    harness_free(h);
}

/* Rows in parts, in any order. */
static void test_shapes_in_parts(void **state) {
    (void)state;
    harness *h = harness_new();
    loom_value whole[3], parts[3];
    for (int shuffled = 0; shuffled < 2; shuffled++) {
        loom_value *made = shuffled ? parts : whole;
        uint64_t before = h->parts;
        h->shuffle = shuffled ? 31 : 0;
        made[0] = RUN(h, "geom.blank", N(700), N(600), N(5));
        made[1] = RUN(h, "geom.circle", made[0], N(300), N(400), N(250), N(7));
        made[2] = RUN(h, "geom.regular_polygon", made[0], N(300), N(400), N(250), N(7), N(1));
        if (shuffled) assert_true(h->parts >= before + 6);
    }
    for (int k = 0; k < 3; k++)
        assert_memory_equal(whole[k].image.voxels, parts[k].image.voxels, loom_image_bytes(whole[k].image.header));
    harness_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scores),           cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_counts_and_stats), cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_differences),      cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_shapes_in_parts),
    };
    return cmocka_run_group_tests_name("arrays", tests, NULL, NULL);
}
