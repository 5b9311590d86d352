/* explain_nearest.h - the result of the past that is nearest to a step; for explain.c. */
#ifndef LOOM_RUNTIME_EXPLAIN_NEAREST_H
#define LOOM_RUNTIME_EXPLAIN_NEAREST_H

#include "runtime/coordinator/explain.h"
#include "runtime/coordinator/session.h"
#include "shm/care/recipe.h"

/* *by is LOOM_NEAREST_NONE if the store knows of nothing by the step's operator or name. The result is in the arena.
 * LOOM_NO_MEMORY; errors of reading the store. */
loom_status loom_explain_nearest(loom_session *session, uint32_t step, const char *label, loom_arena *arena,
                                 loom_nearest_by *by, loom_result *result, loom_past *past, loom_error *err);

#endif
