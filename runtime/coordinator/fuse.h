/* fuse.h - vertical fusion: voxelwise steps that only one task needs are computed within it, tile by tile.
 *
 * When a step is submitted whose operator is voxelwise or a reduction, it takes in those of its arguments, and of
 * theirs, that are voxelwise themselves and that nothing else asks for: not stored, no goal, no item, no user outside
 * the group. The group becomes one task of `loom.fused` (kernels/fused/), which has the cookie, key, place and recipe
 * of the step at its end. The others have no task and stay SETTLED; what asks for one later has it computed as ever.
 * Its arguments stay as long as the task needs them, which holds them itself (loom_step.takes); members end when no
 * user is left (loom_step.fused, release.c).
 *
 * Belongs to the coordinator's main thread. */
#ifndef LOOM_RUNTIME_FUSE_H
#define LOOM_RUNTIME_FUSE_H

#include "runtime/coordinator/session.h"
#include "runtime/kernels/fused/tape.h"

typedef struct loom_group {
    loom_tape tape;
    uint32_t arguments[LOOM_TAPE_OPERANDS_MAX]; /* steps from outside, each once: what its task takes */
    uint32_t argument_count;
} loom_group;

/* Finds what would be computed together with a settled step; false if that is the step alone, and *group is not to be
 * looked at. Finds the same as long as the graph does not change. */
bool loom_fuse(loom_session *session, uint32_t step, loom_group *group);
/* The group was handed out as one task. LOOM_NO_MEMORY. */
loom_status loom_fuse_begins(loom_session *session, const loom_group *group);
/* Counts what the task of a computed step computed besides it: in the session's figures. */
void loom_fuse_count(loom_session *session, const loom_task *task);
/* The step whose operator failed in the task of `step`, `member` being that of its tape; `step` itself if it is not
 * fused. */
uint32_t loom_fuse_culprit(const loom_session *session, uint32_t step, uint32_t member);
/* Reads the tape of a task, if it is fused. */
bool loom_fuse_tape(const loom_session *session, const loom_task *task, loom_tape *tape);

/* The step that the task of argument `position` of a task belongs to, or NULL: it has gone, and its number may be
 * another's. Of a fused task these are not the arguments of its step. */
loom_step *loom_task_argument_step(const loom_session *session, const loom_task *task, uint32_t position);

/* Whether the completion of some argument of a task has not come yet. */
bool loom_task_waits_for_completions(const loom_session *session, const loom_task *task);

#endif
