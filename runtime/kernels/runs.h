/* runs.h - the runs of true voxels in the rows of an image, and which runs are connected.
 *
 * Two passes with union-find over runs (L. He, Y. Chao, K. Suzuki, "A run-based two-scan labeling algorithm", IEEE
 * Trans. Image Processing 17(5), 2008). A run joins every run of a preceding neighbour row that it touches, corners
 * included (full connectivity: 8 in 2D, 26 in 3D, 80 in 4D). Roots are the smallest run number of their component, so
 * components come in raster order of their first voxels. */
#ifndef LOOM_KERNELS_RUNS_H
#define LOOM_KERNELS_RUNS_H

#include "runtime/kernels/kernel.h"

typedef struct loom_runs {
    uint64_t width, rows;
    uint64_t count;
    uint32_t *first; /* scratch: x of the first voxel of each run */
    uint32_t *last;  /* scratch: x of the last one */
    uint32_t *root;  /* scratch: after loom_runs_connect, the smallest run of the component */
    uint64_t *row;   /* scratch: rows + 1 entries; runs of row r are row[r] .. row[r + 1] - 1 */
} loom_runs;

/* Finds and connects the runs of as-bool(image). Scratch: 12 bytes a run and 8 a row. */
loom_status loom_runs_connect(loom_call *call, const loom_value *image, loom_runs *runs);

#endif
