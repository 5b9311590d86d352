/* digests.c - prints a line for every call of calls.h: the operator and a hash of its result. test_cpus.c compares
 * what several builds of the kernels print. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "calls.h"
#include "shm/extent/block_hash.h"

/* C leaves open which of two NaNs an operation returns: where the kernel does not, they are all made the same. */
static void unify_nans(loom_value image) {
    void *voxels = (void *)(uintptr_t)image.image.voxels; /* of our own */
    uint8_t dtype = image.image.header->dtype;
    for (uint64_t k = 0, count = loom_image_bytes(image.image.header) / loom_dtype_bytes(dtype); k < count; k++) {
        if (dtype == LOOM_F32 && isnan(((float *)voxels)[k])) ((float *)voxels)[k] = NAN;
        if (dtype == LOOM_F64 && isnan(((double *)voxels)[k])) ((double *)voxels)[k] = NAN;
    }
}

static bool print(void *context, harness *h, const char *name, const loom_value *arguments, uint32_t count) {
    loom_value result = loom_null();
    loom_id id = {{0}};
    char hex[LOOM_ID_HEX_BYTES];
    (void)context;
    if (harness_run(h, name, arguments, count, NULL, &result) != LOOM_OK) return false;
    if (result.type == LOOM_IMAGE) {
        if (strcmp(name, "simpleitk.SmoothingRecursiveGaussian") != 0) unify_nans(result); /* that has one NaN */
        printf("%s/%u %016llx\n", name, count,
               (unsigned long long)loom_block_hash(result.image.voxels, loom_image_bytes(result.image.header)));
        harness_drop(h, result.image.voxels);
    } else {
        assert_int_equal(loom_value_id(&result, &id), LOOM_OK);
        loom_id_hex(&id, hex);
        printf("%s/%u %s\n", name, count, hex);
    }
    return true;
}

static void test_print(void **state) {
    (void)state;
    const loom_operator_table *table = loom_operators();
    harness *h = harness_new();
    calls_images images = calls_make_images(h);
    for (size_t i = 0; i < table->count; i++) {
        const loom_operator *op = table->operators[i];
        if (calls_fit(op)) calls_of(h, &images, op, print, NULL);
    }
    harness_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_print)};
    return cmocka_run_group_tests_name("digests", tests, NULL, NULL);
}
