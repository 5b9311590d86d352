/* api.h - what the files of <voxloom.h> share. */
#ifndef LOOM_RUNTIME_API_H
#define LOOM_RUNTIME_API_H

#include "planner/plan.h"
#include "runtime/config/config.h"
#include "runtime/coordinator/run.h"
#include "runtime/voxloom.h"

struct loom_runtime {
    loom_config config;
    const loom_operator_table *operators; /* of this build and of the configured plug-ins */
    char *worker_program;
    /* Counted up by loom_runtime_stop, polled by the coordinator; what else a signal handler may touch. */
    atomic_int stop;
    atomic_int running;
};

/* Runs a plan with the runtime's configuration; `options` has the rest. *report (may be NULL) is set whenever something
 * ran. */
loom_status loom_api_run(const loom_runtime *runtime, loom_run_options *options, loom_report **report, loom_error *err);

/* The plan of a builder, which ends. */
loom_plan *loom_builder_take(loom_builder *builder);

#endif
