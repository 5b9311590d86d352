/* neighbours.h - the rows next to a row, as doubles, for filters that look one voxel around.
 *
 * Beyond the edge of the image the nearest voxel counts (ITK's ZeroFluxNeumann). Rows are converted once and kept while
 * their neighbours need them. Scratch: 3, 9 or 27 rows of doubles (2D, 3D, 4D). */
#ifndef LOOM_KERNELS_NEIGHBOURS_H
#define LOOM_KERNELS_NEIGHBOURS_H

#include "runtime/kernels/kernel.h"

typedef struct loom_neighbours {
    const loom_image_header *header; /* sizes; one component */
    const void *voxels;              /* of pixel type dtype */
    uint8_t dtype;
    double *rows;     /* scratch */
    int64_t held[27]; /* which row each place holds */
    uint64_t y, z, t; /* the row looked around from */
} loom_neighbours;

loom_status loom_neighbours_open(loom_call *call, const loom_image_header *header, loom_neighbours *near);
/* The same in memory of the caller, who needs no scratch then: bytes of the rows; and rows there, none held. */
uint64_t loom_neighbours_bytes(const loom_image_header *header);
void loom_neighbours_place(const loom_image_header *header, double *rows, loom_neighbours *near);
/* Moves to row `row` of the image (rows counted along y, z, t). */
void loom_neighbours_move(loom_neighbours *near, uint64_t row);
/* The row at an offset of -1, 0 or 1 along y, z and t: values -1 .. size[0] may be read. Valid until the next move. */
const double *loom_neighbours_row(loom_neighbours *near, int dy, int dz, int dt);

#endif
