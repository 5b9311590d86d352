/* stream_parts.h - what the files of streams share: the record of a stream that is not complete (stream_record.c), the
 * bytes on their way to an extent (stream_sink.c). Private to shm/stream/. */
#ifndef LOOM_SHM_STREAM_PARTS_H
#define LOOM_SHM_STREAM_PARTS_H

#include "shm/codec/bulk_codec.h"
#include "shm/store/store.h"
#include "shm/stream/stream.h"

#define LOOM_TEXT_HEAD_MAX 5u
/* Written at a time: a huge page, so that the page cache holds it as one and maps it as one (perf/ANALYSIS.md). */
#define LOOM_STREAM_TILE_BYTES (2u * LOOM_BLOCK_BYTES)

/* The head of a string or bytes value of `length` bytes, in its shortest form; its length. 0: it has none, `length` is
 * beyond 2^32 - 1. */
size_t loom_text_head(loom_type type, uint64_t length, uint8_t head[LOOM_TEXT_HEAD_MAX]);

/* ---- stream_record.c ---- */

/* What a stream is to become, and how far it is. */
typedef struct loom_stream_state {
    loom_id rkey, node;
    loom_type type;
    bool has_image;
    loom_image_header image;
    uint64_t announced;  /* bytes of content; 0 = unknown */
    uint64_t done;       /* bytes of content so far */
    uint32_t head_bytes; /* before the content, in the object; zeros while the length is unknown */
    uint64_t inline_bytes, expires_ns;
    const uint8_t *recipe; /* owned by an arena, or the caller's */
    size_t recipe_bytes;
} loom_stream_state;

/* The key under which the record of a stream is stored, and which its writer claims. */
loom_id loom_stream_record_key(const loom_id *rkey);
/* The record as a value, in *encoded; the caller frees it. */
loom_status loom_stream_record_encode(const loom_stream_state *state, loom_buffer *encoded, loom_error *err);
/* Checked against the result that carries it. LOOM_CORRUPT. */
loom_status loom_stream_record_decode(const loom_result *record, loom_arena *arena, loom_stream_state *state,
                                      loom_error *err);

/* ---- writers of this process (stream_record.c) ---- */

typedef struct loom_stream_entry {
    struct loom_stream_entry *next;
    const loom_extents *store; /* names the store, whatever the handle */
    loom_id rkey;
    _Atomic uint64_t done;
} loom_stream_entry;
/* LOOM_BUSY: a writer of this process has the key, or one of another process. */
loom_status loom_stream_enter(loom_store *store, loom_stream_entry *entry, const loom_id *rkey, loom_error *err);
void loom_stream_leave(loom_store *store, loom_stream_entry *entry);
/* LOOM_BUSY with a message if the key is being written, else LOOM_NOT_FOUND. */
loom_status loom_stream_why_missing(loom_store *store, const loom_id *rkey, loom_error *err);

/* ---- stream_sink.c: an object that grows block by block ---- */

typedef struct loom_stream_sink {
    loom_store *store;
    loom_extent_writer *writer; /* NULL: nothing was reserved yet */
    loom_reservation reservation;
    uint64_t expected; /* length of the object, when known: reserved at once, from recycled space if there is any */
    uint64_t *hashes;  /* of the blocks that were written */
    size_t blocks, capacity;
    loom_block_cipher *cipher; /* encrypted store; blocks are written once, under the salt of `table` */
    uint8_t *table;            /* salt, then a tag a block: codec_data */
    uint8_t *sealed;           /* one encrypted block */
} loom_stream_sink;

/* Writes up to a tile of whole blocks from block `number` on (blocks before it may come later; each at most once in an
 * encrypted store). Only the object's last block may be shorter than LOOM_BLOCK_BYTES. */
loom_status loom_stream_sink_write(loom_stream_sink *sink, size_t number, const void *bytes, size_t length,
                                   loom_error *err);
/* Goes on behind the bytes of a stored raw object: LOOM_BUSY when it cannot grow in place. */
loom_status loom_stream_sink_adopt(loom_stream_sink *sink, const loom_result *record, loom_error *err);
/* Fills in what a result says about bulk bytes: place, codec, hashes, root. `length` is the object's. */
void loom_stream_sink_describe(loom_stream_sink *sink, uint64_t length, loom_result *result);
/* After the commit: the reservation ends where the object does. */
void loom_stream_sink_finish(loom_stream_sink *sink, uint64_t length);
/* Gives back what no row owns (after finish: nothing) and frees everything. */
void loom_stream_sink_close(loom_stream_sink *sink);

#endif
