/* evaluate.h - a tiny sequential evaluator: the planner's nodes, one kernel after the other, for the golden tests.
 *
 * It has nothing of the runtime: no store, no processes, no scheduling. Images are freed when their last user is done,
 * so that the large cases fit. */
#ifndef LOOM_TESTS_KERNELS_EVALUATE_H
#define LOOM_TESTS_KERNELS_EVALUATE_H

#include "harness.h"
#include "planner/plan.h"

/* Evaluates the last goal of a program. Domain-open nodes take the grid of the first image that is read. Images stay
 * valid until the harness is freed or evaluate_forget is called. The status and h->err are those of the first failure.
 */
loom_status evaluate(harness *h, const char *source, const char *text, loom_value *result);
/* Frees every image made so far, but those read from files and their intensities, which further programs share. */
void evaluate_forget(harness *h);

#endif
