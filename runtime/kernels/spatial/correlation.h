/* correlation.h - histograms of boxes that slide along rows, for crossCorrelation.
 *
 * Every column of a row (a voxel's neighbours along all axes but x) has a histogram; a step to the next row takes one
 * row off each column and adds one, a step along x adds one column to the box's histogram and takes one off (S.
 * Perreault, P. Hebert, "Median filtering in constant time", IEEE TIP 16(9), 2007). The cost of a voxel is the number
 * of bins and, off the plane, the extent of the box, not its volume. All figures are whole numbers: no order of steps
 * changes a result. */
#ifndef LOOM_KERNELS_CORRELATION_H
#define LOOM_KERNELS_CORRELATION_H

#include "runtime/kernels/kernel.h"

#define LOOM_BINS_MAX 65504u /* with padding a bin's number fits 16 bits */

/* What is correlated with what. Copied to parts. */
typedef struct loom_pattern {
    uint64_t size[LOOM_RANK_MAX];
    uint64_t radius[LOOM_RANK_MAX]; /* less than the size: what is further counts nowhere */
    uint32_t bins;
    uint32_t padded;  /* bins, up to whole vectors; the bin of this number takes what is not counted */
    bool large;       /* a count may be above 32767 */
    double low, high; /* values counted: low <= value < high */
    double width;     /* of a bin */
    uint64_t inside;  /* of the reference: values counted, */
    uint64_t squares; /* and the sum of its squared counts */
} loom_pattern;

/* Histograms of one worker: those of the columns of the row that `next` follows. */
typedef struct loom_columns {
    uint64_t next;       /* row */
    void *counts;        /* of each column, padded + 16 of them; int16_t or, if large, uint32_t */
    void *box, *nothing; /* of the box; a column of zeros */
    uint64_t *inside;    /* of each column: values counted, */
    uint64_t *products;  /* and the sum of the reference's counts for them */
    uint64_t *squares;   /* of the box at each voxel of the row: sum of squared counts */
} loom_columns;

/* Bytes of the above. */
uint64_t loom_columns_bytes(const loom_pattern *pattern);
loom_status loom_columns_open(loom_call *call, const loom_pattern *pattern, loom_columns **columns);
/* Row `row` of the result, from the bins of all voxels and the reference's counts (padded + 1, the last one 0). Rows in
 * ascending order are cheap. */
void loom_columns_row(loom_columns *columns, const loom_pattern *pattern, const uint16_t *bins,
                      const uint64_t *reference, uint64_t row, float *out);

#endif
