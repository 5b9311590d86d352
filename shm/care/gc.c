/* gc.c - gives space back: what has expired, what is old, what no goal needs, what the budget does not allow, what dead
 * processes left; and compresses what is cold. Rows are chosen by one pass, so that a dry run and a real one choose
 * alike. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shm/care/admin.h"
#include "shm/care/gc_keep.h"
#include "shm/codec/cold.h"
#include "shm/extent/extent_file.h"
#include "shm/extent/space.h"
#include "shm/probe.h"

#define DELETE_ROWS 4096u
#define PROGRESS_ROWS 65536u
#define THREADS 2u

typedef struct victim {
    uint64_t row;
    uint64_t bytes; /* in whole pages */
    bool expired;
} victim;

typedef struct gc {
    loom_store *store;
    loom_store_parts parts;
    const loom_gc_options *options;
    loom_gc_report *report;
    loom_key_set pinned, kept;
    loom_pins held;
    uint64_t now_ns;
    victim *victims; /* in order of row number */
    size_t count, capacity;
    uint64_t victim_bytes, rows, total;
    uint8_t *row; /* an aligned copy */
    size_t row_capacity;
    loom_status status;
    loom_error *err;
} gc;

static loom_status no_memory(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while choosing what to delete");
}

static loom_status tell(const gc *of, const char *phase, uint64_t done, uint64_t total, loom_error *err) {
    if (of->options->progress == NULL || of->options->progress(phase, done, total, of->options->context))
        return LOOM_OK;
    return loom_fail(err, LOOM_CANCELLED, "gc was stopped; what it did so far stays done");
}

/* ---- choosing ---- */

static uint64_t last_use_s(const gc *of, const loom_result *result) {
    loom_mark mark = loom_control_get_mark(of->parts.control, result->row);
    uint64_t created_s = result->created_ns / UINT64_C(1000000000);
    uint64_t used_s = mark.used_s != 0 ? loom_control_mark_time(of->parts.control, mark.used_s) : 0;
    return used_s > created_s ? used_s : created_s;
}

static bool is_old(const gc *of, const loom_result *result) {
    uint64_t now_s = of->now_ns / UINT64_C(1000000000), used_s = last_use_s(of, result);
    if (of->options->older_than_s != 0 && used_s < now_s && now_s - used_s >= of->options->older_than_s) return true;
    return of->options->keep_goals != UINT64_MAX && !loom_key_set_has(&of->kept, &result->rkey);
}

