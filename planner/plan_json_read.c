/* plan_json_read.c - a VoxLogicA-2 export to a plan (voxlogica2.md, section 4). The file is not trusted: every id is
 * recomputed, every reference looked up, and whatever does not fit is refused with its line and column. Closures are
 * read by plan_json_closure.c. */
#include <stdlib.h>
#include <string.h>

#include "planner/diagnostic.h"
#include "planner/plan_json.h"

/* ---- errors and access ---- */

loom_status loom_json_plan_fail(const loom_json_plan *r, const loom_json *at, const char *message) {
    return loom_diagnose(r->err, LOOM_BAD_PLAN, loom_json_place(r->source, at->offset), "%s", message);
}

static loom_status wrong_kind(const loom_json_plan *r, const loom_json *at, const char *what, loom_json_kind expected) {
    return loom_diagnose(r->err, LOOM_BAD_PLAN, loom_json_place(r->source, at->offset), "%s should be %s, not %s", what,
                         loom_json_kind_name(expected), loom_json_kind_name(at->kind));
}

loom_status loom_json_plan_member(const loom_json_plan *r, const loom_json *object, const char *key,
                                  loom_json_kind kind, const loom_json **member) {
    *member = loom_json_member(object, key);
    if (!*member)
        return loom_diagnose(r->err, LOOM_BAD_PLAN, loom_json_place(r->source, object->offset),
                             "the key \"%s\" is missing", key);
    return (*member)->kind == kind ? LOOM_OK : wrong_kind(r, *member, key, kind);
}

bool loom_json_is(const loom_json *string, const char *text) {
    return string->text.length == strlen(text) && memcmp(string->text.bytes, text, string->text.length) == 0;
}

static loom_status read_id(const loom_json_plan *r, const loom_json *at, loom_id *id) {
    if (at->kind != LOOM_JSON_STRING) return wrong_kind(r, at, "an id", LOOM_JSON_STRING);
    if (loom_id_from_hex(at->text.bytes, at->text.length, id)) return LOOM_OK;
    return loom_json_plan_fail(r, at, "this is not an id: 64 hexadecimal digits are expected");
}

/* ---- entries of the file, by id ---- */

static size_t slot_of(const loom_json_plan *r, const loom_id *id) {
    uint64_t hash;
    memcpy(&hash, id->bytes, sizeof hash);
    size_t at = hash & (r->slot_count - 1);
    while (r->slots[at] && !loom_id_equal(&r->entries[r->slots[at] - 1].id, id))
        at = (at + 1) & (r->slot_count - 1);
    return at;
}

static loom_json_entry *find_entry(const loom_json_plan *r, const loom_id *id) {
    uint32_t entry = r->slots[slot_of(r, id)];
    return entry ? &r->entries[entry - 1] : NULL;
}

loom_status loom_json_plan_reference(const loom_json_plan *r, const loom_json *at, loom_json_entry **entry) {
    loom_id id;
    LOOM_TRY(read_id(r, at, &id));
    *entry = find_entry(r, &id);
    return *entry ? LOOM_OK : loom_json_plan_fail(r, at, "there is no node of this id in the plan; it is incomplete");
}

static loom_status add_entries(loom_json_plan *r, const loom_json *nodes) {
    if (nodes->list.count > UINT32_MAX / 8) return loom_json_plan_fail(r, nodes, "too many nodes");
    r->slot_count = 16;
    while (r->slot_count < 2 * nodes->list.count)
        r->slot_count *= 2;
    r->slots = calloc(r->slot_count, sizeof *r->slots);
    r->entries = calloc(nodes->list.count + 1, sizeof *r->entries);
    if (!r->slots || !r->entries) return loom_plan_no_memory(r->err);
    for (size_t i = 0; i < nodes->list.count; i++) {
        loom_json_entry *entry = &r->entries[i];
        entry->json = &nodes->list.items[i];
        entry->node = LOOM_NODE_NONE;
        if (entry->json->kind != LOOM_JSON_OBJECT) return wrong_kind(r, entry->json, "a node", LOOM_JSON_OBJECT);
        const loom_json *id;
        LOOM_TRY(loom_json_plan_member(r, entry->json, "id", LOOM_JSON_STRING, &id));
        LOOM_TRY(read_id(r, id, &entry->id));
        size_t slot = slot_of(r, &entry->id);
        if (r->slots[slot]) return loom_json_plan_fail(r, id, "two nodes have this id");
        r->slots[slot] = (uint32_t)++r->entry_count;
    }
    return LOOM_OK;
}

/* ---- nodes ---- */

static loom_status read_output_kind(const loom_json_plan *r, const loom_json *node, loom_output_kind *kind) {
    const loom_json *text;
    LOOM_TRY(loom_json_plan_member(r, node, "output_kind", LOOM_JSON_STRING, &text));
    bool known;
    *kind = loom_output_kind_named(text->text.bytes, text->text.length, &known);
    return known ? LOOM_OK : loom_json_plan_fail(r, text, "this is no output kind");
}

