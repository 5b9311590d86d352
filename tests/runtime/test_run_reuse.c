/* What is computed again and what is not. Every count is worked out by hand from the program: nodes that are operators,
 * those that the runtime adds for a loop's list of results included. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "volumes.h"

static float ramp(int x, int y, int z) {
    return (float)(x + y + z);
}
static float steeper(int x, int y, int z) {
    return (float)(2 * x + y + z);
}
/* As ramp, but its largest voxel is larger still: no threshold up to 8 sees the difference. */
static float peaked(int x, int y, int z) {
    return (float)(x + y + z) + (x + y + z == 9 ? 50 : 0);
}
static float flat(int x, int y, int z) {
    (void)x, (void)y, (void)z;
    return 3;
}

static void make_input(scene *at, float (*value)(int x, int y, int z)) {
    volume_make(at, "in.nii", 4, 4, 4, value);
}

/* 7 operators: ReadImage, intensity, geq_sv, volume, leq_sv, volume, avg. Three of them depend on the first threshold.
 */
static const char *threshold_program(scene *at, int threshold) {
    return scene_text(at,
                      "import \"simpleitk\"\n"
                      "a = intensity(ReadImage(\"in.nii\"))\n"
                      "big = geq_sv(%d, a)\n"
                      "print \"big\" volume(big)\n"
                      "print \"small\" volume(leq_sv(1, a))\n"
                      "print \"mean\" avg(a, big)\n",
                      threshold);
}

static void assert_computed(const outcome *result, uint64_t expected) {
    assert_well(result);
    if (computed_by(result) != expected)
        fail_msg("computed %llu, not %llu", (unsigned long long)computed_by(result), (unsigned long long)expected);
}

/* ---- the same again; one threshold ---- */

static void test_second_run(void **state) {
    scene *at = *state;
    make_input(at, ramp);
    outcome first = run_text(at, threshold_program(at, 3), "--workers 2");
    assert_prints(&first, "big=54.0\nsmall=4.0\nmean=5.055555555555555\n");
    assert_computed(&first, 7);
    assert_int_equal(number_of(&first, "nodes"), 7);
    for (int again = 0; again < 3; again++) { /* hashes the input; hashes it and remembers; knows it by its times */
        outcome second = run_text(at, threshold_program(at, 3), "--workers 2");
        assert_prints(&second, first.out);
        assert_computed(&second, 0);
        if (again == 0) scene_settle();
    }
    assert_int_equal(results_in(at, "store"), 7);
}

static void test_changed_threshold(void **state) {
    scene *at = *state;
    make_input(at, ramp);
    scene_age(at, "in.nii", 3600);
    outcome first = run_text(at, threshold_program(at, 3), "");
    assert_computed(&first, 7);
    outcome changed = run_text(at, threshold_program(at, 4), "");
    assert_prints(&changed, "big=44.0\nsmall=4.0\nmean=5.5227272727272725\n");
    assert_computed(&changed, 3); /* geq_sv, its volume, avg */
    outcome back = run_text(at, threshold_program(at, 3), "");
    assert_prints(&back, first.out);
    assert_computed(&back, 0);
    outcome moved = run_text(at, scene_text(at, "// a comment, and\n\n%s", threshold_program(at, 3)), "");
    assert_prints(&moved, first.out);
    assert_computed(&moved, 0);
}

/* ---- inputs ---- */

static void test_touched_input(void **state) {
    scene *at = *state;
    make_input(at, ramp);
    scene_age(at, "in.nii", 7200);
    outcome first = run_text(at, threshold_program(at, 3), "");
    assert_computed(&first, 7);
    scene_age(at, "in.nii", 3600);
    outcome touched = run_text(at, threshold_program(at, 3), "");
    assert_prints(&touched, first.out);
    assert_computed(&touched, 0);
    make_input(at, ramp); /* the same bytes written anew */
    outcome rewritten = run_text(at, threshold_program(at, 3), "");
    assert_prints(&rewritten, first.out);
    assert_computed(&rewritten, 0);
}

