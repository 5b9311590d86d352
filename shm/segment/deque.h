/* deque.h - work-stealing deques of task numbers in shared memory.
 *
 * Source: D. Chase, Y. Lev, "Dynamic circular work-stealing deque", SPAA 2005, with the memory orders of N. M. Le,
 * A. Pop, A. Cohen, F. Zappa Nardelli, "Correct and efficient work-stealing for weak memory models", PPoPP 2013; of
 * fixed capacity, so nothing is ever reallocated.
 *
 * Entries are hints (segment.h): a task may appear twice, or after somebody ran it. What the owner's death leaves, and
 * how it is taken over, is in shm/SCHEMA.md. */
#ifndef LOOM_SHM_DEQUE_H
#define LOOM_SHM_DEQUE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/segment/segment.h"

/* `top` is written by thieves, `bottom` by the owner: a cache line each. The entries are [top, bottom); entry i lies in
 * slot i mod capacity. Zero-filled memory is an empty deque. */
typedef struct loom_deque {
    alignas(64) _Atomic int64_t top;
    alignas(64) _Atomic int64_t bottom;
} loom_deque;

/* One process's view of a deque. */
typedef struct loom_deque_view {
    loom_deque *deque;
    _Atomic uint32_t *slots;
    uint32_t mask; /* capacity - 1; capacity is a power of two */
} loom_deque_view;

/* Where a taker announces the task before it removes it: see "Journal" in SCHEMA.md. */
typedef struct loom_journal {
    _Atomic uint64_t word;
} loom_journal;

/* Owner only. False when full. */
bool loom_deque_push(loom_deque_view view, uint32_t task);
/* Owner only: the newest entry; LOOM_TASK_NONE when empty. */
uint32_t loom_deque_pop(loom_deque_view view, loom_journal *journal);
/* Anyone: the oldest entry; LOOM_TASK_NONE when empty; *contended is set when another taker was faster. */
uint32_t loom_deque_steal(loom_deque_view view, loom_journal *journal, bool *contended);
/* Anyone: how many entries there seem to be, never negative. */
int64_t loom_deque_length(loom_deque_view view);

/* After the owner's death, by the one process that recovers: the task that a push or pop cut off in the middle may have
 * held, or LOOM_TASK_NONE. Call it before the entries are stolen. */
uint32_t loom_deque_unsettled(loom_deque_view view);
/* The same, after all entries were stolen: makes the deque a regular empty one for the next owner. */
void loom_deque_settle(loom_deque_view view);

#endif
