/* scores.c - how well a segmentation agrees with another: pixel_accuracy, confusion_matrix, dice_score, jaccard_index;
 * and count_pixels of one value. One pass in parts, whose counts are added. */
#include <math.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/statistics/array.h"
#include "runtime/kernels/statistics/figures.h"

#define CLASSES_MAX 4096u

enum { EQUAL_LOOP, LABEL_LOOP, CONFUSION_LOOP, LARGEST_LOOP };

static size_t chunk_at(uint64_t first, uint64_t end) {
    return end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
}

uint64_t loom_count_equal(const loom_array *a, const loom_array *b, uint64_t first, size_t count) {
    uint8_t common = loom_common_dtype(a->dtype, b->dtype);
    uint64_t equal = 0;
    if (loom_dtype_is_float(common)) {
        double left[LOOM_CHUNK], right[LOOM_CHUNK];
        loom_array_doubles(a, first, count, left);
        loom_array_doubles(b, first, count, right);
        for (size_t k = 0; k < count; k++)
            equal += left[k] == right[k];
    } else {
        int64_t left[LOOM_CHUNK], right[LOOM_CHUNK];
        loom_array_integers(a, first, count, left);
        loom_array_integers(b, first, count, right);
        for (size_t k = 0; k < count; k++)
            equal += left[k] == right[k];
    }
    return equal;
}

static loom_status equal_part(loom_part *part) {
    loom_array a, b;
    uint64_t equal = 0;
    LOOM_TRY(loom_arg_two_arrays(part->call, &a, &b));
    for (uint64_t first = part->first, end = first + part->count; first < end; first += LOOM_CHUNK)
        equal += loom_count_equal(&a, &b, first, chunk_at(first, end));
    ((uint64_t *)part->shared[0])[part->number] = equal;
    return LOOM_OK;
}

/* How often a label is in the first array, in the second one, in both. */
typedef struct overlap {
    uint64_t first, second, both;
} overlap;

static loom_status label_part(loom_part *part) {
    const double label = *(const double *)part->state;
    bool two = ((const double *)part->state)[1] != 0;
    loom_array a, b = {0};
    overlap here = {0};
    uint8_t in_a[LOOM_CHUNK], in_b[LOOM_CHUNK] = {0};
    LOOM_TRY(two ? loom_arg_two_arrays(part->call, &a, &b) : loom_arg_array(part->call, 0, &a));
    for (uint64_t first = part->first, end = first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = chunk_at(first, end);
        loom_array_equal(&a, first, count, label, in_a);
        if (two) loom_array_equal(&b, first, count, label, in_b);
        uint32_t of_a = 0, of_b = 0, of_both = 0;
        for (size_t k = 0; k < count; k++) {
            of_a += in_a[k];
            of_b += in_b[k];
            of_both += in_a[k] & in_b[k];
        }
        here.first += of_a;
        here.second += of_b;
        here.both += of_both;
    }
    ((overlap *)part->shared[0])[part->number] = here;
    return LOOM_OK;
}

static loom_status largest_part(loom_part *part) {
    loom_array arrays[2];
    int64_t numbers[LOOM_CHUNK], largest = INT64_MIN, least = INT64_MAX;
    LOOM_TRY(loom_arg_two_arrays(part->call, &arrays[0], &arrays[1]));
    for (unsigned of = 0; of < 2; of++)
        for (uint64_t first = part->first, end = first + part->count; first < end; first += LOOM_CHUNK) {
            size_t count = chunk_at(first, end);
            loom_array_integers(&arrays[of], first, count, numbers);
            for (size_t k = 0; k < count; k++) {
                largest = numbers[k] > largest ? numbers[k] : largest;
                least = numbers[k] < least ? numbers[k] : least;
            }
        }
    ((int64_t *)part->shared[0])[2 * part->number] = least;
    ((int64_t *)part->shared[0])[2 * part->number + 1] = largest;
    return LOOM_OK;
}

static loom_status confusion_part(loom_part *part) {
    const uint64_t classes = *(const uint64_t *)part->state;
    uint64_t *matrix = (uint64_t *)part->shared[1] + part->lane * classes * classes;
    loom_array predicted, truth;
    int64_t columns[LOOM_CHUNK], rows[LOOM_CHUNK];
    LOOM_TRY(loom_arg_two_arrays(part->call, &predicted, &truth));
    for (uint64_t first = part->first, end = first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = chunk_at(first, end);
        loom_array_integers(&predicted, first, count, columns);
        loom_array_integers(&truth, first, count, rows);
        for (size_t k = 0; k < count; k++)
            matrix[(uint64_t)rows[k] * classes + (uint64_t)columns[k]]++;
    }
    return LOOM_OK;
}

