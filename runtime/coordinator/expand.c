/* Loops: for, map, filter, and what picks from them (index, slices), are not run as kernels but replaced by their
 * items, as soon as these are known. Items are plan nodes: the body of the loop applied to each element and interned,
 * so what does not depend on the element is shared, and every item has a key of its own. Picking from a loop makes only
 * the items that are picked. */
#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/session.h"
#include "runtime/kernels/items.h"
#include "runtime/kernels/kernel.h"

#define DEPTH_MAX 200                    /* loops over loops over loops ... */
#define ANY_CONTEXT (LOOM_STEP_NONE - 1) /* no step has this number */

typedef enum shape {
    SHAPE_VALUE,     /* not expandable: its value must be computed */
    SHAPE_LIST,      /* [a, b, c] */
    SHAPE_MAPPED,    /* for, map */
    SHAPE_FILTERED,  /* filter */
    SHAPE_PICKED,    /* slice or subsequence of an expandable sequence */
    SHAPE_ITEM,      /* index of an expandable sequence: one item, not a list */
    SHAPE_BROADCAST, /* an overloaded operator on an expandable sequence: item by item */
} shape;

typedef struct expansion {
    loom_session *session;
    uint32_t step;    /* the pending step that waits */
    uint32_t context; /* domain in which items are used */
    bool waiting;     /* a value is missing; the step has been told to wait for it */
    bool contextual;  /* a value that decided was an open one: elsewhere the items may be others */
    loom_error *err;
} expansion;

static bool named(const loom_node *node, const char *name) {
    return strcmp(node->op->name, name) == 0;
}

static bool is_list(shape s) {
    return s != SHAPE_VALUE && s != SHAPE_ITEM;
}

/* The shape of a node whose arguments' shapes are known. */
static shape shape_from_arguments(const uint8_t *shapes, const loom_node *node) {
    if (node->kind != LOOM_NODE_PRIMITIVE) return SHAPE_VALUE;
    if (!(node->op->flags & LOOM_OP_STRUCTURAL)) {
        if (loom_signature_result(node->op) != 'o' || node->argument_count != 2) return SHAPE_VALUE;
        return is_list(shapes[node->arguments[0]]) || is_list(shapes[node->arguments[1]]) ? SHAPE_BROADCAST
                                                                                          : SHAPE_VALUE;
    }
    if (named(node, "default.sequence")) return SHAPE_LIST;
    if (named(node, "default.for_loop") || named(node, "default.map")) return SHAPE_MAPPED;
    if (named(node, "default.filter")) return SHAPE_FILTERED;
    if (node->argument_count == 0 || shapes[node->arguments[0]] == SHAPE_VALUE) return SHAPE_VALUE;
    return named(node, "default.index") ? SHAPE_ITEM : SHAPE_PICKED;
}

/* Shapes are found in order of node numbers, which is a topological order, and kept as the plan grows. */
static loom_status shape_of(loom_session *session, loom_node_index index, shape *found) {
    if (index >= session->shape_capacity) {
        uint32_t capacity = session->shape_capacity ? session->shape_capacity : 1024;
        while (capacity <= index)
            capacity *= 2;
        uint8_t *grown = realloc(session->shapes, capacity);
        if (!grown) return LOOM_NO_MEMORY;
        session->shapes = grown;
        session->shape_capacity = capacity;
    }
    for (; session->shape_count <= index; session->shape_count++)
        session->shapes[session->shape_count] =
            (uint8_t)shape_from_arguments(session->shapes, loom_plan_node(session->plan, session->shape_count));
    *found = session->shapes[index];
    return LOOM_OK;
}

loom_status loom_is_expandable(loom_session *session, loom_node_index node, bool *expandable) {
    shape found;
    LOOM_TRY(shape_of(session, node, &found));
    *expandable = found != SHAPE_VALUE;
    return LOOM_OK;
}

static loom_status too_deep(expansion *at) {
    return loom_fail(at->err, LOOM_TOO_LARGE, "loops are nested deeper than %d; name an inner loop and simplify it",
                     DEPTH_MAX);
}

