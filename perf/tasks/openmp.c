/* openmp.c - the graph as OpenMP tasks that depend on each other's cells (OpenMP 5.0, depend with iterators). */
#include <stdio.h>
#include <stdlib.h>

#include "perf/tasks/systems.h"

#ifdef BENCH_OPENMP
#include <omp.h>

/* Cells alternate between two layers: a task writes one that the layer before last had, after all who read it. */
static void submit_layer(const graph *of, uint32_t layer, double *before, double *after, double *sums) {
    for (uint32_t column = 0; column < of->width; column++) {
        uint32_t needs[GRAPH_NEEDS_MAX], count = layer > 0 ? graph_needs(of, layer, column, needs) : 0;
        const graph local = *of;
#pragma omp task depend(iterator(i = 0                                                                                 \
                                 : count),                                                                             \
                        in                                                                                             \
                        : before[needs[i]]) depend(out                                                                 \
                                                   : after[column])                                                    \
    firstprivate(needs, count, local, layer, column, before, after, sums)
        {
            double needed[GRAPH_NEEDS_MAX];
            for (uint32_t i = 0; i < count; i++)
                needed[i] = before[needs[i]];
            graph_work(local.work_us);
            after[column] = graph_value(graph_salt(&local, layer, column), needed, count);
            sums[column] = local.shape == SHAPE_TRIVIAL ? sums[column] + after[column] : after[column];
        }
    }
}

void run_openmp(const graph *of, outcome *result) {
    static double cells[2][GRAPH_WIDTH_MAX];
    omp_set_num_threads(TASK_WORKERS);
    double start = omp_get_wtime();
#pragma omp parallel
#pragma omp single
    for (uint32_t layer = 0; layer < of->layers; layer++)
        submit_layer(of, layer, cells[layer % 2], cells[(layer + 1) % 2], result->values);
    result->seconds = omp_get_wtime() - start;
    result->is_checked = true;
}
#else
void run_openmp(const graph *of, outcome *result) {
    (void)of;
    snprintf(result->problem, sizeof result->problem, "built without OpenMP");
}
#endif
