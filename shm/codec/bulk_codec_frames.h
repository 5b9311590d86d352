/* bulk_codec_frames.h - the frame table of an encoded object (row, "extra" part): where each part of it lies, and the
 * check that makes hostile bytes safe to follow. Pure. Layout: shm/SCHEMA.md, "Codecs". */
#ifndef LOOM_SHM_BULK_CODEC_FRAMES_H
#define LOOM_SHM_BULK_CODEC_FRAMES_H

#include "shm/codec/bulk_codec.h"

/* Offsets of the parts within codec_data; a part that the codec has not is empty. */
typedef struct loom_frames_layout {
    size_t count;   /* blocks */
    size_t salt;    /* LOOM_CIPHER_SALT_BYTES, when encrypted */
    size_t lengths; /* u32 a block, when compressed */
    size_t tags;    /* LOOM_CIPHER_TAG_BYTES a block, when encrypted */
    size_t bytes;   /* of the whole table */
} loom_frames_layout;

loom_frames_layout loom_frames_layout_of(loom_codec codec, uint64_t bytes);

/* Bytes of block `block` of an object of `bytes` bytes: 1 MiB, or less for the last. */
static inline size_t loom_block_length(uint64_t bytes, size_t block) {
    uint64_t left = bytes - (uint64_t)block * LOOM_BLOCK_BYTES;
    return left < LOOM_BLOCK_BYTES ? (size_t)left : LOOM_BLOCK_BYTES;
}

/* Bytes that the block occupies, from a checked table. Equal to the block's length: it is not compressed. */
size_t loom_frame_length(const loom_frames_layout *layout, loom_codec codec, uint64_t bytes, const uint8_t *data,
                         size_t block);

/* The most that an object may occupy to be worth compressing: an eighth less than raw, and a page less. 0: never. */
uint64_t loom_frames_worth(uint64_t bytes);

#endif
