/* Static errors: position, text, source line and caret. */
#include "program_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_error(const char *program, const char *expected) {
    const char *got = error_of(program);
    if (strcmp(got, expected) != 0) fail_msg("%s\ngave:\n%s\nexpected:\n%s", program, got, expected);
}

#define VALUE_CLASSES                                                                                                  \
    "DOLLAR_IDENTIFIER, ESCAPED_STRING, FALSE, FILTER, FOLD, FOR, IDENTIFIER, LET, LPAR, LSQB, OPERATOR, "             \
    "SIGNED_NUMBER, TRUE, UPPER_IDENTIFIER"
#define COMMAND_CLASSES "$END, DOLLAR_IDENTIFIER, IDENTIFIER, IMPORT, LET, OPERATOR, PRINT, SAVE, UPPER_IDENTIFIER"

/* Texts and positions as VoxLogicA-2 f9f69cb with lark 1.1.5 gave them, but for the two last kinds. */
static void syntax_errors(void **state) {
    (void)state;
    assert_error("x = (1 + 2", "prog.imgql:1:10: error: unexpected token end of input; expected one of: RPAR\n"
                               "x = (1 + 2\n         ^");
    assert_error("x = 1 )",
                 "prog.imgql:1:7: error: unexpected token ')'; expected one of: " COMMAND_CLASSES "\nx = 1 )\n      ^");
    assert_error("x = a\ny = b-1",
                 "prog.imgql:2:6: error: unexpected token '-1'; expected one of: " COMMAND_CLASSES "\ny = b-1\n     ^");
    assert_error("print \"\xC3\xA9\xE2\x98\x83\" )",
                 "prog.imgql:1:12: error: unexpected token ')'; expected one of: " VALUE_CLASSES
                 "\nprint \"\xC3\xA9\xE2\x98\x83\" )\n           ^");
    assert_error("x =-1", "prog.imgql:1:3: error: unexpected token '=-'; expected one of: EQUAL, LPAR\nx =-1\n  ^");
    assert_error("x = y = 3",
                 "prog.imgql:1:7: error: unexpected token '='; expected one of: $END, COLON, COMMA, DO, "
                 "DOLLAR_IDENTIFIER, ESCAPED_STRING, FALSE, FILTER, FOLD, FOR, IDENTIFIER, IMPORT, IN, LET, "
                 "LPAR, LSQB, OPERATOR, PRINT, RPAR, RSQB, SAVE, SIGNED_NUMBER, TRUE, UPPER_IDENTIFIER"
                 "\nx = y = 3\n      ^");
    assert_error("import vox1", "prog.imgql:1:8: error: unexpected token 'vox1'; expected one of: ESCAPED_STRING\n"
                                "import vox1\n       ^");
    assert_error("x = f(1,", "prog.imgql:1:8: error: unexpected token end of input; expected one of: " VALUE_CLASSES
                             "\nx = f(1,\n       ^");
    assert_error("x = s[1:2", "prog.imgql:1:9: error: unexpected token end of input; expected one of: RSQB\n"
                              "x = s[1:2\n        ^");
    assert_error("x = 1\ny 'a' 5", "prog.imgql:2:3: error: unexpected token \"'\"; expected one of: EQUAL, LPAR\n"
                                   "y 'a' 5\n  ^");
    assert_error("x = 1\ny = `", "prog.imgql:2:5: error: unexpected character '`'; names and operators are ASCII\n"
                                 "y = `\n    ^");
    assert_error("x = \"open", "prog.imgql:1:5: error: this string is not closed; end it with \" on the same line\n"
                               "x = \"open\n    ^");
}

static void not_utf8(void **state) {
    (void)state;
    assert_error("x = 1\ny = \"\xFF\"", "prog.imgql:2:6: error: byte 0xff is not UTF-8; save the program as UTF-8");
    assert_error("// \xC3", "prog.imgql:1:4: error: byte 0xc3 is not UTF-8; save the program as UTF-8");
    assert_error("\xED\xA0\x80", "prog.imgql:1:1: error: byte 0xed is not UTF-8; save the program as UTF-8");
}

