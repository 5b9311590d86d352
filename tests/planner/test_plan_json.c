/* Plan files: round trips, and texts that are damaged, wrong or hostile. */
#include "program_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/json_read.h"
#include "planner/parser.h"

#define ONE "80d4cbcc106df22b52fd9a0dc4435b10cd838af0ea99a88b650748d1910e78f1"
#define TWO "08d0f76057fb802a770b69433a5c24e1d623ef2ed8585be315d3b030d64e934b"
#define SUM "ae53ea5ad54f9c47bbe35036c4f0e228210b920d9205b0c63a3c1daff04c28bf"
#define FIVE "95ca0ece2710c32c45f91a98aa45b3bfa339c328e2381ed5d050f9e5d4ee644e"
#define NODE_ONE "{\"id\":\"" ONE "\",\"type\":\"constant\",\"value\":1.0,\"output_kind\":\"scalar\"}"
#define NODE_TWO "{\"id\":\"" TWO "\",\"type\":\"constant\",\"value\":2.0,\"output_kind\":\"scalar\"}"
#define NODE_SUM(id, op, first, second)                                                                                \
    "{\"id\":\"" id "\",\"type\":\"operation\",\"operator\":\"" op "\",\"arguments\":{\"0\":\"" first                  \
    "\",\"1\":\"" second "\"},\"attrs\":{},\"output_kind\":\"scalar\"}"
#define PLAN(nodes, goals) "{\"nodes\":[" nodes "],\"goals\":[" goals "]}"
#define GOAL(id) "{\"operation\":\"print\",\"id\":\"" id "\",\"name\":\"g\"}"

static void small_plan(void **state) {
    (void)state;
    /* users before their arguments: any order is read */
    loom_plan *plan =
        plan_from(PLAN(NODE_SUM(SUM, "vox1.+", ONE, TWO) "," NODE_TWO "," NODE_ONE, GOAL(SUM) "," GOAL(ONE)));
    assert_int_equal(loom_plan_node_count(plan), 3);
    assert_string_equal(goal_shown(plan, 0), "vox1.+(1.0, 2.0)");
    assert_string_equal(goal_shown(plan, 1), "1.0");
    assert_int_equal(loom_plan_import_count(plan), 0);
    assert_null(loom_plan_goal(plan, 0)->position.file);
    loom_plan_free(plan);
    plan = plan_from(" { \"goals\" : [ ] , \"nodes\" : [ ] } \n");
    assert_int_equal(loom_plan_node_count(plan), 0);
    loom_plan_free(plan);
}

static void imports_are_honoured(void **state) {
    (void)state;
    loom_plan *plan = plan_from("{\"nodes\":[],\"goals\":[],\"imported_namespaces\":[\"vox1\",\"strings\"]}");
    assert_int_equal(loom_plan_import_count(plan), 2);
    assert_string_equal(loom_plan_import(plan, 0), "vox1");
    loom_plan_free(plan);
    assert_string_equal(plan_error("{\"nodes\":[],\"goals\":[],\"imported_namespaces\":[\"vox9\"]}"),
                        "plan.json:1:47: error: there is no namespace of this name\n"
                        "{\"nodes\":[],\"goals\":[],\"imported_namespaces\":[\"vox9\"]}\n"
                        "                                              ^");
}

static void assert_refused(const char *json, const char *part) {
    const char *told = plan_error(json);
    if (!strstr(told, part)) fail_msg("%.300s\nrefused as %s\nexpected   %s", json, told, part);
}

static void wrong_ids(void **state) {
    (void)state;
    assert_refused(PLAN(NODE_ONE "," NODE_TWO "," NODE_SUM(SUM, "vox1.-", ONE, TWO), GOAL(SUM)),
                   "does not belong to this node");
    assert_refused(PLAN(NODE_ONE "," NODE_TWO "," NODE_SUM(SUM, "vox1.+", TWO, ONE), ""),
                   "does not belong to this node");
    assert_refused(PLAN("{\"id\":\"" ONE "\",\"type\":\"constant\",\"value\":1,\"output_kind\":\"scalar\"}", ""),
                   "does not belong to this node");
    assert_refused(PLAN("{\"id\":\"80d4\",\"type\":\"constant\",\"value\":1.0,\"output_kind\":\"scalar\"}", ""),
                   "plan.json:1:17: error: this is not an id");
    assert_refused(PLAN(NODE_ONE "," NODE_ONE, ""), "two nodes have this id");
}

