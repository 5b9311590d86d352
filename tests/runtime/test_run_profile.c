/* Whole runs with --profile and --trace: results are the same, the trace is one that viewers open and holds every task
 * exactly once, worker-seconds add up, and "other" is at most 2% of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "json_path.h"
#include "trace_check.h"

static double number_in(scene *at, const char *file, const char *path) {
    size_t length = 0;
    const char *text = scene_read(at, file, NULL);
    assert_non_null(text);
    const char *value = json_find(text, path, &length);
    if (!value) fail_msg("no %s in %s", path, file);
    return strtod(value, NULL);
}

/* ---- the trace ---- */

static int by_number(const void *a, const void *b) {
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return (first > second) - (first < second);
}

/* Task events, each of another task: numbers are used again, with another attempt. Tasks that are sampled out are
 * missing, none is there twice. */
static size_t check_tasks(const trace_file *file) {
    size_t count = 0, room = trace_task_count(file);
    uint64_t *numbers = malloc((room + 1) * sizeof *numbers);
    assert_non_null(numbers);
    for (size_t i = 0; i < file->count; i++) {
        const trace_event *event = &file->events[i];
        const char *number = event->phase == 'X' ? trace_argument(event, "task") : NULL;
        if (!number) continue;
        numbers[count] = strtoull(number, NULL, 10); /* before the next text takes its place */
        const char *attempt = trace_argument(event, "attempt");
        assert_non_null(attempt);
        numbers[count++] |= strtoull(attempt, NULL, 10) << 32;
    }
    qsort(numbers, count, sizeof *numbers, by_number);
    for (size_t i = 1; i < count; i++)
        if (numbers[i] == numbers[i - 1]) fail_msg("task %u is there twice", (unsigned)numbers[i]);
    free(numbers);
    return count;
}

static size_t events_of_category(const trace_file *file, const char *category) {
    size_t count = 0;
    for (size_t i = 0; i < file->count; i++)
        count += strcmp(file->events[i].cat, category) == 0;
    return count;
}

/* ---- the profile ---- */

static void check_causes(scene *at, const char *file) {
    static const char *const causes[] = {"kernel",      "page fault", "I/O wait",   "arguments", "look-up",
                                         "publication", "no core",    "scheduling", "no work",   "memory brake",
                                         "another run", "start-up",   "wind-down",  "profiling", "other"};
    double sum = 0, all = number_in(at, file, "worker_seconds");
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++)
        sum += number_in(at, file, scene_text(at, "causes.%s", causes[i]));
    if (fabs(sum - all) > 1e-6) fail_msg("causes sum to %.9f of %.9f s", sum, all);
    double other = number_in(at, file, "causes.other");
    print_message("other: %.2f%% of %.3f worker-seconds\n", 100 * other / all, all);
    assert_true(other <= 0.02 * all);
    assert_true(fabs(all - number_in(at, file, "workers") * number_in(at, file, "wall_seconds")) < 1e-6);
}

/* Calls of all operators together. */
static double sum_of_calls(scene *at, const char *file) {
    double sum = 0;
    size_t length;
    const char *text = scene_read(at, file, NULL);
    for (int i = 0;; i++) {
        const char *value = json_find(text, scene_text(at, "operators.%d.calls", i), &length);
        if (!value) return sum;
        sum += strtod(value, NULL);
    }
}

/* ---- nodes ---- */

/* Every node that ran is listed once; together they have the calls that are in the trace. */
static void check_nodes(scene *at, const char *file, size_t expected) {
    double calls = 0, seconds = 0;
    size_t length, count = 0;
    const char *text = scene_read(at, file, NULL);
    const char **names = calloc(expected + 1, sizeof *names);
    assert_non_null(names);
    for (;; count++) {
        const char *op = json_find(text, scene_text(at, "nodes.%zu.operator", count), &length);
        if (!op) break;
        assert_true(count < expected);
        op = scene_text(at, "%.*s", (int)length, op);
        const char *id = json_find(text, scene_text(at, "nodes.%zu.id", count), &length);
        assert_int_equal(length, 66);                                     /* in quotes */
        names[count] = scene_text(at, "%s of %.*s", op, (int)length, id); /* our own work for a node has its id */
        for (size_t i = 0; i < count; i++)
            if (strcmp(names[i], names[count]) == 0) fail_msg("%s is there twice", names[i]);
        double took = number_in(at, file, scene_text(at, "nodes.%zu.seconds", count));
        if (count > 0) assert_true(took <= number_in(at, file, scene_text(at, "nodes.%zu.seconds", count - 1)));
        assert_true(number_in(at, file, scene_text(at, "nodes.%zu.kernel_seconds", count)) <= took);
        calls += number_in(at, file, scene_text(at, "nodes.%zu.calls", count));
        seconds += took;
    }
    free(names);
    assert_int_equal(count, expected);
    assert_true(calls == number_in(at, file, "tasks_in_trace"));
    assert_true(seconds <= number_in(at, file, "worker_seconds"));
    assert_int_equal(number_in(at, file, "nodes_left_out"), 0);
}

