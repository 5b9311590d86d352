/* summary.h - what closes a run: a few lines on stderr, and --summary's file. */
#ifndef LOOM_CLI_SUMMARY_H
#define LOOM_CLI_SUMMARY_H

#include "runtime/coordinator/run.h"

/* Failed nodes, each with its place; goals that were not met; then two lines of figures. */
void loom_summary_print(const loom_summary *summary, FILE *out);
/* Only the failures and the goals that were not met: for -q. */
void loom_summary_print_failures(const loom_summary *summary, FILE *out);
/* Writes the JSON file (runtime/report.h), whole or not at all. */
loom_status loom_summary_save(const loom_summary *summary, const char *path, loom_error *err);
/* The same for the profile alone (runtime/report_profile.h). */
loom_status loom_summary_save_profile(const loom_summary *summary, const char *path, loom_error *err);

#endif