static void unbound_names(void **state) {
    (void)state;
    assert_error("threshold = 1\nx = treshold",
                 "prog.imgql:2:5: error: Unbound variable 'treshold'; did you mean 'threshold'?\n"
                 "x = treshold\n    ^");
    assert_error("x = volumme(1)", "prog.imgql:1:5: error: Unbound variable 'volumme'; did you mean 'volume'?\n"
                                   "Call chain:\n  volumme at prog.imgql:1:5\nx = volumme(1)\n    ^");
    assert_error("x = qqqqqqqqqq",
                 "prog.imgql:1:5: error: Unbound variable 'qqqqqqqqqq'; declare it, or import the file "
                 "that does\nx = qqqqqqqqqq\n    ^");
    assert_error(
        "f(a) = a + wxyzw\ng(b) = f(b)\nx = 1 + g(2)",
        "prog.imgql:1:12: error: Unbound variable 'wxyzw'; declare it, or import the file that does\nCall chain:\n"
        "  + at prog.imgql:1:8\n  f at prog.imgql:2:8\n  g at prog.imgql:3:9\n  + at prog.imgql:3:5\n"
        "f(a) = a + wxyzw\n           ^");
    assert_error("x = map(wxyzw, [1])",
                 "prog.imgql:1:9: error: Unbound variable 'wxyzw'; declare it, or import the file "
                 "that does\nx = map(wxyzw, [1])\n        ^");
    assert_error("x = vox1.nearr",
                 "prog.imgql:1:5: error: Unbound variable 'vox1.nearr'; declare it, or import the file "
                 "that does\nx = vox1.nearr\n    ^");
    /* The runtime's own operators are not in the language. */
    assert_int_equal(status_of("x = loom.concat([1])"), LOOM_BAD_PROGRAM);
    /* An unused function is not looked into; its own name is not bound in it. */
    assert_int_equal(status_of("f(a) = wxyzw"), LOOM_OK);
    assert_int_equal(status_of("ffffff(a) = ffffff(a)\nx = ffffff(1)"), LOOM_BAD_PROGRAM);
}

static void arity(void **state) {
    (void)state;
    assert_error("x = near(1, 2)",
                 "prog.imgql:1:5: error: Invalid arity for 'near': Expected at most 1 arguments, got 2\n"
                 "x = near(1, 2)\n    ^");
    assert_error("x = volume",
                 "prog.imgql:1:5: error: Invalid arity for 'volume': Expected at least 1 arguments, got 0\n"
                 "x = volume\n    ^");
    assert_error(
        "f(a) = num_add(a)\nx = f(1)",
        "prog.imgql:1:8: error: Invalid arity for 'num_add': Expected at least 2 arguments, got 1\nCall chain:\n"
        "  f at prog.imgql:2:5\nf(a) = num_add(a)\n       ^");
    assert_error("x = - 1 + 2", "prog.imgql:1:5: error: Invalid arity for '-': Expected at least 2 arguments, got 1\n"
                                "Call chain:\n  + at prog.imgql:1:5\nx = - 1 + 2\n    ^");
}

static void functions(void **state) {
    (void)state;
    assert_error("f(a,b) = a\nx = f(1)",
                 "prog.imgql:2:5: error: Function 'f' expects 2 arguments but was called with 1; "
                 "it is f(a,b)\nx = f(1)\n    ^");
    assert_error("f(a,b) = a\nx = f",
                 "prog.imgql:2:5: error: Function 'f' called without arguments; it takes 2: f(a,b)\n"
                 "x = f\n    ^");
    assert_error("x = 1\ny = x(2)",
                 "prog.imgql:2:5: error: 'x' is not a function but was called with arguments; remove "
                 "them, or declare it with parameters\ny = x(2)\n    ^");
    assert_error("f(a) = a(1)\nx = f(2)", "prog.imgql:1:8: error: 'a' is not a function but was called with arguments; "
                                          "remove them, or declare it with parameters\nCall chain:\n  f at "
                                          "prog.imgql:2:5\nf(a) = a(1)\n       ^");
}

