/* body.h - the body of a loop, made once: what is computed for each item, as steps over numbered slots.
 *
 * Slot 0 is the item's element; slot i + 1 is the result of step i, whose operands are earlier slots or *outer* steps,
 * which are the same for every item and computed once. An item is then a body and an element: no plan nodes. Only cheap
 * bodies are made so, where every step takes about a microsecond and gives a small value: a step of an image costs
 * thousands of times what its plan nodes do, and is worth sharing by name with whatever else uses it. */
#ifndef LOOM_RUNTIME_BODY_H
#define LOOM_RUNTIME_BODY_H

#include "runtime/coordinator/expand.h"

/* Short loops, and others as long as there is room for their items, are made of plan nodes: an item is then the same
 * step for whoever asks for it, be it another loop or an index. Up to this length loops are always short. */
#define LOOM_LOOP_SHORT 64u
#define LOOM_BODY_OUTER (1u << 31) /* an operand: | index into outer steps; without it: a slot */

typedef struct loom_body_step {
    const loom_operator *op;
    loom_node_index node;  /* the body's node with a placeholder for its element: for messages and attributes */
    uint32_t first, count; /* operands */
} loom_body_step;

typedef struct loom_body {
    loom_body_step *steps;
    uint32_t step_count, step_capacity;
    uint32_t *operands;
    uint32_t operand_count, operand_capacity;
    uint32_t *outer; /* steps of the graph */
    uint32_t outer_count, outer_capacity;
    uint32_t result; /* operand that is the item's value */
    bool uses_element;
} loom_body;

/* The plan node that a loop or filter goes over, through the loops between: a value, or for loops a filter;
 * LOOM_NODE_NONE if it is neither (a list, a part of another loop). */
loom_status loom_body_source(loom_session *session, loom_node_index loop, loom_node_index *source);
/* What the loop makes of one element of its source, for a filter the condition: a plan node. */
loom_status loom_body_apply(loom_expansion *at, loom_node_index loop, loom_node_index source, loom_node_index element,
                            loom_node_index *result);
/* Whether a loop over this value is too long for its items to be kept (memory.loop_items). */
bool loom_is_long(const loom_session *session, const loom_value *value);
/* The body of a loop over elements of `type` (no image, reference or closure) from `source`. *fits is false if it is
 * not cheap, or if it holds loops over what depends on the element. If a value that decides is missing, at->waiting is
 * set and the step waits for it. In both cases the body is empty. */
loom_status loom_body_make(loom_expansion *at, loom_node_index loop, loom_node_index source, loom_type type,
                           loom_body *body, bool *fits);
void loom_body_release(loom_body *body);

#endif
