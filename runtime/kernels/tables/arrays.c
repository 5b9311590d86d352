/* arrays.c - arrays: figures of images, or of nested sequences of numbers. */
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/tables/table.h"

static const loom_kernel rows[] = {
    LOOM_ROW("arrays.vector_uint32", "v:q", 1, 1, 0, 1, LOOM_COST_SCALAR, loom_run_vector_uint32, NULL,
             "the items truncated to integers"),
    LOOM_ROW("arrays.vector_double", "v:q", 1, 1, 0, 1, LOOM_COST_SCALAR, loom_run_vector_double, NULL,
             "the items as numbers"),
    LOOM_ROW_PARTS("arrays.pixel_accuracy", "vv:r", 2, 2, 0, 1, LOOM_COST_VOXEL, loom_run_pixel_accuracy,
                   loom_loops_scores, "share of equal pixels"),
    LOOM_ROW_PARTS("arrays.confusion_matrix", "vvn:r", 2, 3, 0, 1, LOOM_COST_VOXEL, loom_run_confusion_matrix,
                   loom_loops_scores, "(prediction, truth, classes): confusion matrix of two label images"),
    LOOM_ROW_PARTS("arrays.dice_score", "vvn:r", 2, 3, 0, 1, LOOM_COST_VOXEL, loom_run_dice_score, loom_loops_scores,
                   "(prediction, truth, label): Dice score of a label (1)"),
    LOOM_ROW_PARTS("arrays.jaccard_index", "vvn:r", 2, 3, 0, 1, LOOM_COST_VOXEL, loom_run_jaccard_index,
                   loom_loops_scores, "(prediction, truth, label): Jaccard index of a label (1)"),
    LOOM_ROW_PARTS("arrays.count_pixels", "vn:r", 1, 2, 0, 1, LOOM_COST_VOXEL, loom_run_count_pixels,
                   loom_loops_count_pixels, "how often a value occurs, or every value"),
    LOOM_ROW_PARTS("arrays.threshold_equal", "innn:i", 2, 4, LOOM_VOXELS, 1, LOOM_COST_VOXEL, loom_run_threshold_equal,
                   loom_loops_threshold_equal,
                   "one value (1) where the voxel equals a number, else another (0); 8-bit"),
    LOOM_ROW("arrays.array_stats", "v:r", 1, 1, 0, 1, LOOM_COST_GLOBAL, loom_run_array_stats, NULL,
             "mean, deviation, extremes and median"),
    LOOM_ROW("arrays.compare_arrays", "vv:r", 2, 2, 0, 1, LOOM_COST_VOXEL, loom_run_compare_arrays, NULL,
             "differences of two arrays, second minus first"),
};

LOOM_TABLE(loom_table_arrays, rows);
