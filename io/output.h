/* output.h - a file that appears under its name whole or not at all. */
#ifndef LOOM_IO_OUTPUT_H
#define LOOM_IO_OUTPUT_H

#include <stddef.h>

#include "shm/status.h"

typedef struct loom_output {
    int fd;
    char *path;      /* where it will stand; a symbolic link has been followed */
    char *temporary; /* its name meanwhile, in the same folder */
} loom_output;

/* Creates missing parent folders and a temporary file. LOOM_DENIED, LOOM_NO_SPACE, LOOM_IO; LOOM_BAD_ARGUMENT when the
 * path names something other than a regular file. */
loom_status loom_output_open(const char *path, loom_output *output, loom_error *err);
/* Makes the content durable, nothing more: of two files that go together, both before either appears. */
loom_status loom_output_sync(const loom_output *output, loom_error *err);
/* Makes the content durable and renames it into place. Ends the output in any case; on failure nothing is left behind
 * and an existing file is untouched. */
loom_status loom_output_commit(loom_output *output, loom_error *err);
void loom_output_abandon(loom_output *output);

/* Writes all bytes at the descriptor's position. `path` is for messages. */
loom_status loom_write_all(int fd, const char *path, const void *bytes, size_t length, loom_error *err);

#endif