static void missing_and_cyclic(void **state) {
    (void)state;
    assert_refused(PLAN(NODE_ONE "," NODE_SUM(SUM, "vox1.+", ONE, TWO), ""), "there is no node of this id");
    assert_refused(PLAN(NODE_ONE, GOAL(TWO)), "there is no node of this id");
    assert_refused(PLAN(NODE_SUM(SUM, "vox1.+", SUM, SUM), ""), "part of a cycle");
    assert_refused(PLAN(NODE_SUM(SUM, "vox1.+", ONE, ONE) "," NODE_SUM(ONE, "vox1.+", SUM, SUM), ""),
                   "part of a cycle");
}

static void wrong_shapes(void **state) {
    (void)state;
    assert_refused("", "the text ends too early");
    assert_refused("[]", "a plan should be an object, not an array");
    assert_refused("{}", "the key \"nodes\" is missing");
    assert_refused("{\"nodes\":[]}", "the key \"goals\" is missing");
    assert_refused("{\"nodes\":{},\"goals\":[]}", "nodes should be an array, not an object");
    assert_refused(PLAN("3", ""), "a node should be an object, not a number");
    assert_refused(PLAN("{}", ""), "the key \"id\" is missing");
    assert_refused(PLAN("{\"id\":3}", ""), "id should be a string, not a number");
    assert_refused(PLAN("{\"id\":\"" ONE "\"}", ""), "the key \"type\" is missing");
    assert_refused(PLAN("{\"id\":\"" ONE "\",\"type\":\"thing\"}", ""), "should be constant, operation or closure");
    assert_refused(PLAN("{\"id\":\"" ONE "\",\"type\":\"constant\",\"output_kind\":\"scalar\"}", ""),
                   "the key \"value\" is missing");
    assert_refused(PLAN("{\"id\":\"" ONE "\",\"type\":\"constant\",\"value\":1.0,\"output_kind\":\"blue\"}", ""),
                   "this is no output kind");
    assert_refused(PLAN("{\"id\":\"" ONE "\",\"type\":\"constant\",\"value\":1.0,\"output_kind\":\"effect\"}", ""),
                   "should be scalar");
    assert_refused(PLAN(NODE_ONE "," NODE_TWO "," NODE_SUM(SUM, "vox1.none", ONE, TWO), ""),
                   "there is no operator vox1.none");
    assert_refused(PLAN(NODE_ONE "," NODE_TWO "," NODE_SUM(SUM, "loom.concat", ONE, TWO), ""),
                   "there is no operator loom.concat");
    assert_refused(PLAN(NODE_ONE "," NODE_TWO "," NODE_SUM(SUM, "vox1.near", ONE, TWO), ""),
                   "does not take so many arguments");
    assert_refused(PLAN(NODE_ONE, "3"), "a goal should be an object");
    assert_refused(PLAN(NODE_ONE, "{\"operation\":\"send\",\"id\":\"" ONE "\",\"name\":\"g\"}"),
                   "should be print or save");
    assert_refused(PLAN(NODE_ONE, "{\"operation\":\"print\",\"id\":\"" ONE "\",\"name\":\"\\u0000\"}"),
                   "a NUL character");
}

