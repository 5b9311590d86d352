/* otsu.c - images divided at Otsu's threshold (otsu_threshold.h): vox1's otsu within a mask, and OtsuThreshold. */
#include <math.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/filters/options.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/statistics/otsu_threshold.h"

enum { APPLY_LOOP = LOOM_OTSU_LOOPS };

/* ---- vox1.otsu: true above the threshold, where the mask is not 0 ---- */

/* A value is compared as the double that it is, which no type but the two longest shows. */
typedef double compared_uint64_t, compared_int64_t, compared_double;
typedef float compared_float;
typedef uint8_t compared_uint8_t;
typedef int8_t compared_int8_t;
typedef uint16_t compared_uint16_t;
typedef int16_t compared_int16_t;
typedef uint32_t compared_uint32_t;
typedef int32_t compared_int32_t;

#define DEFINE_ABOVE(type_)                                                                                            \
    static LOOM_SIMD void above_##type_(const type_ *restrict in, const uint8_t *restrict mask, type_ limit,           \
                                        uint8_t *restrict out, size_t count) {                                         \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k] = (mask[k] != 0) & ((compared_##type_)in[k] > (compared_##type_)limit);                             \
    }
LOOM_EACH_CTYPE(DEFINE_ABOVE)

/* State: the threshold, a pixel. */
static loom_status apply_part(loom_part *part) {
    const loom_value *image = NULL, *mask = NULL;
    const loom_pixel *limit = part->state;
    uint8_t bytes[LOOM_CHUNK];
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    LOOM_TRY(loom_arg_image(part->call, 1, &mask));
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
        const uint8_t *truth = loom_as_u8(mask, first, count, bytes);
        uint8_t *out = (uint8_t *)part->voxels + first;
        switch (image->image.header->dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        above_##type_(loom_values_at(image, first), truth, limit->as_##type_, out, count);                             \
        break;
            LOOM_EACH_PIXEL(CASE)
#undef CASE
        default:
            break;
        }
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {[LOOM_OTSU_VALUES_LOOP] = loom_otsu_values_part,
                                      [LOOM_OTSU_RANGE_LOOP] = loom_otsu_range_part,
                                      [LOOM_OTSU_BINS_LOOP] = loom_otsu_bins_part,
                                      [APPLY_LOOP] = apply_part};

static uint64_t scratch(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    double bins = 0;
    if (header == NULL || call->argument_count < 3 || !loom_value_number(&call->arguments[2], &bins) ||
        !loom_otsu_bins_fit(bins))
        return 0;
    return loom_otsu_scratch(header, (uint64_t)bins, lanes);
}
const loom_loops loom_loops_otsu = {.run = loops, .count = 4, .scratch = scratch};

loom_status loom_run_otsu(loom_call *call) {
    const loom_value *image = NULL, *mask = NULL;
    double bins = 0;
    void *voxels = NULL;
    loom_pixel threshold;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    LOOM_TRY(loom_arg_image(call, 1, &mask));
    LOOM_TRY(loom_arg_number(call, 2, &bins));
    LOOM_TRY(loom_arg_same_domain(call, image, 0, mask, 1));
    if (!loom_otsu_bins_fit(bins)) return loom_arg_refuse(call, 2, "a number of bins from 2 to 1000000");
    LOOM_TRY(loom_otsu_threshold(call, image, &(loom_otsu_rule){.bins = (uint64_t)bins, .mask_at = 1, .counted = 1},
                                 &threshold));
    LOOM_TRY(loom_result_image(call, image->image.header, LOOM_BOOL8, 1, &voxels));
    return loom_run_parts(call, APPLY_LOOP, loom_image_voxels(image->image.header), LOOM_PART_VALUES, &threshold,
                          sizeof threshold);
}

/* ---- OtsuThreshold: two values, up to the threshold and above ---- */

typedef struct division {
    loom_otsu_rule rule;
    loom_pixel threshold;
    uint8_t inside, outside; /* up to the threshold; above, and NaN and -infinity, as in ITK */
    bool hides;              /* 0 where the mask is 0 */
} division;

#define IS_FINITE_BELOW(value) _Generic((value), float : (value) > -INFINITY, double : (value) > -INFINITY, default : 1)
#define DEFINE_DIVIDE(type_)                                                                                           \
    static LOOM_SIMD void divide_##type_(const type_ *restrict in, type_ limit, uint8_t inside, uint8_t outside,       \
                                         uint8_t *restrict out, size_t count) {                                        \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k] = (in[k] <= limit && IS_FINITE_BELOW(in[k])) ? inside : outside;                                    \
    }
LOOM_EACH_CTYPE(DEFINE_DIVIDE)

static LOOM_SIMD void hide(const uint8_t *restrict mask, uint8_t *restrict out, size_t count) {
    for (size_t k = 0; k < count; k++)
        out[k] = mask[k] != 0 ? out[k] : 0;
}

