/* box.h - dilation and erosion of a set by the 3^rank box, slice by slice.
 *
 * The box is the product of three-voxel segments, so the set is dilated along x, then y, then across slices; each slice
 * is widened within its plane once and kept while its neighbours need it. Erosion is dilation of the complement.
 * Outside the image counts as empty for dilation and as full for erosion, so neither looks beyond the edge.
 * (P. Soille, "Morphological Image Analysis", 2nd ed., Springer 2003, section 3.9: decomposition of structuring
 * elements.) */
#ifndef LOOM_KERNELS_BOX_H
#define LOOM_KERNELS_BOX_H

#include <stdbool.h>

#include "runtime/kernels/kernel.h"

typedef enum loom_box_kind {
    LOOM_DILATE_ONES, /* the set is where the image, cast to 8 bits, is 1 */
    LOOM_ERODE_ONES,
    LOOM_ERODE_TRUE /* the set is where as-bool(image) is true */
} loom_box_kind;

typedef struct loom_box {
    const loom_value *image;
    loom_box_kind kind;
    uint64_t width, height; /* of a slice */
    uint64_t slice_voxels, slices;
    uint64_t depth;      /* slices along z; the rest of `slices` is t */
    uint8_t *plane;      /* scratch: the foreground of one slice, after x */
    uint8_t *cache;      /* scratch: widened slices */
    uint64_t held[9];    /* which slice each cache place holds; UINT64_MAX for none */
    uint8_t *line;       /* scratch: one row */
    unsigned cache_size; /* 1, 3 or 9 */
} loom_box;

/* Scratch: a row, and cache_size + 1 slices of bytes. */
loom_status loom_box_open(loom_call *call, const loom_value *image, loom_box_kind kind, loom_box *box);
/* For an image of one slice, row by row instead. Scratch: four rows. */
loom_status loom_box_open_rows(loom_call *call, const loom_value *image, loom_box_kind kind, loom_box *box);
/* As loom_box_slice, for one row; the box was opened for rows. Ascending order widens each row once. */
void loom_box_row(loom_box *box, uint64_t row, uint8_t *out);
/* Whether an image is done row by row: it has one slice, which would be one part. */
static inline bool loom_box_by_rows(const loom_image_header *header) {
    return header->size[2] * header->size[3] == 1;
}
/* Bytes that a box takes, of slices or rows. */
uint64_t loom_box_scratch(const loom_image_header *header);
/* How many rows make a part. */
uint64_t loom_rows_a_part(const loom_image_header *header);
/* The box of the worker that runs the part, for all its parts of the loop. */
loom_status loom_box_of_part(loom_part *part, const loom_value *image, loom_box_kind kind, loom_box **box);
/* How many slices make a part. */
uint64_t loom_slices_a_part(const loom_image_header *header);
/* Writes the result of one slice (0 or 1 a voxel). Ascending order of slices computes each widened slice once in 3D. */
void loom_box_slice(loom_box *box, uint64_t slice, uint8_t *out);

#endif
