/* backup.c - writes a store into a pack: first, in one read transaction, the rows that the last backup does not have
 * and all small tables; then, with the transaction ended, the bulk bytes that those rows name. A barrier in `control`,
 * raised before the transaction begins, keeps every range of the snapshot from being reused until the last byte is
 * read. */
#include "shm/pack/backup.h"
#include "shm/extent/block_hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shm/control/control.h"
#include "shm/extent/extent_file.h"
#include "shm/pack/backup_folder.h"
#include "shm/pack/entry.h"
#include "shm/probe.h"
#include "shm/store/store.h"

#define PROGRESS_ROWS 16384u
#define FORMAT_BYTES_MAX 4096u

/* An object to copy once the transaction has ended. */
typedef struct pending {
    loom_pack_object object;
    size_t hashes; /* where its block hashes begin; SIZE_MAX: not known here (compressed, encrypted) */
} pending;

typedef struct backup {
    loom_store_parts parts;
    const char *name; /* of the target, for messages */
    loom_pack_writer *pack;
    uint32_t number;            /* of this pack */
    loom_pack_manifest *before; /* of the last backup; NULL = none */
    loom_pack_item known;       /* its next item; row = UINT64_MAX behind the last */
    uint64_t known_last;        /* the highest row number that it may know */
    bool changed;               /* a row that it knows as live is another now */
    pending *objects;
    size_t object_count, object_capacity;
    uint64_t *hashes;
    size_t hash_count, hash_capacity;
    uint64_t object_bytes;
    loom_store_progress progress;
    void *context;
    loom_pack_report *report;
} backup;

static loom_status no_memory(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while making a backup");
}

static loom_status tell(const backup *of, const char *phase, uint64_t done, uint64_t total, loom_error *err) {
    if (of->progress == NULL || of->progress(phase, done, total, of->context)) return LOOM_OK;
    return loom_fail(err, LOOM_CANCELLED, "the backup was stopped; what was there before is unchanged");
}

/* ---- rows ---- */

static loom_status next_known(backup *of, loom_error *err) {
    loom_status status =
        of->before != NULL ? loom_pack_manifest_next(of->before, &of->known, err) : (loom_status)LOOM_NOT_FOUND;
    if (status != LOOM_NOT_FOUND) return status;
    of->known.row = UINT64_MAX;
    return LOOM_OK;
}

/* Passes over what the last backup knows and the store has no more. */
static loom_status pass_gone(backup *of, uint64_t row, loom_error *err) {
    while (of->known.row < row) {
        if (of->known.kind == LOOM_ROW_LIVE) of->report->deleted++;
        LOOM_TRY(next_known(of, err));
    }
    return LOOM_OK;
}

static bool make_room(backup *of, size_t hashes) {
    if (of->object_count == of->object_capacity) {
        size_t capacity = of->object_capacity == 0 ? 256 : 2 * of->object_capacity;
        pending *grown = realloc(of->objects, capacity * sizeof *grown);
        if (grown == NULL) return false;
        of->objects = grown;
        of->object_capacity = capacity;
    }
    if (hashes > of->hash_capacity - of->hash_count) {
        size_t capacity = 2 * of->hash_capacity + hashes;
        uint64_t *grown = realloc(of->hashes, capacity * sizeof *grown);
        if (grown == NULL) return false;
        of->hashes = grown;
        of->hash_capacity = capacity;
    }
    return true;
}

/* The block hashes of a raw object stand behind the header, unless the row is sealed: then they are zero bytes here. */
static bool has_hashes(const backup *of, const loom_row_header *header, const MDB_val *value) {
    return header->codec == LOOM_CODEC_RAW && of->parts.index->cipher == NULL &&
           header->header_bytes <= value->mv_size &&
           header->hash_count == loom_extent_block_count(header->bulk.bytes) &&
           header->hash_count <= (value->mv_size - header->header_bytes) / sizeof(uint64_t);
}

