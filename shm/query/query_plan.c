/* query_plan.c - which conjuncts of a query the index of fields can answer, as ranges of its keys. What it answers may
 * be more than what matches, never less; the record decides. */
#include <string.h>

#include "shm/query/query_tree.h"

typedef struct planner {
    const loom_cipher *cipher;
    loom_arena *arena;
    loom_query_ranges out;
} planner;

static bool relation_of(loom_query_kind kind, loom_field_relation *relation) {
    switch (kind) {
    case LOOM_QUERY_EQ:
    case LOOM_QUERY_IN:
        *relation = LOOM_FIELD_EQUAL;
        return true;
    case LOOM_QUERY_LT:
    case LOOM_QUERY_LE:
        *relation = LOOM_FIELD_BELOW;
        return true;
    case LOOM_QUERY_GT:
    case LOOM_QUERY_GE:
        *relation = LOOM_FIELD_ABOVE;
        return true;
    case LOOM_QUERY_STARTSWITH:
        *relation = LOOM_FIELD_BEGINS;
        return true;
    case LOOM_QUERY_EXISTS:
        *relation = LOOM_FIELD_EXISTS;
        return true;
    default:
        return false; /* `!=` and `contains` would read nearly all, `not` all */
    }
}

/* The index keeps all items of a list under one path. */
static void steps_of(const loom_query_path *path, loom_field_step steps[LOOM_FIELD_DEPTH_MAX + 1], size_t *count) {
    *count = path->count;
    if (path->count > LOOM_FIELD_DEPTH_MAX) *count = LOOM_FIELD_DEPTH_MAX + 1; /* too deep already */
    for (size_t i = 0; i < *count; i++) {
        const loom_query_step *step = &path->steps[i];
        bool named = step->kind == LOOM_STEP_NAME;
        steps[i] = (loom_field_step){.name = named ? step->name : NULL, .length = named ? step->length : 0};
    }
}

static bool add_range(planner *plan, const loom_query_node *node, loom_field_relation relation,
                      const loom_value *value) {
    loom_field_step steps[LOOM_FIELD_DEPTH_MAX + 1];
    size_t count;
    bool none;
    steps_of(node->path, steps, &count);
    if (!loom_field_range_of(plan->cipher, steps, count, relation, value, &plan->out.items[plan->out.count], &none))
        return false;
    plan->out.count += !none;
    return true;
}

static size_t ranges_needed(const loom_query_node *node) {
    size_t needed = node->kind == LOOM_QUERY_IN ? node->value_count : 1;
    if (node->kind != LOOM_QUERY_OR && node->kind != LOOM_QUERY_AND) return needed;
    needed = 0;
    for (const loom_query_node *each = node->first; each != NULL && needed <= LOOM_QUERY_RANGES_MAX; each = each->next)
        needed += ranges_needed(each);
    return needed;
}

/* An `or` needs all of its operands, an `and` within it any one. */
static bool add_node(planner *plan, const loom_query_node *node) {
    if (node->kind == LOOM_QUERY_OR) {
        for (const loom_query_node *each = node->first; each != NULL; each = each->next)
            if (!add_node(plan, each)) return false;
        return true;
    }
    if (node->kind == LOOM_QUERY_AND) {
        size_t before = plan->out.count;
        for (const loom_query_node *each = node->first; each != NULL; each = each->next) {
            if (add_node(plan, each)) return true;
            plan->out.count = before;
        }
        return false;
    }
    loom_field_relation relation;
    if (!relation_of(node->kind, &relation)) return false;
    if (node->kind == LOOM_QUERY_EXISTS) return add_range(plan, node, relation, NULL);
    for (size_t i = 0; i < node->value_count; i++)
        if (!add_range(plan, node, relation, &node->values[i])) return false;
    return true;
}

static bool choose(planner *plan, const loom_query_node *node) {
    size_t needed = ranges_needed(node);
    if (needed > LOOM_QUERY_RANGES_MAX) return false;
    plan->out = (loom_query_ranges){.node = node};
    plan->out.items = loom_arena_array(plan->arena, needed, sizeof *plan->out.items);
    return plan->out.items != NULL && add_node(plan, node);
}

size_t loom_query_plan(const loom_query *query, const loom_cipher *cipher, loom_arena *arena,
                       loom_query_ranges *choices, size_t capacity) {
    planner plan = {.cipher = cipher, .arena = arena};
    size_t count = 0;
    const loom_query_node *node = query->root;
    const loom_query_node *each = node->kind == LOOM_QUERY_AND ? node->first : node;
    for (; each != NULL && count < capacity; each = node->kind == LOOM_QUERY_AND ? each->next : NULL)
        if (choose(&plan, each)) choices[count++] = plan.out;
    return count;
}
