/* recorder.h - what the workers of one run did and when: shared memory that each writes for itself and the coordinator
 * reads.
 *
 * One memfd, apart from the segment, so that runs without it have nothing of it. A *lane* per worker and one for the
 * committer. A lane holds
 *
 *   a clock       which activity (shm/activity.h) holds since when, and the sum of each. Times of a lane add up to the
 *                 time since the run began, whatever happens: a worker that dies is taken to have done until its
 *                 successor attaches what it did last;
 *   accounts      per operator: calls, times, bytes, counters. Calls and times are of all tasks;
 *   a log         the latest entries, a ring: tasks with their phases and counters, writes in flight, commits.
 *
 * Sampling: reading counters costs a system call or two, so a worker reads them for a task as long as that has cost it
 * no more than 0.5% of its time, and always for the first calls of each operator; counts of an operator are scaled up
 * by kernel time. Every task of 50 us and more is in the log; of finer ones as many as 0.5% of the time allows.
 *
 * A lane has one writer at a time; anyone may read sums (relaxed: figures), only the coordinator's main thread takes
 * entries (release by the writer, acquire by the reader: the entry is complete). */
#ifndef LOOM_PERF_RECORDER_H
#define LOOM_PERF_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "perf/counters.h"
#include "shm/activity.h"
#include "shm/segment/segment.h"
#include "shm/status.h"

#define LOOM_TRACED_NS 50000u /* tasks of this length and more are always in the log */
#define LOOM_PHASES_MAX 6u
#define LOOM_NOT_STOLEN UINT32_MAX

typedef struct loom_recorder loom_recorder; /* one process's handle */

typedef enum loom_entry_kind {
    LOOM_ENTRY_SKIP = 0, /* the next entry is at the log's beginning; never given out */
    LOOM_ENTRY_TASK,
    LOOM_ENTRY_IO_FLIGHT, /* value: writes in flight from start_ns on */
    LOOM_ENTRY_COMMIT     /* a batch: value rows, bytes_out their bulk bytes, state 1 if it went well */
} loom_entry_kind;

/* A stretch of a task: activity from `from_ns` after its start, for `ns`. In order, not overlapping. */
typedef struct loom_phase_span {
    uint32_t activity;
    uint32_t unused;
    uint64_t from_ns, ns;
} loom_phase_span;

typedef struct loom_log_entry {
    uint32_t kind; /* loom_entry_kind */
    uint32_t lane;
    uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC */
    uint64_t value;
    uint64_t bytes_in, bytes_out; /* of images and large values */
    uint32_t task, cookie;        /* as in the segment, where numbers are used again ... */
    uint32_t attempt;             /* ... with another attempt, of which this is the low half */
    uint32_t operator_index;
    uint32_t stolen_from; /* worker, or LOOM_NOT_STOLEN */
    uint8_t state;        /* loom_task_state: DONE or FAILED */
    uint8_t origin;       /* loom_origin */
    uint8_t type;         /* loom_type of the result */
    uint8_t phase_count;
    uint32_t counted; /* as loom_counts.valid: of the kernel; 0 if it was not sampled */
    uint64_t io_ns;   /* within the phases */
    uint64_t counts[LOOM_COUNTER_COUNT];
    loom_phase_span phases[LOOM_PHASES_MAX];
} loom_log_entry;

/* Sums over the tasks of one operator in one lane. */
typedef struct loom_operator_account {
    _Atomic uint64_t calls; /* computed, reused and failed */
    _Atomic uint64_t reused, failed;
    _Atomic uint64_t task_ns;   /* from taking it to its end */
    _Atomic uint64_t kernel_ns; /* its code alone, I/O wait included */
    _Atomic uint64_t io_ns;     /* of which waiting for files */
    _Atomic uint64_t bytes_in, bytes_out;
    _Atomic uint64_t sampled;                        /* kernels of which counters were read */
    _Atomic uint64_t sampled_kernel_ns;              /* their time */
    _Atomic uint64_t counts[LOOM_COUNTER_COUNT];     /* of the sampled */
    _Atomic uint64_t counted_ns[LOOM_COUNTER_COUNT]; /* kernel time while each counter counted */
} loom_operator_account;

/* relaxed: sums are figures; nothing is concluded from one about another */
static inline uint64_t loom_tally_read(const _Atomic uint64_t *sum) {
    return atomic_load_explicit(sum, memory_order_relaxed);
}

/* ---- coordinator ---- */

/* Creates the memory. Times count from start_ns (CLOCK_MONOTONIC), all lanes "start-up". LOOM_NO_MEMORY, LOOM_IO. */
loom_status loom_recorder_create(uint32_t workers, uint32_t operators, uint64_t start_ns, loom_recorder **recorder,
                                 loom_error *err);
/* NULL is accepted. */
void loom_recorder_close(loom_recorder *recorder);
/* Close-on-exec; workers inherit it. */
int loom_recorder_fd(const loom_recorder *recorder);
uint32_t loom_recorder_workers(const loom_recorder *recorder); /* the committer's lane is this number */
uint32_t loom_recorder_operators(const loom_recorder *recorder);
uint64_t loom_recorder_start_ns(const loom_recorder *recorder);
/* The next entry of any lane, each lane in order; false when there is none now. Entries are checked: bounds of what
 * they refer to, order of their times. */
bool loom_recorder_next(loom_recorder *recorder, loom_log_entry *entry);
/* The committer's thread, after a batch. */
void loom_recorder_commit(loom_recorder *recorder, uint64_t start_ns, uint64_t end_ns, uint64_t rows, uint64_t bytes,
                          bool well);
uint64_t loom_recorder_now_ns(void); /* CLOCK_MONOTONIC */

/* Sums, up to end_ns. lane < workers. */
const loom_operator_account *loom_recorder_account(const loom_recorder *recorder, uint32_t lane, uint32_t op);
uint64_t loom_recorder_activity_ns(const loom_recorder *recorder, uint32_t lane, loom_activity activity,
                                   uint64_t end_ns);
typedef struct loom_lane_facts {
    uint64_t tasks, traced, sampled, lost; /* lost: entries that found the log full */
    uint64_t fault_cost_ns, reading_cost_ns;
} loom_lane_facts;
loom_lane_facts loom_recorder_facts(const loom_recorder *recorder, uint32_t lane);

/* ---- worker: one thread of the process that attached ---- */

/* Maps an inherited fd (owned from then on), opens counters and becomes this thread's observer. LOOM_LAYOUT_MISMATCH,
 * LOOM_NO_MEMORY, LOOM_INTERNAL: no such lane. */
loom_status loom_recorder_attach(int fd, uint32_t lane, loom_recorder **recorder, loom_error *err);
/* A task was taken; and its kernel begins and ends. NULL: nothing. */
void loom_recorder_task_begins(loom_recorder *recorder, uint32_t operator_index);
void loom_recorder_kernel_begins(loom_recorder *recorder);
void loom_recorder_kernel_ends(loom_recorder *recorder);
/* Its result fields are written, it is not yet DONE or FAILED: `state` says which it will be. Then "scheduling". */
void loom_recorder_task_ends(loom_recorder *recorder, const loom_segment *segment, uint32_t task,
                             loom_task_state state);
/* It was put back: nothing is counted but the time. Then "memory brake". */
void loom_recorder_task_put_back(loom_recorder *recorder);

#endif
