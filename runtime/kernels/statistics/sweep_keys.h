/* sweep_keys.h - pixel values as unsigned numbers of the same order, and where they lie among sorted edges. */
#ifndef LOOM_KERNELS_SWEEP_KEYS_H
#define LOOM_KERNELS_SWEEP_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/kernels/base/voxels.h"

#define LOOM_SWEEP_EDGES_MAX 512u
#define LOOM_SWEEP_BUCKETS_MAX (1u << 16)
/* Of values: those below edge 0, at it, between it and edge 1, ... above the last, and not comparable (NaN). */
#define LOOM_SWEEP_BINS(edges) (2 * (edges) + 2)
#define LOOM_SWEEP_BINS_MAX LOOM_SWEEP_BINS(LOOM_SWEEP_EDGES_MAX)

/* Different numbers in ascending order, as keys, and a table that leads from a key to the only edge that it may have to
 * be compared with: keys are cut into buckets of 2^shift, no two edges in one. */
typedef struct loom_sweep_edges {
    uint64_t keys[LOOM_SWEEP_EDGES_MAX + 1]; /* behind the last: the greatest key there is */
    uint32_t count, buckets;                 /* buckets 0: too many would be needed; edges are searched */
    uint32_t shift;
    uint8_t dtype;
    uint16_t first[LOOM_SWEEP_BUCKETS_MAX + 2]; /* of the edges that are not below the bucket */
} loom_sweep_edges;

/* The key of a pixel; keys of equal values, the two zeros included, are equal. False: NaN. */
bool loom_sweep_key(uint8_t dtype, loom_pixel pixel, uint64_t *key);
/* Sorts the `count` keys, drops what is there twice, and makes the table. */
void loom_sweep_edges_settle(loom_sweep_edges *edges);
/* Position of a key that is there. */
uint32_t loom_sweep_edge_of(const loom_sweep_edges *edges, uint64_t key);
/* Adds to bins[LOOM_SWEEP_BINS(count)] how many of the values lie in each. NaN is in the last; so are values of other
 * types that are above all edges and the greatest that the type has. */
void loom_sweep_count(const loom_sweep_edges *edges, const void *values, uint64_t count, uint64_t *bins);
/* The same for a histogram of the values of an 8- or 16-bit type: entry k counts the values whose bits are k. */
void loom_sweep_count_histogram(const loom_sweep_edges *edges, const uint64_t *histogram, uint64_t *bins);

#endif
