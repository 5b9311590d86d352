/* counters_posix.c - what POSIX counts: CPU time, page faults and context switches, through getrusage(2). Of the whole
 * process, which in a worker is its one working thread. */
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "perf/counters_private.h"

void loom_counters_platform_open(loom_counters *counters) {
    counters->software_here = true;
    for (unsigned i = LOOM_COUNTER_FIRST_HARDWARE; i < LOOM_COUNTER_COUNT; i++)
        snprintf(counters->reasons[i], LOOM_COUNTER_REASON_BYTES, "a portable build counts no hardware events");
}

void loom_counters_platform_close(loom_counters *counters) {
    (void)counters;
}

void loom_counters_platform_read(const loom_counters *counters, loom_reading *reading) {
    (void)counters;
    (void)reading;
}

void loom_counters_platform_usage(loom_reading *reading) {
    struct rusage usage;
    struct timespec cpu;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
        reading->value[LOOM_COUNTER_TASK_CLOCK] = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return;
    reading->value[LOOM_COUNTER_FAULTS] = (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
    reading->value[LOOM_COUNTER_MAJOR_FAULTS] = (uint64_t)usage.ru_majflt;
    reading->value[LOOM_COUNTER_SWITCHES] = (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw;
}
