/* plan_json_closure.c - closures of plan files: their records become functions again, with exactly the captures that
 * the file gives them, and their bodies are parsed from text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/diagnostic.h"
#include "planner/plan_json.h"

/* ---- bodies ---- */

static loom_status body_error(loom_json_plan *r, const loom_json *json, const loom_error *cause) {
    return loom_diagnose(r->err, LOOM_BAD_PLAN, loom_json_place(r->source, json->offset),
                         "this body does not parse, at its character %u: %s", cause->column, cause->message);
}

static loom_status make_source(loom_json_plan *r, const loom_json *json, loom_source **source, loom_error *cause) {
    char name[400];
    snprintf(name, sizeof name, "%.360s, body of a closure", r->source->name);
    loom_error_clear(cause);
    return loom_source_make(r->plan->arena, name, json->text.bytes, json->text.length, source, cause);
}

/* Printed text (section 1.6) is first read as such, because the plain grammar would read some of it differently; what a
 * person wrote into a plan is read by the plain grammar. */
static loom_status parse_printed(loom_json_plan *r, const loom_json *json, loom_expr **body) {
    loom_source *source;
    loom_error cause;
    loom_status status = make_source(r, json, &source, &cause);
    if (status == LOOM_OK) {
        source->printed = true;
        status = loom_parse_expression(&r->plan->names, source, body, &cause);
    }
    if (status == LOOM_BAD_SYNTAX) {
        source->printed = false;
        status = loom_parse_expression(&r->plan->names, source, body, NULL);
    }
    if (status == LOOM_OK || status == LOOM_NO_MEMORY) return status;
    return body_error(r, json, &cause);
}

/* The text with parentheses; it must print as the text that is hashed. */
static loom_status parse_grouped(loom_json_plan *r, const loom_json *json, const loom_json *printed, loom_expr **body) {
    if (json->kind != LOOM_JSON_STRING) return loom_json_plan_fail(r, json, "a body should be a string");
    loom_source *source;
    loom_error cause;
    loom_status status = make_source(r, json, &source, &cause);
    if (status == LOOM_OK) status = loom_parse_expression(&r->plan->names, source, body, &cause);
    if (status == LOOM_NO_MEMORY) return loom_plan_no_memory(r->err);
    if (status != LOOM_OK) return body_error(r, json, &cause);
    loom_text text = {0};
    loom_print_expr(&text, *body, false);
    bool same = text.buffer.length == printed->text.length &&
                memcmp(text.buffer.bytes, printed->text.bytes, printed->text.length) == 0;
    bool failed = text.failed;
    loom_text_free(&text);
    if (failed) return loom_plan_no_memory(r->err);
    return same ? LOOM_OK : loom_json_plan_fail(r, json, "this is another body than the one it stands for");
}

static loom_status parse_body(loom_json_plan *r, const loom_json *json, loom_expr **body) {
    for (size_t i = 0; r->grouped && i < r->grouped->list.count; i++) {
        const loom_json *member = &r->grouped->list.items[i];
        if (member->key_length == json->text.length && memcmp(member->key, json->text.bytes, json->text.length) == 0)
            return parse_grouped(r, member, json, body);
    }
    return parse_printed(r, json, body);
}

static loom_status read_names(loom_json_plan *r, const loom_json *list, const loom_name ***names) {
    *names = loom_arena_array(r->plan->arena, list->list.count, sizeof **names);
    if (!*names) return loom_plan_no_memory(r->err);
    for (size_t i = 0; i < list->list.count; i++) {
        const loom_json *item = &list->list.items[i];
        if (item->kind != LOOM_JSON_STRING) return loom_json_plan_fail(r, item, "a name should be a string");
        (*names)[i] = loom_names_get(&r->plan->names, item->text.bytes, item->text.length);
        if (!(*names)[i]) return loom_plan_no_memory(r->err);
    }
    return LOOM_OK;
}

static loom_status read_template(loom_json_plan *r, const loom_name *const *parameters, size_t count,
                                 const loom_json *body, loom_template **made) {
    loom_expr *expr;
    LOOM_TRY(parse_body(r, body, &expr));
    *made = loom_template_new(r->plan->arena, parameters, (uint32_t)count, expr);
    if (!*made) return loom_plan_no_memory(r->err);
    (*made)->text = loom_arena_text(r->plan->arena, body->text.bytes, body->text.length);
    (*made)->text_length = body->text.length;
    return (*made)->text ? LOOM_OK : loom_plan_no_memory(r->err);
}

/* ---- records ---- */

