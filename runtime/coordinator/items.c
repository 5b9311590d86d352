/* The items of loops, as plan nodes: the body of the loop applied to each element and interned, so what does not depend
 * on the element is shared, and every item has a key of its own. Picking from a loop makes only the items that are
 * picked. */
#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/expand.h"
#include "runtime/kernels/base/items.h"

#define DEPTH_MAX 200                    /* loops over loops over loops ... */
#define ANY_CONTEXT (LOOM_STEP_NONE - 1) /* no step has this number */

static loom_status too_deep(loom_expansion *at) {
    return loom_fail(at->err, LOOM_TOO_LARGE,
                     "more than %d loops go over one another's items; join some of them into one", DEPTH_MAX);
}

loom_status loom_expansion_no_memory(loom_expansion *at) {
    return loom_fail(at->err, LOOM_NO_MEMORY,
                     "out of memory while expanding a loop; close other programs or split the loop");
}

/* ---- values that decide what the items are ---- */

loom_status loom_expansion_value(loom_expansion *at, loom_node_index node, loom_arena *arena, loom_value *value) {
    loom_session *session = at->session;
    uint32_t step;
    loom_node_facts facts;
    if (loom_facts_of(session->facts, node, &facts) != LOOM_OK) return loom_expansion_no_memory(at);
    at->contextual |= facts.openness != LOOM_CLOSED;
    LOOM_TRY(loom_lower(session, node, at->context, &step, at->err));
    step = loom_graph_resolve(&session->graph, step);
    loom_step *source = &session->graph.steps[step];
    if (source->state == LOOM_STEP_FAILED)
        return loom_fail(at->err, LOOM_SKIPPED, "a value that decides how a loop expands could not be computed");
    if (source->state == LOOM_STEP_DONE) {
        source->kept = true; /* text of the value points into the task, and items may be picked as long as the run */
        loom_status status = loom_step_value(session, step, arena, value, at->err);
        if (status == LOOM_OK && source->stored && value->type == LOOM_SEQUENCE) {
            loom_arena_reset(session->scratch);
            status = loom_hold_items(session, value, LOOM_NESTING_MAX, false, at->err);
        }
        if (status != LOOM_NOT_FOUND && status != LOOM_CORRUPT) return status;
        LOOM_TRY(loom_recompute(session, step, status, at->err));
        if (session->graph.steps[step].state == LOOM_STEP_FAILED)
            return loom_fail(at->err, LOOM_SKIPPED, "a value that decides how a loop expands is no longer stored");
    }
    at->waiting = true;
    if (loom_graph_link(&session->graph, step, at->step, LOOM_EVENT_VALUE) != LOOM_OK)
        return loom_expansion_no_memory(at);
    return loom_demand(session, step, at->err);
}

static loom_status value_of(loom_expansion *at, loom_node_index node, loom_value *value) {
    return loom_expansion_value(at, node, at->session->arena, value);
}

loom_status loom_element_node(loom_expansion *at, loom_node_index source, uint64_t position, const loom_value *element,
                              loom_node_index *node) {
    loom_plan *plan = at->session->plan;
    if (element->type != LOOM_REFERENCE) return loom_plan_constant(plan, element, node, at->err);
    const loom_id parent = loom_plan_node(plan, source)->id;
    return loom_plan_item(plan, &parent, position, element, node, at->err);
}

loom_status loom_make_items(loom_expansion *at, uint32_t count, loom_items *items) {
    at->session->items_kept += count;
    items->count = count;
    items->nodes = loom_arena_array(at->session->arena, count, sizeof *items->nodes);
    return items->nodes ? LOOM_OK : loom_expansion_no_memory(at);
}

