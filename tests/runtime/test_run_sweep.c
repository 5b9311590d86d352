/* Sweeps: volumes of comparisons of one image with numbers are counted in one pass. What is printed and stored is what
 * the nodes give one by one; each item has a row of its own, fails alone, and survives the deaths of workers. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "volumes.h"

enum { SIDE = 40, LARGE_SIDE = 100 };

static const char *const fused = "--set store.persist=auto";
static const char *const unfused = "--set store.persist=auto --no-fuse --store other";

static float waves(int x, int y, int z) {
    int place = (x * 7 + y * 13 + z * 29) % 211;
    if (place == 17) return NAN;
    if (place == 18) return INFINITY;
    if (place == 19) return -0.0f;
    return (float)place * 0.5f - 20.0f;
}

static void make_integers(scene *at, const char *name, int datatype) {
    static int16_t voxels[SIDE * SIDE * SIDE];
    volume v = {.nx = SIDE, .ny = SIDE, .nz = SIDE, .datatype = datatype, .voxels = voxels};
    for (int k = 0; k < SIDE * SIDE * SIDE; k++) {
        if (datatype == NIFTI_U8)
            ((uint8_t *)voxels)[k] = (uint8_t)(k * 31 % 256);
        else
            voxels[k] = (int16_t)(k * 37 % 4000 - 1000);
    }
    volume_write(at, name, &v);
}

/* Every comparison, on floats, and on integers of two sizes; numbers that are elements and numbers that are computed.
 */
static const char program[] =
    "import \"simpleitk\"\n"
    "import \"vox1\"\n"
    "a = ReadImage(\"a.nii\")\n"
    "b = ReadImage(\"b.nii\")\n"
    "c = ReadImage(\"c.nii\")\n"
    "th = range(0, 50)\n"
    "print \"geq\" for t in th do volume(a >=. t)\n"
    "print \"leq\" for t in th do volume(leq_sv((t - 10) / 3, a))\n"
    "print \"eq\" for t in th do volume(eq_sv(t / 2, a))\n"
    "print \"not\" for t in th do volume(not(geq_sv(t, a)))\n"
    "print \"between\" for t in th do volume(between(t / 4, 30, a))\n"
    "print \"i16\" for t in th do volume(b >=. (t * 80 - 1000))\n"
    "print \"u8\" for t in range(300) do volume(c <=. t)\n"
    "print \"alone\" volume(c >=. 200)\n"
    "print \"best\" fold max for t in th do volume(geq_sv(t, b)) / (t + 1)\n"
    "print \"nested\" for s in range(3) do fold + for t in range(20) do volume(a >=. (s + t))\n";

static void make_inputs(scene *at) {
    volume_make(at, "a.nii", SIDE, SIDE, SIDE, waves);
    make_integers(at, "b.nii", NIFTI_I16);
    make_integers(at, "c.nii", NIFTI_U8);
    scene_age(at, "a.nii", 60); /* old enough for their content to be known by their times */
    scene_age(at, "b.nii", 60);
    scene_age(at, "c.nii", 60);
}

/* Counted here. */
static void assert_counted_right(const outcome *result) {
    const char *list = strstr(result->out, "geq=[");
    assert_non_null(list);
    list += strlen("geq=[");
    for (int t = 0; t < 50; t++) {
        double count = 0;
        for (int z = 0; z < SIDE; z++)
            for (int y = 0; y < SIDE; y++)
                for (int x = 0; x < SIDE; x++)
                    count += (isfinite(waves(x, y, z)) ? waves(x, y, z) : 0) >= (float)t; /* as NIfTI is read */
        char *end;
        double told = strtod(list, &end);
        if (told != count) fail_msg("%d: %g voxels, not %g", t, told, count);
        list = end + strlen(", ");
    }
}

