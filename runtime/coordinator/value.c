/* The value of a step, wherever it lies: in the plan, in the shared segment, or in the store. */
#include <string.h>

#include "runtime/coordinator/session.h"
#include "runtime/task_result.h"

/* The value of an effect is null; what is stored of it is the record of what it wrote. */
static bool is_effect(const loom_step *step) {
    return step->op && step->op->flags & LOOM_OP_EFFECT;
}

/* Decodes a large value from its extent; the view ends here, so the value is copied. */
static loom_status blob_value(loom_session *session, const loom_placement *bulk, loom_arena *arena, loom_value *value,
                              loom_error *err) {
    loom_view view;
    loom_value borrowed;
    LOOM_TRY(loom_extent_view(loom_store_extents(session->store), bulk, true, &view, err));
    loom_status status = loom_value_decode(view.bytes, view.length, arena, &borrowed, err);
    if (status == LOOM_OK) status = loom_value_copy(arena, &borrowed, value);
    loom_extent_release(&view);
    return status;
}

static loom_status task_value(loom_session *session, const loom_task *task, loom_arena *arena, loom_value *value,
                              loom_error *err) {
    if (task->flags & LOOM_TASK_BLOB) return blob_value(session, &task->bulk, arena, value, err);
    size_t length;
    const void *bytes = loom_task_payload(session->segment, task, &length);
    if (!bytes) return loom_fail(err, LOOM_INTERNAL, "a finished task has no value; please report it");
    return loom_value_decode(bytes, length, arena, value, err);
}

loom_status loom_step_find_stored(loom_session *session, uint32_t index, loom_arena *arena, loom_result *result,
                                  loom_error *err) {
    loom_step *step = &session->graph.steps[index];
    loom_hold hold = {0};
    loom_unhold_step(session, index);
    loom_status status = loom_store_hold(session->store, &step->rkey, arena, result, &hold, err);
    if (status == LOOM_NOT_FOUND && (!step->op || step->released) && session->committer) {
        LOOM_TRY(loom_committer_flush(session->committer, err));
        status = loom_store_hold(session->store, &step->rkey, arena, result, &hold, err);
    }
    step->hold = hold.pin;
    return status;
}

static loom_status stored_value(loom_session *session, uint32_t index, loom_arena *arena, loom_value *value,
                                loom_error *err) {
    loom_result result;
    if (session->graph.steps[index].unstored) return LOOM_NOT_FOUND;
    LOOM_TRY(loom_step_find_stored(session, index, arena, &result, err));
    if (!result.blob) return loom_value_decode(result.payload, result.payload_bytes, arena, value, err);
    loom_view view;
    loom_value borrowed;
    LOOM_TRY(loom_store_verify(session->store, &result, err));
    LOOM_TRY(loom_store_value(session->store, &result, arena, &borrowed, &view, err));
    loom_status status = loom_value_copy(arena, &borrowed, value);
    loom_extent_release(&view);
    return status;
}

const loom_value *loom_step_constant(const loom_session *session, const loom_step *step) {
    return step->constant ? step->constant : &loom_plan_node(session->plan, step->node)->value;
}

loom_status loom_step_value(loom_session *session, uint32_t index, loom_arena *arena, loom_value *value,
                            loom_error *err) {
    const loom_step *step = &session->graph.steps[index];
    if (step->state != LOOM_STEP_DONE)
        return loom_fail(err, LOOM_INTERNAL, "a value was read before it was computed; please report it");
    if (is_effect(step)) {
        *value = loom_null();
        return LOOM_OK;
    }
    if (!step->op && !step->stored) {
        *value = *loom_step_constant(session, step);
        return LOOM_OK;
    }
    if (step->task != LOOM_TASK_NONE)
        return task_value(session, loom_segment_task(session->segment, step->task), arena, value, err);
    return stored_value(session, index, arena, value, err);
}

void loom_describe_step(const loom_session *session, uint32_t index, loom_error *err) {
    const loom_step *step = &session->graph.steps[index];
    loom_node_index named = step->node != LOOM_NODE_NONE ? step->node : step->blame;
    if (named == LOOM_NODE_NONE) {
        if (step->op) loom_error_node(err, step->op->name);
        return;
    }
    const loom_node *node = loom_plan_node(session->plan, named);
    char hex[LOOM_ID_HEX_BYTES], text[160];
    loom_id_hex(&node->id, hex);
    const char *what = node->op ? node->op->name : "constant";
    if (step->unnamed)
        snprintf(text, sizeof text, "%s", what); /* the id is that of no item */
    else
        snprintf(text, sizeof text, "%s %.8s", what, hex);
    loom_error_at(err, node->position.file, node->position.line, node->position.column);
    loom_error_node(err, text);
}

loom_status loom_step_attributes(const loom_session *session, uint32_t index, loom_buffer *out) {
    const loom_step *step = &session->graph.steps[index];
    if (step->op && step->constant) return loom_value_encode(step->constant, out);
    if (step->node == LOOM_NODE_NONE || !step->op) return LOOM_OK;
    const loom_node *node = loom_plan_node(session->plan, step->node);
    if (!node->fold_operator || node->op != step->op) return LOOM_OK;
    loom_field field = {.name = "operator", .name_length = 8, .value = loom_string_of(node->fold_operator)};
    loom_value record = loom_record(&field, 1);
    return loom_value_encode(&record, out);
}
