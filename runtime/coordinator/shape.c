/* How each plan node gives its items: found from the operators alone, in order of node numbers, which is a topological
 * order. */
#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/expand.h"

static bool named(const loom_node *node, const char *name) {
    return strcmp(node->op->name, name) == 0;
}

bool loom_shape_is_list(loom_shape s) {
    return s != LOOM_SHAPE_VALUE && s != LOOM_SHAPE_ITEM && s != LOOM_SHAPE_FOLDED;
}

static bool gives_items(uint8_t shape) {
    return shape != LOOM_SHAPE_VALUE && shape != LOOM_SHAPE_FOLDED;
}

/* A fold over a loop may follow its parts, unless it starts from what might be an image, which would give the loop its
 * domain. */
static bool is_fold_of_loop(const loom_plan *plan, const uint8_t *shapes, const loom_node *node) {
    if (!named(node, "default.fold")) return false;
    uint8_t over = shapes[node->arguments[node->argument_count - 1]];
    bool starts_small =
        node->argument_count == 1 || loom_plan_node(plan, node->arguments[0])->kind == LOOM_NODE_CONSTANT;
    return starts_small && (over == LOOM_SHAPE_MAPPED || over == LOOM_SHAPE_BROADCAST || over == LOOM_SHAPE_FILTERED);
}

/* The shape of a node whose arguments' shapes are known. */
static loom_shape shape_from_arguments(const loom_plan *plan, const uint8_t *shapes, const loom_node *node) {
    if (node->kind != LOOM_NODE_PRIMITIVE) return LOOM_SHAPE_VALUE;
    if (!(node->op->flags & LOOM_OP_STRUCTURAL)) {
        if (is_fold_of_loop(plan, shapes, node)) return LOOM_SHAPE_FOLDED;
        if (loom_signature_result(node->op) != 'o' || node->argument_count != 2) return LOOM_SHAPE_VALUE;
        return loom_shape_is_list(shapes[node->arguments[0]]) || loom_shape_is_list(shapes[node->arguments[1]])
                   ? LOOM_SHAPE_BROADCAST
                   : LOOM_SHAPE_VALUE;
    }
    if (named(node, "default.sequence")) return LOOM_SHAPE_LIST;
    if (named(node, "default.for_loop") || named(node, "default.map")) return LOOM_SHAPE_MAPPED;
    if (named(node, "default.filter")) return LOOM_SHAPE_FILTERED;
    if (node->argument_count == 0 || !gives_items(shapes[node->arguments[0]])) return LOOM_SHAPE_VALUE;
    return named(node, "default.index") ? LOOM_SHAPE_ITEM : LOOM_SHAPE_PICKED;
}

/* Shapes are found in order of node numbers, which is a topological order, and kept as the plan grows. */
loom_status loom_shape_of(loom_session *session, loom_node_index index, loom_shape *found) {
    if (index >= session->shape_capacity) {
        uint32_t capacity = session->shape_capacity ? session->shape_capacity : 1024;
        while (capacity <= index)
            capacity *= 2;
        uint8_t *grown = realloc(session->shapes, capacity);
        if (!grown) return LOOM_NO_MEMORY;
        session->shapes = grown;
        session->shape_capacity = capacity;
    }
    for (; session->shape_count <= index; session->shape_count++)
        session->shapes[session->shape_count] = (uint8_t)shape_from_arguments(
            session->plan, session->shapes, loom_plan_node(session->plan, session->shape_count));
    *found = session->shapes[index];
    return LOOM_OK;
}

loom_status loom_is_expandable(loom_session *session, loom_node_index node, bool *expandable) {
    loom_shape found;
    LOOM_TRY(loom_shape_of(session, node, &found));
    *expandable = found != LOOM_SHAPE_VALUE;
    return LOOM_OK;
}
