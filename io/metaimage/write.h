/* write.h - writes a MetaImage file: .mha, or .mhd with its voxels in a .raw file. Private to io/metaimage/. */
#ifndef LOOM_IO_METAIMAGE_WRITE_H
#define LOOM_IO_METAIMAGE_WRITE_H

#include "io/volume_private.h"

loom_status loom_metaimage_write(const loom_writing *writing, loom_error *err);

#endif
