/* python.c - nnunet and test: operators that need Python. */
#include "runtime/kernels/tables/table.h"

static const loom_kernel rows[] = {
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

LOOM_TABLE(loom_table_python, rows);
