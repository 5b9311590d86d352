/* inlined.h - calls of functions already inlined during one reduction.
 *
 * Inlining follows calls as a tree; with the results kept, a function that calls another twice costs two look-ups, not
 * twice the work, so chains of such functions stay linear instead of exponential. */
#ifndef LOOM_PLANNER_INLINED_H
#define LOOM_PLANNER_INLINED_H

#include "planner/environment.h"

#define LOOM_INLINED_NONE UINT32_MAX

typedef struct loom_inlined_call {
    const loom_function *function;
    size_t arguments; /* where they begin in loom_inlined.arguments */
    size_t slot;
    uint64_t hash;
    loom_node_index result; /* LOOM_NODE_NONE while the body is being reduced */
} loom_inlined_call;

typedef struct loom_inlined {
    loom_inlined_call *entries;
    uint32_t count, capacity;
    loom_node_index *arguments;
    size_t argument_count, argument_capacity;
    uint32_t *slots; /* entry + 1 */
    size_t slot_count;
} loom_inlined;

/* The entry of this call, made if it is new; LOOM_INLINED_NONE when out of memory. */
uint32_t loom_inlined_get(loom_inlined *table, const loom_function *function, const loom_node_index *arguments,
                          uint32_t count);
void loom_inlined_clear(loom_inlined *table);
void loom_inlined_free(loom_inlined *table);

#endif
