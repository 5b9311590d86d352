/* partition.c - which NUMA domain runs which node: a multilevel cut.
 *
 * The graph is made smaller, pair by pair (partition_coarsen.c), until it is small enough to be cut from many starts
 * (partition_starts.c); then each level is refined (partition_refine.c), from the coarsest to the graph itself. Once
 * more from the cut that was found, with pairs only inside its domains: that moves whole regions between domains, which
 * refinement of single nodes cannot. */
#include "planner/partition.h"

#include <stdlib.h>
#include <string.h>

#include "planner/partition_work.h"

enum { COARSE_NODES = 120, COARSE_NODES_A_DOMAIN = 24 };
/* Nodes and edges, times domains, touched by cycles beyond the first two: in small graphs a better cut costs little. */
#define MORE_CYCLES_WORK 20000u
#define CYCLES_MAX 12u
#define LARGE_NODES 200000u /* one cycle */

__extension__ typedef unsigned __int128 wide;

/* ---- checking and setting up ---- */

static bool add_overflows(uint64_t *sum, uint64_t term) {
    return __builtin_add_overflow(*sum, term, sum);
}

/* Sums stay below 2^63, so that gains (differences of sums, counted twice) fit into an int64_t; limits, too. */
static loom_status check_graph(const loom_graph *graph, uint64_t *total_cost) {
    const uint64_t sum_max = INT64_MAX / 2;
    uint64_t cost = 0, bytes = 0;
    if (graph->first_edge[0] != 0) return LOOM_BAD_ARGUMENT;
    for (uint32_t n = 0; n < graph->nodes; n++) {
        if (add_overflows(&cost, graph->cost[n]) || cost > sum_max) return LOOM_TOO_LARGE;
        if (graph->first_edge[n + 1] < graph->first_edge[n]) return LOOM_BAD_ARGUMENT;
        for (uint32_t e = graph->first_edge[n]; e < graph->first_edge[n + 1]; e++) {
            if (graph->source[e] >= n) return LOOM_BAD_ARGUMENT;
            if (add_overflows(&bytes, graph->bytes[e]) || bytes > sum_max) return LOOM_TOO_LARGE;
        }
    }
    *total_cost = cost;
    return LOOM_OK;
}

/* What the whole graph says of every level of it. */
typedef struct terms {
    uint32_t domains;
    const uint32_t *share;
    uint64_t total_cost, total_share;
    uint64_t *limit;    /* per domain: the load that it may reach */
    uint64_t cost_max;  /* of a coarse node */
    uint32_t few_nodes; /* a graph this small is not made smaller */
} terms;

static uint64_t largest_cost(const loom_graph *graph) {
    uint64_t largest = 0;
    for (uint32_t n = 0; n < graph->nodes; n++)
        if (graph->cost[n] > largest) largest = graph->cost[n];
    return largest;
}

/* (1 + tolerance) of the share, plus one node; nothing may go where there are no cores. Never more than everything. */
static void set_limits(terms *of, uint64_t largest, uint32_t tolerance_percent) {
    uint64_t slack = UINT64_MAX;
    for (uint32_t d = 0; d < of->domains; d++) {
        /* Below 2^62 * 2^32 * 2^33. */
        wide scaled = (wide)of->total_cost * of->share[d] * (100 + (uint64_t)tolerance_percent);
        wide limit = scaled / ((wide)of->total_share * 100) + largest;
        if (limit > of->total_cost) limit = of->total_cost;
        of->limit[d] = of->share[d] == 0 ? 0 : (uint64_t)limit;
        uint64_t fair = (uint64_t)((wide)of->total_cost * of->share[d] / of->total_share);
        if (of->share[d] > 0 && (uint64_t)limit - fair < slack) slack = (uint64_t)limit - fair;
    }
    /* A first cut overshoots a domain's share by less than one node: coarse ones must not be larger than what the
     * limits leave above it, nor so large that they cannot be spread evenly. */
    uint64_t even = of->total_cost / ((uint64_t)16 * of->domains);
    of->cost_max = even < slack ? even : slack;
    if (of->cost_max < largest) of->cost_max = largest;
}

