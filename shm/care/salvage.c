/* salvage.c - an index whose pages are damaged, written anew from what can be read: before the store is opened, because
 * LMDB may end a process that opens it. Tables that follow from the rows are not copied but made again. The damaged
 * file stays beside the new one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "shm/care/admin.h"
#include "shm/control/control.h"
#include "shm/extent/extent_file.h"
#include "shm/index/index_space.h"
#include "shm/index/tree.h"
#include "shm/platform_file.h"
#include "shm/store/store_disk.h"
#include "shm/store/store_folder.h"

#define PLACE "index.repair"
#define BATCH_ENTRIES 50000u

typedef struct salvage {
    loom_folder folder;
    int data_fd;
    loom_finding_visit found;
    void *context;
    uint64_t damages;
    loom_index *index; /* the new one */
    MDB_txn *txn;
    MDB_dbi table;
    uint64_t entries, rows, last_row, orphans;
    int code;
} salvage;

static const char *const copied[] = {"meta", "extents", "files", "pins", "goals", "runs", "costs", "fields"};
static const char *const derived[] = {"keys", "vids", "deleted", "free"};
#define COUNT_OF(list) (sizeof(list) / sizeof *(list))

/* ---- is it damaged? ---- */

static void note_damage(uint64_t page, const char *what, void *context) {
    salvage *of = context;
    loom_finding finding = {.kind = LOOM_FINDING_TREE};
    if (of->damages++ >= 1000 || of->found == NULL) return;
    snprintf(finding.text, sizeof finding.text,
             "the index has %s: number %llu; store verify --repair writes it anew from what can be read", what,
             (unsigned long long)page);
    of->found(&finding, of->context);
}

static void ignore_damage(uint64_t page, const char *what, void *context) {
    (void)page, (void)what, (void)context;
}

static bool visit_nothing(const loom_tree_entry *entry, void *context) {
    (void)entry, (void)context;
    return true;
}

static loom_status look_at(salvage *of, loom_tree *tree, const char *table, loom_error *err) {
    loom_status status = loom_tree_walk(tree, table, visit_nothing, note_damage, of, err);
    if (status != LOOM_NOT_FOUND) return status;
    if (table == NULL || strcmp(table, "rows") == 0) note_damage(0, "no table of rows", of);
    return LOOM_OK;
}

static loom_status look_at_all(salvage *of, loom_error *err) {
    loom_tree *tree;
    LOOM_TRY(loom_tree_open(of->data_fd, 0, &tree, err));
    loom_status status = look_at(of, tree, NULL, err);
    if (status == LOOM_OK) status = look_at(of, tree, "rows", err);
    for (size_t i = 0; i < COUNT_OF(copied) && status == LOOM_OK; i++)
        status = look_at(of, tree, copied[i], err);
    for (size_t i = 0; i < COUNT_OF(derived) && status == LOOM_OK; i++)
        status = look_at(of, tree, derived[i], err);
    if (status == LOOM_OK) status = loom_tree_walk_unused(tree, note_damage, of, err);
    loom_tree_free(tree);
    return status;
}

/* ---- copying ---- */

static bool renew(salvage *of) {
    if (of->txn != NULL && of->entries % BATCH_ENTRIES == 0) {
        of->code = mdb_txn_commit(of->txn);
        of->txn = NULL;
    }
    if (of->txn == NULL && of->code == MDB_SUCCESS) of->code = mdb_txn_begin(of->index->env, NULL, 0, &of->txn);
    of->entries++;
    return of->code == MDB_SUCCESS;
}

