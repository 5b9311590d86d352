/* Steps become tasks in the shared segment, arguments first. What is stored or constant becomes a task that is born
 * done. */
#include <stdlib.h>
#include <string.h>

#include "io/ring.h"
#include "runtime/coordinator/session.h"

#define NESTING_MAX 4 /* of sequences within a sequence; as deep as a worker looks for an item */

#define TOPOLOGY_KEY "topology"

/* The machine's cores and NUMA domains, from the store's cache when it still fits: asking hwloc takes tens of
 * milliseconds. */
static loom_status load_topology(loom_session *session, loom_topology *topology, loom_error *err) {
    const void *cached = NULL;
    size_t length = 0;
    bool discovered;
    uint8_t bytes[LOOM_TOPOLOGY_BYTES_MAX];
    loom_arena_reset(session->scratch);
    if (loom_store_get_meta(session->store, TOPOLOGY_KEY, session->scratch, &cached, &length, NULL) != LOOM_OK)
        length = 0;
    LOOM_TRY(loom_topology_load(cached, length, topology, &discovered, err));
    length = discovered ? loom_topology_export(topology, bytes, sizeof bytes) : 0;
    if (!length) return LOOM_OK;
    loom_batch *batch;
    LOOM_TRY(loom_store_begin(session->store, &batch, err));
    loom_status status = loom_batch_put_meta(batch, TOPOLOGY_KEY, bytes, length, err);
    if (status == LOOM_OK) return loom_batch_commit(batch, err);
    loom_batch_abort(batch);
    return status;
}

/* What is planned so far is placed on the NUMA domains, in proportion to their workers. */
static loom_status place(loom_session *session, const loom_topology *topology, loom_error *err) {
    uint32_t share[LOOM_TOPOLOGY_DOMAINS_MAX] = {0};
    for (uint32_t i = 0; i < session->workers; i++)
        share[loom_topology_domain(topology, i)]++;
    return loom_place(session, topology->domains, share, err);
}

/* Workers open rings of their own; opening one here tells which kind they will get, and why. */
static loom_status choose_ring(loom_session *session, loom_error *err) {
    loom_ring *ring;
    char reason[160] = "", line[256];
    LOOM_TRY(loom_ring_open(session->config->io.ring, (unsigned)session->config->io.depth, &ring, reason, err));
    session->ring = loom_ring_kind_of(ring) == LOOM_RING_URING ? "io_uring" : "posix";
    loom_ring_close(ring);
    if (!reason[0] || !session->options->notice) return LOOM_OK;
    snprintf(line, sizeof line, "writing without io_uring: %s", reason);
    session->options->notice(line, session->options->context);
    return LOOM_OK;
}

loom_status loom_engage(loom_session *session, loom_error *err) {
    if (session->crew) return LOOM_OK;
    const loom_config *config = session->config;
    loom_topology *topology = loom_arena_alloc(session->arena, sizeof *topology);
    if (!topology) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while starting workers");
    LOOM_TRY(load_topology(session, topology, err));
    LOOM_TRY(place(session, topology, err));
    loom_segment_options segment = {.workers = session->workers,
                                    .tasks_max = (uint32_t)config->memory.tasks_max,
                                    .heap_bytes = config->memory.segment_bytes,
                                    .deaths_max = (uint32_t)config->workers.deaths_max};
    LOOM_TRY(choose_ring(session, err));
    loom_operator_table_signature(session->operators, segment.table_signature);
    if (!session->segment) LOOM_TRY(loom_segment_create(&segment, &session->segment, err));
    if (!session->committer)
        LOOM_TRY(loom_committer_start(session->store, session->segment, session->operators, config, &session->committer,
                                      err));
    loom_crew_options crew = {.program = session->options->worker_program,
                              .config = config,
                              .store = session->store,
                              .segment = session->segment,
                              .workers = session->workers,
                              .topology = topology};
    return loom_crew_start(&crew, &session->crew, err);
}

static loom_status no_room(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY,
                     "the shared segment is full; raise memory.segment or memory.tasks_max (voxloom config show)");
}

