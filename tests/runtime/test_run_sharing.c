/* Real runs beside others, and within limits: threads of libraries, the affinity mask, cores that another run has
 * bound, priority. What workers get is seen by a script in the worker's place, or in /proc while they work. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "volumes.h"

/* Puts a script in the worker's place, for the runs that are started next: it does `what`, then is the worker. */
static void stand_in(scene *at, const char *what) {
    const char *folder = getenv("VOXLOOM_BUILD");
    scene_write(at, "worker.sh",
                scene_text(at, "#!/bin/sh\n%s\nexec %s/voxloom-worker \"$@\"\n", what, folder ? folder : "build"));
    assert_int_equal(chmod(scene_path(at, "worker.sh"), 0700), 0);
    assert_int_equal(setenv("VOXLOOM_WORKER", scene_path(at, "worker.sh"), 1), 0);
}

static int setup(void **state) {
    if (scene_setup(state) != 0) return -1;
    return setenv("VOXLOOM_WORKERS_CLAIMS", scene_path(*state, "cores"), 1);
}

static int teardown(void **state) {
    unsetenv("VOXLOOM_WORKER");
    unsetenv("VOXLOOM_WORKERS_CLAIMS");
    return scene_teardown(state);
}

static void test_libraries_get_one_thread(void **state) {
    scene *at = *state;
    stand_in(at, "env > seen");
    outcome result = run_text(at, "print \"n\" 1 + 1\n", "--workers 1");
    assert_prints(&result, "n=2.0\n");
    char *seen = scene_read(at, "seen", NULL);
    assert_non_null(seen);
    assert_contains(seen, "OMP_NUM_THREADS=1\n");
    assert_contains(seen, "OPENBLAS_NUM_THREADS=1\n");
    assert_contains(seen, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1\n");
    assert_contains(seen, "HOME=");
}

#if defined(__linux__) && !defined(VOXLOOM_PORTABLE)
#include <sched.h>

enum { SIDE = SANITIZED ? 24 : 56, ITEMS = 16 };

static float waves(int x, int y, int z) {
    return (float)((x * 7 + y * 13 + z * 29) % 61);
}

/* Some tenths of a second of kernels. */
static void write_program(scene *at) {
    volume_make(at, "in.nii", SIDE, SIDE, SIDE, waves);
    scene_write(at, "long.imgql",
                scene_text(at,
                           "import \"simpleitk\"\na = ReadImage(\"in.nii\")\nf(t) = max(dt(geq_sv(t, a)))\n"
                           "print \"all\" map(f, range(%d))\n",
                           ITEMS));
}

/* What was seen of a run's workers while it ran. */
typedef struct watched {
    uint32_t workers; /* the most at once */
    uint32_t bound;   /* the most of them that were bound to one CPU, at once */
    uint64_t cpus;    /* to which any was bound: a bit each, of the first 64 */
    int nice;         /* the largest of any */
} watched;

/* The CPUs that a process may run on; false if it is gone. */
static bool mask_of(pid_t pid, cpu_set_t *set) {
    return sched_getaffinity(pid, sizeof *set, set) == 0;
}

static void look(const process *running, void *context) {
    watched *seen = context;
    pid_t children[64];
    size_t count = children_of(running->pid, children, 64);
    uint32_t bound = 0;
    for (size_t i = 0; i < count; i++) {
        cpu_set_t set;
        if (!mask_of(children[i], &set)) continue;
        if (CPU_COUNT(&set) == 1) bound++;
        for (size_t cpu = 0; cpu < 64 && CPU_COUNT(&set) == 1; cpu++)
            if (CPU_ISSET(cpu, &set)) seen->cpus |= UINT64_C(1) << cpu;
        int nice = getpriority(PRIO_PROCESS, (id_t)children[i]);
        if (nice > seen->nice) seen->nice = nice;
    }
    if (count > seen->workers) seen->workers = (uint32_t)count;
    if (bound > seen->bound) seen->bound = bound;
}

static watched watch_run(scene *at, const char *more) {
    watched seen = {0};
    process running = start_run(at, "long.imgql", more);
    outcome result = finish(at, &running, look, &seen);
    assert_well(&result);
    return seen;
}

static cpu_set_t at_least_two_cpus(void) {
    cpu_set_t all;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    if (CPU_COUNT(&all) < 2) {
        print_message("skipped: one CPU only\n");
        skip();
    }
    return all;
}

/* A second run of one worker takes the other core; one beside a run that has all cores is not bound. */
static void test_two_runs_do_not_bind_to_one_core(void **state) {
    scene *at = *state;
    at_least_two_cpus();
    write_program(at);
    /* The first run stands still with its cores claimed: its workers wait for someone to write into the gate. */
    assert_int_equal(mkfifo(scene_path(at, "gate"), 0600), 0);
    stand_in(at, "read line < gate");
    process first = start_run(at, "long.imgql", "--workers 1 --store first --set workers.share=polite");
    pid_t worker[2];
    while (children_of(first.pid, worker, 2) == 0)
        pause_ms(2);
    unsetenv("VOXLOOM_WORKER");
    watched second = watch_run(at, "--workers 1 --store second");
    assert_int_equal(second.bound, 1);
    assert_int_equal(__builtin_popcountll(second.cpus), 1);
    watched rude = watch_run(at, "--workers 1 --store third --set workers.share=all");
    assert_int_equal(rude.bound, 1);
    assert_int_not_equal(rude.cpus, second.cpus); /* it is on the first run's core */
    watched loose = watch_run(at, "--workers 1 --store fourth --set workers.pin=false");
    assert_int_equal(loose.bound, 0);
    FILE *gate = fopen(scene_path(at, "gate"), "w");
    assert_non_null(gate);
    fputs("go\n", gate);
    fclose(gate);
    outcome done = finish(at, &first, NULL, NULL);
    assert_well(&done);
    assert_contains(done.out, "all=");
}

static void test_affinity_and_priority(void **state) {
    scene *at = *state;
    cpu_set_t all = at_least_two_cpus(), one;
    size_t cpu = CPU_SETSIZE - 1;
    while (!CPU_ISSET(cpu, &all))
        cpu--;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    write_program(at);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0); /* as taskset does */
    watched seen = watch_run(at, "--set workers.nice=7");
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_int_equal(seen.workers, 1); /* as many as cores are allowed */
    assert_int_equal(seen.cpus, UINT64_C(1) << cpu);
    assert_int_equal(seen.nice, 7);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_libraries_get_one_thread, setup, teardown),
#if defined(__linux__) && !defined(VOXLOOM_PORTABLE)
        cmocka_unit_test_setup_teardown(test_two_runs_do_not_bind_to_one_core, setup, teardown),
        cmocka_unit_test_setup_teardown(test_affinity_and_priority, setup, teardown),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
