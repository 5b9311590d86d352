/* test_text.c - values as text against CPython 3.11: str, repr, json.dumps(indent=2), format and str.format. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"
#include "runtime/kernels/text/format.h"
#include "runtime/text.h"

#define F(v)                                                                                                           \
    { .type = LOOM_FLOAT, .number = (v) }
#define I(v)                                                                                                           \
    { .type = LOOM_INT, .integer = (v) }
#define B(v)                                                                                                           \
    { .type = LOOM_BOOL, .boolean = (v) }
#define S(v)                                                                                                           \
    {                                                                                                                  \
        .type = LOOM_STRING, .text = {.bytes = (v), .length = sizeof(v) - 1 }                                          \
    }

static const struct {
    loom_value value;
    const char *spec, *text;
} format_cases[] = {
#include "format_cases.inc"
};

static const struct {
    const char *text;
    size_t length;
    const char *repr, *json;
} repr_cases[] = {
#include "repr_cases.inc"
};

static void assert_buffer(const loom_buffer *out, const char *expected, const char *what) {
    size_t length = strlen(expected);
    if (out->length != length || (length > 0 && memcmp(out->bytes, expected, length) != 0))
        fail_msg("%s: got `%.*s`, want `%s`", what, (int)out->length, (const char *)out->bytes, expected);
}

static void format_is_pythons(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof format_cases / sizeof format_cases[0]; k++) {
        loom_buffer out = {0};
        loom_error err = {0};
        const char *spec = format_cases[k].spec, *want = format_cases[k].text;
        loom_status status = loom_format_value(&format_cases[k].value, spec, strlen(spec), &out, &err);
        char what[96];
        snprintf(what, sizeof what, "case %zu, spec `%s`", k, spec);
        if (want == NULL) {
            if (status != LOOM_BAD_ARGUMENT)
                fail_msg("%s: Python raises, this gives `%.*s`", what, (int)out.length, (char *)out.bytes);
            assert_true(err.message[0] != 0);
        } else {
            if (status != LOOM_OK) fail_msg("%s: %s; want `%s`", what, err.message, want);
            assert_buffer(&out, want, what);
        }
        loom_buffer_free(&out);
    }
}

static void text_is_quoted_as_python_does(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof repr_cases / sizeof repr_cases[0]; k++) {
        loom_value value = loom_string(repr_cases[k].text, repr_cases[k].length);
        loom_buffer repr = {0}, json = {0}, str = {0};
        assert_int_equal(loom_value_repr(&value, &repr), LOOM_OK);
        assert_buffer(&repr, repr_cases[k].repr, "repr");
        assert_int_equal(loom_value_json(&value, &json, NULL), LOOM_OK);
        assert_buffer(&json, repr_cases[k].json, "json");
        assert_int_equal(loom_value_str(&value, &str), LOOM_OK);
        assert_int_equal(str.length, repr_cases[k].length);
        loom_buffer_free(&repr);
        loom_buffer_free(&json);
        loom_buffer_free(&str);
    }
}

/* {'a': [1.0, 2, True, None, 'x'], 'b': (0.5,), 'c': [], 'd': {}} */
static void nested_values(void **state) {
    (void)state;
    loom_value list[] = {F(1.0), I(2), B(true), {.type = LOOM_NULL}, S("x")}, one[] = {F(0.5)};
    loom_value tuple = loom_sequence(one, 1);
    tuple.tuple = true;
    loom_field fields[] = {{"a", 1, loom_sequence(list, 5)},
                           {"b", 1, tuple},
                           {"c", 1, loom_sequence(NULL, 0)},
                           {"d", 1, loom_record(NULL, 0)}};
    loom_value record = loom_record(fields, 4);
    loom_buffer out = {0}, json = {0};
    assert_int_equal(loom_value_str(&record, &out), LOOM_OK);
    assert_buffer(&out, "{'a': [1.0, 2, True, None, 'x'], 'b': (0.5,), 'c': [], 'd': {}}", "str");
    assert_int_equal(loom_value_json(&record, &json, NULL), LOOM_OK);
    assert_buffer(&json,
                  "{\n  \"a\": [\n    1.0,\n    2,\n    true,\n    null,\n    \"x\"\n  ],\n  \"b\": [\n    0.5\n  ],\n"
                  "  \"c\": [],\n  \"d\": {}\n}",
                  "json");
    loom_buffer_free(&out);
    loom_buffer_free(&json);
}

static void special_numbers_bytes_and_tuples(void **state) {
    (void)state;
    loom_value bytes = loom_string("a'\n\xff", 4), items[4] = {F(NAN), F(-INFINITY), F(1e-05)};
    bytes.type = LOOM_BYTES;
    items[3] = bytes;
    loom_value tuple = loom_sequence(items, 4), numbers = loom_sequence(items, 3);
    tuple.tuple = true;
    loom_buffer out = {0}, json = {0};
    assert_int_equal(loom_value_str(&tuple, &out), LOOM_OK);
    assert_buffer(&out, "(nan, -inf, 1e-05, b\"a'\\n\\xff\")", "str");
    assert_int_equal(loom_value_json(&numbers, &json, NULL), LOOM_OK);
    assert_buffer(&json, "[\n  NaN,\n  -Infinity,\n  1e-05\n]", "json");
    loom_buffer_free(&out);
    loom_buffer_free(&json);
}

