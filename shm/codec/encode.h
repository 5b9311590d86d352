/* encode.h - what a batch does with the raw bytes of a result before its row is written: compresses them
 * (compression = "always"), encrypts them (encrypted store), or both. For implementations; order and what a crash
 * leaves: shm/SCHEMA.md, "Codecs". Cold results: cold.h. */
#ifndef LOOM_SHM_STORE_ENCODE_H
#define LOOM_SHM_STORE_ENCODE_H

#include "shm/codec/bulk_codec.h"
#include "shm/store/store.h"

/* Part of a batch, zero-initialised: one thread's. */
typedef struct loom_encoder {
    loom_extent_writer *writer; /* into store->stored; opened on first use */
    loom_arena *arena;          /* of frame tables, until the batch ends */
    struct loom_encoded *made;  /* what was encoded and where its raw bytes lie */
    size_t made_count, made_capacity;
} loom_encoder;

/* Whether put must encode this result: it has raw bulk bytes, in store->extents, and the store wants another codec. */
bool loom_encode_wanted(const loom_store *store, const loom_result *raw);
/* Encodes the bytes of a wanted result, unless that was done before; nothing happens when compression would not save an
 * eighth, or when there is no space for a second copy in a plain store: then they stay raw. */
loom_status loom_encode(const loom_store *store, loom_encoder *encoder, const loom_result *raw, loom_error *err);
/* The result as its row shall name it: *raw itself unless loom_encode encoded it. Points into the encoder. */
loom_result loom_encode_result(const loom_encoder *encoder, const loom_result *raw);
/* Before the extents go; when the batch ends. */
void loom_encoder_end(loom_encoder *encoder);

/* Whether the raw bytes of a result are memory of this run (encrypted store): then no row ever names them. */
static inline bool loom_encode_is_copy(const loom_store *store, const loom_result *result) {
    return store->cipher != NULL && result->codec == LOOM_CODEC_RAW && result->bulk.bytes > 0;
}
/* Whether loom_batch_replace(replacement) would only undo the compression that this store wants ("always"): then the
 * row stays, and the raw range, a copy for this run, is given up at once, to go when the run unholds it. */
bool loom_encode_keeps(const loom_store *store, const loom_result *stored, const loom_result *replacement);

#endif
