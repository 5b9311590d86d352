/* plan_text.c - a plan for people: a line a node, in order of creation, goals last. */
#include <errno.h>
#include <string.h>

#include "planner/plan_state.h"

static void put_number(loom_text *out, loom_node_index node) {
    loom_text_put(out, "%");
    loom_text_number(out, node);
}

static void put_list(loom_text *out, const loom_node_index *nodes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (i) loom_text_put(out, ", ");
        put_number(out, nodes[i]);
    }
}

static void put_captures(loom_text *out, const loom_links *links) {
    for (uint32_t i = 0; i < links->node_count; i++) {
        loom_text_put(out, i ? ", " : " with ");
        loom_text_put(out, links->names[i]->text);
        loom_text_put(out, " = ");
        put_number(out, links->nodes[i]);
    }
}

static bool put_closure(loom_text *out, loom_plan *plan, const loom_closure *closure) {
    if (!loom_template_print(closure->body, plan->arena)) return false;
    loom_text_put(out, "\\");
    loom_text_put(out, closure->body->parameters[0]->text);
    loom_text_put(out, " -> ");
    loom_text_add(out, closure->body->text, closure->body->text_length);
    put_captures(out, &closure->links);
    return true;
}

static void put_position(loom_text *out, loom_position position) {
    if (!position.file) return;
    loom_text_put(out, "   # ");
    loom_text_put(out, position.file);
    loom_text_put(out, ":");
    loom_text_number(out, position.line);
    loom_text_put(out, ":");
    loom_text_number(out, position.column);
}

static bool put_node(loom_text *out, loom_plan *plan, loom_node_index index) {
    const loom_node *node = &plan->nodes[index];
    put_number(out, index);
    loom_text_put(out, " = ");
    switch (node->kind) {
    case LOOM_NODE_CONSTANT:
        if (!loom_json_value(out, &node->value, -1)) return false;
        break;
    case LOOM_NODE_PRIMITIVE:
        loom_text_put(out, node->op->name);
        if (node->fold_operator) {
            loom_text_put(out, "[");
            loom_text_put(out, node->fold_operator);
            loom_text_put(out, "]");
        }
        loom_text_put(out, "(");
        put_list(out, node->arguments, node->argument_count);
        loom_text_put(out, ")");
        break;
    case LOOM_NODE_CLOSURE:
        if (!put_closure(out, plan, node->closure)) return false;
        break;
    case LOOM_NODE_ITEM:
        loom_text_put(out, "item ");
        loom_text_id(out, &node->id);
        break;
    }
    put_position(out, node->position);
    loom_text_put(out, "\n");
    return true;
}

static void put_goal(loom_text *out, const loom_goal *goal) {
    static const char *const words[] = {
        [LOOM_GOAL_PRINT] = "print \"", [LOOM_GOAL_SAVE] = "save \"", [LOOM_GOAL_KEEP] = "keep \""};
    loom_text_put(out, words[goal->kind]);
    loom_text_put(out, goal->name);
    loom_text_put(out, "\" ");
    put_number(out, goal->node);
    put_position(out, goal->position);
    loom_text_put(out, "\n");
}

loom_status loom_plan_write_text(const loom_plan *plan, FILE *file, loom_error *err) {
    loom_text out = {.out = file};
    for (size_t i = 0; i < plan->node_count && !out.failed; i++)
        if (!put_node(&out, (loom_plan *)plan, (loom_node_index)i)) out.failed = true;
    for (size_t i = 0; i < plan->goal_count; i++)
        put_goal(&out, &plan->goals[i]);
    loom_status status = LOOM_OK;
    if (!loom_text_finish(&out)) status = loom_fail_errno(err, errno, "cannot write the plan");
    loom_text_free(&out);
    return status;
}
