/* Which functions called which until the node that failed was made: in one line for people, as a list for programs. */
#include <string.h>

#include "runtime/coordinator/session.h"

#define NAMED_MAX 8       /* calls in a message: the innermost ... */
#define OUTERMOST_NAMED 2 /* ... but for these, if there are more: where the user's program begins */
#define LISTED_MAX 64     /* in the report */

static size_t count_calls(const loom_plan *plan, uint32_t calls) {
    size_t count = 0;
    loom_call_site site;
    for (; loom_plan_call_site(plan, calls, &site); calls = site.position.calls)
        count++;
    return count;
}

static size_t add_call(const loom_call_site *site, const char *before, char *text, size_t used, size_t capacity) {
    const loom_position *at = &site->position;
    int length = snprintf(text + used, capacity - used, "%sin %.60s called at %.100s:%u:%u", before, site->function,
                          at->file, at->line, at->column);
    return length < 0 || (size_t)length >= capacity - used ? capacity : used + (size_t)length;
}

void loom_describe_calls(const loom_plan *plan, uint32_t calls, char *text, size_t capacity) {
    size_t count = count_calls(plan, calls), used = 0;
    loom_call_site site;
    text[0] = '\0';
    for (size_t i = 0; loom_plan_call_site(plan, calls, &site) && used < capacity; calls = site.position.calls, i++) {
        bool inner = i < NAMED_MAX - OUTERMOST_NAMED, outer = i + OUTERMOST_NAMED >= count;
        if (inner || outer || count <= NAMED_MAX) used = add_call(&site, i ? ", " : "", text, used, capacity);
        if (!outer && i + 1 == NAMED_MAX - OUTERMOST_NAMED && count > NAMED_MAX && used < capacity)
            used += (size_t)snprintf(text + used, capacity - used, ", ... %zu more", count - NAMED_MAX);
    }
}

void loom_blame_calls(loom_session *session, uint32_t failure, uint32_t index) {
    const loom_step *step = &session->graph.steps[index];
    if (step->node == LOOM_NODE_NONE) return; /* work of ours for a node, not the node's */
    loom_failure *record = &session->failures[failure];
    loom_error *error = &record->error;
    char calls[800];
    record->chain = loom_plan_node(session->plan, step->node)->position.calls;
    if (record->chain == 0) return;
    loom_describe_calls(session->plan, record->chain, calls, sizeof calls);
    size_t used = strlen(error->message);
    snprintf(error->message + used, sizeof error->message - used, " (%s)", calls);
}

loom_status loom_report_calls(const loom_plan *plan, loom_failure *failure, loom_arena *arena) {
    size_t count = count_calls(plan, failure->chain);
    if (count > LISTED_MAX) count = LISTED_MAX;
    loom_call_site *sites = loom_arena_array(arena, count, sizeof *sites);
    if (!sites) return LOOM_NO_MEMORY;
    uint32_t calls = failure->chain;
    for (size_t i = 0; i < count && loom_plan_call_site(plan, calls, &sites[i]); i++) {
        loom_call_site *site = &sites[i];
        calls = site->position.calls;
        site->function = loom_arena_text(arena, site->function, strlen(site->function));
        site->position.file = loom_arena_text(arena, site->position.file, strlen(site->position.file));
        if (!site->function || !site->position.file) return LOOM_NO_MEMORY;
    }
    failure->calls = sites;
    failure->call_count = count;
    return LOOM_OK;
}
