/* index_free.c - the table `free`: what nobody owns, in order of file and offset. See index_space.h. */
#include "shm/index/index_space.h"

#include <string.h>

/* How many entries of `free` are looked at for one request. */
#define SEARCH_MAX 16384u

/* ---- the table `free` ---- */

static void free_key(uint32_t extent, uint64_t offset, uint8_t key[LOOM_FREE_KEY_BYTES]) {
    for (unsigned i = 0; i < 4; i++)
        key[i] = (uint8_t)(extent >> (24 - 8 * i));
    for (unsigned i = 0; i < 8; i++)
        key[4 + i] = (uint8_t)(offset >> (56 - 8 * i));
}

bool loom_index_read_free(const MDB_val *key, const MDB_val *value, loom_lent *range) {
    loom_free_record record;
    const uint8_t *bytes = key->mv_data;
    if (key->mv_size != LOOM_FREE_KEY_BYTES || value->mv_size != sizeof record) return false;
    memcpy(&record, value->mv_data, sizeof record);
    uint64_t extent = 0, offset = 0;
    for (unsigned i = 0; i < 4; i++)
        extent = extent << 8 | bytes[i];
    for (unsigned i = 0; i < 8; i++)
        offset = offset << 8 | bytes[4 + i];
    if (!loom_index_range_is_plausible(offset, record.bytes) || record.bytes % LOOM_PAGE_BYTES != 0) return false;
    *range = (loom_lent){.extent = (uint32_t)extent,
                         .punched = (record.flags & LOOM_FREE_PUNCHED) != 0,
                         .page = offset / LOOM_PAGE_BYTES,
                         .pages = record.bytes / LOOM_PAGE_BYTES};
    return true;
}

static loom_status count_punched(loom_index_batch *batch, int64_t pages, loom_error *err) {
    if (pages == 0) return LOOM_OK;
    loom_space_state state = {0};
    MDB_val key = {sizeof LOOM_SPACE_KEY - 1, LOOM_SPACE_KEY}, value;
    int code = mdb_get(batch->txn, batch->index->meta, &key, &value);
    if (code == MDB_SUCCESS && value.mv_size == sizeof state)
        memcpy(&state, value.mv_data, sizeof state);
    else if (code != MDB_NOTFOUND)
        return loom_batch_fail(batch, code ? code : MDB_CORRUPTED, "cannot read", err);
    state.punched_pages = loom_index_add_signed(state.punched_pages, pages);
    value = (MDB_val){sizeof state, &state};
    code = mdb_put(batch->txn, batch->index->meta, &key, &value, 0);
    return code == MDB_SUCCESS ? LOOM_OK : loom_batch_fail(batch, code, "cannot write", err);
}

int loom_index_set_punched(loom_index_batch *batch, uint64_t pages) {
    loom_space_state state = {.punched_pages = pages};
    MDB_val key = {sizeof LOOM_SPACE_KEY - 1, LOOM_SPACE_KEY}, value = {sizeof state, &state};
    return mdb_put(batch->txn, batch->index->meta, &key, &value, 0);
}

/* Changes the sums of a range that enters (1) or leaves (-1) the table. */
static loom_status count_free(loom_index_batch *batch, const loom_lent *range, int64_t sign, loom_error *err) {
    loom_extent_change *change = loom_index_change_of(batch, range->extent);
    if (change == NULL) return loom_batch_no_memory(batch, err);
    change->free += sign * (int64_t)range->pages;
    uint64_t end = range->page + range->pages;
    if (sign > 0 && end > change->tail) change->tail = end;
    batch->changed = true;
    return range->punched ? count_punched(batch, sign * (int64_t)range->pages, err) : LOOM_OK;
}

static int put_free(MDB_cursor *cursor, const loom_lent *range) {
    uint8_t bytes[LOOM_FREE_KEY_BYTES];
    free_key(range->extent, range->page * LOOM_PAGE_BYTES, bytes);
    loom_free_record record = {.bytes = range->pages * LOOM_PAGE_BYTES,
                               .flags = range->punched ? LOOM_FREE_PUNCHED : 0};
    MDB_val key = {sizeof bytes, bytes}, value = {sizeof record, &record};
    return mdb_cursor_put(cursor, &key, &value, 0);
}

/* Joins `range` with the entry at the cursor if the two touch and are alike: that entry goes. */
static int join(MDB_cursor *cursor, const MDB_val *key, const MDB_val *value, loom_lent *range, bool *joined) {
    loom_lent other;
    *joined = false;
    if (!loom_index_read_free(key, value, &other) || other.extent != range->extent || other.punched != range->punched)
        return MDB_SUCCESS;
    bool before = other.page + other.pages == range->page, behind = range->page + range->pages == other.page;
    if ((!before && !behind) || other.pages + range->pages >= UINT32_MAX) return MDB_SUCCESS;
    if (before) range->page = other.page;
    range->pages += other.pages;
    *joined = true;
    return mdb_cursor_del(cursor, 0);
}

