/* test_components.c - connected components at their worst: masks with as many runs as there can be. What components are
 * right is compared with a flood fill in test_properties.c; here the answers are known beforehand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"

enum { WIDTH = 65, HEIGHT = 64, DEPTH = 63, VOXELS = WIDTH * HEIGHT * DEPTH, RUNS_IN_ROW = (WIDTH + 1) / 2 };

/* Every second voxel in every direction: 26-connected as a whole if `joined`, else no two touch. */
static loom_value chequered(harness *h, bool joined) {
    const uint64_t size[] = {WIDTH, HEIGHT, DEPTH};
    loom_value mask = make_image(h, LOOM_BOOL8, 3, size, 1);
    uint8_t *voxels = (uint8_t *)(uintptr_t)mask.image.voxels;
    for (uint64_t v = 0; v < VOXELS; v++) {
        uint64_t x = v % WIDTH, y = v / WIDTH % HEIGHT, z = v / WIDTH / HEIGHT;
        voxels[v] = joined ? (x + y + z) % 2 == 0 : x % 2 == 0 && y % 2 == 0 && z % 2 == 0;
    }
    return mask;
}

/* A run every second voxel: 13, 16 and 21 bytes of scratch each, and 8 a row, as the README of kernels says. */
static void scratch_is_bounded(void **state) {
    harness *h = *state;
    loom_value mask = chequered(h, true), result = loom_null();
    const loom_value both[] = {mask, mask};
    static const struct {
        const char *name;
        uint32_t arguments, bytes_a_run;
    } calls[] = {{"vox1.through", 2, 13}, {"vox1.lcc", 1, 16}, {"vox1.maxvol", 1, 21}};
    for (size_t k = 0; k < 3; k++) {
        assert_int_equal(harness_run(h, calls[k].name, both, calls[k].arguments, NULL, &result), LOOM_OK);
        uint64_t rows = (uint64_t)HEIGHT * DEPTH, bound = rows * (calls[k].bytes_a_run * RUNS_IN_ROW + 8) + 4096;
        if (h->scratch_bytes > bound)
            fail_msg("%s took %llu bytes, more than %llu", calls[k].name, (unsigned long long)h->scratch_bytes,
                     (unsigned long long)bound);
    }
}

static void one_component(void **state) {
    harness *h = *state;
    loom_value mask = chequered(h, true), seed = make_image(h, LOOM_BOOL8, 3, mask.image.header->size, 1);
    ((uint8_t *)(uintptr_t)seed.image.voxels)[0] = 1; /* in a corner */
    for (uint64_t shuffle = 0; shuffle < 2; shuffle++) {
        h->shuffle = shuffle * 3;
        loom_value labels = RUN(h, "vox1.lcc", mask), largest = RUN(h, "vox1.maxvol", mask);
        const uint8_t *in = mask.image.voxels;
        for (uint64_t v = 0; v < VOXELS; v++)
            assert_true(((const float *)labels.image.voxels)[v] == (float)in[v]);
        assert_memory_equal(largest.image.voxels, in, VOXELS);
        loom_value through = RUN(h, "vox1.through", seed, mask);
        assert_memory_equal(through.image.voxels, in, VOXELS);
    }
}

static void as_many_components_as_voxels(void **state) {
    harness *h = *state;
    loom_value mask = chequered(h, false);
    const uint8_t *in = mask.image.voxels;
    for (uint64_t shuffle = 0; shuffle < 2; shuffle++) {
        h->shuffle = shuffle * 3;
        loom_value labels = RUN(h, "vox1.lcc", mask), largest = RUN(h, "vox1.maxvol", mask);
        float next = 0;
        for (uint64_t v = 0; v < VOXELS; v++) {
            next += in[v];
            assert_true(((const float *)labels.image.voxels)[v] == (in[v] ? next : 0));
        }
        assert_memory_equal(largest.image.voxels, in, VOXELS); /* all are of one size */
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
    const struct CMUnitTest tests[] = {TEST(scratch_is_bounded), TEST(one_component),
                                       TEST(as_many_components_as_voxels)};
    return cmocka_run_group_tests_name("components", tests, NULL, NULL);
}
