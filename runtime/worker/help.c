/* help.c - parts of another worker's task: its arguments are mapped as for a task of one's own, its result's space and
 * shared memory writable, for as long as there are parts. The task stays its owner's: nothing of it is written here. */
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "runtime/kernels/base/parts.h"
#include "runtime/worker/worker.h"
#include "shm/activity.h"

_Static_assert(LOOM_PARTS_LIMIT == LOOM_PARTS_MAX && LOOM_WORKER_BLOCKS <= LOOM_SPLIT_SHARED_MAX,
               "what kernels may ask for, the segment can hold");

/* What is mapped of the owner's memory. */
typedef struct shared_memory {
    loom_split_block blocks[LOOM_WORKER_BLOCKS];
    void *maps[LOOM_WORKER_BLOCKS];
    loom_placement output;
    void *window;
} shared_memory;

static uint64_t thread_ns(void) {
    struct timespec used;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) != 0) return 0;
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static uint64_t now_ns(void) {
    struct timespec now;
    return clock_gettime(CLOCK_MONOTONIC, &now) == 0 ? (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec : 0;
}

static void unmap_block(shared_memory *shared, unsigned number) {
    if (shared->maps[number]) (void)munmap(shared->maps[number], (size_t)shared->blocks[number].bytes);
    shared->maps[number] = NULL;
    shared->blocks[number] = (loom_split_block){0};
}

static bool is_same_block(const loom_split_block *a, const loom_split_block *b) {
    return a->offset == b->offset && a->bytes == b->bytes;
}

static bool is_same_place(const loom_placement *a, const loom_placement *b) {
    return a->extent == b->extent && a->offset == b->offset && a->bytes == b->bytes;
}

/* The owner's shares what the phase needs; most of it stays from phase to phase. */
static loom_status map_phase(loom_worker *worker, const loom_split_phase *phase, shared_memory *shared,
                             loom_error *err) {
    for (unsigned i = 0; i < LOOM_WORKER_BLOCKS; i++) {
        if (is_same_block(&phase->shared[i], &shared->blocks[i])) continue;
        unmap_block(shared, i);
        if (phase->shared[i].bytes == 0) continue;
        shared->maps[i] = loom_split_map(worker->segment, &phase->shared[i]);
        if (!shared->maps[i]) return loom_fail(err, LOOM_NO_MEMORY, "cannot map what another worker shares");
        shared->blocks[i] = phase->shared[i];
    }
    if (phase->output.bytes == 0 || is_same_place(&phase->output, &shared->output)) return LOOM_OK;
    if (phase->shared[LOOM_BLOCK_STAGING].bytes != 0) { /* not in its place yet */
        if (phase->shared[LOOM_BLOCK_STAGING].bytes < phase->output.bytes)
            return loom_fail(err, LOOM_INTERNAL, "a split names too small a result; please report it");
        shared->window = shared->maps[LOOM_BLOCK_STAGING];
        shared->output = phase->output;
        return LOOM_OK;
    }
    loom_view *view = NULL;
    LOOM_TRY(loom_worker_next_view(worker, &view, err));
    LOOM_TRY(loom_extent_share(loom_store_extents(worker->store), &phase->output, view, &shared->window, err));
    worker->view_count++;
    shared->output = phase->output;
    return LOOM_OK;
}

static loom_status hash_blocks(const loom_parts *parts, uint32_t number, const shared_memory *shared) {
    uint64_t first = number * parts->grain, count = loom_extent_block_count(shared->output.bytes);
    uint64_t *hashes = shared->maps[LOOM_BLOCK_HASHES];
    if (!shared->window || !hashes || count > shared->blocks[LOOM_BLOCK_HASHES].bytes / sizeof *hashes ||
        first >= count)
        return LOOM_INTERNAL;
    uint64_t left = count - first;
    loom_extent_hash_blocks(shared->window, shared->output.bytes, first, left < parts->grain ? left : parts->grain,
                            hashes);
    return LOOM_OK;
}

static loom_status run_phase(loom_worker *worker, loom_call *call, const loom_split_seat *seat,
                             const shared_memory *shared) {
    const loom_parts parts = {.loop = seat->phase.phase,
                              .count = seat->phase.parts,
                              .units = seat->phase.units,
                              .grain = seat->phase.grain,
                              .state = seat->phase.state,
                              .state_bytes = (size_t)seat->phase.state_bytes};
    void *local = NULL;
    uint64_t start = thread_ns();
    loom_enter(LOOM_DOING_KERNEL);
    memcpy(call->shared, shared->maps, sizeof call->shared);
    for (uint32_t part; (part = loom_split_take(worker->segment, seat)) != LOOM_PART_NONE;) {
        loom_status status = parts.loop == LOOM_LOOP_HASH
                                 ? hash_blocks(&parts, part, shared)
                                 : loom_run_part(call, &parts, part, worker->index, shared->window, &local);
        if (status != LOOM_OK) {
            loom_split_give_up(worker->segment, seat);
            return status;
        }
        loom_split_report(worker->segment, seat);
    }
    loom_enter(LOOM_DOING_NOTHING);
    /* As the owner, who counts its kernel and not the hashing behind it. */
    if (parts.loop != LOOM_LOOP_HASH) loom_split_add_work(worker->segment, seat, thread_ns() - start);
    return LOOM_OK;
}

/* A call of the owner's task, in this process. */
static loom_status prepare(loom_worker *worker, loom_call *call, loom_error *err) {
    const loom_task *task = worker->task;
    loom_value *arguments = NULL;
    if (!task || task->operator_index >= worker->operators->count)
        return loom_fail(err, LOOM_INTERNAL, "a split names no task; please report it");
    *call = (loom_call){.op = worker->operators->operators[task->operator_index],
                        .argument_count = task->argument_count,
                        .services = &loom_helper_services,
                        .context = worker,
                        .arena = worker->arena,
                        .err = err};
    LOOM_TRY(loom_worker_attributes(worker, &call->attributes, err));
    LOOM_TRY(loom_worker_arguments(worker, call->op, &arguments, err));
    call->arguments = arguments;
    return LOOM_OK;
}

static loom_status help(loom_worker *worker, loom_split_seat *seat, shared_memory *shared, loom_error *err) {
    loom_call call;
    worker->number = seat->phase.task;
    worker->task = loom_segment_task(worker->segment, seat->phase.task);
    LOOM_TRY(prepare(worker, &call, err));
    do {
        LOOM_TRY(map_phase(worker, &seat->phase, shared, err));
        LOOM_TRY(run_phase(worker, &call, seat, shared));
    } while (loom_split_next(worker->segment, seat));
    return LOOM_OK;
}

void loom_worker_help(loom_worker *worker) {
    loom_error err = {0};
    loom_split_seat seat;
    shared_memory shared = {0};
    if (!loom_split_join(worker->segment, &seat)) return;
    uint64_t start = now_ns();
    /* What goes wrong here goes wrong for the owner too, who says so; or it does not matter. */
    loom_status status = help(worker, &seat, &shared, &err);
    for (unsigned i = 0; i < LOOM_WORKER_BLOCKS; i++)
        unmap_block(&shared, i);
    loom_worker_release(worker);
    loom_split_leave(worker->segment, &seat, status != LOOM_OK);
    loom_enter(LOOM_DOING_NOTHING);
    loom_worker_counters *counters = loom_segment_counters(worker->segment, worker->index);
    atomic_fetch_add_explicit(&counters->busy_ns, now_ns() - start, memory_order_relaxed);
}
