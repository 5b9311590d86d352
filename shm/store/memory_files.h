/* memory_files.h - extent files in memory (memfd), shared by descriptor: those of the store in memory, and those in
 * which the processes of a run on an encrypted store work. File 0 is the opener's, 1 to n are the workers', the last
 * LOOM_MEMORY_SPARE are the opener's too, for streams at the same time. */
#ifndef LOOM_SHM_STORE_MEMORY_FILES_H
#define LOOM_SHM_STORE_MEMORY_FILES_H

#include "shm/extent/extent_file.h"

#define LOOM_MEMORY_SPARE 7u
#define LOOM_MEMORY_WRITERS_MAX 1024u

typedef struct loom_memory_files {
    int *fds;
    uint32_t count;
} loom_memory_files;

/* Makes files for the opener and `writers` workers (0 = 1). LOOM_BAD_ARGUMENT, LOOM_NO_MEMORY. */
loom_status loom_memory_files_make(uint32_t writers, loom_memory_files *files, loom_error *err);
/* Takes over copies of inherited descriptors, from a text "7,8,9". */
loom_status loom_memory_files_take(const char *numbers, loom_memory_files *files, loom_error *err);
void loom_memory_files_close(loom_memory_files *files);
/* The numbers as text, with its NUL. LOOM_TOO_LARGE. */
loom_status loom_memory_files_print(const loom_memory_files *files, char *text, size_t capacity);
/* The first `capacity` descriptors; returns how many there are. */
size_t loom_memory_files_list(const loom_memory_files *files, int *fds, size_t capacity);

/* The number of the worker's own file. LOOM_BAD_ARGUMENT: there is none for it. */
loom_status loom_memory_files_own(const loom_memory_files *files, uint32_t writer_index, uint32_t *own,
                                  loom_error *err);
/* Extents over them, which `files` must outlive; this process appends to file `own`. `hidden`: out of core dumps. */
loom_status loom_memory_files_open(const loom_memory_files *files, uint32_t own, bool hidden, const char *path,
                                   loom_extents **extents, loom_error *err);

#endif
