/* plan_json.h - what plan_json_read.c and plan_json_closure.c share: a plan file on its way to a plan. */
#ifndef LOOM_PLANNER_PLAN_JSON_H
#define LOOM_PLANNER_PLAN_JSON_H

#include "planner/json_read.h"
#include "planner/parser.h"
#include "planner/plan_state.h"

/* A node of the file. */
typedef struct loom_json_entry {
    loom_id id;
    const loom_json *json;
    loom_node_index node; /* LOOM_NODE_NONE until it is made */
    bool open;            /* its dependencies are being made */
} loom_json_entry;

typedef struct loom_json_plan {
    loom_plan *plan;
    loom_arena *json_arena; /* for what is needed only while reading */
    const loom_source *source;
    loom_json root;
    loom_json_entry *entries;
    uint32_t entry_count;
    uint32_t *slots; /* by id: entry + 1; capacity is a power of two */
    size_t slot_count;
    uint32_t *stack; /* entries being made */
    size_t depth, stack_capacity;
    const loom_json *grouped; /* of the closure being read (planner/plan_json_bodies.h) */
    loom_error *err;
} loom_json_plan;

/* LOOM_BAD_PLAN at a place in the file. */
loom_status loom_json_plan_fail(const loom_json_plan *r, const loom_json *at, const char *message);
/* A member that must exist and be of that kind. */
loom_status loom_json_plan_member(const loom_json_plan *r, const loom_json *object, const char *key,
                                  loom_json_kind kind, const loom_json **member);
bool loom_json_is(const loom_json *string, const char *text);
/* The entry that a string names by its id. */
loom_status loom_json_plan_reference(const loom_json_plan *r, const loom_json *at, loom_json_entry **entry);
/* Notes that the node named at this place must be made first. */
loom_status loom_json_plan_need(loom_json_plan *r, const loom_json *at);
/* Node numbers of the (made) arguments; in the JSON arena. */
loom_status loom_json_plan_arguments(loom_json_plan *r, const loom_json *node, loom_node_index **numbers,
                                     uint32_t *count);

/* ---- plan_json_closure.c ---- */
loom_status loom_json_plan_closure(loom_json_plan *r, loom_json_entry *entry);
/* Notes the nodes that a closure's function records capture. */
loom_status loom_json_plan_closure_needs(loom_json_plan *r, const loom_json *node);

#endif
