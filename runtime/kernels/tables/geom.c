/* geom.c - geom: plane shapes drawn into images. */
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/tables/table.h"

static const loom_kernel rows[] = {
    LOOM_ROW_PARTS("geom.blank", "nnn:i", 2, 3, LOOM_OP_NEW_DOMAIN, 1, LOOM_COST_VOXEL, loom_run_blank, loom_loops_draw,
                   "image of given height and width, of one value (0)"),
    LOOM_ROW_PARTS("geom.circle", "innnn:i", 5, 5, LOOM_FILTER, 1, LOOM_COST_VOXEL, loom_run_circle, loom_loops_draw,
                   "(image, cx, cy, radius, value): a disc drawn into the image"),
    LOOM_ROW_PARTS("geom.regular_polygon", "innnnn:i", 6, 6, LOOM_FILTER, 1, LOOM_COST_VOXEL, loom_run_regular_polygon,
                   loom_loops_draw, "(image, cx, cy, radius, sides, value): a regular polygon drawn into the image"),
};

LOOM_TABLE(loom_table_geom, rows);
