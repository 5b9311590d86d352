/* index_space.c - what rows own and give up: the tables `extents` and `deleted`. See index_space.h. */
#include "shm/index/index_space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/extent/extent_file.h"

uint64_t loom_index_pages_of(uint64_t bytes) {
    return bytes / LOOM_PAGE_BYTES + (bytes % LOOM_PAGE_BYTES != 0);
}

bool loom_index_range_is_plausible(uint64_t offset, uint64_t bytes) {
    const uint64_t most = (uint64_t)1 << 60;
    return offset >= LOOM_EXTENT_FIRST_OFFSET && offset % LOOM_PAGE_BYTES == 0 && bytes > 0 && offset < most &&
           bytes < most;
}

/* ---- what a batch changes ---- */

loom_extent_change *loom_index_change_of(loom_index_batch *batch, uint32_t number) {
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
    uint64_t end = range->offset / LOOM_PAGE_BYTES + loom_index_pages_of(range->bytes);
    if (end > change->tail) change->tail = end;
}

loom_status loom_index_note_written(loom_index_batch *batch, uint32_t extent, loom_error *err) {
    loom_extent_change *change = loom_index_change_of(batch, extent);
    if (change == NULL) return loom_batch_no_memory(batch, err);
    change->written = true;
    batch->changed = true;
    return LOOM_OK;
}

static loom_disowned *find_disowned(const loom_index_batch *batch, const loom_placement *range) {
    for (size_t i = batch->disowned_count; i-- > 0;)
        if (batch->disowned[i].range.extent == range->extent && batch->disowned[i].range.offset == range->offset)
            return &batch->disowned[i];
    return NULL;
}

static bool note_disowned(loom_index_batch *batch, const loom_placement *range, uint64_t number) {
    if (batch->disowned_count == batch->disowned_capacity) {
        size_t capacity = batch->disowned_capacity == 0 ? 16 : 2 * batch->disowned_capacity;
        loom_disowned *grown = realloc(batch->disowned, capacity * sizeof *grown);
        if (grown == NULL) return false;
        batch->disowned = grown;
        batch->disowned_capacity = capacity;
    }
    batch->disowned[batch->disowned_count++] = (loom_disowned){.range = *range, .number = number};
    return true;
}

/* Else it would be freed, and given to others, while a row owns it. */
static loom_status take_back(loom_index_batch *batch, const loom_placement *range, loom_extent_change *change,
                             loom_error *err) {
    loom_disowned *entry = find_disowned(batch, range);
    if (entry == NULL) return LOOM_OK;
    size_t number = (size_t)entry->number;
    MDB_val key = {sizeof number, &number};
    int code = mdb_del(batch->txn, batch->index->deleted, &key, NULL);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot write", err);
    change->deleted -= (int64_t)loom_index_pages_of(entry->range.bytes);
    *entry = batch->disowned[--batch->disowned_count];
    return LOOM_OK;
}

loom_status loom_index_own_range(loom_index_batch *batch, const loom_placement *range, loom_error *err) {
    if (range->bytes == 0) return LOOM_OK;
    loom_extent_change *change = loom_index_change_of(batch, range->extent);
    if (change == NULL) return loom_batch_no_memory(batch, err);
    LOOM_TRY(take_back(batch, range, change, err));
    change->written = true;
    change->live += (int64_t)loom_index_pages_of(range->bytes);
    raise_tail(change, range);
    return LOOM_OK;
}

loom_status loom_index_disown_range(loom_index_batch *batch, const loom_placement *range, bool was_live,
                                    loom_error *err) {
    if (range->bytes == 0 || (!was_live && find_disowned(batch, range) != NULL)) return LOOM_OK;
    loom_extent_change *change = loom_index_change_of(batch, range->extent);
    if (change == NULL || !note_disowned(batch, range, batch->state.next_deleted))
        return loom_batch_no_memory(batch, err);
    if (was_live) change->live -= (int64_t)loom_index_pages_of(range->bytes);
    change->deleted += (int64_t)loom_index_pages_of(range->bytes);
    raise_tail(change, range);
    size_t number = (size_t)batch->state.next_deleted++;
    MDB_val key = {sizeof number, &number}, value = {sizeof *range, (void *)(uintptr_t)range};
    int code = mdb_put(batch->txn, batch->index->deleted, &key, &value, MDB_APPEND);
    batch->changed = true;
    return code == MDB_SUCCESS ? LOOM_OK : loom_batch_fail(batch, code, "cannot write", err);
}

uint64_t loom_index_add_signed(uint64_t sum, int64_t change) {
    if (change >= 0) return sum + (uint64_t)change;
    uint64_t less = (uint64_t)0 - (uint64_t)change;
    return sum > less ? sum - less : 0;
}

loom_status loom_index_read_record(loom_index_batch *batch, uint32_t number, loom_space_record *record,
                                   loom_error *err) {
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

loom_status loom_index_write_record(loom_index_batch *batch, uint32_t number, const loom_space_record *record,
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
        LOOM_TRY(loom_index_read_record(batch, change->number, &record, err));
        if (change->tail > record.tail) record.tail = change->tail;
        record.live = loom_index_add_signed(record.live, change->live);
        record.deleted = loom_index_add_signed(record.deleted, change->deleted);
        record.free = loom_index_add_signed(record.free, change->free);
        LOOM_TRY(loom_index_write_record(batch, change->number, &record, err));
        /* Done: whoever writes the records in the middle of a batch may go on. `written` is still to be synced. */
        change->live = change->deleted = change->free = 0;
    }
    return LOOM_OK;
}

