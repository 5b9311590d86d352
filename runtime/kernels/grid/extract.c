/* extract.c - a box cut out of an image: vox1.extract, simpleitk.Extract and Crop. Row copies in parts, no scratch
 * memory. The grid of the result is that of itkExtractImageFilter.h as SimpleITK uses it: where an axis goes, so do its
 * row and column of the direction, and what its index would have added to the origin. */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/grid/axes.h"
#include "runtime/kernels/kernels.h"

typedef struct box {
    unsigned axes;
    uint64_t size[LOOM_RANK_MAX], index[LOOM_RANK_MAX];
} box;

/* What becomes of the direction when axes go: SimpleITK's numbers. */
enum { COLLAPSE_TO_IDENTITY = 1, COLLAPSE_TO_SUBMATRIX = 2, COLLAPSE_TO_GUESS = 3 };

/* Three items, truncated to whole numbers as vox1 does. */
static loom_status read_truncated(loom_call *call, uint32_t position, uint64_t out[LOOM_RANK_MAX]) {
    const loom_value *sequence = NULL;
    LOOM_TRY(loom_arg_sequence(call, position, &sequence));
    if (sequence->sequence.count != 3)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "argument %u has %zu items; `%s` needs 3, one an axis",
                         position + 1, sequence->sequence.count, call->op->name);
    for (unsigned d = 0; d < 3; d++) {
        double number = -1;
        if (!loom_value_number(&sequence->sequence.items[d], &number) ||
            !(number > -1.0 && number < 9007199254740992.0))
            return loom_arg_refuse(call, position, "a sequence of whole numbers that are not negative");
        out[d] = (uint64_t)number;
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

/* Of the direction's first two or three rows and columns. */
static double determinant(const loom_image_header *header) {
    const double *a = header->direction, *b = a + LOOM_RANK_MAX, *c = b + LOOM_RANK_MAX;
    if (header->rank == 2) return a[0] * b[1] - a[1] * b[0];
    return a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0]);
}

static loom_status collapse_direction(loom_call *call, int64_t strategy, loom_image_header *header) {
    const bool is_singular = determinant(header) == 0.0;
    if (strategy == COLLAPSE_TO_SUBMATRIX && is_singular)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "`%s` leaves a direction without volume; use collapse strategy 1 (identity)", call->op->name);
    if (strategy != COLLAPSE_TO_IDENTITY && !is_singular) return LOOM_OK;
    for (unsigned row = 0; row < LOOM_RANK_MAX; row++)
        for (unsigned column = 0; column < LOOM_RANK_MAX; column++)
            header->direction[row * LOOM_RANK_MAX + column] = row == column;
    return LOOM_OK;
}

static loom_status box_header(loom_call *call, const loom_image_header *from, const box *part, int64_t strategy,
                              loom_image_header *header) {
    uint64_t size[LOOM_RANK_MAX];
    double index[LOOM_RANK_MAX] = {0};
    unsigned kept[LOOM_RANK_MAX], rank = 0;
    for (unsigned d = 0; d < part->axes; d++)
        if (part->size[d] != 0) {
            size[rank] = part->size[d];
            index[rank] = (double)part->index[d];
            kept[rank++] = d;
        }
    *header = loom_image_header_make((loom_dtype)from->dtype, rank, size);
    header->components = from->components;
    for (unsigned row = 0; row < rank; row++) {
        header->origin[row] = from->origin[kept[row]];
        header->spacing[row] = from->spacing[kept[row]];
        for (unsigned column = 0; column < rank; column++)
            header->direction[row * LOOM_RANK_MAX + column] = from->direction[kept[row] * LOOM_RANK_MAX + kept[column]];
    }
    if (rank != from->rank) LOOM_TRY(collapse_direction(call, strategy, header));
    loom_move_origin(header, index);
    return LOOM_OK;
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
        loom_row at = loom_row_of(what->size, number);
        for (unsigned d = 1; d < LOOM_RANK_MAX; d++)
            at.at[d] += what->first[d];
        const uint64_t row = loom_row_number(from->size, at);
        memcpy(out, (const uint8_t *)image->image.voxels + (row * from->size[0] + what->first[0]) * voxel_bytes,
               row_bytes);
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {cut_part};
const loom_loops loom_loops_extract = {.run = loops, .count = 1};

static loom_status extract(loom_call *call, const loom_value *image, const box *asked, int64_t strategy) {
    const loom_image_header *from = image->image.header;
    loom_image_header header;
    void *voxels = NULL;
    LOOM_TRY(check_box(call, from, asked));
    LOOM_TRY(box_header(call, from, asked, strategy, &header));
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
    LOOM_TRY(read_truncated(call, 1, part.size));
    LOOM_TRY(read_truncated(call, 2, part.index));
    return extract(call, image, &part, COLLAPSE_TO_GUESS);
}

loom_status loom_run_sitk_extract(loom_call *call) {
    const loom_value *image = NULL;
    int64_t strategy = COLLAPSE_TO_GUESS;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    box part = {.axes = image->image.header->rank};
    for (unsigned d = 0; d < part.axes; d++)
        part.size[d] = 1;
    if (call->argument_count > 1) LOOM_TRY(loom_arg_axes(call, 1, part.axes, part.size));
    if (call->argument_count > 2) LOOM_TRY(loom_arg_axes(call, 2, part.axes, part.index));
    if (call->argument_count > 3) LOOM_TRY(loom_arg_integer(call, 3, false, &strategy));
    if (strategy < COLLAPSE_TO_IDENTITY || strategy > COLLAPSE_TO_GUESS)
        return loom_arg_refuse(call, 3, "a collapse strategy: 1 (identity), 2 (submatrix) or 3 (guess)");
    return extract(call, image, &part, strategy);
}

loom_status loom_run_sitk_crop(loom_call *call) {
    const loom_value *image = NULL;
    uint64_t lower[LOOM_RANK_MAX] = {0}, upper[LOOM_RANK_MAX] = {0};
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    box part = {.axes = header->rank};
    if (call->argument_count > 1) LOOM_TRY(loom_arg_axes(call, 1, part.axes, lower));
    if (call->argument_count > 2) LOOM_TRY(loom_arg_axes(call, 2, part.axes, upper));
    for (unsigned d = 0; d < part.axes; d++) {
        const uint64_t size = header->size[d];
        if (lower[d] >= size || upper[d] >= size - lower[d])
            return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                             "`%s` would take %llu and %llu of the %llu voxels of axis %u; leave at least one",
                             call->op->name, (unsigned long long)lower[d], (unsigned long long)upper[d],
                             (unsigned long long)size, d + 1);
        part.index[d] = lower[d];
        part.size[d] = size - lower[d] - upper[d];
    }
    return extract(call, image, &part, COLLAPSE_TO_GUESS);
}
