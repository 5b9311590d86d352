/* The body of a loop: its closure is applied once, to a placeholder, and the nodes that depend on the placeholder
 * become the body's steps. Loops over loops ("map" over "for") are one body. Nothing recurses over the body's depth. */
#include "runtime/coordinator/body.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/kernels/kernel.h"

#define NESTING_MAX 200 /* loops over one another's items */

/* Making a body. */
typedef struct maker {
    loom_expansion *at;
    loom_body *body;
    loom_node_index element; /* the placeholder; nodes that depend on it have larger numbers */
    loom_memo operands;      /* plan node -> slot, or LOOM_BODY_OUTER: the same for every item */
    loom_memo outer;         /* plan node -> operand, of those that a step uses */
    uint32_t *stack;         /* nodes whose arguments are being looked at */
    size_t stack_count, stack_capacity;
    bool fits;
} maker;

static loom_status grow(void **items, uint32_t count, uint32_t *capacity, size_t item_bytes) {
    if (count < *capacity) return LOOM_OK;
    if (*capacity >= LOOM_BODY_OUTER / 2) return LOOM_TOO_LARGE;
    uint32_t larger = *capacity ? *capacity * 2 : 16;
    void *grown = realloc(*items, larger * item_bytes);
    if (!grown) return LOOM_NO_MEMORY;
    *items = grown;
    *capacity = larger;
    return LOOM_OK;
}

void loom_body_release(loom_body *body) {
    free(body->steps);
    free(body->operands);
    free(body->outer);
    *body = (loom_body){0};
}

/* ---- where the elements come from ---- */

