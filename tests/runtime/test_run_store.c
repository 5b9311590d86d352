/* Runs and what the store does meanwhile: other runs that need the same results, a budget, compression, goals that are
 * remembered. The expected values come from a run that keeps nothing. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "volumes.h"

enum { SIDE = 64, LARGE_SIDE = 170, ITEMS = 24 };

static float ramp(int x, int y, int z) {
    return (float)((x * 5 + y * 3 + z * 11) % 101);
}

/* Two images and a number an item: every one of these is worth waiting for. */
static const char *images_program(scene *at) {
    volume_make(at, "in.nii", SIDE, SIDE, SIDE, ramp);
    return scene_text(at,
                      "import \"simpleitk\"\na = ReadImage(\"in.nii\")\n"
                      "print \"sums\" for t in range(%d) do max(dt(geq_sv(t, a)))\n",
                      ITEMS);
}

static outcome alone(scene *at, const char *program) {
    outcome result = run_text(at, program, "--store :memory:");
    assert_well(&result);
    return result;
}

/* ---- single flight ---- */

/* Reading, and three nodes an item. Of the rest (the range, the list) each run may compute its own: cheaper than
 * asking.
 */
enum { EXPENSIVE = 1 + 3 * ITEMS, CHEAP_MAX = 4 };

/* The portable twin, whose locks belong to processes, claims nothing: what two of its runs need each may compute. */
#ifdef VOXLOOM_PORTABLE
enum { COMPUTED_MAX = (EXPENSIVE + CHEAP_MAX) * 2 };
#else
enum { COMPUTED_MAX = EXPENSIVE + CHEAP_MAX * 2 };
#endif

/* Runs at once write one summary file; each has its own line on stderr. */
static uint64_t computed_by_line(const outcome *result) {
    const char *count = strstr(result->err, " nodes: ");
    if (!count) fail_msg("no summary line:\n%s", result->err);
    return strtoull(count + strlen(" nodes: "), NULL, 10);
}

static void test_two_runs_compute_once(void **state) {
    scene *at = *state;
    outcome expected = alone(at, images_program(at));
    process running[2];
    outcome results[2];
    for (int i = 0; i < 2; i++)
        running[i] = start_run(at, "program.imgql", "--workers 2");
    for (int i = 0; i < 2; i++)
        results[i] = finish(at, &running[i], NULL, NULL);
    uint64_t computed = 0;
    for (int i = 0; i < 2; i++) {
        assert_prints(&results[i], expected.out);
        assert_int_equal(number_of(&results[i], "irreproducible"), 0);
        computed += computed_by_line(&results[i]);
    }
    assert_in_range(computed, EXPENSIVE, COMPUTED_MAX);
}

/* The first run dies while the second waits for what it had claimed. */
static void test_claims_of_the_dead(void **state) {
    scene *at = *state;
    outcome expected = alone(at, images_program(at));
    process first = start_run(at, "program.imgql", "--workers 2");
    process second = start_run(at, "program.imgql", "--workers 2");
    pid_t children[8];
    while (children_of(first.pid, children, 8) < 2 && is_alive(first.pid))
        pause_ms(1);
    kill(first.pid, SIGKILL);
    finish(at, &first, NULL, NULL);
    outcome result = finish(at, &second, NULL, NULL);
    assert_prints(&result, expected.out);
    outcome again = run(at, "program.imgql", "");
    assert_prints(&again, expected.out);
    assert_int_equal(computed_by(&again), 0);
}

/* ---- budget ---- */

static uint64_t used_bytes(scene *at) {
    outcome stat = voxloom(at, "store stat --json --store store");
    assert_well(&stat);
    const char *used = strstr(stat.out, "\"used_bytes\":");
    if (!used) fail_msg("`voxloom store stat` tells no used bytes:\n%s", stat.out);
    return strtoull(used + strlen("\"used_bytes\":"), NULL, 10);
}

/* The portable twin cannot punch holes: what it gave back is counted again by whoever opens the store next. */
#ifdef VOXLOOM_PORTABLE
#define SLACK budget
#else
#define SLACK 0
#endif

/* All images of the program need several times the budget; what nobody uses any more makes room. */
static void test_budget(void **state) {
    scene *at = *state;
    const char *program = images_program(at);
    outcome expected = alone(at, program);
    const uint64_t image = (uint64_t)SIDE * SIDE * SIDE * 4;
    const uint64_t budget = image * ITEMS * 2 / 3; /* 16 MiB, the least that is allowed */
    const char *set =
        scene_text(at, "--workers 2 --set store.extent_step=1MiB --set store.budget=%llu", (unsigned long long)budget);
    for (int round = 0; round < 3; round++) {
        outcome result = run_text(at, program, set);
        assert_prints(&result, expected.out);
        assert_in_range(used_bytes(at), 1, budget + SLACK);
    }
    outcome verified = voxloom(at, "store verify --store store");
    assert_well(&verified);
}

/* One image is larger than the whole budget. */
static void test_budget_too_small(void **state) {
    static const char program[] =
        "import \"simpleitk\"\na = ReadImage(\"in.nii\")\nprint \"m\" max(dt(geq_sv(50, a)))\n";
    scene *at = *state;
    volume_make(at, "in.nii", LARGE_SIDE, LARGE_SIDE, LARGE_SIDE, ramp);
    outcome result = run_text(at, program, "--workers 1 --set store.budget=16MiB");
    assert_int_not_equal(result.status, 0);
    assert_contains(result.err, "no space for");
    assert_contains(result.err, "raise store.budget");
    outcome larger = run_text(at, program, "--workers 1");
    outcome expected = alone(at, program);
    assert_prints(&larger, expected.out);
}

/* ---- compression ---- */

static void test_compressed(void **state) {
    scene *at = *state;
    const char *program = images_program(at);
    outcome expected = alone(at, program);
    outcome cold = run_text(at, program, "--workers 2 --set store.compression=always");
    assert_prints(&cold, expected.out);
    outcome warm = run_text(at, program, "--workers 2 --set store.compression=always");
    assert_prints(&warm, expected.out);
    assert_int_equal(computed_by(&warm), 0);
    /* something new that needs compressed images */
    const char *more =
        "import \"simpleitk\"\na = ReadImage(\"in.nii\")\nprint \"m\" for t in range(3) do min(dt(geq_sv(t, a)))\n";
    outcome fresh = run_text(at, more, "--store :memory:");
    outcome reused = run_text(at, more, "--workers 2 --set store.compression=always");
    assert_prints(&reused, fresh.out);
    assert_in_range(computed_by(&reused), 1, 5); /* the minima and their list */
    outcome verified = voxloom(at, "store verify --store store");
    assert_well(&verified);
}

/* ---- goals ---- */

static void test_goals_are_remembered(void **state) {
    scene *at = *state;
    const char *program = images_program(at);
    outcome first = run_text(at, program, "--workers 2");
    assert_well(&first);
    outcome again = run_text(at, program, "--workers 2");
    assert_well(&again);
    outcome goals = voxloom(at, "store goals --store store");
    assert_well(&goals);
    assert_contains(goals.out, "sums");
    const char *label = strstr(goals.out, "sums");
    assert_null(strstr(label + 1, "sums")); /* the second run gave nothing new */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_two_runs_compute_once, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_claims_of_the_dead, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_budget, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_budget_too_small, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_compressed, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_goals_are_remembered, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
