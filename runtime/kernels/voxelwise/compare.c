/* compare.c - comparisons: of numbers, of images voxel by voxel, of sequences item by item; thresholds.
 *
 * ITK's rules show through: a number meets an image in the image's pixel type (so 0.1 is float32 0.1 there), NaN voxels
 * compare false except with !=, results are boolean images. One pass in parts of values, no scratch memory. */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/broadcast.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"

typedef enum relation { EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL } relation;

static relation mirrored(relation what) {
    static const relation mirror[] = {EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS, LESS_EQUAL};
    return mirror[what];
}

static bool holds(relation what, double a, double b) {
    switch (what) {
    case EQUAL:
        return a == b;
    case NOT_EQUAL:
        return a != b;
    case LESS:
        return a < b;
    case LESS_EQUAL:
        return a <= b;
    case GREATER:
        return a > b;
    case GREATER_EQUAL:
        return a >= b;
    }
    return false;
}

#define LOOP(operator_, right_)                                                                                        \
    for (size_t k = 0; k < count; k++)                                                                                 \
        out[k] = left[k] operator_ right_;                                                                             \
    break;
#define EVERY_RELATION(right_)                                                                                         \
    switch (what) {                                                                                                    \
    case EQUAL:                                                                                                        \
        LOOP(==, right_)                                                                                               \
    case NOT_EQUAL:                                                                                                    \
        LOOP(!=, right_)                                                                                               \
    case LESS:                                                                                                         \
        LOOP(<, right_)                                                                                                \
    case LESS_EQUAL:                                                                                                   \
        LOOP(<=, right_)                                                                                               \
    case GREATER:                                                                                                      \
        LOOP(>, right_)                                                                                                \
    case GREATER_EQUAL:                                                                                                \
        LOOP(>=, right_)                                                                                               \
    }
#define DEFINE_COMPARE(type_)                                                                                          \
    static LOOM_SIMD void compare_images_##type_(relation what, const type_ *restrict left,                            \
                                                 const type_ *restrict right, uint8_t *restrict out, size_t count) {   \
        EVERY_RELATION(right[k])                                                                                       \
    }                                                                                                                  \
    static LOOM_SIMD void compare_scalar_##type_(relation what, const type_ *restrict left, type_ right,               \
                                                 uint8_t *restrict out, size_t count) {                                \
        EVERY_RELATION(right)                                                                                          \
    }                                                                                                                  \
    static LOOM_SIMD void within_##type_(const type_ *restrict in, type_ low, type_ high, uint8_t inside,              \
                                         uint8_t outside, uint8_t *restrict out, size_t count) {                       \
        const uint8_t difference = inside ^ outside;                                                                   \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k] = (uint8_t)(outside ^ (difference & (uint8_t) - ((in[k] >= low) & (in[k] <= high))));               \
    }
LOOM_EACH_CTYPE(DEFINE_COMPARE)

static void compare_images(uint8_t dtype, relation what, const void *a, const void *b, uint8_t *out, size_t count) {
    switch (dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        compare_images_##type_(what, a, b, out, count);                                                                \
        break;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        break;
    }
}

static void compare_scalar(uint8_t dtype, relation what, const void *a, loom_pixel b, uint8_t *out, size_t count) {
    switch (dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        compare_scalar_##type_(what, a, b.as_##type_, out, count);                                                     \
        break;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        break;
    }
}

static void within(uint8_t dtype, const void *in, loom_pixel low, loom_pixel high, uint8_t inside, uint8_t outside,
                   uint8_t *out, size_t count) {
    switch (dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        within_##type_(in, low.as_##type_, high.as_##type_, inside, outside, out, count);                              \
        break;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        break;
    }
}

static bool pixels_in_order(uint8_t dtype, loom_pixel low, loom_pixel high) {
    switch (dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        return low.as_##type_ <= high.as_##type_;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        return false;
    }
}

/* ---- images ---- */

enum { IMAGES_LOOP, NUMBER_LOOP, INTERVAL_LOOP };

/* What the parts must know: the relation, the number if there is one, and the marks of what it does not hold for and
 * what it does. */
typedef struct comparison {
    relation what;
    uint32_t image_at;
    loom_pixel number;
    uint8_t marks[2];
} comparison;

static loom_status optional_byte(loom_call *call, uint32_t position, uint8_t *byte) {
    int64_t value = 0;
    if (position >= call->argument_count) return LOOM_OK;
    LOOM_TRY(loom_arg_integer(call, position, false, &value));
    if (value < 0 || value > UINT8_MAX) return loom_arg_refuse(call, position, "a whole number from 0 to 255");
    *byte = (uint8_t)value;
    return LOOM_OK;
}

