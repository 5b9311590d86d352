/* core_claims.h - which cores the runs of this machine have bound workers to, so that two runs do not bind to one core
 * while another is idle.
 *
 * A claim is a lock on byte `cpu` of a file that all runs open. Nothing is written to the file or read from it; the
 * kernel drops the locks with the process that holds them, so a run that dies leaves nothing behind. Who can open the
 * file can lock every byte for ever: other runs then do not bind their workers, and lose nothing else. */
#ifndef LOOM_RUNTIME_CORE_CLAIMS_H
#define LOOM_RUNTIME_CORE_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/status.h"

typedef struct loom_core_claims loom_core_claims;

/* Opens the file, which is made (mode 0666: runs of all users share it) when missing. Links are not followed. One
 * thread. LOOM_DENIED, LOOM_IO, LOOM_UNSUPPORTED (not a regular file), LOOM_NO_MEMORY. */
loom_status loom_core_claims_open(const char *path, loom_core_claims **claims, loom_error *err);
/* True if no other run has the core: from now on this one has it, to the close. */
bool loom_core_claim(loom_core_claims *claims, uint32_t cpu);
void loom_core_claims_close(loom_core_claims *claims); /* NULL is accepted */

#endif
