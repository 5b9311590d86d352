/* profiling.h - a run's profile and trace: the coordinator's side of perf/recorder.h. */
#ifndef LOOM_RUNTIME_PROFILING_H
#define LOOM_RUNTIME_PROFILING_H

#include "perf/recorder.h"
#include "runtime/coordinator/run.h"

typedef struct loom_session loom_session;
typedef struct loom_profiling loom_profiling; /* NULL in a session that nobody profiles */

/* If the options ask for a profile or a trace: prepares them, and opens the trace's file, so that a path that cannot be
 * written is told before anything runs. Times count from start_ns. */
loom_status loom_profiling_open(loom_session *session, uint64_t start_ns, loom_error *err);
/* Before the workers start: makes what they write into. */
loom_status loom_profiling_engage(loom_session *session, loom_error *err);
/* The recorder of a session; NULL if it has none. */
loom_recorder *loom_profiling_recorder(const loom_session *session);
/* Takes what the log holds. Call it before anything that log entries refer to is forgotten: before a completion or a
 * death is worked on, as a worker writes its entry before it completes the task. */
void loom_profiling_drain(loom_session *session);
/* After the workers have ended: the last entries, summary->profile, and the trace's file, whole or not at all. */
loom_status loom_profiling_finish(loom_session *session, loom_summary *summary, loom_error *err);
/* NULL is accepted. An unfinished trace is removed. */
void loom_profiling_close(loom_profiling *profiling);

#endif
