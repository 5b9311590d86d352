/* reducer.c - expressions to nodes (voxlogica2.md, section 2), by a machine with its own stacks.
 *
 * A frame is an expression under reduction in its environment; finished parts wait on a stack of node numbers. Calls of
 * functions are inlined: the body becomes a frame above the call's, so the frames below an error are its call chain,
 * and neither nesting nor long chains of calls use the C stack. */
#include "planner/plan_state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/diagnostic.h"
#include "planner/inlined.h"

#define IN_BODY UINT32_MAX /* step of a call whose function's body is the frame above */
#define MOST_CHAIN_LINES 12

typedef struct reduction {
    const loom_expr *expr;
    loom_environment environment;
    uint32_t step;  /* how many parts have been started */
    uint32_t call;  /* IN_BODY: its entry in the table of inlined calls */
    uint32_t calls; /* whose body it stands in: number in the plan's call chain */
    size_t values;  /* height of the value stack at its start */
} reduction;

struct loom_reducer {
    reduction *frames;
    size_t frame_count, frame_capacity;
    loom_node_index *values;
    size_t value_count, value_capacity;
    loom_inlined inlined;
};

typedef struct machine {
    loom_plan *plan;
    loom_reducer *reducer;
    loom_error *err;
} machine;

void loom_reducer_free(loom_reducer *reducer) {
    if (!reducer) return;
    free(reducer->frames);
    free(reducer->values);
    loom_inlined_free(&reducer->inlined);
    free(reducer);
}

static reduction *top(const machine *m) {
    return &m->reducer->frames[m->reducer->frame_count - 1];
}

static loom_status push(machine *m, const loom_expr *expr, loom_environment environment, uint32_t calls) {
    loom_reducer *reducer = m->reducer;
    if (reducer->frame_count == reducer->frame_capacity) {
        size_t capacity = reducer->frame_capacity ? reducer->frame_capacity * 2 : 64;
        reduction *grown = realloc(reducer->frames, capacity * sizeof *grown);
        if (!grown) return loom_plan_no_memory(m->err);
        reducer->frames = grown;
        reducer->frame_capacity = capacity;
    }
    reducer->frames[reducer->frame_count++] =
        (reduction){.expr = expr, .environment = environment, .calls = calls, .values = reducer->value_count};
    return LOOM_OK;
}

static loom_status push_part(machine *m, const loom_expr *part) {
    return push(m, part, top(m)->environment, top(m)->calls);
}

/* So that there is always room for one more, and `parts` always points into an array. */
static loom_status reserve_value(machine *m) {
    loom_reducer *reducer = m->reducer;
    if (reducer->value_count < reducer->value_capacity) return LOOM_OK;
    size_t capacity = reducer->value_capacity ? reducer->value_capacity * 2 : 64;
    loom_node_index *grown = realloc(reducer->values, capacity * sizeof *grown);
    if (!grown) return loom_plan_no_memory(m->err);
    reducer->values = grown;
    reducer->value_capacity = capacity;
    return LOOM_OK;
}

static loom_status push_value(machine *m, loom_node_index value) {
    LOOM_TRY(reserve_value(m));
    loom_reducer *reducer = m->reducer;
    reducer->values[reducer->value_count++] = value;
    return LOOM_OK;
}

/* The finished parts of the frame. */
static const loom_node_index *parts(const machine *m) {
    return m->reducer->values + top(m)->values;
}
static uint32_t part_count(const machine *m) {
    return (uint32_t)(m->reducer->value_count - top(m)->values);
}

/* Replaces the frame and its parts by its result. */
static loom_status finish(machine *m, loom_node_index result) {
    m->reducer->value_count = top(m)->values;
    m->reducer->frame_count--;
    return push_value(m, result);
}

/* ---- places and errors ---- */

/* Users are shown their own text: for code of a library, the call that led into it. */
static loom_place shown_place(const machine *m) {
    size_t at = m->reducer->frame_count;
    while (at-- > 0)
        if (!m->reducer->frames[at].expr->place.source->library) return m->reducer->frames[at].expr->place;
    return loom_call_chain_shown(m->plan, top(m)->expr->place, top(m)->calls); /* a body that was made in a library */
}

static loom_position position(const machine *m) {
    loom_place place = shown_place(m);
    return (loom_position){
        .file = place.source->name, .line = place.line, .column = place.column, .calls = top(m)->calls};
}

