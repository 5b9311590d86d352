/* closure.c - functions that wait for a value: what they capture, and the record of it that goes into ids and plan
 * files (voxlogica2.md, 2.6). */
#include <stdlib.h>
#include <string.h>

#include "planner/diagnostic.h"
#include "planner/plan_state.h"

/* Records form a tree in which shared functions are repeated, so their size may grow exponentially with the program's.
 */
#define LARGEST_RECORD ((size_t)16 << 20)

/* ---- links ---- */

static void fill_links(const loom_template *body, loom_environment environment, loom_links *links) {
    for (uint32_t i = 0; i < body->free_count; i++) {
        const loom_binding *binding = loom_environment_find(environment, body->free_names[i]);
        if (binding && binding->function) links->functions[links->function_count++] = binding->function;
        if (!binding || binding->function) continue;
        links->names[links->node_count] = body->free_names[i];
        links->nodes[links->node_count++] = binding->node;
    }
}

bool loom_links_find(loom_plan *plan, const loom_template *body, loom_environment environment, loom_links *links) {
    if (!loom_template_find_free((loom_template *)body, plan->arena)) return false;
    uint32_t nodes = 0, functions = 0;
    for (uint32_t i = 0; i < body->free_count; i++) {
        const loom_binding *binding = loom_environment_find(environment, body->free_names[i]);
        if (binding && binding->function)
            functions++;
        else if (binding)
            nodes++;
    }
    *links = (loom_links){.names = loom_arena_array(plan->arena, nodes, sizeof *links->names),
                          .nodes = loom_arena_array(plan->arena, nodes, sizeof *links->nodes),
                          .functions = loom_arena_array(plan->arena, functions, sizeof *links->functions)};
    if (!links->names || !links->nodes || !links->functions) return false;
    fill_links(body, environment, links);
    return true;
}

bool loom_function_link(loom_plan *plan, loom_function *function) {
    if (function->linked) return true;
    if (!loom_links_find(plan, function->body, function->environment, &function->links)) return false;
    return function->linked = true;
}

/* ---- records ---- */

typedef struct record_writer {
    loom_plan *plan;
    loom_text *text;
    int indent; /* of the closure's attributes; < 0: canonical */
    loom_error *err;
} record_writer;

/* The functions around a record, innermost first: a name among them is not descended into again. */
typedef struct record_path {
    const struct record_path *outer;
    const loom_name *name;
    int depth;
} record_path;

static bool is_on_path(const record_path *path, const loom_name *name) {
    for (; path; path = path->outer)
        if (path->name == name) return true;
    return false;
}

/* Key of an object's field, with the comma and the line break before it. */
static void add_key(const record_writer *w, const char *key, size_t length, bool first, int level) {
    if (!first) loom_text_put(w->text, ",");
    if (w->indent >= 0) {
        loom_text_put(w->text, "\n");
        loom_text_spaces(w->text, 2 * (uint32_t)(w->indent + level));
    }
    loom_json_string(w->text, key, length);
    loom_text_put(w->text, w->indent >= 0 ? ": " : ":");
}

static void close(const record_writer *w, const char *bracket, int level) {
    if (w->indent >= 0) {
        loom_text_put(w->text, "\n");
        loom_text_spaces(w->text, 2 * (uint32_t)(w->indent + level));
    }
    loom_text_put(w->text, bracket);
}

static void add_names(const record_writer *w, const loom_name *const *names, uint32_t count, int level) {
    loom_text_put(w->text, "[");
    for (uint32_t i = 0; i < count; i++) {
        if (i) loom_text_put(w->text, ",");
        if (w->indent >= 0) {
            loom_text_put(w->text, "\n");
            loom_text_spaces(w->text, 2 * (uint32_t)(w->indent + level + 1));
        }
        loom_json_string(w->text, names[i]->text, names[i]->length);
    }
    if (count)
        close(w, "]", level);
    else
        loom_text_put(w->text, "]");
}

static void add_captures(const record_writer *w, const loom_links *links, int level) {
    loom_text_put(w->text, "{");
    for (uint32_t i = 0; i < links->node_count; i++) {
        add_key(w, links->names[i]->text, links->names[i]->length, i == 0, level + 1);
        loom_text_put(w->text, "\"");
        loom_text_id(w->text, &w->plan->nodes[links->nodes[i]].id);
        loom_text_put(w->text, "\"");
    }
    if (links->node_count)
        close(w, "}", level);
    else
        loom_text_put(w->text, "}");
}

static loom_status add_functions(const record_writer *w, const loom_links *links, const record_path *path, int level);

static void add_body(const record_writer *w, const loom_template *body) {
    loom_json_string(w->text, body->text, body->text_length);
}

