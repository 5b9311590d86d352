/* otsu.c - Otsu's threshold within a mask, as ITK's OtsuThresholdImageFilter with a mask value of 1.
 *
 * N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9(1), 1979. The histogram counts
 * voxels where the mask is exactly 1; the threshold is the upper edge of the bin that maximises the variance between
 * classes, bin midpoints standing for values. Two passes over images of 8 and 16 bits, of which each value is counted,
 * and three over others, in parts. Scratch, a worker: 8 bytes for each value of 8 and 16 bits; else 16 a bin; and
 * 8 a bin. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"

#define BINS_MAX 1000000
#define LANES 8u
#define APART 2u /* neighbours are counted apart: one place twice at once waits for memory */

typedef struct histogram {
    const loom_value *image, *mask;
    uint64_t *count;
    size_t bins;
    double low, high; /* edges of the first and last bin */
    uint64_t total;
} histogram;

enum { VALUES_LOOP, RANGE_LOOP, BINS_LOOP, APPLY_LOOP };
enum { RANGES, COUNTS }; /* shared: a range a part; values or bins a lane */

static bool is_small(uint8_t dtype) {
    return loom_dtype_bytes(dtype) <= 2;
}

/* ---- 8 and 16 bits: every value is counted ---- */

#define VALUES_OF(dtype_) (UINT64_C(1) << 8 * loom_dtype_bytes(dtype_))

#define DEFINE_COUNT(type_, unsigned_)                                                                                 \
    static void count_##type_(const type_ *in, const uint8_t *mask, size_t count, uint64_t *counts) {                  \
        for (size_t k = 0; k < count; k++)                                                                             \
            counts[(unsigned_)in[k]] += mask[k] == 1;                                                                  \
    }
DEFINE_COUNT(uint8_t, uint8_t)
DEFINE_COUNT(uint16_t, uint16_t)

static loom_status values_part(loom_part *part) {
    const loom_value *image = NULL, *mask = NULL;
    uint8_t bytes[LOOM_CHUNK];
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    LOOM_TRY(loom_arg_image(part->call, 1, &mask));
    uint8_t dtype = image->image.header->dtype;
    uint64_t *counts = (uint64_t *)part->shared[COUNTS] + part->lane * VALUES_OF(dtype);
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
        const uint8_t *truth = loom_as_u8(mask, first, count, bytes);
        if (loom_dtype_bytes(dtype) == 1)
            count_uint8_t(loom_values_at(image, first), truth, count, counts);
        else
            count_uint16_t(loom_values_at(image, first), truth, count, counts);
    }
    return LOOM_OK;
}

/* The number that has these bits. */
static double value_of_bits(uint8_t dtype, uint64_t bits) {
    switch (dtype) {
    case LOOM_I8:
        return (double)(int8_t)bits;
    case LOOM_I16:
        return (double)(int16_t)bits;
    default:
        return (double)bits;
    }
}

static loom_status count_values(loom_call *call, histogram *h, uint64_t **counts) {
    const loom_image_header *header = h->image->image.header;
    uint64_t values = VALUES_OF(header->dtype);
    uint32_t lanes = loom_lanes(call);
    void *memory = NULL;
    LOOM_TRY(loom_share(call, COUNTS, values * lanes, sizeof **counts, &memory));
    LOOM_TRY(loom_run_parts(call, VALUES_LOOP, loom_image_voxels(header), LOOM_PART_VALUES, NULL, 0));
    *counts = memory;
    h->low = INFINITY;
    h->high = -INFINITY;
    for (uint64_t bits = 0; bits < values; bits++) {
        for (uint32_t lane = 1; lane < lanes; lane++)
            (*counts)[bits] += (*counts)[lane * values + bits];
        if ((*counts)[bits] == 0) continue;
        double value = value_of_bits(header->dtype, bits);
        h->total += (*counts)[bits];
        if (value < h->low) h->low = value;
        if (value > h->high) h->high = value;
    }
    return LOOM_OK;
}

/* ---- others ---- */

typedef struct found_range {
    double low, high;
    uint64_t total;
} found_range;

/* Calls `visit` on the values of each chunk of a part as doubles. */
typedef void (*chunk_visit)(void *context, const double *values, const uint8_t *mask, size_t count);

static loom_status each_chunk(loom_part *part, chunk_visit visit, void *context) {
    const loom_value *image = NULL, *mask = NULL;
    double values[LOOM_CHUNK];
    uint8_t bytes[LOOM_CHUNK];
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    LOOM_TRY(loom_arg_image(part->call, 1, &mask));
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
        loom_cast(image->image.header->dtype, loom_values_at(image, first), LOOM_F64, values, count);
        visit(context, values, loom_as_u8(mask, first, count, bytes), count);
    }
    return LOOM_OK;
}

