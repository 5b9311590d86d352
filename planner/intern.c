/* intern.c - equal nodes are one node: hash tables from an id, or from a shape, to the node's number.
 *
 * Two nodes have one canonical text exactly when operator, kinds and argument numbers agree (arguments being interned
 * already), so most look-ups need no SHA-256. */
#include <stdlib.h>
#include <string.h>

#include "planner/plan_state.h"

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 32);
}

uint64_t loom_hash_id(const loom_plan *plan, const loom_node *node) {
    (void)plan;
    uint64_t hash;
    memcpy(&hash, node->id.bytes, sizeof hash);
    return hash;
}

static uint64_t hash_value(const loom_value *value) {
    uint64_t hash = mix(7, (uint64_t)value->type), bits = 0;
    if (value->type == LOOM_FLOAT) memcpy(&bits, &value->number, sizeof bits);
    if (value->type == LOOM_INT) bits = (uint64_t)value->integer;
    if (value->type == LOOM_BOOL) bits = value->boolean;
    if (value->type == LOOM_STRING)
        for (size_t i = 0; i < value->text.length; i++)
            bits = (bits ^ (uint8_t)value->text.bytes[i]) * 0x100000001b3u;
    return mix(hash, bits);
}

uint64_t loom_hash_shape(const loom_plan *plan, const loom_node *node) {
    (void)plan;
    if (node->kind == LOOM_NODE_CONSTANT) return hash_value(&node->value);
    uint64_t hash = mix((uint64_t)(uintptr_t)node->op, (uint64_t)node->output_kind);
    hash = mix(hash, (uint64_t)(uintptr_t)node->fold_operator);
    for (uint32_t i = 0; i < node->argument_count; i++)
        hash = mix(hash, node->arguments[i]);
    return hash;
}

static bool same_shape(const loom_node *a, const loom_node *b) {
    if (a->kind != b->kind) return false;
    if (a->kind == LOOM_NODE_CONSTANT) return loom_value_equal(&a->value, &b->value);
    if (a->op != b->op || a->output_kind != b->output_kind || a->fold_operator != b->fold_operator ||
        a->argument_count != b->argument_count)
        return false;
    return a->argument_count == 0 || memcmp(a->arguments, b->arguments, a->argument_count * sizeof *a->arguments) == 0;
}

loom_node_index loom_intern_find_id(const loom_plan *plan, const loom_id *id) {
    const loom_intern *table = &plan->by_id;
    if (!table->capacity) return LOOM_NODE_NONE;
    uint64_t hash;
    memcpy(&hash, id->bytes, sizeof hash);
    for (size_t at = hash & (table->capacity - 1); table->slots[at]; at = (at + 1) & (table->capacity - 1))
        if (loom_id_equal(&plan->nodes[table->slots[at] - 1].id, id)) return table->slots[at] - 1;
    return LOOM_NODE_NONE;
}

loom_node_index loom_intern_find_shape(const loom_plan *plan, const loom_node *node) {
    const loom_intern *table = &plan->by_shape;
    if (!table->capacity) return LOOM_NODE_NONE;
    size_t at = loom_hash_shape(plan, node) & (table->capacity - 1);
    for (; table->slots[at]; at = (at + 1) & (table->capacity - 1))
        if (same_shape(&plan->nodes[table->slots[at] - 1], node)) return table->slots[at] - 1;
    return LOOM_NODE_NONE;
}

void loom_intern_add(loom_intern *table, uint64_t hash, loom_node_index node) {
    size_t at = hash & (table->capacity - 1);
    while (table->slots[at])
        at = (at + 1) & (table->capacity - 1);
    table->slots[at] = node + 1;
    table->count++;
}

bool loom_intern_reserve(loom_intern *table, const loom_plan *plan,
                         uint64_t (*hash)(const loom_plan *, const loom_node *)) {
    if (2 * (table->count + 1) <= table->capacity) return true;
    loom_intern grown = {.capacity = table->capacity ? table->capacity * 2 : 1024};
    grown.slots = calloc(grown.capacity, sizeof *grown.slots);
    if (!grown.slots) return false;
    for (size_t at = 0; at < table->capacity; at++) {
        if (!table->slots[at]) continue;
        loom_node_index node = table->slots[at] - 1;
        loom_intern_add(&grown, hash(plan, &plan->nodes[node]), node);
    }
    free(table->slots);
    *table = grown;
    return true;
}

void loom_intern_free(loom_intern *table) {
    free(table->slots);
    *table = (loom_intern){0};
}
