/* bench_profile.c - what `--profile --trace` costs: a task's hooks, by how long its kernel takes, and the coordinator's
 * work on each log entry; then whole runs with and without.
 *
 *   bench_profile                      hooks and entries
 *   bench_profile VOXLOOM [RUNS]       whole runs: 3,000 nodes over an image of 48x48x32 (kernels of some tens of us),
 * and a stencil of 10,000 scalar nodes
 *
 * Times are CPU times (of the thread; of a command and all its processes), so that other processes of the machine
 * disturb little. With and without take turns; a figure is the median of the turns' differences. Prints Markdown
 * tables. */
#include <sys/resource.h>

#include "perf/command.h"
#include "perf/recorder.h"
#include "perf/trace.h"

#define TURNS 40
#define RUNS_MAX 50

static double median_of(double *values, size_t count) {
    qsort(values, count, sizeof *values, by_size);
    return values[count / 2];
}

/* ---- hooks ---- */

static double cpu_ns(void) {
    struct timespec time;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) die("clock_gettime");
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void spin(uint64_t rounds) {
    volatile uint64_t sink;
    uint64_t x = 1;
    for (uint64_t i = rounds; i > 0; i--)
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
    sink = x;
    (void)sink;
}

typedef struct stage {
    loom_recorder *reader, *writer;
    loom_segment *segment;
    uint32_t task;
} stage;

/* What runtime/worker/execute.c does around a kernel; recorder NULL: as in a run that nobody profiles. */
static void do_task(const stage *at, loom_recorder *recorder, uint64_t rounds) {
    loom_recorder_task_begins(recorder, 0);
    loom_enter(LOOM_DOING_LOOKUP);
    loom_enter(LOOM_DOING_ARGUMENTS);
    loom_recorder_kernel_begins(recorder);
    spin(rounds);
    loom_recorder_kernel_ends(recorder);
    loom_enter(LOOM_DOING_PUBLISH);
    loom_recorder_task_ends(recorder, at->segment, at->task, LOOM_TASK_DONE);
}

static double tasks_ns(const stage *at, bool on, uint64_t rounds, int count) {
    loom_observer *observer = loom_thread_observer;
    if (!on) loom_thread_observer = NULL;
    double start = cpu_ns();
    for (int i = 0; i < count; i++)
        do_task(at, on ? at->writer : NULL, rounds);
    double spent = cpu_ns() - start;
    loom_thread_observer = observer;
    return spent / count;
}

static const loom_operator op = {.name = "vox1.near"};
static const loom_operator *const op_list[] = {&op};
static const loom_operator_table table = {op_list, 1};

/* Reads all entries and writes them as text; nanoseconds an entry. */
static double drain_ns(const stage *at, loom_trace *trace, double *entries) {
    loom_log_entry entry;
    const loom_trace_place place = {.node = "3fa9b2c1", .file = "program.imgql", .line = 17, .column = 4};
    double start = cpu_ns(), count = 0;
    for (; loom_recorder_next(at->reader, &entry); count++)
        loom_trace_add(trace, &entry, &place);
    *entries += count;
    return cpu_ns() - start;
}

static void open_stage(stage *at) {
    loom_error err = {0};
    const loom_segment_options options = {.workers = 1, .tasks_max = 1024, .heap_bytes = 1 << 20};
    if (loom_recorder_create(1, 1, loom_recorder_now_ns(), &at->reader, &err) != LOOM_OK ||
        loom_recorder_attach(dup(loom_recorder_fd(at->reader)), 0, &at->writer, &err) != LOOM_OK ||
        loom_segment_create(&options, &at->segment, &err) != LOOM_OK ||
        loom_task_create(at->segment, NULL, 0, &at->task, &err) != LOOM_OK) {
        loom_error_print(&err, stderr);
        exit(1);
    }
}

