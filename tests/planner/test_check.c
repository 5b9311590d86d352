/* test_check.c - mistakes that are told before anything runs, and programs that must pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/check.h"
#include "runtime/kernels/native.h"

/* Line 1 imports; the body begins in line 2. */
static loom_plan *plan_of(const char *body) {
    char text[2048];
    loom_error err = {0};
    loom_plan *plan = NULL;
    loom_plan_options options = {.operators = loom_operators()};
    int length =
        snprintf(text, sizeof text, "import \"simpleitk\" import \"vox1\" img = ReadImage(\"a.nii\")\n%s\n", body);
    assert_true(length > 0 && (size_t)length < sizeof text);
    loom_status status = loom_plan_from_program(&options, "test.imgql", text, (size_t)length, &plan, &err);
    if (status != LOOM_OK) fail_msg("%s: %s", body, err.message);
    return plan;
}

/* The check leaves a plan as it was. */
static loom_status check(const char *body, loom_error *err) {
    loom_plan *plan = plan_of(body);
    size_t nodes = loom_plan_node_count(plan);
    loom_status status = loom_plan_check(plan, loom_operator_check_native, true, err);
    assert_int_equal(loom_plan_node_count(plan), nodes);
    loom_plan_free(plan);
    return status;
}

static void refused(const char *body, uint32_t line, uint32_t column, loom_status wanted, const char *words) {
    loom_error err = {0};
    loom_status status = check(body, &err);
    if (status != wanted) fail_msg("%s: %s: %s", body, loom_status_name(status), err.message);
    if (strstr(err.message, words) == NULL) fail_msg("%s: \"%s\" does not say \"%s\"", body, err.message, words);
    assert_string_equal(err.file, "test.imgql");
    if (err.line != line || err.column != column)
        fail_msg("%s: at %u:%u, not at %u:%u", body, err.line, err.column, line, column);
}
#define BAD(body, line, column, words) refused(body, line, column, LOOM_BAD_PROGRAM, words)

static void passes(const char *body) {
    loom_error err = {0};
    if (check(body, &err) != LOOM_OK) fail_msg("%s: refused: %s", body, err.message);
}

static void arguments(void **state) {
    (void)state;
    BAD("print \"a\" volume(3)", 2, 11, "argument 1 of vox1.volume is a number, but it needs an image");
    BAD("print \"a\" dt(\"x\")", 2, 11, "argument 1 of vox1.dt is the string \"x\", but it needs an image");
    BAD("print \"a\" near(\"x\")", 2, 11, "argument 1 of vox1.near is the string \"x\", but it needs an image");
    BAD("print \"a\" img .+. 1", 2, 11, "argument 1 of vox1.num_add is an image, but it needs a number");
    BAD("print \"a\" near(range(0, 3))", 2, 11, "is a sequence of numbers, but it needs an image");
    BAD("print \"a\" near([img, img])", 2, 11, "is a sequence of images, but it needs an image");
    BAD("print \"a\" volume(near(volume(img)))", 2, 18, "argument 1 of vox1.near is a number");
    BAD("print \"a\" mask(img, 1 < 2)", 2, 11, "argument 2 of vox1.mask is a truth value");
    BAD("print \"a\" percentiles(img, img, img)", 2, 11, "argument 3 of vox1.percentiles is an image");
    BAD("print \"a\" num_add(\"one\", 2)", 2, 11, "is the string \"one\", but it needs a number");
    BAD("print \"a\" 1 + \"one\"", 2, 11, "argument 2 of vox1.+ is the string \"one\"");
    BAD("print \"a\" ReadImage(3)", 2, 11, "argument 1 of simpleitk.ReadImage is a number, but it needs a string");
    BAD("print \"a\" between(3, 2, img)", 2, 11, "the lower bound 3 of vox1.between is above its upper bound 2");
    BAD("print \"a\" fold + volume(img)", 2, 11, "argument 1 of default.fold is a number, but it needs a sequence");
    BAD("print \"a\" argmax(img)", 2, 11, "needs a sequence");
    BAD("print \"a\" for i in 3 do i", 2, 11, "argument 1 of default.for_loop is a number, but it needs a sequence");
}

