/* store_memory.c - the store in memory: encoded rows behind a hash in the opening process, bulk bytes in memfds laid
 * out as extent files, which workers inherit by descriptor. Attached workers have no index. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/extent_file.h"
#include "shm/fork.h"
#include "shm/platform_file.h"
#include "shm/store.h"

#define WRITERS_MAX 1024u

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

/* What a batch will do to one row, prepared so that commit cannot fail half-way. */
typedef struct row_change {
    uint64_t row;
    uint8_t *bytes; /* NULL: the row goes */
    size_t length;
} row_change;

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
} memory_batch;

static memory_store *memory_of(loom_store *store) {
    return (memory_store *)store;
}

/* Makes room for one more item. */
static bool make_room(void *items, size_t item_bytes, size_t count, size_t *capacity) {
    if (count < *capacity) return true;
    void **array = items;
    size_t larger = *capacity == 0 ? 16 : 2 * *capacity;
    void *grown = realloc(*array, larger * item_bytes);
    if (grown == NULL) return false;
    *array = grown;
    *capacity = larger;
    return true;
}

static loom_status no_memory(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory in the store :memory:");
}

/* ---- reading ---- */

static const stored_row *row_at(const memory_store *store, uint64_t row) {
    return row < store->row_count && store->rows[row].bytes != NULL ? &store->rows[row] : NULL;
}

static bool row_has(const stored_row *row, loom_find_by by, const loom_id *id) {
    loom_row_header header;
    if (!loom_row_peek(row->bytes, row->length, &header)) return false;
    if (by == LOOM_BY_VID) return header.kind == LOOM_ROW_LIVE && loom_id_equal(&header.vid, id);
    return loom_id_equal(&header.rkey, id);
}

static loom_status find_locked(memory_store *store, loom_find_by by, const loom_id *id, loom_arena *arena,
                               loom_result *result, loom_row_kind *kind, loom_error *err) {
    size_t cursor = 0;
    uint64_t number;
    while ((number = loom_tail_next(&store->tails[by], id, &cursor)) != 0) {
        const stored_row *row = row_at(store, number);
        if (row == NULL || !row_has(row, by, id)) continue;
        const uint8_t *copy = loom_arena_copy(arena, row->bytes, row->length);
        if (copy == NULL) return no_memory(err);
        return loom_row_decode(copy, row->length, number, result, kind, err);
    }
    return LOOM_NOT_FOUND;
}

static loom_status memory_find(loom_store *base, loom_find_by by, const loom_id *id, loom_arena *arena,
                               loom_result *result, loom_row_kind *kind, loom_error *err) {
    memory_store *store = memory_of(base);
    pthread_mutex_lock(&store->lock);
    loom_status status = find_locked(store, by, id, arena, result, kind, err);
    pthread_mutex_unlock(&store->lock);
    return status;
}

/* Row by row, each copied under the lock: the callback may use the store. Rows that come meanwhile are not visited. */
static loom_status memory_scan(loom_store *base, loom_row_visit visit, void *context, loom_error *err) {
    memory_store *store = memory_of(base);
    uint8_t *copy = NULL;
    size_t capacity = 0;
    pthread_mutex_lock(&store->lock);
    size_t count = store->row_count;
    pthread_mutex_unlock(&store->lock);
    loom_status status = LOOM_OK;
    bool more = true;
    for (size_t number = 1; number < count && more && status == LOOM_OK; number++) {
        size_t length = 0;
        pthread_mutex_lock(&store->lock);
        const stored_row *row = row_at(store, number);
        if (row != NULL && row->length > capacity) {
            uint8_t *grown = realloc(copy, row->length);
            if (grown == NULL)
                status = no_memory(err);
            else
                copy = grown, capacity = row->length;
        }
        if (row != NULL && status == LOOM_OK) memcpy(copy, row->bytes, length = row->length);
        pthread_mutex_unlock(&store->lock);
        if (length > 0) more = visit(number, copy, length, context);
    }
    free(copy);
    return status;
}

