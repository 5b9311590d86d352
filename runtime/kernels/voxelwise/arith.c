/* arith.c - + - * / : of numbers, of images voxel by voxel, of sequences item by item.
 *
 * Two families: vox1's work on num(v), so everything is a double; default's work as Python's operators do. With images
 * both follow ITK: the pixel type is kept and a number is converted to it first. One pass in parts of values, no
 * scratch memory. */
#include "runtime/kernels/voxelwise/arith.h"

#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/broadcast.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/kernels.h"

loom_dtype loom_arith_dtype(uint8_t dtype) {
    return dtype == LOOM_BOOL8 ? LOOM_U8 : (loom_dtype)dtype;
}

static loom_status divided_by_zero(loom_call *call) {
    return loom_fail(call->err, LOOM_BAD_ARGUMENT, "`%s` got a divisor of 0; test for it first", call->op->name);
}

/* ---- numbers ---- */

static loom_status double_arith(loom_call *call, loom_arith op, double a, double b, loom_value *result) {
    switch (op) {
    case LOOM_ADD:
        *result = loom_float(a + b);
        return LOOM_OK;
    case LOOM_SUBTRACT:
        *result = loom_float(a - b);
        return LOOM_OK;
    case LOOM_MULTIPLY:
        *result = loom_float(a * b);
        return LOOM_OK;
    case LOOM_DIVIDE:
        if (b == 0) return divided_by_zero(call);
        *result = loom_float(a / b);
        return LOOM_OK;
    }
    return LOOM_INTERNAL;
}

static loom_status integer_arith(loom_call *call, loom_arith op, int64_t a, int64_t b, loom_value *result) {
    int64_t whole = 0;
    bool overflow = false;
    switch (op) {
    case LOOM_ADD:
        overflow = __builtin_add_overflow(a, b, &whole);
        break;
    case LOOM_SUBTRACT:
        overflow = __builtin_sub_overflow(a, b, &whole);
        break;
    case LOOM_MULTIPLY:
        overflow = __builtin_mul_overflow(a, b, &whole);
        break;
    case LOOM_DIVIDE:
        return double_arith(call, op, (double)a, (double)b, result);
    }
    if (overflow)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "`%s` gives a whole number beyond 64 bits; make one operand a decimal number, such as 1.0",
                         call->op->name);
    *result = loom_int(whole);
    return LOOM_OK;
}

