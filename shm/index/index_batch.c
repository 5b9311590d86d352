/* index_batch.c - the index's write side: one LMDB transaction per batch; rows are appended, the hash-keyed tables
 * follow in large sorted batches (index_flush.c). Rules: shm/SCHEMA.md, "Row" (put, delete) and "Order of operations".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/index/field_record.h"
#include "shm/index/index_batch.h"
#include "shm/probe.h"
#include "shm/seal/seal.h"
#include "shm/store/store.h"

static void end_batch(loom_index_batch *batch) {
    loom_index *index = batch->index;
    pthread_mutex_lock(&index->lock);
    index->writing = false;
    pthread_mutex_unlock(&index->lock);
    loom_tail_free(&batch->tails[0]);
    loom_tail_free(&batch->tails[1]);
    free(batch->extents);
    free(batch->disowned);
    free(batch->scratch);
    loom_field_source_free(batch->fields);
    free(batch);
}

loom_status loom_batch_fail(loom_index_batch *batch, int code, const char *doing, loom_error *err) {
    if (batch->failed == 0) batch->failed = code;
    return loom_index_fail(batch->index, code, doing, err);
}

loom_status loom_batch_no_memory(loom_index_batch *batch, loom_error *err) {
    batch->failed = ENOMEM;
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while writing the index of %s", batch->index->path);
}

/* A transaction that finds the map full is lost, so there is always room for a large one: rows, and a copy of every
 * page that moving the tail may touch. A smaller map than the default comes of a setting or of RLIMIT_AS. */
#define ROOM_FOR_ROWS (UINT64_C(64) << 20)
#define ROOM_FOR_TAIL_MAX (UINT64_C(1) << 30)

static uint64_t room_needed(const loom_index *index) {
    uint64_t used = loom_index_bytes(index);
    return ROOM_FOR_ROWS + (used < ROOM_FOR_TAIL_MAX ? used : ROOM_FOR_TAIL_MAX);
}

/* Until end_beginning, no other thread exchanges the map. */
static int begin_transaction(loom_index *index, MDB_txn **txn) {
    pthread_mutex_lock(&index->lock);
    loom_index_make_headroom(index, room_needed(index));
    index->beginning++;
    pthread_mutex_unlock(&index->lock);
    int code = mdb_txn_begin(index->env, NULL, 0, txn);
    if (code != MDB_MAP_RESIZED) return code;
    pthread_mutex_lock(&index->lock);
    if (index->scans == 0 && !index->writing && index->beginning == 1) code = mdb_env_set_mapsize(index->env, 0);
    pthread_mutex_unlock(&index->lock);
    return code == MDB_SUCCESS ? mdb_txn_begin(index->env, NULL, 0, txn) : code;
}

static void end_beginning(loom_index *index) {
    pthread_mutex_lock(&index->lock);
    index->beginning--;
    pthread_mutex_unlock(&index->lock);
}

/* What this transaction's commit will sync. LMDB 0.9 has the choice in the environment, not in the transaction, and
 * looks at it in commit: the writer lock, which we hold, keeps other commits away until then; the index's lock keeps
 * readers from beginning meanwhile. Why leaving out the meta page's sync is safe: SCHEMA.md, "Order of operations". */
static int choose_sync(loom_index *index, loom_durability durability) {
    unsigned off = durability == LOOM_DURABLE_STRICT ? 0
                   : durability == LOOM_DURABLE_NONE ? MDB_NOSYNC
                                                     : MDB_NOMETASYNC;
    int code = mdb_env_set_flags(index->env, MDB_NOSYNC | MDB_NOMETASYNC, 0);
    return code == MDB_SUCCESS && off != 0 ? mdb_env_set_flags(index->env, off, 1) : code;
}