static loom_status bind_links(loom_json_plan *r, const loom_links *links, loom_environment *environment) {
    *environment = (loom_environment){0};
    for (uint32_t i = 0; i < links->node_count; i++)
        if (!loom_environment_bind(environment, r->plan->arena, links->names[i],
                                   (loom_binding){.node = links->nodes[i]}))
            return loom_plan_no_memory(r->err);
    for (uint32_t i = 0; i < links->function_count; i++)
        if (!loom_environment_bind(environment, r->plan->arena, links->functions[i]->name,
                                   (loom_binding){.node = LOOM_NODE_NONE, .function = links->functions[i]}))
            return loom_plan_no_memory(r->err);
    return LOOM_OK;
}

static int member_order(const void *a, const void *b) {
    const loom_json *left = *(const loom_json *const *)a, *right = *(const loom_json *const *)b;
    size_t shorter = left->key_length < right->key_length ? left->key_length : right->key_length;
    int order = memcmp(left->key, right->key, shorter);
    if (order) return order;
    return (left->key_length > right->key_length) - (left->key_length < right->key_length);
}

/* Members by ascending key, as they are hashed. */
static const loom_json **sorted_members(loom_json_plan *r, const loom_json *object) {
    const loom_json **members = loom_arena_array(r->json_arena, object->list.count, sizeof *members);
    for (size_t i = 0; members && i < object->list.count; i++)
        members[i] = &object->list.items[i];
    if (members && object->list.count) qsort(members, object->list.count, sizeof *members, member_order);
    return members;
}

static loom_status read_captures(loom_json_plan *r, const loom_json *captures, loom_links *links) {
    const loom_json **members = sorted_members(r, captures);
    links->node_count = (uint32_t)captures->list.count;
    links->names = loom_arena_array(r->plan->arena, links->node_count, sizeof *links->names);
    links->nodes = loom_arena_array(r->plan->arena, links->node_count, sizeof *links->nodes);
    if (!members || !links->names || !links->nodes) return loom_plan_no_memory(r->err);
    for (uint32_t i = 0; i < links->node_count; i++) {
        loom_json_entry *entry;
        LOOM_TRY(loom_json_plan_reference(r, members[i], &entry));
        links->names[i] = loom_names_get(&r->plan->names, members[i]->key, members[i]->key_length);
        links->nodes[i] = entry->node;
        if (!links->names[i]) return loom_plan_no_memory(r->err);
    }
    return LOOM_OK;
}

static loom_status read_functions(loom_json_plan *r, const loom_json *functions, int depth, loom_links *links);

static loom_status fill_function(loom_json_plan *r, const loom_json *record, int depth, loom_function *function) {
    const loom_json *parameters, *body, *captures, *functions;
    LOOM_TRY(loom_json_plan_member(r, record, "parameters", LOOM_JSON_ARRAY, &parameters));
    LOOM_TRY(loom_json_plan_member(r, record, "body", LOOM_JSON_STRING, &body));
    LOOM_TRY(loom_json_plan_member(r, record, "captures", LOOM_JSON_OBJECT, &captures));
    LOOM_TRY(loom_json_plan_member(r, record, "functions", LOOM_JSON_OBJECT, &functions));
    if (record->list.count != 4) return loom_json_plan_fail(r, record, "a function record has four keys");
    if (parameters->list.count == 0) return loom_json_plan_fail(r, parameters, "a function without parameters");
    const loom_name **names;
    LOOM_TRY(read_names(r, parameters, &names));
    LOOM_TRY(read_template(r, names, parameters->list.count, body, &function->body));
    LOOM_TRY(read_captures(r, captures, &function->links));
    LOOM_TRY(read_functions(r, functions, depth + 1, &function->links));
    function->linked = function->given = true;
    return bind_links(r, &function->links, &function->environment);
}

static loom_status read_functions(loom_json_plan *r, const loom_json *functions, int depth, loom_links *links) {
    if (depth > LOOM_DEEPEST_RECORD) return loom_json_plan_fail(r, functions, "function records nest too deeply");
    const loom_json **members = sorted_members(r, functions);
    links->functions = loom_arena_array(r->plan->arena, functions->list.count, sizeof *links->functions);
    if (!members || !links->functions) return loom_plan_no_memory(r->err);
    for (size_t i = 0; i < functions->list.count; i++) {
        if (members[i]->kind != LOOM_JSON_OBJECT)
            return loom_json_plan_fail(r, members[i], "a function record should be an object");
        loom_function *function = loom_arena_alloc(r->plan->arena, sizeof *function);
        if (!function) return loom_plan_no_memory(r->err);
        function->name = loom_names_get(&r->plan->names, members[i]->key, members[i]->key_length);
        if (!function->name) return loom_plan_no_memory(r->err);
        LOOM_TRY(fill_function(r, members[i], depth, function));
        links->functions[links->function_count++] = function;
    }
    return LOOM_OK;
}

