/* migrate.c - `voxloom store upgrade`: brings a store of an earlier format to this one by numbered steps. Each step is
 * one transaction of the index, which also says that the step is done; FORMAT is rewritten last. So a kill at any
 * instruction leaves a store that is still refused as older, and the next upgrade goes on where this one stopped.
 *
 * A new format adds a line to `steps`, a fixture to tests/shm/fixtures and a paragraph to shm/SCHEMA.md, "Evolution".
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "shm/care/admin.h"
#include "shm/control/control.h"
#include "shm/extent/extent_file.h"
#include "shm/index/index_space.h"
#include "shm/index/row.h"
#include "shm/probe.h"
#include "shm/store/store.h"
#include "shm/store/store_disk.h"
#include "shm/store/store_folder.h"

/* ---- the steps ---- */

typedef struct step {
    uint32_t from;    /* leads to from + 1 */
    const char *what; /* shown as progress */
    loom_status (*run)(loom_index_batch *batch, loom_error *err);
} step;

/* Whether the row that an entry of `keys` or `vids` names is there and has this entry. */
static int is_named(loom_index_batch *batch, loom_find_by by, const MDB_val *entry, bool *named) {
    const uint8_t *bytes = entry->mv_data;
    size_t number = 0;
    loom_row_header header;
    *named = false;
    if (entry->mv_size != LOOM_KEY_BYTES) return MDB_SUCCESS;
    for (unsigned i = LOOM_PREFIX_BYTES; i < LOOM_KEY_BYTES; i++)
        number = number << 8 | bytes[i];
    MDB_val key = {sizeof number, &number}, value;
    int code = mdb_get(batch->txn, batch->index->rows, &key, &value);
    if (code != MDB_SUCCESS) return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
    if (!loom_row_peek(value.mv_data, value.mv_size, &header)) return MDB_SUCCESS;
    bool has = by == LOOM_BY_RKEY || (header.kind == LOOM_ROW_LIVE &&
                                      loom_row_has_vid_entry(&header.rkey, &header.vid, (loom_type)header.type));
    *named = has && memcmp(bytes, by == LOOM_BY_RKEY ? &header.rkey : &header.vid, LOOM_PREFIX_BYTES) == 0;
    return MDB_SUCCESS;
}

/* Format 1 left entries behind of results that were deleted before their entries were written. */
static loom_status drop_strays(loom_index_batch *batch, loom_find_by by, loom_error *err) {
    MDB_cursor *cursor;
    MDB_val key, value;
    int code = mdb_cursor_open(batch->txn, by == LOOM_BY_RKEY ? batch->index->keys : batch->index->vids, &cursor);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot read", err);
    while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
        bool named;
        code = is_named(batch, by, &key, &named);
        if (code == MDB_SUCCESS && !named) code = mdb_cursor_del(cursor, 0);
        if (code != MDB_SUCCESS) break;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? LOOM_OK : loom_batch_fail(batch, code, "cannot write", err);
}

/* Format 1 named no image by its value. Rows above indexed_upto get their entries with the tail. */
static loom_status add_missing_vids(loom_index_batch *batch, loom_error *err) {
    MDB_val key, value;
    int code = mdb_cursor_get(batch->rows, &key, &value, MDB_FIRST);
    for (; code == MDB_SUCCESS; code = mdb_cursor_get(batch->rows, &key, &value, MDB_NEXT)) {
        size_t row;
        loom_row_header header;
        memcpy(&row, key.mv_data, sizeof row);
        if (row > batch->state.indexed_upto) break;
        if (!loom_row_peek(value.mv_data, value.mv_size, &header) || header.kind != LOOM_ROW_LIVE ||
            !loom_row_has_vid_entry(&header.rkey, &header.vid, (loom_type)header.type))
            continue;
        uint8_t bytes[LOOM_KEY_BYTES];
        loom_index_key(&header.vid, row, bytes);
        MDB_val entry = {sizeof bytes, bytes}, empty = {0, NULL};
        int put = mdb_put(batch->txn, batch->index->vids, &entry, &empty, MDB_NOOVERWRITE);
        if (put != MDB_SUCCESS && put != MDB_KEYEXIST) return loom_batch_fail(batch, put, "cannot write", err);
    }
    return code == MDB_SUCCESS || code == MDB_NOTFOUND ? LOOM_OK : loom_batch_fail(batch, code, "cannot read", err);
}

