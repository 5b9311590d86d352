/* plan_json_write.c - a plan as VoxLogicA-2's JSON export (voxlogica2.md, section 4), with the import list added. */
#include <errno.h>
#include <string.h>

#include "planner/plan_json_bodies.h"
#include "planner/plan_order.h"

static void put_string(loom_text *out, const char *text) {
    loom_json_string(out, text, strlen(text));
}

static void put_id(loom_text *out, const loom_id *id) {
    loom_text_put(out, "\"");
    loom_text_id(out, id);
    loom_text_put(out, "\"");
}

static void put_arguments(loom_text *out, const loom_plan *plan, const loom_node *node) {
    loom_text_put(out, "      \"arguments\": {");
    for (uint32_t i = 0; i < node->argument_count; i++) {
        loom_text_put(out, i ? ",\n        \"" : "\n        \"");
        loom_text_number(out, i);
        loom_text_put(out, "\": ");
        put_id(out, &plan->nodes[node->arguments[i]].id);
    }
    loom_text_put(out, node->argument_count ? "\n      },\n" : "},\n");
}

static loom_status put_attributes(loom_text *out, const loom_plan *plan, const loom_node *node, loom_error *err) {
    loom_text_put(out, "      \"attrs\": ");
    if (node->closure) {
        /* Writing derives and keeps texts of bodies, which is no change that a caller could see. */
        LOOM_TRY(loom_closure_attributes((loom_plan *)plan, node->closure, out, 3, err));
    } else if (node->fold_operator) {
        loom_text_put(out, "{\n        \"operator\": ");
        put_string(out, node->fold_operator);
        loom_text_put(out, "\n      }");
    } else {
        loom_text_put(out, "{}");
    }
    loom_text_put(out, ",\n");
    return LOOM_OK;
}

static loom_status put_operation(loom_text *out, const loom_plan *plan, const loom_node *node, loom_error *err) {
    loom_text_put(out, ",\n      \"operator\": ");
    put_string(out, node->op ? node->op->name : "closure");
    loom_text_put(out, ",\n");
    put_arguments(out, plan, node);
    return put_attributes(out, plan, node, err);
}

static loom_status put_node(loom_text *out, const loom_plan *plan, const loom_node *node, loom_error *err) {
    static const char *const types[] = {
        [LOOM_NODE_CONSTANT] = "constant", [LOOM_NODE_PRIMITIVE] = "operation", [LOOM_NODE_CLOSURE] = "closure"};
    loom_text_put(out, "    {\n      \"id\": ");
    put_id(out, &node->id);
    loom_text_put(out, ",\n      \"type\": ");
    put_string(out, types[node->kind]);
    if (node->kind == LOOM_NODE_CONSTANT) {
        loom_text_put(out, ",\n      \"value\": ");
        if (!loom_json_value(out, &node->value, 3))
            return loom_fail(err, LOOM_UNSUPPORTED, "a constant of type %s has no JSON form",
                             loom_type_name(node->value.type));
        loom_text_put(out, ",\n");
    } else {
        LOOM_TRY(put_operation(out, plan, node, err));
    }
    loom_text_put(out, "      \"output_kind\": ");
    put_string(out, loom_output_kind_name(node->output_kind));
    if (node->closure) LOOM_TRY(loom_json_put_grouped_bodies(out, (loom_plan *)plan, node->closure, err));
    loom_text_put(out, "\n    }");
    return LOOM_OK;
}

static void put_goals(loom_text *out, const loom_plan *plan) {
    loom_text_put(out, "  \"goals\": [");
    for (size_t i = 0; i < plan->goal_count; i++) {
        const loom_goal *goal = &plan->goals[i];
        loom_text_put(out, i ? ",\n    {\n" : "\n    {\n");
        loom_text_put(out, "      \"operation\": ");
        put_string(out, goal->kind == LOOM_GOAL_SAVE ? "save" : "print"); /* VoxLogicA-2 knows no other */
        loom_text_put(out, ",\n      \"id\": ");
        put_id(out, &plan->nodes[goal->node].id);
        loom_text_put(out, ",\n      \"name\": ");
        put_string(out, goal->name);
        loom_text_put(out, "\n    }");
    }
    loom_text_put(out, plan->goal_count ? "\n  ],\n" : "],\n");
}

static void put_imports(loom_text *out, const loom_plan *plan) {
    loom_text_put(out, "  \"imported_namespaces\": [");
    for (size_t i = 0; i < plan->import_count; i++) {
        loom_text_put(out, i ? ",\n    " : "\n    ");
        put_string(out, plan->imports[i]);
    }
    loom_text_put(out, plan->import_count ? "\n  ]\n}" : "]\n}");
}

static loom_status put_plan(loom_text *out, const loom_plan *plan, const loom_plan_order *order, loom_error *err) {
    loom_text_put(out, "{\n  \"nodes\": [");
    for (size_t i = 0; i < order->count; i++) {
        loom_text_put(out, i ? ",\n" : "\n");
        LOOM_TRY(put_node(out, plan, &plan->nodes[order->nodes[i]], err));
    }
    loom_text_put(out, order->count ? "\n  ],\n" : "],\n");
    put_goals(out, plan);
    put_imports(out, plan);
    return LOOM_OK;
}

loom_status loom_plan_write_json(const loom_plan *plan, FILE *file, loom_error *err) {
    loom_plan_order order;
    LOOM_TRY(loom_plan_order_find(plan, &order, err));
    loom_text out = {.out = file};
    loom_status status = put_plan(&out, plan, &order, err);
    if (status == LOOM_OK && !loom_text_finish(&out)) status = loom_fail_errno(err, errno, "cannot write the plan");
    loom_text_free(&out);
    loom_plan_order_free(&order);
    return status;
}
