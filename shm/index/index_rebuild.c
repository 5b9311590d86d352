/* index_rebuild.c - the space tables written anew from what rows say: finds pages that nobody owns. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/extent/extent_file.h"
#include "shm/index/index_space.h"

typedef enum span_kind { SPAN_LIVE, SPAN_DELETED, SPAN_FREE, SPAN_TAIL } span_kind;

/* Pages [page, end) of a file; SPAN_TAIL: the file reaches to `page`. */
typedef struct span {
    uint32_t extent;
    uint32_t kind;
    uint64_t page, end;
} span;

typedef struct spans {
    span *items;
    size_t count, capacity;
} spans;

static bool add_span(spans *into, span added) {
    if (into->count == into->capacity) {
        size_t capacity = into->capacity == 0 ? 1024 : 2 * into->capacity;
        span *grown = realloc(into->items, capacity * sizeof *grown);
        if (grown == NULL) return false;
        into->items = grown;
        into->capacity = capacity;
    }
    into->items[into->count++] = added;
    return true;
}

static bool add_range(spans *into, span_kind kind, uint32_t extent, uint64_t offset, uint64_t bytes) {
    uint64_t page = offset / LOOM_PAGE_BYTES;
    return add_span(into, (span){.extent = extent,
                                 .kind = kind,
                                 .page = page,
                                 .end = page + bytes / LOOM_PAGE_BYTES + (bytes % LOOM_PAGE_BYTES != 0)});
}

static int compare_spans(const void *a, const void *b) {
    const span *x = a, *y = b;
    if (x->extent != y->extent) return x->extent < y->extent ? -1 : 1;
    return (x->page > y->page) - (x->page < y->page);
}

static void sort(spans *all) {
    if (all->count > 1) qsort(all->items, all->count, sizeof *all->items, compare_spans);
}

/* ---- gathering ---- */

/* A live row owns what its header says, even when the rest of it is damaged: too much is safe, too little is not. */
static int gather_rows(loom_index_batch *batch, spans *all) {
    MDB_cursor *cursor;
    MDB_val key, value;
    int code = mdb_cursor_open(batch->txn, batch->index->rows, &cursor);
    if (code != MDB_SUCCESS) return code;
    for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); code == MDB_SUCCESS;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        loom_row_header header;
        if (!loom_row_peek(value.mv_data, value.mv_size, &header) || header.kind != LOOM_ROW_LIVE) continue;
        uint64_t bytes = header.stored_bytes != 0 ? header.stored_bytes : header.bulk.bytes;
        if (header.bulk.bytes == 0 || !loom_index_range_is_plausible(header.bulk.offset, bytes)) continue;
        if (!add_range(all, SPAN_LIVE, header.bulk.extent, header.bulk.offset, bytes)) {
            mdb_cursor_close(cursor);
            return ENOMEM;
        }
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

/* A sorted copy of the rows' spans in which `end` is the furthest end of all spans of the file so far. */
static int copy_live(const spans *rows, spans *live) {
    live->items = malloc((rows->count + 1) * sizeof *live->items);
    if (live->items == NULL) return ENOMEM;
    if (rows->count > 0) memcpy(live->items, rows->items, rows->count * sizeof *live->items);
    live->count = live->capacity = rows->count;
    sort(live);
    uint64_t end = 0;
    for (size_t i = 0; i < live->count; i++) {
        bool same_file = i > 0 && live->items[i - 1].extent == live->items[i].extent;
        end = same_file && end > live->items[i].end ? end : live->items[i].end;
        live->items[i].end = end;
    }
    return MDB_SUCCESS;
}

static bool overlaps(const spans *live, const span *range) {
    size_t low = 0, high = live->count; /* the first that begins at or behind the range's end */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const span *at = &live->items[middle];
        if (at->extent < range->extent || (at->extent == range->extent && at->page < range->end))
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && live->items[low - 1].extent == range->extent && live->items[low - 1].end > range->page;
}

static bool read_span(span_kind kind, const MDB_val *key, const MDB_val *value, span *range, bool *punched) {
    spans one = {.items = range, .capacity = 1};
    *punched = false;
    if (kind == SPAN_FREE) {
        loom_lent lent;
        if (!loom_index_read_free(key, value, &lent)) return false;
        *punched = lent.punched;
        return add_range(&one, kind, lent.extent, lent.page * LOOM_PAGE_BYTES, lent.pages * LOOM_PAGE_BYTES);
    }
    loom_placement place;
    if (value->mv_size != sizeof place) return false;
    memcpy(&place, value->mv_data, sizeof place);
    return loom_index_range_is_plausible(place.offset, place.bytes) &&
           add_range(&one, kind, place.extent, place.offset, place.bytes);
}

/* The entries of `deleted` or `free`; those that cannot be are removed. */
static int gather_table(loom_index_batch *batch, MDB_dbi table, span_kind kind, const spans *live, spans *all,
                        uint64_t *punched_pages) {
    MDB_cursor *cursor;
    MDB_val key, value;
    int code = mdb_cursor_open(batch->txn, table, &cursor);
    if (code != MDB_SUCCESS) return code;
    int failed = MDB_SUCCESS;
    for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); code == MDB_SUCCESS && failed == MDB_SUCCESS;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        span range;
        bool punched = false;
        if (!read_span(kind, &key, &value, &range, &punched) || overlaps(live, &range))
            failed = mdb_cursor_del(cursor, 0);
        else if (!add_span(all, range))
            failed = ENOMEM;
        else if (punched)
            *punched_pages += range.end - range.page;
    }
    mdb_cursor_close(cursor);
    if (failed != MDB_SUCCESS) return failed;
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

