/* inlined.c - the hash table of inlined calls. Clearing it costs what was put in, not its capacity. */
#include "planner/inlined.h"

#include <stdlib.h>
#include <string.h>

#include "planner/plan_state.h"

static uint64_t hash_call(const loom_function *function, const loom_node_index *arguments, uint32_t count) {
    uint64_t hash = (uint64_t)(uintptr_t)function;
    for (uint32_t i = 0; i < count; i++) {
        hash = (hash ^ arguments[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    return hash * 0x9e3779b97f4a7c15u ^ (hash >> 29);
}

static void place(loom_inlined *table, uint32_t index) {
    size_t at = table->entries[index].hash & (table->slot_count - 1);
    while (table->slots[at])
        at = (at + 1) & (table->slot_count - 1);
    table->slots[at] = index + 1;
    table->entries[index].slot = at;
}

static bool grow_slots(loom_inlined *table) {
    size_t count = table->slot_count ? table->slot_count * 2 : 256;
    uint32_t *slots = calloc(count, sizeof *slots);
    if (!slots) return false;
    free(table->slots);
    table->slots = slots;
    table->slot_count = count;
    for (uint32_t i = 0; i < table->count; i++)
        place(table, i);
    return true;
}

static bool grow_entries(loom_inlined *table) {
    uint32_t capacity = table->capacity ? table->capacity * 2 : 128;
    if (capacity < table->capacity) return false;
    loom_inlined_call *entries = realloc(table->entries, capacity * sizeof *entries);
    if (!entries) return false;
    table->entries = entries;
    table->capacity = capacity;
    return true;
}

static bool add_arguments(loom_inlined *table, const loom_node_index *arguments, uint32_t count) {
    if (table->argument_capacity - table->argument_count < count) {
        size_t capacity = table->argument_capacity ? table->argument_capacity : 256;
        while (capacity - table->argument_count < count)
            capacity *= 2;
        loom_node_index *grown = realloc(table->arguments, capacity * sizeof *grown);
        if (!grown) return false;
        table->arguments = grown;
        table->argument_capacity = capacity;
    }
    memcpy(table->arguments + table->argument_count, arguments, count * sizeof *arguments);
    table->argument_count += count;
    return true;
}

/* Calls of one function all have its number of arguments, so the count is not compared. */
static bool same_call(const loom_inlined *table, const loom_inlined_call *entry, const loom_function *function,
                      const loom_node_index *arguments, uint32_t count) {
    return entry->function == function &&
           memcmp(table->arguments + entry->arguments, arguments, count * sizeof *arguments) == 0;
}

uint32_t loom_inlined_get(loom_inlined *table, const loom_function *function, const loom_node_index *arguments,
                          uint32_t count) {
    uint64_t hash = hash_call(function, arguments, count);
    if (table->slot_count)
        for (size_t at = hash & (table->slot_count - 1); table->slots[at]; at = (at + 1) & (table->slot_count - 1)) {
            uint32_t index = table->slots[at] - 1;
            if (table->entries[index].hash == hash &&
                same_call(table, &table->entries[index], function, arguments, count))
                return index;
        }
    if (2 * ((size_t)table->count + 1) > table->slot_count && !grow_slots(table)) return LOOM_INLINED_NONE;
    if (table->count == table->capacity && !grow_entries(table)) return LOOM_INLINED_NONE;
    size_t at = table->argument_count;
    if (!add_arguments(table, arguments, count)) return LOOM_INLINED_NONE;
    table->entries[table->count] =
        (loom_inlined_call){.function = function, .arguments = at, .hash = hash, .result = LOOM_NODE_NONE};
    place(table, table->count);
    return table->count++;
}

void loom_inlined_clear(loom_inlined *table) {
    for (uint32_t i = 0; i < table->count; i++)
        table->slots[table->entries[i].slot] = 0;
    table->count = 0;
    table->argument_count = 0;
}

void loom_inlined_free(loom_inlined *table) {
    free(table->entries);
    free(table->arguments);
    free(table->slots);
    *table = (loom_inlined){0};
}
