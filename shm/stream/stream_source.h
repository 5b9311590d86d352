/* stream_source.h - the bytes of a stored object, read at any position in bounded memory: what stream readers, resumed
 * writers and readers of single items share. Every byte handed out belongs to a block that was compared with its hash.
 */
#ifndef LOOM_SHM_STREAM_SOURCE_H
#define LOOM_SHM_STREAM_SOURCE_H

#include "shm/codec/bulk_codec_blocks.h"
#include "shm/store/store.h"

typedef struct loom_source {
    loom_store *store;
    loom_arena *arena; /* of the result */
    loom_result result;
    loom_hold hold;
    bool bulk;          /* the bytes are bulk bytes (a blob, voxels, a stream so far), else the payload */
    uint64_t length;    /* of the object */
    loom_blocks blocks; /* while bulk */
    uint8_t *buffers;   /* a decoded block, and scratch */
    size_t cached;      /* the block in `buffers`; SIZE_MAX: none */
} loom_source;

typedef loom_status (*loom_source_find)(loom_store *store, const loom_id *id, loom_arena *arena, loom_result *result,
                                        loom_hold *hold, loom_error *err);
/* `find` is loom_store_hold or loom_store_hold_value. LOOM_NOT_FOUND leaves err alone. Close it in any case. */
loom_status loom_source_open(loom_source *source, loom_store *store, loom_source_find find, const loom_id *id,
                             loom_error *err);
void loom_source_close(loom_source *source);
/* Exactly `length` bytes from `at`; LOOM_CORRUPT also when the object ends before. */
loom_status loom_source_read(loom_source *source, uint64_t at, void *out, size_t length, loom_error *err);

#endif
