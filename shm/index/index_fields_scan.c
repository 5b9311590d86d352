/* index_fields_scan.c - the read side of the table `fields`: counting, visiting, and comparing it with the records. */
#include <stdlib.h>
#include <string.h>

#include "shm/index/field_record.h"
#include "shm/index/index_fields.h"

/* ---- entries of ranges ---- */

typedef struct row_list {
    uint64_t *rows; /* NULL with `counted` only */
    size_t count, capacity;
    uint64_t limit;
    bool counted, full, exhausted;
} row_list;

static bool take(row_list *list, uint64_t row) {
    if (list->count > list->limit) {
        list->full = true;
        return false;
    }
    if (!list->counted && list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 256 : 2 * list->capacity;
        uint64_t *grown = realloc(list->rows, capacity * sizeof *grown);
        if (grown == NULL) {
            list->exhausted = true;
            return false;
        }
        list->rows = grown;
        list->capacity = capacity;
    }
    if (!list->counted) list->rows[list->count] = row;
    list->count++;
    list->full = list->count > list->limit;
    return !list->full;
}

static int gather_range(MDB_cursor *cursor, const loom_field_range *range, row_list *list) {
    MDB_val key = {range->low.length, (void *)(uintptr_t)range->low.bytes}, value;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        if (key.mv_size <= LOOM_FIELD_ROW_BYTES) continue; /* never written */
        int place = loom_field_place(range, key.mv_data, key.mv_size - LOOM_FIELD_ROW_BYTES);
        if (place > 0 || (place == 0 && !take(list, loom_field_row_of(&key)))) return MDB_SUCCESS;
    }
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

static int gather(loom_index *index, MDB_txn *txn, const loom_field_range *ranges, size_t count, row_list *list) {
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, index->fields, &cursor);
    if (code != MDB_SUCCESS) return code;
    loom_field_range overflow;
    loom_field_overflow(&overflow.low);
    loom_field_overflow(&overflow.high);
    code = gather_range(cursor, &overflow, list);
    for (size_t i = 0; i < count && code == MDB_SUCCESS && !list->full && !list->exhausted; i++)
        code = gather_range(cursor, &ranges[i], list);
    mdb_cursor_close(cursor);
    return code;
}

loom_status loom_index_count_fields(loom_index *index, const loom_field_range *ranges, size_t count, uint64_t limit,
                                    uint64_t *entries, loom_error *err) {
    MDB_txn *txn;
    row_list list = {.limit = limit, .counted = true};
    int code = loom_index_begin_scan(index, &txn);
    if (code == MDB_SUCCESS) {
        code = gather(index, txn, ranges, count, &list);
        loom_index_end_scan(index, txn);
    }
    *entries = list.count;
    return code == MDB_SUCCESS ? LOOM_OK : loom_index_fail(index, code, "cannot look up fields", err);
}

/* ---- visiting ---- */

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* LOOM_NOT_FOUND: no such live row. */
static loom_status read_row(loom_index *index, MDB_txn *txn, loom_field_source *source, uint64_t row,
                            loom_result *result, loom_error *err) {
    size_t number = (size_t)row;
    MDB_val key = {sizeof number, &number}, value;
    loom_row_kind kind;
    int code = mdb_get(txn, index->rows, &key, &value);
    if (code == MDB_NOTFOUND) return LOOM_NOT_FOUND;
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot read a row", err);
    LOOM_TRY(loom_field_open_row(index, source, row, &value, result, &kind, err));
    return kind == LOOM_ROW_LIVE ? LOOM_OK : LOOM_NOT_FOUND;
}

static loom_status visit_list(loom_index *index, MDB_txn *txn, const row_list *list, loom_store_visit visit,
                              void *context, loom_error *err) {
    loom_field_source *source = loom_field_source_new();
    if (source == NULL)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index of %s", index->path);
    loom_status first = LOOM_OK;
    bool more = true;
    for (size_t i = 0; i < list->count && more; i++) {
        if (i > 0 && list->rows[i] == list->rows[i - 1]) continue;
        loom_result result;
        loom_status status = read_row(index, txn, source, list->rows[i], &result, first == LOOM_OK ? err : NULL);
        if (status == LOOM_OK && !loom_result_expired(&result)) more = visit(&result, context);
        if (status != LOOM_OK && status != LOOM_NOT_FOUND && first == LOOM_OK) first = status;
    }
    loom_field_source_free(source);
    return first;
}

loom_status loom_index_scan_fields(loom_index *index, const loom_field_range *ranges, size_t count, uint64_t limit,
                                   loom_store_visit visit, void *context, bool *answered, loom_error *err) {
    *answered = false;
    MDB_txn *txn;
    row_list list = {.limit = limit};
    int code = loom_index_begin_scan(index, &txn);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot look up fields", err);
    code = gather(index, txn, ranges, count, &list);
    loom_status status = LOOM_OK;
    if (code != MDB_SUCCESS) status = loom_index_fail(index, code, "cannot look up fields", err);
    if (list.exhausted)
        status = loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index of %s", index->path);
    if (status == LOOM_OK && !list.full) {
        *answered = true;
        if (list.count > 0) qsort(list.rows, list.count, sizeof *list.rows, ascending);
        status = visit_list(index, txn, &list, visit, context, err);
    }
    loom_index_end_scan(index, txn);
    free(list.rows);
    return status;
}

