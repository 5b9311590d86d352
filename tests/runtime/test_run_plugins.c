/* test_run_plugins.c - operators from shared objects: in programs, in keys, and what is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static const char *module(scene *at, const char *name) {
    const char *build = getenv("VOXLOOM_BUILD");
    assert_non_null(build);
    return scene_text(at, "%s/tests/runtime/plugins/%s.so", build, name);
}

static const char *with(scene *at, const char *name) {
    return scene_text(at, "--set kernels.plugins=%s", module(at, name));
}

/* ---- in programs ---- */

static void test_values(void **state) {
    scene *at = *state;
    outcome ran = run_text(at,
                           "import \"toy\"\n"
                           "print \"named\" toy.twice(21)\n"
                           "print \"imported\" twice(twice(\" 2.5\"))\n"
                           "print \"parts\" parts(\"a\", 1, [true, 2.5])\n",
                           with(at, "toy"));
    assert_well(&ran);
    assert_prints(&ran, "named=42.0\nimported=10.0\nparts={'first': 'a', 'rest': (1.0, [True, 2.5])}\n");
}

static void test_images(void **state) {
    scene *at = *state;
    const char *program = "a = toy.ramp(4, 3)\n"
                          "print \"sum\" toy.sum(a)\n"                    /* 3 * (0+1+2+3) + 4 * (0+10+20) */
                          "print \"mean\" toy.sum(toy.blend(a, a + 1))\n" /* half a voxel more each */
                          "print \"own\" volume(geq_sv(10, a))\n" /* an operator of voxloom on a plug-in's image */
                          "print \"each\" toy.sums(for n in [1, 2] do toy.ramp(n, 1))\n";
    outcome ran = run_text(at, program, with(at, "toy"));
    if (ran.status != 0) print_message("%s", ran.err);
    assert_well(&ran);
    assert_prints(&ran, "sum=138.0\nmean=144.0\nown=8.0\neach=[0.0, 1.0]\n");
    outcome again = run_text(at, program, with(at, "toy"));
    assert_well(&again);
    assert_string_equal(again.out, ran.out);
    assert_int_equal(computed_by(&again), 0);
}

static void test_plan(void **state) {
    scene *at = *state;
    scene_write(at, "twice.imgql", "print \"x\" toy.twice(1)\n");
    outcome without = voxloom(at, "plan twice.imgql");
    assert_int_equal(without.status, 2);
    outcome planned = voxloom(at, "plan twice.imgql %s", with(at, "toy"));
    assert_well(&planned);
    assert_contains(planned.out, "toy.twice");
}

/* ---- what fails ---- */

static void test_failures(void **state) {
    scene *at = *state;
    outcome ran = run_text(at,
                           "a = toy.ramp(4, 3)\n"
                           "print \"fine\" toy.twice(1)\n"
                           "print \"string\" toy.misbehave(0)\n"
                           "print \"type\" toy.misbehave(1)\n"
                           "print \"endless\" toy.misbehave(2)\n"
                           "print \"wordless\" toy.misbehave(3)\n"
                           "print \"image\" toy.misbehave(4)\n"
                           "print \"none\" toy.sum(toy.no_image(a))\n"
                           "print \"argument\" toy.blend(a, geq_sv(2, a))\n"
                           "print \"grid\" toy.blend(a, toy.ramp(3, 4))\n"
                           "print \"kind\" toy.twice([1])\n",
                           with(at, "toy"));
    assert_int_equal(ran.status, 2); /* the last is seen before anything runs */
    assert_contains(ran.err, "argument 1 of toy.twice is a sequence of numbers, but it needs a number");
    ran = run_text(at,
                   "a = toy.ramp(4, 3)\n"
                   "print \"fine\" toy.twice(1)\n"
                   "print \"string\" toy.misbehave(0)\n"
                   "print \"type\" toy.misbehave(1)\n"
                   "print \"endless\" toy.misbehave(2)\n"
                   "print \"wordless\" toy.misbehave(3)\n"
                   "print \"image\" toy.misbehave(4)\n"
                   "print \"none\" toy.sum(toy.no_image(a))\n"
                   "print \"argument\" toy.blend(a, geq_sv(2, a))\n"
                   "print \"grid\" toy.blend(a, toy.ramp(3, 4))\n"
                   "print \"text\" toy.twice([\"many\"][0])\n",
                   with(at, "toy"));
    assert_int_equal(ran.status, 1);
    assert_string_equal(ran.out, "fine=2.0\n");
    assert_contains(ran.err, "`toy.misbehave` gave a value of another type than its signature says");
    assert_contains(ran.err, "`toy.misbehave` gave a value of a type that results cannot have");
    assert_contains(ran.err, "`toy.misbehave` gave a value nested deeper than 64");
    assert_contains(ran.err, "`toy.misbehave`: it failed without a word");
    assert_contains(ran.err, "`toy.no_image` gave no image of its own making");
    assert_contains(ran.err, "`toy.blend`: both images must be of float32; convert them with intensity");
    assert_contains(ran.err, "arguments 1 and 2 of `toy.blend` are images on different grids");
    assert_contains(ran.err, "argument 1 is a string; `toy.twice` needs a number");
}

