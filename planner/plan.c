/* plan.c - a plan's nodes, goals and imports: making, finding, and reading them. */
#include <stdlib.h>
#include <string.h>

#include "planner/diagnostic.h"
#include "planner/node_id.h"
#include "planner/plan_state.h"
#include "shm/platform_array.h"

#define MOST_NODES (UINT32_MAX / 4)

loom_status loom_plan_no_memory(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while planning; split the program, or free memory");
}

loom_status loom_plan_new(const loom_plan_options *options, loom_plan **plan, loom_error *err) {
    *plan = NULL;
    loom_plan *made = calloc(1, sizeof *made);
    if (!made) return loom_plan_no_memory(err);
    made->options = *options;
    made->import_epoch = 1;
    made->arena = loom_arena_new();
    loom_status status = LOOM_OK;
    if (!made->arena || !loom_names_start(&made->names, made->arena))
        status = loom_plan_no_memory(err);
    else
        status = loom_resolve_start(made, err);
    if (status != LOOM_OK) {
        loom_plan_free(made);
        return status;
    }
    *plan = made;
    return LOOM_OK;
}

void loom_plan_free(loom_plan *plan) {
    if (!plan) return;
    loom_reducer_free(plan->reducer);
    loom_call_chain_free(&plan->chain);
    loom_text_free(&plan->canonical);
    loom_text_free(&plan->attributes);
    free(plan->ids);
    loom_array_free(plan->nodes, plan->node_capacity * sizeof *plan->nodes);
    free(plan->goals);
    free(plan->imports);
    free(plan->namespaces);
    loom_intern_free(&plan->by_id);
    loom_intern_free(&plan->by_shape);
    loom_names_end(&plan->names);
    loom_arena_free(plan->arena);
    free(plan);
}

/* ---- reading ---- */

const loom_operator_table *loom_plan_operators(const loom_plan *plan) {
    return plan->options.operators;
}
size_t loom_plan_node_count(const loom_plan *plan) {
    return plan->node_count;
}
const loom_node *loom_plan_node(const loom_plan *plan, loom_node_index index) {
    return &plan->nodes[index];
}
size_t loom_plan_goal_count(const loom_plan *plan) {
    return plan->goal_count;
}
const loom_goal *loom_plan_goal(const loom_plan *plan, size_t index) {
    return &plan->goals[index];
}
size_t loom_plan_import_count(const loom_plan *plan) {
    return plan->import_count;
}
const char *loom_plan_import(const loom_plan *plan, size_t index) {
    return plan->imports[index];
}
loom_node_index loom_plan_find(const loom_plan *plan, const loom_id *id) {
    loom_node_index found = loom_intern_find_id(plan, id);
    for (size_t i = 0; found == LOOM_NODE_NONE && i < plan->node_count; i++)
        if (loom_id_equal(&plan->nodes[i].id, id)) found = (loom_node_index)i;
    return found;
}

void loom_plan_notice(const loom_plan *plan, loom_place place, const char *text) {
    if (!plan->options.notice) return;
    loom_position position = {.file = place.source->name, .line = place.line, .column = place.column};
    plan->options.notice(&position, text, plan->options.context);
}

loom_status loom_plan_add_goal(loom_plan *plan, loom_goal goal, loom_error *err) {
    if (plan->goal_count == plan->goal_capacity) {
        size_t capacity = plan->goal_capacity ? plan->goal_capacity * 2 : 16;
        loom_goal *grown = realloc(plan->goals, capacity * sizeof *grown);
        if (!grown) return loom_plan_no_memory(err);
        plan->goals = grown;
        plan->goal_capacity = capacity;
    }
    plan->goals[plan->goal_count++] = goal;
    return LOOM_OK;
}

/* ---- adding nodes ---- */

static loom_status reserve(loom_plan *plan, loom_error *err) {
    if (plan->node_count >= MOST_NODES)
        return loom_fail(err, LOOM_TOO_LARGE, "the plan has more than %u nodes; split the program", MOST_NODES);
    if (plan->node_count == plan->node_capacity) {
        size_t capacity = plan->node_capacity ? plan->node_capacity * 2 : 256;
        loom_node *grown = loom_array_grow(plan->nodes, plan->node_capacity * sizeof *grown, capacity * sizeof *grown);
        if (!grown) return loom_plan_no_memory(err);
        plan->nodes = grown;
        plan->node_capacity = capacity;
    }
    if (!loom_intern_reserve(&plan->by_id) || !loom_intern_reserve(&plan->by_shape)) return loom_plan_no_memory(err);
    return LOOM_OK;
}