static loom_status join_text(loom_call *call, const loom_value *a, const loom_value *b, loom_value *result) {
    size_t length;
    char *text = NULL;
    if (!__builtin_add_overflow(a->text.length, b->text.length, &length)) text = loom_arena_alloc(call->arena, length);
    if (text == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
    if (a->text.length > 0) memcpy(text, a->text.bytes, a->text.length);
    if (b->text.length > 0) memcpy(text + a->text.length, b->text.bytes, b->text.length);
    *result = loom_string(text, length);
    return LOOM_OK;
}

static loom_status repeat_text(loom_call *call, const loom_value *text, int64_t times, loom_value *result) {
    size_t length, count = times > 0 ? (size_t)times : 0;
    char *copies = NULL;
    if (!__builtin_mul_overflow(text->text.length, count, &length) && length <= UINT32_MAX)
        copies = loom_arena_alloc(call->arena, length);
    if (copies == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
    for (size_t k = 0; k < count && text->text.length > 0; k++)
        memcpy(copies + k * text->text.length, text->text.bytes, text->text.length);
    *result = loom_string(copies, length);
    return LOOM_OK;
}

static bool is_whole(const loom_value *value) {
    return value->type == LOOM_INT || value->type == LOOM_BOOL;
}
static int64_t whole_of(const loom_value *value) {
    return value->type == LOOM_INT ? value->integer : (int64_t)value->boolean;
}
static bool is_number(const loom_value *value) {
    return is_whole(value) || value->type == LOOM_FLOAT;
}

/* Python's operator on two values that are not sequences. */
static loom_status python_arith(loom_call *call, const void *context, const char *where, const loom_value *a,
                                const loom_value *b, loom_value *result) {
    loom_arith op = *(const loom_arith *)context;
    if (is_whole(a) && is_whole(b)) return integer_arith(call, op, whole_of(a), whole_of(b), result);
    double left = 0, right = 0;
    if (is_number(a) && is_number(b)) {
        (void)loom_value_number(a, &left);
        (void)loom_value_number(b, &right);
        return double_arith(call, op, left, right, result);
    }
    if (op == LOOM_ADD && a->type == LOOM_STRING && b->type == LOOM_STRING) return join_text(call, a, b, result);
    if (op == LOOM_MULTIPLY && a->type == LOOM_STRING && is_whole(b)) return repeat_text(call, a, whole_of(b), result);
    if (op == LOOM_MULTIPLY && b->type == LOOM_STRING && is_whole(a)) return repeat_text(call, b, whole_of(a), result);
    if (op == LOOM_ADD && a->type == LOOM_SEQUENCE && b->type == LOOM_SEQUENCE) {
        *result = loom_sequence(NULL, 0); /* both are empty: others broadcast */
        return LOOM_OK;
    }
    bool left_fits = is_number(a) || (op == LOOM_ADD && a->type == LOOM_STRING && !is_number(b));
    return loom_value_refuse(call, where, left_fits ? b : a, "two numbers, two strings to add, or images");
}

/* vox1: both are numbers in Python's float() sense. */
static loom_status number_arith(loom_call *call, const void *context, const char *where, const loom_value *a,
                                const loom_value *b, loom_value *result) {
    double left = 0, right = 0;
    if (!loom_value_number(a, &left)) return loom_value_refuse(call, where, a, "numbers or images");
    if (!loom_value_number(b, &right)) return loom_value_refuse(call, where, b, "numbers or images");
    return double_arith(call, *(const loom_arith *)context, left, right, result);
}

loom_status loom_arith_values(loom_call *call, loom_arith op, const char *where, const loom_value *a,
                              const loom_value *b, loom_value *result) {
    if (!loom_broadcasts(a) && !loom_broadcasts(b)) return python_arith(call, &op, where, a, b, result);
    LOOM_TRY(loom_broadcast(call, a, b, python_arith, &op));
    *result = call->result;
    return LOOM_OK;
}

/* ---- images ---- */

/* How a part computes its values; an image at argument `image_at`, or two images. */
typedef struct image_arith {
    loom_arith op;
    uint32_t image_at;
    loom_pixel number;
    uint8_t dtype;
} image_arith;

enum { IMAGES_LOOP, RIGHT_LOOP, LEFT_LOOP, ABS_LOOP };

static loom_status images_part(loom_part *part) {
    const loom_value *a = NULL, *b = NULL;
    const image_arith *how = part->state;
    LOOM_TRY(loom_arg_any_image(part->call, 0, &a));
    LOOM_TRY(loom_arg_any_image(part->call, 1, &b));
    loom_arith_images(how->op, how->dtype, loom_values_at(a, part->first), loom_values_at(b, part->first),
                      loom_values_of(part->voxels, how->dtype, part->first), part->count);
    return LOOM_OK;
}

static loom_status right_part(loom_part *part) {
    const loom_value *image = NULL;
    const image_arith *how = part->state;
    LOOM_TRY(loom_arg_any_image(part->call, how->image_at, &image));
    loom_arith_right(how->op, how->dtype, loom_values_at(image, part->first), how->number,
                     loom_values_of(part->voxels, how->dtype, part->first), part->count);
    return LOOM_OK;
}

static loom_status left_part(loom_part *part) {
    const loom_value *image = NULL;
    const image_arith *how = part->state;
    LOOM_TRY(loom_arg_any_image(part->call, how->image_at, &image));
    loom_arith_left(how->op, how->dtype, how->number, loom_values_at(image, part->first),
                    loom_values_of(part->voxels, how->dtype, part->first), part->count);
    return LOOM_OK;
}

static loom_status abs_part(loom_part *part) {
    const loom_value *image = NULL;
    LOOM_TRY(loom_arg_any_image(part->call, 0, &image));
    uint8_t dtype = image->image.header->dtype;
    loom_arith_abs(dtype, loom_values_at(image, part->first), loom_values_of(part->voxels, dtype, part->first),
                   part->count);
    return LOOM_OK;
}

static const loom_part_run loops[] = {
    [IMAGES_LOOP] = images_part, [RIGHT_LOOP] = right_part, [LEFT_LOOP] = left_part, [ABS_LOOP] = abs_part};
const loom_loops loom_loops_arith = {.run = loops, .count = 4};

/* All values of an image like `header`. */
static loom_status run_values(loom_call *call, uint32_t loop, const loom_image_header *header, image_arith how) {
    return loom_run_parts(call, loop, loom_image_voxels(header) * header->components, LOOM_PART_VALUES, &how,
                          sizeof how);
}

static loom_status images(loom_call *call, loom_arith op) {
    const loom_value *a = NULL, *b = NULL;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &a));
    LOOM_TRY(loom_arg_any_image(call, 1, &b));
    LOOM_TRY(loom_arg_same_pixels(call, a, 0, b, 1));
    LOOM_TRY(loom_arg_same_domain(call, a, 0, b, 1));
    const loom_image_header *header = a->image.header;
    loom_dtype dtype = loom_arith_dtype(header->dtype);
    LOOM_TRY(loom_result_image(call, header, dtype, header->components, &voxels));
    return run_values(call, IMAGES_LOOP, header, (image_arith){.op = op, .dtype = (uint8_t)dtype});
}

/* image op number, in the image's pixel type. */
static loom_status image_number(loom_call *call, loom_arith op, uint32_t image_at, double number) {
    const loom_value *image = NULL;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_any_image(call, image_at, &image));
    const loom_image_header *header = image->image.header;
    loom_dtype dtype = loom_arith_dtype(header->dtype);
    loom_pixel pixel = loom_pixel_from_double((uint8_t)dtype, number);
    if (op == LOOM_DIVIDE && loom_arith_is_zero((uint8_t)dtype, pixel)) return divided_by_zero(call);
    LOOM_TRY(loom_result_image(call, header, dtype, header->components, &voxels));
    return run_values(call, RIGHT_LOOP, header,
                      (image_arith){.op = op, .image_at = image_at, .number = pixel, .dtype = (uint8_t)dtype});
}