static void wrong_arguments(void **state) {
    (void)state;
#define OPERATION(arguments, attrs)                                                                                    \
    PLAN(NODE_ONE ",{\"id\":\"" SUM "\",\"type\":\"operation\",\"operator\":\"vox1.+\",\"arguments\":" arguments       \
                  ",\"attrs\":" attrs ",\"output_kind\":\"scalar\"}",                                                  \
         "")
    assert_refused(OPERATION("[]", "{}"), "arguments should be an object, not an array");
    assert_refused(OPERATION("{\"0\":\"" ONE "\",\"2\":\"" ONE "\"}", "{}"), "without gaps");
    assert_refused(OPERATION("{\"0\":\"" ONE "\",\"01\":\"" ONE "\"}", "{}"), "without gaps");
    assert_refused(OPERATION("{\"0\":\"" ONE "\",\"k\":\"" ONE "\"}", "{}"), "without gaps");
    assert_refused(OPERATION("{\"0\":\"" ONE "\",\"0\":\"" ONE "\"}", "{}"), "this key appears twice");
    assert_refused(OPERATION("{\"0\":\"" ONE "\",\"1\":3}", "{}"), "an id should be a string, not a number");
    assert_refused(OPERATION("{\"0\":\"" ONE "\",\"1\":\"" ONE "\"}", "{\"a\":1}"), "takes no attributes");
    assert_refused(OPERATION("{\"0\":\"" ONE "\",\"1\":\"" ONE "\"}", "3"), "attrs should be an object");
#undef OPERATION
}

static void malformed_text(void **state) {
    (void)state;
    static const char *const texts[] = {"{",
                                        "{\"a\"",
                                        "{\"a\":",
                                        "{\"a\":1",
                                        "{\"a\":1,}",
                                        "{a:1}",
                                        "[1,]",
                                        "[1 2]",
                                        "tru",
                                        "nul",
                                        "01",
                                        "1.",
                                        ".5",
                                        "-",
                                        "+1",
                                        "1e",
                                        "\"a",
                                        "\"\\x\"",
                                        "\"\\u12\"",
                                        "\"a\nb\"",
                                        "\"\\ud800\"",
                                        "\"\\udc00\"",
                                        "\"\\ud800\\u0041\"",
                                        "[] []",
                                        "{} x",
                                        "'a'",
                                        "NaNa",
                                        "-Inf",
                                        "]",
                                        "}",
                                        ",",
                                        "\"\xFF\"",
                                        "\xEF\xBB\xBF{}",
                                        "{\"a\":1,\"b\":2,\"a\":3}",
                                        "\"\\",
                                        "\"\\u",
                                        "[\"",
                                        "[1",
                                        "[[[["};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_non_null(strstr(plan_error(texts[i]), "plan.json:"));
    assert_string_equal(plan_error("{\n \"nodes\": [\n  nope"), "plan.json:3:3: error: this is not JSON\n  nope\n  ^");
}

static void depth_bombs(void **state) {
    (void)state;
    size_t deep = 1000000;
    char *text = malloc(deep + 64);
    assert_non_null(text);
    memset(text, '[', deep);
    text[deep] = '\0';
    assert_refused(text, "nested too deeply");
    for (size_t i = 0; i < deep / 5; i++)
        memcpy(text + 5 * i, "{\"a\":", 5);
    assert_refused(text, "nested too deeply");
    /* 3000 deep is text, but no value */
    size_t used = (size_t)sprintf(
        text,
        "{\"goals\":[],\"nodes\":[{\"id\":\"%s\",\"type\":\"constant\",\"output_kind\":\"scalar\",\"value\":", ONE);
    memset(text + used, '[', 3000);
    memset(text + used + 3000, ']', 3000);
    strcpy(text + used + 6000, "}]}");
    assert_refused(text, "nested too deeply for a value");
    free(text);
}

