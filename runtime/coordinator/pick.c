/* What an index, slice or subsequence picks from a loop: only the items that are picked are made. Which they are, the
 * kernel says, run on the numbers of the items. From a loop that is too long for its items to be kept, the picked ones
 * are made without the others. */
#include <stdlib.h>

#include "runtime/coordinator/body.h"
#include "runtime/kernels/kernel.h"

/* No services: the operators run here touch no image. */
static const loom_call_services no_services;

/* The numbers 0 .. count-1, made once and kept: a loop that picks item after item of another must not make them anew
 * each time. */
static loom_status numbers_to(loom_expansion *at, uint32_t count, loom_value *sequence) {
    loom_session *session = at->session;
    if (count > session->number_count) {
        uint32_t larger = count > session->number_count * 2 ? count : session->number_count * 2;
        loom_value *grown = loom_arena_array(session->arena, larger, sizeof *grown); /* the old are still pointed to */
        if (!grown) return loom_expansion_no_memory(at);
        for (uint32_t i = 0; i < larger; i++)
            grown[i] = loom_int(i);
        session->numbers = grown;
        session->number_count = larger;
    }
    *sequence = loom_sequence(session->numbers, count);
    return LOOM_OK;
}

/* Which of `count` items an index or slice picks: the kernel itself, run on the sequence 0 .. count-1. */
static loom_status pick(loom_expansion *at, const loom_node *node, uint32_t count, const loom_value *bounds,
                        loom_value *picked) {
    loom_arena *arena = at->session->arena;
    loom_value *arguments = loom_arena_array(arena, node->argument_count, sizeof *arguments);
    if (!arguments) return loom_expansion_no_memory(at);
    LOOM_TRY(numbers_to(at, count, &arguments[0]));
    for (uint32_t i = 1; i < node->argument_count; i++)
        arguments[i] = bounds[i];
    loom_call call = {.op = node->op,
                      .arguments = arguments,
                      .argument_count = node->argument_count,
                      .services = &no_services,
                      .arena = arena,
                      .err = at->err};
    LOOM_TRY(loom_kernel_of(node->op)->run(&call));
    *picked = call.result;
    return LOOM_OK;
}

/* The value of a source, read once a run: a loop that picks item after item must not read it each time. */
static loom_status read_source(loom_expansion *at, loom_node_index source, const loom_value **value) {
    loom_session *session = at->session;
    uint32_t known = loom_memo_get(&session->picked_sources, source);
    if (known == LOOM_MEMO_NONE) {
        if (session->picked_count == session->picked_capacity) {
            uint32_t capacity = session->picked_capacity ? session->picked_capacity * 2 : 8;
            loom_value *grown = realloc(session->picked_values, capacity * sizeof *grown);
            if (!grown) return loom_expansion_no_memory(at);
            session->picked_values = grown;
            session->picked_capacity = capacity;
        }
        known = session->picked_count;
        LOOM_TRY(loom_expansion_value(at, source, session->arena, &session->picked_values[known]));
        if (at->waiting) return LOOM_OK;
        if (loom_memo_set(&session->picked_sources, source, known) != LOOM_OK) return loom_expansion_no_memory(at);
        session->picked_count++;
    }
    *value = &session->picked_values[known];
    return LOOM_OK;
}

/* The value that a long loop goes over; NULL if the loop is short, or is none over one value that is the same in every
 * context. */
static loom_status long_source(loom_expansion *at, loom_node_index loop, loom_node_index *source,
                               const loom_value **value) {
    loom_session *session = at->session;
    loom_items known;
    loom_node_facts facts;
    loom_shape shape, from;
    *value = NULL;
    if (loom_items_known(session, loop, at->context, &known)) return LOOM_OK;
    if (loom_body_source(session, loop, source) != LOOM_OK) return loom_expansion_no_memory(at);
    if (*source == LOOM_NODE_NONE || *source == loop) return LOOM_OK;
    if (loom_shape_of(session, loop, &shape) != LOOM_OK || loom_shape_of(session, *source, &from) != LOOM_OK)
        return loom_expansion_no_memory(at);
    if (shape == LOOM_SHAPE_FILTERED || from == LOOM_SHAPE_FILTERED) return LOOM_OK;
    if (loom_facts_of(session->facts, *source, &facts) != LOOM_OK) return loom_expansion_no_memory(at);
    if (facts.openness != LOOM_CLOSED) return LOOM_OK;
    LOOM_TRY(read_source(at, *source, value));
    if (*value && !loom_is_long(session, *value, 1)) *value = NULL;
    return LOOM_OK;
}

/* The nodes of the picked items of a loop whose other items are not made. */
static loom_status pick_from_long(loom_expansion *at, const loom_node *node, loom_node_index source,
                                  const loom_value *elements, const loom_value *picked, loom_items *items) {
    LOOM_TRY(loom_make_items(at, (uint32_t)picked->sequence.count, items));
    for (uint32_t i = 0; i < items->count; i++) {
        uint64_t position = (uint64_t)picked->sequence.items[i].integer;
        loom_node_index element;
        LOOM_TRY(loom_element_node(at, source, position, &elements->sequence.items[position], &element));
        LOOM_TRY(loom_body_apply(at, node->arguments[0], source, element, &items->nodes[i]));
    }
    return LOOM_OK;
}

loom_status loom_picked_items(loom_expansion *at, const loom_node *node, int depth, loom_items *items) {
    loom_items from = {0};
    loom_node_index source;
    const loom_value *elements;
    loom_value *bounds = loom_arena_array(at->session->arena, node->argument_count, sizeof *bounds);
    if (!bounds) return loom_expansion_no_memory(at);
    LOOM_TRY(long_source(at, node->arguments[0], &source, &elements));
    if (!elements && !at->waiting) LOOM_TRY(loom_items_of(at, node->arguments[0], depth + 1, &from));
    for (uint32_t i = 1; i < node->argument_count; i++)
        LOOM_TRY(loom_expansion_value(at, node->arguments[i], at->session->arena, &bounds[i]));
    if (at->waiting) return LOOM_OK;
    loom_value picked;
    LOOM_TRY(pick(at, node, elements ? (uint32_t)elements->sequence.count : from.count, bounds, &picked));
    if (picked.type == LOOM_INT) picked = loom_sequence(loom_arena_copy(at->session->arena, &picked, sizeof picked), 1);
    if (!picked.sequence.items) return loom_expansion_no_memory(at);
    if (elements) return pick_from_long(at, node, source, elements, &picked, items);
    LOOM_TRY(loom_make_items(at, (uint32_t)picked.sequence.count, items));
    for (uint32_t i = 0; i < items->count; i++)
        items->nodes[i] = from.nodes[picked.sequence.items[i].integer];
    return LOOM_OK;
}
