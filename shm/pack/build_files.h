/* build_files.h - the extent files of a store under construction: written at the places that rows name, holes between.
 */
#ifndef LOOM_SHM_PACK_BUILD_FILES_H
#define LOOM_SHM_PACK_BUILD_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "shm/status.h"

typedef struct loom_build_file {
    uint32_t number;
    uint64_t tail; /* the end of its last object, in whole pages; bytes */
} loom_build_file;

typedef struct loom_build_files {
    int dir_fd; /* STORE/extents, owned; -1 = none */
    const char *path;
    uint8_t uuid[16];
    loom_build_file *files; /* in order of number */
    size_t count, capacity;
    int fd; /* the file written last */
    uint32_t open;
} loom_build_files;

void loom_build_files_begin(loom_build_files *files, int dir_fd, const char *path, const uint8_t uuid[16]);
void loom_build_files_end(loom_build_files *files);
/* A row owns the range. */
loom_status loom_build_files_own(loom_build_files *files, uint32_t number, uint64_t offset, uint64_t bytes,
                                 loom_error *err);
loom_status loom_build_files_write(loom_build_files *files, uint32_t number, uint64_t offset, const void *bytes,
                                   size_t length, loom_error *err);
/* Header pages and lengths, then everything is made durable. */
loom_status loom_build_files_sync(loom_build_files *files, loom_error *err);

#endif
