/* check.c - types of all that the goals need, arguments before their users; see check.h.
 *
 * A loop's body is applied to an item that no value is known of; its nodes are checked like others and then forgotten.
 * The walk has a stack of its own: plans are deep. */
#include "planner/check.h"

#include <stdlib.h>
#include <string.h>

#include "planner/plan_state.h"
#include "planner/types.h"

/* Nodes that bodies may add; beyond, bodies pass unseen. */
#define BODY_NODES_MAX 1000000u

typedef struct checked {
    loom_static_type type;
    loom_node_index body; /* of a loop: what its body gives for an item; else LOOM_NODE_NONE */
    bool known, applied;
} checked;

typedef struct check {
    loom_plan *plan;
    loom_check_operator can_run;
    bool bodies;
    loom_error *err;
    checked *of; /* a node each */
    size_t capacity;
    size_t first_body; /* nodes from here on were made by this check */
    loom_node_index *stack;
    size_t depth, stack_capacity;
    loom_static_type *types; /* of one call's arguments */
    size_t type_capacity;
} check;

static loom_status no_memory(const check *c) {
    return loom_fail(c->err, LOOM_NO_MEMORY, "out of memory while checking the program");
}

/* Makes *array hold `needed` items; new ones are zero. */
static bool grow(void **array, size_t *capacity, size_t needed, size_t item_bytes) {
    if (needed <= *capacity) return true;
    size_t wider = *capacity ? *capacity * 2 : 256;
    if (wider < needed) wider = needed;
    void *grown = realloc(*array, wider * item_bytes);
    if (!grown) return false;
    memset((char *)grown + *capacity * item_bytes, 0, (wider - *capacity) * item_bytes);
    *array = grown;
    *capacity = wider;
    return true;
}

static bool push(check *c, loom_node_index node) {
    if (!grow((void **)&c->stack, &c->stack_capacity, c->depth + 1, sizeof *c->stack)) return false;
    c->stack[c->depth++] = node;
    return true;
}

static checked *of(check *c, loom_node_index node) {
    if (!grow((void **)&c->of, &c->capacity, (size_t)node + 1, sizeof *c->of)) return NULL;
    return &c->of[node];
}

/* ---- messages ---- */

static loom_status place(const check *c, const loom_node *node, loom_status status) {
    loom_error *err = c->err;
    if (!err) return status;
    const loom_position *at = &node->position;
    loom_call_site site;
    char calls[600] = "";
    size_t used = 0;
    uint32_t number = at->calls;
    for (unsigned i = 0; i < 8 && loom_plan_call_site(c->plan, number, &site); i++, number = site.position.calls) {
        int length = snprintf(calls + used, sizeof calls - used, "%sin %.60s called at %.100s:%u:%u", i ? ", " : "",
                              site.function, site.position.file, site.position.line, site.position.column);
        if (length < 0 || (size_t)length >= sizeof calls - used) break;
        used += (size_t)length;
    }
    size_t end = strlen(err->message);
    if (used) snprintf(err->message + end, sizeof err->message - end, " (%s)", calls);
    loom_error_at(err, at->file, at->line, at->column);
    loom_error_node(err, node->op->name);
    return status;
}

static const loom_value *constant(const check *c, loom_node_index node) {
    const loom_node *found = loom_plan_node(c->plan, node);
    return found->kind == LOOM_NODE_CONSTANT ? &found->value : NULL;
}

static bool is(const loom_node *node, const char *name) {
    return node->kind == LOOM_NODE_PRIMITIVE && strcmp(node->op->name, name) == 0;
}

static loom_status check_arguments(const check *c, const loom_node *node) {
    for (uint32_t i = 0; i < node->argument_count; i++) {
        loom_static_type type = c->of[node->arguments[i]].type;
        const loom_value *value = constant(c, node->arguments[i]);
        const char *need = loom_type_need(node->op, i, node->argument_count, type, value);
        if (!need) continue;
        char given[96];
        if (value && value->type == LOOM_STRING)
            snprintf(given, sizeof given, "the string \"%.*s\"",
                     (int)(value->text.length < 40 ? value->text.length : 40), value->text.bytes);
        else
            snprintf(given, sizeof given, "%s", loom_type_words(type));
        return place(c, node,
                     loom_fail(c->err, LOOM_BAD_PROGRAM, "argument %u of %s is %s, but it needs %s", i + 1,
                               node->op->name, given, need));
    }
    return LOOM_OK;
}

/* Constants that no image makes right. */
static loom_status check_constants(const check *c, const loom_node *node) {
    if (!is(node, "vox1.between") || node->argument_count < 2) return LOOM_OK;
    const loom_value *low = constant(c, node->arguments[0]), *high = constant(c, node->arguments[1]);
    if (!low || !high || low->type != LOOM_FLOAT || high->type != LOOM_FLOAT || !(low->number > high->number))
        return LOOM_OK;
    return place(c, node,
                 loom_fail(c->err, LOOM_BAD_PROGRAM,
                           "the lower bound %g of vox1.between is above its upper bound %g; exchange them", low->number,
                           high->number));
}

/* ---- loops ---- */

static bool is_loop(const loom_node *node) {
    return is(node, "default.for_loop") || is(node, "default.map") || is(node, "default.filter");
}