/* Space is counted in pages and what nobody owns becomes visible; records get entries in `fields`; entries that name no
 * row go; the state is longer (commit writes it). Rows stay as they are. */
static loom_status from_1_to_2(loom_index_batch *batch, loom_error *err) {
    LOOM_TRY(drop_strays(batch, LOOM_BY_RKEY, err));
    LOOM_TRY(drop_strays(batch, LOOM_BY_VID, err));
    LOOM_TRY(add_missing_vids(batch, err));
    LOOM_PROBE("migrate:entries");
    uint64_t found;
    LOOM_TRY(loom_index_rebuild_space(batch, 1, NULL, NULL, &found, err));
    LOOM_PROBE("migrate:space");
    LOOM_TRY(loom_index_rebuild_fields(batch, err));
    LOOM_PROBE("migrate:fields");
    return LOOM_OK;
}

static const step steps[] = {
    {1, "space in pages, index of record fields", from_1_to_2},
};
#define STEP_COUNT (sizeof steps / sizeof *steps)
_Static_assert(STEP_COUNT + 1 == LOOM_STORE_FORMAT, "a step for every earlier format");

/* ---- how far the index has come: meta, "s:format" ---- */

static loom_status read_index_format(loom_index_batch *batch, uint32_t written, uint32_t *format, loom_error *err) {
    MDB_val key = {sizeof LOOM_INDEX_FORMAT_KEY - 1, LOOM_INDEX_FORMAT_KEY}, value;
    int code = mdb_get(batch->txn, batch->index->meta, &key, &value);
    *format = written; /* format 1 did not say */
    if (code == MDB_NOTFOUND) return LOOM_OK;
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot read", err);
    if (value.mv_size == sizeof *format) memcpy(format, value.mv_data, sizeof *format);
    if (value.mv_size == sizeof *format && *format >= written && *format <= LOOM_STORE_FORMAT) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_STORE,
                     "FORMAT and index of %s belong to different stores; restore both from one "
                     "copy",
                     batch->index->path);
}

static loom_status run_in(loom_index_batch *batch, uint32_t written, uint32_t *reached, loom_error *err) {
    LOOM_TRY(read_index_format(batch, written, reached, err));
    if (*reached >= LOOM_STORE_FORMAT) return LOOM_OK;
    const step *next = &steps[*reached - 1];
    LOOM_TRY(next->run(batch, err));
    uint32_t format = next->from + 1;
    LOOM_TRY(loom_index_put_raw(batch, batch->index->meta, LOOM_INDEX_FORMAT_KEY, sizeof LOOM_INDEX_FORMAT_KEY - 1,
                                &format, sizeof format, err));
    *reached = format;
    return LOOM_OK;
}

/* One step, if one is left: *reached is the index's format after it. */
static loom_status run_step(loom_index *index, uint32_t written, uint32_t *reached, loom_error *err) {
    loom_index_batch *batch;
    LOOM_TRY(loom_index_begin(index, LOOM_DURABLE_STRICT, &batch, err));
    loom_status status = run_in(batch, written, reached, err);
    if (status != LOOM_OK) {
        loom_index_abort(batch);
        return status;
    }
    return loom_index_commit(batch, NULL, err);
}

/* ---- the store, open for nothing else ---- */

typedef struct migration {
    loom_folder folder;
    loom_control *control;
    loom_index *index;
    loom_extents *extents;
    int extents_fd;
    loom_store_progress progress;
    void *context;
} migration;

static loom_status no_tail(void *context, uint32_t number, uint64_t *tail, loom_error *err) {
    (void)context, (void)number, (void)err;
    *tail = 0;
    return LOOM_OK;
}

static loom_status attach_alone(migration *of, loom_error *err) {
    bool quiet = false, alone = false;
    LOOM_TRY(loom_control_enter(of->folder.fd, of->folder.path, &of->control, &quiet, err));
    if (quiet)
        return loom_fail(err, LOOM_DENIED, "the store %s may not be written by this user; ask its owner to upgrade it",
                         of->folder.path);
    LOOM_TRY(loom_control_alone(of->control, &alone, err));
    if (!alone)
        return loom_fail(err, LOOM_BUSY, "the store %s is in use; end what uses it and upgrade again", of->folder.path);
    uint64_t extent_bytes = LOOM_EXTENT_BYTES_DEFAULT, step_bytes = LOOM_STEP_BYTES_DEFAULT;
    return loom_control_attach(of->control, true, of->folder.uuid, LOOM_ROLE_OPENER, &extent_bytes, &step_bytes, err);
}

