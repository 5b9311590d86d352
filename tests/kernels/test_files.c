/* test_files.c - dir, load, ReadImage, WriteImage and loom.save in a temporary folder, and what they report as inputs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness.h"
#include "io/volume.h"
#include "runtime/kernels/files/glob.h"
#include "runtime/kernels/files/json.h"
#include "runtime/text.h"

#define S loom_string_of

static char folder[256];

static const char *in_folder(const char *name) {
    static char path[4][512];
    static unsigned turn;
    char *text = path[turn++ % 4];
    snprintf(text, sizeof path[0], "%s/%s", folder, name);
    return text;
}

static void write_text(const char *name, const char *text, size_t length) {
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void assert_repr(loom_value value, const char *expected, int line) {
    loom_buffer out = {0};
    assert_int_equal(loom_value_repr(&value, &out), LOOM_OK);
    if (out.length != strlen(expected) || memcmp(out.bytes, expected, out.length) != 0)
        fail_msg("line %d: got %.*s, want %s", line, (int)out.length, (char *)out.bytes, expected);
    loom_buffer_free(&out);
}
#define IS(expected, value) assert_repr(value, expected, __LINE__)

static loom_status refused(harness *h, const char *name, uint32_t count, const loom_value *arguments,
                           const char *part) {
    loom_value result;
    loom_status status = harness_run(h, name, arguments, count, NULL, &result);
    assert_int_not_equal(status, LOOM_OK);
    if (strstr(h->err.message, part) == NULL) fail_msg("%s: `%s` lacks `%s`", name, h->err.message, part);
    return status;
}
#define REFUSED(part, name, ...)                                                                                       \
    refused(h, name, sizeof((loom_value[]){__VA_ARGS__}) / sizeof(loom_value), (loom_value[]){__VA_ARGS__}, part)

/* ---- patterns ---- */

static void patterns(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"*", ".hidden", true},
        {"*.nii.gz", "a.nii.gz", true},
        {"*.nii", "a.nii.gz", false},
        {"?", "é", true},
        {"??", "é", false},
        {"[a-c]x", "bx", true},
        {"[!a-c]x", "bx", false},
        {"[]x", "[]x", true},
        {"[]]", "]", true},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbYbZ", false},
        {"", "", true},
        {"**", "anything", true},
        {"case_???_*", "case_001_0000.nii.gz", true},
        {"[", "[", true},
        {"*[0-9]", "a1", true},
        {"A", "a", false},
        {"[é-ü]", "ö", true},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++)
        if (loom_glob_matches(cases[k].pattern, strlen(cases[k].pattern), cases[k].name) != cases[k].matches)
            fail_msg("`%s` against `%s`", cases[k].pattern, cases[k].name);
}

/* ---- dir ---- */

static void folders(void **state) {
    harness *h = *state;
    assert_int_equal(mkdir(in_folder("sub"), 0700), 0);
    assert_int_equal(mkdir(in_folder("sub/deep"), 0700), 0);
    write_text("b.txt", "", 0);
    write_text("B.txt", "", 0);
    write_text(".h", "", 0);
    write_text("sub/b.txt", "", 0);
    write_text("sub/deep/c.txt", "", 0);
    assert_int_equal(symlink("..", in_folder("sub/up")), 0);
    loom_value root = S(folder), yes = loom_bool(true);
    IS("['.h', 'B.txt', 'b.txt', 'sub']", RUN(h, "default.dir", root));
    IS("['B.txt', 'b.txt']", RUN(h, "default.dir", root, S("*.txt")));
    IS("['B.txt', 'b.txt', 'sub/b.txt', 'sub/deep/c.txt']", RUN(h, "default.dir", root, S("*.txt"), S("Yes")));
    IS("['B.txt', 'b.txt', 'sub/b.txt', 'sub/deep/c.txt']", RUN(h, "default.dir", root, S("**/*.txt")));
    IS("['sub/b.txt']", RUN(h, "default.dir", root, S("sub/*.txt"), loom_float(0)));
    IS("['sub/b.txt']", RUN(h, "default.dir", root, S("*/b.txt")));
    IS("['sub/deep/c.txt']", RUN(h, "default.dir", root, S("sub/*/c.txt")));
    IS("['sub/b.txt']", RUN(h, "default.dir", root, S("./sub//b.txt")));
    IS("[]", RUN(h, "default.dir", root, S("nothing*")));
    char expected[600], resolved[4096];
    assert_non_null(realpath(folder, resolved));
    snprintf(expected, sizeof expected, "['%.500s/sub/b.txt']", resolved);
    IS(expected, RUN(h, "default.dir", root, S("sub/b*"), loom_bool(false), yes));
    assert_int_equal(REFUSED("check the path", "default.dir", S(in_folder("none"))), LOOM_BAD_INPUT);
    assert_int_equal(REFUSED("not a folder", "default.dir", S(in_folder("b.txt"))), LOOM_BAD_INPUT);
    assert_int_equal(REFUSED("absolute", "default.dir", root, S("/*")), LOOM_BAD_ARGUMENT);
    assert_int_equal(REFUSED("truth value", "default.dir", root, S("*"), S("maybe")), LOOM_BAD_ARGUMENT);
    write_text("bad\xff.txt", "", 0);
    assert_int_equal(REFUSED("not UTF-8", "default.dir", root), LOOM_BAD_INPUT);
    IS("['b.txt']", RUN(h, "default.dir", root, S("b.*")));
}