static loom_status note_object(backup *of, uint64_t row, const loom_row_header *header, const MDB_val *value,
                               loom_error *err) {
    if (header->kind != LOOM_ROW_LIVE || header->bulk.bytes == 0 || header->stored_bytes == 0) return LOOM_OK;
    if (header->stored_bytes > LOOM_BULK_BYTES_MAX || header->bulk.offset % LOOM_PAGE_BYTES != 0 ||
        header->bulk.offset < LOOM_EXTENT_FIRST_OFFSET || header->bulk.offset > INT64_MAX - LOOM_BULK_BYTES_MAX)
        return LOOM_OK; /* a damaged row: restored as it is, refused by whoever reads it */
    size_t hashes = has_hashes(of, header, value) ? header->hash_count : 0;
    if (!make_room(of, hashes)) return no_memory(err);
    of->objects[of->object_count++] = (pending){.object = {.row = row,
                                                           .extent = header->bulk.extent,
                                                           .offset = header->bulk.offset,
                                                           .bytes = header->stored_bytes},
                                                .hashes = hashes > 0 ? of->hash_count : SIZE_MAX};
    if (hashes > 0)
        memcpy(of->hashes + of->hash_count, (const uint8_t *)value->mv_data + header->header_bytes, 8 * hashes);
    of->hash_count += hashes;
    of->object_bytes += header->stored_bytes;
    return LOOM_OK;
}

static loom_status add_row(backup *of, uint64_t row, const MDB_val *value, loom_error *err) {
    loom_row_header header;
    loom_pack_item item = {.row = row, .pack = of->number};
    /* Too damaged to have a header: it counts as absent, here as in look-ups. */
    if (value->mv_size > LOOM_ROW_BYTES_MAX || !loom_row_peek(value->mv_data, value->mv_size, &header)) return LOOM_OK;
    item.check = loom_pack_row_check(row, value->mv_data, value->mv_size);
    item.kind = header.kind;
    LOOM_TRY(pass_gone(of, row, err));
    bool known = of->known.row == row;
    if (known && of->known.check == item.check) {
        item.pack = of->known.pack;
        if (item.kind == LOOM_ROW_LIVE) of->report->skipped++;
        LOOM_TRY(next_known(of, err));
        return loom_pack_note(of->pack, &item, err);
    }
    if (known && of->known.kind == LOOM_ROW_LIVE) {
        if (item.kind == LOOM_ROW_LIVE)
            of->changed = true;
        else
            of->report->deleted++;
    }
    if (known) LOOM_TRY(next_known(of, err));
    if (item.kind == LOOM_ROW_LIVE) of->report->results++;
    LOOM_TRY(loom_pack_add(of->pack, LOOM_PACK_ROW, &row, sizeof row, value->mv_data, value->mv_size, err));
    LOOM_TRY(note_object(of, row, &header, value, err));
    return loom_pack_note(of->pack, &item, err);
}

static loom_status add_rows(backup *of, MDB_txn *txn, loom_error *err) {
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_stat stat = {0};
    uint64_t done = 0;
    int code = mdb_stat(txn, of->parts.index->rows, &stat);
    if (code == MDB_SUCCESS) code = mdb_cursor_open(txn, of->parts.index->rows, &cursor);
    if (code != MDB_SUCCESS) return loom_index_fail(of->parts.index, code, "cannot read", err);
    loom_status status = next_known(of, err);
    for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); code == MDB_SUCCESS && status == LOOM_OK;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        size_t row;
        memcpy(&row, key.mv_data, sizeof row);
        status = add_row(of, row, &value, err);
        if (status == LOOM_OK && ++done % PROGRESS_ROWS == 0) status = tell(of, "rows", done, stat.ms_entries, err);
    }
    mdb_cursor_close(cursor);
    if (status == LOOM_OK && code != MDB_NOTFOUND) return loom_index_fail(of->parts.index, code, "cannot read", err);
    return status == LOOM_OK ? pass_gone(of, UINT64_MAX, err) : status;
}

/* ---- bulk bytes ---- */

/* Reads bytes of an extent file; what is not there or cannot be read is zero, and *whole false: the row's block hashes
 * will tell, and the result is computed again. */
