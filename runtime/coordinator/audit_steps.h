/* audit_steps.h - from the recipe of a stored result to a step of the run that computes it again. */
#ifndef LOOM_RUNTIME_AUDIT_STEPS_H
#define LOOM_RUNTIME_AUDIT_STEPS_H

#include "runtime/coordinator/session.h"
#include "shm/care/recipe.h"

/* The operator of a recipe, if this build has it, in that version, and can run it without an effect; else NULL. */
const loom_operator *loom_audit_operator(const loom_session *session, const loom_recipe *recipe);
/* The step that computes it. Arguments are the stored ones. Where fusion is on, images that operators computed voxel by
 * voxel are computed again too, so that they are fused. `arena` keeps what is read of the store. LOOM_NOT_FOUND, err
 * untouched: an argument is not stored, or its bytes are damaged. */
loom_status loom_audit_step(loom_session *session, const loom_recipe *recipe, loom_arena *arena, uint32_t *step,
                            loom_error *err);

#endif