/* A body that no item ever reaches is not looked at. */
static bool is_empty(const check *c, const loom_node *source) {
    if (is(source, "default.sequence")) return source->argument_count == 0;
    if (!is(source, "default.range")) return false;
    double bounds[2] = {0, 0};
    for (uint32_t i = 0; i < source->argument_count; i++) {
        const loom_value *bound = constant(c, source->arguments[i]);
        if (!bound || bound->type != LOOM_FLOAT || source->argument_count > 2) return false;
        bounds[source->argument_count == 1 ? 1 : i] = bound->number;
    }
    return bounds[1] <= bounds[0];
}

/* The body's result for some item goes on the stack, unless there is nothing to look at. */
static loom_status apply(check *c, loom_node_index index) {
    loom_node node = *loom_plan_node(c->plan, index); /* the plan grows below */
    c->of[index].applied = true;
    c->of[index].body = LOOM_NODE_NONE;
    if (!c->bodies || node.argument_count != 2 ||
        loom_plan_node(c->plan, node.arguments[1])->kind != LOOM_NODE_CLOSURE ||
        is_empty(c, loom_plan_node(c->plan, node.arguments[0])) ||
        loom_plan_node_count(c->plan) - c->first_body > BODY_NODES_MAX)
        return LOOM_OK;
    const char *need = loom_type_need(node.op, 0, 2, c->of[node.arguments[0]].type, NULL);
    if (need) return LOOM_OK; /* told when the loop's own turn comes */
    loom_static_type item = loom_type_item(c->of[node.arguments[0]].type);
    loom_value nothing = loom_null();
    loom_node_index bound = LOOM_NODE_NONE, result = LOOM_NODE_NONE;
    /* No loop has an item of this number. */
    LOOM_TRY(loom_plan_item(c->plan, &node.id, INT64_MAX, &nothing, &bound, c->err));
    LOOM_TRY(loom_plan_apply(c->plan, node.arguments[1], bound, &result, c->err));
    checked *made = of(c, bound);
    if (!made) return no_memory(c);
    *made = (checked){.type = item, .body = LOOM_NODE_NONE, .known = true, .applied = true};
    c->of[index].body = result;
    return push(c, result) ? LOOM_OK : no_memory(c);
}

/* ---- the walk ---- */

/* True if an argument had to be pushed first. */
static loom_status push_unknown(check *c, const loom_node *node, bool *waits) {
    *waits = false;
    if (node->kind != LOOM_NODE_PRIMITIVE) return LOOM_OK;
    for (uint32_t i = node->argument_count; i-- > 0;) {
        checked *argument = of(c, node->arguments[i]);
        if (!argument) return no_memory(c);
        if (argument->known) continue;
        if (!push(c, node->arguments[i])) return no_memory(c);
        *waits = true;
    }
    return LOOM_OK;
}

static loom_status type_of_node(check *c, loom_node_index index, loom_static_type *type) {
    const loom_node *node = loom_plan_node(c->plan, index);
    *type = LOOM_IS_UNKNOWN;
    if (node->kind == LOOM_NODE_CONSTANT || node->kind == LOOM_NODE_ITEM)
        *type = loom_type_of_value(&node->value);
    else if (node->kind == LOOM_NODE_CLOSURE)
        *type = LOOM_IS_FUNCTION;
    if (node->kind != LOOM_NODE_PRIMITIVE) return LOOM_OK;
    if (c->can_run) {
        loom_status status = c->can_run(node->op, c->err);
        if (status != LOOM_OK) return place(c, node, status);
    }
    LOOM_TRY(check_arguments(c, node));
    LOOM_TRY(check_constants(c, node));
    if (!grow((void **)&c->types, &c->type_capacity, node->argument_count, sizeof *c->types)) return no_memory(c);
    for (uint32_t i = 0; i < node->argument_count; i++)
        c->types[i] = c->of[node->arguments[i]].type;
    *type = loom_type_of_call(node->op, node->fold_operator, c->types, node->argument_count);
    loom_node_index body = c->of[index].body;
    if (!is(node, "default.filter") && is_loop(node) && body != LOOM_NODE_NONE)
        *type = loom_type_sequence_of(c->of[body].type);
    return LOOM_OK;
}

static loom_status walk(check *c, loom_node_index goal) {
    if (!push(c, goal)) return no_memory(c);
    while (c->depth > 0) {
        loom_node_index index = c->stack[c->depth - 1];
        checked *mine = of(c, index);
        if (!mine) return no_memory(c);
        bool waits = mine->known;
        if (mine->known) {
            c->depth--;
            continue;
        }
        LOOM_TRY(push_unknown(c, loom_plan_node(c->plan, index), &waits));
        if (waits) continue;
        if (is_loop(loom_plan_node(c->plan, index)) && !c->of[index].applied) {
            LOOM_TRY(apply(c, index));
            continue;
        }
        loom_static_type type;
        LOOM_TRY(type_of_node(c, index, &type));
        c->of[index].type = type;
        c->of[index].known = true;
        c->depth--;
    }
    return LOOM_OK;
}

loom_status loom_plan_check(loom_plan *plan, loom_check_operator can_run, bool bodies, loom_error *err) {
    check c = {
        .plan = plan, .can_run = can_run, .bodies = bodies, .err = err, .first_body = loom_plan_node_count(plan)};
    loom_status status = of(&c, (loom_node_index)c.first_body) ? LOOM_OK : no_memory(&c);
    for (size_t g = 0; g < loom_plan_goal_count(plan) && status == LOOM_OK; g++)
        status = walk(&c, loom_plan_goal(plan, g)->node);
    loom_plan_truncate(plan, c.first_body);
    free(c.of);
    free(c.stack);
    free(c.types);
    return status;
}
