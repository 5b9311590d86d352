/* plan_dot.c - a plan for Graphviz, line by line as VoxLogicA-2's export (voxlogica2.md, section 4), except that labels
 * are escaped: there, a quote in a constant makes a file that dot refuses. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "planner/diagnostic.h"
#include "planner/plan_order.h"
#include "shm/number.h"

#define LONGEST_LABEL 4096
#define DEEPEST_LABEL 64

static void put_escaped(loom_text *out, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"' || text[i] == '\\') loom_text_put(out, "\\");
        loom_text_add(out, text + i, 1);
    }
}

static void put_quoted(loom_text *out, const char *bytes, size_t length) {
    char quoted[LONGEST_LABEL];
    put_escaped(out, quoted, loom_python_quote(bytes, length, quoted, sizeof quoted));
}

static void put_repr(loom_text *out, const loom_value *value, int depth);

static void put_items(loom_text *out, const loom_value *value, int depth) {
    loom_text_put(out, "[");
    for (size_t i = 0; i < value->sequence.count; i++) {
        if (i) loom_text_put(out, ", ");
        put_repr(out, &value->sequence.items[i], depth + 1);
    }
    loom_text_put(out, "]");
}

static void put_fields(loom_text *out, const loom_value *value, int depth) {
    loom_text_put(out, "{");
    for (size_t i = 0; i < value->record.count; i++) {
        const loom_field *field = &value->record.fields[i];
        if (i) loom_text_put(out, ", ");
        put_quoted(out, field->name, field->name_length);
        loom_text_put(out, ": ");
        put_repr(out, &field->value, depth + 1);
    }
    loom_text_put(out, "}");
}

/* Python's repr of a constant. */
static void put_repr(loom_text *out, const loom_value *value, int depth) {
    char digits[LOOM_NUMBER_TEXT_BYTES];
    if (depth > DEEPEST_LABEL) {
        loom_text_put(out, "...");
        return;
    }
    switch (value->type) {
    case LOOM_NULL:
        loom_text_put(out, "None");
        break;
    case LOOM_BOOL:
        loom_text_put(out, value->boolean ? "True" : "False");
        break;
    case LOOM_INT:
        loom_text_integer(out, value->integer);
        break;
    case LOOM_FLOAT:
        loom_text_add(out, digits, loom_number_repr(value->number, digits));
        break;
    case LOOM_STRING:
        put_quoted(out, value->text.bytes, value->text.length);
        break;
    case LOOM_SEQUENCE:
        put_items(out, value, depth);
        break;
    case LOOM_RECORD:
        put_fields(out, value, depth);
        break;
    default:
        loom_text_put(out, loom_type_name(value->type));
    }
}

typedef struct edge_writer {
    loom_text *out;
    const loom_plan *plan;
    const loom_node *to;
} edge_writer;

static void put_edge(loom_node_index from, void *context) {
    const edge_writer *w = context;
    loom_text_put(w->out, "  \"");
    loom_text_id(w->out, &w->plan->nodes[from].id);
    loom_text_put(w->out, "\" -> \"");
    loom_text_id(w->out, &w->to->id);
    loom_text_put(w->out, "\";\n");
}

static void put_node(loom_text *out, const loom_plan *plan, const loom_node *node) {
    loom_text_put(out, "  \"");
    loom_text_id(out, &node->id);
    loom_text_put(out, "\" [label=\"");
    if (node->kind == LOOM_NODE_CONSTANT) {
        loom_text_put(out, "const: ");
        put_repr(out, &node->value, 0);
    } else if (node->closure) {
        loom_text_put(out, "closure(");
        loom_text_put(out, node->closure->body->parameters[0]->text);
        loom_text_put(out, ")");
    } else {
        put_escaped(out, node->op->name, strlen(node->op->name));
    }
    loom_text_put(out, "\"]\n");
    edge_writer writer = {.out = out, .plan = plan, .to = node};
    loom_visit_dependencies(node, put_edge, &writer);
}

loom_status loom_plan_write_dot(const loom_plan *plan, FILE *file, loom_error *err) {
    loom_plan_order order;
    LOOM_TRY(loom_plan_order_find(plan, &order, err));
    loom_text out = {.out = file};
    loom_text_put(&out, "digraph {\n");
    for (size_t i = 0; i < order.count; i++)
        put_node(&out, plan, &plan->nodes[order.nodes[i]]);
    loom_text_put(&out, "}\n");
    loom_status status = LOOM_OK;
    if (!loom_text_finish(&out)) status = loom_fail_errno(err, errno, "cannot write the plan");
    loom_text_free(&out);
    loom_plan_order_free(&order);
    return status;
}
