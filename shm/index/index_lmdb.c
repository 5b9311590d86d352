/* index_lmdb.c - the index's read side: the pooled reader, look-ups, scans. Tables and rules: shm/SCHEMA.md, "Index".
 */
#include "shm/index/index_lmdb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shm/platform_file.h"

#define MAP_TRIES 2000u /* of a millisecond */

#define FIXED_BYTES_MAX 512u /* of any fixed-size value */

/* ---- the pooled reader ---- */

static int begin_or_renew(loom_index *index) {
    if (index->reader != NULL) return mdb_txn_renew(index->reader);
    int code = mdb_txn_begin(index->env, NULL, MDB_RDONLY, &index->reader);
    if (code != MDB_SUCCESS) {
        index->reader = NULL;
        return code;
    }
    code = mdb_cursor_open(index->reader, index->keys, &index->cursors[LOOM_BY_RKEY]);
    if (code == MDB_SUCCESS) code = mdb_cursor_open(index->reader, index->vids, &index->cursors[LOOM_BY_VID]);
    if (code != MDB_SUCCESS) loom_index_drop_reader(index);
    return code;
}

static int start_reader(loom_index *index) {
    int code = begin_or_renew(index);
    if (code == MDB_READERS_FULL) {
        int dead;
        if (mdb_reader_check(index->env, &dead) == MDB_SUCCESS) code = begin_or_renew(index);
    }
    if (code == MDB_MAP_RESIZED && loom_index_map_is_unused(index)) {
        code = mdb_env_set_mapsize(index->env, 0);
        if (code == MDB_SUCCESS) code = begin_or_renew(index);
    }
    return code;
}

/* Another process made the index larger than our map, which a transaction of this process keeps as it is: it ends soon
 * unless it is a scan that waits for us. */
static bool wait_for_map(unsigned *tries) {
    if (++*tries > MAP_TRIES) return false;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return true;
}

/* Takes the lock and a fresh snapshot, and brings the tails up to it. Unlocked again unless LOOM_OK. */
static loom_status enter(loom_index *index, loom_error *err) {
    unsigned tries = 0;
    pthread_mutex_lock(&index->lock);
    int code = start_reader(index);
    while (code == MDB_MAP_RESIZED) {
        pthread_mutex_unlock(&index->lock);
        bool again = wait_for_map(&tries);
        pthread_mutex_lock(&index->lock);
        if (!again) break;
        code = start_reader(index);
    }
    loom_status status = code == MDB_SUCCESS ? LOOM_OK : loom_index_fail(index, code, "cannot read", err);
    if (status == LOOM_OK) status = loom_index_refresh(index, index->reader, mdb_txn_id(index->reader), err);
    if (status != LOOM_OK) {
        if (code == MDB_SUCCESS) mdb_txn_reset(index->reader);
        pthread_mutex_unlock(&index->lock);
    }
    return status;
}

static void leave(loom_index *index) {
    mdb_txn_reset(index->reader);
    pthread_mutex_unlock(&index->lock);
}

loom_status loom_index_read_state(const loom_index *index, MDB_txn *txn, loom_index_state *state, loom_error *err) {
    MDB_val key = {7, "s:state"}, value;
    int code = mdb_get(txn, index->meta, &key, &value);
    if (code == MDB_NOTFOUND) {
        *state = (loom_index_state){.next_row = 1, .next_deleted = 1};
        return LOOM_OK;
    }
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot read", err);
    /* Format 1 had the first part; migration reads it so. */
    if (value.mv_size != sizeof *state && value.mv_size != LOOM_STATE_BYTES_1)
        return loom_index_fail(index, MDB_CORRUPTED, "cannot read the state", err);
    *state = (loom_index_state){0};
    memcpy(state, value.mv_data, value.mv_size);
    return LOOM_OK;
}

