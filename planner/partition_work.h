/* partition_work.h - what partition.c and partition_refine.c share while one graph is cut; private to them. */
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

void heap_clear(node_heap *heap);
void heap_insert(node_heap *heap, uint32_t node);
void heap_remove(node_heap *heap, uint32_t node);
/* Restores the order after priority[node] changed. */
void heap_update(node_heap *heap, uint32_t node);

/* Moves nodes between domains, two domains at a time, until no pass saves bytes. Keeps every load within its limit. */
void partition_refine(partition_work *work);

#endif
