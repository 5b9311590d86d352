/* The run's graph: growing arrays of steps and links. */
#include "runtime/coordinator/graph.h"

#include <stdlib.h>
#include <string.h>

#include "shm/platform_array.h"
#include "shm/segment/segment.h"

#define LINKS_MAX ((1u << 30) - 1)

loom_status loom_graph_init(loom_graph_run *graph) {
    memset(graph, 0, sizeof *graph);
    graph->link_count = 1;
    graph->free_steps = LOOM_STEP_NONE;
    graph->arena = loom_arena_new();
    return graph->arena ? LOOM_OK : LOOM_NO_MEMORY;
}

void loom_graph_release(loom_graph_run *graph) {
    loom_array_free(graph->steps, graph->step_capacity * sizeof *graph->steps);
    loom_array_free(graph->links, graph->link_capacity * sizeof *graph->links);
    loom_arena_free(graph->arena);
    memset(graph, 0, sizeof *graph);
}

/* Makes room for one more item; doubling keeps adding O(1). */
static loom_status reserve_one(void **items, uint32_t count, uint32_t *capacity, size_t item_bytes) {
    if (count < *capacity) return LOOM_OK;
    if (*capacity > UINT32_MAX / 2) return LOOM_TOO_LARGE;
    uint32_t larger = *capacity ? *capacity * 2 : 1024;
    void *grown = loom_array_grow(*items, (size_t)*capacity * item_bytes, (size_t)larger * item_bytes);
    if (!grown) return LOOM_NO_MEMORY;
    *items = grown;
    *capacity = larger;
    return LOOM_OK;
}

static void fill(loom_graph_run *graph, uint32_t index, const loom_operator *op, uint32_t *arguments,
                 uint32_t argument_count) {
    graph->operators += op != NULL;
    graph->steps[index] = (loom_step){.op = op,
                                      .arguments = arguments,
                                      .argument_count = argument_count,
                                      .node = LOOM_NODE_NONE,
                                      .blame = LOOM_NODE_NONE,
                                      .context = LOOM_STEP_NONE,
                                      .domain_source = index,
                                      .alias = LOOM_STEP_NONE,
                                      .task = LOOM_TASK_NONE,
                                      .state = LOOM_STEP_WAITING};
}

static loom_status append(loom_graph_run *graph, const loom_operator *op, uint32_t *arguments, uint32_t argument_count,
                          uint32_t *step) {
    void *steps = graph->steps;
    loom_status status = reserve_one(&steps, graph->step_count, &graph->step_capacity, sizeof *graph->steps);
    graph->steps = steps;
    LOOM_TRY(status);
    *step = graph->step_count++;
    fill(graph, *step, op, arguments, argument_count);
    return LOOM_OK;
}

loom_status loom_graph_add(loom_graph_run *graph, const loom_operator *op, const uint32_t *arguments,
                           uint32_t argument_count, uint32_t *step) {
    uint32_t *copy = NULL;
    if (argument_count) {
        copy = loom_arena_copy(graph->arena, arguments, argument_count * sizeof *arguments);
        if (!copy) return LOOM_NO_MEMORY;
    }
    return append(graph, op, copy, argument_count, step);
}

loom_status loom_graph_add_borrowing(loom_graph_run *graph, const loom_operator *op, uint32_t *arguments,
                                     uint32_t argument_count, uint32_t *step) {
    if (graph->free_steps == LOOM_STEP_NONE) return append(graph, op, arguments, argument_count, step);
    *step = graph->free_steps;
    graph->free_steps = graph->steps[*step].alias;
    fill(graph, *step, op, arguments, argument_count);
    return LOOM_OK;
}

static void free_link(loom_graph_run *graph, uint32_t link) {
    graph->links[link].next = graph->free_links & LINKS_MAX;
    graph->free_links = link;
}

void loom_graph_unlink(loom_graph_run *graph, uint32_t step, uint32_t before, uint32_t link) {
    uint32_t next = graph->links[link].next;
    if (before)
        graph->links[before].next = next & LINKS_MAX;
    else
        graph->steps[step].users = next;
    free_link(graph, link);
}

void loom_graph_give_back(loom_graph_run *graph, uint32_t index) {
    loom_step *step = &graph->steps[index];
    for (uint32_t link = step->users, next; link; link = next) {
        next = graph->links[link].next;
        free_link(graph, link);
    }
    fill(graph, index, NULL, NULL, 0);
    step->state = LOOM_STEP_DONE; /* whoever looks at all steps has nothing to do with it */
    step->alias = graph->free_steps;
    graph->free_steps = index;
}

bool loom_graph_was_given_back(const loom_graph_run *graph, uint32_t index) {
    const loom_step *step = &graph->steps[index];
    /* Any other without an operator has a node or a value. */
    return step->state == LOOM_STEP_DONE && !step->op && step->node == LOOM_NODE_NONE && !step->constant &&
           !step->stored;
}

static loom_status take_link(loom_graph_run *graph, uint32_t *link) {
    *link = graph->free_links;
    if (*link) {
        graph->free_links = graph->links[*link].next;
        return LOOM_OK;
    }
    if (graph->link_count >= LINKS_MAX) return LOOM_TOO_LARGE;
    void *links = graph->links;
    loom_status status = reserve_one(&links, graph->link_count, &graph->link_capacity, sizeof *graph->links);
    graph->links = links;
    LOOM_TRY(status);
    *link = graph->link_count++;
    return LOOM_OK;
}

loom_status loom_graph_link(loom_graph_run *graph, uint32_t step, uint32_t user, loom_event event) {
    uint32_t link;
    LOOM_TRY(take_link(graph, &link));
    graph->links[link] = (loom_link){.user = user, .next = graph->steps[step].users & LINKS_MAX, .event = event & 3u};
    graph->steps[step].users = link;
    if (event != LOOM_EVENT_FAILURE) graph->steps[user].waits++;
    if (event == LOOM_EVENT_VALUE) graph->steps[step].kept = true; /* it is read when all that is waited for is there */
    return LOOM_OK;
}

loom_status loom_graph_list_add(loom_graph_run *graph, uint32_t *list, uint32_t step) {
    uint32_t link;
    LOOM_TRY(take_link(graph, &link));
    graph->links[link] = (loom_link){.user = step, .next = *list & LINKS_MAX, .event = LOOM_EVENT_FAILURE};
    *list = link;
    return LOOM_OK;
}

uint32_t loom_graph_list_take(loom_graph_run *graph, uint32_t *list) {
    uint32_t link = *list;
    if (!link) return LOOM_STEP_NONE;
    uint32_t step = graph->links[link].user;
    *list = graph->links[link].next;
    free_link(graph, link);
    return step;
}

uint32_t loom_graph_resolve(const loom_graph_run *graph, uint32_t step) {
    while (graph->steps[step].alias != LOOM_STEP_NONE)
        step = graph->steps[step].alias;
    return step;
}
