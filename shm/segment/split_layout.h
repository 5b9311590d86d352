/* split_layout.h - the board of splits in the segment; private to the files that implement segment.h and split.h.
 *
 * Bytes, writers, memory orders and the argument for each: shm/SCHEMA.md, "Splits". */
#ifndef LOOM_SHM_SPLIT_LAYOUT_H
#define LOOM_SHM_SPLIT_LAYOUT_H

#include <stdalign.h>

#include "shm/segment/split.h"

#define LOOM_SPLIT_BITS 32u /* parts a word of `taken` holds, below the generation */
#define LOOM_SPLIT_WORDS (LOOM_PARTS_MAX / LOOM_SPLIT_BITS)
#define LOOM_SPLIT_BETWEEN UINT32_MAX               /* in a state: open, between two phases */
#define LOOM_SPLIT_SCRATCH_SPAN (UINT64_C(1) << 44) /* of the segment's file, a worker: holes cost nothing */

/* One per worker. Every word that helpers change begins with the generation of the phase it is about, so that a helper
 * who comes late, even after the owner's death, changes nothing of a later one. */
typedef struct loom_split_slot {
    /* as an owner */
    alignas(64) _Atomic uint64_t state; /* generation << 32 | parts; parts 0: closed; LOOM_SPLIT_BETWEEN */
    _Atomic uint32_t spoiled;           /* 1: a helper died, or gave up, with a part in its hands */
    _Atomic uint32_t owner_waits;       /* 1: the owner sleeps on `owner_bell`, or is about to */
    _Atomic uint32_t owner_bell;
    _Atomic uint32_t helpers_wait; /* 1: some helper sleeps on `helpers_bell`, or is about to */
    _Atomic uint32_t helpers_bell;
    alignas(64) _Atomic uint64_t done;                                /* generation << 32 | parts reported */
    _Atomic uint64_t helped_ns;                                       /* what helpers have told since it was taken */
    alignas(64) _Atomic uint64_t taken[LOOM_SPLIT_WORDS];             /* generation << 32 | a bit per part */
    alignas(64) _Atomic uint64_t words[sizeof(loom_split_phase) / 8]; /* the phase, read under `state` as a seqlock */
    /* as a helper */
    alignas(64) _Atomic uint64_t helping; /* task << 32 | owner + 1; 0: nobody */
    _Atomic uint32_t part;                /* part + 1 that it holds, or is about to take; 0: none */
    /* as an owner, seldom */
    _Atomic uint64_t scratch_first, scratch_next; /* used, and up to where, within its share of the file */
} loom_split_slot;

typedef struct loom_split_board {
    alignas(64) _Atomic uint64_t open[LOOM_WORKERS_MAX / 64]; /* a bit per owner; a hint */
    /* written once, before anyone else maps the segment */
    alignas(64) uint64_t scratch_at; /* in the segment's file: LOOM_SPLIT_SCRATCH_SPAN a worker; 0: there is none */
    loom_split_slot slots[];
} loom_split_board;

_Static_assert(sizeof(loom_split_phase) % 8 == 0, "the phase is copied by words");
_Static_assert(sizeof(loom_split_slot) % 64 == 0 && sizeof(loom_split_board) % 64 == 0, "whole cache lines");

/* split_recover.c: the process of `worker` is gone: closes its split, and tells the owner that it helped. Before its
 * task can run again. */
void loom_split_recover(loom_segment *segment, uint32_t worker);
/* split_scratch.c: returns the pages of what `worker` had, alive or dead. */
void loom_split_scratch_reclaim(loom_segment *segment, uint32_t worker);
/* split.c: wakes the owner of a slot if it sleeps. */
void loom_split_ring_owner(loom_split_slot *slot);
/* split.c: wakes helpers that wait for the next phase. */
void loom_split_ring_helpers(loom_split_slot *slot);

#endif
