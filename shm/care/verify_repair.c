/* verify_repair.c - one transaction that leaves a sound store: rows that cannot be read go, results whose bytes are
 * damaged become tombstones (trace and recipe stay, so that the next run computes them again), every table that follows
 * from the rows is written anew where one of them was wrong, and pages that nobody owns are free. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/care/verify_parts.h"
#include "shm/control/control.h"
#include "shm/extent/extent_file.h"
#include "shm/extent/space_parts.h"
#include "shm/platform_file.h"

static const verify_note *notes_of(const verify *of) {
    return (const verify_note *)(const void *)of->notes.items;
}

/* ---- rows ---- */

static int remove_rows(const verify *of, loom_index_batch *batch) {
    for (size_t i = 0; i < of->notes.count; i++) {
        size_t row = (size_t)notes_of(of)[i].row;
        if (notes_of(of)[i].remedy != VERIFY_REMOVE) continue;
        MDB_val key = {sizeof row, &row};
        int code = mdb_del(batch->txn, batch->index->rows, &key, NULL);
        if (code != MDB_SUCCESS && code != MDB_NOTFOUND) return code;
        of->report->repaired += code == MDB_SUCCESS;
        batch->changed = true;
    }
    return MDB_SUCCESS;
}

static bool has_bad_blocks(const verify *of, uint64_t row) {
    for (size_t i = 0; i < of->notes.count; i++)
        if (notes_of(of)[i].kind == LOOM_FINDING_BLOCK && notes_of(of)[i].row == row) return true;
    return false;
}

/* Of two results in one place the one whose blocks are wrong goes; if neither's are, the later. */
static bool must_go(const verify *of, const verify_note *note) {
    if (note->remedy != VERIFY_TOMBSTONE) return false;
    return note->kind != LOOM_FINDING_OVERLAP || (!has_bad_blocks(of, note->row) && !has_bad_blocks(of, note->number));
}

static loom_status end_row(verify *of, loom_index_batch *batch, uint64_t number, loom_error *err) {
    size_t row = (size_t)number;
    MDB_val key = {sizeof row, &row}, value;
    loom_result result;
    loom_row_kind kind;
    int code = mdb_get(batch->txn, batch->index->rows, &key, &value);
    if (code == MDB_NOTFOUND) return LOOM_OK;
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot repair", err);
    LOOM_TRY(loom_verify_decode(of, number, value.mv_data, value.mv_size, &result, &kind, err));
    if (kind != LOOM_ROW_LIVE) return LOOM_OK; /* two findings of one result */
    loom_id rkey = result.rkey;
    loom_status status = loom_index_delete(batch, &rkey, err);
    if (status == LOOM_OK) of->report->repaired++;
    return status == LOOM_NOT_FOUND ? LOOM_OK : status;
}

static loom_status end_rows(verify *of, loom_index_batch *batch, bool *any, loom_error *err) {
    for (size_t i = 0; i < of->notes.count; i++) {
        if (!must_go(of, &notes_of(of)[i])) continue;
        *any = true;
        LOOM_TRY(end_row(of, batch, notes_of(of)[i].row, err));
    }
    return LOOM_OK;
}

/* ---- tables ---- */

static int fill_table(loom_index_batch *batch, MDB_dbi table, const verify_list *list) {
    const loom_tail_entry *entries = (const loom_tail_entry *)(const void *)list->items;
    int code = mdb_drop(batch->txn, table, 0);
    for (size_t i = 0; i < list->count && code == MDB_SUCCESS; i++) {
        uint8_t bytes[LOOM_KEY_BYTES];
        loom_id id = {{0}};
        memcpy(id.bytes, entries[i].prefix, LOOM_PREFIX_BYTES);
        loom_index_key(&id, entries[i].row, bytes);
        MDB_val key = {sizeof bytes, bytes}, value = {0, NULL};
        code = mdb_put(batch->txn, table, &key, &value, MDB_APPEND);
    }
    return code;
}

static int rebuild_maps(const verify *of, loom_index_batch *batch) {
    int code = fill_table(batch, batch->index->keys, &of->keys);
    if (code == MDB_SUCCESS) code = fill_table(batch, batch->index->vids, &of->vids);
    batch->changed = true;
    return code;
}

static void correct_sums(const verify *of, loom_index_state *state) {
    state->live_rows = of->sums.live_rows;
    state->images = of->sums.images;
    state->blobs = of->sums.blobs;
    state->payload_bytes = of->sums.payload_bytes;
    state->bulk_bytes = of->sums.bulk_bytes;
    state->pins = of->sums.pins;
    if (state->next_row < of->sums.next_row) state->next_row = of->sums.next_row;
}

static loom_status punch(void *context, const loom_placement *place, loom_error *err) {
    return loom_extents_punch(context, place, err);
}