/* ---- the tumour program ---- */

static void prepare_tumour(scene *at) {
    outcome made = voxloom(at, "phantom flair.nii.gz --size 64x64x48");
    assert_well(&made);
    scene_age(at, "flair.nii.gz", 3600);
    scene_copy(at, scene_text(at, "%s/tests/programs/tumour.imgql", getenv("VOXLOOM_SOURCE")), "tumour.imgql");
}

/* The line of the program that an event of this operator names. */
static void assert_line(const trace_file *file, const char *op, const char *line) {
    for (size_t i = 0; i < file->count; i++) {
        if (file->events[i].phase != 'X' || strcmp(file->events[i].name, op) != 0) continue;
        assert_string_equal(trace_argument(&file->events[i], "file"), "\"tumour.imgql\"");
        assert_string_equal(trace_argument(&file->events[i], "line"), line);
        return;
    }
    fail_msg("no task of %s in the trace", op);
}

static void test_tumour(void **state) {
    scene *at = *state;
    prepare_tumour(at);
    outcome plain = run(at, "tumour.imgql", "--workers 2 --store :memory:");
    assert_well(&plain);
    outcome cold = run(at, "tumour.imgql", "--workers 2 --profile=profile.json --trace trace.json");
    assert_well(&cold);
    assert_string_equal(cold.out, plain.out);
    assert_contains(cold.err, "Where 2 workers x");
    assert_contains(cold.err, "simpleitk.ReadImage");
    assert_contains(cold.err, "page fault: faults counted x");
    assert_int_equal(number_of(&cold, "profile.workers"), 2);

    trace_file trace = trace_read(scene_read(at, "trace.json", NULL));
    assert_int_equal(check_tasks(&trace), computed_by(&cold)); /* so few are all there */
    assert_int_equal(events_of_category(&trace, "computed"), computed_by(&cold));
    assert_true(events_of_category(&trace, "store") >= 1); /* commits */
    assert_line(&trace, "simpleitk.ReadImage", "9");
    assert_line(&trace, "vox1.border", "10");
    assert_line(&trace, "vox1.percentiles", "12");
    trace_free(&trace);

    check_causes(at, "profile.json");
    assert_int_equal(sum_of_calls(at, "profile.json"), computed_by(&cold));
    assert_int_equal(number_in(at, "profile.json", "tasks_in_trace"), computed_by(&cold));
    assert_int_equal(number_in(at, "profile.json", "entries_lost"), 0);
    assert_true(number_in(at, "profile.json", "causes.kernel") > 0);
    assert_true(number_in(at, "profile.json", "worker_rows.0.tasks") +
                    number_in(at, "profile.json", "worker_rows.1.tasks") ==
                (double)computed_by(&cold));
    assert_true(number_in(at, "profile.json", "nodes.0.line") >= 9);
    check_nodes(at, "profile.json", computed_by(&cold));

    outcome warm = run(at, "tumour.imgql", "--workers 2 --trace again.json");
    assert_well(&warm);
    assert_string_equal(warm.out, plain.out);
    assert_int_equal(computed_by(&warm), 0);
    assert_null(json_find(warm.summary, "profile", &(size_t){0})); /* not asked for */
    trace = trace_read(scene_read(at, "again.json", NULL));
    assert_int_equal(events_of_category(&trace, "computed"), 0);
    assert_int_equal(events_of_category(&trace, "store hit"), check_tasks(&trace));
    trace_free(&trace);
}

/* ---- fine tasks ---- */

enum { ROWS = 40, COLUMNS = 50 };

