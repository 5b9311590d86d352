/* evict.c - which results go when the budget is full. GreedyDual-Size (Cao and Irani, "Cost-aware WWW proxy caching
 * algorithms", USITS 1997): a result's H is, at each use, L plus the cost of computing it per byte; the least H goes
 * first, and L becomes that H, so that what is not used ages. Or the least recently used.
 *
 * One pass over all rows keeps the cheapest victims that suffice in a heap: memory follows what goes, not what there
 * is. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shm/extent/space_parts.h"
#include "shm/probe.h"
#include "shm/usdt.h"

/* Rows deleted in one transaction: bounds how long other writers wait. */
#define ROWS_A_BATCH 16384u
#define EXPIRED (-1.0)

typedef struct victim {
    double score; /* less goes first */
    uint64_t row, bytes;
} victim;

typedef struct choice {
    loom_space *space;
    loom_pins held;
    loom_id *pinned; /* names of results that an owner pins, sorted */
    size_t pinned_count, pinned_capacity;
    uint64_t needed, total, now_ns;
    bool lru, failed;
    victim *heap; /* the greatest score is at 0 */
    size_t count, capacity;
    loom_evicted *evicted;
    loom_space_skip skip; /* NULL: none */
    void *skip_context;
} choice;

/* ---- the heap ---- */

static void sift_up(victim *heap, size_t at) {
    while (at > 0 && heap[(at - 1) / 2].score < heap[at].score) {
        victim parent = heap[(at - 1) / 2];
        heap[(at - 1) / 2] = heap[at];
        heap[at] = parent;
        at = (at - 1) / 2;
    }
}

static void sift_down(victim *heap, size_t count) {
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < count && heap[child + 1].score > heap[child].score) child++;
        if (child >= count || heap[child].score <= heap[at].score) return;
        victim least = heap[at];
        heap[at] = heap[child];
        heap[child] = least;
        at = child;
    }
}

static bool push(choice *of, victim added) {
    if (of->count == of->capacity) {
        size_t capacity = of->capacity == 0 ? 256 : 2 * of->capacity;
        victim *grown = realloc(of->heap, capacity * sizeof *grown);
        if (grown == NULL) return false;
        of->heap = grown;
        of->capacity = capacity;
    }
    of->heap[of->count++] = added;
    of->total += added.bytes;
    sift_up(of->heap, of->count - 1);
    return true;
}

/* Drops those that are not needed any more, dearest first. */
static void trim(choice *of) {
    while (of->count > 0 && of->total - of->heap[0].bytes >= of->needed) {
        of->total -= of->heap[0].bytes;
        of->heap[0] = of->heap[--of->count];
        sift_down(of->heap, of->count);
    }
}

/* ---- choosing ---- */

static int compare_names(const void *a, const void *b) {
    return loom_id_compare(a, b);
}

static bool note_pinned(const MDB_val *key, const MDB_val *value, void *context) {
    (void)value;
    choice *of = context;
    if (key->mv_size < sizeof(loom_id)) return true;
    if (of->pinned_count == of->pinned_capacity) {
        size_t capacity = of->pinned_capacity == 0 ? 64 : 2 * of->pinned_capacity;
        loom_id *grown = realloc(of->pinned, capacity * sizeof *grown);
        if (grown == NULL) return !(of->failed = true);
        of->pinned = grown;
        of->pinned_capacity = capacity;
    }
    memcpy(&of->pinned[of->pinned_count++], key->mv_data, sizeof *of->pinned); /* the table is in order */
    return true;
}

static bool is_pinned(const choice *of, const loom_id *rkey) {
    if (of->pinned_count == 0) return false;
    loom_id name = loom_index_name(of->space->options.index, rkey);
    return bsearch(&name, of->pinned, of->pinned_count, sizeof *of->pinned, compare_names) != NULL;
}

static double score_of(choice *of, uint64_t row, const loom_row_header *header, uint64_t bytes) {
    if (header->expires_ns != 0 && header->expires_ns <= of->now_ns) return EXPIRED;
    loom_control *control = of->space->options.control;
    loom_mark mark = loom_control_get_mark(control, row);
    /* A row that was never looked up begins to age now; it is as old as it is. */
    if (mark.used_s == 0) {
        loom_control_mark_created(control, row, header->cost_ns, bytes, header->created_ns);
        mark = loom_control_get_mark(control, row);
    }
    if (of->lru) return (double)mark.used_s;
    return mark.used_s != 0 ? (double)mark.priority : (double)header->cost_ns / (double)bytes;
}

