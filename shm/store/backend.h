/* backend.h - the contract between storage.c and an implementation of a store. Three are here: a folder (LMDB and
 * extent files), memory, and the example of tests/conformance/toy_backend.c. A fourth is written against this header
 * and runtime/API.md, registered under a scheme, and must pass tests/conformance/conformance.c.
 *
 * Who does what. storage.c checks arguments, refuses children of fork, filters what has expired, decodes and maps
 * values, holds what it maps. An implementation keeps *rows* (opaque bytes made by loom_row_encode, row.h), finds them
 * by key, orders them by a number of its own that only grows, and makes batches atomic. Bulk bytes lie in extents:
 * whoever computes writes them through loom_store_extents before the row is put, so a row only names their place; a
 * store that keeps them elsewhere copies them away at commit and back when it is opened (memory_files.h makes extents
 * in memory; loom_extents_new in a folder).
 *
 * Threads: every function may be called by any thread at any time, but those of a batch by one thread. Between begin
 * and commit or abort another batch of the process waits (or, in the same thread, gets LOOM_BUSY from its first write).
 */
#ifndef LOOM_SHM_STORE_BACKEND_H
#define LOOM_SHM_STORE_BACKEND_H

#include "shm/index/row.h"
#include "shm/store/storage.h"

struct loom_cipher;

/* Every function returns LOOM_OK or fills err (may be NULL) with one line of cause and remedy. "Absent" is
 * LOOM_NOT_FOUND with err left alone. Results point into the arena that was given. Functions marked (optional) may be
 * NULL. */
typedef struct loom_store_ops {
    /* Frees the store. Views of it may outlive it. */
    void (*close)(loom_store *store);
    /* What a worker process passes to loom_store_attach, scheme included, and the descriptors that it must inherit: at
     * most `capacity` are written, all are counted. */
    loom_status (*token)(const loom_store *store, char *text, size_t capacity);
    size_t (*inherit)(const loom_store *store, int *fds, size_t capacity);

    /* ---- reading: what is committed, never what a batch still holds ---- */

    /* BY_RKEY: the row of that key, live or tombstone, expired or not. BY_VID: a live row with that vid and another
     * rkey, of a type that can be referred to (loom_row_has_vid_entry). */
    loom_status (*find)(loom_store *store, loom_find_by by, const loom_id *id, loom_arena *arena, loom_result *result,
                        loom_row_kind *kind, loom_error *err);
    /* Every row, live or not, expired or not, in order of row number, as the bytes that loom_row_encode made (any
     * alignment, for the time of the call), until the visit returns false. A snapshot: what is committed meanwhile may
     * be missing, and no row comes twice. The visit may look up, not write. */
    loom_status (*scan)(loom_store *store, loom_row_visit visit, void *context, loom_error *err);
    /* (optional) A look-up found `result`, or nothing (NULL): for counts, and the order of eviction. */
    void (*used)(loom_store *store, const loom_result *result);
    /* In order of rkey, then owner; in order of label (as memcmp), then run. Text is valid during the visit. */
    loom_status (*each_pin)(loom_store *store, loom_pin_visit visit, void *context, loom_error *err);
    loom_status (*each_goal)(loom_store *store, loom_goal_visit visit, void *context, loom_error *err);
    /* The hash put last for exactly this stamp, all five fields; else absent. */
    loom_status (*get_file)(loom_store *store, const loom_file_stamp *stamp, loom_id *content, loom_error *err);
    loom_status (*get_meta)(loom_store *store, const char *key, loom_arena *arena, const void **bytes, size_t *length,
                            loom_error *err);
    /* Fills in what it knows of a zeroed struct: rows, images, blobs, payload_bytes, bulk_bytes and pins at least. */
    loom_status (*stat)(loom_store *store, loom_store_stats *stats, loom_error *err);

    /* ---- holding (optional, all three or none): only for a store that reclaims space while it is open ---- */

    /* Pins a range against reuse; > 0. From then on row_is_live decides: whoever reclaims deletes durably first and
     * looks for pins then. */
    uint32_t (*hold)(loom_store *store, const loom_placement *range);
    void (*unhold)(loom_store *store, uint32_t pin);
    /* Whether the row is live in a snapshot taken after the call began. */
    loom_status (*row_is_live)(loom_store *store, uint64_t row, bool *live, loom_error *err);

    /* ---- single flight (optional, both or none): only for a store that several runs use at once ---- */

    loom_status (*claim)(loom_store *store, const loom_id *rkey, loom_error *err); /* LOOM_BUSY */
    void (*unclaim)(loom_store *store, const loom_id *rkey);
    /* (optional) See loom_store_others. */
    uint32_t (*others)(loom_store *store, uint32_t *pids, uint32_t most);

    /* ---- batches ---- */

    loom_status (*begin)(loom_store *store, loom_batch **batch, loom_error *err);
    /* (optional) Work on a result that will be put that needs no lock: encoding. */
    loom_status (*prepare)(loom_batch *batch, const loom_result *result, loom_error *err);
    /* A result that loom_row_check_result accepted. By what the batch has done so far, else by what is committed:
     * absent or a tombstone: it becomes a live row under a new number (the tombstone goes). Live with the same value
     * (loom_row_same_value): LOOM_OK, the first row stays, `expires_ns` included. Live with another:
     * loom_store_irreproducible, the first stays, and the batch may go on. The bulk range of a result that is not
     * taken is given up. A row whose time has come counts as a tombstone. */
    loom_status (*put)(loom_batch *batch, const loom_result *result, loom_error *err);
    /* Live: becomes a tombstone under its number, its range is given up. Else absent. */
    loom_status (*erase)(loom_batch *batch, const loom_id *rkey, loom_error *err);
    /* As erase, without a tombstone, and also of a key that has only a tombstone. */
    loom_status (*forget)(loom_batch *batch, const loom_id *rkey, loom_error *err);
    /* Live with the same value: a new row, with `result`'s place and codec, takes over everything else from the old
     * one. Another value: loom_store_irreproducible. Not live: absent, and the range of `result` is given up. An
     * implementation that encodes may keep the place that it has, give `result`'s up and not look at it. */
    loom_status (*replace)(loom_batch *batch, const loom_result *result, loom_error *err);
    /* The row of `from` goes, without a tombstone; `result` (may be NULL: none) is put. Where it begins where the old
     * row's bytes do, it takes these over and is at least as long; else they are given up. LOOM_NOT_FOUND: `from` is
     * gone, and so are bytes that were to be taken over. Used by streams (stream.h). */
    loom_status (*succeed)(loom_batch *batch, const loom_id *from, const loom_result *result, loom_error *err);
    /* Live: the same row with another expires_ns. Else absent. */
    loom_status (*set_expiry)(loom_batch *batch, const loom_id *rkey, uint64_t expires_ns, loom_error *err);
    /* One pin per key and owner; a second is LOOM_OK and changes nothing. unpin: absent if there is none. */
    loom_status (*pin)(loom_batch *batch, const loom_id *rkey, const char *owner, loom_error *err);
    loom_status (*unpin)(loom_batch *batch, const loom_id *rkey, const char *owner, loom_error *err);
    /* Run numbers grow, from 1, and are never given twice, aborted batches excepted. */
    loom_status (*begin_run)(loom_batch *batch, const char *program, uint64_t *run, loom_error *err);
    loom_status (*put_goal)(loom_batch *batch, uint64_t run, const char *label, const loom_id *rkey, loom_error *err);
    /* One stamp per (device, inode): the last counts. */
    loom_status (*put_file)(loom_batch *batch, const loom_file_stamp *stamp, const loom_id *content, loom_error *err);
    loom_status (*put_meta)(loom_batch *batch, const char *key, const void *bytes, size_t length, loom_error *err);
    /* Both free the batch in any case. After a commit that failed nothing of it is visible. */
    loom_status (*commit)(loom_batch *batch, loom_error *err);
    void (*abort)(loom_batch *batch);
} loom_store_ops;