static void test_replaced_input(void **state) {
    scene *at = *state;
    struct stat before;
    make_input(at, ramp);
    scene_age(at, "in.nii", 7200);
    assert_int_equal(stat(scene_path(at, "in.nii"), &before), 0);
    outcome first = run_text(at, threshold_program(at, 3), "");
    assert_computed(&first, 7);

    make_input(at, steeper); /* same name, size and modification time, other voxels */
    struct timespec times[2] = {before.st_atim, before.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, scene_path(at, "in.nii"), times, 0), 0);
    outcome replaced = run_text(at, threshold_program(at, 3), "");
    assert_prints(&replaced, "big=57.0\nsmall=3.0\nmean=6.56140350877193\n");
    assert_computed(&replaced, 7);

    make_input(at, ramp);
    outcome restored = run_text(at, threshold_program(at, 3), "");
    assert_prints(&restored, first.out);
    assert_computed(&restored, 0);
}

/* The input changes where the mask does not look: what depends on the mask's volume alone is not computed again. */
static void test_early_cut_off(void **state) {
    static const char program[] = "import \"simpleitk\"\n"
                                  "n = volume(geq_sv(3, intensity(ReadImage(\"in.nii\"))))\n"
                                  "print \"square\" n * n\n"
                                  "print \"loop\" for k in [1, 2] do (n + k) * 2\n";
    scene *at = *state;
    make_input(at, ramp);
    outcome first = run_text(at, program, "");
    assert_prints(&first, "square=2916.0\nloop=[110.0, 112.0]\n");
    assert_computed(&first, 10); /* ReadImage intensity geq_sv volume; *; +, * twice; the list */
    make_input(at, peaked);
    outcome second = run_text(at, program, "");
    assert_prints(&second, first.out);
    assert_computed(&second, 4); /* ReadImage intensity geq_sv volume */
}

/* ---- a folder ---- */

#define FOLDER_PROGRAM(body)                                                                                           \
    "import \"simpleitk\"\n"                                                                                           \
    "print \"n\" for c in dir(\"cases\", \"*.nii\", false, true) do " body "\n"
static const char folder_program[] = FOLDER_PROGRAM("volume(geq_sv(3, ReadImage(c)))");

static void test_folder(void **state) {
    scene *at = *state;
    scene_mkdir(at, "cases");
    volume_make(at, "cases/one.nii", 4, 4, 4, ramp);
    volume_make(at, "cases/two.nii", 4, 4, 4, steeper);
    outcome first = run_text(at, folder_program, "");
    assert_prints(&first, "n=[54.0, 57.0]\n");
    assert_computed(&first, 8); /* dir, three for each file, the list of results */

    volume_make(at, "cases/a_new.nii", 5, 5, 5, flat); /* comes first in the list: others change their index */
    outcome added = run_text(at, folder_program, "");
    assert_prints(&added, "n=[125.0, 54.0, 57.0]\n");
    assert_computed(&added, 5); /* dir, three for the new file, the list of results */

    assert_int_equal(unlink(scene_path(at, "cases/one.nii")), 0);
    outcome removed = run_text(at, folder_program, "");
    assert_prints(&removed, "n=[125.0, 57.0]\n");
    assert_computed(&removed, 2); /* dir, the list of results */

    scene_write(at, "cases/notes.txt", "not a volume");
    outcome noise = run_text(at, folder_program, "");
    assert_prints(&noise, removed.out);
    assert_computed(&noise, 0); /* what the pattern leaves out does not count */

    outcome body = run_text(at, FOLDER_PROGRAM("volume(geq_sv(4, ReadImage(c)))"), "");
    assert_prints(&body, "n=[0.0, 51.0]\n");
    assert_computed(&body, 5); /* geq_sv and volume of each file, the list of results */

    outcome renamed = run_text(at, FOLDER_PROGRAM("volume(geq_sv(3, ReadImage(c)))"), "");
    assert_prints(&renamed, removed.out);
    assert_computed(&renamed, 0);
    outcome variable = run_text(
        at,
        "import \"simpleitk\"\n"
        "print \"n\" for file in dir(\"cases\", \"*.nii\", false, true) do volume(geq_sv(3, ReadImage(file)))\n",
        "");
    assert_prints(&variable, removed.out);
    assert_computed(&variable, 0); /* the name of the variable says nothing about the results */
}

/* ---- save ---- */

static const char save_program[] = "import \"simpleitk\"\n"
                                   "a = intensity(ReadImage(\"in.nii\"))\n"
                                   "save \"out/mask.nii.gz\" geq_sv(3, a)\n"
                                   "save \"out/volume.txt\" volume(geq_sv(3, a))\n";

