/* template.c - what is derived from a body once: its free names and its text. */
#include "planner/template.h"

#include <stdlib.h>
#include <string.h>

#include "planner/parser.h"

loom_template *loom_template_new(loom_arena *arena, const loom_name *const *parameters, uint32_t count,
                                 const loom_expr *body) {
    loom_template *made = loom_arena_alloc(arena, sizeof *made);
    if (!made) return NULL;
    made->parameters = loom_arena_copy(arena, parameters, count * sizeof *parameters);
    if (!made->parameters) return NULL;
    made->parameter_count = count;
    made->body = body;
    return made;
}

bool loom_template_print(loom_template *made, loom_arena *arena) {
    if (made->text) return true;
    loom_text text = {0};
    loom_print_expr(&text, made->body, false);
    if (!text.failed) made->text = loom_arena_text(arena, (const char *)text.buffer.bytes, text.buffer.length);
    made->text_length = text.buffer.length;
    loom_text_free(&text);
    return made->text != NULL;
}

/* What the printed text would be read as: true if it is this body. */
static bool reads_back(const loom_template *made, loom_names *names, const loom_text *grouped, bool *failed) {
    loom_source *source;
    loom_expr *again;
    *failed = loom_source_make(names->arena, "", made->text, made->text_length, &source, NULL) != LOOM_OK;
    if (*failed) return false;
    source->printed = true;
    if (loom_parse_expression(names, source, &again, NULL) != LOOM_OK) return false;
    loom_text text = {0};
    loom_print_expr(&text, again, true);
    *failed = text.failed;
    bool same = text.buffer.length == grouped->buffer.length &&
                memcmp(text.buffer.bytes, grouped->buffer.bytes, text.buffer.length) == 0;
    loom_text_free(&text);
    return same;
}

bool loom_template_group(loom_template *made, loom_names *names) {
    if (made->grouped) return true;
    if (!loom_template_print(made, names->arena)) return false;
    loom_text grouped = {0};
    loom_print_expr(&grouped, made->body, true);
    bool failed = grouped.failed;
    if (!failed && reads_back(made, names, &grouped, &failed))
        made->grouped = "";
    else if (!failed)
        made->grouped = loom_arena_text(names->arena, (const char *)grouped.buffer.bytes, grouped.buffer.length);
    loom_text_free(&grouped);
    return made->grouped != NULL;
}

/* ---- free names ---- */

/* To visit, or a binder whose scope ends. */
typedef struct visit {
    const loom_expr *expr;
    loom_name *unbind;
    loom_name *bind;
} visit;

typedef struct free_search {
    visit *visits;
    size_t visit_count, visit_capacity;
    const loom_name **found;
    size_t found_count, found_capacity;
    bool failed;
} free_search;

static void push(free_search *search, visit next) {
    if (search->visit_count == search->visit_capacity) {
        size_t capacity = search->visit_capacity ? search->visit_capacity * 2 : 64;
        visit *grown = realloc(search->visits, capacity * sizeof *grown);
        if (!grown) {
            search->failed = true;
            return;
        }
        search->visits = grown;
        search->visit_capacity = capacity;
    }
    search->visits[search->visit_count++] = next;
}

static void push_expr(free_search *search, const loom_expr *expr) {
    if (expr) push(search, (visit){.expr = expr});
}

/* `outer` is outside the scope of `variable`, `scope` inside. Pushed last first. */
static void push_binder(free_search *search, const loom_name *variable, const loom_expr *outer,
                        const loom_expr *scope) {
    loom_name *name = (loom_name *)variable; /* names are interned once and mutable; bodies only look at them */
    push(search, (visit){.unbind = name});
    push_expr(search, scope);
    push(search, (visit){.bind = name});
    push_expr(search, outer);
}

static void note(free_search *search, const loom_name *called) {
    loom_name *name = (loom_name *)called;
    if (name->bound || name->mark) return;
    if (search->found_count == search->found_capacity) {
        size_t capacity = search->found_capacity ? search->found_capacity * 2 : 16;
        const loom_name **grown = realloc(search->found, capacity * sizeof *grown);
        if (!grown) {
            search->failed = true;
            return;
        }
        search->found = grown;
        search->found_capacity = capacity;
    }
    name->mark = 1;
    search->found[search->found_count++] = name;
}

static void visit_expr(free_search *search, const loom_expr *expr) {
    switch (expr->kind) {
    case LOOM_EXPR_NUMBER:
    case LOOM_EXPR_BOOL:
    case LOOM_EXPR_STRING:
        break;
    case LOOM_EXPR_CALL:
        note(search, expr->name);
        /* fall through */
    case LOOM_EXPR_ARRAY:
        for (uint32_t i = expr->list.count; i-- > 0;)
            push_expr(search, expr->list.items[i]);
        break;
    case LOOM_EXPR_SLICE:
        push_expr(search, expr->slice.stop);
        push_expr(search, expr->slice.start);
        push_expr(search, expr->slice.sequence);
        break;
    case LOOM_EXPR_FOR:
    case LOOM_EXPR_FILTER:
        push_binder(search, expr->name, expr->loop.sequence, expr->loop.body);
        break;
    case LOOM_EXPR_FOLD:
        push_expr(search, expr->fold.init);
        push_expr(search, expr->fold.sequence);
        break;
    case LOOM_EXPR_LET:
        push_binder(search, expr->name, expr->let.value, expr->let.body);
        break;
    }
}

static void run(free_search *search) {
    while (search->visit_count) {
        visit next = search->visits[--search->visit_count];
        if (next.bind) next.bind->bound++;
        if (next.unbind) next.unbind->bound--;
        if (next.expr && !search->failed) visit_expr(search, next.expr);
    }
}

bool loom_template_find_free(loom_template *made, loom_arena *arena) {
    if (made->free_names) return true;
    free_search search = {0};
    for (uint32_t i = 0; i < made->parameter_count; i++)
        ((loom_name *)made->parameters[i])->bound++;
    push_expr(&search, made->body);
    run(&search);
    for (uint32_t i = 0; i < made->parameter_count; i++)
        ((loom_name *)made->parameters[i])->bound--;
    for (size_t i = 0; i < search.found_count; i++)
        ((loom_name *)search.found[i])->mark = 0;
    if (search.found_count) qsort(search.found, search.found_count, sizeof *search.found, loom_name_order);
    if (!search.failed)
        made->free_names = loom_arena_copy(arena, search.found, search.found_count * sizeof *search.found);
    made->free_count = (uint32_t)search.found_count;
    free(search.visits);
    free(search.found);
    return made->free_names != NULL;
}