static void map_errors(void **state) {
    (void)state;
    assert_error("x = map(1, [1])", "prog.imgql:1:5: error: map first argument must be a function identifier; name a "
                                    "function, or write `for x in ... do ...`\nx = map(1, [1])\n    ^");
    assert_error("f(a) = a\nx = map(f(1), [1])",
                 "prog.imgql:2:5: error: map first argument must be a function identifier; "
                 "name a function, or write `for x in ... do ...`\n"
                 "x = map(f(1), [1])\n    ^");
    assert_error("f(a,b) = a\nx = map(f, [1])",
                 "prog.imgql:2:5: error: map function 'f' must accept exactly one argument; "
                 "it takes 2\nx = map(f, [1])\n    ^");
    assert_error("f = 1\nx = map(f, [1])",
                 "prog.imgql:2:5: error: map first argument 'f' must reference a function; it is "
                 "a value\nx = map(f, [1])\n    ^");
    assert_error("x = map(abs([1]))",
                 "prog.imgql:1:5: error: Invalid arity for 'map': Expected at least 2 arguments, got "
                 "1\nx = map(abs([1]))\n    ^");
}

static void folds(void **state) {
    (void)state;
    assert_error("x = fold % [1]",
                 "prog.imgql:1:5: error: Unsupported fold operator '%'; expected one of +, -, *, /, &&, "
                 "||, min, max\nx = fold % [1]\n    ^");
}

static void reserved_variables(void **state) {
    (void)state;
    static const char *const names[] = {"$cwd", "$dir", "$file", "$filename", "$stem"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char program[64], expected[256];
        snprintf(program, sizeof program, "%s = 3", names[i]);
        snprintf(expected, sizeof expected,
                 "prog.imgql:1:1: error: Identifier '%s' is reserved for built-in program metadata; choose another "
                 "name\n%s = 3\n^",
                 names[i], names[i]);
        assert_error(program, expected);
        snprintf(program, sizeof program, "let %s(a) = 3", names[i]);
        assert_int_equal(status_of(program), LOOM_BAD_PROGRAM);
        snprintf(program, sizeof program, "x = let %s = 3 in 4", names[i]);
        assert_int_equal(status_of(program), LOOM_BAD_PROGRAM);
        /* not checked there, as in VoxLogicA-2 */
        snprintf(program, sizeof program, "f(%s) = 3 x = for %s in [1] do 4", names[i], names[i]);
        assert_int_equal(status_of(program), LOOM_OK);
    }
    assert_int_equal(status_of("$mine = 3 x = $mine"), LOOM_OK);
}

/* Errors inside the library are shown where the user's text leads into it. */
static void library_positions(void **state) {
    (void)state;
    loom_plan *plan = plan_of("import \"vox1\"\nx = 1\nprint \"t\" touch(tt, x)");
    for (size_t i = 0; i < loom_plan_node_count(plan); i++) {
        loom_position position = loom_plan_node(plan, (loom_node_index)i)->position;
        if (position.file) assert_string_equal(position.file, "prog.imgql");
    }
    const loom_node *through = loom_plan_node(plan, loom_plan_goal(plan, 0)->node);
    assert_int_equal(through->position.line, 3);
    assert_int_equal(through->position.column, 11);
    loom_plan_free(plan);
}

/* Long lines have no excerpt; long chains are cut. */
static void long_errors(void **state) {
    (void)state;
    char *program = malloc(20000);
    assert_non_null(program);
    size_t used = (size_t)sprintf(program, "f0(x) = wxyzw\n");
    for (int i = 1; i < 200; i++)
        used += (size_t)sprintf(program + used, "f%d(x) = f%d(x)\n", i, i - 1);
    sprintf(program + used, "y = f199(1)");
    const char *told = error_of(program);
    assert_non_null(strstr(told, "\n  f11 at prog.imgql:13:10\n  ..."));
    assert_non_null(strstr(told, "prog.imgql:1:9: error: Unbound variable 'wxyzw'"));
    assert_null(strstr(told, "f100 at"));
    memset(program, ' ', 1000);
    strcpy(program + 1000, "x = )");
    assert_null(strchr(error_of(program), '\n'));
    free(program);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syntax_errors), cmocka_unit_test(not_utf8),           cmocka_unit_test(unbound_names),
        cmocka_unit_test(arity),         cmocka_unit_test(functions),          cmocka_unit_test(map_errors),
        cmocka_unit_test(folds),         cmocka_unit_test(reserved_variables), cmocka_unit_test(library_positions),
        cmocka_unit_test(long_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
