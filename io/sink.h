/* sink.h - where the voxels of a file go, as the readers see it: a sequence of pieces to fill, or one window for
 * formats that do not come in order. */
#ifndef LOOM_IO_SINK_H
#define LOOM_IO_SINK_H

#include "io/tile.h"
#include "io/volume.h"

typedef struct loom_sink {
    loom_tiles *tiles; /* NULL for memory */
    unsigned char *memory;
    uint64_t left; /* memory: bytes not yet put */
    size_t piece;  /* memory: bytes handed out at a time, so that they are still in the cache when converted */
    unsigned char *open_piece; /* of loom_sink_append: where it goes on */
    size_t open_free, open_bytes;
} loom_sink;

/* `bytes` will be put in all. */
loom_status loom_sink_open(const loom_volume_sink *target, uint64_t bytes, loom_sink *sink, loom_error *err);
/* As loom_tiles_next and loom_tiles_put. Every piece but the last is a multiple of 4096 bytes. */
loom_status loom_sink_next(loom_sink *sink, void **piece, size_t *capacity, loom_error *err);
loom_status loom_sink_put(loom_sink *sink, size_t used, loom_error *err);
/* For formats that come in rows: copies the next bytes to where they belong, instead of next and put. */
loom_status loom_sink_append(loom_sink *sink, const void *bytes, size_t length, loom_error *err);
loom_status loom_sink_close(loom_sink *sink, loom_error *err);
void loom_sink_abort(loom_sink *sink);

/* All `bytes` of the target at once, writable: the memory itself, or a shared mapping of the file's range, whose space
 * is allocated first (LOOM_NO_SPACE instead of SIGBUS). */
typedef struct loom_sink_window {
    unsigned char *bytes;
    void *map;
    size_t map_bytes;
} loom_sink_window;
loom_status loom_sink_window_open(const loom_volume_sink *target, uint64_t bytes, loom_sink_window *window,
                                  loom_error *err);
void loom_sink_window_close(loom_sink_window *window);

#endif
