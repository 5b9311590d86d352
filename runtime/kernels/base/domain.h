/* domain.h - the grid of an image as a value: the record {size, spacing, origin, direction, rank}.
 *
 * Operators without an image of their own (border, tt, x, constant) get it from the runtime as one more argument, after
 * those of the program. size, spacing and origin hold `rank` items, direction rank x rank row by row. */
#ifndef LOOM_KERNELS_DOMAIN_H
#define LOOM_KERNELS_DOMAIN_H

#include "runtime/kernels/kernel.h"

/* The grid at `position`: a domain record, or an image, whose grid is meant. The header has dtype bool8 and one
 * component. */
loom_status loom_arg_domain(loom_call *call, uint32_t position, loom_image_header *header);
/* The record of a header, in the arena. */
loom_status loom_domain_record(loom_arena *arena, const loom_image_header *header, loom_value *record);

#endif
