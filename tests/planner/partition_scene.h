/* partition_scene.h - graphs of the shapes that plans have, and a long local search for a good cut of them. The search
 * shares no code with the partitioner. */
#ifndef LOOM_TESTS_PARTITION_SCENE_H
#define LOOM_TESTS_PARTITION_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/partition.h"

typedef struct scene_graph {
    loom_graph graph;
    uint32_t edges, node_capacity, edge_capacity;
    uint64_t *cost, *bytes;
    uint32_t *first_edge, *source;
} scene_graph;

typedef enum scene_shape {
    SCENE_FOLDER,  /* many cases, each a pipeline of its own; their numbers meet at the end */
    SCENE_SWEEP,   /* few images, each under many thresholds, then filters, then numbers that are folded */
    SCENE_STENCIL, /* rows of nodes, each from three of the row before */
    SCENE_FFT,     /* butterflies */
    SCENE_TREE,    /* a reduction by pairs */
    SCENE_GRID,    /* a square, each node from its left and upper neighbour */
    SCENE_RANDOM,  /* each node from up to two, mostly recent ones */
    SCENE_SHAPES
} scene_shape;
const char *scene_shape_name(scene_shape shape);

/* About `nodes` nodes; the same seed makes the same graph. Ends the program when memory is short. */
scene_graph scene_graph_make(scene_shape shape, uint32_t nodes, uint64_t seed);
void scene_graph_free(scene_graph *graph);

/* Balance as planner/partition.h promises it, and the bytes that cross, by definition. */
bool scene_is_balanced(const loom_graph *graph, uint32_t domains, const uint32_t *share, uint32_t tolerance,
                       const uint16_t *domain);
uint64_t scene_crossing(const loom_graph *graph, const uint16_t *domain);

/* Simulated annealing (S. Kirkpatrick, C. Gelatt, M. Vecchi, "Optimization by simulated annealing", Science 220, 1983)
 * with `moves` moves from random cuts, and as many again from `start`; returns the fewest crossing bytes that it met
 * with a balanced cut, those of `start` included. */
uint64_t scene_anneal(const loom_graph *graph, uint32_t domains, const uint32_t *share, uint32_t tolerance,
                      const uint16_t *start, uint64_t moves, uint64_t seed);

#endif
