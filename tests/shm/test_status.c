/* test_status.c - the status table, and what users see of an error. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shm/status.h"

static void every_status_has_a_distinct_name_and_message(void **state) {
    (void)state;
    static const struct {
        loom_status status;
        const char *name, *message;
    } table[] = {
#define ROW(name, value, text) {name, #name, text},
        LOOM_STATUS_LIST(ROW)
#undef ROW
    };
    size_t count = sizeof table / sizeof table[0];
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(loom_status_name(table[i].status), table[i].name);
        assert_string_equal(loom_status_message(table[i].status), table[i].message);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(table[i].status, table[j].status);
            assert_string_not_equal(table[i].message, table[j].message);
        }
    }
    assert_non_null(loom_status_name((loom_status)9999));
    assert_non_null(loom_status_message((loom_status)9999));
}

/* The values are part of the C API: this list must never change, only grow. */
static void values_are_frozen(void **state) {
    (void)state;
    assert_int_equal(LOOM_OK, 0);
    assert_int_equal(LOOM_BAD_INPUT, 9);
    assert_int_equal(LOOM_CORRUPT, 12);
    assert_int_equal(LOOM_NO_SPACE, 15);
    assert_int_equal(LOOM_INTERNAL, 26);
    assert_int_equal(LOOM_OLDER_STORE, 27);
}

static void fail_returns_the_status_and_keeps_the_place(void **state) {
    (void)state;
    loom_error err;
    loom_error_clear(&err);
    loom_error_at(&err, "a.imgql", 3, 7);
    loom_error_node(&err, "vox1.near 1234");
    assert_int_equal(loom_fail(&err, LOOM_BAD_INPUT, "%s is %d", "x", 5), LOOM_BAD_INPUT);
    assert_int_equal(err.status, LOOM_BAD_INPUT);
    assert_string_equal(err.message, "x is 5");
    assert_string_equal(err.file, "a.imgql");
    assert_int_equal(err.line, 3);
    assert_int_equal(err.column, 7);
    assert_string_equal(err.node, "vox1.near 1234");
    assert_int_equal(loom_fail(NULL, LOOM_IO, "nobody listens"), LOOM_IO);
}

static void a_message_may_quote_the_one_it_replaces(void **state) {
    (void)state;
    loom_error err = {0};
    loom_fail(&err, LOOM_IO, "inner");
    loom_fail(&err, LOOM_CORRUPT, "outer: %s", err.message);
    assert_string_equal(err.message, "outer: inner");
}

static void errno_decides_the_status(void **state) {
    (void)state;
    static const struct {
        int errnum;
        loom_status status;
    } table[] = {{ENOSPC, LOOM_NO_SPACE}, {EDQUOT, LOOM_NO_SPACE},  {EACCES, LOOM_DENIED},
                 {EPERM, LOOM_DENIED},    {EROFS, LOOM_DENIED},     {ENOENT, LOOM_NOT_FOUND},
                 {EBUSY, LOOM_BUSY},      {ENOMEM, LOOM_NO_MEMORY}, {EIO, LOOM_IO}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        loom_error err = {0};
        assert_int_equal(loom_fail_errno(&err, table[i].errnum, "cannot open %s", "f"), table[i].status);
        assert_int_equal(err.status, table[i].status);
        assert_int_equal(loom_fail_errno(NULL, table[i].errnum, "x"), table[i].status);
        char expected[256];
        snprintf(expected, sizeof expected, "cannot open f: %s", strerror(table[i].errnum));
        assert_string_equal(err.message, expected);
    }
}

static void a_remedy_stays_last(void **state) {
    (void)state;
    char expected[256];
    loom_error err = {0};
    loom_fail_errno(&err, ENOENT, "cannot open f; check the path");
    snprintf(expected, sizeof expected, "cannot open f: %s; check the path", strerror(ENOENT));
    assert_string_equal(err.message, expected);
    loom_fail_errno(&err, ENOENT, "cannot open a; b; check the path");
    snprintf(expected, sizeof expected, "cannot open a; b: %s; check the path", strerror(ENOENT));
    assert_string_equal(err.message, expected);
}

