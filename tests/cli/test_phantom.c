/* test_phantom.c - the synthetic head: one seed, one volume; the size asked for; and what a head must have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/volume.h"
#include "runtime/cli/phantom.h"

static char folder[512], path[600];

static int setup(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/voxloom-phantom-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/head.nii.gz", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void make(const uint64_t size[3], uint64_t seed) {
    loom_error err = {0};
    if (loom_phantom_write(path, size, seed, &err) != LOOM_OK) fail_msg("%s", err.message);
}

static loom_id hash_of_head(const uint64_t size[3], uint64_t seed) {
    loom_id id;
    make(size, seed);
    assert_int_equal(loom_file_hash(path, &id, NULL, NULL), LOOM_OK);
    return id;
}

static int16_t *load(loom_image_header *header) {
    loom_error err = {0};
    loom_volume *volume;
    assert_int_equal(loom_volume_open(path, &volume, &err), LOOM_OK);
    *header = *loom_volume_header(volume);
    assert_int_equal(header->dtype, LOOM_I16);
    int16_t *voxels = malloc((size_t)loom_image_bytes(header));
    assert_non_null(voxels);
    loom_volume_sink sink = {.fd = -1, .memory = voxels};
    assert_int_equal(loom_volume_load(volume, &sink, &err), LOOM_OK);
    loom_volume_close(volume);
    return voxels;
}

static void one_seed_is_one_head(void **state) {
    (void)state;
    const uint64_t size[3] = {48, 44, 31};
    loom_id first = hash_of_head(size, 7), again = hash_of_head(size, 7), other = hash_of_head(size, 8);
    assert_true(loom_id_equal(&first, &again));
    assert_false(loom_id_equal(&first, &other));
}

static void the_size_is_honoured(void **state) {
    (void)state;
    static const uint64_t sizes[][3] = {{1, 1, 1}, {5, 64, 2}, {40, 36, 20}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        loom_image_header header;
        make(sizes[i], 0);
        free(load(&header));
        assert_int_equal(header.rank, 3);
        for (int axis = 0; axis < 3; axis++) {
            assert_true(header.size[axis] == sizes[i][axis]);
            assert_true(header.spacing[axis] == 1.0);
            assert_true(header.origin[axis] == -0.5 * (double)(sizes[i][axis] - 1));
        }
    }
}

static void bad_sizes_are_refused(void **state) {
    (void)state;
    static const uint64_t sizes[][3] = {{0, 1, 1},          {1, 0, 1},          {1, 1, 0},        {4097, 1, 1},
                                        {1, 1, UINT64_MAX}, {4096, 4096, 4096}, {2048, 2048, 257}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        loom_error err = {0};
        assert_int_equal(loom_phantom_write(path, sizes[i], 0, &err), LOOM_BAD_ARGUMENT);
        assert_non_null(strstr(err.message, "use"));
    }
    const uint64_t size[3] = {8, 8, 8};
    loom_error err = {0};
    assert_int_equal(loom_phantom_write("head.jpg", size, 0, &err), LOOM_UNSUPPORTED);
}

/* Empty corners, a head that fills about a third, dark fluid inside, and a bright part of a few percent that is one
 * sided and away from the skin. */
static void it_is_a_head_with_a_tumour(void **state) {
    (void)state;
    const uint64_t size[3] = {80, 80, 52};
    const size_t count = 80 * 80 * 52;
    for (uint64_t seed = 0; seed < 4; seed++) {
        loom_image_header header;
        make(size, seed);
        int16_t *voxels = load(&header);
        size_t head = 0, bright = 0, right = 0, specks = 0;
        for (size_t i = 0; i < count; i++) {
            size_t x = i % 80, y = i / 80 % 80;
            assert_true(voxels[i] >= 0);
            head += voxels[i] > 20;
            specks += voxels[i] > 0 && voxels[i] <= 4;
            if (voxels[i] < 580) continue;
            bright++;
            right += x < 40;
            assert_true(x > 12 && x < 68 && y > 12 && y < 68);
        }
        assert_true(head > count / 5 && head < count / 2);
        assert_true(specks < count / 200);
        assert_true(bright > head / 200 && bright < head / 15);
        assert_true(right == 0 || right == bright);
        assert_int_equal(voxels[0], voxels[0] & 7);
        free(voxels);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_seed_is_one_head),
        cmocka_unit_test(the_size_is_honoured),
        cmocka_unit_test(bad_sizes_are_refused),
        cmocka_unit_test(it_is_a_head_with_a_tumour),
    };
    return cmocka_run_group_tests_name("phantom", tests, setup, teardown);
}
