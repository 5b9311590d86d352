/* A worker that the kernel kills for lack of memory, in a memory cgroup of its own: cgroup v2, else v1. Where none can
 * be made (no privilege, a container without them) the tests are skipped. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

#define LIMIT "100663296" /* 96 MiB, of what is used from joining on */

static char group[200];

static bool write_text(const char *name, const char *text) {
    char file[300];
    snprintf(file, sizeof file, "%s/%s", group, name);
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return done;
}

static bool try_group(const char *root, const char *limit_file) {
    snprintf(group, sizeof group, "%s/voxloom-oom-%d", root, (int)getpid());
    if (mkdir(group, 0755) != 0) return false;
    if (write_text(limit_file, LIMIT)) {
        (void)write_text("memory.swap.max", "0"); /* v2; v1 has it with memory.memsw, if at all */
        (void)write_text("memory.memsw.limit_in_bytes", LIMIT);
        return true;
    }
    rmdir(group);
    return false;
}

static int make_group(void **state) {
    (void)state;
    bool second = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
    if (!(second && try_group("/sys/fs/cgroup", "memory.max")) &&
        !try_group("/sys/fs/cgroup/memory", "memory.limit_in_bytes"))
        group[0] = '\0';
    return 0;
}

static int remove_group(void **state) {
    (void)state;
    for (int i = 0; group[0] && rmdir(group) != 0 && i < 1000; i++)
        pause_ms(5); /* its processes are ending */
    return 0;
}

/* Runs greedy with one worker, which joins the group while it waits for the gate; so does each that follows. */
static outcome run_greedy(scene *at, int times, const char *more) {
#ifdef VOXLOOM_PORTABLE
    print_message("skipped: the portable twin does not know why a worker was killed\n");
    skip();
#endif
    if (!group[0]) {
        print_message("no memory cgroup can be made here: skipped\n");
        skip();
    }
    scene_write(at, "p.imgql",
                scene_text(at, "import \"test\"\nprint \"a\" greedy(7, 400, %d, \"log\", \"gate\") + 1\n", times));
    process running = start_run(at, "p.imgql", scene_text(at, "--workers 1 %s", more));
    wait_for_file(at, &running, "log");
    pid_t worker;
    assert_int_equal(children_of(running.pid, &worker, 1), 1);
    if (!write_text("cgroup.procs", scene_text(at, "%d", (int)running.pid)) || /* for the workers to come */
        !write_text("cgroup.procs", scene_text(at, "%d", (int)worker))) {
        kill(running.pid, SIGKILL);
        print_message("processes cannot join a memory cgroup here: skipped\n");
        skip();
    }
    scene_write(at, "gate", "");
    return finish(at, &running, NULL, NULL);
}

static void a_node_whose_worker_was_killed_runs_again(void **state) {
    scene *at = *state;
    outcome result = run_greedy(at, 1, "");
    assert_prints(&result, "a=8.0\n");
    assert_int_equal(scene_lines(at, "log"), 2);
    assert_int_equal(number_of(&result, "worker_deaths"), 1);
    assert_contains(result.err, "by the kernel: memory was short");
    assert_contains(result.err, "test.greedy");
    assert_contains(result.err, "p.imgql:2:11");
}

static void a_node_that_needs_too_much_fails(void **state) {
    scene *at = *state;
    outcome result = run_greedy(at, 99, "--set workers.deaths_max=2");
    assert_int_equal(result.status, 1);
    assert_int_equal(scene_lines(at, "log"), 2);
    assert_contains(result.err, "p.imgql:2:11: error: 2 workers died running it");
    assert_contains(result.err, "by the kernel: memory was short; lower memory.budget or workers.count");
    assert_contains(result.err, "not done: print \"a\"");
    assert_string_equal(string_of(at, &result, "failures.0.status"), "LOOM_WORKER_DIED");
}

int main(void) {
    use_faulty_programs();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_node_whose_worker_was_killed_runs_again, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(a_node_that_needs_too_much_fails, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, make_group, remove_group);
}
