/* plan_build.c - plans that are built node by node, without a program's text: what the C library offers. */
#include <string.h>

#include "planner/domain.h"
#include "planner/plan_state.h"

loom_status loom_plan_create(const loom_plan_options *options, loom_plan **plan, loom_error *err) {
    return loom_plan_new(options, plan, err);
}

/* The ways of the language that are more than an operator and its arguments. */
static loom_status check_callable(const loom_operator *op, loom_error *err) {
    if (strncmp(op->name, "loom.", 5) == 0)
        return loom_fail(err, LOOM_BAD_PROGRAM, "there is no operator %s", op->name);
    if (memchr(op->signature, 'c', strcspn(op->signature, ":")) != NULL)
        return loom_fail(err, LOOM_BAD_PROGRAM, "%s takes a function, which only a program can write", op->name);
    if (strcmp(op->name, "default.fold") == 0)
        return loom_fail(err, LOOM_BAD_PROGRAM, "default.fold takes an operator, which only a program can write");
    return LOOM_OK;
}

loom_status loom_plan_callable(loom_plan *plan, const char *name, loom_callable *callable, loom_error *err) {
    size_t length = strlen(name);
    const loom_operator *op = loom_operator_find(plan->options.operators, name, length);
    if (!op)
        return loom_fail(err, LOOM_BAD_PROGRAM, "there is no operator %.100s; give its name with the namespace", name);
    LOOM_TRY(check_callable(op, err));
    const loom_name *spelt = loom_names_get(&plan->names, name, length);
    if (!spelt) return loom_plan_no_memory(err);
    *callable = (loom_callable){.op = op, .kind = spelt->output_kind};
    return LOOM_OK;
}

loom_status loom_plan_call(loom_plan *plan, loom_callable callable, const loom_node_index *arguments,
                           uint32_t argument_count, loom_node_index *node, loom_error *err) {
    const loom_operator *op = callable.op;
    if (argument_count < op->arity_min || (op->arity_max != LOOM_ARITY_ANY && argument_count > op->arity_max))
        return loom_fail(err, LOOM_BAD_PROGRAM, "%s does not take %u arguments", op->name, argument_count);
    for (uint32_t i = 0; i < argument_count; i++)
        if (arguments[i] >= plan->node_count)
            return loom_fail(err, LOOM_BAD_ARGUMENT, "argument %u of %s is no node of this plan", i + 1, op->name);
    loom_node_index made; /* `node` may be one of the arguments' own places */
    LOOM_TRY(loom_plan_add_primitive(plan, op, argument_count ? callable.kind : LOOM_OUT_SCALAR, NULL, arguments,
                                     argument_count, (loom_position){0}, &made, err));
    *node = made;
    return LOOM_OK;
}

loom_status loom_plan_want(loom_plan *plan, loom_goal_kind kind, const char *name, loom_node_index node,
                           loom_error *err) {
    if (node >= plan->node_count)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "the goal \"%.100s\" is no node of this plan", name);
    loom_goal goal = {.kind = kind, .name = loom_arena_text(plan->arena, name, strlen(name)), .node = node};
    return goal.name ? loom_plan_add_goal(plan, goal, err) : loom_plan_no_memory(err);
}