/* ---- comparing with the records ---- */

typedef struct comparison {
    loom_index *index;
    MDB_txn *txn;
    loom_field_source *source;
    loom_field_finding found;
    void *context;
    uint64_t expected; /* entries that are there and should be */
    bool stop;
} comparison;

static int has_entry(const comparison *all, const loom_field_body *body, uint64_t row) {
    uint8_t bytes[LOOM_FIELD_KEY_MAX];
    MDB_val key = {loom_field_key(body, row, bytes), bytes}, value;
    return mdb_get(all->txn, all->index->fields, &key, &value);
}

/* The entries that the row should have. False: that cannot be said. A blob may stand under overflow, if its bytes were
 * not at hand when it was put. */
static bool expect(comparison *all, const loom_result *result) {
    loom_field_source *source = all->source;
    if (!loom_field_has_entries(result->type)) {
        source->bodies.count = 0;
        return true;
    }
    if (!loom_field_read(all->index, result, source)) return false;
    loom_field_body overflow;
    loom_field_overflow(&overflow);
    if (!result->blob || has_entry(all, &overflow, result->row) != MDB_SUCCESS) return true;
    source->bodies.items[0] = overflow;
    source->bodies.count = 1;
    return true;
}

static int find_missing(comparison *all, const loom_result *result) {
    if (!expect(all, result)) return MDB_SUCCESS;
    for (size_t i = 0; i < all->source->bodies.count && !all->stop; i++) {
        int code = has_entry(all, &all->source->bodies.items[i], result->row);
        if (code == MDB_SUCCESS)
            all->expected++;
        else if (code == MDB_NOTFOUND)
            all->stop = !all->found(result->row, true, all->context);
        else
            return code;
    }
    return MDB_SUCCESS;
}

static int compare_rows(comparison *all) {
    MDB_cursor *cursor;
    MDB_val key, value;
    int code = mdb_cursor_open(all->txn, all->index->rows, &cursor);
    if (code != MDB_SUCCESS) return code;
    code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; code == MDB_SUCCESS && !all->stop; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        size_t row;
        loom_result result;
        loom_row_kind kind;
        memcpy(&row, key.mv_data, sizeof row);
        loom_status status = loom_field_open_row(all->index, all->source, row, &value, &result, &kind, NULL);
        if (status == LOOM_OK && kind == LOOM_ROW_LIVE) code = find_missing(all, &result);
        if (code != MDB_SUCCESS) break;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

static bool is_expected(comparison *all, const MDB_val *key) {
    if (key->mv_size <= LOOM_FIELD_ROW_BYTES || key->mv_size > LOOM_FIELD_KEY_MAX) return false;
    loom_result result;
    loom_status status = read_row(all->index, all->txn, all->source, loom_field_row_of(key), &result, NULL);
    if (status == LOOM_NOT_FOUND) return false;
    if (status != LOOM_OK || !expect(all, &result)) return true; /* cannot be judged */
    size_t length = key->mv_size - LOOM_FIELD_ROW_BYTES;
    for (size_t i = 0; i < all->source->bodies.count; i++) {
        const loom_field_body *body = &all->source->bodies.items[i];
        if (body->length == length && memcmp(body->bytes, key->mv_data, length) == 0) return true;
    }
    return false;
}

static int compare_entries(comparison *all) {
    MDB_cursor *cursor;
    MDB_val key, value;
    int code = mdb_cursor_open(all->txn, all->index->fields, &cursor);
    if (code != MDB_SUCCESS) return code;
    code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; code == MDB_SUCCESS && !all->stop; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        if (is_expected(all, &key)) continue;
        uint64_t row = key.mv_size > LOOM_FIELD_ROW_BYTES ? loom_field_row_of(&key) : 0;
        all->stop = !all->found(row, false, all->context);
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

static int compare_both(comparison *all) {
    MDB_stat stat;
    int code = compare_rows(all);
    if (code == MDB_SUCCESS) code = mdb_stat(all->txn, all->index->fields, &stat);
    /* As many as there should be: none is one too many. */
    if (code != MDB_SUCCESS || all->stop || stat.ms_entries == all->expected) return code;
    return compare_entries(all);
}

loom_status loom_index_check_fields(loom_index *index, loom_field_finding found, void *context, loom_error *err) {
    comparison all = {.index = index, .found = found, .context = context, .source = loom_field_source_new()};
    if (all.source == NULL)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index of %s", index->path);
    int code = loom_index_begin_scan(index, &all.txn);
    if (code == MDB_SUCCESS) {
        code = compare_both(&all);
        loom_index_end_scan(index, all.txn);
    }
    loom_field_source_free(all.source);
    return code == MDB_SUCCESS ? LOOM_OK : loom_index_fail(index, code, "cannot read fields", err);
}
