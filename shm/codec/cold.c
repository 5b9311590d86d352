/* cold.c - see cold.h. Rows are looked through by their headers; what is cold is found again under a hold, compressed
 * into a new range and replaced. Rows that were tried in vain are remembered in `meta`, or each run would try them
 * again. */
#include "shm/codec/cold.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shm/codec/bulk_codec.h"
#include "shm/control/control.h"
#include "shm/platform_file.h"
#include "shm/probe.h"
#include "shm/store/store.h"

#define VAIN_KEY "cold.vain"
#define VAIN_MAX 65536u
#define CANDIDATES_MAX 256u
#define REST_S 60

/* meta, "m:cold.vain": this, then rows in ascending order. */
typedef struct vain_header {
    uint32_t level;
    uint32_t reserved;
} vain_header;

typedef struct candidate {
    uint64_t row;
    loom_id rkey;
} candidate;

typedef struct cold_pass {
    loom_store *store;
    const loom_cold_options *options;
    loom_cold_report *report;
    loom_control *control;
    loom_arena *arena;
    loom_extent_writer *writer; /* opened when there is something to write */
    uint64_t now_s;
    uint64_t *vain; /* ascending */
    size_t vain_count, vain_known;
    candidate candidates[CANDIDATES_MAX];
    size_t count;
    uint64_t next_row, candidate_bytes;
    bool to_end; /* the rows were looked through to the last */
} cold_pass;

static uint64_t left_to_read(const cold_pass *pass) {
    if (pass->options->limit_bytes == 0) return UINT64_MAX;
    uint64_t limit = pass->options->limit_bytes, done = pass->report->read_bytes;
    return done < limit ? limit - done : 0;
}

/* ---- results tried in vain ---- */

static int compare_rows(const void *a, const void *b) {
    uint64_t left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return left < right ? -1 : left > right;
}

