/* index_lmdb.h - the index of a store on disk: tables of shm/SCHEMA.md in one LMDB environment.
 *
 * One object per store and process (the registry in store_disk.c sees to that). Reads are thread-safe and go through
 * one pooled read transaction under the index's mutex; a write belongs to the thread that began it. */
#ifndef LOOM_SHM_INDEX_LMDB_H
#define LOOM_SHM_INDEX_LMDB_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "shm/control/control.h"
#include "shm/index/index_tail.h"
#include "shm/index/row.h"
#include "shm/seal/cipher.h"
#include "shm/store/storage.h"

#define LOOM_KEY_BYTES (LOOM_PREFIX_BYTES + 8u)
#define LOOM_TAIL_ROWS_MIN UINT64_C(8192)
#define LOOM_TAIL_ROWS_MAX UINT64_C(131072)

/* meta, "s:state". */
typedef struct loom_index_state {
    uint64_t next_row;
    uint64_t indexed_upto;
    uint64_t live_rows, images, blobs;
    uint64_t payload_bytes, bulk_bytes;
    uint64_t next_deleted;
    uint64_t runs; /* the number of the last run; 0 = none yet */
    uint64_t pins;
    uint64_t hits, misses; /* of finished processes that may write, and of this one up to its last commit */
    uint64_t evicted_rows, evicted_bytes;
    uint64_t tail_gone; /* rows above indexed_upto that were removed or became tombstones: hints to leave out */
    uint64_t reserved;
} loom_index_state;
#define LOOM_STATE_BYTES_1 80u /* of format 1: up to next_deleted, then zeros */
_Static_assert(sizeof(loom_index_state) == 128, "the state is a disk format: see shm/SCHEMA.md");

#define LOOM_INDEX_FORMAT_KEY "s:format" /* meta: u32 */

/* pins, goals and runs, value; then the text: owner, label or program (shm/SCHEMA.md, "Index"). */
typedef struct loom_note_record {
    uint64_t created_ns;
    loom_id rkey; /* zero for a run */
} loom_note_record;
_Static_assert(sizeof(loom_note_record) == 40, "the note record is a disk format: see shm/SCHEMA.md");

/* files, value. */
typedef struct loom_file_record {
    uint64_t size;
    int64_t mtime_ns, ctime_ns;
    loom_id content;
} loom_file_record;
_Static_assert(sizeof(loom_file_record) == 56, "the file record is a disk format: see shm/SCHEMA.md");

typedef struct loom_index {
    MDB_env *env;
    MDB_dbi rows, keys, vids, extents, deleted, free, files, meta, pins, goals, runs, fields;
    bool read_only;
    const loom_cipher *cipher;   /* of an encrypted store, else NULL; index_row.c has its only uses in the index */
    char *path;                  /* of the store, for messages */
    const loom_control *control; /* whose marks look-ups will store to; NULL: none */
    loom_extents *bulk;          /* the files that rows name, for records in bulk bytes; NULL while there are none */
    pthread_mutex_t lock;
    MDB_txn *reader;        /* pooled: reset while not in use */
    MDB_cursor *cursors[2]; /* of the reader, on keys and vids */
    unsigned scans;         /* other transactions of this process */
    unsigned beginning;     /* threads on their way into a write transaction */
    bool writing;           /* a write transaction is open in this process ... */
    pthread_t writer;       /* ... by this thread */
    loom_tail tails[2];     /* by rkey, by vid: rows in (indexed_upto, seen] */
    uint64_t seen;
    size_t tail_txn;                       /* id of the newest snapshot that the tails include */
    bool wrote;                            /* this process committed rows: index and sync them at close */
    uint64_t clock_ns, readers_checked_ns; /* when this process last did so (index_readers.c) */
    _Atomic uint64_t hits, misses;         /* look-ups that the state does not count yet */
} loom_index;

typedef struct loom_index_options {
    const char *path;   /* of the store */
    uint64_t map_bytes; /* 0 = automatic */
    bool read_only;
    bool no_lock;              /* the folder may not be written: see "quiet" in SCHEMA.md */
    bool alone;                /* no other process is attached */
    const loom_cipher *cipher; /* NULL = plain; must outlive the index */
    uint8_t uuid[16];
} loom_index_options;

loom_status loom_index_open(const loom_index_options *options, loom_index **index, loom_error *err);
void loom_index_close(loom_index *index);
/* A larger map for an environment that is open already; ignored while transactions run or when it is not larger. */
void loom_index_grow(loom_index *index, uint64_t map_bytes);
/* Whether the map may be exchanged: nobody in this process uses it. Under the lock, which look-ups hold too. */
static inline bool loom_index_map_is_unused(const loom_index *index) {
    return index->scans == 0 && !index->writing && index->beginning == 0;
}
/* Doubles the map until `bytes` more fit, if that can be: no transaction of this process is under way, and neither
 * address space nor a limit forbids it. Under the lock. */
