/* Programs that are deep, long or explosive: no stack overflow, no quadratic time. Times are not measured here; a
 * quadratic step would take minutes at these sizes. */
#include "program_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Under a sanitizer frames are larger and everything is slower: still enough for a recursive walk to overflow. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#define DEEP 20000
#else
#define DEEP 100000
#endif

/* A text under construction. */
static char *text;
static size_t used, capacity;

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void put(const char *format, ...) {
    if (capacity - used < 256) {
        capacity = capacity ? capacity * 2 : 65536;
        text = realloc(text, capacity);
        assert_non_null(text);
    }
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text + used, capacity - used, format, arguments);
    va_end(arguments);
    assert_true(length >= 0 && (size_t)length < capacity - used);
    used += (size_t)length;
}

static const char *program(void) {
    return text ? text : "";
}

static int begin(void **state) {
    (void)state;
    used = 0;
    if (text) text[0] = '\0';
    return 0;
}

static int end(void **state) {
    (void)state;
    free(text);
    return 0;
}

static void repeat(const char *piece, int times) {
    for (int i = 0; i < times; i++)
        put("%s", piece);
}

static void assert_nodes(size_t at_least) {
    loom_plan *plan = plan_of(program());
    assert_true(loom_plan_node_count(plan) >= at_least);
    loom_plan_free(plan);
}

static void parentheses(void **state) {
    (void)state;
    put("print \"g\" ");
    repeat("(", DEEP);
    put("1");
    size_t open = used;
    repeat(")", DEEP);
    loom_plan *plan = plan_of(program());
    assert_string_equal(goal_shown(plan, 0), "1.0");
    loom_plan_free(plan);
    text[used = open] = '\0';
    assert_non_null(strstr(error_of(program()), "unexpected token end of input; expected one of: RPAR"));
}

static void brackets_and_calls(void **state) {
    (void)state;
    put("x = ");
    repeat("[", DEEP);
    repeat("]", DEEP);
    put(" y = ");
    repeat("abs(", DEEP);
    put("1");
    repeat(")", DEEP);
    put(" z = x[");
    repeat("0][", DEEP);
    put("0]");
    assert_nodes(2 * DEEP);
}

static void prefix_operators(void **state) {
    (void)state;
    put("-(a) = a\nprint \"g\" ");
    repeat("- ", DEEP);
    put("(1)");
    loom_plan *plan = plan_of(program());
    assert_string_equal(goal_shown(plan, 0), "1.0");
    loom_plan_free(plan);
    text[used - 3] = '\0';
    assert_non_null(strstr(error_of(program()), "unexpected token end of input"));
}

static void infix_chain(void **state) {
    (void)state;
    put("print \"g\" 1");
    repeat(" + 1", DEEP);
    assert_nodes(DEEP);
}

static void keyword_nesting(void **state) {
    (void)state;
    put("x = let a0 = 1 in ");
    for (int i = 1; i < DEEP; i++)
        put("let a%d = a%d + 1 in ", i, i - 1);
    put("a%d", DEEP - 1);
    assert_nodes(DEEP);
    begin(NULL);
    put("x = ");
    repeat("for i in [1] do ", DEEP);
    put("i");
    assert_nodes(5);
    begin(NULL);
    put("x = ");
    repeat("fold + ", DEEP);
    put("[1]");
    assert_nodes(DEEP);
}

static void declarations(void **state) {
    (void)state;
    put("x0 = 1\n");
    for (int i = 1; i < DEEP; i++)
        put("x%d = x%d + x%d\nr = x%d\n", i, i - 1, i / 2, i);
    assert_nodes(DEEP);
}

static void redefinitions_seen_by_functions(void **state) {
    (void)state;
    put("x = 1\n");
    for (int i = 1; i < DEEP / 2; i++)
        put("f%d(a) = a + x\nlet x = f%d(%d)\n", i, i, i % 7);
    assert_nodes(DEEP / 2);
}

static void call_chain(void **state) {
    (void)state;
    put("f0(x) = x + 1\n");
    for (int i = 1; i < DEEP; i++)
        put("f%d(x) = f%d(x) + 1\n", i, i - 1);
    put("print \"g\" f%d(1)", DEEP - 1);
    assert_nodes(DEEP);
}

/* 2^200 calls, but only 200 different ones. */
static void shared_calls(void **state) {
    (void)state;
    put("f0(x) = x + 1\n");
    for (int i = 1; i < 200; i++)
        put("f%d(x) = f%d(x) + f%d(x)\n", i, i - 1, i - 1);
    put("print \"g\" f199(1)");
    assert_nodes(200);
}

static void function_records(void **state) {
    (void)state;
    put("f0(x) = x\n");
    for (int i = 1; i < 900; i++)
        put("f%d(x) = f%d(x)\n", i, i - 1);
    put("print \"g\" map(f899, [1])");
    assert_nodes(3);
    begin(NULL);
    put("f0(x) = x\n");
    for (int i = 1; i < 2000; i++)
        put("f%d(x) = f%d(x)\n", i, i - 1);
    put("print \"g\" map(f1999, [1])");
    assert_non_null(strstr(error_of(program()), "lead to too many others"));
    assert_int_equal(status_of(program()), LOOM_TOO_LARGE);
}

/* Each function calls all earlier ones: its record would have 2^60 parts. */
static void exploding_records(void **state) {
    (void)state;
    put("f0(x) = x\n");
    for (int i = 1; i < 60; i++) {
        put("f%d(x) = f0(x)", i);
        for (int k = 1; k < i; k++)
            put(" + f%d(x)", k);
        put("\n");
    }
    put("print \"g\" map(f59, [1])");
    assert_int_equal(status_of(program()), LOOM_TOO_LARGE);
}

static void long_lists(void **state) {
    (void)state;
    put("x = [0");
    for (int i = 1; i < DEEP; i++)
        put(",%d", i);
    put("]");
    assert_nodes(DEEP);
}

static void deep_bodies_round_trip(void **state) {
    (void)state;
    put("print \"g\" for i in [1] do i");
    repeat(" + i", 20000);
    loom_plan *plan = plan_of(program());
    size_t length;
    char *json = json_of(plan, &length), *again;
    loom_plan_free(plan);
    plan = plan_from(json);
    again = json_of(plan, &length);
    assert_string_equal(again, json);
    loom_plan_free(plan);
    free(json);
    free(again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(parentheses, begin),
        cmocka_unit_test_setup(brackets_and_calls, begin),
        cmocka_unit_test_setup(prefix_operators, begin),
        cmocka_unit_test_setup(infix_chain, begin),
        cmocka_unit_test_setup(keyword_nesting, begin),
        cmocka_unit_test_setup(declarations, begin),
        cmocka_unit_test_setup(redefinitions_seen_by_functions, begin),
        cmocka_unit_test_setup(call_chain, begin),
        cmocka_unit_test_setup(shared_calls, begin),
        cmocka_unit_test_setup(function_records, begin),
        cmocka_unit_test_setup(exploding_records, begin),
        cmocka_unit_test_setup(long_lists, begin),
        cmocka_unit_test_setup(deep_bodies_round_trip, begin),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
