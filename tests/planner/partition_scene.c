/* partition_scene.c - see partition_scene.h. */
#include "partition_scene.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE = 8 << 20, NUMBER = 16 }; /* bytes along an edge */
enum { SCALAR = 1, VOXEL = 5000, FILTER = 20000, GLOBAL = 100000, READING = 50000 };

static void *need(void *memory) {
    if (memory) return memory;
    fputs("out of memory\n", stderr);
    exit(1);
}

/* xorshift64* (S. Vigna, 2016). */
static uint64_t next_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static uint32_t below(uint64_t *state, uint32_t bound) {
    return (uint32_t)((next_random(state) >> 32) * bound >> 32);
}

/* ---- making graphs ---- */

static uint32_t add_node(scene_graph *g, uint64_t cost) {
    uint32_t node = g->graph.nodes;
    if (node == g->node_capacity) {
        g->node_capacity = node ? node * 2 : 1024;
        g->cost = need(realloc(g->cost, g->node_capacity * sizeof *g->cost));
        g->first_edge = need(realloc(g->first_edge, (g->node_capacity + 1) * sizeof *g->first_edge));
        if (node == 0) g->first_edge[0] = 0;
    }
    g->cost[node] = cost;
    g->first_edge[node + 1] = g->edges;
    g->graph.nodes++;
    return node;
}

/* To the newest node. */
static void add_edge(scene_graph *g, uint32_t source, uint64_t bytes) {
    if (g->edges == g->edge_capacity) {
        g->edge_capacity = g->edge_capacity ? g->edge_capacity * 2 : 2048;
        g->source = need(realloc(g->source, g->edge_capacity * sizeof *g->source));
        g->bytes = need(realloc(g->bytes, g->edge_capacity * sizeof *g->bytes));
    }
    g->source[g->edges] = source;
    g->bytes[g->edges++] = bytes;
    g->first_edge[g->graph.nodes] = g->edges;
}

static uint32_t add_from(scene_graph *g, uint64_t cost, uint32_t source, uint64_t bytes) {
    uint32_t node = add_node(g, cost);
    add_edge(g, source, bytes);
    return node;
}

/* Read, normalise, two thresholds, smooth, grow, count; images of the cases differ in size. */
static void make_folder(scene_graph *g, uint32_t nodes, uint64_t *seed) {
    uint32_t cases = nodes / 20 + 1;
    uint32_t *numbers = need(malloc(cases * sizeof *numbers));
    for (uint32_t c = 0; c < cases; c++) {
        uint64_t image = IMAGE / 2 + below(seed, IMAGE);
        uint32_t input = add_node(g, READING), at = add_from(g, VOXEL, input, image), mask[2];
        for (uint32_t m = 0; m < 2; m++) {
            mask[m] = add_from(g, VOXEL, at, image);
            for (uint32_t step = 0; step < 6; step++) {
                uint32_t before = mask[m];
                mask[m] = add_from(g, step % 3 == 2 ? GLOBAL : FILTER, before, image / 4);
                if (step % 2) add_edge(g, at, image);
            }
        }
        uint32_t both = add_from(g, GLOBAL, mask[0], image / 4);
        add_edge(g, mask[1], image / 4);
        numbers[c] = add_from(g, VOXEL, both, image / 4);
    }
    add_node(g, SCALAR);
    for (uint32_t c = 0; c < cases; c++)
        add_edge(g, numbers[c], NUMBER);
    free(numbers);
}

static void make_sweep(scene_graph *g, uint32_t nodes, uint64_t *seed) {
    enum { HEADS = 5 };
    uint32_t thresholds = nodes / HEADS / 5 + 1;
    for (uint32_t h = 0; h < HEADS; h++) {
        uint64_t image = IMAGE / 2 + below(seed, IMAGE);
        uint32_t input = add_node(g, READING), clean = add_from(g, GLOBAL, input, image);
        uint32_t sum = add_node(g, SCALAR);
        for (uint32_t t = 0; t < thresholds; t++) {
            uint32_t over = add_from(g, VOXEL, clean, image);
            uint32_t grown = add_from(g, FILTER, over, image / 4);
            uint32_t count = add_from(g, VOXEL, grown, image / 4);
            uint32_t next = add_from(g, SCALAR, count, NUMBER);
            add_edge(g, sum, NUMBER);
            sum = next;
        }
    }
}