/* Fields in the canonical order, or in that of VoxLogicA-2's exports. */
static loom_status add_record(const record_writer *w, loom_function *function, const record_path *outer, int level) {
    record_path path = {.outer = outer, .name = function->name, .depth = outer ? outer->depth + 1 : 1};
    if (path.depth > LOOM_DEEPEST_RECORD || w->text->buffer.length > LARGEST_RECORD)
        return loom_fail(
            w->err, LOOM_TOO_LARGE,
            "the functions that a for, filter or map body calls lead to too many others (through '%.100s'); "
            "compute parts of them outside the body",
            function->name->text);
    if (!loom_template_print(function->body, w->plan->arena) || !loom_function_link(w->plan, function))
        return loom_plan_no_memory(w->err);
    static const loom_links none;
    const loom_links *links = !function->given && is_on_path(outer, function->name) ? &none : &function->links;
    const loom_template *body = function->body;
    bool pretty = w->indent >= 0;
    loom_text_put(w->text, "{");
    if (pretty) {
        add_key(w, "parameters", 10, true, level + 1);
        add_names(w, body->parameters, body->parameter_count, level + 1);
    }
    add_key(w, "body", 4, !pretty, level + 1);
    add_body(w, body);
    add_key(w, "captures", 8, false, level + 1);
    add_captures(w, links, level + 1);
    add_key(w, "functions", 9, false, level + 1);
    LOOM_TRY(add_functions(w, links, &path, level + 1));
    if (!pretty) {
        add_key(w, "parameters", 10, false, level + 1);
        add_names(w, body->parameters, body->parameter_count, level + 1);
    }
    close(w, "}", level);
    return LOOM_OK;
}

static loom_status add_functions(const record_writer *w, const loom_links *links, const record_path *path, int level) {
    loom_text_put(w->text, "{");
    for (uint32_t i = 0; i < links->function_count; i++) {
        const loom_name *name = links->functions[i]->name;
        add_key(w, name->text, name->length, i == 0, level + 1);
        LOOM_TRY(add_record(w, links->functions[i], path, level + 1));
    }
    if (links->function_count)
        close(w, "}", level);
    else
        loom_text_put(w->text, "}");
    return LOOM_OK;
}

static void add_own_body(const record_writer *w, const loom_closure *closure) {
    if (!closure->grouped) {
        add_body(w, closure->body);
        return;
    }
    loom_text body = {0};
    loom_text_put(&body, "("); /* which no plain text begins with */
    loom_print_expr(&body, closure->body->body, true);
    loom_text_put(&body, ")");
    loom_json_string(w->text, (const char *)body.buffer.bytes, body.buffer.length);
    w->text->failed = w->text->failed || body.failed;
    loom_text_free(&body);
}

loom_status loom_closure_attributes(loom_plan *plan, const loom_closure *closure, loom_text *text, int indent,
                                    loom_error *err) {
    record_writer w = {.plan = plan, .text = text, .indent = indent, .err = err};
    if (!loom_template_print(closure->body, plan->arena)) return loom_plan_no_memory(err);
    const loom_name *parameter = closure->body->parameters[0];
    bool pretty = indent >= 0;
    loom_text_put(text, "{");
    if (pretty) {
        add_key(&w, "parameter", 9, true, 1);
        loom_json_string(text, parameter->text, parameter->length);
    }
    add_key(&w, "body", 4, !pretty, 1);
    add_own_body(&w, closure);
    add_key(&w, "capture_names", 13, false, 1);
    add_names(&w, closure->links.names, closure->links.node_count, 1);
    add_key(&w, "function_captures", 17, false, 1);
    LOOM_TRY(add_functions(&w, &closure->links, NULL, 1));
    if (!pretty) {
        add_key(&w, "parameter", 9, false, 1);
        loom_json_string(text, parameter->text, parameter->length);
    }
    close(&w, "}", 0);
    return LOOM_OK;
}

/* ---- making and applying ---- */

loom_status loom_make_closure(loom_plan *plan, loom_template *body, loom_environment environment,
                              loom_position position, loom_node_index *node, loom_error *err) {
    loom_closure closure = {.body = body, .environment = environment};
    if (!loom_links_find(plan, body, environment, &closure.links)) return loom_plan_no_memory(err);
    loom_status status = loom_plan_add_closure(plan, closure, position, node, err);
    if (status != LOOM_OK) loom_error_at(err, position.file, position.line, position.column);
    return status;
}

loom_status loom_plan_apply(loom_plan *plan, loom_node_index closure, loom_node_index item, loom_node_index *result,
                            loom_error *err) {
    const loom_node *node = &plan->nodes[closure];
    if (node->kind != LOOM_NODE_CLOSURE) return loom_fail(err, LOOM_INTERNAL, "only closures can be applied");
    const loom_template *body = node->closure->body;
    loom_environment environment = node->closure->environment;
    if (!loom_environment_bind(&environment, plan->arena, body->parameters[0], (loom_binding){.node = item}))
        return loom_plan_no_memory(err);
    return loom_reduce(plan, body->body, environment, node->position.calls, result, err);
}

/* ---- captured nodes of function records ---- */

static void visit_records(const loom_links *links, const record_path *outer, void (*visit)(loom_node_index, void *),
                          void *context) {
    for (uint32_t i = 0; i < links->function_count; i++) {
        const loom_function *function = links->functions[i];
        if (!function->given && is_on_path(outer, function->name)) continue;
        record_path path = {.outer = outer, .name = function->name};
        for (uint32_t k = 0; k < function->links.node_count; k++)
            visit(function->links.nodes[k], context);
        visit_records(&function->links, &path, visit, context);
    }
}

void loom_visit_function_captures(const loom_links *links, void (*visit)(loom_node_index node, void *context),
                                  void *context) {
    visit_records(links, NULL, visit, context);
}
