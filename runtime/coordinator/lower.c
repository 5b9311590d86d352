/* From plan nodes to steps. A closed node has one step; an open one (border, tt & x) has one per domain in which it is
 * used, and the domain is that of the image it meets. Depth is unbounded, so the walk keeps its own stack. */
#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/session.h"
#include "shm/platform_array.h"

/* A node on the way down: lowered once its arguments are. */
typedef struct frame {
    loom_node_index node;
    uint32_t context; /* in which the node is used */
    uint32_t inner;   /* in which its arguments are used, once `inner_known` */
    bool inner_known;
} frame;

typedef struct frame_stack {
    frame *frames;
    size_t count, capacity;
} frame_stack;

static const frame no_child = {.node = LOOM_NODE_NONE};

static uint64_t pair(loom_node_index node, uint32_t context) {
    return (uint64_t)node << 32 | context;
}

static loom_status push(frame_stack *stack, frame child) {
    if (stack->count == stack->capacity) {
        size_t capacity = stack->capacity ? stack->capacity * 2 : 64;
        frame *grown = realloc(stack->frames, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        stack->frames = grown;
        stack->capacity = capacity;
    }
    stack->frames[stack->count++] = child;
    return LOOM_OK;
}

/* ---- the steps that nodes have ---- */

/* Of closed nodes by their number: nearly all are, and they are asked for in that order. */
static uint32_t find(const loom_session *session, loom_node_index node, uint32_t context) {
    if (context != LOOM_STEP_NONE) return loom_memo_get(&session->lowered, pair(node, context));
    return node < session->lowered_closed_capacity ? session->lowered_closed[node] - 1 : LOOM_STEP_NONE;
}

static loom_status remember(loom_session *session, loom_node_index node, uint32_t context, uint32_t step) {
    if (context != LOOM_STEP_NONE) return loom_memo_set(&session->lowered, pair(node, context), step);
    if (node >= session->lowered_closed_capacity) {
        size_t before = session->lowered_closed_capacity, nodes = loom_plan_node_count(session->plan);
        size_t after = nodes < UINT32_MAX / 2 ? nodes + nodes / 2 : UINT32_MAX;
        uint32_t *grown = loom_array_grow(session->lowered_closed, before * sizeof *grown, after * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        session->lowered_closed = grown;
        session->lowered_closed_capacity = (uint32_t)after;
    }
    session->lowered_closed[node] = step + 1;
    return LOOM_OK;
}

/* A closed node is the same in every context. */
static loom_status own_context(loom_session *session, loom_node_index node, uint32_t context, uint32_t *own) {
    loom_node_facts facts;
    LOOM_TRY(loom_facts_of(session->facts, node, &facts));
    *own = facts.openness == LOOM_CLOSED ? LOOM_STEP_NONE : context;
    return LOOM_OK;
}

/* The step of an argument if it has one; else *child says what to lower first. */
static loom_status step_of(loom_session *session, loom_node_index node, uint32_t context, uint32_t *step,
                           frame *child) {
    uint32_t own;
    LOOM_TRY(own_context(session, node, context, &own));
    *step = find(session, node, own);
    if (*step == LOOM_STEP_NONE) *child = (frame){.node = node, .context = own};
    return LOOM_OK;
}

/* ---- adding steps ---- */

static loom_status out_of_memory(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY,
                     "out of memory while planning the run; close other programs or split the program");
}

/* A step for an operator: waits for every argument that is not settled. */
static loom_status add_operator(loom_session *session, const loom_operator *op, const uint32_t *arguments,
                                uint32_t count, uint32_t *step) {
    loom_graph_run *graph = &session->graph;
    LOOM_TRY(loom_graph_add(graph, op, arguments, count, step));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t argument = loom_graph_resolve(graph, arguments[i]);
        graph->steps[*step].arguments[i] = argument;
        uint8_t state = graph->steps[argument].state;
        if (state < LOOM_STEP_SETTLED)
            LOOM_TRY(loom_graph_link(graph, argument, *step, LOOM_EVENT_SETTLED));
        else if (state < LOOM_STEP_DONE)
            LOOM_TRY(loom_graph_link(graph, argument, *step, LOOM_EVENT_FAILURE));
    }
    LOOM_TRY(loom_step_uses(session, *step));
    return graph->steps[*step].waits == 0 ? loom_work_add(session, *step) : LOOM_OK;
}

