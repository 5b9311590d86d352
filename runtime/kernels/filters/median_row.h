/* median_row.h - the median of the values around each voxel of a row, for unsigned keys of one size.
 *
 * `lines` are the rows within reach: values -radius * step .. width + radius * step + LOOM_MEDIAN_SLACK - 1 of each may
 * be read (what lies behind the row's last neighbour does not matter). Writes
 * the median of (2 * radius + 1) * count values for each of `width` values to out; neighbours along the row are `step`
 * values apart (the components). */
#ifndef LOOM_KERNELS_MEDIAN_ROW_H
#define LOOM_KERNELS_MEDIAN_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOOM_MEDIAN_SLACK 32u

typedef struct loom_median_rows {
    const void *const *lines;
    size_t count; /* of lines */
    size_t radius, step, width;
} loom_median_rows;

void loom_median_row_uint8_t(const loom_median_rows *rows, uint8_t *out);
void loom_median_row_uint16_t(const loom_median_rows *rows, uint16_t *out);
void loom_median_row_uint32_t(const loom_median_rows *rows, uint32_t *out);
void loom_median_row_uint64_t(const loom_median_rows *rows, uint64_t *out);

#endif
