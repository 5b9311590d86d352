/* counters.h - what the machine counts while the calling thread runs: cycles, instructions, misses, faults, switches.
 *
 * counters_linux.c asks perf_event_open(2); counters_posix.c, and Linux where the kernel refuses, reads
 * getrusage(2) and the thread's CPU clock. A counter that the machine does not give is named with its reason, the
 * others still count. Totals only grow; what happened between two readings is loom_counters_between. */
#ifndef LOOM_PERF_COUNTERS_H
#define LOOM_PERF_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/status.h"

/* name, key in JSON. Positions in shared tables: a change is a change of layout (recorder.c). */
#define LOOM_COUNTER_LIST(X)                                                                                           \
    X(LOOM_COUNTER_TASK_CLOCK, "task_clock_ns")  /* time on a CPU, nanoseconds */                                      \
    X(LOOM_COUNTER_FAULTS, "page_faults")        /* all, major ones included */                                        \
    X(LOOM_COUNTER_MAJOR_FAULTS, "major_faults") /* those that waited for a disk */                                    \
    X(LOOM_COUNTER_SWITCHES, "context_switches")                                                                       \
    X(LOOM_COUNTER_CYCLES, "cycles")                                                                                   \
    X(LOOM_COUNTER_INSTRUCTIONS, "instructions")                                                                       \
    X(LOOM_COUNTER_LLC_MISSES, "llc_misses") /* reads that missed the last level of cache */                           \
    X(LOOM_COUNTER_DTLB_MISSES, "dtlb_misses")

typedef enum loom_counter {
#define LOOM_COUNTER_ENUM(name, key) name,
    LOOM_COUNTER_LIST(LOOM_COUNTER_ENUM)
#undef LOOM_COUNTER_ENUM
        LOOM_COUNTER_COUNT
} loom_counter;

#define LOOM_COUNTER_FIRST_HARDWARE LOOM_COUNTER_CYCLES
#define LOOM_COUNTER_REASON_BYTES 128

const char *loom_counter_key(unsigned counter); /* "page_faults"; "?" beyond the list */

/* Raw totals. A counter that shares the hardware with others (multiplexing) runs only part of the time. */
typedef struct loom_reading {
    uint64_t value[LOOM_COUNTER_COUNT];
    uint64_t enabled_ns[LOOM_COUNTER_COUNT]; /* while it should have counted; 0: it is exact */
    uint64_t running_ns[LOOM_COUNTER_COUNT]; /* while it did */
} loom_reading;

/* What was counted between two readings. */
typedef struct loom_counts {
    uint64_t value[LOOM_COUNTER_COUNT];
    uint32_t valid; /* a bit per counter: the machine gives it, and it ran at least a part of the time */
} loom_counts;

typedef struct loom_counters loom_counters; /* of the thread that opened it; no other may use it */

/* Opens what the machine allows for the calling thread. LOOM_NO_MEMORY is the only failure. */
loom_status loom_counters_open(loom_counters **counters, loom_error *err);
/* NULL is accepted. */
void loom_counters_close(loom_counters *counters);
/* Why a counter is not there; "" if it is. Valid while the handle is open. */
const char *loom_counters_reason(const loom_counters *counters, unsigned counter);
/* One or two system calls; about a microsecond. */
void loom_counters_read(const loom_counters *counters, loom_reading *reading);
/* What one reading costs here, in nanoseconds, measured now. */
uint64_t loom_counters_cost_ns(const loom_counters *counters);
/* to - from, scaled by enabled / running time where a counter ran only part of it. */
void loom_counters_between(const loom_counters *counters, const loom_reading *from, const loom_reading *to,
                           loom_counts *counts);

/* count * enabled / running, rounded down, saturating; 0 if it never ran. */
uint64_t loom_counter_scale(uint64_t count, uint64_t enabled_ns, uint64_t running_ns);

/* What a page fault costs this process here, in nanoseconds: mean of first touches of fresh private and fresh shared
 * pages, measured now (about 0.1 ms). 0 where it cannot be measured. */
uint64_t loom_page_fault_cost_ns(void);

#endif
