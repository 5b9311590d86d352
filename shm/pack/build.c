/* build.c - see build.h. The builder holds the gate of its `control`, so that nobody opens the store between its rename
 * and the moment it is whole on the disk. */
#include "shm/pack/build.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/extent/extent_file.h"
#include "shm/index/index_space.h"
#include "shm/pack/build_files.h"
#include "shm/platform_file.h"
#include "shm/store/store_folder.h"

#define BATCH_ROWS 50000u
#define BATCH_BYTES (64u << 20)

struct loom_build {
    char *path, *parent, *place; /* the store to be, its folder, and where it is built */
    int fd, control_fd;
    bool finished;
    loom_index *index;
    MDB_txn *txn;
    size_t txn_rows, txn_bytes;
    uint64_t last_row;
    loom_build_files files;
    loom_build_counts counts;
};

/* ---- the folder ---- */

static void remove_files(int fd, const char *name) {
    int sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = sub >= 0 ? fdopendir(sub) : NULL;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) (void)unlinkat(sub, entry->d_name, 0);
    if (dir != NULL)
        closedir(dir);
    else if (sub >= 0)
        close(sub);
    (void)unlinkat(fd, name, AT_REMOVEDIR);
}

/* Only what a store consists of: a folder that holds anything else stays. */
static void remove_parts(int fd) {
    remove_files(fd, "index");
    remove_files(fd, "extents");
    (void)unlinkat(fd, "FORMAT", 0);
    (void)unlinkat(fd, "FORMAT.new", 0);
}

static loom_status check_free(const char *path, loom_error *err) {
    struct stat now;
    if (lstat(path, &now) != 0)
        return errno == ENOENT ? LOOM_OK : loom_fail_errno(err, errno, "cannot restore to %s", path);
    if (S_ISDIR(now.st_mode) && rmdir(path) == 0) return LOOM_OK; /* an empty folder */
    return loom_fail(err, LOOM_BAD_USAGE, "%s exists; restore to a new folder, or move that one away", path);
}

static loom_status make_names(loom_build *build, const char *path, loom_error *err) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    build->path = strndup(path, length);
    build->place = malloc(length + sizeof ".restoring");
    build->parent = build->path != NULL ? strdup(build->path) : NULL;
    if (build->place == NULL || build->parent == NULL)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while restoring %s", path);
    snprintf(build->place, length + sizeof ".restoring", "%s.restoring", build->path);
    char *slash = strrchr(build->parent, '/');
    if (slash == NULL)
        strcpy(build->parent, "."); /* a name has at least one letter */
    else
        slash[slash == build->parent ? 1 : 0] = '\0';
    return LOOM_OK;
}

