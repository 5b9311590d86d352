/* body.h - the body of a loop, made once: what is computed for each item, as steps over numbered slots.
 *
 * Slot 0 is the item's element; slot i + 1 is the result of step i, whose operands are earlier slots or *outer* steps,
 * which are the same for every item and computed once. An item is then a body and an element: no plan nodes. A node
 * that takes its domain from where it is used (border) is a step of the body for each domain that the item uses it in,
 * and so is the record of an item's domain itself, as in lower.c.
 *
 * A body is *heavy* unless every step of it takes about a microsecond and gives a small value. Steps of heavy bodies
 * are worth finding again in other loops: see window_share.c. */
#ifndef LOOM_RUNTIME_BODY_H
#define LOOM_RUNTIME_BODY_H

#include "runtime/coordinator/expand.h"

/* Short loops, and others as long as there is room for their items, are made of plan nodes: an item is then the same
 * step for whoever asks for it, be it another loop or an index. Up to this length loops are always short. */
#define LOOM_LOOP_SHORT 64u
#define LOOM_BODY_LIGHT 2u         /* nodes of an item that count as one of memory.loop_items */
#define LOOM_BODY_STEPS_MAX 512u   /* of an item */
#define LOOM_BODY_OUTER (1u << 31) /* an operand: | index into outer steps; without it: a slot */

typedef struct loom_body_step {
    const loom_operator *op;
    loom_node_index node;  /* the body's node with a placeholder for its element: for messages and attributes;
                              LOOM_NODE_NONE for the record of a domain */
    loom_node_index blame; /* to name in messages */
    uint32_t first, count; /* operands */
    uint32_t domain;       /* operand: the image whose domain the result has, if it is an image */
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
    bool heavy;
} loom_body;

/* The plan node that a loop or filter goes over, through the loops between: a value, or for loops a filter;
 * LOOM_NODE_NONE if it is neither (a list, a part of another loop). */
loom_status loom_body_source(loom_session *session, loom_node_index loop, loom_node_index *source);
/* What the loop makes of one element of its source, for a filter the condition: a plan node. */
loom_status loom_body_apply(loom_expansion *at, loom_node_index loop, loom_node_index source, loom_node_index element,
                            loom_node_index *result);
/* Whether a loop over this value, of so many nodes an item, is too long for its items to be kept (memory.loop_items).
 */
bool loom_is_long(const loom_session *session, const loom_value *value, uint32_t nodes);
/* The body of a loop over elements like this one (of which the planner knows the same) from `source`. *fits is false if
 * it is not made of operators alone: if it holds loops over what depends on the element, or long ones, or a step whose
 * domain only running it tells. If a value that decides is missing, at->waiting is set and the step waits for it. In
 * both cases the body is empty. */
loom_status loom_body_make(loom_expansion *at, loom_node_index loop, loom_node_index source, const loom_value *alike,
                           loom_body *body, bool *fits);
void loom_body_release(loom_body *body);

/* ---- body_unroll.c ---- */
/* What of a body depends on its element, and the loops that were unrolled. */
typedef struct loom_unrolled {
    loom_node_index element; /* the placeholder; nodes that depend on it have larger numbers */
    loom_memo dependent;     /* plan node after the element -> whether it depends on it */
    loom_memo of;            /* plan node -> entry of `lists` */
    loom_items *lists;       /* without items: cannot be unrolled */
    uint32_t count, capacity;
    uint32_t items; /* of all lists */
} loom_unrolled;
bool loom_body_depends(const loom_unrolled *unrolled, loom_node_index node);
/* If `index` is a loop over a short list, whose length is known without the element, *node becomes the list of its
 * items. If a value that decides is missing, at->waiting is set and the step waits for it. */
loom_status loom_unroll(loom_expansion *at, loom_unrolled *unrolled, loom_node_index index, loom_node *node);
void loom_unrolled_release(loom_unrolled *unrolled);

/* ---- body_steps.c ---- */
/* Fills an empty body with what `root`, the item that is made of `element`, consists of. */
loom_status loom_body_collect(loom_expansion *at, loom_node_index element, loom_node_index root, loom_body *body,
                              bool *fits);

#endif
