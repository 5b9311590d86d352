/* test_dicom.c - DICOM files assembled element by element, alone and as series in a folder. Values and geometry are
 * what ITK 5.2's GDCMImageIO read from the same bytes (recorded once). */
#include "dicom_maker.h"
#include "io/dicom/isolate.h"
#include "written.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint16_t numbers[6] = {0, 1, 1024, 2000, 4095, 7};
static unsigned char file[4096];

static const char *make(const char *name, const dicom_recipe *recipe) {
    const char *path = scratch_path(name);
    write_file(path, file, dicom_make(recipe, file));
    return path;
}

static expected_image slice_of(loom_dtype dtype) {
    return (expected_image){
        .dtype = dtype, .rank = 3, .size = {3, 2, 1}, .spacing = {0.5, 0.75, 1}, .origin = {-10.5, 20, 30}};
}

static void values_are_rescaled(void **state) {
    (void)state;
    dicom_recipe recipe = dicom_slice(numbers, sizeof numbers);
    expected_image expected = slice_of(LOOM_I16);
    const int16_t units[6] = {-1024, -1023, 0, 976, 3071, -1017};
    check_file(make("slice.dcm", &recipe), &expected, units);
    recipe.colours = "MONOCHROME1"; /* 4095 - value, then rescaled */
    const int16_t inverted[6] = {3071, 3070, 2047, 1071, -1024, 3064};
    check_file(make("slice.dcm", &recipe), &expected, inverted);
    recipe.colours = "MONOCHROME2";
    recipe.slope = "2.5";
    expected.dtype = LOOM_F64;
    const double reals[6] = {-1024, -1021.5, 1536, 3976, 9213.5, -1006.5};
    check_file(make("slice.dcm", &recipe), &expected, reals);
    recipe.intercept = recipe.slope = NULL;
    expected.dtype = LOOM_U16;
    check_file(make("slice.dcm", &recipe), &expected, numbers);
    recipe.is_signed = true;
    recipe.stored = 16;
    expected.dtype = LOOM_I16;
    check_file(make("slice.dcm", &recipe), &expected, numbers);
    const unsigned char bytes[18] = {0, 9, 18, 27, 36, 45, 54, 63, 72, 81, 90, 99, 108, 117, 126, 135, 144, 153};
    recipe = dicom_slice(bytes, 6);
    recipe.intercept = recipe.slope = NULL;
    recipe.bits = recipe.stored = 8;
    expected.dtype = LOOM_U8;
    check_file(make("slice.dcm", &recipe), &expected, bytes);
    recipe.samples = 3;
    recipe.colours = "RGB";
    recipe.pixels_bytes = 18;
    expected.components = 3;
    check_file(make("slice.dcm", &recipe), &expected, bytes);
}

static void geometry(void **state) {
    (void)state;
    dicom_recipe recipe = dicom_slice(numbers, sizeof numbers);
    recipe.intercept = recipe.slope = NULL;
    recipe.orientation = "0\\1\\0\\0\\0\\-1";
    expected_image expected = slice_of(LOOM_U16);
    const double axes[3][3] = {{0, 1, 0}, {0, 0, -1}, {-1, 0, 0}};
    for (int i = 0; i < 3; i++)
        memcpy(expected.axes[i], axes[i], sizeof axes[i]);
    check_file(make("slice.dcm", &recipe), &expected, numbers);
    recipe.position = recipe.orientation = recipe.spacing = NULL;
    expected_image bare = {.dtype = LOOM_U16, .rank = 3, .size = {3, 2, 1}};
    check_file(make("slice.dcm", &recipe), &bare, numbers);
}

/* Four slices, whose names and numbers do not go with their places. */
static void make_series(const char *folder, double gap) {
    char path[64], position[64];
    static const int order[4] = {2, 0, 3, 1};
    mkdir(scratch_path(folder), 0700);
    for (int i = 0; i < 4; i++) {
        uint16_t pixels[6];
        for (int k = 0; k < 6; k++)
            pixels[k] = (uint16_t)(100 * order[i] + k);
        dicom_recipe recipe = dicom_slice(pixels, sizeof pixels);
        recipe.intercept = recipe.slope = NULL;
        recipe.thickness = "9";
        recipe.number = 10 + i;
        snprintf(position, sizeof position, "-10.5\\20\\%g", 30 + order[i] * 2.5 + (order[i] == 3 ? gap : 0));
        recipe.position = position;
        snprintf(path, sizeof path, "%s/%c.dcm", folder, 'a' + i);
        make(path, &recipe);
    }
}

