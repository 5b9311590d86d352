/* What programs reduce to: scoping, shadowing, output kinds, special forms, goals, program variables. */
#include "program_test.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first goal of the program, as an expression. */
static void assert_goal(const char *program, const char *expected) {
    loom_plan *plan = plan_of(program);
    const char *got = goal_shown(plan, 0);
    if (strcmp(got, expected) != 0) fail_msg("%s\ngave     %s\nexpected %s", program, got, expected);
    loom_plan_free(plan);
}

static void scoping(void **state) {
    (void)state;
    assert_goal("x = 1 f(a) = a + x let x = 2 print \"g\" f(x)", "vox1.+(2.0, 1.0)");
    assert_goal("x = 1 let x = x + x print \"g\" x", "vox1.+(1.0, 1.0)");
    assert_goal("f(a) = a let f(a) = f(a) + 1 print \"g\" f(2)", "vox1.+(2.0, 1.0)");
    assert_goal("near(a) = near(a) print \"g\" near(tt)", "vox1.near(vox1.tt())");
    assert_goal("f(a,b) = a - b print \"g\" f(1,2)", "vox1.-(1.0, 2.0)");
    assert_goal("f(a,a) = a print \"g\" f(1,2)", "2.0");
    assert_goal("x = 1 print \"g\" (let x = 2 in x) + x", "vox1.+(2.0, 1.0)");
    assert_goal("f(x) = let y = x in g(y) let g(z) = z print \"g\" 1", "1.0");
    assert_goal("index(a,b) = b print \"g\" [5][7]", "7.0");
    assert_goal("let +(a,b) = a * b print \"g\" 2 + 3", "vox1.*(2.0, 3.0)");
    assert_goal("print \"g\" x", "vox1.x()");
}

static void special_forms(void **state) {
    (void)state;
    assert_goal("!(a) = a let &&(a,b) = a let ||(a,b) = b print \"g\" !(true && false || true)",
                "default.not_compat(default.bool_or_scalar(default.bool_and_scalar(true, false), true))");
    assert_goal("map(a,b) = a print \"g\" map(abs, [1])", "default.map(default.sequence(1.0), closure())");
    assert_goal("k = 2 f(a) = a + k print \"g\" default.map(f, [1])",
                "default.map(default.sequence(1.0), closure(2.0))");
    assert_goal("print \"g\" [1,2][1:]", "default.slice(default.sequence(1.0, 2.0), 1.0, null)");
    assert_goal("print \"g\" [1,2][:]", "default.slice(default.sequence(1.0, 2.0), null, null)");
    assert_goal("print \"g\" fold + 1 ([2])", "default.fold+(1.0, default.sequence(2.0))");
    assert_goal("print \"g\" fold min [2]", "default.foldmin(default.sequence(2.0))");
    assert_goal("print \"g\" filter i in [1] do i > 0", "default.filter(default.sequence(1.0), closure())");
}

static void name_resolution(void **state) {
    (void)state;
    assert_goal("print \"g\" num_leq(1,2)", "default.num_leq(1.0, 2.0)");
    assert_goal("import \"vox1\" print \"g\" num_leq(1,2)", "default.num_leq(1.0, 2.0)");
    assert_goal("print \"g\" vox1.num_leq(1,2)", "vox1.num_leq(1.0, 2.0)");
    assert_goal("print \"g\" default.range(3)", "default.range(3.0)");
    assert_goal("print \"g\" concat(\"a\")", "strings.concat(\"a\")");
    assert_goal("let vox1.near(a) = a print \"g\" vox1.near(1)", "1.0");
}

static loom_output_kind goal_kind(const char *program) {
    loom_plan *plan = plan_of(program);
    loom_output_kind kind = loom_plan_node(plan, loom_plan_goal(plan, 0)->node)->output_kind;
    loom_plan_free(plan);
    return kind;
}

