/* glob.h - names in a folder by pattern, as Python's pathlib.Path.glob finds them. */
#ifndef LOOM_KERNELS_GLOB_H
#define LOOM_KERNELS_GLOB_H

#include <stdbool.h>
#include <stddef.h>

#include "shm/arena.h"
#include "shm/status.h"

typedef struct loom_names {
    const char **items; /* relative to the root, with `/`; in the arena; sorted by code point, each once */
    size_t count, capacity;
} loom_names;

/* Lists what matches below `root`, hidden names included: `*` and `?` and `[a-z]` within a name, `**` for any number of
 * folders (links to folders are not followed there). `recursive` looks at any depth. Folders that may not be read count
 * as empty. LOOM_BAD_INPUT: no such folder, or a name that is not UTF-8; LOOM_BAD_ARGUMENT: empty or absolute pattern.
 */
loom_status loom_glob(const char *root, const char *pattern, bool recursive, loom_arena *arena, loom_names *names,
                      loom_error *err);

/* One name against one component of a pattern (no `/`). */
bool loom_glob_matches(const char *pattern, size_t pattern_bytes, const char *name);

#endif