static loom_status make_constant(loom_json_plan *r, loom_json_entry *entry) {
    loom_output_kind kind;
    LOOM_TRY(read_output_kind(r, entry->json, &kind));
    const loom_json *json = loom_json_member(entry->json, "value");
    if (!json) return loom_json_plan_fail(r, entry->json, "the key \"value\" is missing");
    if (kind != LOOM_OUT_SCALAR)
        return loom_json_plan_fail(r, entry->json, "a constant's output_kind should be scalar");
    loom_value value;
    LOOM_TRY(loom_json_to_value(r->json_arena, r->source, LOOM_BAD_PLAN, json, &value, r->err));
    return loom_plan_add_constant(r->plan, &value, (loom_position){0}, &entry->node, r->err);
}

/* The position of an argument, from its key "0", "1", ... */
static bool argument_number(const loom_json *argument, size_t count, size_t *number) {
    *number = 0;
    if (argument->key_length == 0 || argument->key_length > 9) return false;
    if (argument->key_length > 1 && argument->key[0] == '0') return false;
    for (size_t i = 0; i < argument->key_length; i++) {
        if (argument->key[i] < '0' || argument->key[i] > '9') return false;
        *number = *number * 10 + (size_t)(argument->key[i] - '0');
    }
    return *number < count;
}

loom_status loom_json_plan_arguments(loom_json_plan *r, const loom_json *node, loom_node_index **numbers,
                                     uint32_t *count) {
    const loom_json *arguments;
    LOOM_TRY(loom_json_plan_member(r, node, "arguments", LOOM_JSON_OBJECT, &arguments));
    *count = (uint32_t)arguments->list.count;
    *numbers = loom_arena_array(r->json_arena, *count, sizeof **numbers);
    if (!*numbers) return loom_plan_no_memory(r->err);
    for (uint32_t i = 0; i < *count; i++) {
        const loom_json *argument = &arguments->list.items[i];
        size_t at;
        if (!argument_number(argument, *count, &at))
            return loom_json_plan_fail(r, argument, "arguments should be numbered \"0\", \"1\", ... without gaps");
        loom_json_entry *entry;
        LOOM_TRY(loom_json_plan_reference(r, argument, &entry));
        (*numbers)[at] = entry->node;
    }
    return LOOM_OK;
}

static loom_status read_fold_operator(loom_json_plan *r, const loom_json *attributes, const char **fold) {
    static const char *const known[] = {"+", "-", "*", "/", "&&", "||", "min", "max"};
    const loom_json *text;
    LOOM_TRY(loom_json_plan_member(r, attributes, "operator", LOOM_JSON_STRING, &text));
    bool good = attributes->list.count == 1, found = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        found = found || loom_json_is(text, known[i]);
    if (!good || !found) return loom_json_plan_fail(r, attributes, "these attributes are not those of a fold");
    const loom_name *name = loom_names_get(&r->plan->names, text->text.bytes, text->text.length);
    if (!name) return loom_plan_no_memory(r->err);
    *fold = name->text;
    return LOOM_OK;
}

static loom_status read_attributes(loom_json_plan *r, const loom_json *node, const loom_operator *op,
                                   const char **fold) {
    const loom_json *attributes;
    LOOM_TRY(loom_json_plan_member(r, node, "attrs", LOOM_JSON_OBJECT, &attributes));
    *fold = NULL;
    if (strcmp(op->name, "default.fold") == 0) return read_fold_operator(r, attributes, fold);
    if (attributes->list.count == 0) return LOOM_OK;
    return loom_json_plan_fail(r, attributes, "this operator takes no attributes");
}

static loom_status find_operator(loom_json_plan *r, const loom_json *node, const loom_operator **op) {
    const loom_json *name;
    LOOM_TRY(loom_json_plan_member(r, node, "operator", LOOM_JSON_STRING, &name));
    const char *dot = memchr(name->text.bytes, '.', name->text.length);
    *op = NULL;
    if (dot && loom_is_namespace(r->plan, name->text.bytes, (size_t)(dot - name->text.bytes)))
        *op = loom_operator_find(r->plan->options.operators, name->text.bytes, name->text.length);
    if (*op) return LOOM_OK;
    int length = name->text.length < 100 ? (int)name->text.length : 100;
    return loom_diagnose(r->err, LOOM_BAD_PLAN, loom_json_place(r->source, name->offset),
                         "there is no operator %.*s; it may come from a newer VoxLogicA-2 or a plug-in", length,
                         name->text.bytes);
}

