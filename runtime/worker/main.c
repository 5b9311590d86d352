/* voxloom-worker: one process of a run. Started by the coordinator (coordinator/crew.c), never by hand; it ends when
 * the run stops, or when the coordinator's end of the lifeline pipe closes. */
#include <stdlib.h>
#include <string.h>

#include "io/zstd_codec.h"
#include "runtime/kernels/plugin/plugin.h"
#include "runtime/machine.h"
#include "runtime/worker/fault.h"
#include "runtime/worker/pulse.h"
#include "runtime/worker/worker.h"

#define IDLE_MS 1000

enum {
    SEGMENT = 1,
    LIFELINE,
    INDEX,
    STORE,
    RING,
    DEPTH,
    TILE,
    INLINE_LIMIT,
    NUMA_DOMAIN,
    CPU,
    RECORDER,
    PLUGINS,
    AFRESH,
    ARGUMENTS
};

static loom_status attach(loom_worker *worker, char **arguments, loom_error *err) {
    uint8_t signature[32];
    worker->index = (uint32_t)strtoul(arguments[INDEX], NULL, 10);
    worker->tile_bytes = strtoul(arguments[TILE], NULL, 10);
    worker->inline_bytes = strtoul(arguments[INLINE_LIMIT], NULL, 10);
    worker->afresh = atoi(arguments[AFRESH]) != 0;
    worker->hasher = loom_hasher_new();
    worker->arena = loom_arena_new();
    if (!worker->hasher || !worker->arena)
        return loom_fail(err, LOOM_NO_MEMORY, "a worker could not start: out of memory");
    LOOM_TRY(loom_operators_with(arguments[PLUGINS], &worker->operators, err));
    if (atoi(arguments[RECORDER]) >= 0)
        LOOM_TRY(loom_recorder_attach(atoi(arguments[RECORDER]), worker->index, &worker->recorder, err));
    loom_operator_table_signature(worker->operators, signature);
    LOOM_TRY(loom_segment_attach(atoi(arguments[SEGMENT]), worker->index, signature, &worker->segment, err));
    loom_pulse_in(worker->segment);
    loom_segment_set_worker_domain(worker->segment, worker->index, (uint16_t)strtoul(arguments[NUMA_DOMAIN], NULL, 10));
    LOOM_TRY(loom_store_attach(arguments[STORE], worker->index, &worker->store, err));
    return loom_ring_open((loom_ring_kind)atoi(arguments[RING]), (unsigned)strtoul(arguments[DEPTH], NULL, 10),
                          &worker->ring, NULL, err);
}

static void detach(loom_worker *worker) {
    loom_enter(LOOM_DOING_END);
    loom_extent_writer_close(worker->writer);
    loom_ring_close(worker->ring);
    loom_store_close(worker->store);
    loom_pulse_in(NULL);
    loom_segment_close(worker->segment);
    loom_arena_free(worker->arena);
    loom_hasher_free(worker->hasher);
    loom_recorder_close(worker->recorder);
}

static void work(loom_worker *worker) {
    bool stopped = false;
    while (!stopped) {
        uint32_t task = loom_task_take(worker->segment, IDLE_MS, &stopped);
        if (task != LOOM_TASK_NONE)
            loom_worker_execute(worker, task);
        else if (!stopped)
            loom_worker_help(worker);
    }
}

int main(int count, char **arguments) {
    if (count != ARGUMENTS) {
        fputs("voxloom-worker is started by voxloom; run `voxloom help run`\n", stderr);
        return 2;
    }
    loom_error err = {0};
    loom_worker worker = {0};
    loom_zstd_register();
    if (strcmp(arguments[CPU], "any") != 0) /* refused in some containers: costs speed, not results */
        (void)loom_machine_pin((uint32_t)strtoul(arguments[CPU], NULL, 10), NULL);
    if (loom_pulse_start(atoi(arguments[LIFELINE])) != 0) {
        fputs("voxloom-worker: cannot watch the coordinator\n", stderr);
        return 1;
    }
    loom_status status = attach(&worker, arguments, &err);
    if (status == LOOM_OK) {
        loom_fault_watch(&worker);
        work(&worker);
    } else {
        loom_error_print(&err, stderr);
    }
    detach(&worker);
    return status == LOOM_OK ? 0 : 1;
}