static const loom_part_run loops[] = {[EQUAL_LOOP] = equal_part,
                                      [LABEL_LOOP] = label_part,
                                      [CONFUSION_LOOP] = confusion_part,
                                      [LARGEST_LOOP] = largest_part};
const loom_loops loom_loops_scores = {.run = loops, .count = 4};

/* To count every value they are sorted (array_figures.c). */
static uint64_t sorting(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    (void)lanes;
    if (header == NULL || call->argument_count > 1) return 0;
    return 2 * sizeof(uint64_t) * loom_image_voxels(header) * header->components;
}
const loom_loops loom_loops_count_pixels = {.run = loops, .count = 4, .scratch = sorting};

/* ---- counts ---- */

static uint32_t part_count(uint64_t count) {
    uint64_t grain = LOOM_PART_VALUES;
    return loom_count_parts(count, &grain);
}

loom_status loom_run_pixel_accuracy(loom_call *call) {
    loom_array a, b;
    void *memory = NULL;
    uint64_t equal = 0;
    LOOM_TRY(loom_arg_two_arrays(call, &a, &b));
    LOOM_TRY(loom_share(call, 0, part_count(a.count), sizeof equal, &memory));
    LOOM_TRY(loom_run_parts(call, EQUAL_LOOP, a.count, LOOM_PART_VALUES, NULL, 0));
    for (uint32_t part = 0; part < part_count(a.count); part++)
        equal += ((const uint64_t *)memory)[part];
    loom_figures figures;
    LOOM_TRY(loom_figures_open(call, 4, &figures));
    loom_figure_real(&figures, "accuracy", (double)equal / (double)a.count);
    loom_figure_whole(&figures, "correct_pixels", equal);
    loom_figure_whole(&figures, "total_pixels", a.count);
    loom_figure_whole(&figures, "incorrect_pixels", a.count - equal);
    return LOOM_OK;
}

static loom_status count_label(loom_call *call, uint64_t count, double label, bool two, overlap *all) {
    void *memory = NULL;
    const double state[] = {label, two};
    *all = (overlap){0};
    LOOM_TRY(loom_share(call, 0, part_count(count), sizeof *all, &memory));
    LOOM_TRY(loom_run_parts(call, LABEL_LOOP, count, LOOM_PART_VALUES, state, sizeof state));
    const overlap *parts = memory;
    for (uint32_t part = 0; part < part_count(count); part++) {
        all->first += parts[part].first;
        all->second += parts[part].second;
        all->both += parts[part].both;
    }
    return LOOM_OK;
}

/* Where two arrays have the label of argument 3 (1), truncated. */
static loom_status find_overlap(loom_call *call, overlap *all) {
    loom_array a, b;
    double label = 1;
    LOOM_TRY(loom_arg_two_arrays(call, &a, &b));
    if (call->argument_count > 2) LOOM_TRY(loom_arg_number(call, 2, &label));
    return count_label(call, a.count, trunc(label), true, all);
}

loom_status loom_run_dice_score(loom_call *call) {
    overlap all;
    loom_figures figures;
    LOOM_TRY(find_overlap(call, &all));
    LOOM_TRY(loom_figures_open(call, 4, &figures));
    uint64_t sum = all.first + all.second;
    loom_figure_real(&figures, "dice_score", sum == 0 ? NAN : 2.0 * (double)all.both / (double)sum);
    loom_figure_whole(&figures, "intersection", all.both);
    loom_figure_whole(&figures, "predicted_positive", all.first);
    loom_figure_whole(&figures, "ground_truth_positive", all.second);
    return LOOM_OK;
}

loom_status loom_run_jaccard_index(loom_call *call) {
    overlap all;
    loom_figures figures;
    LOOM_TRY(find_overlap(call, &all));
    LOOM_TRY(loom_figures_open(call, 4, &figures));
    uint64_t either = all.first + all.second - all.both;
    double index = either == 0 ? 0.0 : (double)all.both / (double)either;
    loom_figure_real(&figures, "jaccard_index", index);
    loom_figure_real(&figures, "iou", index);
    loom_figure_whole(&figures, "intersection", all.both);
    loom_figure_whole(&figures, "union", either);
    return LOOM_OK;
}

loom_status loom_count_value(loom_call *call, uint64_t count, double value, uint64_t *found) {
    overlap all;
    LOOM_TRY(count_label(call, count, value, false, &all));
    *found = all.first;
    return LOOM_OK;
}

