/* index_space.c - who owns which bytes of the extent files: the tables `extents` and `deleted`. */
#include <stdlib.h>
#include <string.h>

#include "shm/store/extent_file.h"
#include "shm/store/index_batch.h"

static loom_extent_change *change_of(loom_index_batch *batch, uint32_t number) {
    for (size_t i = batch->extent_count; i-- > 0;)
        if (batch->extents[i].number == number) return &batch->extents[i];
    if (batch->extent_count == batch->extent_capacity) {
        size_t capacity = batch->extent_capacity == 0 ? 8 : 2 * batch->extent_capacity;
        loom_extent_change *grown = realloc(batch->extents, capacity * sizeof *grown);
        if (grown == NULL) return NULL;
        batch->extents = grown;
        batch->extent_capacity = capacity;
    }
    loom_extent_change *change = &batch->extents[batch->extent_count++];
    *change = (loom_extent_change){.number = number};
    return change;
}

static uint64_t end_of(const loom_placement *bulk) {
    return bulk->offset + (bulk->bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
}

loom_status loom_index_own_range(loom_index_batch *batch, const loom_placement *bulk, loom_error *err) {
    if (bulk->bytes == 0) return LOOM_OK;
    loom_extent_change *change = change_of(batch, bulk->extent);
    if (change == NULL) return loom_batch_no_memory(batch, err);
    change->written = true;
    change->live_bytes += (int64_t)bulk->bytes;
    if (end_of(bulk) > change->tail) change->tail = end_of(bulk);
    return LOOM_OK;
}

/* Nobody owns the range any more: its pages are returned when the store is next opened alone. */
loom_status loom_index_disown_range(loom_index_batch *batch, const loom_placement *bulk, bool was_live,
                                    loom_error *err) {
    if (bulk->bytes == 0) return LOOM_OK;
    loom_extent_change *change = change_of(batch, bulk->extent);
    if (change == NULL) return loom_batch_no_memory(batch, err);
    if (was_live) change->live_bytes -= (int64_t)bulk->bytes;
    change->deleted_bytes += (int64_t)bulk->bytes;
    if (end_of(bulk) > change->tail) change->tail = end_of(bulk);
    size_t number = (size_t)batch->state.next_deleted++;
    MDB_val key = {sizeof number, &number}, value = {sizeof *bulk, (void *)(uintptr_t)bulk};
    int code = mdb_put(batch->txn, batch->index->deleted, &key, &value, MDB_APPEND);
    batch->changed = true;
    return code == MDB_SUCCESS ? LOOM_OK : loom_batch_fail(batch, code, "cannot write", err);
}

loom_status loom_index_write_extents(loom_index_batch *batch, loom_error *err) {
    for (size_t i = 0; i < batch->extent_count; i++) {
        const loom_extent_change *change = &batch->extents[i];
        unsigned number = change->number;
        MDB_val key = {sizeof number, &number}, value;
        loom_extent_record record = {0};
        int code = mdb_get(batch->txn, batch->index->extents, &key, &value);
        if (code == MDB_SUCCESS && value.mv_size == sizeof record)
            memcpy(&record, value.mv_data, sizeof record);
        else if (code != MDB_NOTFOUND)
            return loom_batch_fail(batch, code ? code : MDB_CORRUPTED, "cannot read", err);
        if (change->tail > record.tail) record.tail = change->tail;
        record.live_bytes += (uint64_t)change->live_bytes;
        record.deleted_bytes += (uint64_t)change->deleted_bytes;
        value = (MDB_val){sizeof record, &record};
        code = mdb_put(batch->txn, batch->index->extents, &key, &value, 0);
        if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot write", err);
    }
    return LOOM_OK;
}

loom_status loom_index_sync_bulk(const loom_index_batch *batch, loom_extents *extents, loom_error *err) {
    if (batch->durability != LOOM_DURABLE_STRICT || extents == NULL) return LOOM_OK;
    for (size_t i = 0; i < batch->extent_count; i++)
        if (batch->extents[i].written) LOOM_TRY(loom_extents_sync(extents, batch->extents[i].number, err));
    return LOOM_OK;
}

/* ---- reclaiming ---- */

static loom_status punch_all(loom_index_batch *batch, loom_punch punch, void *context, uint64_t *count,
                             loom_error *err) {
    MDB_cursor *cursor;
    int code = mdb_cursor_open(batch->txn, batch->index->deleted, &cursor);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot read", err);
    MDB_val key, value;
    loom_status status = LOOM_OK;
    *count = 0;
    for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); code == MDB_SUCCESS && status == LOOM_OK;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        loom_placement range;
        ++*count;
        if (value.mv_size != sizeof range) continue;
        memcpy(&range, value.mv_data, sizeof range);
        if (range.offset < LOOM_PAGE_BYTES || range.offset % LOOM_PAGE_BYTES != 0 ||
            range.bytes > LOOM_BULK_BYTES_MAX || range.offset > INT64_MAX - LOOM_BULK_BYTES_MAX)
            continue;
        status = punch(context, &range, err);
        loom_extent_change *change = status == LOOM_OK ? change_of(batch, range.extent) : NULL;
        if (change != NULL) change->deleted_bytes -= (int64_t)range.bytes;
    }
    mdb_cursor_close(cursor);
    if (status == LOOM_OK && code != MDB_NOTFOUND && code != MDB_SUCCESS)
        return loom_batch_fail(batch, code, "cannot read", err);
    return status;
}

loom_status loom_index_reclaim(loom_index *index, loom_punch punch, void *context, loom_error *err) {
    loom_index_batch *batch;
    LOOM_TRY(loom_index_begin(index, LOOM_DURABLE_VERIFIED, &batch, err));
    uint64_t count = 0;
    loom_status status = punch_all(batch, punch, context, &count, err);
    if (status == LOOM_OK && count > 0) {
        int code = mdb_drop(batch->txn, index->deleted, 0);
        if (code != MDB_SUCCESS) status = loom_batch_fail(batch, code, "cannot write", err);
        batch->changed = true;
    }
    if (status != LOOM_OK) {
        loom_index_abort(batch);
        return status;
    }
    return loom_index_commit(batch, NULL, err);
}
