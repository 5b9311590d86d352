/* bulk_codec_blocks.h - an encoded object opened for reading block by block: what decoding, checking and compressing
 * again have in common. */
#ifndef LOOM_SHM_BULK_CODEC_BLOCKS_H
#define LOOM_SHM_BULK_CODEC_BLOCKS_H

#include "shm/codec/bulk_codec_frames.h"

typedef struct loom_blocks {
    const loom_result *result; /* borrowed */
    loom_frames_layout layout;
    const loom_compressor *compressor; /* NULL when not needed */
    loom_block_cipher *cipher;         /* NULL when not needed */
    loom_view view;                    /* of the stored bytes */
    size_t first, count;               /* the blocks that can be read */
    uint64_t *starts;                  /* of each of these, from the view's start */
} loom_blocks;

/* Checks the frame table, maps the stored bytes and finds the frames of blocks [first, first + count). LOOM_CORRUPT,
 * LOOM_UNSUPPORTED (no compressor), LOOM_BAD_ARGUMENT (no cipher, no hashes). */
loom_status loom_blocks_open(loom_extents *extents, const loom_result *result, const loom_cipher *cipher, size_t first,
                             size_t count, loom_blocks *blocks, loom_error *err);
void loom_blocks_close(loom_blocks *blocks);

/* Decodes one block into `out` (loom_block_length bytes) and compares it with its hash; `scratch` has LOOM_BLOCK_BYTES.
 * LOOM_CORRUPT: `out` then holds zeros, and err names the place. Thread-safe. */
loom_status loom_blocks_read(const loom_blocks *blocks, size_t block, uint8_t *scratch, uint8_t *out, loom_error *err);

#endif