loom_status loom_index_sync_bulk(const loom_index_batch *batch, loom_extents *extents, loom_error *err) {
#ifdef LOOM_MUTANT_SKIP_SYNC /* a mistake that tests/crash must find; never in a product */
    if (batch != NULL) return LOOM_OK;
#endif
    /* A copy that takes the place of bytes that may be on disk, and acknowledged as such, must not be less. */
    bool sync =
        batch->durability == LOOM_DURABLE_STRICT || (batch->durability == LOOM_DURABLE_VERIFIED && batch->replaced);
    if (!sync || extents == NULL) return LOOM_OK;
    for (size_t i = 0; i < batch->extent_count; i++)
        if (batch->extents[i].written) LOOM_TRY(loom_extents_sync(extents, batch->extents[i].number, err));
    return LOOM_OK;
}

/* ---- reading ---- */

bool loom_index_add_record(const MDB_val *key, const MDB_val *value, void *context) {
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
    LOOM_TRY(loom_index_each_entry(index, index->extents, loom_index_add_record, sums, err));
    loom_space_state state;
    loom_status status =
        loom_index_get_fixed(index, index->meta, LOOM_SPACE_KEY, sizeof LOOM_SPACE_KEY - 1, &state, sizeof state, err);
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

/* Ranges that leave `deleted` in one batch. */
typedef struct freed {
    loom_lent *ranges;
    size_t count, capacity;
    uint64_t bytes;
} freed;

static bool note_freed(freed *all, const loom_placement *range) {
    if (all->count == all->capacity) {
        size_t capacity = all->capacity == 0 ? 256 : 2 * all->capacity;
        loom_lent *grown = realloc(all->ranges, capacity * sizeof *grown);
        if (grown == NULL) return false;
        all->ranges = grown;
        all->capacity = capacity;
    }
    all->ranges[all->count] = (loom_lent){
        .extent = range->extent, .page = range->offset / LOOM_PAGE_BYTES, .pages = loom_index_pages_of(range->bytes)};
    all->bytes += all->ranges[all->count++].pages * LOOM_PAGE_BYTES;
    return true;
}

static int compare_ranges(const void *a, const void *b) {
    const loom_lent *x = a, *y = b;
    if (x->extent != y->extent) return x->extent < y->extent ? -1 : 1;
    return (x->page > y->page) - (x->page < y->page);
}

/* In order, neighbours joined: the table is touched once for each run of pages, and from one end to the other. */
static loom_status add_freed(loom_index_batch *batch, freed *all, loom_error *err) {
    if (all->count > 1) qsort(all->ranges, all->count, sizeof *all->ranges, compare_ranges);
    for (size_t i = 0; i < all->count;) {
        loom_lent run = all->ranges[i++];
        loom_extent_change *change = loom_index_change_of(batch, run.extent);
        if (change == NULL) return loom_batch_no_memory(batch, err);
        while (i < all->count && all->ranges[i].extent == run.extent && all->ranges[i].page == run.page + run.pages &&
               run.pages + all->ranges[i].pages < UINT32_MAX)
            run.pages += all->ranges[i++].pages;
        change->deleted -= (int64_t)run.pages;
        LOOM_TRY(loom_index_add_free(batch, &run, err));
    }
    return LOOM_OK;
}

/* Removes the entries that are not pinned. LMDB's code, or ENOMEM. */
static int take_deleted(loom_index_batch *batch, MDB_cursor *cursor, const loom_pins *pins, uint64_t from,
                        uint64_t *upto, uint64_t count_max, freed *all) {
    size_t number = (size_t)from;
    uint64_t last = *upto;
    MDB_val key = {sizeof number, &number}, value;
    *upto = from;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        memcpy(&number, key.mv_data, sizeof number);
        if (number > last) *upto = last;
        if (number > last || count_max-- == 0) break;
        *upto = number;
        loom_placement range;
        bool ours = value.mv_size == sizeof range;
        if (ours) memcpy(&range, value.mv_data, sizeof range);
        ours = ours && loom_index_range_is_plausible(range.offset, range.bytes);
        if (ours && loom_pins_has(pins, &range)) continue;
        if (ours && !note_freed(all, &range)) return ENOMEM;
        int failed = mdb_cursor_del(cursor, 0);
        if (failed != MDB_SUCCESS) return failed;
        batch->changed = true;
    }
    if (code == MDB_NOTFOUND) *upto = last;
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

loom_status loom_index_free_deleted(loom_index_batch *batch, const loom_pins *pins, uint64_t from, uint64_t *upto,
                                    uint64_t count_max, uint64_t *moved, loom_error *err) {
    MDB_cursor *cursor;
    freed all = {0};
    int code = mdb_cursor_open(batch->txn, batch->index->deleted, &cursor);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot read", err);
    code = take_deleted(batch, cursor, pins, from, upto, count_max, &all);
    mdb_cursor_close(cursor);
    loom_status status = LOOM_OK;
    if (code == ENOMEM)
        status = loom_batch_no_memory(batch, err);
    else if (code != MDB_SUCCESS)
        status = loom_batch_fail(batch, code, "cannot write", err);
    if (status == LOOM_OK) status = add_freed(batch, &all, err);
    *moved = all.bytes;
    free(all.ranges);
    return status;
}

loom_status loom_index_batch_tail(loom_index_batch *batch, uint32_t number, uint64_t *tail, loom_error *err) {
    loom_space_record record;
    LOOM_TRY(loom_index_write_extents(batch, err));
    LOOM_TRY(loom_index_read_record(batch, number, &record, err));
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
