/* sweep.c - the volumes of many comparisons of one image with numbers, in one pass: a histogram whose edges are the
 * numbers. Exact: numbers become pixels as the comparisons have it (compare.c), and what a comparison would count is a
 * sum of bins. Images of 8 and 16 bits: a histogram of the values, which are put into the bins afterwards.
 *
 * Scratch: 135 KB for the edges, and for each worker its bins (at most 8 KB, 512 KB of 16-bit images). */
#include <stdlib.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/statistics/sweep.h"
#include "runtime/kernels/statistics/sweep_keys.h"

enum { EDGES_BLOCK, COUNTS_BLOCK }; /* of shared memory */

/* One comparison. */
typedef struct item {
    loom_sweep_relation relation;
    bool complement;
    bool refused;     /* its bounds are in the wrong order: asked alone it says so */
    bool nothing;     /* compared with NaN */
    uint64_t keys[2]; /* of its numbers */
} item;

/* ---- counting ---- */

/* Of 8- and 16-bit images the values are counted, of others the bins. */
static uint32_t histogram_entries(uint8_t dtype) {
    size_t bytes = loom_dtype_bytes(dtype);
    return bytes == 1 ? 1u << 8 : bytes == 2 ? 1u << 16 : 0;
}

static uint32_t counts_of(const loom_sweep_edges *edges) {
    uint32_t entries = histogram_entries(edges->dtype);
    return entries ? entries : LOOM_SWEEP_BINS(edges->count);
}

static void count_bytes(const uint8_t *values, uint64_t count, uint64_t *histogram) {
    uint64_t copies[4][256] = {{0}}; /* in turn: equal neighbours would wait for each other's count */
    for (uint64_t k = 0; k < count; k++)
        copies[k % 4][values[k]]++;
    for (uint32_t value = 0; value < 256; value++)
        for (uint32_t copy = 0; copy < 4; copy++)
            histogram[value] += copies[copy][value];
}

static void count_words(const uint16_t *values, uint64_t count, uint64_t *histogram) {
    for (uint64_t k = 0; k < count;) { /* runs of equal values, such as the background */
        uint64_t first = k;
        while (k < count && values[k] == values[first])
            k++;
        histogram[values[first]] += k - first;
    }
}

static loom_status count_part(loom_part *part) {
    const loom_value *image = NULL;
    const loom_sweep_edges *edges = part->shared[EDGES_BLOCK];
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    uint64_t *counts = (uint64_t *)part->shared[COUNTS_BLOCK] + (size_t)part->lane * counts_of(edges);
    const void *values = loom_values_at(image, part->first);
    switch (loom_dtype_bytes(edges->dtype)) {
    case 1:
        count_bytes(values, part->count, counts);
        break;
    case 2:
        count_words(values, part->count, counts);
        break;
    default:
        loom_sweep_count(edges, values, part->count, counts);
    }
    return LOOM_OK;
}

static const loom_part_run loops[] = {count_part};
const loom_loops loom_loops_sweep = {.run = loops, .count = 1};

/* ---- items ---- */

/* A number as a pixel's key. False: NaN. */
static bool key_of(uint8_t dtype, const uint8_t *number, uint64_t *key) {
    double value;
    memcpy(&value, number, sizeof value); /* not aligned */
    return loom_sweep_key(dtype, loom_pixel_from_double(dtype, value), key);
}

/* Items and their numbers, as the text has it. */
static loom_status read_items(loom_call *call, uint8_t dtype, const char *letters, size_t count, item *items) {
    const loom_value *numbers = NULL;
    LOOM_TRY(loom_arg(call, 2, &numbers));
    if (numbers->type != LOOM_BYTES) return loom_arg_refuse(call, 2, "bytes");
    const uint8_t *next = (const uint8_t *)numbers->text.bytes;
    size_t left = numbers->text.length / sizeof(double);
    for (size_t i = 0; i < count; i++) {
        unsigned code = (unsigned)(unsigned char)letters[i] - 'a', relation = code % LOOM_SWEEP_NOT;
        unsigned takes = relation == LOOM_SWEEP_BETWEEN ? 2 : 1;
        if (code >= 2 * LOOM_SWEEP_NOT || relation >= LOOM_SWEEP_RELATIONS || takes > left)
            return loom_arg_refuse(call, 1, "a letter for each comparison");
        item *of = &items[i];
        *of = (item){.relation = (loom_sweep_relation)relation, .complement = code >= LOOM_SWEEP_NOT};
        of->nothing = !key_of(dtype, next, &of->keys[0]);
        if (takes == 2)
            of->refused =
                !key_of(dtype, next + sizeof(double), &of->keys[1]) || of->nothing || of->keys[0] > of->keys[1];
        next += takes * sizeof(double);
        left -= takes;
    }
    return left == 0 ? LOOM_OK : loom_arg_refuse(call, 1, "a letter for each comparison");
}

static void find_edges(const item *items, size_t count, loom_sweep_edges *edges) {
    for (size_t i = 0; i < count; i++) {
        if (items[i].refused || items[i].nothing) continue;
        edges->keys[edges->count++] = items[i].keys[0];
        if (items[i].relation == LOOM_SWEEP_BETWEEN) edges->keys[edges->count++] = items[i].keys[1];
    }
    loom_sweep_edges_settle(edges);
}