/* ---- inputs ---- */

static loom_status hash_file(const char *path, loom_id *content, void *context, loom_error *err) {
    (void)context;
    return loom_file_hash(path, content, NULL, err);
}

static loom_id inputs_of(harness *h, const char *name, const loom_value *arguments, uint32_t count, size_t expected) {
    const loom_operator *op = loom_operator_find(loom_operators(), name, strlen(name));
    loom_call call = {.op = op, .arguments = arguments, .argument_count = count, .arena = h->arena, .err = &h->err};
    loom_input_list list = {.arena = h->arena, .hash_file = hash_file};
    if (loom_kernel_of(op)->inputs(&call, &list) != LOOM_OK) fail_msg("%s", h->err.message);
    assert_int_equal(list.count, expected);
    return expected == 0 ? (loom_id){{0}} : list.items[0].content;
}

static void inputs_follow_content(void **state) {
    harness *h = *state;
    write_text("in.txt", "one", 3);
    loom_value file = S(in_folder("in.txt")), root[] = {S(folder), S("*.txt")};
    loom_id content = inputs_of(h, "default.load", &file, 1, 1), expected = loom_sha256("one", 3);
    assert_true(loom_id_equal(&content, &expected));
    content = inputs_of(h, "simpleitk.ReadImage", &file, 1, 1);
    assert_true(loom_id_equal(&content, &expected));
    loom_id listing = inputs_of(h, "default.dir", root, 2, 1);
    write_text("in.txt", "two", 3); /* the listing is the same */
    loom_id again = inputs_of(h, "default.dir", root, 2, 1);
    assert_true(loom_id_equal(&listing, &again));
    write_text("more.txt", "", 0);
    loom_id grown = inputs_of(h, "default.dir", root, 2, 1);
    assert_false(loom_id_equal(&listing, &grown));
    loom_value list = loom_sequence(NULL, 0), item = loom_float(1), longer = loom_sequence(&item, 1);
    content = inputs_of(h, "default.load", &list, 1, 1);
    again = inputs_of(h, "default.load", &longer, 1, 1);
    assert_false(loom_id_equal(&content, &again));
}

/* ---- load ---- */

static void texts(void **state) {
    harness *h = *state;
    static const char text[] = "a\r\nb\n\nlast";
    write_text("t.txt", text, sizeof text - 1);
    write_text("t.CSV", "1,2\n3,4\n", 8);
    write_text("t.bin", "\x00\xff", 2);
    static const char object[] =
        "{\"a\": [1, 2.5, true, null, \"\\u00e9\\ud83d\\ude00\\n\"], \"b\": -Infinity, \"a\": 3e2}";
    write_text("t.json", object, sizeof object - 1);
    IS("['a', 'b', '', 'last']", RUN(h, "default.load", S(in_folder("t.txt"))));
    IS("['1,2', '3,4']", RUN(h, "default.load", S(in_folder("t.CSV"))));
    IS("b'\\x00\\xff'", RUN(h, "default.load", S(in_folder("t.bin"))));
    IS("{'a': 300.0, 'b': -inf}", RUN(h, "default.load", S(in_folder("t.json"))));
    loom_value list = loom_sequence(NULL, 0);
    IS("[]", RUN(h, "default.load", list));
    write_text("bad.txt", "\xff", 1);
    assert_int_equal(REFUSED("UTF-8", "default.load", S(in_folder("bad.txt"))), LOOM_BAD_INPUT);
    assert_int_equal(REFUSED("check the path", "default.load", S(in_folder("none.txt"))), LOOM_BAD_INPUT);
    assert_int_equal(REFUSED("not a regular file", "default.load", S(folder)), LOOM_BAD_INPUT);
}

