/* report_profile.h - a profile as a record of the language, and as JSON. */
#ifndef LOOM_RUNTIME_REPORT_PROFILE_H
#define LOOM_RUNTIME_REPORT_PROFILE_H

#include "perf/profile.h"
#include "shm/value.h"

/* workers, wall_seconds, worker_seconds, causes: {"kernel": seconds, ...} (they sum to worker_seconds),
 * counters_missing: {key: reason}, tasks, tasks_in_trace, tasks_with_counters, entries_lost, commits,
 * page_fault_cost_us, reading_cost_us; operators: [{operator, calls, reused, failed, seconds, kernel_seconds,
 * io_seconds, page_fault_seconds, share, bytes_in, bytes_out, sampled, counters}], worker_rows: [{causes, tasks,
 * steals, counters}]; nodes, the most expensive first, from the calls that are in the trace: [{operator, id, file,
 * line, column, worker, calls, seconds, longest_seconds, kernel_seconds, io_seconds, bytes_in, bytes_out, counted,
 * counters}]; nodes_left_out, calls_left_out, seconds_left_out: of nodes that are too many to list. `counters` has only
 * what was counted (perf/counters.h). Everything lies in the arena or in the profile; *full is set when out of memory.
 */
loom_value loom_profile_value(loom_arena *arena, const loom_profile *profile, bool *full);
/* Appends it as one JSON object and a newline. LOOM_NO_MEMORY. */
loom_status loom_profile_write(const loom_profile *profile, loom_buffer *out, loom_error *err);

#endif