/* A body is checked once, for what its items are known to be. */
static void bodies(void **state) {
    (void)state;
    BAD("print \"a\" for i in [1, 2] do near(i)", 2, 30, "argument 1 of vox1.near is a number");
    BAD("print \"a\" for i in [\"a\", \"b\"] do near(i)", 2, 34, "argument 1 of vox1.near is a string");
    BAD("f(i) = volume(i)\nprint \"a\" map(f, range(0, 9))", 2, 8, "argument 1 of vox1.volume is a number");
    BAD("print \"a\" for i in dir(\"d\") do volume(i)", 2, 32, "argument 1 of vox1.volume is a string");
    BAD("print \"a\" for i in [img] do num_add(i, 1)", 2, 29, "argument 1 of vox1.num_add is an image");
    BAD("print \"a\" for i in [1] do for j in [img] do i .+. j", 2, 45, "is an image");
    BAD("xs = for i in [1, 2] do img > i\nprint \"a\" for x in xs do num_add(x, 1)", 3, 26, "is an image");
    BAD("xs = for i in [1, 2] do img > i\nprint \"a\" near(index(xs, 0) + (1 .+. xs))", 3, 32, "a sequence of images");
    BAD("xs = filter i in [1, 2] do i > 1\nprint \"a\" for x in xs do near(x)", 3, 26, "is a number");
    BAD("print \"a\" for x in (for i in range(0, 3) do volume(img > i)) do dt(x)", 2, 65, "is a number");
    BAD("print \"a\" for x in [1,2][0:1] do dt(x)", 2, 34, "is a number");
    refused("print \"a\" for i in [1] do wrong(i)", 2, 27, LOOM_BAD_PROGRAM, "Unbound variable 'wrong'");
    refused("print \"a\" for i in [1] do near(i, i)", 2, 27, LOOM_BAD_PROGRAM, "Invalid arity for 'near'");
}

static void calls_that_led_there(void **state) {
    (void)state;
    BAD("f(a) = volume(a)\ng(b) = f(b)\nprint \"a\" g(3)", 2, 8,
        "but it needs an image (in f called at test.imgql:3:8, in g called at test.imgql:4:11)");
    BAD("print \"a\" grow(img, 3)", 2, 11,
        "argument 2 of vox1.through is a number"); /* in the library: the user's call */
}

/* Dynamic typing: what may run passes. */
static void what_may_run_passes(void **state) {
    (void)state;
    passes("unused = volume(3)\nprint \"a\" volume(img)"); /* no goal needs it */
    passes("print \"a\" num_add(\"3\", true)");
    passes("print \"a\" num_add(\" 1e3 \", \"-inf\") + num_add(\"nan\", \"Infinity\")");
    passes("print \"a\" between(2, 2, img)");
    passes("print \"a\" near(index(load(\"x.json\"), 0))");
    passes("print \"a\" near(load(\"x.json\"))");
    passes("print \"a\" volume(index([img, 3], 0))");
    passes("print \"a\" for x in [img, 3] do volume(x)");
    passes("print \"a\" for x in [] do near(3)");          /* never reached */
    passes("print \"a\" for x in range(3, 3) do near(3)"); /* nor this */
    passes("print \"a\" for c in \"text\" do c");
    passes("print \"a\" for v in img do v + 1");
    passes("print \"a\" range(0, 3) + 1");
    passes("print \"a\" [img, img] + img");
    passes("print \"a\" volume(index([img > 1, img] & img, 0))");
    passes("print \"a\" fold + [img, img]");
    passes("print \"a\" volume(fold max [img, img])");
    passes("print \"a\" near(fold + (img) ([img]))");
    passes("f(x) = volume(img > x)\nprint \"a\" index(map(f, [1, 2]), 0) + 1");
    passes("print \"a\" volume(!(img > 1)) + volume(tt & border)");
    passes("print \"a\" ifB(volume(img) > 1, img, tt)");
    passes("print \"a\" !(1 > 2)");
}

