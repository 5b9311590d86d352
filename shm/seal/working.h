/* working.h - what the processes of a run on an encrypted store share beside its folder: files in memory in which they
 * write and map plain bytes, and the master key, both by inherited descriptors. Nothing of it touches the disk; swap
 * may see the files (runtime/DEPLOYMENT.md, "Privacy"). */
#ifndef LOOM_SHM_STORE_WORKING_H
#define LOOM_SHM_STORE_WORKING_H

#include "shm/seal/cipher.h"
#include "shm/store/memory_files.h"

typedef struct loom_working {
    loom_memory_files files;
    loom_extents *extents;
    int key_fd; /* the master key, for workers; -1 in a worker */
} loom_working;
#define LOOM_WORKING_NONE ((loom_working){.key_fd = -1})

/* The opener's: files for itself and `writers` workers. */
loom_status loom_working_make(const loom_cipher *cipher, uint32_t writers, const char *path, loom_working *working,
                              loom_error *err);
/* The text after "sealed:" with which a worker attaches: descriptor of the key, of the files, path. LOOM_TOO_LARGE. */
loom_status loom_working_token(const loom_working *working, const char *path, char *text, size_t capacity);
size_t loom_working_inherit(const loom_working *working, int *fds, size_t capacity);
/* A worker's side: reads the key, takes copies of the files; *path points into the token. */
loom_status loom_working_take(const char *token, uint32_t writer_index, loom_working *working, uint8_t master[32],
                              const char **path, loom_error *err);
void loom_working_close(loom_working *working);

#endif