/* Adds a node that is known to be new. `shape` is the hash of a constant's or primitive's. */
static loom_node_index append(loom_plan *plan, const loom_node *node, uint64_t shape) {
    loom_node_index index = (loom_node_index)plan->node_count++;
    plan->nodes[index] = *node;
    if (node->kind != LOOM_NODE_PRIMITIVE) loom_intern_add(&plan->by_id, loom_hash_id(&node->id), index);
    if (node->kind == LOOM_NODE_PRIMITIVE || node->kind == LOOM_NODE_CONSTANT)
        loom_intern_add(&plan->by_shape, shape, index);
    return index;
}

static const loom_id *argument_ids(loom_plan *plan, const loom_node *node) {
    if (plan->id_capacity < node->argument_count) {
        size_t capacity = plan->id_capacity ? plan->id_capacity : 16;
        while (capacity < node->argument_count)
            capacity *= 2;
        loom_id *grown = realloc(plan->ids, capacity * sizeof *grown);
        if (!grown) return NULL;
        plan->ids = grown;
        plan->id_capacity = capacity;
    }
    for (uint32_t i = 0; i < node->argument_count; i++)
        plan->ids[i] = plan->nodes[node->arguments[i]].id;
    return plan->ids;
}

/* The id of a node whose other fields are set; `attributes` is a record or NULL, the text that of a closure. */
static loom_status identify(loom_plan *plan, loom_node *node, const loom_value *attributes, const loom_text *text,
                            loom_error *err) {
    loom_payload payload = {.kind = node->kind,
                            .operator_name = node->op                          ? node->op->name
                                             : node->kind == LOOM_NODE_CLOSURE ? "closure"
                                                                               : "constant",
                            .output_kind = node->output_kind,
                            .argument_count = node->argument_count,
                            .attributes = attributes,
                            .attributes_text = text};
    if (node->argument_count) {
        payload.arguments = argument_ids(plan, node);
        if (!payload.arguments) return loom_plan_no_memory(err);
    }
    plan->canonical.buffer.length = 0;
    if (!loom_payload_write(&plan->canonical, &payload))
        return loom_fail(err, LOOM_UNSUPPORTED, "a value of type %s cannot be a constant of a plan",
                         loom_type_name(node->value.type));
    if (plan->canonical.failed) return loom_plan_no_memory(err);
    node->id = loom_sha256(plan->canonical.buffer.bytes, plan->canonical.buffer.length);
    return LOOM_OK;
}

loom_status loom_plan_add_constant(loom_plan *plan, const loom_value *value, loom_position position,
                                   loom_node_index *node, loom_error *err) {
    loom_node made = {
        .kind = LOOM_NODE_CONSTANT, .output_kind = LOOM_OUT_SCALAR, .value = *value, .position = position};
    uint64_t shape = loom_hash_shape(&made);
    *node = loom_intern_find_shape(plan, &made, shape);
    if (*node != LOOM_NODE_NONE) return LOOM_OK;
    LOOM_TRY(reserve(plan, err));
    loom_field field = {.name = "value", .name_length = 5, .value = *value};
    loom_value attributes = loom_record(&field, 1);
    LOOM_TRY(identify(plan, &made, &attributes, NULL, err));
    *node = loom_intern_find_id(plan, &made.id); /* a NaN of another payload; a tuple beside a sequence */
    if (*node != LOOM_NODE_NONE) return LOOM_OK;
    LOOM_TRY(loom_value_copy(plan->arena, value, &made.value));
    *node = append(plan, &made, shape);
    return LOOM_OK;
}

loom_status loom_plan_add_primitive(loom_plan *plan, const loom_operator *op, loom_output_kind kind,
                                    const char *fold_operator, const loom_node_index *arguments, uint32_t count,
                                    loom_position position, loom_node_index *node, loom_error *err) {
    loom_node made = {.kind = LOOM_NODE_PRIMITIVE,
                      .output_kind = kind,
                      .op = op,
                      .arguments = arguments,
                      .argument_count = count,
                      .fold_operator = fold_operator,
                      .position = position};
    uint64_t shape = loom_hash_shape(&made);
    *node = loom_intern_find_shape(plan, &made, shape);
    if (*node != LOOM_NODE_NONE) return LOOM_OK;
    LOOM_TRY(reserve(plan, err));
    loom_field field = {.name = "operator", .name_length = 8};
    loom_value attributes = loom_record(&field, 1);
    if (fold_operator) field.value = loom_string_of(fold_operator);
    LOOM_TRY(identify(plan, &made, fold_operator ? &attributes : NULL, NULL, err));
    made.arguments = loom_arena_copy(plan->arena, arguments, count * sizeof *arguments);
    if (!made.arguments) return loom_plan_no_memory(err);
    *node = append(plan, &made, shape);
    return LOOM_OK;
}

