/* partition_work.h - what partition.c and partition_refine.c share while one graph is cut; private to them and to
 * partition_coarsen.c. */
#ifndef LOOM_PLANNER_PARTITION_WORK_H
#define LOOM_PLANNER_PARTITION_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/partition.h"

/* A binary heap of nodes, the highest priority first, equal ones by node number. A node is in at most one heap, so
 * both heaps of a refinement share `priority` and `position`. */
typedef struct node_heap {
    uint32_t *nodes;
    uint32_t count;
    int64_t *priority;  /* per node */
    uint32_t *position; /* per node: index in `nodes`, or NOT_IN_HEAP */
} node_heap;

#define NOT_IN_HEAP UINT32_MAX
#define NO_NODE UINT32_MAX

typedef struct partition_work {
    const loom_graph *graph;
    uint32_t domains;
    const uint32_t *share;
    uint64_t total_cost, total_share;
    uint64_t *limit;       /* per domain: the load that it may reach */
    uint64_t *load;        /* per domain */
    uint16_t *domain;      /* per node */
    uint32_t *first_out;   /* nodes + 1: outgoing edges of n are out_edge[first_out[n] .. first_out[n + 1] - 1] */
    uint32_t *out_edge;    /* per edge: an edge's number, grouped by source */
    uint32_t *edge_target; /* per edge */
    node_heap heap[2];
    /* Refinement: the nodes of each domain as a doubly linked list, so that a pass costs what its two domains hold. */
    uint32_t *first_member; /* per domain; NO_NODE ends a list */
    uint32_t *next_member, *previous_member;
    uint32_t *moved; /* per node: scratch of refinement */
    bool *locked;    /* per node: scratch of refinement */
} partition_work;

/* One step of splitmix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA
 * 2014): the same numbers everywhere, always. */
static inline uint64_t partition_random(uint64_t *state) {
    uint64_t mixed = *state += UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ mixed >> 31;
}

void heap_clear(node_heap *heap);
void heap_insert(node_heap *heap, uint32_t node);
void heap_remove(node_heap *heap, uint32_t node);
/* Restores the order after priority[node] changed. */
void heap_update(node_heap *heap, uint32_t node);

/* Adds a node, which has no domain yet, to a domain. */
static inline void partition_place(partition_work *work, uint32_t node, uint32_t domain) {
    work->domain[node] = (uint16_t)domain;
    work->load[domain] += work->graph->cost[node];
}

loom_partition_quality partition_quality(const partition_work *work);
bool partition_is_better(const loom_partition_quality *a, const loom_partition_quality *b);

/* Cuts from several starts, each refined; the best goes to `domain` (one entry a node). LOOM_NO_MEMORY. */
loom_status partition_cut_flat(partition_work *work, uint16_t *domain, loom_partition_quality *best);

/* A graph of pairs of nodes. */
typedef struct coarse_graph {
    loom_graph
        graph;    /* of the arrays below; its edges, which have no direction here, go from smaller to larger nodes */
    uint32_t *of; /* per node of the fine graph: its pair */
    uint64_t *cost, *bytes;
    uint32_t *first_edge, *source;
} coarse_graph;
/* Joins pairs that exchange many bytes and cost no more than cost_max together; with `within`, only nodes of one
 * domain. Different seeds make different pairs. LOOM_NO_MEMORY. */
loom_status partition_coarsen(const partition_work *fine, uint64_t cost_max, const uint16_t *within, uint64_t seed,
                              coarse_graph *coarse);
void partition_coarse_free(coarse_graph *coarse);

/* Moves nodes between domains, two domains at a time, until no pass saves bytes. Keeps every load within its limit. */
void partition_refine(partition_work *work);

#endif
