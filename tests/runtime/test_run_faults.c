/* Kernels that crash, refuse, or lose the bytes that they read, in real runs: see faulty_kernels.c. What ran is counted
 * in files that the kernels write. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

/* ---- crashes ---- */

static void a_kernel_that_crashes_is_tried_again(void **state) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGKILL, SIGFPE};
    scene *at = *state;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        scene_remove(at, "log");
        char *text = scene_text(at, "import \"test\"\nprint \"a\" crash(%zu, %d, 2, \"log\") + 1\n", i, signals[i]);
        outcome result = run_text(at, text, "--workers 2");
        assert_prints(&result, scene_text(at, "a=%zu.0\n", i + 1));
        assert_int_equal(scene_lines(at, "log"), 3);
        assert_int_equal(number_of(&result, "worker_deaths"), 2);
        assert_contains(result.err, scene_text(at, "signal %d", signals[i]));
    }
}

static void a_kernel_that_always_crashes_fails(void **state) {
    scene *at = *state;
    char *text = scene_text(at,
                            "import \"test\"\nf(x) = crash(x, %d, 99, \"log\")\nprint \"a\" f(4) * 2\n"
                            "print \"b\" note(2, \"other\")\n",
                            SIGSEGV);
    outcome result = run_text(at, text, "--workers 2");
    assert_int_equal(result.status, 1);
    assert_string_equal(result.out, "b=2.0\n");
    assert_int_equal(scene_lines(at, "log"), 3); /* workers.deaths_max */
    assert_contains(result.err, "program.imgql:2:8: error:");
    assert_contains(result.err, "test.crash");
    assert_contains(result.err, scene_text(at, "3 workers died running it, the last: signal %d", SIGSEGV));
}

/* ---- bytes that are gone ---- */

/* Cuts every extent file of the store off behind its first page, under those who map it. */
static void cut_extents(scene *at) {
    DIR *folder = opendir(scene_path(at, "store/extents"));
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        if (entry->d_name[0] != '.')
            assert_int_equal(truncate(scene_path(at, scene_text(at, "store/extents/%s", entry->d_name)), 4096), 0);
    closedir(folder);
}

enum { SIDE = 64 };
static uint64_t total_of_cube(unsigned n) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < SIDE * SIDE * SIDE; i++)
        sum += (n + i) % 251;
    return sum;
}

/* Starts the program, cuts its image off while a kernel has it mapped, and lets the kernel read it. */
static outcome run_with_cut(scene *at, const char *program) {
    process running = start_run(at, program, "--workers 1");
    wait_for_file(at, &running, "ready");
    cut_extents(at);
    scene_write(at, "gate", "");
    return finish(at, &running, NULL, NULL);
}

static void assert_cut_was_mended(scene *at, const outcome *result, const char *program) {
    assert_prints(result, scene_text(at, "sum=%llu.0\n", (unsigned long long)total_of_cube(3) + 1));
    assert_int_equal(scene_lines(at, "log"), 2); /* the image was computed twice, and not more often */
    assert_int_equal(number_of(result, "worker_deaths"), 1);
    assert_contains(result->err, scene_text(at, "signal %d", SIGBUS));
    assert_contains(result->err, "test.total");
    assert_contains(result->err, "of extent file 0000000");
    assert_contains(result->err, "in an argument");
    assert_contains(result->err, "it is computed again");
    outcome warm = run(at, program, "--workers 1");
    assert_prints(&warm, result->out);
    assert_int_equal(computed_by(&warm), 0);
    outcome verified = voxloom(at, "store verify --store store");
    if (verified.status != 0) fail_msg("store verify:\n%s%s", verified.out, verified.err);
}

static void an_image_of_this_run_is_cut_off(void **state) {
    scene *at = *state;
    scene_write(
        at, "p.imgql",
        scene_text(at, "import \"test\"\nprint \"sum\" total(cube(3, %d, \"log\"), \"ready\", \"gate\") + 1\n", SIDE));
    outcome result = run_with_cut(at, "p.imgql");
    assert_cut_was_mended(at, &result, "p.imgql");
}

static void a_stored_image_is_cut_off(void **state) {
    scene *at = *state;
    scene_write(at, "open", "");
    outcome first = run_text(
        at, scene_text(at, "import \"test\"\nprint \"a\" total(cube(3, %d, \"log\"), \"r\", \"open\")\n", SIDE), "");
    assert_well(&first);
    scene_write(
        at, "p.imgql",
        scene_text(at, "import \"test\"\nprint \"sum\" total(cube(3, %d, \"log\"), \"ready\", \"gate\") + 1\n", SIDE));
    outcome result = run_with_cut(at, "p.imgql");
    assert_cut_was_mended(at, &result, "p.imgql");
}

