/* write.h - writes a PNG file. Private to io/png/. */
#ifndef LOOM_IO_PNG_WRITE_H
#define LOOM_IO_PNG_WRITE_H

#include "io/volume_private.h"

loom_status loom_png_write(const loom_writing *writing, loom_error *err);

#endif
