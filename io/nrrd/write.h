/* write.h - writes a NRRD file: .nrrd, or .nhdr with its voxels in a .raw file. Private to io/nrrd/. */
#ifndef LOOM_IO_NRRD_WRITE_H
#define LOOM_IO_NRRD_WRITE_H

#include "io/volume_private.h"

loom_status loom_nrrd_write(const loom_writing *writing, loom_error *err);

#endif
