/* index_space.c - see index_space.h: what rows own, what they give up, what is free. */
#include "shm/store/index_space.h"

#include <stdlib.h>
#include <string.h>

#include "shm/store/extent_file.h"

/* How many entries of `free` are looked at for one request. */
#define SEARCH_MAX 16384u
#define META_KEY "s:space"

/* meta, "s:space". */
typedef struct space_state {
    uint64_t punched_pages; /* of the free ones */
    uint64_t reserved[3];
} space_state;

static uint64_t pages_of(uint64_t bytes) {
    return bytes / LOOM_PAGE_BYTES + (bytes % LOOM_PAGE_BYTES != 0);
}

bool loom_index_range_is_plausible(uint64_t offset, uint64_t bytes) {
    const uint64_t most = (uint64_t)1 << 60;
    return offset >= LOOM_EXTENT_FIRST_OFFSET && offset % LOOM_PAGE_BYTES == 0 && bytes > 0 && offset < most &&
           bytes < most;
}

/* ---- what a batch changes ---- */

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

static void raise_tail(loom_extent_change *change, const loom_placement *range) {
    uint64_t end = range->offset / LOOM_PAGE_BYTES + pages_of(range->bytes);
    if (end > change->tail) change->tail = end;
}

loom_status loom_index_own_range(loom_index_batch *batch, const loom_placement *range, loom_error *err) {
    if (range->bytes == 0) return LOOM_OK;
    loom_extent_change *change = change_of(batch, range->extent);
    if (change == NULL) return loom_batch_no_memory(batch, err);
    change->written = true;
    change->live += (int64_t)pages_of(range->bytes);
    raise_tail(change, range);
    return LOOM_OK;
}

loom_status loom_index_disown_range(loom_index_batch *batch, const loom_placement *range, bool was_live,
                                    loom_error *err) {
    if (range->bytes == 0) return LOOM_OK;
    loom_extent_change *change = change_of(batch, range->extent);
    if (change == NULL) return loom_batch_no_memory(batch, err);
    if (was_live) change->live -= (int64_t)pages_of(range->bytes);
    change->deleted += (int64_t)pages_of(range->bytes);
    raise_tail(change, range);
    size_t number = (size_t)batch->state.next_deleted++;
    MDB_val key = {sizeof number, &number}, value = {sizeof *range, (void *)(uintptr_t)range};
    int code = mdb_put(batch->txn, batch->index->deleted, &key, &value, MDB_APPEND);
    batch->changed = true;
    return code == MDB_SUCCESS ? LOOM_OK : loom_batch_fail(batch, code, "cannot write", err);
}

/* A sum that would fall below nothing was wrong before: verification finds that, here it must not wrap. */
static uint64_t add_signed(uint64_t sum, int64_t change) {
    if (change >= 0) return sum + (uint64_t)change;
    uint64_t less = (uint64_t)0 - (uint64_t)change;
    return sum > less ? sum - less : 0;
}

static loom_status read_record(loom_index_batch *batch, uint32_t number, loom_space_record *record, loom_error *err) {
    unsigned name = number;
    MDB_val key = {sizeof name, &name}, value;
    *record = (loom_space_record){.tail = 1};
    int code = mdb_get(batch->txn, batch->index->extents, &key, &value);
    if (code == MDB_NOTFOUND) return LOOM_OK;
    if (code != MDB_SUCCESS || value.mv_size != sizeof *record)
        return loom_batch_fail(batch, code ? code : MDB_CORRUPTED, "cannot read", err);
    memcpy(record, value.mv_data, sizeof *record);
    return LOOM_OK;
}

static loom_status write_record(loom_index_batch *batch, uint32_t number, const loom_space_record *record,
                                loom_error *err) {
    unsigned name = number;
    MDB_val key = {sizeof name, &name}, value = {sizeof *record, (void *)(uintptr_t)record};
    int code = mdb_put(batch->txn, batch->index->extents, &key, &value, 0);
    batch->changed = true;
    return code == MDB_SUCCESS ? LOOM_OK : loom_batch_fail(batch, code, "cannot write", err);
}

loom_status loom_index_write_extents(loom_index_batch *batch, loom_error *err) {
    for (size_t i = 0; i < batch->extent_count; i++) {
        loom_extent_change *change = &batch->extents[i];
        loom_space_record record;
        LOOM_TRY(read_record(batch, change->number, &record, err));
        if (change->tail > record.tail) record.tail = change->tail;
        record.live = add_signed(record.live, change->live);
        record.deleted = add_signed(record.deleted, change->deleted);
        record.free = add_signed(record.free, change->free);
        LOOM_TRY(write_record(batch, change->number, &record, err));
        /* Done: whoever writes the records in the middle of a batch may go on. `written` is still to be synced. */
        change->live = change->deleted = change->free = 0;
    }
    return LOOM_OK;
}

