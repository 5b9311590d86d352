/* program_paths.h - the files around a program: what its $variables say, and where imports are found. */
#ifndef LOOM_PLANNER_PROGRAM_PATHS_H
#define LOOM_PLANNER_PROGRAM_PATHS_H

#include "shm/arena.h"
#include "shm/status.h"

/* Values of $cwd, $dir, $file (and $filename), $stem (voxlogica2.md, 2.1). In the arena. */
typedef struct loom_program_paths {
    const char *cwd, *dir, *file, *stem;
} loom_program_paths;

loom_status loom_program_paths_find(loom_arena *arena, const char *source, loom_program_paths *paths, loom_error *err);

/* The path without symbolic links, `.` and `..`, in the arena; NULL if there is no such file. */
const char *loom_real_path(loom_arena *arena, const char *path);

/* The path of an imported file: as written from the working directory, else beside `importer` (a path, may be NULL).
 * NULL if neither exists. */
const char *loom_find_import(loom_arena *arena, const char *written, const char *importer);

/* The whole file, NUL-terminated, in the arena. */
loom_status loom_read_text(loom_arena *arena, const char *path, const char **text, size_t *length, loom_error *err);

#endif
