/* graph.h - the graphs of bench_tasks: layers of tasks, each of which needs some of the layer before, in the shapes of
 * Task Bench (E. Slaughter et al., "Task Bench: A Parameterized Benchmark for Evaluating Parallel Runtime Performance",
 * SC 2020), and the one result that every system must come to. Every task is needed for it (the tree joins pairs, again
 * and again): voxloom computes nothing else. */
#ifndef LOOM_PERF_TASKS_GRAPH_H
#define LOOM_PERF_TASKS_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

typedef enum graph_shape { SHAPE_TRIVIAL, SHAPE_STENCIL, SHAPE_FFT, SHAPE_TREE, SHAPE_RANDOM, SHAPE_COUNT } graph_shape;

#define GRAPH_NEEDS_MAX 8u
#define GRAPH_WIDTH_MAX 1000u

typedef struct graph {
    graph_shape shape;
    uint32_t width, layers;
    double work_us; /* of a task: it spins so long */
} graph;

extern const char *const graph_shape_names[SHAPE_COUNT];

uint64_t graph_tasks(const graph *of);
/* Columns of the layer before (layer > 0) that a task needs; returns how many. */
uint32_t graph_needs(const graph *of, uint32_t layer, uint32_t column, uint32_t needs[GRAPH_NEEDS_MAX]);

/* What a task computes: of its salt and of what it needs. Below 2^50, so that a double holds it. */
double graph_salt(const graph *of, uint32_t layer, uint32_t column);
double graph_value(double salt, const double *needed, uint32_t count);
/* Spins for so many microseconds; nothing for 0. */
void graph_work(double work_us);

/* The values of the last layer; of the trivial shape, where nothing hangs together, of all layers, added up column by
 * column. Computed here one after another, without the work. */
void graph_expected(const graph *of, double values[GRAPH_WIDTH_MAX]);

#endif
