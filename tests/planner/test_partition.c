/* test_partition.c - cuts checked by hand, against exhaustive search, and against the promised balance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/partition.h"

enum { NODES_MAX = 4000, EDGES_MAX = 20000, DOMAINS_MAX = 64 };

/* A graph under construction: nodes in order, each with its incoming edges. */
typedef struct builder {
    loom_graph graph;
    uint64_t cost[NODES_MAX];
    uint32_t first_edge[NODES_MAX + 1];
    uint32_t source[EDGES_MAX];
    uint64_t bytes[EDGES_MAX];
    uint16_t domain[NODES_MAX];
} builder;

static builder made;

static builder *new_graph(void) {
    memset(&made, 0, sizeof made);
    made.graph = (loom_graph){0, made.cost, made.first_edge, made.source, made.bytes};
    return &made;
}

static uint32_t add_node(builder *b, uint64_t cost) {
    uint32_t node = b->graph.nodes++;
    b->cost[node] = cost;
    b->first_edge[node + 1] = b->first_edge[node];
    return node;
}

/* To the newest node. */
static void add_edge(builder *b, uint32_t source, uint64_t bytes) {
    uint32_t e = b->first_edge[b->graph.nodes]++;
    b->source[e] = source;
    b->bytes[e] = bytes;
}

static uint64_t random_below(uint64_t *seed, uint64_t bound) {
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (*seed >> 33) % bound;
}

