/* report.h - the summary of a run as JSON: what `--summary` writes and loom_report_json returns. */
#ifndef LOOM_RUNTIME_REPORT_H
#define LOOM_RUNTIME_REPORT_H

#include "runtime/coordinator/run.h"
#include "shm/value.h"

/* Appends one JSON object and a newline: nodes, computed, reused, failed, irreproducible, workers, worker_deaths,
 * seconds, plan_seconds, peak_rss_bytes, peak_anon_bytes, bytes_written, segment_bytes, segment_tasks, steps_peak,
 * memory_budget_bytes, memory_peak_bytes, held_back, ring, store, goals: [{operation, name, id, status, error, bytes}]
 * and failures: [{id, status, error, node, file, line, column, calls: [{function, file, line, column}]}], calls of
 * functions innermost first. `error` is null when there is none. A run that was profiled also has `profile`
 * (report_profile.h). LOOM_NO_MEMORY. */
loom_status loom_report_write(const loom_summary *summary, loom_buffer *out, loom_error *err);

#endif
