/* What is accepted and how it groups: every statement of voxlogica2.md, 1.2 to 1.6, as programs printed back. */
#include "program_test.h"

#include <stdio.h>
#include <string.h>

typedef struct example {
    const char *program;
    const char *expected; /* printed back; NULL: a syntax error */
} example;

static void check(const example *examples, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *got = printed(examples[i].program);
        bool refused = strstr(got, ": error: ") != NULL;
        if (!examples[i].expected && !refused) fail_msg("accepted: %s\nas %s", examples[i].program, got);
        if (examples[i].expected && strcmp(got, examples[i].expected) != 0)
            fail_msg("%s\ngave     %s\nexpected %s", examples[i].program, got, examples[i].expected);
    }
}

#define CHECK(...)                                                                                                     \
    static const example examples[] = {__VA_ARGS__};                                                                   \
    (void)state;                                                                                                       \
    check(examples, sizeof examples / sizeof *examples)

static void binding_strength(void **state) {
    CHECK({"x = a + b * c", "let x=*(+(a,b),c)"}, {"x = ! a & b", "let x=&(!(a),b)"},
          {"x = - x[0]", "let x=-(index(x,0.0))"}, {"x = -(x)[0]", "let x=index(-(x),0.0)"},
          {"x = +(1, 2)", "let x=+(1.0,2.0)"}, {"x = - - - y", "let x=-(-(-(y)))"},
          {"x = a + (b * c)", "let x=+(a,*(b,c))"}, {"x = ((((y))))", "let x=y"},
          {"x = !(a) & !(b)", "let x=&(!(a),!(b))"}, {"x = a - - b", "let x=-(a,-(b))"}, {"x = f(a)(b)", NULL},
          {"x = f(a)[b][c]", "let x=index(index(f(a),b),c)"});
}

static void keywords_begin_expressions_only(void **state) {
    CHECK({"x = 1 + let y = 2 in y", NULL}, {"x = 1 + (let y = 2 in y)", "let x=+(1.0,let y = 2.0 in y)"},
          {"x = - for", "let x=-(for)"},
          {"x = [let y = 1 in y, for i in s do i]", "let x=[let y = 1.0 in y,for i in s do i]"},
          {"x = f(filter i in s do i)", "let x=f(filter i in s do i)"},
          {"x = let a = 1 in let b = 2 in a", "let x=let a = 1.0 in let b = 2.0 in a"},
          {"x = for i in s do for j in t do i", "let x=for i in s do for j in t do i"});
}

static void folds(void **state) {
    CHECK({"x = fold + a - 1", "let x=fold + -(a,1.0)"}, {"x = fold + a -1", "let x=fold + a -1.0"},
          {"x = fold + a [1]", "let x=fold + index(a,1.0)"}, {"x = fold minimum xs", "let x=fold min imum xs"},
          {"x = fold max 0 s", "let x=fold max 0.0 s"}, {"x = fold + a b", "let x=fold + a b"},
          {"x = fold + fold + a b c", "let x=fold + fold + a b c"}, {"x = fold + s y = 3", NULL},
          {"x = fold + s let y = 3", NULL}, {"x = fold + s print \"y\" 3", "let x=fold + s\nprint \"y\" 3.0"},
          {"x = fold + s save \"y\" 3", "let x=fold + s\nsave \"y\" 3.0"},
          {"x = fold + s import \"y\"", "let x=fold + s\nimport y"},
          {"x = (fold + s) y = 3", "let x=fold + s\nlet y=3.0"}, {"x = [fold + s, 1]", "let x=[fold + s,1.0]"},
          {"x = s[fold + s:2]", "let x=s[fold + s:2.0]"}, {"x = let y = fold + s in y", "let x=let y = fold + s in y"},
          {"x = for i in fold + s do i", "let x=for i in fold + s do i"}, {"x = fold + 1 (s)", "let x=fold + 1.0 s"},
          {"x = fold + s (t)", "let x=fold + s(t)"}, {"x = fold a s", NULL},
          {"x = fold + 0 for i in s do i", "let x=fold + 0.0 for i in s do i"});
}