static void long_text_is_cut_at_a_character(void **state) {
    (void)state;
    char text[4001];
    for (size_t i = 0; i < 4000; i += 2)
        memcpy(text + i, "\xC3\xA9", 2); /* e acute */
    text[4000] = '\0';
    loom_error err = {0};
    loom_fail(&err, LOOM_IO, "%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 2); /* 1279 is odd: half a character does not fit */
    loom_fail(&err, LOOM_IO, "x%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    loom_fail_errno(&err, ENOENT, "%s", text);
    assert_true(strlen(err.message) < sizeof err.message);
    loom_error_node(&err, text);
    assert_int_equal(strlen(err.node), sizeof err.node - 2);
    loom_error_at(&err, text, 1, 1);
    assert_int_equal(strlen(err.file), sizeof err.file - 2);
}

static void the_first_place_is_kept(void **state) {
    (void)state;
    loom_error err = {0};
    loom_error_at(&err, NULL, 4, 2);
    loom_error_at(&err, "a", 9, 9);
    assert_string_equal(err.file, "a");
    assert_int_equal(err.line, 4);
    loom_error other = {0};
    loom_error_at(&other, "a", 0, 0);
    loom_error_at(&other, "b", 5, 5); /* a line of b must not appear as a line of a */
    assert_string_equal(other.file, "a");
    assert_int_equal(other.line, 0);
    loom_error_at(&other, "a", 6, 1);
    assert_int_equal(other.line, 6);
    loom_error_node(&other, "first");
    loom_error_node(&other, "second");
    assert_string_equal(other.node, "first");
}

static void assert_prints(const loom_error *err, const char *expected) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    loom_error_print(err, out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void printing_shows_the_place_and_a_caret(void **state) {
    (void)state;
    loom_error err = {0};
    loom_fail(&err, LOOM_BAD_SYNTAX, "unexpected ')'");
    assert_prints(&err, "error: unexpected ')'\n");
    loom_error_at(&err, "p.imgql", 12, 0);
    assert_prints(&err, "p.imgql:12: error: unexpected ')'\n");
    err.column = 5;
    loom_error_excerpt(&err, "\tl\xC3\xA9t x = )\nnext line", 21);
    assert_prints(&err, "p.imgql:12:5: error: unexpected ')'\n\tl\xC3\xA9t x = )\n\t   ^\n");
    loom_error_node(&err, "vox1.+ 12ab");
    assert_prints(&err, "p.imgql:12:5: error: unexpected ')' [vox1.+ 12ab]\n\tl\xC3\xA9t x = )\n\t   ^\n");
    err.column = 4000;
    assert_prints(&err, "p.imgql:12:4000: error: unexpected ')' [vox1.+ 12ab]\n\tl\xC3\xA9t x = )\n");
}

static void printing_an_empty_message_uses_the_table(void **state) {
    (void)state;
    loom_error err = {.status = LOOM_NO_MEMORY};
    assert_prints(&err, "error: out of memory\n");
}

static void control_characters_do_not_reach_the_terminal(void **state) {
    (void)state;
    loom_error err = {0};
    loom_fail(&err, LOOM_BAD_INPUT, "bad \x1B[2Jname\x7F\n  called from f");
    loom_error_at(&err, "a\nb", 1, 0);
    assert_prints(&err, "a?b:1: error: bad ?[2Jname?\n  called from f\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_distinct_name_and_message),
        cmocka_unit_test(values_are_frozen),
        cmocka_unit_test(fail_returns_the_status_and_keeps_the_place),
        cmocka_unit_test(a_message_may_quote_the_one_it_replaces),
        cmocka_unit_test(errno_decides_the_status),
        cmocka_unit_test(a_remedy_stays_last),
        cmocka_unit_test(long_text_is_cut_at_a_character),
        cmocka_unit_test(the_first_place_is_kept),
        cmocka_unit_test(printing_shows_the_place_and_a_caret),
        cmocka_unit_test(printing_an_empty_message_uses_the_table),
        cmocka_unit_test(control_characters_do_not_reach_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
