/* codec.h - how a block of bulk bytes is made smaller. shm/ declares the table, io/ binds zstd to it, and the programs
 * of runtime/ register it at start (loom_codecs_register): the ground floor does not know zstd. */
#ifndef LOOM_SHM_CODEC_H
#define LOOM_SHM_CODEC_H

#include <stdbool.h>
#include <stddef.h>

typedef struct loom_compressor {
    const char *name; /* "zstd" */
    /* The most bytes that `length` bytes can become. */
    size_t (*bound)(size_t length);
    /* One independent frame; its length, or 0 when it does not fit or memory is short. Thread-safe. */
    size_t (*compress)(void *out, size_t capacity, const void *bytes, size_t length, int level);
    /* False unless the frame is sound and gives exactly `length` bytes. Safe on hostile bytes. Thread-safe. */
    bool (*expand)(void *out, size_t length, const void *frame, size_t frame_bytes);
} loom_compressor;

/* Once, before a store is opened; the table is kept. A store that needs it and finds none says LOOM_UNSUPPORTED. */
void loom_compressor_register(const loom_compressor *zstd);
const loom_compressor *loom_compressor_registered(void); /* NULL: none */

#endif
