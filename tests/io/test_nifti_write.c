/* test_nifti_write.c - what is written is read back the same, equal images give equal files, and a file is replaced
 * whole or not at all. The bytes themselves are compared with ITK's in test_golden.c. */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned char *pattern(size_t bytes) {
    unsigned char *data = malloc(bytes);
    assert_non_null(data);
    for (size_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)((i * 7 + i / 251) & 0x3f); /* as floats: small and finite */
    return data;
}

static void round_trip(loom_image_header image, const char *name, loom_dtype expected) {
    size_t bytes = (size_t)loom_image_bytes(&image);
    unsigned char *data = pattern(bytes);
    loom_error err = {0};
    const char *path = scratch_path(name);
    assert_true(loom_volume_can_write(path));
    assert_loom_ok(loom_volume_write(path, &image, data, &err), &err);
    loom_image_header back;
    unsigned char *voxels = load_volume(path, &back);
    assert_int_equal(back.dtype, expected);
    image.dtype = (uint8_t)expected;
    assert_memory_equal(&back, &image, sizeof back);
    assert_memory_equal(voxels, data, bytes);
    free(voxels);
    free(data);
}

static loom_image_header image_of(uint8_t dtype, unsigned rank, uint16_t components) {
    const uint64_t size[4] = {9, 5, 4, 3};
    loom_image_header image = loom_image_header_make((loom_dtype)dtype, rank, size);
    image.components = components;
    for (unsigned i = 0; i < rank; i++)
        image.spacing[i] = 0.5 + i;
    for (unsigned i = 0; i < rank && i < 3; i++)
        image.origin[i] = 10.25 * (i + 1.0);
    /* x and y swapped, z turned round: exact in every format. */
    image.direction[0] = image.direction[5] = 0;
    image.direction[1] = 1;
    image.direction[4] = 1;
    if (rank > 2) image.direction[10] = -1;
    return image;
}

static void every_type_rank_and_component_count(void **state) {
    (void)state;
    for (uint8_t dtype = LOOM_BOOL8; dtype <= LOOM_F64; dtype++)
        for (unsigned rank = 2; rank <= 4; rank++)
            for (uint16_t components = 1; components <= 5; components++) {
                loom_dtype expected = dtype == LOOM_BOOL8 ? LOOM_U8 : (loom_dtype)dtype;
                round_trip(image_of(dtype, rank, components), "round.nii.gz", expected);
                round_trip(image_of(dtype, rank, components), "round.NII", expected);
            }
}

static void long_axes_need_version_2(void **state) {
    (void)state;
    const uint64_t size[2] = {32768, 2};
    round_trip(loom_image_header_make(LOOM_U8, 2, size), "long.nii.gz", LOOM_U8);
    size_t length;
    unsigned char *bytes = gunzip_file(scratch_path("long.nii.gz"), &length);
    assert_int_equal(bytes[0] | bytes[1] << 8, 540);
    assert_memory_equal(bytes + 4, "n+2\0\r\n\032\n", 8);
    assert_int_equal(length, 544 + 65536);
    free(bytes);
    const uint64_t shorter[2] = {32767, 2};
    round_trip(loom_image_header_make(LOOM_U8, 2, shorter), "short.nii.gz", LOOM_U8);
    bytes = gunzip_file(scratch_path("short.nii.gz"), &length);
    assert_int_equal(bytes[0] | bytes[1] << 8, 348);
    free(bytes);
}

/* A vector image of this many numbers crosses the pieces in which planes are gathered. */
static void large_vectors(void **state) {
    (void)state;
    const uint64_t size[3] = {100, 100, 20};
    loom_image_header image = loom_image_header_make(LOOM_F32, 3, size);
    image.components = 2;
    round_trip(image, "vectors.nii", LOOM_F32);
}