static void make_stencil(scene_graph *g, uint32_t nodes) {
    uint32_t width = 32, rows = nodes / width + 1;
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t c = 0; c < width; c++) {
            uint32_t node = add_node(g, 100);
            for (int d = -1; r > 0 && d <= 1; d++)
                if ((int)c + d >= 0 && c + (uint32_t)d < width) add_edge(g, node - width + (uint32_t)d, 4096);
        }
}

static void make_fft(scene_graph *g, uint32_t nodes) {
    uint32_t width = 16, levels = 4;
    while (2 * width * (levels + 2) <= nodes)
        width *= 2, levels++;
    for (uint32_t l = 0; l <= levels; l++)
        for (uint32_t c = 0; c < width; c++) {
            uint32_t node = add_node(g, 100);
            if (l == 0) continue;
            add_edge(g, node - width, 4096);
            uint32_t partner = c ^ 1u << (l - 1);
            add_edge(g, (l - 1) * width + partner, 4096);
        }
}

static void make_tree(scene_graph *g, uint32_t nodes) {
    uint32_t leaves = nodes / 2 + 1;
    for (uint32_t i = 0; i < leaves; i++)
        add_node(g, FILTER);
    for (uint32_t next = 0; next + 1 < g->graph.nodes; next += 2) {
        add_from(g, VOXEL, next, IMAGE);
        add_edge(g, next + 1, IMAGE);
    }
}

static void make_grid(scene_graph *g, uint32_t nodes) {
    uint32_t side = (uint32_t)sqrt((double)nodes);
    for (uint32_t n = 0; n < side * side; n++) {
        add_node(g, 100);
        if (n % side > 0) add_edge(g, n - 1, 4096);
        if (n >= side) add_edge(g, n - side, 4096);
    }
}

static void make_random(scene_graph *g, uint32_t nodes, uint64_t *seed) {
    static const uint64_t costs[] = {SCALAR, VOXEL, VOXEL, FILTER, FILTER, GLOBAL};
    for (uint32_t n = 0; n < nodes; n++) {
        uint64_t cost = costs[below(seed, 6)];
        add_node(g, cost);
        uint32_t arguments = n == 0 ? 0 : below(seed, 3);
        for (uint32_t a = 0; a < arguments; a++) {
            uint32_t reach = n < 12 || below(seed, 4) == 0 ? n : 12;
            uint32_t from = n - 1 - below(seed, reach);
            add_edge(g, from, g->cost[from] == SCALAR ? NUMBER : IMAGE / 4 + below(seed, IMAGE));
        }
    }
}

const char *scene_shape_name(scene_shape shape) {
    static const char *const names[] = {"folder", "sweep", "stencil", "fft", "tree", "grid", "random"};
    return names[shape];
}

scene_graph scene_graph_make(scene_shape shape, uint32_t nodes, uint64_t seed) {
    scene_graph g = {0};
    seed = seed * 2 + 1;
    switch (shape) {
    case SCENE_FOLDER:
        make_folder(&g, nodes, &seed);
        break;
    case SCENE_SWEEP:
        make_sweep(&g, nodes, &seed);
        break;
    case SCENE_STENCIL:
        make_stencil(&g, nodes);
        break;
    case SCENE_FFT:
        make_fft(&g, nodes);
        break;
    case SCENE_TREE:
        make_tree(&g, nodes);
        break;
    case SCENE_GRID:
        make_grid(&g, nodes);
        break;
    case SCENE_RANDOM:
    case SCENE_SHAPES:
        make_random(&g, nodes, &seed);
        break;
    }
    g.graph = (loom_graph){g.graph.nodes, g.cost, g.first_edge, g.source, g.bytes};
    return g;
}

void scene_graph_free(scene_graph *g) {
    free(g->cost);
    free(g->first_edge);
    free(g->source);
    free(g->bytes);
    *g = (scene_graph){0};
}

/* ---- what counts ---- */

