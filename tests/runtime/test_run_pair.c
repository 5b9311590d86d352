/* Two runs of one program on one store at once: nothing is computed twice, as the kernels themselves count in a file
 * that both runs append to; also when one of the two is killed. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "shm/platform_file.h"

enum { ITEMS = SANITIZED ? 24 : 96, KILLS = SANITIZED ? 2 : 5 };

/* How many of the calls 0 .. ITEMS - 1 and 1000 .. 1000 + ITEMS - 1 are in the log. */
static size_t different_in_log(scene *at) {
    size_t count = 0;
    bool seen[2 * ITEMS] = {false};
    char *text = scene_read(at, "log", NULL);
    for (char *line = text ? strtok(text, "\n") : NULL; line; line = strtok(NULL, "\n")) {
        long number = strtol(line, NULL, 10);
        size_t place = (size_t)(number >= 1000 ? number - 1000 + ITEMS : number);
        assert_true(place < 2 * ITEMS);
        count += !seen[place];
        seen[place] = true;
    }
    return count;
}

static void write_program(scene *at) {
    scene_write(at, "both.imgql",
                scene_text(at,
                           "import \"test\"\nimport \"simpleitk\"\nimport \"vox1\"\n"
                           "f(n) = volume(geq_sv(120, cube(n, 24, \"log\"))) + slow(n + 1000, 4, \"log\")\n"
                           "print \"all\" for n in range(%d) do f(n)\n",
                           ITEMS));
}

static process start_with_summary(scene *at, const char *summary) {
    return start_voxloom(
        at, "run both.imgql --store store --workers 2 --no-progress --set store.batch_ms=20 --summary %s", summary);
}

/* A claim of the portable twin belongs to a process, not to a run: the other run may take it when the worker that has
 * it is done, before the result is stored. */
static void need_claims_of_runs(void) {
    if (loom_file_locks_are_shared()) return;
    print_message("skipped: the locks of the portable twin belong to processes, not to runs\n");
    skip();
}

static void two_runs_share_the_work(void **state) {
    need_claims_of_runs();
    scene *at = *state;
    write_program(at);
    process one = start_with_summary(at, "one.json"), other = start_with_summary(at, "other.json");
    outcome first = finish(at, &one, NULL, NULL), second = finish(at, &other, NULL, NULL);
    assert_well(&first);
    assert_prints(&second, first.out);
    assert_int_equal(different_in_log(at), 2 * ITEMS);
    assert_int_equal(scene_lines(at, "log"), 2 * ITEMS);
}

/* How many of the calls in the log have a stored result. */
static size_t stored_calls(scene *at) {
    size_t count = 0;
    static const char *const operators[] = {"test.cube", "test.slow"};
    for (size_t i = 0; i < 2; i++) {
        outcome listed = voxloom(at, "store ls --store store --json --op %s", operators[i]);
        assert_well(&listed);
        for (const char *line = listed.out; (line = strchr(line, '\n')) != NULL; line++)
            count++;
    }
    return count;
}

static void one_of_two_runs_is_killed(void **state) {
    scene *at = *state;
    write_program(at);
    process alone = start_with_summary(at, "one.json");
    outcome expected = finish(at, &alone, NULL, NULL);
    assert_well(&expected);
    for (int i = 0; i < KILLS; i++) {
        scene_remove(at, "store");
        scene_remove(at, "log");
        process one = start_with_summary(at, "one.json"), other = start_with_summary(at, "other.json");
        size_t wanted = (size_t)(i + 1) * 2 * ITEMS / (KILLS + 1);
        while (scene_lines(at, "log") < wanted && is_alive(one.pid))
            pause_ms(1);
        kill(one.pid, SIGKILL);
        outcome killed = finish(at, &one, NULL, NULL);
        /* In this order: what runs from here on was not stored then. */
        size_t stored = stored_calls(at), run_before = scene_lines(at, "log");
        outcome survivor = finish(at, &other, NULL, NULL);
        assert_int_equal(killed.status == 0 ? 128 + SIGKILL : killed.status, 128 + SIGKILL);
        assert_prints(&survivor, expected.out);
        assert_int_equal(different_in_log(at), 2 * ITEMS);
        print_message("killed after %zu calls, %zu of them stored: %zu made again\n", run_before, stored,
                      scene_lines(at, "log") - 2 * ITEMS);
        assert_in_range(scene_lines(at, "log") - run_before, 0, 2 * ITEMS - stored);
    }
}

/* A result that one run is computing when it dies is taken over by the other, and only that. */
static void the_other_run_takes_over(void **state) {
    need_claims_of_runs();
    scene *at = *state;
    scene_write(at, "p.imgql", "import \"test\"\nprint \"sum\" total(cube(3, 16, \"log\"), \"ready\", \"gate\")\n");
    process one = start_run(at, "p.imgql", "--workers 1 --set store.batch_ms=1");
    while (scene_lines(at, "ready") < 1 || !scene_has(at, "store/FORMAT") || results_in(at, "store") < 1)
        pause_ms(2);
    process other = start_voxloom(at, "run p.imgql --store store --workers 1 --no-progress");
    const char *told, *errors = scene_text(at, ".err-%d", other.number);
    do { /* it says for whom it waits, after some seconds */
        assert_true(is_alive(other.pid));
        pause_ms(20);
        told = scene_read(at, errors, NULL);
    } while (!told || !strchr(told, '\n'));
    assert_contains(told, "has waited for another run to compute test.total");
    assert_contains(told, "p.imgql:2:13");
    assert_contains(told, scene_text(at, "process %d uses this store", (int)one.pid));
    kill(one.pid, SIGKILL);
    outcome killed = finish(at, &one, NULL, NULL);
    assert_int_equal(killed.status, 128 + SIGKILL);
    scene_write(at, "gate", "");
    outcome result = finish(at, &other, NULL, NULL);
    uint64_t sum = 0;
    for (unsigned i = 0; i < 16 * 16 * 16; i++)
        sum += (3 + i) % 251;
    assert_prints(&result, scene_text(at, "sum=%llu\n", (unsigned long long)sum));
    assert_int_equal(scene_lines(at, "log"), 1);
    assert_int_equal(scene_lines(at, "ready"), 2);
}

int main(void) {
    use_faulty_programs();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_runs_share_the_work, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(one_of_two_runs_is_killed, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(the_other_run_takes_over, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
