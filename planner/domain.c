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

static const char *kind_name(const loom_node *node, loom_static_kind kind) {
    switch (kind) {
    case LOOM_KIND_IMAGE:
        return "an image";
    case LOOM_KIND_SEQUENCE:
        return "a sequence";
    case LOOM_KIND_SCALAR:
        if (node->kind != LOOM_NODE_CONSTANT) return "a number, truth value or string";
        return node->value.type == LOOM_STRING ? "a string"
               : node->value.type == LOOM_BOOL ? "a truth value"
                                               : "a number";
    default:
        return "something else";
    }
}

/* What argument letter needs, if a node of this kind can never be it; else NULL. */
static const char *need_unmet(char letter, loom_static_kind kind) {
    if (kind == LOOM_KIND_UNKNOWN) return NULL;
    switch (letter) {
    case 'i':
        return kind == LOOM_KIND_IMAGE ? NULL : "an image";
    case 'n':
        return kind == LOOM_KIND_SCALAR ? NULL : "a number";
    case 's':
        return kind == LOOM_KIND_SCALAR ? NULL : "a string";
    case 'r':
        return kind == LOOM_KIND_SCALAR ? NULL : "a record";
    case 'q':
        return kind == LOOM_KIND_SEQUENCE ? NULL : "a sequence";
    default:
        return NULL;
    }
}

static loom_status check_node(const loom_plan *plan, loom_facts *facts, const loom_node *node, loom_error *err) {
    for (uint32_t i = 0; i < node->argument_count; i++) {
        loom_node_facts argument;
        LOOM_TRY(loom_facts_of(facts, node->arguments[i], &argument));
        const char *need = need_unmet(loom_signature_argument(node->op, i), argument.kind);
        if (!need) continue;
        loom_error_at(err, node->position.file, node->position.line, node->position.column);
        loom_error_node(err, node->op->name);
        return loom_fail(err, LOOM_BAD_PROGRAM, "argument %u of %s is %s, but it needs %s", i + 1, node->op->name,
                         kind_name(loom_plan_node(plan, node->arguments[i]), argument.kind), need);
    }
    return LOOM_OK;
}

/* Marks what the goals need. Arguments have smaller numbers than their users, so one pass downwards is enough. */
static bool *mark_reachable(const loom_plan *plan, size_t count) {
    bool *reached = calloc(count ? count : 1, sizeof *reached);
    if (!reached) return NULL;
    for (size_t g = 0; g < loom_plan_goal_count(plan); g++)
        reached[loom_plan_goal(plan, g)->node] = true;
    for (size_t i = count; i-- > 0;) {
        if (!reached[i]) continue;
        const loom_node *node = loom_plan_node(plan, (loom_node_index)i);
        for (uint32_t a = 0; a < node->argument_count; a++)
            reached[node->arguments[a]] = true;
    }
    return reached;
}

loom_status loom_plan_check(const loom_plan *plan, loom_facts *facts, loom_error *err) {
    size_t count = loom_plan_node_count(plan);
    bool *reached = mark_reachable(plan, count);
    if (!reached) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while checking the program");
    loom_status status = LOOM_OK;
    for (size_t i = 0; i < count && status == LOOM_OK; i++) {
        const loom_node *node = loom_plan_node(plan, (loom_node_index)i);
        if (reached[i] && node->kind == LOOM_NODE_PRIMITIVE) status = check_node(plan, facts, node, err);
    }
    free(reached);
    return status;
}
