/* test_number.c - doubles as text against CPython's repr, the vectors of VoxLogicA-2, and the C library's strtod. */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shm/number.h"
#include "tests/shm/python_repr.h"

static uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void assert_repr(double value, const char *expected) {
    char text[LOOM_NUMBER_TEXT_BYTES];
    size_t length = loom_number_repr(value, text);
    assert_string_equal(text, expected);
    assert_int_equal(length, strlen(expected));
}

static void repr_equals_python(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof python_reprs / sizeof python_reprs[0]; i++)
        assert_repr(double_of(python_reprs[i].bits), python_reprs[i].text);
}

/* voxlogica2.md, section 3.1 */
static void repr_of_the_reference_table(void **state) {
    (void)state;
    assert_repr(5, "5.0");
    assert_repr(0.0001, "0.0001");
    assert_repr(1e15, "1000000000000000.0");
    assert_repr(1e-5, "1e-05");
    assert_repr(1.5e-7, "1.5e-07");
    assert_repr(1e16, "1e+16");
    assert_repr(123456789012345678.0, "1.2345678901234568e+17");
    assert_repr(5e-324, "5e-324");
    assert_repr(-0.0, "-0.0");
    assert_repr(0.0, "0.0");
    assert_repr((double)INFINITY, "inf");
    assert_repr(-(double)INFINITY, "-inf");
    assert_repr((double)NAN, "nan");
    assert_repr(-(double)NAN, "nan");
}

static bool parse(const char *text, double *value) {
    return loom_number_parse(text, strlen(text), value);
}

static void assert_parses(const char *text, double expected) {
    double value = -1;
    assert_true(parse(text, &value));
    assert_int_equal(bits_of(value), bits_of(expected));
}

static void what_repr_wrote_is_read_back(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof python_reprs / sizeof python_reprs[0]; i++)
        if (isfinite(double_of(python_reprs[i].bits)))
            assert_parses(python_reprs[i].text, double_of(python_reprs[i].bits));
}

static void spellings(void **state) {
    (void)state;
    assert_parses("5.", 5);
    assert_parses(".5", 0.5);
    assert_parses("-3", -3);
    assert_parses("+2", 2);
    assert_parses("1e-3", 0.001);
    assert_parses("1E+3", 1000);
    assert_parses("5.e1", 50);
    assert_parses("-.5e1", -5);
    assert_parses("007", 7);
    assert_parses("-0", -0.0);
    assert_parses("0", 0);
    assert_parses("9007199254740993", 9007199254740992.0); /* a tie goes to even */
    assert_parses("9007199254740993.0000001", 9007199254740994.0);
}

static void out_of_range_is_infinity_or_zero(void **state) {
    (void)state;
    static const char *const large[] = {"1e309",         "1.8e308",      "1e999999999999999999999999",
                                        "123456789e400", "0.000001e400", "179769313486231590e300"};
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        assert_parses(large[i], (double)INFINITY);
        char negative[64];
        snprintf(negative, sizeof negative, "-%s", large[i]);
        assert_parses(negative, -(double)INFINITY);
    }
    static const char *const small[] = {"1e-400",
                                        "2e-324",
                                        "123456789e-400",
                                        "0.000001e-400",
                                        "1e-99999999999999999999999999",
                                        "0e999999999999999999999",
                                        "0.0e-9999999999"};
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
        assert_parses(small[i], 0.0);
    assert_parses("-1e-400", -0.0);
    assert_parses("1.7976931348623157e308", 1.7976931348623157e308);
    assert_parses("5e-324", 5e-324);
}

/* More digits than any exponent type can count must not wrap. */
static void long_literals(void **state) {
    (void)state;
    enum { DIGITS = 5000 };
    char text[DIGITS + 16];
    memset(text, '9', DIGITS);
    strcpy(text + DIGITS, "e-4999");
    assert_parses(text, 10.0);
    text[0] = '0';
    text[1] = '.';
    memset(text + 2, '0', DIGITS - 2);
    strcpy(text + DIGITS, "1e4999");
    assert_parses(text, 1.0);
    strcpy(text + DIGITS, "1e9999");
    assert_parses(text, (double)INFINITY);
    strcpy(text + DIGITS, "1");
    assert_parses(text, 0.0);
}

