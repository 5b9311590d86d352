/* test_itk.c - operators of simpleitk against what ITK gave (itk/A.txt, itk/B.txt: see itk/record.hpp). */
#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "evaluate.h"
#include "itk/inputs.h"

enum { FIELDS = 12, SAMPLES = 16, INPUTS = 8 };

typedef struct fixture {
    harness *h;
    const char *file;
    unsigned line, compared, failed;
} fixture;

/* Says what is wrong with the case and goes on: one run shows all. */
__attribute__((format(printf, 3, 4))) static void wrong(fixture *f, const char *expression, const char *format, ...) {
    char text[400];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    print_error("%s:%u: %s: %s\n", f->file, f->line, expression, text);
    f->failed++;
}

static loom_dtype dtype_of(const char *type) {
    for (uint8_t dtype = 1; loom_dtype_bytes(dtype) > 0; dtype++)
        if (strcmp(loom_dtype_name(dtype), type) == 0) return (loom_dtype)dtype;
    fail_msg("no pixel type %s", type);
    return LOOM_U8;
}

static loom_value input_image(harness *h, const itk_input *input) {
    loom_value image = make_image(h, dtype_of(input->type), input->rank, input->size, (uint16_t)input->components);
    loom_image_header *header = (loom_image_header *)(uintptr_t)image.image.header;
    for (unsigned row = 0; row < input->rank; row++) {
        header->spacing[row] = input->spacing[row];
        header->origin[row] = input->origin[row];
        for (unsigned column = 0; column < input->rank; column++)
            header->direction[row * LOOM_RANK_MAX + column] = input->direction[row * input->rank + column];
    }
    itk_input_fill(input, (void *)(uintptr_t)image.image.voxels);
    return image;
}

/* Evaluates `expression` with its names bound to the images that they name: as if a file had held them. */
static loom_status evaluate_case(harness *h, const char *expression, loom_value *result) {
    char program[4096], quoted[64];
    size_t used = (size_t)snprintf(program, sizeof program, "import \"simpleitk\"\n");
    const char *names[INPUTS];
    size_t count = 0, lengths[INPUTS];
    for (const char *at = expression; *at != 0;) {
        size_t length = 0;
        itk_input input;
        while (isalnum((unsigned char)at[length]) || at[length] == '_')
            length++;
        bool is_new = length > 0 && itk_input_parse(at, length, &input);
        for (size_t k = 0; is_new && k < count; k++)
            is_new = lengths[k] != length || memcmp(names[k], at, length) != 0;
        if (is_new) {
            assert_true(count < INPUTS);
            names[count] = at;
            lengths[count++] = length;
            used += (size_t)snprintf(program + used, sizeof program - used, "let %.*s = ReadImage(\"%.*s\")\n",
                                     (int)length, at, (int)length, at);
            /* What evaluate() keeps of a file that was read before. */
            int quoted_length =
                snprintf(quoted, sizeof quoted, "print \"r\" simpleitk.ReadImage(\"%.*s\")", (int)length, at);
            loom_plan_options options = {.operators = loom_operators()};
            loom_plan *plan = NULL;
            assert_int_equal(loom_plan_from_program(&options, "input", quoted, (size_t)quoted_length, &plan, &h->err),
                             LOOM_OK);
            h->kept[h->kept_count].node = loom_plan_node(plan, loom_plan_goal(plan, 0)->node)->id;
            h->kept[h->kept_count++].value = input_image(h, &input);
            loom_plan_free(plan);
        }
        at += length > 0 ? length : 1;
    }
    assert_true(used + strlen(expression) + 16 < sizeof program);
    snprintf(program + used, sizeof program - used, "print \"r\" %s\n", expression);
    return evaluate(h, "case", program, result);
}

/* ---- one case ---- */

static bool is_near(double got, double recorded, double tolerance) {
    if (isnan(recorded)) return isnan(got);
    return got == recorded || fabs(got - recorded) <= tolerance;
}

static unsigned numbers_of(const char *list, double *numbers, unsigned most) {
    unsigned count = 0;
    for (char *end = NULL; *list != 0 && count < most; list = *end == ',' ? end + 1 : end) {
        numbers[count++] = strtod(list, &end);
        if (end == list) fail_msg("no number: %s", list);
    }
    return count;
}

static void compare_numbers(fixture *f, char **field, const loom_value *value) {
    double recorded[SAMPLES];
    unsigned count = numbers_of(field[3], recorded, SAMPLES);
    double tolerance = strtod(field[2], NULL);
    if (value->type != LOOM_SEQUENCE || !value->tuple || value->sequence.count != count) {
        wrong(f, field[0], "is no tuple of %u numbers", count);
        return;
    }
    for (unsigned k = 0; k < count; k++) {
        const loom_value *item = &value->sequence.items[k];
        double got = item->type == LOOM_INT ? (double)item->integer : item->number;
        if (!is_near(got, recorded[k], tolerance * fabs(recorded[k])))
            wrong(f, field[0], "number %u is %.17g; ITK: %.17g", k + 1, got, recorded[k]);
    }
}

