/* expand.h - how loops become their items, shared by shape.c, items.c and expand.c. */
#ifndef LOOM_RUNTIME_EXPAND_H
#define LOOM_RUNTIME_EXPAND_H

#include "runtime/coordinator/session.h"

/* How a plan node gives its items. */
typedef enum loom_shape {
    LOOM_SHAPE_VALUE,     /* not expandable: its value must be computed */
    LOOM_SHAPE_LIST,      /* [a, b, c] */
    LOOM_SHAPE_MAPPED,    /* for, map */
    LOOM_SHAPE_FILTERED,  /* filter */
    LOOM_SHAPE_PICKED,    /* slice or subsequence of an expandable sequence */
    LOOM_SHAPE_ITEM,      /* index of an expandable sequence: one item, not a list */
    LOOM_SHAPE_FOLDED,    /* a fold over a loop: a value, which may be found while the loop goes on */
    LOOM_SHAPE_BROADCAST, /* an overloaded operator on an expandable sequence: item by item */
} loom_shape;

/* One attempt to find the items of a pending step. */
typedef struct loom_expansion {
    loom_session *session;
    uint32_t step;    /* the pending step that waits */
    uint32_t context; /* domain in which items are used */
    bool waiting;     /* a value is missing; the step has been told to wait for it */
    bool contextual;  /* a value that decided was an open one: elsewhere the items may be others */
    loom_error *err;
} loom_expansion;

/* ---- shape.c ---- */
loom_status loom_shape_of(loom_session *session, loom_node_index node, loom_shape *shape);
/* A list of items, as opposed to one item or a value. */
bool loom_shape_is_list(loom_shape shape);

/* ---- expand.c ---- */
/* One step that joins steps, with `name` (default.sequence: of items; loom.concat: of sequences); beyond the limit of
 * predecessors, a tree of them. `steps` is overwritten. */
loom_status loom_gather(loom_session *session, const char *name, uint32_t *steps, uint32_t count, loom_node_index blame,
                        uint32_t *whole, loom_error *err);

/* ---- pick.c ---- */
/* The items that an index, slice or subsequence picks. */
loom_status loom_picked_items(loom_expansion *at, const loom_node *node, int depth, loom_items *items);

/* ---- items.c ---- */
/* Room for the nodes of `count` items. */
loom_status loom_make_items(loom_expansion *at, uint32_t count, loom_items *items);
/* The node of an element of a source: a constant, or an item that refers to a result. */
loom_status loom_element_node(loom_expansion *at, loom_node_index source, uint64_t position, const loom_value *element,
                              loom_node_index *node);
/* The value of a node, in `arena`, if it is known; else the pending step waits for it and at->waiting is set. */
loom_status loom_expansion_value(loom_expansion *at, loom_node_index node, loom_arena *arena, loom_value *value);
/* The items of a node. If a value that decides is missing, at->waiting is set, the step waits for it, and *items is
 * empty. `depth` is how many loops were descended through. */
loom_status loom_items_of(loom_expansion *at, loom_node_index node, int depth, loom_items *items);
/* The items of a node, if they have been found already. */
bool loom_items_known(const loom_session *session, loom_node_index node, uint32_t context, loom_items *items);
loom_status loom_expansion_no_memory(loom_expansion *at);

#endif
