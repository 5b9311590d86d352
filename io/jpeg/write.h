/* write.h - writes a JPEG file. Private to io/jpeg/. */
#ifndef LOOM_IO_JPEG_WRITE_H
#define LOOM_IO_JPEG_WRITE_H

#include "io/volume_private.h"

loom_status loom_jpeg_write(const loom_writing *writing, loom_error *err);

#endif
