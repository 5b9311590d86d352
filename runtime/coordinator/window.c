/* A window of a long loop: its items are made from the body, settled at once, and gathered; when the part that gathers
 * them is known and none of them runs any more, their steps are given back. */
#include "runtime/coordinator/window.h"

#include <stdlib.h>
#include <string.h>

static loom_status no_memory(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while going through a loop; close other programs");
}

/* ---- making items ---- */

static loom_status decode_elements(const loom_loop *loop, loom_window *window, loom_error *err) {
    size_t first = loop->offsets[window->number], end = loop->offsets[window->number + 1];
    loom_value elements;
    LOOM_TRY(loom_value_decode(loop->elements.bytes + first, end - first, window->arena, &elements, err));
    window->elements = elements.sequence.items;
    return LOOM_OK;
}

/* An element is a constant that only its window knows, or refers to an image in the store. */
static loom_status add_element(loom_session *session, const loom_body *body, uint32_t number, const loom_value *element,
                               uint32_t *step) {
    loom_graph_run *graph = &session->graph;
    loom_window *window = &session->loops->windows[number];
    bool reference = element->type == LOOM_REFERENCE;
    loom_id vid = {0};
    if (reference)
        vid = element->reference.vid;
    else
        LOOM_TRY(loom_value_id(element, &vid));
    if (body->heavy) {
        LOOM_TRY(loom_window_find_element(session, number, &vid, step));
        if (*step != LOOM_STEP_NONE) return LOOM_OK;
    }
    LOOM_TRY(loom_graph_add_borrowing(graph, NULL, NULL, 0, step));
    loom_step *added = &graph->steps[*step];
    added->constant = reference ? NULL : element;
    added->state = LOOM_STEP_DONE;
    added->type = (uint8_t)(reference ? element->reference.type : element->type);
    added->unnamed = added->has_vid = true;
    added->vid = vid;
    if (reference) added->rkey = vid;
    added->has_rkey = added->stored = reference;
    window->steps[window->step_count++] = *step;
    return body->heavy ? loom_window_offer(session, number, *step) : LOOM_OK;
}

/* A step hears of its arguments' failures. Outer ones, which would hear of every item, tell the loop instead. */
static loom_status hear_of_failures(loom_session *session, uint32_t step, const uint32_t *operands) {
    loom_graph_run *graph = &session->graph;
    for (uint32_t i = 0; i < graph->steps[step].argument_count; i++) {
        uint32_t argument = graph->steps[step].arguments[i];
        if (operands && operands[i] & LOOM_BODY_OUTER) continue;
        if (graph->steps[argument].state < LOOM_STEP_DONE)
            LOOM_TRY(loom_graph_link(graph, argument, step, LOOM_EVENT_FAILURE));
    }
    return LOOM_OK;
}

/* The operands of a step in one item. */
static void bind(const loom_session *session, const loom_body *body, const loom_body_step *made, const uint32_t *slots,
                 uint32_t *arguments) {
    for (uint32_t i = 0; i < made->count; i++) {
        uint32_t operand = body->operands[made->first + i];
        arguments[i] = operand & LOOM_BODY_OUTER
                           ? loom_graph_resolve(&session->graph, body->outer[operand & ~LOOM_BODY_OUTER])
                           : slots[operand];
    }
}

/* Results of heavy bodies are held until all that use them have ended; others cost little to look up or make again. */
static loom_status make_step(loom_session *session, const loom_body *body, const loom_body_step *made, uint32_t number,
                             uint32_t *arguments, uint32_t *step) {
    loom_graph_run *graph = &session->graph;
    loom_window *window = &session->loops->windows[number];
    LOOM_TRY(loom_graph_add_borrowing(graph, made->op, arguments, made->count, step));
    graph->steps[*step].node = made->node;
    graph->steps[*step].blame = made->blame;
    graph->steps[*step].unnamed = true;
    window->steps[window->step_count++] = *step;
    LOOM_TRY(hear_of_failures(session, *step, body->operands + made->first));
    if (!body->heavy) return LOOM_OK;
    LOOM_TRY(loom_window_offer(session, number, *step));
    return loom_step_uses(session, *step);
}

