/* test_text.c - what people read: nearest words, rounded bytes and durations, the progress line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/cli/human.h"
#include "runtime/cli/progress.h"
#include "runtime/nearest.h"

/* Of a list of one word: whether it is near enough to be meant. One edit of each kind, then too many. */
static void test_one_word(void **state) {
    (void)state;
    static const struct {
        const char *typed, *meant;
        bool near;
    } cases[] = {{"run", "run", true},         {"rum", "run", true},          {"runs", "run", true},
                 {"rn", "run", true},          {"rnu", "run", true},          {"nur", "run", false},
                 {"", "run", false},           {"topolgy", "topology", true}, {"tpolgoy", "topology", true},
                 {"tplgy", "topology", false}, {"kitten", "sitting", false},  {"phantom", "pharoah", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if ((loom_nearest(cases[i].typed, &cases[i].meant, 1) != NULL) != cases[i].near)
            fail_msg("%s for %s", cases[i].typed, cases[i].meant);
    char longer[300];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const char *const words[] = {longer};
    assert_null(loom_nearest(longer, words, 1));
}

static void test_nearest(void **state) {
    (void)state;
    static const char *const words[] = {"run", "plan", "store", "phantom"};
    assert_string_equal(loom_nearest("phantm", words, 4), "phantom");
    assert_string_equal(loom_nearest("stroe", words, 4), "store");
    assert_string_equal(loom_nearest("plan", words, 4), "plan");
    assert_null(loom_nearest("xyzzy", words, 4));
    assert_null(loom_nearest("qq", words, 4));
    assert_null(loom_nearest("run", words, 0));
}

static void test_human_bytes(void **state) {
    (void)state;
    char text[LOOM_HUMAN_BYTES];
    assert_string_equal(loom_human_bytes(0, text), "0 B");
    assert_string_equal(loom_human_bytes(1023, text), "1023 B");
    assert_string_equal(loom_human_bytes(1024, text), "1.0 KiB");
    assert_string_equal(loom_human_bytes(1536, text), "1.5 KiB");
    assert_string_equal(loom_human_bytes((1u << 20) - 1, text), "1.0 MiB");
    assert_string_equal(loom_human_bytes(UINT64_C(250) << 30, text), "250 GiB");
    assert_string_equal(loom_human_bytes(UINT64_MAX, text), "16.0 EiB");
}

static void test_human_seconds(void **state) {
    (void)state;
    char text[LOOM_HUMAN_BYTES];
    assert_string_equal(loom_human_seconds(0.00012, text), "120 us");
    assert_string_equal(loom_human_seconds(0.012, text), "12 ms");
    assert_string_equal(loom_human_seconds(1.239, text), "1.24 s");
    assert_string_equal(loom_human_seconds(99.6, text), "100 s");
    assert_string_equal(loom_human_seconds(125, text), "2 min 5 s");
    assert_string_equal(loom_human_seconds(3 * 3600 + 4 * 60 + 59, text), "3 h 4 min");
    assert_string_equal(loom_human_seconds(5 * 86400.0, text), "5 days");
}

static void test_progress_line(void **state) {
    (void)state;
    char line[256];
    loom_progress progress = {.nodes_total = 400,
                              .nodes_done = 100,
                              .nodes_reused = 40,
                              .bytes_written = 3 << 20,
                              .workers = 4,
                              .workers_busy = 3,
                              .seconds = 30};
    loom_progress_line(&progress, line, sizeof line);
    /* 60 nodes were computed in 30 s, 300 are left: 150 s. */
    assert_string_equal(line, "100/400 nodes (25%), 40 from store, 3.0 MiB written, 3/4 busy, 2 min 30 s left");
    progress.seconds = 0.5;
    loom_progress_line(&progress, line, sizeof line);
    assert_null(strstr(line, "left"));
    progress = (loom_progress){.seconds = 10};
    loom_progress_line(&progress, line, sizeof line);
    assert_string_equal(line, "0/0 nodes (0%), 0 from store, 0 B written, 0/0 busy");
}

/* Not a terminal: plain lines, at least five seconds apart, and nothing to take away. */
static void test_progress_in_a_file(void **state) {
    (void)state;
    FILE *out = tmpfile();
    assert_non_null(out);
    loom_progress_view view;
    loom_progress_begin(&view, out);
    for (int tenths = 0; tenths <= 120; tenths++) {
        const loom_progress progress = {.nodes_total = 10, .seconds = tenths / 10.0};
        loom_progress_show(&view, &progress);
    }
    loom_progress_clear(&view);
    rewind(out);
    char text[1024];
    size_t length = fread(text, 1, sizeof text - 1, out);
    text[length] = '\0';
    fclose(out);
    size_t lines = 0;
    for (const char *at = text; *at != '\0'; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 2);
    assert_null(strchr(text, '\r'));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_word),      cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_human_bytes),   cmocka_unit_test(test_human_seconds),
        cmocka_unit_test(test_progress_line), cmocka_unit_test(test_progress_in_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