static loom_status prepare_batch(loom_index_batch *batch, loom_error *err) {
    loom_index *index = batch->index;
    LOOM_TRY(loom_index_read_state(index, batch->txn, &batch->state, err));
    batch->first_row = batch->state.next_row;
    int code = mdb_cursor_open(batch->txn, index->rows, &batch->rows);
    if (code == MDB_SUCCESS) code = mdb_cursor_open(batch->txn, index->keys, &batch->by[LOOM_BY_RKEY]);
    if (code == MDB_SUCCESS) code = mdb_cursor_open(batch->txn, index->vids, &batch->by[LOOM_BY_VID]);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot write", err);
    /* The writer lock is ours: until the commit no other process can add rows that the tails would miss. */
    pthread_mutex_lock(&index->lock);
    loom_status status = loom_index_refresh(index, batch->txn, mdb_txn_id(batch->txn) - 1, err);
    code = choose_sync(index, batch->durability);
    if (status == LOOM_OK && code != MDB_SUCCESS) status = loom_index_fail(index, code, "cannot write", err);
    if (status == LOOM_OK) {
        index->writing = true;
        index->writer = pthread_self();
    }
    pthread_mutex_unlock(&index->lock);
    return status;
}

loom_status loom_index_begin(loom_index *index, loom_durability durability, loom_index_batch **batch, loom_error *err) {
    *batch = NULL;
    pthread_mutex_lock(&index->lock);
    bool mine = index->writing && pthread_equal(index->writer, pthread_self());
    pthread_mutex_unlock(&index->lock);
    if (mine) return loom_fail(err, LOOM_BUSY, "this thread has a batch open on %s; commit it first", index->path);
    loom_index_batch *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while writing the index of %s", index->path);
    made->index = index;
    made->durability = durability;
    int code = begin_transaction(index, &made->txn);
    if (code != MDB_SUCCESS) {
        end_beginning(index);
        free(made);
        return loom_index_fail(index, code, "cannot write", err);
    }
    loom_status status = prepare_batch(made, err);
    if (status == LOOM_OK)
        *batch = made;
    else
        mdb_txn_abort(made->txn);
    end_beginning(index);
    if (status != LOOM_OK) free(made);
    return status;
}

/* ---- the stored row of a key ---- */

/* The plain row in the batch's own aligned memory. LOOM_CORRUPT: a damaged row, which counts as absent. */
static loom_status copy_to_scratch(loom_index_batch *batch, uint64_t row, const MDB_val *value, size_t *length,
                                   loom_error *err) {
    if (value->mv_size > batch->scratch_capacity) {
        uint8_t *grown = realloc(batch->scratch, value->mv_size);
        if (grown == NULL) return loom_batch_no_memory(batch, err);
        batch->scratch = grown;
        batch->scratch_capacity = value->mv_size;
    }
    memcpy(batch->scratch, value->mv_data, *length = value->mv_size);
    return loom_index_open_row(batch->index, row, batch->scratch, length, NULL);
}

/* The sound row of `rkey`, as this transaction sees it; *row = 0 when there is none. */
static loom_status find_stored(loom_index_batch *batch, const loom_id *rkey, uint64_t *row, loom_result *stored,
                               loom_row_kind *kind, loom_error *err) {
    loom_index *index = batch->index;
    loom_id name = loom_index_name(index, rkey);
    loom_candidates candidates;
    loom_candidates_begin(&candidates, &batch->tails[LOOM_BY_RKEY], &index->tails[LOOM_BY_RKEY],
                          batch->by[LOOM_BY_RKEY]);
    int code = MDB_SUCCESS;
    while ((*row = loom_candidates_next(&candidates, &name, &code)) != 0) {
        size_t number = (size_t)*row, length = 0;
        MDB_val key = {sizeof number, &number}, value;
        loom_row_header header;
        code = mdb_get(batch->txn, index->rows, &key, &value);
        if (code == MDB_NOTFOUND) continue;
        if (code != MDB_SUCCESS) break;
        if (!loom_row_peek(value.mv_data, value.mv_size, &header) || !loom_id_equal(&header.rkey, &name)) continue;
        loom_status status = copy_to_scratch(batch, *row, &value, &length, err);
        if (status == LOOM_NO_MEMORY) return status;
        if (status == LOOM_OK && loom_row_decode(batch->scratch, length, *row, stored, kind, NULL) == LOOM_OK)
            return LOOM_OK;
    }
    return code == MDB_SUCCESS ? LOOM_OK : loom_batch_fail(batch, code, "cannot look up", err);
}