/* First member of every implementation's store and batch; filled in by open and begin. */
struct loom_store {
    const loom_store_ops *ops;
    loom_extents *extents;                     /* where this run writes and maps: the files of the store, or memory */
    loom_extents *stored;                      /* the files that rows name; the same as `extents` unless encrypted */
    const struct loom_cipher *cipher;          /* NULL: plain. Owned by the implementation */
    loom_compression compression;              /* LOOM_COMPRESS_OFF where the implementation does not encode */
    int compression_level;                     /* 1 to LOOM_COMPRESSION_LEVEL_MAX */
    uint64_t cold_after_s;                     /* > 0 */
    uint64_t cold_next_row, cold_rest_until_s; /* where loom_store_compress_cold goes on, and when (CLOCK_REALTIME) */
    const char *path;                          /* owned by the implementation */
    unsigned generation;                       /* loom_fork_generation (shm/fork.h) of the process that opened it */
    bool writable;                             /* batches are allowed: opened, not attached, not read-only */
    bool in_memory;                            /* workers have no index: they find nothing */
};

struct loom_batch {
    loom_store *store;
};

/* What storage.c has checked before it calls. */
#define LOOM_META_KEY_MAX 500u
#define LOOM_OWNER_MAX 64u
#define LOOM_LABEL_MAX 200u
#define LOOM_PROGRAM_MAX 4096u

/* The error of a second, different result under one key. */
loom_status loom_store_irreproducible(const loom_id *rkey, loom_error *err);

/* ---- registration ---- */

typedef struct loom_backend {
    const char *scheme; /* "toy:", with its colon: paths and tokens that begin with it are this backend's */
    /* `place` is what follows the scheme. LOOM_NOT_FOUND when it is missing and options->create is not set. What
     * several handles or processes cannot write at once refuses the second: LOOM_BUSY. */
    loom_status (*open)(const loom_store_options *options, const char *place, loom_store **store, loom_error *err);
    /* A worker process, `writer_index` below options->memory_writers; `token` is what follows the scheme. */
    loom_status (*attach)(const char *token, uint32_t writer_index, loom_store **store, loom_error *err);
} loom_backend;

/* Before a store is opened, in every program of a run (library, voxloom, voxloom-worker); the struct is kept. The same
 * scheme again replaces it. LOOM_BAD_ARGUMENT for a scheme that does not end in its only colon or is built in
 * ("disk:", "memory:"); LOOM_TOO_LARGE beyond 16. */
loom_status loom_store_register(const loom_backend *backend, loom_error *err);
/* The backend whose scheme begins `text`, and what follows it; NULL if none. */
const loom_backend *loom_backend_of(const char *text, const char **place);

#endif