/* Lanes, since a compiler may not turn the minimum of floats into several. NaN is passed over. */
static LOOM_SIMD void find_range(void *context, const double *values, const uint8_t *mask, size_t count) {
    found_range *range = context;
    double low[LANES], high[LANES];
    uint32_t total = 0;
    for (size_t j = 0; j < LANES; j++) {
        low[j] = range->low;
        high[j] = range->high;
    }
    for (size_t k = 0; k < count; k++)
        total += mask[k] == 1;
    for (size_t k = 0; k + LANES <= count; k += LANES)
        for (size_t j = 0; j < LANES; j++) {
            double least = mask[k + j] == 1 ? values[k + j] : INFINITY;
            double greatest = mask[k + j] == 1 ? values[k + j] : -INFINITY;
            low[j] = least < low[j] ? least : low[j];
            high[j] = greatest > high[j] ? greatest : high[j];
        }
    for (size_t k = count / LANES * LANES; k < count; k++) {
        if (mask[k] != 1) continue;
        low[0] = values[k] < low[0] ? values[k] : low[0];
        high[0] = values[k] > high[0] ? values[k] : high[0];
    }
    for (size_t j = 0; j < LANES; j++) {
        range->low = low[j] < range->low ? low[j] : range->low;
        range->high = high[j] > range->high ? high[j] : range->high;
    }
    range->total += total;
}

static loom_status range_part(loom_part *part) {
    found_range *range = (found_range *)part->shared[RANGES] + part->number;
    *range = (found_range){.low = INFINITY, .high = -INFINITY};
    return each_chunk(part, find_range, range);
}

/* The bin of a value within the edges; the last edge belongs to the last bin, and so does what edges that are hardly
 * apart make of a scale: not a number. */
static inline uint32_t bin_of(double value, double low, double scale, uint32_t bins) {
    double at = (value - low) * scale;
    return (uint32_t)(int32_t)(at < (double)bins ? at : (double)(bins - 1));
}

/* The bin of each value; `bins` for one that is not counted: values outside the range, which only NaN is. */
static LOOM_SIMD void find_bins(const histogram *h, const double *restrict values, const uint8_t *restrict mask,
                                uint32_t *restrict bin, size_t count) {
    double low = h->low, high = h->high, scale = (double)h->bins / (h->high - h->low);
    uint32_t bins = (uint32_t)h->bins;
    for (size_t k = 0; k < count; k++) {
        bool counts = (mask[k] == 1) & (values[k] >= low) & (values[k] <= high);
        uint32_t here = bin_of(counts ? values[k] : low, low, scale, bins);
        bin[k] = counts ? here : bins;
    }
}

static void fill_bins(void *context, const double *values, const uint8_t *mask, size_t count) {
    const histogram *h = context;
    uint32_t bin[LOOM_CHUNK];
    find_bins(h, values, mask, bin, count);
    for (size_t k = 0; k < count; k++)
        h->count[APART * bin[k] + k % APART]++;
}

/* State: the edges. */
static loom_status bins_part(loom_part *part) {
    histogram h = *(const histogram *)part->state;
    h.count = (uint64_t *)part->shared[COUNTS] + part->lane * APART * (h.bins + 1);
    return each_chunk(part, fill_bins, &h);
}

/* What the voxels of the mask lie between. */
static loom_status survey(loom_call *call, histogram *h) {
    uint64_t voxels = loom_image_voxels(h->image->image.header), grain = LOOM_PART_VALUES;
    uint32_t parts = loom_count_parts(voxels, &grain);
    void *memory = NULL;
    LOOM_TRY(loom_share(call, RANGES, parts, sizeof(found_range), &memory));
    LOOM_TRY(loom_run_parts(call, RANGE_LOOP, voxels, grain, NULL, 0));
    const found_range *ranges = memory;
    h->low = INFINITY;
    h->high = -INFINITY;
    for (uint32_t part = 0; part < parts; part++) {
        h->total += ranges[part].total;
        if (ranges[part].low < h->low) h->low = ranges[part].low;
        if (ranges[part].high > h->high) h->high = ranges[part].high;
    }
    return LOOM_OK;
}

static loom_status fill_all_bins(loom_call *call, histogram *h) {
    uint32_t lanes = loom_lanes(call);
    size_t counters = APART * (h->bins + 1);
    void *memory = NULL;
    LOOM_TRY(loom_share(call, COUNTS, counters * lanes, sizeof *h->count, &memory));
    histogram state = {.bins = h->bins, .low = h->low, .high = h->high}; /* no pointers */
    LOOM_TRY(loom_run_parts(call, BINS_LOOP, loom_image_voxels(h->image->image.header), LOOM_PART_VALUES, &state,
                            sizeof state));
    const uint64_t *all = memory;
    for (uint32_t lane = 0; lane < lanes; lane++)
        for (size_t k = 0; k < APART * h->bins; k++)
            h->count[k / APART] += all[lane * counters + k];
    return LOOM_OK;
}

/* ---- the threshold ---- */