typedef struct version {
    ino_t inode;
    struct timespec written;
} version;

static version version_of(scene *at, const char *name) {
    struct stat facts;
    if (stat(scene_path(at, name), &facts) != 0) fail_msg("%s was not written", name);
    return (version){facts.st_ino, facts.st_mtim};
}

static bool same_version(version a, version b) {
    return a.inode == b.inode && a.written.tv_sec == b.written.tv_sec && a.written.tv_nsec == b.written.tv_nsec;
}

static void test_save_again(void **state) {
    scene *at = *state;
    char first_hash[LOOM_ID_HEX_BYTES], hash[LOOM_ID_HEX_BYTES];
    make_input(at, ramp);
    outcome first = run_text(at, save_program, "");
    assert_computed(&first, 5); /* ReadImage intensity geq_sv volume, writing */
    volume mask = volume_read(at, "out/mask.nii.gz");
    volume_hash(&mask, first_hash);
    assert_string_equal(scene_read(at, "out/volume.txt", NULL), "54.0");

    version image = version_of(at, "out/mask.nii.gz"), text = version_of(at, "out/volume.txt");
    for (int again = 0; again < 2; again++) {
        outcome same = run_text(at, save_program, "");
        assert_computed(&same, 0);
        assert_true(same_version(version_of(at, "out/mask.nii.gz"), image));
        assert_true(same_version(version_of(at, "out/volume.txt"), text));
    }

    scene_remove(at, "out");
    outcome deleted = run_text(at, save_program, "");
    assert_computed(&deleted, 1); /* writing */
    mask = volume_read(at, "out/mask.nii.gz");
    volume_hash(&mask, hash);
    assert_string_equal(hash, first_hash);
    assert_string_equal(scene_read(at, "out/volume.txt", NULL), "54.0");

    scene_write(at, "out/mask.nii.gz", "edited by hand");
    scene_write(at, "out/volume.txt", "edited by hand");
    outcome edited = run_text(at, save_program, "");
    assert_computed(&edited, 1);
    mask = volume_read(at, "out/mask.nii.gz");
    volume_hash(&mask, hash);
    assert_string_equal(hash, first_hash);
    assert_string_equal(scene_read(at, "out/volume.txt", NULL), "54.0");
}

/* ---- damage ---- */

/* Flips bytes all over the extent files, wherever something is written. */
static size_t damage_extents(scene *at) {
    size_t damaged = 0;
    for (int number = 0; number < 64; number++) {
        const char *name = scene_text(at, "store/extents/%08x.ext", number);
        FILE *file = fopen(scene_path(at, name), "r+b");
        uint8_t page[4096];
        for (long offset = 0; file && fread(page, sizeof page, 1, file) == 1; offset += (long)sizeof page) {
            bool written = false;
            for (size_t i = 0; i < sizeof page && !written; i++)
                written = page[i] != 0;
            if (!written) continue;
            page[2048] ^= 0x5A;
            assert_int_equal(fseek(file, offset, SEEK_SET), 0);
            assert_int_equal(fwrite(page, sizeof page, 1, file), 1);
            assert_int_equal(fseek(file, offset + (long)sizeof page, SEEK_SET), 0);
            damaged++;
        }
        if (file) assert_int_equal(fclose(file), 0);
    }
    return damaged;
}

static const char *damage_program(scene *at, int threshold) {
    return scene_text(at,
                      "import \"simpleitk\"\nimport \"vox1\"\na = intensity(ReadImage(\"in.nii\"))\n"
                      "d = dt(a >=. 40)\nprint \"n\" volume(d <=. %d)\nprint \"max\" max(d +. %d)\n"
                      "save \"d.nii\" d\n",
                      threshold, threshold);
}