/* Two closures may print alike and yet differ (defect S12: bodies are printed without parentheses). */
static bool same_body(const loom_closure *a, const loom_closure *b) {
    if (a->body->body == b->body->body) return true;
    loom_text left = {0}, right = {0};
    loom_print_expr(&left, a->body->body, true);
    loom_print_expr(&right, b->body->body, true);
    bool same = left.buffer.length == right.buffer.length &&
                memcmp(left.buffer.bytes, right.buffer.bytes, left.buffer.length) == 0;
    same = same || left.failed || right.failed;
    loom_text_free(&left);
    loom_text_free(&right);
    return same;
}

static loom_status identify_closure(loom_plan *plan, loom_node *node, loom_error *err) {
    plan->attributes.buffer.length = 0;
    LOOM_TRY(loom_closure_attributes(plan, node->closure, &plan->attributes, -1, err));
    return identify(plan, node, NULL, &plan->attributes, err);
}

loom_status loom_plan_add_closure(loom_plan *plan, loom_closure closure, loom_position position, loom_node_index *node,
                                  loom_error *err) {
    loom_node made = {.kind = LOOM_NODE_CLOSURE,
                      .output_kind = LOOM_OUT_CLOSURE,
                      .arguments = closure.links.nodes,
                      .argument_count = closure.links.node_count,
                      .closure = &closure,
                      .position = position};
    LOOM_TRY(reserve(plan, err));
    LOOM_TRY(identify_closure(plan, &made, err));
    *node = loom_intern_find_id(plan, &made.id);
    if (*node != LOOM_NODE_NONE && !same_body(&closure, plan->nodes[*node].closure)) {
        closure.grouped = true;
        LOOM_TRY(identify_closure(plan, &made, err));
        *node = loom_intern_find_id(plan, &made.id);
    }
    if (*node != LOOM_NODE_NONE) return LOOM_OK;
    made.closure = loom_arena_copy(plan->arena, &closure, sizeof closure);
    if (!made.closure) return loom_plan_no_memory(err);
    *node = append(plan, &made, 0);
    return LOOM_OK;
}

void loom_plan_truncate(loom_plan *plan, size_t count) {
    if (count >= plan->node_count) return;
    loom_intern_truncate(&plan->by_id, count);
    loom_intern_truncate(&plan->by_shape, count);
    plan->node_count = count;
}

/* ---- growing while it runs ---- */

loom_status loom_plan_constant(loom_plan *plan, const loom_value *value, loom_node_index *node, loom_error *err) {
    return loom_plan_add_constant(plan, value, (loom_position){0}, node, err);
}

loom_status loom_plan_primitive(loom_plan *plan, const char *name, loom_output_kind kind,
                                const loom_node_index *arguments, uint32_t argument_count,
                                const loom_position *position, loom_node_index *node, loom_error *err) {
    size_t length = strlen(name);
    const loom_operator *op = loom_operator_find(plan->options.operators, name, length);
    if (!op) {
        const loom_name *interned = loom_names_get(&plan->names, name, length);
        if (!interned) return loom_plan_no_memory(err);
        op = loom_resolve(plan, interned);
    }
    if (!op) return loom_fail(err, LOOM_BAD_PROGRAM, "there is no operator %s", name);
    if (argument_count < op->arity_min || (op->arity_max != LOOM_ARITY_ANY && argument_count > op->arity_max))
        return loom_fail(err, LOOM_BAD_PROGRAM, "Invalid arity for '%s': it does not take %u arguments", name,
                         argument_count);
    return loom_plan_add_primitive(plan, op, kind, NULL, arguments, argument_count,
                                   position ? *position : (loom_position){0}, node, err);
}

loom_status loom_plan_item(loom_plan *plan, const loom_id *parent, uint64_t k, const loom_value *value,
                           loom_node_index *node, loom_error *err) {
    if (k > INT64_MAX) return loom_fail(err, LOOM_TOO_LARGE, "item number out of range");
    loom_node made = {.kind = LOOM_NODE_ITEM, .output_kind = LOOM_OUT_UNKNOWN, .id = loom_item_id(parent, (int64_t)k)};
    *node = loom_intern_find_id(plan, &made.id);
    if (*node != LOOM_NODE_NONE) return LOOM_OK;
    LOOM_TRY(reserve(plan, err));
    if (loom_value_copy(plan->arena, value, &made.value) != LOOM_OK) return loom_plan_no_memory(err);
    *node = append(plan, &made, 0);
    return LOOM_OK;
}
