/* array_figures.c - count_pixels, array_stats and compare_arrays: figures of arrays, as numpy has them.
 *
 * Different values and medians come from sorted 64-bit keys that have the order of the values: radix sort, least digit
 * first, digits that do not differ left out (D. Knuth, The Art of Computer Programming 3, section 5.2.5). Not a number
 * sorts last and is one value. Sums are in raster order. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/statistics/array.h"
#include "runtime/kernels/statistics/figures.h"

#define DIFFERENT_MAX (UINT64_C(1) << 20) /* values that count_pixels lists */
#define SIGN (UINT64_C(1) << 63)

static size_t chunk_at(uint64_t first, uint64_t end) {
    return end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
}

/* ---- sorting ---- */

static uint64_t key_of_real(double value) {
    uint64_t bits;
    if (value != value) return UINT64_MAX;
    value += 0.0; /* one zero */
    memcpy(&bits, &value, sizeof bits);
    return bits & SIGN ? ~bits : bits | SIGN;
}

static double real_of_key(uint64_t key) {
    double value;
    if (key == UINT64_MAX) return NAN;
    uint64_t bits = key & SIGN ? key ^ SIGN : ~key;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static loom_value value_of_key(const loom_array *array, uint64_t key) {
    if (loom_dtype_is_float(array->dtype)) return loom_float(real_of_key(key));
    if (array->truths) return loom_bool(key == (SIGN | 1));
    uint64_t bits = array->dtype == LOOM_U64 ? key : key ^ SIGN;
    if (array->dtype == LOOM_U64 && bits > INT64_MAX) return loom_float((double)bits);
    int64_t whole;
    memcpy(&whole, &bits, sizeof whole);
    return loom_int(whole);
}

static void make_keys(const loom_array *array, uint64_t *keys) {
    double reals[LOOM_CHUNK];
    int64_t whole[LOOM_CHUNK];
    for (uint64_t first = 0; first < array->count; first += LOOM_CHUNK) {
        size_t count = chunk_at(first, array->count);
        if (loom_dtype_is_float(array->dtype)) {
            loom_array_doubles(array, first, count, reals);
            for (size_t k = 0; k < count; k++)
                keys[first + k] = key_of_real(reals[k]);
        } else {
            const uint64_t flip = array->dtype == LOOM_U64 ? 0 : SIGN;
            loom_array_integers(array, first, count, whole);
            for (size_t k = 0; k < count; k++)
                keys[first + k] = (uint64_t)whole[k] ^ flip;
        }
    }
}

/* Sorts; returns where the keys are then, here or in `other`. */
static uint64_t *sort_keys(uint64_t *keys, uint64_t *other, uint64_t count) {
    uint64_t starts[8][256] = {{0}};
    for (uint64_t k = 0; k < count; k++)
        for (unsigned digit = 0; digit < 8; digit++)
            starts[digit][keys[k] >> (8 * digit) & 255]++;
    for (unsigned digit = 0; digit < 8; digit++) {
        uint64_t *start = starts[digit], sum = 0;
        if (start[keys[0] >> (8 * digit) & 255] == count) continue; /* all alike */
        for (unsigned value = 0; value < 256; value++) {
            uint64_t here = start[value];
            start[value] = sum;
            sum += here;
        }
        for (uint64_t k = 0; k < count; k++)
            other[start[keys[k] >> (8 * digit) & 255]++] = keys[k];
        uint64_t *swap = keys;
        keys = other;
        other = swap;
    }
    return keys;
}

/* Scratch: 16 bytes a value. */
static loom_status sorted_keys(loom_call *call, const loom_array *array, const uint64_t **sorted) {
    void *memory = NULL;
    LOOM_TRY(loom_scratch(call, 2 * (size_t)array->count, sizeof(uint64_t), &memory));
    make_keys(array, memory);
    *sorted = sort_keys(memory, (uint64_t *)memory + array->count, array->count);
    return LOOM_OK;
}

static uint64_t count_different(const uint64_t *sorted, uint64_t count) {
    uint64_t different = 1;
    for (uint64_t k = 1; k < count; k++)
        different += sorted[k] != sorted[k - 1];
    return different;
}

/* ---- count_pixels ---- */

static loom_status count_all(loom_call *call, const loom_array *array) {
    const uint64_t *sorted = NULL;
    loom_value *values = NULL, *counts = NULL, *shares = NULL;
    loom_figures figures;
    LOOM_TRY(sorted_keys(call, array, &sorted));
    uint64_t different = count_different(sorted, array->count), used = 0;
    if (different > DIFFERENT_MAX)
        return loom_fail(call->err, LOOM_TOO_LARGE,
                         "`%s` found %llu different values and lists at most %llu; count one value, or `Cast` to whole "
                         "numbers first",
                         call->op->name, (unsigned long long)different, (unsigned long long)DIFFERENT_MAX);
    LOOM_TRY(loom_figures_list(call, different, &values));
    LOOM_TRY(loom_figures_list(call, different, &counts));
    LOOM_TRY(loom_figures_list(call, different, &shares));
    for (uint64_t k = 0, end; k < array->count; k = end, used++) {
        for (end = k + 1; end < array->count && sorted[end] == sorted[k];)
            end++;
        values[used] = value_of_key(array, sorted[k]);
        counts[used] = loom_int((int64_t)(end - k));
        shares[used] = loom_float((double)(end - k) / (double)array->count * 100);
    }
    LOOM_TRY(loom_figures_open(call, 4, &figures));
    loom_figure_list(&figures, "unique_values", values, different);
    loom_figure_list(&figures, "counts", counts, different);
    loom_figure_whole(&figures, "total_pixels", array->count);
    loom_figure_list(&figures, "percentages", shares, different);
    return LOOM_OK;
}

/* Scratch: 16 bytes a value to count all of them, none to count one. */
loom_status loom_run_count_pixels(loom_call *call) {
    loom_array array;
    double value = 0;
    uint64_t found = 0;
    loom_figures figures;
    LOOM_TRY(loom_arg_array(call, 0, &array));
    if (call->argument_count < 2) return count_all(call, &array);
    LOOM_TRY(loom_arg_number(call, 1, &value));
    LOOM_TRY(loom_count_value(call, array.count, value, &found));
    LOOM_TRY(loom_figures_open(call, 4, &figures));
    loom_figure_real(&figures, "value", value);
    loom_figure_whole(&figures, "count", found);
    loom_figure_whole(&figures, "total_pixels", array.count);
    loom_figure_real(&figures, "percentage", (double)found / (double)array.count * 100);
    return LOOM_OK;
}

/* ---- array_stats ---- */

static double sum_of_powers(const loom_array *array, double from, bool squared) {
    double reals[LOOM_CHUNK], sum = 0;
    for (uint64_t first = 0; first < array->count; first += LOOM_CHUNK) {
        size_t count = chunk_at(first, array->count);
        double part = 0;
        loom_array_doubles(array, first, count, reals);
        for (size_t k = 0; k < count; k++)
            part += squared ? (reals[k] - from) * (reals[k] - from) : reals[k];
        sum += part;
    }
    return sum;
}

static double number_of_key(const loom_array *array, uint64_t key) {
    double number = 0;
    loom_value value = value_of_key(array, key);
    (void)loom_value_number(&value, &number); /* it is one */
    return number;
}

/* The middle one, or the mean of both, which is a float32 for float32. */
static double median_of(const loom_array *array, const uint64_t *sorted) {
    double low = number_of_key(array, sorted[(array->count - 1) / 2]);
    double high = number_of_key(array, sorted[array->count / 2]);
    if (sorted[array->count - 1] == UINT64_MAX && loom_dtype_is_float(array->dtype)) return NAN;
    if (array->count % 2 == 1) return low;
    return array->dtype == LOOM_F32 ? (double)(((float)low + (float)high) / 2.0f) : (low + high) / 2.0;
}

/* Scratch: 16 bytes a value, which are sorted for the median. */
loom_status loom_run_array_stats(loom_call *call) {
    loom_array array;
    const uint64_t *sorted = NULL;
    loom_value *shape = NULL;
    loom_figures figures;
    LOOM_TRY(loom_arg_array(call, 0, &array));
    LOOM_TRY(sorted_keys(call, &array, &sorted));
    const double count = (double)array.count, mean = sum_of_powers(&array, 0, false) / count;
    const double largest = number_of_key(&array, sorted[array.count - 1]);
    LOOM_TRY(loom_figures_list(call, array.rank, &shape));
    for (unsigned d = 0; d < array.rank; d++)
        shape[d] = loom_int((int64_t)array.shape[d]);
    LOOM_TRY(loom_figures_open(call, 8, &figures));
    loom_figure_real(&figures, "mean", mean);
    loom_figure_real(&figures, "std", sqrt(sum_of_powers(&array, mean, true) / count));
    loom_figure_real(&figures, "min", isnan(largest) ? largest : number_of_key(&array, sorted[0]));
    loom_figure_real(&figures, "max", largest);
    loom_figure_real(&figures, "median", median_of(&array, sorted));
    loom_figure_list(&figures, "shape", shape, array.rank);
    loom_figure_whole(&figures, "total_elements", array.count);
    loom_figure_whole(&figures, "unique_values", count_different(sorted, array.count));
    return LOOM_OK;
}

/* ---- compare_arrays ---- */

/* Second minus first in the common type: integers wrap, float32 is rounded. */
static void subtract(const loom_array *a, const loom_array *b, uint64_t first, size_t count, double *out) {
    const uint8_t common = loom_common_dtype(a->dtype, b->dtype);
    if (loom_dtype_is_float(common)) {
        double left[LOOM_CHUNK];
        loom_array_doubles(a, first, count, left);
        loom_array_doubles(b, first, count, out);
        for (size_t k = 0; k < count; k++)
            out[k] = common == LOOM_F32 ? (double)((float)out[k] - (float)left[k]) : out[k] - left[k];
        return;
    }
    int64_t left[LOOM_CHUNK], right[LOOM_CHUNK];
    uint64_t wrapped[LOOM_CHUNK];
    loom_array_integers(a, first, count, left);
    loom_array_integers(b, first, count, right);
    for (size_t k = 0; k < count; k++)
        right[k] = (int64_t)((uint64_t)right[k] - (uint64_t)left[k]);
    loom_cast(LOOM_I64, right, common, wrapped, count);
    loom_cast(common, wrapped, LOOM_F64, out, count);
}

/* Differences of all values. */
typedef struct comparison {
    uint64_t equal;
    double sum, size_sum, low, high, largest;
    bool nan;
} comparison;

static void compare_chunk(const loom_array *a, const loom_array *b, uint64_t first, size_t count, comparison *all) {
    double differences[LOOM_CHUNK], sum = 0, size_sum = 0;
    all->equal += loom_count_equal(a, b, first, count);
    subtract(a, b, first, count, differences);
    for (size_t k = 0; k < count; k++) {
        double difference = differences[k], size = fabs(difference);
        all->nan |= difference != difference;
        sum += difference;
        size_sum += size;
        all->low = difference < all->low ? difference : all->low;
        all->high = difference > all->high ? difference : all->high;
        all->largest = size > all->largest ? size : all->largest;
    }
    all->sum += sum;
    all->size_sum += size_sum;
}

loom_status loom_run_compare_arrays(loom_call *call) {
    loom_array a, b;
    loom_figures figures;
    comparison all = {.low = INFINITY, .high = -INFINITY};
    LOOM_TRY(loom_arg_two_arrays(call, &a, &b));
    for (uint64_t first = 0; first < a.count; first += LOOM_CHUNK)
        compare_chunk(&a, &b, first, chunk_at(first, a.count), &all);
    const double count = (double)a.count;
    LOOM_TRY(loom_figures_open(call, 10, &figures));
    loom_field *match = &figures.fields[figures.count++];
    *match = (loom_field){.name = "shapes_match", .name_length = strlen("shapes_match"), .value = loom_bool(true)};
    loom_figure_whole(&figures, "elements_equal", all.equal);
    loom_figure_whole(&figures, "elements_different", a.count - all.equal);
    loom_figure_whole(&figures, "total_elements", a.count);
    loom_figure_real(&figures, "percent_equal", (double)all.equal / count * 100);
    if (a.truths && b.truths) return LOOM_OK; /* have no differences */
    loom_figure_real(&figures, "mean_difference", all.sum / count);
    loom_figure_real(&figures, "mean_absolute_difference", all.size_sum / count);
    loom_figure_real(&figures, "max_absolute_difference", all.nan ? NAN : all.largest);
    loom_figure_real(&figures, "min_difference", all.nan ? NAN : all.low);
    loom_figure_real(&figures, "max_difference", all.nan ? NAN : all.high);
    return LOOM_OK;
}
