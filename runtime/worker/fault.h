/* fault.h - a memory fault (SIGBUS, SIGSEGV) ends the worker, as it should; before it does, the worker notes in its
 * slot of the segment among whose bytes the address lay: a damaged disk or a file that somebody cut off is then named
 * with file and offset. */
#ifndef LOOM_RUNTIME_FAULT_H
#define LOOM_RUNTIME_FAULT_H

#include "runtime/worker/worker.h"

/* From now on, for this process; the worker must stay where it is. */
void loom_fault_watch(const loom_worker *worker);

#endif