/* The elements of a value that is iterated: a sequence's items, a string's characters, a record's names. */
static loom_status elements_of_value(loom_expansion *at, loom_node_index source, const loom_value *value,
                                     loom_items *items) {
    const loom_node *node = loom_plan_node(at->session->plan, source);
    uint64_t count;
    if (!loom_items_count(value, &count)) {
        loom_error_at(at->err, node->position.file, node->position.line, node->position.column);
        return loom_fail(at->err, LOOM_BAD_ARGUMENT, "a loop needs a sequence to go over, not %s %s",
                         value->type == LOOM_IMAGE || value->type == LOOM_INT ? "an" : "a",
                         loom_type_name(value->type));
    }
    if (count > UINT32_MAX / 2) return too_deep(at);
    LOOM_TRY(loom_make_items(at, (uint32_t)count, items));
    loom_value *elements = loom_arena_array(at->session->arena, count, sizeof *elements);
    if (!elements) return loom_expansion_no_memory(at);
    loom_items_get(value, 0, count, elements);
    for (uint32_t i = 0; i < count; i++)
        LOOM_TRY(loom_element_node(at, source, i, &elements[i], &items->nodes[i]));
    return LOOM_OK;
}

/* ---- the items of each shape ---- */

static loom_status mapped_items(loom_expansion *at, const loom_node *node, int depth, loom_items *items) {
    loom_items source;
    LOOM_TRY(loom_items_of(at, node->arguments[0], depth + 1, &source));
    if (at->waiting) return LOOM_OK;
    LOOM_TRY(loom_make_items(at, source.count, items));
    for (uint32_t i = 0; i < source.count; i++)
        LOOM_TRY(loom_plan_apply(at->session->plan, node->arguments[1], source.nodes[i], &items->nodes[i], at->err));
    return LOOM_OK;
}

/* Keeps the items whose condition is true; waits for all conditions at once. */
static loom_status filtered_items(loom_expansion *at, const loom_node *node, int depth, loom_items *items) {
    loom_items source;
    LOOM_TRY(loom_items_of(at, node->arguments[0], depth + 1, &source));
    if (at->waiting) return LOOM_OK;
    LOOM_TRY(loom_make_items(at, source.count, items));
    uint32_t kept = 0;
    for (uint32_t i = 0; i < source.count; i++) {
        loom_node_index condition;
        loom_value value = loom_null();
        bool waiting = at->waiting;
        at->waiting = false;
        LOOM_TRY(loom_plan_apply(at->session->plan, node->arguments[1], source.nodes[i], &condition, at->err));
        LOOM_TRY(value_of(at, condition, &value));
        if (!at->waiting && loom_value_is_true(&value)) items->nodes[kept++] = source.nodes[i];
        at->waiting |= waiting;
    }
    items->count = kept;
    return LOOM_OK;
}

/* a + [b, c] is [a + b, a + c]; two sequences go item by item and must be equally long. */
static loom_status broadcast_items(loom_expansion *at, const loom_node *node, int depth, loom_items *items) {
    loom_items side[2];
    bool many[2];
    for (uint32_t i = 0; i < 2; i++) {
        loom_node_facts facts;
        LOOM_TRY(loom_facts_of(at->session->facts, node->arguments[i], &facts));
        loom_shape argument;
        LOOM_TRY(loom_shape_of(at->session, node->arguments[i], &argument));
        many[i] = facts.kind == LOOM_KIND_SEQUENCE || loom_shape_is_list(argument);
        if (many[i]) LOOM_TRY(loom_items_of(at, node->arguments[i], depth + 1, &side[i]));
    }
    if (at->waiting) return LOOM_OK;
    uint32_t count = many[0] ? side[0].count : side[1].count;
    if (count == 0 || (many[0] && many[1] && side[1].count != count)) {
        loom_error_at(at->err, node->position.file, node->position.line, node->position.column);
        return loom_fail(at->err, LOOM_BAD_ARGUMENT,
                         count == 0 ? "%s cannot take an empty sequence" : "%s needs sequences of the same length",
                         node->op->name);
    }
    LOOM_TRY(loom_make_items(at, count, items));
    for (uint32_t i = 0; i < count; i++) {
        loom_node_index operands[2];
        for (uint32_t s = 0; s < 2; s++)
            operands[s] = many[s] ? side[s].nodes[i] : node->arguments[s];
        LOOM_TRY(loom_plan_primitive(at->session->plan, node->op->name, LOOM_OUT_SCALAR, operands, 2, &node->position,
                                     &items->nodes[i], at->err));
    }
    return LOOM_OK;
}

