/* otsu.c - Otsu's threshold within a mask, as ITK's OtsuThresholdImageFilter with a mask value of 1.
 *
 * N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9(1), 1979. The histogram counts
 * voxels where the mask is exactly 1; the threshold is the upper edge of the bin that maximises the variance between
 * classes, bin midpoints standing for values. Three passes over the image in parts; scratch: 8 bytes
 * a bin and worker. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"

#define BINS_MAX 1000000

typedef struct histogram {
    const loom_value *image, *mask;
    uint64_t *count;
    size_t bins;
    double low, high; /* edges of the first and last bin */
    uint64_t total;
} histogram;

enum { RANGE_LOOP, BINS_LOOP, APPLY_LOOP };
enum { RANGES, BINS }; /* shared: a range a part; bins a lane */

typedef struct found_range {
    double low, high;
    uint64_t total;
} found_range;

/* Calls `visit` on the values of each chunk of a part as doubles. */
typedef void (*chunk_visit)(void *context, uint64_t first, const double *values, const uint8_t *mask, size_t count);

static loom_status each_chunk(loom_part *part, chunk_visit visit, void *context) {
    const loom_value *image = NULL, *mask = NULL;
    double values[LOOM_CHUNK];
    uint8_t bytes[LOOM_CHUNK];
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    LOOM_TRY(loom_arg_image(part->call, 1, &mask));
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
        loom_cast(image->image.header->dtype, loom_values_at(image, first), LOOM_F64, values, count);
        visit(context, first, values, loom_as_u8(mask, first, count, bytes), count);
    }
    return LOOM_OK;
}

static void find_range(void *context, uint64_t first, const double *values, const uint8_t *mask, size_t count) {
    found_range *range = context;
    (void)first;
    for (size_t k = 0; k < count; k++) {
        if (mask[k] != 1) continue;
        range->total++;
        if (values[k] < range->low) range->low = values[k];
        if (values[k] > range->high) range->high = values[k];
    }
}

static loom_status range_part(loom_part *part) {
    found_range *range = (found_range *)part->shared[RANGES] + part->number;
    *range = (found_range){.low = INFINITY, .high = -INFINITY};
    return each_chunk(part, find_range, range);
}

/* Values outside the range, which only NaN is, are not counted. The last edge belongs to the last bin. */
static void fill_bins(void *context, uint64_t first, const double *values, const uint8_t *mask, size_t count) {
    const histogram *h = context;
    double scale = (double)h->bins / (h->high - h->low);
    (void)first;
    for (size_t k = 0; k < count; k++) {
        if (mask[k] != 1 || !(values[k] >= h->low && values[k] <= h->high)) continue;
        size_t bin = (size_t)((values[k] - h->low) * scale);
        h->count[bin < h->bins ? bin : h->bins - 1]++;
    }
}

/* State: the edges. */
static loom_status bins_part(loom_part *part) {
    histogram h = *(const histogram *)part->state;
    h.count = (uint64_t *)part->shared[BINS] + part->lane * h.bins;
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
    void *memory = NULL;
    LOOM_TRY(loom_share(call, BINS, h->bins * lanes, sizeof *h->count, &memory));
    histogram state = {.bins = h->bins, .low = h->low, .high = h->high}; /* no pointers */
    LOOM_TRY(loom_run_parts(call, BINS_LOOP, loom_image_voxels(h->image->image.header), LOOM_PART_VALUES, &state,
                            sizeof state));
    h->count = memory;
    for (uint32_t lane = 1; lane < lanes; lane++)
        for (size_t bin = 0; bin < h->bins; bin++)
            h->count[bin] += h->count[lane * h->bins + bin];
    return LOOM_OK;
}

/* Edges: fixed for 8-bit images, else from the values, widened a little at the upper end. */
static loom_status set_range(loom_call *call, histogram *h) {
    uint8_t dtype = h->image->image.header->dtype;
    LOOM_TRY(survey(call, h));
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

typedef struct above {
    double limit;
    uint8_t *out;
} above;

static void apply(void *context, uint64_t first, const double *values, const uint8_t *mask, size_t count) {
    const above *what = context;
    for (size_t k = 0; k < count; k++)
        what->out[first + k] = mask[k] != 0 && values[k] > what->limit;
}

/* State: the threshold. */
static loom_status apply_part(loom_part *part) {
    above what = {.limit = *(const double *)part->state, .out = part->voxels};
    return each_chunk(part, apply, &what);
}

static const loom_part_run loops[] = {[RANGE_LOOP] = range_part, [BINS_LOOP] = bins_part, [APPLY_LOOP] = apply_part};
const loom_loops loom_loops_otsu = {.run = loops, .count = 3};

loom_status loom_run_otsu(loom_call *call) {
    histogram h = {0};
    double bins = 0;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &h.image));
    LOOM_TRY(loom_arg_image(call, 1, &h.mask));
    LOOM_TRY(loom_arg_number(call, 2, &bins));
    LOOM_TRY(loom_arg_same_domain(call, h.image, 0, h.mask, 1));
    if (!(bins >= 2.0 && bins <= BINS_MAX)) return loom_arg_refuse(call, 2, "a number of bins from 2 to 1000000");
    h.bins = (size_t)bins;
    LOOM_TRY(set_range(call, &h));
    size_t chosen = 0;
    if (h.high > h.low) {
        LOOM_TRY(fill_all_bins(call, &h));
        chosen = best_bin(&h);
    }
    uint8_t dtype = h.image->image.header->dtype;
    double edge = h.low + (h.high - h.low) / (double)h.bins * (double)(chosen + 1);
    LOOM_TRY(loom_result_image(call, h.image->image.header, LOOM_BOOL8, 1, &voxels));
    loom_pixel threshold = loom_pixel_from_double(dtype, edge);
    double limit = 0;
    loom_cast(dtype, &threshold, LOOM_F64, &limit, 1);
    return loom_run_parts(call, APPLY_LOOP, loom_image_voxels(h.image->image.header), LOOM_PART_VALUES, &limit,
                          sizeof limit);
}