loom_status loom_arith_from_number(loom_call *call, loom_arith op, double number, uint32_t image_at) {
    const loom_value *image = NULL;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_any_image(call, image_at, &image));
    const loom_image_header *header = image->image.header;
    loom_dtype dtype = loom_arith_dtype(header->dtype);
    LOOM_TRY(loom_result_image(call, header, dtype, header->components, &voxels));
    return run_values(call, LEFT_LOOP, header,
                      (image_arith){.op = op,
                                    .image_at = image_at,
                                    .number = loom_pixel_from_double((uint8_t)dtype, number),
                                    .dtype = (uint8_t)dtype});
}

static loom_status arith(loom_call *call, loom_arith op, loom_pair_operation scalar) {
    const loom_value *a = NULL, *b = NULL;
    double number = 0;
    LOOM_TRY(loom_arg(call, 0, &a));
    LOOM_TRY(loom_arg(call, 1, &b));
    if (loom_broadcasts(a) || loom_broadcasts(b)) return loom_broadcast(call, a, b, scalar, &op);
    if (a->type == LOOM_IMAGE && b->type == LOOM_IMAGE) return images(call, op);
    if (a->type == LOOM_IMAGE) {
        LOOM_TRY(loom_arg_number(call, 1, &number));
        return image_number(call, op, 0, number);
    }
    if (b->type == LOOM_IMAGE) {
        LOOM_TRY(loom_arg_number(call, 0, &number));
        return loom_arith_from_number(call, op, number, 1);
    }
    return scalar(call, &op, "an argument", a, b, &call->result);
}

loom_status loom_run_plus(loom_call *call) {
    return arith(call, LOOM_ADD, number_arith);
}
loom_status loom_run_minus(loom_call *call) {
    return arith(call, LOOM_SUBTRACT, number_arith);
}
loom_status loom_run_times(loom_call *call) {
    return arith(call, LOOM_MULTIPLY, number_arith);
}
loom_status loom_run_over(loom_call *call) {
    return arith(call, LOOM_DIVIDE, number_arith);
}

loom_status loom_run_add(loom_call *call) {
    return arith(call, LOOM_ADD, python_arith);
}
loom_status loom_run_subtract(loom_call *call) {
    return arith(call, LOOM_SUBTRACT, python_arith);
}
loom_status loom_run_multiply(loom_call *call) {
    return arith(call, LOOM_MULTIPLY, python_arith);
}
loom_status loom_run_divide(loom_call *call) {
    return arith(call, LOOM_DIVIDE, python_arith);
}

static loom_status two_numbers(loom_call *call, loom_arith op) {
    double a = 0, b = 0;
    LOOM_TRY(loom_arg_number(call, 0, &a));
    LOOM_TRY(loom_arg_number(call, 1, &b));
    return double_arith(call, op, a, b, &call->result);
}

loom_status loom_run_num_add(loom_call *call) {
    return two_numbers(call, LOOM_ADD);
}
loom_status loom_run_num_sub(loom_call *call) {
    return two_numbers(call, LOOM_SUBTRACT);
}
loom_status loom_run_num_mul(loom_call *call) {
    return two_numbers(call, LOOM_MULTIPLY);
}
loom_status loom_run_num_div(loom_call *call) {
    return two_numbers(call, LOOM_DIVIDE);
}

/* (v, img): v op voxel. */
static loom_status scalar_first(loom_call *call, loom_arith op) {
    double number = 0;
    LOOM_TRY(loom_arg_number(call, 0, &number));
    return loom_arith_from_number(call, op, number, 1);
}

/* (img, v): voxel op v. */
static loom_status scalar_last(loom_call *call, loom_arith op) {
    double number = 0;
    LOOM_TRY(loom_arg_number(call, 1, &number));
    return image_number(call, op, 0, number);
}

loom_status loom_run_div_sv(loom_call *call) {
    return scalar_first(call, LOOM_DIVIDE);
}
loom_status loom_run_sub_sv(loom_call *call) {
    return scalar_first(call, LOOM_SUBTRACT);
}
loom_status loom_run_add_vs(loom_call *call) {
    return scalar_last(call, LOOM_ADD);
}
loom_status loom_run_sub_vs(loom_call *call) {
    return scalar_last(call, LOOM_SUBTRACT);
}
loom_status loom_run_mul_vs(loom_call *call) {
    return scalar_last(call, LOOM_MULTIPLY);
}

loom_status loom_run_div_vs(loom_call *call) {
    double number = 0;
    LOOM_TRY(loom_arg_number(call, 1, &number));
    if (number == 0) return divided_by_zero(call);
    return image_number(call, LOOM_MULTIPLY, 0, 1.0 / number);
}

loom_status loom_run_abs(loom_call *call) {
    const loom_value *image = NULL;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    LOOM_TRY(loom_result_image(call, header, (loom_dtype)header->dtype, header->components, &voxels));
    return run_values(call, ABS_LOOP, header, (image_arith){0});
}