static bool choose(gc *of, const loom_result *result, bool expired) {
    loom_placement range = loom_result_range(result);
    if (loom_key_set_has(&of->pinned, &result->rkey)) {
        of->report->pinned_rows++;
        return true;
    }
    if (range.bytes > 0 && loom_pins_has(&of->held, &range)) {
        of->report->held_rows++;
        return true;
    }
    if (of->count == of->capacity) {
        size_t capacity = of->capacity == 0 ? 1024 : 2 * of->capacity;
        victim *grown = realloc(of->victims, capacity * sizeof *grown);
        if (grown == NULL) return false;
        of->victims = grown;
        of->capacity = capacity;
    }
    uint64_t bytes = (range.bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
    of->victims[of->count++] = (victim){.row = result->row, .bytes = bytes, .expired = expired};
    of->victim_bytes += bytes;
    return true;
}

static bool visit_row(uint64_t row, const void *bytes, size_t length, void *context) {
    gc *of = context;
    loom_row_header header;
    loom_result result;
    loom_row_kind kind;
    if (++of->rows % PROGRESS_ROWS == 0) of->status = tell(of, "rows", of->rows, of->total, of->err);
    if (of->status != LOOM_OK) return false;
    if (!loom_row_peek(bytes, length, &header) || header.kind != LOOM_ROW_LIVE) return true;
    if (length > of->row_capacity) {
        uint8_t *grown = realloc(of->row, length);
        if (grown == NULL) of->status = no_memory(of->err);
        if (grown == NULL) return false;
        of->row = grown;
        of->row_capacity = length;
    }
    memcpy(of->row, bytes, length);
    if (loom_row_decode(of->row, length, row, &result, &kind, NULL) != LOOM_OK) return true; /* verify's concern */
    bool expired = result.expires_ns != 0 && result.expires_ns <= of->now_ns;
    if ((expired || is_old(of, &result)) && !choose(of, &result, expired)) of->status = no_memory(of->err);
    return of->status == LOOM_OK;
}

static loom_status plan(gc *of, loom_error *err) {
    struct timespec now;
    loom_index_state state;
    clock_gettime(CLOCK_REALTIME, &now);
    of->now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    LOOM_TRY(loom_index_state_of(of->parts.index, &state, err));
    of->total = state.live_rows;
    LOOM_TRY(loom_gc_pinned(of->store, &of->pinned, err));
    if (of->options->keep_goals != UINT64_MAX)
        LOOM_TRY(loom_gc_closure(of->store, state.runs, of->options->keep_goals, &of->kept, err));
    LOOM_TRY(loom_control_pins(of->parts.control, &of->held, err));
    of->held.barrier = false; /* delays the reuse of what is deleted, not its deletion */
    LOOM_TRY(loom_index_scan(of->parts.index, visit_row, of, err));
    return of->status;
}

static void count_victim(gc *of, const victim *gone) {
    *(gone->expired ? &of->report->expired_rows : &of->report->old_rows) += 1;
    *(gone->expired ? &of->report->expired_bytes : &of->report->old_bytes) += gone->bytes;
}

/* ---- a dry run ---- */

static int compare_rows(const void *a, const void *b) {
    const victim *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

static bool is_victim(uint64_t row, void *context) {
    const gc *of = context;
    victim wanted = {.row = row};
    return of->count > 0 && bsearch(&wanted, of->victims, of->count, sizeof wanted, compare_rows) != NULL;
}

static bool others_are_attached(const gc *of) {
    return loom_control_others(of->parts.control, LOOM_ROLE_OPENER) > 0 ||
           loom_control_others(of->parts.control, LOOM_ROLE_WORKER) > 0 || loom_extents_have_writers(of->store->stored);
}

static void count_evicted(gc *of, const loom_evicted *evicted) {
    of->report->evicted_rows += evicted->rows;
    of->report->evicted_bytes += evicted->bytes;
    of->report->expired_rows += evicted->expired_rows;
    of->report->expired_bytes += evicted->expired_bytes;
    of->report->pinned_rows += evicted->pinned_rows;
    of->report->held_rows += evicted->held_rows;
}

static loom_status dry_run(gc *of, loom_error *err) {
    loom_space_usage usage;
    loom_evicted evicted = {0};
    LOOM_TRY(loom_space_usage_of(of->parts.space, &usage, err));
    for (size_t i = 0; i < of->count; i++)
        count_victim(of, &of->victims[i]);
    of->report->unowned_kept = others_are_attached(of);
    of->report->unowned_bytes = usage.unowned_bytes;
    uint64_t freed = of->victim_bytes + usage.deleted_bytes + usage.free_bytes - usage.punched_bytes;
    if (!of->report->unowned_kept) freed += usage.unowned_bytes;
    uint64_t over = loom_space_over(of->parts.space, 0);
    if (over > freed) LOOM_TRY(loom_space_evict_dry(of->parts.space, over - freed, is_victim, of, &evicted, err));
    count_evicted(of, &evicted);
    of->report->freed_bytes = freed + evicted.bytes + evicted.expired_bytes;
    return LOOM_OK;
}

/* ---- a real one ---- */

static loom_status delete_some(gc *of, size_t from, size_t to, loom_error *err) {
    loom_index_batch *batch;
    loom_space_before_delete(of->parts.space);
    loom_arena *arena = loom_arena_new();
    if (arena == NULL) return no_memory(err);
    loom_status status = loom_index_begin(of->parts.index, LOOM_DURABLE_VERIFIED, &batch, err);
    bool begun = status == LOOM_OK;
    for (size_t i = from; i < to && status == LOOM_OK; i++) {
        bool gone = false;
        victim *chosen = &of->victims[i];
        status = loom_space_delete_row(batch, chosen->row, chosen->expired ? of->now_ns : 0, arena, &gone, err);
        loom_arena_reset(arena);
        if (!gone) chosen->row = 0; /* not what was chosen any more */
    }
    loom_arena_free(arena);
    if (status != LOOM_OK) {
        if (begun) loom_index_abort(batch);
        return status;
    }
    LOOM_TRY(loom_index_commit(batch, NULL, err));
    for (size_t i = from; i < to; i++)
        if (of->victims[i].row != 0) count_victim(of, &of->victims[i]);
    return LOOM_OK;
}

static loom_status delete_all(gc *of, loom_error *err) {
    for (size_t from = 0; from < of->count; from += DELETE_ROWS) {
        size_t to = of->count - from < DELETE_ROWS ? of->count : from + DELETE_ROWS;
        LOOM_TRY(delete_some(of, from, to, err));
        LOOM_TRY(tell(of, "delete", to, of->count, err));
    }
    return LOOM_OK;
}

static loom_status evict(gc *of, loom_error *err) {
    loom_evicted evicted = {0};
    uint64_t over = loom_space_over(of->parts.space, 0);
    if (over == 0) return LOOM_OK;
    LOOM_TRY(loom_space_evict(of->parts.space, over, false, &evicted, err));
    count_evicted(of, &evicted);
    return loom_space_reclaim(of->parts.space, 0, err);
}

static loom_status compress(gc *of, loom_error *err) {
    loom_cold_options options = {
        .thorough = true, .threads = THREADS, .progress = of->options->progress, .context = of->options->context};
    loom_cold_report report = {0};
    if (of->store->compression == LOOM_COMPRESS_OFF) return LOOM_OK;
    LOOM_TRY(loom_store_compress_cold(of->store, &options, &report, err));
    of->report->compressed_rows = report.compressed;
    of->report->compressed_saved_bytes = report.saved_bytes;
    return report.compressed > 0 ? loom_space_reclaim(of->parts.space, 0, err) : LOOM_OK;
}

static loom_status run(gc *of, loom_error *err) {
    loom_extents *files = of->store->stored;
    uint64_t count, before, after;
    LOOM_TRY(loom_extents_usage(files, &count, &before, err));
    LOOM_TRY(delete_all(of, err));
    loom_space_usage usage;
    LOOM_TRY(loom_space_usage_of(of->parts.space, &usage, err));
    of->report->unowned_bytes = usage.unowned_bytes;
    uint64_t found;
    LOOM_TRY(loom_space_sweep(of->parts.space, &found, &of->report->unowned_kept, err));
    LOOM_TRY(loom_space_reclaim(of->parts.space, 0, err));
    LOOM_TRY(evict(of, err));
    LOOM_TRY(compress(of, err));
    LOOM_TRY(loom_extents_usage(files, &count, &after, err));
    of->report->freed_bytes = before > after ? before - after : 0;
    return LOOM_OK;
}

loom_status loom_store_gc(loom_store *store, const loom_gc_options *options, loom_gc_report *report, loom_error *err) {
    *report = (loom_gc_report){0};
    gc of = {.store = store, .options = options, .report = report, .err = err};
    LOOM_TRY(loom_store_check_process(store, err));
    LOOM_TRY(loom_store_parts_of(store, &of.parts, err));
    if (!store->writable && !options->dry_run)
        return loom_fail(err, LOOM_DENIED, "the store %s is open for reading only; gc writes to it", store->path);
    loom_status status = plan(&of, err);
    if (status == LOOM_OK) status = options->dry_run ? dry_run(&of, err) : run(&of, err);
    loom_pins_free(&of.held);
    loom_key_set_free(&of.pinned);
    loom_key_set_free(&of.kept);
    free(of.victims);
    free(of.row);
    return status;
}
