/* other.c - arrays, geom, nnunet and test.
 *
 * nnunet and test need Python; the others have native kernels where `run` is set. */
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/tables/table.h"

static const loom_kernel rows[] = {
    LOOM_ROW("arrays.vector_uint32", "v:q", 1, 1, 0, 1, LOOM_COST_SCALAR, loom_run_vector_uint32, NULL,
             "the items truncated to integers"),
    LOOM_ROW("arrays.vector_double", "v:q", 1, 1, 0, 1, LOOM_COST_SCALAR, loom_run_vector_double, NULL,
             "the items as numbers"),
    LOOM_ROW("arrays.pixel_accuracy", "vv:r", 2, 2, 0, 1, LOOM_COST_VOXEL, NULL, NULL, "share of equal pixels"),
    LOOM_ROW("arrays.confusion_matrix", "vvn:r", 2, 3, 0, 1, LOOM_COST_VOXEL, NULL, NULL,
             "confusion matrix of two label images"),
    LOOM_ROW("arrays.dice_score", "vvn:r", 2, 3, 0, 1, LOOM_COST_VOXEL, NULL, NULL, "Dice score of a label"),
    LOOM_ROW("arrays.jaccard_index", "vvn:r", 2, 3, 0, 1, LOOM_COST_VOXEL, NULL, NULL, "Jaccard index of a label"),
    LOOM_ROW("arrays.count_pixels", "vn:r", 1, 2, 0, 1, LOOM_COST_VOXEL, NULL, NULL, "how often values occur"),
    LOOM_ROW("arrays.threshold_equal", "innn:i", 2, 4, LOOM_VOXELS, 1, LOOM_COST_VOXEL, NULL, NULL,
             "one value where the voxel equals a number, else another"),
    LOOM_ROW("arrays.array_stats", "v:r", 1, 1, 0, 1, LOOM_COST_VOXEL, NULL, NULL,
             "mean, deviation, extremes and median"),
    LOOM_ROW("arrays.compare_arrays", "vv:r", 2, 2, 0, 1, LOOM_COST_VOXEL, NULL, NULL, "differences of two arrays"),
    LOOM_ROW("geom.blank", "nnn:i", 2, 3, LOOM_OP_NEW_DOMAIN, 1, LOOM_COST_VOXEL, NULL, NULL,
             "image of given height and width"),
    LOOM_ROW("geom.circle", "innnn:i", 5, 5, LOOM_FILTER, 1, LOOM_COST_VOXEL, NULL, NULL,
             "a disc drawn into the image"),
    LOOM_ROW("geom.regular_polygon", "innnnn:i", 6, 6, LOOM_FILTER, 1, LOOM_COST_VOXEL, NULL, NULL,
             "a regular polygon drawn into the image"),
    LOOM_ROW("nnunet.train", "vsvvvvvv:r", 2, 8, LOOM_OP_EFFECT, 1, LOOM_COST_FILE, NULL, NULL,
             "trains an nnU-Net (Python only)"),
    LOOM_ROW("nnunet.make_predictor", "vvv:r", 1, 3, LOOM_OP_NOT_STORED, 1, LOOM_COST_SCALAR, NULL, NULL,
             "a predictor of a trained model (Python only)"),
    LOOM_ROW("nnunet.predict", "vv:i", 2, 2, LOOM_FILTER, 1, LOOM_COST_GLOBAL, NULL, NULL,
             "labels predicted for an image (Python only)"),
    LOOM_ROW("nnunet.env_check", "v*:r", 0, LOOM_ANY, LOOM_OP_NOT_STORED, 1, LOOM_COST_SCALAR, NULL, NULL,
             "what the machine offers nnU-Net (Python only)"),
    LOOM_ROW("test.demo_data", "v*:v", 0, LOOM_ANY, LOOM_OP_NOT_STORED, 1, LOOM_COST_SCALAR, NULL, NULL,
             "demonstration kernel of VoxLogicA-2 (Python only)"),
    LOOM_ROW("test.enqueue", "v*:v", 0, LOOM_ANY, LOOM_OP_NOT_STORED, 1, LOOM_COST_SCALAR, NULL, NULL,
             "demonstration kernel of VoxLogicA-2 (Python only)"),
    LOOM_ROW("test.enqueue_advanced", "v*:v", 0, LOOM_ANY, LOOM_OP_NOT_STORED, 1, LOOM_COST_SCALAR, NULL, NULL,
             "demonstration kernel of VoxLogicA-2 (Python only)"),
    LOOM_ROW("test.fibonacci", "v*:v", 0, LOOM_ANY, LOOM_OP_NOT_STORED, 1, LOOM_COST_SCALAR, NULL, NULL,
             "demonstration kernel of VoxLogicA-2 (Python only)"),
    LOOM_ROW("test.impure", "v*:v", 0, LOOM_ANY, LOOM_OP_NOT_STORED, 1, LOOM_COST_SCALAR, NULL, NULL,
             "demonstration kernel of VoxLogicA-2 (Python only)"),
    LOOM_ROW("test.timewaste", "v*:v", 0, LOOM_ANY, LOOM_OP_NOT_STORED, 1, LOOM_COST_SCALAR, NULL, NULL,
             "demonstration kernel of VoxLogicA-2 (Python only)"),
    LOOM_ROW("test.workflow_controller", "v*:v", 0, LOOM_ANY, LOOM_OP_NOT_STORED, 1, LOOM_COST_SCALAR, NULL, NULL,
             "demonstration kernel of VoxLogicA-2 (Python only)"),
};

LOOM_TABLE(loom_table_other, rows);