static loom_status no_memory(expansion *at) {
    return loom_fail(at->err, LOOM_NO_MEMORY,
                     "out of memory while expanding a loop; close other programs or split the loop");
}

/* ---- values that decide what the items are ---- */

/* The value of a node, if it is known; else the pending step waits for it and at->waiting is set. */
static loom_status value_of(expansion *at, loom_node_index node, loom_value *value) {
    loom_session *session = at->session;
    uint32_t step;
    loom_node_facts facts;
    if (loom_facts_of(session->facts, node, &facts) != LOOM_OK) return no_memory(at);
    at->contextual |= facts.openness != LOOM_CLOSED;
    LOOM_TRY(loom_lower(session, node, at->context, &step, at->err));
    step = loom_graph_resolve(&session->graph, step);
    loom_step *source = &session->graph.steps[step];
    if (source->state == LOOM_STEP_FAILED)
        return loom_fail(at->err, LOOM_SKIPPED, "a value that decides how a loop expands could not be computed");
    if (source->state == LOOM_STEP_DONE) {
        loom_status status = loom_step_value(session, step, session->arena, value, at->err);
        if (status != LOOM_NOT_FOUND && status != LOOM_CORRUPT) return status;
        LOOM_TRY(loom_recompute(session, step, at->err));
        if (session->graph.steps[step].state == LOOM_STEP_FAILED)
            return loom_fail(at->err, LOOM_SKIPPED, "a value that decides how a loop expands is no longer stored");
    }
    at->waiting = true;
    if (loom_graph_link(&session->graph, step, at->step, LOOM_EVENT_VALUE) != LOOM_OK) return no_memory(at);
    return loom_demand(session, step, at->err);
}

static loom_status add_constant(expansion *at, const loom_value *value, loom_node_index *node) {
    return loom_plan_constant(at->session->plan, value, node, at->err);
}

static loom_status make_items(expansion *at, uint32_t count, loom_items *items) {
    items->count = count;
    items->nodes = loom_arena_array(at->session->arena, count, sizeof *items->nodes);
    return items->nodes ? LOOM_OK : no_memory(at);
}

/* The elements of a value that is iterated: a sequence's items, a string's characters, a record's names. */
static loom_status elements_of_value(expansion *at, loom_node_index source, const loom_value *value,
                                     loom_items *items) {
    const loom_node *node = loom_plan_node(at->session->plan, source);
    loom_id parent = node->id;
    uint64_t count;
    if (!loom_items_count(value, &count)) {
        loom_error_at(at->err, node->position.file, node->position.line, node->position.column);
        return loom_fail(at->err, LOOM_BAD_ARGUMENT, "a loop needs a sequence to go over, not %s %s",
                         value->type == LOOM_IMAGE || value->type == LOOM_INT ? "an" : "a",
                         loom_type_name(value->type));
    }
    if (count > UINT32_MAX / 2) return too_deep(at);
    LOOM_TRY(make_items(at, (uint32_t)count, items));
    loom_value *elements = loom_arena_array(at->session->arena, count, sizeof *elements);
    if (!elements) return no_memory(at);
    loom_items_get(value, 0, count, elements);
    for (uint32_t i = 0; i < count; i++) {
        if (elements[i].type == LOOM_REFERENCE)
            LOOM_TRY(loom_plan_item(at->session->plan, &parent, i, &elements[i], &items->nodes[i], at->err));
        else
            LOOM_TRY(add_constant(at, &elements[i], &items->nodes[i]));
    }
    return LOOM_OK;
}

/* ---- the items of each shape ---- */

static loom_status items_of(expansion *at, loom_node_index node, int depth, loom_items *items);

static loom_status mapped_items(expansion *at, const loom_node *node, int depth, loom_items *items) {
    loom_items source;
    LOOM_TRY(items_of(at, node->arguments[0], depth + 1, &source));
    if (at->waiting) return LOOM_OK;
    LOOM_TRY(make_items(at, source.count, items));
    for (uint32_t i = 0; i < source.count; i++)
        LOOM_TRY(loom_plan_apply(at->session->plan, node->arguments[1], source.nodes[i], &items->nodes[i], at->err));
    return LOOM_OK;
}

