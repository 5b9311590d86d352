/* index_fields.c - the write side of the table `fields`: entries come and go with their rows, in one transaction. */
#include <stdlib.h>
#include <string.h>

#include "shm/codec/bulk_codec.h"
#include "shm/index/field_record.h"
#include "shm/index/index_fields.h"
#include "shm/probe.h"

/* ---- what a row holds ---- */

static loom_status decode_raw(const loom_index *index, const loom_result *result, loom_field_source *source) {
    loom_view view;
    LOOM_TRY(loom_extent_view(index->bulk, &result->bulk, false, &view, NULL));
    loom_status status = loom_extent_verify(&view, &result->bulk, result->block_hashes, result->root, NULL);
    const uint8_t *copy = NULL;
    if (status == LOOM_OK) copy = loom_arena_copy(source->arena, view.bytes, (size_t)view.length);
    loom_extent_release(&view);
    if (status != LOOM_OK) return status;
    if (copy == NULL) return LOOM_NO_MEMORY;
    return loom_value_decode(copy, (size_t)result->bulk.bytes, source->arena, &source->record, NULL);
}

static loom_status decode_coded(const loom_index *index, const loom_result *result, loom_field_source *source) {
    uint8_t *bytes = loom_arena_alloc(source->arena, (size_t)result->bulk.bytes);
    if (bytes == NULL) return LOOM_NO_MEMORY;
    LOOM_TRY(loom_bulk_decode(index->bulk, result, index->cipher, 0, result->bulk.bytes, 1, bytes, NULL));
    return loom_value_decode(bytes, (size_t)result->bulk.bytes, source->arena, &source->record, NULL);
}

bool loom_field_has_entries(loom_type type) {
    return type == LOOM_RECORD || type == LOOM_DATASET;
}

bool loom_field_read(const loom_index *index, const loom_result *result, loom_field_source *source) {
    loom_arena_reset(source->arena);
    source->record = loom_null(); /* which is entered under overflow */
    loom_status status = LOOM_OK;
    if (!result->blob)
        status = loom_value_decode(result->payload, result->payload_bytes, source->arena, &source->record, NULL);
    else if (result->bulk.bytes > LOOM_FIELD_BLOB_MAX)
        status = LOOM_OK;
    else if (index->bulk == NULL || result->block_hashes == NULL)
        status = LOOM_NOT_FOUND;
    else if (result->codec == LOOM_CODEC_RAW)
        status = decode_raw(index, result, source);
    else
        status = decode_coded(index, result, source);
    if (status != LOOM_OK) source->record = loom_null();
    loom_field_bodies_of(index->cipher, &source->record, &source->bodies);
    return status == LOOM_OK || !result->blob;
}

loom_field_source *loom_field_source_new(void) {
    loom_field_source *source = calloc(1, sizeof *source);
    if (source == NULL) return NULL;
    source->arena = loom_arena_new();
    if (source->arena != NULL) return source;
    free(source);
    return NULL;
}

void loom_field_source_free(loom_field_source *source) {
    if (source == NULL) return;
    loom_arena_free(source->arena);
    free(source->row);
    free(source);
}

size_t loom_field_key(const loom_field_body *body, uint64_t row, uint8_t key[LOOM_FIELD_KEY_MAX]) {
    memcpy(key, body->bytes, body->length);
    for (unsigned i = 0; i < LOOM_FIELD_ROW_BYTES; i++)
        key[body->length + i] = (uint8_t)(row >> (56 - 8 * i));
    return body->length + LOOM_FIELD_ROW_BYTES;
}

uint64_t loom_field_row_of(const MDB_val *key) {
    const uint8_t *end = (const uint8_t *)key->mv_data + key->mv_size;
    uint64_t row = 0;
    for (unsigned i = LOOM_FIELD_ROW_BYTES; i > 0; i--)
        row = row << 8 | end[-(ptrdiff_t)i];
    return row;
}

/* ---- writing ---- */

static loom_status source_of(loom_index_batch *batch, loom_error *err) {
    if (batch->fields == NULL) batch->fields = loom_field_source_new();
    return batch->fields != NULL ? LOOM_OK : loom_batch_no_memory(batch, err);
}

static int insert(loom_index_batch *batch, const loom_field_body *body, uint64_t row) {
    uint8_t bytes[LOOM_FIELD_KEY_MAX];
    MDB_val key = {loom_field_key(body, row, bytes), bytes}, value = {0, NULL};
    return mdb_put(batch->txn, batch->index->fields, &key, &value, 0);
}

