/* test_partition_quality.c - cuts of graphs like plans over simulated machines of 64 cores and more, against the best
 * that a long local search finds: test_partition_quality [MOVES]
 *
 * As a test: 300 nodes, and few moves. For a table like that of perf/ANALYSIS.md give many: the graphs then have 400,
 * 2,000 and 10,000 nodes, and nothing is asserted but the balance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "partition_scene.h"
#include "runtime/topology.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum { TOLERANCE = 10, TEST_NODES = 300, TEST_MOVES = SANITIZED ? 5000 : 40000 };

/* Memory domains of machines as they are sold, and a job that was given an odd part of one. */
static const char *const machines[] = {"pack:2 numa:1 core:32 pu:1", "pack:2 numa:2 core:16 pu:2", "numa:8 core:8 pu:1",
                                       "pack:2 numa:4 core:16 pu:2"};
enum { MACHINES = sizeof machines / sizeof machines[0] };

static uint32_t shares_of(const char *machine, bool uneven, uint32_t *share) {
    loom_topology topology;
    loom_error err = {0};
    loom_cpus allowed;
    memset(&allowed, 0xFF, sizeof allowed);
    if (uneven) allowed.bits[0] &= ~UINT64_C(0xFFFFFF); /* without the first 24 CPUs */
    assert_int_equal(loom_topology_synthetic(machine, &allowed, &topology, &err), LOOM_OK);
    memset(share, 0, LOOM_TOPOLOGY_DOMAINS_MAX * sizeof *share);
    for (uint32_t worker = 0; worker < topology.workers; worker++)
        share[loom_topology_domain(&topology, worker)]++;
    return topology.domains;
}

typedef struct figure {
    uint64_t bytes, best, all;
    double seconds;
} figure;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static figure cut_and_search(const scene_graph *g, uint32_t domains, const uint32_t *share, uint64_t moves) {
    uint16_t *domain = calloc(g->graph.nodes, sizeof *domain);
    assert_non_null(domain);
    figure found = {0};
    loom_partition_quality quality;
    double start = now();
    assert_int_equal(loom_partition(&g->graph, domains, share, TOLERANCE, domain, &quality), LOOM_OK);
    found.seconds = now() - start;
    assert_true(scene_is_balanced(&g->graph, domains, share, TOLERANCE, domain));
    found.bytes = scene_crossing(&g->graph, domain);
    assert_int_equal(found.bytes, quality.crossing_bytes);
    for (uint32_t e = 0; e < g->edges; e++)
        found.all += g->bytes[e];
    found.best = scene_anneal(&g->graph, domains, share, TOLERANCE, domain, moves, 7);
    free(domain);
    return found;
}

static double ratio_of(const figure *found) {
    return found->bytes == found->best ? 1 : (double)found->bytes / (double)(found->best ? found->best : 1);
}

static void cuts_come_near_the_best_known(void **state) {
    (void)state;
    double worst = 1;
    for (int shape = 0; shape < SCENE_SHAPES; shape++)
        for (size_t m = 0; m < MACHINES; m++) {
            uint32_t share[LOOM_TOPOLOGY_DOMAINS_MAX],
                domains = shares_of(machines[m], ((size_t)shape + m) % 3 == 0, share);
            scene_graph g = scene_graph_make((scene_shape)shape, TEST_NODES, 11 + m);
            figure found = cut_and_search(&g, domains, share, TEST_MOVES);
            double ratio = ratio_of(&found);
            if (ratio > worst) worst = ratio;
            if (ratio > 1.3)
                fail_msg("%s over %s: %llu bytes cross, %llu would do", scene_shape_name((scene_shape)shape),
                         machines[m], (unsigned long long)found.bytes, (unsigned long long)found.best);
            scene_graph_free(&g);
        }
    print_message("at most %.3f of the best that annealing found\n", worst);
}

static void from_one_core_to_two_times_64(void **state) {
    (void)state;
    static const struct {
        const char *machine;
        uint32_t domains;
    } table[] = {{"core:1 pu:1", 1},
                 {"core:2 pu:2", 1},
                 {"numa:2 core:1 pu:1", 2},
                 {"numa:2 core:12 pu:2", 2},
                 {"pack:2 numa:4 core:8 pu:2", 8},
                 {"pack:2 core:64 pu:2", 1},
                 {"numa:2 core:64 pu:2", 2}};
    scene_graph g = scene_graph_make(SCENE_FOLDER, TEST_NODES, 5);
    for (size_t m = 0; m < sizeof table / sizeof table[0]; m++) {
        uint32_t share[LOOM_TOPOLOGY_DOMAINS_MAX];
        assert_int_equal(shares_of(table[m].machine, false, share), table[m].domains);
        figure found = cut_and_search(&g, table[m].domains, share, 1000);
        /* Cases are whole, and only their numbers travel. */
        assert_true(found.bytes <= 16 * TEST_NODES);
        if (table[m].domains == 1) assert_int_equal(found.bytes, 0);
    }
    scene_graph_free(&g);
}

/* For people: a Markdown table. */
static void print_table(uint64_t moves) {
    static const uint32_t sizes[] = {400, 2000, 10000};
    puts("| graph | nodes | machine | bytes that cross | of all | over the best found | CPU ms |\n"
         "| --- | --- | --- | --- | --- | --- | --- |");
    for (int shape = 0; shape < SCENE_SHAPES; shape++)
        for (size_t size = 0; size < sizeof sizes / sizeof sizes[0]; size++)
            for (size_t m = 0; m < MACHINES; m++) {
                uint32_t share[LOOM_TOPOLOGY_DOMAINS_MAX], domains = shares_of(machines[m], false, share);
                scene_graph g = scene_graph_make((scene_shape)shape, sizes[size], 11);
                figure found = cut_and_search(&g, domains, share, moves);
                printf("| %s | %u | %s | %llu | %.2f%% | %.3f | %.1f |\n", scene_shape_name((scene_shape)shape),
                       (unsigned)g.graph.nodes, machines[m], (unsigned long long)found.bytes,
                       100.0 * (double)found.bytes / (double)found.all, ratio_of(&found), found.seconds * 1e3);
                fflush(stdout);
                scene_graph_free(&g);
            }
}

int main(int count, char **arguments) {
    if (count > 1) {
        print_table(strtoull(arguments[1], NULL, 10));
        return 0;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(cuts_come_near_the_best_known),
                                       cmocka_unit_test(from_one_core_to_two_times_64)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
