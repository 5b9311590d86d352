/* extract.c - a box cut out of an image: vox1.extract and simpleitk.Extract. Row copies in parts, no scratch memory. */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/kernels.h"

typedef struct box {
    unsigned axes;
    uint64_t size[LOOM_RANK_MAX], index[LOOM_RANK_MAX];
} box;

/* The argument's items, truncated to whole numbers as vox1 does, or required to be whole as SimpleITK does. */
static loom_status read_axes(loom_call *call, uint32_t position, unsigned axes, bool truncate,
                             uint64_t out[LOOM_RANK_MAX]) {
    const loom_value *sequence = NULL;
    LOOM_TRY(loom_arg_sequence(call, position, &sequence));
    if (sequence->sequence.count != axes)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "argument %u has %zu items; `%s` needs %u, one an axis",
                         position + 1, sequence->sequence.count, call->op->name, axes);
    for (unsigned d = 0; d < axes; d++) {
        double number = -1;
        int64_t whole = -1;
        const loom_value *item = &sequence->sequence.items[d];
        bool good = truncate ? loom_value_number(item, &number) && number > -1.0 && number < 9007199254740992.0
                             : loom_value_integer(item, false, &whole) && whole >= 0;
        if (!good) return loom_arg_refuse(call, position, "a sequence of whole numbers that are not negative");
        out[d] = truncate ? (uint64_t)number : (uint64_t)whole;
    }
    return LOOM_OK;
}

static loom_status check_box(loom_call *call, const loom_image_header *header, const box *part) {
    unsigned kept = 0;
    for (unsigned d = 0; d < part->axes; d++) {
        uint64_t size = part->size[d] == 0 ? 1 : part->size[d];
        kept += part->size[d] != 0;
        if (part->index[d] >= header->size[d] || size > header->size[d] - part->index[d])
            return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                             "`%s` asks for voxels %llu to %llu on axis %u, but the image has %llu; keep within it",
                             call->op->name, (unsigned long long)part->index[d],
                             (unsigned long long)(part->index[d] + size - 1), d + 1,
                             (unsigned long long)header->size[d]);
    }
    if (kept >= 2) return LOOM_OK;
    return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                     "`%s` would collapse the image below two axes; keep two sizes above 0", call->op->name);
}

/* The grid of the box: the origin moves to its first voxel; collapsed axes go, with the submatrix of the directions. */
static loom_image_header box_header(const loom_image_header *from, const box *part) {
    uint64_t size[LOOM_RANK_MAX];
    unsigned kept[LOOM_RANK_MAX], rank = 0;
    for (unsigned d = 0; d < part->axes; d++)
        if (part->size[d] != 0) {
            size[rank] = part->size[d];
            kept[rank++] = d;
        }
    loom_image_header header = loom_image_header_make((loom_dtype)from->dtype, rank, size);
    header.components = from->components;
    for (unsigned row = 0; row < rank; row++) {
        double origin = from->origin[kept[row]];
        for (unsigned d = 0; d < part->axes; d++)
            origin += from->direction[kept[row] * LOOM_RANK_MAX + d] * from->spacing[d] * (double)part->index[d];
        header.origin[row] = origin;
        header.spacing[row] = from->spacing[kept[row]];
        for (unsigned column = 0; column < rank; column++)
            header.direction[row * LOOM_RANK_MAX + column] = from->direction[kept[row] * LOOM_RANK_MAX + kept[column]];
    }
    return header;
}

/* The rows of the box, and where it lies. */
typedef struct cut {
    uint64_t size[LOOM_RANK_MAX], first[LOOM_RANK_MAX];
} cut;

/* Some rows of the result. */
static loom_status cut_part(loom_part *part) {
    const loom_value *image = NULL;
    const cut *what = part->state;
    LOOM_TRY(loom_arg_any_image(part->call, 0, &image));
    const loom_image_header *from = image->image.header;
    size_t voxel_bytes = loom_dtype_bytes(from->dtype) * from->components, row_bytes = what->size[0] * voxel_bytes;
    uint8_t *out = (uint8_t *)part->voxels + part->first * row_bytes;
    for (uint64_t number = part->first; number < part->first + part->count; number++, out += row_bytes) {
        uint64_t y = number % what->size[1], z = number / what->size[1] % what->size[2],
                 t = number / what->size[1] / what->size[2];
        uint64_t row = ((what->first[3] + t) * from->size[2] + what->first[2] + z) * from->size[1] + what->first[1] + y;
        memcpy(out, (const uint8_t *)image->image.voxels + (row * from->size[0] + what->first[0]) * voxel_bytes,
               row_bytes);
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {cut_part};
const loom_loops loom_loops_extract = {.run = loops, .count = 1};

static loom_status extract(loom_call *call, const loom_value *image, const box *asked) {
    const loom_image_header *from = image->image.header;
    LOOM_TRY(check_box(call, from, asked));
    loom_image_header header = box_header(from, asked);
    void *voxels = NULL;
    LOOM_TRY(call->services->new_image(call, &header, &voxels));
    cut what;
    for (unsigned d = 0; d < LOOM_RANK_MAX; d++) {
        what.size[d] = d < asked->axes && asked->size[d] != 0 ? asked->size[d] : 1;
        what.first[d] = d < asked->axes ? asked->index[d] : 0;
    }
    return loom_run_parts(call, 0, what.size[1] * what.size[2] * what.size[3], LOOM_PART_VALUES / what.size[0], &what,
                          sizeof what);
}

loom_status loom_run_extract(loom_call *call) {
    const loom_value *image = NULL;
    box part = {.axes = 3};
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    if (image->image.header->rank != 3) return loom_arg_refuse(call, 0, "an image of three axes");
    LOOM_TRY(read_axes(call, 1, 3, true, part.size));
    LOOM_TRY(read_axes(call, 2, 3, true, part.index));
    return extract(call, image, &part);
}

loom_status loom_run_sitk_extract(loom_call *call) {
    const loom_value *image = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    box part = {.axes = image->image.header->rank};
    for (unsigned d = 0; d < part.axes; d++)
        part.size[d] = 1;
    if (call->argument_count > 1) LOOM_TRY(read_axes(call, 1, part.axes, false, part.size));
    if (call->argument_count > 2) LOOM_TRY(read_axes(call, 2, part.axes, false, part.index));
    if (call->argument_count > 3)
        return loom_fail(call->err, LOOM_UNSUPPORTED, "`%s` takes no collapse strategy here; leave argument 4 out",
                         call->op->name);
    return extract(call, image, &part);
}
