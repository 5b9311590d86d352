/* itk.h - the peers of bench_kernels: the same work done by ITK, with the same number of threads.
 *
 * A peer takes images where they lie, times Update() of the filters, and copies what came out for comparison. One file
 * a family (itk_FAMILY.cpp); a new row is a declaration here, a function there, and a line in bench_kernels.c. */
#ifndef LOOM_PERF_ITK_H
#define LOOM_PERF_ITK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct itk_images {
    uint64_t size[3];
    double spacing[3];
    const float *scalars;
    const uint8_t *mask, *seeds; /* 0 or 1 */
} itk_images;

/* Seconds. `out`, if not NULL, has room for the result image: 1 byte a voxel, or 4. Numbers are written as doubles. */
typedef double itk_peer(const itk_images *images, void *out);

void itk_use_threads(unsigned count);

itk_peer itk_near, itk_interior, itk_distance;
itk_peer itk_components, itk_through;
itk_peer itk_greater_equal, itk_between, itk_and, itk_or, itk_not, itk_mask, itk_chain, itk_chain_volume;
itk_peer itk_gradient, itk_extremes, itk_volume;

/* Percentiles have no filter in ITK: ranks by a sort, needs no ITK (sort.cpp). */
void sort_use_threads(unsigned count);
itk_peer sort_percentiles;

#ifdef __cplusplus
}
#endif
#endif