static loom_status make_operation(loom_json_plan *r, loom_json_entry *entry) {
    const loom_operator *op;
    loom_output_kind kind;
    loom_node_index *arguments;
    uint32_t count;
    const char *fold;
    LOOM_TRY(find_operator(r, entry->json, &op));
    LOOM_TRY(read_output_kind(r, entry->json, &kind));
    LOOM_TRY(loom_json_plan_arguments(r, entry->json, &arguments, &count));
    LOOM_TRY(read_attributes(r, entry->json, op, &fold));
    if (count < op->arity_min || (op->arity_max != LOOM_ARITY_ANY && count > op->arity_max))
        return loom_json_plan_fail(r, entry->json, "this operator does not take so many arguments");
    return loom_plan_add_primitive(r->plan, op, kind, fold, arguments, count, (loom_position){0}, &entry->node, r->err);
}

/* Names the node in the error, as "vox1.near 3fa9b2c1". */
static loom_status name_node(const loom_json_plan *r, const loom_json_entry *entry, loom_status status) {
    if (status == LOOM_OK || !r->err) return status;
    const loom_json *name = loom_json_member(entry->json, "operator");
    char hex[LOOM_ID_HEX_BYTES], text[120];
    loom_id_hex(&entry->id, hex);
    bool named = name && name->kind == LOOM_JSON_STRING && name->text.length < 60;
    snprintf(text, sizeof text, "%.*s %.8s", named ? (int)name->text.length : 8, named ? name->text.bytes : "constant",
             hex);
    loom_error_node(r->err, text);
    loom_place place = loom_json_place(r->source, entry->json->offset);
    loom_error_at(r->err, r->source->name, place.line, place.column);
    return status;
}

static loom_status make_node(loom_json_plan *r, loom_json_entry *entry) {
    const loom_json *type;
    LOOM_TRY(loom_json_plan_member(r, entry->json, "type", LOOM_JSON_STRING, &type));
    if (loom_json_is(type, "constant"))
        LOOM_TRY(make_constant(r, entry));
    else if (loom_json_is(type, "operation"))
        LOOM_TRY(make_operation(r, entry));
    else if (loom_json_is(type, "closure"))
        LOOM_TRY(loom_json_plan_closure(r, entry));
    else
        return loom_json_plan_fail(r, type, "a node's type should be constant, operation or closure");
    const loom_id *id = &loom_plan_node(r->plan, entry->node)->id;
    if (loom_id_equal(id, &entry->id)) return LOOM_OK;
    char hex[LOOM_ID_HEX_BYTES];
    loom_id_hex(id, hex);
    return loom_diagnose(
        r->err, LOOM_BAD_PLAN, loom_json_place(r->source, loom_json_member(entry->json, "id")->offset),
        "this id does not belong to this node, whose id is %s; the plan was changed by hand or damaged", hex);
}

/* ---- order: dependencies first ---- */

static loom_status push(loom_json_plan *r, uint32_t entry) {
    if (r->depth == r->stack_capacity) {
        size_t capacity = r->stack_capacity ? r->stack_capacity * 2 : 256;
        uint32_t *grown = realloc(r->stack, capacity * sizeof *grown);
        if (!grown) return loom_plan_no_memory(r->err);
        r->stack = grown;
        r->stack_capacity = capacity;
    }
    r->stack[r->depth++] = entry;
    return LOOM_OK;
}

loom_status loom_json_plan_need(loom_json_plan *r, const loom_json *at) {
    loom_json_entry *entry;
    LOOM_TRY(loom_json_plan_reference(r, at, &entry));
    if (entry->node != LOOM_NODE_NONE) return LOOM_OK;
    if (entry->open) return loom_json_plan_fail(r, at, "this dependency is part of a cycle; plans have none");
    return push(r, (uint32_t)(entry - r->entries));
}

/* Pushes what the entry needs and is not made yet. */
static loom_status push_needs(loom_json_plan *r, const loom_json_entry *entry) {
    const loom_json *arguments = loom_json_member(entry->json, "arguments");
    if (arguments && arguments->kind == LOOM_JSON_OBJECT)
        for (size_t i = arguments->list.count; i-- > 0;)
            LOOM_TRY(loom_json_plan_need(r, &arguments->list.items[i]));
    return loom_json_plan_closure_needs(r, entry->json);
}

static loom_status make_with_needs(loom_json_plan *r, uint32_t root) {
    LOOM_TRY(push(r, root));
    while (r->depth) {
        loom_json_entry *entry = &r->entries[r->stack[r->depth - 1]];
        size_t before = r->depth;
        if (entry->node == LOOM_NODE_NONE) {
            bool again = entry->open;
            entry->open = true;
            if (!again) LOOM_TRY(name_node(r, entry, push_needs(r, entry)));
            if (r->depth > before) continue;
            LOOM_TRY(name_node(r, entry, make_node(r, entry)));
        }
        r->depth--;
    }
    return LOOM_OK;
}

