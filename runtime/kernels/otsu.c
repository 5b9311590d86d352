/* otsu.c - Otsu's threshold within a mask, as ITK's OtsuThresholdImageFilter with a mask value of 1.
 *
 * N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9(1), 1979. The histogram counts
 * voxels where the mask is exactly 1; the threshold is the upper edge of the bin that maximises the variance between
 * classes, bin midpoints standing for values. Two passes over the image; scratch: 8 bytes a bin. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/kernels/arguments.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/voxels.h"

#define BINS_MAX 1000000

typedef struct histogram {
    const loom_value *image, *mask;
    uint64_t *count;
    size_t bins;
    double low, high; /* edges of the first and last bin */
    uint64_t total;
} histogram;

/* Calls `visit` on the values of each chunk as doubles. */
typedef void (*chunk_visit)(histogram *h, const double *values, const uint8_t *mask, size_t count);

static void each_chunk(histogram *h, chunk_visit visit) {
    const loom_image_header *header = h->image->image.header;
    size_t pixel_bytes = loom_dtype_bytes(header->dtype);
    uint64_t voxels = loom_image_voxels(header);
    double values[LOOM_CHUNK];
    uint8_t bytes[LOOM_CHUNK];
    for (uint64_t first = 0; first < voxels; first += LOOM_CHUNK) {
        size_t count = voxels - first < LOOM_CHUNK ? (size_t)(voxels - first) : LOOM_CHUNK;
        loom_cast(header->dtype, (const uint8_t *)h->image->image.voxels + first * pixel_bytes, LOOM_F64, values,
                  count);
        visit(h, values, loom_as_u8(h->mask, first, count, bytes), count);
    }
}

static void find_range(histogram *h, const double *values, const uint8_t *mask, size_t count) {
    for (size_t k = 0; k < count; k++) {
        if (mask[k] != 1) continue;
        h->total++;
        if (values[k] < h->low) h->low = values[k];
        if (values[k] > h->high) h->high = values[k];
    }
}

/* Values outside the range, which only NaN is, are not counted. The last edge belongs to the last bin. */
static void fill_bins(histogram *h, const double *values, const uint8_t *mask, size_t count) {
    double scale = (double)h->bins / (h->high - h->low);
    for (size_t k = 0; k < count; k++) {
        if (mask[k] != 1 || !(values[k] >= h->low && values[k] <= h->high)) continue;
        size_t bin = (size_t)((values[k] - h->low) * scale);
        h->count[bin < h->bins ? bin : h->bins - 1]++;
    }
}

/* Edges: fixed for 8-bit images, else from the values, widened a little at the upper end. */
static loom_status set_range(loom_call *call, histogram *h) {
    uint8_t dtype = h->image->image.header->dtype;
    h->low = INFINITY;
    h->high = -INFINITY;
    each_chunk(h, find_range);
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

static void apply(const histogram *h, loom_pixel threshold, uint8_t *out) {
    const loom_image_header *header = h->image->image.header;
    uint64_t voxels = loom_image_voxels(header);
    double limit = 0, values[LOOM_CHUNK];
    uint8_t bytes[LOOM_CHUNK];
    size_t pixel_bytes = loom_dtype_bytes(header->dtype);
    loom_cast(header->dtype, &threshold, LOOM_F64, &limit, 1);
    for (uint64_t first = 0; first < voxels; first += LOOM_CHUNK) {
        size_t count = voxels - first < LOOM_CHUNK ? (size_t)(voxels - first) : LOOM_CHUNK;
        loom_cast(header->dtype, (const uint8_t *)h->image->image.voxels + first * pixel_bytes, LOOM_F64, values,
                  count);
        const uint8_t *truth = loom_as_u8(h->mask, first, count, bytes);
        for (size_t k = 0; k < count; k++)
            out[first + k] = truth[k] != 0 && values[k] > limit;
    }
}

loom_status loom_run_otsu(loom_call *call) {
    histogram h = {0};
    double bins = 0;
    void *memory = NULL, *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &h.image));
    LOOM_TRY(loom_arg_image(call, 1, &h.mask));
    LOOM_TRY(loom_arg_number(call, 2, &bins));
    LOOM_TRY(loom_arg_same_domain(call, h.image, 0, h.mask, 1));
    if (!(bins >= 2.0 && bins <= BINS_MAX)) return loom_arg_refuse(call, 2, "a number of bins from 2 to 1000000");
    h.bins = (size_t)bins;
    LOOM_TRY(loom_scratch(call, h.bins, sizeof *h.count, &memory));
    h.count = memory;
    memset(h.count, 0, h.bins * sizeof *h.count);
    LOOM_TRY(set_range(call, &h));
    size_t chosen = 0;
    if (h.high > h.low) {
        each_chunk(&h, fill_bins);
        chosen = best_bin(&h);
    }
    uint8_t dtype = h.image->image.header->dtype;
    double edge = h.low + (h.high - h.low) / (double)h.bins * (double)(chosen + 1);
    LOOM_TRY(loom_result_image(call, h.image->image.header, LOOM_BOOL8, 1, &voxels));
    apply(&h, loom_pixel_from_double(dtype, edge), voxels);
    return LOOM_OK;
}
