/* starpu.c - the graph as StarPU tasks with explicit dependencies, which is cheaper there than data handles. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "perf/tasks/systems.h"

#ifdef BENCH_STARPU
#include <starpu.h>

/* What a task computes on: where it writes, and where what it needs was written. */
typedef struct cell {
    const graph *of;
    uint32_t layer, column, count;
    const double *needed[GRAPH_NEEDS_MAX];
    double value;
} cell;

static void compute(void *buffers[], void *argument) {
    cell *self = argument;
    double needed[GRAPH_NEEDS_MAX];
    (void)buffers;
    for (uint32_t i = 0; i < self->count; i++)
        needed[i] = *self->needed[i];
    graph_work(self->of->work_us);
    self->value = graph_value(graph_salt(self->of, self->layer, self->column), needed, self->count);
}

static struct starpu_codelet codelet = {.cpu_funcs = {compute}, .nbuffers = 0, .name = "task"};

static void submit(const graph *of, struct starpu_task **tasks, cell *cells, uint32_t layer, uint32_t column) {
    uint32_t needs[GRAPH_NEEDS_MAX], count = layer > 0 ? graph_needs(of, layer, column, needs) : 0;
    size_t index = (size_t)layer * of->width + column, before = (size_t)(layer - 1) * of->width;
    struct starpu_task *task = starpu_task_create(), *needed[GRAPH_NEEDS_MAX];
    cells[index] = (cell){.of = of, .layer = layer, .column = column, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        needed[i] = tasks[before + needs[i]];
        cells[index].needed[i] = &cells[before + needs[i]].value;
    }
    task->cl = &codelet;
    task->cl_arg = &cells[index];
    task->destroy = 0; /* others name it as what they need */
    tasks[index] = task;
    if (count > 0) starpu_task_declare_deps_array(task, count, needed);
    if (starpu_task_submit(task) != 0) exit(1);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void run_starpu(const graph *of, outcome *result) {
    size_t count = graph_tasks(of);
    struct starpu_task **tasks = malloc(count * sizeof *tasks);
    cell *cells = malloc(count * sizeof *cells);
    struct starpu_conf conf;
    starpu_conf_init(&conf);
    conf.ncpus = TASK_WORKERS;
    conf.sched_policy_name = "lws";
    setenv("STARPU_SILENT", "1", 1);
    setenv("STARPU_WORKERS_NOBIND", "1", 0);
    if (tasks == NULL || cells == NULL || starpu_init(&conf) != 0) {
        snprintf(result->problem, sizeof result->problem, "StarPU does not start");
        return;
    }
    double start = seconds();
    for (uint32_t layer = 0; layer < of->layers; layer++)
        for (uint32_t column = 0; column < of->width; column++)
            submit(of, tasks, cells, layer, column);
    starpu_task_wait_for_all();
    for (size_t i = 0; i < count; i++) {
        double *value = &result->values[i % of->width];
        *value = of->shape == SHAPE_TRIVIAL ? *value + cells[i].value : cells[i].value;
        starpu_task_destroy(tasks[i]);
    }
    result->seconds = seconds() - start;
    result->is_checked = true;
    starpu_shutdown();
    free(tasks);
    free(cells);
}
#else
void run_starpu(const graph *of, outcome *result) {
    (void)of;
    snprintf(result->problem, sizeof result->problem, "built without StarPU (libstarpu-dev)");
}
#endif
