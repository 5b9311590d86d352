/* keep.h - the values of a run's goals, for a caller that reads them after the run. */
#ifndef LOOM_RUNTIME_KEEP_H
#define LOOM_RUNTIME_KEEP_H

#include "planner/plan.h"
#include "shm/store/storage.h"

typedef struct loom_kept_goal {
    bool met;         /* the value is there */
    loom_value value; /* in the arena; an image's voxels are in `view` */
    loom_view view;   /* holds the bytes of an image */
    loom_id rkey;     /* zero for constants */
    loom_id vid;
} loom_kept_goal;

/* Zero-initialise; release with loom_kept_release. The store stays open, because views and items of sequences live
 * there. */
typedef struct loom_kept {
    loom_store *store;
    loom_arena *arena;
    loom_kept_goal *goals; /* one for each of the plan, in its order */
    size_t count;
} loom_kept;

/* Any thread, once nobody uses a view or a value any more. */
void loom_kept_release(loom_kept *kept);

#endif
