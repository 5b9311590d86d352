/* split.c - a worker's own task in parts: whether it is worth it, handing the parts out, waiting for helpers.
 *
 * A loop is offered to others when the whole kernel takes long enough; then this worker takes parts like everybody
 * else. If a helper dies in a part, the kernel is run again by this worker alone, into fresh space: what the part had
 * written is not known, and loops may work in place. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/kernels/base/parts.h"
#include "runtime/worker/worker.h"
#include "shm/activity.h"

/* Calling helpers, mapping the images in their processes and taking the pages costs some 0.2 ms. */
#define WORTH_NS UINT64_C(2000000)
/* Hashing 1 MiB takes about 0.1 ms. */
#define HASH_BYTES_MIN (UINT64_C(8) << 20)
#define HASH_BLOCKS UINT64_C(2)

/* ---- whether ---- */

/* Below, never: what was measured of larger images says little, and a busy machine may have had a part in it. */
#define VOXELS_MIN (UINT64_C(1) << 17)

typedef struct extent_of_call {
    uint64_t bytes, voxels; /* of all its images; of the largest one */
} extent_of_call;

static void add_image(extent_of_call *extent, const loom_value *value) {
    if (value->type != LOOM_IMAGE) return;
    uint64_t voxels = loom_image_voxels(value->image.header);
    extent->bytes += loom_image_bytes(value->image.header); /* below 2^47 each, and few: no overflow */
    if (voxels > extent->voxels) extent->voxels = voxels;
}

static extent_of_call extent_of(const loom_call *call) {
    extent_of_call extent = {0};
    for (uint32_t i = 0; i < call->argument_count; i++)
        add_image(&extent, &call->arguments[i]);
    add_image(&extent, &call->result);
    return extent;
}

bool loom_worker_is_large(const loom_call *call) {
    return call->op->cost != LOOM_COST_FILE && extent_of(call).voxels >= VOXELS_MIN;
}

/* About what the call takes: as measured, else by the operator's class of cost; one pass reads some 4 bytes a
 * nanosecond. */
static uint64_t estimate_ns(const loom_call *call, const extent_of_call *extent) {
    const loom_worker *worker = call->context;
    uint64_t measured_ps = loom_segment_cost(worker->segment, worker->task->operator_index);
    uint64_t voxels = extent->voxels;
    if (measured_ps > 0) return voxels > UINT64_MAX / measured_ps ? UINT64_MAX : voxels * measured_ps / 1000;
    switch ((loom_cost_class)call->op->cost) {
    case LOOM_COST_VOXEL:
        return extent->bytes / 4;
    case LOOM_COST_FILTER:
        return voxels * 2;
    case LOOM_COST_GLOBAL:
        return voxels * 10;
    default:
        return 0;
    }
}

static bool is_split(loom_call *call) {
    loom_worker *worker = call->context;
    loom_worker_split *split = &worker->split;
    if (split->choice == LOOM_SPLIT_UNDECIDED) {
        const extent_of_call extent = extent_of(call);
        bool parts = !split->alone && loom_segment_workers(worker->segment) > 1 && extent.voxels >= VOXELS_MIN &&
                     estimate_ns(call, &extent) >= WORTH_NS;
        split->choice = parts ? LOOM_SPLIT_PARTS : LOOM_SPLIT_WHOLE;
    }
    return split->choice == LOOM_SPLIT_PARTS;
}

uint32_t loom_worker_lanes(loom_call *call) {
    const loom_worker *worker = call->context;
    return is_split(call) ? loom_segment_workers(worker->segment) : 1;
}

/* ---- shared memory ---- */

static void *share_block(loom_worker *worker, unsigned number, size_t bytes) {
    loom_worker_split *split = &worker->split;
    if (!loom_split_scratch(worker->segment, bytes, &split->blocks[number])) return NULL;
    split->maps[number] = loom_split_map(worker->segment, &split->blocks[number]);
    if (!split->maps[number]) split->blocks[number] = (loom_split_block){0};
    return split->maps[number];
}

void *loom_worker_share(loom_call *call, unsigned number, size_t bytes) {
    loom_worker *worker = call->context;
    if (!loom_worker_admit_scratch(worker, bytes)) return NULL;
    void *memory = is_split(call) ? share_block(worker, number, bytes) : NULL;
    if (memory) return memory;
    worker->split.choice = LOOM_SPLIT_WHOLE; /* from here on: parts need memory that nobody else can see */
    memory = calloc(1, bytes);
    return memory && loom_worker_keep_scratch(worker, memory) ? memory : NULL;
}

static void release_blocks(loom_worker *worker) {
    loom_worker_split *split = &worker->split;
    bool any = false;
    for (unsigned i = 0; i < LOOM_WORKER_BLOCKS; i++) {
        if (split->maps[i]) (void)munmap(split->maps[i], (size_t)split->blocks[i].bytes);
        any |= split->blocks[i].bytes != 0;
        split->maps[i] = NULL;
        split->blocks[i] = (loom_split_block){0};
    }
    if (any) loom_split_scratch_free(worker->segment);
}