/* (1 + tolerance) of each domain's share, and one node more; where there are no cores, nothing. */
static void limits_of(const loom_graph *graph, uint32_t domains, const uint32_t *share, uint32_t tolerance,
                      uint64_t *limit) {
    uint64_t total = 0, shares = 0, largest = 0;
    for (uint32_t n = 0; n < graph->nodes; n++) {
        total += graph->cost[n];
        if (graph->cost[n] > largest) largest = graph->cost[n];
    }
    for (uint32_t d = 0; d < domains; d++)
        shares += share[d];
    for (uint32_t d = 0; d < domains; d++)
        limit[d] = share[d] ? total * share[d] * (100 + tolerance) / (100 * shares) + largest : 0;
}

bool scene_is_balanced(const loom_graph *graph, uint32_t domains, const uint32_t *share, uint32_t tolerance,
                       const uint16_t *domain) {
    uint64_t *limit = need(calloc(domains, sizeof *limit)), *load = need(calloc(domains, sizeof *load));
    bool balanced = true;
    limits_of(graph, domains, share, tolerance, limit);
    for (uint32_t n = 0; n < graph->nodes && balanced; n++) {
        balanced = domain[n] < domains;
        if (balanced) load[domain[n]] += graph->cost[n];
    }
    for (uint32_t d = 0; d < domains && balanced; d++)
        balanced = load[d] <= limit[d];
    free(limit);
    free(load);
    return balanced;
}

uint64_t scene_crossing(const loom_graph *graph, const uint16_t *domain) {
    uint64_t sum = 0;
    for (uint32_t n = 0; n < graph->nodes; n++)
        for (uint32_t e = graph->first_edge[n]; e < graph->first_edge[n + 1]; e++)
            if (domain[graph->source[e]] != domain[n]) sum += graph->bytes[e];
    return sum;
}

/* ---- annealing ---- */

typedef struct annealing {
    const loom_graph *graph;
    uint32_t domains;
    uint64_t *limit, *load;
    uint16_t *domain;
    uint32_t *first, *neighbour; /* both directions */
    uint64_t *weight;
    uint64_t random, best;
} annealing;

static void link_both_ways(annealing *a) {
    const loom_graph *graph = a->graph;
    uint32_t edges = graph->first_edge[graph->nodes], *fill = need(calloc(graph->nodes + 1, sizeof *fill));
    a->first = need(calloc(graph->nodes + 1, sizeof *a->first));
    a->neighbour = need(calloc(2 * (size_t)edges + 1, sizeof *a->neighbour));
    a->weight = need(calloc(2 * (size_t)edges + 1, sizeof *a->weight));
    for (uint32_t n = 0; n < graph->nodes; n++)
        for (uint32_t e = graph->first_edge[n]; e < graph->first_edge[n + 1]; e++)
            a->first[n + 1]++, a->first[graph->source[e] + 1]++;
    for (uint32_t n = 0; n < graph->nodes; n++)
        a->first[n + 1] += a->first[n];
    memcpy(fill, a->first, graph->nodes * sizeof *fill);
    for (uint32_t n = 0; n < graph->nodes; n++)
        for (uint32_t e = graph->first_edge[n]; e < graph->first_edge[n + 1]; e++) {
            uint32_t ends[2] = {n, graph->source[e]};
            for (int side = 0; side < 2; side++) {
                a->neighbour[fill[ends[side]]] = ends[!side];
                a->weight[fill[ends[side]]++] = graph->bytes[e];
            }
        }
    free(fill);
}

static int64_t change_of(const annealing *a, uint32_t node, uint16_t to) {
    int64_t change = 0;
    for (uint32_t i = a->first[node]; i < a->first[node + 1]; i++) {
        uint16_t there = a->domain[a->neighbour[i]];
        if (there == a->domain[node]) change += (int64_t)a->weight[i];
        if (there == to) change -= (int64_t)a->weight[i];
    }
    return change;
}

static void move(annealing *a, uint32_t node, uint16_t to) {
    a->load[a->domain[node]] -= a->graph->cost[node];
    a->load[to] += a->graph->cost[node];
    a->domain[node] = to;
}

