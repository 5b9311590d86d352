/* Loops within the body of a loop. One over a short list that is the same for every item (thresholds, channels), or
 * whose length is, is unrolled: its items are steps of the body, and the loop is the list of them, as it is by name. */
#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/body.h"

#define NESTING_MAX 200 /* loops over one another's items */
#define UNROLLED_MAX (LOOM_BODY_STEPS_MAX / 2)

void loom_unrolled_release(loom_unrolled *unrolled) {
    loom_memo_release(&unrolled->dependent);
    loom_memo_release(&unrolled->of);
    free(unrolled->lists);
}

bool loom_body_depends(const loom_unrolled *unrolled, loom_node_index node) {
    return node >= unrolled->element && loom_memo_get(&unrolled->dependent, node) == 1;
}

/* Room for a list; with all lists of the body it must be short. */
static loom_status make_list(loom_expansion *at, loom_unrolled *unrolled, size_t count, loom_items *items) {
    *items = (loom_items){0};
    if (count > UNROLLED_MAX - unrolled->items) return LOOM_OK;
    unrolled->items += (uint32_t)count;
    items->nodes = loom_arena_array(at->session->arena, count, sizeof *items->nodes);
    items->count = (uint32_t)count;
    return items->nodes ? LOOM_OK : loom_expansion_no_memory(at);
}

/* The elements of a sequence that does not depend on the body's own. */
static loom_status elements_of(loom_expansion *at, loom_unrolled *unrolled, loom_node_index source, loom_items *items) {
    loom_value value;
    loom_arena *arena = loom_arena_new();
    if (!arena) return loom_expansion_no_memory(at);
    loom_status status = loom_expansion_value(at, source, arena, &value);
    if (status == LOOM_OK && !at->waiting && value.type == LOOM_SEQUENCE)
        status = make_list(at, unrolled, value.sequence.count, items);
    for (uint32_t i = 0; status == LOOM_OK && i < items->count; i++)
        status = loom_element_node(at, source, i, &value.sequence.items[i], &items->nodes[i]);
    loom_arena_free(arena);
    return status;
}

/* The items of a list or loop; none if they are many, or not known before an element is. */
static loom_status items_of(loom_expansion *at, loom_unrolled *unrolled, loom_node_index index, int depth,
                            loom_items *items) {
    loom_shape shape;
    loom_items source = {0};
    *items = source;
    if (loom_shape_of(at->session, index, &shape) != LOOM_OK) return loom_expansion_no_memory(at);
    const loom_node node = *loom_plan_node(at->session->plan, index); /* a copy: the plan grows */
    if (shape == LOOM_SHAPE_LIST) {
        *items = (loom_items){.nodes = (loom_node_index *)node.arguments, .count = node.argument_count};
        return LOOM_OK;
    }
    if ((shape == LOOM_SHAPE_VALUE || shape == LOOM_SHAPE_FOLDED) && !loom_body_depends(unrolled, index))
        return elements_of(at, unrolled, index, items);
    if (shape != LOOM_SHAPE_MAPPED || depth == 0) return LOOM_OK;
    LOOM_TRY(items_of(at, unrolled, node.arguments[0], depth - 1, &source));
    LOOM_TRY(make_list(at, unrolled, source.count, items));
    for (uint32_t i = 0; i < items->count; i++)
        LOOM_TRY(loom_plan_apply(at->session->plan, node.arguments[1], source.nodes[i], &items->nodes[i], at->err));
    return LOOM_OK;
}

static loom_status remember(loom_expansion *at, loom_unrolled *unrolled, loom_node_index index,
                            const loom_items *items) {
    if (unrolled->count == unrolled->capacity) {
        uint32_t capacity = unrolled->capacity ? unrolled->capacity * 2 : 8;
        loom_items *grown = realloc(unrolled->lists, capacity * sizeof *grown);
        if (!grown) return loom_expansion_no_memory(at);
        unrolled->lists = grown;
        unrolled->capacity = capacity;
    }
    unrolled->lists[unrolled->count] = *items;
    return loom_memo_set(&unrolled->of, index, unrolled->count++) == LOOM_OK ? LOOM_OK : loom_expansion_no_memory(at);
}

loom_status loom_unroll(loom_expansion *at, loom_unrolled *unrolled, loom_node_index index, loom_node *node) {
    static const char name[] = "default.sequence";
    loom_shape shape;
    loom_items items;
    if (loom_shape_of(at->session, index, &shape) != LOOM_OK) return loom_expansion_no_memory(at);
    if (shape != LOOM_SHAPE_MAPPED) return LOOM_OK;
    uint32_t known = loom_memo_get(&unrolled->of, index);
    if (known == LOOM_MEMO_NONE) {
        LOOM_TRY(items_of(at, unrolled, index, NESTING_MAX, &items));
        if (at->waiting) return LOOM_OK;
        LOOM_TRY(remember(at, unrolled, index, &items));
        known = unrolled->count - 1;
    }
    items = unrolled->lists[known];
    if (items.count == 0) return LOOM_OK;
    node->op = loom_operator_find(at->session->operators, name, strlen(name));
    node->arguments = items.nodes;
    node->argument_count = items.count;
    return node->op ? LOOM_OK : loom_fail(at->err, LOOM_INTERNAL, "the operator %s is missing from this build", name);
}