/* Geometry is what ITK computes with the same operations in the same order; a few units in the last place for those
 * that its matrix library orders by itself. */
static void compare_list(fixture *f, const char *expression, const char *what, const char *list, const double *got,
                         unsigned count) {
    double recorded[16];
    if (numbers_of(list, recorded, 16) != count) fail_msg("%s: %s has not %u numbers", expression, what, count);
    for (unsigned k = 0; k < count; k++)
        if (!is_near(got[k], recorded[k], 1e-14 * (1 + fabs(recorded[k]))))
            wrong(f, expression, "%s %u is %.17g; ITK: %.17g", what, k + 1, got[k], recorded[k]);
}

static unsigned compare_geometry(fixture *f, char **field, const loom_image_header *header) {
    double direction[16];
    char text[3][600];
    const char *lists[3] = {field[3], field[4], field[5]};
    unsigned next = 6;
    for (unsigned row = 0; row < header->rank; row++)
        for (unsigned column = 0; column < header->rank; column++)
            direction[row * header->rank + column] = header->direction[row * LOOM_RANK_MAX + column];
    if (field[3][0] == '=') {
        itk_input like;
        if (!itk_input_parse(field[3] + 2, strlen(field[3] + 2), &like)) fail_msg("no input: %s", field[3]);
        const double *numbers[] = {like.spacing, like.origin, like.direction};
        for (unsigned l = 0; l < 3; l++)
            for (unsigned k = 0, used = 0; k < (l < 2 ? like.rank : like.rank * like.rank); k++)
                used += (unsigned)snprintf(text[l] + used, sizeof text[l] - used, "%s%.17g", k == 0 ? "" : ",",
                                           numbers[l][k]);
        for (unsigned l = 0; l < 3; l++)
            lists[l] = text[l];
        next = 4;
    }
    compare_list(f, field[0], "spacing", lists[0], header->spacing, header->rank);
    compare_list(f, field[0], "origin", lists[1], header->origin, header->rank);
    compare_list(f, field[0], "direction", lists[2], direction, (unsigned)header->rank * header->rank);
    return next;
}

static double value_at(const char *type, const void *values, uint64_t k) {
    const char *at = (const char *)values + k * itk_input_bytes(type);
    uint64_t whole = 0;
    float single;
    double real;
    memcpy(&whole, at, itk_input_bytes(type));
    memcpy(&single, at, type[0] == 'f' && type[1] == '3' ? sizeof single : 1);
    memcpy(&real, at, type[0] == 'f' && type[1] == '6' ? sizeof real : 1);
    if (type[0] == 'f') return type[1] == '3' ? (double)single : real;
    if (type[0] == 'u') return (double)whole;
    unsigned unused = 64 - 8 * (unsigned)itk_input_bytes(type);
    return (double)((int64_t)(whole << unused) >> unused);
}

static void compare_near(fixture *f, char **field, const char *type, const void *values, uint64_t count,
                         double tolerance) {
    double least = INFINITY, greatest = -INFINITY, sum = 0, recorded[3], samples[SAMPLES];
    for (uint64_t k = 0; k < count; k++) {
        double value = value_at(type, values, k);
        if (!isfinite(value)) continue;
        least = fmin(least, value);
        greatest = fmax(greatest, value);
        sum += value;
    }
    for (unsigned k = 0; k < 3; k++)
        recorded[k] = strtod(field[k], NULL);
    double most = fmax(fabs(recorded[0]), fabs(recorded[1])), allowed = tolerance * most;
    if (!is_near(least, recorded[0], allowed)) wrong(f, "", "minimum is %.17g; ITK: %.17g", least, recorded[0]);
    if (!is_near(greatest, recorded[1], allowed)) wrong(f, "", "maximum is %.17g; ITK: %.17g", greatest, recorded[1]);
    if (!is_near(sum, recorded[2], allowed * (double)count)) wrong(f, "", "sum is %.17g; ITK: %.17g", sum, recorded[2]);
    if (numbers_of(field[3], samples, SAMPLES) != SAMPLES) fail_msg("%s:%u: samples are missing", f->file, f->line);
    for (uint64_t k = 0; k < SAMPLES; k++) {
        double got = value_at(type, values, k * (count - 1) / (SAMPLES - 1));
        if (!is_near(got, samples[k], allowed + 1e-8 * fabs(samples[k])))
            wrong(f, "", "sample %llu is %.9g; ITK: %.9g", (unsigned long long)k, got, samples[k]);
    }
}

