/* otsu_threshold.h - Otsu's threshold of the voxels that a mask selects, for kernels that apply it. */
#ifndef LOOM_KERNELS_OTSU_THRESHOLD_H
#define LOOM_KERNELS_OTSU_THRESHOLD_H

#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernel.h"

#define LOOM_OTSU_BINS_MAX 1000000

typedef struct loom_otsu_rule {
    uint64_t bins;    /* 2 to LOOM_OTSU_BINS_MAX */
    uint32_t mask_at; /* the argument that is the mask, on the grid of argument 0; 0: every voxel counts */
    uint8_t counted;  /* voxels count where the mask, as 8 bits, is this */
    bool midpoint;    /* the threshold is the middle of the bin; else its upper edge */
} loom_otsu_rule;

/* The kernel's first loops are these; it may share blocks from LOOM_OTSU_BLOCKS on. */
enum { LOOM_OTSU_VALUES_LOOP, LOOM_OTSU_RANGE_LOOP, LOOM_OTSU_BINS_LOOP, LOOM_OTSU_LOOPS };
loom_status loom_otsu_values_part(loom_part *part);
loom_status loom_otsu_range_part(loom_part *part);
loom_status loom_otsu_bins_part(loom_part *part);
#define LOOM_OTSU_BLOCKS 2u

/* The threshold of argument 0 (`image`, of one component), in its pixel type. LOOM_BAD_ARGUMENT when no voxel counts,
 * or only NaN, or an infinite value. */
loom_status loom_otsu_threshold(loom_call *call, const loom_value *image, const loom_otsu_rule *rule,
                                loom_pixel *threshold);
bool loom_otsu_bins_fit(double bins);
/* What so many workers take of scratch. */
uint64_t loom_otsu_scratch(const loom_image_header *header, uint64_t bins, uint32_t lanes);

#endif
