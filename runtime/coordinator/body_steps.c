/* The steps of a body: what lower.c makes of a plan node in a domain, made of the nodes that depend on a loop's
 * element. A domain is an operand here: an item's own is a step of the body. Nothing recurses over the body's depth. */
#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/body.h"
#include "runtime/kernels/kernel.h"

/* Where a node is used: an operand that is a domain's record, or one of these. */
#define NO_DOMAIN UINT32_MAX
#define HERE (UINT32_MAX - 1) /* in the loop's own */

/* A node on the way down: a step once its arguments are operands. */
typedef struct frame {
    loom_node_index node;
    uint32_t domain;
    uint32_t inner; /* of its arguments, once `inner_known` */
    bool inner_known;
} frame;

typedef struct maker {
    loom_expansion *at;
    loom_body *body;
    loom_unrolled inner; /* what depends on the element; loops that do */
    loom_memo operands;  /* (plan node, domain) -> slot */
    loom_memo outer;     /* (plan node, domain) -> operand */
    loom_memo records;   /* operand that is an image -> operand that is its domain's record */
    frame *stack;
    size_t stack_count, stack_capacity;
    bool fits;
} maker;

static const frame no_child = {.node = LOOM_NODE_NONE};

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

static loom_status push(maker *m, frame pushed) {
    if (m->stack_count == m->stack_capacity) {
        size_t capacity = m->stack_capacity ? m->stack_capacity * 2 : 64;
        frame *grown = realloc(m->stack, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        m->stack = grown;
        m->stack_capacity = capacity;
    }
    m->stack[m->stack_count++] = pushed;
    return LOOM_OK;
}

static uint64_t pair(loom_node_index node, uint32_t domain) {
    return (uint64_t)node << 32 | domain;
}

/* ---- what depends on the element ---- */

static bool depends(const maker *m, loom_node_index node) {
    return loom_body_depends(&m->inner, node);
}

/* Pushes the first argument that has not been looked at, if there is one; else *dependent: one of them depends. */
static loom_status look_at_arguments(maker *m, const loom_node *node, bool *dependent) {
    size_t before = m->stack_count;
    for (uint32_t i = 0; node->kind == LOOM_NODE_PRIMITIVE && i < node->argument_count && m->stack_count == before;
         i++) {
        loom_node_index argument = node->arguments[i];
        if (argument > m->inner.element && loom_memo_get(&m->inner.dependent, argument) == LOOM_MEMO_NONE)
            LOOM_TRY(push(m, (frame){.node = argument}));
        *dependent |= depends(m, argument);
    }
    return LOOM_OK;
}

/* One visit of the node on top: pushes an argument that has not been looked at, or decides. A node with a larger number
 * than the element may depend on it, or be new for another reason: it does if an argument does. Of a loop that does,
 * the items are looked at too. Closures are taken to depend: what their functions capture is the planner's to know. */
static loom_status look(maker *m) {
    size_t before = m->stack_count;
    loom_node_index index = m->stack[before - 1].node;
    loom_node node = *loom_plan_node(m->at->session->plan, index); /* a copy: the plan grows */
    bool dependent = node.kind == LOOM_NODE_CLOSURE;
    LOOM_TRY(look_at_arguments(m, &node, &dependent));
    if (m->stack_count == before && dependent) {
        LOOM_TRY(loom_unroll(m->at, &m->inner, index, &node));
        LOOM_TRY(look_at_arguments(m, &node, &dependent));
    }
    if (m->stack_count > before || m->at->waiting) return LOOM_OK;
    m->stack_count--;
    return loom_memo_set(&m->inner.dependent, index, dependent);
}

static loom_status find_dependent(maker *m, loom_node_index root) {
    LOOM_TRY(loom_memo_set(&m->inner.dependent, m->inner.element, 1));
    if (root > m->inner.element) LOOM_TRY(push(m, (frame){.node = root}));
    while (m->stack_count > 0 && !m->at->waiting)
        LOOM_TRY(look(m));
    return LOOM_OK;
}

/* ---- operands ---- */

static bool is_slot(uint32_t operand) {
    return operand < LOOM_BODY_OUTER;
}

static loom_status add_outer(maker *m, uint32_t step, uint32_t *operand) {
    loom_body *body = m->body;
    void *outer = body->outer;
    loom_status status = grow(&outer, body->outer_count, &body->outer_capacity, sizeof *body->outer);
    body->outer = outer;
    LOOM_TRY(status);
    body->outer[body->outer_count] = step;
    *operand = LOOM_BODY_OUTER | body->outer_count++;
    return LOOM_OK;
}

/* The step of a domain that is the same for every item. */
static uint32_t context_of(const maker *m, uint32_t domain) {
    if (domain == NO_DOMAIN) return LOOM_STEP_NONE;
    return domain == HERE ? m->at->context : m->body->outer[domain & ~LOOM_BODY_OUTER];
}

/* The operand of a node that is the same for every item: one step for all. */
static loom_status use_outer(maker *m, loom_node_index node, uint32_t domain, uint32_t *operand) {
    loom_session *session = m->at->session;
    loom_node_facts facts;
    uint32_t step;
    *operand = loom_memo_get(&m->outer, pair(node, domain));
    if (*operand != LOOM_MEMO_NONE) return LOOM_OK;
    LOOM_TRY(loom_facts_of(session->facts, node, &facts));
    LOOM_TRY(loom_lower(session, node, context_of(m, domain), &step, m->at->err));
    m->at->contextual |= facts.openness != LOOM_CLOSED;
    m->body->heavy |= facts.kind != LOOM_KIND_SCALAR;
    LOOM_TRY(add_outer(m, step, operand));
    return loom_memo_set(&m->outer, pair(node, domain), *operand);
}

/* The operand of a node used in a domain, if it has one; else *child says what must be a step first. */
static loom_status operand_of(maker *m, loom_node_index node, uint32_t domain, uint32_t *operand, frame *child) {
    loom_node_facts facts;
    LOOM_TRY(loom_facts_of(m->at->session->facts, node, &facts));
    uint32_t own = facts.openness == LOOM_CLOSED ? NO_DOMAIN : domain;
    if (!depends(m, node) && !is_slot(own)) return use_outer(m, node, own, operand);
    *operand = loom_memo_get(&m->operands, pair(node, own));
    if (*operand == LOOM_MEMO_NONE) *child = (frame){.node = node, .domain = own};
    return LOOM_OK;
}

/* ---- steps ---- */

/* Whether a step of this operator over small values takes about a microsecond and gives a small value. Overloaded
 * operators are priced for images; on small values they are as cheap as any. */
static bool is_cheap(const loom_operator *op) {
    const uint32_t other = LOOM_OP_READS_FILES | LOOM_OP_EFFECT | LOOM_OP_OPEN | LOOM_OP_NEW_DOMAIN;
    if (op->flags & other) return false;
    return op->cost == LOOM_COST_SCALAR || loom_signature_result(op) == 'o' || strcmp(op->name, "default.fold") == 0;
}

/* A new step, whose operands follow. */
static loom_status begin_step(maker *m, const loom_operator *op, loom_node_index node, loom_node_index blame) {
    loom_body *body = m->body;
    void *steps = body->steps;
    loom_status status = grow(&steps, body->step_count, &body->step_capacity, sizeof *body->steps);
    body->steps = steps;
    LOOM_TRY(status);
    uint32_t slot = ++body->step_count;
    body->steps[slot - 1] =
        (loom_body_step){.op = op, .node = node, .blame = blame, .first = body->operand_count, .domain = slot};
    body->heavy |= !is_cheap(op);
    return LOOM_OK;
}

static loom_status add_operand(maker *m, uint32_t operand) {
    loom_body *body = m->body;
    void *operands = body->operands;
    loom_status status = grow(&operands, body->operand_count, &body->operand_capacity, sizeof *body->operands);
    body->operands = operands;
    LOOM_TRY(status);
    body->uses_element |= operand == 0;
    body->operands[body->operand_count++] = operand;
    body->steps[body->step_count - 1].count++;
    return LOOM_OK;
}

/* ---- domains ---- */

/* The operand that gives the domain of an image, as loom_lower_domain gives its step. */
static loom_status record_of(maker *m, uint32_t image, loom_node_index user, uint32_t *record) {
    loom_session *session = m->at->session;
    static const char name[] = "loom.domain";
    if (is_slot(image) && image > 0) image = m->body->steps[image - 1].domain;
    *record = loom_memo_get(&m->records, image);
    if (*record != LOOM_MEMO_NONE) return LOOM_OK;
    if (is_slot(image)) {
        const loom_operator *op = loom_operator_find(session->operators, name, strlen(name));
        if (!op) return loom_fail(m->at->err, LOOM_INTERNAL, "the operator %s is missing from this build", name);
        LOOM_TRY(begin_step(m, op, LOOM_NODE_NONE, user));
        LOOM_TRY(add_operand(m, image));
        *record = m->body->step_count;
    } else {
        uint32_t step;
        LOOM_TRY(loom_lower_domain(session, m->body->outer[image & ~LOOM_BODY_OUTER], user, &step, m->at->err));
        LOOM_TRY(add_outer(m, step, record));
    }
    return loom_memo_set(&m->records, image, *record);
}

/* Which argument gives the domain to the others: the first closed image. Where running alone tells whether one is an
 * image, the body does not fit. */
static loom_status find_giver(maker *m, const loom_node *node, const frame *at, uint32_t *giver, frame *child) {
    bool open = false, doubtful = false;
    for (uint32_t i = 0; i < node->argument_count; i++) {
        loom_node_facts facts;
        LOOM_TRY(loom_facts_of(m->at->session->facts, node->arguments[i], &facts));
        open |= facts.openness != LOOM_CLOSED;
        doubtful |= facts.kind == LOOM_KIND_UNKNOWN && facts.openness != LOOM_OPEN;
    }
    for (uint32_t i = 0; open && i < node->argument_count; i++) {
        loom_node_facts facts;
        LOOM_TRY(loom_facts_of(m->at->session->facts, node->arguments[i], &facts));
        if (facts.kind == LOOM_KIND_IMAGE && facts.openness == LOOM_CLOSED)
            return operand_of(m, node->arguments[i], at->domain, giver, child);
    }
    m->fits &= !open || !doubtful || !(node->op->flags & LOOM_OP_SHARES_DOMAIN);
    return LOOM_OK;
}

static loom_status choose_domain(maker *m, const loom_node *node, frame *at, frame *child) {
    uint32_t giver = LOOM_MEMO_NONE;
    LOOM_TRY(find_giver(m, node, at, &giver, child));
    if (child->node != LOOM_NODE_NONE) return LOOM_OK;
    at->inner = at->domain;
    at->inner_known = true;
    return giver == LOOM_MEMO_NONE ? LOOM_OK : record_of(m, giver, at->node, &at->inner);
}

/* The argument that an operator without an image of its own takes: the domain in which it is used. */
static loom_status add_domain(maker *m, const frame *at) {
    uint32_t operand = at->domain, step = m->at->context;
    if (operand == NO_DOMAIN) LOOM_TRY(loom_lower_program_domain(m->at->session, at->node, &step, m->at->err));
    m->at->contextual |= operand == HERE;
    if (operand == NO_DOMAIN || operand == HERE) LOOM_TRY(add_outer(m, step, &operand));
    return add_operand(m, operand);
}

/* ---- from nodes to steps ---- */

static bool is_list(const loom_node *node) {
    return strcmp(node->op->name, "default.sequence") == 0;
}

/* A loop, or a part of one, whose items depend on the element, needs a plan node an item, unless it is unrolled; a list
 * is just an operator. What may turn out to depend on where it is used is looked at once it is lowered: not in a body.
 */
static loom_status is_plain(maker *m, const frame *at, const loom_node *node, bool *plain) {
    loom_shape shape;
    loom_node_facts facts;
    LOOM_TRY(loom_shape_of(m->at->session, at->node, &shape));
    LOOM_TRY(loom_facts_of(m->at->session->facts, at->node, &facts));
    *plain = node->kind == LOOM_NODE_PRIMITIVE &&
             (shape == LOOM_SHAPE_VALUE || shape == LOOM_SHAPE_FOLDED || is_list(node)) &&
             node->argument_count < LOOM_ARGUMENTS_MAX && loom_kernel_of(node->op)->run &&
             !(node->op->flags & LOOM_OP_NOT_STORED) && (facts.openness != LOOM_MAYBE_OPEN || depends(m, at->node));
    return LOOM_OK;
}

/* All arguments have operands. */
static loom_status build(maker *m, const frame *at, const loom_node *node) {
    frame child = no_child;
    bool image_argument = false;
    uint32_t made = m->body->step_count, domain = made + 1;
    LOOM_TRY(begin_step(m, node->op, at->node, at->node));
    for (uint32_t i = 0; i < node->argument_count; i++) {
        loom_node_facts facts;
        uint32_t operand;
        LOOM_TRY(operand_of(m, node->arguments[i], at->inner, &operand, &child));
        LOOM_TRY(loom_facts_of(m->at->session->facts, node->arguments[i], &facts));
        LOOM_TRY(add_operand(m, operand));
        bool gives = facts.kind == LOOM_KIND_IMAGE && facts.openness == LOOM_CLOSED && domain == made + 1;
        if (gives) domain = is_slot(operand) && operand > 0 ? m->body->steps[operand - 1].domain : operand;
        image_argument |= facts.kind == LOOM_KIND_IMAGE;
    }
    if (node->op->flags & LOOM_OP_SHARES_DOMAIN) m->body->steps[made].domain = domain;
    /* border(x) with x of unknown kind: x names the image */
    bool named = image_argument || node->argument_count > node->op->arity_min;
    if (node->op->flags & LOOM_OP_OPEN && !named) LOOM_TRY(add_domain(m, at));
    return loom_memo_set(&m->operands, pair(at->node, at->domain), made + 1);
}

/* One visit of the node on top: pushes an argument that has no operand yet, or makes its step. */
static loom_status visit(maker *m) {
    frame *at = &m->stack[m->stack_count - 1], child = no_child;
    loom_node node = *loom_plan_node(m->at->session->plan, at->node); /* a copy: lowering makes the plan grow */
    uint32_t operand;
    if (depends(m, at->node)) LOOM_TRY(loom_unroll(m->at, &m->inner, at->node, &node));
    LOOM_TRY(is_plain(m, at, &node, &m->fits));
    m->fits &= m->body->step_count < LOOM_BODY_STEPS_MAX;
    if (m->fits && is_list(&node)) { /* its items have nothing to do with each other */
        at->inner = at->domain;
        at->inner_known = true;
    }
    if (m->fits && !at->inner_known) LOOM_TRY(choose_domain(m, &node, at, &child));
    for (uint32_t i = 0; m->fits && child.node == LOOM_NODE_NONE && i < node.argument_count; i++)
        LOOM_TRY(operand_of(m, node.arguments[i], at->inner, &operand, &child));
    if (!m->fits) return LOOM_OK;
    if (child.node != LOOM_NODE_NONE) return push(m, child);
    LOOM_TRY(build(m, at, &node));
    m->stack_count--;
    return LOOM_OK;
}

static loom_status collect(maker *m, loom_node_index root) {
    frame child = no_child;
    uint32_t domain = m->at->context == LOOM_STEP_NONE ? NO_DOMAIN : HERE;
    LOOM_TRY(find_dependent(m, root));
    if (m->at->waiting) return LOOM_OK;
    LOOM_TRY(loom_memo_set(&m->operands, pair(m->inner.element, NO_DOMAIN), 0));
    LOOM_TRY(operand_of(m, root, domain, &m->body->result, &child));
    if (child.node != LOOM_NODE_NONE) LOOM_TRY(push(m, child));
    while (m->fits && m->stack_count > 0)
        LOOM_TRY(visit(m));
    if (m->fits && child.node != LOOM_NODE_NONE)
        m->body->result = loom_memo_get(&m->operands, pair(child.node, child.domain));
    m->body->uses_element |= m->body->result == 0;
    return LOOM_OK;
}

loom_status loom_body_collect(loom_expansion *at, loom_node_index element, loom_node_index root, loom_body *body,
                              bool *fits) {
    maker m = {.at = at, .body = body, .inner = {.element = element}, .fits = true};
    loom_status status = collect(&m, root);
    loom_memo_release(&m.operands);
    loom_memo_release(&m.outer);
    loom_memo_release(&m.records);
    loom_unrolled_release(&m.inner);
    free(m.stack);
    *fits = status == LOOM_OK && m.fits;
    return status;
}
