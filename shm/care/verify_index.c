/* verify_index.c - reads every table of one snapshot of the index, from its pages: rows are decoded and remembered by
 * what other tables should say of them; then those tables are compared. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "shm/care/verify_parts.h"
#include "shm/index/index_fields.h"

#define PROGRESS_ROWS 65536u
#define SNAPSHOT_TRIES 100

typedef struct row_walk {
    verify *of;
    uint64_t total;
    loom_status status;
    loom_error *err;
} row_walk;

static void note_damage(uint64_t page, const char *what, void *context) {
    verify *of = context;
    verify_note *note = loom_verify_note(of, LOOM_FINDING_TREE, VERIFY_NOTHING, what);
    if (note != NULL) note->number = page;
}

static void note_row_damage(uint64_t page, const char *what, void *context) {
    note_damage(page, what, ((row_walk *)context)->of);
}

/* ---- rows ---- */

static void note_bad_row(verify *of, uint64_t row, const loom_error *why) {
    static const char fixed[] = "a row that cannot be read";
    verify_note *note = loom_verify_note(of, LOOM_FINDING_ROW, VERIFY_REMOVE, fixed);
    (void)why;
    if (note != NULL) note->row = row;
    of->dirty = true;
}

static void expect_entry(verify *of, verify_list *list, const loom_id *id, uint64_t row) {
    loom_tail_entry *entry = loom_verify_add(of, list, sizeof *entry);
    if (entry == NULL) return;
    memcpy(entry->prefix, id->bytes, sizeof entry->prefix);
    entry->row = row;
}