loom_status loom_lower_internal(loom_session *session, const char *name, const uint32_t *arguments, uint32_t count,
                                loom_node_index blame, uint32_t *step, loom_error *err) {
    const loom_operator *op = loom_operator_find(session->operators, name, strlen(name));
    if (!op) return loom_fail(err, LOOM_INTERNAL, "the operator %s is missing from this build", name);
    if (add_operator(session, op, arguments, count, step) != LOOM_OK) return out_of_memory(err);
    session->graph.steps[*step].blame = blame;
    return LOOM_OK;
}

/* Constants and items are born DONE: their value is in the plan, or in the store under their vid. */
static loom_status add_known(loom_session *session, const loom_node *node, uint32_t *step) {
    loom_graph_run *graph = &session->graph;
    LOOM_TRY(loom_graph_add(graph, NULL, NULL, 0, step));
    loom_step *added = &graph->steps[*step];
    bool reference = node->value.type == LOOM_REFERENCE;
    added->state = LOOM_STEP_DONE;
    added->has_vid = true;
    added->type = (uint8_t)(reference ? node->value.reference.type : node->value.type);
    if (!reference) return loom_value_id(&node->value, &added->vid);
    added->vid = added->rkey = node->value.reference.vid;
    added->has_rkey = added->stored = true;
    return LOOM_OK;
}

/* ---- domains ---- */

loom_status loom_lower_domain(loom_session *session, uint32_t image, loom_node_index user, uint32_t *domain,
                              loom_error *err) {
    image = loom_graph_resolve(&session->graph, image);
    uint32_t source = session->graph.steps[image].domain_source;
    *domain = loom_memo_get(&session->domains, source);
    if (*domain != LOOM_MEMO_NONE) return LOOM_OK;
    LOOM_TRY(loom_lower_internal(session, "loom.domain", &source, 1, user, domain, err));
    session->graph.steps[*domain].kept = true; /* small, and loops that expand later ask for it again and again */
    return loom_memo_set(&session->domains, source, *domain);
}

static bool reads_image(const loom_node *node) {
    return node->kind == LOOM_NODE_PRIMITIVE && node->op->flags & LOOM_OP_READS_FILES &&
           node->op->flags & LOOM_OP_NEW_DOMAIN;
}

loom_status loom_lower_program_domain(loom_session *session, loom_node_index index, uint32_t *domain, loom_error *err) {
    const loom_node user = *loom_plan_node(session->plan, index);
    if (session->program_domain == LOOM_STEP_NONE) {
        uint32_t images[LOOM_ARGUMENTS_MAX], count = 0;
        size_t nodes = loom_plan_node_count(session->plan);
        for (size_t i = 0; i < nodes && count < LOOM_ARGUMENTS_MAX; i++)
            if (reads_image(loom_plan_node(session->plan, (loom_node_index)i)))
                LOOM_TRY(loom_lower(session, (loom_node_index)i, LOOM_STEP_NONE, &images[count++], err));
        if (count == 0) {
            loom_error_at(err, user.position.file, user.position.line, user.position.column);
            return loom_fail(
                err, LOOM_BAD_DOMAIN,
                "%s has no image to take its size from: combine it with one, or name it, as in border(img)",
                user.op->name);
        }
        LOOM_TRY(
            loom_lower_internal(session, "loom.common_domain", images, count, index, &session->program_domain, err));
    }
    *domain = session->program_domain;
    return LOOM_OK;
}