/* The argument of a mapped or broadcast loop that it goes over; LOOM_NODE_NONE if there are two. */
static loom_status iterated(loom_session *session, loom_node_index loop, loom_shape shape, uint32_t *position) {
    const loom_node *node = loom_plan_node(session->plan, loop);
    *position = 0;
    if (shape == LOOM_SHAPE_MAPPED) return LOOM_OK;
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

/* A filter goes over its source; a loop over a filter over what is kept. */
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
        if (shape == LOOM_SHAPE_FILTERED) {
            *source = loom_plan_node(session->plan, at)->arguments[0];
            LOOM_TRY(loom_shape_of(session, *source, &shape));
            if (gives_elements(shape, true)) return LOOM_OK;
            break;
        }
        if (!is_loop(shape)) break;
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

bool loom_is_long(const loom_session *session, const loom_value *value) {
    if (value->type != LOOM_SEQUENCE || value->sequence.count > UINT32_MAX / 2) return false;
    size_t count = value->sequence.count;
    return count > LOOM_LOOP_SHORT && session->items_kept + count > session->config->memory.loop_items;
}

/* An item that no sequence has: one for each source and type, so that equal bodies are made of the same nodes. */
static loom_status placeholder(loom_expansion *at, loom_node_index source, loom_type type, loom_node_index *element) {
    loom_plan *plan = at->session->plan;
    const loom_id parent = loom_plan_node(plan, source)->id;
    loom_value value = type == LOOM_SEQUENCE ? loom_sequence(NULL, 0) : loom_null();
    return loom_plan_item(plan, &parent, (uint64_t)INT64_MAX - (uint64_t)type, &value, element, at->err);
}

/* ---- from nodes to steps ---- */

static loom_status push(maker *m, loom_node_index node) {
    if (m->stack_count == m->stack_capacity) {
        size_t capacity = m->stack_capacity ? m->stack_capacity * 2 : 64;
        uint32_t *grown = realloc(m->stack, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        m->stack = grown;
        m->stack_capacity = capacity;
    }
    m->stack[m->stack_count++] = node;
    return LOOM_OK;
}

/* Waits for the value of an outer step that may be large. */
static loom_status needs_small_value(maker *m, uint32_t index) {
    loom_session *session = m->at->session;
    index = loom_graph_resolve(&session->graph, index);
    const loom_step *step = &session->graph.steps[index];
    if (step->state == LOOM_STEP_DONE)
        m->fits &= step->type != LOOM_IMAGE && step->type != LOOM_SEQUENCE && step->type != LOOM_DATASET;
    if (step->state >= LOOM_STEP_DONE) return LOOM_OK; /* failed: so will its users */
    m->at->waiting = true;
    LOOM_TRY(loom_graph_link(&session->graph, index, m->at->step, LOOM_EVENT_VALUE));
    return loom_demand(session, index, m->at->err);
}

/* The operand of a node that does not depend on the element: one step for all items. Its value is small for certain, or
 * must be known first: a step that takes an image, or a list of some, is expensive. */
static loom_status use_outer(maker *m, loom_node_index node, uint32_t *operand) {
    loom_session *session = m->at->session;
    loom_body *body = m->body;
    loom_node_facts facts;
    uint32_t known = loom_memo_get(&m->outer, node);
    if (known != LOOM_MEMO_NONE) {
        *operand = known;
        return LOOM_OK;
    }
    void *outer = body->outer;
    loom_status status = grow(&outer, body->outer_count, &body->outer_capacity, sizeof *body->outer);
    body->outer = outer;
    LOOM_TRY(status);
    LOOM_TRY(loom_facts_of(session->facts, node, &facts));
    LOOM_TRY(loom_lower(session, node, m->at->context, &body->outer[body->outer_count], m->at->err));
    m->at->contextual |= facts.openness != LOOM_CLOSED;
    if (facts.kind != LOOM_KIND_SCALAR) LOOM_TRY(needs_small_value(m, body->outer[body->outer_count]));
    *operand = LOOM_BODY_OUTER | body->outer_count++;
    return loom_memo_set(&m->outer, node, *operand);
}

/* Whether a step of this operator over small values takes about a microsecond and gives a small value. Overloaded
 * operators are priced for images; on small values they are as cheap as any. */
static bool is_cheap(const loom_operator *op) {
    const uint32_t other =
        LOOM_OP_READS_FILES | LOOM_OP_EFFECT | LOOM_OP_OPEN | LOOM_OP_NEW_DOMAIN | LOOM_OP_NOT_STORED;
    if (op->flags & other || !loom_kernel_of(op)->run) return false;
    return op->cost == LOOM_COST_SCALAR || loom_signature_result(op) == 'o' || strcmp(op->name, "default.fold") == 0;
}

/* A loop, or a part of one, whose items depend on the element, needs a plan node an item; a list is just an operator.
 */
static loom_status is_plain(maker *m, loom_node_index index, const loom_node *node, bool *plain) {
    loom_shape shape;
    LOOM_TRY(loom_shape_of(m->at->session, index, &shape));
    *plain = node->kind == LOOM_NODE_PRIMITIVE && (shape == LOOM_SHAPE_VALUE || shape == LOOM_SHAPE_LIST) &&
             node->argument_count <= LOOM_ARGUMENTS_MAX && is_cheap(node->op);
    return LOOM_OK;
}

static loom_status add_step(maker *m, loom_node_index index, const loom_node *node) {
    loom_body *body = m->body;
    void *steps = body->steps;
    loom_status status = grow(&steps, body->step_count, &body->step_capacity, sizeof *body->steps);
    body->steps = steps;
    LOOM_TRY(status);
    body->steps[body->step_count] =
        (loom_body_step){.op = node->op, .node = index, .first = body->operand_count, .count = node->argument_count};
    for (uint32_t i = 0; i < node->argument_count; i++) {
        void *operands = body->operands;
        status = grow(&operands, body->operand_count, &body->operand_capacity, sizeof *body->operands);
        body->operands = operands;
        LOOM_TRY(status);
        uint32_t operand = loom_memo_get(&m->operands, node->arguments[i]);
        if (operand == LOOM_BODY_OUTER) LOOM_TRY(use_outer(m, node->arguments[i], &operand));
        body->uses_element |= operand == 0;
        body->operands[body->operand_count++] = operand;
    }
    return loom_memo_set(&m->operands, index, ++body->step_count);
}

/* A node with a larger number than the element may depend on it, or be new for another reason: it does if an argument
 * does. Closures are taken to depend: what their functions capture is the planner's to know. */
static bool depends(const maker *m, const loom_node *node) {
    bool dependent = node->kind == LOOM_NODE_CLOSURE;
    for (uint32_t i = 0; i < node->argument_count && !dependent; i++)
        dependent = loom_memo_get(&m->operands, node->arguments[i]) != LOOM_BODY_OUTER;
    return dependent;
}

/* All arguments have been looked at. */
static loom_status finish_node(maker *m, loom_node_index index) {
    loom_node node = *loom_plan_node(m->at->session->plan, index); /* a copy: lowering may make the plan grow */
    if (!depends(m, &node)) return loom_memo_set(&m->operands, index, LOOM_BODY_OUTER);
    LOOM_TRY(is_plain(m, index, &node, &m->fits));
    return m->fits ? add_step(m, index, &node) : LOOM_OK;
}

/* One visit of the node on top: pushes an argument that has no operand yet, or finishes it. */
static loom_status visit(maker *m) {
    loom_node_index index = m->stack[m->stack_count - 1];
    const loom_node *node = loom_plan_node(m->at->session->plan, index);
    for (uint32_t i = 0; node->kind == LOOM_NODE_PRIMITIVE && i < node->argument_count; i++) {
        loom_node_index argument = node->arguments[i];
        if (loom_memo_get(&m->operands, argument) != LOOM_MEMO_NONE) continue;
        if (argument > m->element) return push(m, argument);
        LOOM_TRY(loom_memo_set(&m->operands, argument, LOOM_BODY_OUTER));
    }
    m->stack_count--;
    return finish_node(m, index);
}

static loom_status collect(maker *m, loom_node_index root) {
    LOOM_TRY(loom_memo_set(&m->operands, m->element, 0));
    if (root < m->element) LOOM_TRY(loom_memo_set(&m->operands, root, LOOM_BODY_OUTER));
    if (root > m->element) LOOM_TRY(push(m, root));
    while (m->fits && m->stack_count > 0)
        LOOM_TRY(visit(m));
    if (!m->fits) return LOOM_OK;
    m->body->result = loom_memo_get(&m->operands, root);
    m->body->uses_element |= m->body->result == 0;
    return m->body->result == LOOM_BODY_OUTER ? use_outer(m, root, &m->body->result) : LOOM_OK;
}

loom_status loom_body_make(loom_expansion *at, loom_node_index loop, loom_node_index source, loom_type type,
                           loom_body *body, bool *fits) {
    loom_node_index root;
    loom_node_facts facts;
    maker m = {.at = at, .body = body, .fits = true};
    *body = (loom_body){0};
    *fits = false;
    LOOM_TRY(placeholder(at, source, type, &m.element));
    LOOM_TRY(loom_body_apply(at, loop, source, m.element, &root));
    if (loom_facts_of(at->session->facts, root, &facts) != LOOM_OK) return loom_expansion_no_memory(at);
    if (facts.kind == LOOM_KIND_IMAGE) return LOOM_OK;
    loom_status status = collect(&m, root);
    loom_memo_release(&m.operands);
    loom_memo_release(&m.outer);
    free(m.stack);
    *fits = status == LOOM_OK && m.fits;
    if (!*fits || at->waiting) loom_body_release(body);
    return status == LOOM_OK || at->err->status != LOOM_OK ? status : loom_expansion_no_memory(at);
}