/* ---- confusion_matrix ---- */

/* As many classes as there are labels from 0 on, or as argument 3 says. */
static loom_status count_classes(loom_call *call, uint64_t count, uint64_t *classes) {
    void *memory = NULL;
    int64_t least = INT64_MAX, largest = INT64_MIN;
    double given = 0;
    if (call->argument_count > 2) LOOM_TRY(loom_arg_number(call, 2, &given));
    LOOM_TRY(loom_share(call, 0, 2 * (size_t)part_count(count), sizeof(int64_t), &memory));
    LOOM_TRY(loom_run_parts(call, LARGEST_LOOP, count, LOOM_PART_VALUES, NULL, 0));
    const int64_t *extremes = memory;
    for (uint32_t part = 0; part < part_count(count); part++) {
        least = extremes[2 * part] < least ? extremes[2 * part] : least;
        largest = extremes[2 * part + 1] > largest ? extremes[2 * part + 1] : largest;
    }
    int64_t most = (int64_t)CLASSES_MAX;
    if (call->argument_count > 2) most = given >= 1 && given < CLASSES_MAX + 1.0 ? (int64_t)given : 0;
    if (least < 0 || largest >= most)
        return loom_fail(
            call->err, LOOM_BAD_ARGUMENT,
            "`%s` got labels from %lld to %lld; they must be 0 or more, below the number of classes, and at "
            "most %u",
            call->op->name, (long long)least, (long long)largest, CLASSES_MAX - 1);
    *classes = (uint64_t)(call->argument_count > 2 ? most : largest + 1);
    return LOOM_OK;
}

static double share_of(uint64_t some, uint64_t all) {
    return all == 0 ? 0.0 : (double)some / (double)all;
}

/* Scratch: 8 bytes a pair of classes a worker. */
loom_status loom_run_confusion_matrix(loom_call *call) {
    loom_array predicted, truth;
    uint64_t classes = 0;
    void *memory = NULL;
    LOOM_TRY(loom_arg_two_arrays(call, &predicted, &truth));
    LOOM_TRY(count_classes(call, predicted.count, &classes));
    uint32_t lanes = loom_lanes(call);
    uint64_t cells = classes * classes;
    LOOM_TRY(loom_share(call, 1, (size_t)cells * lanes, sizeof(uint64_t), &memory));
    LOOM_TRY(loom_run_parts(call, CONFUSION_LOOP, predicted.count, LOOM_PART_VALUES, &classes, sizeof classes));
    uint64_t *matrix = memory;
    for (uint32_t lane = 1; lane < lanes; lane++)
        for (uint64_t k = 0; k < cells; k++)
            matrix[k] += matrix[lane * cells + k];
    loom_figures figures;
    loom_value *rows = NULL, *numbers = NULL, *scores[3] = {NULL};
    LOOM_TRY(loom_figures_open(call, 8, &figures));
    LOOM_TRY(loom_figures_list(call, classes, &rows));
    for (unsigned s = 0; s < 3; s++)
        LOOM_TRY(loom_figures_list(call, classes, &scores[s]));
    double sums[3] = {0};
    for (uint64_t c = 0; c < classes; c++) {
        uint64_t in_row = 0, in_column = 0, right = matrix[c * classes + c];
        LOOM_TRY(loom_figures_list(call, classes, &numbers));
        for (uint64_t k = 0; k < classes; k++) {
            in_row += matrix[c * classes + k];
            in_column += matrix[k * classes + c];
            numbers[k] = loom_int((int64_t)matrix[c * classes + k]);
        }
        rows[c] = loom_sequence(numbers, classes);
        double precision = share_of(right, in_column), recall = share_of(right, in_row), both = precision + recall;
        double of_class[] = {precision, recall, both > 0 ? 2 * precision * recall / both : 0.0};
        for (unsigned s = 0; s < 3; s++) {
            scores[s][c] = loom_float(of_class[s]);
            sums[s] += of_class[s];
        }
    }
    loom_figure_list(&figures, "confusion_matrix", rows, classes);
    loom_figure_whole(&figures, "num_classes", classes);
    loom_figure_list(&figures, "precision", scores[0], classes);
    loom_figure_list(&figures, "recall", scores[1], classes);
    loom_figure_list(&figures, "f1_score", scores[2], classes);
    loom_figure_real(&figures, "mean_precision", sums[0] / (double)classes);
    loom_figure_real(&figures, "mean_recall", sums[1] / (double)classes);
    loom_figure_real(&figures, "mean_f1_score", sums[2] / (double)classes);
    return LOOM_OK;
}
