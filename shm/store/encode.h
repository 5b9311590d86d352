/* encode.h - what a batch does with the raw bytes of a result before its row is written: compresses them
 * (compression = "always"), encrypts them (encrypted store), or both. Used by the implementations' put; cold results:
 * cold.h. */
#ifndef LOOM_SHM_STORE_ENCODE_H
#define LOOM_SHM_STORE_ENCODE_H

#include "shm/store/bulk_codec.h"
#include "shm/store/store.h"

/* One per opened folder, zero-initialised; used under LMDB's writer lock, hence by one thread at a time. */
typedef struct loom_encoder {
    loom_extent_writer *writer; /* into store->stored; opened on first use */
    loom_arena *arena;          /* the frame table of the last result */
} loom_encoder;

/* Whether put must encode this result: it has raw bulk bytes, in store->extents, and the store wants another codec. */
bool loom_encode_wanted(const loom_store *store, const loom_result *raw);
/* Encodes a wanted one into *encoded, whose codec_data is valid until the next call. encoded->codec may come out raw in
 * a plain store, where the bytes then stay in their place; in any other case the raw range is the caller's to give up
 * (plain store: loom_index_disown_range, it may still be pinned by this run; encrypted: it is memory of the run). */
loom_status loom_encode_put(const loom_store *store, loom_encoder *encoder, const loom_result *raw,
                            loom_result *encoded, loom_error *err);
/* Closes the writer: before the extents go. */
void loom_encoder_close(loom_encoder *encoder);

/* Whether loom_batch_replace(result) would only undo the compression that this store wants ("always"): then the row
 * stays as it is, and the raw range, a copy for this run, is given up at once: it goes when the run unholds it. */
bool loom_encode_keeps(const loom_store *store, const loom_result *stored, const loom_result *replacement);

#endif
