/* crew.h - the worker processes of a run: started, watched, replaced, stopped. */
#ifndef LOOM_RUNTIME_CREW_H
#define LOOM_RUNTIME_CREW_H

#include <sys/types.h>

#include "perf/recorder.h"
#include "runtime/config/config.h"
#include "runtime/coordinator/seats.h"
#include "shm/segment/segment.h"
#include "shm/store/storage.h"

typedef struct loom_crew loom_crew;

typedef struct loom_crew_options {
    const char *program; /* voxloom-worker */
    const loom_config *config;
    loom_store *store;
    loom_segment *segment;
    uint32_t workers;
    const loom_seats *seats;       /* one a worker; outlives the crew */
    const loom_recorder *recorder; /* what workers tell of themselves; NULL: nothing */
    bool afresh;                   /* workers look nothing up: an audit */
    const char *plugins;           /* of the run's operators: loom_operators_plugins. Borrowed */
} loom_crew_options;

/* A worker that ended. */
typedef struct loom_death {
    uint32_t worker;
    int signal; /* 0 if it exited by itself */
    int status; /* exit status otherwise */
} loom_death;

/* Starts all workers (posix_spawn, each in a process group of its own, each holding the read end of a pipe whose other
 * end is ours, so that none outlives us). LOOM_NOT_FOUND if the program is missing, LOOM_NO_MEMORY, LOOM_IO. */
loom_status loom_crew_start(const loom_crew_options *options, loom_crew **crew, loom_error *err);
/* The next worker that ended unasked; false if none. Its process is reaped. */
bool loom_crew_next_death(loom_crew *crew, loom_death *death);
/* Starts a new process in a dead worker's place. */
loom_status loom_crew_replace(loom_crew *crew, uint32_t worker, loom_error *err);
/* True once no worker is left. */
bool loom_crew_ended(loom_crew *crew);
/* Kills all at once. */
void loom_crew_kill(loom_crew *crew);
/* Kills one, whose death is then reported like any other. */
void loom_crew_kill_worker(loom_crew *crew, uint32_t worker);
/* Its process; 0 while it has none. */
pid_t loom_crew_pid(loom_crew *crew, uint32_t worker);
/* Waits for all to end, which they do after loom_segment_stop or loom_crew_kill, and frees the crew. NULL is accepted.
 */
void loom_crew_stop(loom_crew *crew);

/* Largest resident set of any worker so far, and of its anonymous part, sampled now. */
void loom_crew_memory(loom_crew *crew, uint64_t *peak_rss_bytes, uint64_t *peak_anon_bytes);

#endif
