/* statistics.c - one number from an image: volume, min, max, avg, MinimumMaximum.
 *
 * Sums run in a fixed tree (eight lanes over blocks of LOOM_CHUNK voxels, blocks added in raster order), so they do not
 * depend on how the work is split. Scratch: 16 bytes a block. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/statistics/statistics.h"

#define LANES 8

static LOOM_SIMD uint64_t count_true(const uint8_t *bytes, size_t count) {
    uint64_t sum = 0;
    for (size_t first = 0; first < count; first += 255) {
        size_t n = count - first < 255 ? count - first : 255;
        uint32_t part = 0;
        for (size_t k = 0; k < n; k++)
            part += bytes[first + k] != 0;
        sum += part;
    }
    return sum;
}

enum { EXTREMES_LOOP = LOOM_EXTREMES_LOOP, VOLUME_LOOP, MEAN_LOOP };

static loom_status volume_part(loom_part *part) {
    const loom_value *image = NULL;
    uint64_t *sums = part->shared[0];
    uint8_t buffer[LOOM_CHUNK];
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
        sums[part->number] += count_true(loom_as_u8(image, first, count, buffer), count);
    }
    return LOOM_OK;
}

loom_status loom_run_volume(loom_call *call) {
    const loom_value *image = NULL;
    void *memory = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    uint64_t total = loom_image_voxels(image->image.header), grain = LOOM_PART_VALUES, sum = 0;
    uint32_t parts = loom_count_parts(total, &grain);
    LOOM_TRY(loom_share(call, 0, parts, sizeof(uint64_t), &memory));
    LOOM_TRY(loom_run_parts(call, VOLUME_LOOP, total, grain, NULL, 0));
    for (uint32_t part = 0; part < parts; part++)
        sum += ((const uint64_t *)memory)[part];
    call->result = loom_float((double)sum);
    return LOOM_OK;
}

/* ---- extremes ---- */

/* A part leaves what each lane has found; of equal values (the two zeros) a lane keeps the first, also over parts. */
#define EXTREME_LANES 32
#define DEFINE_EXTREMES(type_, least_, greatest_)                                                                      \
    static void begin_##type_(type_ *lanes, uint32_t parts) {                                                          \
        for (uint32_t part = 0; part < parts; part++, lanes += 2 * EXTREME_LANES)                                      \
            for (size_t j = 0; j < EXTREME_LANES; j++) {                                                               \
                lanes[j] = (greatest_);                                                                                \
                lanes[EXTREME_LANES + j] = (least_);                                                                   \
            }                                                                                                          \
    }                                                                                                                  \
    static LOOM_SIMD void extremes_##type_(const type_ *in, size_t count, type_ *small, type_ *large) {                \
        size_t k = 0;                                                                                                  \
        for (; k + EXTREME_LANES <= count; k += EXTREME_LANES)                                                         \
            for (size_t j = 0; j < EXTREME_LANES; j++) {                                                               \
                small[j] = in[k + j] < small[j] ? in[k + j] : small[j];                                                \
                large[j] = in[k + j] > large[j] ? in[k + j] : large[j];                                                \
            }                                                                                                          \
        for (; k < count; k++) {                                                                                       \
            small[0] = in[k] < small[0] ? in[k] : small[0];                                                            \
            large[0] = in[k] > large[0] ? in[k] : large[0];                                                            \
        }                                                                                                              \
    }                                                                                                                  \
    static void unite_##type_(type_ *lanes, uint32_t parts, double *low, double *high) {                               \
        type_ *small = lanes, *large = lanes + EXTREME_LANES;                                                          \
        for (uint32_t part = 1; part < parts; part++) {                                                                \
            const type_ *next = lanes + (size_t)part * 2 * EXTREME_LANES;                                              \
            for (size_t j = 0; j < EXTREME_LANES; j++) {                                                               \
                small[j] = next[j] < small[j] ? next[j] : small[j];                                                    \
                large[j] = next[EXTREME_LANES + j] > large[j] ? next[EXTREME_LANES + j] : large[j];                    \
            }                                                                                                          \
        }                                                                                                              \
        for (size_t j = 1; j < EXTREME_LANES; j++) {                                                                   \
            small[0] = small[j] < small[0] ? small[j] : small[0];                                                      \
            large[0] = large[j] > large[0] ? large[j] : large[0];                                                      \
        }                                                                                                              \
        *low = (double)small[0];                                                                                       \
        *high = (double)large[0];                                                                                      \
    }
DEFINE_EXTREMES(uint8_t, 0, UINT8_MAX)
DEFINE_EXTREMES(int8_t, INT8_MIN, INT8_MAX)
DEFINE_EXTREMES(uint16_t, 0, UINT16_MAX)
DEFINE_EXTREMES(int16_t, INT16_MIN, INT16_MAX)
DEFINE_EXTREMES(uint32_t, 0, UINT32_MAX)
DEFINE_EXTREMES(int32_t, INT32_MIN, INT32_MAX)
DEFINE_EXTREMES(uint64_t, 0, UINT64_MAX)
DEFINE_EXTREMES(int64_t, INT64_MIN, INT64_MAX)
DEFINE_EXTREMES(float, -INFINITY, INFINITY)
DEFINE_EXTREMES(double, -(double)INFINITY, (double)INFINITY)

loom_status loom_extremes_part(loom_part *part) {
    const loom_value *image = NULL;
    LOOM_TRY(loom_arg_image(part->call, *(const uint32_t *)part->state, &image));
    switch (image->image.header->dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_: {                                                                                                     \
        type_ *lanes = (type_ *)part->shared[0] + (size_t)part->number * 2 * EXTREME_LANES;                            \
        extremes_##type_(loom_values_at(image, part->first), part->count, lanes, lanes + EXTREME_LANES);               \
        break;                                                                                                         \
    }
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        break;
    }
    return LOOM_OK;
}

