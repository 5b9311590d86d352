/* Settling: when all arguments of a step are settled, its key is computed if it can be, the store is asked, and the
 * step is either done (stored) or left to be computed on demand. Keys that depend on values not yet computed, or on
 * files not yet hashed, are found by the worker that runs the task. */
#include <stdlib.h>
#include <string.h>

#include "planner/key.h"
#include "runtime/coordinator/loop.h"
#include "runtime/inputs.h"
#include "runtime/kernels/kernel.h"

loom_status loom_work_add(loom_session *session, uint32_t step) {
    if (session->graph.steps[step].queued) return LOOM_OK;
    if (session->work_count == session->work_capacity) {
        uint32_t capacity = session->work_capacity ? session->work_capacity * 2 : 1024;
        uint32_t *grown = realloc(session->work, capacity * sizeof *grown);
        if (!grown) return LOOM_NO_MEMORY;
        session->work = grown;
        session->work_capacity = capacity;
    }
    session->graph.steps[step].queued = true;
    session->work[session->work_count++] = step;
    return LOOM_OK;
}

loom_status loom_announce(loom_session *session, uint32_t step, loom_event event) {
    loom_graph_run *graph = &session->graph;
    for (uint32_t link = graph->steps[step].users; link; link = graph->links[link].next) {
        if (graph->links[link].event != event) continue;
        loom_step *user = &graph->steps[graph->links[link].user];
        graph->links[link].event = LOOM_EVENT_FAILURE; /* once: it may happen again, if the step is computed again */
        if (user->waits > 0 && --user->waits == 0) LOOM_TRY(loom_work_add(session, graph->links[link].user));
    }
    return LOOM_OK;
}

/* ---- keys ---- */

static const loom_call_services no_services;

/* A run reads no file for its hash; a preview does. */
static loom_status file_hash(loom_session *session, const char *path, bool input, loom_id *content, loom_error *err) {
    loom_status status = loom_file_known_hash(session->store, path, content, err);
    if (status != LOOM_NOT_FOUND || !session->preview) return status;
    return loom_preview_hash(session->preview, path, input, content, err);
}

static loom_status hash_of_input(const char *path, loom_id *content, void *context, loom_error *err) {
    return file_hash(context, path, true, content, err);
}

static loom_status hash_of_output(const char *path, loom_id *content, void *context, loom_error *err) {
    return file_hash(context, path, false, content, err);
}

/* Hashes of what a file-reading step depends on, if they are known without reading; else not LOOM_OK. */
static loom_status known_inputs(loom_session *session, const loom_step *step, loom_key_parts *parts) {
    loom_arena *arena = session->scratch;
    loom_value *values = loom_arena_array(arena, step->argument_count, sizeof *values);
    if (!values) return LOOM_NO_MEMORY;
    for (uint32_t i = 0; i < step->argument_count; i++) {
        uint32_t argument = loom_graph_resolve(&session->graph, step->arguments[i]);
        if (session->graph.steps[argument].state != LOOM_STEP_DONE) return LOOM_NOT_FOUND;
        LOOM_TRY(loom_step_value(session, argument, arena, &values[i], NULL));
    }
    loom_error ignored = {0};
    loom_call call = {.op = step->op,
                      .arguments = values,
                      .argument_count = step->argument_count,
                      .services = &no_services,
                      .arena = arena,
                      .err = &ignored};
    return loom_key_inputs(&call, hash_of_input, session, parts);
}

/* Computes the key if everything in it is known. */
static loom_status find_key(loom_session *session, uint32_t index) {
    loom_step *step = &session->graph.steps[index];
    loom_id *vids = loom_arena_array(session->scratch, step->argument_count, sizeof *vids);
    if (!vids) return LOOM_NO_MEMORY;
    for (uint32_t i = 0; i < step->argument_count; i++) {
        const loom_step *argument = &session->graph.steps[loom_graph_resolve(&session->graph, step->arguments[i])];
        if (!argument->has_vid) return LOOM_OK;
        vids[i] = argument->vid;
    }
    loom_key_parts parts = {.vids = vids, .vid_count = step->argument_count};
    if (step->op->flags & LOOM_OP_READS_FILES && known_inputs(session, step, &parts) != LOOM_OK) return LOOM_OK;
    loom_buffer attributes = {0};
    loom_status status = loom_step_attributes(session, index, &attributes);
    parts.attributes = attributes.bytes;
    parts.attributes_bytes = attributes.length;
    if (status == LOOM_OK) {
        step->rkey = loom_result_key(session->hasher, step->op, &parts);
        step->has_rkey = true;
    }
    loom_buffer_free(&attributes);
    return status;
}