static void a_folder_is_a_series(void **state) {
    (void)state;
    make_series("series", 0);
    write_file(scratch_path("series/notes.txt"), "hello", 5);
    mkdir(scratch_path("series/inner"), 0700);
    uint16_t voxels[24];
    for (int i = 0; i < 24; i++)
        voxels[i] = (uint16_t)(i / 6 * 100 + i % 6);
    expected_image expected = {
        .dtype = LOOM_U16, .rank = 3, .size = {3, 2, 4}, .spacing = {0.5, 0.75, 2.5}, .origin = {-10.5, 20, 30}};
    const char *folder = scratch_path("series");
    check_file(folder, &expected, voxels);
    assert_true(loom_volume_may_have_more_files(folder));
    loom_volume *volume;
    loom_error err = {0};
    assert_loom_ok(loom_volume_open(folder, &volume, &err), &err);
    assert_int_equal(loom_volume_file_count(volume), 4);
    assert_string_equal(loom_volume_file(volume, 0), scratch_path("series/b.dcm"));
    assert_string_equal(loom_volume_file(volume, 3), scratch_path("series/c.dcm"));
    loom_volume_close(volume);
    /* A slice less is a gap; one twice, another series, another size: refused by name. */
    unlink(scratch_path("series/d.dcm"));
    assert_int_equal(expect_refusal(folder, "evenly"), LOOM_BAD_INPUT);
    make_series("series", 0);
    dicom_recipe recipe = dicom_slice(numbers, sizeof numbers);
    recipe.intercept = recipe.slope = NULL;
    recipe.position = "-10.5\\20\\30";
    make("series/e.dcm", &recipe);
    assert_int_equal(expect_refusal(folder, "evenly"), LOOM_BAD_INPUT);
    recipe.position = "-10.5\\20\\40";
    recipe.series = "1.2.3.5";
    make("series/e.dcm", &recipe);
    assert_int_equal(expect_refusal(folder, "several series"), LOOM_BAD_INPUT);
    recipe.series = "1.2.3.4";
    recipe.rows = 3;
    recipe.columns = 2;
    make("series/e.dcm", &recipe);
    assert_int_equal(expect_refusal(folder, "differs"), LOOM_BAD_INPUT);
    unlink(scratch_path("series/e.dcm"));
    make_series("series", 0.3);
    assert_int_equal(expect_refusal(folder, "evenly"), LOOM_BAD_INPUT);
    make_series("series", 0.002); /* positions have few digits */
    expected.spacing[2] = 7.502 / 3;
    check_file(folder, &expected, voxels);
    /* What was a slice once, or should have become one. */
    const unsigned char zeros[200] = {0}, bare[16] = {8, 0, 5, 0, 'C', 'S', 0, 0};
    write_file(scratch_path("series/f"), zeros, 0);
    assert_int_equal(expect_refusal(folder, "is empty"), LOOM_BAD_INPUT);
    write_file(scratch_path("series/f"), zeros, sizeof zeros);
    assert_int_equal(expect_refusal(folder, "is empty"), LOOM_BAD_INPUT);
    write_file(scratch_path("series/f"), bare, sizeof bare);
    assert_int_equal(expect_refusal(folder, "without a file's preamble"), LOOM_BAD_INPUT);
    unlink(scratch_path("series/f"));
    write_file(scratch_path("series/f.DCM"), "hello", 5);
    assert_int_equal(expect_refusal(folder, "named like"), LOOM_BAD_INPUT);
    unlink(scratch_path("series/f.DCM"));
    assert_int_equal(symlink("nowhere", scratch_path("series/f")), 0);
    assert_int_equal(expect_refusal(folder, "cannot be examined"), LOOM_BAD_INPUT);
    unlink(scratch_path("series/f"));
    check_file(folder, &expected, voxels);
    mkdir(scratch_path("empty"), 0700);
    assert_int_equal(expect_refusal(scratch_path("empty"), "without DICOM"), LOOM_BAD_INPUT);
}

