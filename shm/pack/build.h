/* build.h - a store under construction: a folder beside the one that it will be, filled with rows and bytes as they
 * come out of a backup, each in the place where it was, and renamed at the end. */
#ifndef LOOM_SHM_PACK_BUILD_H
#define LOOM_SHM_PACK_BUILD_H

#include "shm/pack/entry.h"

typedef struct loom_build loom_build;

/* Begins the store that will be at `path`, in `path`.restoring, which an interrupted call may have left. LOOM_BAD_USAGE
 * when something is at `path` already; LOOM_BUSY when another process builds it. */
loom_status loom_build_begin(const char *path, const void *format, size_t format_bytes, const uint8_t uuid[16],
                             loom_build **build, loom_error *err);
/* One row, as the index had it, under its number. LOOM_CORRUPT when it cannot be one. */
loom_status loom_build_row(loom_build *build, uint64_t row, const void *bytes, size_t length, loom_error *err);
/* Whether the row that stands under object->row owns just this range. */
loom_status loom_build_wants(loom_build *build, const loom_pack_object *object, bool *wanted, loom_error *err);
/* Bytes at `at` of an object that is wanted. */
loom_status loom_build_bytes(loom_build *build, const loom_pack_object *object, uint64_t at, const void *bytes,
                             size_t length, loom_error *err);
loom_status loom_build_entry(loom_build *build, const loom_entry *entry, loom_error *err);
/* Bytes that rows own and none that came; then everything is made durable and the folder gets its name. */
loom_status loom_build_finish(loom_build *build, loom_error *err);
/* Removes what was built, unless it was finished. NULL is accepted. */
void loom_build_free(loom_build *build);

typedef struct loom_build_counts {
    uint64_t rows, live, objects, objects_due, object_bytes;
} loom_build_counts;
const loom_build_counts *loom_build_counts_of(const loom_build *build);

#endif