static void begin(uint8_t dtype, void *lanes, uint32_t parts) {
    switch (dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        begin_##type_(lanes, parts);                                                                                   \
        break;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        break;
    }
}

loom_status loom_extremes(loom_call *call, uint32_t image_at, double *low, double *high) {
    const loom_value *image = NULL;
    void *lanes = NULL;
    LOOM_TRY(loom_arg_image(call, image_at, &image));
    const loom_image_header *header = image->image.header;
    uint64_t total = loom_image_voxels(header), grain = LOOM_PART_VALUES;
    uint32_t parts = loom_count_parts(total, &grain);
    LOOM_TRY(loom_share(call, 0, (size_t)parts * 2 * EXTREME_LANES, loom_dtype_bytes(header->dtype), &lanes));
    begin(header->dtype, lanes, parts);
    LOOM_TRY(loom_run_parts(call, LOOM_EXTREMES_LOOP, total, grain, &image_at, sizeof image_at));
    switch (header->dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        unite_##type_(lanes, parts, low, high);                                                                        \
        break;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        *low = *high = NAN;
    }
    /* NaN voxels are passed over; if there is nothing else, the extremes are NaN. */
    if (*low > *high) *low = *high = NAN;
    return LOOM_OK;
}

loom_status loom_run_min(loom_call *call) {
    double low = 0, high = 0;
    LOOM_TRY(loom_extremes(call, 0, &low, &high));
    call->result = loom_float(low);
    return LOOM_OK;
}

loom_status loom_run_max(loom_call *call) {
    double low = 0, high = 0;
    LOOM_TRY(loom_extremes(call, 0, &low, &high));
    call->result = loom_float(high);
    return LOOM_OK;
}

loom_status loom_run_minimum_maximum(loom_call *call) {
    double low = 0, high = 0;
    LOOM_TRY(loom_extremes(call, 0, &low, &high));
    loom_value *pair = loom_arena_array(call->arena, 2, sizeof *pair);
    if (pair == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
    pair[0] = loom_float(low);
    pair[1] = loom_float(high);
    call->result = loom_sequence(pair, 2);
    call->result.tuple = true;
    return LOOM_OK;
}

/* ---- means ---- */

/* 0 where the mask is false: a voxel outside contributes nothing, whatever it is: not even NaN. */
static LOOM_SIMD void zero_outside(const float *restrict values, const uint8_t *restrict mask, float *restrict out,
                                   size_t count) {
    for (size_t k = 0; k < count; k++) {
        uint32_t bits;
        memcpy(&bits, &values[k], sizeof bits);
        bits &= mask[k] != 0 ? UINT32_MAX : 0;
        memcpy(&out[k], &bits, sizeof bits);
    }
}

static LOOM_SIMD double sum_of(const float *values, size_t count) {
    double lane[LANES] = {0};
    size_t k = 0;
    for (; k + LANES <= count; k += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] += (double)values[k + j];
    for (; k < count; k++)
        lane[k % LANES] += (double)values[k];
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

/* One a chunk of LOOM_CHUNK voxels. */
typedef struct chunk_sum {
    double sum;
    uint64_t voxels;
} chunk_sum;

static loom_status mean_part(loom_part *part) {
    const loom_value *image = NULL, *mask = NULL;
    chunk_sum *sums = part->shared[0];
    uint8_t bytes[LOOM_CHUNK];
    float numbers[LOOM_CHUNK], inside[LOOM_CHUNK];
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    LOOM_TRY(loom_arg_image(part->call, 1, &mask));
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
        const uint8_t *truth = loom_as_u8(mask, first, count, bytes);
        zero_outside(loom_as_float(image, first, count, numbers), truth, inside, count);
        sums[first / LOOM_CHUNK] = (chunk_sum){.sum = sum_of(inside, count), .voxels = count_true(truth, count)};
    }
    return LOOM_OK;
}

static const loom_part_run loops[] = {
    [EXTREMES_LOOP] = loom_extremes_part, [VOLUME_LOOP] = volume_part, [MEAN_LOOP] = mean_part};
const loom_loops loom_loops_statistics = {.run = loops, .count = 3, .pieces = true};

static loom_status mean(loom_call *call, bool empty_allowed) {
    const loom_value *image = NULL, *mask = NULL;
    void *memory = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    LOOM_TRY(loom_arg_image(call, 1, &mask));
    LOOM_TRY(loom_arg_same_domain(call, image, 0, mask, 1));
    uint64_t total = loom_image_voxels(image->image.header), voxels = 0;
    size_t chunks = (size_t)((total + LOOM_CHUNK - 1) / LOOM_CHUNK);
    LOOM_TRY(loom_share(call, 0, chunks, sizeof(chunk_sum), &memory));
    LOOM_TRY(loom_run_parts(call, MEAN_LOOP, total, LOOM_PART_VALUES, NULL, 0));
    const chunk_sum *sums = memory;
    double sum = 0;
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        voxels += sums[chunk].voxels;
        sum += sums[chunk].sum;
    }
    if (voxels == 0 && !empty_allowed)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "`%s` got an empty mask, which has no mean; use `avg0`, which gives 0 then", call->op->name);
    call->result = loom_float(voxels == 0 ? 0.0 : sum / (double)voxels);
    return LOOM_OK;
}

loom_status loom_run_avg(loom_call *call) {
    return mean(call, false);
}
loom_status loom_run_avg0(loom_call *call) {
    return mean(call, true);
}