static bool accepts(annealing *a, int64_t change, double temperature) {
    if (change <= 0) return true;
    double chance = exp(-(double)change / temperature);
    return (double)(next_random(&a->random) >> 11) * 0x1p-53 < chance;
}

/* A move of one node, or an exchange of two where there is no room for it. Where to: mostly where a neighbour is. */
static int64_t try_move(annealing *a, double temperature) {
    uint32_t node = below(&a->random, a->graph->nodes);
    uint16_t from = a->domain[node], to = (uint16_t)below(&a->random, a->domains);
    uint32_t degree = a->first[node + 1] - a->first[node];
    if (degree > 0 && below(&a->random, 4) > 0)
        to = a->domain[a->neighbour[a->first[node] + below(&a->random, degree)]];
    if (to == from || a->limit[to] == 0) return 0;
    int64_t change = change_of(a, node, to);
    if (a->load[to] + a->graph->cost[node] <= a->limit[to]) {
        if (!accepts(a, change, temperature)) return 0;
        move(a, node, to);
        return change;
    }
    uint32_t other = below(&a->random, a->graph->nodes);
    if (a->domain[other] != to) return 0;
    uint64_t here = a->graph->cost[node], there = a->graph->cost[other];
    if (a->load[to] - there + here > a->limit[to] || a->load[from] - here + there > a->limit[from]) return 0;
    move(a, node, to);
    int64_t both = change + change_of(a, other, from);
    move(a, node, from);
    if (!accepts(a, both, temperature)) return 0;
    move(a, node, to);
    move(a, other, from);
    return both;
}

static void anneal_from_here(annealing *a, uint64_t moves, double hot) {
    int64_t crossing = (int64_t)scene_crossing(a->graph, a->domain);
    double cold = 0.001 * hot, temperature = hot;
    uint64_t step = moves / 200 + 1;
    double factor = pow(cold / hot, 1.0 / 200);
    for (uint64_t m = 0; m < moves; m++) {
        if (m % step == step - 1) temperature *= factor;
        crossing += try_move(a, temperature);
        if ((uint64_t)crossing < a->best) a->best = (uint64_t)crossing;
    }
}

/* Any balanced cut: the costliest nodes need not come first, since the limits leave room for one more of them. */
static void scatter(annealing *a) {
    memset(a->load, 0, a->domains * sizeof *a->load);
    for (uint32_t n = 0; n < a->graph->nodes; n++) {
        uint32_t d = below(&a->random, a->domains);
        while (a->load[d] + a->graph->cost[n] > a->limit[d])
            d = (d + 1) % a->domains;
        a->domain[n] = (uint16_t)d;
        a->load[d] += a->graph->cost[n];
    }
}

uint64_t scene_anneal(const loom_graph *graph, uint32_t domains, const uint32_t *share, uint32_t tolerance,
                      const uint16_t *start, uint64_t moves, uint64_t seed) {
    annealing a = {.graph = graph, .domains = domains, .random = seed * 2 + 1, .best = scene_crossing(graph, start)};
    a.limit = need(calloc(domains, sizeof *a.limit));
    a.load = need(calloc(domains, sizeof *a.load));
    a.domain = need(calloc(graph->nodes + 1, sizeof *a.domain));
    limits_of(graph, domains, share, tolerance, a.limit);
    link_both_ways(&a);
    uint32_t edges = graph->first_edge[graph->nodes];
    double mean = 1;
    for (uint32_t e = 0; e < edges; e++)
        mean += (double)graph->bytes[e] / edges;
    enum { RESTARTS = 2 };
    for (int r = 0; r < RESTARTS; r++) {
        scatter(&a);
        anneal_from_here(&a, moves / RESTARTS, 2 * mean);
    }
    memcpy(a.domain, start, graph->nodes * sizeof *a.domain);
    memset(a.load, 0, domains * sizeof *a.load);
    for (uint32_t n = 0; n < graph->nodes; n++)
        a.load[start[n]] += graph->cost[n];
    anneal_from_here(&a, moves, 0.1 * mean);
    free(a.limit);
    free(a.load);
    free(a.domain);
    free(a.first);
    free(a.neighbour);
    free(a.weight);
    return a.best;
}
