/* correlation.c - crossCorrelation: how similar the histogram of each voxel's neighbourhood is to that of a reference
 * region (G. Belmonte et al., "A topological method for automatic segmentation of glioblastoma in MR FLAIR for
 * radiotherapy", MAGMA 30, 2017: statistical similarity of textures). See correlation.h for the algorithm.
 *
 * Every voxel is computed; VoxLogicA-2 leaves the last ones of its walk (defect S3). */
#include <math.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/spatial/correlation.h"

enum { RADIUS_ARGUMENT, IMAGE, REFERENCE_IMAGE, REFERENCE_MASK, LOW, HIGH, BINS_ARGUMENT };
enum { REFERENCE_LOOP, BIN_LOOP, CORRELATE_LOOP };
enum { REFERENCE, BINS }; /* shared: a histogram a lane, summed into the first one; the bin of each voxel */
#define VECTOR 16u        /* bins are padded to a multiple */

/* Bins of values. What is not a number, or not in range, is not counted; neither is a quotient that rounds up to the
 * number of bins. */
static void find_bins(const loom_pattern *pattern, const float *values, size_t count, uint16_t *restrict bins) {
    const double low = pattern->low, high = pattern->high, width = pattern->width, limit = pattern->bins;
    const uint16_t uncounted = (uint16_t)pattern->padded;
    for (size_t k = 0; k < count; k++) {
        double value = (double)values[k], quotient = (value - low) / width;
        bool counted = value >= low && value < high && quotient >= 0 && quotient < limit;
        bins[k] = counted ? (uint16_t)(int32_t)(counted ? quotient : 0) : uncounted;
    }
}

static size_t chunk_at(uint64_t first, uint64_t end) {
    return end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
}

static loom_status reference_part(loom_part *part) {
    const loom_pattern *pattern = part->state;
    const loom_value *image = NULL, *mask = NULL;
    uint64_t *counts = (uint64_t *)part->shared[REFERENCE] + part->lane * (pattern->padded + 1);
    float numbers[LOOM_CHUNK];
    uint8_t bytes[LOOM_CHUNK];
    uint16_t bins[LOOM_CHUNK];
    LOOM_TRY(loom_arg_image(part->call, REFERENCE_IMAGE, &image));
    LOOM_TRY(loom_arg_image(part->call, REFERENCE_MASK, &mask));
    for (uint64_t first = part->first, end = first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = chunk_at(first, end);
        find_bins(pattern, loom_as_float(image, first, count, numbers), count, bins);
        const uint8_t *truth = loom_as_u8(mask, first, count, bytes);
        for (size_t k = 0; k < count; k++)
            if (truth[k]) counts[bins[k]]++;
    }
    return LOOM_OK;
}

static loom_status bin_part(loom_part *part) {
    const loom_value *image = NULL;
    float numbers[LOOM_CHUNK];
    LOOM_TRY(loom_arg_image(part->call, IMAGE, &image));
    for (uint64_t first = part->first, end = first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = chunk_at(first, end);
        find_bins(part->state, loom_as_float(image, first, count, numbers), count,
                  (uint16_t *)part->shared[BINS] + first);
    }
    return LOOM_OK;
}

/* Some rows. */
static loom_status correlate_part(loom_part *part) {
    const loom_pattern *pattern = part->state;
    loom_columns *columns = *part->local;
    if (columns == NULL) LOOM_TRY(loom_columns_open(part->call, pattern, &columns));
    *part->local = columns;
    for (uint64_t row = part->first; row < part->first + part->count; row++)
        loom_columns_row(columns, pattern, part->shared[BINS], part->shared[REFERENCE], row,
                         (float *)part->voxels + row * pattern->size[0]);
    return LOOM_OK;
}

static const loom_part_run loops[] = {
    [REFERENCE_LOOP] = reference_part, [BIN_LOOP] = bin_part, [CORRELATE_LOOP] = correlate_part};

/* The box and the bins: false if they make no sense. */
static bool measure(const loom_image_header *header, double radius, double bins, loom_pattern *pattern) {
    uint64_t largest = 1;
    if (!(radius >= 0 && radius < INFINITY && bins >= 1 && bins <= LOOM_BINS_MAX)) return false;
    for (unsigned d = 0; d < LOOM_RANK_MAX; d++) {
        double voxels = d < header->rank ? rint(radius / header->spacing[d]) : 0; /* halves to the even number */
        if (voxels < 1) voxels = 1;
        pattern->size[d] = header->size[d];
        pattern->radius[d] =
            voxels < (double)header->size[d] ? (uint64_t)voxels : header->size[d] - 1; /* beyond is outside */
        uint64_t extent = 2 * pattern->radius[d] + 1;
        largest *= extent < header->size[d] ? extent : header->size[d];
    }
    pattern->bins = (uint32_t)bins;
    pattern->padded = (pattern->bins + VECTOR - 1) / VECTOR * VECTOR;
    pattern->large = largest > INT16_MAX;
    return true;
}