/* ---- look-ups ---- */

/* Whether the step's value, if it gets one, is an image: overloaded operators give one when they are given one. */
static bool makes_image(const loom_session *session, const loom_step *step) {
    bool image = loom_signature_result(step->op) == 'i';
    for (uint32_t i = 0; i < step->argument_count && !image && loom_signature_result(step->op) == 'o'; i++)
        image = session->graph.steps[loom_graph_resolve(&session->graph, step->arguments[i])].type == LOOM_IMAGE;
    return image;
}

static loom_status look_up(loom_session *session, loom_step *step, loom_error *err) {
    loom_result result;
    bool asks = !session->options->audit; /* which computes everything again */
    loom_status status =
        asks ? loom_store_find(session->store, &step->rkey, session->scratch, &result, err) : LOOM_NOT_FOUND;
    if (status == LOOM_OK) {
        if (step->op->flags & LOOM_OP_EFFECT && !loom_effect_holds(&result, session->scratch, hash_of_output, session))
            return LOOM_OK;
        step->vid = result.vid;
        step->type = (uint8_t)result.type;
        step->has_vid = step->stored = true;
        return LOOM_OK;
    }
    if (status != LOOM_NOT_FOUND) return status;
    loom_type type;
    if (asks) status = loom_store_trace(session->store, &step->rkey, &step->vid, &type, err);
    if (status == LOOM_OK) {
        step->type = (uint8_t)type;
        step->has_vid = true;
    } else if (status == LOOM_NOT_FOUND && makes_image(session, step)) {
        step->vid = step->rkey; /* the vid of an image is its key */
        step->type = LOOM_IMAGE;
        step->has_vid = true;
    } else if (status != LOOM_NOT_FOUND) {
        return status;
    }
    return LOOM_OK;
}

static loom_status become_settled(loom_session *session, uint32_t index) {
    loom_step *step = &session->graph.steps[index];
    step->state = step->stored ? LOOM_STEP_DONE : LOOM_STEP_SETTLED;
    if (step->stored) session->reused++, session->done++;
    if (step->stored) LOOM_TRY(loom_step_ends(session, index));
    LOOM_TRY(loom_announce(session, index, LOOM_EVENT_SETTLED));
    return step->stored ? loom_announce(session, index, LOOM_EVENT_VALUE) : LOOM_OK;
}

/* ---- twins ---- */

static uint64_t hash_of(const loom_session *session, const loom_step *step) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ step->node;
    for (uint32_t i = 0; i < step->argument_count; i++) {
        hash = (hash ^ loom_graph_resolve(&session->graph, step->arguments[i])) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 32;
    }
    return hash;
}

static bool are_twins(const loom_session *session, const loom_step *a, const loom_step *b) {
    if (a->op != b->op || a->node != b->node || a->argument_count != b->argument_count) return false;
    for (uint32_t i = 0; i < a->argument_count; i++)
        if (loom_graph_resolve(&session->graph, a->arguments[i]) !=
            loom_graph_resolve(&session->graph, b->arguments[i]))
            return false;
    return true;
}

/* A node that might have depended on where it is used has a step per domain. Where the arguments turn out to be the
 * same, so is the result, and one step stands for all: else a sum over a list would be computed once for every item
 * that is divided by it. */
static loom_status find_twin(loom_session *session, uint32_t index, uint32_t *twin) {
    const loom_step *step = &session->graph.steps[index];
    *twin = LOOM_STEP_NONE;
    if (step->context == LOOM_STEP_NONE || step->node == LOOM_NODE_NONE) return LOOM_OK;
    uint64_t hash = hash_of(session, step);
    uint32_t found = loom_memo_get(&session->twins, hash);
    if (found == LOOM_MEMO_NONE) return loom_memo_set(&session->twins, hash, index);
    if (found != index && are_twins(session, step, &session->graph.steps[found])) *twin = found;
    return LOOM_OK;
}