static void read_piece(int fd, uint64_t offset, uint8_t *bytes, size_t length, bool *whole) {
    size_t have = 0;
    while (fd >= 0 && have < length) {
        ssize_t got = pread(fd, bytes + have, length - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        have += (size_t)got;
    }
    if (have == length) return;
    memset(bytes + have, 0, length - have);
    *whole = false;
}

static loom_status add_object(backup *of, const pending *item, int fd, uint8_t *buffer, uint64_t *done,
                              loom_error *err) {
    const loom_pack_object *object = &item->object;
    bool whole = true;
    LOOM_TRY(loom_pack_add(of->pack, LOOM_PACK_OBJECT, object, sizeof *object, NULL, 0, err));
    for (uint64_t from = 0; from < object->bytes; from += LOOM_PACK_BLOCK_BYTES) {
        uint64_t left = object->bytes - from;
        size_t length = left < LOOM_PACK_BLOCK_BYTES ? (size_t)left : LOOM_PACK_BLOCK_BYTES;
        read_piece(fd, object->offset + from, buffer, length, &whole);
        if (item->hashes != SIZE_MAX &&
            loom_block_hash(buffer, length) != of->hashes[item->hashes + (size_t)(from / LOOM_BLOCK_BYTES)])
            whole = false;
        LOOM_TRY(loom_pack_add(of->pack, LOOM_PACK_BLOCK, buffer, length, NULL, 0, err));
        *done += length;
        LOOM_TRY(tell(of, "bytes", *done, of->object_bytes, err));
    }
    if (!whole) of->report->damaged++;
    return LOOM_OK;
}
_Static_assert(LOOM_PACK_BLOCK_BYTES == LOOM_BLOCK_BYTES, "a record of bulk bytes is a block, which has one hash");

static loom_status add_objects(backup *of, loom_error *err) {
    uint8_t *buffer = malloc(LOOM_PACK_BLOCK_BYTES);
    if (buffer == NULL) return no_memory(err);
    int fd = -1;
    uint32_t open_extent = 0;
    uint64_t done = 0;
    loom_status status = LOOM_OK;
    for (size_t i = 0; i < of->object_count && status == LOOM_OK; i++) {
        const pending *item = &of->objects[i];
        if (fd < 0 || open_extent != item->object.extent) {
            char name[LOOM_EXTENT_NAME_BYTES];
            if (fd >= 0) close(fd);
            loom_extent_name(item->object.extent, name);
            fd = openat(of->parts.extents_fd, name, O_RDONLY | O_CLOEXEC);
            open_extent = item->object.extent;
        }
        status = add_object(of, item, fd, buffer, &done, err);
        if (i == 0) LOOM_PROBE("backup:object");
    }
    if (fd >= 0) close(fd);
    free(buffer);
    return status;
}

/* ---- the whole ---- */

static loom_status add_format(backup *of, loom_error *err) {
    char text[FORMAT_BYTES_MAX];
    int fd = openat(of->parts.folder_fd, "FORMAT", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? pread(fd, text, sizeof text, 0) : -1;
    int failed = errno;
    if (fd >= 0) close(fd);
    if (got < 0) return loom_fail_errno(err, failed, "cannot read FORMAT of the store");
    return loom_pack_add(of->pack, LOOM_PACK_FORMAT, text, (size_t)got, NULL, 0, err);
}

static loom_status add_snapshot(backup *of, loom_error *err) {
    loom_index *index = of->parts.index;
    MDB_txn *txn;
    LOOM_TRY(add_format(of, err));
    int code = loom_index_begin_scan(index, &txn);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot read", err);
    LOOM_PROBE("backup:snapshot");
    loom_status status = add_rows(of, txn, err);
    /* Entries of `fields` name rows: those that the last backup has too are there, unless one of its rows changed. */
    uint64_t above = of->before != NULL && !of->changed ? of->known_last : 0;
    if (status == LOOM_OK) status = loom_entries_write(index, txn, of->pack, above, err);
    loom_index_end_scan(index, txn);
    LOOM_PROBE("backup:rows");
    return status;
}

static loom_status write_pack(backup *of, int fd, loom_error *err) {
    struct timespec now;
    loom_pack_header header = {.kind = LOOM_PACK_BACKUP, .store_format = LOOM_STORE_FORMAT, .number = of->number};
    memcpy(header.uuid, of->parts.uuid, sizeof header.uuid);
    if (clock_gettime(CLOCK_REALTIME, &now) == 0)
        header.created_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    LOOM_TRY(loom_pack_begin(fd, of->name, &header, &of->pack, err));
    loom_control_raise_barrier(of->parts.control);
    loom_status status = add_snapshot(of, err);
    if (status == LOOM_OK) status = add_objects(of, err);
    loom_control_lower_barrier(of->parts.control);
    if (status == LOOM_OK) status = loom_pack_finish(of->pack, err);
    of->report->bytes = loom_pack_written(of->pack);
    return status;
}

/* Whether the pack would tell nothing that the last one does not. */
static bool nothing_new(const backup *of) {
    const loom_pack_end *now = loom_pack_counts(of->pack);
    if (of->before == NULL || now->rows > 0 || of->report->deleted > 0) return false;
    const loom_pack_end *then = loom_pack_manifest_end(of->before);
    return now->items == then->items && now->tables == then->tables;
}

static loom_status open_last(backup *of, loom_backup_folder *folder, const char *name, int *last_fd, loom_error *err) {
    of->number = folder->last + 1;
    if (folder->last == 0) return LOOM_OK;
    LOOM_TRY(loom_backup_folder_pack(folder, folder->last, last_fd, err));
    LOOM_TRY(loom_pack_manifest_open(*last_fd, name, &of->before, err));
    const loom_pack_header *header = loom_pack_manifest_header(of->before);
    if (header->kind != LOOM_PACK_BACKUP || memcmp(header->uuid, of->parts.uuid, sizeof header->uuid) != 0)
        return loom_fail(err, LOOM_BAD_USAGE, "%s holds backups of another store; choose another folder", folder->path);
    loom_pack_item item;
    loom_status status;
    while ((status = loom_pack_manifest_next(of->before, &item, err)) == LOOM_OK)
        of->known_last = item.row;
    loom_pack_manifest_rewind(of->before);
    return status == LOOM_NOT_FOUND ? LOOM_OK : status;
}

static loom_status to_folder(backup *of, const char *path, loom_error *err) {
    loom_backup_folder folder;
    LOOM_TRY(loom_backup_folder_open(path, true, &folder, err));
    LOOM_PROBE("backup:locked");
    int last_fd = -1, fd = -1;
    char name[LOOM_PACK_NAME_BYTES];
    loom_pack_name(folder.last, name);
    loom_status status = open_last(of, &folder, name, &last_fd, err);
    if (status == LOOM_OK) status = loom_backup_folder_new(&folder, &fd, err);
    if (status == LOOM_OK) status = write_pack(of, fd, err);
    if (status == LOOM_OK && !nothing_new(of)) {
        status = loom_backup_folder_publish(&folder, fd, err);
    } else if (fd >= 0) {
        if (status == LOOM_OK) of->report->bytes = 0;
        loom_backup_folder_discard(&folder);
    }
    if (fd >= 0) close(fd);
    loom_pack_manifest_free(of->before);
    if (last_fd >= 0) close(last_fd);
    loom_backup_folder_close(&folder);
    return status;
}

loom_status loom_backup(loom_store *store, const char *target, loom_store_progress progress, void *context,
                        loom_pack_report *report, loom_error *err) {
    loom_pack_report ignored;
    backup of = {.progress = progress, .context = context, .report = report != NULL ? report : &ignored, .number = 1};
    *of.report = (loom_pack_report){0};
    LOOM_TRY(loom_store_check_process(store, err));
    LOOM_TRY(loom_store_parts_of(store, &of.parts, err));
    bool stream = strcmp(target, "-") == 0;
    of.name = stream ? "the standard output" : target;
    loom_status status = stream ? write_pack(&of, STDOUT_FILENO, err) : to_folder(&of, target, err);
    loom_pack_writer_free(of.pack);
    free(of.objects);
    free(of.hashes);
    return status;
}
