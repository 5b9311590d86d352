/* bulk_codec.h - bulk bytes from raw to what lies on disk and back: compressed, encrypted, or both, a block of 1 MiB at
 * a time, on several threads. Block hashes and root are of the raw bytes, whatever the codec.
 *
 * `codec_data` of a row is the frame table: layout in shm/SCHEMA.md, "Codecs". Hostile until loom_frames_check. Memory:
 * at most 4 MiB a thread beside the compressor's own, whatever the size of the object. All functions are thread-safe;
 * extra threads live during the call only and take no signals. */
#ifndef LOOM_SHM_BULK_CODEC_H
#define LOOM_SHM_BULK_CODEC_H

#include "shm/codec/codec.h"
#include "shm/seal/cipher.h"
#include "shm/store/storage.h"

static inline bool loom_codec_compresses(loom_codec codec) {
    return codec == LOOM_CODEC_ZSTD || codec == LOOM_CODEC_ZSTD_AES;
}
static inline bool loom_codec_encrypts(loom_codec codec) {
    return codec == LOOM_CODEC_AES || codec == LOOM_CODEC_ZSTD_AES;
}

/* Bytes of the frame table of an object of `bytes` bytes; 0 for raw. */
size_t loom_frames_bytes(loom_codec codec, uint64_t bytes);
/* Whether the frame table fits the row: sizes, sums, counts. LOOM_CORRUPT. Pure; a fuzz target. */
loom_status loom_frames_check(loom_codec codec, uint64_t bytes, uint64_t stored_bytes, const uint8_t *data,
                              size_t data_bytes, loom_error *err);

/* How many threads are worth starting for so many bytes on this machine: 1 to 4. */
unsigned loom_bulk_threads(uint64_t bytes);

/* Encodes `raw` (result->bulk.bytes bytes) through `writer` into extents on disk, and fills in result->bulk, codec,
 * stored_bytes and codec_data (in the arena). What zstd does not make smaller by an eighth is stored raw (or encrypted
 * only). The hashes and root of the result are those of `raw` and stay. `threads` >= 1. One thread and many write the
 * same bytes (encryption apart, whose salt is random). LOOM_UNSUPPORTED: no compressor is registered. After an error
 * the result is as before and nothing is reserved. */
loom_status loom_bulk_encode(const void *raw, loom_codec codec, int level, const loom_cipher *cipher,
                             loom_extent_writer *writer, unsigned threads, loom_arena *arena, loom_result *result,
                             loom_error *err);

/* Asked before each block; false ends the work with LOOM_CANCELLED. Called by any of the threads, one at a time. */
typedef bool (*loom_bulk_go_on)(uint64_t done, uint64_t total, void *context);

typedef struct loom_bulk_options {
    unsigned threads;      /* >= 1 */
    bool idle;             /* only when nobody else wants the core */
    loom_bulk_go_on go_on; /* may be NULL */
    void *context;
} loom_bulk_options;

/* The same from an object that is stored already, in whatever codec: its blocks are decoded and compared with their
 * hashes on the way (LOOM_CORRUPT). *smaller = false: compression would not save an eighth; then nothing is written and
 * `result` stays. `codec` must compress. */
loom_status loom_bulk_compress(loom_extents *extents, loom_codec codec, int level, const loom_cipher *cipher,
                               loom_extent_writer *writer, const loom_bulk_options *options, loom_arena *arena,
                               loom_result *result, bool *smaller, loom_error *err);

/* Decodes bytes [from, from + length) of the object into `out`; every block that is touched is decoded whole and
 * compared with its hash. LOOM_CORRUPT names extent, offset and block; LOOM_BAD_ARGUMENT beyond the object's end. After
 * an error `out` holds zeros. */
loom_status loom_bulk_decode(loom_extents *extents, const loom_result *result, const loom_cipher *cipher, uint64_t from,
                             uint64_t length, unsigned threads, void *out, loom_error *err);

typedef struct loom_bulk_damage {
    uint64_t bad_blocks;
    uint64_t first_bad; /* meaningful if bad_blocks > 0 */
} loom_bulk_damage;
/* Decodes every block, keeps none. LOOM_OK: all are as hashed. LOOM_CORRUPT: some are not, and `damage` (may be NULL)
 * says how many, 0 of them when it is the frame table, the hashes' root or the place itself. */
loom_status loom_bulk_check(loom_extents *extents, const loom_result *result, const loom_cipher *cipher,
                            unsigned threads, loom_bulk_damage *damage, loom_error *err);

#endif
