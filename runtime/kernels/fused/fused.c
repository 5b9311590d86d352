/* fused.c - loom.fused: a chain of voxelwise operators, and the reduction at its end, in one pass.
 *
 * The image is gone through in tiles that stay in the second-level cache: of each, every member of the tape makes its
 * voxels in a buffer, the last one in the result or into its sums. Each member's own loop does that (member.h), so that
 * a fused result is the unfused one, bit by bit. A reduction is called as ever, with an image that is made while its
 * parts are run: their bounds, and so its tree of sums, are its own.
 *
 * Scratch: a buffer of TILE_VOXELS for each intermediate that is alive at one time, a worker. Where a member does not
 * fit, whole images, one for each intermediate. */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/fused/member.h"
#include "runtime/kernels/kernels.h"

/* A multiple of LOOM_CHUNK, on which reductions cut their sums. */
#define TILE_VOXELS UINT64_C(16384)
_Static_assert(LOOM_PART_VALUES % TILE_VOXELS == 0, "tiles do not cross parts");
#define LINE_BYTES 64u /* buffers begin at cache lines */

/* What one process knows of the pass. */
typedef struct pass {
    loom_tape tape;
    loom_value *arguments; /* references fetched */
    loom_member members[LOOM_TAPE_MEMBERS_MAX];
    uint32_t before; /* members whose results are intermediate: all but the last */
    bool fits;
    uint64_t voxels;                       /* of every image in it */
    uint32_t slots[LOOM_TAPE_MEMBERS_MAX]; /* buffer of each intermediate */
    uint8_t *buffers[LOOM_TAPE_MEMBERS_MAX];
} pass;

/* What the parts are told: the loop of the reduction at the end. */
typedef struct ending {
    uint64_t loop;
    uint8_t state[448];
} ending;

static loom_status no_memory(loom_call *call) {
    return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
}

static bool is_reduction(const pass *of) {
    return of->tape.members[of->before].op->flags & LOOM_OP_REDUCTION;
}

/* ---- preparing ---- */

static loom_status read_arguments(loom_call *call, pass *of) {
    LOOM_TRY(loom_tape_decode(call->attributes, call->argument_count, &of->tape, call->err));
    of->before = of->tape.member_count - 1;
    of->arguments = loom_arena_array(call->arena, call->argument_count, sizeof *of->arguments);
    if (!of->arguments) return no_memory(call);
    for (uint32_t i = 0; i < call->argument_count; i++)
        LOOM_TRY(loom_call_resolve(call, &call->arguments[i], &of->arguments[i]));
    return LOOM_OK;
}

/* Members that give images, one after the other; call->culprit is the one that refuses its arguments. */
static loom_status prepare_members(loom_call *call, pass *of) {
    uint32_t images = is_reduction(of) ? of->before : of->before + 1;
    of->fits = true;
    for (uint32_t k = 0; k < images && of->fits; k++) {
        call->culprit = k;
        LOOM_TRY(loom_member_prepare(call, of->arguments, &of->tape, k, of->members, &of->members[k], &of->fits));
        uint64_t voxels = of->fits ? loom_image_voxels(&of->members[k].header) : 0;
        of->fits &= of->voxels == 0 || voxels == of->voxels;
        of->voxels = voxels;
    }
    if (!of->fits) loom_error_clear(call->err);
    call->culprit = of->before;
    if (!of->fits || !is_reduction(of)) return LOOM_OK;
    return loom_member_begin(call, of->arguments, &of->tape, of->before, of->members, &of->members[of->before]);
}

static loom_status new_pass(loom_call *call, pass **made) {
    pass *of = loom_arena_alloc(call->arena, sizeof *of);
    if (!of) return no_memory(call);
    memset(of, 0, sizeof *of);
    *made = of;
    LOOM_TRY(read_arguments(call, of));
    return prepare_members(call, of);
}

/* ---- buffers ---- */

/* The last member that uses each intermediate. */
static void find_last_users(const pass *of, uint32_t last[LOOM_TAPE_MEMBERS_MAX]) {
    for (uint32_t k = 0; k < of->tape.member_count; k++) {
        last[k] = k;
        for (uint32_t i = 0; i < of->members[k].argument_count; i++)
            if (of->members[k].operands[i] & LOOM_TAPE_MEMBER) last[of->members[k].operands[i] & ~LOOM_TAPE_MEMBER] = k;
    }
}

