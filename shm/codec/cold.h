/* cold.h - compression = "cold": results that were not used for a while are compressed, a few at a time, by gc and by a
 * thread of the coordinator. What is read again is made mappable again (loom_store_materialise). */
#ifndef LOOM_SHM_STORE_COLD_H
#define LOOM_SHM_STORE_COLD_H

#include "shm/store/storage.h"

typedef struct loom_cold_options {
    uint64_t limit_bytes;         /* stop after reading about so much; 0 = no limit */
    bool thorough;                /* gc: from the first row, whenever it was last done */
    unsigned threads;             /* >= 1 */
    bool idle;                    /* compress only when nobody else wants the core; commits do not wait for that */
    loom_store_progress progress; /* may be NULL; asked before every MiB; false: LOOM_CANCELLED */
    void *context;
} loom_cold_options;

typedef struct loom_cold_report {
    uint64_t compressed;  /* results */
    uint64_t vain;        /* results that zstd does not make smaller by an eighth; not tried again at this level */
    uint64_t damaged;     /* results whose bytes do not match their hashes: left for verify */
    uint64_t read_bytes;  /* raw */
    uint64_t saved_bytes; /* of disk space, once the old ranges are recycled */
    bool no_space;        /* stopped: no room for a second copy without evicting something */
    bool finished;        /* nothing cold was left behind */
} loom_cold_report;

/* Compresses results that were not used for the store's `cold_after_s`, in order of row number, going on where the
 * last call on this handle stopped. Each is replaced by a batch of its own: a crash or a cancel loses one at most, and
 * readers keep the bytes that they hold. Cheap when there is nothing to do: one pass over the rows' headers, and
 * nothing at all for a minute after a pass that finished. Nothing happens, and the report says finished, when
 * `compression` is "off", in memory, or while another process does the same. LOOM_DENIED when the store is read-only;
 * LOOM_UNSUPPORTED without a compressor. Not from a thread that has a batch open. One thread at a time per handle. */
loom_status loom_store_compress_cold(loom_store *store, const loom_cold_options *options, loom_cold_report *report,
                                     loom_error *err);

#endif
