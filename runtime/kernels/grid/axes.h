/* axes.h - arguments with an item an axis, and where a voxel lies: for functions that change the grid. */
#ifndef LOOM_KERNELS_AXES_H
#define LOOM_KERNELS_AXES_H

#include "runtime/kernels/kernel.h"

/* Whole numbers that are not negative, one for each of the first `axes` axes; further items count for nothing, as in
 * SimpleITK. */
loom_status loom_arg_axes(loom_call *call, uint32_t position, unsigned axes, uint64_t numbers[LOOM_RANK_MAX]);
/* The same of truth values. */
loom_status loom_arg_axis_flags(loom_call *call, uint32_t position, unsigned axes, bool flags[LOOM_RANK_MAX]);

/* The origin of the grid moved to the voxel of that index, which may lie outside: added up in the order of ITK's
 * TransformIndexToPhysicalPoint, so that the bits agree. */
void loom_move_origin(loom_image_header *header, const double index[LOOM_RANK_MAX]);

/* Rows of the image: along y, z and t, one after the other. */
typedef struct loom_row {
    uint64_t at[LOOM_RANK_MAX]; /* at[0] is 0 */
} loom_row;
loom_row loom_row_of(const uint64_t size[LOOM_RANK_MAX], uint64_t number);
uint64_t loom_row_number(const uint64_t size[LOOM_RANK_MAX], loom_row row);

#endif
