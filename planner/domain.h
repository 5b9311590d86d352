/* domain.h - static types and image domains of plan nodes (DESIGN.md, section 4).
 *
 * A node with no image beneath it and an open operator (border, tt, x, constant) is domain-open: it is instantiated
 * once per domain in which it is used. This header answers, per plan node, what it is and whether its domain comes from
 * where it is used. */
#ifndef LOOM_PLANNER_DOMAIN_H
#define LOOM_PLANNER_DOMAIN_H

#include "planner/plan.h"

typedef enum loom_static_kind {
    LOOM_KIND_UNKNOWN, /* only running it tells */
    LOOM_KIND_SCALAR,  /* number, truth value, string, null, record */
    LOOM_KIND_SEQUENCE,
    LOOM_KIND_IMAGE
} loom_static_kind;

typedef enum loom_openness {
    LOOM_CLOSED,    /* an image beneath it fixes the domain, or there is none to fix */
    LOOM_OPEN,      /* takes the domain of its user */
    LOOM_MAYBE_OPEN /* a loop, or an item of one: only its items can tell */
} loom_openness;

typedef struct loom_node_facts {
    uint8_t kind;     /* loom_static_kind */
    uint8_t openness; /* loom_openness */
} loom_node_facts;

/* Facts of every node, computed when first asked for and kept as the plan grows. Belongs to the plan's thread. */
typedef struct loom_facts loom_facts;
loom_facts *loom_facts_new(const loom_plan *plan); /* NULL when out of memory */
void loom_facts_free(loom_facts *facts);
/* Amortised O(arguments) a node. LOOM_NO_MEMORY. */
loom_status loom_facts_of(loom_facts *facts, loom_node_index node, loom_node_facts *out);

/* What the signature says of argument `position`: its letter (shm/operator.h), 'v' beyond its end. */
char loom_signature_argument(const loom_operator *op, uint32_t position);
char loom_signature_result(const loom_operator *op);

#endif