static loom_status load_vain(cold_pass *pass, loom_error *err) {
    pass->vain = calloc(VAIN_MAX, sizeof *pass->vain);
    if (pass->vain == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while compressing cold results");
    const void *bytes;
    size_t length;
    loom_status status = loom_store_get_meta(pass->store, VAIN_KEY, pass->arena, &bytes, &length, err);
    if (status != LOOM_OK) return status == LOOM_NOT_FOUND ? LOOM_OK : status;
    vain_header header;
    if (length < sizeof header) return LOOM_OK;
    memcpy(&header, bytes, sizeof header);
    size_t count = (length - sizeof header) / sizeof *pass->vain;
    if (header.level != (uint32_t)pass->store->compression_level || count > VAIN_MAX) return LOOM_OK;
    memcpy(pass->vain, (const uint8_t *)bytes + sizeof header, count * sizeof *pass->vain);
    qsort(pass->vain, count, sizeof *pass->vain, compare_rows);
    pass->vain_count = pass->vain_known = count;
    return LOOM_OK;
}

static bool is_vain(const cold_pass *pass, uint64_t row) {
    return bsearch(&row, pass->vain, pass->vain_known, sizeof row, compare_rows) != NULL;
}

/* When the list is full the oldest half goes: rows with low numbers are the likeliest to be gone. */
static void note_vain(cold_pass *pass, uint64_t row) {
    if (pass->vain_count == VAIN_MAX) {
        pass->vain_count = VAIN_MAX / 2;
        memmove(pass->vain, pass->vain + VAIN_MAX / 2, pass->vain_count * sizeof *pass->vain);
        pass->vain_known = pass->vain_known > VAIN_MAX / 2 ? pass->vain_known - VAIN_MAX / 2 : 0;
    }
    pass->vain[pass->vain_count++] = row;
}

static loom_status save_vain(cold_pass *pass, loom_error *err) {
    if (pass->vain_count == pass->vain_known) return LOOM_OK;
    qsort(pass->vain, pass->vain_count, sizeof *pass->vain, compare_rows);
    vain_header header = {.level = (uint32_t)pass->store->compression_level};
    size_t length = sizeof header + pass->vain_count * sizeof *pass->vain;
    uint8_t *bytes = malloc(length);
    if (bytes == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while compressing cold results");
    memcpy(bytes, &header, sizeof header);
    memcpy(bytes + sizeof header, pass->vain, length - sizeof header);
    loom_batch *batch;
    loom_status status = loom_store_begin(pass->store, &batch, err);
    if (status == LOOM_OK) {
        status = loom_batch_put_meta(batch, VAIN_KEY, bytes, length, err);
        if (status == LOOM_OK)
            status = loom_batch_commit(batch, err);
        else
            loom_batch_abort(batch);
    }
    free(bytes);
    return status;
}

/* ---- finding what is cold ---- */

/* The compressed form of what lies there now; the same codec when it is compressed already. */
static loom_codec compressed_codec(uint8_t codec) {
    if (codec == LOOM_CODEC_RAW) return LOOM_CODEC_ZSTD;
    return codec == LOOM_CODEC_AES ? LOOM_CODEC_ZSTD_AES : (loom_codec)codec;
}

static bool is_cold(const cold_pass *pass, uint64_t row, uint64_t created_ns) {
    loom_mark mark = loom_control_get_mark(pass->control, row);
    uint64_t used_s =
        mark.used_s != 0 ? loom_control_mark_time(pass->control, mark.used_s) : created_ns / UINT64_C(1000000000);
    return used_s < pass->now_s && pass->now_s - used_s >= pass->store->cold_after_s;
}

/* Other rows with bulk bytes are suspended streams, which go on in place. */
static bool may_be_compressed(const loom_row_header *header) {
    return header->kind == LOOM_ROW_LIVE && header->bulk.bytes > LOOM_PAGE_BYTES &&
           (header->type == LOOM_IMAGE || (header->flags & LOOM_ROW_BLOB) != 0) &&
           compressed_codec(header->codec) != header->codec;
}

static bool collect(uint64_t row, const void *bytes, size_t length, void *context) {
    cold_pass *pass = context;
    loom_row_header header;
    if (pass->count == CANDIDATES_MAX || pass->candidate_bytes >= left_to_read(pass)) {
        pass->to_end = false;
        return false;
    }
    pass->next_row = row + 1;
    if (!loom_row_peek(bytes, length, &header) || !may_be_compressed(&header) || is_vain(pass, row) ||
        !is_cold(pass, row, header.created_ns))
        return true;
    pass->candidates[pass->count++] = (candidate){.row = row, .rkey = header.rkey};
    pass->candidate_bytes += header.bulk.bytes;
    return true;
}

static loom_status find_candidates(cold_pass *pass, loom_index *index, loom_error *err) {
    pass->count = 0;
    pass->candidate_bytes = 0;
    pass->to_end = true;
    return loom_index_scan_from(index, pass->next_row, collect, pass, err);
}

/* ---- one result ---- */

static bool go_on(uint64_t done, uint64_t total, void *context) {
    const cold_pass *pass = context;
    const loom_cold_options *options = pass->options;
    uint64_t all = options->limit_bytes != 0 ? options->limit_bytes : pass->report->read_bytes + total;
    return options->progress == NULL ||
           options->progress("compress", pass->report->read_bytes + done, all, options->context);
}

/* Space for the second copy must be there already: nothing is evicted for the sake of what nobody uses. */
static loom_status has_room(cold_pass *pass, uint64_t bytes, bool *room, loom_error *err) {
    loom_store_stats stats;
    LOOM_TRY(loom_store_stat(pass->store, &stats, err));
    uint64_t used = stats.used_bytes > stats.free_bytes ? stats.used_bytes - stats.free_bytes : 0;
    *room = stats.budget_bytes == 0 || (used <= stats.budget_bytes && bytes <= stats.budget_bytes - used);
    return LOOM_OK;
}

static loom_status commit_replacement(cold_pass *pass, const loom_result *result, loom_error *err) {
    loom_batch *batch;
    LOOM_TRY(loom_store_begin(pass->store, &batch, err));
    loom_status status = loom_batch_replace(batch, result, err);
    if (status != LOOM_OK) {
        /* Gone meanwhile: the commit gives the new range up. */
        if (status != LOOM_NOT_FOUND) loom_batch_abort(batch);
        return status == LOOM_NOT_FOUND ? loom_batch_commit(batch, err) : status;
    }
    LOOM_PROBE("write:compressed");
    return loom_batch_commit(batch, err);
}

static uint64_t in_pages(uint64_t bytes) {
    return (bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
}

/* Of a result that is held. */
static loom_status compress_held(cold_pass *pass, loom_result *result, loom_error *err) {
    loom_store *store = pass->store;
    loom_result before = *result;
    bool room = false, smaller = false;
    loom_bulk_options how = {
        .threads = pass->options->threads, .idle = pass->options->idle, .go_on = go_on, .context = pass};
    LOOM_TRY(has_room(pass, result->bulk.bytes, &room, err));
    if (!room) return LOOM_NO_SPACE;
    if (pass->writer == NULL) LOOM_TRY(loom_extent_writer_open(store->stored, &pass->writer, err));
    LOOM_TRY(loom_bulk_compress(store->stored, compressed_codec((uint8_t)result->codec), store->compression_level,
                                store->cipher, pass->writer, &how, pass->arena, result, &smaller, err));
    pass->report->read_bytes += result->bulk.bytes;
    if (!smaller) {
        pass->report->vain++;
        note_vain(pass, before.row);
        return LOOM_OK;
    }
    LOOM_TRY(commit_replacement(pass, result, err));
    pass->report->compressed++;
    pass->report->saved_bytes += in_pages(loom_result_range(&before).bytes) - in_pages(result->stored_bytes);
    return LOOM_OK;
}

/* Found without counting as a use. What changed since its header was read is left alone. */
static loom_status compress_row(cold_pass *pass, const candidate *cold, loom_error *err) {
    loom_arena_reset(pass->arena);
    loom_result result;
    loom_row_kind kind;
    loom_hold hold = {0};
    loom_status status =
        pass->store->ops->find(pass->store, LOOM_BY_RKEY, &cold->rkey, pass->arena, &result, &kind, err);
    if (status == LOOM_OK && (kind != LOOM_ROW_LIVE || result.row != cold->row || loom_result_expired(&result)))
        status = LOOM_NOT_FOUND;
    if (status == LOOM_OK) status = loom_store_pin_row(pass->store, &result, &hold, err);
    if (status != LOOM_OK) return status == LOOM_NOT_FOUND ? LOOM_OK : status;
    status = compress_held(pass, &result, err);
    loom_store_unhold(pass->store, &hold);
    if (status == LOOM_CORRUPT) {
        pass->report->damaged++;
        note_vain(pass, cold->row);
        return LOOM_OK;
    }
    return status;
}

/* ---- the pass ---- */

static loom_status compress_candidates(cold_pass *pass, loom_index *index, loom_error *err) {
    do {
        LOOM_TRY(find_candidates(pass, index, err));
        for (size_t i = 0; i < pass->count; i++) {
            loom_status status = compress_row(pass, &pass->candidates[i], err);
            if (status == LOOM_NO_SPACE) {
                pass->report->no_space = true;
                loom_error_clear(err);
                return LOOM_OK;
            }
            if (status != LOOM_OK) {
                pass->next_row = pass->candidates[i].row;
                return status;
            }
        }
    } while (!pass->to_end && left_to_read(pass) > 0);
    pass->report->finished = pass->to_end;
    return LOOM_OK;
}

static loom_status run_pass(cold_pass *pass, loom_index *index, loom_error *err) {
    loom_store *store = pass->store;
    pass->arena = loom_arena_new();
    if (pass->arena == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while compressing cold results");
    pass->next_row = pass->options->thorough ? 0 : store->cold_next_row;
    loom_status status = load_vain(pass, err);
    if (status == LOOM_OK) {
        status = compress_candidates(pass, index, err);
        loom_extent_writer_close(pass->writer);
        loom_status saved = save_vain(pass, status == LOOM_OK ? err : NULL);
        if (status == LOOM_OK) status = saved;
        bool rest = pass->report->finished || pass->report->no_space;
        store->cold_next_row = rest ? 0 : pass->next_row;
        if (rest) store->cold_rest_until_s = pass->now_s + REST_S;
    }
    free(pass->vain);
    loom_arena_free(pass->arena);
    return status;
}

static bool has_reason(const loom_store *store, const loom_cold_options *options, uint64_t now_s) {
    if (store->in_memory || store->compression == LOOM_COMPRESS_OFF) return false;
    /* A rest that lies further ahead than one can be is of a clock that was set back. */
    return options->thorough || now_s >= store->cold_rest_until_s || store->cold_rest_until_s > now_s + REST_S;
}

loom_status loom_store_compress_cold(loom_store *store, const loom_cold_options *options, loom_cold_report *report,
                                     loom_error *err) {
    *report = (loom_cold_report){0};
    LOOM_TRY(loom_store_check_process(store, err));
    uint64_t now_s = (uint64_t)time(NULL);
    if (!has_reason(store, options, now_s)) {
        report->finished = true;
        return LOOM_OK;
    }
    if (!store->writable)
        return loom_fail(err, LOOM_DENIED, "the store %s is open for reading only; open it for writing", store->path);
    const loom_compressor *compressor;
    LOOM_TRY(loom_compressor_needed(&compressor, err));
    loom_store_parts parts;
    LOOM_TRY(loom_store_parts_of(store, &parts, err));
    cold_pass *pass = calloc(1, sizeof *pass);
    if (pass == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while compressing cold results");
    *pass = (cold_pass){.store = store, .options = options, .report = report, .control = parts.control, .now_s = now_s};
    loom_status status = LOOM_OK;
    int fd = loom_control_fd(parts.control);
    if (loom_file_lock(fd, LOOM_CONTROL_COLD_BYTE, 1, true) == 0) {
        status = run_pass(pass, parts.index, err);
        (void)loom_file_unlock(fd, LOOM_CONTROL_COLD_BYTE, 1);
    } else {
        report->finished = true;
    }
    free(pass);
    return status;
}
