/* Results under wrong keys, and picking items from loops: what a review of the coordinator found, run for real. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include "harness.h"

/* The argument of load is no path here, so it must count. */
static void loads_of_sequences_differ(void **state) {
    scene *at = *state;
    outcome first = run_text(at, "print \"a\" load([1, 2])", "");
    assert_prints(&first, "a=[1.0, 2.0]\n");
    outcome second = run_text(at, "print \"b\" load([3, 4])", "");
    assert_prints(&second, "b=[3.0, 4.0]\n");
}

/* A worker program that edits x.txt before it begins: after the coordinator has looked results up, before any kernel
 * runs. */
static void make_editing_build(scene *at) {
    const char *build = getenv("VOXLOOM_BUILD");
    assert_non_null(build);
    scene_mkdir(at, "edited");
    scene_copy(at, scene_text(at, "%s/voxloom", build), "edited/voxloom");
    scene_write(
        at, "edited/voxloom-worker",
        scene_text(at, "#!/bin/sh\necho new > %s\nexec %s/voxloom-worker \"$@\"\n", scene_path(at, "x.txt"), build));
    assert_int_equal(chmod(scene_path(at, "edited/voxloom"), 0755), 0);
    assert_int_equal(chmod(scene_path(at, "edited/voxloom-worker"), 0755), 0);
}

/* The file's hash is remembered and its content's value is known from the trace, so the key of what follows is found
 * without reading the file. What was computed from other bytes must not be stored under it. */
static void an_input_edited_after_the_look_up(void **state) {
    scene *at = *state;
    const char *program = "print \"x\" subsequence(load(\"x.txt\"), 0, 1)";
    make_editing_build(at);
    scene_write(at, "x.txt", "old\n");
    scene_settle();
    outcome first = run_text(at, "print \"x\" load(\"x.txt\")", "");
    assert_prints(&first, "x=['old']\n");
    outcome listed = voxloom(at, "store ls --store store");
    const char *id = strstr(listed.out, "\n") + 1;
    outcome removed = voxloom(at, "store rm %.12s --yes --store store", id);
    assert_well(&removed);

    char *build = scene_text(at, "%s", getenv("VOXLOOM_BUILD"));
    assert_int_equal(setenv("VOXLOOM_BUILD", scene_path(at, "edited"), 1), 0);
    outcome edited = run_text(at, program, "--workers 1");
    assert_int_equal(setenv("VOXLOOM_BUILD", build, 1), 0);
    assert_prints(&edited, "x=['new']\n");

    scene_write(at, "x.txt", "old\n");
    outcome restored = run_text(at, program, "--workers 1");
    assert_prints(&restored, "x=['old']\n");
}

/* The hash of an input that was young when it was first read is remembered by the next run that has to hash it; from
 * then on no worker is needed to find everything stored. */
static void inputs_hashed_again_are_remembered(void **state) {
    scene *at = *state;
    const char *program = "print \"x\" load(\"x.txt\")";
    scene_write(at, "x.txt", "text\n");
    outcome first = run_text(at, program, "");
    assert_int_equal(computed_by(&first), 1);
    scene_settle();
    outcome second = run_text(at, program, "--workers 1");
    assert_int_equal(reused_by(&second), 1);
    assert_int_equal(number_of(&second, "workers"), 1);
    outcome third = run_text(at, program, "--workers 1");
    assert_prints(&third, "x=['text']\n");
    assert_int_equal(reused_by(&third), 1);
    assert_int_equal(number_of(&third, "workers"), 0);
}

/* Quadratic once: 16,000 items took five minutes and 21 GB. */
static void picking_each_item_of_a_long_loop(void **state) {
    scene *at = *state;
    outcome result = run_text(at,
                              "a = for i in range(0, 8000) do i * 2\n"
                              "print \"s\" fold + (for i in range(0, 8000) do index(a, i) + 1)",
                              "");
    assert_prints(&result, "s=64000000.0\n");
    if (!SANITIZED) assert_in_range(result.peak_rss_bytes, 0, 400u << 20);
}

/* A sum over the list that the loop goes over is one sum, whatever the domains of the items that use it. */
static void a_sum_that_all_items_use(void **state) {
    scene *at = *state;
    outcome result = run_text(at,
                              "a = for i in range(0, 500) do i * 2\n"
                              "print \"n\" fold max (for i in range(0, 500) do (fold + a) / 499 + index(a, i))",
                              "");
    assert_prints(&result, "n=1498.0\n");
    /* range, a's 500 items and list, its sum, the quotient, 500 sums and their list, the maximum */
    assert_int_equal(computed_by(&result), 1 + 501 + 1 + 1 + 501 + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loads_of_sequences_differ, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(an_input_edited_after_the_look_up, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(inputs_hashed_again_are_remembered, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(a_sum_that_all_items_use, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(picking_each_item_of_a_long_loop, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