static bool is_listed_call(const loom_expr *expr) {
    if (expr->kind != LOOM_EXPR_CALL || expr->list.count == 0) return false;
    if (expr->name->special == LOOM_SPECIAL_MAP) return expr->list.count != 2;
    return expr->name->special != LOOM_SPECIAL_ALIAS;
}

static size_t add_chain_line(char *text, size_t used, size_t capacity, const loom_expr *call) {
    int written = snprintf(text + used, capacity - used, "\n  %.60s at %.80s:%u:%u", call->name->text,
                           call->place.source->name, call->place.line, call->place.column);
    return written < 0 || (size_t)written >= capacity - used ? capacity : used + (size_t)written;
}

/* "\nCall chain:" and a line for every pending call, innermost first, from frame `from` - 1 down; "" if there is none.
 */
static void call_chain(const machine *m, size_t from, char *text, size_t capacity) {
    size_t used = 0, lines = 0;
    text[0] = '\0';
    for (size_t at = from; at-- > 0 && used < capacity;) {
        const loom_expr *expr = m->reducer->frames[at].expr;
        if (!is_listed_call(expr)) continue;
        if (!lines++) used = (size_t)snprintf(text, capacity, "\nCall chain:");
        if (lines > MOST_CHAIN_LINES) {
            snprintf(text + used, capacity - used, "\n  ...");
            return;
        }
        used = add_chain_line(text, used, capacity, expr);
    }
}

static loom_status fail_at(machine *m, loom_place place, size_t chain_from, const char *message) {
    char chain[900];
    call_chain(m, chain_from, chain, sizeof chain);
    return loom_diagnose(m->err, LOOM_BAD_PROGRAM, place.source->library ? shown_place(m) : place, "%s%s", message,
                         chain);
}

/* For errors of the frame itself: its own call is the position, the chain what lies below. */
#define FAIL(m, ...)                                                                                                   \
    do {                                                                                                               \
        char fail_message_[400];                                                                                       \
        snprintf(fail_message_, sizeof fail_message_, __VA_ARGS__);                                                    \
        return fail_at((m), shown_place(m), (m)->reducer->frame_count - 1, fail_message_);                             \
    } while (0)

static loom_status fail_unbound(machine *m, const loom_name *name, loom_place place) {
    const char *near = loom_near_miss(m->plan, top(m)->environment, name);
    char message[400];
    if (near)
        snprintf(message, sizeof message, "Unbound variable '%.100s'; did you mean '%.100s'?", name->text, near);
    else
        snprintf(message, sizeof message, "Unbound variable '%.100s'; declare it, or import the file that does",
                 name->text);
    return fail_at(m, place, m->reducer->frame_count, message);
}

loom_status loom_check_reserved(const loom_name *name, loom_place place, loom_error *err) {
    if (!name->reserved) return LOOM_OK;
    return loom_diagnose(err, LOOM_BAD_PROGRAM, place,
                         "Identifier '%s' is reserved for built-in program metadata; choose another name", name->text);
}

/* ---- nodes ---- */

static loom_status finish_constant(machine *m, loom_value value) {
    loom_node_index node;
    LOOM_TRY(loom_plan_add_constant(m->plan, &value, position(m), &node, m->err));
    return finish(m, node);
}

static loom_status check_arity(machine *m, const loom_operator *op, const loom_name *written, uint32_t count) {
    if (count < op->arity_min)
        FAIL(m, "Invalid arity for '%.100s': Expected at least %u arguments, got %u", written->text, op->arity_min,
             count);
    if (op->arity_max != LOOM_ARITY_ANY && count > op->arity_max)
        FAIL(m, "Invalid arity for '%.100s': Expected at most %u arguments, got %u", written->text, op->arity_max,
             count);
    return LOOM_OK;
}

/* The frame is a primitive of its parts. */
static loom_status finish_primitive(machine *m, const loom_operator *op, const loom_name *written,
                                    loom_output_kind kind, const char *fold_operator) {
    LOOM_TRY(check_arity(m, op, written, part_count(m)));
    loom_node_index node;
    LOOM_TRY(
        loom_plan_add_primitive(m->plan, op, kind, fold_operator, parts(m), part_count(m), position(m), &node, m->err));
    return finish(m, node);
}