static void compare_image(fixture *f, char **field, const loom_value *value) {
    char got[100], type[8] = "";
    if (value->type != LOOM_IMAGE) {
        wrong(f, field[0], "is no image");
        return;
    }
    const loom_image_header *header = value->image.header;
    snprintf(type, sizeof type, "%s", header->dtype == LOOM_BOOL8 ? "u8" : loom_dtype_name(header->dtype));
    snprintf(got, sizeof got, header->components > 1 ? "%sx%u" : "%s", type, header->components);
    if (strcmp(got, field[1]) != 0) {
        wrong(f, field[0], "has pixels of %s; ITK: %s", got, field[1]);
        return;
    }
    got[0] = 0;
    for (unsigned d = 0; d < header->rank; d++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%llu", d == 0 ? "" : "x",
                 (unsigned long long)header->size[d]);
    if (strcmp(got, field[2]) != 0) {
        wrong(f, field[0], "has size %s; ITK: %s", got, field[2]);
        return;
    }
    char **rest = field + compare_geometry(f, field, header);
    double tolerance = strtod(rest[0], NULL);
    uint64_t count = loom_image_voxels(header) * header->components;
    snprintf(got, sizeof got, "%016llx", (unsigned long long)itk_digest(type, value->image.voxels, count));
    if (strcmp(got, rest[1]) == 0) return;
    unsigned failed = f->failed;
    if (tolerance > 0)
        compare_near(f, rest + 2, type, value->image.voxels, count, tolerance);
    else
        wrong(f, field[0], "voxels differ (ITK's: %s to %s, sum %s)", rest[2], rest[3], rest[4]);
    if (tolerance > 0 && f->failed > failed) print_error("    in %s\n", field[0]);
}

/* Broken into its fields; a NULL after the last. */
static void split(char *line, char *field[FIELDS + 1]) {
    unsigned count = 0;
    for (char *at = line; at != NULL && count < FIELDS;) {
        field[count++] = at;
        at = strchr(at, '\t');
        if (at != NULL) *at++ = 0;
    }
    while (count <= FIELDS)
        field[count++] = NULL;
}

static void check_case(fixture *f, char *line) {
    char *field[FIELDS + 1];
    split(line, field);
    if (field[1] == NULL) fail_msg("%s:%u: no result", f->file, f->line);
    f->h = harness_new();
    loom_value value = loom_null();
    loom_status status = evaluate_case(f->h, field[0], &value);
    if (strcmp(field[1], "refused") == 0) {
        if (status == LOOM_OK) wrong(f, field[0], "gives a result; ITK refuses it");
        if (strchr(f->h->err.message, '\n') != NULL) wrong(f, field[0], "refused in more than one line");
    } else if (status != LOOM_OK) {
        wrong(f, field[0], "%s", f->h->err.message);
    } else if (strcmp(field[1], "numbers") == 0) {
        compare_numbers(f, field, &value);
    } else {
        compare_image(f, field, &value);
    }
    f->compared++;
    harness_free(f->h);
}

static void check_file(const char *name, unsigned least) {
    char path[4096];
    fixture f = {.file = name};
    const char *source = getenv("VOXLOOM_SOURCE");
    assert_non_null(source);
    snprintf(path, sizeof path, "%s/tests/kernels/itk/%s", source, name);
    harness *h = harness_new();
    size_t length = 0;
    char *text = (char *)(uintptr_t)read_text(h, path, &length); /* in h's arena, ours to write */
    text[length] = 0;
    for (char *line = text, *next; *line != 0; line = next) {
        next = strchr(line, '\n');
        if (next == NULL) fail_msg("%s: the last line is cut off", name);
        *next++ = 0;
        f.line++;
        if (line[0] != '#') check_case(&f, line);
    }
    harness_free(h);
    print_message("%s: %u cases compared, %u differ\n", name, f.compared, f.failed);
    assert_int_equal(f.failed, 0);
    assert_true(f.compared >= least);
}

static void voxelwise(void **state) {
    (void)state;
    check_file("A.txt", 900);
}

static void types_grids_and_components(void **state) {
    (void)state;
    check_file("A_grid.txt", 250);
}

static void smoothing_and_derivatives(void **state) {
    (void)state;
    check_file("B.txt", 150);
}

static void sets_and_labels(void **state) {
    (void)state;
    check_file("C.txt", 110);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(voxelwise), cmocka_unit_test(types_grids_and_components),
                                       cmocka_unit_test(smoothing_and_derivatives), cmocka_unit_test(sets_and_labels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
