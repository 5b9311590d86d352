/* rescale.c - simpleitk.RescaleIntensity: values mapped linearly onto a range, each component of a vector image by
 * itself (itkRescaleIntensityImageFilter.h). Two passes in parts; the first one over a vector image is not in parts. No
 * scratch memory but 48 bytes a component. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/statistics/statistics.h"
#include "runtime/kernels/voxelwise/arith.h"

enum { EXTREMES_LOOP = LOOM_EXTREMES_LOOP, RESCALE_LOOP, VECTOR_LOOP };
enum { VECTOR_BLOCK = 1 }; /* of shared memory: a map a component */

/* v * scale + shift in double, clamped to low..high, in the pixel type (ITK, IntensityLinearTransform). */
typedef struct linear_map {
    double scale, shift, low, high;
} linear_map;

#define DEFINE_RESCALE(type_)                                                                                          \
    static LOOM_SIMD void rescale_##type_(const type_ *in, type_ *out, size_t count, linear_map map) {                 \
        for (size_t k = 0; k < count; k++) {                                                                           \
            double value = (double)in[k] * map.scale + map.shift;                                                      \
            value = value > map.high ? map.high : value;                                                               \
            value = value < map.low ? map.low : value;                                                                 \
            out[k] = (type_)value;                                                                                     \
        }                                                                                                              \
    }
LOOM_EACH_CTYPE(DEFINE_RESCALE)

static loom_status rescale_part(loom_part *part) {
    const loom_value *image = NULL;
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    uint8_t dtype = image->image.header->dtype;
    void *out = loom_values_of(part->voxels, dtype, part->first);
    switch (dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        rescale_##type_(loom_values_at(image, part->first), out, part->count, *(const linear_map *)part->state);       \
        break;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        break;
    }
    return LOOM_OK;
}

/* Any values, the maps one after the other. */
static loom_status vector_part(loom_part *part) {
    const loom_value *image = NULL;
    const linear_map *maps = part->shared[VECTOR_BLOCK];
    double values[LOOM_CHUNK];
    LOOM_TRY(loom_arg_any_image(part->call, 0, &image));
    const uint8_t dtype = image->image.header->dtype;
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += LOOM_CHUNK) {
        const size_t count = end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
        loom_cast(dtype, loom_values_at(image, first), LOOM_F64, values, count);
        for (size_t k = 0; k < count; k++) {
            const linear_map *map = &maps[(first + k) % image->image.header->components];
            rescale_double(&values[k], &values[k], 1, *map);
        }
        loom_cast(LOOM_F64, values, dtype, loom_values_of(part->voxels, dtype, first), count);
    }
    return LOOM_OK;
}

static const loom_part_run loops[] = {
    [EXTREMES_LOOP] = loom_extremes_part, [RESCALE_LOOP] = rescale_part, [VECTOR_LOOP] = vector_part};
const loom_loops loom_loops_rescale = {.run = loops, .count = 3};

static double as_stored(uint8_t dtype, double number) {
    loom_pixel pixel = loom_pixel_from_double(dtype, number);
    double back = 0;
    loom_cast(dtype, &pixel, LOOM_F64, &back, 1);
    return back;
}

/* ITK's Math::AlmostEquals of two values of a pixel type: a tenth of its epsilon, or four units in the last place. */
static bool almost_equal(uint8_t dtype, double a, double b) {
    if (!loom_dtype_is_float(dtype)) return a == b;
    if (dtype == LOOM_F32) {
        const float x = (float)a, y = (float)b;
        int32_t bits[2];
        memcpy(&bits[0], &x, sizeof x);
        memcpy(&bits[1], &y, sizeof y);
        return fabsf(x - y) <= 0.1f * FLT_EPSILON ||
               ((bits[0] < 0) == (bits[1] < 0) && llabs((int64_t)bits[0] - bits[1]) <= 4);
    }
    int64_t bits[2];
    memcpy(&bits[0], &a, sizeof a);
    memcpy(&bits[1], &b, sizeof b);
    return fabs(a - b) <= 0.1 * DBL_EPSILON || ((bits[0] < 0) == (bits[1] < 0) && llabs(bits[0] - bits[1]) <= 4);
}