static void what_is_not_native(void **state) {
    (void)state;
    refused("p = nnunet.make_predictor(\"m\")\nprint \"a\" nnunet.predict(p, img)", 2, 5, LOOM_UNSUPPORTED,
            "nnunet.make_predictor has no native kernel: it needs the Python worker voxloom-worker-py");
    refused("print \"a\" for i in dir(\"d\") do nnunet.predict(i, img)", 2, 32, LOOM_UNSUPPORTED,
            "nnunet.predict has no native kernel");
    passes("p = nnunet.make_predictor(\"m\")\nprint \"a\" volume(img)"); /* no goal needs it */
}

/* What the check added and forgot does not come back: the plan grows on as if it had not been. */
static void plans_grow_on(void **state) {
    (void)state;
    loom_plan *plan = plan_of("xs = for i in [1, 2] do (for j in range(0, 3) do img > (i + j))\nprint \"a\" xs");
    loom_node_index loop = loom_plan_goal(plan, 0)->node;
    size_t nodes = loom_plan_node_count(plan);
    loom_id ids[64];
    for (int round = 0; round < 3; round++) {
        loom_error err = {0};
        assert_int_equal(loom_plan_check(plan, NULL, true, &err), LOOM_OK);
        assert_int_equal(loom_plan_node_count(plan), nodes);
        loom_node_index item = LOOM_NODE_NONE, body = LOOM_NODE_NONE;
        loom_value value = loom_float(7 + round);
        assert_int_equal(loom_plan_constant(plan, &value, &item, &err), LOOM_OK);
        loom_node_index closure = loom_plan_node(plan, loop)->arguments[1];
        assert_int_equal(loom_plan_apply(plan, closure, item, &body, &err), LOOM_OK);
        assert_true(loom_plan_node_count(plan) > nodes);
        nodes = loom_plan_node_count(plan);
        /* Every node is found under its id, and under no other number. */
        for (size_t k = 0; k < nodes && k < 64; k++)
            ids[k] = loom_plan_node(plan, (loom_node_index)k)->id;
        for (size_t k = 0; k < nodes && k < 64; k++)
            assert_int_equal(loom_plan_find(plan, &ids[k]), k);
    }
    loom_plan_free(plan);
}

/* Long chains and deep nesting need no stack. */
static void deep(void **state) {
    (void)state;
    enum { LINKS = 30000 };
    char *text = malloc(LINKS * 32 + 256);
    assert_non_null(text);
    size_t used = (size_t)sprintf(text, "import \"vox1\"\nx0 = 1\n");
    for (int i = 1; i <= LINKS; i++)
        used += (size_t)sprintf(text + used, "x%d = x%d + 1\n", i, i - 1);
    used += (size_t)sprintf(text + used, "print \"a\" near(x%d)\n", LINKS);
    loom_plan_options options = {.operators = loom_operators()};
    loom_plan *plan = NULL;
    loom_error err = {0};
    assert_int_equal(loom_plan_from_program(&options, "deep.imgql", text, used, &plan, &err), LOOM_OK);
    assert_int_equal(loom_plan_check(plan, NULL, true, &err), LOOM_BAD_PROGRAM);
    assert_int_equal(err.line, LINKS + 3);
    loom_plan_free(plan);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments),
        cmocka_unit_test(bodies),
        cmocka_unit_test(calls_that_led_there),
        cmocka_unit_test(what_may_run_passes),
        cmocka_unit_test(what_is_not_native),
        cmocka_unit_test(plans_grow_on),
        cmocka_unit_test(deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