/* Constants of every JSON kind, with the ids that VoxLogicA-2 gives them (node_id_vectors.json). */
static void constants(void **state) {
    (void)state;
#define CONSTANT(id, value)                                                                                            \
    PLAN("{\"id\":\"" id "\",\"type\":\"constant\",\"value\":" value ",\"output_kind\":\"scalar\"}", GOAL(id))
    loom_plan_free(plan_from(CONSTANT(FIVE, "5.0")));
    loom_plan_free(plan_from(CONSTANT(FIVE, "50e-1")));
    assert_refused(CONSTANT(FIVE, "5"), "does not belong");
    loom_plan *plan =
        plan_from(CONSTANT("e06efa15eb10fb911e885a38f7ea97882ff97e5bf7b35eaafda54580cb4b9096", "Infinity"));
    assert_string_equal(goal_shown(plan, 0), "inf");
    size_t length;
    char *json = json_of(plan, &length);
    assert_non_null(strstr(json, "\"value\": Infinity,"));
    free(json);
    loom_plan_free(plan);
    assert_refused(CONSTANT(FIVE, "1180591620717411303424"), "does not fit in 64 bits");
    assert_refused(CONSTANT(FIVE, "9223372036854775808"), "does not fit in 64 bits");
    assert_refused(CONSTANT(FIVE, "-9223372036854775809"), "does not fit in 64 bits");
    assert_refused(CONSTANT(FIVE, "9223372036854775807"), "does not belong");
    assert_refused(CONSTANT(FIVE, "-9223372036854775808"), "does not belong");
#undef CONSTANT
}

#define RANGE_CLOSURE(parameter, body, names, captures)                                                                \
    PLAN(NODE_ONE ",{\"id\":\"" FIVE "\",\"type\":\"closure\",\"operator\":\"closure\",\"arguments\":{\"0\":\"" ONE    \
                  "\"},\"attrs\":{\"parameter\":" parameter ",\"body\":" body ",\"capture_names\":" names              \
                  ",\"function_captures\":" captures "},\"output_kind\":\"closure\"}",                                 \
         "")

static void closures(void **state) {
    (void)state;
    assert_refused(RANGE_CLOSURE("\"i\"", "\"i\"", "[\"k\"]", "{}"), "does not belong");
    assert_refused(RANGE_CLOSURE("3", "\"i\"", "[\"k\"]", "{}"), "parameter should be a string");
    assert_refused(RANGE_CLOSURE("\"i\"", "\"i +\"", "[\"k\"]", "{}"), "this body does not parse, at its character 3");
    assert_refused(RANGE_CLOSURE("\"i\"", "\"\"", "[\"k\"]", "{}"), "this body does not parse");
    assert_refused(RANGE_CLOSURE("\"i\"", "\"i\"", "[]", "{}"), "capture_names and arguments differ in number");
    assert_refused(RANGE_CLOSURE("\"i\"", "\"i\"", "[3]", "{}"), "a name should be a string");
    assert_refused(RANGE_CLOSURE("\"i\"", "\"i\"", "[\"k\"]", "[]"), "function_captures should be an object");
    assert_refused(RANGE_CLOSURE("\"i\"", "\"i\"", "[\"k\"]", "{\"f\":3}"), "a function record should be an object");
    assert_refused(RANGE_CLOSURE("\"i\"", "\"i\"", "[\"k\"]", "{\"f\":{}}"), "the key \"parameters\" is missing");
    assert_refused(RANGE_CLOSURE("\"i\"", "\"i\"", "[\"k\"]",
                                 "{\"f\":{\"parameters\":[],\"body\":\"1\",\"captures\":{},\"functions\":{}}}"),
                   "a function without parameters");
    assert_refused(RANGE_CLOSURE("\"i\"", "\"i\"", "[\"k\"]",
                                 "{\"f\":{\"parameters\":[\"a\"],\"body\":\"1\",\"captures\":{\"z\":\"" TWO
                                 "\"},\"functions\":{}}}"),
                   "there is no node of this id");
    assert_refused(RANGE_CLOSURE("\"i\"", "\"i\"", "[\"k\"]",
                                 "{\"f\":{\"parameters\":[\"a\"],\"body\":\"1\",\"captures\":{\"z\":\"" FIVE
                                 "\"},\"functions\":{}}}"),
                   "part of a cycle");
}

