/* evaluate.c - the planner's nodes, one kernel after the other: see evaluate.h. */
#include "evaluate.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/kernels/base/domain.h"

#define FOREVER UINT32_MAX

typedef struct slot {
    loom_value value;
    uint32_t uses; /* left; FOREVER: other values may share its images */
    bool done;
} slot;

typedef struct evaluation {
    harness *h;
    loom_plan *plan;
    slot *slots;
    size_t capacity;
    loom_value domain; /* of the first image read; null before */
} evaluation;

static void grow(evaluation *e) {
    size_t needed = loom_plan_node_count(e->plan);
    if (needed <= e->capacity) return;
    size_t capacity = needed * 2;
    slot *slots = realloc(e->slots, capacity * sizeof *slots);
    if (slots == NULL) abort();
    memset(slots + e->capacity, 0, (capacity - e->capacity) * sizeof *slots);
    e->slots = slots;
    e->capacity = capacity;
}

static bool is(const loom_node *node, const char *name) {
    return node->op != NULL && strcmp(node->op->name, name) == 0;
}

static bool is_loop(const loom_node *node) {
    return is(node, "default.for_loop") || is(node, "default.map") || is(node, "default.filter");
}

/* Operators whose result holds an argument's images. */
static bool passes_on(const loom_node *node) {
    return node->kind != LOOM_NODE_PRIMITIVE || is_loop(node) || is(node, "default.sequence") ||
           is(node, "default.index") || is(node, "default.slice") || is(node, "default.subsequence");
}

/* Counts the users of every node below this one. */
static void count_uses(evaluation *e, loom_node_index index) {
    const loom_node *node = loom_plan_node(e->plan, index);
    bool keep = passes_on(node);
    for (uint32_t k = 0; k < node->argument_count; k++) {
        loom_node_index argument = node->arguments[k];
        slot *used = &e->slots[argument];
        if (used->uses == 0) count_uses(e, argument);
        used = &e->slots[argument];
        used->uses = keep || used->uses == FOREVER ? FOREVER : used->uses + 1;
    }
}

static void done_with(evaluation *e, loom_node_index index) {
    slot *used = &e->slots[index];
    if (used->uses == FOREVER || used->uses == 0 || --used->uses > 0 || !used->done) return;
    if (used->value.type != LOOM_IMAGE) return;
    for (size_t k = 0; k < e->h->kept_count; k++)
        if (e->h->kept[k].value.image.voxels == used->value.image.voxels) return;
    harness_drop(e->h, used->value.image.voxels);
    used->value = loom_null();
}

static loom_status value_of(evaluation *e, loom_node_index index, loom_value *value);

/* The loop's items one by one; what an item made is freed when its result is no image. */
static loom_status loop(evaluation *e, loom_node_index index, loom_value *value) {
    const loom_node *node = loom_plan_node(e->plan, index);
    loom_node_index closure = node->arguments[1];
    bool filters = is(node, "default.filter");
    loom_id id = node->id;
    loom_value sequence = loom_null();
    LOOM_TRY(value_of(e, node->arguments[0], &sequence));
    if (sequence.type != LOOM_SEQUENCE) return loom_fail(&e->h->err, LOOM_BAD_ARGUMENT, "not a sequence");
    loom_value *items = loom_arena_array(e->h->arena, sequence.sequence.count + 1, sizeof *items);
    if (items == NULL) return LOOM_NO_MEMORY;
    size_t kept = 0;
    for (size_t k = 0; k < sequence.sequence.count; k++) {
        const loom_value *item = &sequence.sequence.items[k];
        loom_node_index bound = LOOM_NODE_NONE, body = LOOM_NODE_NONE;
        if (item->type == LOOM_IMAGE)
            LOOM_TRY(loom_plan_item(e->plan, &id, k, item, &bound, &e->h->err));
        else
            LOOM_TRY(loom_plan_constant(e->plan, item, &bound, &e->h->err));
        LOOM_TRY(loom_plan_apply(e->plan, closure, bound, &body, &e->h->err));
        grow(e);
        if (!e->slots[body].done && e->slots[body].uses == 0) {
            e->slots[body].uses = FOREVER;
            count_uses(e, body);
        }
        loom_value result = loom_null();
        LOOM_TRY(value_of(e, body, &result));
        if (!filters)
            items[kept++] = result;
        else if (loom_value_is_true(&result))
            items[kept++] = *item;
    }
    *value = loom_sequence(items, kept);
    return LOOM_OK;
}

