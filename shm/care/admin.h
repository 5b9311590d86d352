/* admin.h - looking after a store: checking every byte, giving space back, and what follows from an input or operator.
 */
#ifndef LOOM_SHM_STORE_ADMIN_H
#define LOOM_SHM_STORE_ADMIN_H

#include "shm/store/storage.h"

/* ---- verify ---- */

typedef enum loom_finding_kind {
    LOOM_FINDING_ROW,       /* a row that cannot be decoded, or with a wrong checksum */
    LOOM_FINDING_BLOCK,     /* bulk bytes that do not match their hash */
    LOOM_FINDING_PLACE,     /* bulk bytes outside their file, or in a file that is missing */
    LOOM_FINDING_OVERLAP,   /* two owners of one page */
    LOOM_FINDING_REFERENCE, /* an item of a sequence that is not stored */
    LOOM_FINDING_ENTRY,     /* a table entry that names no row, or a row that no entry names */
    LOOM_FINDING_COUNT,     /* sums in the index that do not add up */
    LOOM_FINDING_TREE       /* index pages that LMDB cannot walk */
} loom_finding_kind;

typedef struct loom_finding {
    loom_finding_kind kind;
    loom_id rkey;      /* zero if unknown */
    uint64_t row;      /* 0 if none */
    loom_placement at; /* bytes = 0 if none; of the first bad block */
    uint64_t blocks;   /* that are bad */
    bool repaired;
    char text[256]; /* one line */
} loom_finding;
typedef void (*loom_finding_visit)(const loom_finding *finding, void *context);

typedef struct loom_verify_report {
    uint64_t rows, blocks, bytes; /* looked at */
    uint64_t findings, bad_blocks;
    uint64_t repaired; /* results marked for recomputation (tombstones: trace and recipe stay) */
    uint64_t live_bytes, free_bytes, deleted_bytes, unowned_bytes, header_bytes; /* in pages: sum to file sizes */
} loom_verify_report;

typedef struct loom_verify_options {
    bool repair;
    bool index_only; /* not the bulk bytes */
    unsigned threads;
    loom_finding_visit found;
    loom_store_progress progress;
    void *context; /* of both */
} loom_verify_options;

/* Checks every row, checksum, block, reference, table entry and page. The index's pages are read without LMDB, which
 * ends a process that meets some damaged ones; those are repaired by loom_store_salvage. Repair isolates what is broken
 * and loses nothing that is good; it needs the store to itself (LOOM_BUSY). LOOM_OK with findings is not an error: look
 * at the report. */
loom_status loom_store_verify_all(loom_store *store, const loom_verify_options *options, loom_verify_report *report,
                                  loom_error *err);

/* Before a store is opened: walks the pages of its index, where damage could end the process that opens it. With
 * `repair` a damaged index is written anew from every row that can be read, also from pages that a damaged branch cuts
 * off, and from the other tables; the damaged file stays as index/damaged.mdb. Then open the store and verify it with
 * repair. *damages: findings (LOOM_FINDING_TREE). LOOM_BUSY unless nobody has the store open, this process included. */
loom_status loom_store_salvage(const char *path, bool repair, loom_finding_visit found, void *context,
                               uint64_t *damages, bool *rebuilt, loom_error *err);

/* ---- gc ---- */

typedef struct loom_gc_options {
    bool dry_run;
    uint64_t older_than_s; /* also what was not used for so long; 0 = not asked */
    uint64_t keep_goals;   /* keep only what the last N runs' goals are derived from; UINT64_MAX = not asked */
    loom_store_progress progress;
    void *context;
} loom_gc_options;

typedef struct loom_gc_report {
    uint64_t expired_rows, expired_bytes;
    uint64_t old_rows, old_bytes;                     /* by older_than_s or keep_goals */
    uint64_t evicted_rows, evicted_bytes;             /* to get below the budget */
    uint64_t pinned_rows, held_rows;                  /* that would have gone */
    uint64_t unowned_bytes;                           /* left by dead processes; returned if nobody else is attached */
    bool unowned_kept;                                /* others are attached: run gc again when they have ended */
    uint64_t compressed_rows, compressed_saved_bytes; /* 0 in a dry run: only compressing tells */
    uint64_t freed_bytes;                             /* of disk space, as the file system counts it */
} loom_gc_report;

loom_status loom_store_gc(loom_store *store, const loom_gc_options *options, loom_gc_report *report, loom_error *err);

/* ---- lineage: by recipes ---- */

typedef struct loom_origin {
    const char *op;    /* an operator, "ReadImage" or "simpleitk.ReadImage"; or NULL */
    const char *input; /* an input file, by path or by what it holds; or NULL */
} loom_origin;
/* Every live result computed by `op` or from `input`, and everything derived from those, argument first. LOOM_NOT_FOUND
 * if nothing in the store names it. */
loom_status loom_store_derived(loom_store *store, const loom_origin *origin, loom_store_visit visit, void *context,
                               loom_error *err);
/* Deletes them, trace included, so that they are computed again from nothing. */
loom_status loom_store_invalidate(loom_store *store, const loom_origin *origin, uint64_t *rows, uint64_t *bytes,
                                  loom_error *err);

/* ---- evolution ---- */

/* Brings an older store to this format: every step one transaction. *from is the format found. LOOM_BUSY unless alone.
 */
loom_status loom_store_upgrade(const char *path, const loom_key *key, loom_store_progress progress, void *context,
                               uint32_t *from, loom_error *err);
/* Wraps the master key under another user key; no result is rewritten. */
loom_status loom_store_rekey(const char *path, const loom_key *old_key, const loom_key *new_key, loom_error *err);

#endif
