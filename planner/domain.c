/* Static kinds and openness of nodes, from the operators' signatures. Nodes are visited in order of their numbers,
 * which is a topological order, so nothing recurses. */
#include "planner/domain.h"

#include <stdlib.h>
#include <string.h>

#include "shm/platform_array.h"

struct loom_facts {
    const loom_plan *plan;
    loom_node_facts *of; /* of[0 .. known - 1] are final */
    size_t known;
    size_t capacity;
};

loom_facts *loom_facts_new(const loom_plan *plan) {
    loom_facts *facts = calloc(1, sizeof *facts);
    if (facts) facts->plan = plan;
    return facts;
}

void loom_facts_free(loom_facts *facts) {
    if (!facts) return;
    loom_array_free(facts->of, facts->capacity * sizeof *facts->of);
    free(facts);
}

char loom_signature_argument(const loom_operator *op, uint32_t position) {
    const char *signature = op->signature;
    for (uint32_t i = 0; signature[0] && signature[0] != ':'; i++) {
        bool repeats = signature[1] == '*';
        if (i == position || repeats) return signature[0];
        signature++;
    }
    return 'v';
}

char loom_signature_result(const loom_operator *op) {
    const char *colon = strchr(op->signature, ':');
    return colon && colon[1] ? colon[1] : 'v';
}

static loom_static_kind kind_of_type(loom_type type) {
    switch (type) {
    case LOOM_IMAGE:
        return LOOM_KIND_IMAGE;
    case LOOM_SEQUENCE:
        return LOOM_KIND_SEQUENCE;
    case LOOM_REFERENCE:
    case LOOM_DATASET:
    case LOOM_CLOSURE:
        return LOOM_KIND_UNKNOWN;
    default:
        return LOOM_KIND_SCALAR;
    }
}

static loom_static_kind kind_of_value(const loom_value *value) {
    return kind_of_type(value->type == LOOM_REFERENCE ? value->reference.type : value->type);
}

/* The result of an overloaded operator: what its arguments make it. */
static loom_static_kind kind_of_overload(const loom_facts *facts, const loom_node *node) {
    bool unknown = false, sequence = false, image = false;
    for (uint32_t i = 0; i < node->argument_count; i++) {
        loom_static_kind kind = facts->of[node->arguments[i]].kind;
        unknown |= kind == LOOM_KIND_UNKNOWN;
        sequence |= kind == LOOM_KIND_SEQUENCE;
        image |= kind == LOOM_KIND_IMAGE;
    }
    if (sequence) return LOOM_KIND_SEQUENCE;
    if (unknown) return LOOM_KIND_UNKNOWN;
    return image ? LOOM_KIND_IMAGE : LOOM_KIND_SCALAR;
}

static loom_static_kind kind_of_primitive(const loom_facts *facts, const loom_node *node) {
    switch (loom_signature_result(node->op)) {
    case 'i':
        return LOOM_KIND_IMAGE;
    case 'q':
        return LOOM_KIND_SEQUENCE;
    case 'n':
    case 'b':
    case 's':
    case 'r':
        return LOOM_KIND_SCALAR;
    case 'o':
        return kind_of_overload(facts, node);
    default:
        return LOOM_KIND_UNKNOWN;
    }
}

static loom_openness openness_of_primitive(const loom_facts *facts, const loom_node *node) {
    if (node->op->flags & LOOM_OP_NEW_DOMAIN) return LOOM_CLOSED;
    bool open = false, maybe = (node->op->flags & LOOM_OP_STRUCTURAL) != 0, closed_image = false,
         image_argument = false;
    for (uint32_t i = 0; i < node->argument_count; i++) {
        loom_node_facts argument = facts->of[node->arguments[i]];
        open |= argument.openness == LOOM_OPEN;
        maybe |= argument.openness == LOOM_MAYBE_OPEN;
        image_argument |= argument.kind == LOOM_KIND_IMAGE;
        closed_image |= argument.kind == LOOM_KIND_IMAGE && argument.openness == LOOM_CLOSED;
    }
    bool structural = (node->op->flags & LOOM_OP_STRUCTURAL) != 0;
    if (closed_image && !structural) return LOOM_CLOSED;
    if ((node->op->flags & LOOM_OP_OPEN) && !image_argument) return LOOM_OPEN;
    if (maybe) return LOOM_MAYBE_OPEN;
    return open ? LOOM_OPEN : LOOM_CLOSED;
}

static loom_node_facts facts_of_node(const loom_facts *facts, const loom_node *node) {
    switch (node->kind) {
    case LOOM_NODE_CONSTANT:
    case LOOM_NODE_ITEM:
        return (loom_node_facts){.kind = (uint8_t)kind_of_value(&node->value), .openness = LOOM_CLOSED};
    case LOOM_NODE_PRIMITIVE:
        return (loom_node_facts){.kind = (uint8_t)kind_of_primitive(facts, node),
                                 .openness = (uint8_t)openness_of_primitive(facts, node)};
    case LOOM_NODE_CLOSURE:
        break;
    }
    return (loom_node_facts){.kind = LOOM_KIND_UNKNOWN, .openness = LOOM_MAYBE_OPEN};
}

loom_status loom_facts_of(loom_facts *facts, loom_node_index node, loom_node_facts *out) {
    if (node >= facts->capacity) {
        size_t capacity = facts->capacity ? facts->capacity * 2 : 1024;
        while (capacity <= node)
            capacity *= 2;
        loom_node_facts *grown = loom_array_grow(facts->of, facts->capacity * sizeof *grown, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        facts->of = grown;
        facts->capacity = capacity;
    }
    for (; facts->known <= node; facts->known++)
        facts->of[facts->known] = facts_of_node(facts, loom_plan_node(facts->plan, (loom_node_index)facts->known));
    *out = facts->of[node];
    return LOOM_OK;
}