static bool consider(uint64_t row, const void *bytes, size_t length, void *context) {
    choice *of = context;
    loom_row_header header;
    if (!loom_row_peek(bytes, length, &header) || header.kind != LOOM_ROW_LIVE || header.bulk.bytes == 0) return true;
    if (of->skip != NULL && of->skip(row, of->skip_context)) return true;
    loom_placement range = header.bulk;
    if (header.stored_bytes != 0) range.bytes = header.stored_bytes;
    uint64_t space = (range.bytes / LOOM_PAGE_BYTES + (range.bytes % LOOM_PAGE_BYTES != 0)) * LOOM_PAGE_BYTES;
    double score = score_of(of, row, &header, space);
    if (of->total >= of->needed && (of->count == 0 || score >= of->heap[0].score)) return true;
    bool pinned = is_pinned(of, &header.rkey);
    bool held = !pinned && loom_pins_has(&of->held, &range);
    of->evicted->pinned_rows += pinned;
    of->evicted->held_rows += held;
    if (pinned || held) return true;
    of->failed = !push(of, (victim){.score = score, .row = row, .bytes = space});
    if (!of->failed) trim(of);
    return !of->failed;
}

static loom_status choose(choice *of, loom_error *err) {
    const loom_space_options *options = &of->space->options;
    LOOM_TRY(loom_control_pins(options->control, &of->held, err));
    LOOM_TRY(loom_index_each_entry(options->index, options->index->pins, note_pinned, of, err));
    if (of->held.barrier) of->held.barrier = false; /* delays reclaiming, not deletion */
    LOOM_TRY(loom_index_scan(options->index, consider, of, err));
    return of->failed
               ? loom_fail(err, LOOM_NO_MEMORY, "out of memory while choosing what to evict from %s", options->path)
               : LOOM_OK;
}

/* ---- deleting ---- */

/* *result is what the row says, in `arena`; LOOM_NOT_FOUND when it is not live any more. */
static loom_status read_live(loom_index_batch *batch, uint64_t row, loom_arena *arena, loom_result *result,
                             loom_error *err) {
    size_t number = (size_t)row, length;
    MDB_val key = {sizeof number, &number}, value;
    loom_row_kind kind;
    int code = mdb_get(batch->txn, batch->index->rows, &key, &value);
    if (code == MDB_NOTFOUND) return LOOM_NOT_FOUND;
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot read", err);
    uint8_t *copy = loom_arena_copy(arena, value.mv_data, length = value.mv_size);
    if (copy == NULL) return loom_batch_no_memory(batch, err);
    if (loom_index_open_row(batch->index, row, copy, &length, NULL) != LOOM_OK ||
        loom_row_decode(copy, length, row, result, &kind, NULL) != LOOM_OK || kind != LOOM_ROW_LIVE)
        return LOOM_NOT_FOUND;
    return LOOM_OK;
}

loom_status loom_space_delete_row(loom_index_batch *batch, uint64_t row, uint64_t expired_by_ns, loom_arena *arena,
                                  bool *gone, loom_error *err) {
    loom_result result;
    bool pinned = false;
    *gone = false;
    loom_status status = read_live(batch, row, arena, &result, err);
    if (status == LOOM_OK && expired_by_ns != 0 && (result.expires_ns == 0 || result.expires_ns > expired_by_ns))
        return LOOM_OK;
    if (status == LOOM_OK) status = loom_index_is_pinned(batch, &result.rkey, &pinned, err);
    if (status == LOOM_OK && pinned) return LOOM_OK;
    if (status == LOOM_OK) status = loom_index_delete(batch, &result.rkey, err);
    *gone = status == LOOM_OK;
    return status == LOOM_NOT_FOUND ? LOOM_OK : status;
}

static loom_status evict_rows(loom_index_batch *batch, const victim *rows, size_t count, uint64_t now_ns,
                              loom_evicted *evicted, loom_error *err) {
    loom_arena *arena = loom_arena_new();
    if (arena == NULL) return loom_batch_no_memory(batch, err);
    loom_status status = LOOM_OK;
    for (size_t i = 0; i < count && status == LOOM_OK; i++) {
        bool gone = false;
        status = loom_space_delete_row(batch, rows[i].row, rows[i].score == EXPIRED ? now_ns : 0, arena, &gone, err);
        loom_arena_reset(arena);
        evicted->lost_rows += !gone;
        if (!gone) continue;
        bool expired = rows[i].score == EXPIRED;
        *(expired ? &evicted->expired_rows : &evicted->rows) += 1;
        *(expired ? &evicted->expired_bytes : &evicted->bytes) += rows[i].bytes;
    }
    loom_arena_free(arena);
    if (status != LOOM_OK) return status;
    batch->state.evicted_rows += evicted->rows;
    batch->state.evicted_bytes += evicted->bytes;
    return LOOM_OK;
}