/* The tails are shared with readers of this process, which may be filling them. */
static loom_status find_stored_locked(loom_index_batch *batch, const loom_id *rkey, uint64_t *row, loom_result *stored,
                                      loom_row_kind *kind, loom_error *err) {
    pthread_mutex_lock(&batch->index->lock);
    loom_status status = find_stored(batch, rkey, row, stored, kind, err);
    pthread_mutex_unlock(&batch->index->lock);
    return status;
}

/* ---- rows that come and go ---- */

static bool same_range(const loom_placement *a, const loom_placement *b) {
    return a->extent == b->extent && a->offset == b->offset;
}

static void count_result(loom_index_state *state, const loom_result *result, int64_t sign) {
    uint64_t one = (uint64_t)sign; /* unsigned arithmetic wraps: adding UINT64_MAX takes one away */
    state->live_rows += one;
    if (result->type == LOOM_IMAGE) state->images += one;
    if (result->blob) state->blobs += one;
    state->payload_bytes += one * result->payload_bytes;
    state->bulk_bytes += one * result->bulk.bytes;
}

static loom_status write_row(loom_index_batch *batch, const loom_result *result, loom_row_kind kind, uint64_t row,
                             unsigned flags, loom_error *err) {
    size_t number = (size_t)row;
    MDB_val key = {sizeof number, &number}, value = {loom_index_row_bytes(batch->index, result, kind), NULL};
    int code = mdb_cursor_put(batch->rows, &key, &value, flags | MDB_RESERVE);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot write", err);
    batch->changed = true;
    loom_status status = loom_index_write_row(batch->index, result, kind, row, value.mv_data, err);
    if (status != LOOM_OK) batch->failed = status == LOOM_NO_MEMORY ? ENOMEM : EIO; /* half a row must not commit */
    return status;
}

static loom_status append_unowned(loom_index_batch *batch, const loom_result *result, loom_error *err) {
    uint64_t row = batch->state.next_row;
    LOOM_TRY(write_row(batch, result, LOOM_ROW_LIVE, row, MDB_APPEND, err));
    loom_id name = loom_index_name(batch->index, &result->rkey);
    if (!loom_tail_add(&batch->tails[LOOM_BY_RKEY], name.bytes, row)) return loom_batch_no_memory(batch, err);
    if (loom_row_has_vid_entry(&result->rkey, &result->vid, result->type)) {
        name = loom_index_name(batch->index, &result->vid);
        if (!loom_tail_add(&batch->tails[LOOM_BY_VID], name.bytes, row)) return loom_batch_no_memory(batch, err);
    }
    batch->state.next_row++;
    count_result(&batch->state, result, 1);
    return loom_index_put_fields(batch, result, row, err);
}

static loom_status append_row(loom_index_batch *batch, const loom_result *result, loom_error *err) {
    LOOM_TRY(append_unowned(batch, result, err));
    LOOM_PROBE("append:row");
    loom_placement range = loom_result_range(result);
    return loom_index_own_range(batch, &range, err);
}

static loom_status delete_entry(loom_index_batch *batch, MDB_dbi table, const loom_id *id, uint64_t row,
                                loom_error *err) {
    uint8_t bytes[LOOM_KEY_BYTES];
    loom_id name = loom_index_name(batch->index, id);
    loom_index_key(&name, row, bytes);
    MDB_val key = {sizeof bytes, bytes};
    int code = mdb_del(batch->txn, table, &key, NULL);
    return code == MDB_SUCCESS || code == MDB_NOTFOUND ? LOOM_OK : loom_batch_fail(batch, code, "cannot write", err);
}

