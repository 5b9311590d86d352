/* call_chain.h - the calls of functions that a plan was reduced from, for reports; see loom_plan_call_site. */
#ifndef LOOM_PLANNER_CALL_CHAIN_H
#define LOOM_PLANNER_CALL_CHAIN_H

#include "planner/ast.h"
#include "planner/plan.h"

typedef struct loom_call {
    const loom_expr *expr; /* of kind CALL: the function's name, and where it is called */
    uint32_t caller;       /* the call whose body holds it; 0: none */
} loom_call;

typedef struct loom_call_chain {
    loom_call *calls; /* number n, counted from 1, is entry n - 1 */
    size_t count, capacity;
} loom_call_chain;

/* The number of a call made from the body of `caller` (0: from no function). LOOM_NO_MEMORY. */
loom_status loom_call_chain_enter(loom_plan *plan, const loom_expr *call, uint32_t caller, uint32_t *entered,
                                  loom_error *err);
/* Users are shown their own text: for a place in a library, the call that led into it. */
loom_place loom_call_chain_shown(const loom_plan *plan, loom_place place, uint32_t calls);
void loom_call_chain_free(loom_call_chain *chain);

#endif
