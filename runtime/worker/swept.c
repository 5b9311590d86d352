/* swept.c - results that a sweep has counted with those of other tasks (coordinator/sweep.h): the sweep is the last
 * argument of each. */
#include "runtime/kernels/fused/tape.h"
#include "runtime/worker/worker.h"

/* The item's share of what the sweep took. */
static void share_cost(loom_worker *worker, const loom_task *sweep, size_t items) {
    worker->task->cost_us = items ? (uint32_t)(sweep->cost_us / items) : 0;
}

loom_status loom_worker_swept(loom_worker *worker, const loom_operator *op, const loom_tape *tape, loom_value *value,
                              bool *found, loom_error *err) {
    loom_value all;
    *found = false;
    if (!tape || tape->swept == 0 || worker->task->argument_count == 0) return LOOM_OK;
    uint32_t last = worker->task->argument_count - 1;
    LOOM_TRY(loom_worker_argument(worker, op, last, &all, err));
    if (all.type != LOOM_SEQUENCE || tape->swept > all.sequence.count) return LOOM_OK;
    const loom_value *item = &all.sequence.items[tape->swept - 1];
    if (item->type != LOOM_FLOAT) return LOOM_OK; /* it is computed as ever, and says what is wrong */
    *value = *item;
    *found = true;
    const uint32_t *numbers = loom_segment_pointer(worker->segment, worker->task->arguments);
    share_cost(worker, loom_segment_task(worker->segment, numbers[last]), all.sequence.count);
    return LOOM_OK;
}
