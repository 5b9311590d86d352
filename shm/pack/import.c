/* import.c - puts the results of an export into a store, through batches like any computation: a key that is there
 * keeps its value. Bulk bytes are compared with their hashes as they come. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/extent/block_hash.h"
#include "shm/pack/backup.h"
#include "shm/pack/pack.h"
#include "shm/store/store.h"

#define BATCH_ROWS 1000u
#define BATCH_ROW_BYTES (4u << 20)
#define BATCH_BULK_BYTES (UINT64_C(256) << 20)

typedef struct importing {
    loom_store *store;
    loom_pack_reader *pack;
    loom_extent_writer *writer;
    loom_arena *arena; /* of the results that wait for their batch */
    loom_result waiting[BATCH_ROWS];
    size_t count, row_bytes;
    uint64_t bulk_bytes, number;
    loom_error difference; /* the first */
    loom_store_progress progress;
    void *context;
    loom_pack_report *report;
} importing;

static loom_status damaged(const char *what, loom_error *err) {
    return loom_fail(err, LOOM_CORRUPT, "the export is damaged: %s; use another copy", what);
}

/* ---- batches ---- */

static loom_status put_waiting(importing *of, loom_batch *batch, loom_error *err) {
    for (size_t i = 0; i < of->count; i++) {
        loom_error difference = {0};
        loom_status status = loom_batch_put(batch, &of->waiting[i], &difference);
        if (status == LOOM_IRREPRODUCIBLE && of->difference.status == LOOM_OK) of->difference = difference;
        if (status == LOOM_OK) of->report->results++;
        if (status == LOOM_OK || status == LOOM_IRREPRODUCIBLE) continue;
        if (err != NULL) *err = difference;
        return status;
    }
    return LOOM_OK;
}

static loom_status flush(importing *of, loom_error *err) {
    if (of->count == 0) return LOOM_OK;
    loom_batch *batch;
    LOOM_TRY(loom_store_begin(of->store, &batch, err));
    loom_status status = put_waiting(of, batch, err);
    if (status != LOOM_OK) {
        loom_batch_abort(batch);
        return status;
    }
    LOOM_TRY(loom_batch_commit(batch, err));
    of->count = of->row_bytes = 0;
    of->bulk_bytes = 0;
    loom_arena_reset(of->arena);
    if (of->progress == NULL || of->progress("results", of->number, 0, of->context)) return LOOM_OK;
    return loom_fail(err, LOOM_CANCELLED, "the import was stopped; what came in so far stays");
}

/* ---- one result ---- */

static loom_status next_object(importing *of, const loom_result *result, loom_error *err) {
    loom_pack_record record;
    loom_pack_object object;
    loom_status status = loom_pack_next(of->pack, &record, err);
    if (status == LOOM_NOT_FOUND || (status == LOOM_OK && record.type != LOOM_PACK_OBJECT))
        return damaged("a result without its bytes", err);
    if (status != LOOM_OK) return status;
    memcpy(&object, record.bytes, sizeof object);
    return object.row == of->number && object.bytes == result->bulk.bytes ? LOOM_OK
                                                                          : damaged("another result's bytes", err);
}

static loom_status write_at(int fd, uint64_t offset, const uint8_t *bytes, size_t length, loom_error *err) {
    for (size_t done = 0; done < length;) {
        ssize_t wrote = pwrite(fd, bytes + done, length - done, (off_t)(offset + done));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return loom_fail_errno(err, errno, "cannot write to the store");
        done += (size_t)wrote;
    }
    return LOOM_OK;
}

static loom_status copy_blocks(importing *of, const loom_result *result, const loom_reservation *into,
                               loom_error *err) {
    for (uint64_t at = 0; at < result->bulk.bytes;) {
        loom_pack_record record;
        uint64_t left = result->bulk.bytes - at;
        size_t due = left < LOOM_BLOCK_BYTES ? (size_t)left : LOOM_BLOCK_BYTES;
        loom_status status = loom_pack_next(of->pack, &record, err);
        if (status == LOOM_NOT_FOUND || (status == LOOM_OK && (record.type != LOOM_PACK_BLOCK || record.length != due)))
            return damaged("an object without all its bytes", err);
        if (status != LOOM_OK) return status;
        if (loom_block_hash(record.bytes, due) != result->block_hashes[at / LOOM_BLOCK_BYTES])
            return damaged("bytes that do not match their hash", err);
        LOOM_TRY(write_at(into->fd, into->placement.offset + at, record.bytes, due, err));
        at += due;
    }
    return LOOM_OK;
}

