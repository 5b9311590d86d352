/* partition_dot.h - the cut of a program over NUMA domains, drawn for Graphviz. */
#ifndef LOOM_RUNTIME_PARTITION_DOT_H
#define LOOM_RUNTIME_PARTITION_DOT_H

#include <stdio.h>

#include "runtime/coordinator/preview.h"
#include "runtime/topology.h"

/* Places the steps of the preview on the machine's domains as a run does, and writes the graph: a box a step, coloured
 * by domain; edges labelled with the bytes that flow along them, those that cross red. Constants are left out. Call it
 * once a preview. LOOM_NO_MEMORY, LOOM_IO. */
loom_status loom_partition_draw(loom_preview *preview, const loom_topology *topology, FILE *out, loom_error *err);

#endif
