/* What a kernel may ask its worker for. Result images are written where they will stay: in reserved space of this
 * worker's extent file. */
#include <stdlib.h>
#include <string.h>

#include "runtime/worker/worker.h"

#define SCRATCH_COUNTED 65536u /* less is not worth a look at the budget */

/* Whether the result is made in memory first, which counts against the budget too: where there is no room for that, it
 * is made in its place. */
static bool stage(loom_worker *worker, uint64_t bytes) {
    if (!loom_worker_stages(worker, bytes) || worker->task->flags & LOOM_TASK_BEYOND) return false;
    if (loom_worker_admit(worker, bytes)) return loom_worker_stage(worker, bytes) != NULL;
    worker->refused = false;
    return false;
}

static loom_status reserve_image(loom_call *call, const loom_image_header *header, bool window) {
    loom_worker *worker = call->context;
    if (worker->reserved)
        return loom_fail(call->err, LOOM_INTERNAL, "%s asked for two result images; please report it", call->op->name);
    LOOM_TRY(loom_image_header_check(header, call->err));
    if (!loom_worker_admit(worker, loom_image_bytes(header)))
        return loom_fail(call->err, LOOM_NO_MEMORY, "the memory budget is full");
    if (!worker->writer)
        LOOM_TRY(loom_extent_writer_open(loom_store_extents(worker->store), &worker->writer, call->err));
    /* Kernels find zeros (kernel.h): some write only where there is something. */
    bool staged = window && stage(worker, loom_image_bytes(header));
    unsigned how = window && !staged ? LOOM_RESERVE_WINDOW | LOOM_RESERVE_ZEROED : 0;
    LOOM_TRY(loom_extent_reserve(worker->writer, loom_image_bytes(header), how, &worker->reservation, call->err));
    worker->reserved = true;
    worker->header = *header;
    call->result = loom_image(&worker->header, loom_worker_window(worker));
    return LOOM_OK;
}

static loom_status new_image(loom_call *call, const loom_image_header *header, void **voxels) {
    LOOM_TRY(reserve_image(call, header, true));
    *voxels = loom_worker_window(call->context);
    return LOOM_OK;
}

static loom_status new_stream(loom_call *call, const loom_image_header *header, int *fd, uint64_t *offset) {
    loom_worker *worker = call->context;
    LOOM_TRY(reserve_image(call, header, false));
    *fd = worker->reservation.fd;
    *offset = worker->reservation.placement.offset;
    return LOOM_OK;
}

bool loom_worker_keep_scratch(loom_worker *worker, void *memory) {
    if (worker->scratch_count == worker->scratch_capacity) {
        size_t capacity = worker->scratch_capacity ? worker->scratch_capacity * 2 : 8;
        void **grown = loom_arena_array(worker->arena, capacity, sizeof *grown);
        if (!grown) {
            free(memory);
            return false;
        }
        if (worker->scratch_count) memcpy(grown, worker->scratch, worker->scratch_count * sizeof *grown);
        worker->scratch = grown;
        worker->scratch_capacity = capacity;
    }
    worker->scratch[worker->scratch_count++] = memory;
    return true;
}

static void *uncounted_scratch(loom_call *call, size_t bytes) {
    void *memory = malloc(bytes ? bytes : 1);
    return memory && loom_worker_keep_scratch(call->context, memory) ? memory : NULL;
}

bool loom_worker_admit_ahead(loom_worker *worker, loom_call *call) {
    const loom_loops *loops = loom_kernel_of(call->op)->loops;
    worker->ahead_bytes = 0;
    if (!loops || !loops->scratch) return true;
    uint64_t bytes = loops->scratch(call, loom_worker_lanes(call));
    if (bytes >= SCRATCH_COUNTED && !loom_worker_admit(worker, bytes)) return false;
    worker->ahead_bytes = bytes;
    return true;
}

bool loom_worker_admit_scratch(loom_worker *worker, size_t bytes) {
    if (bytes < SCRATCH_COUNTED) return true;
    uint64_t ahead = bytes < worker->ahead_bytes ? bytes : worker->ahead_bytes;
    if (bytes > ahead && !loom_worker_admit(worker, bytes - ahead)) return false;
    worker->ahead_bytes -= ahead;
    return true;
}

static void *scratch(loom_call *call, size_t bytes) {
    return loom_worker_admit_scratch(call->context, bytes) ? uncounted_scratch(call, bytes) : NULL;
}

static loom_status fetch(loom_call *call, const loom_value *reference, loom_value *value) {
    return loom_worker_fetch(call->context, reference, value, call->err);
}

const loom_call_services loom_worker_services = {.new_image = new_image,
                                                 .new_stream = new_stream,
                                                 .scratch = scratch,
                                                 .fetch = fetch,
                                                 .run_parts = loom_worker_run_parts,
                                                 .share = loom_worker_share,
                                                 .lanes = loom_worker_lanes};

static loom_status no_image(loom_call *call, const loom_image_header *header, void **voxels) {
    (void)header;
    *voxels = NULL;
    return loom_fail(call->err, LOOM_INTERNAL, "a part of `%s` asked for a result; please report it", call->op->name);
}

const loom_call_services loom_helper_services = {.new_image = no_image, .scratch = uncounted_scratch, .fetch = fetch};

void loom_worker_release(loom_worker *worker) {
    for (size_t i = 0; i < worker->view_count; i++)
        loom_extent_release(&worker->views[i]);
    for (size_t i = 0; i < worker->scratch_count; i++)
        free(worker->scratch[i]);
    if (worker->reserved) loom_extent_abandon(worker->writer, &worker->reservation);
    worker->reserved = worker->has_lost = false;
    worker->views = NULL;
    worker->scratch = NULL;
    worker->memo = NULL;
    worker->hashed = NULL;
    worker->view_count = worker->view_capacity = worker->scratch_count = worker->scratch_capacity = 0;
    worker->memo_count = worker->memo_capacity = worker->memo_next = 0;
    worker->hashed_count = worker->hashed_capacity = 0;
    loom_arena_reset(worker->arena);
}
