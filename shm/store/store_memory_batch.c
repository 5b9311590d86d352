/* store_memory_batch.c - batches of the store in memory: changes are prepared aside, so that nothing is visible before
 * commit and commit cannot fail half-way. */
#include <stdlib.h>
#include <string.h>

#include "shm/store/store_memory.h"

bool loom_memory_make_room(void *items, size_t item_bytes, size_t count, size_t *capacity) {
    if (count < *capacity) return true;
    void **array = items;
    size_t larger = *capacity == 0 ? 16 : 2 * *capacity;
    void *grown = realloc(*array, larger * item_bytes);
    if (grown == NULL) return false;
    *array = grown;
    *capacity = larger;
    return true;
}

loom_status loom_memory_begin(loom_store *base, loom_batch **batch, loom_error *err) {
    memory_batch *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_memory_exhausted(err);
    made->base.store = base;
    *batch = &made->base;
    return LOOM_OK;
}

loom_status loom_memory_activate(memory_batch *batch, loom_error *err) {
    if (batch->active) return LOOM_OK;
    memory_store *store = loom_memory_of(batch->base.store);
    pthread_mutex_lock(&store->lock);
    bool mine = store->writing && pthread_equal(store->writing_thread, pthread_self());
    pthread_mutex_unlock(&store->lock);
    if (mine) return loom_fail(err, LOOM_BUSY, "this thread has a batch open on :memory:; commit it first");
    pthread_mutex_lock(&store->writer);
    pthread_mutex_lock(&store->lock);
    store->writing = true;
    store->writing_thread = pthread_self();
    batch->first_row = batch->next_row = store->row_count;
    batch->runs = store->runs;
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
    if (!loom_memory_make_room(&batch->changes, sizeof *batch->changes, batch->change_count, &batch->change_capacity) ||
        !loom_tail_add(&batch->touched, id.bytes, batch->change_count + 1)) {
        free(bytes);
        return loom_memory_exhausted(err);
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
    const stored_row *stored = loom_memory_row(loom_memory_of(batch->base.store), row);
    return stored != NULL ? *stored : (stored_row){0};
}

static bool take_if(memory_batch *batch, uint64_t number, const loom_id *rkey, loom_result *stored,
                    loom_row_kind *kind) {
    stored_row row = view_row(batch, number);
    return row.bytes != NULL && loom_memory_row_has(&row, LOOM_BY_RKEY, rkey) &&
           loom_row_decode(row.bytes, row.length, number, stored, kind, NULL) == LOOM_OK;
}

/* The writer lock keeps rows and tails as they are; the result points into them. */
static bool find_stored(memory_batch *batch, const loom_id *rkey, loom_result *stored, loom_row_kind *kind) {
    const loom_tail *tails[] = {&batch->keys, &loom_memory_of(batch->base.store)->tails[LOOM_BY_RKEY]};
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
    if (bytes == NULL) return loom_memory_exhausted(err);
    uint64_t row = batch->next_row;
    loom_row_encode(result, row, bytes);
    LOOM_TRY(change_row(batch, row, bytes, length, err));
    if (!loom_tail_add(&batch->keys, result->rkey.bytes, row)) return loom_memory_exhausted(err);
    if (loom_row_has_vid_entry(&result->rkey, &result->vid, result->type) &&
        !loom_tail_add(&batch->vids, result->vid.bytes, row))
        return loom_memory_exhausted(err);
    batch->next_row++;
    count_result(&batch->delta, result, 1);
    return LOOM_OK;
}

loom_status loom_memory_put(loom_batch *base, const loom_result *result, loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    LOOM_TRY(loom_memory_activate(batch, err));
    loom_result stored;
    loom_row_kind kind = LOOM_ROW_LIVE;
    bool found = find_stored(batch, &result->rkey, &stored, &kind);
    bool live = found && kind == LOOM_ROW_LIVE;
    if (live && !loom_result_expired(&stored))
        return loom_row_same_value(&stored, result) ? LOOM_OK : loom_store_irreproducible(&result->rkey, err);
    LOOM_TRY(append_row(batch, result, err));
    if (live) count_result(&batch->delta, &stored, UINT64_MAX);
    return found ? change_row(batch, stored.row, NULL, 0, err) : LOOM_OK;
}

static loom_status find_current(memory_batch *batch, const loom_id *rkey, loom_result *stored, loom_error *err) {
    LOOM_TRY(loom_memory_activate(batch, err));
    loom_row_kind kind = LOOM_ROW_LIVE;
    bool found = find_stored(batch, rkey, stored, &kind);
    return found && kind == LOOM_ROW_LIVE && !loom_result_expired(stored) ? LOOM_OK : LOOM_NOT_FOUND;
}

loom_status loom_memory_replace(loom_batch *base, const loom_result *result, loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    loom_result stored;
    LOOM_TRY(find_current(batch, &result->rkey, &stored, err));
    if (!loom_row_same_value(&stored, result) || stored.bulk.bytes != result->bulk.bytes ||
        stored.root[0] != result->root[0] || stored.root[1] != result->root[1])
        return loom_store_irreproducible(&result->rkey, err);
    loom_result row = loom_row_moved(&stored, result);
    LOOM_TRY(append_row(batch, &row, err));
    count_result(&batch->delta, &stored, UINT64_MAX);
    return change_row(batch, stored.row, NULL, 0, err);
}

loom_status loom_memory_succeed(loom_batch *base, const loom_id *from, const loom_result *result, loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    loom_result old;
    LOOM_TRY(find_current(batch, from, &old, err));
    count_result(&batch->delta, &old, UINT64_MAX);
    LOOM_TRY(change_row(batch, old.row, NULL, 0, err));
    return result == NULL ? LOOM_OK : loom_memory_put(base, result, err);
}

loom_status loom_memory_set_expiry(loom_batch *base, const loom_id *rkey, uint64_t expires_ns, loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    loom_result stored;
    LOOM_TRY(find_current(batch, rkey, &stored, err));
    stored.expires_ns = expires_ns;
    size_t length = loom_row_bytes(&stored);
    uint8_t *bytes = malloc(length);
    if (bytes == NULL) return loom_memory_exhausted(err);
    loom_row_encode(&stored, stored.row, bytes);
    return change_row(batch, stored.row, bytes, length, err);
}

loom_status loom_memory_erase(loom_batch *base, const loom_id *rkey, loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    LOOM_TRY(loom_memory_activate(batch, err));
    loom_result stored;
    loom_row_kind kind = LOOM_ROW_LIVE;
    if (!find_stored(batch, rkey, &stored, &kind) || kind != LOOM_ROW_LIVE) return LOOM_NOT_FOUND;
    size_t length = loom_row_encode_tombstone(&stored, stored.row, NULL);
    uint8_t *bytes = malloc(length);
    if (bytes == NULL) return loom_memory_exhausted(err);
    loom_row_encode_tombstone(&stored, stored.row, bytes);
    count_result(&batch->delta, &stored, UINT64_MAX);
    return change_row(batch, stored.row, bytes, length, err);
}

loom_status loom_memory_forget(loom_batch *base, const loom_id *rkey, loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    LOOM_TRY(loom_memory_activate(batch, err));
    loom_result stored;
    loom_row_kind kind = LOOM_ROW_LIVE;
    if (!find_stored(batch, rkey, &stored, &kind)) return LOOM_NOT_FOUND;
    if (kind == LOOM_ROW_LIVE) count_result(&batch->delta, &stored, UINT64_MAX);
    return change_row(batch, stored.row, NULL, 0, err);
}

loom_status loom_memory_put_file(loom_batch *base, const loom_file_stamp *stamp, const loom_id *content,
                                 loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    LOOM_TRY(loom_memory_activate(batch, err));
    if (!loom_memory_make_room(&batch->files, sizeof *batch->files, batch->file_count, &batch->file_capacity))
        return loom_memory_exhausted(err);
    batch->files[batch->file_count++] = (stored_file){*stamp, *content};
    return LOOM_OK;
}

loom_status loom_memory_put_meta(loom_batch *base, const char *key, const void *bytes, size_t length, loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    LOOM_TRY(loom_memory_activate(batch, err));
    stored_meta meta = {.key = strdup(key), .bytes = malloc(length > 0 ? length : 1), .length = length};
    if (meta.key == NULL || meta.bytes == NULL ||
        !loom_memory_make_room(&batch->metas, sizeof *batch->metas, batch->meta_count, &batch->meta_capacity)) {
        free(meta.key);
        free(meta.bytes);
        return loom_memory_exhausted(err);
    }
    if (length > 0) memcpy(meta.bytes, bytes, length);
    batch->metas[batch->meta_count++] = meta;
    return LOOM_OK;
}

static void end_batch(memory_batch *batch) {
    memory_store *store = loom_memory_of(batch->base.store);
    for (size_t i = 0; i < batch->change_count; i++)
        free(batch->changes[i].bytes);
    for (size_t i = 0; i < batch->meta_count; i++) {
        free(batch->metas[i].key);
        free(batch->metas[i].bytes);
    }
    for (size_t i = 0; i < batch->note_count; i++)
        free(batch->notes[i].note.text);
    free(batch->notes);
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

static bool merge(loom_tail *into, const loom_tail *from) {
    for (size_t i = 0; i < from->capacity; i++)
        if (from->entries[i].row != 0 && !loom_tail_add(into, from->entries[i].prefix, from->entries[i].row))
            return false;
    return true;
}

/* Everything that can fail. Hints to rows that then do not come are skipped by look-ups. */
static bool prepare_commit(memory_store *store, const memory_batch *batch) {
    for (size_t i = 0; i < batch->file_count; i++)
        if (!loom_memory_make_room(&store->files, sizeof *store->files, store->file_count + i, &store->file_capacity))
            return false;
    for (size_t i = 0; i < batch->meta_count; i++)
        if (!loom_memory_make_room(&store->metas, sizeof *store->metas, store->meta_count + i, &store->meta_capacity))
            return false;
    return loom_memory_prepare_notes(store, batch) && loom_memory_reserve_rows(store, batch->next_row) &&
           merge(&store->tails[LOOM_BY_RKEY], &batch->keys) && merge(&store->tails[LOOM_BY_VID], &batch->vids);
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
        stored_file *known = loom_memory_file_memo(store, &file->stamp);
        loom_id key;
        loom_memory_inode_key(&file->stamp, &key);
        if (known != NULL)
            *known = *file;
        else if (loom_tail_add(&store->files_by_inode, key.bytes, store->file_count + 1))
            store->files[store->file_count++] = *file;
    }
}

static void apply_metas(memory_store *store, memory_batch *batch) {
    for (size_t i = 0; i < batch->meta_count; i++) {
        stored_meta *known = loom_memory_meta(store, batch->metas[i].key);
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

loom_status loom_memory_commit(loom_batch *base, loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    memory_store *store = loom_memory_of(base->store);
    loom_status status = LOOM_OK;
    if (batch->active) {
        pthread_mutex_lock(&store->lock);
        if (prepare_commit(store, batch)) {
            apply_rows(store, batch);
            apply_files(store, batch);
            apply_metas(store, batch);
            loom_memory_apply_notes(store, batch);
            apply_stats(&store->stats, &batch->delta);
        } else {
            status = loom_memory_exhausted(err);
        }
        pthread_mutex_unlock(&store->lock);
    }
    end_batch(batch);
    return status;
}

void loom_memory_abort(loom_batch *base) {
    end_batch((memory_batch *)base);
}
