/* openmp.c - the graph as OpenMP tasks that depend on each other's cells (OpenMP 5.0, depend with iterators). */
#include <stdio.h>
#include <stdlib.h>

#include "perf/tasks/systems.h"

#ifdef BENCH_OPENMP
#include <omp.h>

/* Cells alternate between two layers: a task writes one that the layer before last had, after all who read it. */
typedef struct cells {
    double value[2][GRAPH_WIDTH_MAX], sum[2][GRAPH_WIDTH_MAX]; /* of layers with an even, and an odd, number */
} cells;

static void submit_layer(const graph *of, uint32_t layer, cells *all) {
    double *before = all->value[(layer + 1) % 2], *after = all->value[layer % 2], *sum = all->sum[layer % 2];
    for (uint32_t column = 0; column < of->width; column++) {
        uint32_t needs[GRAPH_NEEDS_MAX], count = layer > 0 ? graph_needs(of, layer, column, needs) : 0;
        const graph local = *of;
#pragma omp task depend(iterator(i = 0                                                                                 \
                                 : count),                                                                             \
                        in                                                                                             \
                        : before[needs[i]]) depend(out                                                                 \
                                                   : after[column])                                                    \
    firstprivate(needs, count, local, layer, column, before, after, sum)
        {
            double needed[GRAPH_NEEDS_MAX];
            for (uint32_t i = 0; i < count; i++)
                needed[i] = before[needs[i]];
            graph_work(local.work_us);
            after[column] = graph_value(graph_salt(&local, layer, column), needed, count);
            sum[column] += after[column];
        }
    }
}

void run_openmp(const graph *of, outcome *result) {
    static cells all;
    omp_set_num_threads(TASK_WORKERS);
    double start = omp_get_wtime();
#pragma omp parallel
#pragma omp single
    for (uint32_t layer = 0; layer < of->layers; layer++)
        submit_layer(of, layer, &all);
    for (uint32_t column = 0; column < of->width; column++)
        result->values[column] = of->shape == SHAPE_TRIVIAL ? all.sum[0][column] + all.sum[1][column]
                                                            : all.value[(of->layers - 1) % 2][column];
    result->seconds = omp_get_wtime() - start;
    result->is_checked = true;
}
#else
void run_openmp(const graph *of, outcome *result) {
    (void)of;
    snprintf(result->problem, sizeof result->problem, "built without OpenMP");
}
#endif
