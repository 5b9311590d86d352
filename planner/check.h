/* check.h - mistakes in a program that need no data to be seen, told before anything runs. */
#ifndef LOOM_PLANNER_CHECK_H
#define LOOM_PLANNER_CHECK_H

#include "planner/plan.h"

/* Refuses an operator that nothing here can run: LOOM_UNSUPPORTED and a message, without its place. LOOM_OK for others.
 */
typedef loom_status (*loom_check_operator)(const loom_operator *op, loom_error *err);

/* Checks what the goals need; with `bodies` those of loops too: each once, for an item of which only the type is known.
 * What cannot be known passes. A body that no item would reach is wrong all the same, unless that is plain from the
 * text. `can_run` may be NULL. LOOM_BAD_PROGRAM with position, operator, argument, what came, what is
 * needed, and the calls that led there; what `can_run` and loom_plan_apply return. The plan grows meanwhile and is
 * afterwards as before. */
loom_status loom_plan_check(loom_plan *plan, loom_check_operator can_run, bool bodies, loom_error *err);

#endif