/* Writes an encoded value into a task: inline when it fits. */
static loom_status put_payload(loom_segment *segment, loom_task *task, const void *bytes, size_t length) {
    if (length >= 1 && length <= sizeof task->inline_payload) {
        memcpy(task->inline_payload, bytes, length);
        task->inline_bytes = (uint32_t)length;
        return LOOM_OK;
    }
    task->payload = loom_segment_put(segment, bytes, length);
    return task->payload ? LOOM_OK : LOOM_NO_MEMORY;
}

static loom_status put_constant(loom_session *session, const loom_step *step, loom_task *task) {
    loom_buffer encoded = {0};
    loom_status status = loom_value_encode(&loom_plan_node(session->plan, step->node)->value, &encoded);
    if (status == LOOM_OK) status = put_payload(session->segment, task, encoded.bytes, encoded.length);
    loom_buffer_free(&encoded);
    task->origin = LOOM_ORIGIN_CONSTANT;
    return status;
}

static loom_status put_stored(loom_session *session, const loom_result *result, loom_task *task) {
    task->origin = LOOM_ORIGIN_STORED;
    task->bulk = result->bulk;
    memcpy(task->root, result->root, sizeof task->root);
    if (result->blob) task->flags |= LOOM_TASK_BLOB;
    size_t hashes = loom_extent_block_count(result->bulk.bytes) * sizeof *result->block_hashes;
    if (hashes) {
        task->hashes = loom_segment_alloc(session->segment, hashes);
        if (!task->hashes) return LOOM_NO_MEMORY;
        memcpy(loom_segment_pointer(session->segment, task->hashes), result->block_hashes, hashes);
    }
    return result->payload_bytes ? put_payload(session->segment, task, result->payload, result->payload_bytes)
                                 : LOOM_OK;
}

/* The items of a stored sequence lie in the store themselves; if one is gone or damaged, the sequence must be gathered
 * again from items that are computed again. */
static loom_status verify_items(loom_session *session, const loom_value *sequence, int depth, loom_error *err) {
    for (size_t i = 0; i < sequence->sequence.count; i++) {
        const loom_value *item = &sequence->sequence.items[i];
        loom_result result;
        if (item->type == LOOM_SEQUENCE && depth > 0) LOOM_TRY(verify_items(session, item, depth - 1, err));
        if (item->type != LOOM_REFERENCE) continue;
        LOOM_TRY(loom_store_find_value(session->store, &item->reference.vid, session->scratch, &result, err));
        LOOM_TRY(loom_store_verify(session->store, &result, err));
    }
    return LOOM_OK;
}

static loom_status verify_stored(loom_session *session, uint32_t index, const loom_result *result, loom_error *err) {
    LOOM_TRY(loom_store_verify(session->store, result, err));
    if (result->type != LOOM_SEQUENCE) return LOOM_OK;
    loom_value sequence;
    LOOM_TRY(loom_step_value(session, index, session->scratch, &sequence, err));
    return sequence.type == LOOM_SEQUENCE ? verify_items(session, &sequence, NESTING_MAX, err) : LOOM_OK;
}

/* A task for a step that is done. LOOM_NOT_FOUND or LOOM_CORRUPT: the stored value is gone or damaged. */
static loom_status submit_done(loom_session *session, uint32_t index, loom_error *err) {
    loom_step *step = &session->graph.steps[index];
    loom_result result = {0};
    if (step->stored) {
        loom_arena_reset(session->scratch);
        LOOM_TRY(loom_step_find_stored(session, index, session->scratch, &result, err));
        LOOM_TRY(verify_stored(session, index, &result, err));
    }
    uint32_t number;
    LOOM_TRY(loom_task_create_done(session->segment, &number, err));
    loom_task *task = loom_segment_task(session->segment, number);
    task->cookie = index;
    task->type = step->type;
    task->rkey = step->rkey;
    task->vid = step->vid;
    task->operator_index = step->op ? (uint32_t)loom_operator_index(session->operators, step->op) : UINT32_MAX;
    loom_status status = step->stored ? put_stored(session, &result, task) : put_constant(session, step, task);
    if (status != LOOM_OK) return no_room(err);
    loom_task_publish_done(session->segment, number);
    step->task = number;
    return LOOM_OK;
}

static loom_status put_attributes(loom_session *session, uint32_t index, loom_task *task) {
    loom_buffer encoded = {0};
    loom_status status = loom_step_attributes(session, index, &encoded);
    if (status == LOOM_OK && encoded.length) {
        task->attributes = loom_segment_put(session->segment, encoded.bytes, encoded.length);
        if (!task->attributes) status = LOOM_NO_MEMORY;
    }
    loom_buffer_free(&encoded);
    return status;
}

