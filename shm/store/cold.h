/* cold.h - compression = "cold": results that were not used for a while are compressed where they lie, a few at a time,
 * by gc and by a thread of the coordinator. What is read again is made mappable again (loom_store_materialise). */
#ifndef LOOM_SHM_STORE_COLD_H
#define LOOM_SHM_STORE_COLD_H

#include "shm/store/storage.h"

typedef struct loom_cold_report {
    uint64_t looked_at;   /* rows */
    uint64_t compressed;  /* results */
    uint64_t vain;        /* results that zstd does not make smaller by an eighth; not tried again */
    uint64_t damaged;     /* results whose bytes do not match their hashes: left for verify */
    uint64_t saved_bytes; /* of disk space, once the old ranges are recycled */
    bool finished;        /* nothing cold was left behind */
} loom_cold_report;

/* Compresses results that were not used for the store's `cold_after_s`, coldest rows first by number, until about
 * `limit_bytes` raw bytes were read; each in a batch of its own, so that a crash or a cancel loses one at most. Cheap
 * when there is nothing to do: one pass over the row headers, and none at all for a minute after a pass that finished,
 * unless `thorough`. `progress` (may be NULL) is asked before every MiB. Nothing happens, and *report is finished, when
 * the store's compression is off (unless `thorough`), or it is in memory. LOOM_DENIED when the store is read-only;
 * LOOM_CANCELLED; LOOM_NO_SPACE. Not from a thread that has a batch open. */
loom_status loom_store_compress_cold(loom_store *store, uint64_t limit_bytes, bool thorough, unsigned threads,
                                     loom_store_progress progress, void *context, loom_cold_report *report,
                                     loom_error *err);

#endif
