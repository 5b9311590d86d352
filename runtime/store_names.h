/* store_names.h - what people call results: for the command line and for host programs. */
#ifndef LOOM_RUNTIME_STORE_NAMES_H
#define LOOM_RUNTIME_STORE_NAMES_H

#include "shm/store/storage.h"

/* What a person calls a result: digits of an id, "goal:LABEL" (of the newest run that has it), or "key:NAME" (put by
 * name). LOOM_NOT_FOUND with the remedy, LOOM_BAD_USAGE. */
loom_status loom_store_resolve(loom_store *store, const char *text, loom_arena *arena, loom_result *result,
                               loom_error *err);
/* The key that a word names, stored or not: "goal:LABEL", "key:NAME", 64 digits, or digits of a stored result. */
loom_status loom_store_resolve_key(loom_store *store, const char *text, loom_arena *arena, loom_id *rkey,
                                   loom_error *err);
#endif
