/* store.h - what a store is made of, for its implementations: storage.c dispatches over loom_store_ops and does what
 * all implementations share (checks, decoding, values). A new implementation fills one table of functions. */
#ifndef LOOM_SHM_STORE_H
#define LOOM_SHM_STORE_H

#include "shm/store/cipher.h"
#include "shm/store/index_lmdb.h"
#include "shm/store/row.h"
#include "shm/store/storage.h"

typedef struct loom_store_ops {
    void (*close)(loom_store *store);
    loom_status (*token)(const loom_store *store, char *text, size_t capacity);
    size_t (*inherit)(const loom_store *store, int *fds, size_t capacity);
    /* A row of any kind by rkey, a live one by vid; in the arena. LOOM_NOT_FOUND leaves err alone. */
    loom_status (*find)(loom_store *store, loom_find_by by, const loom_id *id, loom_arena *arena, loom_result *result,
                        loom_row_kind *kind, loom_error *err);
    /* Every row, live or not, expired or not, as plain row bytes (row.h), in order of row number. */
    loom_status (*scan)(loom_store *store, loom_row_visit visit, void *context, loom_error *err);
    /* A look-up found `result`, or nothing (NULL): for marks and counts. May be NULL. */
    void (*used)(loom_store *store, const loom_result *result);
    /* Pins a range against reuse; > 0. NULL, with the next two: nothing is ever reclaimed while the store is open. */
    uint32_t (*hold)(loom_store *store, const loom_placement *range);
    void (*unhold)(loom_store *store, uint32_t pin);
    /* Whether a row is live in what is committed now (a snapshot taken after the call). */
    loom_status (*row_is_live)(loom_store *store, uint64_t row, bool *live, loom_error *err);
    /* NULL: nobody else could compute for this store. */
    loom_status (*claim)(loom_store *store, const loom_id *rkey, loom_error *err);
    void (*unclaim)(loom_store *store, const loom_id *rkey);
    loom_status (*each_pin)(loom_store *store, loom_pin_visit visit, void *context, loom_error *err);
    loom_status (*each_goal)(loom_store *store, loom_goal_visit visit, void *context, loom_error *err);
    loom_status (*get_file)(loom_store *store, const loom_file_stamp *stamp, loom_id *content, loom_error *err);
    loom_status (*get_meta)(loom_store *store, const char *key, loom_arena *arena, const void **bytes, size_t *length,
                            loom_error *err);
    loom_status (*stat)(loom_store *store, loom_store_stats *stats, loom_error *err);
    /* Batches. The result was checked (loom_row_check_result). commit and abort free the batch in any case. */
    loom_status (*begin)(loom_store *store, loom_batch **batch, loom_error *err);
    loom_status (*prepare)(loom_batch *batch, const loom_result *result, loom_error *err); /* NULL: nothing to do */
    loom_status (*put)(loom_batch *batch, const loom_result *result, loom_error *err);
    loom_status (*erase)(loom_batch *batch, const loom_id *rkey, loom_error *err);
    loom_status (*replace)(loom_batch *batch, const loom_result *result, loom_error *err);
    /* The row of `from` goes, without a tombstone; `result` (may be NULL: none) is put. Where it begins where the old
     * row's bytes do, it takes these over and is at least as long; else they are given up. LOOM_NOT_FOUND: `from` is
     * gone, and so are bytes that were to be taken over. Used by streams (stream.h). */
    loom_status (*succeed)(loom_batch *batch, const loom_id *from, const loom_result *result, loom_error *err);
    loom_status (*set_expiry)(loom_batch *batch, const loom_id *rkey, uint64_t expires_ns, loom_error *err);
    loom_status (*pin)(loom_batch *batch, const loom_id *rkey, const char *owner, loom_error *err);
    loom_status (*unpin)(loom_batch *batch, const loom_id *rkey, const char *owner, loom_error *err);
    loom_status (*begin_run)(loom_batch *batch, const char *program, uint64_t *run, loom_error *err);
    loom_status (*put_goal)(loom_batch *batch, uint64_t run, const char *label, const loom_id *rkey, loom_error *err);
    loom_status (*put_file)(loom_batch *batch, const loom_file_stamp *stamp, const loom_id *content, loom_error *err);
    loom_status (*put_meta)(loom_batch *batch, const char *key, const void *bytes, size_t length, loom_error *err);
    loom_status (*commit)(loom_batch *batch, loom_error *err);
    void (*abort)(loom_batch *batch);
} loom_store_ops;

/* First member of every implementation's store and batch. */
struct loom_store {
    const loom_store_ops *ops;
    loom_extents *extents;     /* where this run writes and maps: the files of the store, or memory if encrypted */
    loom_extents *stored;      /* the files that rows name; the same as `extents` unless encrypted */
    const loom_cipher *cipher; /* NULL: plain. Owned by the implementation */
    loom_compression compression;
    int compression_level;                     /* 1 to LOOM_COMPRESSION_LEVEL_MAX */
    uint64_t cold_after_s;                     /* > 0 */
    uint64_t cold_next_row, cold_rest_until_s; /* where loom_store_compress_cold goes on, and when (CLOCK_REALTIME) */
    const char *path;                          /* owned by the implementation */
    unsigned generation;                       /* loom_fork_generation of the process that opened it */
    bool writable;                             /* batches are allowed: opened, not attached, not read-only */
    bool in_memory;
};

struct loom_batch {
    loom_store *store;
};

#define LOOM_META_KEY_MAX 500u
#define LOOM_OWNER_MAX 64u
#define LOOM_LABEL_MAX 200u
#define LOOM_PROGRAM_MAX 4096u

loom_status loom_store_open_disk(const loom_store_options *options, loom_store **store, loom_error *err);
loom_status loom_store_open_memory(const loom_store_options *options, loom_store **store, loom_error *err);
/* What follows "disk:" or "memory:" in a token. */
loom_status loom_store_attach_disk(const char *token, loom_store **store, loom_error *err);
loom_status loom_store_attach_memory(const char *token, uint32_t writer_index, loom_store **store, loom_error *err);

/* LOOM_UNSUPPORTED in a child of the process that opened the store. */
loom_status loom_store_check_process(const loom_store *store, loom_error *err);
/* Holds the bytes of a row that was just found, if it is still there: else LOOM_NOT_FOUND, and nothing is held. */
loom_status loom_store_pin_row(loom_store *store, const loom_result *result, loom_hold *hold, loom_error *err);

/* The error of a second, different result under one key. */
loom_status loom_store_irreproducible(const loom_id *rkey, loom_error *err);

/* What looks after a whole store (verification, gc, backup) needs of a store in a folder. */
typedef struct loom_store_parts {
    loom_index *index;
    struct loom_control *control;
    int folder_fd, extents_fd; /* of STORE and STORE/extents */
    const uint8_t *uuid;
    bool read_only;
} loom_store_parts;
/* LOOM_UNSUPPORTED for a store in memory. */
loom_status loom_store_parts_of(loom_store *store, loom_store_parts *parts, loom_error *err);

#define LOOM_EXTENT_BYTES_DEFAULT (UINT64_C(64) << 30)
#define LOOM_STEP_BYTES_DEFAULT (UINT64_C(32) << 20)
#define LOOM_COLD_AFTER_S_DEFAULT (UINT64_C(7) * 24 * 3600)

#endif
