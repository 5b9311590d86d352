/* The memory budget, in real runs: a program whose breadth would need many times the budget completes within it, with
 * the same results, and says that it waited. What was committed is told by the run; that this is what is really in
 * memory is measured for a store in memory, where nothing else can hold results. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "volumes.h"

enum { SIDE = 64, ITEMS = 40 };
#define IMAGE_BYTES ((double)SIDE * SIDE * SIDE)        /* a truth value a voxel; the volume itself is of floats */
#define WHOLE_BREADTH (ITEMS * 6 * IMAGE_BYTES)         /* per item: one image of floats, two of truth values */
#define BUDGET (WHOLE_BREADTH / 8)                      /* 7.5 MiB */
#define SLACK (4 * IMAGE_BYTES + 1.5 * 1024.0 * 1024.0) /* one image beyond, and the segment */

static float ramp(int x, int y, int z) {
    return (float)(x + 2 * y + 3 * z);
}

/* Volume of { ramp > i }, counted here. */
static const char *expected(scene *at) {
    char *text = scene_text(at, "v=[");
    for (int i = 0; i < ITEMS; i++) {
        long count = 0;
        for (int z = 0; z < SIDE; z++)
            for (int y = 0; y < SIDE; y++)
                for (int x = 0; x < SIDE; x++)
                    count += ramp(x, y, z) + (float)i >= (float)(4 * i);
        text = scene_text(at, "%s%s%ld.0", text, i ? ", " : "", count);
    }
    return scene_text(at, "%s]\n", text);
}

static const char *program(scene *at) {
    volume_make(at, "in.nii", SIDE, SIDE, SIDE, ramp);
    return scene_text(at,
                      "import \"simpleitk\"\n"
                      "img = intensity(ReadImage(\"in.nii\"))\n"
                      "print \"v\" for i in range(0, %d) do volume(not(not(geq_sv(4 * i, img + i))))",
                      ITEMS);
}

static void breadth_beyond_the_budget_completes(void **state) {
    scene *at = *state;
    for (int workers = 1; workers <= 4; workers += 3) {
        scene_remove(at, "store");
        outcome result = run_text(
            at, program(at),
            scene_text(at, "--workers %d --set memory.budget=%.0f --set store.batch_ms=60000", workers, BUDGET));
        assert_prints(&result, expected(at));
        assert_true(number_of(&result, "bytes_written") > 7 * BUDGET);
        assert_true(number_of(&result, "held_back") > 0);
        assert_true(number_of(&result, "memory_peak_bytes") <= BUDGET + SLACK);
        assert_true(number_of(&result, "memory_budget_bytes") == BUDGET);
        assert_contains(result.err, "memory: tasks were held back");
        assert_int_equal((int)number_of(&result, "failed"), 0);
    }
}

/* ---- what is really in memory, of a store in memory ---- */

/* Bytes allocated in the files in memory that a process has open. Linux: /proc; elsewhere 0. */
static uint64_t bytes_in_memory_files(pid_t pid) {
    ino_t seen[256];
    size_t count = 0;
    uint64_t sum = 0;
    char path[300], target[64];
    struct dirent *entry;
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *list = opendir(path);
    while (list && (entry = readdir(list)) != NULL) {
        snprintf(path, sizeof path, "/proc/%d/fd/%.200s", pid, entry->d_name);
        if (readlink(path, target, sizeof target) < 7 || memcmp(target, "/memfd:", 7) != 0) continue;
        if (stat(path, &status) != 0) continue;
        size_t known = 0;
        while (known < count && seen[known] != status.st_ino)
            known++;
        if (known < count || count == sizeof seen / sizeof *seen) continue;
        seen[count++] = status.st_ino;
        sum += (uint64_t)status.st_blocks * 512;
    }
    if (list) closedir(list);
    return sum;
}

static void note_memory(const process *running, void *context) {
    uint64_t *most = context, now = bytes_in_memory_files(running->pid);
    if (now > *most) *most = now;
}

