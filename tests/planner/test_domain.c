/* Static kinds, openness, and the type errors that need no data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "planner/domain.h"
#include "runtime/kernels/kernel.h"

static loom_plan *plan_of(const char *body) {
    char text[1024];
    loom_error err = {0};
    loom_plan *plan = NULL;
    loom_plan_options options = {.operators = loom_operators()};
    int length =
        snprintf(text, sizeof text, "import \"simpleitk\"\nimport \"vox1\"\nimg = ReadImage(\"a.nii\")\n%s\n", body);
    assert_true(length > 0 && (size_t)length < sizeof text);
    loom_status status = loom_plan_from_program(&options, "test.imgql", text, (size_t)length, &plan, &err);
    if (status != LOOM_OK) fail_msg("%s: %s", body, err.message);
    return plan;
}

/* Facts of the expression of the only goal. */
static loom_node_facts facts_of(const char *expression) {
    char body[512];
    snprintf(body, sizeof body, "print \"x\" %s", expression);
    loom_plan *plan = plan_of(body);
    loom_facts *facts = loom_facts_new(plan);
    loom_node_facts found;
    assert_non_null(facts);
    assert_int_equal(loom_facts_of(facts, loom_plan_goal(plan, 0)->node, &found), LOOM_OK);
    loom_facts_free(facts);
    loom_plan_free(plan);
    return found;
}

static void assert_facts(const char *expression, loom_static_kind kind, loom_openness openness) {
    loom_node_facts found = facts_of(expression);
    if (found.kind != kind || found.openness != openness)
        fail_msg("%s: kind %d, openness %d; expected %d, %d", expression, found.kind, found.openness, (int)kind,
                 (int)openness);
}

static void kinds_and_openness(void **state) {
    (void)state;
    assert_facts("3", LOOM_KIND_SCALAR, LOOM_CLOSED);
    assert_facts("img", LOOM_KIND_IMAGE, LOOM_CLOSED);
    assert_facts("border", LOOM_KIND_IMAGE, LOOM_OPEN);
    assert_facts("tt & border", LOOM_KIND_IMAGE, LOOM_OPEN);
    assert_facts("border & img", LOOM_KIND_IMAGE, LOOM_CLOSED);
    assert_facts("N(border)", LOOM_KIND_IMAGE, LOOM_OPEN);
    assert_facts("N(border) & (img >. 3)", LOOM_KIND_IMAGE, LOOM_CLOSED);
    assert_facts("border(img)", LOOM_KIND_IMAGE, LOOM_CLOSED);
    assert_facts("volume(border)", LOOM_KIND_SCALAR, LOOM_OPEN);
    assert_facts("volume(border & img)", LOOM_KIND_SCALAR, LOOM_CLOSED);
    assert_facts("x + 3", LOOM_KIND_IMAGE, LOOM_OPEN);
    assert_facts("img + 3", LOOM_KIND_IMAGE, LOOM_CLOSED);
    assert_facts("1 + 3", LOOM_KIND_SCALAR, LOOM_CLOSED);
    assert_facts("range(0, 3) + 1", LOOM_KIND_SEQUENCE, LOOM_CLOSED);
    assert_facts("constant(2)", LOOM_KIND_IMAGE, LOOM_OPEN);
    assert_facts("for i in range(0, 3) do i", LOOM_KIND_SEQUENCE, LOOM_MAYBE_OPEN);
    assert_facts("index([1, 2], 0)", LOOM_KIND_UNKNOWN, LOOM_MAYBE_OPEN);
}

static void assert_refused(const char *body, uint32_t line, uint32_t column, const char *words) {
    loom_plan *plan = plan_of(body);
    loom_facts *facts = loom_facts_new(plan);
    loom_error err = {0};
    assert_non_null(facts);
    assert_int_equal(loom_plan_check(plan, facts, &err), LOOM_BAD_PROGRAM);
    assert_string_equal(err.file, "test.imgql");
    assert_int_equal(err.line, line);
    assert_int_equal(err.column, column);
    if (!strstr(err.message, words)) fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    loom_facts_free(facts);
    loom_plan_free(plan);
}

static void type_errors_have_positions(void **state) {
    (void)state;
    assert_refused("print \"a\" volume(3)", 4, 11, "argument 1 of vox1.volume is a number");
    assert_refused("print \"a\" dt(\"x\")", 4, 11, "argument 1 of vox1.dt is a string");
    assert_refused("print \"a\" img .+. 1", 4, 11, "argument 1 of vox1.num_add is an image, but it needs a number");
    assert_refused("print \"a\" near(range(0, 3))", 4, 11,
                   "argument 1 of vox1.near is a sequence, but it needs an image");
}

static void what_no_goal_needs_is_not_checked(void **state) {
    (void)state;
    loom_plan *plan = plan_of("unused = volume(3)\nprint \"a\" volume(img)");
    loom_facts *facts = loom_facts_new(plan);
    loom_error err = {0};
    assert_non_null(facts);
    assert_int_equal(loom_plan_check(plan, facts, &err), LOOM_OK);
    loom_facts_free(facts);
    loom_plan_free(plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_and_openness),
        cmocka_unit_test(type_errors_have_positions),
        cmocka_unit_test(what_no_goal_needs_is_not_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
