/* sitk_arith.c - simpleitk's Add, Subtract, Multiply, Divide, UnaryMinus, InvertIntensity, and comparisons: vox1's
 * arithmetic and comparisons (arith.c, compare.c), for what SimpleITK makes these functions for: at least one image,
 * and several components only where it has them. */
#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/voxelwise/arith.h"
#include "runtime/kernels/voxelwise/operands.h"

static loom_status check_operands(loom_call *call, unsigned kinds) {
    loom_operands operands;
    const loom_image_header *header = NULL;
    return loom_read_operands(call, kinds, &operands, &header);
}

loom_status loom_run_sitk_add(loom_call *call) {
    LOOM_TRY(check_operands(call, LOOM_OPERANDS_VECTOR));
    return loom_run_plus(call);
}
loom_status loom_run_sitk_subtract(loom_call *call) {
    LOOM_TRY(check_operands(call, LOOM_OPERANDS_VECTOR));
    return loom_run_minus(call);
}
loom_status loom_run_sitk_multiply(loom_call *call) {
    LOOM_TRY(check_operands(call, 0));
    return loom_run_times(call);
}
loom_status loom_run_sitk_divide(loom_call *call) {
    LOOM_TRY(check_operands(call, 0));
    return loom_run_over(call);
}

/* -0 - v: wraps as -v does, and gives both zeros their signs. */
loom_status loom_run_sitk_unary_minus(loom_call *call) {
    const loom_value *image = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    uint8_t dtype = image->image.header->dtype;
    bool is_signed =
        loom_dtype_is_float(dtype) || dtype == LOOM_I8 || dtype == LOOM_I16 || dtype == LOOM_I32 || dtype == LOOM_I64;
    if (!is_signed)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "argument 1 is an image of %s; `%s` needs signed pixels: convert it with `Cast`",
                         loom_dtype_itk_name(dtype), call->op->name);
    return loom_arith_from_number(call, LOOM_SUBTRACT, -0.0, 0);
}

/* maximum - v, in the pixel type. */
loom_status loom_run_sitk_invert_intensity(loom_call *call) {
    double maximum = 255;
    if (call->argument_count > 1) LOOM_TRY(loom_arg_number(call, 1, &maximum));
    return loom_arith_from_number(call, LOOM_SUBTRACT, maximum, 0);
}

loom_status loom_run_sitk_equal(loom_call *call) {
    LOOM_TRY(check_operands(call, 0));
    return loom_run_equal(call);
}
loom_status loom_run_sitk_not_equal(loom_call *call) {
    LOOM_TRY(check_operands(call, 0));
    return loom_run_not_equal(call);
}
loom_status loom_run_sitk_less(loom_call *call) {
    LOOM_TRY(check_operands(call, 0));
    return loom_run_less(call);
}
loom_status loom_run_sitk_less_equal(loom_call *call) {
    LOOM_TRY(check_operands(call, 0));
    return loom_run_less_equal(call);
}
loom_status loom_run_sitk_greater(loom_call *call) {
    LOOM_TRY(check_operands(call, 0));
    return loom_run_greater(call);
}
loom_status loom_run_sitk_greater_equal(loom_call *call) {
    LOOM_TRY(check_operands(call, 0));
    return loom_run_greater_equal(call);
}
