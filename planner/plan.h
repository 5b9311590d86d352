/* plan.h - the plan: a hash-consed DAG of nodes, its goals, and how it grows while it runs.
 *
 * Nodes carry VoxLogicA-2's structural ids (../shared voxlogica2.md, section 3) and are interned: the same id is the
 * same node. Node numbers are dense, never change, and arguments always have smaller numbers than their users. A plan
 * belongs to one thread. */
#ifndef LOOM_PLANNER_PLAN_H
#define LOOM_PLANNER_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "shm/arena.h"
#include "shm/id.h"
#include "shm/operator.h"
#include "shm/status.h"
#include "shm/value.h"

typedef uint32_t loom_node_index;
#define LOOM_NODE_NONE UINT32_MAX

typedef enum loom_node_kind {
    LOOM_NODE_CONSTANT,
    LOOM_NODE_PRIMITIVE,
    LOOM_NODE_CLOSURE,
    LOOM_NODE_ITEM /* an item of a sequence known only at run time: made by loom_plan_item */
} loom_node_kind;

/* Declared kind, part of the id: "scalar", "sequence", ... */
typedef enum loom_output_kind {
    LOOM_OUT_SCALAR,
    LOOM_OUT_SEQUENCE,
    LOOM_OUT_TREE,
    LOOM_OUT_DATASET,
    LOOM_OUT_EFFECT,
    LOOM_OUT_OVERLAY,
    LOOM_OUT_CLOSURE,
    LOOM_OUT_UNKNOWN
} loom_output_kind;

/* A function of one parameter with captured nodes: opaque here, owned by the plan. */
typedef struct loom_closure loom_closure;

/* Where in the text, for reports. */
typedef struct loom_position {
    const char *file; /* NULL when unknown (plan files) */
    uint32_t line, column;
    uint32_t calls; /* the calls of functions that led there: loom_plan_call_site. 0: none */
} loom_position;

/* A function that was called, and where: never without a file. `position.calls` is the call in whose body that stands.
 */
typedef struct loom_call_site {
    const char *function;
    loom_position position;
} loom_call_site;

typedef struct loom_node {
    loom_id id;
    loom_node_kind kind;
    loom_output_kind output_kind;
    const loom_operator *op;          /* primitives; NULL otherwise */
    const loom_node_index *arguments; /* primitives: positional; closures: captured nodes */
    uint32_t argument_count;
    loom_value value;            /* constants; items: the bound value or reference */
    const char *fold_operator;   /* default.fold: "+", "max", ...; else NULL */
    const loom_closure *closure; /* closures */
    loom_position position;      /* of the call that first made it */
} loom_node;

/* KEEP, which no program says: the value is for the caller of the library, who reads it when the run has ended. */
typedef enum loom_goal_kind { LOOM_GOAL_PRINT, LOOM_GOAL_SAVE, LOOM_GOAL_KEEP } loom_goal_kind;

typedef struct loom_goal {
    loom_goal_kind kind;
    const char *name; /* label or path, raw text of the literal */
    loom_node_index node;
    loom_position position;
} loom_goal;

typedef struct loom_plan loom_plan;

/* What building a plan needs from above. Borrowed for the life of the plan. */
typedef struct loom_plan_options {
    const loom_operator_table *operators;
    /* A one-line notice for the user ("load is ReadImage ..."), without its position, which comes beside it; may be
     * NULL.
     */
    void (*notice)(const loom_position *position, const char *text, void *context);
    void *context;
} loom_plan_options;

/* Parses and reduces the program in `text` (UTF-8). `source` is the name as typed on the command line: it appears in
 * messages and decides $dir, $file and $stem. Imported files are read relative to the working directory as VoxLogicA-2
 * does, else to the importing file. All static errors have file:line:col and the source line. */
loom_status loom_plan_from_program(const loom_plan_options *options, const char *source, const char *text,
                                   size_t length, loom_plan **plan, loom_error *err);
/* Reads a VoxLogicA-2 plan export (with Python's Infinity/NaN). Ids are recomputed and compared; cycles, missing
 * dependencies, unknown operators and malformed text are LOOM_BAD_PLAN with line and column or the node. */
