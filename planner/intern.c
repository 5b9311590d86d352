/* intern.c - equal nodes are one node: hash tables from an id, or from a shape, to the node's number.
 *
 * Two nodes have one canonical text exactly when operator, kinds and argument numbers agree (arguments being interned
 * already), so most look-ups need no SHA-256. */
#include <stdlib.h>
#include <string.h>

#include "planner/plan_state.h"
#include "shm/platform_array.h"

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 32);
}

uint64_t loom_hash_id(const loom_id *id) {
    uint64_t hash;
    memcpy(&hash, id->bytes, sizeof hash);
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

uint64_t loom_hash_shape(const loom_node *node) {
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

/* ---- the tables ----
 *
 * A slot holds 32 bits of the hash beside the number: they say where it belongs when the table grows, and all but
 * always whether it is worth looking at the node, which in a large plan is in no cache. */

#define FIRST_CAPACITY 1024u

/* Numbers that are whole differ in the highest bits of a double alone, and a product hands bits on to higher ones only:
 * `mix` has folded these down, the second product spreads them over the low bits, by which slots are chosen. */
static uint32_t tag_of(uint64_t hash) {
    return (uint32_t)(hash * 0x9e3779b97f4a7c15u >> 32);
}

loom_node_index loom_intern_find_id(const loom_plan *plan, const loom_id *id) {
    const loom_intern *table = &plan->by_id;
    if (!table->capacity) return LOOM_NODE_NONE;
    uint32_t tag = tag_of(loom_hash_id(id));
    for (size_t at = tag & (table->capacity - 1); table->slots[at]; at = (at + 1) & (table->capacity - 1)) {
        loom_node_index node = (uint32_t)table->slots[at] - 1;
        if (table->slots[at] >> 32 == tag && loom_id_equal(&plan->nodes[node].id, id)) return node;
    }
    return LOOM_NODE_NONE;
}

loom_node_index loom_intern_find_shape(const loom_plan *plan, const loom_node *node, uint64_t hash) {
    const loom_intern *table = &plan->by_shape;
    if (!table->capacity) return LOOM_NODE_NONE;
    uint32_t tag = tag_of(hash);
    for (size_t at = tag & (table->capacity - 1); table->slots[at]; at = (at + 1) & (table->capacity - 1)) {
        loom_node_index found = (uint32_t)table->slots[at] - 1;
        if (table->slots[at] >> 32 == tag && same_shape(&plan->nodes[found], node)) return found;
    }
    return LOOM_NODE_NONE;
}

static void put(loom_intern *table, uint64_t slot) {
    size_t at = (size_t)(slot >> 32) & (table->capacity - 1);
    while (table->slots[at])
        at = (at + 1) & (table->capacity - 1);
    table->slots[at] = slot;
    table->count++;
}

void loom_intern_add(loom_intern *table, uint64_t hash, loom_node_index node) {
    put(table, (uint64_t)tag_of(hash) << 32 | (node + 1));
}

bool loom_intern_reserve(loom_intern *table) {
    if (3 * (table->count + 1) <= 2 * table->capacity) return true;
    loom_intern grown = {.capacity = table->capacity ? table->capacity * 2 : FIRST_CAPACITY};
    grown.slots = loom_array_grow(NULL, 0, grown.capacity * sizeof *grown.slots);
    if (!grown.slots) return false;
    for (size_t at = 0; at < table->capacity; at++)
        if (table->slots[at]) put(&grown, table->slots[at]);
    loom_intern_free(table);
    *table = grown;
    return true;
}

/* What goes leaves gaps that would end the search for others: a run of slots up to the next free one is put in again.
 * The runs that a table's end cuts in two are taken whole by beginning behind a free slot. */
void loom_intern_truncate(loom_intern *table, size_t count) {
    if (!table->capacity) return;
    size_t mask = table->capacity - 1, start = 0;
    while (table->slots[start])
        start++; /* there is one: a third of the slots is free */
    for (size_t step = 1; step <= table->capacity; step++) {
        size_t at = (start + step) & mask;
        uint64_t slot = table->slots[at];
        if (!slot) continue;
        table->slots[at] = 0;
        table->count--;
        if ((uint32_t)slot <= count) put(table, slot); /* moves towards its place, never past this slot */
    }
}

void loom_intern_free(loom_intern *table) {
    loom_array_free(table->slots, table->capacity * sizeof *table->slots);
    *table = (loom_intern){0};
}