/* 2 bytes a voxel for bins, histograms of columns a worker, and of the reference. */
static uint64_t scratch(const loom_call *call, uint32_t lanes) {
    loom_pattern pattern = {0};
    double radius = 0, bins = 0;
    if (call->argument_count <= BINS_ARGUMENT || call->arguments[IMAGE].type != LOOM_IMAGE) return 0;
    const loom_image_header *header = call->arguments[IMAGE].image.header;
    if (!loom_value_number(&call->arguments[RADIUS_ARGUMENT], &radius) ||
        !loom_value_number(&call->arguments[BINS_ARGUMENT], &bins) || !measure(header, radius, bins, &pattern))
        return 0;
    return loom_image_voxels(header) * sizeof(uint16_t) +
           lanes * (loom_columns_bytes(&pattern) + (pattern.padded + 1) * sizeof(uint64_t));
}
const loom_loops loom_loops_correlation = {.run = loops, .count = 3, .scratch = scratch};

static loom_status read_pattern(loom_call *call, const loom_image_header *header, loom_pattern *pattern) {
    double radius = 0, bins = 0;
    LOOM_TRY(loom_arg_number(call, RADIUS_ARGUMENT, &radius));
    LOOM_TRY(loom_arg_number(call, LOW, &pattern->low));
    LOOM_TRY(loom_arg_number(call, HIGH, &pattern->high));
    LOOM_TRY(loom_arg_number(call, BINS_ARGUMENT, &bins));
    if (!measure(header, radius, bins, pattern))
        return loom_fail(
            call->err, LOOM_BAD_ARGUMENT,
            "`%s` got a radius of %g and %g bins; it needs a radius that is not negative, and 1 to %u bins",
            call->op->name, radius, bins, LOOM_BINS_MAX);
    pattern->width = (pattern->high - pattern->low) / (double)pattern->bins;
    return LOOM_OK;
}

/* The histogram of the reference, its count of values that do not count 0. */
static loom_status read_reference(loom_call *call, const loom_image_header *header, loom_pattern *pattern) {
    const size_t length = pattern->padded + 1;
    uint32_t lanes = loom_lanes(call);
    void *memory = NULL;
    LOOM_TRY(loom_share(call, REFERENCE, length * lanes, sizeof(uint64_t), &memory));
    LOOM_TRY(
        loom_run_parts(call, REFERENCE_LOOP, loom_image_voxels(header), LOOM_PART_VALUES, pattern, sizeof *pattern));
    uint64_t *counts = memory;
    for (uint32_t lane = 1; lane < lanes; lane++)
        for (size_t b = 0; b < length; b++)
            counts[b] += counts[lane * length + b];
    counts[pattern->padded] = 0;
    for (size_t b = 0; b < pattern->bins; b++) {
        pattern->inside += counts[b];
        pattern->squares += counts[b] * counts[b];
    }
    return LOOM_OK;
}

/* Rows of a part: several times what it costs to begin one, and some hundred microseconds. */
static uint64_t rows_a_part(const loom_pattern *pattern) {
    uint64_t begin = 4 * (2 * pattern->radius[1] + 1), rows = 16384 / pattern->size[0] + 1;
    return begin > rows ? begin : rows;
}

/* Scratch: 2 bytes a voxel, because the bin of each is used hundreds of times; 2 or 4 bytes a bin and voxel of a row a
 * worker; 8 bytes a bin a worker. */
loom_status loom_run_cross_correlation(loom_call *call) {
    const loom_value *image = NULL, *from = NULL, *mask = NULL;
    loom_pattern pattern = {0};
    void *memory = NULL;
    LOOM_TRY(loom_arg_image(call, IMAGE, &image));
    LOOM_TRY(loom_arg_image(call, REFERENCE_IMAGE, &from));
    LOOM_TRY(loom_arg_image(call, REFERENCE_MASK, &mask));
    LOOM_TRY(loom_arg_same_domain(call, from, REFERENCE_IMAGE, mask, REFERENCE_MASK));
    const loom_image_header *header = image->image.header;
    uint64_t total = loom_image_voxels(header);
    if (total > UINT32_MAX || loom_image_voxels(from->image.header) > UINT32_MAX)
        return loom_fail(call->err, LOOM_TOO_LARGE, "`%s` takes images of at most 4294967295 voxels", call->op->name);
    LOOM_TRY(read_pattern(call, header, &pattern));
    LOOM_TRY(read_reference(call, from->image.header, &pattern));
    LOOM_TRY(loom_share(call, BINS, (size_t)total, sizeof(uint16_t), &memory));
    LOOM_TRY(loom_run_parts(call, BIN_LOOP, total, LOOM_PART_VALUES, &pattern, sizeof pattern));
    LOOM_TRY(loom_result_image(call, header, LOOM_F32, 1, &memory));
    return loom_run_parts(call, CORRELATE_LOOP, total / header->size[0], rows_a_part(&pattern), &pattern,
                          sizeof pattern);
}
