/* volume_private.h - an open image file, as volume.c and the readers of each format share it. */
#ifndef LOOM_IO_VOLUME_PRIVATE_H
#define LOOM_IO_VOLUME_PRIVATE_H

#include "io/inflate.h"
#include "io/nifti_voxels.h"
#include "io/volume.h"

typedef enum loom_volume_format { LOOM_FORMAT_NIFTI, LOOM_FORMAT_PNG } loom_volume_format;

struct loom_volume {
    char *path;
    loom_input input;
    loom_stream *stream; /* the file's bytes in order, decompressed */
    loom_volume_format format;
    loom_image_header header;
    loom_nifti_layout nifti;
};

/* `start` holds the first bytes of the (decompressed) file. Fill header and layout, and check what can be checked
 * before loading. */
loom_status loom_nifti_open(loom_volume *volume, const uint8_t *start, size_t length, loom_error *err);
loom_status loom_png_open(loom_volume *volume, loom_error *err);
loom_status loom_nifti_load(loom_volume *volume, const loom_volume_sink *sink, loom_error *err);
loom_status loom_png_load(loom_volume *volume, const loom_volume_sink *sink, loom_error *err);

/* Write to an open descriptor, from its present position. `level` is zlib's, 0 to 9; 0 with `gzip` false. */
loom_status loom_nifti_write(int fd, const char *path, bool gzip, int level, const loom_image_header *header,
                             const void *voxels, loom_error *err);
loom_status loom_png_write(int fd, const char *path, int level, const loom_image_header *header, const void *voxels,
                           loom_error *err);

#endif