static void test_same_as_one_by_one(void **state) {
    scene *at = *state;
    make_inputs(at);
    outcome expected = run_text(at, program, scene_text(at, "%s --workers 2", unfused));
    assert_well(&expected);
    assert_counted_right(&expected);
    assert_int_equal(number_of(&expected, "swept"), 0);
    for (int workers = 1; workers <= 4; workers *= 2) {
        scene_remove(at, "store");
        outcome result = run_text(at, program, scene_text(at, "%s --workers %d", fused, workers));
        assert_prints(&result, expected.out);
        assert_true(number_of(&result, "swept") >= 600); /* 7 loops of 50 and more, and one of 300 */
        assert_in_range(number_of(&result, "sweeps"), 3, 40);
        assert_true(number_of(&result, "computed") >= number_of(&result, "swept"));
        outcome again = run_text(at, program, scene_text(at, "%s --workers %d", fused, workers));
        assert_prints(&again, expected.out);
        assert_int_equal(computed_by(&again), 0);
    }
    outcome memory = run_text(at, program, "--store :memory: --workers 2");
    assert_prints(&memory, expected.out);
    assert_true(number_of(&memory, "swept") >= 600);
    /* rows are what each gives alone */
    outcome audited = voxloom(at, "audit --store store --sample 2000 --no-fuse");
    assert_well(&audited);
    outcome again = voxloom(at, "audit --store other --sample 2000");
    assert_well(&again);
}

/* ---- stored one by one ---- */

static const char *thresholds(scene *at, int count) {
    return scene_text(at,
                      "import \"simpleitk\"\nimport \"vox1\"\na = ReadImage(\"a.nii\")\n"
                      "print \"v\" for t in range(%d) do volume(geq_sv(t, a))\n",
                      count);
}

static void test_ten_more(void **state) {
    scene *at = *state;
    make_inputs(at);
    outcome first = run_text(at, thresholds(at, 50), fused);
    assert_well(&first);
    assert_int_equal(number_of(&first, "swept"), 50);
    assert_int_equal(number_of(&first, "sweeps"), 1);
    outcome more = run_text(at, thresholds(at, 60), fused);
    assert_well(&more);
    assert_int_equal(number_of(&more, "swept"), 10);
    outcome expected = run_text(at, thresholds(at, 60), unfused);
    assert_prints(&more, expected.out);
    outcome fewer = run_text(at, thresholds(at, 23), fused);
    assert_int_equal(number_of(&fewer, "swept"), 0);
}

/* ---- an item that fails ---- */

static const char *intervals(scene *at, int count) {
    return scene_text(at,
                      "import \"simpleitk\"\nimport \"vox1\"\na = ReadImage(\"a.nii\")\n"
                      "print \"v\" for t in range(%d) do volume(between(t, 40, a))\n",
                      count);
}

static void test_one_of_fifty_fails(void **state) {
    scene *at = *state;
    make_inputs(at);
    for (int workers = 1; workers <= 2; workers++) {
        scene_remove(at, "store");
        const char *options = scene_text(at, "%s --workers %d", fused, workers);
        outcome result = run_text(at, intervals(at, 42), options); /* 41 is above 40 */
        assert_int_equal(result.status, 1);
        assert_contains(result.err, "lower bound 41 above its upper bound 40");
        assert_int_equal(number_of(&result, "failed") > 0, 1);
        outcome others = run_text(at, intervals(at, 41), options);
        assert_well(&others);
        assert_int_equal(number_of(&others, "swept"), 0); /* they were stored */
        outcome expected = run_text(at, intervals(at, 41), "--store :memory: --no-fuse");
        assert_prints(&others, expected.out);
    }
}

/* ---- deaths ---- */

static void kill_one(const process *running, void *context) {
    pid_t children[8];
    int *left = context;
    size_t count = children_of(running->pid, children, 8);
    if (count == 0 || *left == 0) return;
    kill(children[(size_t)*left % count], SIGKILL);
    (*left)--;
}

static void test_workers_die(void **state) {
    scene *at = *state;
    volume_make(at, "a.nii", LARGE_SIDE, LARGE_SIDE, LARGE_SIDE, waves);
    outcome expected = run_text(at, thresholds(at, 60), unfused);
    assert_well(&expected);
    for (int round = 0; round < 3; round++) {
        scene_remove(at, "store");
        int left = round + 1;
        process running =
            start_run(at, "program.imgql", "--workers 2 --set store.persist=auto --set workers.deaths_max=20");
        outcome result = finish(at, &running, kill_one, &left);
        assert_prints(&result, expected.out);
    }
    outcome audited = voxloom(at, "audit --store store --sample 300 --no-fuse");
    assert_well(&audited);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_as_one_by_one, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_ten_more, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_one_of_fifty_fails, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_workers_die, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