static bool copy_entry(const loom_tree_entry *entry, void *context) {
    salvage *of = context;
    MDB_val key = {entry->key_bytes, (void *)(uintptr_t)entry->key};
    MDB_val value = {entry->value_bytes, (void *)(uintptr_t)entry->value};
    size_t integer;
    if (!renew(of)) return false;
    if (of->table == of->index->extents || of->table == of->index->runs) { /* LMDB wants integers aligned */
        unsigned number;
        if (key.mv_size == sizeof number && of->table == of->index->extents) {
            memcpy(&number, key.mv_data, sizeof number);
            key.mv_data = &number;
        } else if (key.mv_size == sizeof integer && of->table == of->index->runs) {
            memcpy(&integer, key.mv_data, sizeof integer);
            key.mv_data = &integer;
        } else {
            return true;
        }
        of->code = mdb_put(of->txn, of->table, &key, &value, 0);
        return of->code == MDB_SUCCESS;
    }
    of->code = mdb_put(of->txn, of->table, &key, &value, 0);
    return of->code == MDB_SUCCESS;
}

/* Whether the row is the one that was written under this number: told without the key of an encrypted store. */
static bool is_sound(uint64_t row, const loom_tree_entry *entry) {
    loom_row_header header;
    if (row == 0 || !loom_row_peek(entry->value, entry->value_bytes, &header)) return false;
    uint64_t seed = XXH3_64bits_withSeed(entry->value, offsetof(loom_row_header, check), row);
    return XXH3_64bits_withSeed(entry->value + sizeof header, entry->value_bytes - sizeof header, seed) == header.check;
}

static bool copy_row(const loom_tree_entry *entry, void *context) {
    salvage *of = context;
    size_t row;
    if (entry->key_bytes != sizeof row) return true;
    memcpy(&row, entry->key, sizeof row);
    if (!is_sound(row, entry)) return true; /* it counts as absent: computed again */
    if (!renew(of)) return false;
    MDB_val key = {sizeof row, &row}, value = {entry->value_bytes, (void *)(uintptr_t)entry->value};
    of->code = mdb_put(of->txn, of->index->rows, &key, &value, MDB_NOOVERWRITE);
    if (of->code == MDB_SUCCESS) of->rows++;
    if (of->code == MDB_KEYEXIST) of->code = MDB_SUCCESS;
    if (row > of->last_row) of->last_row = row;
    return of->code == MDB_SUCCESS;
}

static loom_status copy_tables(salvage *of, loom_tree *tree, loom_error *err) {
    const loom_index *index = of->index;
    const MDB_dbi tables[] = {index->meta, index->extents, index->files, index->pins, index->goals, index->runs,
                              0,           index->fields};
    _Static_assert(COUNT_OF(tables) == COUNT_OF(copied), "one handle a name");
    loom_status status = loom_tree_walk(tree, NULL, visit_nothing, ignore_damage, of, err);
    if (status == LOOM_OK) status = loom_tree_walk(tree, "rows", copy_row, ignore_damage, of, err);
    for (size_t i = 0; i < COUNT_OF(copied) && (status == LOOM_OK || status == LOOM_NOT_FOUND); i++) {
        of->table = tables[i];
        if (of->table != 0) status = loom_tree_walk(tree, copied[i], copy_entry, ignore_damage, of, err);
    }
    for (size_t i = 0; i < COUNT_OF(derived) && (status == LOOM_OK || status == LOOM_NOT_FOUND); i++)
        status =
            loom_tree_walk(tree, derived[i], visit_nothing, ignore_damage, of, err); /* their pages are no orphans */
    if (status == LOOM_OK || status == LOOM_NOT_FOUND) status = loom_tree_walk_unused(tree, ignore_damage, of, err);
    return status == LOOM_OK ? loom_tree_orphans(tree, copy_row, of, err) : status;
}

static loom_status copy_all(salvage *of, loom_error *err) {
    loom_tree *tree;
    LOOM_TRY(loom_tree_open(of->data_fd, 0, &tree, err));
    loom_status status = copy_tables(of, tree, err);
    loom_tree_free(tree);
    if (status == LOOM_OK && of->code == MDB_SUCCESS && of->txn != NULL) {
        of->code = mdb_txn_commit(of->txn);
        of->txn = NULL;
    }
    if (of->txn != NULL) mdb_txn_abort(of->txn);
    of->txn = NULL;
    return status == LOOM_OK && of->code != MDB_SUCCESS
               ? loom_index_fail(of->index, of->code, "cannot write the new index", err)
               : status;
}

