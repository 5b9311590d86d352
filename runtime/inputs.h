/* inputs.h - input files and their identity: stat fields that memoise a content hash, and the hash itself. */
#ifndef LOOM_RUNTIME_INPUTS_H
#define LOOM_RUNTIME_INPUTS_H

#include "planner/key.h"
#include "runtime/kernels/kernel.h"
#include "shm/id.h"
#include "shm/store/storage.h"

/* The stat fields of a file or folder. LOOM_NOT_FOUND, LOOM_DENIED, LOOM_IO: the message names the path. */
loom_status loom_file_stamp_of(const char *path, loom_file_stamp *stamp, loom_error *err);
bool loom_file_stamp_equal(const loom_file_stamp *a, const loom_file_stamp *b);
/* False while the file changed less than two seconds ago: a later write might leave the same stat fields, so its hash
 * is not memoised. */
bool loom_file_stamp_is_old(const loom_file_stamp *stamp);

/* The memoised content hash, without reading the file; LOOM_NOT_FOUND if there is none. */
loom_status loom_file_known_hash(loom_store *store, const char *path, loom_id *content, loom_error *err);

typedef loom_status (*loom_hash_file)(const char *path, loom_id *content, void *context, loom_error *err);

/* Asks the operator of `call`, whose arguments are known, which files it will read, and adds their hashes to the parts
 * of its key. The hashes live in call->arena. The hash function's own errors are returned. */
loom_status loom_key_inputs(loom_call *call, loom_hash_file hash_file, void *context, loom_key_parts *parts);

/* The stored record of an effect: what was written where. Fields "path" and "content" (32 bytes). */
typedef struct loom_effect_record {
    const char *path; /* NUL-terminated, in the arena */
    loom_id content;
} loom_effect_record;
loom_status loom_effect_record_write(const loom_effect_record *record, loom_arena *arena, loom_value *value);
/* The content hash of what an effect wrote: of the file, and of those that it names for its voxels (.mhd, .nhdr). */
loom_status loom_effect_content(const char *path, loom_hash_file hash_file, void *context, loom_id *content,
                                loom_error *err);
/* An effect is satisfied while its file still holds what was written there. */
bool loom_effect_holds(const loom_result *result, loom_arena *arena, loom_hash_file hash_file, void *context);

#endif
