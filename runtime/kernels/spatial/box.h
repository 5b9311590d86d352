/* box.h - dilation and erosion of a set by the 3^rank box, some rows at a time.
 *
 * The box is the product of three-voxel segments, so the result is the union (erosion: the intersection) of the voxels
 * around, taken across slices, then along y, then along x. This is done for strips of rows that fit the first-level
 * cache, so that the image is streamed through it and no slice is kept. Outside the image counts as empty for dilation
 * and as full for erosion, so neither looks beyond the edge. (P. Soille, "Morphological Image Analysis", 2nd ed.,
 * Springer 2003, section 3.9: decomposition of structuring elements.) */
#ifndef LOOM_KERNELS_BOX_H
#define LOOM_KERNELS_BOX_H

#include "runtime/kernels/kernel.h"

typedef enum loom_box_kind {
    LOOM_DILATE_ONES, /* the set is where the image, cast to 8 bits, is 1 */
    LOOM_ERODE_ONES,
    LOOM_ERODE_TRUE /* the set is where as-bool(image) is true */
} loom_box_kind;

typedef struct loom_box {
    const loom_value *image;
    loom_box_kind kind;
    uint64_t width, height, depth, times;
    uint64_t strip;  /* rows that are done together at most */
    uint8_t *across; /* scratch: strip + 2 rows, taken across slices */
    uint8_t *line;   /* scratch: strip rows, taken along y too, with a byte before and after */
    uint8_t *bytes;  /* scratch: 3 x (strip + 2) rows cast to 8 bits; NULL for images that have 8 */
} loom_box;

/* Scratch: two strips of bytes of 8 KiB or one row, five for pixel types of more than 8 bits (cast three times each).
 */
loom_status loom_box_open(loom_call *call, const loom_value *image, loom_box_kind kind, loom_box *box);
/* The box of the worker that runs the part, for all its parts of the loop. */
loom_status loom_box_of_part(loom_part *part, const loom_value *image, loom_box_kind kind, loom_box **box);
/* Bytes that a box takes. */
uint64_t loom_box_scratch(const loom_image_header *header);

/* Writes `rows` rows of the result from `row` of a slice on (slices are counted over z and t), 0 or 1 a voxel. */
void loom_box_rows(loom_box *box, uint64_t slice, uint64_t row, uint64_t rows, uint8_t *out);

/* How an image is cut into blocks of rows for parts: as many rows as there are slices in a part, about, so that little
 * is read twice. Unit `u` is block u / slices of slice u % slices. */
typedef struct loom_box_blocks {
    uint64_t rows; /* of a block; the last of a slice may have fewer */
    uint64_t slices, units, grain;
} loom_box_blocks;
loom_box_blocks loom_box_cut(const loom_image_header *header);

/* How many rows make a part, or how many slices, of a loop in image order. */
uint64_t loom_rows_a_part(const loom_image_header *header);
uint64_t loom_slices_a_part(const loom_image_header *header);

#endif
