/* space.h - the disk space of one store, as one process takes part in it: the budget, reclaiming what was deleted,
 * lending free ranges to writers, evicting, sweeping. The life of a range: shm/SCHEMA.md, "Extents".
 *
 * One object per opened folder and process (store_disk_open.c). Thread-safe. Calls that write begin a transaction of
 * their own, so they wait for other writers; in a thread that has a batch open they do nothing and say LOOM_BUSY. */
#ifndef LOOM_SHM_SPACE_H
#define LOOM_SHM_SPACE_H

#include "shm/control/control.h"
#include "shm/index/index_space.h"

typedef struct loom_space loom_space;

typedef struct loom_space_options {
    const char *path; /* for messages; as what follows, it must outlive the space */
    loom_control *control;
    loom_index *index;
    loom_extents *extents;
    int folder_fd; /* STORE */
    bool alone;    /* nobody else is attached, and the gate is held */
    bool writable;
    bool opener; /* not a worker: what follows holds from now on, for all processes */
    uint64_t budget_bytes, reuse_bytes, ballast_bytes;
    loom_eviction eviction;
} loom_space_options;

/* Inside the gate, when the index and the extent files are open. Alone and writable: makes everything deleted free,
 * cuts the files to their committed tails, counts what is allocated. From then on writers of `extents` take part. */
loom_status loom_space_open(const loom_space_options *options, loom_space **space, loom_error *err);
/* Another handle of this process, with other limits. */
void loom_space_set_limits(loom_space *space, uint64_t budget_bytes, uint64_t reuse_bytes, loom_eviction eviction);
/* Before the extents, the index and control are closed; all writers must be. Ranges that are lent and not taken go back
 * to the index unless another opener is there, who may use them. NULL is accepted. */
void loom_space_close(loom_space *space);

typedef struct loom_space_usage {
    uint64_t budget_bytes;  /* 0 = none */
    uint64_t extent_bytes;  /* allocated, as counted */
    uint64_t index_bytes;   /* used = extent_bytes + index_bytes */
    uint64_t live_bytes;    /* in whole pages, as those that follow */
    uint64_t free_bytes;    /* lent ones included */
    uint64_t punched_bytes; /* of free_bytes: not allocated */
    uint64_t deleted_bytes; /* given up; still held, or not yet durable */
    uint64_t unowned_bytes; /* reserved by living writers, or left by dead ones */
    uint64_t header_bytes;  /* the first pages of files */
} loom_space_usage;
loom_status loom_space_usage_of(loom_space *space, loom_space_usage *usage, loom_error *err);

/* ---- giving space back: gc and writers that are short of it ---- */

/* Makes the deletions durable, then makes free what nobody holds. Free space beyond `keep_bytes` is punched, free ends
 * of files are cut off. Does nothing behind a barrier. */
loom_status loom_space_reclaim(loom_space *space, uint64_t keep_bytes, loom_error *err);
/* The store's own choice of `keep_bytes`. */
uint64_t loom_space_reuse_bytes(const loom_space *space);

/* Finds what no table owns by a scan of all rows, and makes it free. Only when no other process is attached and no
 * writer of this one is open, and with nothing sealed that is not committed: *kept says that others are, and that
 * nothing was done. *found: bytes. Also writes the sums anew, and recounts. */
loom_status loom_space_sweep(loom_space *space, uint64_t *found, bool *kept, loom_error *err);
/* Counts what the file system has allocated. Exact only while nobody allocates: call it alone. */
loom_status loom_space_recount(loom_space *space, loom_error *err);

typedef struct loom_evicted {
    uint64_t expired_rows, expired_bytes; /* whose time had come */
    uint64_t rows, bytes;                 /* others */
    uint64_t pinned_rows, held_rows;      /* that would have gone, but an owner pins them, or a process uses them */
    uint64_t lost_rows; /* chosen, but gone, replaced or pinned meanwhile: another process was faster */
} loom_evicted;
/* Turns results into tombstones until their bulk bytes come to `bytes` or none is left: first those that have expired,
 * then in the store's order. Never one that is pinned or held. `dry_run` only counts. The space is free after the next
 * reclaim. The counts are added to *evicted. */
loom_status loom_space_evict(loom_space *space, uint64_t bytes, bool dry_run, loom_evicted *evicted, loom_error *err);
/* A dry run after other rows went in thought: `skip` says which. */
typedef bool (*loom_space_skip)(uint64_t row, void *context);
loom_status loom_space_evict_dry(loom_space *space, uint64_t bytes, loom_space_skip skip, void *context,
                                 loom_evicted *evicted, loom_error *err);
/* How many bytes must go so that `more` fit into the budget; 0 when they do. */
uint64_t loom_space_over(loom_space *space, uint64_t more);

/* After a commit: reclaims when much was deleted, and evicts a little ahead of need, so that writers seldom wait. */
void loom_space_upkeep(loom_space *space);

/* ---- a full disk: a file whose space is given to the index when nothing else is left ---- */

/* Before rows are deleted: gives the ballast up if the disk is nearly full. */
void loom_space_before_delete(loom_space *space);
/* Gives it up now; true if there was any: try again. */
bool loom_space_drop_ballast(loom_space *space);

/* ---- writers (extent_writer.c) ---- */

/* Takes a range of exactly `pages` that nobody owns: from the list, else by lending. */
bool loom_space_borrow(loom_space *space, uint64_t pages, loom_lent *range);
/* The range is nobody's again. Its bytes need not be zero. */
void loom_space_give_back(loom_space *space, const loom_lent *range);
/* Counts what is about to be allocated; false when the budget does not allow it. */
bool loom_space_charge(loom_space *space, uint64_t bytes);
/* Counts what is allocated already, a header page. */
void loom_space_count(loom_space *space, uint64_t bytes);
void loom_space_uncharge(loom_space *space, uint64_t bytes);
/* Reclaims, punches, evicts, until `bytes` more may be charged (or borrowed, unless `at_tail`). `disk_full`: the disk
 * refused, not the budget. LOOM_NO_SPACE says what is in the way. */
loom_status loom_space_make_room(loom_space *space, uint64_t bytes, bool at_tail, bool disk_full, loom_error *err);

/* In a batch, of a row that was chosen before it began: the row becomes a tombstone, unless it is live no more, or an
 * owner pins its result, or (expired_by_ns not 0) its time has been put off beyond that. *gone says whether. */
loom_status loom_space_delete_row(loom_index_batch *batch, uint64_t row, uint64_t expired_by_ns, loom_arena *arena,
                                  bool *gone, loom_error *err);

#endif
