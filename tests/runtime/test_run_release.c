/* What a run lets go of: slots of the segment, memory and disk space of intermediate results; and that whatever asks
 * for one later still gets it. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "volumes.h"

/* 4 MiB an image; a chain of so many. */
enum { NX = 128, NY = 128, NZ = 64, LENGTH = 60, IMAGE_MIB = 4 };

static float ramp(int x, int y, int z) {
    return (float)((x * 5 + y * 3 + z * 11) % 101);
}

/* x0 is the ramp, and each of the others one more than the one before. */
static char *chain(scene *at, const char *goals) {
    size_t capacity = (size_t)LENGTH * 40 + strlen(goals) + 200, used;
    char *text = malloc(capacity);
    assert_non_null(text);
    used = (size_t)snprintf(text, capacity,
                            "import \"simpleitk\"\nimport \"vox1\"\nx0 = intensity(ReadImage(\"in.nii\"))\n");
    for (int i = 1; i <= LENGTH; i++)
        used += (size_t)snprintf(text + used, capacity - used, "x%d = add_vs(x%d, 1)\n", i, i - 1);
    snprintf(text + used, capacity - used, "%s", goals);
    char *kept = scene_text(at, "%s", text);
    free(text);
    return kept;
}

/* ---- memory ---- */

/* MiB that a process's files in memory take. */
static uint64_t memory_files_mib(pid_t pid) {
    char path[64], name[300], target[300];
    uint64_t blocks = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    for (const struct dirent *entry; folder && (entry = readdir(folder)) != NULL;) {
        struct stat file;
        snprintf(name, sizeof name, "%.40s/%.20s", path, entry->d_name);
        ssize_t length = readlink(name, target, sizeof target - 1);
        if (length <= 0 || stat(name, &file) != 0) continue;
        target[length] = '\0';
        if (strstr(target, "memfd:")) blocks += (uint64_t)file.st_blocks;
    }
    if (folder) closedir(folder);
    return blocks * 512 >> 20;
}

static void look(const process *running, void *context) {
    uint64_t now = memory_files_mib(running->pid), *most = context;
    if (now > *most) *most = now;
}

/* A chain of 240 MiB of images takes a step of preallocated memory for each worker, and what is in use. */
static void test_memory_comes_back(void **state) {
    scene *at = *state;
    volume_make(at, "in.nii", NX, NY, NZ, ramp);
    scene_write(at, "chain.imgql", chain(at, scene_text(at, "print \"most\" max(x%d)\n", LENGTH)));
    static const char *const workers[] = {"1", "2"};
    for (size_t i = 0; i < 2; i++) {
        uint64_t most = 0;
        process running =
            start_run(at, "chain.imgql", scene_text(at, "--store :memory: --no-fuse --workers %s", workers[i]));
        outcome result = finish(at, &running, look, &most);
        assert_well(&result);
        assert_string_equal(result.out, scene_text(at, "most=%d.0\n", 100 + LENGTH));
        assert_true(number_of(&result, "bytes_written") >= (double)(LENGTH * IMAGE_MIB) * (1 << 20));
        if (most > 130) fail_msg("%llu MiB of memory for a chain of images", (unsigned long long)most);
    }
}

/* ---- the store ---- */

static uint64_t allocated_mib(scene *at, const char *folder_name) {
    uint64_t blocks = 0;
    const char *path = scene_path(at, folder_name);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct stat file;
        if (stat(scene_text(at, "%s/%s", path, entry->d_name), &file) == 0 && S_ISREG(file.st_mode))
            blocks += (uint64_t)file.st_blocks;
    }
    closedir(folder);
    return blocks * 512 >> 20;
}

/* Only goals are stored, and the space of the others serves over and over; a run that repeats computes nothing, another
 * one what it needs. */
static void test_only_goals_are_stored(void **state) {
    scene *at = *state;
    volume_make(at, "in.nii", NX, NY, NZ, ramp);
    scene_settle();
    char *text = chain(at, scene_text(at, "print \"most\" max(x%d)\nsave \"out.nii\" x%d\n", LENGTH, LENGTH - 1));
    const char *goals = "--workers 2 --set store.persist=\"goals\"";
    outcome cold = run_text(at, text, goals);
    assert_well(&cold);
    assert_string_equal(cold.out, scene_text(at, "most=%d.0\n", 100 + LENGTH));
    uint64_t computed = computed_by(&cold);
    assert_in_range(computed, LENGTH + 2, LENGTH + 8);
    /* the saved image, the printed number, what was written, the read file's small companions: no image else */
    assert_in_range(results_in(at, "store"), 3, 8);
    assert_in_range(allocated_mib(at, "store/extents"), IMAGE_MIB, 10 * IMAGE_MIB);

    outcome warm = run_text(at, text, goals);
    assert_prints(&warm, cold.out);
    assert_int_equal(computed_by(&warm), 0);

    outcome other = run_text(at, chain(at, "print \"ten\" max(x10)\n"), goals);
    assert_prints(&other, "ten=110.0\n");
    assert_in_range(computed_by(&other), 11, 14);

    outcome automatic = run_text(at, text, "--workers 2 --set store.persist=\"auto\" --store other");
    assert_prints(&automatic, cold.out);
    assert_true(results_in(at, "other") <= computed);
}