/* simpleitk's comparisons have them as arguments 3 and 4, the background first. */
static loom_status read_marks(loom_call *call, comparison *with) {
    with->marks[0] = 0;
    with->marks[1] = 1;
    LOOM_TRY(optional_byte(call, 2, &with->marks[0]));
    return optional_byte(call, 3, &with->marks[1]);
}

static loom_status run_comparison(loom_call *call, uint32_t loop, const loom_image_header *header, comparison with) {
    void *voxels = NULL;
    LOOM_TRY(read_marks(call, &with));
    bool boolean = with.marks[0] <= 1 && with.marks[1] <= 1;
    LOOM_TRY(loom_result_image(call, header, boolean ? LOOM_BOOL8 : LOOM_U8, 1, &voxels));
    return loom_run_parts(call, loop, loom_image_voxels(header), LOOM_PART_VALUES, &with, sizeof with);
}

static void mark(const uint8_t marks[2], uint8_t *out, size_t count) {
    const uint8_t background = marks[0], difference = marks[0] ^ marks[1];
    if (background == 0 && difference == 1) return;
    for (size_t k = 0; k < count; k++)
        out[k] = (uint8_t)(background ^ (difference & (uint8_t)-out[k]));
}

static loom_status images_part(loom_part *part) {
    const loom_value *a = NULL, *b = NULL;
    const comparison *with = part->state;
    uint8_t *out = (uint8_t *)part->voxels + part->first;
    LOOM_TRY(loom_arg_image(part->call, 0, &a));
    LOOM_TRY(loom_arg_image(part->call, 1, &b));
    compare_images(a->image.header->dtype, with->what, loom_values_at(a, part->first), loom_values_at(b, part->first),
                   out, part->count);
    mark(with->marks, out, part->count);
    return LOOM_OK;
}

static loom_status compare_two_images(loom_call *call, relation what) {
    const loom_value *a = NULL, *b = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &a));
    LOOM_TRY(loom_arg_image(call, 1, &b));
    LOOM_TRY(loom_arg_same_pixels(call, a, 0, b, 1));
    LOOM_TRY(loom_arg_same_domain(call, a, 0, b, 1));
    return run_comparison(call, IMAGES_LOOP, a->image.header, (comparison){.what = what});
}

static loom_status number_part(loom_part *part) {
    const loom_value *image = NULL;
    const comparison *with = part->state;
    uint8_t *out = (uint8_t *)part->voxels + part->first;
    LOOM_TRY(loom_arg_image(part->call, with->image_at, &image));
    compare_scalar(image->image.header->dtype, with->what, loom_values_at(image, part->first), with->number, out,
                   part->count);
    mark(with->marks, out, part->count);
    return LOOM_OK;
}

static loom_status compare_with_number(loom_call *call, relation what, uint32_t image_at, uint32_t number_at) {
    const loom_value *image = NULL;
    double number = 0;
    LOOM_TRY(loom_arg_image(call, image_at, &image));
    LOOM_TRY(loom_arg_number(call, number_at, &number));
    const loom_image_header *header = image->image.header;
    return run_comparison(
        call, NUMBER_LOOP, header,
        (comparison){.what = what, .image_at = image_at, .number = loom_pixel_from_double(header->dtype, number)});
}

static loom_status compare_numbers(loom_call *call, relation what) {
    double a = 0, b = 0;
    LOOM_TRY(loom_arg_number(call, 0, &a));
    LOOM_TRY(loom_arg_number(call, 1, &b));
    call->result = loom_bool(holds(what, a, b));
    return LOOM_OK;
}

/* ---- sequences ---- */

static loom_status compare_items(loom_call *call, const void *context, const char *where, const loom_value *a,
                                 const loom_value *b, loom_value *result) {
    double left = 0, right = 0;
    if (!loom_value_number(a, &left)) return loom_value_refuse(call, where, a, "numbers");
    if (!loom_value_number(b, &right)) return loom_value_refuse(call, where, b, "numbers");
    *result = loom_bool(holds(*(const relation *)context, left, right));
    return LOOM_OK;
}

static loom_status compare(loom_call *call, relation what) {
    const loom_value *a = NULL, *b = NULL;
    LOOM_TRY(loom_arg(call, 0, &a));
    LOOM_TRY(loom_arg(call, 1, &b));
    if (loom_broadcasts(a) || loom_broadcasts(b)) return loom_broadcast(call, a, b, compare_items, &what);
    if (a->type == LOOM_IMAGE && b->type == LOOM_IMAGE) return compare_two_images(call, what);
    if (a->type == LOOM_IMAGE) return compare_with_number(call, what, 0, 1);
    if (b->type == LOOM_IMAGE) return compare_with_number(call, mirrored(what), 1, 0);
    return compare_numbers(call, what);
}