static void deep_records(void **state) {
    (void)state;
    char *text = malloc(400000), *at = text;
    assert_non_null(text);
    at += sprintf(
        at,
        "{\"goals\":[],\"nodes\":[{\"id\":\"%s\",\"type\":\"closure\",\"operator\":\"closure\",\"arguments\":{},"
        "\"output_kind\":\"closure\",\"attrs\":{\"parameter\":\"i\",\"body\":\"i\",\"capture_names\":[],"
        "\"function_captures\":",
        FIVE);
    for (int i = 0; i < 1500; i++)
        at += sprintf(at, "{\"f\":{\"parameters\":[\"a\"],\"body\":\"a\",\"captures\":{},\"functions\":");
    at += sprintf(at, "{}");
    for (int i = 0; i < 1500; i++)
        at += sprintf(at, "}}");
    sprintf(at, "}}]}");
    assert_refused(text, "nest too deeply");
    free(text);
}

/* Parentheses that a plan file adds to a body must leave its printed text, which is hashed, as it is. */
static void grouped_bodies(void **state) {
    (void)state;
    loom_plan *plan = plan_of("print \"g\" for i in [1] do (for j in i do j)[0:1]");
    size_t length;
    char *json = json_of(plan, &length), *again;
    loom_plan_free(plan);
    plan = plan_from(json);
    again = json_of(plan, &length);
    assert_string_equal(again, json);
    loom_plan_free(plan);
    free(again);
    char *grouped = strstr(json, "\"(for j in i do j)[0.0:1.0]\"");
    assert_non_null(grouped);
    memcpy(grouped, "\"(for j in i do i)", 18);
    assert_refused(json, "another body than the one it stands for");
    memcpy(grouped, "\"(for j in i do )", 17);
    assert_refused(json, "this body does not parse, at its character 16");
    memcpy(grouped, "                                     ", 18);
    assert_refused(json, "plan.json:");
    free(json);
}

/* Every prefix of a good plan is refused, and nothing else happens. */
static void truncated(void **state) {
    (void)state;
    loom_plan *plan = plan_of("import \"vox1\" k = 2 f(a) = a .+. k print \"g\" for i in [1, \"\xC3\xA9\"] do f(i)");
    size_t length;
    char *json = json_of(plan, &length);
    loom_plan_free(plan);
    for (size_t cut = 0; cut < length; cut++) {
        char *part = malloc(cut + 1);
        assert_non_null(part);
        memcpy(part, json, cut);
        part[cut] = '\0';
        (void)plan_error(part);
        free(part);
    }
    free(json);
}

/* A change of any one byte is refused or leaves the plan's meaning: ids are checked. */
static void flipped(void **state) {
    (void)state;
    loom_plan *plan = plan_of("print \"g\" [1 + 2]");
    size_t length;
    char *json = json_of(plan, &length);
    loom_plan_free(plan);
    char *ids = strstr(json, "\"goals\"");
    assert_non_null(ids);
    for (char *at = json; at < ids; at++) {
        char old = *at;
        if (old == ' ' || old == '\n') continue;
        *at = (char)(old == 'z' ? 'y' : 'z');
        (void)plan_error(json);
        *at = old;
    }
    free(json);
}

static char *written(const loom_plan *plan, loom_status (*write)(const loom_plan *, FILE *, loom_error *)) {
    char *text = NULL;
    size_t length;
    loom_error err = {0};
    FILE *stream = open_memstream(&text, &length);
    assert_non_null(stream);
    assert_int_equal(write(plan, stream, &err), LOOM_OK);
    fclose(stream);
    return text;
}

static void dot(void **state) {
    (void)state;
    loom_plan *plan = plan_from(PLAN(NODE_ONE "," NODE_TWO "," NODE_SUM(SUM, "vox1.+", ONE, TWO), GOAL(SUM)));
    char *text = written(plan, loom_plan_write_dot);
    assert_string_equal(text, "digraph {\n  \"" TWO "\" [label=\"const: 2.0\"]\n  \"" ONE
                              "\" [label=\"const: 1.0\"]\n  \"" SUM "\" [label=\"vox1.+\"]\n  \"" ONE "\" -> \"" SUM
                              "\";\n  \"" TWO "\" -> \"" SUM "\";\n}\n");
    free(text);
    loom_plan_free(plan);
    plan = plan_of("print \"g\" [true, \"it's\", \"a\\\"b\", for i in [1] do i]");
    text = written(plan, loom_plan_write_dot);
    assert_non_null(strstr(text, "[label=\"const: True\"]"));
    assert_non_null(strstr(text, "[label=\"const: \\\"it's\\\"\"]"));
    assert_non_null(strstr(text, "[label=\"const: 'a\\\\\\\\\\\"b'\"]"));
    assert_non_null(strstr(text, "[label=\"closure(i)\"]"));
    free(text);
    loom_plan_free(plan);
}

