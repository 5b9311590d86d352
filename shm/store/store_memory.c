/* store_memory.c - the store in memory: encoded rows behind a hash in the opening process, bulk bytes in memfds laid
 * out as extent files, which workers inherit by descriptor. Attached workers have no index. Batches:
 * store_memory_batch.c. */
#include "shm/store/store_memory.h"

#include <stdlib.h>
#include <string.h>

#include "shm/fork.h"

loom_status loom_memory_exhausted(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory in the store :memory:");
}

/* ---- reading ---- */

const stored_row *loom_memory_row(const memory_store *store, uint64_t row) {
    return row < store->row_count && store->rows[row].bytes != NULL ? &store->rows[row] : NULL;
}

bool loom_memory_row_has(const stored_row *row, loom_find_by by, const loom_id *id) {
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
        const stored_row *row = loom_memory_row(store, number);
        if (row == NULL || !loom_memory_row_has(row, by, id)) continue;
        const uint8_t *copy = loom_arena_copy(arena, row->bytes, row->length);
        if (copy == NULL) return loom_memory_exhausted(err);
        LOOM_TRY(loom_row_decode(copy, row->length, number, result, kind, err));
        if (by == LOOM_BY_RKEY || !loom_result_expired(result)) return LOOM_OK; /* else: another row may have time */
    }
    return LOOM_NOT_FOUND;
}

static loom_status memory_find(loom_store *base, loom_find_by by, const loom_id *id, loom_arena *arena,
                               loom_result *result, loom_row_kind *kind, loom_error *err) {
    memory_store *store = loom_memory_of(base);
    pthread_mutex_lock(&store->lock);
    loom_status status = find_locked(store, by, id, arena, result, kind, err);
    pthread_mutex_unlock(&store->lock);
    return status;
}

