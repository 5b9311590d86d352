/* run.h - run a plan: the one entry point of the coordinator. */
#ifndef LOOM_RUNTIME_RUN_H
#define LOOM_RUNTIME_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "perf/profile.h"
#include "planner/plan.h"
#include "runtime/config/config.h"
#include "runtime/coordinator/audit.h"
#include "shm/id.h"
#include "shm/status.h"

typedef struct loom_progress {
    uint64_t nodes_total; /* known so far: grows while loops expand */
    uint64_t nodes_done;
    uint64_t nodes_reused;
    uint64_t bytes_written;
    uint32_t workers, workers_busy;
    double seconds;
} loom_progress;

typedef struct loom_goal_report {
    const char *operation; /* "print", "save" or "keep" */
    const char *name;
    char id[LOOM_ID_HEX_BYTES];
    const char *status; /* "ok", "failed" or "skipped" */
    loom_error error;   /* status LOOM_OK when ok */
    uint64_t bytes;     /* written by a save */
} loom_goal_report;

/* A node that failed itself (not because of another): for the report. */
typedef struct loom_failure {
    char node[LOOM_ID_HEX_BYTES];
    loom_error error;
    bool names_item;             /* the message does */
    size_t cause_bytes;          /* of the message, before what tells items and calls */
    uint32_t chain;              /* of the plan, as in loom_position.calls; the calls below are made of it at the end */
    const loom_call_site *calls; /* innermost first; of long chains the first 64 */
    size_t call_count;
} loom_failure;

typedef struct loom_summary {
    uint64_t nodes;    /* reached from the goals, loops expanded */
    uint64_t computed; /* kernels run */
    uint64_t reused;   /* from the store */
    uint64_t failed;
    uint64_t fused;  /* of the computed: together with others, tile by tile (fuse.h) */
    uint64_t passes; /* in so many tasks */
    uint64_t swept;  /* volumes that were counted in one pass with others (sweep.h) */
    uint64_t sweeps; /* such passes */
    uint64_t irreproducible;
    uint32_t workers;
    uint32_t worker_deaths;
    uint64_t parts_helped; /* parts of images that workers did for each other: shm/segment/split.h */
    double seconds;
    double plan_seconds;
    uint64_t peak_rss_bytes;      /* largest of any process, file mappings included */
    uint64_t peak_anon_bytes;     /* largest RssAnon seen of any worker */
    uint64_t bytes_written;       /* bulk bytes */
    uint64_t segment_bytes;       /* shared memory, the most that was in use */
    uint64_t segment_tasks;       /* likewise */
    uint64_t steps_peak;          /* most steps that the coordinator knew at a time */
    uint64_t memory_budget_bytes; /* 0: no worker was started */
    uint64_t memory_peak_bytes;   /* the most that was committed of it */
    uint64_t held_back;           /* how often a task had to wait for memory */
    const char *ring;             /* "io_uring" or "posix" */
    const char *store;            /* path or ":memory:" */
    loom_goal_report *goals;      /* program order */
    size_t goal_count;
    loom_failure *failures;
    size_t failure_count;
    loom_profile *profile; /* NULL unless asked for */
    loom_arena *arena;     /* owns the above */
} loom_summary;

typedef struct loom_run_options {
    const loom_config *config;
    loom_plan *plan;            /* grows while it runs; still the caller's */
    const char *worker_program; /* path of voxloom-worker; NULL = beside this executable, else installed libexec */
    FILE *prints;               /* print goals go here (stdout) */
    void (*progress)(const loom_progress *progress, void *context); /* about ten times a second; may be NULL */
    void (*notice)(const char *line, void *context);                /* one-line reasons and warnings; may be NULL */
    void *context;
    bool profile;           /* measure, for summary->profile */
    const char *trace;      /* write a trace to this file; NULL = none */
    loom_audit *audit;      /* nothing of the plan is run, but what this asks for: see audit.h. NULL: a run */
    struct loom_kept *kept; /* filled with the values of the goals that are met; see keep.h. May be NULL */
    /* Counted up by signal handlers and other threads: 1, stop cleanly; 2 or more, stop now. May be NULL. */
    const atomic_int *stop;
} loom_run_options;

/* Runs every goal in program order. Returns LOOM_OK when all goals are met; LOOM_CANCELLED; else the first goal's
 * failure with the summary still filled (independent goals are completed). Failures before anything ran leave an empty
 * summary. Free it always. */
loom_status loom_run(const loom_run_options *options, loom_summary *summary, loom_error *err);
void loom_summary_free(loom_summary *summary);

#endif