static void what_is_not_a_number_is_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {"",      ".",    "+",     "-",   "e5",  "1e",    "1e+", "1e-",  "1..2",
                                        "1.2.3", " 1",   "1 ",    "--1", "+-1", "-+1",   "inf", "nan",  "Infinity",
                                        "NaN",   "0x10", "1_000", "1,5", "1f",  "1e5.5", ".e1", "1e1e1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        double value = 42;
        assert_false(parse(wrong[i], &value));
        assert_true(value == 42);
    }
    double value;
    assert_false(loom_number_parse("1\0", 2, &value));
    assert_true(loom_number_parse("12", 1, &value)); /* the length decides, not a NUL */
    assert_true(value == 1);
}

/* An independent reader: strtod of the C library, in the C locale. */
static void random_literals_equal_strtod(void **state) {
    (void)state;
    uint64_t seed = 12345;
    for (int i = 0; i < 20000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        int exponent = (int)(seed >> 40) % 340;
        char text[64];
        snprintf(text, sizeof text, "%s%llu.%llue%d", seed & 1 ? "-" : "", (unsigned long long)(seed >> 20 & 0xFFFFFF),
                 (unsigned long long)(seed >> 8), seed & 2 ? exponent : -exponent);
        assert_parses(text, strtod(text, NULL));
    }
}

static void random_doubles_round_trip(void **state) {
    (void)state;
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        double value = double_of(bits);
        if (!isfinite(value)) continue;
        char text[LOOM_NUMBER_TEXT_BYTES];
        size_t length = loom_number_repr(value, text);
        assert_true(length < LOOM_NUMBER_TEXT_BYTES);
        assert_int_equal(bits_of(strtod(text, NULL)), bits);
        assert_parses(text, value);
    }
}

static void a_locale_changes_nothing(void **state) {
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE", "it_IT.UTF-8", "fr_FR.UTF-8"};
    const char *set = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !set; i++)
        set = setlocale(LC_ALL, names[i]);
    if (!set) print_message("no locale with a decimal comma is installed: only the default one is checked\n");
    assert_repr(1.5, "1.5");
    assert_parses("1.5", 1.5);
    setlocale(LC_ALL, "C");
}

/* Every float that stands as {"value":FLOAT} in the canonical texts of ../shared/node_id_vectors.json. */
static void spellings_in_the_node_id_vectors(void **state) {
    (void)state;
    const char *shared = getenv("VOXLOOM_SHARED");
    char path[4096];
    snprintf(path, sizeof path, "%s/node_id_vectors.json", shared ? shared : "../shared");
    FILE *file = fopen(path, "rb");
    if (!file) {
        print_message("skipped: %s is not there (set VOXLOOM_SHARED)\n", path);
        skip();
    }
    static char text[1 << 20];
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    static const char mark[] = "{\\\"value\\\":";
    int floats = 0, special = 0;
    for (const char *at = strstr(text, mark); at; at = strstr(at + 1, mark)) {
        const char *start = at + strlen(mark);
        size_t size = strcspn(start, "}");
        char literal[64];
        if (size >= sizeof literal) continue;
        memcpy(literal, start, size);
        literal[size] = '\0';
        /* The canonical text writes these as JSON does in Python, repr in lower case. */
        if (strcmp(literal, "Infinity") == 0) assert_repr((double)INFINITY, "inf"), special++;
        if (strcmp(literal, "-Infinity") == 0) assert_repr(-(double)INFINITY, "-inf"), special++;
        if (strspn(literal, "0123456789.e+-") != size || !strpbrk(literal, ".e")) continue;
        double value;
        assert_true(loom_number_parse(literal, size, &value));
        assert_repr(value, literal);
        floats++;
    }
    print_message("%d floats checked\n", floats);
    assert_true(floats >= 20);
    assert_int_equal(special, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repr_equals_python),
        cmocka_unit_test(repr_of_the_reference_table),
        cmocka_unit_test(what_repr_wrote_is_read_back),
        cmocka_unit_test(spellings),
        cmocka_unit_test(out_of_range_is_infinity_or_zero),
        cmocka_unit_test(long_literals),
        cmocka_unit_test(what_is_not_a_number_is_refused),
        cmocka_unit_test(random_literals_equal_strtod),
        cmocka_unit_test(random_doubles_round_trip),
        cmocka_unit_test(a_locale_changes_nothing),
        cmocka_unit_test(spellings_in_the_node_id_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