loom_status loom_run_equal(loom_call *call) {
    return compare(call, EQUAL);
}
loom_status loom_run_not_equal(loom_call *call) {
    return compare(call, NOT_EQUAL);
}
loom_status loom_run_less(loom_call *call) {
    return compare(call, LESS);
}
loom_status loom_run_less_equal(loom_call *call) {
    return compare(call, LESS_EQUAL);
}
loom_status loom_run_greater(loom_call *call) {
    return compare(call, GREATER);
}
loom_status loom_run_greater_equal(loom_call *call) {
    return compare(call, GREATER_EQUAL);
}

loom_status loom_run_num_eq(loom_call *call) {
    return compare_numbers(call, EQUAL);
}
loom_status loom_run_num_neq(loom_call *call) {
    return compare_numbers(call, NOT_EQUAL);
}
loom_status loom_run_num_lt(loom_call *call) {
    return compare_numbers(call, LESS);
}
loom_status loom_run_num_leq(loom_call *call) {
    return compare_numbers(call, LESS_EQUAL);
}
loom_status loom_run_num_gt(loom_call *call) {
    return compare_numbers(call, GREATER);
}
loom_status loom_run_num_geq(loom_call *call) {
    return compare_numbers(call, GREATER_EQUAL);
}

loom_status loom_run_eq_sv(loom_call *call) {
    return compare_with_number(call, EQUAL, 1, 0);
}
loom_status loom_run_geq_sv(loom_call *call) {
    return compare_with_number(call, GREATER_EQUAL, 1, 0);
}
loom_status loom_run_leq_sv(loom_call *call) {
    return compare_with_number(call, LESS_EQUAL, 1, 0);
}

/* ---- intervals ---- */

typedef struct interval {
    double low, high;
    uint8_t inside, outside;
} interval;

typedef struct bounds {
    loom_pixel low, high;
    uint32_t image_at;
    uint8_t inside, outside;
} bounds;

static loom_status interval_part(loom_part *part) {
    const loom_value *image = NULL;
    const bounds *of = part->state;
    LOOM_TRY(loom_arg_image(part->call, of->image_at, &image));
    within(image->image.header->dtype, loom_values_at(image, part->first), of->low, of->high, of->inside, of->outside,
           (uint8_t *)part->voxels + part->first, part->count);
    return LOOM_OK;
}

static const loom_part_run loops[] = {
    [IMAGES_LOOP] = images_part, [NUMBER_LOOP] = number_part, [INTERVAL_LOOP] = interval_part};
const loom_loops loom_loops_compare = {.run = loops, .count = 3};

static loom_status threshold(loom_call *call, uint32_t image_at, interval range) {
    const loom_value *image = NULL;
    LOOM_TRY(loom_arg_image(call, image_at, &image));
    const loom_image_header *header = image->image.header;
    loom_pixel low = loom_pixel_from_double(header->dtype, range.low);
    loom_pixel high = loom_pixel_from_double(header->dtype, range.high);
    if (!pixels_in_order(header->dtype, low, high))
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "`%s` got a lower bound %g above its upper bound %g (in %s); exchange them", call->op->name,
                         range.low, range.high, loom_dtype_itk_name(header->dtype));
    void *voxels = NULL;
    bool boolean = range.inside <= 1 && range.outside <= 1;
    LOOM_TRY(loom_result_image(call, header, boolean ? LOOM_BOOL8 : LOOM_U8, 1, &voxels));
    bounds of = {.low = low, .high = high, .image_at = image_at, .inside = range.inside, .outside = range.outside};
    return loom_run_parts(call, INTERVAL_LOOP, loom_image_voxels(header), LOOM_PART_VALUES, &of, sizeof of);
}

loom_status loom_run_between(loom_call *call) {
    const loom_value *image = NULL;
    interval range = {.inside = 1, .outside = 0};
    LOOM_TRY(loom_arg_number(call, 0, &range.low));
    LOOM_TRY(loom_arg_number(call, 1, &range.high));
    LOOM_TRY(loom_arg_image(call, 2, &image));
    return threshold(call, 2, range);
}

loom_status loom_run_binary_threshold(loom_call *call) {
    const loom_value *image = NULL;
    interval range = {.low = 0, .high = 255, .inside = 1, .outside = 0};
    LOOM_TRY(loom_arg_image(call, 0, &image));
    if (call->argument_count > 1) LOOM_TRY(loom_arg_number(call, 1, &range.low));
    if (call->argument_count > 2) LOOM_TRY(loom_arg_number(call, 2, &range.high));
    LOOM_TRY(optional_byte(call, 3, &range.inside));
    LOOM_TRY(optional_byte(call, 4, &range.outside));
    return threshold(call, 0, range);
}
