/* Placement: which NUMA domain should run which step, from what operators were measured to cost (costs.h). On a machine
 * with one domain there is nothing to decide. */
#include <stdlib.h>
#include <string.h>

#include "planner/partition.h"
#include "runtime/coordinator/session.h"

#define TOLERANCE_PERCENT 10

#define SCALAR_BYTES 16u

/* An image is taken to be of the size that is usual in this store, of four bytes a voxel. */
uint64_t loom_step_bytes(loom_session *session, uint32_t step) {
    return loom_step_is_image(session, step) ? 4 * loom_costs_typical_voxels(session->costs) : SCALAR_BYTES;
}

loom_status loom_place(loom_session *session, uint32_t domains, const uint32_t *share, loom_error *err) {
    const loom_graph_run *graph = &session->graph;
    if (domains < 2 || graph->step_count == 0) return LOOM_OK;
    size_t edges = 0;
    for (uint32_t i = 0; i < graph->step_count; i++)
        edges += graph->steps[i].argument_count;
    if (edges > UINT32_MAX)
        return loom_fail(err, LOOM_TOO_LARGE, "the program has too many edges to place on NUMA domains");

    uint32_t nodes = graph->step_count, edge = 0;
    uint64_t *cost = calloc(nodes, sizeof *cost), *bytes = calloc(edges + 1, sizeof *bytes);
    uint32_t *first = calloc((size_t)nodes + 1, sizeof *first), *source = calloc(edges + 1, sizeof *source);
    session->places = calloc(nodes, sizeof *session->places);
    loom_status status = cost && bytes && first && source && session->places ? LOOM_OK : LOOM_NO_MEMORY;
    for (uint32_t i = 0; status == LOOM_OK && i < nodes; i++) {
        first[i] = edge;
        cost[i] = (loom_step_cost_ns(session, i) + 999) / 1000;
        for (uint32_t a = 0; a < graph->steps[i].argument_count; a++) {
            uint32_t from = loom_graph_resolve(graph, graph->steps[i].arguments[a]);
            if (from >= i) continue; /* a loop's sequence, made after its user */
            source[edge] = from;
            bytes[edge++] = loom_step_bytes(session, from);
        }
    }
    if (status == LOOM_OK) {
        first[nodes] = edge;
        loom_graph cut = {.nodes = nodes, .cost = cost, .first_edge = first, .source = source, .bytes = bytes};
        loom_partition_quality quality;
        status = loom_partition(&cut, domains, share, TOLERANCE_PERCENT, session->places, &quality);
        if (status == LOOM_OK) session->place_count = nodes;
    }
    free(cost);
    free(bytes);
    free(first);
    free(source);
    return status == LOOM_OK
               ? LOOM_OK
               : loom_fail(err, status, "cannot place the program on NUMA domains: %s", loom_status_message(status));
}

uint16_t loom_session_domain(const loom_session *session, uint32_t index) {
    if (index < session->place_count) return session->places[index];
    const loom_step *step = &session->graph.steps[index];
    for (uint32_t i = 0; i < step->argument_count; i++) {
        uint32_t argument = loom_graph_resolve(&session->graph, step->arguments[i]);
        uint32_t task = session->graph.steps[argument].task;
        if (task != LOOM_TASK_NONE && session->graph.steps[argument].op)
            return loom_segment_task(session->segment, task)->domain;
    }
    return 0;
}