/* A construct of the language: the primitive `name`, which no binding hides. */
static loom_status finish_construct(machine *m, const char *name, loom_output_kind kind, const char *fold_operator) {
    const loom_name *written = loom_names_get(&m->plan->names, name, strlen(name));
    if (!written) return loom_plan_no_memory(m->err);
    const loom_operator *op = loom_resolve(m->plan, written);
    if (!op) FAIL(m, "this build has no operator '%s'", name);
    return finish_primitive(m, op, written, kind, fold_operator);
}

/* ---- calls ---- */

static loom_status finish_unbound_call(machine *m) {
    const loom_expr *expr = top(m)->expr;
    bool alias = expr->name->special == LOOM_SPECIAL_ALIAS;
    const loom_name *name = alias ? expr->name->alias : expr->name;
    const loom_operator *op = loom_resolve(m->plan, name);
    if (!op && expr->place.source->printed && expr->list.count == 0 && strcmp(name->text, "inf") == 0)
        return finish_constant(m, loom_float(INFINITY)); /* as section 1.6 prints it */
    if (!op) return fail_unbound(m, name, expr->place);
    loom_output_kind kind = expr->list.count && !alias ? expr->name->output_kind : LOOM_OUT_SCALAR;
    return finish_primitive(m, op, expr->name, kind, NULL);
}

static void describe_parameters(const loom_function *function, char *text, size_t capacity) {
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < function->body->parameter_count && used < capacity; i++)
        used += (size_t)snprintf(text + used, capacity - used, "%s%.30s", i ? "," : "",
                                 function->body->parameters[i]->text);
}

static loom_status enter_function(machine *m, loom_function *function) {
    const loom_template *body = function->body;
    uint32_t call = loom_inlined_get(&m->reducer->inlined, function, parts(m), part_count(m));
    if (call == LOOM_INLINED_NONE) return loom_plan_no_memory(m->err);
    loom_node_index known = m->reducer->inlined.entries[call].result;
    if (known != LOOM_NODE_NONE) return finish(m, known);
    loom_environment environment = function->environment;
    for (uint32_t i = 0; i < body->parameter_count; i++)
        if (!loom_environment_bind(&environment, m->plan->arena, body->parameters[i],
                                   (loom_binding){.node = parts(m)[i]}))
            return loom_plan_no_memory(m->err);
    uint32_t entered;
    LOOM_TRY(loom_call_chain_enter(m->plan, top(m)->expr, top(m)->calls, &entered, m->err));
    m->reducer->value_count = top(m)->values;
    top(m)->step = IN_BODY;
    top(m)->call = call;
    return push(m, body->body, environment, entered);
}

static loom_status finish_function_call(machine *m, loom_function *function) {
    const loom_expr *expr = top(m)->expr;
    uint32_t expected = function->body->parameter_count, count = expr->list.count;
    if (count == expected) return enter_function(m, function);
    char parameters[120];
    describe_parameters(function, parameters, sizeof parameters);
    if (count == 0)
        FAIL(m, "Function '%.60s' called without arguments; it takes %u: %.60s(%s)", expr->name->text, expected,
             expr->name->text, parameters);
    FAIL(m, "Function '%.60s' expects %u arguments but was called with %u; it is %.60s(%s)", expr->name->text, expected,
         count, expr->name->text, parameters);
}

static loom_status finish_call(machine *m) {
    const loom_expr *expr = top(m)->expr;
    if (expr->name->special == LOOM_SPECIAL_ALIAS && expr->list.count) return finish_unbound_call(m);
    const loom_binding *binding = loom_environment_find(top(m)->environment, expr->name);
    if (!binding) return finish_unbound_call(m);
    if (binding->function) return finish_function_call(m, binding->function);
    if (expr->list.count)
        FAIL(m, "'%.100s' is not a function but was called with arguments; remove them, or declare it with parameters",
             expr->name->text);
    return finish(m, binding->node);
}

static loom_status leave_function(machine *m) {
    loom_node_index result = m->reducer->values[m->reducer->value_count - 1];
    m->reducer->inlined.entries[top(m)->call].result = result;
    return finish(m, result);
}

/* ---- map ---- */

