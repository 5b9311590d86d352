/* domain.h - static types and image domains of plan nodes (DESIGN.md, section 4).
 *
 * A node with no image beneath it and an open operator (border, tt, x, constant) is domain-open: it is instantiated
 * once per domain in which it is used. This header answers, per plan node, what it is and which argument gives the
 * domain. */
#ifndef LOOM_PLANNER_DOMAIN_H
#define LOOM_PLANNER_DOMAIN_H

#include "planner/plan.h"

typedef enum loom_static_kind {
    LOOM_KIND_UNKNOWN, /* only running it tells */
    LOOM_KIND_SCALAR,  /* number, truth value, string, null, record */
    LOOM_KIND_SEQUENCE,
    LOOM_KIND_IMAGE
} loom_static_kind;

typedef struct loom_node_facts {
    loom_static_kind kind;
    bool open;       /* an image (or something that contains one) whose domain is not fixed by an image beneath it */
    bool has_effect; /* contains WriteImage */
} loom_node_facts;

/* Facts of every node, computed lazily and kept as the plan grows. */
typedef struct loom_facts loom_facts;
loom_facts *loom_facts_new(const loom_plan *plan);
void loom_facts_free(loom_facts *facts);
loom_status loom_facts_of(loom_facts *facts, loom_node_index node, loom_node_facts *out);

/* Static type errors that need no data: a scalar where only an image fits, and the like. Position and operator are
 * named. */
loom_status loom_plan_check(const loom_plan *plan, loom_facts *facts, loom_error *err);

#endif