/* Row by row, each copied under the lock: the callback may use the store. Rows that come meanwhile are not visited. */
static loom_status memory_scan(loom_store *base, loom_row_visit visit, void *context, loom_error *err) {
    memory_store *store = loom_memory_of(base);
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
        const stored_row *row = loom_memory_row(store, number);
        if (row != NULL && row->length > capacity) {
            uint8_t *grown = realloc(copy, row->length);
            if (grown == NULL)
                status = loom_memory_exhausted(err);
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

static void memory_used(loom_store *base, const loom_result *result) {
    memory_store *store = loom_memory_of(base);
    atomic_fetch_add_explicit(result != NULL ? &store->hits : &store->misses, 1, memory_order_relaxed);
}

void loom_memory_inode_key(const loom_file_stamp *stamp, loom_id *key) {
    memset(key, 0, sizeof *key);
    memcpy(key->bytes, &stamp->device, 8);
    memcpy(key->bytes + 8, &stamp->inode, 8);
}

stored_file *loom_memory_file_memo(memory_store *store, const loom_file_stamp *stamp) {
    loom_id key;
    size_t cursor = 0;
    loom_memory_inode_key(stamp, &key);
    uint64_t found = loom_tail_next(&store->files_by_inode, &key, &cursor);
    return found == 0 ? NULL : &store->files[found - 1];
}

static bool same_stamp(const loom_file_stamp *a, const loom_file_stamp *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

static loom_status memory_get_file(loom_store *base, const loom_file_stamp *stamp, loom_id *content, loom_error *err) {
    (void)err;
    memory_store *store = loom_memory_of(base);
    pthread_mutex_lock(&store->lock);
    const stored_file *file = loom_memory_file_memo(store, stamp);
    bool found = file != NULL && same_stamp(&file->stamp, stamp);
    if (found) *content = file->content;
    pthread_mutex_unlock(&store->lock);
    return found ? LOOM_OK : LOOM_NOT_FOUND;
}

stored_meta *loom_memory_meta(memory_store *store, const char *key) {
    for (size_t i = 0; i < store->meta_count; i++)
        if (strcmp(store->metas[i].key, key) == 0) return &store->metas[i];
    return NULL;
}

static loom_status memory_get_meta(loom_store *base, const char *key, loom_arena *arena, const void **bytes,
                                   size_t *length, loom_error *err) {
    memory_store *store = loom_memory_of(base);
    loom_status status = LOOM_NOT_FOUND;
    pthread_mutex_lock(&store->lock);
    const stored_meta *meta = loom_memory_meta(store, key);
    if (meta != NULL) {
        *bytes = loom_arena_copy(arena, meta->bytes, meta->length);
        *length = meta->length;
        status = *bytes == NULL ? loom_memory_exhausted(err) : LOOM_OK;
    }
    pthread_mutex_unlock(&store->lock);
    return status;
}

static loom_status memory_stat(loom_store *base, loom_store_stats *stats, loom_error *err) {
    memory_store *store = loom_memory_of(base);
    pthread_mutex_lock(&store->lock);
    *stats = store->stats;
    stats->pins = store->pins.count;
    stats->hits = atomic_load_explicit(&store->hits, memory_order_relaxed);
    stats->misses = atomic_load_explicit(&store->misses, memory_order_relaxed);
    stats->processes = 1;
    pthread_mutex_unlock(&store->lock);
    stats->format = LOOM_STORE_FORMAT;
    return loom_extents_usage(base->extents, &stats->extent_files, &stats->extent_allocated_bytes, err);
}

bool loom_memory_reserve_rows(memory_store *store, uint64_t count) {
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

/* ---- opening, attaching ---- */

static void memory_close(loom_store *base) {
    memory_store *store = loom_memory_of(base);
    loom_extents_free(base->extents);
    loom_memory_files_close(&store->files_of_bulk);
    for (size_t i = 0; i < store->row_count; i++)
        free(store->rows[i].bytes);
    for (size_t i = 0; i < store->meta_count; i++) {
        free(store->metas[i].key);
        free(store->metas[i].bytes);
    }
    free(store->rows);
    free(store->files);
    free(store->metas);
    loom_memory_free_notes(&store->pins);
    loom_memory_free_notes(&store->goals);
    loom_tail_free(&store->tails[0]);
    loom_tail_free(&store->tails[1]);
    loom_tail_free(&store->files_by_inode);
    pthread_mutex_destroy(&store->lock);
    pthread_mutex_destroy(&store->writer);
    free(store);
}

static loom_status memory_token(const loom_store *base, char *text, size_t capacity) {
    static const char kind[] = "memory:";
    const memory_store *store = (const memory_store *)base;
    if (capacity < sizeof kind) return LOOM_TOO_LARGE;
    memcpy(text, kind, sizeof kind - 1);
    return loom_memory_files_print(&store->files_of_bulk, text + sizeof kind - 1, capacity - (sizeof kind - 1));
}

static size_t memory_inherit(const loom_store *base, int *fds, size_t capacity) {
    return loom_memory_files_list(&((const memory_store *)base)->files_of_bulk, fds, capacity);
}

static const loom_store_ops memory_ops = {
    .close = memory_close,
    .token = memory_token,
    .inherit = memory_inherit,
    .find = memory_find,
    .scan = memory_scan,
    .used = memory_used,
    .each_pin = loom_memory_each_pin,
    .each_goal = loom_memory_each_goal,
    .get_file = memory_get_file,
    .get_meta = memory_get_meta,
    .stat = memory_stat,
    .begin = loom_memory_begin,
    .put = loom_memory_put,
    .erase = loom_memory_erase,
    .replace = loom_memory_replace,
    .forget = loom_memory_forget,
    .succeed = loom_memory_succeed,
    .set_expiry = loom_memory_set_expiry,
    .pin = loom_memory_pin,
    .unpin = loom_memory_unpin,
    .begin_run = loom_memory_begin_run,
    .put_goal = loom_memory_put_goal,
    .put_file = loom_memory_put_file,
    .put_meta = loom_memory_put_meta,
    .commit = loom_memory_commit,
    .abort = loom_memory_abort,
};

/* Takes the files over, also on failure. `hidden`: who gave a key wants no core dump of it either. */
static loom_status make_store(loom_memory_files *files, uint32_t own, bool hidden, memory_store **made,
                              loom_error *err) {
    memory_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        loom_memory_files_close(files);
        return loom_memory_exhausted(err);
    }
    store->base =
        (loom_store){.ops = &memory_ops, .path = ":memory:", .generation = loom_fork_generation(), .in_memory = true};
    store->files_of_bulk = *files;
    pthread_mutex_init(&store->lock, NULL);
    pthread_mutex_init(&store->writer, NULL);
    loom_status status = loom_memory_reserve_rows(store, 1) ? LOOM_OK : loom_memory_exhausted(err);
    if (status == LOOM_OK)
        status = loom_memory_files_open(files, own, hidden, store->base.path, &store->base.extents, err);
    if (status != LOOM_OK) {
        memory_close(&store->base);
        return status;
    }
    store->base.stored = store->base.extents;
    store->rows[0] = (stored_row){0};
    store->row_count = 1;
    *made = store;
    return LOOM_OK;
}

loom_status loom_store_open_memory(const loom_store_options *options, loom_store **store, loom_error *err) {
    loom_memory_files files;
    memory_store *made;
    LOOM_TRY(loom_memory_files_make(options->memory_writers, &files, err));
    LOOM_TRY(make_store(&files, 0, options->key != NULL, &made, err));
    made->base.writable = !options->read_only;
    *store = &made->base;
    return LOOM_OK;
}

loom_status loom_store_attach_memory(const char *token, uint32_t writer_index, loom_store **store, loom_error *err) {
    loom_memory_files files;
    memory_store *made;
    uint32_t own;
    LOOM_TRY(loom_memory_files_take(token, &files, err));
    loom_status status = loom_memory_files_own(&files, writer_index, &own, err);
    if (status != LOOM_OK) {
        loom_memory_files_close(&files);
        return status;
    }
    LOOM_TRY(make_store(&files, own, false, &made, err));
    *store = &made->base;
    return LOOM_OK;
}
