/* sweep.h - horizontal fusion: volumes of many comparisons of one image with numbers are counted in one pass.
 *
 * Where a step would be handed out as `volume` of a comparison (fuse.h), perhaps negated, of an image with numbers that
 * are known, it waits until the coordinator has nothing else to do: by then its siblings, the items of a loop or not,
 * wait too. All that wait for one image get a step of `loom.sweep` (kernels/statistics/sweep.h), and are handed out
 * with it as one more, last, argument of their tasks; a worker takes their result from there (worker/swept.c). They
 * stay tasks of their own, with their own keys, claims and rows, and compute their result as ever where the sweep has
 * none.
 *
 * Belongs to the coordinator's main thread. */
#ifndef LOOM_RUNTIME_SWEEP_H
#define LOOM_RUNTIME_SWEEP_H

#include "runtime/coordinator/fuse.h"

typedef enum loom_sweep_advice {
    LOOM_SWEEP_ALONE, /* hand it out; if it is swept, its group has got the sweep as its last argument */
    LOOM_SWEEP_NEEDS, /* hand these steps out first, then ask again: numbers that are not known yet */
    LOOM_SWEEP_ASIDE  /* it was put aside */
} loom_sweep_advice;

/* What to do with a step that is about to be handed out as the group, and uses its arguments. LOOM_NO_MEMORY. */
loom_status loom_sweep_advise(loom_session *session, uint32_t step, loom_group *group, loom_sweep_advice *advice,
                              uint32_t needs[2], uint32_t *needs_count);
/* The step, about to be handed out, needs one that was put aside: so is it. LOOM_NO_MEMORY. */
loom_status loom_sweep_blocks(loom_session *session, uint32_t step);
/* Hands out what was put aside. Call it when there is nothing to do but wait. */
loom_status loom_sweeps_begin(loom_session *session, loom_error *err);
/* Steps were just given back: those of them that were put aside are forgotten. */
void loom_sweeps_forget(loom_session *session);
/* The step has ended, and needs its sweep no more: *sweep, whose task may go, is LOOM_STEP_NONE if it had none. */
void loom_sweep_leave(loom_session *session, uint32_t step, uint32_t *sweep);
/* A step was computed: true if it is a sweep, which is no node of the program. */
bool loom_sweep_computed(loom_session *session, uint32_t step);
void loom_sweeps_free(loom_session *session);

#endif
