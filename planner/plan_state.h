/* plan_state.h - the inside of a plan, shared by the files of planner/ and seen by nobody else. */
#ifndef LOOM_PLANNER_PLAN_STATE_H
#define LOOM_PLANNER_PLAN_STATE_H

#include "planner/call_chain.h"
#include "planner/environment.h"
#include "planner/json_text.h"
#include "planner/names.h"
#include "planner/plan.h"
#include "planner/template.h"

/* What the free names of a body are bound to, names in ascending order; names bound to nothing are left out. */
typedef struct loom_links {
    const loom_name **names; /* captured nodes: name and node */
    loom_node_index *nodes;
    uint32_t node_count;
    loom_function **functions;
    uint32_t function_count;
} loom_links;

/* A declared function, with the environment of its declaration. */
struct loom_function {
    const loom_name *name;
    loom_template *body;
    loom_environment environment;
    loom_links links; /* once `linked` */
    uint64_t visit;   /* the last walk over functions that came by */
    bool linked;
    bool given; /* read from a plan file, which says what it captures */
};

struct loom_closure {
    loom_template *body; /* one parameter */
    loom_environment environment;
    loom_links links;
    bool grouped; /* its body is printed with parentheses, because another one prints alike without */
};

/* Open addressing over node numbers; slots hold 32 bits of the hash, then number + 1; 0 is free. */
typedef struct loom_intern {
    uint64_t *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
} loom_intern;

typedef struct loom_reducer loom_reducer; /* planner/reducer.c */

struct loom_plan {
    loom_plan_options options;
    loom_arena *arena; /* nodes' arguments and values, sources, expressions, functions: all that lives with the plan */
    loom_names names;
    loom_node *nodes;
    size_t node_count, node_capacity;
    loom_intern by_id;    /* all but primitives, whose shapes tell them apart */
    loom_intern by_shape; /* constants and primitives, found without hashing their canonical text */
    loom_goal *goals;
    size_t goal_count, goal_capacity;
    const char **namespaces; /* known to programs, ascending */
    size_t namespace_count;
    const char **imports; /* of namespaces, in order */
    size_t import_count, import_capacity;
    uint32_t import_epoch; /* changes whenever names may resolve differently; never 0 */
    uint32_t version;      /* of the top-level environment */
    loom_node_index program_variables[5];
    uint32_t program_variable_count;
    loom_reducer *reducer;
    loom_call_chain chain;
    uint64_t visit; /* number of the current walk over functions */
    /* Scratch of node_id.c. */
    loom_text canonical, attributes;
    loom_id *ids;
    size_t id_capacity;
};

/* ---- plan.c ---- */
loom_status loom_plan_new(const loom_plan_options *options, loom_plan **plan, loom_error *err);
loom_status loom_plan_no_memory(loom_error *err);
loom_status loom_plan_add_goal(loom_plan *plan, loom_goal goal, loom_error *err);
void loom_plan_notice(const loom_plan *plan, loom_place place, const char *text);
/* Adds (or finds) nodes. Values are copied; fold operators are text of interned names. */
loom_status loom_plan_add_constant(loom_plan *plan, const loom_value *value, loom_position position,
                                   loom_node_index *node, loom_error *err);
loom_status loom_plan_add_primitive(loom_plan *plan, const loom_operator *op, loom_output_kind kind,
                                    const char *fold_operator, const loom_node_index *arguments, uint32_t count,
                                    loom_position position, loom_node_index *node, loom_error *err);
loom_status loom_plan_add_closure(loom_plan *plan, loom_closure closure, loom_position position, loom_node_index *node,
                                  loom_error *err);
/* Forgets all nodes from number `count` on, which nothing may refer to: what a check made. Their memory in the arena
 * stays taken. */
void loom_plan_truncate(loom_plan *plan, size_t count);
loom_output_kind loom_output_kind_named(const char *name, size_t length, bool *known);
const char *loom_output_kind_name(loom_output_kind kind);

/* ---- intern.c ---- */
bool loom_intern_reserve(loom_intern *table);
uint64_t loom_hash_id(const loom_id *id);
uint64_t loom_hash_shape(const loom_node *node);
/* Or LOOM_NODE_NONE. Of primitives by their shape only. */
loom_node_index loom_intern_find_id(const loom_plan *plan, const loom_id *id);
loom_node_index loom_intern_find_shape(const loom_plan *plan, const loom_node *node, uint64_t hash);
/* Room must have been reserved. */
void loom_intern_add(loom_intern *table, uint64_t hash, loom_node_index node);
/* Forgets the nodes from number `count` on. */
void loom_intern_truncate(loom_intern *table, size_t count);
void loom_intern_free(loom_intern *table);

/* ---- resolve.c ---- */
loom_status loom_resolve_start(loom_plan *plan, loom_error *err);
/* The operator of a name that no environment binds, or NULL (section 2.3). */
const loom_operator *loom_resolve(loom_plan *plan, const loom_name *name);
bool loom_is_namespace(const loom_plan *plan, const char *name, size_t length);
/* Marks a namespace as imported; false when out of memory. */
bool loom_import_namespace(loom_plan *plan, const char *name);
/* The visible name nearest to a misspelt one, or NULL. */
const char *loom_near_miss(loom_plan *plan, loom_environment environment, const loom_name *name);

/* ---- reducer.c ---- */
void loom_reducer_free(loom_reducer *reducer);
/* Reduces an expression to a node. `calls`: those that it stands in. */
loom_status loom_reduce(loom_plan *plan, const loom_expr *expr, loom_environment environment, uint32_t calls,
                        loom_node_index *node, loom_error *err);
loom_status loom_check_reserved(const loom_name *name, loom_place place, loom_error *err);

/* ---- closure.c ---- */
/* VoxLogicA-2 cannot nest function records deeper than Python's recursion allows, about 990. */
#define LOOM_DEEPEST_RECORD 1000
bool loom_links_find(loom_plan *plan, const loom_template *body, loom_environment environment, loom_links *links);
bool loom_function_link(loom_plan *plan, loom_function *function);
loom_status loom_make_closure(loom_plan *plan, loom_template *body, loom_environment environment,
                              loom_position position, loom_node_index *node, loom_error *err);
/* The attributes of a closure node: canonical (indent < 0), or as json.dumps(indent=2) at that depth. LOOM_TOO_LARGE
 * when nested function records pass the limits. */
loom_status loom_closure_attributes(loom_plan *plan, const loom_closure *closure, loom_text *text, int indent,
                                    loom_error *err);
/* Calls `visit` for every node captured by function records, at every depth. */
void loom_visit_function_captures(const loom_links *links, void (*visit)(loom_node_index node, void *context),
                                  void *context);

#endif
