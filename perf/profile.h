/* profile.h - a recorder's figures summed up: where worker-seconds went, and what each operator cost. */
#ifndef LOOM_PERF_PROFILE_H
#define LOOM_PERF_PROFILE_H

#include "perf/recorder.h"
#include "shm/arena.h"
#include "shm/operator.h"

/* What worker-seconds go to: the activities, and two that are taken out of the kernels' time: page faults, and waiting
 * for a core that runs something else. */
#define LOOM_CAUSE_FAULTS LOOM_ACTIVITY_COUNT
#define LOOM_CAUSE_CORE (LOOM_ACTIVITY_COUNT + 1)
#define LOOM_CAUSE_COUNT (LOOM_ACTIVITY_COUNT + 2)

const char *loom_cause_name(unsigned cause); /* "kernel", "page fault", ... */
/* The order in which they are shown: work, what work waits for, no work, "other". position < LOOM_CAUSE_COUNT. */
unsigned loom_cause_shown(unsigned position);

/* Of one operator; counts are scaled up from the sampled kernels to all. */
typedef struct loom_profile_row {
    const char *name;
    uint64_t calls, reused, failed;
    uint64_t task_ns;   /* from taking a task to its end */
    uint64_t kernel_ns; /* its code: page faults and I/O included */
    uint64_t io_ns, fault_ns;
    uint64_t bytes_in, bytes_out;
    uint64_t sampled; /* kernels of which counters were read */
    loom_counts counts;
} loom_profile_row;

typedef struct loom_profile_worker {
    uint64_t cause_ns[LOOM_CAUSE_COUNT];
    uint64_t tasks, steals;
    loom_counts counts; /* of its kernels */
} loom_profile_worker;

/* One node of the plan, or an internal step for it, over the calls that are in the log. */
typedef struct loom_profile_node {
    const char *name;           /* of the operator */
    char id[LOOM_ID_HEX_BYTES]; /* "": items of a loop that have none of their own */
    const char *file;           /* NULL: no position */
    uint32_t line, column;
    uint32_t worker; /* that ran the longest of its calls */
    uint64_t calls, task_ns, longest_ns, kernel_ns, io_ns, bytes_in, bytes_out;
    uint64_t counted;   /* calls of which counters were read ... */
    loom_counts counts; /* ... and what they say, not scaled */
} loom_profile_node;

typedef struct loom_profile {
    uint32_t workers;
    uint64_t wall_ns;                    /* of the run; worker-seconds are workers times this */
    uint64_t cause_ns[LOOM_CAUSE_COUNT]; /* sums to workers * wall_ns, exactly */
    loom_profile_row *rows;              /* most expensive first */
    size_t row_count;
    loom_profile_worker *worker_rows;
    loom_profile_node *nodes; /* most expensive first; filled by the coordinator */
    size_t node_count;
    uint64_t nodes_left_out, left_out_calls, left_out_ns; /* cheaper nodes than those, and what they took */
    uint64_t tasks, traced, sampled, lost;                /* in the log; with counters; entries that found it full */
    uint64_t fault_cost_ns;                               /* mean of the workers */
    uint64_t reading_cost_ns;
    uint64_t commits;
    const char *reasons[LOOM_COUNTER_COUNT]; /* why a counter is missing; "" if it is there */
} loom_profile;

/* Sums all lanes up to end_ns; everything is in the arena. Names come from the table that the recorder was made for.
 * LOOM_NO_MEMORY. */
loom_status loom_profile_sum(const loom_recorder *recorder, const loom_operator_table *operators, uint64_t end_ns,
                             loom_arena *arena, loom_profile *profile);

#endif