static void test_stencil(void **state) {
    scene *at = *state;
    FILE *out = fopen(scene_path(at, "stencil.imgql"), "w");
    assert_non_null(out);
    fputs("import \"vox1\"\n", out);
    for (int column = 0; column < COLUMNS; column++)
        fprintf(out, "c0_%d = %d.5\n", column, column * column);
    for (int row = 1; row < ROWS; row++)
        for (int column = 0; column < COLUMNS; column++)
            fprintf(out, "c%d_%d = c%d_%d .+. c%d_%d\n", row, column, row - 1, column, row - 1, (column + 1) % COLUMNS);
    fputs("print \"row\" [", out);
    for (int column = 0; column < COLUMNS; column++)
        fprintf(out, "%sc%d_%d", column ? "," : "", ROWS - 1, column);
    fputs("]\n", out);
    assert_int_equal(fclose(out), 0);

    outcome plain = run(at, "stencil.imgql", "--workers 2 --store :memory:");
    assert_well(&plain);
    outcome result = run(at, "stencil.imgql", "--workers 2 --profile=profile.json --trace trace.json");
    assert_well(&result);
    assert_string_equal(result.out, plain.out);
    assert_int_equal(sum_of_calls(at, "profile.json"), (ROWS - 1) * COLUMNS + 1);
    check_causes(at, "profile.json");
    trace_file trace = trace_read(scene_read(at, "trace.json", NULL));
    size_t traced = check_tasks(&trace);
    print_message("%zu of %d tasks are in the trace\n", traced, (ROWS - 1) * COLUMNS + 1);
    assert_int_equal(traced, number_in(at, "profile.json", "tasks_in_trace"));
    assert_in_range(traced, 1, (ROWS - 1) * COLUMNS + 1);
    assert_int_equal(number_in(at, "profile.json", "tasks"), (ROWS - 1) * COLUMNS + 1);
    /* A coordinator that has no core for a while loses some, which are counted, each a task that is not in the trace.
     */
    assert_in_range(traced + (size_t)number_in(at, "profile.json", "entries_lost"), traced, (ROWS - 1) * COLUMNS + 1);
    trace_free(&trace);
}

/* ---- names ---- */

/* Items of a long loop take the places of those before them, tasks and steps; see also test_profiling_names.c. Each
 * line of the program has an operator that no other has. */
static void test_names_in_windows(void **state) {
    scene *at = *state;
    outcome result = run_text(at,
                              "import \"vox1\"\nprint \"sum\" fold + for i in range(12000) do\n"
                              "num_add(\nnum_mul(\nnum_sub(i, 3),\n2), i)\n",
                              "--workers 2 --set memory.loop_items=1000 --profile=profile.json --trace trace.json");
    assert_well(&result);
    static const char *const lines[][2] = {{"vox1.num_add", "3"}, {"vox1.num_mul", "4"}, {"vox1.num_sub", "5"}};
    size_t seen[3] = {0};
    trace_file trace = trace_read(scene_read(at, "trace.json", NULL));
    for (size_t i = 0; i < trace.count; i++)
        for (size_t k = 0; k < 3; k++) {
            const trace_event *event = &trace.events[i];
            if (event->phase != 'X' || strcmp(event->name, lines[k][0]) != 0) continue;
            const char *line = trace_argument(event, "line");
            if (!line) fail_msg("a task of %s has no line", event->name);
            assert_string_equal(line, lines[k][1]);
            assert_null(trace_argument(event, "node")); /* items have no id of their own */
            seen[k]++;
        }
    for (size_t k = 0; k < 3; k++)
        assert_true(seen[k] > 0);
    print_message("%zu of 36000 tasks are in the trace\n", seen[0] + seen[1] + seen[2]);
    trace_free(&trace);
    size_t length, rows = 0;
    const char *text = scene_read(at, "profile.json", NULL);
    for (size_t i = 0; json_find(text, scene_text(at, "nodes.%zu.operator", i), &length); i++)
        rows += number_in(at, "profile.json", scene_text(at, "nodes.%zu.line", i)) >= 3;
    assert_int_equal(rows, 3); /* one for each operator of the body, however many items */
}

/* ---- what goes wrong ---- */

static void test_failing_node(void **state) {
    scene *at = *state;
    outcome result =
        run_text(at, "import \"simpleitk\"\nimport \"vox1\"\nprint \"v\" volume(ReadImage(\"absent.nii\") >=. 1)\n",
                 "--workers 1 --profile --trace trace.json");
    assert_int_equal(result.status, 1);
    trace_file trace = trace_read(scene_read(at, "trace.json", NULL));
    assert_int_equal(events_of_category(&trace, "failed"), 1);
    trace_free(&trace);
}

static void test_unwritable_trace(void **state) {
    scene *at = *state;
    scene_mkdir(at, "folder");
    outcome result = run_text(at, "print \"x\" 1 + 1\n", "--trace folder");
    assert_int_not_equal(result.status, 0);
    assert_contains(result.err, "folder");
    assert_string_equal(result.out, ""); /* told before anything ran */
}

static void test_nothing_to_compute(void **state) {
    scene *at = *state;
    outcome result = run_text(at, "print \"x\" \"text\"\n", "--profile=profile.json --trace trace.json");
    assert_well(&result);
    assert_contains(result.err, "nothing had to be computed");
    json_check(scene_read(at, "profile.json", NULL));
    trace_file trace = trace_read(scene_read(at, "trace.json", NULL));
    assert_int_equal(trace_task_count(&trace), 0);
    trace_free(&trace);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {SCENE(test_tumour),           SCENE(test_stencil),
                                       SCENE(test_names_in_windows), SCENE(test_failing_node),
                                       SCENE(test_unwritable_trace), SCENE(test_nothing_to_compute)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