static int gather_tails(loom_index_batch *batch, uint64_t tail_unit, spans *all) {
    MDB_cursor *cursor;
    MDB_val key, value;
    int code = mdb_cursor_open(batch->txn, batch->index->extents, &cursor);
    if (code != MDB_SUCCESS) return code;
    for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); code == MDB_SUCCESS;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        unsigned number;
        uint64_t tail;
        if (key.mv_size != sizeof number || value.mv_size < sizeof tail) continue;
        memcpy(&number, key.mv_data, sizeof number);
        memcpy(&tail, value.mv_data, sizeof tail);
        tail = tail_unit == 1 ? tail / LOOM_PAGE_BYTES : tail;
        if (tail > (UINT64_C(1) << 60) / LOOM_PAGE_BYTES) continue; /* damaged: what is known lies below it */
        if (!add_span(all, (span){.extent = number, .kind = SPAN_TAIL, .page = tail, .end = tail})) {
            mdb_cursor_close(cursor);
            return ENOMEM;
        }
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

/* ---- writing ---- */

/* One file's spans, sorted, from `first` on: its record, and the gaps between them. Returns where the next begins. */
static size_t sum_file(const spans *all, size_t first, loom_space_record *record, spans *gaps, bool *complete) {
    uint32_t number = all->items[first].extent;
    uint64_t reached = 1;
    size_t i = first;
    *record = (loom_space_record){.tail = 1};
    for (; i < all->count && all->items[i].extent == number; i++) {
        const span *at = &all->items[i];
        if (at->page > reached &&
            !add_span(gaps, (span){.extent = number, .kind = SPAN_FREE, .page = reached, .end = at->page}))
            *complete = false;
        uint64_t pages = at->end - at->page;
        if (at->kind == SPAN_LIVE) record->live += pages;
        if (at->kind == SPAN_DELETED) record->deleted += pages;
        if (at->kind == SPAN_FREE) record->free += pages;
        if (at->end > reached) reached = at->end;
    }
    record->tail = reached;
    return i;
}

static int write_records(loom_index_batch *batch, const spans *all, spans *gaps) {
    int code = mdb_drop(batch->txn, batch->index->extents, 0);
    bool complete = true;
    for (size_t i = 0; i < all->count && code == MDB_SUCCESS && complete;) {
        unsigned number = all->items[i].extent;
        loom_space_record record;
        i = sum_file(all, i, &record, gaps, &complete);
        MDB_val key = {sizeof number, &number}, value = {sizeof record, &record};
        code = mdb_put(batch->txn, batch->index->extents, &key, &value, 0);
    }
    return code == MDB_SUCCESS && !complete ? ENOMEM : code;
}

static loom_status fill_gaps(loom_index_batch *batch, const spans *gaps, loom_punch punch, void *context,
                             uint64_t *found, loom_error *err) {
    for (size_t i = 0; i < gaps->count; i++) {
        const span *gap = &gaps->items[i];
        for (uint64_t page = gap->page; page < gap->end;) {
            uint64_t pages = gap->end - page < UINT32_MAX / 2 ? gap->end - page : UINT32_MAX / 2;
            loom_placement place = {
                .extent = gap->extent, .offset = page * LOOM_PAGE_BYTES, .bytes = pages * LOOM_PAGE_BYTES};
            loom_lent range = {.extent = gap->extent, .punched = true, .page = page, .pages = pages};
            LOOM_TRY(punch(context, &place, err));
            LOOM_TRY(loom_index_add_free(batch, &range, err));
            *found += place.bytes;
            page += pages;
        }
    }
    return LOOM_OK;
}

static int gather(loom_index_batch *batch, uint64_t tail_unit, spans *live, spans *all, uint64_t *punched_pages) {
    int code = gather_rows(batch, all);
    if (code == MDB_SUCCESS) code = copy_live(all, live);
    const loom_index *index = batch->index;
    if (code == MDB_SUCCESS) code = gather_table(batch, index->deleted, SPAN_DELETED, live, all, punched_pages);
    if (code == MDB_SUCCESS) code = gather_table(batch, index->free, SPAN_FREE, live, all, punched_pages);
    if (code == MDB_SUCCESS) code = gather_tails(batch, tail_unit, all);
    sort(all);
    return code;
}

loom_status loom_index_rebuild_space(loom_index_batch *batch, uint64_t tail_unit, loom_punch punch, void *context,
                                     uint64_t *found, loom_error *err) {
    *found = 0;
    spans live = {0}, all = {0}, gaps = {0};
    uint64_t punched_pages = 0;
    LOOM_TRY(loom_index_write_extents(batch, err)); /* nothing noted earlier may be added to what is written here */
    int code = gather(batch, tail_unit, &live, &all, &punched_pages);
    if (code == MDB_SUCCESS) code = write_records(batch, &all, &gaps);
    if (code == MDB_SUCCESS) code = loom_index_set_punched(batch, punched_pages);
    batch->changed = true;
    loom_status status = LOOM_OK;
    if (code == ENOMEM)
        status = loom_batch_no_memory(batch, err);
    else if (code != MDB_SUCCESS)
        status = loom_batch_fail(batch, code, "cannot account for space", err);
    if (status == LOOM_OK && punch != NULL) status = fill_gaps(batch, &gaps, punch, context, found, err);
    free(live.items);
    free(all.items);
    free(gaps.items);
    return status;
}