static void output_kinds(void **state) {
    (void)state;
    assert_int_equal(goal_kind("print \"g\" range(3)"), LOOM_OUT_SEQUENCE);
    assert_int_equal(goal_kind("print \"g\" default.range(3)"), LOOM_OUT_SEQUENCE);
    assert_int_equal(goal_kind("print \"g\" load(\"f\")"), LOOM_OUT_SEQUENCE);
    assert_int_equal(goal_kind("print \"g\" dir(\".\")"), LOOM_OUT_SCALAR);
    assert_int_equal(goal_kind("print \"g\" [1]"), LOOM_OUT_SEQUENCE);
    assert_int_equal(goal_kind("print \"g\" sequence(1)"), LOOM_OUT_SCALAR);
    assert_int_equal(goal_kind("print \"g\" overlay(1)"), LOOM_OUT_OVERLAY);
    assert_int_equal(goal_kind("print \"g\" [1][0:]"), LOOM_OUT_SEQUENCE);
    assert_int_equal(goal_kind("print \"g\" slice([1],0,1)"), LOOM_OUT_SCALAR);
    assert_int_equal(goal_kind("print \"g\" map(abs,[1])"), LOOM_OUT_SEQUENCE);
    assert_int_equal(goal_kind("print \"g\" fold + [1]"), LOOM_OUT_SCALAR);
}

static void goals(void **state) {
    (void)state;
    loom_plan *plan = plan_of("x = 1\nprint \"a\" x\nprint \"a\" x\n save \"f.json\" x");
    assert_int_equal(loom_plan_goal_count(plan), 3);
    assert_int_equal(loom_plan_goal(plan, 0)->node, loom_plan_goal(plan, 1)->node);
    assert_int_equal(loom_plan_goal(plan, 2)->kind, LOOM_GOAL_SAVE);
    assert_string_equal(loom_plan_goal(plan, 2)->name, "f.json");
    assert_string_equal(loom_plan_goal(plan, 2)->position.file, "prog.imgql");
    assert_int_equal(loom_plan_goal(plan, 2)->position.line, 4);
    assert_int_equal(loom_plan_goal(plan, 2)->position.column, 2);
    loom_plan_free(plan);
    plan = plan_of("");
    assert_int_equal(loom_plan_goal_count(plan), 0);
    loom_plan_free(plan);
}

static void equal_nodes_are_one(void **state) {
    (void)state;
    loom_plan *plan = plan_of("a = 1 + 2 b = 1 + 2 c = +(1.0, 2e0) print \"g\" [a,b,c,-0.0,0,1e999,1e998]");
    const loom_node *list = loom_plan_node(plan, loom_plan_goal(plan, 0)->node);
    assert_int_equal(list->arguments[0], list->arguments[1]);
    assert_int_equal(list->arguments[0], list->arguments[2]);
    assert_int_not_equal(list->arguments[3], list->arguments[4]);
    assert_int_equal(list->arguments[5], list->arguments[6]);
    for (size_t i = 0; i < loom_plan_node_count(plan); i++) {
        const loom_node *node = loom_plan_node(plan, (loom_node_index)i);
        assert_int_equal(loom_plan_find(plan, &node->id), i);
        for (uint32_t k = 0; k < node->argument_count; k++)
            assert_true(node->arguments[k] < i);
    }
    loom_plan_free(plan);
}

static void assert_variable(const char *source, const char *name, const char *expected) {
    char program[64], quoted[PATH_MAX + 32];
    snprintf(program, sizeof program, "print \"g\" %s", name);
    snprintf(quoted, sizeof quoted, "\"%s\"", expected);
    loom_plan *plan = plan_named(source, program);
    assert_string_equal(goal_shown(plan, 0), quoted);
    loom_plan_free(plan);
}

static void program_variables(void **state) {
    (void)state;
    char cwd[PATH_MAX], below[PATH_MAX + 16];
    assert_non_null(getcwd(cwd, sizeof cwd));
    snprintf(below, sizeof below, "%s/none", cwd);
    assert_variable("prog.imgql", "$cwd", cwd);
    assert_variable("prog.imgql", "$dir", cwd);
    assert_variable("prog.imgql", "$file", "prog.imgql");
    assert_variable("prog.imgql", "$stem", "prog");
    assert_variable("./prog.imgql", "$file", "prog.imgql");
    assert_variable("none/a.b.IMGQL", "$dir", below);
    assert_variable("none/../none/./a.b.IMGQL", "$dir", below);
    assert_variable("none/a.b.IMGQL", "$filename", "a.b.IMGQL");
    assert_variable("none/a.b.IMGQL", "$stem", "a.b");
    assert_variable("/nowhere/p.imgql", "$dir", "/nowhere");
    assert_variable("/p.imgql", "$dir", "/");
    assert_variable("<input>", "$stem", "program");
    assert_variable("<repl>", "$file", "<repl>");
    assert_variable("dir/prog.txt", "$dir", cwd);
    assert_variable("dir/prog.txt", "$file", "dir/prog.txt");
    assert_variable("dir/prog.txt", "$stem", "prog");
    assert_variable(".imgql", "$stem", ".imgql");
}

