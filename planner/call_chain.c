/* call_chain.c - which function called which, kept beyond reduction as a tree of calls with links to the caller.
 *
 * A call has 16 bytes, made when its body is entered; all nodes of the body have its number. Each call expression
 * remembers the last one made for it, so that bodies of loops, which are reduced for item after item, make theirs once;
 * but for the calls within a function that is called at several places, which are made anew as these take turns. */
#include "planner/call_chain.h"

#include <stdlib.h>

#include "planner/plan_state.h"

loom_status loom_call_chain_enter(loom_plan *plan, const loom_expr *call, uint32_t caller, uint32_t *entered,
                                  loom_error *err) {
    loom_call_chain *chain = &plan->chain;
    *entered = call->entered;
    if (*entered && chain->calls[*entered - 1].caller == caller) return LOOM_OK;
    if (chain->count == UINT32_MAX) return loom_plan_no_memory(err);
    if (chain->count == chain->capacity) {
        size_t capacity = chain->capacity ? chain->capacity * 2 : 64;
        loom_call *grown = realloc(chain->calls, capacity * sizeof *grown);
        if (!grown) return loom_plan_no_memory(err);
        chain->calls = grown;
        chain->capacity = capacity;
    }
    chain->calls[chain->count++] = (loom_call){.expr = call, .caller = caller};
    *entered = (uint32_t)chain->count;
    ((loom_expr *)call)->entered = *entered; /* a cache: the expression itself stays as it is */
    return LOOM_OK;
}

loom_place loom_call_chain_shown(const loom_plan *plan, loom_place place, uint32_t calls) {
    for (; place.source->library && calls; calls = plan->chain.calls[calls - 1].caller)
        place = plan->chain.calls[calls - 1].expr->place;
    return place;
}

bool loom_plan_call_site(const loom_plan *plan, uint32_t calls, loom_call_site *site) {
    if (calls == 0 || calls > plan->chain.count) return false;
    const loom_call *call = &plan->chain.calls[calls - 1];
    const loom_place *place = &call->expr->place;
    *site = (loom_call_site){
        .function = call->expr->name->text,
        .position = {.file = place->source->name, .line = place->line, .column = place->column, .calls = call->caller}};
    return true;
}

void loom_call_chain_free(loom_call_chain *chain) {
    free(chain->calls);
    *chain = (loom_call_chain){0};
}
