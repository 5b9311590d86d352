/* logic.c - truth values and boolean images: not, and, or, tt, ff; simpleitk's And, Or, Xor.
 *
 * Images: and/or/xor are bitwise on integer pixels, as ITK's; `!` (not_compat) negates by dynamic type, which is
 * its documented meaning (defect S1 of VoxLogicA-2 is not reproduced). One pass over the voxels in parts, no scratch
 * memory. */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/domain.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/voxelwise/operands.h"

static loom_status two_truths(loom_call *call, bool *a, bool *b) {
    LOOM_TRY(loom_arg_truth(call, 0, a));
    return loom_arg_truth(call, 1, b);
}

loom_status loom_run_bool_and(loom_call *call) {
    bool a = false, b = false;
    LOOM_TRY(two_truths(call, &a, &b));
    call->result = loom_bool(a && b);
    return LOOM_OK;
}

loom_status loom_run_bool_or(loom_call *call) {
    bool a = false, b = false;
    LOOM_TRY(two_truths(call, &a, &b));
    call->result = loom_bool(a || b);
    return LOOM_OK;
}

loom_status loom_run_bool_not(loom_call *call) {
    bool a = false;
    LOOM_TRY(loom_arg_truth(call, 0, &a));
    call->result = loom_bool(!a);
    return LOOM_OK;
}

/* ITK's And, Or and Not exist for whole-number pixels only. */
static loom_status needs_integer_pixels(loom_call *call, const loom_value *image, uint32_t position) {
    if (!loom_dtype_is_float(image->image.header->dtype)) return LOOM_OK;
    return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                     "argument %u is an image of %s; `%s` needs a boolean image: compare it with a number first",
                     position + 1, loom_dtype_itk_name(image->image.header->dtype), call->op->name);
}

#define COMPLEMENT(type_)                                                                                              \
    static LOOM_SIMD void complement_##type_(const void *source, void *target, size_t count) {                         \
        const type_ *restrict in = source;                                                                             \
        type_ *restrict out = target;                                                                                  \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k] = in[k] == 0;                                                                                       \
    }
COMPLEMENT(uint8_t)
COMPLEMENT(uint16_t)
COMPLEMENT(uint32_t)
COMPLEMENT(uint64_t)

static void complement(size_t pixel_bytes, const void *source, void *target, size_t count) {
    if (pixel_bytes == 1)
        complement_uint8_t(source, target, count);
    else if (pixel_bytes == 2)
        complement_uint16_t(source, target, count);
    else if (pixel_bytes == 4)
        complement_uint32_t(source, target, count);
    else
        complement_uint64_t(source, target, count);
}

enum { NOT_LOOP, IMAGES_LOOP, SCALAR_LOOP, TRUE_LOOP };

static loom_status not_part(loom_part *part) {
    const loom_value *image = NULL;
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    uint8_t dtype = image->image.header->dtype;
    complement(loom_dtype_bytes(dtype), loom_values_at(image, part->first),
               loom_values_of(part->voxels, dtype, part->first), part->count);
    return LOOM_OK;
}

loom_status loom_run_not(loom_call *call) {
    const loom_value *image = NULL;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    LOOM_TRY(needs_integer_pixels(call, image, 0));
    const loom_image_header *header = image->image.header;
    LOOM_TRY(loom_result_image(call, header, header->dtype, 1, &voxels));
    return loom_run_parts(call, NOT_LOOP, loom_image_voxels(header), LOOM_PART_VALUES, NULL, 0);
}

loom_status loom_run_not_compat(loom_call *call) {
    const loom_value *value = NULL;
    LOOM_TRY(loom_arg(call, 0, &value));
    if (value->type == LOOM_IMAGE) return loom_run_not(call);
    call->result = loom_bool(!loom_value_is_true(value));
    return LOOM_OK;
}

typedef enum junction { AND, OR, XOR } junction;

/* Bitwise on bytes: neither operation minds the width of the pixel. */
static LOOM_SIMD void join_images(junction what, const uint8_t *restrict a, const uint8_t *restrict b,
                                  uint8_t *restrict out, size_t bytes) {
    if (what == AND)
        for (size_t k = 0; k < bytes; k++)
            out[k] = a[k] & b[k];
    else if (what == OR)
        for (size_t k = 0; k < bytes; k++)
            out[k] = a[k] | b[k];
    else
        for (size_t k = 0; k < bytes; k++)
            out[k] = a[k] ^ b[k];
}

/* The scalar in the image's pixel type, repeated to fill eight bytes. */
static LOOM_SIMD void join_scalar(junction what, const uint8_t *restrict image, loom_pixel scalar, size_t pixel_bytes,
                                  uint8_t *restrict out, size_t bytes) {
    uint8_t pattern[8];
    for (size_t k = 0; k < sizeof pattern; k += pixel_bytes)
        memcpy(pattern + k, &scalar, pixel_bytes);
    if (what == AND)
        for (size_t k = 0; k < bytes; k++)
            out[k] = image[k] & pattern[k & 7];
    else if (what == OR)
        for (size_t k = 0; k < bytes; k++)
            out[k] = image[k] | pattern[k & 7];
    else
        for (size_t k = 0; k < bytes; k++)
            out[k] = image[k] ^ pattern[k & 7];
}

/* Units are bytes. */
static loom_status images_part(loom_part *part) {
    const loom_value *a = NULL, *b = NULL;
    LOOM_TRY(loom_arg_any_image(part->call, 0, &a));
    LOOM_TRY(loom_arg_any_image(part->call, 1, &b));
    join_images(*(const junction *)part->state, (const uint8_t *)a->image.voxels + part->first,
                (const uint8_t *)b->image.voxels + part->first, (uint8_t *)part->voxels + part->first, part->count);
    return LOOM_OK;
}