/* The closure of `map(primitive, S)`: its parameter is named as VoxLogicA-2 names it, since it is part of the id. */
static loom_template *primitive_template(machine *m, const loom_expr *map, const loom_name *primitive) {
    if (map->made) return map->made;
    loom_arena *arena = m->plan->arena;
    const loom_name *parameter = loom_names_get(&m->plan->names, "map_item_arg", 12);
    loom_expr *call = loom_arena_alloc(arena, sizeof *call), *item = loom_arena_alloc(arena, sizeof *item);
    loom_expr **arguments = loom_arena_array(arena, 1, sizeof *arguments);
    if (!parameter || !call || !item || !arguments) return NULL;
    *item = (loom_expr){.kind = LOOM_EXPR_CALL, .place = map->place, .name = parameter};
    arguments[0] = item;
    *call = (loom_expr){.kind = LOOM_EXPR_CALL, .place = map->place, .name = primitive};
    call->list.items = arguments;
    call->list.count = 1;
    loom_template *made = loom_template_new(arena, &parameter, 1, call);
    if (made) ((loom_expr *)map)->made = made; /* a cache: the expression itself stays as it is */
    return made;
}

static loom_status finish_map(machine *m) {
    const loom_expr *map = top(m)->expr, *function = map->list.items[0];
    if (function->kind != LOOM_EXPR_CALL || function->list.count)
        FAIL(m, "map first argument must be a function identifier; name a function, or write `for x in ... do ...`");
    const loom_binding *binding = loom_environment_find(top(m)->environment, function->name);
    loom_template *body;
    loom_environment environment = top(m)->environment;
    loom_position made_at = position(m);
    if (binding && !binding->function)
        FAIL(m, "map first argument '%.100s' must reference a function; it is a value", function->name->text);
    if (binding) {
        body = binding->function->body;
        environment = binding->function->environment;
        if (body->parameter_count != 1)
            FAIL(m, "map function '%.100s' must accept exactly one argument; it takes %u", function->name->text,
                 body->parameter_count);
        LOOM_TRY(loom_call_chain_enter(m->plan, function, made_at.calls, &made_at.calls, m->err));
    } else {
        if (!loom_resolve(m->plan, function->name)) return fail_unbound(m, function->name, function->place);
        body = primitive_template(m, map, function->name);
        if (!body) return loom_plan_no_memory(m->err);
    }
    loom_node_index closure;
    LOOM_TRY(loom_make_closure(m->plan, body, environment, made_at, &closure, m->err));
    LOOM_TRY(push_value(m, closure));
    const loom_operator *op = loom_resolve(m->plan, map->name);
    if (!op) return fail_unbound(m, map->name, map->place);
    return finish_primitive(m, op, map->name, LOOM_OUT_SEQUENCE, NULL);
}

static loom_status step_call(machine *m) {
    reduction *frame = top(m);
    const loom_expr *expr = frame->expr;
    if (frame->step == IN_BODY) return leave_function(m);
    if (expr->name->special == LOOM_SPECIAL_MAP && expr->list.count == 2)
        return frame->step++ ? finish_map(m) : push_part(m, expr->list.items[1]);
    if (frame->step < expr->list.count) return push_part(m, expr->list.items[frame->step++]);
    return finish_call(m);
}

/* ---- the other expressions ---- */

static loom_status step_array(machine *m) {
    reduction *frame = top(m);
    if (frame->step < frame->expr->list.count) return push_part(m, frame->expr->list.items[frame->step++]);
    return finish_construct(m, "sequence", LOOM_OUT_SEQUENCE, NULL);
}

static loom_status push_null(machine *m) {
    loom_value null = loom_null();
    loom_node_index node;
    LOOM_TRY(loom_plan_add_constant(m->plan, &null, position(m), &node, m->err));
    return push_value(m, node);
}

static loom_status step_slice(machine *m) {
    reduction *frame = top(m);
    const loom_expr *expr = frame->expr;
    switch (frame->step++) {
    case 0:
        return push_part(m, expr->slice.sequence);
    case 1:
        return expr->slice.start ? push_part(m, expr->slice.start) : push_null(m);
    case 2:
        return expr->slice.stop ? push_part(m, expr->slice.stop) : push_null(m);
    default:
        return finish_construct(m, "slice", LOOM_OUT_SEQUENCE, NULL);
    }
}

