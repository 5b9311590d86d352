/* tile.h - a stream of bytes into one reserved extent object through a ring of cache-sized tiles. */
#ifndef LOOM_IO_TILE_H
#define LOOM_IO_TILE_H

#include "io/ring.h"

typedef struct loom_tiles loom_tiles;

/* Writes `bytes_total` bytes to fd from `offset`, through `count` tiles of `tile_bytes` (2..16 tiles of 64 KiB..4 MiB).
 * Borrow the ring: until close or abort it is this stream's alone; earlier writes are waited for first. tile_bytes is a
 * multiple of 4096. LOOM_BAD_ARGUMENT, LOOM_TOO_LARGE, LOOM_NO_MEMORY. */
loom_status loom_tiles_open(loom_ring *ring, int fd, uint64_t offset, uint64_t bytes_total, size_t tile_bytes,
                            unsigned count, loom_tiles **tiles, loom_error *err);
/* The next tile to fill: `*capacity` bytes (the last one may be shorter). NULL and 0 when all are handed out. */
loom_status loom_tiles_next(loom_tiles *tiles, void **buffer, size_t *capacity, loom_error *err);
/* Hands the filled tile to the ring: `used` bytes of it (all, except for the last). */
loom_status loom_tiles_put(loom_tiles *tiles, size_t used, loom_error *err);
/* A failed write surfaces in one of these calls and in every later one. */
/* Waits until everything is written and checks that exactly bytes_total were put. Frees in any case. */
loom_status loom_tiles_close(loom_tiles *tiles, loom_error *err);
/* Drops the rest and frees. */
void loom_tiles_abort(loom_tiles *tiles);

#endif
