/* plan_order.c - a depth-first walk over a plan, with its own stack. */
#include "planner/plan_order.h"

#include <stdlib.h>
#include <string.h>

void loom_visit_dependencies(const loom_node *node, void (*visit)(loom_node_index node, void *context), void *context) {
    for (uint32_t i = 0; i < node->argument_count; i++)
        visit(node->arguments[i], context);
    if (node->closure) loom_visit_function_captures(&node->closure->links, visit, context);
}

typedef struct pending {
    uint32_t rank; /* of its id among all ids */
    loom_node_index node;
    bool leave; /* its dependencies are written: now itself */
} pending;

typedef struct walk {
    const loom_plan *plan;
    uint32_t *rank;
    bool *done;
    bool *used; /* by a node or a goal */
    pending *stack;
    size_t depth, capacity;
    bool failed;
    loom_plan_order *order;
} walk;

static void push(walk *w, loom_node_index node, bool leave) {
    if (w->depth == w->capacity) {
        size_t capacity = w->capacity ? w->capacity * 2 : 256;
        pending *grown = realloc(w->stack, capacity * sizeof *grown);
        if (!grown) {
            w->failed = true;
            return;
        }
        w->stack = grown;
        w->capacity = capacity;
    }
    w->stack[w->depth++] = (pending){.rank = w->rank[node], .node = node, .leave = leave};
}

static void push_dependency(loom_node_index node, void *context) {
    walk *w = context;
    if (!w->done[node]) push(w, node, false);
}

/* The smallest id comes off the stack first. */
static int pending_order(const void *a, const void *b) {
    uint32_t left = ((const pending *)a)->rank, right = ((const pending *)b)->rank;
    return (left < right) - (left > right);
}

static void visit(walk *w, loom_node_index node) {
    push(w, node, true);
    size_t from = w->depth;
    loom_visit_dependencies(&w->plan->nodes[node], push_dependency, w);
    if (w->depth - from > 1) qsort(w->stack + from, w->depth - from, sizeof *w->stack, pending_order);
}

static void walk_from(walk *w, loom_node_index root) {
    push(w, root, false);
    while (w->depth && !w->failed) {
        pending next = w->stack[--w->depth];
        if (w->done[next.node]) continue;
        if (!next.leave) {
            visit(w, next.node);
            continue;
        }
        w->done[next.node] = true;
        w->order->nodes[w->order->count++] = next.node;
    }
}

/* ---- who is written ---- */

static void mark_used(loom_node_index node, void *context) {
    ((walk *)context)->used[node] = true;
}

static bool is_unused_variable(const walk *w, loom_node_index node) {
    if (w->used[node]) return false;
    for (uint32_t i = 0; i < w->plan->program_variable_count; i++)
        if (w->plan->program_variables[i] == node) return true;
    return false;
}

static void find_used(walk *w) {
    for (size_t i = 0; i < w->plan->node_count; i++)
        loom_visit_dependencies(&w->plan->nodes[i], mark_used, w);
    for (size_t i = 0; i < w->plan->goal_count; i++)
        mark_used(w->plan->goals[i].node, w);
}

typedef struct ranked_node {
    loom_id id;
    loom_node_index node;
} ranked_node;

static int ranked_order(const void *a, const void *b) {
    return loom_id_compare(&((const ranked_node *)a)->id, &((const ranked_node *)b)->id);
}

static void walk_all(walk *w, ranked_node *ranked) {
    size_t count = w->plan->node_count;
    for (size_t i = 0; i < count; i++) {
        ranked[i].id = w->plan->nodes[i].id;
        ranked[i].node = (loom_node_index)i;
    }
    if (count) qsort(ranked, count, sizeof *ranked, ranked_order);
    for (size_t i = 0; i < count; i++)
        w->rank[ranked[i].node] = (uint32_t)i;
    find_used(w);
    for (size_t i = 0; i < count && !w->failed; i++)
        if (!w->done[ranked[i].node] && !is_unused_variable(w, ranked[i].node)) walk_from(w, ranked[i].node);
}

loom_status loom_plan_order_find(const loom_plan *plan, loom_plan_order *order, loom_error *err) {
    *order = (loom_plan_order){0};
    for (size_t i = 0; i < plan->node_count; i++)
        if (plan->nodes[i].kind == LOOM_NODE_ITEM)
            return loom_fail(err, LOOM_UNSUPPORTED, "this plan has grown while it ran; write it before running it");
    size_t count = plan->node_count + 1;
    walk w = {.plan = plan, .order = order};
    ranked_node *ranked = calloc(count, sizeof *ranked);
    w.rank = calloc(count, sizeof *w.rank);
    w.done = calloc(count, sizeof *w.done);
    w.used = calloc(count, sizeof *w.used);
    order->nodes = calloc(count, sizeof *order->nodes);
    if (ranked && w.rank && w.done && w.used && order->nodes)
        walk_all(&w, ranked);
    else
        w.failed = true;
    free(ranked);
    free(w.rank);
    free(w.done);
    free(w.used);
    free(w.stack);
    if (!w.failed) return LOOM_OK;
    loom_plan_order_free(order);
    return loom_plan_no_memory(err);
}

void loom_plan_order_free(loom_plan_order *order) {
    free(order->nodes);
    *order = (loom_plan_order){0};
}