static void lists(void **state) {
    CHECK({"x = f()", NULL}, {"f() = 1", NULL}, {"x = []", "let x=[]"}, {"x = [1,]", NULL}, {"x = [,1]", NULL},
          {"x = [1,[2],[]]", "let x=[1.0,[2.0],[]]"}, {"f(a,$b,C) = a", "let f(a,$b,C)=a"}, {"f(a,) = a", NULL},
          {"f(+) = 1", NULL}, {"x = s[]", NULL});
}

static void operator_declarations(void **state) {
    CHECK({"x = a\n+?(p,q) = p", NULL}, {"x = a\nlet +?(p,q) = p", "let x=a\nlet +?(p,q)=p"},
          {"+?(p,q) = p", "let +?(p,q)=p"}, {"+? = 3", "let +?=3.0"}, {"let N(a) = a", "let N(a)=a"},
          {"import \"y\" +?(p) = p", "import y\nlet +?(p)=p"}, {"let B+(a) = a", "let B+(a)=a"},
          {"let \\(a,b) = a", "let \\(a,b)=a"});
}

static void signs_and_numbers(void **state) {
    CHECK({"x = a-1", NULL}, {"x = a -1", NULL}, {"x = 3-1", NULL}, {"x = f(x) -1", NULL}, {"x = i+1", NULL},
          {"x = x +.5", NULL}, {"x = a - 1", "let x=-(a,1.0)"}, {"x = a-b", "let x=-(a,b)"},
          {"x = a - -1", "let x=-(a,-1.0)"}, {"x = a + -b", "let x=+(a,-(b))"}, {"x = 5.", "let x=5.0"},
          {"x = .5", "let x=0.5"}, {"x = (.5)", "let x=0.5"}, {"x = +2", "let x=2.0"}, {"x = 1e-3", "let x=0.001"},
          {"x = 4.e2", "let x=400.0"}, {"x = 1e16", "let x=1e+16"}, {"x = 1E+2", "let x=100.0"}, {"x = 5ex", NULL},
          {"x = 1.5.2", NULL}, {"x = 2.*.3", "let x=*.(2.0,3.0)"}, {"x = 2 .* .3", "let x=.*(2.0,0.3)"},
          {"x = 1e999", "let x=inf"}, {"x = 0x1", NULL}, {"x = 1_0", "let x=_(1.0,0.0)"});
}

static void maximal_munch(void **state) {
    CHECK({"x = a >-1", "let x=>-(a,1.0)"}, {"x = a>=.5", "let x=>=.(a,5.0)"},
          {"x = xs[:-1]", "let x=index(xs,:-(1.0))"}, {"x = xs[1:-1]", "let x=index(xs,:-(1.0,1.0))"},
          {"x = xs[: -1]", "let x=xs[:-1.0]"}, {"x = xs[1 : -1]", "let x=xs[1.0:-1.0]"}, {"x = xs[:]", "let x=xs[:]"},
          {"x = xs[1:]", "let x=xs[1.0:]"}, {"x = xs[:2]", "let x=xs[:2.0]"}, {"x = a +// b", "let x=+//(a,b)"},
          {"x = a + // comment\n b", "let x=+(a,b)"}, {"x = a /// comment", "let x=a"}, {"x = a // comment", "let x=a"},
          {"x = 1;2", "let x=;(1.0,2.0)"}, {"x = a:b", NULL}, {"x = 1 = b", "let x==(1.0,b)"}, {"x = a = b", NULL},
          {"x = (a) = b", "let x==(a,b)"});
}

static void glued_equal_signs(void **state) {
    CHECK({"x =-1", NULL}, {"x=.5", NULL}, {"x==1", NULL}, {"let x=!y", NULL}, {"x = let y=-1 in y", NULL},
          {"f(a)=!a", "let f(a)=!(a)"}, {"f(a)=-1", "let f(a)=-1.0"}, {"f(a)==1", "let f(a)==(1.0)"},
          {"x=1", "let x=1.0"}, {"x=y", "let x=y"}, {"x=\"s\"", "let x=\"s\""});
}