loom_status loom_index_sync_bulk(const loom_index_batch *batch, loom_extents *extents, loom_error *err) {
    if (batch->durability != LOOM_DURABLE_STRICT || extents == NULL) return LOOM_OK;
    for (size_t i = 0; i < batch->extent_count; i++)
        if (batch->extents[i].written) LOOM_TRY(loom_extents_sync(extents, batch->extents[i].number, err));
    return LOOM_OK;
}

/* ---- reading ---- */

static bool add_record(const MDB_val *key, const MDB_val *value, void *context) {
    (void)key;
    loom_space_sums *sums = context;
    loom_space_record record;
    if (value->mv_size != sizeof record) return true;
    memcpy(&record, value->mv_data, sizeof record);
    uint64_t owned = 1 + record.live + record.deleted + record.free;
    sums->header_bytes += LOOM_PAGE_BYTES;
    sums->live_bytes += record.live * LOOM_PAGE_BYTES;
    sums->deleted_bytes += record.deleted * LOOM_PAGE_BYTES;
    sums->free_bytes += record.free * LOOM_PAGE_BYTES;
    if (record.tail > owned) sums->other_bytes += (record.tail - owned) * LOOM_PAGE_BYTES;
    return true;
}

loom_status loom_index_space_sums(loom_index *index, loom_space_sums *sums, loom_error *err) {
    *sums = (loom_space_sums){0};
    LOOM_TRY(loom_index_each_entry(index, index->extents, add_record, sums, err));
    space_state state;
    loom_status status =
        loom_index_get_fixed(index, index->meta, META_KEY, sizeof META_KEY - 1, &state, sizeof state, err);
    if (status == LOOM_OK) sums->punched_bytes = state.punched_pages * LOOM_PAGE_BYTES;
    return status == LOOM_NOT_FOUND ? LOOM_OK : status;
}

loom_status loom_index_committed_tail(loom_index *index, uint32_t number, uint64_t *tail, loom_error *err) {
    loom_space_record record;
    *tail = 0;
    loom_status status =
        loom_index_get_fixed(index, index->extents, &number, sizeof number, &record, sizeof record, err);
    if (status == LOOM_NOT_FOUND) return LOOM_OK;
    LOOM_TRY(status);
    if (record.tail > INT64_MAX / LOOM_PAGE_BYTES - 1)
        return loom_fail(err, LOOM_BAD_STORE,
                         "the index of %s has a damaged record of extent file %08x; run "
                         "`voxloom store verify --repair`",
                         index->path, number);
    *tail = record.tail * LOOM_PAGE_BYTES;
    return LOOM_OK;
}

static bool note_sequence(const MDB_val *key, const MDB_val *value, void *context) {
    (void)value;
    size_t number = 0;
    if (key->mv_size == sizeof number) memcpy(&number, key->mv_data, sizeof number);
    *(uint64_t *)context = number;
    return false;
}

loom_status loom_index_last_deleted(loom_index *index, uint64_t *sequence, loom_error *err) {
    uint64_t first = 0;
    loom_index_state state;
    *sequence = 0;
    LOOM_TRY(loom_index_each_entry(index, index->deleted, note_sequence, &first, err));
    if (first == 0) return LOOM_OK;
    LOOM_TRY(loom_index_state_of(index, &state, err));
    *sequence = state.next_deleted - 1;
    return LOOM_OK;
}

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
    space_state state = {0};
    MDB_val key = {sizeof META_KEY - 1, META_KEY}, value;
    int code = mdb_get(batch->txn, batch->index->meta, &key, &value);
    if (code == MDB_SUCCESS && value.mv_size == sizeof state)
        memcpy(&state, value.mv_data, sizeof state);
    else if (code != MDB_NOTFOUND)
        return loom_batch_fail(batch, code ? code : MDB_CORRUPTED, "cannot read", err);
    state.punched_pages = add_signed(state.punched_pages, pages);
    value = (MDB_val){sizeof state, &state};
    code = mdb_put(batch->txn, batch->index->meta, &key, &value, 0);
    return code == MDB_SUCCESS ? LOOM_OK : loom_batch_fail(batch, code, "cannot write", err);
}

