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

/* What one worker takes of scratch memory, and says beforehand: what the data decide, which is little here, is beyond.
 */
static void assert_declared(const char *name, const loom_value *arguments, uint32_t count, uint64_t taken) {
    const loom_operator *op = loom_operator_find(loom_operators(), name, strlen(name));
    const loom_loops *loops = loom_kernel_of(op)->loops;
    const loom_call call = {.op = op, .arguments = arguments, .argument_count = count};
    uint64_t declared = loops->scratch == NULL ? 0 : loops->scratch(&call, 1);
    /* Runs of rows, of tables: at most 2 bytes a voxel of these images. */
    if (taken > declared + 2u * WIDTH * HEIGHT * DEPTH)
        fail_msg("%s takes %llu bytes of scratch and says %llu", name, (unsigned long long)taken,
                 (unsigned long long)declared);
    if (loops->scratch != NULL && declared + 4096 < taken / 2)
        fail_msg("%s says too little: %llu of %llu bytes", name, (unsigned long long)declared,
                 (unsigned long long)taken);
}

/* True if it ran. */
static bool compare(harness *h, const char *name, const loom_value *arguments, uint32_t count) {
    loom_value whole = loom_null(), parts = loom_null();
    h->shuffle = 0;
    loom_status status = harness_run(h, name, arguments, count, NULL, &whole);
    uint64_t taken = h->scratch_bytes;
    h->shuffle = 77;
    loom_status again = harness_run(h, name, arguments, count, NULL, &parts);
    if (again != status)
        fail_msg("%s: %s whole and %s in parts", name, loom_status_name(status), loom_status_name(again));
    if (status == LOOM_OK) assert_same(name, &whole, &parts);
    if (status == LOOM_OK) assert_declared(name, arguments, count, taken);
    drop(h, &parts);
    drop(h, &whole);
    return status == LOOM_OK;
}

/* Three whole numbers: the size of a box, the index of its first voxel. */
static loom_value triple(harness *h, int64_t x, int64_t y, int64_t z) {
    loom_value *items = loom_arena_array(h->arena, 3, sizeof *items);
    assert_non_null(items);
    items[0] = loom_int(x);
    items[1] = loom_int(y);
    items[2] = loom_int(z);
    return loom_sequence(items, 3);
}

/* What an argument may be: an image of the kind, a mask, numbers. */
static uint32_t choices(harness *h, char letter, uint32_t position, loom_value image, loom_value mask,
                        loom_value *made) {
    switch (letter) {
    case 'q':
        made[0] = position == 1 ? triple(h, 70, 60, 40) : triple(h, 5, 1, 1);
        return 1;
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
        of[count] = choices(h, *letter, count, image, mask, made[count]);
    if (op->flags & LOOM_OP_OPEN && strchr(op->signature, 'i') > strchr(op->signature, ':')) {
        made[count][0] = image; /* the grid that the runtime passes last */
        count++;
    }
    uint32_t least = op->arity_min > 0 && op->arity_min < count ? op->arity_min : count;
    for (uint32_t a = 0; a < of[0]; a++)
        for (uint32_t b = 0; b < of[1]; b++)
            for (uint32_t c = 0; c < of[2]; c++) {
                const uint32_t chosen[ARGUMENTS] = {a, b, c, 0};
                for (uint32_t k = 0; k < count; k++)
                    arguments[k] = made[k][chosen[k]];
                for (uint32_t used = least; used <= count; used++)
                    ran += compare(h, op->name, arguments, used);
            }
    return ran;
}

/* A fold over images, which come as references; with a number and with an image to begin with. */
static void test_folds(void **state) {
    (void)state;
    static const char *const operators[] = {"+", "-", "*", "/"};
    static loom_value pool[3];
    harness *h = harness_new();
    loom_value items[3], first = make(h, LOOM_F32, 1, 30);
    h->pool = pool;
    h->pool_count = 3;
    for (uint64_t k = 0; k < 3; k++) {
        pool[k] = make(h, LOOM_F32, 1, 20 + k);
        loom_id vid = {{(uint8_t)k}};
        items[k] = loom_reference(LOOM_IMAGE, &vid);
    }
    uint64_t before = h->parts;
    for (int o = 0; o < 4; o++)
        for (int with_image = 0; with_image < 2; with_image++) {
            const loom_value arguments[] = {with_image ? first : loom_float(2.5), loom_sequence(items, 3)};
            loom_field attribute = {"operator", 8, loom_string_of(operators[o])};
            loom_value attributes = loom_record(&attribute, 1), whole, parts;
            h->shuffle = 0;
            assert_int_equal(harness_run(h, "default.fold", arguments, 2, &attributes, &whole), LOOM_OK);
            h->shuffle = 78;
            assert_int_equal(harness_run(h, "default.fold", arguments, 2, &attributes, &parts), LOOM_OK);
            assert_same("default.fold", &whole, &parts);
            /* Computed here: item by item, at a voxel in each part. */
            for (uint64_t v = 7; v < (uint64_t)WIDTH * HEIGHT * DEPTH; v += 90001) {
                float sum = with_image ? ((const float *)first.image.voxels)[v] : 2.5f;
                for (int k = 0; k < 3; k++) {
                    float item = ((const float *)pool[k].image.voxels)[v];
                    sum = o == 0 ? sum + item : o == 1 ? sum - item : o == 2 ? sum * item : sum / item;
                }
                float is = ((const float *)whole.image.voxels)[v];
                if (memcmp(&is, &sum, sizeof sum) != 0) fail_msg("%s: %g, want %g", operators[o], is, sum);
            }
            drop(h, &parts);
            drop(h, &whole);
        }
    assert_true(h->parts >= before + 16);
    harness_free(h);
}

/* One slice, which is done row by row. What is right is tested with the other properties. */
static void test_planes(void **state) {
    (void)state;
    static const char *const names[] = {"vox1.near", "vox1.interior", "vox1.dt"};
    const uint64_t sizes[][3] = {{700, 500, 1}, {150000, 3, 1}, {2, 90000, 1}};
    harness *h = harness_new();
    for (int s = 0; s < 3; s++)
        for (unsigned rank = 2; rank <= 3; rank++) {
            loom_value image = make_image(h, LOOM_BOOL8, rank, sizes[s], 1);
            fill(image, 40);
            for (int k = 0; k < 3; k++) {
                uint64_t before = h->parts;
                assert_true(compare(h, names[k], &image, 1));
                assert_true(h->parts >= before + 2);
            }
        }
    harness_free(h);
}

static void test_all_operators(void **state) {
    (void)state;
    const loom_operator_table *table = loom_operators();
    harness *h = harness_new();
    uint32_t operators = 0;
    for (size_t i = 0; i < table->count; i++) {
        const loom_operator *op = table->operators[i];
        uint32_t ran = 0;
        if (loom_kernel_of(op)->loops == NULL || strcmp(op->name, "default.fold") == 0 ||
            strcmp(op->name, "loom.sweep") == 0) /* test_folds; test_sweep.c */
            continue;
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_operators), cmocka_unit_test(test_folds),
                                       cmocka_unit_test(test_planes)};
    return cmocka_run_group_tests_name("parts", tests, NULL, NULL);
}
