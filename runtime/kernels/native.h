/* native.h - which operators this build runs by itself. */
#ifndef LOOM_KERNELS_NATIVE_H
#define LOOM_KERNELS_NATIVE_H

#include "runtime/kernels/kernel.h"

/* True if it has a kernel, or if the runtime expands it (loops). The others are Python's. */
bool loom_operator_is_native(const loom_operator *op);
/* LOOM_UNSUPPORTED, one line: what is wrong with calling one that is not, and the remedy. */
loom_status loom_operator_refuse(const loom_operator *op, loom_error *err);

#endif
