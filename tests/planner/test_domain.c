/* Static kinds and openness. */
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_and_openness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