/* ---- parts ---- */

static loom_split_phase phase_of(const loom_worker *worker, const loom_parts *parts) {
    loom_split_phase phase = {.task = worker->number,
                              .phase = parts->loop,
                              .parts = parts->count,
                              .units = parts->units,
                              .grain = parts->grain,
                              .state_bytes = parts->state_bytes};
    if (worker->reserved) phase.output = worker->reservation.placement;
    memcpy(phase.shared, worker->split.blocks, sizeof worker->split.blocks);
    if (parts->state_bytes) memcpy(phase.state, parts->state, parts->state_bytes);
    return phase;
}

static loom_status spoiled(loom_worker *worker, loom_error *err) {
    worker->split.spoiled = true;
    return loom_fail(err, LOOM_WORKER_DIED, "a worker died helping with this");
}

loom_status loom_worker_run_parts(loom_call *call, const loom_parts *parts) {
    loom_worker *worker = call->context;
    if (!is_split(call) || parts->count < 2 || parts->state_bytes > LOOM_SPLIT_STATE_MAX)
        return loom_run_all_parts(call, parts);
    const loom_split_phase phase = phase_of(worker, parts);
    loom_split_seat seat;
    void *local = NULL, *voxels = loom_worker_window(worker);
    loom_split_open(worker->segment, &phase, &seat);
    for (uint32_t part; !loom_split_is_spoiled(worker->segment, &seat) &&
                        (part = loom_split_take(worker->segment, &seat)) != LOOM_PART_NONE;) {
        LOOM_TRY(loom_run_part(call, parts, part, worker->index, voxels, &local));
        loom_split_report(worker->segment, &seat);
    }
    loom_activity before = loom_enter(LOOM_DOING_NOTHING); /* others have the last parts */
    bool whole = loom_split_wait(worker->segment, &seat);
    loom_enter(before);
    return whole ? LOOM_OK : spoiled(worker, call->err);
}

/* Nothing is left of the attempt but the arguments. */
static void begin_anew(loom_worker *worker, loom_call *call) {
    (void)loom_worker_end_split(worker);
    worker->split.alone = true;
    if (worker->reserved) loom_extent_abandon(worker->writer, &worker->reservation);
    worker->reserved = false;
    worker->used_bytes = 0; /* committed bytes stay for what is made again */
    call->result = loom_null();
    memset(call->shared, 0, sizeof call->shared);
    loom_error_clear(call->err);
}

static loom_status run_once(loom_worker *worker, loom_call *call, loom_kernel_run run) {
    if (loom_worker_admit_ahead(worker, call)) return run(call);
    return loom_fail(call->err, LOOM_NO_MEMORY, "the memory budget is full");
}

loom_status loom_worker_run_kernel(loom_worker *worker, loom_call *call, loom_kernel_run run) {
    loom_status status = run_once(worker, call, run);
    if (status == LOOM_OK || !worker->split.spoiled) return status;
    begin_anew(worker, call);
    return run_once(worker, call, run);
}

bool loom_worker_hash_blocks(loom_worker *worker, uint64_t *hashes) {
    uint64_t bytes = worker->reservation.placement.bytes;
    const void *window = loom_worker_window(worker);
    size_t count = loom_extent_block_count(bytes);
    if (worker->split.choice != LOOM_SPLIT_PARTS || bytes < HASH_BYTES_MIN || !window) return false;
    uint64_t *shared = share_block(worker, LOOM_BLOCK_HASHES, count * sizeof *shared);
    if (!shared) return false;
    loom_parts parts = {.loop = LOOM_LOOP_HASH, .units = count, .grain = HASH_BLOCKS};
    parts.count = loom_count_parts(parts.units, &parts.grain);
    const loom_split_phase phase = phase_of(worker, &parts);
    loom_split_seat seat;
    loom_split_open(worker->segment, &phase, &seat);
    for (uint32_t part; (part = loom_split_take(worker->segment, &seat)) != LOOM_PART_NONE;
         loom_split_report(worker->segment, &seat)) {
        uint64_t first = part * parts.grain, left = count - first;
        loom_extent_hash_blocks(window, bytes, first, left < parts.grain ? left : parts.grain, shared);
    }
    if (!loom_split_wait(worker->segment, &seat)) return false; /* hashed here then */
    memcpy(hashes, shared, count * sizeof *hashes);
    return true;
}

uint64_t loom_worker_end_split(loom_worker *worker) {
    loom_split_close(worker->segment);
    uint64_t helped_ns = loom_split_take_work(worker->segment);
    release_blocks(worker);
    worker->split = (loom_worker_split){0};
    /* Workers that helped an attempt which died still read the arguments. */
    if (worker->task->deaths > 0) loom_split_settle(worker->segment, worker->number);
    return helped_ns;
}