static void expect_range(verify *of, const loom_result *result) {
    loom_placement range = loom_result_range(result);
    if (range.bytes == 0) return;
    verify_span *span = loom_verify_add(of, &of->spans, sizeof *span);
    if (span == NULL) return;
    *span = (verify_span){.extent = range.extent,
                          .owner = VERIFY_LIVE,
                          .page = range.offset / LOOM_PAGE_BYTES,
                          .end = (range.offset + range.bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES,
                          .row = result->row};
}

static void gather_references(verify *of, const loom_value *value, uint64_t row, unsigned depth) {
    if (value->type == LOOM_REFERENCE) expect_entry(of, &of->needs, &value->reference.vid, row);
    if (depth > LOOM_VALUE_DEPTH_MAX) return;
    const loom_value *items = value->type == LOOM_SEQUENCE  ? value->sequence.items
                              : value->type == LOOM_DATASET ? value->dataset.items
                                                            : NULL;
    size_t count = value->type == LOOM_SEQUENCE ? value->sequence.count : value->dataset.count;
    for (size_t i = 0; items != NULL && i < count; i++)
        gather_references(of, &items[i], row, depth + 1);
    for (size_t i = 0; value->type == LOOM_RECORD && i < value->record.count; i++)
        gather_references(of, &value->record.fields[i].value, row, depth + 1);
}

void loom_verify_gather(verify *of, const loom_value *value, uint64_t row) {
    gather_references(of, value, row, 0);
}

static bool may_refer(loom_type type) {
    return type == LOOM_SEQUENCE || type == LOOM_RECORD || type == LOOM_DATASET;
}

/* What a live row says inline; the values of blobs are read with their blocks. */
static bool check_value(verify *of, const loom_result *result) {
    if (!may_refer(result->type) || result->blob) return true;
    loom_value value;
    loom_arena_reset(of->arena);
    loom_status status = loom_value_decode(result->payload, result->payload_bytes, of->arena, &value, NULL);
    if (status == LOOM_OK) gather_references(of, &value, result->row, 0);
    of->exhausted |= status == LOOM_NO_MEMORY; /* no damage */
    return status == LOOM_OK || status == LOOM_NO_MEMORY;
}

static void count_live(loom_index_state *sums, const loom_result *result) {
    sums->live_rows++;
    sums->images += result->type == LOOM_IMAGE;
    sums->blobs += result->blob;
    sums->payload_bytes += result->payload_bytes;
    sums->bulk_bytes += result->bulk.bytes;
}

static void note_row(verify *of, const loom_row_header *header, const loom_result *result, loom_row_kind kind) {
    bool indexed = result->row <= of->state.indexed_upto;
    uint8_t *value = loom_verify_add(of, &of->values, LOOM_PREFIX_BYTES);
    if (value != NULL) memcpy(value, result->vid.bytes, LOOM_PREFIX_BYTES);
    if (indexed) expect_entry(of, &of->keys, &header->rkey, result->row);
    if (kind != LOOM_ROW_LIVE) return;
    if (indexed && loom_row_has_vid_entry(&header->rkey, &header->vid, (loom_type)header->type))
        expect_entry(of, &of->vids, &header->vid, result->row);
    count_live(&of->sums, result);
    expect_range(of, result);
}

/* A row that a later version wrote, not one whose version or codec was damaged: its checksum tells. */
static bool is_whole(uint64_t row, const loom_tree_entry *entry, const loom_row_header *header) {
    uint64_t seed = XXH3_64bits_withSeed(entry->value, offsetof(loom_row_header, check), row);
    return XXH3_64bits_withSeed(entry->value + sizeof *header, entry->value_bytes - sizeof *header, seed) ==
           header->check;
}

static bool visit_row(const loom_tree_entry *entry, void *context) {
    row_walk *rows = context;
    verify *of = rows->of;
    loom_row_header header;
    loom_result result;
    loom_row_kind kind = LOOM_ROW_TOMBSTONE;
    loom_error why = {0};
    uint64_t row = 0;
    if (entry->key_bytes == sizeof row) memcpy(&row, entry->key, sizeof row);
    of->report->rows++;
    if (of->sums.next_row <= row) of->sums.next_row = row + 1;
    loom_status status = LOOM_CORRUPT;
    if (row != 0 && loom_row_peek(entry->value, entry->value_bytes, &header))
        status = loom_verify_decode(of, row, entry->value, entry->value_bytes, &result, &kind, &why);
    if (status == LOOM_NEWER_STORE && is_whole(row, entry, &header)) {
        rows->status = status; /* only that version can tell what is sound */
        if (rows->err != NULL) *rows->err = why;
        return false;
    }
    if (status != LOOM_OK) {
        if (!of->exhausted) note_bad_row(of, row, &why);
    } else if (kind == LOOM_ROW_LIVE && !check_value(of, &result)) {
        note_bad_row(of, row, &why);
    } else {
        note_row(of, &header, &result, kind);
    }
    if (of->report->rows % PROGRESS_ROWS == 0)
        rows->status = loom_verify_tell(of, "index", of->report->rows, rows->total, rows->err);
    return rows->status == LOOM_OK && !of->exhausted;
}

/* ---- small tables ---- */

static bool visit_deleted(const loom_tree_entry *entry, void *context) {
    verify *of = context;
    loom_placement place = {0};
    if (entry->value_bytes == sizeof place) memcpy(&place, entry->value, sizeof place);
    if (!loom_index_range_is_plausible(place.offset, place.bytes)) {
        loom_verify_note(of, LOOM_FINDING_ENTRY, VERIFY_REBUILD, "an entry of deleted ranges that names none");
        of->dirty = true;
        return true;
    }
    verify_span *span = loom_verify_add(of, &of->spans, sizeof *span);
    if (span != NULL)
        *span = (verify_span){.extent = place.extent,
                              .owner = VERIFY_DELETED,
                              .page = place.offset / LOOM_PAGE_BYTES,
                              .end = (place.offset + place.bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES};
    return span != NULL;
}

static bool visit_free(const loom_tree_entry *entry, void *context) {
    verify *of = context;
    loom_lent range;
    MDB_val key = {entry->key_bytes, (void *)(uintptr_t)entry->key};
    MDB_val value = {entry->value_bytes, (void *)(uintptr_t)entry->value};
    if (!loom_index_read_free(&key, &value, &range)) {
        loom_verify_note(of, LOOM_FINDING_ENTRY, VERIFY_REBUILD, "an entry of free ranges that names none");
        of->dirty = true;
        return true;
    }
    verify_span *span = loom_verify_add(of, &of->spans, sizeof *span);
    if (span != NULL)
        *span = (verify_span){
            .extent = range.extent, .owner = VERIFY_FREE, .page = range.page, .end = range.page + range.pages};
    return span != NULL;
}

static bool visit_extent(const loom_tree_entry *entry, void *context) {
    verify *of = context;
    uint32_t number;
    if (entry->key_bytes != sizeof number || entry->value_bytes != sizeof(loom_space_record)) {
        loom_verify_note(of, LOOM_FINDING_ENTRY, VERIFY_REBUILD, "an entry of extent files that names none");
        of->dirty = true;
        return true;
    }
    verify_file *file = loom_verify_add(of, &of->files, sizeof *file);
    if (file == NULL) return false;
    memcpy(&file->number, entry->key, sizeof number);
    memcpy(&file->record, entry->value, sizeof file->record);
    file->recorded = true;
    return true;
}

static bool visit_meta(const loom_tree_entry *entry, void *context) {
    verify *of = context;
    if (entry->key_bytes != 7 || memcmp(entry->key, "s:state", 7) != 0) return true;
    of->has_state = entry->value_bytes == sizeof of->state;
    if (of->has_state) memcpy(&of->state, entry->value, sizeof of->state);
    return true;
}

/* pins, goals and runs begin with a time and a key. */
static bool visit_note(const loom_tree_entry *entry, void *context) {
    verify *of = context;
    of->sums.pins++;
    if (entry->value_bytes < sizeof(loom_note_record))
        loom_verify_note(of, LOOM_FINDING_ENTRY, VERIFY_NOTHING, "a pin, goal or run that cannot be read");
    return true;
}

static bool visit_file(const loom_tree_entry *entry, void *context) {
    verify *of = context;
    size_t sealed = of->parts.index->cipher != NULL ? LOOM_SEAL_OVERHEAD : 0;
    if (entry->value_bytes != sizeof(loom_file_record) + sealed)
        loom_verify_note(of, LOOM_FINDING_ENTRY, VERIFY_NOTHING, "an entry of input files that cannot be read");
    return true;
}

static bool visit_nothing(const loom_tree_entry *entry, void *context) {
    (void)entry, (void)context;
    return true;
}

/* ---- the snapshot ---- */

/* A missing table is as good as an empty one only where nothing requires it. */
static loom_status walk(verify *of, loom_tree *tree, const char *table, loom_tree_visit visit, loom_error *err) {
    loom_status status = loom_tree_walk(tree, table, visit, note_damage, of, err);
    if (status != LOOM_NOT_FOUND) return status;
    loom_verify_note(of, LOOM_FINDING_TREE, VERIFY_NOTHING, "a table is missing");
    return LOOM_OK;
}

static loom_status walk_rows(verify *of, loom_tree *tree, loom_error *err) {
    row_walk rows = {.of = of, .total = of->state.live_rows, .err = err};
    of->sums.next_row = 1;
    loom_status status = loom_tree_walk(tree, "rows", visit_row, note_row_damage, &rows, err);
    if (status == LOOM_NOT_FOUND) {
        loom_verify_note(of, LOOM_FINDING_TREE, VERIFY_NOTHING, "the table of rows is missing");
        return LOOM_OK;
    }
    return status != LOOM_OK ? status : rows.status;
}

static loom_status walk_tables(verify *of, loom_tree *tree, loom_error *err) {
    LOOM_TRY(walk(of, tree, "meta", visit_meta, err)); /* first: which rows the tables should name */
    LOOM_TRY(walk(of, tree, NULL, visit_nothing, err));
    LOOM_TRY(walk_rows(of, tree, err));
    LOOM_TRY(walk(of, tree, "extents", visit_extent, err));
    LOOM_TRY(walk(of, tree, "deleted", visit_deleted, err));
    LOOM_TRY(walk(of, tree, "free", visit_free, err));
    LOOM_TRY(walk(of, tree, "pins", visit_note, err));
    uint64_t pins = of->sums.pins;
    LOOM_TRY(walk(of, tree, "goals", visit_note, err));
    LOOM_TRY(walk(of, tree, "runs", visit_note, err));
    of->sums.pins = pins;
    LOOM_TRY(walk(of, tree, "files", visit_file, err));
    LOOM_TRY(walk(of, tree, "fields", visit_nothing, err));
    loom_verify_sort(of);
    LOOM_TRY(walk(of, tree, "keys", loom_verify_key, err));
    LOOM_TRY(walk(of, tree, "vids", loom_verify_vid, err));
    loom_verify_compare_rest(of);
    return loom_tree_walk_unused(tree, note_damage, of, err);
}

/* LMDB keeps the pages of a snapshot while a transaction reads it, but its meta page is overwritten by the second
 * commit after it: the two have to be got hold of together. */
static loom_status with_snapshot(verify *of, loom_error *err) {
    loom_index *index = of->parts.index;
    mdb_filehandle_t fd;
    int code = mdb_env_get_fd(index->env, &fd);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot verify", err);
    for (unsigned attempt = 0; attempt < SNAPSHOT_TRIES; attempt++) {
        MDB_txn *txn;
        loom_tree *tree;
        code = loom_index_begin_scan(index, &txn);
        if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot verify", err);
        loom_status status = loom_tree_open(fd, mdb_txn_id(txn), &tree, err);
        if (status == LOOM_OK) {
            of->snapshot = loom_tree_txn(tree);
            status = walk_tables(of, tree, err);
            loom_tree_free(tree);
        }
        loom_index_end_scan(index, txn);
        if (status != LOOM_NOT_FOUND) return status;
    }
    return loom_fail(err, LOOM_BUSY, "the store is written to without pause; verify it when less is going on");
}

static void compare_sum(verify *of, uint64_t said, uint64_t real, const char *what) {
    if (said == real) return;
    loom_verify_note(of, LOOM_FINDING_COUNT, VERIFY_REBUILD, what);
    of->dirty = true;
}

static void compare_sums(verify *of) {
    const loom_index_state *said = &of->state, *real = &of->sums;
    if (!of->has_state && of->report->rows > 0)
        loom_verify_note(of, LOOM_FINDING_COUNT, VERIFY_REBUILD, "the record of the store's sums is missing");
    if (!of->has_state) return;
    compare_sum(of, said->live_rows, real->live_rows, "the number of results is wrong");
    compare_sum(of, said->images, real->images, "the number of images is wrong");
    compare_sum(of, said->blobs, real->blobs, "the number of blobs is wrong");
    compare_sum(of, said->payload_bytes, real->payload_bytes, "the sum of inline bytes is wrong");
    compare_sum(of, said->bulk_bytes, real->bulk_bytes, "the sum of bulk bytes is wrong");
    compare_sum(of, said->pins, real->pins, "the number of pins is wrong");
    if (said->next_row < real->next_row) compare_sum(of, 0, 1, "the next row's number is taken");
}

static bool note_field(uint64_t row, bool missing, void *context) {
    verify *of = context;
    verify_note *note =
        loom_verify_note(of, LOOM_FINDING_ENTRY, VERIFY_REBUILD,
                         missing ? "a record that the index of fields does not have" : "a field of no record");
    if (note != NULL) note->row = row;
    of->dirty = true;
    return note != NULL;
}

bool loom_verify_has_tree_damage(const verify *of) {
    const verify_note *notes = (const verify_note *)(const void *)of->notes.items;
    for (size_t i = 0; i < of->notes.count; i++)
        if (notes[i].kind == LOOM_FINDING_TREE) return true;
    return false;
}

loom_status loom_verify_index(verify *of, loom_error *err) {
    LOOM_TRY(with_snapshot(of, err));
    compare_sums(of);
    if (loom_verify_has_tree_damage(of)) return LOOM_OK; /* the next goes through LMDB */
    return loom_index_check_fields(of->parts.index, note_field, of, err);
}