static void load_notice(void **state) {
    (void)state;
    loom_plan *plan = plan_of("\nload x = \"a.nii\"\nprint \"g\" x");
    assert_string_equal(goal_shown(plan, 0), "simpleitk.ReadImage(\"a.nii\")");
    assert_string_equal(notices, "prog.imgql:2:1: `load x = \"a.nii\"` is VoxLogicA-1 syntax; read as x = "
                                 "ReadImage(\"a.nii\")\n");
    loom_plan_free(plan);
    plan = plan_of("load = 3 print \"g\" load");
    assert_string_equal(goal_shown(plan, 0), "3.0");
    assert_string_equal(notices, "");
    loom_plan_free(plan);
}

/* Every operator of the library can be called with its arguments. */
static void library(void **state) {
    (void)state;
    static const char *const calls[] = {"1 ./. 2",
                                        "1 .*. 2",
                                        "1 .+. 2",
                                        "1 .-. 2",
                                        "1 .&. 2",
                                        "1 .|. 2",
                                        "!.(1)",
                                        "1 .=. 2",
                                        "1 .<=. 2",
                                        "1 .<. 2",
                                        "1 .>=. 2",
                                        "1 .>. 2",
                                        "tt & tt",
                                        "tt | tt",
                                        "!(tt)",
                                        "tt \\ tt",
                                        "1 .= x",
                                        "1 .<= x",
                                        "1 .>= x",
                                        "1 .< x",
                                        "1 .> x",
                                        "x =. 1",
                                        "x <=. 1",
                                        "x >=. 1",
                                        "x <. 1",
                                        "x >. 1",
                                        "1 ./ x",
                                        "1 .- x",
                                        "1 .* x",
                                        "1 .+ x",
                                        "x /. 1",
                                        "x -. 1",
                                        "x *. 1",
                                        "x +. 1",
                                        "N(tt)",
                                        "I(tt)",
                                        "B+(tt)",
                                        "tt ~> tt",
                                        "mayReach(tt,tt)",
                                        "touch(tt,tt)",
                                        "T(tt,tt)",
                                        "grow(tt,tt)",
                                        "surrounded(tt,tt)",
                                        "S(tt,tt)",
                                        "pdt(tt)",
                                        "distgeq(1,tt)",
                                        "distleq(1,tt)",
                                        "smoothen(tt,1)",
                                        "erode(tt,1)",
                                        "dilate(tt,1)",
                                        "imopen(tt,1)",
                                        "imclose(tt,1)",
                                        "~(x,x,1,2)",
                                        "booleanToNumber(1,tt)",
                                        "norm(1,x)",
                                        "ifB(true,tt,ff)",
                                        "ifN(true,x,y)",
                                        "maskCC(tt,tt)",
                                        "minCC(tt,tt)",
                                        "maxCC(tt,tt)",
                                        "collect(tt,tt)",
                                        "emptyB(tt)",
                                        "nemptyB(tt)",
                                        "xor(tt,tt)",
                                        "eqB(tt,tt)",
                                        "neqB(tt,tt)",
                                        "leqB(tt,tt)",
                                        "overlayB(tt,x,y)",
                                        "overlayColor(tt,x,1,2,3)",
                                        "divZ(x,y,1)"};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        char program[160];
        snprintf(program, sizeof program, "import \"vox1\" print \"g\" %s", calls[i]);
        loom_plan_free(plan_of(program));
    }
    assert_goal("import \"vox1\" print \"g\" x <. 3", "vox1.and(vox1.leq_sv(3.0, vox1.x()), "
                                                      "default.not_compat(vox1.eq_sv(3.0, vox1.x())))");
    assert_goal("import \"vox1\" print \"g\" mayReach(tt,ff)",
                "vox1.near(vox1.or(vox1.through(vox1.near(vox1.tt()), vox1.ff()), vox1.tt()))");
    assert_goal("near(a) = a import \"vox1\" print \"g\" touch(tt,ff)", "vox1.through(vox1.ff(), vox1.tt())");
    assert_goal("import \"vox1\" let near(a) = a print \"g\" touch(tt,ff)",
                "vox1.through(vox1.near(vox1.ff()), vox1.tt())");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scoping),           cmocka_unit_test(special_forms), cmocka_unit_test(name_resolution),
        cmocka_unit_test(output_kinds),      cmocka_unit_test(goals),         cmocka_unit_test(equal_nodes_are_one),
        cmocka_unit_test(program_variables), cmocka_unit_test(load_notice),   cmocka_unit_test(library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