static void names_and_operators(void **state) {
    CHECK({"x = A+B", NULL}, {"x = A + B", "let x=+(A,B)"}, {"x = X-1", NULL}, {"x = T1-2", NULL},
          {"x = A.b", "let x=A.(b)"}, {"x = FOO.bar", "let x=FOO.(bar)"}, {"x = Ab.c", "let x=Ab.c"},
          {"x = a.b.c", "let x=.(a.b,c)"}, {"x = _foo", "let x=_(foo)"},
          {"x = let _ = 1 in 2", "let x=let _ = 1.0 in 2.0"}, {"_ = 3", "let _=3.0"}, {"_foo = 3", NULL},
          {"let _foo = 3", NULL}, {"x = $foo", "let x=$foo"}, {"x = $Foo", "let x=$(Foo)"},
          {"x = $a.b", "let x=.($a,b)"}, {"x = for _i in s do 1", "let x=for _i in s do 1.0"},
          {"f(_a) = 1", "let f(_a)=1.0"}, {"x = NEG 11", NULL}, {"x = 4 SUM 9", NULL}, {"x = \xC3\xA9", NULL});
}

static void keywords_are_names_elsewhere(void **state) {
    CHECK({"for = 3", "let for=3.0"}, {"true = 3", "let true=3.0"}, {"x = 1 true = 3", NULL}, {"y = in", "let y=in"},
          {"x = for in in xs do in", "let x=for in in xs do in"}, {"let let = 3", "let let=3.0"},
          {"x = max", "let x=max"}, {"x = true", "let x=true"}, {"x = a + true", "let x=+(a,true)"},
          {"x = truest", "let x=truest"}, {"x = fold maximal xs", "let x=fold max imal xs"},
          {"x = letter y = 1 z = 2", "let x=letter\nlet y=1.0\nlet z=2.0"});
}

static void strings(void **state) {
    CHECK({"x = \"a\\nb\"", "let x=\"a\\nb\""}, {"x = \"q\\\"u\"", "let x=\"q\\\"u\""},
          {"x = \"a\\\\\"", "let x=\"a\\\\\""}, {"x = \"\"", "let x=\"\""},
          {"x = \"caf\xC3\xA9 \xE2\x98\x83\"", "let x=\"caf\xC3\xA9 \xE2\x98\x83\""}, {"x = \"a\nb\"", NULL},
          {"x = \"open", NULL}, {"x = \"open\\\"", NULL}, {"x = \"// no comment\"", "let x=\"// no comment\""});
}

static void blanks(void **state) {
    CHECK({"x\t=\f1\r\ny = 2\rz = 3", "let x=1.0\nlet y=2.0\nlet z=3.0"}, {"", ""}, {"// only a comment", ""},
          {"x=1y=2", "let x=1.0\nlet y=2.0"}, {"\xEF\xBB\xBFx = 1", NULL}, {"x = 1\v", NULL});
}

static void load_of_voxlogica_1(void **state) {
    CHECK({"load x = \"f\"", "let x=simpleitk.ReadImage(\"f\")"}, {"load = 3", "let load=3.0"},
          {"load(x) = x", "let load(x)=x"}, {"x = load(\"f\")", "let x=load(\"f\")"}, {"let load x = \"f\"", NULL},
          {"load x", NULL},
          {"load x = \"a\" load y = \"b\"", "let x=simpleitk.ReadImage(\"a\")\nlet y=simpleitk.ReadImage(\"b\")"},
          {"load\nx = \"f\"", "let x=simpleitk.ReadImage(\"f\")"}, {"x = load y = 3", "let x=load\nlet y=3.0"});
}

static void goals_and_imports(void **state) {
    CHECK({"print \"a b\" x save \"f.json\" y import \"vox1\"", "print \"a b\" x\nsave \"f.json\" y\nimport vox1"},
          {"print x", NULL}, {"import vox1", NULL}, {"print \"a\"", NULL},
          {"save \"f\" for i in s do i", "save \"f\" for i in s do i"});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binding_strength),
        cmocka_unit_test(keywords_begin_expressions_only),
        cmocka_unit_test(folds),
        cmocka_unit_test(lists),
        cmocka_unit_test(operator_declarations),
        cmocka_unit_test(signs_and_numbers),
        cmocka_unit_test(maximal_munch),
        cmocka_unit_test(glued_equal_signs),
        cmocka_unit_test(names_and_operators),
        cmocka_unit_test(keywords_are_names_elsewhere),
        cmocka_unit_test(strings),
        cmocka_unit_test(blanks),
        cmocka_unit_test(load_of_voxlogica_1),
        cmocka_unit_test(goals_and_imports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
