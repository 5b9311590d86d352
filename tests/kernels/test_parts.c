/* test_parts.c - kernels that work in parts give the same bytes whole, and in parts that several workers run in
 * shuffled order. Every operator of the table that has loops is called with several kinds of images; recorded results
 * are compared elsewhere (test_golden.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "calls.h"

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
    if (taken > declared + 2u * CALLS_WIDTH * CALLS_HEIGHT * CALLS_DEPTH)
        fail_msg("%s takes %llu bytes of scratch and says %llu", name, (unsigned long long)taken,
                 (unsigned long long)declared);
    if (loops->scratch != NULL && declared + 4096 < taken / 2)
        fail_msg("%s says too little: %llu of %llu bytes", name, (unsigned long long)declared,
                 (unsigned long long)taken);
}

/* True if it ran. */
static bool compare(void *context, harness *h, const char *name, const loom_value *arguments, uint32_t count) {
    loom_value whole = loom_null(), parts = loom_null();
    (void)context;
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

/* A fold over images, which come as references; with a number and with an image to begin with. */
static void test_folds(void **state) {
    (void)state;
    static const char *const operators[] = {"+", "-", "*", "/"};
    static loom_value pool[3];
    harness *h = harness_new();
    loom_value items[3], first = calls_make(h, LOOM_F32, 1, 30);
    h->pool = pool;
    h->pool_count = 3;
    for (uint64_t k = 0; k < 3; k++) {
        pool[k] = calls_make(h, LOOM_F32, 1, 20 + k);
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
            for (uint64_t v = 7; v < (uint64_t)CALLS_WIDTH * CALLS_HEIGHT * CALLS_DEPTH; v += 90001) {
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
            calls_fill(image, 40);
            for (int k = 0; k < 3; k++) {
                uint64_t before = h->parts;
                assert_true(compare(NULL, h, names[k], &image, 1));
                assert_true(h->parts >= before + 2);
            }
        }
    harness_free(h);
}

static void test_all_operators(void **state) {
    (void)state;
    const loom_operator_table *table = loom_operators();
    harness *h = harness_new();
    calls_images images = calls_make_images(h);
    uint32_t operators = 0;
    for (size_t i = 0; i < table->count; i++) {
        const loom_operator *op = table->operators[i];
        if (!calls_fit(op)) continue;
        uint64_t before = h->parts;
        calls_of(h, &images, op, compare, NULL);
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
