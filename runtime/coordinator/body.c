/* The body of a loop: its closure is applied once, to a placeholder, and the nodes that depend on the placeholder
 * become the body's steps (body_steps.c). Loops over loops ("map" over "for") are one body. */
#include "runtime/coordinator/body.h"

#include <stdlib.h>

#define NESTING_MAX 200 /* loops over one another's items */

void loom_body_release(loom_body *body) {
    free(body->steps);
    free(body->operands);
    free(body->outer);
    *body = (loom_body){0};
}

/* ---- where the elements come from ---- */

/* The argument of a mapped, filtered or broadcast loop that it goes over; LOOM_NODE_NONE if there are two. */
static loom_status iterated(loom_session *session, loom_node_index loop, loom_shape shape, uint32_t *position) {
    const loom_node *node = loom_plan_node(session->plan, loop);
    *position = 0;
    if (shape != LOOM_SHAPE_BROADCAST) return LOOM_OK;
    bool many[2];
    for (uint32_t i = 0; i < 2; i++) {
        loom_node_facts facts;
        loom_shape argument;
        LOOM_TRY(loom_facts_of(session->facts, node->arguments[i], &facts));
        LOOM_TRY(loom_shape_of(session, node->arguments[i], &argument));
        many[i] = facts.kind == LOOM_KIND_SEQUENCE || loom_shape_is_list(argument);
        if (!many[i] && facts.kind != LOOM_KIND_SCALAR) *position = LOOM_NODE_NONE; /* may turn out to be many */
    }
    if (many[0] == many[1]) *position = LOOM_NODE_NONE;
    if (*position != LOOM_NODE_NONE) *position = many[1];
    return LOOM_OK;
}

static bool is_loop(loom_shape shape) {
    return shape == LOOM_SHAPE_MAPPED || shape == LOOM_SHAPE_BROADCAST;
}

/* A filter goes over its source as any loop does; a loop over a filter over what is kept. */
static bool gives_elements(loom_shape shape, bool top) {
    return shape == LOOM_SHAPE_VALUE || shape == LOOM_SHAPE_FOLDED || (shape == LOOM_SHAPE_FILTERED && !top);
}

loom_status loom_body_source(loom_session *session, loom_node_index loop, loom_node_index *source) {
    loom_node_index at = loop;
    for (int depth = 0; depth <= NESTING_MAX; depth++) {
        loom_shape shape;
        LOOM_TRY(loom_shape_of(session, at, &shape));
        *source = at;
        if (gives_elements(shape, at == loop)) return LOOM_OK;
        uint32_t position = 0;
        if (!is_loop(shape) && shape != LOOM_SHAPE_FILTERED) break;
        LOOM_TRY(iterated(session, at, shape, &position));
        if (position == LOOM_NODE_NONE) break;
        at = loom_plan_node(session->plan, at)->arguments[position];
    }
    *source = LOOM_NODE_NONE;
    return LOOM_OK;
}

loom_status loom_body_apply(loom_expansion *at, loom_node_index loop, loom_node_index source, loom_node_index element,
                            loom_node_index *result) {
    loom_session *session = at->session;
    loom_shape shape;
    uint32_t position = 0;
    loom_node_index item;
    if (loop == source) {
        *result = element;
        return LOOM_OK;
    }
    LOOM_TRY(loom_shape_of(session, loop, &shape));
    if (shape == LOOM_SHAPE_BROADCAST) LOOM_TRY(iterated(session, loop, shape, &position));
    loom_node node = *loom_plan_node(session->plan, loop); /* a copy: the plan grows */
    LOOM_TRY(loom_body_apply(at, node.arguments[position], source, element, &item));
    if (shape != LOOM_SHAPE_BROADCAST) return loom_plan_apply(session->plan, node.arguments[1], item, result, at->err);
    loom_node_index operands[2] = {node.arguments[0], node.arguments[1]};
    operands[position] = item;
    return loom_plan_primitive(session->plan, node.op->name, LOOM_OUT_SCALAR, operands, 2, &node.position, result,
                               at->err);
}

bool loom_is_long(const loom_session *session, const loom_value *value, uint32_t nodes) {
    if (value->type != LOOM_SEQUENCE || value->sequence.count > UINT32_MAX / 2) return false;
    size_t count = value->sequence.count;
    uint64_t weight = nodes > LOOM_BODY_LIGHT ? (nodes + LOOM_BODY_LIGHT - 1) / LOOM_BODY_LIGHT : 1;
    return count > LOOM_LOOP_SHORT && session->items_kept + count * weight > session->config->memory.loop_items;
}

/* An item that no sequence has: one for each source and type, so that equal bodies are made of the same nodes. What the
 * planner asks of it, any element answers alike. */
static loom_status placeholder(loom_expansion *at, loom_node_index source, const loom_value *alike,
                               loom_node_index *element) {
    loom_plan *plan = at->session->plan;
    const loom_id parent = loom_plan_node(plan, source)->id;
    loom_value value = loom_null();
    if (alike->type == LOOM_SEQUENCE) value = loom_sequence(NULL, 0);
    if (alike->type == LOOM_REFERENCE) value = *alike;
    return loom_plan_item(plan, &parent, (uint64_t)INT64_MAX - (uint64_t)value.type, &value, element, at->err);
}

loom_status loom_body_make(loom_expansion *at, loom_node_index loop, loom_node_index source, const loom_value *alike,
                           loom_body *body, bool *fits) {
    loom_node_index element, root;
    *body = (loom_body){.heavy = alike->type == LOOM_REFERENCE};
    *fits = false;
    LOOM_TRY(placeholder(at, source, alike, &element));
    LOOM_TRY(loom_body_apply(at, loop, source, element, &root));
    loom_status status = loom_body_collect(at, element, root, body, fits);
    if (status != LOOM_OK || !*fits || at->waiting) loom_body_release(body);
    return status == LOOM_OK || at->err->status != LOOM_OK ? status : loom_expansion_no_memory(at);
}
