/* volume.h - image files (io/README.md lists the formats), read into bulk space and written from it.
 *
 * Reading goes in two steps, so that the caller can reserve exact space between them: open (header parsed and checked
 * against the file) and load (voxels streamed into the reserved bytes, never into a second full-size buffer). The
 * format is found by content. Geometry is as ITK 5.2 reads it (LPS).
 */
#ifndef LOOM_IO_VOLUME_H
#define LOOM_IO_VOLUME_H

#include "io/ring.h"
#include "shm/id.h"
#include "shm/image.h"

typedef struct loom_volume loom_volume;

/* Where voxels go: fd at offset through the ring (fd >= 0), or plain memory. */
typedef struct loom_volume_sink {
    loom_ring *ring;
    int fd; /* open for reading and writing: vector images and interlaced PNG are put together in a mapping of it */
    uint64_t offset;
    void *memory;      /* used when fd < 0: loom_image_bytes(header) bytes */
    size_t tile_bytes; /* 0 = 256 KiB */
} loom_volume_sink;

/* Opens and checks the header. A folder stands for the DICOM series in it. Errors name the file and the cause: missing,
 * not an image, truncated, sizes that overflow or disagree with the file's length, unsupported datatype (complex, ...).
 * A gzip file's claim is checked while it is loaded: longer or shorter than the header says is LOOM_BAD_INPUT. */
loom_status loom_volume_open(const char *path, loom_volume **volume, loom_error *err);
/* The image as it will be delivered: pixel type after scl_slope/scl_inter (as ITK: unscaled keeps the type, scaled
 * gives f32, or f64 from f64), components, geometry. */
const loom_image_header *loom_volume_header(const loom_volume *volume);
/* The files that are read for it: the one that was named first, then those that it names, in the order of reading; of a
 * folder, those of its series. The paths belong to the volume. */
size_t loom_volume_file_count(const loom_volume *volume);
const char *loom_volume_file(const loom_volume *volume, size_t index);
/* Streams the voxels; may be called again. LOOM_BAD_INPUT (truncated, damaged, longer than its header says),
 * LOOM_STALE_INPUT if the file changed since it was opened, LOOM_NO_SPACE, LOOM_IO. After a failure the target holds
 * rubbish, but never a byte beyond loom_image_bytes(header). */
loom_status loom_volume_load(loom_volume *volume, const loom_volume_sink *sink, loom_error *err);
void loom_volume_close(loom_volume *volume);

/* True if the image at `path` may consist of several files; false for a file that cannot be read or has no known
 * format. Reads the first 4 KiB. */
bool loom_volume_may_have_more_files(const char *path);

/* Writes to a temporary name in the same folder, then renames (an existing file is replaced whole or not at all;
 * of .mhd and .nhdr the old header is removed before the two new files appear). Format by suffix. LOOM_UNSUPPORTED for
 * an image that the format cannot hold. Creates parent folders. */
loom_status loom_volume_write(const char *path, const loom_image_header *header, const void *voxels, loom_error *err);
/* The same with zlib's level, 0 (stored) to 9 (smallest), instead of 6. Equal images and levels give equal bytes. */
loom_status loom_volume_write_level(const char *path, const loom_image_header *header, const void *voxels, int level,
                                    loom_error *err);
/* True for suffixes that loom_volume_write handles; and a list of them, for messages. */
bool loom_volume_can_write(const char *path);
const char *loom_volume_suffixes(void);

/* SHA-256 of a file's bytes, streamed; LOOM_STALE_INPUT if it changed meanwhile. */
loom_status loom_file_hash(const char *path, loom_id *content, uint64_t *bytes, loom_error *err);

#endif
