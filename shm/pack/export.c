/* export.c - chosen results into a pack that can be read without the store and its key: rows and bulk bytes as they are
 * read, whatever their codec. What sequences refer to goes along. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shm/care/gc_keep.h"
#include "shm/codec/bulk_codec.h"
#include "shm/pack/backup.h"
#include "shm/pack/pack.h"
#include "shm/store/store.h"

#define THREADS 2u
#define DECODE_BYTES (UINT64_C(4) << 20)

typedef struct exporting {
    loom_store *store;
    loom_pack_writer *pack;
    loom_arena *arena;
    loom_key_set known; /* keys that are written or wait */
    loom_id *queue;     /* of which these wait */
    size_t count, capacity;
    uint8_t *buffer, *row;
    size_t row_capacity;
    uint64_t number; /* of the last row */
    loom_store_progress progress;
    void *context;
    loom_pack_report *report;
} exporting;

static loom_status no_memory(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while exporting results");
}

static loom_status ask_for(exporting *of, const loom_id *rkey, loom_error *err) {
    bool fresh;
    if (!loom_key_set_add(&of->known, rkey, &fresh)) return no_memory(err);
    if (!fresh) return LOOM_OK;
    if (of->count == of->capacity) {
        size_t capacity = of->capacity == 0 ? 64 : 2 * of->capacity;
        loom_id *grown = realloc(of->queue, capacity * sizeof *grown);
        if (grown == NULL) return no_memory(err);
        of->queue = grown;
        of->capacity = capacity;
    }
    of->queue[of->count++] = *rkey;
    return LOOM_OK;
}

/* ---- what a value refers to ---- */

static loom_status ask_for_value(exporting *of, const loom_id *vid, loom_error *err) {
    loom_result found;
    char hex[LOOM_ID_HEX_BYTES];
    loom_status status = loom_store_find_value(of->store, vid, of->arena, &found, err);
    if (status == LOOM_OK) return ask_for(of, &found.rkey, err);
    if (status != LOOM_NOT_FOUND) return status;
    loom_id_hex(vid, hex);
    return loom_fail(err, LOOM_NOT_FOUND,
                     "an item (%.16s) of a sequence to export is not stored any more; run its program again first",
                     hex);
}

static loom_status ask_for_items(exporting *of, const loom_value *value, unsigned depth, loom_error *err) {
    if (value->type == LOOM_REFERENCE) return ask_for_value(of, &value->reference.vid, err);
    const loom_value *items = value->type == LOOM_SEQUENCE  ? value->sequence.items
                              : value->type == LOOM_DATASET ? value->dataset.items
                                                            : NULL;
    size_t count = value->type == LOOM_SEQUENCE ? value->sequence.count : value->dataset.count;
    for (size_t i = 0; items != NULL && i < count && depth < LOOM_VALUE_DEPTH_MAX; i++)
        LOOM_TRY(ask_for_items(of, &items[i], depth + 1, err));
    for (size_t i = 0; value->type == LOOM_RECORD && i < value->record.count && depth < LOOM_VALUE_DEPTH_MAX; i++)
        LOOM_TRY(ask_for_items(of, &value->record.fields[i].value, depth + 1, err));
    return LOOM_OK;
}

static loom_status follow(exporting *of, const loom_result *result, loom_error *err) {
    if (result->type != LOOM_SEQUENCE && result->type != LOOM_RECORD && result->type != LOOM_DATASET) return LOOM_OK;
    loom_value value;
    loom_view view;
    LOOM_TRY(loom_store_value(of->store, result, of->arena, &value, &view, err));
    loom_status status = ask_for_items(of, &value, 0, err);
    loom_extent_release(&view);
    return status;
}

/* ---- one result ---- */

static loom_status write_row(exporting *of, const loom_result *result, loom_error *err) {
    loom_result plain = *result;
    plain.codec = LOOM_CODEC_RAW;
    plain.codec_data = NULL;
    plain.codec_data_bytes = 0;
    plain.stored_bytes = plain.bulk.bytes;
    if (plain.bulk.bytes > 0) plain.bulk = (loom_placement){.offset = LOOM_PAGE_BYTES, .bytes = result->bulk.bytes};
    size_t bytes = loom_row_bytes(&plain);
    if (bytes > of->row_capacity) {
        uint8_t *grown = realloc(of->row, bytes);
        if (grown == NULL) return no_memory(err);
        of->row = grown;
        of->row_capacity = bytes;
    }
    of->number++;
    loom_row_encode(&plain, of->number, of->row);
    return loom_pack_add(of->pack, LOOM_PACK_ROW, &of->number, sizeof of->number, of->row, bytes, err);
}