/* Can this argument, whose kind only running it tells, give the domain? Not if it is already known to be no image. */
static bool may_give_domain(const loom_session *session, uint32_t step) {
    const loom_step *argument = &session->graph.steps[loom_graph_resolve(&session->graph, step)];
    return argument->state != LOOM_STEP_DONE || argument->type == LOOM_IMAGE;
}

/* Which argument gives the domain to the others: the first closed image, else the first that may turn out to be one. */
static loom_status domain_argument(loom_session *session, const loom_node *node, const frame *at, uint32_t *giver,
                                   frame *child) {
    *giver = LOOM_STEP_NONE;
    bool open = false;
    for (uint32_t i = 0; i < node->argument_count; i++) {
        loom_node_facts facts;
        LOOM_TRY(loom_facts_of(session->facts, node->arguments[i], &facts));
        open |= facts.openness != LOOM_CLOSED;
    }
    for (int pass = 0; open && pass < 2; pass++) {
        for (uint32_t i = 0; i < node->argument_count; i++) {
            loom_node_facts facts;
            LOOM_TRY(loom_facts_of(session->facts, node->arguments[i], &facts));
            bool image = facts.kind == LOOM_KIND_IMAGE && facts.openness == LOOM_CLOSED;
            bool maybe = facts.kind == LOOM_KIND_UNKNOWN && facts.openness != LOOM_OPEN;
            if (pass == 0 ? !image : !maybe || !(node->op->flags & LOOM_OP_SHARES_DOMAIN)) continue;
            uint32_t step;
            LOOM_TRY(step_of(session, node->arguments[i], at->context, &step, child));
            if (child->node != LOOM_NODE_NONE) return LOOM_OK;
            if (!image && !may_give_domain(session, step)) continue;
            *giver = step;
            return LOOM_OK;
        }
    }
    return LOOM_OK;
}

static loom_status choose_context(loom_session *session, const loom_node *node, frame *at, frame *child,
                                  loom_error *err) {
    uint32_t giver;
    LOOM_TRY(domain_argument(session, node, at, &giver, child));
    if (child->node != LOOM_NODE_NONE) return LOOM_OK;
    at->inner = at->context;
    at->inner_known = true;
    return giver == LOOM_STEP_NONE ? LOOM_OK : loom_lower_domain(session, giver, at->node, &at->inner, err);
}

/* ---- one node ---- */

loom_status loom_lower_operator(loom_session *session, loom_node_index index, uint32_t context, uint32_t *step,
                                loom_error *err) {
    const loom_node node = *loom_plan_node(session->plan, index); /* a copy: the plan may grow meanwhile */
    uint32_t *arguments = loom_arena_array(session->arena, (size_t)node.argument_count + 1, sizeof *arguments);
    if (!arguments) return out_of_memory(err);
    for (uint32_t i = 0; i < node.argument_count; i++)
        LOOM_TRY(loom_lower(session, node.arguments[i], context, &arguments[i], err));
    if (add_operator(session, node.op, arguments, node.argument_count, step) != LOOM_OK) return out_of_memory(err);
    session->graph.steps[*step].node = index;
    session->graph.steps[*step].context = context;
    return LOOM_OK;
}

/* The result of an operator whose image arguments share a domain has that domain too. */
static loom_status note_domain_source(loom_session *session, const loom_node *node, uint32_t step) {
    if (!(node->op->flags & LOOM_OP_SHARES_DOMAIN)) return LOOM_OK;
    for (uint32_t i = 0; i < node->argument_count; i++) {
        loom_node_facts facts;
        LOOM_TRY(loom_facts_of(session->facts, node->arguments[i], &facts));
        if (facts.kind != LOOM_KIND_IMAGE || facts.openness != LOOM_CLOSED) continue;
        loom_step *steps = session->graph.steps;
        steps[step].domain_source = steps[steps[step].arguments[i]].domain_source;
        return LOOM_OK;
    }
    return LOOM_OK;
}