static int enter_free(MDB_cursor *cursor, const loom_lent *added) {
    loom_lent range = *added;
    uint8_t bytes[LOOM_FREE_KEY_BYTES];
    free_key(range.extent, range.page * LOOM_PAGE_BYTES, bytes);
    MDB_val key = {sizeof bytes, bytes}, value;
    bool joined = false;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (code == MDB_SUCCESS) code = join(cursor, &key, &value, &range, &joined);
    if (code == MDB_SUCCESS || code == MDB_NOTFOUND) {
        key = (MDB_val){sizeof bytes, bytes};
        code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        code = mdb_cursor_get(cursor, &key, &value, code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    }
    if (code == MDB_SUCCESS) code = join(cursor, &key, &value, &range, &joined);
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND) return code;
    return put_free(cursor, &range);
}

loom_status loom_index_add_free(loom_index_batch *batch, const loom_lent *range, loom_error *err) {
    if (range->pages == 0) return LOOM_OK;
    MDB_cursor *cursor;
    int code = mdb_cursor_open(batch->txn, batch->index->free, &cursor);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot write", err);
    code = enter_free(cursor, range);
    mdb_cursor_close(cursor);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot write", err);
    return count_free(batch, range, 1, err);
}

/* ---- taking ---- */

/* Removes [range->page, + pages) from the beginning of the entry of `range`. */
static int shorten(MDB_txn *txn, MDB_dbi table, const loom_lent *range, uint64_t pages) {
    uint8_t bytes[LOOM_FREE_KEY_BYTES];
    free_key(range->extent, range->page * LOOM_PAGE_BYTES, bytes);
    MDB_val key = {sizeof bytes, bytes};
    MDB_cursor *cursor;
    int code = mdb_del(txn, table, &key, NULL);
    if (code != MDB_SUCCESS || pages == range->pages) return code;
    code = mdb_cursor_open(txn, table, &cursor);
    if (code != MDB_SUCCESS) return code;
    loom_lent rest = *range;
    rest.page += pages;
    rest.pages -= pages;
    code = put_free(cursor, &rest);
    mdb_cursor_close(cursor);
    return code;
}

static loom_status take(loom_index_batch *batch, loom_lent *range, uint64_t pages_max, loom_error *err) {
    uint64_t pages = range->pages > pages_max ? pages_max : range->pages;
    int code = shorten(batch->txn, batch->index->free, range, pages);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot write", err);
    range->pages = pages;
    return count_free(batch, range, -1, err);
}

/* Ranges of at least `pages`: the smallest first in `ranges`, others behind it. */
static int search(MDB_cursor *cursor, uint64_t pages, loom_lent *ranges, size_t capacity, size_t *count) {
    MDB_val key, value;
    unsigned looked = 0;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; code == MDB_SUCCESS && looked < SEARCH_MAX;
         looked++, code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        loom_lent range;
        if (!loom_index_read_free(&key, &value, &range) || range.pages < pages) continue;
        if (*count < capacity) ranges[(*count)++] = range;
        if (range.pages < ranges[0].pages) {
            loom_lent larger = ranges[0];
            ranges[0] = range;
            if (*count > 1) ranges[*count - 1] = larger;
        }
        if (*count == capacity && ranges[0].pages == pages) break;
    }
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

loom_status loom_index_take_free(loom_index_batch *batch, uint64_t pages, uint64_t pages_max, loom_lent *ranges,
                                 size_t capacity, size_t *count, loom_error *err) {
    *count = 0;
    MDB_cursor *cursor;
    int code = mdb_cursor_open(batch->txn, batch->index->free, &cursor);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot read", err);
    size_t found = 0;
    code = search(cursor, pages, ranges, capacity, &found);
    mdb_cursor_close(cursor);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot read", err);
    uint64_t most = pages_max > pages ? pages_max : pages, left = most;
    for (size_t i = 0; i < found && left >= pages; i++) {
        LOOM_TRY(take(batch, &ranges[i], left, err));
        left -= ranges[i].pages;
        *count = i + 1;
    }
    return LOOM_OK;
}

/* ---- returning space to the file system ---- */

static uint64_t unpunched_bytes(loom_index_batch *batch, loom_status *status, loom_error *err) {
    MDB_cursor *cursor;
    int code = mdb_cursor_open(batch->txn, batch->index->extents, &cursor);
    if (code != MDB_SUCCESS) {
        *status = loom_batch_fail(batch, code, "cannot read", err);
        return 0;
    }
    loom_space_sums sums = {0};
    MDB_val key, value;
    for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); code == MDB_SUCCESS;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        loom_index_add_record(&key, &value, &sums);
    mdb_cursor_close(cursor);
    loom_space_state state = {0};
    MDB_val name = {sizeof LOOM_SPACE_KEY - 1, LOOM_SPACE_KEY};
    if (mdb_get(batch->txn, batch->index->meta, &name, &value) == MDB_SUCCESS && value.mv_size == sizeof state)
        memcpy(&state, value.mv_data, sizeof state);
    uint64_t punched = state.punched_pages * LOOM_PAGE_BYTES;
    return sums.free_bytes > punched ? sums.free_bytes - punched : 0;
}

