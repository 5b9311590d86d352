/* index_batch.h - one write transaction on the index, as its own files see it: rows and commit (index_batch.c), the
 * tail (index_flush.c), space in extents (index_space.c), record fields (index_fields.c), pins and goals
 * (index_pins.c). */
#ifndef LOOM_SHM_INDEX_BATCH_H
#define LOOM_SHM_INDEX_BATCH_H

#include "shm/index/index_lmdb.h"

/* What a batch changes about one extent file. */
typedef struct loom_extent_change {
    uint32_t number;
    bool written;  /* the batch names new bytes in it */
    uint64_t tail; /* in pages, as all of these */
    int64_t live, deleted, free;
} loom_extent_change;

/* An entry of `deleted` that the batch has made. */
typedef struct loom_disowned {
    loom_placement range;
    uint64_t number;
} loom_disowned;

struct loom_index_batch {
    loom_index *index;
    loom_durability durability;
    MDB_txn *txn;
    MDB_cursor *rows;
    MDB_cursor *by[2]; /* on keys and vids */
    loom_index_state state;
    uint64_t first_row;
    bool changed;
    bool replaced; /* bytes that were stored before lie elsewhere now */
    int failed;    /* LMDB's code of the first failure; the batch can then only be ended */
    loom_tail tails[2];
    loom_extent_change *extents;
    size_t extent_count, extent_capacity;
    loom_disowned *disowned;
    size_t disowned_count, disowned_capacity;
    uint8_t *scratch; /* aligned copy of a stored row */
    size_t scratch_capacity;
    struct loom_field_source *fields; /* made when the first record comes */
};

/* Notes LMDB's code: the batch can then only be ended. Returns the error. */
loom_status loom_batch_fail(loom_index_batch *batch, int code, const char *doing, loom_error *err);
loom_status loom_batch_no_memory(loom_index_batch *batch, loom_error *err);

/* Whether an owner pins the result of `rkey`: it is never evicted. */
loom_status loom_index_is_pinned(loom_index_batch *batch, const loom_id *rkey, bool *pinned, loom_error *err);
/* As loom_index_put_raw: LOOM_NOT_FOUND when there is no such key. */
loom_status loom_index_delete_raw(loom_index_batch *batch, MDB_dbi table, const void *key, size_t key_bytes,
                                  loom_error *err);
loom_status loom_batch_check_usable(loom_index_batch *batch, loom_error *err);

/* The live row of a key that has not expired, as this transaction sees it; valid until the next call on the batch. */
loom_status loom_index_current(loom_index_batch *batch, const loom_id *rkey, loom_result *stored, loom_error *err);

/* ---- index_readers.c ---- */
/* Notes when this commit was made, at most once a second. */
loom_status loom_index_note_commit(loom_index_batch *batch, loom_error *err);

/* ---- index_flush.c ---- */
bool loom_index_tail_is_long(const loom_index_state *state);
/* Moves the tail, with the rows of this batch, into keys and vids. */
loom_status loom_index_move_tail(loom_index_batch *batch, loom_error *err);

/* ---- index_fields.c ---- */
/* The entries of a live row in the table of fields, if it is a record or dataset: in the transaction that makes the row
 * live, and in the one that ends it, while its bulk bytes can still be read. */
loom_status loom_index_put_fields(loom_index_batch *batch, const loom_result *result, uint64_t row, loom_error *err);
loom_status loom_index_delete_fields(loom_index_batch *batch, const loom_result *result, uint64_t row, loom_error *err);
/* Empties the table and enters every live row anew: for migration and repair. */
loom_status loom_index_rebuild_fields(loom_index_batch *batch, loom_error *err);

/* ---- index_space.c ---- */
/* A row of this batch owns the range, also if the batch gave it up before: what was refused may be put again once the
 * row that was in the way is deleted. */
loom_status loom_index_own_range(loom_index_batch *batch, const loom_placement *bulk, loom_error *err);
/* No row owns the range any more. One that came with a result (was_live false) may be given up twice in a batch. */
loom_status loom_index_disown_range(loom_index_batch *batch, const loom_placement *bulk, bool was_live,
                                    loom_error *err);
loom_status loom_index_write_extents(loom_index_batch *batch, loom_error *err);
/* The batch answers for bytes in this file: they are synced before it commits, if its durability is strict. */
loom_status loom_index_note_written(loom_index_batch *batch, uint32_t extent, loom_error *err);
/* With durability strict: syncs the files that the batch names new bytes in. */
loom_status loom_index_sync_bulk(const loom_index_batch *batch, loom_extents *extents, loom_error *err);

#endif
