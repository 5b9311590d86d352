/* store_memory.c - the store in memory: encoded rows behind a hash in the opening process, bulk bytes in memfds laid
 * out as extent files, which workers inherit by descriptor. Attached workers have no index. Batches:
 * store_memory_batch.c. */
#include "shm/store/store_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/fork.h"
#include "shm/platform_file.h"
#include "shm/store/extent_file.h"

#define WRITERS_MAX 1024u
#define SPARE_WRITERS 7u /* streams of the opening process at the same time, beside its own extent writer */

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
        return loom_row_decode(copy, row->length, number, result, kind, err);
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

static loom_status make_store(uint32_t fd_count, memory_store **made, loom_error *err) {
    memory_store *store = calloc(1, sizeof *store);
    int *fds = malloc(fd_count * sizeof *fds);
    if (store == NULL || fds == NULL) {
        free(store);
        free(fds);
        return loom_memory_exhausted(err);
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
    if (!loom_memory_reserve_rows(store, 1)) {
        memory_close(&store->base);
        return loom_memory_exhausted(err);
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
                                    .memory_spare = SPARE_WRITERS,
                                    .writable = true,
                                    .extent_bytes = UINT64_MAX,
                                    .step_bytes = 0};
    LOOM_TRY(loom_extents_new(&options, &store->base.extents, err));
    store->base.stored = store->base.extents;
    return LOOM_OK;
}

loom_status loom_store_open_memory(const loom_store_options *options, loom_store **store, loom_error *err) {
    uint32_t writers = options->memory_writers == 0 ? 1 : options->memory_writers;
    if (writers > WRITERS_MAX)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "memory_writers is %u; at most %u", writers, WRITERS_MAX);
    memory_store *made;
    LOOM_TRY(make_store(writers + 1 + SPARE_WRITERS, &made, err)); /* file 0 is the opening process's own */
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
    uint32_t count = count_numbers(token), writers = count > SPARE_WRITERS ? count - 1 - SPARE_WRITERS : 0;
    if (count > WRITERS_MAX + 1 + SPARE_WRITERS || writer_index >= writers)
        return loom_fail(err, LOOM_BAD_ARGUMENT,
                         "writer %u of a store in memory that was made for %u; raise memory_writers", writer_index,
                         writers);
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
