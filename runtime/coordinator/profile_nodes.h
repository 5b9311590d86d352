/* profile_nodes.h - what each node of a plan took, summed up from log entries while a run goes on.
 *
 * Memory is bounded: at most twice LOOM_PROFILE_NODES_MAX rows of 200 bytes. When they are full, the cheaper half is
 * added to one remainder, so what a profile does not list it counts. A node that comes again after that begins anew, so
 * with more nodes than that a row may be too small, by what is in the remainder. */
#ifndef LOOM_RUNTIME_PROFILE_NODES_H
#define LOOM_RUNTIME_PROFILE_NODES_H

#include "perf/profile.h"
#include "planner/plan.h"
#include "runtime/coordinator/memo.h"

#define LOOM_PROFILE_NODES_MAX 16384u

typedef struct loom_node_sum {
    loom_node_index node;    /* LOOM_NODE_NONE: none is known */
    uint32_t operator_index; /* the node's, or of an internal step for it */
    uint32_t worker;         /* that ran the longest of its calls */
    bool unnamed;            /* calls are for items of a loop that share the node: its id is that of none */
    uint64_t calls, task_ns, longest_ns, kernel_ns, io_ns, bytes_in, bytes_out, counted;
    loom_counts counts; /* of the `counted` calls */
} loom_node_sum;

typedef struct loom_profile_nodes {
    loom_node_sum *rows;
    uint32_t count, capacity;
    loom_memo index; /* node and operator -> row */
    uint64_t left_out, left_out_calls, left_out_ns;
} loom_profile_nodes;

/* LOOM_NO_MEMORY: the entry is in the remainder. */
loom_status loom_profile_nodes_add(loom_profile_nodes *nodes, const loom_log_entry *entry, loom_node_index node,
                                   bool unnamed);
/* Sorts them, the most expensive first, and leaves at most LOOM_PROFILE_NODES_MAX. Nothing may be added after it. */
void loom_profile_nodes_finish(loom_profile_nodes *nodes);
void loom_profile_nodes_release(loom_profile_nodes *nodes);

#endif
