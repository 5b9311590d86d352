/* kernels.c - the plug-in that bench_tasks loads into voxloom: a task as in graph.h, and what gathers tasks at the end.
 */
#include <voxloom/kernel.h>

#include "perf/tasks/graph.h"

/* (salt, needed...): the salt holds the work in its upper part, so that a task has one argument more than it needs. */
static loom_status task(loom_plugin_call *call) {
    double needed[GRAPH_NEEDS_MAX];
    uint64_t salt = (uint64_t)call->arguments[0].number;
    uint32_t count = (uint32_t)call->argument_count - 1;
    if (count > GRAPH_NEEDS_MAX) return LOOM_BAD_ARGUMENT;
    for (uint32_t i = 0; i < count; i++)
        needed[i] = call->arguments[i + 1].number;
    graph_work((double)(salt >> 32) / 16);
    call->result.type = LOOM_ITEM_FLOAT;
    call->result.number = graph_value((double)(salt & 0xffffffffu), needed, count);
    return LOOM_OK;
}

static loom_status sum(loom_plugin_call *call) {
    call->result.type = LOOM_ITEM_FLOAT;
    for (uint64_t i = 0; i < call->argument_count; i++)
        call->result.number += call->arguments[i].number;
    return LOOM_OK;
}

static const loom_plugin_kernel kernels[] = {
    {"bench.task", "nn*:n", 1, GRAPH_NEEDS_MAX + 1, 0, 1, LOOM_PLUGIN_COST_SCALAR, 0, "a task", task},
    {"bench.sum", "n*:n", 1, LOOM_PLUGIN_ANY_ARITY, 0, 1, LOOM_PLUGIN_COST_SCALAR, 0, "a sum", sum},
};
const loom_plugin voxloom_plugin = LOOM_PLUGIN(kernels);