loom_status loom_settle(loom_session *session, uint32_t index, loom_error *err) {
    const loom_step *waiting = &session->graph.steps[index];
    for (uint32_t i = 0; i < waiting->argument_count; i++) {
        const loom_step *argument = &session->graph.steps[loom_graph_resolve(&session->graph, waiting->arguments[i])];
        if (argument->state == LOOM_STEP_FAILED) return loom_step_skipped(session, index, argument->failure);
    }
    uint32_t twin;
    if (find_twin(session, index, &twin) != LOOM_OK)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while looking results up");
    if (twin != LOOM_STEP_NONE) return loom_become(session, index, twin, err);
    loom_arena_reset(session->scratch);
    if (find_key(session, index) != LOOM_OK)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while looking results up");
    loom_step *step = &session->graph.steps[index];
    if (step->has_rkey && !(step->op->flags & LOOM_OP_NOT_STORED)) LOOM_TRY(look_up(session, step, err));
    LOOM_TRY(become_settled(session, index));
    step = &session->graph.steps[index];
    return step->demanded && step->state == LOOM_STEP_SETTLED ? loom_submit(session, index, err) : LOOM_OK;
}

static loom_status advance(loom_session *session, uint32_t index, loom_error *err) {
    const loom_step *step = &session->graph.steps[index];
    if (step->state == LOOM_STEP_WAITING) return loom_settle(session, index, err);
    if (step->state != LOOM_STEP_PENDING || step->alias != LOOM_STEP_NONE) return LOOM_OK;
    loom_error cause = {0};
    loom_status status = loom_expand(session, index, &cause);
    if (status == LOOM_OK || session->graph.steps[index].state == LOOM_STEP_FAILED) return LOOM_OK;
    if (status == LOOM_NO_MEMORY) {
        *err = cause;
        return status;
    }
    return loom_step_fails(session, index, &cause);
}

loom_status loom_work_drain(loom_session *session, loom_error *err) {
    bool opened;
    do {
        while (session->work_count > 0) {
            uint32_t step = session->work[--session->work_count];
            session->graph.steps[step].queued = false;
            LOOM_TRY(advance(session, step, err));
        }
        LOOM_TRY(loom_loops_advance(session, &opened, err));
    } while (opened || session->work_count > 0);
    return LOOM_OK;
}

loom_status loom_demand(loom_session *session, uint32_t index, loom_error *err) {
    index = loom_graph_resolve(&session->graph, index);
    loom_step *step = &session->graph.steps[index];
    step->demanded = true;
    return step->state == LOOM_STEP_SETTLED ? loom_submit(session, index, err) : LOOM_OK;
}

/* By this run, with its task still there. */
static bool is_computed(const loom_session *session, const loom_step *step) {
    return !step->stored && step->task != LOOM_TASK_NONE &&
           loom_segment_task(session->segment, step->task)->origin == LOOM_ORIGIN_COMPUTED;
}

loom_status loom_recompute(loom_session *session, uint32_t index, loom_status why, loom_error *err) {
    loom_step *step = &session->graph.steps[index];
    bool counted_as_computed = step->released || is_computed(session, step);
    loom_unhold_step(session, index);
    step->kept |= step->unstored; /* once is enough */
    step->stored = step->released = step->unstored = false;
    step->queued_commits = 0; /* of the task that it had */
    step->task = LOOM_TASK_NONE;
    step->state = LOOM_STEP_SETTLED;
    if (!step->op) {
        loom_error cause = {0};
        loom_fail(&cause, LOOM_NOT_FOUND,
                  "an item of a stored sequence is no longer in the store; delete the sequence with `voxloom store rm` "
                  "and run again");
        return loom_step_fails(session, index, &cause);
    }
    LOOM_TRY(loom_step_uses(session, index));
    step = &session->graph.steps[index];
    if (!counted_as_computed) session->reused--;
    session->done--;
    if (session->preview) return LOOM_OK;
    LOOM_TRY(loom_engage(session, err));
    if (why == LOOM_NOT_FOUND) return LOOM_OK; /* what has its key by now was stored by another run, and is good */
    return loom_committer_forget(session->committer, &session->graph.steps[index].rkey);
}
