/* index_flush.c - moves the unindexed tail into the hash-keyed tables, in large sorted batches. */
#include <stdlib.h>
#include <string.h>

#include "shm/index/index_batch.h"
#include "shm/probe.h"

static int compare_entries(const void *a, const void *b) {
    const loom_tail_entry *x = a, *y = b;
    int order = memcmp(x->prefix, y->prefix, LOOM_PREFIX_BYTES);
    return order != 0 ? order : (x->row > y->row) - (x->row < y->row);
}

#define BUCKETS 4096u /* by the first twelve bits */
#define FEW 24u       /* entries that are sorted by insertion */

static size_t bucket_of(const loom_tail_entry *entry) {
    return (size_t)entry->prefix[0] << 4 | entry->prefix[1] >> 4;
}

static void sort_few(loom_tail_entry *entries, size_t count) {
    for (size_t i = 1; i < count; i++) {
        loom_tail_entry entry = entries[i];
        size_t at = i;
        for (; at > 0 && compare_entries(&entries[at - 1], &entry) > 0; at--)
            entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

/* Ids are digests, so that one pass over their first bits leaves little to sort: qsort of all was a fifth of a
 * put's instructions. Ids that are not digests cost what qsort does. False when out of memory. */
static bool sort_entries(loom_tail_entry **entries, size_t count) {
    loom_tail_entry *sorted = malloc(count * sizeof *sorted);
    size_t *ends = calloc(BUCKETS + 1, sizeof *ends);
    if (sorted == NULL || ends == NULL) {
        free(sorted);
        free(ends);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        ends[bucket_of(&(*entries)[i]) + 1]++;
    for (size_t b = 1; b <= BUCKETS; b++)
        ends[b] += ends[b - 1];
    for (size_t i = 0; i < count; i++) /* ends[b] is now where bucket b begins, and then where it ends */
        sorted[ends[bucket_of(&(*entries)[i])]++] = (*entries)[i];
    for (size_t b = 0, from = 0; b < BUCKETS; from = ends[b++]) {
        size_t in_bucket = ends[b] - from;
        if (in_bucket <= FEW)
            sort_few(sorted + from, in_bucket);
        else
            qsort(sorted + from, in_bucket, sizeof *sorted, compare_entries);
    }
    free(ends);
    free(*entries);
    *entries = sorted;
    return true;
}

static size_t gather(const loom_tail *tail, uint64_t above, loom_tail_entry *entries) {
    size_t count = 0;
    for (size_t i = 0; i < tail->capacity; i++)
        if (tail->entries[i].row > above) entries[count++] = tail->entries[i];
    return count;
}

static int insert_sorted(MDB_cursor *cursor, const loom_tail_entry *entries, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[LOOM_KEY_BYTES];
        loom_id id;
        memcpy(id.bytes, entries[i].prefix, LOOM_PREFIX_BYTES);
        loom_index_key(&id, entries[i].row, bytes);
        MDB_val key = {sizeof bytes, bytes}, value = {0, NULL};
        if (i == count / 2) LOOM_PROBE("index:half");
        int code = mdb_cursor_put(cursor, &key, &value, 0);
        if (code != MDB_SUCCESS) return code;
    }
    return MDB_SUCCESS;
}

/* Hints to rows that went before they were indexed would stay for ever: one pass over the rows of the tail finds them.
 * Rarely needed; bit i is row indexed_upto + 1 + i. */
static loom_status find_live(loom_index_batch *batch, loom_find_by by, uint8_t **bits, loom_error *err) {
    uint64_t first = batch->state.indexed_upto + 1;
    size_t row = (size_t)first;
    MDB_val key = {sizeof row, &row}, value;
    loom_row_header header;
    *bits = calloc((size_t)(batch->state.next_row - first) / 8 + 1, 1);
    if (*bits == NULL) return loom_batch_no_memory(batch, err);
    int code = mdb_cursor_get(batch->rows, &key, &value, MDB_SET_RANGE);
    for (; code == MDB_SUCCESS; code = mdb_cursor_get(batch->rows, &key, &value, MDB_NEXT)) {
        memcpy(&row, key.mv_data, sizeof row);
        if (row >= batch->state.next_row || !loom_row_peek(value.mv_data, value.mv_size, &header)) continue;
        if (by == LOOM_BY_RKEY || header.kind == LOOM_ROW_LIVE)
            (*bits)[(row - first) / 8] |= (uint8_t)(1u << (row - first) % 8);
    }
    return code == MDB_NOTFOUND ? LOOM_OK : loom_batch_fail(batch, code, "cannot read", err);
}

static loom_status leave_out_gone(loom_index_batch *batch, loom_find_by by, loom_tail_entry *entries, size_t *count,
                                  loom_error *err) {
    if (batch->state.tail_gone == 0) return LOOM_OK;
    uint8_t *live = NULL;
    loom_status status = find_live(batch, by, &live, err);
    size_t kept = 0;
    for (size_t i = 0; i < *count && status == LOOM_OK; i++) {
        uint64_t bit = entries[i].row - batch->state.indexed_upto - 1;
        if (entries[i].row < batch->state.next_row && (live[bit / 8] >> bit % 8 & 1)) entries[kept++] = entries[i];
    }
    free(live);
    *count = kept;
    return status;
}

static loom_status flush_one(loom_index_batch *batch, loom_find_by by, loom_error *err) {
    const loom_tail *old = &batch->index->tails[by], *new = &batch->tails[by];
    size_t count = old->count + new->count;
    if (count == 0) return LOOM_OK;
    loom_tail_entry *entries = malloc(count * sizeof *entries);
    if (entries == NULL) return loom_batch_no_memory(batch, err);
    count = gather(old, batch->state.indexed_upto, entries);
    count += gather(new, batch->state.indexed_upto, entries + count);
    loom_status status = leave_out_gone(batch, by, entries, &count, err);
    if (status == LOOM_OK && count > 0 && !sort_entries(&entries, count)) status = loom_batch_no_memory(batch, err);
    if (status != LOOM_OK) {
        free(entries);
        return status;
    }
    int code = insert_sorted(batch->by[by], entries, count);
    free(entries);
    return code == MDB_SUCCESS ? LOOM_OK : loom_batch_fail(batch, code, "cannot write", err);
}

loom_status loom_index_move_tail(loom_index_batch *batch, loom_error *err) {
    pthread_mutex_lock(&batch->index->lock);
    LOOM_PROBE("index:begin");
    loom_status status = flush_one(batch, LOOM_BY_RKEY, err);
    LOOM_PROBE("index:keys");
    if (status == LOOM_OK) status = flush_one(batch, LOOM_BY_VID, err);
    pthread_mutex_unlock(&batch->index->lock);
    if (status == LOOM_OK) {
        batch->state.indexed_upto = batch->state.next_row - 1;
        batch->state.tail_gone = 0;
        LOOM_PROBE("index:moved");
    }
    batch->changed = true;
    return status;
}

/* The bound grows with the table: each flush dirties a page per entry at worst, and the page count grows too. */
bool loom_index_tail_is_long(const loom_index_state *state) {
    uint64_t bound = state->indexed_upto / 16;
    if (bound < LOOM_TAIL_ROWS_MIN) bound = LOOM_TAIL_ROWS_MIN;
    if (bound > LOOM_TAIL_ROWS_MAX) bound = LOOM_TAIL_ROWS_MAX;
    return state->next_row - 1 - state->indexed_upto > bound;
}

loom_status loom_index_flush_tail(loom_index *index, loom_error *err) {
    loom_index_batch *batch;
    LOOM_TRY(loom_index_begin(index, LOOM_DURABLE_VERIFIED, &batch, err));
    /* Look-ups alone are worth a commit at close too. */
    batch->changed = atomic_load_explicit(&index->hits, memory_order_relaxed) != 0 ||
                     atomic_load_explicit(&index->misses, memory_order_relaxed) != 0;
    if (batch->state.indexed_upto + 1 < batch->state.next_row) {
        loom_status status = loom_index_move_tail(batch, err);
        if (status != LOOM_OK) {
            loom_index_abort(batch);
            return status;
        }
    }
    return loom_index_commit(batch, NULL, err);
}
