/* join.c - simpleitk.JoinSeries: images stacked along a new axis, with its origin and spacing
 * (itkJoinSeriesImageFilter.h). One copy in parts, no scratch memory. */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/image_list.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/kernels.h"

/* Some bytes of the result: the images' voxels, one image after the other. */
static loom_status join_part(loom_part *part) {
    const uint64_t image_bytes = *(const uint64_t *)part->state, end = part->first + part->count;
    for (uint64_t at = part->first, count; at < end; at += count) {
        const loom_value *image = NULL;
        const uint64_t within = at % image_bytes;
        LOOM_TRY(loom_arg_image_at(part->call, (uint32_t)(at / image_bytes), &image));
        count = end - at < image_bytes - within ? end - at : image_bytes - within;
        memcpy((uint8_t *)part->voxels + at, (const uint8_t *)image->image.voxels + within, count);
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {join_part};
const loom_loops loom_loops_join = {.run = loops, .count = 1};

loom_status loom_run_sitk_join_series(loom_call *call) {
    const loom_value *first = NULL;
    uint32_t count = 0, next = 0;
    double origin = 0, spacing = 1;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_image_count(call, &count, &next));
    LOOM_TRY(loom_arg_images_alike(call, count));
    LOOM_TRY(loom_arg_image_at(call, 0, &first));
    if (call->argument_count > next) LOOM_TRY(loom_arg_number(call, next, &origin));
    if (call->argument_count > next + 1) LOOM_TRY(loom_arg_number(call, next + 1, &spacing));
    if (call->argument_count > next + 2) return loom_arg_refuse(call, next + 2, "nothing behind origin and spacing");
    loom_image_header header = *first->image.header;
    if (header.rank == LOOM_RANK_MAX)
        return loom_fail(call->err, LOOM_UNSUPPORTED, "`%s` gets images of %u axes, and cannot add another",
                         call->op->name, LOOM_RANK_MAX);
    /* A boolean image is one only if all are. */
    for (uint32_t k = 1; k < count && header.dtype == LOOM_BOOL8; k++) {
        const loom_value *image = NULL;
        LOOM_TRY(loom_arg_image_at(call, k, &image));
        header.dtype = image->image.header->dtype;
    }
    const uint64_t image_bytes = loom_image_bytes(&header);
    header.size[header.rank] = count;
    header.origin[header.rank] = origin;
    header.spacing[header.rank] = spacing;
    header.rank++;
    LOOM_TRY(call->services->new_image(call, &header, &voxels));
    return loom_run_parts(call, 0, image_bytes * count, 4 * LOOM_PART_VALUES, &image_bytes, sizeof image_bytes);
}
