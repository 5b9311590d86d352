/* dask.c - the graph through dask.distributed with worker processes, by run_dask.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/tasks/systems.h"

void run_dask(const graph *of, outcome *result) {
    char command[1024], line[256];
    snprintf(command, sizeof command, "PATH=/usr/bin:$PATH python3 %s %s %u %u %g %d 2>&1", BENCH_DASK,
             graph_shape_names[of->shape], of->width, of->layers, of->work_us, TASK_WORKERS);
    FILE *output = popen(command, "r");
    if (output == NULL) {
        snprintf(result->problem, sizeof result->problem, "cannot start python3");
        return;
    }
    uint32_t column = 0;
    result->seconds = -1;
    snprintf(result->problem, sizeof result->problem, "dask.distributed is not there (python3-distributed)");
    while (fgets(line, sizeof line, output) != NULL) {
        if (strncmp(line, "seconds ", 8) == 0) result->seconds = strtod(line + 8, NULL);
        if (strncmp(line, "value ", 6) == 0 && column < of->width) result->values[column++] = strtod(line + 6, NULL);
    }
    if (pclose(output) == 0 && result->seconds > 0) result->problem[0] = '\0';
    result->is_checked = column == of->width;
}
