/* systems.h - the task systems that bench_tasks compares. Each runs a graph once, in a process of its own. */
#ifndef LOOM_PERF_TASKS_SYSTEMS_H
#define LOOM_PERF_TASKS_SYSTEMS_H

#include "perf/tasks/graph.h"

typedef struct outcome {
    double seconds; /* from an empty system to the last result read and everything released */
    double bytes;   /* of memory that processes share, at the end; 0: none */
    double values[GRAPH_WIDTH_MAX];
    bool is_checked;               /* `values` are set */
    char problem[512];             /* why there is no figure; "" if there is one */
    double self_cpu, children_cpu; /* seconds, filled in by who measures */
    double peak_bytes;             /* largest resident set of the measuring process */
} outcome;

typedef struct task_system {
    const char *name;
    void (*run)(const graph *of, outcome *result);
    uint64_t tasks_max; /* what is too slow gets a smaller graph; 0: no limit */
} task_system;

#define TASK_WORKERS 2

void run_voxloom_memory(const graph *of, outcome *result);
void run_voxloom_stored(const graph *of, outcome *result);
void run_openmp(const graph *of, outcome *result);
void run_starpu(const graph *of, outcome *result);
void run_dask(const graph *of, outcome *result);

#endif
