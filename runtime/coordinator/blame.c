/* Which item of a loop failed: the program names the loop, but only the run knows that it was item 3, the file
 * case_003.nii.gz. */
#include <string.h>

#include "runtime/coordinator/loop.h"
#include "runtime/text.h"

#define NAMED_MAX 100 /* failures beyond are counted, not read */
#define ABOVE_MAX 64  /* steps looked at above one that has failed already */

static bool is_loop(const loom_node *node) {
    return node->op && (strcmp(node->op->name, "default.for_loop") == 0 || strcmp(node->op->name, "default.map") == 0);
}

/* The element that an item of a short loop was made from; NULL if it has none, or one that is no constant. */
static const loom_value *element_of(const loom_session *session, const loom_node *loop, uint32_t context,
                                    uint32_t position) {
    loom_items elements;
    if (!loom_items_known(session, loop->arguments[0], context, &elements) || position >= elements.count) return NULL;
    const loom_node *element = loom_plan_node(session->plan, elements.nodes[position]);
    return element->kind == LOOM_NODE_CONSTANT ? &element->value : NULL;
}

/* An element as text: "" if there is none that is short. */
static void describe_element(const loom_value *element, char *text, size_t capacity) {
    loom_buffer written = {0};
    text[0] = '\0';
    if (!element || loom_value_repr(element, &written) != LOOM_OK) return;
    if (written.length + 3 < capacity)
        snprintf(text, capacity, ", %.*s", (int)written.length, (const char *)written.bytes);
    loom_buffer_free(&written);
}

void loom_blame_item(loom_session *session, uint32_t failure, uint32_t index, uint32_t user) {
    const loom_step *gather = &session->graph.steps[user];
    loom_node_index named = gather->node != LOOM_NODE_NONE ? gather->node : gather->blame;
    if (failure >= NAMED_MAX || !gather->op || strcmp(gather->op->name, "default.sequence") != 0) return;
    if (named == LOOM_NODE_NONE || (gather->argument_count == LOOM_ARGUMENTS_MAX && !gather->window))
        return; /* a part of a longer loop */
    const loom_node *loop = loom_plan_node(session->plan, named);
    char element[160], place[300], note[500];
    loom_error *error = &session->failures[failure].error;
    if (!is_loop(loop) && !gather->window) return; /* a filter's items are conditions, in a window */
    snprintf(place, sizeof place, " of the loop at %s:%u:%u)", loop->position.file ? loop->position.file : "the plan",
             loop->position.line, loop->position.column);
    if (strstr(error->message, place)) return; /* one is enough, of what all of them use too */
    for (uint32_t i = 0; i < gather->argument_count; i++) {
        if (loom_graph_resolve(&session->graph, gather->arguments[i]) != index) continue;
        uint64_t item = i;
        const loom_value *from;
        if (!loom_part_item(session, user, i, &item, &from)) from = element_of(session, loop, gather->context, i);
        describe_element(from, element, sizeof element);
        snprintf(note, sizeof note, " (item %llu%s,%s", (unsigned long long)item, element, place);
        size_t used = strlen(error->message);
        snprintf(error->message + used, sizeof error->message - used, "%s", note);
        session->failures[failure].names_item = true;
        return;
    }
}

/* One way up, not all: there may be many, and each tells something that is true. */
void loom_blame_items_above(loom_session *session, uint32_t failure, uint32_t step) {
    const loom_graph_run *graph = &session->graph;
    if (failure >= NAMED_MAX || session->failures[failure].names_item) return;
    for (int above = 0; above < ABOVE_MAX && graph->steps[step].users; above++) {
        uint32_t user = graph->links[graph->steps[step].users].user;
        loom_blame_item(session, failure, step, user);
        step = user;
    }
}