static void link_edges(partition_work *work) {
    const loom_graph *graph = work->graph;
    uint32_t edges = graph->first_edge[graph->nodes];
    for (uint32_t n = 0; n < graph->nodes; n++)
        for (uint32_t e = graph->first_edge[n]; e < graph->first_edge[n + 1]; e++)
            work->edge_target[e] = n;
    for (uint32_t e = 0; e < edges; e++)
        work->first_out[graph->source[e] + 1]++;
    for (uint32_t n = 0; n < graph->nodes; n++)
        work->first_out[n + 1] += work->first_out[n];
    /* first_out[n] moves to its end while edges are dropped in; then everything moves one place up again. */
    for (uint32_t e = 0; e < edges; e++)
        work->out_edge[work->first_out[graph->source[e]]++] = e;
    memmove(work->first_out + 1, work->first_out, graph->nodes * sizeof *work->first_out);
    work->first_out[0] = 0;
}

static void *array_of(size_t count, size_t item_bytes) {
    return calloc(count > 0 ? count : 1, item_bytes);
}

static loom_status make_work(const loom_graph *graph, const terms *of, partition_work *work) {
    *work = (partition_work){.graph = graph,
                             .domains = of->domains,
                             .share = of->share,
                             .total_cost = of->total_cost,
                             .total_share = of->total_share,
                             .limit = of->limit};
    size_t nodes = work->graph->nodes, edges = work->graph->first_edge[nodes];
    int64_t *priority = array_of(nodes, sizeof *priority);
    uint32_t *position = array_of(nodes, sizeof *position);
    work->load = array_of(work->domains, sizeof *work->load);
    work->domain = array_of(nodes, sizeof *work->domain);
    work->first_out = array_of(nodes + 1, sizeof *work->first_out);
    work->out_edge = array_of(edges, sizeof *work->out_edge);
    work->edge_target = array_of(edges, sizeof *work->edge_target);
    work->first_member = array_of(work->domains, sizeof *work->first_member);
    work->next_member = array_of(nodes, sizeof *work->next_member);
    work->previous_member = array_of(nodes, sizeof *work->previous_member);
    work->moved = array_of(nodes, sizeof *work->moved);
    work->locked = array_of(nodes, sizeof *work->locked);
    for (int side = 0; side < 2; side++)
        work->heap[side] = (node_heap){array_of(nodes, sizeof(uint32_t)), 0, priority, position};
    if (!priority || !position || !work->load || !work->domain || !work->first_out || !work->out_edge ||
        !work->edge_target || !work->first_member || !work->next_member || !work->previous_member || !work->moved ||
        !work->locked || !work->heap[0].nodes || !work->heap[1].nodes)
        return LOOM_NO_MEMORY;
    memset(position, 0xFF, nodes * sizeof *position); /* NOT_IN_HEAP */
    link_edges(work);
    return LOOM_OK;
}

static void free_work(partition_work *work) {
    free(work->load);
    free(work->domain);
    free(work->first_out);
    free(work->out_edge);
    free(work->edge_target);
    free(work->first_member);
    free(work->next_member);
    free(work->previous_member);
    free(work->moved);
    free(work->locked);
    free(work->heap[0].priority); /* shared by both heaps */
    free(work->heap[0].position);
    free(work->heap[0].nodes);
    free(work->heap[1].nodes);
}

/* ---- levels ---- */

/* Refines `domain` as a cut of the graph. */
static loom_status refine(const loom_graph *graph, const terms *of, uint16_t *domain) {
    partition_work work;
    loom_status status = make_work(graph, of, &work);
    for (uint32_t n = 0; status == LOOM_OK && n < graph->nodes; n++)
        partition_place(&work, n, domain[n]);
    if (status == LOOM_OK) {
        partition_refine(&work);
        memcpy(domain, work.domain, graph->nodes * sizeof *domain);
    }
    free_work(&work);
    return status;
}

static loom_status coarsen(const loom_graph *graph, const terms *of, const uint16_t *within, uint64_t seed,
                           coarse_graph *coarse) {
    partition_work work;
    *coarse = (coarse_graph){0};
    loom_status status = make_work(graph, of, &work);
    if (status == LOOM_OK) status = partition_coarsen(&work, of->cost_max, within, seed, coarse);
    free_work(&work);
    return status;
}

static loom_status cut_small(const loom_graph *graph, const terms *of, uint16_t *domain) {
    partition_work work;
    loom_partition_quality quality;
    loom_status status = make_work(graph, of, &work);
    if (status == LOOM_OK) status = partition_cut_flat(&work, domain, &quality);
    free_work(&work);
    return status;
}

