/* Ten thousand cells of a stencil in ImgQL, each the sum of three neighbours of the row before: every one is computed
 * right, stored, and never computed again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { ROWS = 100, COLUMNS = 100 };

/* Scattered, and different in every column: equal cells would be one node. */
static double first_row(int column) {
    return (double)((column + 1) * 48271 % 65537) / 4096;
}

static int wrapped(int column) {
    return (column + COLUMNS) % COLUMNS;
}

static void write_program(scene *at) {
    FILE *out = fopen(scene_path(at, "stencil.imgql"), "w");
    assert_non_null(out);
    fputs("import \"vox1\"\n", out);
    for (int column = 0; column < COLUMNS; column++)
        fprintf(out, "c0_%d = %.17g\n", column, first_row(column));
    for (int row = 1; row < ROWS; row++)
        for (int column = 0; column < COLUMNS; column++)
            fprintf(out, "c%d_%d = c%d_%d .+. c%d_%d .+. c%d_%d\n", row, column, row - 1, wrapped(column - 1), row - 1,
                    column, row - 1, wrapped(column + 1));
    fputs("print \"row\" [", out);
    for (int column = 0; column < COLUMNS; column++)
        fprintf(out, "%sc%d_%d", column ? "," : "", ROWS - 1, column);
    fputs("]\n", out);
    assert_int_equal(fclose(out), 0);
}

static void compute(double cells[COLUMNS]) {
    double before[COLUMNS];
    for (int column = 0; column < COLUMNS; column++)
        cells[column] = first_row(column);
    for (int row = 1; row < ROWS; row++) {
        memcpy(before, cells, sizeof before);
        for (int column = 0; column < COLUMNS; column++)
            cells[column] = before[wrapped(column - 1)] + before[column] + before[wrapped(column + 1)];
    }
}

static void assert_row(const char *printed) {
    double cells[COLUMNS];
    compute(cells);
    assert_int_equal(strncmp(printed, "row=[", 5), 0);
    const char *at = printed + 5;
    for (int column = 0; column < COLUMNS; column++) {
        char *end = NULL;
        double cell = strtod(at, &end);
        if (memcmp(&cell, &cells[column], sizeof cell) != 0)
            fail_msg("column %d is %.17g, not %.17g", column, cell, cells[column]);
        assert_int_equal(strncmp(end, column < COLUMNS - 1 ? ", " : "]\n", 2), 0);
        at = end + 2;
    }
    assert_string_equal(at, "");
}

static void test_stencil(void **state) {
    scene *at = *state;
    const uint64_t sums = (ROWS - 1) * COLUMNS * 2; /* two additions a cell */
    write_program(at);
    outcome cold = run(at, "stencil.imgql", "--workers 2");
    assert_well(&cold);
    assert_row(cold.out);
    assert_int_equal(number_of(&cold, "nodes"), sums + 1); /* and the list */
    assert_int_equal(computed_by(&cold), sums + 1);
    assert_int_equal(results_in(at, "store"), sums + 1);

    outcome warm = run(at, "stencil.imgql", "--workers 2");
    assert_well(&warm);
    assert_string_equal(warm.out, cold.out);
    assert_int_equal(computed_by(&warm), 0);
    assert_int_equal(results_in(at, "store"), sums + 1);
}

/* In a tenth of the slots: each is used again and again, whatever the workers and the store. */
static void test_few_slots(void **state) {
    scene *at = *state;
    static const char *const stores[] = {":memory:", "few"};
    write_program(at);
    for (int workers = 1; workers <= 4; workers *= 2)
        for (size_t i = 0; i < 2; i++) {
            scene_remove(at, "few");
            outcome cold =
                run(at, "stencil.imgql",
                    scene_text(at, "--workers %d --set memory.tasks_max=1024 --store %s", workers, stores[i]));
            assert_well(&cold);
            assert_row(cold.out);
            assert_true(number_of(&cold, "segment_tasks") <= 1024);
            assert_true(number_of(&cold, "segment_bytes") < 128 * (ROWS - 1) * COLUMNS * 2);
        }
    outcome warm = run(at, "stencil.imgql", "--workers 2 --store few");
    assert_well(&warm);
    assert_row(warm.out);
    assert_int_equal(computed_by(&warm), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stencil, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_few_slots, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