void loom_index_make_headroom(loom_index *index, uint64_t bytes);

/* The row of an id, live or tombstone (by vid: live only), copied into the arena. LOOM_NOT_FOUND leaves err alone. */
loom_status loom_index_find(loom_index *index, loom_find_by by, const loom_id *id, loom_arena *arena,
                            loom_result *result, loom_row_kind *kind, loom_error *err);
/* Every row in order of number, as unaligned bytes that last as long as the call; until `visit` returns false. */
loom_status loom_index_scan(loom_index *index, loom_row_visit visit, void *context, loom_error *err);
/* The same from row `first` on, and without asking for the whole file beforehand. */
loom_status loom_index_scan_from(loom_index *index, uint64_t first, loom_row_visit visit, void *context,
                                 loom_error *err);
/* The value under a key of `table`; copied into the arena. LOOM_NOT_FOUND leaves err alone. */
loom_status loom_index_get(loom_index *index, MDB_dbi table, const void *key, size_t key_bytes, loom_arena *arena,
                           const void **value, size_t *length, loom_error *err);
/* A fixed-size value; LOOM_NOT_FOUND, or LOOM_BAD_STORE when the size differs. */
loom_status loom_index_get_fixed(loom_index *index, MDB_dbi table, const void *key, size_t key_bytes, void *value,
                                 size_t length, loom_error *err);
loom_status loom_index_state_of(loom_index *index, loom_index_state *state, loom_error *err);
/* Flushes everything to the disk. */
loom_status loom_index_sync(loom_index *index, loom_error *err);
uint64_t loom_index_bytes(const loom_index *index);
/* Whether row number `row` is live in a snapshot taken now. */
loom_status loom_index_row_is_live(loom_index *index, uint64_t row, bool *live, loom_error *err);
/* A read transaction of its own, for several tables at one moment; end it soon: while it lasts no page of the index is
 * reused. LMDB's code. */
int loom_index_begin_scan(loom_index *index, MDB_txn **txn);
void loom_index_end_scan(loom_index *index, MDB_txn *txn);
/* Every entry of a table in order of its keys, in a transaction of its own, until `visit` returns false. */
typedef bool (*loom_entry_visit)(const MDB_val *key, const MDB_val *value, void *context);
loom_status loom_index_each_entry(loom_index *index, MDB_dbi table, loom_entry_visit visit, void *context,
                                  loom_error *err);

/* For how long the oldest reader of any process has not seen what was committed (index_readers.c); 0 = no reader is
 * behind. While one is, LMDB reuses no page freed since. At least so long, to about a second. */
loom_status loom_index_oldest_reader(loom_index *index, uint64_t *age_ms, loom_error *err);
/* Frees the slots of readers that died, at most once a second. */
void loom_index_clear_dead_readers(loom_index *index);

/* ---- pins, goals, runs (index_pins.c); arguments were checked ---- */

loom_status loom_index_each_pin(loom_index *index, loom_pin_visit visit, void *context, loom_error *err);
loom_status loom_index_each_goal(loom_index *index, loom_goal_visit visit, void *context, loom_error *err);

/* ---- writing (index_batch.c) ---- */

typedef struct loom_index_batch loom_index_batch;
/* Takes LMDB's writer lock (waits for other processes and threads). LOOM_BUSY if this thread has a batch already. */
loom_status loom_index_begin(loom_index *index, loom_durability durability, loom_index_batch **batch, loom_error *err);
loom_status loom_index_put(loom_index_batch *batch, const loom_result *result, loom_error *err);
loom_status loom_index_delete(loom_index_batch *batch, const loom_id *rkey, loom_error *err);
/* The same without a tombstone; one that is there goes too. */
loom_status loom_index_forget(loom_index_batch *batch, const loom_id *rkey, loom_error *err);
/* *from and *to: the row numbers before and after; 0 when nothing moved. */
loom_status loom_index_replace(loom_index_batch *batch, const loom_result *result, uint64_t *from, uint64_t *to,
                               loom_error *err);
/* See loom_store_ops.succeed. */
loom_status loom_index_succeed(loom_index_batch *batch, const loom_id *from, const loom_result *result,
                               loom_error *err);
loom_status loom_index_set_expiry(loom_index_batch *batch, const loom_id *rkey, uint64_t expires_ns, loom_error *err);
loom_status loom_index_pin(loom_index_batch *batch, const loom_id *rkey, const char *owner, loom_error *err);
loom_status loom_index_unpin(loom_index_batch *batch, const loom_id *rkey, const char *owner, loom_error *err);
loom_status loom_index_begin_run(loom_index_batch *batch, const char *program, uint64_t *run, loom_error *err);
loom_status loom_index_put_goal(loom_index_batch *batch, uint64_t run, const char *label, const loom_id *rkey,
                                loom_error *err);