static void json_refuses_images_and_bytes(void **state) {
    harness *h = *state;
    uint64_t size[] = {2, 2};
    loom_value items[1] = {make_image(h, LOOM_U8, 2, size, 1)}, list = loom_sequence(items, 1);
    loom_buffer out = {0};
    loom_error err = {0};
    assert_int_equal(loom_value_json(&list, &out, &err), LOOM_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "an image"));
    items[0].type = LOOM_BYTES;
    assert_int_equal(loom_value_json(&list, &out, &err), LOOM_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "bytes"));
    loom_buffer_free(&out);
}

static void images_are_described(void **state) {
    harness *h = *state;
    uint64_t size[] = {4, 5, 6};
    loom_value image = make_image(h, LOOM_F32, 3, size, 1);
    loom_buffer out = {0};
    assert_int_equal(loom_value_str(&image, &out), LOOM_OK);
    assert_buffer(
        &out,
        "Image\n  PixelType: 32-bit float\n  LargestPossibleRegion: \n    Dimension: 3\n    Index: [0, 0, 0]\n"
        "    Size: [4, 5, 6]\n  Spacing: [1, 1, 1]\n  Origin: [0, 0, 0]\n  Direction: \n1 0 0\n0 1 0\n0 0 1\n",
        "image");
    loom_buffer_free(&out);
}

static void assert_text(const loom_value *value, const char *expected) {
    assert_int_equal(value->type, LOOM_STRING);
    if (value->text.length != strlen(expected) || memcmp(value->text.bytes, expected, value->text.length) != 0)
        fail_msg("got `%.*s`, want `%s`", (int)value->text.length, value->text.bytes, expected);
}

static void templates(void **state) {
    harness *h = *state;
    loom_value items[] = {loom_float(1), loom_string_of("k")}, list = loom_sequence(items, 2);
    loom_value result = RUN(h, "strings.format_string", loom_string_of("case_{:03.0f}.nii"), loom_float(7));
    assert_text(&result, "case_007.nii");
    result = RUN(h, "strings.format_string", loom_string_of("{}|{!r}|{{}}|{:>4}"), loom_float(3), loom_string_of("a"),
                 loom_string_of("b"));
    assert_text(&result, "3.0|'a'|{}|   b");
    result = RUN(h, "strings.format_string", loom_string_of("{1}{0}{1:.1f}"), loom_bool(true), loom_float(2));
    assert_text(&result, "2.0True2.0");
    result = RUN(h, "strings.format_string", loom_string_of("{:{}.{}f}"), loom_float(2.345), loom_int(8), loom_int(2));
    assert_text(&result, "    2.35");
    result = RUN(h, "strings.format_string", loom_string_of("{0[1]}{0}"), list);
    assert_text(&result, "k[1.0, 'k']");
    result = RUN(h, "strings.concat", loom_string_of("p"), loom_float(7), loom_bool(true), loom_null(), list);
    assert_text(&result, "p7.0TrueNone[1.0, 'k']");
}

static void bad_templates(void **state) {
    harness *h = *state;
    static const char *const bad[] = {"{",    "}",    "{0",     "{} {0}",      "{1}",    "{name}",
                                      "{:d}", "{!x}", "{0[9]}", "{:{}}x{:{}}", "{.real}"};
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        loom_value arguments[] = {loom_string_of(bad[k]), loom_float(1)}, result;
        loom_status status = harness_run(h, "strings.format_string", arguments, 2, NULL, &result);
        if (status != LOOM_BAD_ARGUMENT) fail_msg("`%s` was accepted", bad[k]);
        assert_true(h->err.message[0] != 0);
    }
}

static int setup(void **state) {
    *state = harness_new();
    return 0;
}

/* The line that it writes goes where the test's output goes; what it gives is the text. */
static void printing(void **state) {
    harness *h = *state;
    loom_value list[] = {loom_float(1), loom_string_of("b")};
    loom_value is = RUN(h, "default.print_primitive", loom_string_of("\"x\""), loom_sequence(list, 2));
    assert_int_equal(is.type, LOOM_STRING);
    assert_int_equal(is.text.length, strlen("x=[1.0, 'b']"));
    assert_memory_equal(is.text.bytes, "x=[1.0, 'b']", is.text.length);
    is = RUN(h, "default.print_primitive", loom_string_of("\""), loom_null());
    assert_memory_equal(is.text.bytes, "=None", is.text.length);
    is = RUN(h, "default.print_primitive", loom_int(7), loom_bool(true));
    assert_memory_equal(is.text.bytes, "7=True", is.text.length);
}

static int teardown(void **state) {
    harness_free(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_is_pythons),
        cmocka_unit_test(text_is_quoted_as_python_does),
        cmocka_unit_test(nested_values),
        cmocka_unit_test(special_numbers_bytes_and_tuples),
        cmocka_unit_test(json_refuses_images_and_bytes),
        cmocka_unit_test(images_are_described),
        cmocka_unit_test(templates),
        cmocka_unit_test(bad_templates),
        cmocka_unit_test(printing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
