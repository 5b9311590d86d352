/* The fault soak: workers are killed at random all through a run of thousands of nodes. The results are those of an
 * undisturbed run, bit for bit; only what a dead worker had at hand is computed again, counted by the kernels
 * themselves in a file; no process is left, no place in the extents belongs to nobody, no shared memory stays.
 *
 *     test_runtime_run_soak [SECONDS [SEED]]      default 6: many runs one after another, each on a new store */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

enum { IMAGES = SANITIZED ? 20 : 100, NUMBERS = SANITIZED ? 150 : 1500, SIDE = 40, WORKERS = 3, GAP_MS_MAX = 300 };

static double seconds = SANITIZED ? 4 : 6;
static unsigned seed = 20261129;

/* Lehmer's generator. */
static uint32_t random_word;
static uint32_t random_below(uint32_t limit) {
    random_word = (uint32_t)((uint64_t)random_word * 48271 % 2147483647);
    return random_word % limit;
}

/* Nodes with images, each an own one, and many small ones; the log has a line for each call of `cube`, `slow`, `note`.
 */
static void write_program(scene *at) {
    scene_write(at, "soak.imgql",
                scene_text(at,
                           "import \"test\"\nimport \"simpleitk\"\nimport \"vox1\"\n"
                           "f(n) = volume(geq_sv(120, dt(geq_sv(100, cube(n, %d, \"log\")))))\n"
                           "g(n) = note(n, \"log\") + slow(n + 1000000, 1, \"log\") * 2\n"
                           "images = for n in range(%d) do f(n)\nnumbers = for n in range(%d) do g(n + 100000)\n"
                           "print \"images\" images\nprint \"numbers\" numbers\n",
                           SIDE, IMAGES, NUMBERS));
}
enum { CALLS = IMAGES + 2 * NUMBERS };

/* ---- what ran ---- */

static int compare_numbers(const void *a, const void *b) {
    long left = *(const long *)a, right = *(const long *)b;
    return (left > right) - (left < right);
}

/* How often kernels ran, and how many different calls that were. */
static void read_log(scene *at, size_t *runs, size_t *different) {
    size_t length = 0, capacity = 0;
    char *text = scene_read(at, "log", &length);
    *runs = *different = 0;
    if (!text) return;
    for (size_t i = 0; i < length; i++)
        capacity += text[i] == '\n';
    long *numbers = calloc(capacity + 1, sizeof *numbers);
    assert_non_null(numbers);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        numbers[(*runs)++] = strtol(line, NULL, 10);
    qsort(numbers, *runs, sizeof *numbers, compare_numbers);
    for (size_t i = 0; i < *runs; i++)
        *different += i == 0 || numbers[i] != numbers[i - 1];
    free(numbers);
}

/* ---- what is left behind ---- */

/* Living processes that were started in the folder of the scene: voxloom and its workers. */
static size_t processes_left(scene *at) {
    size_t count = 0;
    const char *here = scene_path(at, "");
    DIR *folder = opendir("/proc");
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char cwd[4096];
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        ssize_t length = pid > 0 ? readlink(scene_text(at, "/proc/%d/cwd", (int)pid), cwd, sizeof cwd - 1) : -1;
        if (length < 0) continue;
        cwd[length] = '\0';
        count += strcmp(cwd, here) == 0 && is_alive(pid);
    }
    closedir(folder);
    return count;
}

static void assert_nothing_is_left(scene *at) {
    double start = seconds_now();
    while (processes_left(at) > 0) {
        assert_true(seconds_now() - start < 5);
        pause_ms(5);
    }
    outcome collected = voxloom(at, "store gc --yes --store store");
    assert_well(&collected);
    outcome verified = voxloom(at, "store verify --store store");
    if (verified.status != 0) fail_msg("store verify:\n%s%s", verified.out, verified.err);
}

/* ---- killing ---- */

typedef struct killer {
    scene *at;
    double next;
    unsigned kills;
    size_t lines; /* of the log, when it last killed */
} killer;

/* So many calls that one is finished, whoever was killed. On a busy machine a worker takes longer to start than the
 * next kill is away; without this none would ever do anything, which a run is right to give up. */
static bool did_something(killer *state) {
    size_t lines = scene_lines(state->at, "log");
    if (lines <= state->lines + WORKERS && state->kills >= WORKERS) return false;
    state->lines = lines;
    return true;
}

/* Every few hundred milliseconds one worker, or all at once. */
static void kill_some(const process *running, void *context) {
    killer *state = context;
    pid_t workers[2 * WORKERS];
    if (seconds_now() < state->next) return;
    if (!did_something(state)) {
        state->next = seconds_now() + 0.02;
        return;
    }
    state->next = seconds_now() + (double)random_below(GAP_MS_MAX) / 1000;
    size_t count = children_of(running->pid, workers, 2 * WORKERS);
    if (count == 0) return;
    bool all = random_below(8) == 0;
    size_t chosen = random_below((uint32_t)count);
    for (size_t i = 0; i < count; i++)
        if (all || i == chosen) state->kills += kill(workers[i], random_below(4) ? SIGKILL : SIGSEGV) == 0;
}

static void workers_die_all_the_time(void **state) {
    scene *at = *state;
    const char *options = scene_text(at, "--workers %d --set workers.deaths_max=100", WORKERS);
    size_t runs, different;
    write_program(at);
    outcome expected = run(at, "soak.imgql", options);
    assert_well(&expected);
    read_log(at, &runs, &different);
    assert_int_equal(runs, CALLS);
    assert_int_equal(different, CALLS);
    random_word = seed;
    unsigned rounds = 0, kills = 0;
    size_t again = 0;
    for (double end = seconds_now() + seconds; rounds == 0 || seconds_now() < end; rounds++) {
        scene_remove(at, "store");
        scene_remove(at, "log");
        killer killing = {.at = at};
        process running = start_run(at, "soak.imgql", options);
        outcome result = finish(at, &running, kill_some, &killing);
        assert_prints(&result, expected.out);
        read_log(at, &runs, &different);
        assert_int_equal(different, CALLS);
        /* A death costs at most the one kernel that the worker ran. */
        unsigned deaths = (unsigned)number_of(&result, "worker_deaths");
        assert_in_range(runs, CALLS, CALLS + deaths);
        assert_int_equal(number_of(&result, "nodes"), number_of(&expected, "nodes"));
        assert_int_equal(number_of(&result, "irreproducible"), 0);
        assert_nothing_is_left(at);
        scene_remove(at, "log");
        outcome warm = run(at, "soak.imgql", options);
        assert_prints(&warm, expected.out);
        assert_int_equal(computed_by(&warm), 0);
        assert_false(scene_has(at, "log")); /* no kernel ran: all was stored */
        kills += deaths;
        again += runs - CALLS;
    }
    print_message("seed %u: %u runs of %d kernel calls, %u workers killed, %zu calls made again\n", seed, rounds, CALLS,
                  kills, again);
    assert_true(kills >= rounds);
}

int main(int count, char **arguments) {
    use_faulty_programs();
    setenv("LSAN_OPTIONS", "detect_leaks=0", 1); /* a worker killed while it looks for leaks is no finding */
    if (count > 1) seconds = strtod(arguments[1], NULL);
    if (count > 2) seed = (unsigned)strtoul(arguments[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(workers_die_all_the_time, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
