/* plan_order.h - the order in which plans are written (voxlogica2.md, section 4). */
#ifndef LOOM_PLANNER_PLAN_ORDER_H
#define LOOM_PLANNER_PLAN_ORDER_H

#include "planner/plan_state.h"

typedef struct loom_plan_order {
    loom_node_index *nodes;
    size_t count;
} loom_plan_order;

/* All nodes that are written: depth-first post-order, roots and dependencies by ascending id. The string constants of
 * the program variables ($cwd, ...) are left out unless something uses them: they say where a program lay, not what it
 * computes. Release with loom_plan_order_free. LOOM_UNSUPPORTED for plans that have grown by items of sequences. */
loom_status loom_plan_order_find(const loom_plan *plan, loom_plan_order *order, loom_error *err);
void loom_plan_order_free(loom_plan_order *order);

/* Calls `visit` for each dependency, in order, repeated ones too: arguments, then what function records capture. */
void loom_visit_dependencies(const loom_node *node, void (*visit)(loom_node_index node, void *context), void *context);

#endif
