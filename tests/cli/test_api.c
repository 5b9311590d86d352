/* test_api.c - libvoxloom as a host program sees it: linked against the shared library, through <voxloom.h> alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <voxloom.h>

static loom_runtime *open_in_memory(void) {
    static const char *const settings[] = {"workers.pin=false"};
    char worker[4096];
    const char *build = getenv("VOXLOOM_BUILD");
    assert_non_null(build);
    snprintf(worker, sizeof worker, "%s/voxloom-worker", build);
    const loom_runtime_options options = {.size = sizeof options,
                                          .store_path = ":memory:",
                                          .workers = 1,
                                          .settings = settings,
                                          .setting_count = 1,
                                          .worker_program = worker};
    loom_runtime *runtime = NULL;
    loom_error err = {0};
    if (loom_runtime_open(&options, &runtime, &err) != LOOM_OK) fail_msg("%s", err.message);
    return runtime;
}

static void test_version(void **state) {
    (void)state;
    assert_string_equal(loom_version(), LOOM_VERSION);
    assert_string_equal(loom_status_name(LOOM_BAD_SYNTAX), "LOOM_BAD_SYNTAX");
}

static void test_run_text(void **state) {
    (void)state;
    loom_runtime *runtime = open_in_memory();
    char *printed = NULL;
    size_t length = 0;
    FILE *prints = open_memstream(&printed, &length);
    loom_report *report = NULL;
    loom_error err = {0};
    static const char program[] = "print \"sum\" 1 + 2\n";
    loom_status status = loom_runtime_run_text(runtime, "sum.imgql", program, strlen(program), prints, &report, &err);
    if (status != LOOM_OK) fail_msg("%s", err.message);
    assert_int_equal(fclose(prints), 0);
    assert_string_equal(printed, "sum=3.0\n");
    assert_non_null(report);
    const char *json = loom_report_json(report);
    assert_non_null(strstr(json, "\"operation\": \"print\""));
    assert_non_null(strstr(json, "\"name\": \"sum\""));
    assert_non_null(strstr(json, "\"status\": \"ok\""));
    assert_non_null(strstr(json, "\"error\": null"));
    assert_non_null(strstr(json, "\"store\": \":memory:\""));
    loom_report_free(report);
    free(printed);
    loom_runtime_close(runtime);
}

static void test_errors(void **state) {
    (void)state;
    loom_runtime *runtime = open_in_memory();
    loom_report *report = (loom_report *)1;
    loom_error err = {0};
    static const char program[] = "x = 1\nprint \"y\" yy\n";
    assert_int_equal(loom_runtime_run_text(runtime, "wrong.imgql", program, strlen(program), NULL, &report, &err),
                     LOOM_BAD_PROGRAM);
    assert_null(report);
    assert_string_equal(err.file, "wrong.imgql");
    assert_int_equal(err.line, 2);
    memset(&err, 0, sizeof err);
    assert_int_equal(loom_runtime_run_file(runtime, "/nowhere/x.imgql", NULL, NULL, &err), LOOM_NOT_FOUND);
    assert_non_null(strstr(err.message, "/nowhere/x.imgql"));
    loom_runtime_stop(runtime); /* between runs: no effect */
    static const char fine[] = "print \"x\" 1\n";
    assert_int_equal(loom_runtime_run_text(runtime, "fine.imgql", fine, strlen(fine), NULL, NULL, NULL), LOOM_OK);
    loom_runtime_close(runtime);
}

static void test_options_are_checked(void **state) {
    (void)state;
    loom_runtime *runtime = (loom_runtime *)1;
    loom_error err = {0};
    loom_runtime_options options = {.size = 3};
    assert_int_equal(loom_runtime_open(&options, &runtime, &err), LOOM_BAD_ARGUMENT);
    assert_null(runtime);
    static const char *const settings[] = {"io.ring=fast"};
    options = (loom_runtime_options){.size = sizeof options, .settings = settings, .setting_count = 1};
    memset(&err, 0, sizeof err);
    assert_int_equal(loom_runtime_open(&options, &runtime, &err), LOOM_BAD_CONFIG);
    assert_null(runtime);
    assert_non_null(strstr(err.message, "io.ring"));
    loom_runtime_close(NULL);
    loom_report_free(NULL);
}

int main(void) {
    setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_run_text),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
