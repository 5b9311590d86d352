/* pulse.h - the second thread of a worker process: it beats, so that the coordinator sees that the process is not
 * stopped whatever a kernel does, and ends the process when the coordinator is gone. */
#ifndef LOOM_RUNTIME_PULSE_H
#define LOOM_RUNTIME_PULSE_H

#include "shm/segment/segment.h"

/* Starts the thread. `lifeline` is the read end of a pipe to which nobody writes: its end is the coordinator's. Returns
 * 0 or an errno value. */
int loom_pulse_start(int lifeline);
/* Beats in this segment from now on; NULL: in none. The segment must not be closed before that. */
void loom_pulse_in(const loom_segment *segment);

#endif
