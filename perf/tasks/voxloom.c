/* voxloom.c - the graph through <voxloom.h>: built in C, run as a job, its last layer read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <voxloom.h>

#include "perf/tasks/systems.h"

#define SUM_OF 4000u /* arguments of one sum */

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static loom_error err;

static loom_status salt_node(const graph *of, loom_builder *builder, uint32_t layer, uint32_t column,
                             loom_builder_node *node) {
    uint64_t work = (uint64_t)(of->work_us * 16 + 0.5); /* sixteenths of a microsecond: see kernels.c */
    return loom_builder_float(builder, graph_salt(of, layer, column) + (double)(work << 32), node, &err);
}

/* One layer behind another. Of the trivial shape all tasks of a column are kept in `all`, to be added up. */
static loom_status add_layer(const graph *of, loom_builder *builder, uint32_t layer, loom_builder_node *nodes) {
    loom_builder_node before[GRAPH_WIDTH_MAX], arguments[GRAPH_NEEDS_MAX + 1];
    uint32_t needs[GRAPH_NEEDS_MAX];
    loom_status status = LOOM_OK;
    memcpy(before, nodes, of->width * sizeof *before);
    for (uint32_t column = 0; column < of->width && status == LOOM_OK; column++) {
        uint32_t count = layer > 0 ? graph_needs(of, layer, column, needs) : 0;
        status = salt_node(of, builder, layer, column, &arguments[0]);
        for (uint32_t i = 0; i < count; i++)
            arguments[i + 1] = before[needs[i]];
        if (status == LOOM_OK)
            status = loom_builder_call(builder, "bench.task", arguments, count + 1, &nodes[column], &err);
    }
    return status;
}

static loom_status keep(const graph *of, loom_builder *builder, const loom_builder_node *nodes) {
    loom_status status = LOOM_OK;
    for (uint32_t column = 0; column < of->width && status == LOOM_OK; column++) {
        char name[16];
        snprintf(name, sizeof name, "%u", column);
        status = loom_builder_keep(builder, nodes[column], name, &err);
    }
    return status;
}

/* Column sums, in two levels where one sum would have too many arguments. */
static loom_status add_up(const graph *of, loom_builder *builder, const loom_builder_node *all,
                          loom_builder_node *nodes) {
    loom_builder_node *part = malloc(of->layers * sizeof *part);
    loom_status status = part != NULL ? LOOM_OK : LOOM_NO_MEMORY;
    for (uint32_t column = 0; column < of->width && status == LOOM_OK; column++) {
        for (uint32_t layer = 0; layer < of->layers; layer++)
            part[layer] = all[(size_t)layer * of->width + column];
        uint32_t count = of->layers;
        while (status == LOOM_OK && (count > 1 || count == of->layers)) {
            uint32_t sums = 0;
            for (uint32_t at = 0; at < count && status == LOOM_OK; at += SUM_OF)
                status = loom_builder_call(builder, "bench.sum", part + at, count - at < SUM_OF ? count - at : SUM_OF,
                                           &part[sums++], &err);
            if (count == sums) break;
            count = sums;
        }
        nodes[column] = part[0];
    }
    free(part);
    return status;
}

static loom_status build(const graph *of, loom_builder *builder) {
    bool trivial = of->shape == SHAPE_TRIVIAL;
    loom_builder_node nodes[GRAPH_WIDTH_MAX] = {0};
    loom_builder_node *all = trivial ? malloc(graph_tasks(of) * sizeof *all) : NULL;
    loom_status status = trivial && all == NULL ? LOOM_NO_MEMORY : LOOM_OK;
    for (uint32_t layer = 0; layer < of->layers && status == LOOM_OK; layer++) {
        status = add_layer(of, builder, layer, nodes);
        if (trivial) memcpy(all + (size_t)layer * of->width, nodes, of->width * sizeof *nodes);
    }
    if (status == LOOM_OK && trivial) status = add_up(of, builder, all, nodes);
    free(all);
    return status == LOOM_OK ? keep(of, builder, nodes) : status;
}

static loom_status read_results(const graph *of, loom_job *job, outcome *result) {
    loom_status status = LOOM_OK;
    for (uint32_t column = 0; column < of->width && status == LOOM_OK; column++) {
        char name[16];
        loom_item *item = NULL;
        snprintf(name, sizeof name, "%u", column);
        status = loom_job_result(job, name, &item, &err);
        if (status == LOOM_OK) result->values[column] = loom_item_float(item);
        loom_item_release(item);
    }
    result->is_checked = status == LOOM_OK;
    return status;
}

static double number_in(const char *json, const char *key) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"%s\":", key);
    const char *at = json != NULL ? strstr(json, wanted) : NULL;
    return at != NULL ? strtod(at + strlen(wanted), NULL) : 0;
}

/* BENCH_TASKS_TIMES=1 prints what the phases take. */
static void show_phases(double start, double built, double ended, double released) {
    if (getenv("BENCH_TASKS_TIMES") == NULL) return;
    fprintf(stderr, "    build %.3f s, run %.3f s, read and release %.3f s\n", built - start, ended - built,
            released - ended);
}

static loom_status run_on(const graph *of, const char *store, outcome *result) {
    char tasks_max[64];
    snprintf(tasks_max, sizeof tasks_max, "memory.tasks_max=%llu", (unsigned long long)(graph_tasks(of) * 2 + 100000));
    const char *const settings[] = {"kernels.plugins=" BENCH_KERNELS, tasks_max, "memory.segment=32GiB"};
    const loom_runtime_options options = {.size = sizeof options,
                                          .store_path = store,
                                          .workers = TASK_WORKERS,
                                          .settings = settings,
                                          .setting_count = sizeof settings / sizeof settings[0],
                                          .worker_program = BENCH_WORKER};
    loom_runtime *runtime = NULL;
    loom_builder *builder = NULL;
    loom_job *job = NULL;
    loom_status status = loom_runtime_open(&options, &runtime, &err);
    double start = seconds(), built = start, ended = start;
    if (status == LOOM_OK) status = loom_builder_new(runtime, &builder, &err);
    if (status == LOOM_OK) status = build(of, builder);
    built = seconds();
    if (status == LOOM_OK) {
        status = loom_runtime_submit_builder(runtime, builder, NULL, &job, &err);
        builder = NULL;
    }
    if (status == LOOM_OK) status = loom_job_wait(job, -1, &err);
    ended = seconds();
    if (status == LOOM_OK) status = read_results(of, job, result);
    if (status == LOOM_OK) result->bytes = number_in(loom_job_report_json(job), "segment_bytes");
    loom_job_free(job);
    loom_builder_free(builder);
    result->seconds = seconds() - start;
    show_phases(start, built, ended, start + result->seconds);
    loom_runtime_close(runtime);
    return status;
}

static void run(const graph *of, const char *store, outcome *result) {
    if (run_on(of, store, result) != LOOM_OK) snprintf(result->problem, sizeof result->problem, "%.500s", err.message);
}

void run_voxloom_memory(const graph *of, outcome *result) {
    run(of, ":memory:", result);
}

void run_voxloom_stored(const graph *of, outcome *result) {
    char folder[256], command[300];
    const char *root = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.200s/bench-tasks-XXXXXX", root != NULL ? root : "/tmp");
    if (mkdtemp(folder) == NULL) {
        snprintf(result->problem, sizeof result->problem, "no temporary folder");
        return;
    }
    run(of, folder, result);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0) fprintf(stderr, "could not remove %s\n", folder);
}
