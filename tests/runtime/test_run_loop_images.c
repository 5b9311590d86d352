/* Long loops whose items are made from images: in windows they give, and store, what they do item by item; a node that
 * takes its domain from an item's image does; what two loops have in common is computed once; and what a run keeps does
 * not grow with the loop. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "volumes.h"

/* Every loop of more than 64 items is made in windows; none is. */
#define WINDOWS " --set memory.loop_items=0"
#define BY_NAME " --set memory.loop_items=1000000"

enum { NX = 6, NY = 5, NZ = 4, PART = 4096, LONG = (SANITIZED ? 1 : 2) * PART + 100, FILES = 70 };

static float ramp(int x, int y, int z) {
    return (float)(x + 10 * y + 100 * z);
}

/* Voxels of the ramp that are at least `level`; only those on the faces of the volume, if `faces`. */
static int above(double level, bool faces) {
    int count = 0;
    for (int z = 0; z < NZ; z++)
        for (int y = 0; y < NY; y++)
            for (int x = 0; x < NX; x++) {
                bool face = x == 0 || x == NX - 1 || y == 0 || y == NY - 1 || z == 0 || z == NZ - 1;
                count += (double)ramp(x, y, z) >= level && (face || !faces);
            }
    return count;
}

#define RAMP                                                                                                           \
    "import \"simpleitk\"\nimport \"vox1\"\n"                                                                          \
    "ramp = intensity(ReadImage(\"ramp.nii\"))\n"

static void make_ramp(scene *at) {
    volume_make(at, "ramp.nii", NX, NY, NZ, ramp);
}

/* Every kind of domain: the item's own image gives it to border and tt, a common image to an open operand. */
static const char *const levels_of_ramp =
    RAMP "masks = for i in range(0, 115) do ramp >=. (i * 3)\n"
         "print \"all\" fold + (for i in range(0, 115) do volume(ramp >=. (i * 3)))\n"
         "print \"faces\" fold + (for i in range(0, 115) do volume((ramp >=. (i * 3)) & border))\n"
         "print \"open\" fold + (for i in range(0, 115) do volume(tt & (ramp >=. (i * 3))))\n"
         "print \"common\" fold + (for i in range(0, 115) do volume((ramp >=. 5) & (constant(i) >=. 75)))\n"
         "print \"kept\" fold + (filter i in range(0, 115) do volume(ramp >=. (i * 3)) > 20)\n"
         "print \"of kept\" fold + (for m in (filter m in masks do volume(m) > 20) do volume(m & border))\n";

static void windows_store_what_single_items_do(void **state) {
    scene *at = *state;
    int all = 0, faces = 0, kept = 0, of_kept = 0, kept_count = 0;
    make_ramp(at);
    for (int i = 0; i < 115; i++) {
        all += above(3 * i, false);
        faces += above(3 * i, true);
        kept += above(3 * i, false) > 20 ? i : 0;
        kept_count += above(3 * i, false) > 20;
        of_kept += above(3 * i, false) > 20 ? above(3 * i, true) : 0;
    }
    const char *expected = scene_text(at, "all=%d.0\nfaces=%d.0\nopen=%d.0\ncommon=%d.0\nkept=%d\nof kept=%d.0\n", all,
                                      faces, all, 40 * above(5, false), kept, of_kept);
    scene_settle(); /* else the file would be read again to know its hash */
    outcome windows = run_text(at, levels_of_ramp, "--store one --workers 2" WINDOWS);
    assert_prints(&windows, expected);
    outcome found = run_text(at, levels_of_ramp, "--store one" BY_NAME);
    assert_prints(&found, expected);
    assert_int_equal(computed_by(&found), 0);

    outcome by_name = run_text(at, levels_of_ramp, "--store two --workers 2" BY_NAME);
    assert_prints(&by_name, expected);
    found = run_text(at, levels_of_ramp, "--store two --workers 2" WINDOWS);
    assert_prints(&found, expected);
    /* By name, the domain of what a filter keeps is known to be the ramp's, and neither conditions nor what a loop goes
     * over are gathered. */
    assert_int_equal(computed_by(&found), kept_count + 3);
}

/* Loops of one run share what they have in common, as they would by name; so do equal items of one loop. */
static void nothing_is_computed_twice(void **state) {
    scene *at = *state;
    const char *text = RAMP "print \"all\" fold + (for i in range(0, 200) do volume(ramp >=. i))\n"
                            "print \"near\" fold max (for i in range(0, 200) do volume(near(ramp >=. i)))\n"
                            "print \"far\" fold max (for i in range(0, 200) do volume(not(near(ramp >=. i))))\n";
    make_ramp(at);
    scene_settle();
    outcome windows = run_text(at, text, "--store one --workers 2" WINDOWS);
    outcome by_name = run_text(at, text, "--store two --workers 2" BY_NAME);
    assert_prints(&windows, by_name.out);
    /* file, its intensity, range; a threshold, two masks and three volumes an item; three lists and folds */
    assert_int_equal(computed_by(&windows), 3 + 200 * 6 + 6);
    assert_int_equal(computed_by(&by_name), computed_by(&windows));
    assert_int_equal(results_in(at, "one"), results_in(at, "two"));
}

static int file_number;

static float ramp_of_file(int x, int y, int z) {
    return ramp(x, y, z) + (float)file_number;
}

/* Items are read from files of their own, of different sizes; no two are alike. */
static int make_files(scene *at) {
    int faces = 0;
    for (int i = 0; i < FILES; i++) {
        int nx = 3 + i % 4, ny = 4 + i % 3, nz = 5;
        file_number = i;
        volume_make(at, scene_text(at, "case_%d.nii", i), nx, ny, nz, ramp_of_file);
        faces += nx * ny * nz - (nx - 2) * (ny - 2) * (nz - 2);
    }
    scene_settle();
    return faces;
}

