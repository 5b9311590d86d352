/* voxels.h - from a NIfTI header to the image it stands for, and from its stored numbers to that image's voxels.
 * Pure. */
#ifndef LOOM_IO_NIFTI_VOXELS_H
#define LOOM_IO_NIFTI_VOXELS_H

#include "io/nifti/header.h"
#include "shm/image.h"

typedef struct loom_nifti_layout {
    uint8_t stored_type; /* loom_dtype of one stored number */
    bool swapped;        /* stored numbers are big-endian */
    bool scaled;         /* value = stored * slope + inter */
    bool planar;         /* all first components come first, then all second ones, ... */
    double slope, inter;
    uint64_t voxels;      /* numbers of one component */
    uint64_t data_offset; /* in the (decompressed) file */
    uint64_t data_bytes;
} loom_nifti_layout;

/* Judges the header and describes the image as ITK 5.2 would deliver it. `name` is for messages. LOOM_BAD_INPUT (sizes,
 * offsets, geometry), LOOM_UNSUPPORTED (complex, .hdr/.img pairs, more than four axes), LOOM_TOO_LARGE. */
loom_status loom_nifti_describe(const loom_nifti *header, const char *name, loom_image_header *image,
                                loom_nifti_layout *layout, loom_error *err);

/* Turns `count` stored numbers into delivered ones: byte order, non-finite floats to 0 (as niftilib does), scaling.
 * `from` and `to` may be the same when the type stays; otherwise they must not overlap. Both are aligned for the type.
 */
void loom_nifti_convert(const loom_nifti_layout *layout, void *from, void *to, size_t count);

#endif
