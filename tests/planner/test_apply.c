/* Closures applied to items: what captures see, what is shared, and the defects S2, S12 and S13 that are not there. */
#include "program_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static loom_node_index item_of(loom_plan *plan, uint64_t k, double number) {
    loom_value value = loom_float(number);
    loom_id parent = {{1}};
    loom_node_index item;
    loom_error err = {0};
    assert_int_equal(loom_plan_item(plan, &parent, k, &value, &item, &err), LOOM_OK);
    return item;
}

/* The closure that is the last argument of this node. */
static loom_node_index closure_of(const loom_plan *plan, loom_node_index loop) {
    const loom_node *node = loom_plan_node(plan, loop);
    assert_true(node->argument_count > 0);
    loom_node_index closure = node->arguments[node->argument_count - 1];
    assert_int_equal(loom_plan_node(plan, closure)->kind, LOOM_NODE_CLOSURE);
    return closure;
}

static loom_node_index apply(loom_plan *plan, loom_node_index closure, loom_node_index item) {
    loom_node_index result;
    loom_error err = {0};
    if (loom_plan_apply(plan, closure, item, &result, &err) != LOOM_OK) fail_msg("%s", err.message);
    return result;
}

/* The loop of the program's first goal, applied to the item 5.0. */
static void assert_item(loom_plan *plan, const char *program, const char *expected) {
    loom_node_index loop = loom_plan_goal(plan, 0)->node;
    loom_node_index result = apply(plan, closure_of(plan, loop), item_of(plan, 0, 5));
    const char *got = shown(plan, result);
    if (strcmp(got, expected) != 0) fail_msg("%s\ngave     %s\nexpected %s", program, got, expected);
}

/* From the program, and again from its export, where the body is text. */
static void assert_applied(const char *program, const char *expected) {
    loom_plan *plan = plan_of(program);
    size_t length;
    char *json = json_of(plan, &length);
    assert_item(plan, program, expected);
    loom_plan_free(plan);
    plan = plan_from(json);
    assert_item(plan, program, expected);
    loom_plan_free(plan);
    free(json);
}

static void bodies(void **state) {
    (void)state;
    assert_applied("print \"g\" for i in [1] do i + 1", "vox1.+(item:5.0, 1.0)");
    assert_applied("k = 2 print \"g\" for i in [1] do i * k", "vox1.*(item:5.0, 2.0)");
    assert_applied("k = 2 f(a) = a * k let k = 3 print \"g\" for i in [1] do f(i) + k",
                   "vox1.+(vox1.*(item:5.0, 2.0), 3.0)");
    assert_applied("f(a) = a print \"g\" map(f, [1])", "item:5.0");
    assert_applied("print \"g\" map(abs, [1])", "vox1.abs(item:5.0)");
    assert_applied("print \"g\" filter i in [1] do i > 2", "vox1.>(item:5.0, 2.0)");
    assert_applied("i = 9 print \"g\" for i in [1] do let i = i + 1 in i", "vox1.+(item:5.0, 1.0)");
    assert_applied("print \"g\" for i in [1] do [i][0:]", "default.slice(default.sequence(item:5.0), 0.0, null)");
    assert_applied("print \"g\" for i in [1] do fold max i [2]", "default.foldmax(default.index(item:5.0, 2.0))");
}

static void special_forms_inside(void **state) {
    (void)state;
    const char *with = "import \"vox1\" print \"g\" for i in [1] do !(i) && true || i";
    const char *without = "print \"g\" for i in [1] do !(i) && true || i";
    const char *expected =
        "default.bool_or_scalar(default.bool_and_scalar(default.not_compat(item:5.0), true), item:5.0)";
    assert_applied(with, expected);
    assert_applied(without, expected);
    assert_applied("f(a) = a print \"g\" for i in [1] do map(f, [i])",
                   "default.map(default.sequence(item:5.0), closure())");
    assert_applied("k = 7 f(a) = a + k print \"g\" for i in [1] do map(f, i)", "default.map(item:5.0, closure(7.0))");
    assert_applied("print \"g\" for i in [1] do map(abs, i)", "default.map(item:5.0, closure())");
}

static void nested_closures(void **state) {
    (void)state;
    loom_plan *plan = plan_of("k = 2 f(a) = a + k print \"g\" for i in [1] do for j in [2] do f(i) * j");
    loom_node_index outer = closure_of(plan, loom_plan_goal(plan, 0)->node);
    loom_node_index inner_loop = apply(plan, outer, item_of(plan, 0, 5));
    assert_string_equal(shown(plan, inner_loop), "default.for_loop(default.sequence(2.0), closure(item:5.0))");
    loom_node_index result = apply(plan, closure_of(plan, inner_loop), item_of(plan, 1, 6));
    assert_string_equal(shown(plan, result), "vox1.*(vox1.+(item:5.0, 2.0), item:6.0)");
    /* another outer item makes another inner closure; the same one the same */
    loom_node_index other = apply(plan, outer, item_of(plan, 2, 7));
    assert_int_not_equal(closure_of(plan, other), closure_of(plan, inner_loop));
    assert_int_equal(apply(plan, outer, item_of(plan, 0, 5)), inner_loop);
    loom_plan_free(plan);
}

