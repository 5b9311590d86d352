/* environment.c - look-up and extension of environments. */
#include "planner/environment.h"

#include <string.h>

struct loom_local {
    const loom_name *name;
    loom_binding binding;
    const loom_local *left, *right;
};

/* By splitmix64's finaliser (S. Vigna): names are numbered in order of appearance, so a program can make the treap deep
 * only by luck. */
static uint64_t priority(const loom_name *name) {
    uint64_t x = name->index + 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static const loom_binding *find_global(const loom_name *name, uint32_t version) {
    uint32_t low = 0, high = name->history_count;
    if (high && name->history[high - 1].version <= version) return &name->history[high - 1].binding;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (name->history[middle].version <= version)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &name->history[low - 1].binding : NULL;
}

const loom_binding *loom_environment_find(loom_environment environment, const loom_name *name) {
    for (const loom_local *local = environment.locals; local;) {
        if (local->name == name) return &local->binding;
        local = name->index < local->name->index ? local->left : local->right;
    }
    return environment.version ? find_global(name, environment.version) : NULL;
}

/* Copies the path to the new cell, rotating it up while its priority is higher: recursion is as deep as the treap,
 * O(log n). NULL when out of memory. */
static const loom_local *insert(const loom_local *tree, const loom_local *added, loom_arena *arena) {
    if (!tree) return added;
    loom_local *copy = loom_arena_copy(arena, tree, sizeof *tree);
    if (!copy) return NULL;
    if (tree->name == added->name) {
        copy->binding = added->binding;
        return copy;
    }
    bool to_left = added->name->index < tree->name->index;
    const loom_local *child = insert(to_left ? tree->left : tree->right, added, arena);
    if (!child) return NULL;
    if (to_left)
        copy->left = child;
    else
        copy->right = child;
    if (priority(child->name) <= priority(tree->name)) return copy;
    loom_local *top = loom_arena_copy(arena, child, sizeof *child);
    if (!top) return NULL;
    if (to_left) {
        copy->left = child->right;
        top->right = copy;
    } else {
        copy->right = child->left;
        top->left = copy;
    }
    return top;
}

bool loom_environment_bind(loom_environment *environment, loom_arena *arena, const loom_name *name,
                           loom_binding binding) {
    loom_local *added = loom_arena_alloc(arena, sizeof *added);
    if (!added) return false;
    *added = (loom_local){.name = name, .binding = binding};
    const loom_local *locals = insert(environment->locals, added, arena);
    if (!locals) return false;
    environment->locals = locals;
    return true;
}

static bool grow_history(loom_arena *arena, loom_name *name) {
    uint32_t capacity = name->history_capacity ? name->history_capacity * 2 : 1;
    if (capacity < name->history_capacity) return false;
    loom_global *history = loom_arena_array(arena, capacity, sizeof *history);
    if (!history) return false;
    if (name->history_count) memcpy(history, name->history, name->history_count * sizeof *history);
    name->history = history;
    name->history_capacity = capacity;
    return true;
}

bool loom_global_bind(loom_arena *arena, loom_name *name, uint32_t version, loom_binding binding) {
    if (name->history_count == name->history_capacity && !grow_history(arena, name)) return false;
    name->history[name->history_count++] = (loom_global){.version = version, .binding = binding};
    return true;
}