/* ---- goals and imports ---- */

static loom_status read_goal(loom_json_plan *r, const loom_json *json) {
    if (json->kind != LOOM_JSON_OBJECT) return wrong_kind(r, json, "a goal", LOOM_JSON_OBJECT);
    const loom_json *operation, *id, *name;
    LOOM_TRY(loom_json_plan_member(r, json, "operation", LOOM_JSON_STRING, &operation));
    LOOM_TRY(loom_json_plan_member(r, json, "id", LOOM_JSON_STRING, &id));
    LOOM_TRY(loom_json_plan_member(r, json, "name", LOOM_JSON_STRING, &name));
    bool print = loom_json_is(operation, "print");
    if (!print && !loom_json_is(operation, "save"))
        return loom_json_plan_fail(r, operation, "a goal's operation should be print or save");
    if (memchr(name->text.bytes, '\0', name->text.length))
        return loom_json_plan_fail(r, name, "a NUL character in a goal's name");
    loom_json_entry *entry;
    LOOM_TRY(loom_json_plan_reference(r, id, &entry));
    loom_goal goal = {.kind = print ? LOOM_GOAL_PRINT : LOOM_GOAL_SAVE,
                      .name = loom_arena_text(r->plan->arena, name->text.bytes, name->text.length),
                      .node = entry->node};
    if (!goal.name) return loom_plan_no_memory(r->err);
    return loom_plan_add_goal(r->plan, goal, r->err);
}

/* VoxLogicA-2 does not export the list; without it names in closure bodies resolve by default, then alphabetically. */
static loom_status read_imports(loom_json_plan *r) {
    const loom_json *imports = loom_json_member(&r->root, "imported_namespaces");
    if (!imports) return LOOM_OK;
    if (imports->kind != LOOM_JSON_ARRAY) return wrong_kind(r, imports, "imported_namespaces", LOOM_JSON_ARRAY);
    for (size_t i = 0; i < imports->list.count; i++) {
        const loom_json *name = &imports->list.items[i];
        if (name->kind != LOOM_JSON_STRING) return wrong_kind(r, name, "a namespace", LOOM_JSON_STRING);
        if (!loom_is_namespace(r->plan, name->text.bytes, name->text.length))
            return loom_json_plan_fail(r, name, "there is no namespace of this name");
        char *text = loom_arena_text(r->json_arena, name->text.bytes, name->text.length);
        if (!text || !loom_import_namespace(r->plan, text)) return loom_plan_no_memory(r->err);
    }
    return LOOM_OK;
}

static loom_status read_plan(loom_json_plan *r) {
    LOOM_TRY(loom_json_parse(r->json_arena, r->source, LOOM_BAD_PLAN, &r->root, r->err));
    if (r->root.kind != LOOM_JSON_OBJECT) return wrong_kind(r, &r->root, "a plan", LOOM_JSON_OBJECT);
    const loom_json *nodes, *goals;
    LOOM_TRY(loom_json_plan_member(r, &r->root, "nodes", LOOM_JSON_ARRAY, &nodes));
    LOOM_TRY(loom_json_plan_member(r, &r->root, "goals", LOOM_JSON_ARRAY, &goals));
    LOOM_TRY(read_imports(r));
    LOOM_TRY(add_entries(r, nodes));
    for (uint32_t i = 0; i < r->entry_count; i++)
        LOOM_TRY(make_with_needs(r, i));
    for (size_t i = 0; i < goals->list.count; i++)
        LOOM_TRY(read_goal(r, &goals->list.items[i]));
    return LOOM_OK;
}

static loom_status read_text(loom_json_plan *r, const char *name, const char *text, size_t length) {
    r->json_arena = loom_arena_new();
    if (!r->json_arena) return loom_plan_no_memory(r->err);
    loom_source *source;
    loom_status status = loom_source_make(r->json_arena, name, text, length, &source, r->err);
    if (status == LOOM_BAD_SYNTAX && r->err) r->err->status = LOOM_BAD_PLAN;
    if (status != LOOM_OK) return status == LOOM_BAD_SYNTAX ? LOOM_BAD_PLAN : status;
    r->source = source;
    return read_plan(r);
}

loom_status loom_plan_from_json(const loom_plan_options *options, const char *source, const char *text, size_t length,
                                loom_plan **plan, loom_error *err) {
    loom_json_plan r = {.err = err};
    LOOM_TRY(loom_plan_new(options, &r.plan, err));
    loom_status status = read_text(&r, source, text, length);
    free(r.entries);
    free(r.slots);
    free(r.stack);
    loom_arena_free(r.json_arena);
    if (status != LOOM_OK) {
        loom_plan_free(r.plan);
        r.plan = NULL;
    }
    *plan = r.plan;
    return status;
}
