/* Which calls of functions led to a node: what reports tell of one that fails. */
#include "program_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "f@FILE:LINE:COL g@...", innermost first. Static storage. */
static const char *chain_of(const loom_plan *plan, loom_node_index node) {
    static char text[2000];
    size_t used = 0;
    text[0] = '\0';
    loom_call_site site;
    for (uint32_t calls = loom_plan_node(plan, node)->position.calls; loom_plan_call_site(plan, calls, &site);
         calls = site.position.calls)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s@%s:%u:%u", used ? " " : "", site.function,
                                 site.position.file, site.position.line, site.position.column);
    return text;
}

/* The k-th node of the operator. */
static loom_node_index node_called(const loom_plan *plan, const char *op, int k) {
    for (size_t i = 0; i < loom_plan_node_count(plan); i++) {
        const loom_node *node = loom_plan_node(plan, (loom_node_index)i);
        if (node->op && strcmp(node->op->name, op) == 0 && k-- == 0) return (loom_node_index)i;
    }
    fail_msg("no node %d of %s", k, op);
    return 0;
}

/* Item `number` of the loop of the program's first goal. */
static loom_node_index item_of_goal(loom_plan *plan, double number) {
    const loom_node *loop = loom_plan_node(plan, loom_plan_goal(plan, 0)->node);
    loom_node_index closure = loop->arguments[loop->argument_count - 1], item, result;
    loom_value value = loom_float(number);
    assert_int_equal(loom_plan_constant(plan, &value, &item, NULL), LOOM_OK);
    assert_int_equal(loom_plan_apply(plan, closure, item, &result, NULL), LOOM_OK);
    return result;
}

static void a_node_outside_functions_has_none(void **state) {
    (void)state;
    loom_plan *plan = plan_of("x = 1 + 2\nprint \"x\" x\n");
    assert_string_equal(chain_of(plan, node_called(plan, "vox1.+", 0)), "");
    loom_call_site site;
    assert_false(loom_plan_call_site(plan, 0, &site));
    assert_false(loom_plan_call_site(plan, 1, &site));
    loom_plan_free(plan);
}

static void calls_within_calls(void **state) {
    (void)state;
    loom_plan *plan = plan_of("f(a) = a / 2\ng(a) = 1 + f(a + 1)\n"
                              "print \"p\" g(7)\nprint \"q\" 5 * f(9)\n");
    assert_string_equal(chain_of(plan, node_called(plan, "vox1./", 0)), "f@prog.imgql:2:12 g@prog.imgql:3:11");
    assert_string_equal(chain_of(plan, node_called(plan, "vox1.+", 0)), "g@prog.imgql:3:11"); /* an argument's */
    assert_string_equal(chain_of(plan, node_called(plan, "vox1.+", 1)), "g@prog.imgql:3:11");
    assert_string_equal(chain_of(plan, node_called(plan, "vox1./", 1)), "f@prog.imgql:4:15");
    assert_string_equal(chain_of(plan, node_called(plan, "vox1.*", 0)), "");
    loom_plan_free(plan);
}

static void the_first_call_counts(void **state) {
    (void)state;
    loom_plan *plan = plan_of("f(a) = a / 2\ng(a) = f(a)\nprint \"p\" f(1)\nprint \"q\" g(1)\n");
    assert_int_equal(loom_plan_goal(plan, 0)->node, loom_plan_goal(plan, 1)->node);
    assert_string_equal(chain_of(plan, node_called(plan, "vox1./", 0)), "f@prog.imgql:3:11");
    loom_plan_free(plan);
}

static void library_functions_are_functions(void **state) {
    (void)state;
    loom_plan *plan = plan_of("import \"vox1\"\nf(a) = 1 .-. a\nprint \"p\" f(2)\n");
    assert_string_equal(chain_of(plan, node_called(plan, "vox1.num_sub", 0)), ".-.@prog.imgql:2:8 f@prog.imgql:3:11");
    const loom_node *node = loom_plan_node(plan, node_called(plan, "vox1.num_sub", 0));
    assert_string_equal(node->position.file, "prog.imgql"); /* the user's text, not the library's */
    assert_int_equal(node->position.line, 2);
    loom_plan_free(plan);
}

/* An item is made when the loop is long over: its function was called where the loop stands. */
static void items_of_loops(void **state) {
    (void)state;
    const char *expected = "f@prog.imgql:2:29 g@prog.imgql:3:11";
    loom_plan *plan = plan_of("f(a) = a / 2\ng(k) = for i in range(k) do f(i)\nprint \"p\" g(3)\n");
    assert_string_equal(chain_of(plan, item_of_goal(plan, 1)), expected);
    assert_string_equal(chain_of(plan, item_of_goal(plan, 2)), expected);
    loom_plan_free(plan);
    plan = plan_of("f(a) = a / 2\ng(k) = map(f, range(k))\nprint \"p\" g(3)\n");
    assert_string_equal(chain_of(plan, item_of_goal(plan, 1)), "f@prog.imgql:2:12 g@prog.imgql:3:11");
    loom_plan_free(plan);
    plan = plan_of("g(k) = for i in range(k) do i / 2\nprint \"p\" g(3)\n");
    assert_string_equal(chain_of(plan, item_of_goal(plan, 1)), "g@prog.imgql:2:11");
    loom_plan_free(plan);
}

/* A call of a body that is reduced for each item is one call, however many items there are. */
static void items_share_their_calls(void **state) {
    (void)state;
    loom_plan *plan = plan_of("h(a) = a / 2\nf(a) = h(a) + 1\nprint \"p\" for i in range(9) do f(i)\n");
    uint32_t first = loom_plan_node(plan, item_of_goal(plan, 0))->position.calls;
    assert_true(first > 0);
    for (int i = 1; i < 100; i++)
        assert_int_equal(loom_plan_node(plan, item_of_goal(plan, i))->position.calls, first);
    loom_call_site site;
    assert_true(loom_plan_call_site(plan, 2, &site)); /* f and h */
    assert_false(loom_plan_call_site(plan, 3, &site));
    loom_plan_free(plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_outside_functions_has_none),
        cmocka_unit_test(calls_within_calls),
        cmocka_unit_test(the_first_call_counts),
        cmocka_unit_test(library_functions_are_functions),
        cmocka_unit_test(items_of_loops),
        cmocka_unit_test(items_share_their_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