static void bench_hooks(void) {
    static const double lengths_us[] = {0, 2, 10, 50, 200, 1000};
    stage at = {0};
    loom_trace *trace;
    FILE *nowhere = fopen("/dev/null", "w");
    double rate = cpu_ns();
    spin(20000000);
    rate = 20000000 / (cpu_ns() - rate); /* rounds a nanosecond */
    open_stage(&at);
    if (nowhere) setvbuf(nowhere, NULL, _IOFBF, 1 << 18);
    if (!nowhere || loom_trace_begin(nowhere, &table, 1, loom_recorder_start_ns(at.reader), &trace, NULL) != LOOM_OK)
        die("/dev/null");
    printf("reading counters once: %llu ns\n\n| kernel, us | without, us | hooks, us a task | of the task | entries a "
           "task | coordinator, us an entry | with counters |\n| --- | --- | --- | --- | --- | --- | --- |\n",
           (unsigned long long)loom_recorder_facts(at.reader, 0).reading_cost_ns);
    for (size_t i = 0; i < sizeof lengths_us / sizeof lengths_us[0]; i++) {
        uint64_t rounds = (uint64_t)(lengths_us[i] * 1000 * rate);
        int count = lengths_us[i] > 50 ? 100 : lengths_us[i] > 5 ? 400 : 4000;
        double off[TURNS], more[TURNS], drained = 0, entries = 0;
        loom_lane_facts before = loom_recorder_facts(at.reader, 0);
        for (int turn = 0; turn < TURNS; turn++) {
            off[turn] = tasks_ns(&at, false, rounds, count);
            more[turn] = tasks_ns(&at, true, rounds, count) - off[turn];
            drained += drain_ns(&at, trace, &entries);
        }
        loom_lane_facts after = loom_recorder_facts(at.reader, 0);
        double tasks = (double)TURNS * count, without = median_of(off, TURNS), hooks = median_of(more, TURNS);
        printf("| %g | %.2f | %.2f | %.2f%% | %.3f | %.2f | %.3f |\n", lengths_us[i], without * 1e-3, hooks * 1e-3,
               100 * hooks / without, entries / tasks, entries > 0 ? drained / entries * 1e-3 : 0,
               (double)(after.sampled - before.sampled) / tasks);
        fflush(stdout);
    }
    loom_trace_end(trace, NULL);
    fclose(nowhere);
    loom_recorder_close(at.writer);
    loom_recorder_close(at.reader);
    loom_segment_close(at.segment);
}

/* ---- whole runs ---- */

static void write_programs(void) {
    FILE *sweep = fopen("sweep.imgql", "we"), *stencil = fopen("stencil.imgql", "we");
    if (!sweep || !stencil) die("a program");
    fputs("import \"simpleitk\"\nimport \"vox1\"\nimg = intensity(ReadImage(\"head.nii.gz\"))\n", sweep);
    fputs("print \"v\" [", sweep);
    for (int i = 0; i < 1000; i++) /* threshold, negation and volume of each */
        fprintf(sweep, "%svolume(not(img >=. %d.5))", i ? "," : "", i);
    fputs("]\n", sweep);
    fputs("import \"vox1\"\n", stencil);
    for (int column = 0; column < 100; column++)
        fprintf(stencil, "c0_%d = %d.5\n", column, column * column);
    for (int row = 1; row <= 100; row++)
        for (int column = 0; column < 100; column++)
            fprintf(stencil, "c%d_%d = c%d_%d .+. c%d_%d\n", row, column, row - 1, column, row - 1, (column + 1) % 100);
    fputs("print \"row\" [", stencil);
    for (int column = 0; column < 100; column++)
        fprintf(stencil, "%sc100_%d", column ? "," : "", column);
    fputs("]\n", stencil);
    if (fclose(sweep) != 0 || fclose(stencil) != 0) die("a program");
}

/* CPU seconds of the command and all its processes. */
static double run_cpu(const char *voxloom, const char *program, bool profiled) {
    const char *plain[] = {voxloom,         "run",        program, "--store", ":memory:",
                           "--no-progress", "--quiet",    "-j",    "2",       profiled ? "--profile" : NULL,
                           "--trace",       "trace.json", NULL};
    struct rusage before, after;
    if (getrusage(RUSAGE_CHILDREN, &before) != 0) die("getrusage");
    run(plain);
    if (getrusage(RUSAGE_CHILDREN, &after) != 0) die("getrusage");
    return (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) +
           1e-6 * (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec -
                           before.ru_stime.tv_usec);
}

static void bench_runs(const char *voxloom, int runs) {
    static const char *const programs[] = {"sweep.imgql", "stencil.imgql"};
    if (!mkdtemp(folder) || chdir(folder) != 0) die(folder);
    write_programs();
    run((const char *const[]){voxloom, "phantom", "head.nii.gz", "--size", "48x48x32", NULL});
    printf("\n| program | CPU without, s | with, s | more |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < 2; i++) {
        double off[RUNS_MAX], on[RUNS_MAX], more[RUNS_MAX];
        for (int turn = 0; turn < runs; turn++) {
            off[turn] = run_cpu(voxloom, programs[i], false);
            on[turn] = run_cpu(voxloom, programs[i], true);
            more[turn] = on[turn] / off[turn] - 1;
        }
        printf("| %s | %.3f | %.3f | %.1f%% |\n", programs[i], median_of(off, (size_t)runs),
               median_of(on, (size_t)runs), 100 * median_of(more, (size_t)runs));
        fflush(stdout);
    }
    if (chdir("/") != 0) die("/");
    run((const char *const[]){"rm", "-rf", folder, NULL});
}

int main(int count, char **arguments) {
    if (count < 2) {
        bench_hooks();
        return 0;
    }
    int runs = count > 2 ? atoi(arguments[2]) : 9;
    if (runs < 1 || runs > RUNS_MAX) {
        fprintf(stderr, "RUNS is 1 to %d\n", RUNS_MAX);
        return 2;
    }
    char *voxloom = realpath(arguments[1], NULL);
    if (!voxloom) die(arguments[1]);
    bench_runs(voxloom, runs);
    free(voxloom);
    return 0;
}
