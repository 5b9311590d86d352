/* Faults of the coordinator that a review found, run for real: items that are not stored yet, two goals with one path,
 * workers that die before their first task. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness.h"
#include "volumes.h"

static float ramp(int x, int y, int z) {
    return (float)(x + y + z);
}

/* The items of a sequence that a kernel has just returned may still be on their way to the store. */
static void items_computed_a_moment_ago(void **state) {
    scene *at = *state;
    volume_make(at, "in.nii", 4, 4, 4, ramp);
    outcome result = run_text(at,
                              "import \"simpleitk\"\n"
                              "img = intensity(ReadImage(\"in.nii\"))\n"
                              "print \"v\" for i in load([geq_sv(1, img), geq_sv(9, img)]) do volume(i)",
                              "");
    assert_prints(&result, "v=[63.0, 1.0]\n");
}

static const char *two_saves(scene *at, int first, int second) {
    return scene_text(at,
                      "import \"simpleitk\"\n"
                      "img = intensity(ReadImage(\"in.nii\"))\n"
                      "save \"out.nii\" geq_sv(%d, img)\n"
                      "save \"out.nii\" geq_sv(%d, img)",
                      first, second);
}

/* Whatever is stored and whatever the file holds, the later goal has the last word. */
static void the_later_of_two_saves_wins(void **state) {
    scene *at = *state;
    volume_make(at, "in.nii", 4, 4, 4, ramp);
    size_t length, again;
    for (int round = 0; round < 6; round++) {
        int last = round % 2 ? 2 : 8;
        outcome result = run_text(at, two_saves(at, 10 - last, last), "--workers 2");
        assert_well(&result);
        char *both = scene_read(at, "out.nii", &length);
        assert_non_null(both);
        outcome alone = run_text(at,
                                 scene_text(at,
                                            "import \"simpleitk\"\n"
                                            "save \"alone.nii\" geq_sv(%d, intensity(ReadImage(\"in.nii\")))",
                                            last),
                                 "");
        assert_well(&alone);
        char *one = scene_read(at, "alone.nii", &again);
        assert_non_null(one);
        assert_int_equal(length, again);
        assert_memory_equal(both, one, length);
    }
}

/* Was replaced for ever. */
static void workers_that_die_at_once(void **state) {
    scene *at = *state;
    char *build = scene_text(at, "%s", getenv("VOXLOOM_BUILD"));
    scene_mkdir(at, "broken");
    scene_copy(at, scene_text(at, "%s/voxloom", build), "broken/voxloom");
    scene_write(at, "broken/voxloom-worker", "#!/bin/sh\nkill -SEGV $$\n");
    assert_int_equal(chmod(scene_path(at, "broken/voxloom"), 0755), 0);
    assert_int_equal(chmod(scene_path(at, "broken/voxloom-worker"), 0755), 0);
    scene_write(at, "p.imgql", "print \"a\" 1 + 1");
    assert_int_equal(setenv("VOXLOOM_BUILD", scene_path(at, "broken"), 1), 0);
    outcome result =
        voxloom_limited(at, &(limits){.timeout_seconds = 20}, "run p.imgql --store :memory: --no-progress");
    assert_int_equal(setenv("VOXLOOM_BUILD", build, 1), 0);
    assert_false(result.timed_out);
    assert_int_equal(result.status, 1);
    assert_contains(result.err, "as soon as they start");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(items_computed_a_moment_ago, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(the_later_of_two_saves_wins, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(workers_that_die_at_once, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