static loom_status submit_task(loom_session *session, uint32_t index, loom_error *err) {
    loom_step *step = &session->graph.steps[index];
    loom_arena_reset(session->scratch);
    uint32_t *arguments = loom_arena_array(session->scratch, step->argument_count, sizeof *arguments);
    if (!arguments) return no_room(err);
    for (uint32_t i = 0; i < step->argument_count; i++)
        arguments[i] = session->graph.steps[loom_graph_resolve(&session->graph, step->arguments[i])].task;
    uint32_t number;
    LOOM_TRY(loom_task_create(session->segment, arguments, step->argument_count, &number, err));
    loom_task *task = loom_segment_task(session->segment, number);
    task->operator_index = (uint32_t)loom_operator_index(session->operators, step->op);
    task->cookie = index;
    task->domain = loom_session_domain(session, index);
    if (step->has_rkey) {
        task->rkey = step->rkey;
        task->flags |= LOOM_TASK_KEYED;
        if (!(step->op->flags & LOOM_OP_EFFECT)) task->flags |= LOOM_TASK_NO_LOOKUP; /* the store was asked already */
    }
    if (put_attributes(session, index, task) != LOOM_OK) return no_room(err);
    step->task = number;
    step->state = LOOM_STEP_TASK;
    session->in_flight++;
    return loom_task_submit(session->segment, number, err);
}

typedef struct step_stack {
    uint32_t *steps;
    size_t count, capacity;
} step_stack;

static loom_status push(step_stack *stack, uint32_t step) {
    if (stack->count == stack->capacity) {
        size_t capacity = stack->capacity ? stack->capacity * 2 : 64;
        uint32_t *grown = realloc(stack->steps, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        stack->steps = grown;
        stack->capacity = capacity;
    }
    stack->steps[stack->count++] = step;
    return LOOM_OK;
}

/* Pushes arguments that have no task yet. *failed is the failed argument, if any. */
static loom_status push_arguments(loom_session *session, uint32_t index, step_stack *stack, uint32_t *failed) {
    const loom_step *step = &session->graph.steps[index];
    for (uint32_t i = step->argument_count; i-- > 0;) {
        uint32_t argument = loom_graph_resolve(&session->graph, step->arguments[i]);
        if (session->graph.steps[argument].state == LOOM_STEP_FAILED) *failed = argument;
        if (session->graph.steps[argument].task != LOOM_TASK_NONE) continue;
        session->graph.steps[argument].demanded = true;
        LOOM_TRY(push(stack, argument));
    }
    return LOOM_OK;
}

/* One visit of a step on the stack: pops it once it has a task or cannot have one. */
static loom_status visit(loom_session *session, step_stack *stack, loom_error *err) {
    uint32_t index = stack->steps[stack->count - 1];
    loom_step *step = &session->graph.steps[index];
    if (step->task != LOOM_TASK_NONE || step->state == LOOM_STEP_FAILED) {
        stack->count--;
        return LOOM_OK;
    }
    if (step->state == LOOM_STEP_DONE) {
        loom_error cause = {0};
        loom_status status = submit_done(session, index, &cause);
        if (status == LOOM_NOT_FOUND || status == LOOM_CORRUPT) return loom_recompute(session, index, err);
        if (status != LOOM_OK && err) *err = cause;
        return status;
    }
    size_t before = stack->count;
    uint32_t failed = LOOM_STEP_NONE;
    if (push_arguments(session, index, stack, &failed) != LOOM_OK) return no_room(err);
    if (failed != LOOM_STEP_NONE) {
        stack->count = before;
        return loom_step_skipped(session, index, session->graph.steps[failed].failure);
    }
    return stack->count == before ? submit_task(session, index, err) : LOOM_OK;
}

loom_status loom_submit(loom_session *session, uint32_t index, loom_error *err) {
    LOOM_TRY(loom_engage(session, err));
    step_stack stack = {0};
    loom_status status = push(&stack, index);
    while (status == LOOM_OK && stack.count > 0)
        status = visit(session, &stack, err);
    free(stack.steps);
    return status;
}