/* Edges: fixed for 8-bit images, else from the values, widened a little at the upper end. */
static loom_status set_edges(loom_call *call, histogram *h) {
    uint8_t dtype = h->image->image.header->dtype;
    if (h->total == 0)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "`%s` got a mask without a voxel of value 1; there is no threshold", call->op->name);
    if (dtype == LOOM_BOOL8 || dtype == LOOM_U8) {
        h->low = -0.5;
        h->high = 255.5;
    } else if (dtype == LOOM_I8) {
        h->low = -128.5;
        h->high = 127.5;
    } else {
        h->high += (h->high - h->low) / (double)h->bins / 100.0;
    }
    if (!isfinite(h->high - h->low))
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "argument 1 of `%s` has infinite values or only NaN within the mask; replace them first",
                         call->op->name);
    return LOOM_OK;
}

static void bin_values(histogram *h, const uint64_t *counts) {
    uint8_t dtype = h->image->image.header->dtype;
    double scale = (double)h->bins / (h->high - h->low);
    for (uint64_t bits = 0; bits < VALUES_OF(dtype); bits++)
        if (counts[bits] > 0)
            h->count[bin_of(value_of_bits(dtype, bits), h->low, scale, (uint32_t)h->bins)] += counts[bits];
}

/* Counts the voxels of the mask by bin. */
static loom_status fill_histogram(loom_call *call, histogram *h) {
    uint64_t *counts = NULL;
    void *memory = NULL;
    bool small = is_small(h->image->image.header->dtype);
    LOOM_TRY(small ? count_values(call, h, &counts) : survey(call, h));
    LOOM_TRY(set_edges(call, h));
    if (!(h->high > h->low)) return LOOM_OK;
    LOOM_TRY(loom_scratch(call, h->bins, sizeof *h->count, &memory));
    h->count = memset(memory, 0, h->bins * sizeof *h->count);
    if (!small) return fill_all_bins(call, h);
    bin_values(h, counts);
    return LOOM_OK;
}

static double midpoint(const histogram *h, size_t bin) {
    double width = (h->high - h->low) / (double)h->bins;
    return (h->low + (double)bin * width + (h->low + (double)(bin + 1) * width)) / 2.0;
}

/* b exceeds a by more than one unit in the last place. */
static bool clearly_above(double b, double a) {
    return b > a && b > nextafter(a, INFINITY);
}

/* The bin whose upper edge is the threshold: the first that maximises w0 * m0^2 + w1 * m1^2. */
static size_t best_bin(const histogram *h) {
    double total = 0, sum = 0, below = 0, below_sum = 0, best = -INFINITY;
    size_t chosen = 0;
    for (size_t bin = 0; bin < h->bins; bin++) {
        total += (double)h->count[bin];
        sum += (double)h->count[bin] * midpoint(h, bin);
    }
    for (size_t bin = 0; bin + 1 < h->bins; bin++) {
        below += (double)h->count[bin];
        below_sum += (double)h->count[bin] * midpoint(h, bin);
        double above = total - below, above_sum = sum - below_sum;
        double spread = (below > 0 ? below_sum / total * (below_sum / below) : 0) +
                        (above > 0 ? above_sum / total * (above_sum / above) : 0);
        if (bin == 0 || clearly_above(spread, best)) {
            best = spread;
            chosen = bin;
        }
    }
    return chosen;
}

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

static const loom_part_run loops[] = {
    [VALUES_LOOP] = values_part, [RANGE_LOOP] = range_part, [BINS_LOOP] = bins_part, [APPLY_LOOP] = apply_part};
static bool bins_fit(double bins) {
    return bins >= 2.0 && bins <= BINS_MAX;
}

static uint64_t scratch(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    double bins = 0;
    if (header == NULL || call->argument_count < 3 || !loom_value_number(&call->arguments[2], &bins) || !bins_fit(bins))
        return 0;
    uint64_t whole = (uint64_t)bins * sizeof(uint64_t);
    if (is_small(header->dtype)) return lanes * VALUES_OF(header->dtype) * sizeof(uint64_t) + whole;
    return lanes * APART * (whole + sizeof(uint64_t)) + whole;
}
const loom_loops loom_loops_otsu = {.run = loops, .count = 4, .scratch = scratch};

loom_status loom_run_otsu(loom_call *call) {
    histogram h = {0};
    double bins = 0;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &h.image));
    LOOM_TRY(loom_arg_image(call, 1, &h.mask));
    LOOM_TRY(loom_arg_number(call, 2, &bins));
    LOOM_TRY(loom_arg_same_domain(call, h.image, 0, h.mask, 1));
    if (!bins_fit(bins)) return loom_arg_refuse(call, 2, "a number of bins from 2 to 1000000");
    h.bins = (size_t)bins;
    LOOM_TRY(fill_histogram(call, &h));
    size_t chosen = h.high > h.low ? best_bin(&h) : 0;
    uint8_t dtype = h.image->image.header->dtype;
    double edge = h.low + (h.high - h.low) / (double)h.bins * (double)(chosen + 1);
    LOOM_TRY(loom_result_image(call, h.image->image.header, LOOM_BOOL8, 1, &voxels));
    loom_pixel threshold = loom_pixel_from_double(dtype, edge);
    return loom_run_parts(call, APPLY_LOOP, loom_image_voxels(h.image->image.header), LOOM_PART_VALUES, &threshold,
                          sizeof threshold);
}