/* ---- what follows from the rows ---- */

static loom_status punch(void *context, const loom_placement *place, loom_error *err) {
    const salvage *of = context;
    char name[sizeof "extents/" + LOOM_EXTENT_NAME_BYTES] = "extents/";
    loom_extent_name(place->extent, name + sizeof "extents/" - 1);
    int fd = openat(of->folder.fd, name, O_RDWR | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? LOOM_OK : loom_fail_errno(err, errno, "cannot open %s", name);
    struct stat now;
    int failed = fstat(fd, &now) == 0 ? 0 : errno;
    if (failed == 0 && place->offset < (uint64_t)now.st_size) failed = loom_file_punch(fd, place->offset, place->bytes);
    close(fd);
    return failed == 0 ? LOOM_OK : loom_fail_errno(err, failed, "cannot free space in %s", name);
}

/* Before the index looks at it: the map of ids is to be filled from row 1 on. The sums are what they were; verification
 * corrects them. */
static int fit_state(salvage *of) {
    loom_index_state state = {.next_row = 1};
    MDB_val key = {7, "s:state"}, value;
    int code = mdb_txn_begin(of->index->env, NULL, 0, &of->txn);
    if (code != MDB_SUCCESS) return code;
    if (mdb_get(of->txn, of->index->meta, &key, &value) == MDB_SUCCESS && value.mv_size == sizeof state)
        memcpy(&state, value.mv_data, sizeof state);
    state.indexed_upto = 0;
    state.tail_gone = 1; /* tombstones, as far as there are any, are left out of the map */
    state.next_deleted = 1;
    if (state.next_row <= of->last_row) state.next_row = of->last_row + 1;
    value = (MDB_val){sizeof state, &state};
    code = mdb_put(of->txn, of->index->meta, &key, &value, 0);
    if (code == MDB_SUCCESS)
        code = mdb_txn_commit(of->txn);
    else
        mdb_txn_abort(of->txn);
    of->txn = NULL;
    return code;
}

static loom_status derive(salvage *of, loom_error *err) {
    loom_index_batch *batch;
    uint64_t found;
    int code = fit_state(of);
    if (code != MDB_SUCCESS) return loom_index_fail(of->index, code, "cannot write the new index", err);
    LOOM_TRY(loom_index_begin(of->index, LOOM_DURABLE_STRICT, &batch, err));
    loom_status status = loom_index_rebuild_space(batch, LOOM_PAGE_BYTES, punch, of, &found, err);
    if (status != LOOM_OK) {
        loom_index_abort(batch);
        return status;
    }
    LOOM_TRY(loom_index_commit(batch, NULL, err));
    LOOM_TRY(loom_index_flush_tail(of->index, err));
    return loom_index_sync(of->index, err);
}

/* ---- the files ---- */

static void remove_place(const loom_folder *folder) {
    static const char *const files[] = {PLACE "/index/data.mdb", PLACE "/index/lock.mdb"};
    for (size_t i = 0; i < COUNT_OF(files); i++)
        (void)unlinkat(folder->fd, files[i], 0);
    (void)unlinkat(folder->fd, PLACE "/index", AT_REMOVEDIR);
    (void)unlinkat(folder->fd, PLACE, AT_REMOVEDIR);
}

static loom_status make_index(salvage *of, loom_error *err) {
    remove_place(&of->folder);
    if (mkdirat(of->folder.fd, PLACE, 0700) != 0 || mkdirat(of->folder.fd, PLACE "/index", 0700) != 0)
        return loom_fail_errno(err, errno, "cannot write in %s", of->folder.path);
    size_t length = strlen(of->folder.path) + sizeof "/" PLACE;
    char *path = malloc(length);
    if (path == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while repairing %s", of->folder.path);
    snprintf(path, length, "%s/" PLACE, of->folder.path);
    loom_index_options options = {.path = path, .alone = true};
    memcpy(options.uuid, of->folder.uuid, sizeof options.uuid);
    loom_status status = loom_index_open(&options, &of->index, err);
    free(path);
    return status;
}

/* The damaged file keeps a name; the new one takes its place in one step. */
static loom_status exchange(const salvage *of, loom_error *err) {
    int fd = of->folder.fd;
    (void)unlinkat(fd, "index/damaged.mdb", 0);
    int index_fd = openat(fd, "index", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = index_fd >= 0 && linkat(fd, "index/data.mdb", fd, "index/damaged.mdb", 0) == 0 &&
                renameat(fd, PLACE "/index/data.mdb", fd, "index/data.mdb") == 0 && fsync(index_fd) == 0;
    int failed = errno;
    if (index_fd >= 0) close(index_fd);
    return done ? LOOM_OK : loom_fail_errno(err, failed, "cannot exchange the index of %s", of->folder.path);
}

static loom_status write_anew(salvage *of, loom_error *err) {
    loom_status status = make_index(of, err);
    if (status == LOOM_OK) status = copy_all(of, err);
    if (status == LOOM_OK) status = derive(of, err);
    loom_index_close(of->index);
    if (status == LOOM_OK) status = exchange(of, err);
    remove_place(&of->folder);
    return status;
}

static loom_status salvage_alone(salvage *of, bool repair, bool *rebuilt, loom_error *err) {
    of->data_fd = openat(of->folder.fd, "index/data.mdb", O_RDONLY | O_CLOEXEC);
    struct stat now;
    if (of->data_fd < 0 && errno == ENOENT) return LOOM_OK; /* nothing was ever stored */
    if (of->data_fd < 0) return loom_fail_errno(err, errno, "cannot open the index of %s", of->folder.path);
    loom_status status = LOOM_OK;
    if (fstat(of->data_fd, &now) != 0 || now.st_size > 0) status = look_at_all(of, err);
    if (status == LOOM_OK && of->damages > 0 && repair) {
        status = write_anew(of, err);
        *rebuilt = status == LOOM_OK;
    }
    close(of->data_fd);
    return status;
}

loom_status loom_store_salvage(const char *path, bool repair, loom_finding_visit found, void *context,
                               uint64_t *damages, bool *rebuilt, loom_error *err) {
    salvage of = {.found = found, .context = context};
    loom_control *control = NULL;
    bool present = false, quiet = false, alone = false;
    *rebuilt = false;
    *damages = 0;
    LOOM_TRY(loom_folder_open(path, false, &of.folder, err));
    loom_status status = loom_folder_check_system(&of.folder, err);
    if (status == LOOM_OK) status = loom_folder_read_format(&of.folder, &present, err);
    /* The portable twin would lose this process's locks, and not see them. */
    if (status == LOOM_OK && loom_disk_is_open(&of.folder))
        status = loom_fail(err, LOOM_BUSY, "this process has the store %s open; close it first", of.folder.path);
    if (status == LOOM_OK && present) {
        status = loom_control_enter(of.folder.fd, of.folder.path, &control, &quiet, err);
        if (status == LOOM_OK && quiet)
            status = loom_fail(err, LOOM_DENIED, "the store %s may not be written by this user", of.folder.path);
        if (status == LOOM_OK) status = loom_control_alone(control, &alone, err);
        if (status == LOOM_OK && !alone)
            status =
                loom_fail(err, LOOM_BUSY, "others use the store %s; repair it when they have ended", of.folder.path);
        if (status == LOOM_OK) status = salvage_alone(&of, repair, rebuilt, err);
        if (control != NULL) loom_control_leave_gate(control);
        loom_control_close(control);
    }
    *damages = of.damages;
    loom_folder_close(&of.folder);
    return status;
}