/* An overloaded operator gives an image where it is given one, so the keys behind it are known without computing it. */
static void test_goals_behind_overloaded_operators(void **state) {
    scene *at = *state;
    volume_make(at, "in.nii", 8, 8, 8, ramp);
    scene_settle();
    const char *text = "import \"simpleitk\"\nimport \"vox1\"\na = intensity(ReadImage(\"in.nii\"))\n"
                       "far = not(geq_sv(110, a + 1))\nprint \"n\" volume(far)\nsave \"far.nii\" not(far)\n";
    const char *goals = "--workers 2 --set store.persist=\"goals\"";
    outcome cold = run_text(at, text, goals);
    assert_well(&cold);
    outcome warm = run_text(at, text, goals);
    assert_prints(&warm, cold.out);
    assert_int_equal(computed_by(&warm), 0);
}

/* ---- later demand ---- */

/* Loops that expand when a value is known use images that nobody seemed to need any more; sequences of images, in turn,
 * are gone through twice. */
static const char *const later =
    "import \"simpleitk\"\nimport \"vox1\"\na = intensity(ReadImage(\"in.nii\"))\nb = add_vs(a, 1)\nc = mul_vs(b, 2)\n"
    "print \"max\" max(c)\n"
    "kept = filter t in range(6) do volume(geq_sv(t * 20, b)) > 500000\n"
    "print \"kept\" kept\n"
    "print \"sums\" for t in kept do max(sub_vs(c, t))\n"
    "masks = for t in kept do geq_sv(t * 20, b)\n"
    "print \"volumes\" for m in filter m in masks do volume(m) > 600000 do volume(m)\n"
    "print \"again\" for m in masks do volume(not(m))\n"
    "both = [masks, [b]]\nprint \"nested\" volume(geq_sv(3, both[1][0]))\n";

static void test_what_went_is_found_or_made_again(void **state) {
    scene *at = *state;
    static const char *const how[] = {"--set store.persist=\"all\" --store s0",
                                      "--set store.persist=\"goals\" --store s1",
                                      "--set store.persist=\"auto\" --store s2", "--store :memory:"};
    volume_make(at, "in.nii", NX, NY, NZ, ramp);
    const char *expected = NULL;
    for (int workers = 1; workers <= 4; workers *= 2)
        for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
            if (i < 3) scene_remove(at, scene_text(at, "s%zu", i));
            outcome result = run_text(at, later, scene_text(at, "--workers %d %s", workers, how[i]));
            assert_well(&result);
            if (!expected) expected = result.out;
            assert_string_equal(result.out, expected);
        }
    outcome warm = run_text(at, later, "--workers 2 --set store.persist=\"goals\" --store s1");
    assert_prints(&warm, expected);
    assert_contains(expected, "max=202.0\n");
    assert_contains(expected, "kept=[0, 1");
}

/* The items of a list are images that are known only when a loop expands: the list refers to what they became. */
static const char picked[] = "import \"simpleitk\"\nimport \"vox1\"\n"
                             "a = intensity(ReadImage(\"in.nii\"))\n"
                             "none = volume(geq_sv(1000, a))\n"
                             "images = for i in range(0, 2 + none) do geq_sv(50 * (i + 1), a)\n"
                             "print \"v\" for x in load([index(images, 0), index(images, 1)]) do volume(x)\n";

static void test_picked_items_of_a_list(void **state) {
    scene *at = *state;
    static const char *const how[] = {"--store :memory:", "--store s1 --set store.persist=\"goals\"",
                                      "--store s2 --set store.persist=\"all\""};
    volume_make(at, "in.nii", 8, 8, 8, ramp);
    const char *expected = NULL;
    for (size_t i = 0; i < sizeof how / sizeof *how; i++)
        for (int again = 0; again < 2; again++) {
            outcome result = run_text(at, picked, scene_text(at, "--workers 2 %s", how[i]));
            assert_well(&result);
            if (!expected) expected = result.out;
            assert_string_equal(result.out, expected);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_memory_comes_back, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_only_goals_are_stored, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_goals_behind_overloaded_operators, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_what_went_is_found_or_made_again, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_picked_items_of_a_list, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