static loom_status divide_part(loom_part *part) {
    const loom_value *image = NULL, *mask = NULL;
    const division *what = part->state;
    uint8_t bytes[LOOM_CHUNK];
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    if (what->hides) LOOM_TRY(loom_arg_image(part->call, what->rule.mask_at, &mask));
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
        uint8_t *out = (uint8_t *)part->voxels + first;
        switch (image->image.header->dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        divide_##type_(loom_values_at(image, first), what->threshold.as_##type_, what->inside, what->outside, out,     \
                       count);                                                                                         \
        break;
            LOOM_EACH_PIXEL(CASE)
#undef CASE
        default:
            break;
        }
        if (mask != NULL) hide(loom_as_u8(mask, first, count, bytes), out, count);
    }
    return LOOM_OK;
}
static const loom_part_run divide_loops[] = {[LOOM_OTSU_VALUES_LOOP] = loom_otsu_values_part,
                                             [LOOM_OTSU_RANGE_LOOP] = loom_otsu_range_part,
                                             [LOOM_OTSU_BINS_LOOP] = loom_otsu_bins_part,
                                             [APPLY_LOOP] = divide_part};

/* Where the numbers begin: behind a mask, or what stands for none. */
static uint32_t options_at(const loom_call *call) {
    const loom_value *second = call->argument_count > 1 ? &call->arguments[1] : NULL;
    bool is_mask = second != NULL && (second->type == LOOM_IMAGE || second->type == LOOM_NULL ||
                                      (second->type == LOOM_REFERENCE && second->reference.type == LOOM_IMAGE));
    return is_mask ? 2 : 1;
}

#define BINS_USUAL 128

static uint64_t divide_scratch(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    double bins = BINS_USUAL;
    uint32_t at = options_at(call) + 2;
    if (header == NULL || (at < call->argument_count && !loom_value_number(&call->arguments[at], &bins)) ||
        !loom_otsu_bins_fit(bins))
        return 0;
    return loom_otsu_scratch(header, (uint64_t)bins, lanes);
}
const loom_loops loom_loops_otsu_threshold = {.run = divide_loops, .count = 4, .scratch = divide_scratch};

static loom_status read_mask(loom_call *call, const loom_value *image, uint32_t *mask_at) {
    const loom_value *second = NULL, *mask = NULL;
    if (options_at(call) == 1) return LOOM_OK;
    LOOM_TRY(loom_arg(call, 1, &second));
    if (second->type == LOOM_NULL) return LOOM_OK;
    LOOM_TRY(loom_arg_image(call, 1, &mask));
    uint8_t dtype = mask->image.header->dtype;
    if (dtype != LOOM_U8 && dtype != LOOM_BOOL8)
        return loom_arg_refuse(call, 1, "a mask of 8-bit unsigned integers: compare it with a number, or `Cast` it");
    *mask_at = 1;
    return loom_arg_same_domain(call, image, 0, mask, 1);
}

/* Image, perhaps a mask, insideValue, outsideValue, numberOfHistogramBins, maskOutput, maskValue, returnBinMidpoint. */
loom_status loom_run_otsu_threshold(loom_call *call) {
    const loom_value *image = NULL;
    division what = {0};
    uint64_t inside = 1, outside = 0, counted = UINT8_MAX;
    uint32_t at = options_at(call);
    void *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    LOOM_TRY(read_mask(call, image, &what.rule.mask_at));
    LOOM_TRY(loom_option_count(call, at, 1, UINT8_MAX, &inside));
    LOOM_TRY(loom_option_count(call, at + 1, 0, UINT8_MAX, &outside));
    LOOM_TRY(loom_option_count(call, at + 2, BINS_USUAL, UINT32_MAX, &what.rule.bins));
    LOOM_TRY(loom_option_truth(call, at + 3, true, &what.hides));
    LOOM_TRY(loom_option_count(call, at + 4, UINT8_MAX, UINT8_MAX, &counted));
    LOOM_TRY(loom_option_truth(call, at + 5, false, &what.rule.midpoint));
    if (!loom_otsu_bins_fit((double)what.rule.bins))
        return loom_arg_refuse(call, at + 2, "a number of bins from 2 to 1000000");
    what.rule.counted = (uint8_t)counted;
    what.inside = (uint8_t)inside;
    what.outside = (uint8_t)outside;
    what.hides = what.hides && what.rule.mask_at > 0;
    LOOM_TRY(loom_otsu_threshold(call, image, &what.rule, &what.threshold));
    bool is_truth = inside <= 1 && outside <= 1;
    LOOM_TRY(loom_result_image(call, image->image.header, is_truth ? LOOM_BOOL8 : LOOM_U8, 1, &voxels));
    return loom_run_parts(call, APPLY_LOOP, loom_image_voxels(image->image.header), LOOM_PART_VALUES, &what,
                          sizeof what);
}