static loom_status primitive(evaluation *e, loom_node_index index, loom_value *value) {
    const loom_node *node = loom_plan_node(e->plan, index);
    const loom_operator *op = node->op;
    uint32_t count = node->argument_count, extra = (op->flags & LOOM_OP_OPEN) != 0;
    loom_value *arguments = loom_arena_array(e->h->arena, count + 1, sizeof *arguments);
    if (arguments == NULL) return LOOM_NO_MEMORY;
    for (uint32_t k = 0; k < count; k++) {
        LOOM_TRY(value_of(e, node->arguments[k], &arguments[k]));
        node = loom_plan_node(e->plan, index);
    }
    if (extra) {
        if (e->domain.type == LOOM_NULL) return loom_fail(&e->h->err, LOOM_BAD_DOMAIN, "no image was read yet");
        arguments[count] = e->domain;
    }
    loom_field attribute = {.name = "operator", .name_length = 8};
    loom_value attributes = loom_record(&attribute, 1);
    if (node->fold_operator != NULL) attribute.value = loom_string_of(node->fold_operator);
    LOOM_TRY(harness_run(e->h, op->name, arguments, count + extra, node->fold_operator ? &attributes : NULL, value));
    for (uint32_t k = 0; k < count; k++)
        done_with(e, loom_plan_node(e->plan, index)->arguments[k]);
    return LOOM_OK;
}

static bool is_shared(const loom_node *node) {
    return is(node, "simpleitk.ReadImage") || is(node, "vox1.intensity");
}

static loom_status value_of(evaluation *e, loom_node_index index, loom_value *value) {
    grow(e);
    const loom_node *node = loom_plan_node(e->plan, index);
    if (e->slots[index].done) {
        *value = e->slots[index].value;
        return LOOM_OK;
    }
    loom_id id = node->id;
    bool shared = is_shared(node), found = false;
    for (size_t k = 0; shared && k < e->h->kept_count; k++)
        if (loom_id_equal(&e->h->kept[k].node, &id)) {
            *value = e->h->kept[k].value;
            found = true;
        }
    if (found) {
    } else if (node->kind == LOOM_NODE_CONSTANT || node->kind == LOOM_NODE_ITEM) {
        *value = node->value;
    } else if (node->kind == LOOM_NODE_CLOSURE) {
        return loom_fail(&e->h->err, LOOM_INTERNAL, "a closure has no value");
    } else if (is_loop(node)) {
        LOOM_TRY(loop(e, index, value));
    } else {
        LOOM_TRY(primitive(e, index, value));
    }
    if (shared && !found && e->h->kept_count < sizeof e->h->kept / sizeof e->h->kept[0]) {
        e->h->kept[e->h->kept_count].node = id;
        e->h->kept[e->h->kept_count++].value = *value;
    }
    if (value->type == LOOM_IMAGE && e->domain.type == LOOM_NULL)
        LOOM_TRY(loom_domain_record(e->h->arena, value->image.header, &e->domain));
    grow(e);
    e->slots[index].value = *value;
    e->slots[index].done = true;
    return LOOM_OK;
}

/* The first image that the program reads gives the grid to what has none. */
static loom_status find_domain(evaluation *e) {
    for (size_t k = 0; k < loom_plan_node_count(e->plan); k++) {
        const loom_node *node = loom_plan_node(e->plan, (loom_node_index)k);
        if (node->kind != LOOM_NODE_PRIMITIVE || !is(node, "simpleitk.ReadImage")) continue;
        loom_value image = loom_null();
        return value_of(e, (loom_node_index)k, &image);
    }
    return LOOM_OK;
}

loom_status evaluate(harness *h, const char *source, const char *text, loom_value *result) {
    loom_plan_options options = {.operators = loom_operators()};
    evaluation e = {.h = h, .domain = loom_null()};
    loom_error_clear(&h->err);
    LOOM_TRY(loom_plan_from_program(&options, source, text, strlen(text), &e.plan, &h->err));
    size_t goals = loom_plan_goal_count(e.plan);
    loom_status status = goals == 0 ? loom_fail(&h->err, LOOM_BAD_PROGRAM, "no goal") : LOOM_OK;
    grow(&e);
    if (status == LOOM_OK) {
        loom_node_index goal = loom_plan_goal(e.plan, goals - 1)->node;
        e.slots[goal].uses = FOREVER;
        count_uses(&e, goal);
        status = find_domain(&e);
        if (status == LOOM_OK) status = value_of(&e, goal, result);
    }
    loom_value copy = loom_null();
    if (status == LOOM_OK) status = loom_value_copy(h->arena, result, &copy);
    *result = copy;
    loom_plan_free(e.plan);
    free(e.slots);
    return status;
}

void evaluate_forget(harness *h) {
    for (struct block *block = h->blocks, *next; block != NULL; block = next) {
        next = block->next;
        const char *start = block->bytes;
        bool shared = false;
        for (size_t k = 0; k < h->kept_count; k++) {
            const char *voxels = h->kept[k].value.image.voxels;
            shared = shared || (voxels >= start && voxels <= start + 4096);
        }
        if (!shared) harness_drop(h, start);
    }
}
