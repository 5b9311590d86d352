/* partition_starts.c - first cuts of a graph, each refined, the best kept: what the coarsest graph of a multilevel cut
 * gets, and small graphs as they are.
 *
 * Blocks in topological order; greedy (each node where most of its bytes come from); regions grown from a seed along
 * the heaviest edges, one domain after another; scattered. Small graphs get more seeds and scatters, because there a
 * wrong start shows and costs nothing to replace. Every cut keeps loads within their limits, and so does refinement. */
#include <stdlib.h>
#include <string.h>

#include "planner/partition_work.h"

enum { BLOCKS_START, GREEDY_START, GROWN_START, GROWN_STARTS_MAX = 16, SCATTERED_STARTS_MAX = 24 };
/* Nodes and edges, times domains, touched by more than one start of a kind, all in all. */
#define MORE_STARTS_WORK 60000u

__extension__ typedef unsigned __int128 wide;

/* ---- first cuts ---- */

/* The cost at which domain d is full when domains are filled one after another, rounded up. */
static uint64_t filled_by(const partition_work *work, uint32_t d) {
    uint64_t shares = 0;
    for (uint32_t i = 0; i <= d; i++)
        shares += work->share[i];
    wide product = (wide)work->total_cost * shares;
    return (uint64_t)((product + work->total_share - 1) / work->total_share);
}

/* The first domain at or behind `from` that has cores and is not yet full; there is one while nodes remain, except for
 * nodes of cost 0 at the very end, which stay where the last ones went. */
static uint32_t next_domain(const partition_work *work, uint32_t from, uint64_t assigned) {
    uint32_t last = from;
    for (uint32_t d = from; d < work->domains; d++) {
        if (work->share[d] == 0) continue;
        last = d;
        if (assigned < filled_by(work, d)) break;
    }
    return last;
}

static void cut_in_blocks(partition_work *work) {
    uint32_t d = next_domain(work, 0, 0);
    uint64_t assigned = 0, full = filled_by(work, d);
    for (uint32_t n = 0; n < work->graph->nodes; n++) {
        if (assigned >= full) {
            d = next_domain(work, d, assigned);
            full = filled_by(work, d);
            if (assigned >= full) full = UINT64_MAX;
        }
        partition_place(work, n, d);
        assigned += work->graph->cost[n];
    }
}

/* Is domain a, relative to its share, loaded less than b? */
static bool is_emptier(const partition_work *work, uint32_t a, uint32_t b) {
    return (wide)work->load[a] * work->share[b] < (wide)work->load[b] * work->share[a];
}

static bool has_room(const partition_work *work, uint32_t node, uint32_t d) {
    return work->share[d] > 0 && work->graph->cost[node] <= work->limit[d] - work->load[d];
}

/* Each node goes where most of its arguments' bytes are, among the domains that still have room; else where there is
 * most room. Some domain always has room: if every load plus this node exceeded share + largest node, the loads would
 * sum to more than everything. */
static void cut_greedily(partition_work *work, uint64_t *arriving) {
    const loom_graph *graph = work->graph;
    for (uint32_t n = 0; n < graph->nodes; n++) {
        memset(arriving, 0, work->domains * sizeof *arriving);
        for (uint32_t e = graph->first_edge[n]; e < graph->first_edge[n + 1]; e++)
            arriving[work->domain[graph->source[e]]] += graph->bytes[e];
        uint32_t best = UINT32_MAX;
        for (uint32_t d = 0; d < work->domains; d++) {
            if (!has_room(work, n, d)) continue;
            if (best == UINT32_MAX || arriving[d] > arriving[best] ||
                (arriving[d] == arriving[best] && is_emptier(work, d, best)))
                best = d;
        }
        partition_place(work, n, best);
    }
}

/* Neighbours that are not placed yet become candidates, or better candidates. */
static void raise_neighbour(partition_work *work, uint32_t neighbour, uint64_t bytes) {
    node_heap *frontier = &work->heap[0];
    if (work->locked[neighbour]) return;
    if (frontier->position[neighbour] == NOT_IN_HEAP) {
        frontier->priority[neighbour] = (int64_t)bytes;
        heap_insert(frontier, neighbour);
    } else {
        frontier->priority[neighbour] += (int64_t)bytes;
        heap_update(frontier, neighbour);
    }
}

static void raise_neighbours(partition_work *work, uint32_t node) {
    const loom_graph *graph = work->graph;
    for (uint32_t e = graph->first_edge[node]; e < graph->first_edge[node + 1]; e++)
        raise_neighbour(work, graph->source[e], graph->bytes[e]);
    for (uint32_t i = work->first_out[node]; i < work->first_out[node + 1]; i++)
        raise_neighbour(work, work->edge_target[work->out_edge[i]], graph->bytes[work->out_edge[i]]);
}

/* Grows one domain after another: always the node tied to it by most bytes; where the region's component ends, the next
 * free node behind `seed`. `locked` marks what is placed. */