loom_status loom_index_put_raw(loom_index_batch *batch, MDB_dbi table, const void *key, size_t key_bytes,
                               const void *value, size_t length, loom_error *err);
/* Frees the batch in any case. Bulk files named by the batch are synced first when durability is strict. */
loom_status loom_index_commit(loom_index_batch *batch, loom_extents *extents, loom_error *err);
void loom_index_abort(loom_index_batch *batch);
/* Moves the unindexed tail into keys and vids. */
loom_status loom_index_flush_tail(loom_index *index, loom_error *err);
/* Returns a range to the file system. */
typedef loom_status (*loom_punch)(void *context, const loom_placement *placement, loom_error *err);

/* ---- what an encrypted store does otherwise (index_row.c): names of ids, bytes of rows, values of small tables ----
 */

/* The name under which an id stands in rows' headers, keys, vids, pins, control. */
loom_id loom_index_name(const loom_index *index, const loom_id *id);
/* The row as it stands in the table: its size, and its bytes (any alignment). */
size_t loom_index_row_bytes(const loom_index *index, const loom_result *result, loom_row_kind kind);
loom_status loom_index_write_row(const loom_index *index, const loom_result *result, loom_row_kind kind, uint64_t row,
                                 uint8_t *out, loom_error *err);
/* Makes a copy of what stands in the table the plain row, in place (never longer). LOOM_CORRUPT. */
loom_status loom_index_open_row(const loom_index *index, uint64_t row, uint8_t *bytes, size_t *length, loom_error *err);
/* The key of a small table (pins, goals): the name of `id` if given, then `text`, then `number` big-endian if not 0.
 * Returns its length. */
#define LOOM_SMALL_KEY_MAX 256u
size_t loom_index_small_key(const loom_index *index, const loom_id *id, const char *text, uint64_t number,
                            uint8_t key[LOOM_SMALL_KEY_MAX]);
/* Any other key, as it stands in `table`; `out` holds max(key_bytes, 32). Returns its length. */
size_t loom_index_hidden_key(const loom_index *index, const char *table, const void *key, size_t key_bytes,
                             uint8_t *out);
/* Whose index it is, as meta says: the uuid, and in an encrypted store its seal, so that neither a FORMAT without its
 * key nor that of another master key makes an index look like one of rows that are merely damaged. */
#define LOOM_IDENTITY_MAX (16u + 16u + LOOM_SEAL_OVERHEAD)
loom_status loom_index_identity(const loom_index *index, const uint8_t uuid[16], uint8_t identity[LOOM_IDENTITY_MAX],
                                size_t *length, loom_error *err);
bool loom_index_is_of(const loom_index *index, const uint8_t uuid[16], const void *identity, size_t length);
/* The name of a table whose value under `key` is sealed; NULL: it stands there as it is. */
const char *loom_index_sealed_table(const loom_index *index, MDB_dbi table, const void *key, size_t key_bytes);
/* Makes a copy of a value the plain value, in place, if it is sealed. LOOM_CORRUPT. */
loom_status loom_index_open_value(const loom_index *index, MDB_dbi table, const void *key, size_t key_bytes,
                                  uint8_t *value, size_t *length, loom_error *err);

/* ---- shared by the index's files ---- */

void loom_index_drop_reader(loom_index *index);

/* The store's error for an LMDB code: cause and remedy. */
loom_status loom_index_fail(const loom_index *index, int code, const char *doing, loom_error *err);
loom_status loom_index_read_state(const loom_index *index, MDB_txn *txn, loom_index_state *state, loom_error *err);
/* Adds to the tails the rows that `txn`, a snapshot with id `snapshot`, has above `seen`. Under the lock. */
loom_status loom_index_refresh(loom_index *index, MDB_txn *txn, size_t snapshot, loom_error *err);
/* One candidate at a time: rows that may have the id, from a tail, then from a table by a cursor. */
typedef struct loom_candidates {
    const loom_tail *tails[2]; /* NULL: none */
    size_t places[2];
    MDB_cursor *cursor;
    bool in_table;
    uint8_t start[LOOM_KEY_BYTES];
} loom_candidates;
void loom_candidates_begin(loom_candidates *candidates, const loom_tail *first, const loom_tail *second,
                           MDB_cursor *cursor);
/* 0 when there are no more; *code is an LMDB error or MDB_SUCCESS. */
uint64_t loom_candidates_next(loom_candidates *candidates, const loom_id *id, int *code);
void loom_index_key(const loom_id *id, uint64_t row, uint8_t key[LOOM_KEY_BYTES]);

#endif
