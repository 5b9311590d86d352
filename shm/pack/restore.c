/* restore.c - a new store from a pack on standard input, or from a folder of packs. In a folder the newest pack's
 * manifest says which pack holds each row; the packs are read one after the other, each beside the manifest, both in
 * order of row numbers, so that nothing but the manifest's places need be kept in memory. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/pack/backup.h"
#include "shm/pack/backup_folder.h"
#include "shm/pack/build.h"

#define PROGRESS_BYTES (UINT64_C(16) << 20)

typedef struct restore {
    const char *path; /* of the store to be */
    loom_build *build;
    loom_pack_reader *pack;
    uint32_t number;              /* of the pack being read */
    bool last;                    /* it is the newest: its small tables hold */
    loom_pack_manifest *manifest; /* of the newest pack; NULL: there is only this one */
    loom_pack_item item;          /* its next; row = UINT64_MAX behind the last */
    uint64_t row;                 /* of the last ROW record */
    loom_pack_object object;      /* being read; bytes = 0: none */
    uint64_t object_at;
    uint64_t told, rows_due;
    loom_store_progress progress;
    void *context;
} restore;

static loom_status damaged(const char *what, loom_error *err) {
    return loom_fail(err, LOOM_CORRUPT, "the backup is damaged: %s; use another copy", what);
}

static loom_status tell(restore *of, const char *phase, uint64_t done, uint64_t total, loom_error *err) {
    if (of->progress == NULL || of->progress(phase, done, total, of->context)) return LOOM_OK;
    return loom_fail(err, LOOM_CANCELLED, "the restoration was stopped; nothing was left behind");
}

/* ---- records ---- */

/* Whether this pack's row is the one that the newest backup means. */
static loom_status is_wanted(restore *of, uint64_t row, uint64_t check, bool *wanted, loom_error *err) {
    *wanted = of->manifest == NULL;
    while (of->manifest != NULL && of->item.row < row) {
        loom_status status = loom_pack_manifest_next(of->manifest, &of->item, err);
        if (status == LOOM_NOT_FOUND) of->item.row = UINT64_MAX;
        if (status != LOOM_OK && status != LOOM_NOT_FOUND) return status;
    }
    if (of->manifest == NULL || of->item.row != row || of->item.pack != of->number) return LOOM_OK;
    *wanted = of->item.check == check;
    return *wanted ? LOOM_OK : damaged("a row that is another than its manifest says", err);
}

static loom_status take_row(restore *of, const loom_pack_record *record, loom_error *err) {
    uint64_t row;
    bool wanted;
    memcpy(&row, record->bytes, sizeof row);
    const uint8_t *bytes = record->bytes + sizeof row;
    size_t length = record->length - sizeof row;
    if (row <= of->row) return damaged("rows out of order", err);
    of->row = row;
    LOOM_TRY(is_wanted(of, row, loom_pack_row_check(row, bytes, length), &wanted, err));
    if (!wanted) return LOOM_OK;
    LOOM_TRY(loom_build_row(of->build, row, bytes, length, err));
    uint64_t done = loom_build_counts_of(of->build)->rows;
    return done % 16384 == 0 ? tell(of, "rows", done, of->rows_due, err) : LOOM_OK;
}

static loom_status take_object(restore *of, const loom_pack_record *record, loom_error *err) {
    loom_pack_object object;
    bool wanted;
    memcpy(&object, record->bytes, sizeof object);
    LOOM_TRY(loom_build_wants(of->build, &object, &wanted, err));
    if (!wanted) return loom_pack_skip_object(of->pack, object.bytes, err);
    of->object = object;
    of->object_at = 0;
    return LOOM_OK;
}

static loom_status take_block(restore *of, const loom_pack_record *record, loom_error *err) {
    if (record->length > of->object.bytes - of->object_at) return damaged("bytes that belong to no object", err);
    LOOM_TRY(loom_build_bytes(of->build, &of->object, of->object_at, record->bytes, record->length, err));
    of->object_at += record->length;
    if (of->object_at == of->object.bytes) of->object.bytes = of->object_at = 0;
    uint64_t done = loom_build_counts_of(of->build)->object_bytes;
    if (done - of->told < PROGRESS_BYTES) return LOOM_OK;
    of->told = done;
    return tell(of, "bytes", done, 0, err);
}

static loom_status take_entry(restore *of, const loom_pack_record *record, loom_error *err) {
    loom_entry entry;
    if (!loom_entry_read(record->bytes, record->length, &entry)) return damaged("an entry of no table", err);
    return of->last || loom_entry_is_fields(entry.name) ? loom_build_entry(of->build, &entry, err) : LOOM_OK;
}

static loom_status take_format(restore *of, const loom_pack_record *record, loom_error *err) {
    if (of->build != NULL) return LOOM_OK; /* each pack has it: of the last that is read it is the first's */
    return loom_build_begin(of->path, record->bytes, record->length, loom_pack_header_of(of->pack)->uuid, &of->build,
                            err);
}

static loom_status take_record(restore *of, const loom_pack_record *record, loom_error *err) {
    if (of->build == NULL && record->type != LOOM_PACK_FORMAT) return damaged("it does not begin with FORMAT", err);
    if (of->object.bytes > 0 && record->type != LOOM_PACK_BLOCK) return damaged("an object without all its bytes", err);
    switch (record->type) {
    case LOOM_PACK_FORMAT:
        return take_format(of, record, err);
    case LOOM_PACK_ENTRY:
        return take_entry(of, record, err);
    case LOOM_PACK_ROW:
        return take_row(of, record, err);
    case LOOM_PACK_OBJECT:
        return take_object(of, record, err);
    case LOOM_PACK_BLOCK:
        return take_block(of, record, err);
    default:
        return LOOM_OK;
    }
}