/* Counted by the kernel, not by the run: results, and the segment. */
static void a_store_in_memory_stays_within_the_budget(void **state) {
    scene *at = *state;
    uint64_t most = 0;
    scene_write(at, "p.imgql", program(at));
    process running = start_run(
        at, "p.imgql", scene_text(at, "--store :memory: --workers 8 --set memory.budget=%.0f", (double)BUDGET / 2));
    outcome result = finish(at, &running, note_memory, &most);
    assert_prints(&result, expected(at));
    assert_true(number_of(&result, "memory_peak_bytes") <= BUDGET / 2 + SLACK);
    if (most == 0) print_message("skipped: this system does not tell what lies in files in memory\n");
    assert_true((double)most <= BUDGET / 2 + SLACK);
}

/* Ranks need four bytes a voxel to work in, as much as the result, and samples, twice that for an image of two parts;
 * workers share that memory: it lies in files in memory too. */
static void scratch_stays_within_the_budget(void **state) {
    scene *at = *state;
    uint64_t most = 0;
    volume_make(at, "in.nii", SIDE, SIDE, SIDE, ramp);
    scene_write(at, "p.imgql",
                scene_text(at,
                           "import \"simpleitk\"\n"
                           "img = intensity(ReadImage(\"in.nii\"))\n"
                           "print \"v\" for i in range(0, %d) do "
                           "volume(leq_sv(0.5, percentiles(img * (0.3 + i), geq_sv(4 * i, img), 0.5)))",
                           ITEMS / 2));
    outcome alone = run(at, "p.imgql", "--store :memory: --workers 1");
    assert_well(&alone);
    process running =
        start_run(at, "p.imgql", scene_text(at, "--store :memory: --workers 6 --set memory.budget=%.0f", BUDGET));
    outcome result = finish(at, &running, note_memory, &most);
    assert_prints(&result, alone.out);
    assert_true(number_of(&result, "held_back") > 0);
    const double beyond = 13 * IMAGE_BYTES + SLACK - 4 * IMAGE_BYTES; /* one task, and the segment */
    print_message("committed %.0f, in memory %.0f of %.0f + %.0f\n", number_of(&result, "memory_peak_bytes"),
                  (double)most, BUDGET, beyond);
    assert_true(number_of(&result, "memory_peak_bytes") <= BUDGET + beyond);
    assert_true((double)most <= BUDGET + beyond);
}

/* Less than one image: everything goes beyond it, one after the other. */
static void a_budget_below_one_image_completes(void **state) {
    scene *at = *state;
    outcome result = run_text(at, program(at), "--workers 4 --set memory.budget=1MiB");
    assert_prints(&result, expected(at));
    assert_true(number_of(&result, "held_back") > 0);
    assert_true(number_of(&result, "memory_peak_bytes") <= 12 * IMAGE_BYTES + SLACK);
}

static void a_sufficient_budget_holds_nothing_back(void **state) {
    scene *at = *state;
    outcome result = run_text(at, program(at), "--workers 2 --set memory.budget=4GiB");
    assert_prints(&result, expected(at));
    assert_int_equal((int)number_of(&result, "held_back"), 0);
    assert_null(strstr(result.err, "memory:"));
}

/* Workers that die while others wait for memory leave nothing committed. */
static void kill_a_worker(const process *running, void *context) {
    int *left = context;
    pid_t children[8];
    size_t count = children_of(running->pid, children, 8);
    if (*left > 0 && count > 0 && kill(children[(size_t)*left % count], SIGKILL) == 0) --*left;
}

static void deaths_under_the_brake_leave_nothing_committed(void **state) {
    scene *at = *state;
    int left = 4;
    scene_write(at, "p.imgql", program(at));
    process running = start_run(
        at, "p.imgql", scene_text(at, "--workers 2 --set workers.deaths_max=50 --set memory.budget=%.0f", BUDGET));
    outcome result = finish(at, &running, kill_a_worker, &left);
    assert_prints(&result, expected(at));
    assert_true(number_of(&result, "memory_peak_bytes") <= BUDGET + SLACK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(breadth_beyond_the_budget_completes, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(a_store_in_memory_stays_within_the_budget, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(scratch_stays_within_the_budget, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(a_budget_below_one_image_completes, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(a_sufficient_budget_holds_nothing_back, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(deaths_under_the_brake_leave_nothing_committed, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests_name("run_brake", tests, NULL, NULL);
}
