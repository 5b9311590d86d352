/* counters_private.h - a set of counters inside: shared by counters.c and its platform twins. */
#ifndef LOOM_PERF_COUNTERS_PRIVATE_H
#define LOOM_PERF_COUNTERS_PRIVATE_H

#include "perf/counters.h"

/* Counters that are read with one call: the descriptor of the group's leader, and which counter each value is. */
typedef struct loom_counter_group {
    int fd; /* -1: unused */
    unsigned count;
    unsigned members[LOOM_COUNTER_COUNT]; /* loom_counter, in the order in which they were opened */
    bool scaled;                          /* hardware: may run only part of the time */
} loom_counter_group;

#define LOOM_COUNTER_GROUPS_MAX LOOM_COUNTER_COUNT

struct loom_counters {
    uint32_t given;     /* a bit per counter that the machine gives */
    bool software_here; /* task clock, faults and switches come from POSIX calls */
    loom_counter_group groups[LOOM_COUNTER_GROUPS_MAX];
    unsigned group_count;
    int fds[LOOM_COUNTER_COUNT]; /* all that were opened; -1 */
    char reasons[LOOM_COUNTER_COUNT][LOOM_COUNTER_REASON_BYTES];
};

/* Opens what the platform has; sets `given`, `reasons`, and software_here if the portable calls must do. */
void loom_counters_platform_open(loom_counters *counters);
void loom_counters_platform_close(loom_counters *counters);
void loom_counters_platform_read(const loom_counters *counters, loom_reading *reading);
/* Task clock, faults and switches of the calling thread (of the process where threads cannot be told apart). */
void loom_counters_platform_usage(loom_reading *reading);

#endif