static loom_status step_loop(machine *m) {
    reduction *frame = top(m);
    loom_expr *expr = (loom_expr *)frame->expr; /* only its cache changes */
    if (frame->step++ == 0) return push_part(m, expr->loop.sequence);
    if (!expr->made) expr->made = loom_template_new(m->plan->arena, &expr->name, 1, expr->loop.body);
    if (!expr->made) return loom_plan_no_memory(m->err);
    loom_node_index closure;
    LOOM_TRY(loom_make_closure(m->plan, expr->made, frame->environment, position(m), &closure, m->err));
    LOOM_TRY(push_value(m, closure));
    return finish_construct(m, expr->kind == LOOM_EXPR_FOR ? "for_loop" : "filter", LOOM_OUT_SEQUENCE, NULL);
}

static bool is_fold_operator(const char *text) {
    static const char *const known[] = {"+", "-", "*", "/", "&&", "||", "min", "max"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(text, known[i]) == 0) return true;
    return false;
}

/* The sequence is reduced before the init, which comes first among the arguments. */
static loom_status step_fold(machine *m) {
    reduction *frame = top(m);
    const loom_expr *expr = frame->expr;
    if (frame->step++ == 0) return push_part(m, expr->fold.sequence);
    if (frame->step == 2) {
        if (!is_fold_operator(expr->name->text))
            FAIL(m, "Unsupported fold operator '%.100s'; expected one of +, -, *, /, &&, ||, min, max",
                 expr->name->text);
        if (expr->fold.init) return push_part(m, expr->fold.init);
    }
    if (expr->fold.init) {
        loom_node_index *values = m->reducer->values + frame->values, sequence = values[0];
        values[0] = values[1];
        values[1] = sequence;
    }
    return finish_construct(m, "fold", LOOM_OUT_SCALAR, expr->name->text);
}

/* The body takes the frame over, so that long chains of `let` need no stack. */
static loom_status step_let(machine *m) {
    reduction *frame = top(m);
    const loom_expr *expr = frame->expr;
    if (frame->step++ == 0) {
        LOOM_TRY(loom_check_reserved(expr->name, expr->place, m->err));
        return push_part(m, expr->let.value);
    }
    loom_node_index value = m->reducer->values[--m->reducer->value_count];
    if (!loom_environment_bind(&frame->environment, m->plan->arena, expr->name, (loom_binding){.node = value}))
        return loom_plan_no_memory(m->err);
    frame->expr = expr->let.body;
    frame->step = 0;
    return LOOM_OK;
}

static loom_status step(machine *m) {
    const loom_expr *expr = top(m)->expr;
    switch (expr->kind) {
    case LOOM_EXPR_NUMBER:
        return finish_constant(m, loom_float(expr->number));
    case LOOM_EXPR_BOOL:
        return finish_constant(m, loom_bool(expr->truth));
    case LOOM_EXPR_STRING:
        return finish_constant(m, loom_string(expr->string.bytes, expr->string.length));
    case LOOM_EXPR_ARRAY:
        return step_array(m);
    case LOOM_EXPR_SLICE:
        return step_slice(m);
    case LOOM_EXPR_CALL:
        return step_call(m);
    case LOOM_EXPR_FOR:
    case LOOM_EXPR_FILTER:
        return step_loop(m);
    case LOOM_EXPR_FOLD:
        return step_fold(m);
    case LOOM_EXPR_LET:
        return step_let(m);
    }
    return loom_fail(m->err, LOOM_INTERNAL, "an expression of no kind");
}

loom_status loom_reduce(loom_plan *plan, const loom_expr *expr, loom_environment environment, uint32_t calls,
                        loom_node_index *node, loom_error *err) {
    if (!plan->reducer) plan->reducer = calloc(1, sizeof *plan->reducer);
    if (!plan->reducer) return loom_plan_no_memory(err);
    machine m = {.plan = plan, .reducer = plan->reducer, .err = err};
    m.reducer->frame_count = m.reducer->value_count = 0;
    loom_inlined_clear(&m.reducer->inlined);
    LOOM_TRY(reserve_value(&m));
    LOOM_TRY(push(&m, expr, environment, calls));
    while (m.reducer->frame_count)
        LOOM_TRY(step(&m));
    *node = m.reducer->values[0];
    return LOOM_OK;
}