static void text_for_people(void **state) {
    (void)state;
    loom_plan *plan = plan_from(PLAN(NODE_ONE "," NODE_TWO "," NODE_SUM(SUM, "vox1.+", ONE, TWO), GOAL(SUM)));
    char *text = written(plan, loom_plan_write_text);
    assert_string_equal(text, "%0 = 1.0\n%1 = 2.0\n%2 = vox1.+(%0, %1)\nprint \"g\" %2\n");
    free(text);
    loom_plan_free(plan);
    plan = plan_of("k = 2\nprint \"g\" fold + (for i in [k] do i + k)");
    text = written(plan, loom_plan_write_text);
    assert_non_null(strstr(text, "= \\i -> +(i,k) with k = %"));
    assert_non_null(strstr(text, "= default.fold[+](%"));
    assert_non_null(strstr(text, "   # prog.imgql:2:11\n"));
    free(text);
    loom_plan_free(plan);
}

static void write_errors(void **state) {
    (void)state;
    loom_plan *plan = plan_of("print \"g\" 1");
    loom_error err = {0};
    FILE *full = fopen("/dev/full", "w");
    if (full) {
        assert_int_equal(loom_plan_write_json(plan, full, &err), LOOM_NO_SPACE);
        assert_int_equal(loom_plan_write_dot(plan, full, &err), LOOM_NO_SPACE);
        assert_int_equal(loom_plan_write_text(plan, full, &err), LOOM_NO_SPACE);
        fclose(full);
    }
    loom_id parent = {{1}};
    loom_value value = loom_float(1);
    loom_node_index item;
    assert_int_equal(loom_plan_item(plan, &parent, 0, &value, &item, &err), LOOM_OK);
    FILE *null = fopen("/dev/null", "w");
    assert_non_null(null);
    assert_int_equal(loom_plan_write_json(plan, null, &err), LOOM_UNSUPPORTED);
    fclose(null);
    loom_plan_free(plan);
}

/* The variables that say where a program lay are written only where they are used. */
static void unused_program_variables(void **state) {
    (void)state;
    size_t length;
    loom_plan *plan = plan_of("print \"g\" 1");
    char *json = json_of(plan, &length);
    assert_null(strstr(json, "prog.imgql"));
    free(json);
    loom_plan_free(plan);
    plan = plan_of("print \"g\" $file");
    json = json_of(plan, &length);
    assert_non_null(strstr(json, "prog.imgql"));
    free(json);
    loom_plan_free(plan);
    plan = plan_of("print \"g\" for i in [1] do concat($stem, i)");
    json = json_of(plan, &length);
    assert_non_null(strstr(json, "\"value\": \"prog\""));
    free(json);
    loom_plan_free(plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_plan),
        cmocka_unit_test(imports_are_honoured),
        cmocka_unit_test(wrong_ids),
        cmocka_unit_test(missing_and_cyclic),
        cmocka_unit_test(wrong_shapes),
        cmocka_unit_test(wrong_arguments),
        cmocka_unit_test(malformed_text),
        cmocka_unit_test(depth_bombs),
        cmocka_unit_test(constants),
        cmocka_unit_test(closures),
        cmocka_unit_test(deep_records),
        cmocka_unit_test(grouped_bodies),
        cmocka_unit_test(truncated),
        cmocka_unit_test(flipped),
        cmocka_unit_test(dot),
        cmocka_unit_test(text_for_people),
        cmocka_unit_test(write_errors),
        cmocka_unit_test(unused_program_variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
