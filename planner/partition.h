/* partition.h - which NUMA domain runs which node.
 *
 * A graph is cut over k domains so that few bytes cross while load stays balanced: a multilevel cut (G. Karypis, V.
 * Kumar, "A fast and high quality multilevel scheme for partitioning irregular graphs", SIAM J. Sci. Comput. 20, 1998)
 * with Fiduccia-Mattheyses refinement (C. Fiduccia, R. Mattheyses, "A linear-time heuristic for improving network
 * partitions", DAC 1982). */
#ifndef LOOM_PLANNER_PARTITION_H
#define LOOM_PLANNER_PARTITION_H

#include <stdint.h>

#include "shm/status.h"

typedef struct loom_graph {
    uint32_t nodes;
    const uint64_t *cost; /* per node, any unit */
    const uint32_t
        *first_edge;        /* nodes + 1 entries: incoming edges of node n are first_edge[n] .. first_edge[n + 1] - 1 */
    const uint32_t *source; /* per edge: the node it comes from, smaller than the node it goes to */
    const uint64_t *bytes;  /* per edge: size of what flows along it */
} loom_graph;

typedef struct loom_partition_quality {
    uint64_t crossing_bytes;
    uint64_t largest_load; /* the largest of load / (share / mean share) over domains with a share, in cost units */
} loom_partition_quality;

/* Assigns domain[n] in 0..domains-1. `share` (domains entries, sum > 0) gives each domain's share of the cores; a
 * domain without cores gets nothing. A domain's load stays within (1 + tolerance_percent/100) of its share plus the
 * largest node. Deterministic, and O(edges * log(nodes)) for a plan of cases, 0.7 s a million nodes; where every cut is
 * long, times domains: 2 s over 2 domains, 7 s over 8. 1,000 nodes take 10 to 20 ms over 2 domains, up to 120 over 8.
 * `quality` may be NULL. Thread-safe; allocates about 140 bytes a node and 30 an edge while it runs. Errors:
 * LOOM_BAD_ARGUMENT (no domains or more than 65536, no shares, edges not in order or not from smaller nodes),
 * LOOM_TOO_LARGE (all costs or all bytes together reach 2^62), LOOM_NO_MEMORY. */
loom_status loom_partition(const loom_graph *graph, uint32_t domains, const uint32_t *share, uint32_t tolerance_percent,
                           uint16_t *domain, loom_partition_quality *quality);

#endif