/* Gives each intermediate a buffer that nobody needs while it is alive, and says how many bytes a voxel each buffer
 * holds; returns their count. */
static uint32_t share_out(pass *of, size_t bytes[LOOM_TAPE_MEMBERS_MAX]) {
    uint32_t last[LOOM_TAPE_MEMBERS_MAX], taken_to[LOOM_TAPE_MEMBERS_MAX], count = 0;
    find_last_users(of, last);
    for (uint32_t k = 0; k < of->before; k++) {
        uint32_t slot = 0;
        while (slot < count && taken_to[slot] >= k)
            slot++;
        if (slot == count) bytes[count++] = 0;
        if (of->members[k].voxel_bytes > bytes[slot]) bytes[slot] = of->members[k].voxel_bytes;
        taken_to[slot] = last[k];
        of->slots[k] = slot;
    }
    return count;
}

static loom_status make_buffers(loom_call *call, pass *of) {
    size_t bytes[LOOM_TAPE_MEMBERS_MAX];
    uint64_t tile = of->voxels < TILE_VOXELS ? of->voxels : TILE_VOXELS;
    uint32_t count = share_out(of, bytes);
    for (uint32_t slot = 0; slot < count; slot++) {
        void *memory = NULL;
        LOOM_TRY(loom_scratch(call, (size_t)tile * bytes[slot] + LINE_BYTES, 1, &memory));
        uintptr_t at = (uintptr_t)memory;
        of->buffers[slot] = (uint8_t *)memory + (LINE_BYTES - at % LINE_BYTES) % LINE_BYTES;
    }
    return LOOM_OK;
}

/* ---- tiles ---- */

static loom_status end_tile(pass *of, const loom_part *part, uint64_t first, uint64_t count) {
    loom_member *last = &of->members[of->before];
    const ending *end = part->state;
    if (!is_reduction(of)) return loom_member_run(last, part, first, count, part->voxels);
    loom_part piece = {.call = &last->call,
                       .state = end->state,
                       .shared = part->shared,
                       .local = &last->local,
                       .number = part->number,
                       .lane = part->lane,
                       .first = first,
                       .count = count};
    const loom_loops *loops = loom_kernel_of(last->call.op)->loops;
    if (end->loop >= loops->count) return LOOM_INTERNAL;
    return loops->run[end->loop](&piece);
}

static loom_status run_tile(pass *of, const loom_part *part, uint64_t first, uint64_t count) {
    void *origins[LOOM_TAPE_MEMBERS_MAX];
    for (uint32_t k = 0; k <= of->before; k++) {
        loom_member *member = &of->members[k];
        part->call->culprit = k;
        loom_member_look(member, origins);
        if (k == of->before) break;
        origins[k] = loom_tile_origin(of->buffers[of->slots[k]], first, member->voxel_bytes);
        LOOM_TRY(loom_member_run(member, part, first, count, origins[k]));
    }
    return end_tile(of, part, first, count);
}

/* Units are voxels. */
static loom_status tiles_part(loom_part *part) {
    pass *of = *part->local;
    if (!of) {
        LOOM_TRY(new_pass(part->call, &of));
        if (!of->fits) return LOOM_INTERNAL; /* its owner found that it does */
        LOOM_TRY(make_buffers(part->call, of));
        *part->local = of;
    }
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += TILE_VOXELS)
        LOOM_TRY(run_tile(of, part, first, end - first < TILE_VOXELS ? end - first : TILE_VOXELS));
    return LOOM_OK;
}

enum { TILES_LOOP };
static const loom_part_run loops[] = {[TILES_LOOP] = tiles_part};
const loom_loops loom_loops_fused = {.run = loops, .count = 1};

/* ---- the end ---- */

static loom_call *whole_of(const loom_call *call) {
    return ((const loom_member *)call->context)->whole;
}

static void *end_scratch(loom_call *call, size_t bytes) {
    loom_call *whole = whole_of(call);
    return whole->services->scratch(whole, bytes);
}