static loom_status junction_of_images(loom_call *call, junction what) {
    const loom_value *a = NULL, *b = NULL;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &a));
    LOOM_TRY(loom_arg_any_image(call, 1, &b));
    LOOM_TRY(needs_integer_pixels(call, a, 0));
    LOOM_TRY(needs_integer_pixels(call, b, 1));
    LOOM_TRY(loom_arg_same_pixels(call, a, 0, b, 1));
    LOOM_TRY(loom_arg_same_domain(call, a, 0, b, 1));
    const loom_image_header *header = a->image.header;
    loom_dtype dtype = header->dtype == LOOM_BOOL8 ? b->image.header->dtype : header->dtype;
    LOOM_TRY(loom_result_image(call, header, dtype, header->components, &voxels));
    return loom_run_parts(call, IMAGES_LOOP, loom_image_bytes(header), LOOM_PART_VALUES, &what, sizeof what);
}

typedef struct with_scalar {
    junction what;
    uint32_t image_at;
    loom_pixel scalar;
} with_scalar;

/* Units are bytes; a part begins at a multiple of eight. */
static loom_status scalar_part(loom_part *part) {
    const loom_value *image = NULL;
    const with_scalar *with = part->state;
    LOOM_TRY(loom_arg_any_image(part->call, with->image_at, &image));
    join_scalar(with->what, (const uint8_t *)image->image.voxels + part->first, with->scalar,
                loom_dtype_bytes(image->image.header->dtype), (uint8_t *)part->voxels + part->first, part->count);
    return LOOM_OK;
}

static loom_status junction_with_scalar(loom_call *call, junction what, const loom_value *image, uint32_t image_at,
                                        const loom_value *scalar) {
    void *voxels = NULL;
    int64_t number = 0;
    LOOM_TRY(needs_integer_pixels(call, image, image_at));
    if (scalar->type == LOOM_BOOL)
        number = scalar->boolean;
    else if (!loom_value_integer(scalar, false, &number))
        return loom_arg_refuse(call, 1 - image_at, "an image, a truth value or a whole number");
    const loom_image_header *header = image->image.header;
    /* A number other than 0 and 1 brings values into a boolean image that are not boolean. */
    loom_dtype dtype = header->dtype == LOOM_BOOL8 && what != AND && (number & ~INT64_C(1)) ? LOOM_U8 : header->dtype;
    LOOM_TRY(loom_result_image(call, header, dtype, header->components, &voxels));
    with_scalar with = {
        .what = what, .image_at = image_at, .scalar = loom_pixel_from_double(header->dtype, (double)number)};
    return loom_run_parts(call, SCALAR_LOOP, loom_image_bytes(header), LOOM_PART_VALUES, &with, sizeof with);
}

static loom_status run_junction(loom_call *call, junction what) {
    const loom_value *a = NULL, *b = NULL;
    LOOM_TRY(loom_arg(call, 0, &a));
    LOOM_TRY(loom_arg(call, 1, &b));
    if (a->type == LOOM_IMAGE && b->type == LOOM_IMAGE) return junction_of_images(call, what);
    if (a->type == LOOM_IMAGE) return junction_with_scalar(call, what, a, 0, b);
    if (b->type == LOOM_IMAGE) return junction_with_scalar(call, what, b, 1, a);
    bool left = loom_value_is_true(a), right = loom_value_is_true(b);
    call->result = loom_bool(what == AND ? left && right : left || right);
    return LOOM_OK;
}

/* simpleitk: at least one image, of whole numbers and one component. */
static loom_status check_operands(loom_call *call) {
    loom_operands operands;
    const loom_image_header *header = NULL;
    return loom_read_operands(call, LOOM_OPERANDS_WHOLE, &operands, &header);
}

loom_status loom_run_and(loom_call *call) {
    return run_junction(call, AND);
}
loom_status loom_run_or(loom_call *call) {
    return run_junction(call, OR);
}

loom_status loom_run_sitk_and(loom_call *call) {
    LOOM_TRY(check_operands(call));
    return run_junction(call, AND);
}
loom_status loom_run_sitk_or(loom_call *call) {
    LOOM_TRY(check_operands(call));
    return run_junction(call, OR);
}
loom_status loom_run_sitk_xor(loom_call *call) {
    LOOM_TRY(check_operands(call));
    return run_junction(call, XOR);
}

static loom_status true_part(loom_part *part) {
    memset((uint8_t *)part->voxels + part->first, 1, part->count);
    return LOOM_OK;
}

static const loom_part_run loops[] = {
    [NOT_LOOP] = not_part, [IMAGES_LOOP] = images_part, [SCALAR_LOOP] = scalar_part, [TRUE_LOOP] = true_part};
const loom_loops loom_loops_logic = {.run = loops, .count = 4};

/* A boolean image of one value on the grid that the runtime passes last. */
static loom_status uniform(loom_call *call, uint32_t domain_at, bool value) {
    loom_image_header header = {0};
    void *voxels = NULL;
    LOOM_TRY(loom_arg_domain(call, domain_at, &header));
    LOOM_TRY(loom_result_image(call, &header, LOOM_BOOL8, 1, &voxels));
    if (!value) return LOOM_OK; /* it is zero */
    return loom_run_parts(call, TRUE_LOOP, loom_image_voxels(&header), LOOM_PART_VALUES, NULL, 0);
}

loom_status loom_run_tt(loom_call *call) {
    return uniform(call, 0, true);
}
loom_status loom_run_ff(loom_call *call) {
    return uniform(call, 0, false);
}

loom_status loom_run_bconstant(loom_call *call) {
    bool value = false;
    LOOM_TRY(loom_arg_truth(call, 0, &value));
    return uniform(call, 1, value);
}
