/* Workers that are stopped, and nodes that hang or take long, in real runs: see faulty_kernels.c. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

/* ---- signs of life ---- */

static void a_stopped_worker_is_replaced(void **state) {
    scene *at = *state;
    char *text = scene_text(at, "import \"test\"\nprint \"a\" crash(7, %d, 1, \"log\") + 1\n", SIGSTOP);
    outcome result = run_text(at, text, "--workers 1 --set workers.heartbeat=2s");
    assert_prints(&result, "a=8.0\n");
    assert_int_equal(scene_lines(at, "log"), 2);
    assert_int_equal(number_of(&result, "worker_deaths"), 1);
    assert_contains(result.err, "no sign of life for 2s");
    assert_contains(result.err, "test.crash");
    assert_contains(result.err, "program.imgql:2:11");
}

static void a_stopped_worker_does_not_delay_the_end(void **state) {
    scene *at = *state;
    scene_write(at, "p.imgql", scene_text(at, "import \"test\"\nprint \"a\" crash(7, %d, 9, \"log\")\n", SIGSTOP));
    process running = start_run(at, "p.imgql", "--workers 1 --set workers.heartbeat=2s");
    wait_for_file(at, &running, "log");
    kill(running.pid, SIGINT);
    outcome result = finish(at, &running, NULL, NULL);
    assert_int_equal(result.status, 1);
    assert_contains(result.err, "stopped on request");
    assert_true(result.seconds < (SANITIZED ? 30 : 10));
}

/* A run that is stopped still recovers the dead: a worker waits for the part that another one died in. */
static void a_helper_that_dies_at_the_end_delays_nobody(void **state) {
    scene *at = *state;
    pid_t left[8];
    size_t length;
    scene_write(at, "p.imgql", "import \"test\"\nprint \"a\" stuck(cube(1, 64, \"log\"), \"helper\")\n");
    process running = start_run(at, "p.imgql", "--workers 3");
    wait_for_file(at, &running, "helper");
    kill(running.pid, SIGINT);
    while (children_of(running.pid, left, 8) > 2) /* the one that runs nothing has ended: the run is being stopped */
        pause_ms(2);
    pid_t helper = (pid_t)strtol(scene_read(at, "helper", &length), NULL, 10);
    assert_true(helper > 0);
    assert_int_equal(kill(helper, SIGKILL), 0);
    outcome result = finish(at, &running, NULL, NULL);
    assert_false(result.timed_out);
    assert_int_equal(result.status, 1);
    assert_contains(result.err, "stopped on request");
}

static void a_long_kernel_is_no_dead_worker(void **state) {
    scene *at = *state;
    outcome result =
        run_text(at, "import \"test\"\nprint \"a\" slow(3, 1600, \"log\")\n", "--workers 1 --set workers.heartbeat=1s");
    assert_prints(&result, "a=3.0\n");
    assert_int_equal(scene_lines(at, "log"), 1);
    assert_int_equal(number_of(&result, "worker_deaths"), 0);
}

/* ---- time limits ---- */

static void a_hanging_node_fails(void **state) {
    scene *at = *state;
    outcome result = run_text(at,
                              "import \"test\"\nprint \"a\" note(1, \"other\")\nprint \"b\" hang(5, \"log\") + 1\n"
                              "print \"c\" note(2, \"other\")\n",
                              "--workers 2 --set workers.node_timeout=1s --set workers.deaths_max=2");
    assert_int_equal(result.status, 1);
    assert_string_equal(result.out, "a=1.0\nc=2.0\n");
    assert_int_equal(scene_lines(at, "log"), 2);
    assert_contains(result.err, "program.imgql:3:11: error:");
    assert_contains(result.err, "test.hang");
    assert_contains(result.err, "more than 1s (workers.node_timeout)");
    assert_contains(result.err, "not done: print \"b\"");
    assert_string_equal(string_of(at, &result, "failures.0.status"), "LOOM_WORKER_DIED");
}

/* ---- what is told ---- */

/* A node that takes long: which, where, in which process, for how long. */
static void a_long_node_is_told(void **state) {
    scene *at = *state;
    outcome result =
        run_text(at, "import \"test\"\nprint \"a\" slow(3, 1800, \"log\")\n", "--workers 1 --set workers.notice=1s");
    assert_prints(&result, "a=3.0\n");
    assert_contains(result.err, "worker 0 (process ");
    assert_contains(result.err, ") has run test.slow ");
    assert_contains(result.err, " of program.imgql:2:11 for 1 s");
}

typedef struct stopping {
    scene *at;
    pid_t worker;
    bool told;
} stopping;

/* Whether a child is the worker's program already: stopped between fork and exec it would stop its parent too, which
 * waits for the exec (vfork). */
static bool is_a_worker(scene *at, pid_t pid) {
    char name[32] = "";
    FILE *file = fopen(scene_text(at, "/proc/%ld/comm", (long)pid), "re");
    bool read = file && fgets(name, sizeof name, file);
    if (file) fclose(file);
    return read && strcmp(name, "voxloom-worker\n") == 0;
}

/* Stops the worker as soon as it exists, before it has taken anything, and lets it go on when that was told. */
static void stop_and_go_on(const process *running, void *context) {
    stopping *of = context;
    pid_t child;
    if (of->worker <= 0 && children_of(running->pid, &child, 1) == 1 && is_a_worker(of->at, child)) {
        of->worker = child;
        kill(child, SIGSTOP);
    }
    if (of->told || !strstr(error_so_far(of->at, running), "has run anything for a while")) return;
    of->told = true;
    kill(of->worker, SIGCONT);
}

/* Nobody runs anything, though a node could: stopped before they took one. Which node, which process. */
static void idle_workers_are_told(void **state) {
    scene *at = *state;
    for (int attempt = 0;; attempt++) { /* the worker may be quicker than we are */
        scene_write(at, "p.imgql", scene_text(at, "import \"test\"\nprint \"a\" note(%d, \"log\")\n", attempt));
        process running = start_run(at, "p.imgql", "--workers 1 --set workers.heartbeat=0 --set workers.notice=1s");
        stopping of = {.at = at};
        outcome result = finish(at, &running, stop_and_go_on, &of);
        assert_prints(&result, scene_text(at, "a=%d.0\n", attempt));
        if (!of.told && attempt < 20) continue;
        assert_contains(result.err, scene_text(at, "no worker (process %ld) has run anything", (long)of.worker));
        assert_contains(result.err, "1 node waits for one: test.note ");
        assert_contains(result.err, " of p.imgql:2:11;");
        return;
    }
}

/* The limit is of one node, not of a worker's or a run's time. */
static void quick_nodes_have_time(void **state) {
    scene *at = *state;
    outcome result = run_text(at, "import \"test\"\nprint \"a\" for i in range(5) do slow(i, 250, \"log\")\n",
                              "--workers 1 --set workers.node_timeout=1s");
    assert_prints(&result, "a=[0, 1, 2, 3, 4]\n");
    assert_int_equal(scene_lines(at, "log"), 5);
    assert_int_equal(number_of(&result, "worker_deaths"), 0);
}

int main(void) {
    use_faulty_programs();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stopped_worker_is_replaced, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(a_stopped_worker_does_not_delay_the_end, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(a_helper_that_dies_at_the_end_delays_nobody, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(a_long_kernel_is_no_dead_worker, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(a_long_node_is_told, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(idle_workers_are_told, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(a_hanging_node_fails, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(quick_nodes_have_time, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