static loom_status make_item(loom_session *session, const loom_body *body, uint32_t number, uint32_t *slots,
                             uint32_t *arguments, loom_error *err) {
    for (uint32_t i = 0; i < body->step_count; i++) {
        const loom_body_step *made = &body->steps[i];
        uint32_t *step = &slots[i + 1];
        bind(session, body, made, slots, arguments);
        *step = LOOM_STEP_NONE;
        if (body->heavy && loom_window_find(session, number, made, arguments, step) != LOOM_OK) return no_memory(err);
        if (*step != LOOM_STEP_NONE) continue;
        if (make_step(session, body, made, number, arguments, step) != LOOM_OK) return no_memory(err);
        LOOM_TRY(loom_settle(session, *step, err));
        arguments += made->count;
    }
    return LOOM_OK;
}

static loom_status make_items(loom_session *session, const loom_loop *loop, uint32_t number, uint32_t *results,
                              loom_error *err) {
    const loom_body *body = &loop->body;
    loom_window *window = &session->loops->windows[number];
    uint32_t count = loom_loop_window_items(loop, window->number), per_item = body->step_count + body->uses_element;
    uint32_t *slots = loom_arena_array(window->arena, (size_t)body->step_count + 1, sizeof *slots);
    uint32_t *arguments = loom_arena_array(window->arena, (size_t)count * body->operand_count, sizeof *arguments);
    window->steps = loom_arena_array(window->arena, (size_t)count * per_item, sizeof *window->steps);
    if (!slots || !arguments || !window->steps) return no_memory(err);
    for (uint32_t i = 0; i < count; i++) {
        if (body->uses_element && add_element(session, body, number, &window->elements[i], &slots[0]) != LOOM_OK)
            return no_memory(err);
        LOOM_TRY(make_item(session, body, number, slots, arguments + (size_t)i * body->operand_count, err));
        results[i] = body->result & LOOM_BODY_OUTER
                         ? loom_graph_resolve(&session->graph, body->outer[body->result & ~LOOM_BODY_OUTER])
                         : slots[body->result];
    }
    return LOOM_OK;
}

/* ---- opening ---- */