static loom_status write_bytes(exporting *of, const loom_result *result, loom_error *err) {
    loom_pack_object object = {.row = of->number, .offset = LOOM_PAGE_BYTES, .bytes = result->bulk.bytes};
    if (object.bytes == 0) return LOOM_OK;
    LOOM_TRY(loom_pack_add(of->pack, LOOM_PACK_OBJECT, &object, sizeof object, NULL, 0, err));
    for (uint64_t from = 0; from < object.bytes; from += DECODE_BYTES) {
        uint64_t left = object.bytes - from, length = left < DECODE_BYTES ? left : DECODE_BYTES;
        LOOM_TRY(
            loom_bulk_decode(of->store->stored, result, of->store->cipher, from, length, THREADS, of->buffer, err));
        for (uint64_t at = 0; at < length; at += LOOM_PACK_BLOCK_BYTES) {
            size_t part = length - at < LOOM_PACK_BLOCK_BYTES ? (size_t)(length - at) : LOOM_PACK_BLOCK_BYTES;
            LOOM_TRY(loom_pack_add(of->pack, LOOM_PACK_BLOCK, of->buffer + at, part, NULL, 0, err));
        }
    }
    return LOOM_OK;
}

static loom_status export_one(exporting *of, const loom_id *rkey, loom_error *err) {
    loom_result result;
    loom_hold hold;
    char hex[LOOM_ID_HEX_BYTES];
    loom_arena_reset(of->arena);
    loom_status status = loom_store_hold(of->store, rkey, of->arena, &result, &hold, err);
    if (status == LOOM_NOT_FOUND) {
        loom_id_hex(rkey, hex);
        return loom_fail(err, LOOM_NOT_FOUND, "the result %.16s is not stored; check its id", hex);
    }
    if (status != LOOM_OK) return status;
    status = write_row(of, &result, err);
    if (status == LOOM_OK) status = write_bytes(of, &result, err);
    if (status == LOOM_OK) status = follow(of, &result, err);
    loom_store_unhold(of->store, &hold);
    of->report->results += status == LOOM_OK;
    return status;
}

static loom_status export_all(exporting *of, loom_error *err) {
    for (size_t done = 0; done < of->count; done++) {
        loom_id rkey = of->queue[done]; /* the queue grows meanwhile */
        LOOM_TRY(export_one(of, &rkey, err));
        if (of->progress != NULL && !of->progress("results", done + 1, of->count, of->context))
            return loom_fail(err, LOOM_CANCELLED, "the export was stopped; nothing was written");
    }
    return LOOM_OK;
}

/* ---- the whole ---- */

static loom_status write_pack(exporting *of, int fd, const char *name, loom_error *err) {
    struct timespec now;
    loom_pack_header header = {.kind = LOOM_PACK_EXPORT, .store_format = LOOM_STORE_FORMAT, .number = 1};
    if (clock_gettime(CLOCK_REALTIME, &now) == 0)
        header.created_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    LOOM_TRY(loom_pack_begin(fd, name, &header, &of->pack, err));
    loom_status status = export_all(of, err);
    if (status == LOOM_OK) status = loom_pack_finish(of->pack, err);
    of->report->bytes = loom_pack_written(of->pack);
    loom_pack_writer_free(of->pack);
    return status;
}

/* A file appears under its name when it is whole. */
static loom_status to_file(exporting *of, const char *target, loom_error *err) {
    size_t length = strlen(target) + sizeof ".unfinished";
    char *unfinished = malloc(length);
    if (unfinished == NULL) return no_memory(err);
    snprintf(unfinished, length, "%s.unfinished", target);
    loom_status status = LOOM_OK;
    if (access(target, F_OK) == 0)
        status = loom_fail(err, LOOM_BAD_USAGE, "%s exists; export to another file, or move that one away", target);
    int fd = status == LOOM_OK ? open(unfinished, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    if (status == LOOM_OK && fd < 0) status = loom_fail_errno(err, errno, "cannot write %s", target);
    if (status == LOOM_OK) status = write_pack(of, fd, target, err);
    if (status == LOOM_OK && (fsync(fd) != 0 || rename(unfinished, target) != 0))
        status = loom_fail_errno(err, errno, "cannot write %s", target);
    if (fd >= 0) close(fd);
    if (fd >= 0 && status != LOOM_OK) (void)unlink(unfinished);
    free(unfinished);
    return status;
}

loom_status loom_export(loom_store *store, const loom_id *rkeys, size_t count, const char *target,
                        loom_store_progress progress, void *context, loom_pack_report *report, loom_error *err) {
    loom_pack_report ignored;
    exporting of = {
        .store = store, .progress = progress, .context = context, .report = report != NULL ? report : &ignored};
    *of.report = (loom_pack_report){0};
    LOOM_TRY(loom_store_check_process(store, err));
    of.arena = loom_arena_new();
    of.buffer = malloc(DECODE_BYTES);
    loom_status status = of.arena != NULL && of.buffer != NULL ? LOOM_OK : no_memory(err);
    for (size_t i = 0; i < count && status == LOOM_OK; i++)
        status = ask_for(&of, &rkeys[i], err);
    if (status == LOOM_OK)
        status = strcmp(target, "-") == 0 ? write_pack(&of, STDOUT_FILENO, "the standard output", err)
                                          : to_file(&of, target, err);
    loom_arena_free(of.arena);
    loom_key_set_free(&of.known);
    free(of.buffer);
    free(of.row);
    free(of.queue);
    return status;
}
