/* What workers measured of their kernels, for the store's figures of costs (costs.h). */
#include "runtime/coordinator/session.h"
#include "runtime/task_result.h"

/* Calls without images are many and alike: one in so many is enough. A power of two. */
#define SCALARS_LOOKED_AT 8u

/* 0: not an image. */
static uint64_t voxels_of(const loom_session *session, uint32_t number) {
    const loom_task *task = loom_segment_task(session->segment, number);
    if (!task || task->type != LOOM_IMAGE) return 0;
    size_t length;
    loom_value value;
    const void *payload = loom_task_payload(session->segment, task, &length);
    loom_arena_reset(session->scratch);
    if (!payload || loom_value_decode(payload, length, session->scratch, &value, NULL) != LOOM_OK) return 0;
    return value.type == LOOM_IMAGE ? loom_image_voxels(value.image.header) : 0;
}

static uint64_t largest_image(const loom_session *session, uint32_t number) {
    const loom_task *task = loom_segment_task(session->segment, number);
    const uint32_t *arguments = loom_segment_pointer(session->segment, task->arguments);
    uint64_t largest = voxels_of(session, number);
    for (uint32_t i = 0; arguments && i < task->argument_count; i++) {
        uint64_t voxels = voxels_of(session, arguments[i]);
        if (voxels > largest) largest = voxels;
    }
    return largest;
}

/* They decide by it what is worth sharing. */
static void tell_workers(loom_session *session, const loom_operator *op, uint32_t operator_index) {
    loom_segment_set_cost(session->segment, operator_index, loom_costs_voxel_ps(session->costs, op));
}

void loom_measure(loom_session *session, uint32_t index) {
    const loom_step *step = &session->graph.steps[index];
    const loom_task *task = loom_segment_task(session->segment, step->task);
    if (step->sweep) return; /* its kernel did not run */
    if (step->op->cost == LOOM_COST_SCALAR && task->type != LOOM_IMAGE && session->computed % SCALARS_LOOKED_AT != 0)
        return;
    /* cut to microseconds by the worker: half of one is lost on average */
    uint64_t voxels = largest_image(session, step->task);
    const loom_operator *op = session->operators->operators[task->operator_index]; /* may be loom.fused */
    loom_costs_add(session->costs, op, voxels, (uint64_t)task->cost_us * 1000 + 500);
    if (voxels > 0) tell_workers(session, op, task->operator_index);
}

void loom_tell_costs(loom_session *session) {
    for (size_t i = 0; i < session->operators->count; i++)
        tell_workers(session, session->operators->operators[i], (uint32_t)i);
}

uint64_t loom_step_cost_ns(loom_session *session, uint32_t index) {
    const loom_step *step = &session->graph.steps[index];
    if (!step->op) return 0;
    bool image = loom_step_is_image(session, index);
    for (uint32_t i = 0; i < step->argument_count && !image && step->op->cost != LOOM_COST_SCALAR; i++)
        image = loom_step_is_image(session, loom_graph_resolve(&session->graph, step->arguments[i]));
    return loom_costs_estimate_ns(session->costs, step->op, image ? loom_costs_typical_voxels(session->costs) : 0);
}

bool loom_step_is_image(loom_session *session, uint32_t index) {
    const loom_step *step = &session->graph.steps[index];
    loom_node_facts facts;
    if (step->type != LOOM_NULL) return step->type == LOOM_IMAGE;
    if (step->op && loom_signature_result(step->op) == 'i') return true;
    return step->node != LOOM_NODE_NONE && loom_facts_of(session->facts, step->node, &facts) == LOOM_OK &&
           facts.kind == LOOM_KIND_IMAGE;
}
