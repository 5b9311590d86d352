/* brake.h - tasks that wait for memory: the coordinator's side of the brake (runtime/worker/admission.c has the other).
 *
 * A worker commits bytes before it reserves them; a task whose bytes would exceed the budget comes back here and goes
 * on when there is room, the deepest first: what releases as much as it takes before what only uses images, and that
 * before roots; among equals, in the order of a depth-first walk. So breadth is given up for depth. */
#ifndef LOOM_RUNTIME_BRAKE_H
#define LOOM_RUNTIME_BRAKE_H

#include <stdint.h>

#include "shm/status.h"

struct loom_session;

typedef struct loom_brake {
    struct loom_held {
        uint64_t order;         /* least first: class << 32 | step, which may be another's by now */
        uint32_t task, attempt; /* what was held back: numbers of steps and tasks are used again */
        uint64_t bytes;         /* that the worker wanted to commit; 0: it did not come so far */
    } * held;                   /* a binary heap */
    uint32_t count, capacity;
    uint32_t beyond; /* the step that was let go on without room; LOOM_STEP_NONE: none, or it has ended */
    uint32_t beyond_task;
    uint64_t times; /* that a task was held back */
} loom_brake;

/* A task that came back READY. LOOM_NO_MEMORY. */
loom_status loom_brake_hold(struct loom_session *session, uint32_t step);
/* Lets go on what can. After every batch of completions, and when bytes were released. */
void loom_brake_release(struct loom_session *session);
/* The step is given back: its number may be another's from now on. */
void loom_brake_forget(struct loom_session *session, uint32_t step);
void loom_brake_free(loom_brake *brake);

#endif