static const uint32_t equal_shares[DOMAINS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                                   1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                                   1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/* What the header promises, by a definition of its own: 100 * total_share * (load - largest node) within
 * total * share * (100 + tolerance). Small costs, so nothing overflows. */
static bool is_balanced(const loom_graph *graph, uint32_t domains, const uint32_t *share, uint32_t tolerance,
                        const uint16_t *domain) {
    uint64_t load[DOMAINS_MAX] = {0}, total = 0, shares = 0, largest = 0;
    for (uint32_t n = 0; n < graph->nodes; n++) {
        if (domain[n] >= domains) return false;
        load[domain[n]] += graph->cost[n];
        total += graph->cost[n];
        if (graph->cost[n] > largest) largest = graph->cost[n];
    }
    for (uint32_t d = 0; d < domains; d++)
        shares += share[d];
    for (uint32_t d = 0; d < domains; d++)
        if (load[d] > largest && 100 * shares * (load[d] - largest) > total * share[d] * (100 + tolerance))
            return false;
    return true;
}

static uint64_t crossing(const loom_graph *graph, const uint16_t *domain) {
    uint64_t sum = 0;
    for (uint32_t n = 0; n < graph->nodes; n++)
        for (uint32_t e = graph->first_edge[n]; e < graph->first_edge[n + 1]; e++)
            if (domain[graph->source[e]] != domain[n]) sum += graph->bytes[e];
    return sum;
}

static loom_partition_quality cut(builder *b, uint32_t domains, const uint32_t *share, uint32_t tolerance) {
    loom_partition_quality quality = {UINT64_MAX, UINT64_MAX};
    memset(b->domain, 0xFF, sizeof b->domain);
    assert_int_equal(loom_partition(&b->graph, domains, share, tolerance, b->domain, &quality), LOOM_OK);
    assert_true(is_balanced(&b->graph, domains, share, tolerance, b->domain));
    assert_int_equal(quality.crossing_bytes, crossing(&b->graph, b->domain));
    return quality;
}

/* Every assignment of at most 12 nodes to 2 domains that is balanced. */
static uint64_t best_of_all(const loom_graph *graph, const uint32_t share[2], uint32_t tolerance) {
    uint64_t best = UINT64_MAX;
    for (uint32_t mask = 0; mask < 1u << graph->nodes; mask++) {
        uint16_t domain[12];
        for (uint32_t n = 0; n < graph->nodes; n++)
            domain[n] = mask >> n & 1;
        if (!is_balanced(graph, 2, share, tolerance, domain)) continue;
        uint64_t bytes = crossing(graph, domain);
        if (bytes < best) best = bytes;
    }
    return best;
}

static void two_chains_are_not_cut(void **state) {
    (void)state;
    builder *b = new_graph();
    for (uint32_t n = 0; n < 40; n++) { /* interleaved: even nodes one chain, odd nodes the other */
        add_node(b, 10);
        if (n >= 2) add_edge(b, n - 2, 100);
    }
    loom_partition_quality quality = cut(b, 2, equal_shares, 5);
    assert_int_equal(quality.crossing_bytes, 0);
    assert_int_equal(quality.largest_load, 200);
    assert_int_not_equal(b->domain[0], b->domain[1]);
}

static void two_cliques_are_cut_at_their_bridge(void **state) {
    (void)state;
    builder *b = new_graph();
    for (uint32_t n = 0; n < 16; n++) { /* 0..7 and 8..15, each tied together, one thin edge between */
        add_node(b, 1);
        for (uint32_t m = n < 8 ? 0 : 8; m < n; m++)
            add_edge(b, m, 1000);
        if (n == 8) add_edge(b, 7, 3);
    }
    assert_int_equal(cut(b, 2, equal_shares, 0).crossing_bytes, 3);
}

/* The heavy edge 0-1 stays whole; one of the light ones to 2 and 3 is cut. */
static void a_diamond(void **state) {
    (void)state;
    builder *b = new_graph();
    add_node(b, 1);
    add_node(b, 1);
    add_edge(b, 0, 100);
    add_node(b, 1);
    add_edge(b, 0, 10);
    add_node(b, 1);
    add_edge(b, 1, 10);
    add_edge(b, 2, 50);
    assert_int_equal(cut(b, 2, equal_shares, 0).crossing_bytes, 20);
    assert_int_equal(b->domain[0], b->domain[1]);
    assert_int_equal(b->domain[2], b->domain[3]);
    assert_int_not_equal(b->domain[0], b->domain[2]);
}

/* A reduction of 16 leaves: four subtrees of 7 nodes, and 3 nodes above them. A tree falls into four parts with three
 * cut edges, no fewer; the edges of the two lower levels weigh so much that only those at the top are cut. */
static void a_tree_falls_into_its_four_branches(void **state) {
    (void)state;
    builder *b = new_graph();
    for (uint32_t n = 0; n < 31; n++) {
        add_node(b, 10);
        if (n < 16) continue;
        uint64_t bytes = n < 28 ? 100 : 1; /* 16..23 add leaves, 24..27 these, 28 and 29 the branches, 30 is the root */
        add_edge(b, 2 * (n - 16), bytes);
        add_edge(b, 2 * (n - 16) + 1, bytes);
    }
    assert_int_equal(cut(b, 4, equal_shares, 10).crossing_bytes, 3);
    for (uint32_t branch = 0; branch < 4; branch++)
        for (uint32_t leaf = 0; leaf < 4; leaf++)
            assert_int_equal(b->domain[4 * branch + leaf], b->domain[24 + branch]);
}

/* Three equal cases over domains of two cores and one: two go to the larger. */
static void cases_go_by_the_cores(void **state) {
    (void)state;
    static const uint32_t share[] = {2, 1};
    builder *b = new_graph();
    for (uint32_t n = 0; n < 12; n++) {
        add_node(b, 5);
        if (n >= 3) add_edge(b, n - 3, 50);
    }
    assert_int_equal(cut(b, 2, share, 0).crossing_bytes, 0);
    uint32_t there = 0;
    for (uint32_t n = 0; n < 3; n++)
        there += b->domain[n] == 1;
    assert_int_equal(there, 1);
}

/* Graphs like plans: each node with 1 or 2 arguments, mostly recent ones. */
static void random_graph(builder *b, uint32_t nodes, uint64_t *seed, uint64_t cost_max, uint64_t bytes_max) {
    for (uint32_t n = 0; n < nodes; n++) {
        add_node(b, 1 + random_below(seed, cost_max));
        uint32_t arguments = n == 0 ? 0 : (uint32_t)random_below(seed, 3);
        for (uint32_t a = 0; a < arguments; a++) {
            uint32_t reach = n < 6 || random_below(seed, 4) == 0 ? n : 6;
            add_edge(b, n - 1 - (uint32_t)random_below(seed, reach), random_below(seed, bytes_max));
        }
    }
}

static void small_graphs_come_near_the_optimum(void **state) {
    (void)state;
    static const uint32_t shares[][2] = {{1, 1}, {3, 1}, {2, 5}};
    uint64_t seed = 2026;
    unsigned optimal = 0, graphs = 0;
    for (int round = 0; round < 180; round++) {
        builder *b = new_graph();
        const uint32_t *share = shares[round % 3];
        uint32_t tolerance = (uint32_t)random_below(&seed, 3) * 10;
        uint32_t nodes = 2 + (uint32_t)random_below(&seed, 11);
        random_graph(b, nodes, &seed, round % 2 ? 1 : 20, round % 5 ? 1000 : 2);
        uint64_t bytes = cut(b, 2, share, tolerance).crossing_bytes;
        uint64_t best = best_of_all(&b->graph, share, tolerance);
        if (10 * bytes > 13 * best)
            fail_msg("graph %d: %llu bytes cross, %llu would do", round, (unsigned long long)bytes,
                     (unsigned long long)best);
        optimal += bytes == best;
        graphs++;
    }
    print_message("%u of %u cuts are optimal\n", optimal, graphs);
}

static void balance_holds_for_every_kind_of_graph(void **state) {
    (void)state;
    uint64_t seed = 99;
    static uint32_t share[DOMAINS_MAX];
    for (int round = 0; round < 60; round++) {
        builder *b = new_graph();
        random_graph(b, 1 + (uint32_t)random_below(&seed, 400), &seed, round % 3 ? 30 : 1, 1000);
        if (round % 4 == 0) b->cost[random_below(&seed, b->graph.nodes)] = 100000; /* one node outweighs all */
        if (round % 7 == 0) memset(b->cost, 0, sizeof b->cost);
        uint32_t domains = 1 + (uint32_t)random_below(&seed, 12);
        for (uint32_t d = 0; d < domains; d++)
            share[d] = (uint32_t)random_below(&seed, 5);
        share[random_below(&seed, domains)] = 4;
        cut(b, domains, share, (uint32_t)random_below(&seed, 30));
        for (uint32_t n = 0; n < b->graph.nodes; n++)
            assert_int_not_equal(share[b->domain[n]], 0); /* where there are no cores, nothing runs */
    }
}

static void the_same_graph_is_cut_the_same_way(void **state) {
    (void)state;
    static uint16_t first[NODES_MAX];
    uint64_t seed = 5;
    builder *b = new_graph();
    random_graph(b, 2000, &seed, 9, 1000);
    loom_partition_quality a = cut(b, 4, equal_shares, 5);
    memcpy(first, b->domain, sizeof first);
    loom_partition_quality again = cut(b, 4, equal_shares, 5);
    assert_memory_equal(first, b->domain, 2000 * sizeof first[0]);
    assert_int_equal(a.crossing_bytes, again.crossing_bytes);
    assert_int_equal(a.largest_load, again.largest_load);
}

/* A grid of 60 x 60 with edges of one byte: a straight cut crosses 60, random halves about 3540. */
static void a_grid_is_cut_almost_straight(void **state) {
    (void)state;
    builder *b = new_graph();
    for (uint32_t n = 0; n < 3600; n++) {
        add_node(b, 1);
        if (n % 60 > 0) add_edge(b, n - 1, 1);
        if (n >= 60) add_edge(b, n - 60, 1);
    }
    assert_true(cut(b, 2, equal_shares, 5).crossing_bytes <= 66);
    assert_true(cut(b, 4, equal_shares, 5).crossing_bytes <= 3 * 66);
}

static void one_domain_takes_everything(void **state) {
    (void)state;
    uint64_t seed = 3;
    builder *b = new_graph();
    random_graph(b, 50, &seed, 10, 100);
    uint64_t total = 0;
    for (uint32_t n = 0; n < 50; n++)
        total += b->cost[n];
    loom_partition_quality quality = cut(b, 1, equal_shares, 0);
    assert_int_equal(quality.crossing_bytes, 0);
    assert_int_equal(quality.largest_load, total);
    for (uint32_t n = 0; n < 50; n++)
        assert_int_equal(b->domain[n], 0);
}

static void an_empty_graph(void **state) {
    (void)state;
    builder *b = new_graph();
    loom_partition_quality quality = cut(b, 3, equal_shares, 5);
    assert_int_equal(quality.crossing_bytes, 0);
    assert_int_equal(quality.largest_load, 0);
    assert_int_equal(loom_partition(&b->graph, 3, equal_shares, 5, b->domain, NULL), LOOM_OK);
}

static void more_domains_than_nodes(void **state) {
    (void)state;
    builder *b = new_graph();
    for (uint32_t n = 0; n < 3; n++)
        add_node(b, 7);
    assert_int_equal(cut(b, DOMAINS_MAX, equal_shares, 10).crossing_bytes, 0);
}

static void sums_that_overflow_are_refused(void **state) {
    (void)state;
    builder *b = new_graph();
    add_node(b, UINT64_MAX);
    add_node(b, UINT64_MAX);
    assert_int_equal(loom_partition(&b->graph, 2, equal_shares, 5, b->domain, NULL), LOOM_TOO_LARGE);
    b = new_graph();
    add_node(b, 1);
    add_node(b, 1);
    add_edge(b, 0, UINT64_MAX / 2);
    add_edge(b, 0, UINT64_MAX / 2 + 2);
    assert_int_equal(loom_partition(&b->graph, 2, equal_shares, 5, b->domain, NULL), LOOM_TOO_LARGE);
    /* The largest sums that are taken, with the largest shares and tolerance. */
    static const uint32_t large_shares[] = {UINT32_MAX, UINT32_MAX};
    b = new_graph();
    for (int n = 0; n < 4; n++) {
        add_node(b, INT64_MAX / 8);
        if (n % 2) add_edge(b, (uint32_t)n - 1, INT64_MAX / 8);
    }
    loom_partition_quality quality;
    assert_int_equal(loom_partition(&b->graph, 2, large_shares, UINT32_MAX, b->domain, &quality), LOOM_OK);
    assert_int_equal(quality.crossing_bytes, 0);
    assert_int_equal(loom_partition(&b->graph, 2, large_shares, 0, b->domain, &quality), LOOM_OK);
    assert_int_equal(quality.crossing_bytes, 0);
    assert_int_equal(quality.largest_load, 2 * (INT64_MAX / 8));
}

static void malformed_graphs_are_refused(void **state) {
    (void)state;
    static const uint32_t no_shares[] = {0, 0};
    builder *b = new_graph();
    add_node(b, 1);
    add_node(b, 1);
    add_edge(b, 0, 5);
    assert_int_equal(loom_partition(&b->graph, 0, equal_shares, 5, b->domain, NULL), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_partition(&b->graph, 70000, equal_shares, 5, b->domain, NULL), LOOM_BAD_ARGUMENT);
    assert_int_equal(loom_partition(&b->graph, 2, no_shares, 5, b->domain, NULL), LOOM_BAD_ARGUMENT);
    b->source[0] = 1; /* to itself */
    assert_int_equal(loom_partition(&b->graph, 2, equal_shares, 5, b->domain, NULL), LOOM_BAD_ARGUMENT);
    b->source[0] = 7;
    assert_int_equal(loom_partition(&b->graph, 2, equal_shares, 5, b->domain, NULL), LOOM_BAD_ARGUMENT);
    b->source[0] = 0;
    b->first_edge[1] = 2; /* not ascending */
    assert_int_equal(loom_partition(&b->graph, 2, equal_shares, 5, b->domain, NULL), LOOM_BAD_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_chains_are_not_cut),
        cmocka_unit_test(two_cliques_are_cut_at_their_bridge),
        cmocka_unit_test(a_diamond),
        cmocka_unit_test(a_tree_falls_into_its_four_branches),
        cmocka_unit_test(cases_go_by_the_cores),
        cmocka_unit_test(small_graphs_come_near_the_optimum),
        cmocka_unit_test(balance_holds_for_every_kind_of_graph),
        cmocka_unit_test(the_same_graph_is_cut_the_same_way),
        cmocka_unit_test(a_grid_is_cut_almost_straight),
        cmocka_unit_test(one_domain_takes_everything),
        cmocka_unit_test(an_empty_graph),
        cmocka_unit_test(more_domains_than_nodes),
        cmocka_unit_test(sums_that_overflow_are_refused),
        cmocka_unit_test(malformed_graphs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
