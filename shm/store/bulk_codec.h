/* bulk_codec.h - bulk bytes from raw to what lies on disk and back: compressed, encrypted, or both, a block of 1 MiB at
 * a time, on several threads. Block hashes and root are of the raw bytes, whatever the codec.
 *
 * `codec_data` of a row is the frame table: layout in shm/SCHEMA.md, "Codecs". Hostile until loom_frames_check. */
#ifndef LOOM_SHM_BULK_CODEC_H
#define LOOM_SHM_BULK_CODEC_H

#include "shm/store/cipher.h"
#include "shm/store/codec.h"
#include "shm/store/storage.h"

/* Whether the frame table fits the row: sizes, sums, counts. LOOM_CORRUPT. Pure; a fuzz target. */
loom_status loom_frames_check(loom_codec codec, uint64_t bytes, uint64_t stored_bytes, const uint8_t *data,
                              size_t data_bytes, loom_error *err);

/* Encodes `raw` (result->bulk.bytes bytes) through `writer` into extents on disk, and fills in result->bulk, codec,
 * stored_bytes and codec_data (in the arena). What zstd does not make smaller by an eighth is stored raw (or encrypted
 * only). The hashes and root of the result are those of `raw` and stay. `threads` >= 1. */
loom_status loom_bulk_encode(const void *raw, loom_codec codec, int level, const loom_cipher *cipher,
                             loom_extent_writer *writer, unsigned threads, loom_arena *arena, loom_result *result,
                             loom_error *err);

/* Decodes bytes [from, from + length) of the object into `out`; whole blocks are checked against the block hashes.
 * LOOM_CORRUPT names extent, offset and block. */
loom_status loom_bulk_decode(loom_extents *extents, const loom_result *result, const loom_cipher *cipher, uint64_t from,
                             uint64_t length, unsigned threads, void *out, loom_error *err);

#endif
