/* bench_tasks.c - what a task costs: graphs in the shapes of Task Bench, 100 wide, built through <voxloom.h> and run by
 * 2 workers, beside StarPU, OpenMP and dask.distributed on the same graphs in the same session.
 *
 *     bench_tasks table [TASKS [REPEATS]]    every shape, empty and 10 us tasks (100,000 tasks, 3 turns)
 *     bench_tasks metg [TASKS [REPEATS]]     METG(50%): the finest tasks that keep half of the processors at work
 *                                            (stencil; 50,000 tasks, 3 turns)
 *     bench_tasks scale [SHAPE [TASKS...]]   voxloom alone, in memory, by number of tasks (all shapes; 10^4 to 10^6)
 *     bench_tasks stored [SHAPE [TASKS...]]  the same with every result stored
 *
 * Wall time is from an empty system to the last result read and everything released: building or submitting the graph,
 * running, reading. A run of voxloom starts its worker processes, and that is in its time; StarPU's and OpenMP's
 * threads and Dask's processes are there before theirs begins. What the start takes is measured apart, by a graph of
 * one layer, and `without start` is the time a task less its share of that. Every run is in a process of its own,
 * systems take turns, and medians are given. `cpu` is of the process that submits (coordinator and committer with
 * voxloom), `workers` of its children; both per task, start included. Results are compared with graph.c's own. Dask
 * gets at most 20,000 tasks, 2,000 for METG. Systems that are not there when this is built, or run, say so. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perf/tasks/systems.h"

#define WIDTH 100u
#define REPEATS_MAX 21
#define SYSTEMS 5
#define OURS 2                /* the first systems, whose time begins before their workers are there */
#define METG_TASKS_SLOW 2000u /* of a system that has a limit: one layer behind another is as telling with fewer */

static const task_system systems[SYSTEMS] = {{"voxloom, in memory", run_voxloom_memory, 0},
                                             {"voxloom, stored", run_voxloom_stored, 0},
                                             {"StarPU", run_starpu, 0},
                                             {"OpenMP", run_openmp, 0},
                                             {"Dask distributed", run_dask, 20000}};