/* A live row's value is given up: what refers to it goes. Its bytes are the caller's concern. */
static loom_status retire_names(loom_index_batch *batch, const loom_result *stored, loom_error *err) {
    count_result(&batch->state, stored, -1);
    LOOM_TRY(loom_index_delete_fields(batch, stored, stored->row, err));
    if (stored->row > batch->state.indexed_upto) batch->state.tail_gone++;
    if (loom_row_has_vid_entry(&stored->rkey, &stored->vid, stored->type))
        return delete_entry(batch, batch->index->vids, &stored->vid, stored->row, err);
    return LOOM_OK;
}

/* The same, and its bytes have no owner. */
static loom_status retire_value(loom_index_batch *batch, const loom_result *stored, loom_error *err) {
    LOOM_TRY(retire_names(batch, stored, err));
    LOOM_PROBE("append:retired");
    loom_placement range = loom_result_range(stored);
    return loom_index_disown_range(batch, &range, true, err);
}

/* The row goes for good: another of the same key is there. What the tails say about it is skipped from now on. */
static loom_status remove_row(loom_index_batch *batch, const loom_result *stored, loom_error *err) {
    size_t number = (size_t)stored->row;
    MDB_val key = {sizeof number, &number};
    int code = mdb_del(batch->txn, batch->index->rows, &key, NULL);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot write", err);
    batch->changed = true;
    if (stored->row > batch->state.indexed_upto) batch->state.tail_gone++;
    return delete_entry(batch, batch->index->keys, &stored->rkey, stored->row, err);
}

/* ---- put, delete, replace ---- */

loom_status loom_batch_check_usable(loom_index_batch *batch, loom_error *err) {
    if (batch->failed == 0) return LOOM_OK;
    return loom_index_fail(batch->index, batch->failed, "an earlier write of this batch failed", err);
}

/* Bytes that came with a result which is not stored: nobody owns them. */
static loom_status give_up(loom_index_batch *batch, const loom_result *result, const loom_result *stored,
                           loom_error *err) {
    if (result->bulk.bytes == 0 || (stored != NULL && same_range(&stored->bulk, &result->bulk))) return LOOM_OK;
    if (batch->index->cipher != NULL && result->codec == LOOM_CODEC_RAW) return LOOM_OK; /* memory of this run */
    loom_placement range = loom_result_range(result);
    return loom_index_disown_range(batch, &range, false, err);
}

static loom_status put_again(loom_index_batch *batch, const loom_result *stored, const loom_result *result,
                             loom_error *err) {
    LOOM_TRY(give_up(batch, result, stored, err));
    if (!loom_row_same_value(stored, result)) return loom_store_irreproducible(&result->rkey, err);
    if (batch->durability != LOOM_DURABLE_STRICT || stored->row >= batch->first_row) return LOOM_OK;
    /* What is acknowledged is durable, also when a process that promised less has stored it. */
    batch->changed = true;
    return stored->bulk.bytes > 0 ? loom_index_note_written(batch, stored->bulk.extent, err) : LOOM_OK;
}

loom_status loom_index_put(loom_index_batch *batch, const loom_result *result, loom_error *err) {
    LOOM_TRY(loom_batch_check_usable(batch, err));
    uint64_t row;
    loom_result stored;
    loom_row_kind kind = LOOM_ROW_LIVE;
    LOOM_TRY(find_stored_locked(batch, &result->rkey, &row, &stored, &kind, err));
    bool live = row != 0 && kind == LOOM_ROW_LIVE;
    if (live && !loom_result_expired(&stored)) return put_again(batch, &stored, result, err);
    LOOM_TRY(append_row(batch, result, err));
    if (live) LOOM_TRY(retire_value(batch, &stored, err));
    return row != 0 ? remove_row(batch, &stored, err) : LOOM_OK;
}

