/* isolate.h - work that may bring down its process, done in a child: GDCM, as Debian builds it, ends the process by an
 * assertion when a file is damaged. */
#ifndef LOOM_IO_DICOM_ISOLATE_H
#define LOOM_IO_DICOM_ISOLATE_H

#include <stddef.h>

#include "shm/status.h"

/* Memory that a child shares with us, zeroed. NULL when out of memory. */
void *loom_shared_alloc(size_t bytes);
void loom_shared_free(void *memory, size_t bytes);

typedef loom_status loom_isolated_work(void *argument, loom_error *err);
/* Runs `work` in a child and waits. What it leaves behind must be in shared memory. If the child died before
 * it was done: LOOM_BAD_INPUT with `path`, or LOOM_TOO_LARGE (it took longer than `seconds` of CPU time),
 * LOOM_NO_MEMORY (it was killed), LOOM_IO (it was told to end); else what the work returned. */
loom_status loom_isolated(const char *path, loom_isolated_work *work, void *argument, unsigned seconds,
                          loom_error *err);

#endif
