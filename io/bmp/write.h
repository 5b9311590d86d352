/* write.h - writes a BMP file. Private to io/bmp/. */
#ifndef LOOM_IO_BMP_WRITE_H
#define LOOM_IO_BMP_WRITE_H

#include "io/volume_private.h"

loom_status loom_bmp_write(const loom_writing *writing, loom_error *err);

#endif
