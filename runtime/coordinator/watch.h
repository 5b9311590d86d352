/* watch.h - watching workers from outside: one that gives no sign of life, or runs a node for too long, is killed, so
 * that its death is recovered like any other.
 *
 * Time is counted in looks of the coordinator, each at most half a second: where the whole machine was suspended or
 * frozen, workers are not taken for dead. */
#ifndef LOOM_RUNTIME_WATCH_H
#define LOOM_RUNTIME_WATCH_H

#include "runtime/coordinator/crew.h"
#include "shm/segment/segment.h"

typedef struct loom_watch loom_watch;

typedef enum loom_offence {
    LOOM_OFFENCE_NONE,
    LOOM_OFFENCE_SILENT,  /* no sign of life for workers.heartbeat */
    LOOM_OFFENCE_OVERTIME /* one node for longer than workers.node_timeout */
} loom_offence;

typedef struct loom_watch_options {
    loom_segment *segment;
    loom_crew *crew;
    uint32_t workers;
    uint64_t heartbeat_s, node_timeout_s; /* 0 = no limit */
    uint64_t notice_s;                    /* 0 = nothing is told */
} loom_watch_options;

/* NULL: out of memory. */
loom_watch *loom_watch_new(const loom_watch_options *options);
void loom_watch_free(loom_watch *watch);
/* Looks at every worker, and kills offenders; call it some times a second. NULL is accepted. */
void loom_watch_look(loom_watch *watch);
/* For what the worker was killed, once its process has ended; another process may then take its place. */
loom_offence loom_watch_bury(loom_watch *watch, uint32_t worker);

/* ---- who takes long ---- */

typedef struct loom_slow_worker {
    bool waits; /* for another run; else it runs */
    double seconds;
} loom_slow_worker;

/* Whether it should be told now what the worker does: it has run one node for notice_s, or waited for another run for a
 * twelfth of that; after twice the time again, and so on. */
bool loom_watch_is_slow(loom_watch *watch, uint32_t worker, loom_slow_worker *slow);
/* Whether no worker has run anything for half of notice_s (30 s if there is none); then not again for as long. */
bool loom_watch_is_idle(loom_watch *watch);

#endif