static bool add_row(loom_index *index, uint64_t row, const loom_row_header *header) {
    if (!loom_tail_add(&index->tails[LOOM_BY_RKEY], header->rkey.bytes, row)) return false;
    return !loom_row_has_vid_entry(&header->rkey, &header->vid, (loom_type)header->type) ||
           loom_tail_add(&index->tails[LOOM_BY_VID], header->vid.bytes, row);
}

static loom_status add_new_rows(loom_index *index, MDB_txn *txn, loom_error *err) {
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, index->rows, &cursor);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot read", err);
    size_t row = (size_t)index->seen + 1;
    MDB_val key = {sizeof row, &row}, value;
    loom_row_header header;
    loom_status status = LOOM_OK;
    code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    for (; code == MDB_SUCCESS && status == LOOM_OK; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        memcpy(&row, key.mv_data, sizeof row);
        if (loom_row_peek(value.mv_data, value.mv_size, &header) && !add_row(index, row, &header))
            status = loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index of %s", index->path);
        else
            index->seen = row;
    }
    mdb_cursor_close(cursor);
    if (status == LOOM_OK && code != MDB_NOTFOUND) status = loom_index_fail(index, code, "cannot read", err);
    return status;
}

loom_status loom_index_refresh(loom_index *index, MDB_txn *txn, size_t snapshot, loom_error *err) {
    if (index->tail_txn != 0 && snapshot <= index->tail_txn) return LOOM_OK;
    loom_index_state state;
    LOOM_TRY(loom_index_read_state(index, txn, &state, err));
    if (state.indexed_upto >= index->seen) {
        loom_tail_clear(&index->tails[LOOM_BY_RKEY]);
        loom_tail_clear(&index->tails[LOOM_BY_VID]);
        index->seen = state.indexed_upto;
    }
    if (index->seen + 1 < state.next_row) LOOM_TRY(add_new_rows(index, txn, err));
    index->tail_txn = snapshot;
    return LOOM_OK;
}

/* ---- look-ups ---- */

void loom_index_key(const loom_id *id, uint64_t row, uint8_t key[LOOM_KEY_BYTES]) {
    memcpy(key, id->bytes, LOOM_PREFIX_BYTES);
    for (unsigned i = 0; i < 8; i++)
        key[LOOM_PREFIX_BYTES + i] = (uint8_t)(row >> (56 - 8 * i));
}

void loom_candidates_begin(loom_candidates *candidates, const loom_tail *first, const loom_tail *second,
                           MDB_cursor *cursor) {
    candidates->tails[0] = first;
    candidates->tails[1] = second;
    candidates->places[0] = candidates->places[1] = 0;
    candidates->cursor = cursor;
    candidates->in_table = false;
}

static uint64_t next_in_table(loom_candidates *candidates, const loom_id *id, int *code) {
    MDB_val key = {LOOM_KEY_BYTES, candidates->start}, value;
    MDB_cursor_op step = MDB_NEXT;
    if (!candidates->in_table) {
        loom_index_key(id, 0, candidates->start);
        step = MDB_SET_RANGE;
        candidates->in_table = true;
    }
    *code = mdb_cursor_get(candidates->cursor, &key, &value, step);
    if (*code == MDB_NOTFOUND)
        *code = MDB_SUCCESS;
    else if (*code == MDB_SUCCESS && key.mv_size == LOOM_KEY_BYTES &&
             memcmp(key.mv_data, id->bytes, LOOM_PREFIX_BYTES) == 0) {
        const uint8_t *number = (const uint8_t *)key.mv_data + LOOM_PREFIX_BYTES;
        uint64_t row = 0;
        for (unsigned i = 0; i < 8; i++)
            row = row << 8 | number[i];
        return row;
    }
    return 0;
}

uint64_t loom_candidates_next(loom_candidates *candidates, const loom_id *id, int *code) {
    *code = MDB_SUCCESS;
    for (size_t i = 0; i < 2; i++) {
        if (candidates->tails[i] == NULL) continue;
        uint64_t row = loom_tail_next(candidates->tails[i], id, &candidates->places[i]);
        if (row != 0) return row;
    }
    return next_in_table(candidates, id, code);
}

