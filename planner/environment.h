/* environment.h - what names are bound to: a persistent map, cheap to extend and to keep.
 *
 * Top-level declarations form one history: every name keeps its bindings with the version at which each was made, so an
 * environment needs only remember a version. Parameters and local variables stand before them in a persistent treap (C.
 * Aragon, R. Seidel, "Randomized Search Trees", FOCS 1989) with a fixed priority per name. Extending copies O(log n)
 * small cells and never changes an older environment. */
#ifndef LOOM_PLANNER_ENVIRONMENT_H
#define LOOM_PLANNER_ENVIRONMENT_H

#include "planner/ast.h"
#include "planner/plan.h"
#include "shm/arena.h"

typedef struct loom_function loom_function;

/* A node, or a function when `function` is set. */
typedef struct loom_binding {
    loom_node_index node;
    loom_function *function;
} loom_binding;

struct loom_global {
    uint32_t version; /* the binding is seen from environments of this version on */
    loom_binding binding;
};

typedef struct loom_local loom_local;

typedef struct loom_environment {
    uint32_t version; /* 0: no top-level declarations at all */
    const loom_local *locals;
} loom_environment;

/* The binding that `environment` sees, or NULL. */
const loom_binding *loom_environment_find(loom_environment environment, const loom_name *name);

/* `environment` with one more local binding. False when out of memory. */
bool loom_environment_bind(loom_environment *environment, loom_arena *arena, const loom_name *name,
                           loom_binding binding);

/* Records a top-level binding that environments of `version` and later see. Versions must not decrease. */
bool loom_global_bind(loom_arena *arena, loom_name *name, uint32_t version, loom_binding binding);

#endif
