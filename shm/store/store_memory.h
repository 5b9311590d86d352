/* store_memory.h - the parts of the store in memory, shared by its two files: rows and look-ups (store_memory.c),
 * batches (store_memory_batch.c). */
#ifndef LOOM_SHM_STORE_MEMORY_H
#define LOOM_SHM_STORE_MEMORY_H

#include <pthread.h>

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

typedef struct memory_store {
    loom_store base;
    int *fds;
    uint32_t fd_count;
    pthread_mutex_t lock; /* all below, but not while a batch prepares */
    stored_row *rows;     /* by row number; 0 is unused */
    size_t row_count, row_capacity;
    loom_tail tails[2];
    stored_file *files;
    size_t file_count, file_capacity;
    loom_tail files_by_inode; /* (device, inode) -> index + 1 */
    stored_meta *metas;
    size_t meta_count, meta_capacity;
    loom_store_stats stats;
    pthread_mutex_t writer; /* held by a batch from its first write to its end, as LMDB's writer lock is */
    bool writing;
    pthread_t writing_thread;
} memory_store;

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
loom_status loom_memory_erase(loom_batch *batch, const loom_id *rkey, loom_error *err);
loom_status loom_memory_put_file(loom_batch *batch, const loom_file_stamp *stamp, const loom_id *content,
                                 loom_error *err);
loom_status loom_memory_put_meta(loom_batch *batch, const char *key, const void *bytes, size_t length, loom_error *err);
loom_status loom_memory_commit(loom_batch *batch, loom_error *err);
void loom_memory_abort(loom_batch *batch);
bool loom_memory_reserve_rows(memory_store *store, uint64_t count);

#endif