loom_status loom_index_delete(loom_index_batch *batch, const loom_id *rkey, loom_error *err) {
    LOOM_TRY(loom_batch_check_usable(batch, err));
    uint64_t row;
    loom_result stored;
    loom_row_kind kind = LOOM_ROW_LIVE;
    LOOM_TRY(find_stored_locked(batch, rkey, &row, &stored, &kind, err));
    if (row == 0 || kind != LOOM_ROW_LIVE) return LOOM_NOT_FOUND;
    LOOM_TRY(write_row(batch, &stored, LOOM_ROW_TOMBSTONE, row, 0, err));
    return retire_value(batch, &stored, err);
}

loom_status loom_index_forget(loom_index_batch *batch, const loom_id *rkey, loom_error *err) {
    LOOM_TRY(loom_batch_check_usable(batch, err));
    uint64_t row;
    loom_result stored;
    loom_row_kind kind = LOOM_ROW_LIVE;
    LOOM_TRY(find_stored_locked(batch, rkey, &row, &stored, &kind, err));
    if (row == 0) return LOOM_NOT_FOUND;
    if (kind == LOOM_ROW_LIVE) LOOM_TRY(retire_value(batch, &stored, err));
    return remove_row(batch, &stored, err);
}

loom_status loom_index_current(loom_index_batch *batch, const loom_id *rkey, loom_result *stored, loom_error *err) {
    LOOM_TRY(loom_batch_check_usable(batch, err));
    uint64_t row;
    loom_row_kind kind = LOOM_ROW_LIVE;
    LOOM_TRY(find_stored_locked(batch, rkey, &row, stored, &kind, err));
    return row != 0 && kind == LOOM_ROW_LIVE && !loom_result_expired(stored) ? LOOM_OK : LOOM_NOT_FOUND;
}

loom_status loom_index_replace(loom_index_batch *batch, const loom_result *result, uint64_t *from, uint64_t *to,
                               loom_error *err) {
    *from = *to = 0;
    loom_result stored;
    loom_status status = loom_index_current(batch, &result->rkey, &stored, err);
    if (status == LOOM_NOT_FOUND) LOOM_TRY(give_up(batch, result, NULL, err));
    if (status != LOOM_OK) return status;
    bool same = loom_row_same_value(&stored, result) && stored.bulk.bytes == result->bulk.bytes &&
                stored.root[0] == result->root[0] && stored.root[1] == result->root[1];
    if (!same || same_range(&stored.bulk, &result->bulk)) return put_again(batch, &stored, result, err);
    loom_result row = loom_row_moved(&stored, result);
    batch->replaced = true;
    LOOM_TRY(append_row(batch, &row, err));
    LOOM_TRY(retire_value(batch, &stored, err));
    *from = stored.row;
    *to = batch->state.next_row - 1;
    return remove_row(batch, &stored, err);
}

loom_status loom_index_set_expiry(loom_index_batch *batch, const loom_id *rkey, uint64_t expires_ns, loom_error *err) {
    loom_result stored;
    LOOM_TRY(loom_index_current(batch, rkey, &stored, err));
    stored.expires_ns = expires_ns;
    return write_row(batch, &stored, LOOM_ROW_LIVE, stored.row, 0, err);
}

/* ---- streams: a row whose bytes a longer one takes over ---- */