/* One cycle, down and up. `again`: `domain` is a cut already, to be improved. Recursion is as deep as halving goes: a
 * level that shrinks by less than a tenth is the last. */
static loom_status cut_level(const loom_graph *graph, const terms *of, bool again, uint64_t seed, uint16_t *domain) {
    coarse_graph coarse = {0};
    bool small = graph->nodes <= of->few_nodes;
    if (!small) LOOM_TRY(coarsen(graph, of, again ? domain : NULL, seed, &coarse));
    if (small || coarse.graph.nodes > graph->nodes - graph->nodes / 10) {
        partition_coarse_free(&coarse);
        return again ? refine(graph, of, domain) : cut_small(graph, of, domain);
    }
    uint16_t *above = array_of(coarse.graph.nodes, sizeof *above);
    for (uint32_t n = 0; above && again && n < graph->nodes; n++)
        above[coarse.of[n]] = domain[n];
    loom_status status = above ? cut_level(&coarse.graph, of, again, seed, above) : LOOM_NO_MEMORY;
    for (uint32_t n = 0; status == LOOM_OK && n < graph->nodes; n++)
        domain[n] = above[coarse.of[n]];
    free(above);
    partition_coarse_free(&coarse);
    return status == LOOM_OK ? refine(graph, of, domain) : status;
}

static loom_status quality_of(const loom_graph *graph, const terms *of, const uint16_t *domain,
                              loom_partition_quality *quality) {
    partition_work work;
    loom_status status = make_work(graph, of, &work);
    for (uint32_t n = 0; status == LOOM_OK && n < graph->nodes; n++)
        partition_place(&work, n, domain[n]);
    if (status == LOOM_OK) *quality = partition_quality(&work);
    free_work(&work);
    return status;
}

/* Cycles from the beginning with other pairs, and from the best cut so far, in turns. */
static loom_status cut_best(const loom_graph *graph, const terms *of, uint16_t *domain, loom_partition_quality *best) {
    uint32_t edges = graph->first_edge[graph->nodes];
    uint64_t cycles =
        (graph->nodes > LARGE_NODES ? 1 : 2) + MORE_CYCLES_WORK / (((uint64_t)graph->nodes + edges + 1) * of->domains);
    if (cycles > CYCLES_MAX) cycles = CYCLES_MAX;
    uint16_t *tried = array_of(graph->nodes, sizeof *tried);
    loom_status status = tried ? cut_level(graph, of, false, 0, domain) : LOOM_NO_MEMORY;
    if (status == LOOM_OK) status = quality_of(graph, of, domain, best);
    for (uint64_t cycle = 1; status == LOOM_OK && cycle < cycles && best->crossing_bytes > 0; cycle++) {
        bool again = cycle % 2 == 1 || graph->nodes <= of->few_nodes;
        memcpy(tried, domain, graph->nodes * sizeof *tried);
        status = cut_level(graph, of, again, cycle, tried);
        loom_partition_quality quality;
        if (status == LOOM_OK) status = quality_of(graph, of, tried, &quality);
        if (status != LOOM_OK || !partition_is_better(&quality, best)) continue;
        *best = quality;
        memcpy(domain, tried, graph->nodes * sizeof *domain);
    }
    free(tried);
    return status;
}

loom_status loom_partition(const loom_graph *graph, uint32_t domains, const uint32_t *share, uint32_t tolerance_percent,
                           uint16_t *domain, loom_partition_quality *quality) {
    loom_partition_quality best = {0};
    terms of = {.domains = domains, .share = share};
    if (domains == 0 || domains > UINT16_MAX + 1u) return LOOM_BAD_ARGUMENT;
    for (uint32_t d = 0; d < domains; d++)
        of.total_share += share[d]; /* at most 2^16 terms below 2^32 */
    if (of.total_share == 0) return LOOM_BAD_ARGUMENT;
    if (graph->nodes > 0) {
        LOOM_TRY(check_graph(graph, &of.total_cost));
        of.limit = array_of(domains, sizeof *of.limit);
        if (!of.limit) return LOOM_NO_MEMORY;
        of.few_nodes = COARSE_NODES + (domains < 1024 ? domains : 1024) * COARSE_NODES_A_DOMAIN;
        set_limits(&of, largest_cost(graph), tolerance_percent);
        loom_status status = cut_best(graph, &of, domain, &best);
        free(of.limit);
        if (status != LOOM_OK) return status;
    }
    if (quality) *quality = best;
    return LOOM_OK;
}
