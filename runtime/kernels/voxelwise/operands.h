/* operands.h - what simpleitk's functions of two operands work on: two images, or an image and a number. */
#ifndef LOOM_KERNELS_OPERANDS_H
#define LOOM_KERNELS_OPERANDS_H

#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernel.h"

typedef enum loom_operand_kinds {
    LOOM_OPERANDS_WHOLE = 1 << 0,  /* pixels of whole numbers only; the number must be whole, too */
    LOOM_OPERANDS_VECTOR = 1 << 1, /* images of several components, too */
} loom_operand_kinds;

typedef struct loom_operands {
    bool is_image[2];
    uint8_t dtype;     /* of the images: bool8 counts as u8 */
    loom_pixel number; /* the other operand in that type, as SimpleITK converts it */
} loom_operands;

/* Reads arguments 1 and 2. *header: of the first image. Refused as SimpleITK does: two numbers, images of different
 * pixel types or on different grids, pixels that the function is not made for. */
loom_status loom_read_operands(loom_call *call, unsigned kinds, loom_operands *operands,
                               const loom_image_header **header);
/* LOOM_BAD_ARGUMENT unless the argument is an image of such pixels. */
loom_status loom_arg_pixels_of(loom_call *call, uint32_t position, unsigned kinds, const loom_value **image);

#endif