/* Without a copy of the header: most look-ups end here or with one of the whole row. */
static bool may_be(const MDB_val *value, loom_find_by by, const loom_id *id) {
    const uint8_t *bytes = value->mv_data;
    if (value->mv_size < sizeof(loom_row_header)) return false;
    if (by == LOOM_BY_RKEY) return memcmp(bytes + offsetof(loom_row_header, rkey), id->bytes, sizeof id->bytes) == 0;
    return bytes[offsetof(loom_row_header, kind)] == LOOM_ROW_LIVE &&
           memcmp(bytes + offsetof(loom_row_header, vid), id->bytes, sizeof id->bytes) == 0;
}

/* Copies a row out, aligned, if it is the one that `id` names and sound. LOOM_NOT_FOUND: try the next candidate. */
static loom_status take_row(loom_index *index, uint64_t number, loom_find_by by, const loom_id *id, loom_arena *arena,
                            loom_result *result, loom_row_kind *kind, loom_error *err) {
    size_t row = (size_t)number;
    MDB_val key = {sizeof row, &row}, value;
    /* The mark of a large store's row is a cache miss: it comes while the row is looked for. */
    if (index->control != NULL) loom_control_expect_mark(index->control, number);
    int code = mdb_get(index->reader, index->rows, &key, &value);
    if (code == MDB_NOTFOUND) return LOOM_NOT_FOUND;
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot read a row", err);
    if (!may_be(&value, by, id)) return LOOM_NOT_FOUND;
    size_t length = value.mv_size;
    uint8_t *copy = loom_arena_copy(arena, value.mv_data, length);
    if (copy == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index of %s", index->path);
    /* A damaged row counts as absent: its result is computed and stored again. */
    if (loom_index_open_row(index, number, copy, &length, NULL) != LOOM_OK) return LOOM_NOT_FOUND;
    if (loom_row_decode(copy, length, number, result, kind, NULL) != LOOM_OK) return LOOM_NOT_FOUND;
    /* Another row may have this value and more time. */
    return by == LOOM_BY_VID && loom_result_expired(result) ? LOOM_NOT_FOUND : LOOM_OK;
}

loom_status loom_index_find(loom_index *index, loom_find_by by, const loom_id *id, loom_arena *arena,
                            loom_result *result, loom_row_kind *kind, loom_error *err) {
    LOOM_TRY(enter(index, err));
    loom_status status = LOOM_NOT_FOUND;
    loom_id name = loom_index_name(index, id);
    int code = mdb_cursor_renew(index->reader, index->cursors[by]);
    loom_candidates candidates;
    loom_candidates_begin(&candidates, &index->tails[by], NULL, index->cursors[by]);
    uint64_t row;
    while (code == MDB_SUCCESS && status == LOOM_NOT_FOUND &&
           (row = loom_candidates_next(&candidates, &name, &code)) != 0)
        status = take_row(index, row, by, &name, arena, result, kind, err);
    if (code != MDB_SUCCESS) status = loom_index_fail(index, code, "cannot look up", err);
    leave(index);
    return status;
}

/* A transaction of its own, so that a long scan does not hold up look-ups; the callback may use the store. */
static int try_scan(loom_index *index, MDB_txn **txn) {
    pthread_mutex_lock(&index->lock);
    int code = mdb_txn_begin(index->env, NULL, MDB_RDONLY, txn), dead;
    if (code == MDB_READERS_FULL && mdb_reader_check(index->env, &dead) == MDB_SUCCESS)
        code = mdb_txn_begin(index->env, NULL, MDB_RDONLY, txn);
    if (code == MDB_MAP_RESIZED && loom_index_map_is_unused(index)) {
        code = mdb_env_set_mapsize(index->env, 0);
        if (code == MDB_SUCCESS) code = mdb_txn_begin(index->env, NULL, MDB_RDONLY, txn);
    }
    if (code == MDB_SUCCESS) index->scans++;
    pthread_mutex_unlock(&index->lock);
    return code;
}

int loom_index_begin_scan(loom_index *index, MDB_txn **txn) {
    unsigned tries = 0;
    int code;
    do {
        code = try_scan(index, txn);
    } while (code == MDB_MAP_RESIZED && wait_for_map(&tries));
    return code;
}

/* Random look-ups want no read-ahead (MDB_NORDAHEAD); a scan of a file that is not cached is 30 times slower without.
 */
static void prefetch(const loom_index *index) {
    mdb_filehandle_t fd;
    if (mdb_env_get_fd(index->env, &fd) == MDB_SUCCESS) loom_file_prefetch(fd, 0, loom_index_bytes(index));
}

void loom_index_end_scan(loom_index *index, MDB_txn *txn) {
    mdb_txn_abort(txn);
    pthread_mutex_lock(&index->lock);
    index->scans--;
    pthread_mutex_unlock(&index->lock);
}

/* `from`: the first key to visit, NULL for all. */
static loom_status each_entry_from(loom_index *index, MDB_dbi table, const MDB_val *from, loom_entry_visit visit,
                                   void *context, loom_error *err) {
    MDB_txn *txn;
    int code = loom_index_begin_scan(index, &txn);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot read", err);
    MDB_cursor *cursor;
    MDB_val key = from != NULL ? *from : (MDB_val){0}, value;
    code = mdb_cursor_open(txn, table, &cursor);
    if (code == MDB_SUCCESS) {
        code = mdb_cursor_get(cursor, &key, &value, from != NULL ? MDB_SET_RANGE : MDB_FIRST);
        while (code == MDB_SUCCESS && visit(&key, &value, context))
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        mdb_cursor_close(cursor);
    }
    loom_index_end_scan(index, txn);
    return code == MDB_SUCCESS || code == MDB_NOTFOUND ? LOOM_OK : loom_index_fail(index, code, "cannot read", err);
}

loom_status loom_index_each_entry(loom_index *index, MDB_dbi table, loom_entry_visit visit, void *context,
                                  loom_error *err) {
    return each_entry_from(index, table, NULL, visit, context, err);
}

/* Rows of an encrypted store are opened one by one, in memory that grows to the largest. */
typedef struct row_scan {
    const loom_index *index;
    loom_row_visit visit;
    void *context;
    uint8_t *plain;
    size_t capacity;
    bool exhausted;
} row_scan;

static bool visit_sealed(row_scan *scan, uint64_t row, const MDB_val *value) {
    if (value->mv_size > scan->capacity) {
        uint8_t *grown = realloc(scan->plain, value->mv_size);
        if (grown == NULL) {
            scan->exhausted = true;
            return false;
        }
        scan->plain = grown;
        scan->capacity = value->mv_size;
    }
    size_t length = value->mv_size;
    memcpy(scan->plain, value->mv_data, length);
    /* One that does not open is passed on as it is: decoding says that it is damaged. */
    if (loom_index_open_row(scan->index, row, scan->plain, &length, NULL) != LOOM_OK)
        return scan->visit(row, value->mv_data, value->mv_size, scan->context);
    return scan->visit(row, scan->plain, length, scan->context);
}

static bool visit_stored(const MDB_val *key, const MDB_val *value, void *context) {
    row_scan *scan = context;
    size_t row;
    memcpy(&row, key->mv_data, sizeof row);
    if (scan->index->cipher != NULL) return visit_sealed(scan, row, value);
    return scan->visit(row, value->mv_data, value->mv_size, scan->context);
}

loom_status loom_index_scan_from(loom_index *index, uint64_t first, loom_row_visit visit, void *context,
                                 loom_error *err) {
    row_scan scan = {.index = index, .visit = visit, .context = context};
    size_t number = (size_t)first;
    MDB_val from = {sizeof number, &number};
    loom_status status = each_entry_from(index, index->rows, &from, visit_stored, &scan, err);
    free(scan.plain);
    if (scan.exhausted)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index of %s", index->path);
    return status;
}

loom_status loom_index_scan(loom_index *index, loom_row_visit visit, void *context, loom_error *err) {
    prefetch(index);
    return loom_index_scan_from(index, 0, visit, context, err);
}

loom_status loom_index_row_is_live(loom_index *index, uint64_t row, bool *live, loom_error *err) {
    LOOM_TRY(enter(index, err));
    size_t number = (size_t)row;
    MDB_val key = {sizeof number, &number}, value;
    loom_row_header header;
    int code = mdb_get(index->reader, index->rows, &key, &value);
    *live = code == MDB_SUCCESS && loom_row_peek(value.mv_data, value.mv_size, &header) && header.kind == LOOM_ROW_LIVE;
    leave(index);
    return code == MDB_SUCCESS || code == MDB_NOTFOUND ? LOOM_OK : loom_index_fail(index, code, "cannot read", err);
}

loom_status loom_index_get(loom_index *index, MDB_dbi table, const void *key_bytes, size_t key_length,
                           loom_arena *arena, const void **bytes, size_t *length, loom_error *err) {
    LOOM_TRY(enter(index, err));
    MDB_val key = {key_length, (void *)(uintptr_t)key_bytes}, value;
    int code = mdb_get(index->reader, table, &key, &value);
    loom_status status = LOOM_OK;
    uint8_t *copy = NULL;
    if (code == MDB_NOTFOUND)
        status = LOOM_NOT_FOUND;
    else if (code != MDB_SUCCESS)
        status = loom_index_fail(index, code, "cannot read", err);
    else if ((copy = loom_arena_copy(arena, value.mv_data, value.mv_size)) == NULL)
        status = loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the index of %s", index->path);
    else
        *length = value.mv_size;
    leave(index);
    *bytes = copy;
    return status == LOOM_OK ? loom_index_open_value(index, table, key_bytes, key_length, copy, length, err) : status;
}

loom_status loom_index_get_fixed(loom_index *index, MDB_dbi table, const void *key_bytes, size_t key_length,
                                 void *bytes, size_t length, loom_error *err) {
    uint8_t copy[FIXED_BYTES_MAX + LOOM_SEAL_OVERHEAD];
    bool sealed = loom_index_sealed_table(index, table, key_bytes, key_length) != NULL;
    size_t stored_length = length + (sealed ? LOOM_SEAL_OVERHEAD : 0);
    if (length > FIXED_BYTES_MAX) return loom_fail(err, LOOM_INTERNAL, "a record of %zu bytes", length);
    LOOM_TRY(enter(index, err));
    MDB_val key = {key_length, (void *)(uintptr_t)key_bytes}, value;
    int code = mdb_get(index->reader, table, &key, &value);
    loom_status status = LOOM_OK;
    if (code == MDB_NOTFOUND)
        status = LOOM_NOT_FOUND;
    else if (code != MDB_SUCCESS)
        status = loom_index_fail(index, code, "cannot read", err);
    else if (value.mv_size != stored_length)
        status = loom_index_fail(index, MDB_CORRUPTED, "cannot read a record", err);
    else
        memcpy(copy, value.mv_data, stored_length);
    leave(index);
    if (status == LOOM_OK)
        status = loom_index_open_value(index, table, key_bytes, key_length, copy, &stored_length, err);
    if (status == LOOM_OK) memcpy(bytes, copy, length);
    return status;
}

loom_status loom_index_state_of(loom_index *index, loom_index_state *state, loom_error *err) {
    LOOM_TRY(enter(index, err));
    loom_status status = loom_index_read_state(index, index->reader, state, err);
    leave(index);
    return status;
}

loom_status loom_index_sync(loom_index *index, loom_error *err) {
    int code = mdb_env_sync(index->env, 1);
    return code == MDB_SUCCESS ? LOOM_OK : loom_index_fail(index, code, "cannot sync", err);
}

uint64_t loom_index_bytes(const loom_index *index) {
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(index->env, &info) != MDB_SUCCESS || mdb_env_stat(index->env, &stat) != MDB_SUCCESS) return 0;
    return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}