/* Keeps the items whose condition is true; waits for all conditions at once. */
static loom_status filtered_items(expansion *at, const loom_node *node, int depth, loom_items *items) {
    loom_items source;
    LOOM_TRY(items_of(at, node->arguments[0], depth + 1, &source));
    if (at->waiting) return LOOM_OK;
    LOOM_TRY(make_items(at, source.count, items));
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

/* No services: the operators run here touch no image. */
static const loom_call_services no_services;

/* The numbers 0 .. count-1, made once and kept: a loop that picks item after item of another must not make them anew
 * each time. */
static loom_status numbers_to(expansion *at, uint32_t count, loom_value *sequence) {
    loom_session *session = at->session;
    if (count > session->number_count) {
        uint32_t larger = count > session->number_count * 2 ? count : session->number_count * 2;
        loom_value *grown = loom_arena_array(session->arena, larger, sizeof *grown); /* the old are still pointed to */
        if (!grown) return no_memory(at);
        for (uint32_t i = 0; i < larger; i++)
            grown[i] = loom_int(i);
        session->numbers = grown;
        session->number_count = larger;
    }
    *sequence = loom_sequence(session->numbers, count);
    return LOOM_OK;
}

/* Which of `count` items an index or slice picks: the kernel itself, run on the sequence 0 .. count-1. */
static loom_status pick(expansion *at, const loom_node *node, uint32_t count, const loom_value *bounds,
                        loom_value *picked) {
    loom_arena *arena = at->session->arena;
    loom_value *arguments = loom_arena_array(arena, node->argument_count, sizeof *arguments);
    if (!arguments) return no_memory(at);
    LOOM_TRY(numbers_to(at, count, &arguments[0]));
    for (uint32_t i = 1; i < node->argument_count; i++)
        arguments[i] = bounds[i];
    loom_call call = {.op = node->op,
                      .arguments = arguments,
                      .argument_count = node->argument_count,
                      .services = &no_services,
                      .arena = arena,
                      .err = at->err};
    LOOM_TRY(loom_kernel_of(node->op)->run(&call));
    *picked = call.result;
    return LOOM_OK;
}

static loom_status picked_items(expansion *at, const loom_node *node, int depth, loom_items *items) {
    loom_items source;
    loom_value *bounds = loom_arena_array(at->session->arena, node->argument_count, sizeof *bounds);
    if (!bounds) return no_memory(at);
    LOOM_TRY(items_of(at, node->arguments[0], depth + 1, &source));
    for (uint32_t i = 1; i < node->argument_count; i++)
        LOOM_TRY(value_of(at, node->arguments[i], &bounds[i]));
    if (at->waiting) return LOOM_OK;
    loom_value picked;
    LOOM_TRY(pick(at, node, source.count, bounds, &picked));
    if (picked.type == LOOM_INT) picked = loom_sequence(loom_arena_copy(at->session->arena, &picked, sizeof picked), 1);
    LOOM_TRY(make_items(at, (uint32_t)picked.sequence.count, items));
    for (uint32_t i = 0; i < items->count; i++)
        items->nodes[i] = source.nodes[picked.sequence.items[i].integer];
    return LOOM_OK;
}

/* a + [b, c] is [a + b, a + c]; two sequences go item by item and must be equally long. */
static loom_status broadcast_items(expansion *at, const loom_node *node, int depth, loom_items *items) {
    loom_items side[2];
    bool many[2];
    for (uint32_t i = 0; i < 2; i++) {
        loom_node_facts facts;
        LOOM_TRY(loom_facts_of(at->session->facts, node->arguments[i], &facts));
        shape argument;
        LOOM_TRY(shape_of(at->session, node->arguments[i], &argument));
        many[i] = facts.kind == LOOM_KIND_SEQUENCE || is_list(argument);
        if (many[i]) LOOM_TRY(items_of(at, node->arguments[i], depth + 1, &side[i]));
    }
    if (at->waiting) return LOOM_OK;
    uint32_t count = many[0] ? side[0].count : side[1].count;
    if (count == 0 || (many[0] && many[1] && side[1].count != count)) {
        loom_error_at(at->err, node->position.file, node->position.line, node->position.column);
        return loom_fail(at->err, LOOM_BAD_ARGUMENT,
                         count == 0 ? "%s cannot take an empty sequence" : "%s needs sequences of the same length",
                         node->op->name);
    }
    LOOM_TRY(make_items(at, count, items));
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

static bool recall(expansion *at, loom_node_index node, loom_items *items) {
    loom_session *session = at->session;
    uint32_t known = loom_memo_get(&session->expanded, items_key(node, ANY_CONTEXT));
    if (known == LOOM_MEMO_NONE) {
        known = loom_memo_get(&session->expanded, items_key(node, at->context));
        at->contextual |= known != LOOM_MEMO_NONE;
    }
    if (known != LOOM_MEMO_NONE) *items = session->expansions[known];
    return known != LOOM_MEMO_NONE;
}

static loom_status remember(expansion *at, loom_node_index node, const loom_items *items) {
    loom_session *session = at->session;
    if (session->expansion_count == session->expansion_capacity) {
        uint32_t capacity = session->expansion_capacity ? session->expansion_capacity * 2 : 64;
        loom_items *grown = realloc(session->expansions, capacity * sizeof *grown);
        if (!grown) return no_memory(at);
        session->expansions = grown;
        session->expansion_capacity = capacity;
    }
    session->expansions[session->expansion_count] = *items;
    uint64_t key = items_key(node, at->contextual ? at->context : ANY_CONTEXT);
    return loom_memo_set(&session->expanded, key, session->expansion_count++) == LOOM_OK ? LOOM_OK : no_memory(at);
}

static loom_status items_of(expansion *at, loom_node_index index, int depth, loom_items *items) {
    if (depth > DEPTH_MAX) return too_deep(at);
    *items = (loom_items){0};
    if (recall(at, index, items)) return LOOM_OK;
    loom_node node = *loom_plan_node(at->session->plan, index);
    loom_value value;
    bool waiting = at->waiting, contextual = at->contextual;
    at->waiting = at->contextual = false;
    shape found;
    loom_status status = shape_of(at->session, index, &found);
    if (status != LOOM_OK) return no_memory(at);
    switch (found) {
    case SHAPE_LIST:
        *items = (loom_items){.nodes = (loom_node_index *)node.arguments, .count = node.argument_count};
        break;
    case SHAPE_MAPPED:
        status = mapped_items(at, &node, depth, items);
        break;
    case SHAPE_FILTERED:
        status = filtered_items(at, &node, depth, items);
        break;
    case SHAPE_PICKED:
        status = picked_items(at, &node, depth, items);
        break;
    case SHAPE_BROADCAST:
        status = broadcast_items(at, &node, depth, items);
        break;
    case SHAPE_ITEM:
        status = picked_items(at, &node, depth, items);
        if (status == LOOM_OK && !at->waiting) {
            loom_node_index item = items->nodes[0];
            status = items_of(at, item, depth + 1, items);
        }
        break;
    case SHAPE_VALUE:
        status = value_of(at, index, &value);
        if (status == LOOM_OK && !at->waiting) status = elements_of_value(at, index, &value, items);
        break;
    }
    if (status == LOOM_OK && !at->waiting) status = remember(at, index, items);
    at->waiting |= waiting;
    at->contextual |= contextual;
    return status;
}

/* ---- the pending step becomes an alias ---- */

/* One step that gathers all items into a sequence; beyond the limit of predecessors, a tree of them. */
static loom_status gather(expansion *at, uint32_t *steps, uint32_t count, uint32_t *whole) {
    const char *operator_name = "default.sequence";
    loom_node_index blame = at->session->graph.steps[at->step].node;
    while (count > LOOM_ARGUMENTS_MAX) {
        uint32_t parts = 0;
        for (uint32_t first = 0; first < count; first += LOOM_ARGUMENTS_MAX) {
            uint32_t left = count - first, size = left < LOOM_ARGUMENTS_MAX ? left : LOOM_ARGUMENTS_MAX;
            uint32_t part; /* not written over the items before they are read */
            LOOM_TRY(loom_lower_internal(at->session, operator_name, steps + first, size, blame, &part, at->err));
            steps[parts++] = part;
        }
        count = parts;
        operator_name = "loom.concat";
    }
    return loom_lower_internal(at->session, operator_name, steps, count, blame, whole, at->err);
}

static loom_status lower_items(expansion *at, const loom_items *items, uint32_t *whole) {
    uint32_t *steps = malloc((items->count + 1) * sizeof *steps);
    if (!steps) return no_memory(at);
    loom_status status = LOOM_OK;
    for (uint32_t i = 0; i < items->count && status == LOOM_OK; i++)
        status = loom_lower(at->session, items->nodes[i], at->context, &steps[i], at->err);
    if (status == LOOM_OK) status = gather(at, steps, items->count, whole);
    free(steps);
    return status;
}

static loom_status all_closed(expansion *at, const loom_items *items, bool *closed) {
    *closed = true;
    for (uint32_t i = 0; i < items->count && *closed; i++) {
        loom_node_facts facts;
        if (loom_facts_of(at->session->facts, items->nodes[i], &facts) != LOOM_OK) return no_memory(at);
        *closed = facts.openness == LOOM_CLOSED;
    }
    return LOOM_OK;
}

/* The step that gathers the items of a list. One step serves all contexts if nothing depends on them: else a loop whose
 * items all use a common list would gather, and compute, that list once an item. */
static loom_status expand_list(expansion *at, loom_node_index node, uint32_t *whole) {
    loom_session *session = at->session;
    loom_items items;
    bool closed;
    *whole = loom_memo_get(&session->gathered, node);
    if (*whole != LOOM_MEMO_NONE) return LOOM_OK;
    LOOM_TRY(items_of(at, node, 0, &items));
    if (at->waiting) return LOOM_OK;
    LOOM_TRY(lower_items(at, &items, whole));
    if (at->contextual) return LOOM_OK;
    LOOM_TRY(all_closed(at, &items, &closed));
    return !closed || loom_memo_set(&session->gathered, node, *whole) == LOOM_OK ? LOOM_OK : no_memory(at);
}

loom_status loom_become(loom_session *session, uint32_t pending, uint32_t target, loom_error *err) {
    loom_graph_run *graph = &session->graph;
    target = loom_graph_resolve(graph, target);
    bool demanded = graph->steps[pending].demanded;
    graph->steps[pending].alias = target;
    if (graph->steps[target].state == LOOM_STEP_FAILED)
        return loom_fail_users(session, pending, graph->steps[target].failure);
    if (graph->steps[target].node == LOOM_NODE_NONE) graph->steps[target].node = graph->steps[pending].node;
    uint8_t state = graph->steps[target].state;
    for (uint32_t link = graph->steps[pending].users; link; link = graph->links[link].next) {
        loom_link old = graph->links[link];
        bool happened = state >= (old.event == LOOM_EVENT_VALUE ? LOOM_STEP_DONE : LOOM_STEP_SETTLED);
        loom_event event = happened ? LOOM_EVENT_FAILURE : (loom_event)old.event;
        if (state < LOOM_STEP_DONE) LOOM_TRY(loom_graph_link(graph, target, old.user, event));
        if (old.event != LOOM_EVENT_FAILURE && --graph->steps[old.user].waits == 0)
            LOOM_TRY(loom_work_add(session, old.user));
    }
    return demanded ? loom_demand(session, target, err) : LOOM_OK;
}

loom_status loom_expand(loom_session *session, uint32_t step, loom_error *err) {
    loom_node_index index = session->graph.steps[step].node;
    expansion at = {.session = session, .step = step, .context = session->graph.steps[step].context, .err = err};
    uint32_t target;
    shape found;
    if (shape_of(session, index, &found) != LOOM_OK) return no_memory(&at);
    if (found == SHAPE_ITEM) {
        loom_node node = *loom_plan_node(session->plan, index);
        loom_items items;
        LOOM_TRY(picked_items(&at, &node, 0, &items));
        if (at.waiting) return LOOM_OK;
        LOOM_TRY(loom_lower(session, items.nodes[0], at.context, &target, err));
    } else {
        LOOM_TRY(expand_list(&at, index, &target));
        if (at.waiting) return LOOM_OK;
    }
    return loom_become(session, step, target, err);
}