static loom_status add_window(loom_loops *loops, uint32_t loop, uint32_t number, uint32_t *added) {
    if (loops->window_count == loops->window_capacity) {
        uint32_t capacity = loops->window_capacity ? loops->window_capacity * 2 : 16;
        loom_window *grown = realloc(loops->windows, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        loops->windows = grown;
        loops->window_capacity = capacity;
        if (loops->window_count == 0) loops->windows[loops->window_count++] = (loom_window){.part = LOOM_STEP_NONE};
    }
    *added = loops->window_count++;
    loops->windows[*added] = (loom_window){.loop = loop, .number = number, .part = LOOM_STEP_NONE};
    return LOOM_OK;
}

static loom_status note_open(loom_loops *loops, uint32_t window) {
    if (loops->open_count == loops->open_capacity) {
        uint32_t capacity = loops->open_capacity ? loops->open_capacity * 2 : 16;
        uint32_t *grown = realloc(loops->open, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        loops->open = grown;
        loops->open_capacity = capacity;
    }
    loops->open[loops->open_count++] = window;
    return LOOM_OK;
}

/* The items of a window that is closed, as arguments of its part, which is made if there is none yet. */
static loom_status fill_window(loom_session *session, uint32_t number, loom_error *err) {
    loom_loops *loops = session->loops;
    loom_window *window = &loops->windows[number];
    const loom_loop *loop = &loops->loops[window->loop];
    window->arena = loom_arena_new();
    window->step_count = window->ended = 0;
    window->failed = false;
    uint32_t count = loom_loop_window_items(loop, window->number);
    uint32_t *results = window->arena ? loom_arena_array(window->arena, count, sizeof *results) : NULL;
    if (!results || note_open(loops, number) != LOOM_OK) return no_memory(err);
    LOOM_TRY(decode_elements(loop, window, err));
    LOOM_TRY(make_items(session, loop, number, results, err));
    loops->open_windows++;
    loops->open_steps += window->step_count;
    if (window->part == LOOM_STEP_NONE) {
        const char *name = "default.sequence";
        const loom_operator *op = loom_operator_find(session->operators, name, strlen(name));
        if (!op) return loom_fail(err, LOOM_INTERNAL, "the operator %s is missing from this build", name);
        if (loom_graph_add_borrowing(&session->graph, op, NULL, 0, &window->part) != LOOM_OK) return no_memory(err);
        session->graph.steps[window->part].blame = loop->node;
        session->graph.steps[window->part].window = number;
        session->graph.steps[window->part].kept = true; /* the loop gathers it, or a fold goes on from it */
    }
    loom_step *part = &session->graph.steps[window->part];
    part->arguments = results;
    part->argument_count = count;
    part->uses = false; /* these are not counted yet */
    return hear_of_failures(session, window->part, NULL) == LOOM_OK ? LOOM_OK : no_memory(err);
}

/* What can be keyed needs no value: whoever needs it will ask. What cannot must be computed, for the sequence to have a
 * key. */
loom_status loom_settle_and_demand(loom_session *session, uint32_t index, loom_error *err) {
    LOOM_TRY(loom_settle(session, index, err));
    const loom_step *step = &session->graph.steps[index];
    return step->state == LOOM_STEP_SETTLED && !step->has_vid ? loom_demand(session, index, err) : LOOM_OK;
}

loom_status loom_window_open(loom_session *session, uint32_t loop, uint32_t number, loom_error *err) {
    uint32_t window;
    if (add_window(session->loops, loop, number, &window) != LOOM_OK) return no_memory(err);
    LOOM_TRY(fill_window(session, window, err));
    uint32_t part = session->loops->windows[window].part;
    session->loops->loops[loop].parts[number] = part;
    LOOM_TRY(loom_settle_and_demand(session, part, err));
    bool filters = session->loops->loops[loop].filters;
    if (filters) LOOM_TRY(loom_demand(session, part, err));
    uint8_t state = session->graph.steps[part].state;
    if (!filters && state == LOOM_STEP_SETTLED && session->graph.steps[part].has_vid)
        return loom_window_close(session, window);
    session->windows_over |= state >= LOOM_STEP_DONE;
    return LOOM_OK;
}

loom_status loom_part_reopen(loom_session *session, uint32_t part, loom_error *err) {
    uint32_t number = session->graph.steps[part].window;
    if (!number) return LOOM_OK;
    session->loops->windows[number].ended = 0;
    return session->loops->windows[number].arena ? LOOM_OK : fill_window(session, number, err);
}

/* ---- closing ---- */

/* None of its steps is a task that somebody still runs, stores or reads. Items that the part refers to keep theirs. */
static bool has_ended(const loom_session *session, loom_window *window) {
    bool heavy = session->loops->loops[window->loop].body.heavy;
    const loom_step *part = &session->graph.steps[window->part];
    if (part->state == LOOM_STEP_DONE && part->uses && part->queued_commits) return false;
    if (window->lent) return false;
    for (; window->ended < window->step_count; window->ended++) {
        const loom_step *step = &session->graph.steps[window->steps[window->ended]];
        if (step->state == LOOM_STEP_TASK || step->queued_commits || step->late) return false;
        if (step->state == LOOM_STEP_SETTLED && step->demanded) return false; /* it is about to be submitted */
        if (step->task == LOOM_TASK_NONE || part->uses || step->kept || heavy) continue;
        if (loom_segment_task(session->segment, step->task)->bulk.bytes == 0) return false;
    }
    return true;
}

/* What was never asked for has not ended: now it does, and lets its arguments go. */
static loom_status end_all(loom_session *session, const loom_window *window) {
    for (uint32_t i = 0; i < window->step_count; i++)
        if (session->graph.steps[window->steps[i]].uses) LOOM_TRY(loom_step_ends(session, window->steps[i]));
    return LOOM_OK;
}

/* Bytes that the part refers to are held to the end of the run, like those of any sequence's items. */
static loom_status give_back(loom_session *session, uint32_t index) {
    loom_hold hold = {.pin = session->graph.steps[index].hold};
    session->graph.steps[index].hold = 0;
    loom_status status = loom_keep_hold(session, hold);
    loom_brake_forget(session, index);
    loom_graph_give_back(&session->graph, index);
    return status;
}

loom_status loom_window_close(loom_session *session, uint32_t number) {
    loom_loops *loops = session->loops;
    loom_window *window = &loops->windows[number];
    loom_step *part = &session->graph.steps[window->part];
    loom_status status = end_all(session, window);
    loom_window_return(session, number);
    part->arguments = NULL;
    part->argument_count = 0;
    part->uses = false;
    if (!window->failed) {
        loops->open_windows--;
        loops->open_steps -= window->step_count;
    }
    for (uint32_t i = 0; i < window->step_count; i++) {
        loom_status given = give_back(session, window->steps[i]);
        if (status == LOOM_OK) status = given;
    }
    loom_submission_forget(session);
    loom_arena_free(window->arena);
    window->arena = NULL;
    window->step_count = 0;
    for (uint32_t i = 0; i < loops->open_count; i++)
        if (loops->open[i] == number) loops->open[i--] = loops->open[--loops->open_count];
    return status;
}

/* Items whose outer values failed never run. */
static loom_status skip_hopeless(loom_session *session, const loom_window *window) {
    for (uint32_t i = 0; i < window->step_count; i++) {
        const loom_step *step = &session->graph.steps[window->steps[i]];
        for (uint32_t a = 0; a < step->argument_count && step->state < LOOM_STEP_DONE; a++) {
            const loom_step *argument = &session->graph.steps[step->arguments[a]];
            if (argument->state != LOOM_STEP_FAILED) continue;
            LOOM_TRY(loom_step_skipped(session, window->steps[i], argument->failure));
            break;
        }
    }
    return LOOM_OK;
}

/* One item is enough for the loop to fail; the others of all windows are computed all the same. */
static loom_status note_failure(loom_session *session, loom_window *window) {
    loom_loops *loops = session->loops;
    const loom_loop *loop = &loops->loops[window->loop];
    uint32_t failure = session->graph.steps[window->part].failure;
    window->failed = true;
    loops->open_windows--;
    loops->open_steps -= window->step_count;
    LOOM_TRY(loom_step_skipped(session, loop->step, failure));
    return loom_folds_fail(session, loop, failure);
}

static loom_status review(loom_session *session, uint32_t number, loom_error *err) {
    loom_window *window = &session->loops->windows[number];
    loom_loop *loop = &session->loops->loops[window->loop];
    for (uint32_t i = 0; i < loop->body.outer_count; i++) {
        uint32_t outer = loom_graph_resolve(&session->graph, loop->body.outer[i]);
        if (session->graph.steps[outer].state != LOOM_STEP_FAILED) continue;
        LOOM_TRY(skip_hopeless(session, window));
        break;
    }
    uint8_t state = session->graph.steps[window->part].state;
    if (state < LOOM_STEP_DONE) return LOOM_OK;
    if (state == LOOM_STEP_FAILED && !window->failed) LOOM_TRY(note_failure(session, window));
    if (state == LOOM_STEP_DONE && loop->filters && !window->read) {
        LOOM_TRY(loom_filter_read(session, loop, window, err));
        if (!window->read) return LOOM_OK;
        if (loop->read == loop->window_count) LOOM_TRY(loom_filter_finish(session, window->loop, err));
    }
    if (has_ended(session, window)) return loom_window_close(session, number);
    session->windows_over = true; /* the part's completion came before that of its last items: look again */
    return LOOM_OK;
}

loom_status loom_windows_review(loom_session *session, loom_error *err) {
    loom_loops *loops = session->loops;
    for (uint32_t i = loops->open_count; i-- > 0;) {
        loom_status status = review(session, loops->open[i], err);
        if (status != LOOM_OK) return err->status != LOOM_OK ? status : no_memory(err);
    }
    return LOOM_OK;
}

bool loom_part_item(const loom_session *session, uint32_t part, uint32_t position, uint64_t *item,
                    const loom_value **element) {
    uint32_t number = session->graph.steps[part].window;
    if (!number || !session->loops->windows[number].arena) return false;
    const loom_window *window = &session->loops->windows[number];
    *item = (uint64_t)window->number * LOOM_WINDOW_ITEMS + position;
    *element = window->elements ? &window->elements[position] : NULL;
    return true;
}