static loom_status repair_all(verify *of, loom_index_batch *batch, loom_error *err) {
    if (mdb_txn_id(batch->txn) != of->snapshot + 1)
        return loom_fail(err, LOOM_BUSY, "the store changed while it was verified; verify it again");
    int code = remove_rows(of, batch);
    if (code == MDB_SUCCESS && of->dirty) code = rebuild_maps(of, batch);
    if (code != MDB_SUCCESS) return loom_batch_fail(batch, code, "cannot repair", err);
    correct_sums(of, &batch->state);
    bool any = false;
    LOOM_TRY(end_rows(of, batch, &any, err));
    if (of->dirty || any) LOOM_TRY(loom_index_rebuild_fields(batch, err));
    uint64_t found;
    LOOM_TRY(loom_space_return_lent(of->parts.space, batch, err)); /* else they would be given out twice */
    return loom_index_rebuild_space(batch, LOOM_PAGE_BYTES, punch, of->store->stored, &found, err);
}

/* ---- extent files ---- */

/* The file gets the length that the index counts on; what is new in it reads as zeros. */
static int mend_file(const verify *of, int fd, uint32_t number, uint64_t tail) {
    struct stat now;
    uint8_t page[LOOM_PAGE_BYTES] = {0};
    if (fstat(fd, &now) != 0) return errno;
    uint64_t bytes = ((uint64_t)now.st_size + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
    if (bytes < tail) bytes = tail;
    loom_extent_header header = {
        .magic = LOOM_EXTENT_MAGIC, .version = LOOM_EXTENT_VERSION, .number = number, .reserved_tail = bytes};
    memcpy(header.uuid, of->parts.uuid, sizeof header.uuid);
    memcpy(page, &header, sizeof header);
    int failed = loom_file_resize(fd, bytes);
    if (failed != 0) return failed;
    if (pwrite(fd, page, sizeof page, 0) != (ssize_t)sizeof page || fsync(fd) != 0) return errno != 0 ? errno : EIO;
    return 0;
}

static loom_status mend_files(const verify *of, loom_error *err) {
    for (size_t i = 0; i < of->notes.count; i++) {
        uint32_t number = notes_of(of)[i].at.extent;
        char name[LOOM_EXTENT_NAME_BYTES];
        uint64_t tail;
        if (notes_of(of)[i].remedy != VERIFY_FILE) continue;
        LOOM_TRY(loom_index_committed_tail(of->parts.index, number, &tail, err));
        loom_extent_name(number, name);
        int fd = openat(of->parts.extents_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        int failed = fd >= 0 ? mend_file(of, fd, number, tail) : errno;
        if (fd >= 0) close(fd);
        if (failed != 0) return loom_fail_errno(err, failed, "cannot write extent file %s", name);
    }
    return LOOM_OK;
}

/* ---- alone ---- */

static loom_status repair_alone(verify *of, loom_error *err) {
    loom_index_batch *batch;
    LOOM_TRY(loom_index_begin(of->parts.index, LOOM_DURABLE_STRICT, &batch, err));
    loom_status status = repair_all(of, batch, err);
    if (status != LOOM_OK) {
        of->report->repaired = 0;
        loom_index_abort(batch);
        return status;
    }
    LOOM_TRY(loom_index_commit(batch, NULL, err));
    LOOM_TRY(loom_index_sync(of->parts.index, err));
    return mend_files(of, err);
}

loom_status loom_verify_repair(verify *of, loom_error *err) {
    bool alone = false;
    LOOM_TRY(loom_space_enter(of->parts.space, err));
    loom_status status = loom_control_retake_gate(of->parts.control, err);
    if (status != LOOM_OK) {
        loom_space_leave(of->parts.space);
        return status;
    }
    status = loom_control_alone(of->parts.control, &alone, err);
    if (status == LOOM_OK && (!alone || loom_extents_have_writers(of->store->stored)))
        status = loom_fail(err, LOOM_BUSY, "others use the store %s; repair it when they have ended", of->store->path);
    for (size_t i = 0; i < of->notes.count && status == LOOM_OK; i++)
        if (notes_of(of)[i].kind == LOOM_FINDING_TREE)
            status = loom_fail(err, LOOM_BAD_STORE,
                               "pages of the index of %s are damaged; close the store, and repair it before it is "
                               "opened (store verify --repair)",
                               of->store->path);
    if (status == LOOM_OK) status = repair_alone(of, err);
    loom_control_leave_gate(of->parts.control);
    if (status == LOOM_OK) {
        loom_space_refresh(of->parts.space);
        status = loom_space_recount(of->parts.space, err);
    }
    loom_space_leave(of->parts.space);
    return status;
}
