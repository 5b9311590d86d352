/* signs.h - what a worker shows of itself in its slot of the segment: that it lives, what it waits for, and where the
 * memory fault lay that ends it. Written by the worker, read by the coordinator; hints, never part of the protocol of
 * tasks. */
#ifndef LOOM_SHM_SEGMENT_SIGNS_H
#define LOOM_SHM_SEGMENT_SIGNS_H

#include "shm/segment/segment.h"

/* Why a worker that runs a task does not get on with it, through no fault of the task. */
typedef enum loom_wait {
    LOOM_WAIT_NONE = 0,
    LOOM_WAIT_OTHER_RUN, /* another run computes the same result */
    LOOM_WAIT_ROOM       /* there is no room for its result now */
} loom_wait;

/* Whose bytes the address of a memory fault was among. */
typedef enum loom_fault_in {
    LOOM_FAULT_NONE = 0,
    LOOM_FAULT_ELSEWHERE,
    LOOM_FAULT_ARGUMENT,
    LOOM_FAULT_RESULT
} loom_fault_in;

typedef struct loom_fault {
    loom_fault_in in;
    uint32_t extent; /* of an argument or the result: file number and the byte in it */
    uint64_t offset;
} loom_fault;

/* One beat: the process is not stopped. Any thread of the worker. */
void loom_segment_beat(const loom_segment *segment);
/* Beats of the worker's slot so far, mod 2^32. */
uint32_t loom_segment_beats(const loom_segment *segment, uint32_t worker);

void loom_segment_set_wait(const loom_segment *segment, loom_wait wait);
loom_wait loom_segment_wait_of(const loom_segment *segment, uint32_t worker);

/* Which attempt of which task the worker runs: two calls that give the same word, not 0, saw one attempt. 0: none. */
uint64_t loom_segment_attempt(const loom_segment *segment, uint32_t worker);

/* By the coordinator, when nothing runs though tasks are open: workers search the table for READY tasks that are in no
 * deque. There should be none. */
void loom_segment_search_again(loom_segment *segment);

/* By the worker's signal handler: stores only (async-signal-safe). */
void loom_segment_record_fault(const loom_segment *segment, const loom_fault *fault);
/* By the coordinator, after the worker's death and before its slot is used again: what the worker recorded, which is
 * forgotten, as is what it waited for. */
loom_fault loom_segment_take_fault(const loom_segment *segment, uint32_t worker);

#endif