static void heal(scene *at, bool settled) {
    volume_make(at, "in.nii", 40, 40, 40, ramp);
    if (settled) scene_settle();
    outcome clean = run_text(at, damage_program(at, 2), "--store other");
    assert_well(&clean);
    volume distance = volume_read(at, "d.nii");
    char expected[LOOM_ID_HEX_BYTES], hash[LOOM_ID_HEX_BYTES];
    volume_hash(&distance, expected);

    outcome first = run_text(at, damage_program(at, 1), "");
    assert_well(&first);
    assert_true(damage_extents(at) > 10);
    assert_int_equal(unlink(scene_path(at, "d.nii")), 0);
    outcome healed = run_text(at, damage_program(at, 2), ""); /* needs the voxels of d, for two sums and for the file */
    assert_prints(&healed, clean.out);
    distance = volume_read(at, "d.nii");
    volume_hash(&distance, hash);
    assert_string_equal(hash, expected);
    assert_int_equal(number_of(&healed, "failed"), 0);

    outcome after = run_text(at, damage_program(at, 2), "");
    assert_prints(&after, clean.out);
    assert_computed(&after, 0);
}

/* The coordinator finds the damage ... */
static void test_damaged_extent(void **state) {
    heal(*state, true);
}

/* ... or a worker does, because the input is so new that it must be hashed before anything can be looked up. */
static void test_damaged_extent_of_new_input(void **state) {
    heal(*state, false);
}

/* A stored sequence whose images are damaged is made again too. */
static void test_damaged_items(void **state) {
    static const char gathered[] = "import \"simpleitk\"\n"
                                   "a = intensity(ReadImage(\"in.nii\"))\n"
                                   "masks = for t in [30, 60, 90] do geq_sv(t, a)\n"
                                   "print \"max\" max(fold + masks)\n";
    scene *at = *state;
    volume_make(at, "in.nii", 40, 40, 40, ramp);
    scene_settle(); /* so that keys are known without reading it */
    outcome first = run_text(at, gathered, "");
    assert_prints(&first, "max=3.0\n");
    assert_true(damage_extents(at) > 10);
    outcome healed = run_text(
        at, scene_text(at, "%sprint \"min\" min(fold + masks)\nprint \"product\" max(fold * masks)\n", gathered), "");
    assert_prints(&healed, "max=3.0\nmin=0.0\nproduct=1.0\n");
}

static void test_truncated_extent(void **state) {
    scene *at = *state;
    volume_make(at, "in.nii", 40, 40, 40, ramp);
    outcome first = run_text(at, damage_program(at, 1), "--workers 1");
    assert_well(&first);
    for (int number = 0; number < 64; number++) {
        const char *path = scene_path(at, scene_text(at, "store/extents/%08x.ext", number));
        if (access(path, F_OK) == 0) assert_int_equal(truncate(path, 4096), 0);
    }
    outcome clean = run_text(at, damage_program(at, 2), "--store other");
    outcome healed = run_text(at, damage_program(at, 2), "--workers 1");
    assert_prints(&healed, clean.out);
}

/* ---- one store, several users ---- */

static void test_runs_at_once(void **state) {
    static const char program[] = "import \"simpleitk\"\na = ReadImage(\"in.nii\")\n"
                                  "print \"images\" for t in range(20) do volume(dt(geq_sv(t, a)))\n"
                                  "print \"scalars\" for i in range(30) do for j in range(10) do (i + j) * 2\n";
    scene *at = *state;
    process running[3];
    outcome results[3];
    volume_make(at, "in.nii", 40, 40, 40, ramp);
    outcome alone = run_text(at, program, "--store :memory:");
    assert_well(&alone);
    for (int i = 0; i < 3; i++)
        running[i] = start_run(at, "program.imgql", "--workers 2");
    for (int i = 0; i < 3; i++)
        results[i] = finish(at, &running[i], NULL, NULL);
    for (int i = 0; i < 3; i++)
        assert_prints(&results[i], alone.out);
    outcome after = run_text(at, program, "");
    assert_prints(&after, alone.out);
    assert_computed(&after, 0);
    assert_int_equal(number_of(&after, "irreproducible"), 0);
}

static void test_moved_store(void **state) {
    scene *at = *state;
    make_input(at, ramp);
    outcome first = run_text(at, threshold_program(at, 3), "");
    assert_computed(&first, 7);
    assert_int_equal(rename(scene_path(at, "store"), scene_path(at, "moved")), 0);
    outcome moved = run_text(at, threshold_program(at, 3), "--store moved");
    assert_prints(&moved, first.out);
    assert_computed(&moved, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_second_run, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_changed_threshold, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_touched_input, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_replaced_input, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_early_cut_off, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_folder, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_save_again, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_damaged_extent, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_damaged_extent_of_new_input, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_damaged_items, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_truncated_extent, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_runs_at_once, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_moved_store, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
