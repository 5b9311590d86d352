/* native.h - which operators this build runs by itself. */
#ifndef LOOM_KERNELS_NATIVE_H
#define LOOM_KERNELS_NATIVE_H

#include "runtime/kernels/kernel.h"

/* True if it has a kernel, or if the runtime expands it (loops). The others are Python's. */
bool loom_operator_is_native(const loom_operator *op);
/* LOOM_UNSUPPORTED for one that is not, with the remedy: a loom_check_operator (planner/check.h). */
loom_status loom_operator_check_native(const loom_operator *op, loom_error *err);

#endif
