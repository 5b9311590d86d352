/* options.h - the optional arguments of simpleitk's filters: each function gives the default where the program gives
 * nothing (arguments are left out from the right). Positions are 0-based, as in arguments.h. */
#ifndef LOOM_KERNELS_OPTIONS_H
#define LOOM_KERNELS_OPTIONS_H

#include "runtime/kernels/kernel.h"

/* One number for all axes, or a sequence of at least `rank` numbers, one an axis (further ones are ignored, as in
 * SimpleITK). NaN and infinities are refused. Axes beyond `rank` are not written. */
loom_status loom_option_axes(loom_call *call, uint32_t position, unsigned rank, double otherwise,
                             double values[LOOM_RANK_MAX]);
/* The same for whole numbers of voxels from 0 to LOOM_RADIUS_MAX, 1 by default; axes beyond `rank` get 0. */
#define LOOM_RADIUS_MAX 1000
loom_status loom_option_radius(loom_call *call, uint32_t position, unsigned rank, uint64_t radius[LOOM_RANK_MAX]);
loom_status loom_option_number(loom_call *call, uint32_t position, double otherwise, double *value);
loom_status loom_option_truth(loom_call *call, uint32_t position, bool otherwise, bool *value);
/* A whole number from 0 to `most`. */
loom_status loom_option_count(loom_call *call, uint32_t position, uint64_t otherwise, uint64_t most, uint64_t *value);

/* An image whose voxels are whole numbers, of one component; else refused in words that name the way out. */
loom_status loom_arg_whole_image(loom_call *call, uint32_t position, const loom_value **image);

#endif
