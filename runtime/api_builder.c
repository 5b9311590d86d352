/* api_builder.c - <voxloom.h>: plans built node by node. */
#include <stdlib.h>
#include <string.h>

#include "runtime/api.h"
#include "runtime/kernels/base/utf8.h"
#include "runtime/store_api.h"

#define NAME_BYTES_MAX 128u
#define RECENT 4u

/* Builders call the same few operators again and again; looking one up costs more than interning the node. */
typedef struct recent_call {
    char name[NAME_BYTES_MAX];
    loom_callable callable;
} recent_call;

struct loom_builder {
    loom_plan *plan;
    recent_call recent[RECENT];
    uint32_t next; /* of `recent` to be replaced */
};

loom_status loom_builder_new(loom_runtime *runtime, loom_builder **builder, loom_error *err) {
    *builder = calloc(1, sizeof **builder);
    if (*builder == NULL) return loom_api_exhausted(err);
    const loom_plan_options options = {.operators = runtime->operators};
    loom_status status = loom_plan_create(&options, &(*builder)->plan, err);
    if (status == LOOM_OK) return LOOM_OK;
    free(*builder);
    *builder = NULL;
    return status;
}

void loom_builder_free(loom_builder *builder) {
    if (builder == NULL) return;
    loom_plan_free(builder->plan);
    free(builder);
}

loom_plan *loom_builder_take(loom_builder *builder) {
    loom_plan *plan = builder->plan;
    free(builder);
    return plan;
}

/* ---- nodes ---- */

loom_status loom_builder_float(loom_builder *builder, double number, loom_builder_node *node, loom_error *err) {
    const loom_value value = loom_float(number);
    return loom_plan_constant(builder->plan, &value, node, err);
}

loom_status loom_builder_string(loom_builder *builder, const char *text, size_t length, loom_builder_node *node,
                                loom_error *err) {
    if ((text == NULL && length > 0) || (length > 0 && !loom_utf8_valid(text, length)))
        return loom_fail(err, LOOM_BAD_ARGUMENT, "the text of a constant is not UTF-8");
    const loom_value value = loom_string(text, length);
    return loom_plan_constant(builder->plan, &value, node, err);
}

loom_status loom_builder_value(loom_builder *builder, const loom_maker *maker, loom_builder_node *node,
                               loom_error *err) {
    const loom_value *value;
    LOOM_TRY(loom_maker_value(maker, &value, err));
    return loom_plan_constant(builder->plan, value, node, err);
}

static loom_status look_up(loom_builder *builder, const char *name, const loom_callable **callable, loom_error *err) {
    for (uint32_t i = 0; i < RECENT; i++)
        if (strcmp(builder->recent[i].name, name) == 0) {
            *callable = &builder->recent[i].callable;
            return LOOM_OK;
        }
    loom_callable found;
    recent_call *kept = &builder->recent[builder->next];
    LOOM_TRY(loom_plan_callable(builder->plan, name, &found, err));
    builder->next = (builder->next + 1) % RECENT;
    snprintf(kept->name, sizeof kept->name, "%s", name); /* a name cut short is found by no later call */
    kept->callable = found;
    *callable = &kept->callable;
    return LOOM_OK;
}

loom_status loom_builder_call(loom_builder *builder, const char *name, const loom_builder_node *arguments,
                              uint32_t count, loom_builder_node *node, loom_error *err) {
    const loom_callable *callable;
    if (name == NULL || name[0] == '\0') return loom_fail(err, LOOM_BAD_ARGUMENT, "a call without an operator");
    if (arguments == NULL && count > 0) return loom_fail(err, LOOM_BAD_ARGUMENT, "%.100s without its arguments", name);
    LOOM_TRY(look_up(builder, name, &callable, err));
    return loom_plan_call(builder->plan, *callable, arguments, count, node, err);
}

/* ---- goals ---- */

static loom_status want(loom_builder *builder, loom_goal_kind kind, loom_builder_node node, const char *name,
                        loom_error *err) {
    if (name == NULL || name[0] == '\0') return loom_fail(err, LOOM_BAD_ARGUMENT, "a goal without a name");
    return loom_plan_want(builder->plan, kind, name, node, err);
}

loom_status loom_builder_keep(loom_builder *builder, loom_builder_node node, const char *name, loom_error *err) {
    return want(builder, LOOM_GOAL_KEEP, node, name, err);
}

loom_status loom_builder_print(loom_builder *builder, loom_builder_node node, const char *name, loom_error *err) {
    return want(builder, LOOM_GOAL_PRINT, node, name, err);
}

loom_status loom_builder_save(loom_builder *builder, loom_builder_node node, const char *name, loom_error *err) {
    return want(builder, LOOM_GOAL_SAVE, node, name, err);
}
