/* trace.h - a run as a file in the Trace Event format (JSON object form), which https://ui.perfetto.dev and
 * chrome://tracing open.
 *
 * Format: "Trace Event Format" of the Chromium project. One process; thread 0 is the coordinator, thread w + 1 worker
 * w, the last the committer. Complete events ("X") for tasks, with their phases nested in them, and for commits;
 * instants
 * ("i") for steals; counters ("C") for writes in flight, instructions per cycle and page faults. Times are microseconds
 * since the run began. Within a thread they come in order of their start. */
#ifndef LOOM_PERF_TRACE_H
#define LOOM_PERF_TRACE_H

#include <stdio.h>

#include "perf/profile.h"
#include "perf/recorder.h"
#include "shm/operator.h"

typedef struct loom_trace loom_trace;

/* Where a task comes from, for its event. */
typedef struct loom_trace_place {
    const char *node; /* short id; NULL: none */
    const char *file; /* NULL: no position */
    uint32_t line, column;
} loom_trace_place;

/* Begins a trace in `out`, which stays the caller's. One thread. LOOM_NO_MEMORY. */
loom_status loom_trace_begin(FILE *out, const loom_operator_table *operators, uint32_t workers, uint64_t start_ns,
                             loom_trace **trace, loom_error *err);
/* Writes an entry of the log. `place` may be NULL. Errors of `out` stay in it. */
void loom_trace_add(loom_trace *trace, const loom_log_entry *entry, const loom_trace_place *place);
/* Writes the end, with what was sampled (NULL: unknown), and frees the trace; check `out` then. NULL is accepted. */
void loom_trace_end(loom_trace *trace, const loom_profile *profile);

#endif