static void test_crash(void **state) {
    scene *at = *state;
    outcome ran = run_text(at,
                           "print \"fine\" toy.twice(1)\n"
                           "print \"crash\" toy.misbehave(7)\n",
                           scene_text(at, "%s --workers 2", with(at, "toy")));
    assert_int_equal(ran.status, 1);
    assert_string_equal(ran.out, "fine=2.0\n");
    assert_contains(ran.err, "3 workers died running it");
}

/* ---- the code is in the key ---- */

static void test_rebuilt(void **state) {
    scene *at = *state;
    const char *program = "print \"x\" toy.twice(5)\nprint \"y\" 2 + 3\n";
    scene_copy(at, module(at, "toy"), "own.so");
    outcome first = run_text(at, program, "--set kernels.plugins=own.so");
    assert_well(&first);
    assert_prints(&first, "x=10.0\ny=5.0\n");
    scene_remove(at, "own.so");
    scene_copy(at, module(at, "toy3"), "own.so"); /* the same names and versions, other code */
    outcome second = run_text(at, program, "--set kernels.plugins=own.so");
    assert_well(&second);
    assert_prints(&second, "x=15.0\ny=5.0\n");
    assert_int_equal(computed_by(&second), 1);
    scene_remove(at, "own.so");
    scene_copy(at, module(at, "toy"), "moved.so"); /* what the first build computed is still there */
    outcome third = run_text(at, program, "--set kernels.plugins=moved.so");
    assert_well(&third);
    assert_prints(&third, "x=10.0\ny=5.0\n");
    assert_int_equal(computed_by(&third), 0);
}

/* ---- what is refused ---- */

static void refused(scene *at, const char *plugins, const char *message) {
    outcome ran = run_text(at, "print \"x\" 1\n", scene_text(at, "--set kernels.plugins=%s", plugins));
    assert_int_equal(ran.status, 2);
    assert_contains(ran.err, message);
    assert_null(strchr(ran.err, '\n')[1] != '\0' ? ran.err : NULL); /* one line */
}

static void test_refused(void **state) {
    scene *at = *state;
    scene_write(at, "text.so", "no shared object\n");
    refused(at, "missing.so", "cannot load the plug-in missing.so: No such file or directory; check kernels.plugins");
    refused(at, "text.so", "cannot load the plug-in");
    refused(at, module(at, "bad1"), "exports no voxloom_plugin");
    refused(at, module(at, "bad2"), "was built for version 2 of the kernel interface, this voxloom has 1");
    refused(at, module(at, "bad3"), "defines vox1.near, in a namespace of voxloom");
    refused(at, module(at, "bad5"), "names an operator \"nonsense\"");
    refused(at, module(at, "bad6"), "its signature is malformed");
    refused(at, module(at, "bad7"), "say on which grid");
    refused(at, module(at, "bad8"), "its version is not between 1 and 65535");
    refused(at, module(at, "bad9"), "it has no code");
    refused(at, scene_text(at, "%s:%s", module(at, "toy"), module(at, "bad4")), "toy.twice is defined twice");
    outcome both = run_text(
        at, "print \"x\" toy.twice(1)\n",
        scene_text(at, "--set kernels.plugins=%s:%s:%s", module(at, "toy"), module(at, "bad0"), module(at, "toy")));
    assert_well(&both);
    assert_prints(&both, "x=2.0\n");
}

static void test_configured(void **state) {
    scene *at = *state;
    scene_write(at, "my.toml", scene_text(at, "[kernels]\nplugins = [\"%s\"]\n", module(at, "toy")));
    outcome ran = run_text(at, "print \"x\" toy.twice(1)\n", "--config my.toml");
    assert_well(&ran);
    assert_prints(&ran, "x=2.0\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_images, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_plan, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_failures, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_crash, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_rebuilt, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_refused, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_configured, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
