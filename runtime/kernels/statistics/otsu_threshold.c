/* otsu_threshold.c - Otsu's threshold, as ITK's OtsuThresholdImageFilter finds it.
 *
 * N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9(1), 1979. The threshold is the
 * upper edge of the bin that maximises the variance between classes, bin midpoints standing for values. Two passes over
 * images of 8 and 16 bits, of which each value is counted, and three over others, in parts. Scratch, a worker: 8 bytes
 * for each value of 8 and 16 bits; else 16 a bin; and 8 a bin. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/kernels/statistics/otsu_threshold.h"

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"

#define LANES 8u
#define APART 2u /* neighbours are counted apart: one place twice at once waits for memory */

typedef struct histogram {
    const loom_value *image;
    loom_otsu_rule rule;
    uint64_t *count;
    size_t bins;
    double low, high; /* edges of the first and last bin */
    uint64_t total;
} histogram;

enum { RANGES, COUNTS }; /* shared: a range a part; values or bins a lane */

/* State of all parts. */
typedef struct state {
    loom_otsu_rule rule;
    double low, high; /* edges, once they are known */
} state;

static bool is_small(uint8_t dtype) {
    return loom_dtype_bytes(dtype) <= 2;
}

/* The images that a part works on; no mask: NULL. */
static loom_status read_images(loom_part *part, const loom_value **image, const loom_value **mask) {
    const state *what = part->state;
    *mask = NULL;
    LOOM_TRY(loom_arg_image(part->call, 0, image));
    return what->rule.mask_at == 0 ? LOOM_OK : loom_arg_image(part->call, what->rule.mask_at, mask);
}