static void equal_images_give_equal_bytes(void **state) {
    (void)state;
    loom_image_header image = image_of(LOOM_I16, 3, 1);
    unsigned char *data = pattern((size_t)loom_image_bytes(&image));
    loom_error err = {0};
    const char *a = scratch_path("a.nii.gz"), *b = scratch_path("other-name.nii.gz");
    assert_loom_ok(loom_volume_write(a, &image, data, &err), &err);
    assert_loom_ok(loom_volume_write_level(b, &image, data, 6, &err), &err);
    size_t a_length, b_length, c_length;
    unsigned char *a_bytes = read_file(a, &a_length), *b_bytes = read_file(b, &b_length);
    assert_int_equal(a_length, b_length);
    assert_memory_equal(a_bytes, b_bytes, a_length);
    /* gzip header: deflate, no flags (no name), time 0. */
    assert_memory_equal(a_bytes, "\x1f\x8b\x08\0\0\0\0\0", 8);
    assert_loom_ok(loom_volume_write_level(b, &image, data, 0, &err), &err);
    unsigned char *c_bytes = read_file(b, &c_length);
    assert_true(c_length > a_length);
    assert_int_equal(loom_volume_write_level(b, &image, data, 10, &err), LOOM_BAD_ARGUMENT);
    free(a_bytes);
    free(b_bytes);
    free(c_bytes);
    free(data);
}

static size_t entries_of(const char *folder) {
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    size_t count = 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

static void files_are_replaced_whole_or_not_at_all(void **state) {
    (void)state;
    loom_image_header image = image_of(LOOM_U8, 3, 1);
    unsigned char *data = pattern((size_t)loom_image_bytes(&image));
    loom_error err = {0};
    /* Parents are created; nothing but the file is left in the folder. */
    const char *path = scratch_path("deep/er/still/out.nii.gz");
    assert_loom_ok(loom_volume_write(path, &image, data, &err), &err);
    assert_int_equal(entries_of(scratch_path("deep/er/still")), 1);
    /* A failure leaves the old file: PNG cannot hold 3D. */
    const char *png = scratch_path("deep/er/still/out.png");
    write_file(png, "old", 3);
    assert_int_equal(loom_volume_write(png, &image, data, &err), LOOM_UNSUPPORTED);
    assert_non_null(strstr(err.message, png));
    size_t length;
    unsigned char *old = read_file(png, &length);
    assert_int_equal(length, 3);
    free(old);
    assert_int_equal(entries_of(scratch_path("deep/er/still")), 2);
    /* Its permissions are kept, and a link stays a link. */
    assert_int_equal(chmod(path, 0640), 0);
    const char *link = scratch_path("link.nii.gz");
    assert_int_equal(symlink(path, link), 0);
    assert_loom_ok(loom_volume_write(link, &image, data, &err), &err);
    struct stat status;
    assert_int_equal(lstat(link, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    free(data);
}

static void bad_targets_are_refused(void **state) {
    (void)state;
    loom_image_header image = image_of(LOOM_U8, 3, 1);
    unsigned char *data = pattern((size_t)loom_image_bytes(&image));
    loom_error err = {0};
    assert_int_equal(loom_volume_write(scratch_path("x.vtk"), &image, data, &err), LOOM_UNSUPPORTED);
    assert_false(loom_volume_can_write("x.vtk"));
    assert_false(loom_volume_can_write(".nii"));
    assert_false(loom_volume_can_write("folder/.png"));
    assert_false(loom_volume_can_write(""));
    assert_true(loom_volume_can_write("x.png"));
    /* A folder in its place; a file in the place of its folder. */
    const char *folder = scratch_path("folder.nii");
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(loom_volume_write(folder, &image, data, &err), LOOM_BAD_ARGUMENT);
    write_file(scratch_path("file"), "", 0);
    loom_status status = loom_volume_write(scratch_path("file/x.nii"), &image, data, &err);
    assert_true(status != LOOM_OK);
    assert_non_null(strstr(err.message, "file/x.nii"));
    /* A header that is no image. */
    image.spacing[1] = 0.0;
    assert_true(loom_volume_write(scratch_path("x.nii"), &image, data, &err) != LOOM_OK);
    assert_non_null(strstr(err.message, "x.nii"));
    if (geteuid() != 0) {
        image.spacing[1] = 1.0;
        const char *closed = scratch_path("closed");
        assert_int_equal(mkdir(closed, 0500), 0);
        assert_int_equal(loom_volume_write(scratch_path("closed/x.nii"), &image, data, &err), LOOM_DENIED);
        chmod(closed, 0700);
    }
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_rank_and_component_count),
        cmocka_unit_test(long_axes_need_version_2),
        cmocka_unit_test(large_vectors),
        cmocka_unit_test(equal_images_give_equal_bytes),
        cmocka_unit_test(files_are_replaced_whole_or_not_at_all),
        cmocka_unit_test(bad_targets_are_refused),
    };
    return cmocka_run_group_tests_name("io nifti write", tests, scratch_setup, scratch_teardown);
}
