/* preview.c - see preview.h. */
#include "runtime/coordinator/preview.h"

#include <stdlib.h>
#include <string.h>

#include "io/volume.h"
#include "runtime/coordinator/session.h"
#include "runtime/inputs.h"
#include "runtime/store_settings.h"

struct loom_preview {
    loom_session session;
    loom_run_options options;
    loom_config config;
    bool has_store;
    char unread[256]; /* an input file whose hash the store does not remember; "" if it does of all */
    uint8_t *wanted;  /* per step: it would run */
    uint32_t wanted_capacity;
    uint32_t *stack;
    size_t depth, stack_capacity;
};

static loom_status no_memory(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while planning; close other programs");
}

/* ---- what would run ---- */

static loom_status push(loom_preview *preview, uint32_t step) {
    if (preview->depth == preview->stack_capacity) {
        size_t capacity = preview->stack_capacity ? preview->stack_capacity * 2 : 256;
        uint32_t *grown = realloc(preview->stack, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        preview->stack = grown;
        preview->stack_capacity = capacity;
    }
    preview->stack[preview->depth++] = step;
    return LOOM_OK;
}

static loom_status make_room(loom_preview *preview) {
    uint32_t capacity = preview->session.graph.step_capacity;
    if (capacity <= preview->wanted_capacity) return LOOM_OK;
    uint8_t *grown = realloc(preview->wanted, capacity);
    if (!grown) return LOOM_NO_MEMORY;
    memset(grown + preview->wanted_capacity, 0, capacity - preview->wanted_capacity);
    preview->wanted = grown;
    preview->wanted_capacity = capacity;
    return LOOM_OK;
}

/* As submit.c goes: a step, and every argument that is not known. */
static loom_status want_all(loom_preview *preview) {
    loom_graph_run *graph = &preview->session.graph;
    while (preview->depth > 0) {
        uint32_t index = loom_graph_resolve(graph, preview->stack[--preview->depth]);
        loom_step *step = &graph->steps[index];
        if (preview->wanted[index] || step->state == LOOM_STEP_DONE || step->state == LOOM_STEP_FAILED) continue;
        preview->wanted[index] = step->demanded = true;
        for (uint32_t i = 0; i < step->argument_count; i++)
            LOOM_TRY(push(preview, step->arguments[i]));
    }
    return LOOM_OK;
}

loom_status loom_preview_want(loom_preview *preview, uint32_t step, loom_error *err) {
    bool done = make_room(preview) == LOOM_OK && push(preview, step) == LOOM_OK && want_all(preview) == LOOM_OK;
    return done ? LOOM_OK : no_memory(err);
}

loom_status loom_preview_hash(loom_preview *preview, const char *path, bool input, loom_id *content, loom_error *err) {
    uint64_t bytes;
    loom_status status = loom_file_hash(path, content, &bytes, err);
    if (status == LOOM_OK && input && !preview->unread[0])
        snprintf(preview->unread, sizeof preview->unread, "%s", path);
    return status;
}

const char *loom_preview_unread_input(const loom_preview *preview) {
    bool matters = preview->has_store && preview->config.store.persist != LOOM_PERSIST_ALL;
    return matters && preview->unread[0] ? preview->unread : NULL;
}

/* ---- opening ---- */

/* Never makes a store: one that does not exist is played by an empty one in memory. */
static loom_status find_store(loom_preview *preview, loom_error *err) {
    const loom_store_access access = {.read_only = true};
    loom_store *store;
    loom_error cause = {0};
    if (strcmp(preview->config.store.path, ":memory:") == 0) return LOOM_OK;
    loom_status status = loom_store_open_configured(&preview->config, &access, &store, &cause);
    preview->has_store = status == LOOM_OK;
    if (status == LOOM_OK) {
        loom_store_close(store);
        return LOOM_OK;
    }
    if (status != LOOM_NOT_FOUND) {
        if (err) *err = cause;
        return status;
    }
    memcpy(preview->config.store.path, ":memory:", sizeof ":memory:");
    preview->config.store.key[0] = '\0';
    return LOOM_OK;
}

/* The file of a saved image is an effect, with a step of its own; goals.c makes it when the image is known. */
static loom_status add_writing(loom_session *session, size_t index, loom_error *err) {
    loom_goal_state *goal = &session->goals[index];
    const loom_goal *asked = loom_plan_goal(session->plan, index);
    if (goal->stage != LOOM_GOAL_VALUE || asked->kind != LOOM_GOAL_SAVE || !loom_volume_can_write(asked->name))
        return LOOM_OK;
    uint32_t value = loom_graph_resolve(&session->graph, goal->step);
    if (session->graph.steps[value].op && !loom_step_is_image(session, value)) return LOOM_OK;
    loom_value path = loom_string_of(asked->name);
    loom_node_index node;
    uint32_t arguments[2] = {goal->step, LOOM_STEP_NONE};
    LOOM_TRY(loom_plan_constant(session->plan, &path, &node, err));
    LOOM_TRY(loom_lower(session, node, LOOM_STEP_NONE, &arguments[1], err));
    LOOM_TRY(loom_lower_internal(session, "loom.save", arguments, 2, asked->node, &goal->write, err));
    goal->stage = LOOM_GOAL_WRITING;
    LOOM_TRY(loom_demand(session, goal->write, err));
    return loom_work_drain(session, err);
}

static loom_status settle(loom_preview *preview, loom_error *err) {
    loom_session *session = &preview->session;
    session->costs = loom_costs_new(session->operators);
    if (!session->costs) return no_memory(err);
    loom_costs_load(session->costs, session->store);
    LOOM_TRY(loom_goals_start(session, err));
    LOOM_TRY(loom_work_drain(session, err));
    for (size_t i = 0; i < loom_plan_goal_count(session->plan); i++)
        LOOM_TRY(add_writing(session, i, err));
    return make_room(preview) == LOOM_OK ? LOOM_OK : no_memory(err);
}

loom_status loom_preview_open(const loom_run_options *options, loom_preview **preview, loom_error *err) {
    *preview = NULL;
    loom_preview *made = calloc(1, sizeof *made);
    if (!made) return no_memory(err);
    made->options = *options;
    made->config = *options->config;
    made->options.config = &made->config;
    loom_status status = find_store(made, err);
    if (status == LOOM_OK) {
        status = loom_session_open(&made->session, &made->options, made, err);
        if (status == LOOM_OK) status = settle(made, err);
        if (status != LOOM_OK) loom_session_close(&made->session);
    }
    if (status == LOOM_OK) {
        *preview = made;
        return LOOM_OK;
    }
    free(made->wanted);
    free(made->stack);
    free(made);
    return status;
}

void loom_preview_close(loom_preview *preview) {
    if (!preview) return;
    loom_session_close(&preview->session);
    free(preview->wanted);
    free(preview->stack);
    free(preview);
}

/* ---- looking ---- */

struct loom_session *loom_preview_session(loom_preview *preview) {
    return &preview->session;
}

bool loom_preview_has_store(const loom_preview *preview) {
    return preview->has_store;
}

uint32_t loom_preview_step_count(const loom_preview *preview) {
    return preview->session.graph.step_count;
}

loom_fate loom_preview_fate(const loom_preview *preview, uint32_t index) {
    index = loom_graph_resolve(&preview->session.graph, index);
    const loom_step *step = &preview->session.graph.steps[index];
    switch (step->state) {
    case LOOM_STEP_DONE:
        return step->op ? LOOM_FATE_STORED : LOOM_FATE_KNOWN;
    case LOOM_STEP_FAILED:
        return LOOM_FATE_FAILS;
    case LOOM_STEP_PENDING:
    case LOOM_STEP_WAITING:
        return LOOM_FATE_LATER;
    default:
        break;
    }
    if (index >= preview->wanted_capacity || !preview->wanted[index]) return LOOM_FATE_UNUSED;
    return step->has_rkey ? LOOM_FATE_RUNS : LOOM_FATE_MAY_RUN;
}

bool loom_preview_step_of(loom_preview *preview, uint32_t index, loom_preview_step *seen) {
    loom_session *session = &preview->session;
    const loom_step *step = &session->graph.steps[index];
    *seen = (loom_preview_step){.fate = loom_preview_fate(preview, index), .op = step->op ? step->op->name : ""};
    if (step->alias != LOOM_STEP_NONE || seen->fate == LOOM_FATE_KNOWN) return false;
    loom_node_index named = step->node != LOOM_NODE_NONE ? step->node : step->blame;
    if (step->node != LOOM_NODE_NONE) seen->node = loom_plan_node(session->plan, step->node)->id;
    if (named != LOOM_NODE_NONE) {
        const loom_node *node = loom_plan_node(session->plan, named);
        seen->file = node->position.file;
        seen->line = node->position.line;
        seen->column = node->position.column;
        if (!step->op && node->op) seen->op = node->op->name;
    }
    if (!step->op) return true;
    seen->cost_ns = loom_step_cost_ns(session, index);
    seen->bytes = loom_step_bytes(session, index);
    return true;
}

size_t loom_preview_goal_count(const loom_preview *preview) {
    return loom_plan_goal_count(preview->session.plan);
}

void loom_preview_goal_of(loom_preview *preview, size_t index, loom_preview_goal *goal) {
    loom_session *session = &preview->session;
    const loom_goal *asked = loom_plan_goal(session->plan, index);
    const loom_goal_state *state = &session->goals[index];
    *goal = (loom_preview_goal){.operation = asked->kind == LOOM_GOAL_PRINT ? "print" : "save",
                                .name = asked->name,
                                .step = LOOM_STEP_NONE,
                                .fate = LOOM_FATE_FAILS};
    if (state->stage == LOOM_GOAL_FAILED) {
        goal->error = session->failures[state->failure].error;
        return;
    }
    goal->step = loom_graph_resolve(&session->graph, state->step);
    goal->fate = loom_preview_fate(preview, goal->step);
    if (goal->fate == LOOM_FATE_FAILS) goal->error = session->failures[session->graph.steps[goal->step].failure].error;
    if (state->write != LOOM_STEP_NONE) {
        loom_fate write = loom_preview_fate(preview, state->write);
        goal->writes = write != LOOM_FATE_STORED;
        goal->writes_known = write == LOOM_FATE_STORED || write == LOOM_FATE_RUNS;
    }
}

loom_status loom_preview_find(loom_preview *preview, loom_node_index node, uint32_t *step, loom_error *err) {
    loom_session *session = &preview->session;
    loom_graph_run *graph = &session->graph;
    uint32_t found = LOOM_STEP_NONE;
    for (uint32_t i = 0; i < graph->step_count; i++) {
        if (graph->steps[i].node != node) continue;
        uint32_t here = loom_graph_resolve(graph, i);
        /* One that would run says more than one that would not. */
        if (found == LOOM_STEP_NONE || loom_preview_fate(preview, here) == LOOM_FATE_RUNS) found = here;
    }
    if (found == LOOM_STEP_NONE) {
        LOOM_TRY(loom_lower(session, node, LOOM_STEP_NONE, &found, err));
        LOOM_TRY(loom_work_drain(session, err));
        if (make_room(preview) != LOOM_OK) return no_memory(err);
    }
    *step = loom_graph_resolve(graph, found);
    return LOOM_OK;
}
