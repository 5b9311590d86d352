/* split.h - one task worked on by several workers: the parts of its kernel, handed out through the segment.
 *
 * The worker that runs a task owns it, as always. While its kernel goes through the parts of a phase, workers that have
 * nothing to do help: they take parts of it, each part once, and report them. The task's state machine knows nothing of
 * this: only the owner finishes the task, after every helper has left.
 *
 *      owner    open -> take, run, report ... -> wait -> open (next phase) ... -> close
 *      helper   join -> take, run, report ... -> next (phase) ... -> leave
 *
 * Which parts there are is fixed by the data; who runs them is chance. A helper that dies with a part in its hands, or
 * gives one up, spoils the split: the owner closes it and begins its kernel anew, alone. Orders, deaths, and why memory
 * that a late helper writes is never anybody else's: shm/SCHEMA.md, "Splits". Model: tests/model/split.pml.
 *
 * Everything here belongs to the thread of the worker's handle. */
#ifndef LOOM_SHM_SPLIT_H
#define LOOM_SHM_SPLIT_H

#include "shm/segment/segment.h"

#define LOOM_PARTS_MAX 1024u /* of one phase */
#define LOOM_PART_NONE UINT32_MAX
#define LOOM_SPLIT_STATE_MAX 512u /* bytes that the owner passes to helpers with each phase */
#define LOOM_SPLIT_SHARED_MAX 6u  /* blocks of scratch memory that they share */

/* Scratch memory of one worker that others may map: see loom_split_scratch. */
typedef struct loom_split_block {
    uint64_t offset; /* in the segment's file */
    uint64_t bytes;  /* 0 = none */
} loom_split_block;

/* What helpers must know of a phase. A copy of it crosses processes: numbers only. */
typedef struct loom_split_phase {
    uint32_t task;
    uint32_t split;        /* tells two splits of one owner apart; set by loom_split_open */
    uint32_t phase;        /* meaning: the kernel's */
    uint32_t parts;        /* 1..LOOM_PARTS_MAX */
    uint64_t units, grain; /* meaning: the kernel's */
    loom_placement output; /* the owner's reservation; bytes 0: none yet */
    loom_split_block shared[LOOM_SPLIT_SHARED_MAX];
    uint64_t state_bytes;
    uint64_t state[LOOM_SPLIT_STATE_MAX / 8];
} loom_split_phase;

/* A worker's place at a split, its own or another's. Private to its process. */
typedef struct loom_split_seat {
    uint32_t owner, generation;
    loom_split_phase phase;
} loom_split_seat;

/* ---- owner ---- */

/* Opens the first or next phase: from now on its parts may be taken by anyone. All parts of the phase before must have
 * been reported (loom_split_wait). Wakes workers that sleep. */
void loom_split_open(loom_segment *segment, const loom_split_phase *phase, loom_split_seat *seat);
/* Waits until every part is reported. False: the split is spoiled; close it, and do everything again alone. */
bool loom_split_wait(loom_segment *segment, const loom_split_seat *seat);
bool loom_split_is_spoiled(const loom_segment *segment, const loom_split_seat *seat);
/* No more parts. Waits until every helper has left: nobody writes to the output or to shared memory any more, nor reads
 * the arguments. Needed after any loom_split_open, before the task is finished or put back, and before memory that
 * helpers know of is given back. */
void loom_split_close(loom_segment *segment);
/* After a worker died running the task: waits until no helper of that attempt is left, since they still read the task's
 * arguments. Before the task is finished. */
void loom_split_settle(loom_segment *segment, uint32_t task);

/* Whether some helper still reads the task's arguments. Any process; for the coordinator, who may not wait. */
bool loom_split_is_read(const loom_segment *segment, uint32_t task);

/* Zero-filled memory that helpers can map: `bytes` of the segment's file, not counted in its size, beyond what is
 * mapped by default. It belongs to this worker until loom_split_scratch_free. False: the system refuses files with
 * holes of that size, or the worker's share of the file is used up. */
bool loom_split_scratch(loom_segment *segment, uint64_t bytes, loom_split_block *block);
/* The same, all of it there, in huge pages as far as the system has them, and mapped for the owner. NULL: none. */
void *loom_split_scratch_huge(loom_segment *segment, uint64_t bytes, loom_split_block *block);
/* Gives back everything since the last call. After loom_split_close; maps of it must be gone. */
void loom_split_scratch_free(loom_segment *segment);
/* Maps a block, the own or the owner's of a seat. NULL: out of memory, or no such block. munmap with the same length.
 */
void *loom_split_map(const loom_segment *segment, const loom_split_block *block);

/* Nanoseconds of work that helpers have told of since the last call; exact after loom_split_close. */
uint64_t loom_split_take_work(loom_segment *segment);

/* ---- owner and helpers ---- */

/* A part that nobody has taken; LOOM_PART_NONE: none is left. Workers begin at different places, and go upwards. */
uint32_t loom_split_take(loom_segment *segment, const loom_split_seat *seat);
/* The part that was taken last is done: what was written is visible to whoever has seen it reported. */
void loom_split_report(loom_segment *segment, const loom_split_seat *seat);

/* ---- helper ---- */

/* Whether some worker's split has parts left. */
bool loom_split_waits(const loom_segment *segment);
/* Takes a seat at one. Until loom_split_leave neither output nor arguments of its task go away. False: none. */
bool loom_split_join(loom_segment *segment, loom_split_seat *seat);
/* Waits a moment for the owner's next phase. False: it is over, or takes long, or there is a task to run. */
bool loom_split_next(loom_segment *segment, loom_split_seat *seat);
/* Tells the owner how long this helper worked for it. An estimate: where an owner died it may come to the next one. */
void loom_split_add_work(loom_segment *segment, const loom_split_seat *seat, uint64_t ns);
/* The part that was taken last cannot be done here: spoils the split. */
void loom_split_give_up(loom_segment *segment, const loom_split_seat *seat);
/* What the helper mapped must be unmapped before. With `shun` this worker does not join this split again. */
void loom_split_leave(loom_segment *segment, const loom_split_seat *seat, bool shun);

#endif
