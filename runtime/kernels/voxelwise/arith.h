/* arith.h - arithmetic for others: of `default` on any two values, for folds; of a number and an image. */
#ifndef LOOM_KERNELS_ARITH_H
#define LOOM_KERNELS_ARITH_H

#include "runtime/kernels/kernel.h"
#include "runtime/kernels/voxelwise/arith_pixels.h"

/* a op b as Python's operator: whole numbers stay whole, strings join; sequences item by item. No images. `where`
 * names b for messages. Dividing by 0, and whole results beyond 64 bits, are LOOM_BAD_ARGUMENT. */
loom_status loom_arith_values(loom_call *call, loom_arith op, const char *where, const loom_value *a,
                              const loom_value *b, loom_value *result);

/* number op image, voxel by voxel, the number in the image's pixel type; the image is an argument. */
loom_status loom_arith_from_number(loom_call *call, loom_arith op, double number, uint32_t image_at);

/* The pixel type of the result of arithmetic on this one: bool8 gives u8. */
loom_dtype loom_arith_dtype(uint8_t dtype);

#endif