static const char *const faces_of_files = "import \"simpleitk\"\nimport \"vox1\"\nimport \"strings\"\n"
                                          "cases = for i in range(0, 70) do "
                                          "intensity(ReadImage(format_string(\"case_{}.nii\", i)))\n"
                                          "print \"faces\" fold + (for c in cases do volume((c >=. 0) & border))\n";

static void every_file_has_its_domain(void **state) {
    scene *at = *state;
    const char *expected = scene_text(at, "faces=%d.0\n", make_files(at));
    outcome windows = run_text(at, faces_of_files, "--workers 2" WINDOWS);
    assert_prints(&windows, expected);
    outcome by_name = run_text(at, faces_of_files, &BY_NAME[1]);
    assert_prints(&by_name, expected);
    assert_int_equal(computed_by(&by_name), 0);
}

/* One file of many cannot be read: the others are computed and stored; the next run does the rest. */
static void one_bad_file_is_named(void **state) {
    scene *at = *state;
    int faces = make_files(at);
    size_t length;
    const char *good = scene_read(at, "case_33.nii", &length);
    assert_non_null(good);
    scene_write(at, "case_33.nii", "not an image");
    outcome bad = run_text(at, faces_of_files, "--workers 2" WINDOWS);
    assert_int_equal(bad.status, 1);
    assert_contains(bad.err, "case_33.nii");
    assert_contains(bad.err, "(item 33, 33, of the loop at ");
    scene_write_bytes(at, "case_33.nii", good, length);
    scene_settle();
    outcome mended = run_text(at, faces_of_files, "--workers 2" WINDOWS);
    assert_prints(&mended, scene_text(at, "faces=%d.0\n", faces));
    /* One case: image, intensity, domain, threshold, both, volume; the border is that of a like domain; list, fold. */
    assert_int_equal(computed_by(&mended), 6 + 2);
}

/* A sequence of images is a value like any other: picked from, saved, gone through again. */
static void a_sequence_of_images(void **state) {
    scene *at = *state;
    make_ramp(at);
    const char *text = RAMP "masks = for i in range(0, 300) do ramp >=. i\n"
                            "print \"first\" volume(index(masks, 0))\n"
                            "print \"sum\" volume(index(subsequence(masks, 7, 9), 1))\n"
                            "save \"last.nii\" index(masks, 299)\n"
                            "print \"both\" fold + (for m in masks do volume(m))\n";
    int both = 0;
    for (int i = 0; i < 300; i++)
        both += above(i, false);
    const char *expected = scene_text(at, "first=%d.0\nsum=%d.0\nboth=%d.0\n", above(0, false), above(8, false), both);
    outcome windows = run_text(at, text, "--workers 2" WINDOWS);
    assert_prints(&windows, expected);
    volume last = volume_read(at, "last.nii");
    int set = 0;
    for (size_t i = 0; i < volume_count(&last); i++)
        set += ((const uint8_t *)last.voxels)[i] != 0;
    assert_int_equal(set, above(299, false));
    outcome in_memory = run_text(at, text, "--store :memory: --workers 2" WINDOWS);
    assert_prints(&in_memory, expected);
}

static const char *long_loop(scene *at) {
    make_ramp(at);
    return scene_text(at, RAMP "print \"sum\" fold + (for i in range(0, %d) do volume(ramp >=. i))", LONG);
}

static int sum_of_long_loop(void) {
    int sum = 0;
    for (int i = 0; i < LONG; i++)
        sum += above(i, false);
    return sum;
}

static void what_a_run_keeps_is_bounded(void **state) {
    scene *at = *state;
    const char *text = long_loop(at);
    outcome result = run_text(at, text, "--store :memory: --workers 2 --set memory.loop_items=1000");
    assert_prints(&result, scene_text(at, "sum=%d.0\n", sum_of_long_loop()));
    const int parts = LONG / PART + 1;
    assert_int_equal(number_of(&result, "nodes"), 3 + 2 * LONG + 2 * parts + 1); /* a list and a fold a part, a join */
    /* All windows may be open, with an element and two steps an item; never the plan's nodes. A sweep, of 256 items if
     * there are as many, is a step and two constants, kept to the end. */
    const uint64_t sweeps = 3 * (uint64_t)number_of(&result, "sweeps");
    assert_true(sweeps <= LONG / 16);
    assert_in_range((uint64_t)number_of(&result, "steps_peak"), PART, 3 * LONG + 100 + sweeps);
}

/* A worker is killed again and again in the middle of the items. */
static void kill_one(const process *running, void *context) {
    int *left = context;
    pid_t child;
    static unsigned ticks;
    if (++ticks % 60 != 0 || *left == 0 || children_of(running->pid, &child, 1) != 1) return;
    kill(child, SIGKILL);
    --*left;
}

static void workers_die_in_a_window(void **state) {
    scene *at = *state;
    int left = 3;
    make_ramp(at);
    scene_write(at, "loop.imgql", levels_of_ramp);
    outcome expected = run(at, "loop.imgql", "--store :memory: --workers 2" BY_NAME);
    assert_well(&expected);
    process running = start_run(at, "loop.imgql", "--workers 2" WINDOWS);
    outcome result = finish(at, &running, kill_one, &left);
    assert_prints(&result, expected.out);
    outcome again = run(at, "loop.imgql", &WINDOWS[1]);
    assert_prints(&again, expected.out);
    assert_int_equal(computed_by(&again), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(windows_store_what_single_items_do, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(nothing_is_computed_twice, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(every_file_has_its_domain, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(one_bad_file_is_named, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(a_sequence_of_images, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(what_a_run_keeps_is_bounded, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(workers_die_in_a_window, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
