/* Images of several files: all that are read are inputs, all that are written are what a goal wants to be there. Counts
 * are worked out by hand: ReadImage, intensity, max, and save if there is one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static const char program[] = "import \"simpleitk\"\nimport \"vox1\"\n"
                              "a = intensity(ReadImage(\"in.mhd\"))\nprint \"max\" max(a)\nsave \"out.mhd\" a\n";

/* Two slices of 2 x 2, a file each. */
static void write_header(scene *at, const char *first, const char *second) {
    scene_write(at, "in.mhd",
                scene_text(at,
                           "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\n"
                           "ElementDataFile = LIST\n%s\n%s\n",
                           first, second));
    scene_age(at, "in.mhd", 3600);
}

static void write_slice(scene *at, const char *name, const unsigned char voxels[4]) {
    scene_write_bytes(at, name, voxels, 4);
    scene_age(at, name, 3600);
}

static void write_image(scene *at) {
    write_slice(at, "low.raw", (const unsigned char[4]){1, 2, 3, 4});
    write_slice(at, "high.raw", (const unsigned char[4]){5, 6, 7, 8});
    write_header(at, "low.raw", "high.raw");
}

/* What is computed now, and whether these voxels are in the file that was saved. */
static void check_run(scene *at, uint64_t computed, const float voxels[8]) {
    float largest = 0;
    for (int i = 0; i < 8; i++)
        largest = voxels[i] > largest ? voxels[i] : largest;
    outcome result = run_text(at, program, "--workers 2");
    assert_prints(&result, scene_text(at, "max=%.1f\n", (double)largest));
    assert_well(&result);
    assert_int_equal(computed_by(&result), computed);
    size_t length = 0;
    char *bytes = scene_read(at, "out.mhd.raw", &length);
    assert_int_equal(length, 8 * sizeof voxels[0]);
    assert_memory_equal(bytes, voxels, length);
}

static void each_file_is_an_input(void **state) {
    scene *at = *state;
    write_image(at);
    check_run(at, 4, (const float[8]){1, 2, 3, 4, 5, 6, 7, 8});
    check_run(at, 0, (const float[8]){1, 2, 3, 4, 5, 6, 7, 8});
    write_slice(at, "high.raw", (const unsigned char[4]){5, 6, 7, 9});
    check_run(at, 4, (const float[8]){1, 2, 3, 4, 5, 6, 7, 9});
    write_slice(at, "low.raw", (const unsigned char[4]){0, 2, 3, 4});
    check_run(at, 4, (const float[8]){0, 2, 3, 4, 5, 6, 7, 9});
    write_header(at, "high.raw", "low.raw");
    check_run(at, 4, (const float[8]){5, 6, 7, 9, 0, 2, 3, 4});
    /* As it was at first: only the file that was saved is not. */
    write_image(at);
    check_run(at, 1, (const float[8]){1, 2, 3, 4, 5, 6, 7, 8});
    scene_remove(at, "low.raw");
    outcome missing = run_text(at, program, "");
    assert_int_not_equal(missing.status, 0);
    assert_contains(missing.err, "low.raw: no such file");
}

static void each_file_is_saved(void **state) {
    scene *at = *state;
    const float voxels[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    write_image(at);
    check_run(at, 4, voxels);
    scene_write_bytes(at, "out.mhd.raw", "nothing of what had been written", 32); /* as long as it was */
    check_run(at, 1, voxels);
    check_run(at, 0, voxels);
    scene_remove(at, "out.mhd.raw");
    check_run(at, 1, voxels);
    char *header = scene_read(at, "out.mhd", NULL);
    char *spacing = strstr(header, "ElementSpacing = 1");
    assert_non_null(spacing);
    spacing[strlen("ElementSpacing = ")] = '2';
    scene_write(at, "out.mhd", header);
    check_run(at, 1, voxels);
    assert_null(strstr(scene_read(at, "out.mhd", NULL), "ElementSpacing = 2"));
    scene_remove(at, "out.mhd");
    check_run(at, 1, voxels);
    check_run(at, 0, voxels);
}

static void check_folder(scene *at, uint64_t computed, const char *prints) {
    outcome result =
        run_text(at, "import \"simpleitk\"\nimport \"vox1\"\nprint \"max\" max(intensity(ReadImage(\"in\")))\n", "");
    assert_prints(&result, prints);
    assert_well(&result);
    assert_int_equal(computed_by(&result), computed);
}

static void a_folder_of_slices(void **state) {
    scene *at = *state;
    /* Its largest pixel is 4095, less 1024. */
    const char *slice = scene_text(at, "%s/tests/fuzz/corpus/dicom/ct", getenv("VOXLOOM_SOURCE"));
    scene_mkdir(at, "in");
    scene_copy(at, slice, "in/a");
    scene_age(at, "in/a", 3600);
    check_folder(at, 3, "max=3071.0\n");
    check_folder(at, 0, "max=3071.0\n");
    scene_write(at, "in/notes", "about the slice\n");
    check_folder(at, 0, "max=3071.0\n");
    scene_copy(at, slice, "in/b");
    outcome twice = run(at, "program.imgql", "");
    assert_int_not_equal(twice.status, 0);
    assert_contains(twice.err, "not evenly spaced");
    scene_remove(at, "in/b");
    check_folder(at, 0, "max=3071.0\n");
    size_t length = 0;
    char *bytes = scene_read(at, "in/a", &length);
    assert_memory_equal(bytes + length - 4, "\xff\x0f\7\0", 4);
    bytes[length - 4] = (char)0xfe;
    scene_write_bytes(at, "in/a", bytes, length);
    check_folder(at, 3, "max=3070.0\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_file_is_an_input, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(each_file_is_saved, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(a_folder_of_slices, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests_name("run files", tests, NULL, NULL);
}
