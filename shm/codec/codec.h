/* codec.h - how a block of bulk bytes is made smaller. shm/ declares the table, io/ binds zstd to it, and the programs
 * of runtime/ register it at start (loom_zstd_register): the ground floor does not know zstd. */
#ifndef LOOM_SHM_CODEC_H
#define LOOM_SHM_CODEC_H

#include <stddef.h>

#include "shm/status.h"

/* Levels are zstd's: more time, smaller. */
#define LOOM_COMPRESSION_LEVEL_DEFAULT 3
#define LOOM_COMPRESSION_LEVEL_MAX 22

typedef struct loom_compressor {
    const char *name; /* "zstd" */
    /* The most bytes that `length` bytes can become. */
    size_t (*bound)(size_t length);
    /* One independent frame; its length, or 0 when it does not fit, memory is short or the level is not between 1 and
     * LOOM_COMPRESSION_LEVEL_MAX. The same bytes and level always give the same frame. Thread-safe. */
    size_t (*compress)(void *out, size_t capacity, const void *bytes, size_t length, int level);
    /* LOOM_CORRUPT unless the frame is sound and gives exactly `length` bytes; LOOM_NO_MEMORY. Safe on hostile bytes.
     * Thread-safe. */
    loom_status (*expand)(void *out, size_t length, const void *frame, size_t frame_bytes);
} loom_compressor;

/* Once, before a store is opened; the table is kept. A store that needs it and finds none says LOOM_UNSUPPORTED. */
void loom_compressor_register(const loom_compressor *zstd);
const loom_compressor *loom_compressor_registered(void); /* NULL: none */
/* The same for who cannot go on without: LOOM_UNSUPPORTED. */
loom_status loom_compressor_needed(const loom_compressor **compressor, loom_error *err);

#endif
