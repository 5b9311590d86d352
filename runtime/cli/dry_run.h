/* dry_run.h - `voxloom run --dry-run`: what a run would compute, as a list or as JSON. */
#ifndef LOOM_CLI_DRY_RUN_H
#define LOOM_CLI_DRY_RUN_H

#include <stdbool.h>

#include "runtime/config/config.h"
#include "runtime/coordinator/preview.h"

/* Prints to stdout; errors to stderr. Returns the exit status. The plan grows as in a run. */
int loom_dry_run(const loom_config *config, loom_plan *plan, bool json);

/* Of a file, where loom_preview_unread_input gives one. */
#define LOOM_UNREAD_NOTE                                                                                               \
    "note: the store does not remember what is in %s (not read since it changed, or changed less than 2 s before it "  \
    "was),\nand images between inputs and goals are not kept (store.persist): a run reads it and computes them again"

/* "would run", "is in the store", ...: the end of a sentence about a node or a goal. */
const char *loom_fate_text(loom_fate fate);
/* "runs", "stored", ...: for JSON. */
const char *loom_fate_name(loom_fate fate);

#endif
