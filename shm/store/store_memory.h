/* store_memory.h - the parts of the store in memory, shared by its two files: rows and look-ups (store_memory.c),
 * batches (store_memory_batch.c). */
#ifndef LOOM_SHM_STORE_MEMORY_H
#define LOOM_SHM_STORE_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>

#include "shm/store/memory_files.h"
#include "shm/store/store.h"

typedef struct stored_row {
    uint8_t *bytes; /* NULL: no such row (any more) */
    size_t length;
} stored_row;

typedef struct stored_file {
    loom_file_stamp stamp;
    loom_id content;
} stored_file;

typedef struct stored_meta {
    char *key;
    void *bytes;
    size_t length;
} stored_meta;

/* A pin (owner, run 0) or a goal (label). Kept in order of what the store says of its lists. */
typedef struct stored_note {
    loom_id rkey;
    char *text;
    uint64_t run;
    uint64_t created_ns;
} stored_note;

typedef struct stored_notes {
    stored_note *items;
    size_t count, capacity;
} stored_notes;

typedef struct memory_store {
    loom_store base;
    loom_memory_files files_of_bulk;
    pthread_mutex_t lock; /* all below, but not while a batch prepares */
    stored_row *rows;     /* by row number; 0 is unused */
    size_t row_count, row_capacity;
    loom_tail tails[2];
    stored_file *files;
    size_t file_count, file_capacity;
    loom_tail files_by_inode; /* (device, inode) -> index + 1 */
    stored_meta *metas;
    size_t meta_count, meta_capacity;
    stored_notes pins, goals;
    uint64_t runs;
    _Atomic uint64_t hits, misses;
    loom_store_stats stats;
    pthread_mutex_t writer; /* held by a batch from its first write to its end, as LMDB's writer lock is */
    bool writing;
    pthread_t writing_thread;
} memory_store;

/* What a batch will do to one row, prepared so that commit cannot fail half-way. */
typedef struct row_change {
    uint64_t row;
    uint8_t *bytes; /* NULL: the row goes */
    size_t length;
} row_change;

/* What a batch will do to the pins or goals. */
typedef struct note_change {
    stored_note note; /* its text is the batch's until commit */
    bool goal, gone;
} note_change;

typedef struct memory_batch {
    loom_batch base;
    bool active; /* holds the writer lock */
    uint64_t first_row, next_row;
    row_change *changes;
    size_t change_count, change_capacity;
    loom_tail touched; /* row number -> index + 1 of its changes */
    loom_tail keys;    /* rkeys of new rows */
    loom_tail vids;
    loom_store_stats delta; /* wraps: added to the store's */
    stored_file *files;
    size_t file_count, file_capacity;
    stored_meta *metas;
    size_t meta_count, meta_capacity;
    note_change *notes;
    size_t note_count, note_capacity;
    uint64_t runs; /* the last number given out */
} memory_batch;

/* Makes room for one more item in *(T **)items. */
bool loom_memory_make_room(void *items, size_t item_bytes, size_t count, size_t *capacity);
/* Takes the writer lock, once a batch. */
loom_status loom_memory_activate(memory_batch *batch, loom_error *err);

static inline memory_store *loom_memory_of(loom_store *store) {
    return (memory_store *)store;
}

loom_status loom_memory_exhausted(loom_error *err);
/* The row of a number, or NULL. */
const stored_row *loom_memory_row(const memory_store *store, uint64_t row);
bool loom_memory_row_has(const stored_row *row, loom_find_by by, const loom_id *id);
/* The file memo and the named blob, or NULL. Under the lock. */
stored_file *loom_memory_file_memo(memory_store *store, const loom_file_stamp *stamp);
void loom_memory_inode_key(const loom_file_stamp *stamp, loom_id *key);
stored_meta *loom_memory_meta(memory_store *store, const char *key);

loom_status loom_memory_begin(loom_store *store, loom_batch **batch, loom_error *err);
loom_status loom_memory_put(loom_batch *batch, const loom_result *result, loom_error *err);
loom_status loom_memory_forget(loom_batch *base, const loom_id *rkey, loom_error *err);
loom_status loom_memory_erase(loom_batch *batch, const loom_id *rkey, loom_error *err);
loom_status loom_memory_replace(loom_batch *batch, const loom_result *result, loom_error *err);
loom_status loom_memory_succeed(loom_batch *batch, const loom_id *from, const loom_result *result, loom_error *err);
loom_status loom_memory_set_expiry(loom_batch *batch, const loom_id *rkey, uint64_t expires_ns, loom_error *err);
loom_status loom_memory_put_file(loom_batch *batch, const loom_file_stamp *stamp, const loom_id *content,
                                 loom_error *err);
loom_status loom_memory_put_meta(loom_batch *batch, const char *key, const void *bytes, size_t length, loom_error *err);
loom_status loom_memory_commit(loom_batch *batch, loom_error *err);
void loom_memory_abort(loom_batch *batch);

/* ---- store_memory_notes.c ---- */

loom_status loom_memory_pin(loom_batch *batch, const loom_id *rkey, const char *owner, loom_error *err);
loom_status loom_memory_unpin(loom_batch *batch, const loom_id *rkey, const char *owner, loom_error *err);
loom_status loom_memory_begin_run(loom_batch *batch, const char *program, uint64_t *run, loom_error *err);
loom_status loom_memory_put_goal(loom_batch *batch, uint64_t run, const char *label, const loom_id *rkey,
                                 loom_error *err);
loom_status loom_memory_each_pin(loom_store *store, loom_pin_visit visit, void *context, loom_error *err);
loom_status loom_memory_each_goal(loom_store *store, loom_goal_visit visit, void *context, loom_error *err);
/* Under the store's lock: everything that can fail, then the rest. */
bool loom_memory_prepare_notes(memory_store *store, const memory_batch *batch);
void loom_memory_apply_notes(memory_store *store, memory_batch *batch);
void loom_memory_free_notes(stored_notes *notes);

bool loom_memory_reserve_rows(memory_store *store, uint64_t count);

#endif
