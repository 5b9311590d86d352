/* statistics.h - what other kernels need from statistics.c. */
#ifndef LOOM_KERNELS_STATISTICS_H
#define LOOM_KERNELS_STATISTICS_H

#include "shm/value.h"

/* Smallest and largest value of an image, NaN passed over; both NaN if there is nothing else. */
void loom_extremes(const loom_value *image, double *low, double *high);

#endif