loom_status loom_plan_from_json(const loom_plan_options *options, const char *source, const char *text, size_t length,
                                loom_plan **plan, loom_error *err);
void loom_plan_free(loom_plan *plan);

/* The table that its operators are from. */
const loom_operator_table *loom_plan_operators(const loom_plan *plan);
size_t loom_plan_node_count(const loom_plan *plan);
const loom_node *loom_plan_node(const loom_plan *plan, loom_node_index index); /* valid until the plan grows */
/* A node's calls, innermost first, begin with its position's `calls` and go on with that of each site's position, until
 * this is false: there is none. A node that several calls would make has those of the first. Library functions are
 * functions like others. */
bool loom_plan_call_site(const loom_plan *plan, uint32_t calls, loom_call_site *site);
/* The node of that id, or LOOM_NODE_NONE. Looks at every node: for people's questions. */
loom_node_index loom_plan_find(const loom_plan *plan, const loom_id *id);
size_t loom_plan_goal_count(const loom_plan *plan);
const loom_goal *loom_plan_goal(const loom_plan *plan, size_t index);
size_t loom_plan_import_count(const loom_plan *plan);
const char *loom_plan_import(const loom_plan *plan, size_t index);

/* ---- growing while it runs: each interns, and returns the node ---- */
loom_status loom_plan_constant(loom_plan *plan, const loom_value *value, loom_node_index *node, loom_error *err);
/* `position` is what messages about a new node will name; NULL when nothing in the text stands for it. */
loom_status loom_plan_primitive(loom_plan *plan, const char *name, loom_output_kind kind,
                                const loom_node_index *arguments, uint32_t argument_count,
                                const loom_position *position, loom_node_index *node, loom_error *err);
/* Item k of a sequence whose items are other results: id as in section 3.2; `value` (a reference or a value) is kept.
 */
loom_status loom_plan_item(loom_plan *plan, const loom_id *parent, uint64_t k, const loom_value *value,
                           loom_node_index *node, loom_error *err);
/* The body of closure node `closure` with its parameter bound to node `item`, reduced into the plan: names resolve as
 * captured, then in the registry, with && || ! and map translated as outside closures (defects S2, S12, S13 are not
 * reproduced). Parsed once, reduced per item. */
loom_status loom_plan_apply(loom_plan *plan, loom_node_index closure, loom_node_index item, loom_node_index *result,
                            loom_error *err);

/* ---- building without a text (plan_build.c) ---- */

/* An operator, as a call names it. Of one plan. */
typedef struct loom_callable {
    const loom_operator *op;
    loom_output_kind kind; /* that its calls are declared to give */
} loom_callable;

/* A plan without nodes and goals. */
loom_status loom_plan_create(const loom_plan_options *options, loom_plan **plan, loom_error *err);
/* By qualified name. LOOM_BAD_PROGRAM: there is none, or only a program can call it (it takes a function). */
loom_status loom_plan_callable(loom_plan *plan, const char *name, loom_callable *callable, loom_error *err);
/* The node that a program's call would make, with the same id. LOOM_BAD_PROGRAM: wrong number of arguments;
 * LOOM_BAD_ARGUMENT: an argument is no node. */
loom_status loom_plan_call(loom_plan *plan, loom_callable callable, const loom_node_index *arguments,
                           uint32_t argument_count, loom_node_index *node, loom_error *err);
/* One more goal, behind the others. `name`: label or path. */
loom_status loom_plan_want(loom_plan *plan, loom_goal_kind kind, const char *name, loom_node_index node,
                           loom_error *err);

/* ---- writing ---- */
loom_status loom_plan_write_json(const loom_plan *plan, FILE *out,
                                 loom_error *err); /* section 4, plus imported_namespaces */
loom_status loom_plan_write_dot(const loom_plan *plan, FILE *out, loom_error *err);
loom_status loom_plan_write_text(const loom_plan *plan, FILE *out,
                                 loom_error *err); /* for people: a line a node, goals last */

#endif