static loom_status make_map(loom_call *call, uint8_t dtype, double least, double greatest, linear_map *map) {
    if (isnan(least) || isinf(least) || isinf(greatest))
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "argument 1 of `%s` has no finite range of values; replace its infinities and NaNs first",
                         call->op->name);
    if (!almost_equal(dtype, least, greatest))
        map->scale = (map->high - map->low) / (greatest - least);
    else
        map->scale = !almost_equal(dtype, greatest, 0) ? (map->high - map->low) / greatest : 0.0;
    map->shift = map->low - least * map->scale;
    return LOOM_OK;
}

/* Extremes of each component: small beside the pass that follows, and rare. */
static loom_status rescale_vector(loom_call *call, const loom_value *image, const linear_map *range, void *maps_) {
    linear_map *maps = maps_;
    const loom_image_header *header = image->image.header;
    const uint64_t total = loom_image_voxels(header) * header->components;
    double values[LOOM_CHUNK], *least = NULL;
    void *extremes = NULL;
    LOOM_TRY(loom_scratch(call, header->components, 2 * sizeof *least, &extremes));
    least = extremes;
    double *greatest = least + header->components;
    for (uint32_t c = 0; c < header->components; c++) {
        least[c] = (double)INFINITY;
        greatest[c] = -(double)INFINITY;
    }
    for (uint64_t first = 0; first < total; first += LOOM_CHUNK) {
        const size_t count = total - first < LOOM_CHUNK ? (size_t)(total - first) : LOOM_CHUNK;
        loom_cast(header->dtype, loom_values_at(image, first), LOOM_F64, values, count);
        for (size_t k = 0; k < count; k++) {
            const size_t c = (first + k) % header->components;
            least[c] = values[k] < least[c] ? values[k] : least[c];
            greatest[c] = values[k] > greatest[c] ? values[k] : greatest[c];
        }
    }
    for (uint32_t c = 0; c < header->components; c++) {
        maps[c] = *range;
        LOOM_TRY(make_map(call, header->dtype, least[c], greatest[c], &maps[c]));
    }
    return loom_run_parts(call, VECTOR_LOOP, total, LOOM_PART_VALUES, NULL, 0);
}

loom_status loom_run_rescale(loom_call *call) {
    const loom_value *image = NULL;
    linear_map map = {.low = 0, .high = 255};
    double least = 0, greatest = 0;
    void *voxels = NULL, *maps = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    if (call->argument_count > 1) LOOM_TRY(loom_arg_number(call, 1, &map.low));
    if (call->argument_count > 2) LOOM_TRY(loom_arg_number(call, 2, &map.high));
    const loom_image_header *header = image->image.header;
    const loom_dtype dtype = loom_arith_dtype(header->dtype);
    map.low = as_stored((uint8_t)dtype, map.low);
    map.high = as_stored((uint8_t)dtype, map.high);
    if (!(map.low <= map.high))
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "`%s` got an output minimum above the output maximum (in %s); exchange them", call->op->name,
                         loom_dtype_itk_name(header->dtype));
    if (header->components > 1) {
        LOOM_TRY(loom_share(call, VECTOR_BLOCK, header->components, sizeof map, &maps));
        LOOM_TRY(loom_result_image(call, header, dtype, header->components, &voxels));
        return rescale_vector(call, image, &map, maps);
    }
    LOOM_TRY(loom_extremes(call, 0, &least, &greatest));
    LOOM_TRY(make_map(call, header->dtype, least, greatest, &map));
    LOOM_TRY(loom_result_image(call, header, dtype, 1, &voxels));
    return loom_run_parts(call, RESCALE_LOOP, loom_image_voxels(header), LOOM_PART_VALUES, &map, sizeof map);
}
