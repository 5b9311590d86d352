/* operands.c - two images, or an image and a number: see operands.h. */
#include "runtime/kernels/voxelwise/operands.h"

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/voxelwise/arith.h"

loom_status loom_arg_pixels_of(loom_call *call, uint32_t position, unsigned kinds, const loom_value **image) {
    LOOM_TRY(kinds & LOOM_OPERANDS_VECTOR ? loom_arg_any_image(call, position, image)
                                          : loom_arg_image(call, position, image));
    uint8_t dtype = (*image)->image.header->dtype;
    if (!(kinds & LOOM_OPERANDS_WHOLE) || !loom_dtype_is_float(dtype)) return LOOM_OK;
    return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                     "argument %u is an image of %s; `%s` needs pixels of whole numbers: convert it with `Cast`",
                     position + 1, loom_dtype_itk_name(dtype), call->op->name);
}

static loom_status read_number(loom_call *call, uint32_t position, unsigned kinds, loom_operands *operands) {
    double number = 0;
    int64_t whole = 0;
    if (kinds & LOOM_OPERANDS_WHOLE) {
        const loom_value *value = NULL;
        LOOM_TRY(loom_arg(call, position, &value));
        if (value->type == LOOM_BOOL)
            whole = value->boolean;
        else
            LOOM_TRY(loom_arg_integer(call, position, false, &whole));
        number = (double)whole;
    } else {
        LOOM_TRY(loom_arg_number(call, position, &number));
    }
    operands->number = loom_pixel_from_double(operands->dtype, number);
    return LOOM_OK;
}

loom_status loom_read_operands(loom_call *call, unsigned kinds, loom_operands *operands,
                               const loom_image_header **header) {
    const loom_value *operand[2] = {NULL}, *image = NULL;
    for (uint32_t k = 0; k < 2; k++) {
        LOOM_TRY(loom_arg(call, k, &operand[k]));
        operands->is_image[k] = operand[k]->type == LOOM_IMAGE;
        if (!operands->is_image[k]) continue;
        LOOM_TRY(loom_arg_pixels_of(call, k, kinds, &operand[k]));
        if (image == NULL) image = operand[k];
    }
    if (image == NULL) return loom_arg_refuse(call, 0, "an image, or a number and then an image");
    *header = image->image.header;
    operands->dtype = (uint8_t)loom_arith_dtype((*header)->dtype);
    if (operands->is_image[0] && operands->is_image[1]) {
        LOOM_TRY(loom_arg_same_pixels(call, operand[0], 0, operand[1], 1));
        return loom_arg_same_domain(call, operand[0], 0, operand[1], 1);
    }
    return read_number(call, operands->is_image[0] ? 1 : 0, kinds, operands);
}
