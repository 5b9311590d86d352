/* calls.h - every operator with loops, called with several kinds of images, for tests that compare two ways of running
 * one. */
#ifndef LOOM_TESTS_KERNELS_CALLS_H
#define LOOM_TESTS_KERNELS_CALLS_H

#include "harness.h"

/* Enough voxels for loops to be split; CALLS_UNSPLIT: for whom that does not matter. */
#ifdef CALLS_UNSPLIT
enum { CALLS_WIDTH = 37, CALLS_HEIGHT = 29, CALLS_DEPTH = 19, CALLS_KINDS = 3 };
#else
enum { CALLS_WIDTH = 79, CALLS_HEIGHT = 61, CALLS_DEPTH = 41, CALLS_KINDS = 3 };
#endif

/* Blobs with noise; real pixels also hold both zeros, NaN and infinities here and there. */
void calls_fill(loom_value image, uint64_t seed);
/* Such an image of the size above. */
loom_value calls_make(harness *h, loom_dtype dtype, uint16_t components, uint64_t seed);

/* What operators are called with; as long as the harness. */
typedef struct calls_images {
    loom_value of_kind[CALLS_KINDS]; /* real numbers, whole numbers, truth */
    loom_value mask, colours;
} calls_images;
calls_images calls_make_images(harness *h);

/* One call; true if the operator took these arguments. */
typedef bool calls_each(void *context, harness *h, const char *name, const loom_value *arguments, uint32_t count);

/* Whether it has loops, and arguments of the kinds below (not so folds, loom.sweep, loom.fused and geom, which have
 * tests of their own).
 */
bool calls_fit(const loom_operator *op);

/* Calls `each` with what `op` may take, by its signature: images of real and whole numbers, masks, colours, numbers, in
 * every place, with and without optional arguments. Returns how many it took; none at all ends the test. */
uint32_t calls_of(harness *h, const calls_images *images, const loom_operator *op, calls_each *each, void *context);

#endif
