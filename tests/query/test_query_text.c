/* What a query says: its grammar, its errors with their places, and its judgement of one record. */
#include <math.h>

#include "shm/query/query.h"
#include "store_support.h"

static loom_arena *arena;

static int setup(void **state) {
    (void)state;
    arena = loom_arena_new();
    return arena == NULL;
}

static int teardown(void **state) {
    (void)state;
    loom_arena_free(arena);
    return 0;
}

static loom_field field(const char *name, loom_value value) {
    return (loom_field){.name = name, .name_length = strlen(name), .value = value};
}

/* {"patient": {"age": 61, "name": "Ada", "odd name": {"x": 3}, "none": null, "smoker": false}, "modality": "flair",
 *  "scans": [{"dose": 1.5, "id": 7}, {"dose": 4, "tags": ["a", "b"]}, 9], "big": 2^53 + 1, "nan": nan, "": 1,
 *  "empty": [], "in": 5, "é": 2} */
static loom_value the_record(void) {
    static loom_field odd[1], patient[5], scan0[2], scan1[2], record[10];
    static loom_value tags[2], scans[3];
    odd[0] = field("x", loom_int(3));
    patient[0] = field("age", loom_int(61));
    patient[1] = field("name", loom_string_of("Ada"));
    patient[2] = field("odd name", loom_record(odd, 1));
    patient[3] = field("none", loom_null());
    patient[4] = field("smoker", loom_bool(false));
    scan0[0] = field("dose", loom_float(1.5));
    scan0[1] = field("id", loom_int(7));
    tags[0] = loom_string_of("a");
    tags[1] = loom_string_of("b");
    scan1[0] = field("dose", loom_int(4));
    scan1[1] = field("tags", loom_sequence(tags, 2));
    scans[0] = loom_record(scan0, 2);
    scans[1] = loom_record(scan1, 2);
    scans[2] = loom_int(9);
    record[0] = field("patient", loom_record(patient, 5));
    record[1] = field("modality", loom_string_of("flair"));
    record[2] = field("scans", loom_sequence(scans, 3));
    record[3] = field("big", loom_int((INT64_C(1) << 53) + 1));
    record[4] = field("nan", loom_float(NAN));
    record[5] = field("", loom_int(1));
    record[6] = field("empty", loom_sequence(NULL, 0));
    record[7] = field("in", loom_int(5));
    record[8] = field("\xc3\xa9", loom_int(2));
    record[9] = field("zero", loom_float(-0.0));
    return loom_record(record, 10);
}

static bool says(const char *text) {
    loom_error err = {0};
    loom_query *query;
    REQUIRE_OK(loom_query_parse(text, strlen(text), arena, &query, &err));
    loom_value record = the_record();
    return loom_query_matches(query, &record);
}

static void check_all(const char *const texts[], bool expected) {
    for (; *texts != NULL; texts++)
        if (says(*texts) != expected) fail_msg("%s: expected %s", *texts, expected ? "a match" : "no match");
}