static void shadowing_inside(void **state) {
    (void)state;
    assert_applied("a = 1 print \"g\" for a in [2] do a", "item:5.0");
    assert_applied("near(a) = a print \"g\" for i in [2] do near(i)", "item:5.0");
    assert_applied("print \"g\" for near in [2] do near", "item:5.0");
    assert_applied("print \"g\" for i in [2] do (let near = i in near) + near(i)",
                   "vox1.+(item:5.0, vox1.near(item:5.0))");
    assert_applied("f(i) = i + 1 print \"g\" for i in [2] do f(i * 2)", "vox1.+(vox1.*(item:5.0, 2.0), 1.0)");
}

/* Work that does not depend on the item is one node for all of them. */
static void invariants_are_shared(void **state) {
    (void)state;
    loom_plan *plan = plan_of("import \"vox1\" s = near(tt) print \"g\" for i in [1] do volume(near(near(s))) + i");
    loom_node_index closure = closure_of(plan, loom_plan_goal(plan, 0)->node);
    loom_node_index first = apply(plan, closure, item_of(plan, 0, 1));
    size_t count = loom_plan_node_count(plan);
    loom_node_index second = apply(plan, closure, item_of(plan, 1, 2));
    assert_int_equal(loom_plan_node_count(plan), count + 2); /* the item and its sum */
    assert_int_equal(loom_plan_node(plan, first)->arguments[0], loom_plan_node(plan, second)->arguments[0]);
    loom_plan_free(plan);
}

static void names_resolve_with_the_imports(void **state) {
    (void)state;
    assert_applied("import \"vox1\" print \"g\" for i in [1] do num_eq(i, 1)", "default.num_eq(item:5.0, 1.0)");
    assert_applied("import \"vox1\" print \"g\" for i in [1] do i .+. 1", "vox1.num_add(item:5.0, 1.0)");
}

/* Bodies whose printed text VoxLogicA-2 reads back as something else, or not at all (S12). */
static void printed_text_is_read_back(void **state) {
    (void)state;
    assert_applied("n = 3 print \"g\" for i in [1] do i[0:n - 1]", "default.slice(item:5.0, 0.0, vox1.-(3.0, 1.0))");
    assert_applied("print \"g\" for i in [1] do i + 1e999", "vox1.+(item:5.0, inf)");
    assert_applied("print \"g\" for i in [1] do i + -1e999", "vox1.+(item:5.0, -inf)");
    assert_applied("print \"g\" for i in [1] do [i,1e999][: -1e999]",
                   "default.slice(default.sequence(item:5.0, inf), null, -inf)");
    assert_applied("print \"g\" for i in [1] do fold + (i) (i + 1)", "default.fold+(item:5.0, vox1.+(item:5.0, 1.0))");
}

/* Bodies whose printed text is another body: the export says which it is. */
static void ambiguous_text_is_spelt_out(void **state) {
    (void)state;
    assert_applied("print \"g\" for i in [1] do (for j in i do j)[0:1]",
                   "default.slice(default.for_loop(item:5.0, closure()), 0.0, 1.0)");
    assert_applied("f(a) = (for j in a do j)[0:1] g(a) = f(a) print \"g\" for i in [1] do g(i)",
                   "default.slice(default.for_loop(item:5.0, closure()), 0.0, 1.0)");
    assert_applied("print \"g\" for i in [1] do fold + (i) ([i])",
                   "default.fold+(item:5.0, default.sequence(item:5.0))");
    assert_applied("print \"g\" for i in [1] do fold + (fold * i) i",
                   "default.fold+(default.fold*(item:5.0), item:5.0)");
    assert_applied("for = 3 let -(a) = [a] print \"g\" for i in [1] do (- for)[1 : 2]",
                   "default.slice(default.sequence(3.0), 1.0, 2.0)");
    assert_applied("A = 1 print \"g\" for i in [1] do i[A : 2]", "default.slice(item:5.0, 1.0, 2.0)");
    assert_applied("let :-(a) = a print \"g\" for i in [1] do i[:-(1) : 2]", "default.slice(item:5.0, 1.0, 2.0)");
}