/* ---- sums ---- */

/* What was counted: sums[b] of the bins before b; `comparable` without NaN. */
typedef struct totals {
    const loom_sweep_edges *edges;
    uint64_t sums[LOOM_SWEEP_BINS_MAX + 1];
    uint64_t all, comparable;
} totals;

static void add_lanes(const loom_sweep_edges *edges, uint64_t *counts, uint32_t lanes, totals *of) {
    uint32_t entries = counts_of(edges), bins = LOOM_SWEEP_BINS(edges->count);
    uint64_t in_bins[LOOM_SWEEP_BINS_MAX] = {0};
    for (uint32_t lane = 1; lane < lanes; lane++)
        for (uint32_t k = 0; k < entries; k++)
            counts[k] += counts[(size_t)lane * entries + k];
    if (histogram_entries(edges->dtype))
        loom_sweep_count_histogram(edges, counts, in_bins);
    else
        memcpy(in_bins, counts, bins * sizeof *counts);
    of->edges = edges;
    of->sums[0] = 0;
    for (uint32_t bin = 0; bin < bins; bin++)
        of->sums[bin + 1] = of->sums[bin] + in_bins[bin];
    of->all = of->sums[bins];
    of->comparable = loom_dtype_is_float(edges->dtype) ? of->sums[bins - 1] : of->all;
}

static uint64_t below(const totals *of, uint64_t key) {
    return of->sums[2 * loom_sweep_edge_of(of->edges, key) + 1];
}
static uint64_t at_most(const totals *of, uint64_t key) {
    return of->sums[2 * loom_sweep_edge_of(of->edges, key) + 2];
}

static uint64_t volume_of(const totals *of, const item *one) {
    uint64_t low = one->keys[0];
    if (one->nothing) return one->relation == LOOM_SWEEP_NOT_EQUAL ? of->all : 0;
    switch (one->relation) {
    case LOOM_SWEEP_EQUAL:
        return at_most(of, low) - below(of, low);
    case LOOM_SWEEP_NOT_EQUAL:
        return of->all - (at_most(of, low) - below(of, low));
    case LOOM_SWEEP_LESS:
        return below(of, low);
    case LOOM_SWEEP_LESS_EQUAL:
        return at_most(of, low);
    case LOOM_SWEEP_GREATER:
        return of->comparable - at_most(of, low);
    case LOOM_SWEEP_GREATER_EQUAL:
        return of->comparable - below(of, low);
    case LOOM_SWEEP_BETWEEN:
        return at_most(of, one->keys[1]) - below(of, low);
    case LOOM_SWEEP_RELATIONS:
        break;
    }
    return 0;
}

/* ---- the whole ---- */

static bool is_swept(loom_call *call, const loom_value **image) {
    loom_error ignored = {0};
    loom_call quiet = *call;
    quiet.err = &ignored;
    return loom_arg_image(&quiet, 0, image) == LOOM_OK;
}

static loom_status sweep(loom_call *call, const loom_value *image, const item *items, size_t count,
                         loom_value *volumes) {
    void *edges_memory = NULL, *counts = NULL;
    uint32_t lanes = loom_lanes(call);
    uint64_t total = loom_image_voxels(image->image.header);
    LOOM_TRY(loom_share(call, EDGES_BLOCK, 1, sizeof(loom_sweep_edges), &edges_memory));
    loom_sweep_edges *edges = edges_memory;
    edges->dtype = image->image.header->dtype;
    find_edges(items, count, edges);
    LOOM_TRY(loom_share(call, COUNTS_BLOCK, (size_t)lanes * counts_of(edges), sizeof(uint64_t), &counts));
    LOOM_TRY(loom_run_parts(call, 0, total, LOOM_PART_VALUES, NULL, 0));
    totals *of = NULL;
    LOOM_TRY(loom_scratch(call, 1, sizeof *of, (void **)&of));
    add_lanes(edges, counts, lanes, of);
    for (size_t i = 0; i < count; i++) {
        uint64_t volume = volume_of(of, &items[i]);
        if (!items[i].refused) volumes[i] = loom_float((double)(items[i].complement ? of->all - volume : volume));
    }
    return LOOM_OK;
}

loom_status loom_run_sweep(loom_call *call) {
    const loom_value *image = NULL;
    const char *letters = NULL;
    size_t count = 0;
    LOOM_TRY(loom_arg_string(call, 1, &letters, &count));
    if (count == 0 || count > LOOM_SWEEP_ITEMS_MAX) return loom_arg_refuse(call, 1, "1 to 256 letters");
    loom_value *volumes = loom_arena_array(call->arena, count, sizeof *volumes);
    item *items = loom_arena_array(call->arena, count, sizeof *items);
    if (!volumes || !items) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
    for (size_t i = 0; i < count; i++)
        volumes[i] = loom_null();
    bool swept = is_swept(call, &image);
    LOOM_TRY(read_items(call, swept ? image->image.header->dtype : LOOM_U8, letters, count, items));
    if (swept) LOOM_TRY(sweep(call, image, items, count, volumes));
    call->result = loom_sequence(volumes, count);
    return LOOM_OK;
}