static loom_status lock_place(loom_build *build, loom_error *err) {
    if (mkdir(build->place, 0700) != 0 && errno != EEXIST)
        return loom_fail_errno(err, errno, "cannot make %s; choose a place that you may write", build->place);
    build->fd = open(build->place, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (build->fd >= 0) build->control_fd = openat(build->fd, "control", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (build->control_fd < 0) return loom_fail_errno(err, errno, "cannot write in %s", build->place);
    int failed = loom_file_lock(build->control_fd, 0, 1, true);
    if (failed == EAGAIN || failed == EACCES)
        return loom_fail(err, LOOM_BUSY, "another process restores %s; wait for it", build->path);
    return failed == 0 ? LOOM_OK : loom_fail_errno(err, failed, "cannot lock %s", build->place);
}

static loom_status write_format(const loom_build *build, const void *format, size_t bytes, loom_error *err) {
    int fd = openat(build->fd, "FORMAT", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write(fd, format, bytes) == (ssize_t)bytes && fsync(fd) == 0;
    int failed = errno;
    if (fd >= 0) close(fd);
    return written ? LOOM_OK : loom_fail_errno(err, failed, "cannot write %s/FORMAT", build->place);
}

/* FORMAT must be one that we can read, and name the store that the pack names. */
static loom_status check_format(const loom_build *build, const uint8_t uuid[16], loom_error *err) {
    loom_folder folder;
    bool present;
    LOOM_TRY(loom_folder_open(build->place, false, &folder, err));
    loom_status status = loom_folder_check_system(&folder, err);
    if (status == LOOM_OK) status = loom_folder_read_format(&folder, &present, err);
    if (status == LOOM_OK && memcmp(folder.uuid, uuid, 16) != 0)
        status = loom_fail(err, LOOM_CORRUPT, "the backup is damaged: two store identities in one pack");
    loom_folder_close(&folder);
    return status;
}

static loom_status prepare(loom_build *build, const void *format, size_t format_bytes, const uint8_t uuid[16],
                           loom_error *err) {
    LOOM_TRY(check_free(build->path, err));
    LOOM_TRY(lock_place(build, err));
    remove_parts(build->fd);
    LOOM_TRY(write_format(build, format, format_bytes, err));
    LOOM_TRY(check_format(build, uuid, err));
    if (mkdirat(build->fd, "index", 0700) != 0 || mkdirat(build->fd, "extents", 0700) != 0)
        return loom_fail_errno(err, errno, "cannot write in %s", build->place);
    int extents = openat(build->fd, "extents", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (extents < 0) return loom_fail_errno(err, errno, "cannot write in %s", build->place);
    loom_build_files_begin(&build->files, extents, build->place, uuid);
    loom_index_options options = {.path = build->place, .alone = true};
    memcpy(options.uuid, uuid, sizeof options.uuid);
    return loom_index_open(&options, &build->index, err);
}

loom_status loom_build_begin(const char *path, const void *format, size_t format_bytes, const uint8_t uuid[16],
                             loom_build **build, loom_error *err) {
    *build = NULL;
    loom_build *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while restoring %s", path);
    made->fd = made->control_fd = -1;
    loom_build_files_begin(&made->files, -1, NULL, uuid);
    loom_status status = make_names(made, path, err);
    if (status == LOOM_OK) status = prepare(made, format, format_bytes, uuid, err);
    if (status != LOOM_OK) {
        loom_build_free(made);
        return status;
    }
    *build = made;
    return LOOM_OK;
}

void loom_build_free(loom_build *build) {
    if (build == NULL) return;
    if (build->txn != NULL) mdb_txn_abort(build->txn);
    loom_index_close(build->index);
    loom_build_files_end(&build->files);
    if (build->control_fd >= 0 && !build->finished) {
        struct stat ours, there;
        remove_parts(build->fd);
        (void)unlinkat(build->fd, "control", 0);
        if (fstat(build->fd, &ours) == 0 && lstat(build->place, &there) == 0 && ours.st_ino == there.st_ino)
            (void)rmdir(build->place);
    }
    if (build->control_fd >= 0) close(build->control_fd);
    if (build->fd >= 0) close(build->fd);
    free(build->path);
    free(build->parent);
    free(build->place);
    free(build);
}

/* ---- the index ---- */

static loom_status fail(const loom_build *build, int code, loom_error *err) {
    return loom_index_fail(build->index, code, "cannot write", err);
}

static loom_status commit(loom_build *build, loom_error *err) {
    if (build->txn == NULL) return LOOM_OK;
    int code = mdb_txn_commit(build->txn);
    build->txn = NULL;
    build->txn_rows = build->txn_bytes = 0;
    return code == MDB_SUCCESS ? LOOM_OK : fail(build, code, err);
}

/* A transaction with room for one more piece. The folder is no store yet, so it need not be synced piece by piece. */
static loom_status transaction(loom_build *build, size_t bytes, loom_error *err) {
    if (build->txn_rows >= BATCH_ROWS || build->txn_bytes >= BATCH_BYTES) LOOM_TRY(commit(build, err));
    if (build->txn == NULL) {
        int code = mdb_env_set_flags(build->index->env, MDB_NOSYNC, 1);
        if (code == MDB_SUCCESS) code = mdb_txn_begin(build->index->env, NULL, 0, &build->txn);
        if (code != MDB_SUCCESS) return fail(build, code, err);
    }
    build->txn_rows++;
    build->txn_bytes += bytes;
    return LOOM_OK;
}

static loom_status damaged_row(uint64_t row, loom_error *err) {
    return loom_fail(err, LOOM_CORRUPT, "the backup is damaged: row %llu is none; use another copy",
                     (unsigned long long)row);
}

static bool owns_bytes(const loom_row_header *header) {
    return header->kind == LOOM_ROW_LIVE && header->bulk.bytes > 0 && header->stored_bytes > 0 &&
           header->stored_bytes <= LOOM_BULK_BYTES_MAX && header->bulk.offset % LOOM_PAGE_BYTES == 0 &&
           header->bulk.offset >= LOOM_EXTENT_FIRST_OFFSET && header->bulk.offset <= INT64_MAX - LOOM_BULK_BYTES_MAX;
}

loom_status loom_build_row(loom_build *build, uint64_t row, const void *bytes, size_t length, loom_error *err) {
    loom_row_header header;
    if (row == 0 || row > SIZE_MAX / 2 || !loom_row_peek(bytes, length, &header)) return damaged_row(row, err);
    LOOM_TRY(transaction(build, length, err));
    size_t number = (size_t)row;
    MDB_val key = {sizeof number, &number}, value = {length, (void *)(uintptr_t)bytes};
    int code = mdb_put(build->txn, build->index->rows, &key, &value,
                       MDB_NOOVERWRITE | (row > build->last_row ? MDB_APPEND : 0u));
    if (code == MDB_KEYEXIST) return damaged_row(row, err);
    if (code != MDB_SUCCESS) return fail(build, code, err);
    if (row > build->last_row) build->last_row = row;
    build->counts.rows++;
    if (header.kind == LOOM_ROW_LIVE) build->counts.live++;
    if (!owns_bytes(&header)) return LOOM_OK;
    build->counts.objects_due++;
    return loom_build_files_own(&build->files, header.bulk.extent, header.bulk.offset, header.stored_bytes, err);
}

loom_status loom_build_wants(loom_build *build, const loom_pack_object *object, bool *wanted, loom_error *err) {
    size_t number = (size_t)object->row;
    MDB_val key = {sizeof number, &number}, value;
    loom_row_header header;
    LOOM_TRY(transaction(build, 0, err));
    int code = mdb_get(build->txn, build->index->rows, &key, &value);
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND) return fail(build, code, err);
    *wanted = code == MDB_SUCCESS && loom_row_peek(value.mv_data, value.mv_size, &header) && owns_bytes(&header) &&
              header.bulk.extent == object->extent && header.bulk.offset == object->offset &&
              header.stored_bytes == object->bytes;
    if (*wanted) build->counts.objects++;
    return LOOM_OK;
}

loom_status loom_build_bytes(loom_build *build, const loom_pack_object *object, uint64_t at, const void *bytes,
                             size_t length, loom_error *err) {
    build->counts.object_bytes += length;
    return loom_build_files_write(&build->files, object->extent, object->offset + at, bytes, length, err);
}

loom_status loom_build_entry(loom_build *build, const loom_entry *entry, loom_error *err) {
    LOOM_TRY(transaction(build, entry->value.mv_size, err));
    MDB_dbi table;
    MDB_val key = entry->key, value = entry->value;
    unsigned kind = 0, flags = MDB_CREATE | ((entry->flags & LOOM_ENTRY_INTEGER) != 0 ? MDB_INTEGERKEY : 0u);
    int code = mdb_dbi_open(build->txn, entry->name, flags, &table);
    /* LMDB says nothing when the table is open already, and compares integers of any length. */
    if (code == MDB_SUCCESS) code = mdb_dbi_flags(build->txn, table, &kind);
    if (code == MDB_SUCCESS && ((kind ^ flags) & MDB_INTEGERKEY) != 0) code = MDB_INCOMPATIBLE;
    size_t integer = 0;
    if ((entry->flags & LOOM_ENTRY_INTEGER) != 0 && key.mv_size == sizeof integer) {
        memcpy(&integer, key.mv_data, sizeof integer); /* LMDB wants it aligned */
        key.mv_data = &integer;
    }
    if (code == MDB_SUCCESS && key.mv_size > 0) code = mdb_put(build->txn, table, &key, &value, 0);
    if (code == MDB_SUCCESS && key.mv_size == 0 && (entry->flags & LOOM_ENTRY_ADDS) == 0)
        code = mdb_drop(build->txn, table, 0);
    if (code == MDB_INCOMPATIBLE || code == MDB_BAD_VALSIZE)
        return loom_fail(err, LOOM_CORRUPT, "the backup is damaged: a table of another kind; use another copy");
    return code == MDB_SUCCESS ? LOOM_OK : fail(build, code, err);
}

/* ---- the end ---- */

/* The sums in the state are those of the snapshot, as the rows are. What follows from the rows is not there yet: the
 * map of ids is filled from row 1 on, nothing is deleted. */
static loom_status fit_state(loom_build *build, loom_error *err) {
    loom_index_state state;
    LOOM_TRY(transaction(build, 0, err));
    LOOM_TRY(loom_index_read_state(build->index, build->txn, &state, err));
    if (state.next_row <= build->last_row) state.next_row = build->last_row + 1;
    state.indexed_upto = 0;
    state.next_deleted = 1;
    state.tail_gone = build->counts.rows - build->counts.live; /* tombstones have no value id in the map */
    MDB_val key = {7, "s:state"}, value = {sizeof state, &state};
    int code = mdb_put(build->txn, build->index->meta, &key, &value, 0);
    if (code != MDB_SUCCESS) return fail(build, code, err);
    return commit(build, err);
}

/* Entries of `fields` whose row went between two backups. */
static loom_status drop_lost_fields(loom_build *build, loom_error *err) {
    MDB_cursor *cursor;
    MDB_val key, value;
    LOOM_TRY(transaction(build, 0, err));
    int code = mdb_cursor_open(build->txn, build->index->fields, &cursor);
    if (code != MDB_SUCCESS) return fail(build, code, err);
    for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); code == MDB_SUCCESS;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        size_t row = 0;
        const uint8_t *end = (const uint8_t *)key.mv_data + key.mv_size;
        for (size_t i = 8; i > 0 && key.mv_size >= 8; i--)
            row = row << 8 | end[-(ptrdiff_t)i];
        MDB_val row_key = {sizeof row, &row};
        loom_row_header header;
        code = mdb_get(build->txn, build->index->rows, &row_key, &value);
        bool lost =
            code == MDB_NOTFOUND || (code == MDB_SUCCESS && loom_row_peek(value.mv_data, value.mv_size, &header) &&
                                     header.kind != LOOM_ROW_LIVE);
        if (code != MDB_SUCCESS && code != MDB_NOTFOUND) break;
        if (lost && (code = mdb_cursor_del(cursor, 0)) != MDB_SUCCESS) break;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? commit(build, err) : fail(build, code, err);
}

static loom_status is_hole(void *context, const loom_placement *place, loom_error *err) {
    (void)context, (void)place, (void)err;
    return LOOM_OK;
}

/* What no row owns was never written: holes, free to be used. */
static loom_status account_for_space(loom_build *build, loom_error *err) {
    loom_index_batch *batch;
    uint64_t found;
    LOOM_TRY(loom_index_begin(build->index, LOOM_DURABLE_NONE, &batch, err));
    loom_status status = loom_index_rebuild_space(batch, LOOM_PAGE_BYTES, is_hole, NULL, &found, err);
    if (status == LOOM_OK) return loom_index_commit(batch, NULL, err);
    loom_index_abort(batch);
    return status;
}

static loom_status publish(loom_build *build, loom_error *err) {
    int parent = open(build->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = parent < 0 || fsync(build->fd) != 0 ? errno : 0;
    struct stat now;
    if (failed == 0 && lstat(build->path, &now) == 0) failed = EEXIST;
    if (failed == 0 && rename(build->place, build->path) != 0) failed = errno;
    if (failed == 0) build->finished = true;
    if (failed == 0 && fsync(parent) != 0) failed = errno;
    if (parent >= 0) close(parent);
    return failed == 0 ? LOOM_OK
                       : loom_fail_errno(err, failed, "cannot give the restored store its name %s", build->path);
}

loom_status loom_build_finish(loom_build *build, loom_error *err) {
    if (build->counts.objects != build->counts.objects_due)
        return loom_fail(err, LOOM_CORRUPT, "the backup is damaged: it has %llu objects of %llu; use another copy",
                         (unsigned long long)build->counts.objects, (unsigned long long)build->counts.objects_due);
    LOOM_TRY(drop_lost_fields(build, err));
    LOOM_TRY(fit_state(build, err));
    LOOM_TRY(account_for_space(build, err));
    LOOM_TRY(loom_build_files_sync(&build->files, err));
    int code = mdb_env_set_flags(build->index->env, MDB_NOSYNC, 0);
    if (code != MDB_SUCCESS) return fail(build, code, err);
    LOOM_TRY(loom_index_flush_tail(build->index, err));
    LOOM_TRY(loom_index_sync(build->index, err));
    loom_index_close(build->index);
    build->index = NULL;
    int index_fd = openat(build->fd, "index", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = index_fd < 0 || fsync(index_fd) != 0 ? errno : 0;
    if (index_fd >= 0) close(index_fd);
    if (failed != 0) return loom_fail_errno(err, failed, "cannot write in %s", build->place);
    return publish(build, err);
}

const loom_build_counts *loom_build_counts_of(const loom_build *build) {
    return &build->counts;
}
