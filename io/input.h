/* input.h - opening files that somebody else made: only regular files, never blocking, with errors that say what to do.
 */
#ifndef LOOM_IO_INPUT_H
#define LOOM_IO_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/status.h"

typedef struct loom_input {
    const char *path; /* borrowed */
    int fd;           /* -1 when closed */
    uint64_t bytes;   /* length when opened */
    uint64_t device, inode;
    int64_t mtime_ns, ctime_ns;
} loom_input;

/* Opens a regular file for reading. LOOM_BAD_INPUT (missing, a folder, a device), LOOM_DENIED, LOOM_IO; the message
 * names the path. `input` may be closed after a failure too. */
loom_status loom_input_open(const char *path, loom_input *input, loom_error *err);
void loom_input_close(loom_input *input);

/* Reads up to `length` bytes at `offset`; *got is less only at the end of the file. */
loom_status loom_input_read(const loom_input *input, void *bytes, size_t length, uint64_t offset, size_t *got,
                            loom_error *err);
/* LOOM_STALE_INPUT if the open file was changed, or the path leads to another file, since it was opened. */
loom_status loom_input_check_unchanged(const loom_input *input, loom_error *err);

#endif