static loom_status take_bytes(importing *of, loom_result *result, loom_error *err) {
    loom_reservation reservation;
    uint64_t root[2];
    uint64_t *hashes = loom_arena_array(of->arena, loom_extent_block_count(result->bulk.bytes), sizeof *hashes);
    if (hashes == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while importing results");
    if (of->writer == NULL) LOOM_TRY(loom_extent_writer_open(loom_store_extents(of->store), &of->writer, err));
    LOOM_TRY(loom_extent_reserve(of->writer, result->bulk.bytes, false, &reservation, err));
    loom_status status = copy_blocks(of, result, &reservation, err);
    if (status != LOOM_OK) {
        loom_extent_abandon(of->writer, &reservation);
        return status;
    }
    LOOM_TRY(loom_extent_seal(of->writer, &reservation, hashes, root, err));
    if (memcmp(root, result->root, sizeof root) != 0) {
        loom_extent_recycle(loom_store_extents(of->store), &reservation.placement);
        return damaged("hashes that do not match their root", err);
    }
    result->bulk = reservation.placement;
    of->bulk_bytes += result->bulk.bytes;
    return LOOM_OK;
}

/* What is there already: *known, and it is counted. */
static loom_status compare(importing *of, const loom_result *result, bool *known, loom_error *err) {
    loom_result stored;
    loom_arena *arena = loom_arena_new();
    if (arena == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while importing results");
    loom_row_kind kind = LOOM_ROW_TOMBSTONE;
    loom_status status = of->store->ops->find(of->store, LOOM_BY_RKEY, &result->rkey, arena, &stored, &kind, err);
    *known = status == LOOM_OK && kind == LOOM_ROW_LIVE && !loom_result_expired(&stored);
    if (*known && loom_row_same_value(&stored, result))
        of->report->skipped++;
    else if (*known && of->difference.status == LOOM_OK)
        (void)loom_store_irreproducible(&result->rkey, &of->difference);
    loom_arena_free(arena);
    return status == LOOM_NOT_FOUND ? LOOM_OK : status;
}

static loom_status take_row(importing *of, const loom_pack_record *record, loom_error *err) {
    uint64_t number;
    loom_result result;
    loom_row_kind kind;
    bool known = false;
    memcpy(&number, record->bytes, sizeof number);
    if (number != ++of->number) return damaged("results out of order", err);
    uint8_t *row = loom_arena_copy(of->arena, record->bytes + sizeof number, record->length - sizeof number);
    if (row == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while importing results");
    LOOM_TRY(loom_row_decode(row, record->length - sizeof number, number, &result, &kind, err));
    if (kind != LOOM_ROW_LIVE || result.codec != LOOM_CODEC_RAW) return damaged("a row that is no result", err);
    result.row = 0;
    result.stored_bytes = 0;
    of->row_bytes += record->length;
    if (result.bulk.bytes > 0) LOOM_TRY(next_object(of, &result, err));
    LOOM_TRY(compare(of, &result, &known, err));
    if (known && result.bulk.bytes > 0) return loom_pack_skip_object(of->pack, result.bulk.bytes, err);
    if (known) return LOOM_OK;
    if (result.bulk.bytes > 0) LOOM_TRY(take_bytes(of, &result, err));
    of->report->bytes += result.bulk.bytes + result.payload_bytes;
    of->waiting[of->count++] = result;
    return LOOM_OK;
}

static loom_status import_all(importing *of, loom_error *err) {
    loom_pack_record record;
    loom_status status;
    while ((status = loom_pack_next(of->pack, &record, err)) == LOOM_OK) {
        if (record.type == LOOM_PACK_END) continue;
        if (record.type != LOOM_PACK_ROW) return damaged("a record that belongs to no result", err);
        LOOM_TRY(take_row(of, &record, err));
        if (of->count == BATCH_ROWS || of->row_bytes >= BATCH_ROW_BYTES || of->bulk_bytes >= BATCH_BULK_BYTES)
            LOOM_TRY(flush(of, err));
    }
    return status == LOOM_NOT_FOUND ? flush(of, err) : status;
}

/* ---- the whole ---- */

static loom_status read_pack(importing *of, int fd, const char *name, loom_error *err) {
    LOOM_TRY(loom_pack_open(fd, name, &of->pack, err));
    loom_status status = loom_pack_header_of(of->pack)->kind == LOOM_PACK_EXPORT
                             ? import_all(of, err)
                             : loom_fail(err, LOOM_BAD_USAGE, "%s is a backup, not an export; use store restore", name);
    if (status != LOOM_OK) (void)flush(of, NULL); /* what came before is good */
    loom_pack_reader_free(of->pack);
    loom_extent_writer_close(of->writer);
    if (status != LOOM_OK || of->difference.status == LOOM_OK) return status;
    if (err != NULL) *err = of->difference;
    return LOOM_IRREPRODUCIBLE;
}

loom_status loom_import(loom_store *store, const char *source, loom_store_progress progress, void *context,
                        loom_pack_report *report, loom_error *err) {
    loom_pack_report ignored;
    LOOM_TRY(loom_store_check_process(store, err));
    importing *of = calloc(1, sizeof *of);
    if (of != NULL) of->arena = loom_arena_new();
    if (of == NULL || of->arena == NULL) {
        free(of);
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while importing results");
    }
    of->store = store;
    of->progress = progress;
    of->context = context;
    of->report = report != NULL ? report : &ignored;
    *of->report = (loom_pack_report){0};
    loom_status status;
    if (strcmp(source, "-") == 0) {
        status = read_pack(of, STDIN_FILENO, "the standard input", err);
    } else {
        int fd = open(source, O_RDONLY | O_CLOEXEC);
        status = fd >= 0 ? read_pack(of, fd, source, err) : loom_fail_errno(err, errno, "cannot open %s", source);
        if (fd >= 0) close(fd);
    }
    loom_arena_free(of->arena);
    free(of);
    return status;
}