/* Items are found once per node, or once per (node, context) where they depend on it. */
static uint64_t items_key(loom_node_index node, uint32_t context) {
    return (uint64_t)node << 32 | context;
}

bool loom_items_known(const loom_session *session, loom_node_index node, uint32_t context, loom_items *items) {
    uint32_t known = loom_memo_get(&session->expanded, items_key(node, ANY_CONTEXT));
    if (known == LOOM_MEMO_NONE) known = loom_memo_get(&session->expanded, items_key(node, context));
    if (known != LOOM_MEMO_NONE) *items = session->expansions[known];
    return known != LOOM_MEMO_NONE;
}

static bool recall(loom_expansion *at, loom_node_index node, loom_items *items) {
    loom_session *session = at->session;
    uint32_t known = loom_memo_get(&session->expanded, items_key(node, ANY_CONTEXT));
    if (known == LOOM_MEMO_NONE) {
        known = loom_memo_get(&session->expanded, items_key(node, at->context));
        at->contextual |= known != LOOM_MEMO_NONE;
    }
    if (known != LOOM_MEMO_NONE) *items = session->expansions[known];
    return known != LOOM_MEMO_NONE;
}

static loom_status remember(loom_expansion *at, loom_node_index node, const loom_items *items) {
    loom_session *session = at->session;
    if (session->expansion_count == session->expansion_capacity) {
        uint32_t capacity = session->expansion_capacity ? session->expansion_capacity * 2 : 64;
        loom_items *grown = realloc(session->expansions, capacity * sizeof *grown);
        if (!grown) return loom_expansion_no_memory(at);
        session->expansions = grown;
        session->expansion_capacity = capacity;
    }
    session->expansions[session->expansion_count] = *items;
    uint64_t key = items_key(node, at->contextual ? at->context : ANY_CONTEXT);
    return loom_memo_set(&session->expanded, key, session->expansion_count++) == LOOM_OK ? LOOM_OK
                                                                                         : loom_expansion_no_memory(at);
}

loom_status loom_items_of(loom_expansion *at, loom_node_index index, int depth, loom_items *items) {
    if (depth > DEPTH_MAX) return too_deep(at);
    *items = (loom_items){0};
    if (recall(at, index, items)) return LOOM_OK;
    loom_node node = *loom_plan_node(at->session->plan, index);
    loom_value value;
    bool waiting = at->waiting, contextual = at->contextual;
    at->waiting = at->contextual = false;
    loom_shape found;
    loom_status status = loom_shape_of(at->session, index, &found);
    if (status != LOOM_OK) return loom_expansion_no_memory(at);
    switch (found) {
    case LOOM_SHAPE_LIST:
        *items = (loom_items){.nodes = (loom_node_index *)node.arguments, .count = node.argument_count};
        break;
    case LOOM_SHAPE_MAPPED:
        status = mapped_items(at, &node, depth, items);
        break;
    case LOOM_SHAPE_FILTERED:
        status = filtered_items(at, &node, depth, items);
        break;
    case LOOM_SHAPE_PICKED:
        status = loom_picked_items(at, &node, depth, items);
        break;
    case LOOM_SHAPE_BROADCAST:
        status = broadcast_items(at, &node, depth, items);
        break;
    case LOOM_SHAPE_ITEM:
        status = loom_picked_items(at, &node, depth, items);
        if (status == LOOM_OK && !at->waiting) {
            loom_node_index item = items->nodes[0];
            status = loom_items_of(at, item, depth + 1, items);
        }
        break;
    case LOOM_SHAPE_FOLDED:
    case LOOM_SHAPE_VALUE:
        status = value_of(at, index, &value);
        if (status == LOOM_OK && !at->waiting) status = elements_of_value(at, index, &value, items);
        break;
    }
    if (status == LOOM_OK && !at->waiting) status = remember(at, index, items);
    at->waiting |= waiting;
    at->contextual |= contextual;
    return status;
}
