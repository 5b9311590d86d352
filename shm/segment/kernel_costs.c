/* kernel_costs.c - what kernels cost, as the coordinator has measured it: a figure an operator, told to the workers,
 * who decide by it what is worth sharing. Hints: no result depends on them. */
#include <string.h>

#include "shm/segment/segment_layout.h"

static uint64_t units_of(uint32_t operators) {
    return ((uint64_t)operators * sizeof(uint32_t) + LOOM_HEAP_UNIT - 1) / LOOM_HEAP_UNIT;
}

static _Atomic uint32_t *figure_of(const loom_segment *segment, uint32_t operator_index) {
    loom_offset at = segment->header->costs;
    uint32_t count = segment->header->cost_count;
    if (at == 0 || operator_index >= count || units_of(count) > segment->heap_units - at) return NULL;
    _Atomic uint32_t *figures = loom_segment_pointer(segment, at);
    return figures ? &figures[operator_index] : NULL;
}

void loom_segment_add_costs(loom_segment *segment, uint32_t operators) {
    loom_offset at = operators ? loom_segment_alloc_units(segment, units_of(operators)) : 0;
    if (!at) return; /* nothing is known then */
    memset(loom_segment_pointer(segment, at), 0, units_of(operators) * LOOM_HEAP_UNIT);
    segment->header->costs = at;
    segment->header->cost_count = operators;
}

void loom_segment_set_cost(loom_segment *segment, uint32_t operator_index, uint64_t voxel_ps) {
    _Atomic uint32_t *figure = figure_of(segment, operator_index);
    /* relaxed: a number by itself */
    if (figure)
        atomic_store_explicit(figure, voxel_ps > UINT32_MAX ? UINT32_MAX : (uint32_t)voxel_ps, memory_order_relaxed);
}

uint32_t loom_segment_cost(const loom_segment *segment, uint32_t operator_index) {
    const _Atomic uint32_t *figure = figure_of(segment, operator_index);
    return figure ? atomic_load_explicit(figure, memory_order_relaxed) : 0;
}
