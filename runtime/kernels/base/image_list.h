/* image_list.h - images given as one sequence, or as the first arguments: JoinSeries([a, b]), Compose(a, b). */
#ifndef LOOM_KERNELS_IMAGE_LIST_H
#define LOOM_KERNELS_IMAGE_LIST_H

#include "runtime/kernels/kernel.h"

/* How many there are (at least one, or refused), and the position of the argument behind them. */
loom_status loom_arg_image_count(loom_call *call, uint32_t *count, uint32_t *next);
/* One of them, fetched if need be. */
loom_status loom_arg_image_at(loom_call *call, uint32_t number, const loom_value **image);
/* Refuses them unless all have the pixel type, the components and the grid of the first. */
loom_status loom_arg_images_alike(loom_call *call, uint32_t count);

#endif
