/* partition_coarsen.c - a smaller graph of pairs of nodes, for multilevel cuts (G. Karypis, V. Kumar, "A fast and high
 * quality multilevel scheme for partitioning irregular graphs", SIAM J. Sci. Comput. 20, 1998).
 *
 * Each node joins the neighbour that it exchanges most bytes with: an edge inside a pair is never cut again, so the
 * heavy ones go first. Plans have hubs, an image under a hundred thresholds, where one pair is all that this gives:
 * who finds only taken neighbours joins another such node of the same heaviest neighbour. */
#include <stdlib.h>
#include <string.h>

#include "planner/partition_work.h"

/* ---- pairs ---- */

typedef struct matching {
    const partition_work *fine;
    uint64_t cost_max;
    const uint16_t *within; /* NULL, or per node: only nodes with equal entries may join */
    uint32_t *mate;         /* per node: its partner, itself, or NO_NODE before its turn */
    uint32_t *waiting;      /* per node: a neighbour that found no partner, or NO_NODE */
} matching;

static bool may_join(const matching *of, uint32_t a, uint32_t b) {
    const uint64_t *cost = of->fine->graph->cost;
    if (a == b || cost[b] > of->cost_max || cost[a] > of->cost_max - cost[b]) return false;
    return !of->within || of->within[a] == of->within[b];
}

/* The heaviest neighbour that is free to join, and the heaviest of all. */
typedef struct choice {
    uint32_t free, hub;
    uint64_t free_bytes, hub_bytes;
} choice;

static void consider(const matching *of, uint32_t node, uint32_t neighbour, uint64_t bytes, choice *best) {
    if (best->hub == NO_NODE || bytes > best->hub_bytes) {
        best->hub = neighbour;
        best->hub_bytes = bytes;
    }
    if (of->mate[neighbour] != NO_NODE || !may_join(of, node, neighbour)) return;
    if (best->free != NO_NODE && bytes <= best->free_bytes) return;
    best->free = neighbour;
    best->free_bytes = bytes;
}

static choice choose(const matching *of, uint32_t node) {
    const partition_work *fine = of->fine;
    const loom_graph *graph = fine->graph;
    choice best = {.free = NO_NODE, .hub = NO_NODE};
    for (uint32_t e = graph->first_edge[node]; e < graph->first_edge[node + 1]; e++)
        consider(of, node, graph->source[e], graph->bytes[e], &best);
    for (uint32_t i = fine->first_out[node]; i < fine->first_out[node + 1]; i++)
        consider(of, node, fine->edge_target[fine->out_edge[i]], graph->bytes[fine->out_edge[i]], &best);
    return best;
}

static void join(matching *of, uint32_t a, uint32_t b) {
    of->mate[a] = b;
    of->mate[b] = a;
}

static void match(matching *of, uint32_t node) {
    if (of->mate[node] != NO_NODE) return;
    choice best = choose(of, node);
    of->mate[node] = node;
    if (best.free != NO_NODE) {
        join(of, node, best.free);
    } else if (best.hub != NO_NODE) {
        uint32_t other = of->waiting[best.hub];
        bool fits = other != NO_NODE && may_join(of, node, other);
        if (fits) join(of, node, other);
        of->waiting[best.hub] = fits ? NO_NODE : node;
    }
}

/* In order of nodes for seed 0, else shuffled (Fisher and Yates). `order` is scratch, one entry a node. */
static void match_all(matching *of, uint64_t seed, uint32_t *order) {
    uint32_t nodes = of->fine->graph->nodes;
    for (uint32_t n = 0; n < nodes; n++)
        order[n] = n;
    for (uint32_t n = nodes; seed && n > 1; n--) {
        uint32_t other = (uint32_t)(partition_random(&seed) % n), last = order[n - 1];
        order[n - 1] = order[other];
        order[other] = last;
    }
    for (uint32_t n = 0; n < nodes; n++)
        match(of, order[n]);
}

/* ---- the graph of pairs ---- */

/* Pairs are numbered in order of their first members, so that the coarse graph is laid out as the fine one is. */
static void number_pairs(const matching *of, coarse_graph *coarse) {
    const uint64_t *cost = of->fine->graph->cost;
    uint32_t count = 0;
    for (uint32_t n = 0; n < of->fine->graph->nodes; n++) {
        uint32_t mate = of->mate[n];
        if (mate < n) continue;
        coarse->of[n] = coarse->of[mate] = count;
        coarse->cost[count++] = cost[n] + (mate != n ? cost[mate] : 0);
    }
    coarse->graph.nodes = count;
}

