/* element.h - flat structuring elements as ITK makes them, row by row. */
#ifndef LOOM_KERNELS_ELEMENT_H
#define LOOM_KERNELS_ELEMENT_H

#include "runtime/kernels/kernel.h"

/* SimpleITK's numbers (KernelEnum); it has others, which are not made here. */
typedef enum loom_element_kind { LOOM_BALL = 1, LOOM_BOX = 2, LOOM_CROSS = 3 } loom_element_kind;

/* A row of the element: voxels -reach .. reach along x at that offset along y, z and t. */
typedef struct loom_element_row {
    int16_t offset[LOOM_RANK_MAX]; /* [0] is 0 */
    uint32_t reach;
} loom_element_row;

/* Rows that an element has at most. */
uint64_t loom_element_rows_max(const uint64_t radius[LOOM_RANK_MAX]);
/* Lists the rows, those that reach furthest first; returns how many. */
uint64_t loom_element_rows(loom_element_kind kind, const uint64_t radius[LOOM_RANK_MAX], loom_element_row *rows);

#endif