/* The pages of `longer` behind those of `shorter`, which begins in the same place. */
static loom_placement growth(const loom_placement *shorter, const loom_placement *longer) {
    uint64_t pages = (shorter->bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
    loom_placement grown = *longer;
    grown.offset += pages;
    grown.bytes = longer->bytes > pages ? longer->bytes - pages : 0;
    return grown;
}

loom_status loom_index_succeed(loom_index_batch *batch, const loom_id *from, const loom_result *result,
                               loom_error *err) {
    loom_result old, other;
    LOOM_TRY(loom_index_current(batch, from, &old, err));
    bool in_place = result != NULL && result->bulk.bytes > 0 && same_range(&old.bulk, &result->bulk);
    if (result == NULL || !in_place) {
        LOOM_TRY(retire_value(batch, &old, err));
        LOOM_TRY(remove_row(batch, &old, err));
        return result == NULL ? LOOM_OK : loom_index_put(batch, result, err);
    }
    loom_placement before = loom_result_range(&old), after = loom_result_range(result);
    if (after.bytes < before.bytes)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a stream's bytes are taken over by a shorter object");
    loom_placement grown = growth(&before, &after);
    LOOM_TRY(retire_names(batch, &old, err));
    LOOM_TRY(remove_row(batch, &old, err));
    loom_status found = loom_index_current(batch, &result->rkey, &other, err);
    if (found != LOOM_OK && found != LOOM_NOT_FOUND) return found;
    if (found == LOOM_OK) { /* stored by someone else meanwhile: all our bytes are given up */
        LOOM_TRY(loom_index_disown_range(batch, &before, true, err));
        LOOM_TRY(loom_index_disown_range(batch, &grown, false, err));
        return loom_row_same_value(&other, result) ? LOOM_OK : loom_store_irreproducible(&result->rkey, err);
    }
    uint64_t gone;
    loom_row_kind kind;
    LOOM_TRY(find_stored_locked(batch, &result->rkey, &gone, &other, &kind, err)); /* a tombstone, or expired */
    LOOM_TRY(append_unowned(batch, result, err));
    LOOM_TRY(loom_index_own_range(batch, &grown, err));
    LOOM_TRY(loom_index_note_written(batch, after.extent, err)); /* its pages may all have been there */
    if (gone != 0 && kind == LOOM_ROW_LIVE) LOOM_TRY(retire_value(batch, &other, err));
    return gone != 0 ? remove_row(batch, &other, err) : LOOM_OK;
}

/* ---- small tables ---- */

loom_status loom_index_put_raw(loom_index_batch *batch, MDB_dbi table, const void *key_bytes, size_t key_length,
                               const void *bytes, size_t length, loom_error *err) {
    LOOM_TRY(loom_batch_check_usable(batch, err));
    const char *sealed = loom_index_sealed_table(batch->index, table, key_bytes, key_length);
    MDB_val key = {key_length, (void *)(uintptr_t)key_bytes};
    MDB_val value = {length + (sealed != NULL ? LOOM_SEAL_OVERHEAD : 0), NULL};
    int code = mdb_put(batch->txn, table, &key, &value, MDB_RESERVE);
    batch->changed = true;
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot write", err);
    if (sealed == NULL) {
        memcpy(value.mv_data, bytes, length);
        return LOOM_OK;
    }
    loom_status status =
        loom_seal_value(batch->index->cipher, sealed, key_bytes, key_length, bytes, length, value.mv_data, err);
    if (status != LOOM_OK) batch->failed = EIO; /* half a value must not commit */
    return status;
}

loom_status loom_index_delete_raw(loom_index_batch *batch, MDB_dbi table, const void *key_bytes, size_t key_length,
                                  loom_error *err) {
    LOOM_TRY(loom_batch_check_usable(batch, err));
    MDB_val key = {key_length, (void *)(uintptr_t)key_bytes};
    int code = mdb_del(batch->txn, table, &key, NULL);
    if (code == MDB_NOTFOUND) return LOOM_NOT_FOUND;
    batch->changed = true;
    return code == MDB_SUCCESS ? LOOM_OK : loom_batch_fail(batch, code, "cannot write", err);
}

/* ---- commit ---- */

/* The look-ups of this process since the last commit; those of a commit that fails are not counted. */
static void count_look_ups(loom_index_batch *batch) {
    batch->state.hits += atomic_exchange_explicit(&batch->index->hits, 0, memory_order_relaxed);
    batch->state.misses += atomic_exchange_explicit(&batch->index->misses, 0, memory_order_relaxed);
}

static loom_status write_state(loom_index_batch *batch, loom_error *err) {
    count_look_ups(batch);
    MDB_val key = {7, "s:state"}, value = {sizeof batch->state, &batch->state};
    int code = mdb_put(batch->txn, batch->index->meta, &key, &value, 0);
    return code == MDB_SUCCESS ? LOOM_OK : loom_batch_fail(batch, code, "cannot write", err);
}

static bool merge(loom_tail *into, const loom_tail *from) {
    for (size_t i = 0; i < from->capacity; i++)
        if (from->entries[i].row != 0 && !loom_tail_add(into, from->entries[i].prefix, from->entries[i].row))
            return false;
    return true;
}

/* Tells the tails what was committed, unless a reader of this process has looked already. */
static void learn_committed(loom_index_batch *batch, size_t snapshot) {
    loom_index *index = batch->index;
    pthread_mutex_lock(&index->lock);
    index->wrote = true;
    if (index->tail_txn == snapshot - 1 && index->seen + 1 == batch->first_row &&
        batch->state.indexed_upto < batch->first_row && merge(&index->tails[0], &batch->tails[0]) &&
        merge(&index->tails[1], &batch->tails[1])) {
        index->seen = batch->state.next_row - 1;
        index->tail_txn = snapshot;
    }
    pthread_mutex_unlock(&index->lock);
}

static loom_status write_all(loom_index_batch *batch, loom_extents *extents, loom_error *err) {
    LOOM_TRY(loom_batch_check_usable(batch, err));
    if (!batch->changed) return LOOM_OK;
    LOOM_PROBE("append:complete");
    if (loom_index_tail_is_long(&batch->state)) LOOM_TRY(loom_index_move_tail(batch, err));
    LOOM_TRY(loom_index_write_extents(batch, err));
    LOOM_PROBE("index:extents");
    LOOM_TRY(loom_index_note_commit(batch, err));
    LOOM_TRY(write_state(batch, err));
    LOOM_PROBE("index:state");
    return loom_index_sync_bulk(batch, extents, err);
}

/* A batch larger than the room that was left finds more when it is begun again. */
static void end_of_batch(loom_index *index, bool full) {
    if (full) {
        MDB_envinfo info;
        pthread_mutex_lock(&index->lock);
        if (mdb_env_info(index->env, &info) == MDB_SUCCESS) loom_index_make_headroom(index, info.me_mapsize);
        pthread_mutex_unlock(&index->lock);
    }
    loom_index_clear_dead_readers(index);
}

loom_status loom_index_commit(loom_index_batch *batch, loom_extents *extents, loom_error *err) {
    loom_status status = write_all(batch, extents, err);
    if (status != LOOM_OK || !batch->changed) {
        mdb_txn_abort(batch->txn);
    } else {
        size_t snapshot = mdb_txn_id(batch->txn);
        LOOM_PROBE("index:committing");
        int code = mdb_txn_commit(batch->txn);
        LOOM_PROBE("index:committed");
        if (code == MDB_SUCCESS)
            learn_committed(batch, snapshot);
        else
            status = loom_index_fail(batch->index, code, "cannot commit", err);
    }
    loom_index *index = batch->index;
    bool full = batch->failed == MDB_MAP_FULL;
    end_batch(batch);
    end_of_batch(index, full);
    return status;
}

void loom_index_abort(loom_index_batch *batch) {
    loom_index *index = batch->index;
    bool full = batch->failed == MDB_MAP_FULL;
    mdb_txn_abort(batch->txn);
    end_batch(batch);
    end_of_batch(index, full);
}