static void inode_key(const loom_file_stamp *stamp, loom_id *key) {
    memset(key, 0, sizeof *key);
    memcpy(key->bytes, &stamp->device, 8);
    memcpy(key->bytes + 8, &stamp->inode, 8);
}

static stored_file *file_of(memory_store *store, const loom_file_stamp *stamp) {
    loom_id key;
    size_t cursor = 0;
    inode_key(stamp, &key);
    uint64_t found = loom_tail_next(&store->files_by_inode, &key, &cursor);
    return found == 0 ? NULL : &store->files[found - 1];
}

static bool same_stamp(const loom_file_stamp *a, const loom_file_stamp *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

static loom_status memory_get_file(loom_store *base, const loom_file_stamp *stamp, loom_id *content, loom_error *err) {
    (void)err;
    memory_store *store = memory_of(base);
    pthread_mutex_lock(&store->lock);
    const stored_file *file = file_of(store, stamp);
    bool found = file != NULL && same_stamp(&file->stamp, stamp);
    if (found) *content = file->content;
    pthread_mutex_unlock(&store->lock);
    return found ? LOOM_OK : LOOM_NOT_FOUND;
}

static stored_meta *meta_of(memory_store *store, const char *key) {
    for (size_t i = 0; i < store->meta_count; i++)
        if (strcmp(store->metas[i].key, key) == 0) return &store->metas[i];
    return NULL;
}

static loom_status memory_get_meta(loom_store *base, const char *key, loom_arena *arena, const void **bytes,
                                   size_t *length, loom_error *err) {
    memory_store *store = memory_of(base);
    loom_status status = LOOM_NOT_FOUND;
    pthread_mutex_lock(&store->lock);
    const stored_meta *meta = meta_of(store, key);
    if (meta != NULL) {
        *bytes = loom_arena_copy(arena, meta->bytes, meta->length);
        *length = meta->length;
        status = *bytes == NULL ? no_memory(err) : LOOM_OK;
    }
    pthread_mutex_unlock(&store->lock);
    return status;
}

static loom_status memory_stat(loom_store *base, loom_store_stats *stats, loom_error *err) {
    memory_store *store = memory_of(base);
    pthread_mutex_lock(&store->lock);
    *stats = store->stats;
    pthread_mutex_unlock(&store->lock);
    stats->format = LOOM_STORE_FORMAT;
    return loom_extents_usage(base->extents, &stats->extent_files, &stats->extent_allocated_bytes, err);
}

/* ---- batches ---- */

static loom_status memory_begin(loom_store *base, loom_batch **batch, loom_error *err) {
    memory_batch *made = calloc(1, sizeof *made);
    if (made == NULL) return no_memory(err);
    made->base.store = base;
    *batch = &made->base;
    return LOOM_OK;
}

static loom_status activate(memory_batch *batch, loom_error *err) {
    if (batch->active) return LOOM_OK;
    memory_store *store = memory_of(batch->base.store);
    pthread_mutex_lock(&store->lock);
    bool mine = store->writing && pthread_equal(store->writing_thread, pthread_self());
    pthread_mutex_unlock(&store->lock);
    if (mine) return loom_fail(err, LOOM_BUSY, "this thread has a batch open on :memory:; commit it first");
    pthread_mutex_lock(&store->writer);
    pthread_mutex_lock(&store->lock);
    store->writing = true;
    store->writing_thread = pthread_self();
    batch->first_row = batch->next_row = store->row_count;
    pthread_mutex_unlock(&store->lock);
    batch->active = true;
    return LOOM_OK;
}

static void row_id(uint64_t row, loom_id *id) {
    memset(id, 0, sizeof *id);
    memcpy(id->bytes, &row, sizeof row);
}

/* Takes `bytes` over. */
static loom_status change_row(memory_batch *batch, uint64_t row, uint8_t *bytes, size_t length, loom_error *err) {
    loom_id id;
    row_id(row, &id);
    if (!make_room(&batch->changes, sizeof *batch->changes, batch->change_count, &batch->change_capacity) ||
        !loom_tail_add(&batch->touched, id.bytes, batch->change_count + 1)) {
        free(bytes);
        return no_memory(err);
    }
    batch->changes[batch->change_count++] = (row_change){row, bytes, length};
    return LOOM_OK;
}

/* The row as this batch sees it. */
static stored_row view_row(memory_batch *batch, uint64_t row) {
    loom_id id;
    size_t cursor = 0;
    uint64_t place, last = 0;
    row_id(row, &id);
    while ((place = loom_tail_next(&batch->touched, &id, &cursor)) != 0)
        if (place > last) last = place;
    if (last != 0) return (stored_row){batch->changes[last - 1].bytes, batch->changes[last - 1].length};
    const stored_row *stored = row_at(memory_of(batch->base.store), row);
    return stored != NULL ? *stored : (stored_row){0};
}

static bool take_if(memory_batch *batch, uint64_t number, const loom_id *rkey, loom_result *stored,
                    loom_row_kind *kind) {
    stored_row row = view_row(batch, number);
    return row.bytes != NULL && row_has(&row, LOOM_BY_RKEY, rkey) &&
           loom_row_decode(row.bytes, row.length, number, stored, kind, NULL) == LOOM_OK;
}

/* The writer lock keeps rows and tails as they are; the result points into them. */
static bool find_stored(memory_batch *batch, const loom_id *rkey, loom_result *stored, loom_row_kind *kind) {
    const loom_tail *tails[] = {&batch->keys, &memory_of(batch->base.store)->tails[LOOM_BY_RKEY]};
    for (size_t i = 0; i < 2; i++) {
        size_t cursor = 0;
        uint64_t number;
        while ((number = loom_tail_next(tails[i], rkey, &cursor)) != 0)
            if (take_if(batch, number, rkey, stored, kind)) return true;
    }
    return false;
}

static void count_result(loom_store_stats *stats, const loom_result *result, uint64_t one) {
    stats->rows += one;
    if (result->type == LOOM_IMAGE) stats->images += one;
    if (result->blob) stats->blobs += one;
    stats->payload_bytes += one * result->payload_bytes;
    stats->bulk_bytes += one * result->bulk.bytes;
}

static loom_status append_row(memory_batch *batch, const loom_result *result, loom_error *err) {
    size_t length = loom_row_bytes(result);
    uint8_t *bytes = malloc(length);
    if (bytes == NULL) return no_memory(err);
    uint64_t row = batch->next_row;
    loom_row_encode(result, row, bytes);
    LOOM_TRY(change_row(batch, row, bytes, length, err));
    if (!loom_tail_add(&batch->keys, result->rkey.bytes, row)) return no_memory(err);
    if (loom_row_has_vid_entry(&result->rkey, &result->vid, result->type) &&
        !loom_tail_add(&batch->vids, result->vid.bytes, row))
        return no_memory(err);
    batch->next_row++;
    count_result(&batch->delta, result, 1);
    return LOOM_OK;
}

static loom_status memory_put(loom_batch *base, const loom_result *result, loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    LOOM_TRY(activate(batch, err));
    loom_result stored;
    loom_row_kind kind = LOOM_ROW_LIVE;
    bool found = find_stored(batch, &result->rkey, &stored, &kind);
    if (found && kind == LOOM_ROW_LIVE)
        return loom_row_same_value(&stored, result) ? LOOM_OK : loom_store_irreproducible(&result->rkey, err);
    LOOM_TRY(append_row(batch, result, err));
    return found ? change_row(batch, stored.row, NULL, 0, err) : LOOM_OK;
}

static loom_status memory_erase(loom_batch *base, const loom_id *rkey, loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    LOOM_TRY(activate(batch, err));
    loom_result stored;
    loom_row_kind kind = LOOM_ROW_LIVE;
    if (!find_stored(batch, rkey, &stored, &kind) || kind != LOOM_ROW_LIVE) return LOOM_NOT_FOUND;
    size_t length = loom_row_encode_tombstone(&stored, stored.row, NULL);
    uint8_t *bytes = malloc(length);
    if (bytes == NULL) return no_memory(err);
    loom_row_encode_tombstone(&stored, stored.row, bytes);
    count_result(&batch->delta, &stored, UINT64_MAX);
    return change_row(batch, stored.row, bytes, length, err);
}

static loom_status memory_put_file(loom_batch *base, const loom_file_stamp *stamp, const loom_id *content,
                                   loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    LOOM_TRY(activate(batch, err));
    if (!make_room(&batch->files, sizeof *batch->files, batch->file_count, &batch->file_capacity))
        return no_memory(err);
    batch->files[batch->file_count++] = (stored_file){*stamp, *content};
    return LOOM_OK;
}

static loom_status memory_put_meta(loom_batch *base, const char *key, const void *bytes, size_t length,
                                   loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    LOOM_TRY(activate(batch, err));
    stored_meta meta = {.key = strdup(key), .bytes = malloc(length > 0 ? length : 1), .length = length};
    if (meta.key == NULL || meta.bytes == NULL ||
        !make_room(&batch->metas, sizeof *batch->metas, batch->meta_count, &batch->meta_capacity)) {
        free(meta.key);
        free(meta.bytes);
        return no_memory(err);
    }
    if (length > 0) memcpy(meta.bytes, bytes, length);
    batch->metas[batch->meta_count++] = meta;
    return LOOM_OK;
}

static void end_batch(memory_batch *batch) {
    memory_store *store = memory_of(batch->base.store);
    for (size_t i = 0; i < batch->change_count; i++)
        free(batch->changes[i].bytes);
    for (size_t i = 0; i < batch->meta_count; i++) {
        free(batch->metas[i].key);
        free(batch->metas[i].bytes);
    }
    free(batch->changes);
    free(batch->files);
    free(batch->metas);
    loom_tail_free(&batch->touched);
    loom_tail_free(&batch->keys);
    loom_tail_free(&batch->vids);
    if (batch->active) {
        pthread_mutex_lock(&store->lock);
        store->writing = false;
        pthread_mutex_unlock(&store->lock);
        pthread_mutex_unlock(&store->writer);
    }
    free(batch);
}

static bool reserve_rows(memory_store *store, uint64_t count) {
    if (count <= store->row_capacity) return true;
    size_t capacity = store->row_capacity == 0 ? 1024 : store->row_capacity;
    while (capacity < count)
        capacity *= 2;
    stored_row *grown = realloc(store->rows, capacity * sizeof *grown);
    if (grown == NULL) return false;
    store->rows = grown;
    store->row_capacity = capacity;
    return true;
}

static bool merge(loom_tail *into, const loom_tail *from) {
    for (size_t i = 0; i < from->capacity; i++)
        if (from->entries[i].row != 0 && !loom_tail_add(into, from->entries[i].prefix, from->entries[i].row))
            return false;
    return true;
}

/* Everything that can fail. Hints to rows that then do not come are skipped by look-ups. */
static bool prepare_commit(memory_store *store, const memory_batch *batch) {
    for (size_t i = 0; i < batch->file_count; i++)
        if (!make_room(&store->files, sizeof *store->files, store->file_count + i, &store->file_capacity)) return false;
    for (size_t i = 0; i < batch->meta_count; i++)
        if (!make_room(&store->metas, sizeof *store->metas, store->meta_count + i, &store->meta_capacity)) return false;
    return reserve_rows(store, batch->next_row) && merge(&store->tails[LOOM_BY_RKEY], &batch->keys) &&
           merge(&store->tails[LOOM_BY_VID], &batch->vids);
}

static void apply_rows(memory_store *store, memory_batch *batch) {
    while (store->row_count < batch->next_row)
        store->rows[store->row_count++] = (stored_row){0};
    for (size_t i = 0; i < batch->change_count; i++) {
        stored_row *row = &store->rows[batch->changes[i].row];
        free(row->bytes);
        *row = (stored_row){batch->changes[i].bytes, batch->changes[i].length};
        batch->changes[i].bytes = NULL; /* now the store's */
    }
}

/* False when the memo of one file could not grow: it is only a memo. */
static void apply_files(memory_store *store, const memory_batch *batch) {
    for (size_t i = 0; i < batch->file_count; i++) {
        const stored_file *file = &batch->files[i];
        stored_file *known = file_of(store, &file->stamp);
        loom_id key;
        inode_key(&file->stamp, &key);
        if (known != NULL)
            *known = *file;
        else if (loom_tail_add(&store->files_by_inode, key.bytes, store->file_count + 1))
            store->files[store->file_count++] = *file;
    }
}

static void apply_metas(memory_store *store, memory_batch *batch) {
    for (size_t i = 0; i < batch->meta_count; i++) {
        stored_meta *known = meta_of(store, batch->metas[i].key);
        if (known == NULL) {
            store->metas[store->meta_count++] = batch->metas[i];
        } else {
            stored_meta old = *known;
            *known = batch->metas[i];
            free(old.key);
            free(old.bytes);
        }
        batch->metas[i] = (stored_meta){0};
    }
}

static void apply_stats(loom_store_stats *stats, const loom_store_stats *delta) {
    stats->rows += delta->rows;
    stats->images += delta->images;
    stats->blobs += delta->blobs;
    stats->payload_bytes += delta->payload_bytes;
    stats->bulk_bytes += delta->bulk_bytes;
}

static loom_status memory_commit(loom_batch *base, loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    memory_store *store = memory_of(base->store);
    loom_status status = LOOM_OK;
    if (batch->active) {
        pthread_mutex_lock(&store->lock);
        if (prepare_commit(store, batch)) {
            apply_rows(store, batch);
            apply_files(store, batch);
            apply_metas(store, batch);
            apply_stats(&store->stats, &batch->delta);
        } else {
            status = no_memory(err);
        }
        pthread_mutex_unlock(&store->lock);
    }
    end_batch(batch);
    return status;
}

static void memory_abort(loom_batch *base) {
    end_batch((memory_batch *)base);
}

/* ---- opening, attaching ---- */

static void memory_close(loom_store *base) {
    memory_store *store = memory_of(base);
    loom_extents_free(base->extents);
    for (uint32_t i = 0; i < store->fd_count; i++)
        if (store->fds[i] >= 0) close(store->fds[i]);
    for (size_t i = 0; i < store->row_count; i++)
        free(store->rows[i].bytes);
    for (size_t i = 0; i < store->meta_count; i++) {
        free(store->metas[i].key);
        free(store->metas[i].bytes);
    }
    free(store->fds);
    free(store->rows);
    free(store->files);
    free(store->metas);
    loom_tail_free(&store->tails[0]);
    loom_tail_free(&store->tails[1]);
    loom_tail_free(&store->files_by_inode);
    pthread_mutex_destroy(&store->lock);
    pthread_mutex_destroy(&store->writer);
    free(store);
}

static loom_status memory_token(const loom_store *base, char *text, size_t capacity) {
    const memory_store *store = (const memory_store *)base;
    int used = snprintf(text, capacity, "memory:");
    for (uint32_t i = 0; i < store->fd_count && used >= 0 && (size_t)used < capacity; i++) {
        int more = snprintf(text + used, capacity - (size_t)used, i == 0 ? "%d" : ",%d", store->fds[i]);
        used = more < 0 ? more : used + more;
    }
    return used >= 0 && (size_t)used < capacity ? LOOM_OK : LOOM_TOO_LARGE;
}

static size_t memory_inherit(const loom_store *base, int *fds, size_t capacity) {
    const memory_store *store = (const memory_store *)base;
    for (uint32_t i = 0; i < store->fd_count && i < capacity; i++)
        fds[i] = store->fds[i];
    return store->fd_count;
}

static const loom_store_ops memory_ops = {
    .close = memory_close,
    .token = memory_token,
    .inherit = memory_inherit,
    .find = memory_find,
    .scan = memory_scan,
    .get_file = memory_get_file,
    .get_meta = memory_get_meta,
    .stat = memory_stat,
    .begin = memory_begin,
    .put = memory_put,
    .erase = memory_erase,
    .put_file = memory_put_file,
    .put_meta = memory_put_meta,
    .commit = memory_commit,
    .abort = memory_abort,
};

static loom_status make_store(uint32_t fd_count, memory_store **made, loom_error *err) {
    memory_store *store = calloc(1, sizeof *store);
    int *fds = malloc(fd_count * sizeof *fds);
    if (store == NULL || fds == NULL) {
        free(store);
        free(fds);
        return no_memory(err);
    }
    for (uint32_t i = 0; i < fd_count; i++)
        fds[i] = -1;
    store->base =
        (loom_store){.ops = &memory_ops, .path = ":memory:", .generation = loom_fork_generation(), .in_memory = true};
    store->fds = fds;
    store->fd_count = fd_count;
    store->row_count = 1;
    pthread_mutex_init(&store->lock, NULL);
    pthread_mutex_init(&store->writer, NULL);
    if (!reserve_rows(store, 1)) {
        memory_close(&store->base);
        return no_memory(err);
    }
    store->rows[0] = (stored_row){0};
    *made = store;
    return LOOM_OK;
}

static loom_status open_extents(memory_store *store, uint32_t own, loom_error *err) {
    loom_extents_options options = {.path = ":memory:",
                                    .dir_fd = -1,
                                    .lock_fd = -1,
                                    .memory_fds = store->fds,
                                    .memory_count = store->fd_count,
                                    .memory_own = own,
                                    .writable = true,
                                    .extent_bytes = UINT64_MAX,
                                    .step_bytes = 0};
    return loom_extents_new(&options, &store->base.extents, err);
}

loom_status loom_store_open_memory(const loom_store_options *options, loom_store **store, loom_error *err) {
    uint32_t writers = options->memory_writers == 0 ? 1 : options->memory_writers;
    if (writers > WRITERS_MAX)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "memory_writers is %u; at most %u", writers, WRITERS_MAX);
    memory_store *made;
    LOOM_TRY(make_store(writers + 1, &made, err)); /* file 0 is the opening process's own */
    loom_status status = LOOM_OK;
    for (uint32_t i = 0; i < made->fd_count && status == LOOM_OK; i++) {
        int failed = loom_memory_file("voxloom-extent", &made->fds[i]);
        if (failed) status = loom_fail_errno(err, failed, "cannot make a file in memory");
    }
    if (status == LOOM_OK) status = open_extents(made, 0, err);
    if (status != LOOM_OK) {
        memory_close(&made->base);
        return status;
    }
    made->base.writable = !options->read_only;
    *store = &made->base;
    return LOOM_OK;
}

