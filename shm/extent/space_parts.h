/* space_parts.h - the object behind space.h, for the files that implement it: opening, budget and lending (space.c),
 * reclaiming and sweeping (space_reclaim.c), eviction (evict.c), ballast (space_ballast.c). */
#ifndef LOOM_SHM_SPACE_PARTS_H
#define LOOM_SHM_SPACE_PARTS_H

#include <pthread.h>

#include "shm/extent/extent_file.h"
#include "shm/extent/space.h"

struct loom_space {
    loom_space_options options;
    loom_control_space *shared; /* NULL in a quiet reader, who never writes */
    /* Held while a transaction for space is begun and run. Never taken by a thread that has a batch open: it would wait
     * for a thread that waits for it. */
    pthread_mutex_t lock;
    /* The last request that what is free could not meet, and loom_control_space.free_changes then. */
    _Atomic uint64_t vain_pages, vain_changes;
    _Atomic uint64_t deleted_kept; /* after the last upkeep: what others hold */
    _Atomic uint64_t upkeep_ns;    /* when it was in vain, or might have been; CLOCK_MONOTONIC */
};

/* Takes the lock. LOOM_BUSY when this thread has a batch open; LOOM_DENIED when the store may not be written. */
loom_status loom_space_enter(loom_space *space, loom_error *err);
void loom_space_leave(loom_space *space);

/* Under the lock. As loom_space_reclaim; `take_back`: lent ranges go back to the index first. */
loom_status loom_space_reclaim_locked(loom_space *space, uint64_t keep_bytes, bool take_back, loom_error *err);
/* The process is alone. */
loom_status loom_space_sweep_locked(loom_space *space, uint64_t *found, loom_error *err);
loom_status loom_space_evict_locked(loom_space *space, uint64_t bytes, bool dry_run, loom_evicted *evicted,
                                    loom_error *err);
/* Brings the hints in control up to date. */
void loom_space_refresh(loom_space *space);
/* Enters ranges that are lent or were given back; an entry that cannot be written is unowned. */
loom_status loom_space_return_lent(loom_space *space, loom_index_batch *batch, loom_error *err);

/* The ballast, made if it is missing and the disk has room for it and as much again. */
void loom_space_make_ballast(loom_space *space);

#endif
