/* geometry.h - from NIfTI's way to say where an image lies (qform, sform, pixdim; RAS) to ITK's (spacing, origin,
 * direction; LPS), and back. Pure.
 *
 * The rules are those of ITK 5.2.1, Modules/IO/NIFTI/src/itkNiftiImageIO.cxx (SetImageIOOrientationFromNIfTI,
 * SetNIfTIOrientationFromImageIO), and of the niftilib beneath it; both are cited where they surprise. */
#ifndef LOOM_IO_NIFTI_GEOMETRY_H
#define LOOM_IO_NIFTI_GEOMETRY_H

#include "io/nifti/header.h"
#include "shm/image.h"

/* Fills spacing, origin and direction for the image's rank. LOOM_BAD_INPUT: no orthonormal orientation, or numbers that
 * are not finite. `name` is for messages. */
loom_status loom_nifti_to_geometry(const loom_nifti *header, const char *name, loom_image_header *image,
                                   loom_error *err);
/* Fills pixdim, qform and sform from a checked image header. A direction that is not a rotation becomes the nearest
 * one, as in ITK. */
void loom_nifti_from_geometry(const loom_image_header *image, loom_nifti *header);

#endif
