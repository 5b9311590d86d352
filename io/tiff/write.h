/* write.h - writes a TIFF file. Private to io/tiff/. */
#ifndef LOOM_IO_TIFF_WRITE_H
#define LOOM_IO_TIFF_WRITE_H

#include "io/volume_private.h"

loom_status loom_tiff_write(const loom_writing *writing, loom_error *err);

#endif
