/* image_list.c - images given as one sequence, or as the first arguments: see image_list.h. */
#include "runtime/kernels/base/image_list.h"

#include "runtime/kernels/base/arguments.h"

loom_status loom_arg_image_count(loom_call *call, uint32_t *count, uint32_t *next) {
    const loom_value *first = NULL;
    LOOM_TRY(loom_arg(call, 0, &first));
    *count = 0;
    *next = 1;
    if (first->type == LOOM_SEQUENCE) {
        if (first->sequence.count <= UINT16_MAX) *count = (uint32_t)first->sequence.count;
    } else {
        const loom_value *value = first;
        while (value->type == LOOM_IMAGE) {
            ++*count;
            if (*count == call->argument_count) break;
            LOOM_TRY(loom_arg(call, *count, &value));
        }
        *next = *count;
    }
    return *count > 0 ? LOOM_OK : loom_arg_refuse(call, 0, "images, or a sequence of 1 to 65535 of them");
}

loom_status loom_arg_image_at(loom_call *call, uint32_t number, const loom_value **image) {
    const loom_value *first = NULL;
    LOOM_TRY(loom_arg(call, 0, &first));
    if (first->type != LOOM_SEQUENCE) return loom_arg_any_image(call, number, image);
    loom_value *item = loom_arena_alloc(call->arena, sizeof *item);
    if (item == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
    LOOM_TRY(loom_call_resolve(call, &first->sequence.items[number], item));
    if (item->type != LOOM_IMAGE || item->image.voxels == NULL)
        return loom_value_refuse(call, "an item of argument 1", item, "a sequence of images");
    *image = item;
    return LOOM_OK;
}

loom_status loom_arg_images_alike(loom_call *call, uint32_t count) {
    const loom_value *first = NULL;
    LOOM_TRY(loom_arg_image_at(call, 0, &first));
    for (uint32_t k = 1; k < count; k++) {
        const loom_value *image = NULL;
        char why[160];
        LOOM_TRY(loom_arg_image_at(call, k, &image));
        const loom_image_header *a = first->image.header, *b = image->image.header;
        const uint8_t of_a = a->dtype == LOOM_BOOL8 ? (uint8_t)LOOM_U8 : a->dtype;
        const uint8_t of_b = b->dtype == LOOM_BOOL8 ? (uint8_t)LOOM_U8 : b->dtype;
        if (of_a != of_b || a->components != b->components)
            return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                             "image %u of `%s` has %u x %s a voxel, the first has %u x %s; convert one with `Cast`",
                             k + 1, call->op->name, b->components, loom_dtype_itk_name(b->dtype), a->components,
                             loom_dtype_itk_name(a->dtype));
        if (!loom_image_same_domain(a, b, why))
            return loom_fail(call->err, LOOM_BAD_DOMAIN,
                             "image %u of `%s` lies on another grid than the first (%s); resample it", k + 1,
                             call->op->name, why);
    }
    return LOOM_OK;
}
