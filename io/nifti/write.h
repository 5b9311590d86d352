/* write.h - writes a NIfTI file, compressed if its name ends in .gz. Private to io/nifti/. */
#ifndef LOOM_IO_NIFTI_WRITE_H
#define LOOM_IO_NIFTI_WRITE_H

#include "io/volume_private.h"

loom_status loom_nifti_write(const loom_writing *writing, loom_error *err);

#endif