/* 1 for each voxel that counts, anything else for others. */
static const uint8_t *find_counted(const loom_otsu_rule *rule, const loom_value *mask, uint64_t first, size_t count,
                                   uint8_t *buffer) {
    if (mask == NULL) return memset(buffer, 1, count);
    const uint8_t *bytes = loom_as_u8(mask, first, count, buffer);
    if (rule->counted == 1) return bytes;
    for (size_t k = 0; k < count; k++)
        buffer[k] = bytes[k] == rule->counted;
    return buffer;
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

loom_status loom_otsu_values_part(loom_part *part) {
    const loom_value *image = NULL, *mask = NULL;
    const state *what = part->state;
    uint8_t bytes[LOOM_CHUNK];
    LOOM_TRY(read_images(part, &image, &mask));
    uint8_t dtype = image->image.header->dtype;
    uint64_t *counts = (uint64_t *)part->shared[COUNTS] + part->lane * VALUES_OF(dtype);
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
        const uint8_t *truth = find_counted(&what->rule, mask, first, count, bytes);
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
    const state what = {.rule = h->rule};
    LOOM_TRY(
        loom_run_parts(call, LOOM_OTSU_VALUES_LOOP, loom_image_voxels(header), LOOM_PART_VALUES, &what, sizeof what));
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
    const state *what = part->state;
    double values[LOOM_CHUNK];
    uint8_t bytes[LOOM_CHUNK];
    LOOM_TRY(read_images(part, &image, &mask));
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
        loom_cast(image->image.header->dtype, loom_values_at(image, first), LOOM_F64, values, count);
        visit(context, values, find_counted(&what->rule, mask, first, count, bytes), count);
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

loom_status loom_otsu_range_part(loom_part *part) {
    found_range *range = (found_range *)part->shared[RANGES] + part->number;
    *range = (found_range){.low = INFINITY, .high = -INFINITY};
    return each_chunk(part, find_range, range);
}

/* The lower edge of a bin, and the upper one of the bin before, as ITK rounds them: values that lie on edges (whole
 * numbers do) are counted on the side where it counts them. */
static inline double edge_at(double low, float interval, uint32_t bin) {
    return low + (double)((float)bin * interval);
}

static float interval_of(const histogram *h) {
    return ((float)h->high - (float)h->low) / (float)h->bins;
}

/* The bin of a value within the edges; the last edge belongs to the last bin, and so does what edges that are hardly
 * apart make of a scale: not a number. The first guess is at most one bin off. */
static inline uint32_t bin_of(double value, double low, double scale, float interval, uint32_t bins) {
    double at = (value - low) * scale;
    uint32_t bin = (uint32_t)(int32_t)(at < (double)bins ? at : (double)(bins - 1));
    uint32_t lower = (bin > 0) & (value < edge_at(low, interval, bin));
    uint32_t higher = (bin + 1 < bins) & (value >= edge_at(low, interval, bin + 1));
    return bin - lower + higher;
}

/* The bin of each value; `bins` for one that is not counted: values outside the range, which only NaN is. */
static LOOM_SIMD void find_bins(const histogram *h, const double *restrict values, const uint8_t *restrict mask,
                                uint32_t *restrict bin, size_t count) {
    const float interval = interval_of(h);
    double low = h->low, high = h->high, scale = 1.0 / (double)interval;
    uint32_t bins = (uint32_t)h->bins;
    for (size_t k = 0; k < count; k++) {
        bool counts = (mask[k] == 1) & (values[k] >= low) & (values[k] <= high);
        uint32_t here = bin_of(counts ? values[k] : low, low, scale, interval, bins);
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

loom_status loom_otsu_bins_part(loom_part *part) {
    const state *what = part->state;
    histogram h = {.bins = (size_t)what->rule.bins, .low = what->low, .high = what->high};
    h.count = (uint64_t *)part->shared[COUNTS] + part->lane * APART * (h.bins + 1);
    return each_chunk(part, fill_bins, &h);
}

/* What the voxels of the mask lie between. */
static loom_status survey(loom_call *call, histogram *h) {
    uint64_t voxels = loom_image_voxels(h->image->image.header), grain = LOOM_PART_VALUES;
    uint32_t parts = loom_count_parts(voxels, &grain);
    void *memory = NULL;
    LOOM_TRY(loom_share(call, RANGES, parts, sizeof(found_range), &memory));
    const state what = {.rule = h->rule};
    LOOM_TRY(loom_run_parts(call, LOOM_OTSU_RANGE_LOOP, voxels, grain, &what, sizeof what));
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
    const state what = {.rule = h->rule, .low = h->low, .high = h->high};
    LOOM_TRY(loom_run_parts(call, LOOM_OTSU_BINS_LOOP, loom_image_voxels(h->image->image.header), LOOM_PART_VALUES,
                            &what, sizeof what));
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
                         "`%s` got a mask without a voxel of value %u; there is no threshold", call->op->name,
                         h->rule.counted);
    if (dtype == LOOM_BOOL8 || dtype == LOOM_U8) {
        h->low = -0.5;
        h->high = 255.5;
    } else if (dtype == LOOM_I8) {
        h->low = -128.5;
        h->high = 127.5;
    } else {
        h->high += (h->high - h->low) / (double)h->bins / 100.0;
    }
    if (!isfinite((float)h->high) || !isfinite(interval_of(h)))
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "argument 1 of `%s` has values beyond 32-bit floats or only NaN%s; replace them first",
                         call->op->name, h->rule.mask_at == 0 ? "" : " within the mask");
    return LOOM_OK;
}

static void bin_values(histogram *h, const uint64_t *counts) {
    uint8_t dtype = h->image->image.header->dtype;
    const float interval = interval_of(h);
    double scale = 1.0 / (double)interval;
    for (uint64_t bits = 0; bits < VALUES_OF(dtype); bits++)
        if (counts[bits] > 0)
            h->count[bin_of(value_of_bits(dtype, bits), h->low, scale, interval, (uint32_t)h->bins)] += counts[bits];
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

static double upper_edge(const histogram *h, size_t bin) {
    return bin + 1 < h->bins ? edge_at(h->low, interval_of(h), (uint32_t)bin + 1) : h->high;
}

static double midpoint(const histogram *h, size_t bin) {
    return (edge_at(h->low, interval_of(h), (uint32_t)bin) + upper_edge(h, bin)) / 2.0;
}

/* b exceeds a by more than one unit in the last place, and by more than ITK takes for nothing. */
static bool clearly_above(double b, double a) {
    return b > a && b > nextafter(a, INFINITY) && b - a > 0.1 * DBL_EPSILON;
}

/* The bin whose upper edge is the threshold: the first that maximises w0 * m0^2 + w1 * m1^2, all rounded in the order
 * of ITK's OtsuMultipleThresholdsCalculator, for empty bins make ties. */
static size_t best_bin(const histogram *h) {
    double total = 0, mean = 0, below = 0, below_mean = 0, best = 0;
    size_t chosen = 0;
    for (size_t bin = 0; bin < h->bins; bin++) {
        total += (double)h->count[bin];
        mean += midpoint(h, bin) * (double)h->count[bin];
    }
    mean /= total;
    for (size_t bin = 0; bin + 1 < h->bins; bin++) {
        double count = (double)h->count[bin], old = below;
        below += count;
        if (bin == 0)
            below_mean = below > 0 ? midpoint(h, bin) : 0;
        else
            below_mean = below > 0 ? (below_mean * old + midpoint(h, bin) * count) / below : 0;
        double above = total - below;
        double above_mean = above > 0 ? (mean * total - below_mean * below) / above : 0;
        double spread = (below * (below_mean * below_mean) + above * (above_mean * above_mean)) / total;
        if (bin == 0 || clearly_above(spread, best)) {
            best = spread;
            chosen = bin;
        }
    }
    return chosen;
}

bool loom_otsu_bins_fit(double bins) {
    return bins >= 2.0 && bins <= LOOM_OTSU_BINS_MAX;
}

uint64_t loom_otsu_scratch(const loom_image_header *header, uint64_t bins, uint32_t lanes) {
    uint64_t whole = bins * sizeof(uint64_t);
    if (is_small(header->dtype)) return lanes * VALUES_OF(header->dtype) * sizeof(uint64_t) + whole;
    return lanes * APART * (whole + sizeof(uint64_t)) + whole;
}

loom_status loom_otsu_threshold(loom_call *call, const loom_value *image, const loom_otsu_rule *rule,
                                loom_pixel *threshold) {
    histogram h = {.image = image, .rule = *rule, .bins = (size_t)rule->bins};
    LOOM_TRY(fill_histogram(call, &h));
    size_t chosen = h.high > h.low ? best_bin(&h) : 0;
    *threshold = loom_pixel_from_double(image->image.header->dtype,
                                        rule->midpoint ? midpoint(&h, chosen) : upper_edge(&h, chosen));
    return LOOM_OK;
}