/* ---- one item of a thousand ---- */

static void one_item_of_a_thousand_fails(void **state) {
    scene *at = *state;
    enum { ITEMS = 1000 };
    outcome result = run_text(at,
                              "import \"test\"\nf(x) = refuse(x, 437) * 2\n"
                              "print \"all\" for i in range(1000) do f(i)\nprint \"other\" 1 + 1\n",
                              "--workers 2");
    assert_int_equal(result.status, 1);
    assert_string_equal(result.out, "other=2.0\n");
    assert_contains(result.err, "program.imgql:2:8: error:");
    assert_contains(result.err, "437 is refused");
    assert_contains(result.err, "test.refuse");
    assert_contains(result.err, "item 437");
    assert_contains(result.err, "loop at program.imgql:3:13");
    assert_int_equal(number_of(&result, "failed"), 3);              /* it, its product, and the list */
    assert_int_equal(results_in(at, "store"), 2 * (ITEMS - 1) + 2); /* and the range, and 1 + 1 */
}

/* Items are picked early and late from a loop over lines, and the memory of the lines would serve another file's
 * between: the batch that stores them is written after the first picks, the stored lines of the other file are handed
 * to a task then. If the machine is too slow for that order, this shows nothing. */
static void lines_stay_while_items_are_picked(void **state) {
    scene *at = *state;
    static char lines[2][70 * 16 + 1];
    for (int file = 0; file < 2; file++)
        for (int i = 0; i < 70; i++)
            snprintf(lines[file] + 16 * i, 17, "%c%03u-----------\n", "ab"[file], (unsigned)i % 1000);
    scene_write(at, "a.txt", lines[0]);
    scene_write(at, "b.txt", lines[1]);
    scene_settle(); /* else its content is not known without a worker */
    outcome stored = run_text(at, "print \"b\" index(load(\"b.txt\"), 1)\n", "");
    assert_prints(&stored, "b=b001-----------\n");
    outcome result = run_text(at,
                              "import \"test\"\nlines = load(\"a.txt\")\nlong = for n in lines do n\n"
                              "other(k) = index([\"b.txt\", \"b.txt\"], k)\nprint \"first\" index(lines, 0)\n"
                              "print \"early\" for i in range(0, slow(2, 300, \"log\")) do index(long, i)\n"
                              "print \"other\" index(load(other(slow(1, 900, \"log\"))), 5)\n"
                              "print \"late\" for i in range(3, slow(5, 1300, \"log\")) do index(long, i)\n",
                              "--workers 6 --set memory.loop_items=0 --set store.batch_ms=600");
    assert_prints(&result, "first=a000-----------\nearly=['a000-----------', 'a001-----------']\n"
                           "other=b005-----------\nlate=['a003-----------', 'a004-----------']\n");
}

/* What all items of a long loop use has failed before the loop's length is known: the loop fails, its folds too, and
 * the goals behind them are met. */
static void what_all_items_use_fails_first(void **state) {
    scene *at = *state;
    outcome result =
        run_text(at,
                 "import \"test\"\nbad = refuse(5, 5)\nlist = for i in range(slow(9000, 300, \"log\")) do i + bad\n"
                 "print \"first\" bad\nprint \"sum\" fold + list\nprint \"all\" list\nprint \"other\" 1 + 1\n",
                 "--workers 2 --set memory.loop_items=0");
    assert_int_equal(result.status, 1);
    assert_string_equal(result.out, "other=2.0\n");
    assert_contains(result.err, "5 is refused");
    for (int goal = 0; goal < 3; goal++)
        assert_string_equal(string_of(at, &result, scene_text(at, "goals.%d.status", goal)), "failed");
    assert_int_equal(number_of(&result, "worker_deaths"), 0);
}

int main(void) {
    use_faulty_programs();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_kernel_that_crashes_is_tried_again, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(a_kernel_that_always_crashes_fails, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(an_image_of_this_run_is_cut_off, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(a_stored_image_is_cut_off, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(one_item_of_a_thousand_fails, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(lines_stay_while_items_are_picked, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(what_all_items_use_fails_first, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