static loom_status open_parts(migration *of, loom_error *err) {
    loom_index_options options = {.path = of->folder.path, .alone = true};
    memcpy(options.uuid, of->folder.uuid, sizeof options.uuid);
    LOOM_TRY(loom_index_open(&options, &of->index, err));
    of->extents_fd = openat(of->folder.fd, "extents", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (of->extents_fd < 0) return loom_fail_errno(err, errno, "cannot open %s/extents", of->folder.path);
    loom_extents_options extents = {.path = of->folder.path,
                                    .dir_fd = of->extents_fd,
                                    .lock_fd = loom_control_fd(of->control),
                                    .extent_bytes = LOOM_EXTENT_BYTES_DEFAULT,
                                    .step_bytes = LOOM_STEP_BYTES_DEFAULT,
                                    .committed_tail = no_tail};
    memcpy(extents.uuid, of->folder.uuid, sizeof extents.uuid);
    LOOM_TRY(loom_extents_new(&extents, &of->extents, err));
    of->index->bulk = of->extents;
    return LOOM_OK;
}

static loom_status tell(const migration *of, uint32_t done, loom_error *err) {
    const char *what = done <= STEP_COUNT ? steps[done - 1].what : "done";
    if (of->progress == NULL || of->progress(what, done - 1, STEP_COUNT, of->context)) return LOOM_OK;
    return loom_fail(err, LOOM_CANCELLED, "the upgrade of %s was stopped; run it again to finish it", of->folder.path);
}

static loom_status migrate(migration *of, loom_error *err) {
    uint32_t reached = of->folder.format;
    do {
        LOOM_TRY(tell(of, reached, err));
        LOOM_PROBE("migrate:step");
        LOOM_TRY(run_step(of->index, of->folder.format, &reached, err));
        LOOM_PROBE("migrate:committed");
    } while (reached < LOOM_STORE_FORMAT);
    LOOM_TRY(loom_index_sync(of->index, err));
    LOOM_PROBE("migrate:format");
    LOOM_TRY(loom_folder_write_format(&of->folder, err));
    LOOM_PROBE("migrate:written");
    (void)tell(of, reached, NULL);
    return LOOM_OK;
}

static loom_status upgrade(migration *of, uint32_t *from, loom_error *err) {
    bool present = false;
    LOOM_TRY(loom_folder_check_system(&of->folder, err));
    /* The portable twin would lose this process's locks, and not see them. */
    if (loom_disk_is_open(&of->folder))
        return loom_fail(err, LOOM_BUSY, "this process has the store %s open; close it first", of->folder.path);
    LOOM_TRY(attach_alone(of, err));
    LOOM_TRY(loom_folder_read_any_format(&of->folder, &present, err)); /* inside the gate: another may have upgraded */
    if (!present) return loom_fail(err, LOOM_NOT_FOUND, "there is no store in the folder %s", of->folder.path);
    *from = of->folder.format;
    if (of->folder.format == LOOM_STORE_FORMAT) return LOOM_OK;
    LOOM_TRY(open_parts(of, err));
    return migrate(of, err);
}

loom_status loom_store_upgrade(const char *path, const loom_key *key, loom_store_progress progress, void *context,
                               uint32_t *from, loom_error *err) {
    (void)key; /* no earlier format was encrypted */
    migration of = {.extents_fd = -1, .progress = progress, .context = context};
    *from = 0;
    LOOM_TRY(loom_folder_open(path, false, &of.folder, err));
    loom_status status = upgrade(&of, from, err);
    loom_extents_free(of.extents);
    loom_index_close(of.index);
    if (of.extents_fd >= 0) close(of.extents_fd);
    if (of.control != NULL) loom_control_leave_gate(of.control);
    loom_control_close(of.control);
    loom_folder_close(&of.folder);
    return status;
}
