/* member.c - see member.h. */
#include "runtime/kernels/fused/member.h"

#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"

/* Voxels that are not there: whoever touches them is stopped by the memory protection, before a result is wrong. */
#define NOWHERE ((void *)(uintptr_t)4096)

/* ---- services that take notes ---- */

static loom_status unfit(loom_call *call) {
    ((loom_member *)call->context)->unfit = true;
    return LOOM_UNSUPPORTED;
}

static loom_status note_image(loom_call *call, const loom_image_header *header, void **voxels) {
    loom_member *member = call->context;
    LOOM_TRY(loom_image_header_check(header, call->err));
    if (member->made) return unfit(call);
    member->made = true;
    member->header = *header;
    member->voxel_bytes = loom_dtype_bytes(header->dtype) * header->components;
    *voxels = NOWHERE;
    call->result = loom_image(&member->header, NOWHERE);
    return LOOM_OK;
}

static loom_status note_stream(loom_call *call, const loom_image_header *header, int *fd, uint64_t *offset) {
    (void)header, (void)fd, (void)offset;
    return unfit(call);
}

static void *scratch(loom_call *call, size_t bytes) {
    loom_call *whole = ((loom_member *)call->context)->whole;
    return whole->services->scratch(whole, bytes);
}

static loom_status fetch(loom_call *call, const loom_value *reference, loom_value *value) {
    loom_call *whole = ((loom_member *)call->context)->whole;
    return whole->services->fetch(whole, reference, value);
}

static void *note_share(loom_call *call, unsigned number, size_t bytes) {
    (void)number, (void)bytes;
    (void)unfit(call);
    return NULL;
}

static loom_status note_parts(loom_call *call, const loom_parts *parts) {
    loom_member *member = call->context;
    if (!member->made || member->looped) return unfit(call);
    uint64_t voxels = loom_image_voxels(&member->header);
    if (parts->units % voxels != 0) return unfit(call);
    member->looped = true;
    member->loop = parts->loop;
    member->units = parts->units / voxels;
    member->state = NULL;
    if (parts->state_bytes == 0) return LOOM_OK;
    member->state = loom_arena_copy(call->arena, parts->state, parts->state_bytes);
    return member->state ? LOOM_OK : loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
}

static const loom_call_services notes = {.new_image = note_image,
                                         .new_stream = note_stream,
                                         .scratch = scratch,
                                         .fetch = fetch,
                                         .run_parts = note_parts,
                                         .share = note_share};

/* ---- preparing ---- */

loom_status loom_member_begin(loom_call *whole, const loom_value *arguments, const loom_tape *tape, uint32_t number,
                              loom_member *before, loom_member *member) {
    const loom_tape_member *on = &tape->members[number];
    *member = (loom_member){.whole = whole,
                            .operands = tape->operands + on->first,
                            .argument_count = on->count,
                            .arguments = loom_arena_array(whole->arena, on->count, sizeof(loom_value))};
    if (!member->arguments) return loom_fail(whole->err, LOOM_NO_MEMORY, "out of memory in `%s`", on->op->name);
    for (uint32_t i = 0; i < on->count; i++) {
        uint32_t operand = member->operands[i];
        member->arguments[i] = operand & LOOM_TAPE_MEMBER
                                   ? loom_image(&before[operand & ~LOOM_TAPE_MEMBER].header, NOWHERE)
                                   : arguments[operand];
    }
    member->call = (loom_call){.op = on->op,
                               .arguments = member->arguments,
                               .argument_count = on->count,
                               .services = &notes,
                               .context = member,
                               .arena = whole->arena,
                               .err = whole->err};
    return LOOM_OK;
}

/* Images that a range is read of have as many voxels as the result: else the range would not be theirs. */
static bool is_on_grid(const loom_member *member) {
    uint64_t voxels = loom_image_voxels(&member->header);
    for (uint32_t i = 0; i < member->argument_count; i++) {
        const loom_value *argument = &member->arguments[i];
        if (argument->type == LOOM_IMAGE && loom_image_voxels(argument->image.header) != voxels) return false;
    }
    return true;
}

loom_status loom_member_prepare(loom_call *whole, const loom_value *arguments, const loom_tape *tape, uint32_t number,
                                loom_member *before, loom_member *member, bool *fits) {
    LOOM_TRY(loom_member_begin(whole, arguments, tape, number, before, member));
    loom_status status = loom_kernel_of(member->call.op)->run(&member->call);
    *fits = !member->unfit && (status != LOOM_OK || (member->made && is_on_grid(member)));
    return member->unfit ? LOOM_OK : status;
}

/* ---- running ---- */

void *loom_tile_origin(void *tile, uint64_t first, size_t voxel_bytes) {
    /* As numbers: the address itself may be that of nothing. */
    return (void *)((uintptr_t)tile - (uintptr_t)(first * voxel_bytes));
}

void loom_member_look(loom_member *member, void *const *origins) {
    for (uint32_t i = 0; i < member->argument_count; i++)
        if (member->operands[i] & LOOM_TAPE_MEMBER)
            member->arguments[i].image.voxels = origins[member->operands[i] & ~LOOM_TAPE_MEMBER];
}

loom_status loom_member_run(loom_member *member, const loom_part *part, uint64_t first, uint64_t count, void *origin) {
    if (!member->looped) {
        memset((uint8_t *)origin + first * member->voxel_bytes, 0, (size_t)count * member->voxel_bytes);
        return LOOM_OK;
    }
    loom_part piece = {.call = &member->call,
                       .state = member->state,
                       .voxels = origin,
                       .shared = member->call.shared,
                       .local = &member->local,
                       .number = part->number,
                       .lane = part->lane,
                       .first = first * member->units,
                       .count = count * member->units};
    return loom_kernel_of(member->call.op)->loops->run[member->loop](&piece);
}