static void matches(void **state) {
    (void)state;
    static const char *const yes[] = {
        "patient.age > 60 and modality == \"flair\"",
        "patient.age>60 and(modality=='flair')",
        "patient.age == 61.0",
        "60 < patient.age",
        "61 >= patient.age and \"flair\" == modality",
        "patient.\"odd name\".x == 3",
        "\"patient\".age == 61",
        "\"modality\" == \"flair\"",
        "'' == 1",
        "\"in\" == 5",
        "\"in\" in [4, 5]",
        "\xc3\xa9 == 2",
        "scans[0].dose < 2",
        "scans[*].dose > 3",
        "scans[*].dose < 2 and scans[ * ].dose > 3",
        "scans[1].tags[*] == \"b\"",
        "scans[*].tags contains \"a\"",
        "scans[2] == 9",
        "scans[*] == 9",
        "modality contains \"lai\" and modality startswith \"fl\" and modality contains ''",
        "modality not contains \"x\" and modality not in ['t1', 2]",
        "modality in [1, null, \"flair\"]",
        "patient.none == null and patient.smoker == false and patient.smoker != true",
        "not patient.smoker == true",
        "not (patient.age < 60 or modality == \"t1\")",
        "exists patient.none and exists scans[1] and exists patient and exists empty and not exists patient.weight",
        "not exists scans[3] and not exists scans[*].nothing and not exists empty[*] and not exists patient[0]",
        "big == 9007199254740993 and big > 9007199254740992.0 and big != 9007199254740992.0",
        "big < 9007199254740994.0 and big < 9223372036854775808.0 and big > -1e999",
        "nan != 1 and not nan == 1 and not nan < 1 and not nan >= 1 and exists nan",
        "zero == 0 and zero <= 0 and zero >= -0.0",
        "modality > \"fla\" and modality < \"flb\" and modality >= \"flair\"",
        "modality != 5 and patient.age != \"61\" and patient.smoker != 0",
        "missing == 1 or patient.age == 61",
        "modality == \"\\u0066lair\" and modality != \"\\ud83d\\ude00\"",
        "patient.age == 1\nor patient.age == 61",
        "patient.age == +61 and patient.age > -.5 and patient.age < 1e2",
        NULL};
    static const char *const no[] = {"patient.age < 61",
                                     "missing == 1",
                                     "missing != 1",
                                     "not missing == 1",
                                     "not missing != 1",
                                     "not (missing == 1 and patient.age == 61)",
                                     "missing == null",
                                     "missing in [null]",
                                     "missing contains ''",
                                     "not missing startswith ''",
                                     "not missing in []",
                                     "exists missing",
                                     "patient.age == \"61\"",
                                     "patient.smoker == 0",
                                     "patient.age < \"z\"",
                                     "modality > 1",
                                     "big == 9007199254740992.0",
                                     "big <= 9007199254740992.0",
                                     "nan < 1 or nan > 1 or nan == 1 or nan <= 1e999",
                                     "scans[0].dose == 4",
                                     "scans[*].dose != 1.5 and scans[*].dose == 2",
                                     "not scans[*].dose != 1.5",
                                     "modality in []",
                                     "patient == 1",
                                     "scans == 9",
                                     "patient.age contains \"6\"",
                                     "empty contains \"\"",
                                     "scans.dose == 4",
                                     "missing == 1 and patient.age == 61",
                                     NULL};
    check_all(yes, true);
    check_all(no, false);
}

static void refuses(const char *text, uint32_t line, uint32_t column, const char *part) {
    loom_error err = {0};
    loom_query *query;
    loom_status status = loom_query_parse(text, strlen(text), arena, &query, &err);
    if (status != LOOM_BAD_USAGE || err.line != line || err.column != column || strstr(err.message, part) == NULL)
        fail_msg("%s\n  %s %u:%u %s", text, loom_status_name(status), err.line, err.column, err.message);
    assert_null(query);
    assert_int_equal(err.status, LOOM_BAD_USAGE);
    assert_null(strchr(err.message, '\n'));
    assert_string_equal(err.file, "query");
}

static void errors_name_the_place(void **state) {
    (void)state;
    refuses("", 1, 1, "empty");
    refuses("  \n ", 1, 1, "empty");
    refuses("age >", 1, 6, "compared with");
    refuses("age = 5", 1, 5, "write ==");
    refuses("a == 1 && b == 2", 1, 8, "write and");
    refuses("a == 1 || b == 2", 1, 8, "write or");
    refuses("! a == 1", 1, 1, "write not");
    refuses("a == 1 AND b == 2", 1, 8, "lower case");
    refuses("a == 1 and", 1, 11, "ends too early");
    refuses("a == 1 and\n  b = 2", 2, 5, "write ==");
    refuses("\xc3\xa9\xc3\xa9 == 1 @", 1, 9, "means nothing");
    refuses("(a == 1", 1, 1, "not closed");
    refuses("(a == 1 b", 1, 9, "missing");
    refuses("a == 1)", 1, 7, "closes nothing");
    refuses("patient.smoker and age > 1", 1, 16, "patient.smoker");
    refuses("a < b", 1, 5, "compared with");
    refuses("1 < a < 3", 1, 7, "do not chain");
    refuses("1 == 1", 1, 6, "compared with");
    refuses("a < true", 1, 5, "no order");
    refuses("null < a", 1, 1, "no order");
    refuses("a == \"x", 1, 6, "close it");
    refuses("a == \"x\\q\"", 1, 8, "escape");
    refuses("a == \"\\ud800\"", 1, 7, "escape");
    refuses("a == 9223372036854775808", 1, 6, "64 bits");
    refuses("a == 1.2.3", 1, 6, "not a number");
    refuses("a == 12x", 1, 6, "not a number");
    refuses("a. == 1", 1, 3, "name is missing");
    refuses("a[x] == 1", 1, 2, "list");
    refuses("a[1 == 1", 1, 2, "list");
    refuses("a[99999999999] == 1", 1, 2, "list");
    refuses("a in 5", 1, 6, "list is missing");
    refuses("a in [1 2]", 1, 9, "comma");
    refuses("a in [b]", 1, 7, "list holds");
    refuses("a in [1", 1, 8, "comma");
    refuses("a contains 5", 1, 12, "quoted string");
    refuses("exists 5", 1, 8, "path is missing");
    refuses("exists", 1, 7, "path is missing");
    refuses("5", 1, 2, "literal");
    refuses("and", 1, 1, "test is missing");
    refuses("a not == 5", 1, 7, "a test is missing");
}