static void files_that_lie(void **state) {
    (void)state;
    dicom_recipe recipe = dicom_slice(numbers, sizeof numbers);
    check_hostile(make("lie.dcm", &recipe), 41);
    recipe.rows = recipe.columns = 60000;
    assert_int_equal(expect_refusal(make("lie.dcm", &recipe), "claims"), LOOM_BAD_INPUT);
    recipe.rows = recipe.columns = 300;
    assert_int_equal(expect_refusal(make("lie.dcm", &recipe), ""), LOOM_BAD_INPUT);
    recipe = dicom_slice(numbers, sizeof numbers);
    const unsigned char planes[18] = {0};
    recipe.bits = recipe.stored = 8;
    recipe.samples = 3;
    recipe.colours = "RGB";
    recipe.in_planes = true;
    recipe.pixels = planes;
    recipe.pixels_bytes = sizeof planes;
    assert_int_equal(expect_refusal(make("lie.dcm", &recipe), "plane of its own"), LOOM_UNSUPPORTED);
    recipe = dicom_slice(numbers, sizeof numbers);
    recipe.colours = "YBR_FULL";
    assert_int_equal(expect_refusal(make("lie.dcm", &recipe), "YBR_FULL"), LOOM_UNSUPPORTED);
}

static loom_status dies(void *argument, loom_error *err) {
    (void)err;
    raise(*(const int *)argument);
    return LOOM_OK;
}

static loom_status refuses(void *argument, loom_error *err) {
    (void)argument;
    return loom_fail(err, LOOM_UNSUPPORTED, "no");
}

static loom_status holds(void *argument, loom_error *err) {
    if (fcntl(*(const int *)argument, F_GETFD) < 0) return LOOM_OK;
    return loom_fail(err, LOOM_INTERNAL, "the child holds a descriptor of its parent");
}

static void a_reader_holds_nothing_of_its_parent(void **state) {
    (void)state;
    int pair[2];
    loom_error err = {0};
    assert_int_equal(pipe(pair), 0);
    assert_loom_ok(loom_isolated("a.dcm", holds, &pair[1], 9, &err), &err);
    assert_int_equal(fcntl(pair[1], F_GETFD), 0);
    close(pair[0]);
    close(pair[1]);
}

static void a_dead_reader_is_not_always_a_damaged_file(void **state) {
    (void)state;
    static const struct {
        int by;
        loom_status status;
        const char *fragment;
    } deaths[] = {{SIGABRT, LOOM_BAD_INPUT, "damaged"},
                  {SIGSEGV, LOOM_BAD_INPUT, "damaged"},
                  {SIGKILL, LOOM_NO_MEMORY, "memory"},
                  {SIGXCPU, LOOM_TOO_LARGE, "more than 9 s"},
                  {SIGTERM, LOOM_IO, "run again"}};
    loom_error err;
    for (size_t i = 0; i < sizeof deaths / sizeof deaths[0]; i++) {
        int by = deaths[i].by;
        loom_error_clear(&err);
        assert_int_equal(loom_isolated("a.dcm", dies, &by, 9, &err), deaths[i].status);
        assert_non_null(strstr(err.message, deaths[i].fragment));
    }
    assert_int_equal(loom_isolated("a.dcm", refuses, NULL, 9, &err), LOOM_UNSUPPORTED);
    assert_string_equal(err.message, "no");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_dead_reader_is_not_always_a_damaged_file),
                                       cmocka_unit_test(a_reader_holds_nothing_of_its_parent),
                                       cmocka_unit_test(values_are_rescaled),
                                       cmocka_unit_test(geometry),
                                       cmocka_unit_test(a_folder_is_a_series),
                                       cmocka_unit_test(files_that_lie)};
    return cmocka_run_group_tests_name("io dicom", tests, scratch_setup, scratch_teardown);
}