int loom_index_set_punched(loom_index_batch *batch, uint64_t pages) {
    space_state state = {.punched_pages = pages};
    MDB_val key = {sizeof META_KEY - 1, META_KEY}, value = {sizeof state, &state};
    return mdb_put(batch->txn, batch->index->meta, &key, &value, 0);
}

/* Changes the sums of a range that enters (1) or leaves (-1) the table. */
static loom_status count_free(loom_index_batch *batch, const loom_lent *range, int64_t sign, loom_error *err) {
    loom_extent_change *change = change_of(batch, range->extent);
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

loom_status loom_index_free_deleted(loom_index_batch *batch, const loom_pins *pins, uint64_t from, uint64_t *upto,
                                    uint64_t count_max, uint64_t *moved, loom_error *err) {
    MDB_cursor *cursor;
    int code = mdb_cursor_open(batch->txn, batch->index->deleted, &cursor);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot read", err);
    loom_status status = LOOM_OK;
    size_t number = (size_t)from;
    uint64_t last = *upto;
    MDB_val key = {sizeof number, &number}, value;
    *upto = from;
    *moved = 0;
    for (code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE); code == MDB_SUCCESS && status == LOOM_OK;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        memcpy(&number, key.mv_data, sizeof number);
        if (number > last) *upto = last;
        if (number > last || count_max-- == 0) break;
        *upto = number;
        loom_placement range;
        bool ours = value.mv_size == sizeof range;
        if (ours) memcpy(&range, value.mv_data, sizeof range);
        ours = ours && loom_index_range_is_plausible(range.offset, range.bytes);
        if (ours && loom_pins_has(pins, &range)) continue;
        code = mdb_cursor_del(cursor, 0);
        if (code != MDB_SUCCESS) break;
        batch->changed = true;
        if (!ours) continue;
        loom_lent freed = {
            .extent = range.extent, .page = range.offset / LOOM_PAGE_BYTES, .pages = pages_of(range.bytes)};
        status = loom_index_add_free(batch, &freed, err);
        loom_extent_change *change = status == LOOM_OK ? change_of(batch, range.extent) : NULL;
        if (change != NULL) change->deleted -= (int64_t)freed.pages;
        *moved += freed.pages * LOOM_PAGE_BYTES;
    }
    mdb_cursor_close(cursor);
    if (status == LOOM_OK && code != MDB_SUCCESS && code != MDB_NOTFOUND)
        return loom_batch_fail(batch, code, "cannot write", err);
    if (code == MDB_NOTFOUND) *upto = last;
    return status;
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
        add_record(&key, &value, &sums);
    mdb_cursor_close(cursor);
    space_state state = {0};
    MDB_val name = {sizeof META_KEY - 1, META_KEY};
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
    LOOM_TRY(read_record(batch, number, &record, err));
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
    loom_extent_change *change = change_of(batch, number);
    if (change == NULL) return loom_batch_no_memory(batch, err);
    change->tail = 0;
    *tail = record.tail * LOOM_PAGE_BYTES;
    return write_record(batch, number, &record, err);
}

loom_status loom_index_batch_tail(loom_index_batch *batch, uint32_t number, uint64_t *tail, loom_error *err) {
    loom_space_record record;
    LOOM_TRY(loom_index_write_extents(batch, err));
    LOOM_TRY(read_record(batch, number, &record, err));
    *tail = record.tail * LOOM_PAGE_BYTES;
    return LOOM_OK;
}

loom_status loom_index_extent_numbers(loom_index_batch *batch, uint32_t **numbers, size_t *count, loom_error *err) {
    MDB_cursor *cursor;
    MDB_stat stat;
    *numbers = NULL;
    *count = 0;
    int code = mdb_stat(batch->txn, batch->index->extents, &stat);
    if (code == MDB_SUCCESS) code = mdb_cursor_open(batch->txn, batch->index->extents, &cursor);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot read", err);
    *numbers = malloc((stat.ms_entries + 1) * sizeof **numbers);
    if (*numbers == NULL) {
        mdb_cursor_close(cursor);
        return loom_batch_no_memory(batch, err);
    }
    MDB_val key, value;
    while (*count < stat.ms_entries && (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS)
        if (key.mv_size == sizeof **numbers) memcpy(&(*numbers)[(*count)++], key.mv_data, sizeof **numbers);
    mdb_cursor_close(cursor);
    return LOOM_OK;
}
