/* test_parts.c - kernels that work in parts give the same bytes whole, and in parts that several workers run in
 * shuffled order. Every operator of the table that has loops is called with several kinds of images; recorded results
 * are compared elsewhere (test_golden.c). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"

enum { WIDTH = 79, HEIGHT = 61, DEPTH = 41, ARGUMENTS = 4 };

static const loom_dtype kinds[] = {LOOM_F32, LOOM_I16, LOOM_BOOL8};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* Blobs with noise; real pixels also hold both zeros, NaN and infinities here and there. */
static double value_at(uint64_t k, uint64_t random, bool real) {
    double x = (double)(k % WIDTH), y = (double)(k / WIDTH % HEIGHT), z = (double)(k / WIDTH / HEIGHT);
    double wave = sin(x * 0.13) + sin(y * 0.11 + 1) + sin(z * 0.17 + 2);
    if (real && random % 5000 < 6) return (const double[]){0.0, -0.0, NAN, INFINITY, -INFINITY, 1e-30}[random % 5000];
    return wave * 20 + (double)(random % 1000) * (real ? 0.0137 : 0.01);
}

static void fill(loom_value image, uint64_t seed) {
    const loom_image_header *header = image.image.header;
    void *voxels = (void *)(uintptr_t)image.image.voxels;
    uint64_t total = loom_image_voxels(header) * header->components;
    for (uint64_t k = 0; k < total; k++) {
        uint64_t random = next_random(&seed);
        double value = value_at(k, random >> 20, header->dtype >= LOOM_F32);
        switch (header->dtype) {
        case LOOM_BOOL8:
            ((uint8_t *)voxels)[k] = value > 10;
            break;
        case LOOM_U8:
            ((uint8_t *)voxels)[k] = (uint8_t)(value < 0 ? 0 : value / 9);
            break;
        case LOOM_I16:
            ((int16_t *)voxels)[k] = (int16_t)value;
            break;
        case LOOM_F32:
            ((float *)voxels)[k] = (float)value;
            break;
        default:
            ((double *)voxels)[k] = value;
        }
    }
}

static loom_value make(harness *h, loom_dtype dtype, uint16_t components, uint64_t seed) {
    const uint64_t size[] = {WIDTH, HEIGHT, DEPTH};
    loom_value image = make_image(h, dtype, 3, size, components);
    fill(image, seed);
    return image;
}

/* ---- one operator ---- */

static void assert_same(const char *name, const loom_value *whole, const loom_value *parts) {
    if (whole->type != parts->type) fail_msg("%s: another type of value in parts", name);
    if (whole->type == LOOM_IMAGE) {
        assert_memory_equal(whole->image.header, parts->image.header, sizeof(loom_image_header));
        const uint8_t *a = whole->image.voxels, *b = parts->image.voxels;
        uint64_t bytes = loom_image_bytes(whole->image.header);
        for (uint64_t k = 0; k < bytes; k++)
            if (a[k] != b[k])
                fail_msg("%s: byte %llu is %u whole and %u in parts", name, (unsigned long long)k, a[k], b[k]);
    } else {
        loom_id a, b; /* of all bits: NaN is itself, and the zeros differ */
        assert_int_equal(loom_value_id(whole, &a), LOOM_OK);
        assert_int_equal(loom_value_id(parts, &b), LOOM_OK);
        if (!loom_id_equal(&a, &b)) fail_msg("%s: another value in parts", name);
    }
}

static void drop(harness *h, const loom_value *value) {
    if (value->type == LOOM_IMAGE) harness_drop(h, value->image.voxels);
}

/* True if it ran. */
static bool compare(harness *h, const char *name, const loom_value *arguments, uint32_t count) {
    loom_value whole = loom_null(), parts = loom_null();
    h->shuffle = 0;
    loom_status status = harness_run(h, name, arguments, count, NULL, &whole);
    h->shuffle = 77;
    loom_status again = harness_run(h, name, arguments, count, NULL, &parts);
    if (again != status)
        fail_msg("%s: %s whole and %s in parts", name, loom_status_name(status), loom_status_name(again));
    if (status == LOOM_OK) assert_same(name, &whole, &parts);
    drop(h, &parts);
    drop(h, &whole);
    return status == LOOM_OK;
}

/* What an argument may be: an image of the kind, a mask, numbers. */
static uint32_t choices(harness *h, char letter, loom_value image, loom_value mask, loom_value *made) {
    (void)h;
    switch (letter) {
    case 'i':
        made[0] = image;
        made[1] = mask;
        return 2;
    case 'v':
        made[0] = image;
        made[1] = mask;
        made[2] = loom_float(3.0);
        return 3;
    default:
        made[0] = loom_int(8); /* a threshold, a pixel type, bins */
        return 1;
    }
}

static uint32_t try_all(harness *h, const loom_operator *op, loom_value image, loom_value mask) {
    loom_value made[ARGUMENTS][3], arguments[ARGUMENTS];
    uint32_t count = 0, of[ARGUMENTS] = {1, 1, 1, 1}, ran = 0;
    for (const char *letter = op->signature; *letter != ':' && *letter != '*' && count < ARGUMENTS; letter++, count++)
        of[count] = choices(h, *letter, image, mask, made[count]);
    for (uint32_t a = 0; a < of[0]; a++)
        for (uint32_t b = 0; b < of[1]; b++)
            for (uint32_t c = 0; c < of[2]; c++) {
                const uint32_t chosen[ARGUMENTS] = {a, b, c, 0};
                for (uint32_t k = 0; k < count; k++)
                    arguments[k] = made[k][chosen[k]];
                ran += compare(h, op->name, arguments, count);
            }
    return ran;
}

static void test_all_operators(void **state) {
    (void)state;
    const loom_operator_table *table = loom_operators();
    harness *h = harness_new();
    uint32_t operators = 0;
    for (size_t i = 0; i < table->count; i++) {
        const loom_operator *op = table->operators[i];
        uint32_t ran = 0;
        if (loom_kernel_of(op)->loops == NULL) continue;
        uint64_t before = h->parts;
        for (int kind = 0; kind < KINDS; kind++) {
            harness *images = harness_new();
            loom_value image = make(images, kinds[kind], 1, 11), mask = make(images, LOOM_BOOL8, 1, 12);
            ran += try_all(h, op, image, mask);
            if (kinds[kind] == LOOM_F32) ran += try_all(h, op, make(images, LOOM_F32, 4, 13), mask); /* colours */
            harness_free(images);
        }
        if (ran == 0) fail_msg("%s was never called with what it takes", op->name);
        if (h->parts < before + 2) fail_msg("%s was not run in parts", op->name);
        operators++;
    }
    print_message("%u operators, %llu parts\n", operators, (unsigned long long)h->parts);
    assert_true(operators > 0);
    harness_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_operators)};
    return cmocka_run_group_tests_name("parts", tests, NULL, NULL);
}