static void *end_share(loom_call *call, unsigned number, size_t bytes) {
    void *memory = NULL;
    return loom_share(whole_of(call), number, bytes, 1, &memory) == LOOM_OK ? memory : NULL;
}

static uint32_t end_lanes(loom_call *call) {
    return loom_lanes(whole_of(call));
}

/* Whether its units are the voxels of its images, which are those of the grid. */
static bool goes_through_voxels(const loom_call *call, const loom_parts *parts) {
    for (uint32_t i = 0; i < call->argument_count; i++)
        if (call->arguments[i].type == LOOM_IMAGE && loom_image_voxels(call->arguments[i].image.header) != parts->units)
            return false;
    return parts->grain % TILE_VOXELS == 0;
}

/* A loop of the reduction becomes a loop over tiles. */
static loom_status end_parts(loom_call *call, const loom_parts *parts) {
    ending end = {.loop = parts->loop};
    if (parts->state_bytes > sizeof end.state || !goes_through_voxels(call, parts))
        return loom_fail(call->err, LOOM_INTERNAL, "`%s` cannot be done in pieces; please report it", call->op->name);
    if (parts->state_bytes > 0) memcpy(end.state, parts->state, parts->state_bytes);
    return loom_run_parts(whole_of(call), TILES_LOOP, parts->units, parts->grain, &end, sizeof end);
}

static loom_status reduce(loom_call *call, pass *of) {
    static const loom_call_services services = {
        .scratch = end_scratch, .run_parts = end_parts, .share = end_share, .lanes = end_lanes};
    loom_member *last = &of->members[of->before];
    last->call.services = &services;
    LOOM_TRY(loom_kernel_of(last->call.op)->run(&last->call));
    call->result = last->call.result;
    return LOOM_OK;
}

static loom_status fill(loom_call *call, const pass *of) {
    const ending none = {0};
    void *voxels = NULL;
    LOOM_TRY(call->services->new_image(call, &of->members[of->before].header, &voxels));
    return loom_run_parts(call, TILES_LOOP, of->voxels, LOOM_PART_VALUES, &none, sizeof none);
}

/* ---- whole images ---- */

static loom_status intermediate(loom_call *call, const loom_image_header *header, void **voxels) {
    loom_member *member = call->context;
    LOOM_TRY(loom_image_header_check(header, call->err));
    member->header = *header;
    LOOM_TRY(loom_scratch(call, (size_t)loom_image_bytes(header), 1, voxels));
    memset(*voxels, 0, (size_t)loom_image_bytes(header));
    call->result = loom_image(&member->header, *voxels);
    return LOOM_OK;
}

static loom_status final(loom_call *call, const loom_image_header *header, void **voxels) {
    loom_call *whole = whole_of(call);
    LOOM_TRY(whole->services->new_image(whole, header, voxels));
    call->result = whole->result;
    return LOOM_OK;
}

/* One member after the other, each on whole images and by this worker alone. */
static loom_status run_whole(loom_call *call, pass *of) {
    static const loom_call_services between = {.new_image = intermediate, .scratch = end_scratch};
    static const loom_call_services end = {.new_image = final, .scratch = end_scratch};
    void *origins[LOOM_TAPE_MEMBERS_MAX];
    for (uint32_t k = 0; k <= of->before; k++) {
        loom_member *member = &of->members[k];
        call->culprit = k;
        LOOM_TRY(loom_member_begin(call, of->arguments, &of->tape, k, of->members, member));
        loom_member_look(member, origins);
        member->call.services = k < of->before ? &between : &end;
        LOOM_TRY(loom_kernel_of(member->call.op)->run(&member->call));
        if (k < of->before && member->call.result.type != LOOM_IMAGE)
            return loom_fail(call->err, LOOM_INTERNAL, "`%s` gave no image within a fused task; please report it",
                             member->call.op->name);
        if (k < of->before) origins[k] = (void *)(uintptr_t)member->call.result.image.voxels;
    }
    call->result = of->members[of->before].call.result;
    return LOOM_OK;
}

loom_status loom_run_fused(loom_call *call) {
    pass *of = NULL;
    LOOM_TRY(new_pass(call, &of));
    if (!of->fits) return run_whole(call, of);
    return is_reduction(of) ? reduce(call, of) : fill(call, of);
}
