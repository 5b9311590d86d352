/* broadcast.h - an operation on two values applied item by item when one of them is a non-empty sequence.
 *
 * The other value is repeated unless it is a non-empty sequence too; then the lengths must agree. One level deep. */
#ifndef LOOM_KERNELS_BROADCAST_H
#define LOOM_KERNELS_BROADCAST_H

#include "runtime/kernels/kernel.h"

/* Applies the operation to one pair; `where` names the place for messages. */
typedef loom_status (*loom_pair_operation)(loom_call *call, const void *context, const char *where, const loom_value *a,
                                           const loom_value *b, loom_value *result);

bool loom_broadcasts(const loom_value *value);
/* Sets call->result to the sequence of results. Items that are images are refused: a kernel makes one image. */
loom_status loom_broadcast(loom_call *call, const loom_value *a, const loom_value *b, loom_pair_operation operation,
                           const void *context);

#endif