static uint32_t count_numbers(const char *token) {
    uint32_t count = 1;
    for (; *token != '\0'; token++)
        if (*token == ',') count++;
    return count;
}

static loom_status take_descriptors(memory_store *store, const char *token, loom_error *err) {
    for (uint32_t i = 0; i < store->fd_count; i++) {
        char *end;
        errno = 0;
        long number = strtol(token, &end, 10);
        if (errno != 0 || end == token || number < 0 || number > 1 << 20 || (*end != ',' && *end != '\0'))
            return loom_fail(err, LOOM_BAD_ARGUMENT, "\"memory:%.40s\" names no store to attach to", token);
        store->fds[i] = fcntl((int)number, F_DUPFD_CLOEXEC, 3);
        if (store->fds[i] < 0)
            return loom_fail_errno(err, errno, "descriptor %ld of the store in memory was not inherited", number);
        token = *end == ',' ? end + 1 : end;
    }
    return LOOM_OK;
}

loom_status loom_store_attach_memory(const char *token, uint32_t writer_index, loom_store **store, loom_error *err) {
    uint32_t count = count_numbers(token);
    if (count > WRITERS_MAX + 1 || writer_index >= count - 1)
        return loom_fail(err, LOOM_BAD_ARGUMENT,
                         "writer %u of a store in memory that was made for %u; raise memory_writers", writer_index,
                         count - 1);
    memory_store *made;
    LOOM_TRY(make_store(count, &made, err));
    loom_status status = take_descriptors(made, token, err);
    if (status == LOOM_OK) status = open_extents(made, writer_index + 1, err);
    if (status != LOOM_OK) {
        memory_close(&made->base);
        return status;
    }
    *store = &made->base;
    return LOOM_OK;
}