static int erase(loom_index_batch *batch, const loom_field_body *body, uint64_t row) {
    uint8_t bytes[LOOM_FIELD_KEY_MAX];
    MDB_val key = {loom_field_key(body, row, bytes), bytes};
    int code = mdb_del(batch->txn, batch->index->fields, &key, NULL);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

loom_status loom_index_put_fields(loom_index_batch *batch, const loom_result *result, uint64_t row, loom_error *err) {
    if (!loom_field_has_entries(result->type)) return LOOM_OK;
    LOOM_TRY(source_of(batch, err));
    (void)loom_field_read(batch->index, result, batch->fields);
    const loom_field_bodies *bodies = &batch->fields->bodies;
    int code = MDB_SUCCESS;
    for (size_t i = 0; i < bodies->count && code == MDB_SUCCESS; i++)
        code = insert(batch, &bodies->items[i], row);
    LOOM_PROBE("index:fields");
    batch->changed = true;
    return code == MDB_SUCCESS ? LOOM_OK : loom_batch_fail(batch, code, "cannot write", err);
}

/* Every entry of the row, by reading the whole table: for a record whose bytes were lost, which says nothing more. */
static int sweep(loom_index_batch *batch, uint64_t row) {
    MDB_cursor *cursor;
    MDB_val key, value;
    int code = mdb_cursor_open(batch->txn, batch->index->fields, &cursor);
    if (code != MDB_SUCCESS) return code;
    code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        if (key.mv_size > LOOM_FIELD_ROW_BYTES && loom_field_row_of(&key) == row &&
            (code = mdb_cursor_del(cursor, 0)) != MDB_SUCCESS)
            break;
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

static int erase_entries(loom_index_batch *batch, const loom_result *result, uint64_t row) {
    if (!loom_field_read(batch->index, result, batch->fields)) return sweep(batch, row);
    loom_field_bodies *bodies = &batch->fields->bodies;
    int code = MDB_SUCCESS;
    for (size_t i = 0; i < bodies->count && code == MDB_SUCCESS; i++)
        code = erase(batch, &bodies->items[i], row);
    if (code != MDB_SUCCESS || !result->blob) return code;
    loom_field_overflow(&bodies->items[0]); /* its bytes may not have been at hand when it was put */
    return erase(batch, &bodies->items[0], row);
}

loom_status loom_index_delete_fields(loom_index_batch *batch, const loom_result *result, uint64_t row,
                                     loom_error *err) {
    if (!loom_field_has_entries(result->type)) return LOOM_OK;
    LOOM_TRY(source_of(batch, err));
    int code = erase_entries(batch, result, row);
    batch->changed = true;
    return code == MDB_SUCCESS ? LOOM_OK : loom_batch_fail(batch, code, "cannot write", err);
}

/* ---- all of it anew ---- */

loom_status loom_field_open_row(const loom_index *index, loom_field_source *source, uint64_t row, const MDB_val *value,
                                loom_result *result, loom_row_kind *kind, loom_error *err) {
    if (value->mv_size > source->row_capacity) {
        uint8_t *grown = realloc(source->row, value->mv_size);
        if (grown == NULL)
            return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index of %s", index->path);
        source->row = grown;
        source->row_capacity = value->mv_size;
    }
    size_t length = value->mv_size;
    memcpy(source->row, value->mv_data, length);
    LOOM_TRY(loom_index_open_row(index, row, source->row, &length, err));
    return loom_row_decode(source->row, length, row, result, kind, err);
}

/* A row that cannot be read has no entries, and is no candidate. */
static loom_status put_stored(loom_index_batch *batch, uint64_t row, const MDB_val *value, loom_error *err) {
    loom_row_header header;
    loom_result result;
    loom_row_kind kind;
    if (!loom_row_peek(value->mv_data, value->mv_size, &header) || header.kind != LOOM_ROW_LIVE) return LOOM_OK;
    if (batch->index->cipher == NULL && !loom_field_has_entries((loom_type)header.type)) return LOOM_OK;
    loom_status status = loom_field_open_row(batch->index, batch->fields, row, value, &result, &kind, NULL);
    if (status == LOOM_NO_MEMORY) return loom_batch_no_memory(batch, err);
    return status == LOOM_OK ? loom_index_put_fields(batch, &result, row, err) : LOOM_OK;
}

loom_status loom_index_rebuild_fields(loom_index_batch *batch, loom_error *err) {
    LOOM_TRY(loom_batch_check_usable(batch, err));
    LOOM_TRY(source_of(batch, err));
    MDB_cursor *cursor;
    MDB_val key, value;
    batch->changed = true;
    int code = mdb_drop(batch->txn, batch->index->fields, 0);
    if (code == MDB_SUCCESS) code = mdb_cursor_open(batch->txn, batch->index->rows, &cursor);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot write", err);
    loom_status status = LOOM_OK;
    code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; code == MDB_SUCCESS && status == LOOM_OK; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        size_t row;
        memcpy(&row, key.mv_data, sizeof row);
        status = put_stored(batch, row, &value, err);
        if (status != LOOM_OK) break;
    }
    mdb_cursor_close(cursor);
    if (status == LOOM_OK && code != MDB_NOTFOUND) status = loom_batch_fail(batch, code, "cannot read", err);
    return status;
}
