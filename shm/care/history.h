/* history.h - what a store knows of results: of those that it has, and of those that it had. */
#ifndef LOOM_SHM_STORE_HISTORY_H
#define LOOM_SHM_STORE_HISTORY_H

#include "shm/store/storage.h"

typedef enum loom_past {
    LOOM_PAST_STORED,
    LOOM_PAST_EXPIRED, /* its time has come: it counts as absent */
    LOOM_PAST_GONE     /* evicted or removed; key, value id and recipe are remembered */
} loom_past;
typedef bool (*loom_past_visit)(const loom_result *result, loom_past past, void *context);
/* Every result that the store has or remembers, in order of row number, until the visit returns false. Counts as no
 * use. The result is valid during the call. */
loom_status loom_store_each_past(loom_store *store, loom_past_visit visit, void *context, loom_error *err);
/* One of them; LOOM_NOT_FOUND leaves err alone. */
loom_status loom_store_find_past(loom_store *store, const loom_id *rkey, loom_arena *arena, loom_result *result,
                                 loom_past *past, loom_error *err);

#endif