static loom_status build_operator(loom_session *session, const loom_node *node, frame *at, uint32_t *step,
                                  loom_error *err) {
    uint32_t count = node->argument_count;
    uint32_t *arguments = loom_arena_array(session->scratch, (size_t)count + 1, sizeof *arguments);
    if (!arguments) return out_of_memory(err);
    frame child = no_child;
    bool opens = node->op->flags & LOOM_OP_OPEN;
    for (uint32_t i = 0; i < count; i++) {
        LOOM_TRY(step_of(session, node->arguments[i], at->inner, &arguments[i], &child));
        loom_node_facts facts = {0};
        if (opens) LOOM_TRY(loom_facts_of(session->facts, node->arguments[i], &facts));
        opens = opens && facts.kind != LOOM_KIND_IMAGE;
    }
    if (opens) {
        bool named = count > node->op->arity_min; /* border(x) with x of unknown kind: x names the image */
        if (!named && at->context != LOOM_STEP_NONE)
            arguments[count++] = at->context;
        else if (!named)
            LOOM_TRY(loom_lower_program_domain(session, at->node, &arguments[count++], err));
    }
    LOOM_TRY(add_operator(session, node->op, arguments, count, step));
    return note_domain_source(session, node, *step);
}

static loom_status build_pending(loom_session *session, const frame *at, uint32_t *step, loom_error *err) {
    if (loom_graph_add(&session->graph, NULL, NULL, 0, step) != LOOM_OK) return out_of_memory(err);
    loom_step *added = &session->graph.steps[*step];
    added->state = LOOM_STEP_PENDING;
    added->node = at->node;
    added->context = at->context;
    return loom_work_add(session, *step);
}

/* Lowers the node if its arguments are lowered; else *child says which to lower first. */
static loom_status advance(loom_session *session, frame *at, frame *child, loom_error *err) {
    loom_node node = *loom_plan_node(session->plan, at->node); /* a copy: the plan may grow meanwhile */
    uint32_t step = LOOM_STEP_NONE;
    bool expandable;
    LOOM_TRY(loom_is_expandable(session, at->node, &expandable));
    if (node.kind == LOOM_NODE_CLOSURE) {
        loom_error_at(err, node.position.file, node.position.line, node.position.column);
        return loom_fail(err, LOOM_BAD_PROGRAM,
                         "a function is used as a value here; only for, map and filter take one");
    }
    if (node.kind != LOOM_NODE_PRIMITIVE) {
        LOOM_TRY(add_known(session, &node, &step));
    } else if (expandable) {
        LOOM_TRY(build_pending(session, at, &step, err));
    } else {
        if (!at->inner_known) LOOM_TRY(choose_context(session, &node, at, child, err));
        for (uint32_t i = 0; child->node == LOOM_NODE_NONE && i < node.argument_count; i++)
            LOOM_TRY(step_of(session, node.arguments[i], at->inner, &step, child));
        if (child->node != LOOM_NODE_NONE) return LOOM_OK;
        LOOM_TRY(build_operator(session, &node, at, &step, err));
    }
    session->graph.steps[step].node = at->node;
    session->graph.steps[step].context = at->context;
    return remember(session, at->node, at->context, step);
}

loom_status loom_lower(loom_session *session, loom_node_index node, uint32_t context, uint32_t *step, loom_error *err) {
    frame root = no_child;
    if (step_of(session, node, context, step, &root) != LOOM_OK) return out_of_memory(err);
    if (root.node == LOOM_NODE_NONE) return LOOM_OK;
    frame_stack stack = {0};
    loom_status status = push(&stack, root);
    while (status == LOOM_OK && stack.count > 0) {
        frame child = no_child;
        frame *top = &stack.frames[stack.count - 1];
        if (find(session, top->node, top->context) != LOOM_STEP_NONE) {
            stack.count--;
            continue;
        }
        status = advance(session, top, &child, err);
        if (status == LOOM_OK && child.node != LOOM_NODE_NONE) status = push(&stack, child);
    }
    free(stack.frames);
    if (status != LOOM_OK) return err && err->status == LOOM_OK ? out_of_memory(err) : status;
    *step = find(session, root.node, root.context);
    return LOOM_OK;
}