static void cut_by_growing(partition_work *work, uint32_t seed) {
    const uint32_t nodes = work->graph->nodes;
    node_heap *frontier = &work->heap[0];
    memset(work->locked, 0, nodes * sizeof *work->locked);
    uint32_t d = next_domain(work, 0, 0), skipped = 0;
    uint64_t assigned = 0, full = filled_by(work, d);
    for (uint32_t placed = 0; placed < nodes; placed++) {
        if (assigned >= full) {
            d = next_domain(work, d, assigned);
            full = filled_by(work, d);
            if (assigned >= full) full = UINT64_MAX;
            heap_clear(frontier);
        }
        uint32_t node;
        if (frontier->count > 0) {
            node = frontier->nodes[0];
            heap_remove(frontier, node);
        } else {
            while (work->locked[((uint64_t)seed + skipped) % nodes])
                skipped++;
            node = (uint32_t)(((uint64_t)seed + skipped) % nodes);
        }
        work->locked[node] = true;
        partition_place(work, node, d);
        assigned += work->graph->cost[node];
        raise_neighbours(work, node);
    }
    heap_clear(frontier);
}

/* Each node goes to any domain with room: refinement then finds packings that no grown region leads to. */
static void cut_by_scattering(partition_work *work, uint64_t seed) {
    for (uint32_t n = 0; n < work->graph->nodes; n++) {
        uint32_t d = (uint32_t)(partition_random(&seed) % work->domains);
        while (!has_room(work, n, d))
            d = (d + 1) % work->domains;
        partition_place(work, n, d);
    }
}

/* ---- choosing ---- */

/* Loads weighted by share: with equal shares, the load itself. */
static uint64_t largest_load(const partition_work *work) {
    wide largest = 0;
    for (uint32_t d = 0; d < work->domains; d++) {
        if (work->share[d] == 0) continue;
        wide weighted = (wide)work->load[d] * work->total_share / ((uint64_t)work->share[d] * work->domains);
        if (weighted > largest) largest = weighted;
    }
    return largest > UINT64_MAX ? UINT64_MAX : (uint64_t)largest;
}

loom_partition_quality partition_quality(const partition_work *work) {
    const loom_graph *graph = work->graph;
    loom_partition_quality quality = {.largest_load = largest_load(work)};
    for (uint32_t n = 0; n < graph->nodes; n++)
        for (uint32_t e = graph->first_edge[n]; e < graph->first_edge[n + 1]; e++)
            if (work->domain[graph->source[e]] != work->domain[n]) quality.crossing_bytes += graph->bytes[e];
    return quality;
}

bool partition_is_better(const loom_partition_quality *a, const loom_partition_quality *b) {
    return a->crossing_bytes != b->crossing_bytes ? a->crossing_bytes < b->crossing_bytes
                                                  : a->largest_load < b->largest_load;
}

typedef struct start_counts {
    uint32_t grown, scattered;
} start_counts;

static start_counts starts_for(const loom_graph *graph, uint32_t domains) {
    uint64_t one = ((uint64_t)graph->nodes + graph->first_edge[graph->nodes] + 1) * domains;
    uint64_t affordable = MORE_STARTS_WORK / one;
    uint64_t grown = 1 + affordable;
    if (grown > GROWN_STARTS_MAX) grown = GROWN_STARTS_MAX;
    if (grown > graph->nodes) grown = graph->nodes;
    return (start_counts){(uint32_t)grown,
                          (uint32_t)(affordable < SCATTERED_STARTS_MAX ? affordable : SCATTERED_STARTS_MAX)};
}

static void first_cut(partition_work *work, uint32_t start, start_counts starts, uint64_t *arriving) {
    memset(work->load, 0, work->domains * sizeof *work->load);
    if (start == BLOCKS_START) {
        cut_in_blocks(work);
    } else if (start == GREEDY_START) {
        cut_greedily(work, arriving);
    } else if (start - GROWN_START < starts.grown) { /* seeds spread evenly over the graph */
        uint64_t seed = (uint64_t)(start - GROWN_START) * work->graph->nodes / starts.grown;
        cut_by_growing(work, (uint32_t)seed);
    } else {
        cut_by_scattering(work, start);
    }
}

loom_status partition_cut_flat(partition_work *work, uint16_t *domain, loom_partition_quality *best) {
    uint64_t *arriving = calloc(work->domains, sizeof *arriving);
    if (!arriving) return LOOM_NO_MEMORY;
    start_counts starts = starts_for(work->graph, work->domains);
    uint32_t count = GROWN_START + starts.grown + starts.scattered;
    for (uint32_t start = 0; start < count; start++) {
        first_cut(work, start, starts, arriving);
        partition_refine(work);
        loom_partition_quality quality = partition_quality(work);
        if (start > 0 && !partition_is_better(&quality, best)) continue;
        *best = quality;
        memcpy(domain, work->domain, work->graph->nodes * sizeof *domain);
    }
    free(arriving);
    return LOOM_OK;
}
