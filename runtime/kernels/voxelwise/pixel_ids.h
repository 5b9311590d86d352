/* pixel_ids.h - SimpleITK's numbers of pixel types. */
#ifndef LOOM_KERNELS_PIXEL_IDS_H
#define LOOM_KERNELS_PIXEL_IDS_H

#include <stdbool.h>
#include <stdint.h>

#define LOOM_PIXEL_ID_UNKNOWN (-1)

/* The type of a number, and whether of vectors; false for numbers of none that images have here (complex numbers, label
 * maps). */
bool loom_pixel_id_dtype(int64_t number, uint8_t *dtype, bool *vector);

#endif
