/* native.c - see native.h. */
#include "runtime/kernels/native.h"

#include <string.h>

/* Structural operators without a kernel that runtime/coordinator/shape.c knows. */
static const char *const expanded[] = {"default.for_loop", "default.map", "default.filter"};

bool loom_operator_is_native(const loom_operator *op) {
    if (loom_kernel_of(op)->run != NULL) return true;
    for (size_t k = 0; k < sizeof expanded / sizeof expanded[0]; k++)
        if (strcmp(op->name, expanded[k]) == 0) return true;
    return false;
}

loom_status loom_operator_check_native(const loom_operator *op, loom_error *err) {
    if (loom_operator_is_native(op)) return LOOM_OK;
    loom_error_node(err, op->name);
    return loom_fail(err, LOOM_UNSUPPORTED,
                     "%s has no native kernel: it needs the Python worker voxloom-worker-py, which this version does "
                     "not have; write the program without it, or run it in VoxLogicA-2",
                     op->name);
}
