/* gc_keep.h - what gc --keep-goals keeps: the goals of the last runs and all that they are derived from. */
#ifndef LOOM_SHM_STORE_GC_KEEP_H
#define LOOM_SHM_STORE_GC_KEEP_H

#include "shm/store/store.h"

/* A set of keys. */
typedef struct loom_key_set {
    loom_id *ids; /* open addressing; zero: empty */
    size_t capacity, count;
} loom_key_set;
bool loom_key_set_add(loom_key_set *set, const loom_id *id, bool *fresh); /* false: out of memory */
bool loom_key_set_has(const loom_key_set *set, const loom_id *id);
void loom_key_set_free(loom_key_set *set);

/* Adds every pinned key. */
loom_status loom_gc_pinned(loom_store *store, loom_key_set *set, loom_error *err);
/* Adds the goals of runs above `last_run` - `keep`, and what recipes and sequences say they are made of. */
loom_status loom_gc_closure(loom_store *store, uint64_t last_run, uint64_t keep, loom_key_set *set, loom_error *err);

#endif