/* The last unpunched range before `*before`, which moves to it. */
static bool last_unpunched(MDB_cursor *cursor, uint8_t before[LOOM_FREE_KEY_BYTES], bool *anywhere, loom_lent *range) {
    MDB_val key = {LOOM_FREE_KEY_BYTES, before}, value;
    int code = *anywhere ? MDB_NOTFOUND : mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    code = mdb_cursor_get(cursor, &key, &value, code == MDB_SUCCESS ? MDB_PREV : MDB_LAST);
    *anywhere = false;
    for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor, &key, &value, MDB_PREV))
        if (loom_index_read_free(&key, &value, range) && !range->punched) {
            memcpy(before, key.mv_data, LOOM_FREE_KEY_BYTES);
            return true;
        }
    return false;
}

loom_status loom_index_punch_free(loom_index_batch *batch, uint64_t keep_bytes, loom_punch punch, void *context,
                                  uint64_t *punched, loom_error *err) {
    *punched = 0;
    loom_status status = LOOM_OK;
    LOOM_TRY(loom_index_write_extents(batch, err)); /* the sums are read below */
    uint64_t left = unpunched_bytes(batch, &status, err);
    MDB_cursor *cursor;
    int code = status == LOOM_OK ? mdb_cursor_open(batch->txn, batch->index->free, &cursor) : MDB_SUCCESS;
    if (status != LOOM_OK) return status;
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot read", err);
    uint8_t before[LOOM_FREE_KEY_BYTES];
    bool anywhere = true;
    loom_lent range;
    while (status == LOOM_OK && left > keep_bytes && last_unpunched(cursor, before, &anywhere, &range)) {
        loom_placement place = {
            .extent = range.extent, .offset = range.page * LOOM_PAGE_BYTES, .bytes = range.pages * LOOM_PAGE_BYTES};
        status = punch(context, &place, err);
        if (status != LOOM_OK) break;
        left -= place.bytes < left ? place.bytes : left;
        *punched += place.bytes;
        code = shorten(batch->txn, batch->index->free, &range, range.pages);
        if (code != MDB_SUCCESS) {
            status = loom_batch_fail(batch, code, "cannot write", err);
            break;
        }
        status = count_free(batch, &range, -1, err);
        range.punched = true;
        if (status == LOOM_OK) status = loom_index_add_free(batch, &range, err);
    }
    mdb_cursor_close(cursor);
    return status;
}

/* The entry that ends where the file's committed part does. */
static bool last_of_file(loom_index_batch *batch, uint32_t number, uint64_t tail, loom_lent *range) {
    uint8_t bytes[LOOM_FREE_KEY_BYTES];
    free_key(number, UINT64_MAX, bytes);
    MDB_val key = {sizeof bytes, bytes}, value;
    MDB_cursor *cursor;
    if (mdb_cursor_open(batch->txn, batch->index->free, &cursor) != MDB_SUCCESS) return false;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    code = mdb_cursor_get(cursor, &key, &value, code == MDB_SUCCESS ? MDB_PREV : MDB_LAST);
    bool found = code == MDB_SUCCESS && loom_index_read_free(&key, &value, range) && range->extent == number &&
                 range->page + range->pages == tail;
    mdb_cursor_close(cursor);
    return found;
}

loom_status loom_index_cut_tail(loom_index_batch *batch, uint32_t number, uint64_t *tail, uint64_t *unpunched,
                                loom_error *err) {
    loom_space_record record;
    loom_lent range;
    LOOM_TRY(loom_index_write_extents(batch, err));
    LOOM_TRY(loom_index_read_record(batch, number, &record, err));
    *tail = record.tail * LOOM_PAGE_BYTES;
    *unpunched = 0;
    if (!last_of_file(batch, number, record.tail, &range)) return LOOM_NOT_FOUND;
    while (last_of_file(batch, number, record.tail, &range)) {
        int code = shorten(batch->txn, batch->index->free, &range, range.pages);
        if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot write", err);
        if (range.punched)
            LOOM_TRY(count_punched(batch, -(int64_t)range.pages, err));
        else
            *unpunched += range.pages * LOOM_PAGE_BYTES;
        record.tail = range.page;
        record.free -= range.pages < record.free ? range.pages : record.free;
    }
    /* What this batch noted of the file before must not raise the tail again. */
    loom_extent_change *change = loom_index_change_of(batch, number);
    if (change == NULL) return loom_batch_no_memory(batch, err);
    change->tail = 0;
    *tail = record.tail * LOOM_PAGE_BYTES;
    return loom_index_write_record(batch, number, &record, err);
}
