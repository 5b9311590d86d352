/* What windows share. By name, two loops that read the same files would read each once: their nodes are the same. Items
 * in windows have no nodes of their own, so a step of a heavy body is looked for among those of the open windows before
 * it is made: by its operator, its attributes and its arguments, which are found in the same way. A window that borrows
 * a step of another keeps that open. */
#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/window.h"

#define STALE_MAX 65536u /* entries of steps that may have been given back, beyond as many as there are live ones */

/* ---- finding ---- */

static uint64_t hash_of(const loom_operator *op, const uint32_t *arguments, uint32_t count) {
    uint64_t hash = ((uint64_t)(uintptr_t)op + count) * UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < count; i++) {
        hash = (hash ^ arguments[i]) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 32;
    }
    return hash;
}

static uint64_t hash_of_element(const loom_id *vid) {
    uint64_t hash;
    memcpy(&hash, vid->bytes, sizeof hash);
    return hash;
}

static const char *attribute_of(const loom_session *session, loom_node_index node) {
    const char *attribute = node == LOOM_NODE_NONE ? NULL : loom_plan_node(session->plan, node)->fold_operator;
    return attribute ? attribute : "";
}

/* Entries outlive their steps: what a step is now decides. */
static bool is_same(const loom_session *session, const loom_step *step, const loom_body_step *made,
                    const uint32_t *arguments, uint32_t count) {
    return step->owner && step->op == made->op && step->alias == LOOM_STEP_NONE && step->argument_count == count &&
           memcmp(step->arguments, arguments, count * sizeof *arguments) == 0 &&
           strcmp(attribute_of(session, step->node), attribute_of(session, made->node)) == 0;
}

/* The window uses a step of another, which stays open. */
static loom_status borrow(loom_session *session, uint32_t number, uint32_t step) {
    loom_window *window = &session->loops->windows[number];
    uint32_t owner = session->graph.steps[step].owner;
    if (owner == number) return LOOM_OK;
    if (window->borrowed_count == window->borrowed_capacity) {
        uint32_t capacity = window->borrowed_capacity ? window->borrowed_capacity * 2 : 256;
        uint32_t *grown = realloc(window->borrowed, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        window->borrowed = grown;
        window->borrowed_capacity = capacity;
    }
    window->borrowed[window->borrowed_count++] = step;
    session->loops->windows[owner].lent++;
    return LOOM_OK;
}

loom_status loom_window_find(loom_session *session, uint32_t number, const loom_body_step *made,
                             const uint32_t *arguments, uint32_t *step) {
    *step = loom_memo_get(&session->loops->shared, hash_of(made->op, arguments, made->count));
    if (*step != LOOM_MEMO_NONE && is_same(session, &session->graph.steps[*step], made, arguments, made->count))
        return borrow(session, number, *step);
    *step = LOOM_STEP_NONE;
    return LOOM_OK;
}

loom_status loom_window_find_element(loom_session *session, uint32_t number, const loom_id *vid, uint32_t *step) {
    *step = loom_memo_get(&session->loops->shared, hash_of_element(vid));
    if (*step != LOOM_MEMO_NONE) {
        const loom_step *found = &session->graph.steps[*step];
        if (found->owner && !found->op && found->state == LOOM_STEP_DONE && loom_id_equal(&found->vid, vid))
            return borrow(session, number, *step);
    }
    *step = LOOM_STEP_NONE;
    return LOOM_OK;
}

/* ---- offering ---- */

static loom_status offer(loom_session *session, uint32_t index) {
    const loom_step *step = &session->graph.steps[index];
    uint64_t hash = step->op ? hash_of(step->op, step->arguments, step->argument_count) : hash_of_element(&step->vid);
    return loom_memo_set(&session->loops->shared, hash, index);
}

/* Makes the table anew of what is in open windows. */
static loom_status forget_the_closed(loom_session *session) {
    loom_loops *loops = session->loops;
    loom_memo_release(&loops->shared);
    for (uint32_t i = 0; i < loops->open_count; i++) {
        const loom_window *window = &loops->windows[loops->open[i]];
        for (uint32_t s = 0; s < window->step_count && loops->loops[window->loop].body.heavy; s++)
            LOOM_TRY(offer(session, window->steps[s]));
    }
    return LOOM_OK;
}

loom_status loom_window_offer(loom_session *session, uint32_t number, uint32_t step) {
    loom_loops *loops = session->loops;
    session->graph.steps[step].owner = number;
    if (loops->shared.count > STALE_MAX + 2 * loops->open_steps) LOOM_TRY(forget_the_closed(session));
    return offer(session, step);
}

/* ---- giving back ---- */

/* The window's steps, and its part, are about to go: a step of another window must not tell them anything. */
static void unlink_users(loom_session *session, uint32_t step, uint32_t number) {
    loom_graph_run *graph = &session->graph;
    uint32_t part = session->loops->windows[number].part, last = 0;
    for (uint32_t link = graph->steps[step].users, next; link; link = next) {
        uint32_t user = graph->links[link].user;
        next = graph->links[link].next;
        if (graph->steps[user].owner == number || user == part)
            loom_graph_unlink(graph, step, last, link);
        else
            last = link;
    }
}

void loom_window_return(loom_session *session, uint32_t number) {
    loom_window *window = &session->loops->windows[number];
    for (uint32_t i = 0; i < window->borrowed_count; i++) {
        loom_window *lender = &session->loops->windows[session->graph.steps[window->borrowed[i]].owner];
        unlink_users(session, window->borrowed[i], number);
        lender->ended = 0; /* a step of it may have been computed once more */
        session->windows_over |= --lender->lent == 0;
    }
    free(window->borrowed);
    window->borrowed = NULL;
    window->borrowed_count = window->borrowed_capacity = 0;
}
