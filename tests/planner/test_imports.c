/* Imports: of namespaces and files, relative to two places, cycles, and what is refused. */
#include "program_test.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char home[PATH_MAX], folder[PATH_MAX];

static int enter_folder(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    if (!getcwd(home, sizeof home)) return -1;
    snprintf(folder, sizeof folder, "%s/loom-imports-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(folder) && chdir(folder) == 0 && mkdir("sub", 0700) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where) {
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static int leave_folder(void **state) {
    (void)state;
    if (chdir(home) != 0) return -1;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void assert_goals(const char *source, const char *program, const char *expected) {
    loom_plan *plan = plan_named(source, program);
    char got[1024] = "";
    for (size_t i = 0; i < loom_plan_goal_count(plan); i++) {
        size_t used = strlen(got);
        snprintf(got + used, sizeof got - used, "%s%s", i ? " ; " : "", goal_shown(plan, i));
    }
    if (strcmp(got, expected) != 0) fail_msg("%s\ngave     %s\nexpected %s", program, got, expected);
    loom_plan_free(plan);
}

static void namespaces(void **state) {
    (void)state;
    loom_plan *plan = plan_of("import \"strings\" import \"vox1\" import \"strings\" import \"default\"");
    assert_int_equal(loom_plan_import_count(plan), 3);
    assert_string_equal(loom_plan_import(plan, 0), "strings");
    assert_string_equal(loom_plan_import(plan, 1), "vox1");
    assert_string_equal(loom_plan_import(plan, 2), "default");
    loom_plan_free(plan);
    static const char *const known[] = {"arrays", "default", "geom", "nnunet", "simpleitk", "strings", "test", "vox1"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char program[64];
        snprintf(program, sizeof program, "import \"%s\"", known[i]);
        assert_int_equal(status_of(program), LOOM_OK);
    }
    assert_string_equal(
        error_of("import \"voxx\""),
        "prog.imgql:1:1: error: Unknown primitive namespace: voxx; known are arrays, default, geom, nnunet, "
        "simpleitk, strings, test, vox1. A file is imported by its full name, as in import "
        "\"voxx.imgql\"\nimport \"voxx\"\n^");
    assert_int_equal(status_of("import \"loom\""), LOOM_BAD_PROGRAM);
    assert_int_equal(status_of("import \"\""), LOOM_BAD_PROGRAM);
}

static void files(void **state) {
    (void)state;
    write_file("lib.imgql", "two = 2 f(x) = x + two print \"lib\" two");
    assert_goals("prog.imgql", "import \"lib.imgql\" import \"lib.imgql\" print \"g\" f(1)", "2.0 ; vox1.+(1.0, 2.0)");
    /* the environment is shared both ways, and commands stand where the import stands */
    assert_goals("prog.imgql", "two = 7 print \"a\" two import \"lib.imgql\" print \"b\" two", "7.0 ; 2.0 ; 2.0");
    /* another spelling of the same file is another import */
    assert_goals("prog.imgql", "import \"lib.imgql\" import \"./lib.imgql\"", "2.0 ; 2.0");
    write_file("empty.imgql", "");
    assert_goals("prog.imgql", "import \"empty.imgql\" print \"g\" 1", "1.0");
}

static void relative_to_the_importer(void **state) {
    (void)state;
    write_file("sub/outer.imgql", "import \"inner.imgql\"");
    write_file("sub/inner.imgql", "where = \"sub\"");
    assert_goals("prog.imgql", "import \"sub/outer.imgql\" print \"g\" where", "\"sub\"");
    assert_goals("sub/prog.imgql", "import \"inner.imgql\" print \"g\" where", "\"sub\"");
    write_file("inner.imgql", "where = \"cwd\"");
    assert_goals("prog.imgql", "import \"sub/outer.imgql\" print \"g\" where", "\"cwd\"");
    assert_int_equal(remove("inner.imgql"), 0);
}

static void cycles(void **state) {
    (void)state;
    write_file("a.imgql", "import \"b.imgql\" a = 1");
    write_file("b.imgql", "import \"./a.imgql\" import \"a.imgql\" b = 2");
    assert_goals("prog.imgql", "import \"a.imgql\" print \"g\" [a, b]", "default.sequence(1.0, 2.0)");
    assert_string_equal(notices, "b.imgql:1:1: ./a.imgql is being read already; this import of it is ignored\n");
    write_file("self.imgql", "s = 1 import \"./self.imgql\" import \".//self.imgql\" import \"sub/../self.imgql\"");
    assert_goals("prog.imgql", "import \"self.imgql\" print \"g\" s", "1.0");
    write_file("main.imgql", "import \"main.imgql\" print \"g\" 1");
    assert_goals("main.imgql", "import \"main.imgql\" print \"g\" 1", "1.0");
}

static void missing(void **state) {
    (void)state;
    assert_string_equal(
        error_of("x = 1\nimport \"none.imgql\""),
        "prog.imgql:2:1: error: cannot import \"none.imgql\": there is no such file in the working directory "
        "or beside the importing file; correct the name, or run from the folder that holds it\nimport "
        "\"none.imgql\"\n^");
    assert_int_equal(status_of("import \"sub/\""), LOOM_BAD_PROGRAM);
    assert_int_equal(status_of("import \"/\""), LOOM_BAD_PROGRAM);
    write_file("bad.imgql", "x = 1\ny = (2");
    assert_string_equal(error_of("import \"bad.imgql\""),
                        "bad.imgql:2:6: error: unexpected token end of input; expected one "
                        "of: RPAR\ny = (2\n     ^");
    write_file("unbound.imgql", "q = wxyzw");
    assert_string_equal(error_of("\n\nimport \"unbound.imgql\""),
                        "unbound.imgql:1:5: error: Unbound variable 'wxyzw'; declare it, or import the file that does\n"
                        "q = wxyzw\n    ^");
}

static void standard_library_of_voxlogica_1(void **state) {
    (void)state;
    assert_goals("prog.imgql", "import \"stdlib.imgql\" print \"g\" N(tt)", "vox1.near(vox1.tt())");
    assert_string_equal(notices, "prog.imgql:1:1: `import \"stdlib.imgql\"` is VoxLogicA-1 syntax; read as import "
                                 "\"vox1\"\n");
    write_file("stdlib.imgql", "N(a) = a");
    assert_goals("prog.imgql", "import \"stdlib.imgql\" print \"g\" N(1)", "1.0");
    assert_string_equal(notices, "");
    assert_int_equal(remove("stdlib.imgql"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(namespaces), cmocka_unit_test(files),   cmocka_unit_test(relative_to_the_importer),
        cmocka_unit_test(cycles),     cmocka_unit_test(missing), cmocka_unit_test(standard_library_of_voxlogica_1),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