/* ---- packs ---- */

static loom_status read_pack(restore *of, int fd, const char *name, loom_error *err) {
    LOOM_TRY(loom_pack_open(fd, name, &of->pack, err));
    loom_pack_record record;
    of->row = 0;
    of->object.bytes = 0;
    const loom_pack_header *header = loom_pack_header_of(of->pack);
    loom_status status = LOOM_OK;
    if (header->kind != LOOM_PACK_BACKUP)
        status = loom_fail(err, LOOM_BAD_USAGE, "%s is an export, not a backup; use store import", name);
    else if (of->manifest != NULL &&
             memcmp(header->uuid, loom_pack_manifest_header(of->manifest)->uuid, sizeof header->uuid) != 0)
        status = damaged("packs of different stores in one folder", err);
    else if (of->manifest == NULL && header->number != 1)
        status =
            loom_fail(err, LOOM_BAD_USAGE, "%s builds on earlier packs; give the folder that holds them all", name);
    while (status == LOOM_OK && (status = loom_pack_next(of->pack, &record, err)) == LOOM_OK)
        status = take_record(of, &record, err);
    loom_pack_reader_free(of->pack);
    of->pack = NULL;
    return status == LOOM_NOT_FOUND ? LOOM_OK : status;
}

static loom_status read_number(restore *of, const loom_backup_folder *folder, uint32_t number, loom_error *err) {
    char name[LOOM_PACK_NAME_BYTES];
    int fd;
    loom_pack_name(number, name);
    LOOM_TRY(loom_backup_folder_pack(folder, number, &fd, err));
    of->number = number;
    of->last = number == folder->last;
    of->item.row = 0;
    loom_pack_manifest_rewind(of->manifest);
    loom_status status = read_pack(of, fd, name, err);
    close(fd);
    return status;
}

/* Reads the newest FORMAT: a rekeyed store's key is in it. */
static loom_status begin_from_newest(restore *of, int fd, const char *name, loom_error *err) {
    loom_pack_record record;
    if (lseek(fd, 0, SEEK_SET) < 0) return loom_fail(err, LOOM_IO, "cannot read %s", name);
    LOOM_TRY(loom_pack_open(fd, name, &of->pack, err));
    loom_status status = loom_pack_next(of->pack, &record, err);
    if (status == LOOM_OK && record.type == LOOM_PACK_FORMAT)
        status = take_format(of, &record, err);
    else if (status == LOOM_OK || status == LOOM_NOT_FOUND)
        status = damaged("it does not begin with FORMAT", err);
    loom_pack_reader_free(of->pack);
    of->pack = NULL;
    return status;
}

static loom_status read_folder(restore *of, const char *source, loom_error *err) {
    loom_backup_folder folder;
    LOOM_TRY(loom_backup_folder_open(source, false, &folder, err));
    char name[LOOM_PACK_NAME_BYTES];
    int fd = -1;
    loom_pack_name(folder.last, name);
    loom_status status = folder.last > 0
                             ? loom_backup_folder_pack(&folder, folder.last, &fd, err)
                             : loom_fail(err, LOOM_NOT_FOUND, "there is no backup in %s; check the path", source);
    if (status == LOOM_OK) status = loom_pack_manifest_open(fd, name, &of->manifest, err);
    if (status == LOOM_OK) status = begin_from_newest(of, fd, name, err);
    if (status == LOOM_OK) of->rows_due = loom_pack_manifest_end(of->manifest)->items;
    for (uint32_t number = 1; status == LOOM_OK && number <= folder.last; number++)
        status = read_number(of, &folder, number, err);
    if (status == LOOM_OK && loom_build_counts_of(of->build)->rows != of->rows_due)
        status = damaged("rows of the manifest are in no pack", err);
    loom_pack_manifest_free(of->manifest);
    of->manifest = NULL;
    if (fd >= 0) close(fd);
    loom_backup_folder_close(&folder);
    return status;
}

/* What was streamed to a file. */
static loom_status read_file(restore *of, const char *source, loom_error *err) {
    int fd = open(source, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return loom_fail_errno(err, errno, "cannot open %s", source);
    loom_status status = read_pack(of, fd, source, err);
    close(fd);
    return status;
}

loom_status loom_restore(const char *source, const char *path, loom_store_progress progress, void *context,
                         loom_pack_report *report, loom_error *err) {
    restore of = {.path = path, .last = true, .number = 1, .progress = progress, .context = context};
    struct stat now;
    loom_status status;
    if (strcmp(source, "-") == 0)
        status = read_pack(&of, STDIN_FILENO, "the standard input", err);
    else if (stat(source, &now) == 0 && S_ISREG(now.st_mode))
        status = read_file(&of, source, err);
    else
        status = read_folder(&of, source, err);
    if (status == LOOM_OK) status = loom_build_finish(of.build, err);
    if (status == LOOM_OK && report != NULL) {
        const loom_build_counts *counts = loom_build_counts_of(of.build);
        *report = (loom_pack_report){.results = counts->live, .bytes = counts->object_bytes};
    }
    loom_build_free(of.build);
    return status;
}