static loom_status evict_batch(choice *of, const victim *rows, size_t count, loom_error *err) {
    loom_index_batch *batch;
    loom_evicted evicted = {0};
    LOOM_TRY(loom_index_begin(of->space->options.index, LOOM_DURABLE_VERIFIED, &batch, err));
    loom_status status = evict_rows(batch, rows, count, of->now_ns, &evicted, err);
    LOOM_PROBE("evict:deleted");
    if (status == LOOM_OK)
        status = loom_index_commit(batch, NULL, err);
    else
        loom_index_abort(batch);
    LOOM_PROBE("evict:committed");
    if (status != LOOM_OK) return status;
    LOOM_USDT2(evict, evicted.rows + evicted.expired_rows, evicted.bytes + evicted.expired_bytes);
    of->evicted->lost_rows += evicted.lost_rows;
    of->evicted->expired_rows += evicted.expired_rows;
    of->evicted->expired_bytes += evicted.expired_bytes;
    of->evicted->rows += evicted.rows;
    of->evicted->bytes += evicted.bytes;
    return LOOM_OK;
}

/* L never falls. */
static void raise_age(loom_control_space *shared, double score) {
    uint32_t bits = atomic_load(&shared->age), raised;
    float age, next = (float)score;
    memcpy(&raised, &next, sizeof raised);
    do {
        memcpy(&age, &bits, sizeof age);
        if (age >= next) return;
    } while (!atomic_compare_exchange_weak(&shared->age, &bits, raised));
}

static int compare_rows(const void *a, const void *b) {
    const victim *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

static loom_status evict_all(choice *of, loom_error *err) {
    double highest = of->count > 0 ? of->heap[0].score : 0;
    /* In order of row number: the pages that are dirtied lie together. */
    if (of->count > 1) qsort(of->heap, of->count, sizeof *of->heap, compare_rows);
    LOOM_PROBE("evict:chosen");
    for (size_t at = 0; at < of->count; at += ROWS_A_BATCH) {
        size_t count = of->count - at < ROWS_A_BATCH ? of->count - at : ROWS_A_BATCH;
        loom_status status = evict_batch(of, of->heap + at, count, err);
        if (status == LOOM_NO_SPACE && loom_space_drop_ballast(of->space))
            status = evict_batch(of, of->heap + at, count, err);
        LOOM_TRY(status);
    }
    if (!of->lru && highest > 0) raise_age(of->space->shared, highest);
    return LOOM_OK;
}

static void count_all(const choice *of) {
    for (size_t i = 0; i < of->count; i++) {
        bool expired = of->heap[i].score == EXPIRED;
        *(expired ? &of->evicted->expired_rows : &of->evicted->rows) += 1;
        *(expired ? &of->evicted->expired_bytes : &of->evicted->bytes) += of->heap[i].bytes;
    }
}

static loom_status evict(loom_space *space, uint64_t bytes, bool dry_run, loom_space_skip skip, void *skip_context,
                         loom_evicted *evicted, loom_error *err) {
    struct timespec now;
    if (bytes == 0) return LOOM_OK;
    clock_gettime(CLOCK_REALTIME, &now);
    choice of = {.space = space,
                 .needed = bytes,
                 .now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
                 .lru = atomic_load(&space->shared->eviction) == LOOM_EVICT_LRU,
                 .evicted = evicted,
                 .skip = skip,
                 .skip_context = skip_context};
    loom_status status = choose(&of, err);
    if (status == LOOM_OK && dry_run) count_all(&of);
    if (status == LOOM_OK && !dry_run) status = evict_all(&of, err);
    loom_pins_free(&of.held);
    free(of.pinned);
    free(of.heap);
    loom_space_refresh(space);
    return status;
}

loom_status loom_space_evict_locked(loom_space *space, uint64_t bytes, bool dry_run, loom_evicted *evicted,
                                    loom_error *err) {
    return evict(space, bytes, dry_run, NULL, NULL, evicted, err);
}

loom_status loom_space_evict_dry(loom_space *space, uint64_t bytes, loom_space_skip skip, void *context,
                                 loom_evicted *evicted, loom_error *err) {
    LOOM_TRY(loom_space_enter(space, err));
    loom_status status = evict(space, bytes, true, skip, context, evicted, err);
    loom_space_leave(space);
    return status;
}

loom_status loom_space_evict(loom_space *space, uint64_t bytes, bool dry_run, loom_evicted *evicted, loom_error *err) {
    LOOM_TRY(loom_space_enter(space, err));
    loom_status status = loom_space_evict_locked(space, bytes, dry_run, evicted, err);
    loom_space_leave(space);
    return status;
}
