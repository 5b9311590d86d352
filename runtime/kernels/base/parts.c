/* parts.c - loops in parts: see parts.h. Here they run one after the other; the worker's service shares them. */
#include "runtime/kernels/base/parts.h"

#include <string.h>

#include "runtime/kernels/base/arguments.h"

uint32_t loom_count_parts(uint64_t units, uint64_t *grain) {
    if (*grain == 0) *grain = 1;
    /* Doubled, so that a part's first unit stays a multiple of what the kernel asked for. */
    while (units / *grain + (units % *grain != 0) > LOOM_PARTS_LIMIT)
        *grain *= 2;
    return (uint32_t)(units / *grain + (units % *grain != 0));
}

loom_status loom_run_part(loom_call *call, const loom_parts *parts, uint32_t number, uint32_t lane, void *voxels,
                          void **local) {
    const loom_loops *loops = loom_kernel_of(call->op)->loops;
    uint64_t first = number * parts->grain;
    if (loops == NULL || parts->loop >= loops->count || number >= parts->count || first >= parts->units)
        return loom_fail(call->err, LOOM_INTERNAL, "`%s` has no part %u of loop %u; please report it", call->op->name,
                         number, parts->loop);
    uint64_t left = parts->units - first;
    loom_part part = {.call = call,
                      .state = parts->state,
                      .voxels = voxels,
                      .shared = call->shared,
                      .local = local,
                      .number = number,
                      .lane = lane,
                      .first = first,
                      .count = left < parts->grain ? left : parts->grain};
    return loops->run[parts->loop](&part);
}

loom_status loom_run_all_parts(loom_call *call, const loom_parts *parts) {
    void *local = NULL, *voxels = NULL;
    if (call->result.type == LOOM_IMAGE) voxels = (void *)(uintptr_t)call->result.image.voxels; /* ours to write */
    for (uint32_t number = 0; number < parts->count; number++)
        LOOM_TRY(loom_run_part(call, parts, number, 0, voxels, &local));
    return LOOM_OK;
}

loom_status loom_run_parts(loom_call *call, uint32_t loop, uint64_t units, uint64_t grain, const void *state,
                           size_t state_bytes) {
    loom_parts parts = {.loop = loop, .units = units, .grain = grain, .state = state, .state_bytes = state_bytes};
    if (units == 0) return LOOM_OK;
    parts.count = loom_count_parts(units, &parts.grain);
    if (call->services->run_parts != NULL) return call->services->run_parts(call, &parts);
    return loom_run_all_parts(call, &parts);
}

loom_status loom_share(loom_call *call, unsigned number, size_t count, size_t item_bytes, void **memory) {
    size_t bytes = 0;
    *memory = NULL;
    if (number >= LOOM_SHARED_MAX)
        return loom_fail(call->err, LOOM_INTERNAL, "`%s` shares too many blocks; please report it", call->op->name);
    if (call->services->share == NULL) {
        LOOM_TRY(loom_scratch(call, count, item_bytes, memory));
        memset(*memory, 0, count * item_bytes);
    } else if (!__builtin_mul_overflow(count, item_bytes, &bytes)) {
        *memory = call->services->share(call, number, bytes == 0 ? 1 : bytes);
    }
    call->shared[number] = *memory;
    if (*memory != NULL) return LOOM_OK;
    return loom_fail(call->err, LOOM_NO_MEMORY,
                     "`%s` was refused %zu x %zu bytes of scratch memory; close other programs or use fewer workers",
                     call->op->name, count, item_bytes);
}

const loom_image_header *loom_first_image(const loom_call *call) {
    return call->argument_count > 0 && call->arguments[0].type == LOOM_IMAGE ? call->arguments[0].image.header : NULL;
}

uint32_t loom_lanes(loom_call *call) {
    return call->services->lanes == NULL ? 1 : call->services->lanes(call);
}
