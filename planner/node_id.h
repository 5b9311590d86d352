/* node_id.h - VoxLogicA-2's structural ids: SHA-256 of a canonical JSON text (voxlogica2.md, section 3). */
#ifndef LOOM_PLANNER_NODE_ID_H
#define LOOM_PLANNER_NODE_ID_H

#include "planner/json_text.h"
#include "planner/plan.h"

typedef struct loom_payload_keyword {
    const char *name; /* NUL-terminated */
    loom_id id;
} loom_payload_keyword;

/* What a node's id is made of. */
typedef struct loom_payload {
    loom_node_kind kind; /* not LOOM_NODE_ITEM */
    const char *operator_name;
    loom_output_kind output_kind;
    const loom_id *arguments;
    uint32_t argument_count;
    const loom_payload_keyword *keywords; /* in any order; no two are equal */
    uint32_t keyword_count;
    const loom_value *attributes;     /* a record; or NULL and */
    const loom_text *attributes_text; /* its canonical text; both NULL for no attributes */
} loom_payload;

/* Appends the canonical text. False if an attribute has no JSON form. */
bool loom_payload_write(loom_text *text, const loom_payload *payload);

/* Id of item k of the sequence `parent` (section 3.2). */
loom_id loom_item_id(const loom_id *parent, int64_t k);

/* The general form: `token` is any value with a JSON form. False if it has none, or out of memory. */
bool loom_child_id(const char *family, const char *parent, const loom_value *token, loom_text *text, loom_id *id);

#endif
