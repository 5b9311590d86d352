/* statistics.h - what other kernels need from statistics.c. */
#ifndef LOOM_KERNELS_STATISTICS_H
#define LOOM_KERNELS_STATISTICS_H

#include "runtime/kernels/kernel.h"

/* Smallest and largest value of an argument, an image; NaN passed over; both NaN if there is nothing else. In parts:
 * the kernel's loop LOOM_EXTREMES_LOOP is loom_extremes_part. Shares block 0. */
#define LOOM_EXTREMES_LOOP 0u
loom_status loom_extremes(loom_call *call, uint32_t image_at, double *low, double *high);
loom_status loom_extremes_part(loom_part *part);

#endif
