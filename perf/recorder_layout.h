/* recorder_layout.h - the recorder's shared memory and handle; private to recorder*.c.
 *
 *      header | lane 0 .. workers (the last is the committer's), each: facts, log, accounts
 *
 * Sizes follow from the counts in the header. No pointers. */
#ifndef LOOM_PERF_RECORDER_LAYOUT_H
#define LOOM_PERF_RECORDER_LAYOUT_H

#include <stdalign.h>

#include "perf/recorder.h"

#define LOOM_RECORDER_MAGIC UINT64_C(0x3143455247504c4c) /* "LLPGREC1" */
/* Entries a worker may be ahead of the coordinator: as many as completions (LOOM_RING_SLOTS), after which it waits
 * there; entries that are not of tasks take a quarter at most. */
#define LOOM_LOG_SLOTS 8192u
/* While the coordinator keeps up, only these are used: they stay in the cache, and fresh pages cost a fault each. */
#define LOOM_LOG_HOT_SLOTS 256u
#define LOOM_OPERATORS_MAX 65536u

typedef struct loom_recorder_header {
    uint64_t magic;
    uint64_t layout; /* sizes, and numbers of activities and counters */
    uint64_t total_bytes;
    uint64_t start_ns;
    uint32_t workers;
    uint32_t operators;
} loom_recorder_header;

/* One writer; others read figures. */
typedef struct loom_lane {
    alignas(64) _Atomic uint64_t since_ns;
    _Atomic uint32_t activity;
    _Atomic uint64_t activity_ns[LOOM_ACTIVITY_COUNT];
    _Atomic uint64_t tasks, traced, sampled, lost;
    _Atomic uint64_t fault_cost_ns, reading_cost_ns;
    alignas(64) _Atomic uint64_t tail; /* entries written */
    alignas(64) _Atomic uint64_t head; /* entries read */
    alignas(64) loom_log_entry log[LOOM_LOG_SLOTS];
} loom_lane;

/* What the working thread knows of its task. */
typedef struct loom_task_notes {
    bool open; /* between begin and end */
    bool sampled, counted;
    uint64_t start_ns;
    uint64_t kernel_ns, kernel_io_ns, io_ns;
    uint32_t operator_index, stolen_from;
    loom_reading before;
    loom_counts counts;
    bool phase_open;
    unsigned phase_count;
    loom_phase_span phases[LOOM_PHASES_MAX];
} loom_task_notes;

struct loom_recorder {
    loom_observer observer; /* first: the observer is the recorder */
    loom_recorder_header *header;
    uint8_t *lanes;
    size_t map_bytes, lane_bytes;
    uint32_t workers, operators; /* copies: bounds do not follow shared bytes */
    uint64_t start_ns;
    int fd;
    /* reader */
    uint32_t next_lane;
    /* worker */
    loom_lane *lane; /* NULL in the coordinator */
    loom_operator_account *accounts;
    loom_counters *counters;
    loom_activity activity;
    uint64_t since_ns;
    uint64_t tasks_ns; /* of all tasks so far */
    uint64_t reading_cost_ns, spent_reading_ns, spent_logging_ns;
    uint64_t io_noted_ns, io_noted, io_now;
    uint32_t stolen_from; /* of the task to come */
    loom_task_notes task;
};

static inline loom_lane *loom_lane_at(const loom_recorder *recorder, uint32_t lane) {
    return (loom_lane *)(void *)(recorder->lanes + (size_t)lane * recorder->lane_bytes);
}

static inline loom_operator_account *loom_lane_accounts(const loom_recorder *recorder, uint32_t lane) {
    return (loom_operator_account *)(void *)(recorder->lanes + (size_t)lane * recorder->lane_bytes + sizeof(loom_lane));
}

/* relaxed, and no read-modify-write: one writer, figures for readers */
static inline void loom_tally(_Atomic uint64_t *sum, uint64_t amount) {
    atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + amount, memory_order_relaxed);
}

/* recorder.c: maps fd for the writer of a lane; the handle owns fd on success. */
loom_status loom_recorder_map(int fd, uint32_t lane, loom_recorder **recorder, loom_error *err);
/* recorder.c: appends a copy; false, counted as lost, when the reader is a whole log behind. */
bool loom_lane_push(loom_lane *lane, const loom_log_entry *entry);

#endif