static void json(void **state) {
    harness *h = *state;
    static const struct {
        const char *text, *value; /* NULL: refused */
    } cases[] = {
        {" [1,-2, 0.5 ,1e3,9223372036854775808] ", "[1, -2, 0.5, 1000.0, 9.223372036854776e+18]"},
        {"\"\\\"\\\\\\/\\b\\t\"", "'\"\\\\/\\x08\\t'"},
        {"[]", "[]"},
        {"{}", "{}"},
        {"NaN", "nan"},
        {"\"\\ud800x\"", "'\xef\xbf\xbdx'"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"", NULL},
        {"[1,]", NULL},
        {"{\"a\":1,}", NULL},
        {"01", NULL},
        {"1.", NULL},
        {"\"a", NULL},
        {"\"\\x\"", NULL},
        {"[1] 2", NULL},
        {"{1:2}", NULL},
        {"tru", NULL},
        {"\"\\", NULL},
        {"\"\\u12\"", NULL},
        {"-", NULL},
        {"\"\n\"", NULL},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", NULL},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        loom_value value = loom_null();
        loom_error_clear(&h->err);
        loom_status status = loom_json_read("f.json", cases[k].text, strlen(cases[k].text), h->arena, &value, &h->err);
        if (cases[k].value == NULL) {
            if (status != LOOM_BAD_INPUT) fail_msg("`%s` was accepted", cases[k].text);
            assert_true(h->err.line == 1 || strchr(cases[k].text, '\n') != NULL);
            assert_string_equal(h->err.file, "f.json");
        } else if (status != LOOM_OK) {
            fail_msg("`%s`: %s", cases[k].text, h->err.message);
        } else {
            IS(cases[k].value, value);
        }
    }
}

/* An object of a hundred thousand members, and one whose names are all the same. */
static void large_objects(void **state) {
    harness *h = *state;
    size_t used = 0, capacity = 100000 * 16;
    char *text = loom_arena_alloc(h->arena, capacity);
    for (int same = 0; same < 2; same++) {
        used = 0;
        text[used++] = '{';
        for (int k = 0; k < 100000; k++)
            used += (size_t)snprintf(text + used, capacity - used, "%s\"%d\":%d", k == 0 ? "" : ",", same ? 7 : k, k);
        text[used++] = '}';
        loom_value value = loom_null();
        assert_int_equal(loom_json_read("f", text, used, h->arena, &value, &h->err), LOOM_OK);
        assert_int_equal(value.record.count, same ? 1 : 100000);
        assert_int_equal(value.record.fields[value.record.count - 1].value.integer, 99999);
    }
}

/* ---- images ---- */

static void images(void **state) {
    harness *h = *state;
    uint64_t size[] = {5, 4, 3};
    loom_value image = make_image(h, LOOM_I16, 3, size, 1);
    for (int k = 0; k < 60; k++)
        ((int16_t *)(uintptr_t)image.image.voxels)[k] = (int16_t)(k * 11 - 300);
    loom_value path = S(in_folder("new/folder/x.nii.gz"));
    IS("None", RUN(h, "simpleitk.WriteImage", image, path));
    loom_value back = RUN(h, "simpleitk.ReadImage", path);
    assert_int_equal(back.image.header->dtype, LOOM_I16);
    assert_true(loom_image_same_domain(back.image.header, image.image.header, NULL));
    assert_memory_equal(back.image.voxels, image.image.voxels, 120);
    IS("None", RUN(h, "loom.save", image, S(in_folder("y.nii"))));
    assert_int_equal(access(in_folder("y.nii"), R_OK), 0);
    assert_int_equal(REFUSED("suffix", "loom.save", image, S(in_folder("y.txt"))), LOOM_BAD_ARGUMENT);
    assert_int_equal(REFUSED("argument 2", "simpleitk.ReadImage", path, loom_float(8)), LOOM_UNSUPPORTED);
    assert_int_equal(RUN(h, "simpleitk.ReadImage", path, loom_float(-1), S("")).type, LOOM_IMAGE);
    loom_value none = S(in_folder("none.nii"));
    assert_int_equal(REFUSED("none.nii", "simpleitk.ReadImage", none), LOOM_BAD_INPUT);
}

static void remove_tree(void) {
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0) print_error("could not remove %s\n", folder);
}

static int setup(void **state) {
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.200s/loom-files-XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(folder) == NULL) return -1;
    *state = harness_new();
    return 0;
}

static int teardown(void **state) {
    harness_free(*state);
    remove_tree();
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns), TEST(folders), TEST(inputs_follow_content), TEST(texts), TEST(json),
        TEST(large_objects),        TEST(images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
