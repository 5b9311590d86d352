/* index_space.h - who owns which pages of the extent files, inside one transaction: the tables `extents`, `deleted` and
 * `free` (shm/SCHEMA.md, "Extents"). What is done with them, and when, is in space.h.
 *
 * Of every file, in pages:  tail = 1 (header) + live + deleted + free + lent or unowned. */
#ifndef LOOM_SHM_INDEX_SPACE_H
#define LOOM_SHM_INDEX_SPACE_H

#include "shm/control/control.h"
#include "shm/index/index_batch.h"

/* extents, value: in pages. */
typedef struct loom_space_record {
    uint64_t tail; /* nothing that was committed lies at or behind it */
    uint64_t live, deleted, free;
} loom_space_record;
_Static_assert(sizeof(loom_space_record) == 32, "the extent record is a disk format: see shm/SCHEMA.md");

/* free, value; the key is u32 extent, u64 offset, both big-endian. */
typedef struct loom_free_record {
    uint64_t bytes;
    uint32_t flags;
    uint32_t reserved; /* 0 */
} loom_free_record;
_Static_assert(sizeof(loom_free_record) == 16, "the free record is a disk format: see shm/SCHEMA.md");
#define LOOM_FREE_PUNCHED 1u /* not allocated, nor counted in the budget */
#define LOOM_FREE_KEY_BYTES 12u

/* meta, "s:space". */
typedef struct loom_space_state {
    uint64_t punched_pages; /* of the free ones */
    uint64_t reserved[3];
} loom_space_state;
_Static_assert(sizeof(loom_space_state) == 32, "the state of space is a disk format: see shm/SCHEMA.md");
#define LOOM_SPACE_KEY "s:space"

/* Whether a range can be one of ours: whole pages behind the header, no further than files can be. */
bool loom_index_range_is_plausible(uint64_t offset, uint64_t bytes);
/* An entry of `free`; false when it cannot be one of ours. */
bool loom_index_read_free(const MDB_val *key, const MDB_val *value, loom_lent *range);

/* Sums over all files. In bytes. */
typedef struct loom_space_sums {
    uint64_t header_bytes, live_bytes, deleted_bytes, free_bytes;
    uint64_t punched_bytes; /* of free_bytes */
    uint64_t other_bytes;   /* below a tail and none of these: lent or unowned */
} loom_space_sums;
loom_status loom_index_space_sums(loom_index *index, loom_space_sums *sums, loom_error *err);
/* As loom_committed_tail; 0 when no row ever lay in the file. LOOM_BAD_STORE. */
loom_status loom_index_committed_tail(loom_index *index, uint32_t number, uint64_t *tail, loom_error *err);
/* The last entry of `deleted` in what is committed now; 0 = none. */
loom_status loom_index_last_deleted(loom_index *index, uint64_t *sequence, loom_error *err);

/* ---- in a batch; LMDB's writer lock is held ---- */

/* Moves at most `count_max` entries of `deleted`, numbers `from` to *upto, to `free`, except those that are pinned, and
 * says in *upto how far it came and in *moved how many bytes. Entries that cannot be ours are dropped. */
loom_status loom_index_free_deleted(loom_index_batch *batch, const loom_pins *pins, uint64_t from, uint64_t *upto,
                                    uint64_t count_max, uint64_t *moved, loom_error *err);
/* Enters a range that nobody owns, joined with its neighbours. */
loom_status loom_index_add_free(loom_index_batch *batch, const loom_lent *range, loom_error *err);
/* Takes ranges out of `free`: first the smallest of at least `pages` that a bounded search finds (not more than
 * `pages_max` of it, if that is more), then others that are as long. *count = 0 when there is none. */
loom_status loom_index_take_free(loom_index_batch *batch, uint64_t pages, uint64_t pages_max, loom_lent *ranges,
                                 size_t capacity, size_t *count, loom_error *err);
/* Calls `punch` for unpunched ranges, last first, until at most `keep_bytes` of them are left; *punched: bytes. */
loom_status loom_index_punch_free(loom_index_batch *batch, uint64_t keep_bytes, loom_punch punch, void *context,
                                  uint64_t *punched, loom_error *err);
/* The free range at the end of a file leaves the table, and the tail falls to its beginning. *tail is the new one, in
 * bytes; *unpunched what was counted as allocated. LOOM_NOT_FOUND: the last page is not free. */
loom_status loom_index_cut_tail(loom_index_batch *batch, uint32_t number, uint64_t *tail, uint64_t *unpunched,
                                loom_error *err);
/* As loom_index_committed_tail, in this transaction. */
loom_status loom_index_batch_tail(loom_index_batch *batch, uint32_t number, uint64_t *tail, loom_error *err);
/* The file numbers with a record, ascending; the caller frees. */
loom_status loom_index_extent_numbers(loom_index_batch *batch, uint32_t **numbers, size_t *count, loom_error *err);

/* ---- shared by the files that implement this ---- */

uint64_t loom_index_pages_of(uint64_t bytes);
/* What this batch changes about a file; NULL: out of memory. */
loom_extent_change *loom_index_change_of(loom_index_batch *batch, uint32_t number);
/* A sum that would fall below nothing was wrong before: verification finds that, here it must not wrap. */
uint64_t loom_index_add_signed(uint64_t sum, int64_t change);
loom_status loom_index_read_record(loom_index_batch *batch, uint32_t number, loom_space_record *record,
                                   loom_error *err);
loom_status loom_index_write_record(loom_index_batch *batch, uint32_t number, const loom_space_record *record,
                                    loom_error *err);
/* Adds an entry of `extents` to the loom_space_sums that `context` is. */
bool loom_index_add_record(const MDB_val *key, const MDB_val *value, void *context);

/* For the next function: sets the count of punched pages; LMDB's code. */
int loom_index_set_punched(loom_index_batch *batch, uint64_t pages);
/* Writes `extents` anew from rows, `deleted` and `free`, and drops entries of these two that overlap a row's range or
 * cannot be ours. What is then below a tail and nobody's is entered in `free` as punched, after `punch` (NULL: it stays
 * as it is). For a process that is alone. `tail_unit`: 1 when the table's tails are bytes (format 1), else
 * LOOM_PAGE_BYTES. *found: bytes entered. */
loom_status loom_index_rebuild_space(loom_index_batch *batch, uint64_t tail_unit, loom_punch punch, void *context,
                                     uint64_t *found, loom_error *err);

#endif
