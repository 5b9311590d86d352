/* slice.h - a slice of a volume as coloured pixels. */
#ifndef LOOM_CLI_SLICE_H
#define LOOM_CLI_SLICE_H

#include "shm/image.h"
#include "shm/status.h"

typedef struct loom_canvas {
    uint64_t width, height;
    uint8_t *rgb; /* 3 bytes a pixel, rows from the top; the caller frees it */
} loom_canvas;

/* The index along `axis` (0, 1 or 2) of the slice with most voxels that are not 0; the middle if none has any. */
uint64_t loom_slice_fullest(const loom_image_header *header, const void *voxels, unsigned axis);

/* Draws slice `index` (below header->size[axis]) in grey, windowed to its own 1st and 99.5th percentile, enlarged to at
 * least 512 pixels in proportion to the voxels' spacing; the mask (same size; NULL for none) tinted red with a bright
 * edge. Scalar images of rank 2 or 3. LOOM_NO_MEMORY, LOOM_TOO_LARGE. */
loom_status loom_slice_draw(const loom_image_header *header, const void *voxels, const loom_image_header *mask_header,
                            const void *mask, unsigned axis, uint64_t index, loom_canvas *canvas, loom_error *err);

#endif
