/* runs.h - the runs of true voxels in the rows of an image, and which runs are connected.
 *
 * Two passes with union-find over runs (L. He, Y. Chao, K. Suzuki, "A run-based two-scan labeling algorithm", IEEE
 * Trans. Image Processing 17(5), 2008). A run joins every run of a preceding neighbour row that it touches, corners
 * included (full connectivity: 8 in 2D, 26 in 3D, 80 in 4D). Roots are the smallest run number of their component, so
 * components come in raster order of their first voxels, in whatever order runs are joined: so slabs of rows are joined
 * apart, as loops in parts, and then with each other. */
#ifndef LOOM_KERNELS_RUNS_H
#define LOOM_KERNELS_RUNS_H

#include "runtime/kernels/kernel.h"

typedef struct loom_runs {
    uint64_t width, rows;
    uint64_t count;
    uint32_t *first; /* shared: x of the first voxel of each run */
    uint32_t *last;  /* shared: x of the last one */
    uint32_t *root;  /* shared: after loom_runs_connect, the smallest run of the component */
    uint64_t *row;   /* shared: rows + 1 entries; runs of row r are row[r] .. row[r + 1] - 1 */
} loom_runs;

/* The kernel's first loops are these two; it may share blocks from LOOM_RUNS_BLOCKS on. */
enum { LOOM_RUNS_COUNT_LOOP, LOOM_RUNS_LIST_LOOP, LOOM_RUNS_LOOPS };
loom_status loom_runs_count_part(loom_part *part);
loom_status loom_runs_list_part(loom_part *part);
#define LOOM_RUNS_BLOCKS 2u

/* Which voxels make runs, and what connects them. */
typedef struct loom_runs_rule {
    uint32_t image_at; /* the argument */
    uint32_t mask_at;  /* voxels are false where this argument (8-bit) is 0; 0: no mask */
    bool nonzero;      /* true is what is not 0 in its own pixel type; else as-bool */
    bool by_faces;     /* 4, 6 or 8 neighbours; else corners connect, too */
} loom_runs_rule;

/* What parts need to find the runs again. */
typedef struct loom_runs_state {
    uint64_t width, rows, count;
    loom_runs_rule rule;
} loom_runs_state;

/* Finds and connects the runs of as-bool(argument image_at). Scratch: 12 bytes a run and 8 a row. */
loom_status loom_runs_connect(loom_call *call, uint32_t image_at, loom_runs *runs, loom_runs_state *state);
loom_status loom_runs_connect_by(loom_call *call, const loom_runs_rule *rule, loom_runs *runs, loom_runs_state *state);
/* The same runs, in a part. */
loom_runs loom_runs_of_part(const loom_part *part, const loom_runs_state *state);
/* Rows of a part that touches each voxel once. */
uint64_t loom_runs_rows_a_part(const loom_runs_state *state);

#endif