static void print_shows_a_caret(void **state) {
    (void)state;
    loom_error err = {0};
    loom_query *query;
    char *text = NULL;
    size_t length = 0;
    assert_int_equal(loom_query_parse("age = 5", 7, arena, &query, &err), LOOM_BAD_USAGE);
    FILE *out = open_memstream(&text, &length);
    loom_error_print(&err, out);
    fclose(out);
    assert_string_equal(text, "query:1:5: error: = means nothing here; write ==\nage = 5\n    ^\n");
    free(text);
}

static void repeated(const char *before, const char *unit, size_t count, const char *after, loom_status expected) {
    size_t length = strlen(before) + count * strlen(unit) + strlen(after);
    char *text = malloc(length + 1);
    char *at = stpcpy(text, before);
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, unit);
    strcpy(at, after);
    loom_error err = {0};
    loom_query *query;
    assert_int_equal(loom_query_parse(text, length, arena, &query, &err), expected);
    loom_value record = the_record();
    if (expected == LOOM_OK) assert_true(loom_query_matches(query, &record));
    free(text);
}

static void nesting_and_length_are_bounded(void **state) {
    (void)state;
    repeated("", "not ", 64, "patient.age == 61", LOOM_OK);
    repeated("", "not ", 65, "patient.age == 61", LOOM_BAD_USAGE);
    repeated("", "(", 65, "patient.age == 61", LOOM_BAD_USAGE);
    repeated("patient.age == 61", " and patient.age == 61", 2500, "", LOOM_OK); /* long, not deep */
    repeated("patient.age == 61", " and patient.age == 61", 5000, "", LOOM_BAD_USAGE);
    repeated("patient.age in [61", ",\"\"", 20000, "]", LOOM_OK);
    repeated("patient.age == 61 or a", ".b", 63, " == 1", LOOM_OK);
    repeated("patient.age == 61 or a", ".b", 64, " == 1", LOOM_BAD_USAGE);
}

static void paths_are_listed(void **state) {
    (void)state;
    loom_error err = {0};
    loom_query *query;
    const char *text = "scans[*].dose > 1 and patient.\"odd name\".x == 3 or scans[*].dose < 9 or missing == 2";
    REQUIRE_OK(loom_query_parse(text, strlen(text), arena, &query, &err));
    assert_int_equal(loom_query_path_count(query), 3);
    assert_string_equal(loom_query_path_text(query, 0), "scans[*].dose");
    assert_string_equal(loom_query_path_text(query, 1), "patient.\"odd name\".x");
    loom_value record = the_record();
    assert_true(loom_query_path_value(query, 0, &record)->number == 1.5);
    assert_int_equal(loom_query_path_value(query, 1, &record)->integer, 3);
    assert_null(loom_query_path_value(query, 2, &record));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(matches, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_name_the_place, setup, teardown),
        cmocka_unit_test_setup_teardown(print_shows_a_caret, setup, teardown),
        cmocka_unit_test_setup_teardown(nesting_and_length_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(paths_are_listed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
