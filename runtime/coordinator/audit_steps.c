/* audit_steps.c - see audit_steps.h. */
#include "runtime/coordinator/audit_steps.h"

#include <string.h>

#include "runtime/kernels/kernel.h"

/* Voxelwise operators above each other that are computed again with the one that is compared. */
#define EXPANDED_MAX 8

typedef struct maker {
    loom_session *session;
    loom_arena *arena;
    loom_error *err;
} maker;

static loom_status step_of(maker *m, const loom_recipe *recipe, int depth, uint32_t *step);

const loom_operator *loom_audit_operator(const loom_session *session, const loom_recipe *recipe) {
    const loom_operator *op = loom_operator_find(session->operators, recipe->op, recipe->op_bytes);
    if (!op || op->version != recipe->version || op->flags & (LOOM_OP_EFFECT | LOOM_OP_NOT_STORED)) return NULL;
    const loom_kernel *kernel = loom_kernel_of(op);
    return kernel && kernel->run ? op : NULL;
}

/* ---- arguments ---- */

static bool refers(const loom_value *value) {
    if (value->type == LOOM_REFERENCE || value->type == LOOM_DATASET) return true;
    for (size_t i = 0; value->type == LOOM_SEQUENCE && i < value->sequence.count; i++)
        if (refers(&value->sequence.items[i])) return true;
    for (size_t i = 0; value->type == LOOM_RECORD && i < value->record.count; i++)
        if (refers(&value->record.fields[i].value)) return true;
    return false;
}

static loom_status constant_step(maker *m, const loom_value *value, uint32_t *step) {
    loom_node_index node;
    LOOM_TRY(loom_plan_constant(m->session->plan, value, &node, m->err));
    return loom_lower(m->session, node, LOOM_STEP_NONE, step, m->err);
}

/* A step that is done: its value is the stored one. */
static loom_status stored_step(maker *m, const loom_result *row, uint32_t *step) {
    if (loom_graph_add(&m->session->graph, NULL, NULL, 0, step) != LOOM_OK)
        return loom_fail(m->err, LOOM_NO_MEMORY, "out of memory while reading recipes");
    loom_step *added = &m->session->graph.steps[*step];
    added->state = LOOM_STEP_DONE;
    added->type = (uint8_t)row->type;
    added->vid = row->vid;
    added->rkey = row->rkey;
    added->has_vid = added->has_rkey = added->stored = true;
    return LOOM_OK;
}

/* An image that was computed voxel by voxel, again, to be fused with what uses it. LOOM_NOT_FOUND: it is not such. */
static loom_status expanded_step(maker *m, const loom_result *row, int depth, uint32_t *step) {
    loom_recipe recipe;
    if (depth == 0 || row->type != LOOM_IMAGE || !loom_recipe_read(row->recipe, row->recipe_bytes, m->arena, &recipe))
        return LOOM_NOT_FOUND;
    const loom_operator *op = loom_audit_operator(m->session, &recipe);
    return op && op->flags & LOOM_OP_VOXELWISE ? step_of(m, &recipe, depth - 1, step) : LOOM_NOT_FOUND;
}

static loom_status row_step(maker *m, const loom_id *rkey, int depth, uint32_t *step) {
    loom_result row;
    loom_value value;
    loom_error ignored = {0};
    LOOM_TRY(loom_store_find(m->session->store, rkey, m->arena, &row, m->err));
    loom_status status = expanded_step(m, &row, depth, step);
    if (status != LOOM_NOT_FOUND) return status;
    if (loom_store_verify(m->session->store, &row, &ignored) != LOOM_OK) return LOOM_NOT_FOUND;
    if (row.type == LOOM_IMAGE || row.blob) return stored_step(m, &row, step);
    LOOM_TRY(loom_value_decode(row.payload, row.payload_bytes, m->arena, &value, m->err));
    return refers(&value) ? stored_step(m, &row, step) : constant_step(m, &value, step);
}

static loom_status argument_step(maker *m, const loom_value *argument, int depth, uint32_t *step) {
    if (argument->type != LOOM_REFERENCE) return constant_step(m, argument, step);
    return row_step(m, &argument->reference.vid, depth, step);
}

/* ---- the step ---- */

static loom_status out_of_memory(maker *m) {
    return loom_fail(m->err, LOOM_NO_MEMORY, "out of memory while reading recipes");
}

static loom_status step_of(maker *m, const loom_recipe *recipe, int depth, uint32_t *step) {
    loom_session *session = m->session;
    const loom_operator *op = loom_audit_operator(session, recipe);
    uint32_t *arguments = loom_arena_array(m->arena, recipe->argument_count + 1, sizeof *arguments);
    if (!op) return LOOM_NOT_FOUND;
    if (!arguments) return out_of_memory(m);
    for (size_t i = 0; i < recipe->argument_count; i++)
        LOOM_TRY(argument_step(m, &recipe->arguments[i], depth, &arguments[i]));
    LOOM_TRY(loom_lower_internal(session, op->name, arguments, (uint32_t)recipe->argument_count, LOOM_NODE_NONE, step,
                                 m->err));
    if (recipe->attributes->type == LOOM_NULL) return LOOM_OK;
    loom_value *attributes = loom_arena_alloc(session->arena, sizeof *attributes);
    if (!attributes || loom_value_copy(session->arena, recipe->attributes, attributes) != LOOM_OK)
        return out_of_memory(m);
    session->graph.steps[*step].constant = attributes;
    return LOOM_OK;
}

loom_status loom_audit_step(loom_session *session, const loom_recipe *recipe, loom_arena *arena, uint32_t *step,
                            loom_error *err) {
    maker m = {.session = session, .arena = arena, .err = err};
    return step_of(&m, recipe, 0, step);
}