/* Two bodies that print alike are two closures. */
static void alike_bodies_are_told_apart(void **state) {
    (void)state;
    loom_plan *plan = plan_of("print \"a\" for i in [1] do (for j in i do j)[0:1]\n"
                              "print \"b\" for i in [1] do for j in i do j[0:1]\n"
                              "print \"c\" for i in [1] do ((for j in i do j)[0:1])");
    loom_node_index item = item_of(plan, 0, 5);
    loom_node_index a = closure_of(plan, loom_plan_goal(plan, 0)->node),
                    b = closure_of(plan, loom_plan_goal(plan, 1)->node);
    assert_int_not_equal(a, b);
    assert_int_equal(a, closure_of(plan, loom_plan_goal(plan, 2)->node));
    assert_string_equal(shown(plan, apply(plan, a, item)),
                        "default.slice(default.for_loop(item:5.0, closure()), 0.0, 1.0)");
    assert_string_equal(shown(plan, apply(plan, b, item)), "default.for_loop(item:5.0, closure())");
    loom_plan_free(plan);
}

/* As VoxLogicA-2's ids have it: a function that refers to an older one of its own name is cut short in the record only.
 */
static void function_named_like_its_ancestor(void **state) {
    (void)state;
    loom_plan *plan = plan_of("f(a) = a + 1 let f(a) = f(a) * 2 let f(a) = f(a) - 3 print \"g\" for i in [1] do f(i)");
    loom_node_index result = apply(plan, closure_of(plan, loom_plan_goal(plan, 0)->node), item_of(plan, 0, 5));
    assert_string_equal(shown(plan, result), "vox1.-(vox1.*(vox1.+(item:5.0, 1.0), 2.0), 3.0)");
    loom_plan_free(plan);
}

static void errors_inside(void **state) {
    (void)state;
    loom_plan *plan = plan_of("f(a) = wxyzw + a\nprint \"g\" for i in [1] do f(i)");
    loom_node_index closure = closure_of(plan, loom_plan_goal(plan, 0)->node), result;
    loom_error err = {0};
    assert_int_equal(loom_plan_apply(plan, closure, item_of(plan, 0, 1), &result, &err), LOOM_BAD_PROGRAM);
    assert_string_equal(err.file, "prog.imgql");
    assert_int_equal(err.line, 1);
    assert_int_equal(err.column, 8);
    assert_non_null(strstr(err.message, "Unbound variable 'wxyzw'"));
    assert_non_null(strstr(err.message, "f at prog.imgql:2:27"));
    assert_int_equal(loom_plan_apply(plan, result = 0, 0, &result, &err), LOOM_INTERNAL);
    loom_plan_free(plan);
}

static void items(void **state) {
    (void)state;
    loom_plan *plan = plan_of("x = 1");
    loom_node_index a = item_of(plan, 3, 1), b = item_of(plan, 3, 1), c = item_of(plan, 4, 1), node;
    loom_error err = {0};
    assert_int_equal(a, b);
    assert_int_not_equal(a, c);
    loom_id parent = {{1}};
    loom_value value = loom_null();
    assert_int_equal(loom_plan_item(plan, &parent, UINT64_MAX, &value, &node, &err), LOOM_TOO_LARGE);
    loom_node_index pair[] = {a, c};
    assert_int_equal(loom_plan_primitive(plan, "vox1.+", LOOM_OUT_SCALAR, pair, 2, NULL, &node, &err), LOOM_OK);
    assert_string_equal(shown(plan, node), "vox1.+(item:1.0, item:1.0)");
    assert_int_equal(loom_plan_primitive(plan, "vox1.+", LOOM_OUT_SCALAR, pair, 1, NULL, &node, &err),
                     LOOM_BAD_PROGRAM);
    assert_int_equal(loom_plan_primitive(plan, "nothing", LOOM_OUT_SCALAR, pair, 1, NULL, &node, &err),
                     LOOM_BAD_PROGRAM);
    assert_int_equal(loom_plan_primitive(plan, "loom.concat", LOOM_OUT_SEQUENCE, pair, 2, NULL, &node, &err), LOOM_OK);
    loom_value bytes = {.type = LOOM_BYTES};
    assert_int_equal(loom_plan_constant(plan, &bytes, &node, &err), LOOM_UNSUPPORTED);
    loom_value nan = loom_float(0.0 / 0.0), minus_nan = loom_float(-(0.0 / 0.0));
    loom_node_index other;
    assert_int_equal(loom_plan_constant(plan, &nan, &node, &err), LOOM_OK);
    assert_int_equal(loom_plan_constant(plan, &minus_nan, &other, &err), LOOM_OK);
    assert_int_equal(node, other);
    loom_plan_free(plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies),
        cmocka_unit_test(special_forms_inside),
        cmocka_unit_test(nested_closures),
        cmocka_unit_test(shadowing_inside),
        cmocka_unit_test(invariants_are_shared),
        cmocka_unit_test(names_resolve_with_the_imports),
        cmocka_unit_test(printed_text_is_read_back),
        cmocka_unit_test(ambiguous_text_is_spelt_out),
        cmocka_unit_test(alike_bodies_are_told_apart),
        cmocka_unit_test(function_named_like_its_ancestor),
        cmocka_unit_test(errors_inside),
        cmocka_unit_test(items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