/* Parallel edges become one; each is kept at the later of its ends, as loom_graph wants it. */
typedef struct edge_sums {
    coarse_graph *coarse;
    uint32_t pair, first; /* whose edges are gathered, and where they begin */
    uint32_t edges;
    uint32_t *place; /* per pair: its edge of the current pair, if at or beyond `first` */
} edge_sums;

static void add_edge(edge_sums *sums, uint32_t neighbour, uint64_t bytes) {
    uint32_t other = sums->coarse->of[neighbour];
    if (other >= sums->pair) return;
    uint32_t at = sums->place[other];
    if (at >= sums->first && at < sums->edges && sums->coarse->source[at] == other) {
        sums->coarse->bytes[at] += bytes;
        return;
    }
    sums->place[other] = sums->edges;
    sums->coarse->source[sums->edges] = other;
    sums->coarse->bytes[sums->edges++] = bytes;
}

static void add_edges_of(edge_sums *sums, const partition_work *fine, uint32_t node) {
    const loom_graph *graph = fine->graph;
    for (uint32_t e = graph->first_edge[node]; e < graph->first_edge[node + 1]; e++)
        add_edge(sums, graph->source[e], graph->bytes[e]);
    for (uint32_t i = fine->first_out[node]; i < fine->first_out[node + 1]; i++)
        add_edge(sums, fine->edge_target[fine->out_edge[i]], graph->bytes[fine->out_edge[i]]);
}

static void join_edges(const matching *of, coarse_graph *coarse, uint32_t *place) {
    edge_sums sums = {.coarse = coarse, .place = place};
    memset(place, 0, coarse->graph.nodes * sizeof *place);
    for (uint32_t n = 0; n < of->fine->graph->nodes; n++) {
        uint32_t mate = of->mate[n];
        if (mate < n) continue;
        coarse->first_edge[sums.pair] = sums.first = sums.edges;
        add_edges_of(&sums, of->fine, n);
        if (mate != n) add_edges_of(&sums, of->fine, mate);
        sums.pair++;
    }
    coarse->first_edge[sums.pair] = sums.edges;
}

/* ---- all of it ---- */

static loom_status make_coarse(coarse_graph *coarse, size_t nodes, size_t edges) {
    *coarse = (coarse_graph){.of = calloc(nodes + 1, sizeof *coarse->of),
                             .cost = calloc(nodes + 1, sizeof *coarse->cost),
                             .first_edge = calloc(nodes + 1, sizeof *coarse->first_edge),
                             .source = calloc(edges + 1, sizeof *coarse->source),
                             .bytes = calloc(edges + 1, sizeof *coarse->bytes)};
    bool whole = coarse->of && coarse->cost && coarse->first_edge && coarse->source && coarse->bytes;
    return whole ? LOOM_OK : LOOM_NO_MEMORY;
}

loom_status partition_coarsen(const partition_work *fine, uint64_t cost_max, const uint16_t *within, uint64_t seed,
                              coarse_graph *coarse) {
    size_t nodes = fine->graph->nodes, edges = fine->graph->first_edge[nodes];
    loom_status status = make_coarse(coarse, nodes, edges);
    uint32_t *scratch = malloc((nodes + 1) * sizeof *scratch);
    matching of = {.fine = fine,
                   .cost_max = cost_max,
                   .within = within,
                   .mate = malloc((nodes + 1) * sizeof *of.mate),
                   .waiting = malloc((nodes + 1) * sizeof *of.waiting)};
    if (!scratch || !of.mate || !of.waiting) status = LOOM_NO_MEMORY;
    if (status == LOOM_OK) {
        memset(of.mate, 0xFF, nodes * sizeof *of.mate); /* NO_NODE */
        memset(of.waiting, 0xFF, nodes * sizeof *of.waiting);
        match_all(&of, seed, scratch);
        number_pairs(&of, coarse);
        join_edges(&of, coarse, scratch);
        coarse->graph =
            (loom_graph){coarse->graph.nodes, coarse->cost, coarse->first_edge, coarse->source, coarse->bytes};
    } else {
        partition_coarse_free(coarse);
    }
    free(scratch);
    free(of.mate);
    free(of.waiting);
    return status;
}

void partition_coarse_free(coarse_graph *coarse) {
    free(coarse->of);
    free(coarse->cost);
    free(coarse->first_edge);
    free(coarse->source);
    free(coarse->bytes);
    *coarse = (coarse_graph){0};
}