/* ---- closures ---- */

static loom_status read_own_captures(loom_json_plan *r, const loom_json *node, const loom_json *names,
                                     loom_links *links) {
    loom_node_index *nodes;
    LOOM_TRY(loom_json_plan_arguments(r, node, &nodes, &links->node_count));
    if (names->list.count != links->node_count)
        return loom_json_plan_fail(r, names, "capture_names and arguments differ in number");
    LOOM_TRY(read_names(r, names, &links->names));
    links->nodes = loom_arena_copy(r->plan->arena, nodes, links->node_count * sizeof *nodes);
    return links->nodes ? LOOM_OK : loom_plan_no_memory(r->err);
}

loom_status loom_json_plan_closure(loom_json_plan *r, loom_json_entry *entry) {
    const loom_json *operator_name, *kind, *attributes, *parameter, *body, *names, *functions;
    LOOM_TRY(loom_json_plan_member(r, entry->json, "operator", LOOM_JSON_STRING, &operator_name));
    LOOM_TRY(loom_json_plan_member(r, entry->json, "output_kind", LOOM_JSON_STRING, &kind));
    LOOM_TRY(loom_json_plan_member(r, entry->json, "attrs", LOOM_JSON_OBJECT, &attributes));
    if (!loom_json_is(operator_name, "closure") || !loom_json_is(kind, "closure"))
        return loom_json_plan_fail(r, entry->json, "a closure's operator and output_kind should both be closure");
    LOOM_TRY(loom_json_plan_member(r, attributes, "parameter", LOOM_JSON_STRING, &parameter));
    LOOM_TRY(loom_json_plan_member(r, attributes, "body", LOOM_JSON_STRING, &body));
    LOOM_TRY(loom_json_plan_member(r, attributes, "capture_names", LOOM_JSON_ARRAY, &names));
    LOOM_TRY(loom_json_plan_member(r, attributes, "function_captures", LOOM_JSON_OBJECT, &functions));
    if (attributes->list.count != 4) return loom_json_plan_fail(r, attributes, "a closure has four attributes");
    const loom_name *variable = loom_names_get(&r->plan->names, parameter->text.bytes, parameter->text.length);
    if (!variable) return loom_plan_no_memory(r->err);
    r->grouped = loom_json_member(entry->json, "grouped_bodies");
    if (r->grouped && r->grouped->kind != LOOM_JSON_OBJECT)
        return loom_json_plan_fail(r, r->grouped, "grouped_bodies should be an object");
    loom_closure closure = {0};
    LOOM_TRY(read_template(r, &variable, 1, body, &closure.body));
    LOOM_TRY(read_own_captures(r, entry->json, names, &closure.links));
    LOOM_TRY(read_functions(r, functions, 1, &closure.links));
    LOOM_TRY(bind_links(r, &closure.links, &closure.environment));
    return loom_plan_add_closure(r->plan, closure, (loom_position){0}, &entry->node, r->err);
}

static loom_status need_records(loom_json_plan *r, const loom_json *functions, int depth) {
    if (!functions || functions->kind != LOOM_JSON_OBJECT) return LOOM_OK; /* refused when the closure is made */
    if (depth > LOOM_DEEPEST_RECORD) return loom_json_plan_fail(r, functions, "function records nest too deeply");
    for (size_t i = 0; i < functions->list.count; i++) {
        const loom_json *record = &functions->list.items[i];
        if (record->kind != LOOM_JSON_OBJECT) continue;
        const loom_json *captures = loom_json_member(record, "captures");
        if (captures && captures->kind == LOOM_JSON_OBJECT)
            for (size_t k = 0; k < captures->list.count; k++)
                LOOM_TRY(loom_json_plan_need(r, &captures->list.items[k]));
        LOOM_TRY(need_records(r, loom_json_member(record, "functions"), depth + 1));
    }
    return LOOM_OK;
}

loom_status loom_json_plan_closure_needs(loom_json_plan *r, const loom_json *node) {
    const loom_json *attributes = loom_json_member(node, "attrs");
    if (!attributes || attributes->kind != LOOM_JSON_OBJECT) return LOOM_OK;
    return need_records(r, loom_json_member(attributes, "function_captures"), 1);
}