static double cpu_of(int who) {
    struct rusage usage;
    if (getrusage(who, &usage) != 0) return 0;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static void verify(const graph *of, outcome *result) {
    double expected[GRAPH_WIDTH_MAX];
    if (result->problem[0] != '\0') return;
    graph_expected(of, expected);
    for (uint32_t i = 0; i < of->width; i++)
        if (!result->is_checked || result->values[i] != expected[i]) {
            snprintf(result->problem, sizeof result->problem, "WRONG RESULT");
            return;
        }
}

/* In a process of its own: nobody inherits another's threads, memory or processor time. */
static void measure(const task_system *system, const graph *of, outcome *result) {
    int ends[2];
    memset(result, 0, sizeof *result);
    snprintf(result->problem, sizeof result->problem, "ended without a result");
    fflush(NULL);
    if (pipe(ends) != 0) return;
    pid_t child = fork();
    if (child == 0) {
        struct rusage usage;
        result->problem[0] = '\0';
        close(ends[0]);
        system->run(of, result);
        result->self_cpu = cpu_of(RUSAGE_SELF);
        result->children_cpu = cpu_of(RUSAGE_CHILDREN);
        if (getrusage(RUSAGE_SELF, &usage) == 0) result->peak_bytes = (double)usage.ru_maxrss * 1024;
        verify(of, result);
        const char *at = (const char *)result;
        for (size_t left = sizeof *result; left > 0;) {
            ssize_t written = write(ends[1], at, left);
            if (written <= 0) break;
            at += written;
            left -= (size_t)written;
        }
        _exit(0);
    }
    close(ends[1]);
    outcome read_back;
    size_t got = 0;
    ssize_t more;
    while (child > 0 && got < sizeof read_back &&
           (more = read(ends[0], (char *)&read_back + got, sizeof read_back - got)) > 0)
        got += (size_t)more;
    close(ends[0]);
    if (child > 0) waitpid(child, NULL, 0);
    if (got == sizeof read_back) *result = read_back;
}

static int by_seconds(const void *a, const void *b) {
    double x = ((const outcome *)a)->seconds, y = ((const outcome *)b)->seconds;
    return (x > y) - (x < y);
}

/* Fewer layers for the slow. */
static graph graph_for(const task_system *system, graph of) {
    if (system->tasks_max != 0 && graph_tasks(&of) > system->tasks_max)
        of.layers = (uint32_t)(system->tasks_max / of.width);
    return of;
}

/* The median turn of each system; they take turns, so that a disturbance meets all. */
static void compare(const graph *of, int repeats, outcome medians[SYSTEMS]) {
    static outcome turns[SYSTEMS][REPEATS_MAX];
    for (int turn = 0; turn < repeats; turn++)
        for (int s = 0; s < SYSTEMS; s++) {
            const graph own = graph_for(&systems[s], *of);
            bool hopeless = turn > 0 && turns[s][0].problem[0] != '\0';
            if (hopeless)
                turns[s][turn] = turns[s][0];
            else
                measure(&systems[s], &own, &turns[s][turn]);
        }
    for (int s = 0; s < SYSTEMS; s++) {
        qsort(turns[s], (size_t)repeats, sizeof turns[s][0], by_seconds);
        medians[s] = turns[s][repeats / 2];
    }
}

static double us_a_task(const outcome *result, const task_system *system, const graph *of) {
    const graph own = graph_for(system, *of);
    return result->seconds * 1e6 / (double)graph_tasks(&own);
}

/* Seconds from nothing to the end of one layer. */
static double start_of(const task_system *system, int repeats) {
    const graph layer = {.shape = SHAPE_STENCIL, .width = WIDTH, .layers = 1};
    outcome turns[REPEATS_MAX];
    for (int turn = 0; turn < repeats; turn++)
        measure(system, &layer, &turns[turn]);
    qsort(turns, (size_t)repeats, sizeof turns[0], by_seconds);
    return turns[repeats / 2].problem[0] == '\0' ? turns[repeats / 2].seconds : 0;
}

static void print_row(const graph *of, const outcome medians[SYSTEMS], const double start[OURS], int s) {
    const graph own = graph_for(&systems[s], *of);
    double tasks = (double)graph_tasks(&own), us = us_a_task(&medians[s], &systems[s], of);
    printf("| %s | %g | %s ", graph_shape_names[of->shape], of->work_us, systems[s].name);
    if (medians[s].problem[0] != '\0') {
        printf("| %s | | | | | | |\n", medians[s].problem);
        return;
    }
    printf("| %.2f | %.2f ", us, s < OURS ? us - start[s] * 1e6 / tasks : us);
    printf("| %.2f | %.2f ", medians[s].self_cpu * 1e6 / tasks, medians[s].children_cpu * 1e6 / tasks);
    for (int ours = 0; ours < OURS; ours++) {
        bool comparable = s >= OURS && medians[ours].problem[0] == '\0';
        if (comparable)
            printf("| %.2f ", us_a_task(&medians[ours], &systems[ours], of) / us);
        else
            printf("| ");
    }
    if (medians[s].bytes > 0)
        printf("| %.0f |\n", medians[s].bytes / tasks);
    else
        printf("| |\n");
}

static void table(uint32_t tasks, int repeats) {
    double start[OURS];
    for (int s = 0; s < OURS; s++) {
        start[s] = start_of(&systems[s], repeats);
        printf("%s: start %.1f ms\n", systems[s].name, start[s] * 1e3);
    }
    puts("\n| shape | work, us | system | us a task | without start | cpu | workers | in memory / it | stored / it | "
         "shared bytes a task |");
    puts("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (int work = 0; work < 2; work++)
        for (int shape = 0; shape < SHAPE_COUNT; shape++) {
            const graph of = {
                .shape = (graph_shape)shape, .width = WIDTH, .layers = tasks / WIDTH, .work_us = work ? 10 : 0};
            outcome medians[SYSTEMS];
            compare(&of, repeats, medians);
            for (int s = 0; s < SYSTEMS; s++)
                print_row(&of, medians, start, s);
            fflush(stdout);
        }
}

/* ---- METG ---- */

/* Share of the processors' time that went into tasks' own work. */
static double efficiency(const outcome *result, const graph *of) {
    return (double)graph_tasks(of) * of->work_us * 1e-6 / (result->seconds * TASK_WORKERS);
}

/* Task Bench's granularity: processors' time over tasks, where efficiency passes 50%; between two measured points
 * by the logarithm of the work. -1: not reached. */
static double metg_of(const double *work, const double *efficient, int count) {
    for (int i = 0; i < count; i++) {
        if (efficient[i] < 0.5) continue;
        if (i == 0) return work[0] / efficient[0];
        double part = (0.5 - efficient[i - 1]) / (efficient[i] - efficient[i - 1]);
        return work[i - 1] * pow(work[i] / work[i - 1], part) / 0.5;
    }
    return -1;
}

static void metg(uint32_t tasks, int repeats) {
    static const double work[] = {0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048};
    enum { POINTS = sizeof work / sizeof work[0] };
    puts("| system | METG(50%), us | efficiency by work |");
    puts("| --- | --- | --- |");
    for (int s = 0; s < SYSTEMS; s++) {
        double efficient[POINTS];
        int points = 0;
        while (points < POINTS && (points == 0 || efficient[points - 1] <= 0.6)) {
            uint32_t most = systems[s].tasks_max != 0 && tasks > METG_TASKS_SLOW ? METG_TASKS_SLOW : tasks;
            const graph own = {.shape = SHAPE_STENCIL, .width = WIDTH, .layers = most / WIDTH, .work_us = work[points]};
            outcome turns[REPEATS_MAX];
            for (int turn = 0; turn < repeats; turn++)
                measure(&systems[s], &own, &turns[turn]);
            qsort(turns, (size_t)repeats, sizeof turns[0], by_seconds);
            if (turns[repeats / 2].problem[0] != '\0') break;
            efficient[points++] = efficiency(&turns[repeats / 2], &own);
        }
        double found = metg_of(work, efficient, points);
        printf(found > 0 ? "| %s | %.2f |" : "| %s | not reached |", systems[s].name, found);
        for (int i = 0; i < points; i++)
            printf(" %g us: %.2f", work[i], efficient[i]);
        puts(" |");
        fflush(stdout);
    }
}

/* ---- scale ---- */

static void scale_row(const task_system *system, graph_shape shape, uint64_t tasks) {
    const graph of = {.shape = shape, .width = WIDTH, .layers = (uint32_t)(tasks / WIDTH)};
    outcome result;
    measure(system, &of, &result);
    double count = (double)graph_tasks(&of);
    printf("| %s | %.0f ", graph_shape_names[shape], count);
    if (result.problem[0] != '\0')
        printf("| %s | | | | | |\n", result.problem);
    else
        printf("| %.2f | %.2f | %.2f | %.2f | %.0f | %.0f |\n", result.seconds, result.seconds * 1e6 / count,
               result.self_cpu * 1e6 / count, result.children_cpu * 1e6 / count, result.bytes / count,
               result.peak_bytes / count);
    fflush(stdout);
}

static int scale(const task_system *system, int count, char **arguments) {
    static const char *const usual[] = {"10000", "100000", "1000000"};
    int named = -1;
    for (int shape = 0; count > 0 && shape < SHAPE_COUNT; shape++)
        if (strcmp(arguments[0], graph_shape_names[shape]) == 0) named = shape;
    if (count > 0 && named < 0 && strcmp(arguments[0], "all") != 0) return 2;
    puts("| shape | tasks | s | us a task | cpu | workers | shared bytes a task | peak bytes a task, submitting "
         "process |");
    puts("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (int shape = 0; shape < SHAPE_COUNT; shape++)
        for (int i = 0; i < (count > 1 ? count - 1 : 3); i++)
            if (named < 0 || named == shape)
                scale_row(system, (graph_shape)shape, strtoull(count > 1 ? arguments[i + 1] : usual[i], NULL, 10));
    return 0;
}

int main(int count, char **arguments) {
    const char *mode = count > 1 ? arguments[1] : "";
    bool is_metg = strcmp(mode, "metg") == 0, is_stored = strcmp(mode, "stored") == 0;
    unsigned long tasks = count > 2 ? strtoul(arguments[2], NULL, 10) : is_metg ? 50000 : 100000;
    int repeats = count > 3 ? atoi(arguments[3]) : 3, status = 2;
    bool is_sane = tasks >= WIDTH && tasks <= 100000000 && repeats > 0 && repeats <= REPEATS_MAX;
    setenv("XDG_CONFIG_HOME", "/nonexistent", 1); /* nobody's own settings */
    if (is_stored || strcmp(mode, "scale") == 0) {
        status = scale(&systems[is_stored ? 1 : 0], count - 2, arguments + 2);
    } else if (is_sane && (is_metg || strcmp(mode, "table") == 0)) {
        (is_metg ? metg : table)((uint32_t)tasks, repeats);
        status = 0;
    }
    if (status == 2)
        fputs("usage: bench_tasks table|metg [TASKS [REPEATS]] | scale|stored [SHAPE|all [TASKS...]]\n", stderr);
    return status;
}
