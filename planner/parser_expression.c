/* parser_expression.c - expressions, by a machine with its own stacks.
 *
 * Recursive descent would follow the program's nesting with the C stack; here open constructs are frames on the heap,
 * so a program may nest as deep as memory allows. The machine moves between three states: at the start of an
 * expression, at the start of an operand, and behind an operand; a finished expression goes to the innermost open
 * frame. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "planner/diagnostic.h"
#include "planner/parser_state.h"
#include "shm/number.h"

typedef enum frame_kind {
    FRAME_INFIX, /* a chain of operands, with the prefix operators of the current one */
    FRAME_GROUP,
    FRAME_ARGUMENTS,
    FRAME_ARRAY,
    FRAME_INDEX,
    FRAME_SLICE_STOP,
    FRAME_LET_VALUE,
    FRAME_LET_BODY,
    FRAME_SEQUENCE, /* for, filter: the part before `do` */
    FRAME_LOOP_BODY,
    FRAME_FOLD_FIRST,
    FRAME_FOLD_SECOND
} frame_kind;

struct loom_parse_frame {
    frame_kind kind;
    loom_expr_kind expr_kind; /* for, filter */
    loom_place place;         /* where the construct begins */
    const loom_name *name;    /* callee, variable, fold operator, pending infix operator */
    loom_expr *first;         /* what is finished of it: left operand, sequence, value, init */
    loom_expr *second;        /* slice: start */
    size_t items;             /* height of the item stack when it was opened */
};

/* Arguments and array items that wait for the rest, and prefix operators that wait for their operand. */
struct loom_parse_item {
    loom_expr *expr;
    const loom_name *operator_name;
    loom_place place;
};

/* An operand or expression with the place where it starts, parentheses included. */
typedef struct part {
    loom_expr *expr;
    loom_place place;
} part;

typedef enum state { AT_EXPRESSION, AT_OPERAND, AFTER_OPERAND, EXPRESSION_DONE, ALL_DONE } state;

/* ---- the stacks ---- */

static loom_status push_frame(loom_parser *parser, loom_parse_frame frame) {
    if (parser->frame_count == parser->frame_capacity) {
        size_t capacity = parser->frame_capacity ? parser->frame_capacity * 2 : 64;
        loom_parse_frame *grown = realloc(parser->frames, capacity * sizeof *grown);
        if (!grown) return loom_parser_no_memory(parser);
        parser->frames = grown;
        parser->frame_capacity = capacity;
    }
    frame.items = parser->item_count;
    parser->frames[parser->frame_count++] = frame;
    return LOOM_OK;
}

static loom_status push_item(loom_parser *parser, loom_parse_item item) {
    if (parser->item_count == parser->item_capacity) {
        size_t capacity = parser->item_capacity ? parser->item_capacity * 2 : 64;
        loom_parse_item *grown = realloc(parser->items, capacity * sizeof *grown);
        if (!grown) return loom_parser_no_memory(parser);
        parser->items = grown;
        parser->item_capacity = capacity;
    }
    parser->items[parser->item_count++] = item;
    return LOOM_OK;
}

static loom_parse_frame *top(loom_parser *parser) {
    return &parser->frames[parser->frame_count - 1];
}

/* ---- making expressions ---- */

static loom_expr *new_expr(loom_parser *parser, loom_expr_kind kind, loom_place place) {
    loom_expr *expr = loom_arena_alloc(parser->arena, sizeof *expr);
    if (!expr) return NULL;
    expr->kind = kind;
    expr->place = place;
    return expr;
}

static loom_expr *new_call(loom_parser *parser, const loom_name *name, loom_place place, uint32_t count) {
    loom_expr *expr = new_expr(parser, LOOM_EXPR_CALL, place);
    if (!expr) return NULL;
    expr->name = name;
    expr->list.count = count;
    if (count) expr->list.items = loom_arena_array(parser->arena, count, sizeof *expr->list.items);
    return count && !expr->list.items ? NULL : expr;
}

static loom_expr *new_call_1(loom_parser *parser, const loom_name *name, loom_place place, loom_expr *only) {
    loom_expr *expr = new_call(parser, name, place, 1);
    if (expr) expr->list.items[0] = only;
    return expr;
}

static loom_expr *new_call_2(loom_parser *parser, const loom_name *name, loom_place place, loom_expr *left,
                             loom_expr *right) {
    loom_expr *expr = new_call(parser, name, place, 2);
    if (!expr) return NULL;
    expr->list.items[0] = left;
    expr->list.items[1] = right;
    return expr;
}

static loom_expr *new_slice(loom_parser *parser, loom_place place, loom_expr *sequence, loom_expr *start,
                            loom_expr *stop) {
    loom_expr *expr = new_expr(parser, LOOM_EXPR_SLICE, place);
    if (!expr) return NULL;
    expr->slice.sequence = sequence;
    expr->slice.start = start;
    expr->slice.stop = stop;
    return expr;
}

/* The items that a frame collected, as the list of a call or array. */
static loom_expr *take_items(loom_parser *parser, const loom_parse_frame *frame) {
    uint32_t count = (uint32_t)(parser->item_count - frame->items);
    loom_expr *expr = new_call(parser, frame->name, frame->place, count);
    if (!expr) return NULL;
    if (frame->kind == FRAME_ARRAY) expr->kind = LOOM_EXPR_ARRAY;
    for (uint32_t i = 0; i < count; i++)
        expr->list.items[i] = parser->items[frame->items + i].expr;
    parser->item_count = frame->items;
    return expr;
}

/* ---- at the start of an expression ---- */

static loom_status take_variable(loom_parser *parser, const loom_name **name) {
    if (!loom_parser_at_name(parser)) return loom_parser_fail(parser, LOOM_NAMES);
    *name = loom_parser_name(parser);
    if (!*name) return loom_parser_no_memory(parser);
    loom_parser_advance(parser, LOOM_CONTEXT_NAME);
    return LOOM_OK;
}

static loom_status open_let(loom_parser *parser) {
    loom_parse_frame frame = {.kind = FRAME_LET_VALUE, .place = loom_parser_place(parser)};
    loom_parser_advance(parser, LOOM_NAMES);
    LOOM_TRY(take_variable(parser, &frame.name));
    LOOM_TRY(loom_parser_expect(parser, LOOM_TOKEN_EQUAL, LOOM_CONTEXT_EXPRESSION));
    return push_frame(parser, frame);
}

static loom_status open_loop(loom_parser *parser, loom_expr_kind kind) {
    loom_parse_frame frame = {.kind = FRAME_SEQUENCE, .expr_kind = kind, .place = loom_parser_place(parser)};
    loom_parser_advance(parser, LOOM_NAMES);
    LOOM_TRY(take_variable(parser, &frame.name));
    LOOM_TRY(loom_parser_expect(parser, LOOM_TOKEN_IN, LOOM_CONTEXT_EXPRESSION));
    return push_frame(parser, frame);
}

static loom_status open_fold(loom_parser *parser) {
    const loom_token_set operators = LOOM_TOKEN_BIT(OPERATOR) | LOOM_TOKEN_BIT(FOLD_MAX) | LOOM_TOKEN_BIT(FOLD_MIN);
    loom_parse_frame frame = {.kind = FRAME_FOLD_FIRST, .place = loom_parser_place(parser)};
    loom_parser_advance(parser, operators);
    if (parser->token.kind >= LOOM_TOKEN_COUNT || !((operators >> parser->token.kind) & 1))
        return loom_parser_fail(parser, operators);
    frame.name = loom_parser_name(parser);
    if (!frame.name) return loom_parser_no_memory(parser);
    loom_parser_advance(parser, LOOM_CONTEXT_EXPRESSION);
    return push_frame(parser, frame);
}

/* Behind a label the set that was accepted is the one for any string; elsewhere it is the exact one. */
static loom_token_set expected_expression(const loom_parser *parser) {
    return parser->accepted & LOOM_TOKEN_BIT(END) ? LOOM_CONTEXT_EXPRESSION : parser->accepted;
}

static loom_status at_expression(loom_parser *parser, state *next) {
    *next = AT_EXPRESSION;
    switch (parser->token.kind) {
    case LOOM_TOKEN_LET:
        return open_let(parser);
    case LOOM_TOKEN_FOR:
        return open_loop(parser, LOOM_EXPR_FOR);
    case LOOM_TOKEN_FILTER:
        return open_loop(parser, LOOM_EXPR_FILTER);
    case LOOM_TOKEN_FOLD:
        return open_fold(parser);
    default:
        *next = AT_OPERAND;
        if (parser->token.kind >= LOOM_TOKEN_COUNT || !((LOOM_CONTEXT_OPERAND >> parser->token.kind) & 1))
            return loom_parser_fail(parser, expected_expression(parser));
        return push_frame(parser, (loom_parse_frame){.kind = FRAME_INFIX, .place = loom_parser_place(parser)});
    }
}

/* ---- at the start of an operand ---- */

static loom_status take_literal(loom_parser *parser, part *value) {
    const loom_token *token = &parser->token;
    loom_expr_kind kind = token->kind == LOOM_TOKEN_NUMBER   ? LOOM_EXPR_NUMBER
                          : token->kind == LOOM_TOKEN_STRING ? LOOM_EXPR_STRING
                                                             : LOOM_EXPR_BOOL;
    loom_expr *expr = new_expr(parser, kind, value->place);
    if (!expr) return loom_parser_no_memory(parser);
    if (kind == LOOM_EXPR_NUMBER) {
        if (!loom_number_parse(token->text, token->length, &expr->number))
            return loom_diagnose(parser->err, LOOM_BAD_SYNTAX, value->place, "this is not a number");
    } else if (kind == LOOM_EXPR_STRING) {
        expr->string.bytes = token->text + 1; /* the source outlives the expression */
        expr->string.length = token->length - 2;
    } else {
        expr->truth = token->kind == LOOM_TOKEN_TRUE;
    }
    value->expr = expr;
    loom_parser_advance(parser, LOOM_CONTEXT_VALUE);
    return LOOM_OK;
}

static loom_status open_arguments(loom_parser *parser, const loom_name *name, loom_place place) {
    loom_parser_advance(parser, LOOM_CONTEXT_EXPRESSION);
    return push_frame(parser, (loom_parse_frame){.kind = FRAME_ARGUMENTS, .place = place, .name = name});
}

static loom_status take_name(loom_parser *parser, part *value, state *next) {
    const loom_name *name = loom_parser_name(parser);
    if (!name) return loom_parser_no_memory(parser);
    loom_parser_advance(parser, LOOM_CONTEXT_NAME);
    if (parser->token.kind == LOOM_TOKEN_LPAR) {
        *next = AT_EXPRESSION;
        return open_arguments(parser, name, value->place);
    }
    value->expr = new_call(parser, name, value->place, 0);
    return value->expr ? LOOM_OK : loom_parser_no_memory(parser);
}

static bool at_word(const loom_parser *parser, const char *word) {
    return parser->token.kind == LOOM_TOKEN_IDENTIFIER && parser->token.length == strlen(word) &&
           memcmp(parser->token.text, word, parser->token.length) == 0;
}

/* Printed text has no prefix operators, so there `-inf` is the number. */
static loom_status take_minus_infinity(loom_parser *parser, part *value) {
    value->expr = new_expr(parser, LOOM_EXPR_NUMBER, value->place);
    if (!value->expr) return loom_parser_no_memory(parser);
    value->expr->number = -INFINITY;
    loom_parser_advance(parser, LOOM_CONTEXT_NAME);
    return LOOM_OK;
}

static loom_status take_operator(loom_parser *parser, part *value, state *next) {
    const loom_name *name = loom_parser_name(parser);
    if (!name) return loom_parser_no_memory(parser);
    loom_parser_advance(parser, LOOM_CONTEXT_OPERAND);
    if (parser->token.kind == LOOM_TOKEN_LPAR) {
        *next = AT_EXPRESSION;
        return open_arguments(parser, name, value->place);
    }
    if (parser->lexer.source->printed && strcmp(name->text, "-") == 0 && at_word(parser, "inf"))
        return take_minus_infinity(parser, value);
    *next = AT_OPERAND;
    return push_item(parser, (loom_parse_item){.operator_name = name, .place = value->place});
}

static loom_status open_group(loom_parser *parser, part *value) {
    loom_parser_advance(parser, LOOM_CONTEXT_EXPRESSION);
    return push_frame(parser, (loom_parse_frame){.kind = FRAME_GROUP, .place = value->place});
}

static loom_status open_array(loom_parser *parser, part *value, state *next) {
    loom_parser_advance(parser, LOOM_CONTEXT_EXPRESSION | LOOM_TOKEN_BIT(RSQB));
    loom_parse_frame frame = {.kind = FRAME_ARRAY, .place = value->place};
    if (parser->token.kind != LOOM_TOKEN_RSQB) {
        *next = AT_EXPRESSION;
        return push_frame(parser, frame);
    }
    frame.items = parser->item_count;
    value->expr = take_items(parser, &frame);
    if (!value->expr) return loom_parser_no_memory(parser);
    loom_parser_advance(parser, LOOM_CONTEXT_VALUE);
    return LOOM_OK;
}

static loom_status at_operand(loom_parser *parser, part *value, state *next) {
    value->place = loom_parser_place(parser);
    *next = AFTER_OPERAND;
    switch (parser->token.kind) {
    case LOOM_TOKEN_NUMBER:
    case LOOM_TOKEN_STRING:
    case LOOM_TOKEN_TRUE:
    case LOOM_TOKEN_FALSE:
        return take_literal(parser, value);
    case LOOM_TOKEN_IDENTIFIER:
    case LOOM_TOKEN_UPPER:
    case LOOM_TOKEN_DOLLAR:
        return take_name(parser, value, next);
    case LOOM_TOKEN_OPERATOR:
        return take_operator(parser, value, next);
    case LOOM_TOKEN_LPAR:
        *next = AT_EXPRESSION;
        return open_group(parser, value);
    case LOOM_TOKEN_LSQB:
        return open_array(parser, value, next);
    default:
        return loom_parser_fail(parser, LOOM_CONTEXT_OPERAND);
    }
}

/* ---- behind an operand ---- */

static loom_status open_brackets(loom_parser *parser, part value, state *next) {
    *next = AT_EXPRESSION;
    loom_parse_frame frame = {.kind = FRAME_INDEX, .place = value.place, .first = value.expr};
    loom_parser_advance(parser, LOOM_CONTEXT_EXPRESSION | LOOM_TOKEN_BIT(COLON));
    if (parser->token.kind != LOOM_TOKEN_COLON) return push_frame(parser, frame);
    frame.kind = FRAME_SLICE_STOP;
    loom_parser_advance(parser, LOOM_CONTEXT_EXPRESSION | LOOM_TOKEN_BIT(RSQB));
    LOOM_TRY(push_frame(parser, frame));
    if (parser->token.kind == LOOM_TOKEN_RSQB) *next = EXPRESSION_DONE;
    return LOOM_OK;
}

/* Prefix operators bind tighter than infix ones: innermost first, then the chain's left part. */
static loom_status apply_operators(loom_parser *parser, part *value) {
    loom_parse_frame *chain = top(parser);
    while (parser->item_count > chain->items) {
        const loom_parse_item *prefix = &parser->items[--parser->item_count];
        value->expr = new_call_1(parser, prefix->operator_name, prefix->place, value->expr);
        value->place = prefix->place;
        if (!value->expr) return loom_parser_no_memory(parser);
    }
    if (!chain->first) return LOOM_OK;
    value->expr = new_call_2(parser, chain->name, chain->place, chain->first, value->expr);
    value->place = chain->place;
    return value->expr ? LOOM_OK : loom_parser_no_memory(parser);
}

static loom_status after_operand(loom_parser *parser, part *value, state *next) {
    if (parser->token.kind == LOOM_TOKEN_LSQB) {
        part sequence = *value;
        value->expr = NULL; /* `[:]` finishes the frame with no stop */
        return open_brackets(parser, sequence, next);
    }
    bool after_name = parser->accepted == LOOM_CONTEXT_NAME;
    if (parser->token.kind == LOOM_TOKEN_EQUAL && after_name) return loom_parser_fail(parser, LOOM_CONTEXT_VALUE);
    LOOM_TRY(apply_operators(parser, value));
    if (parser->token.kind != LOOM_TOKEN_OPERATOR || parser->lexer.source->printed) {
        parser->frame_count--;
        *next = EXPRESSION_DONE;
        return LOOM_OK;
    }
    loom_parse_frame *chain = top(parser);
    chain->first = value->expr;
    chain->place = value->place;
    chain->name = loom_parser_name(parser);
    if (!chain->name) return loom_parser_no_memory(parser);
    loom_parser_advance(parser, LOOM_CONTEXT_OPERAND);
    *next = AT_OPERAND;
    return LOOM_OK;
}

/* ---- a finished expression meets the frame around it ---- */

static loom_status close_list(loom_parser *parser, part *value, loom_token_kind closer, state *next) {
    loom_parse_frame *frame = top(parser);
    LOOM_TRY(push_item(parser, (loom_parse_item){.expr = value->expr}));
    if (parser->token.kind == LOOM_TOKEN_COMMA) {
        loom_parser_advance(parser, LOOM_CONTEXT_EXPRESSION);
        *next = AT_EXPRESSION;
        return LOOM_OK;
    }
    if (parser->token.kind != closer)
        return loom_parser_fail(parser, LOOM_TOKEN_BIT(COMMA) | (loom_token_set)1 << closer);
    value->expr = take_items(parser, frame);
    value->place = frame->place;
    if (!value->expr) return loom_parser_no_memory(parser);
    parser->frame_count--;
    *next = AFTER_OPERAND;
    loom_parser_advance(parser, LOOM_CONTEXT_VALUE);
    return LOOM_OK;
}

/* The operand in `value` is complete up to its closing bracket. */
static loom_status close_operand(loom_parser *parser, part *value, loom_expr *expr, loom_token_kind closer,
                                 state *next) {
    if (!expr) return loom_parser_no_memory(parser);
    value->expr = expr;
    value->place = top(parser)->place;
    parser->frame_count--;
    *next = AFTER_OPERAND;
    return loom_parser_expect(parser, closer, LOOM_CONTEXT_VALUE);
}

static loom_status close_index(loom_parser *parser, part *value, state *next) {
    loom_parse_frame *frame = top(parser);
    if (parser->token.kind == LOOM_TOKEN_COLON) {
        frame->kind = FRAME_SLICE_STOP;
        frame->second = value->expr;
        value->expr = NULL;
        loom_parser_advance(parser, LOOM_CONTEXT_EXPRESSION | LOOM_TOKEN_BIT(RSQB));
        *next = parser->token.kind == LOOM_TOKEN_RSQB ? EXPRESSION_DONE : AT_EXPRESSION;
        return LOOM_OK;
    }
    if (parser->token.kind != LOOM_TOKEN_RSQB)
        return loom_parser_fail(parser, LOOM_TOKEN_BIT(COLON) | LOOM_TOKEN_BIT(RSQB));
    const loom_name *index = loom_names_get(parser->names, "index", 5);
    loom_expr *call = index ? new_call_2(parser, index, frame->place, frame->first, value->expr) : NULL;
    return close_operand(parser, value, call, LOOM_TOKEN_RSQB, next);
}

static loom_status close_slice(loom_parser *parser, part *value, state *next) {
    const loom_parse_frame *frame = top(parser);
    if (parser->token.kind != LOOM_TOKEN_RSQB) return loom_parser_fail(parser, LOOM_TOKEN_BIT(RSQB));
    loom_expr *slice = new_slice(parser, frame->place, frame->first, frame->second, value->expr);
    return close_operand(parser, value, slice, LOOM_TOKEN_RSQB, next);
}

static loom_status continue_with(loom_parser *parser, part *value, loom_token_kind separator, frame_kind kind,
                                 state *next) {
    loom_parse_frame *frame = top(parser);
    frame->first = value->expr;
    frame->kind = kind;
    *next = AT_EXPRESSION;
    return loom_parser_expect(parser, separator, LOOM_CONTEXT_EXPRESSION);
}

/* let, for, filter and fold have no closing token: they end where their last part ends. */
static loom_status close_keyword(loom_parser *parser, part *value, loom_expr_kind kind, state *next) {
    loom_parse_frame *frame = top(parser);
    loom_expr *expr = new_expr(parser, kind, frame->place);
    if (!expr) return loom_parser_no_memory(parser);
    expr->name = frame->name;
    if (kind == LOOM_EXPR_LET) {
        expr->let.value = frame->first;
        expr->let.body = value->expr;
    } else if (kind == LOOM_EXPR_FOLD) {
        expr->fold.init = frame->first;
        expr->fold.sequence = value->expr;
    } else {
        expr->loop.sequence = frame->first;
        expr->loop.body = value->expr;
    }
    value->expr = expr;
    value->place = frame->place;
    parser->frame_count--;
    *next = EXPRESSION_DONE;
    return LOOM_OK;
}

static loom_status close_fold_first(loom_parser *parser, part *value, state *next) {
    loom_token_set second = LOOM_CONTEXT_EXPRESSION & ~LOOM_TOKEN_BIT(LSQB);
    if (!parser->lexer.source->printed) second &= ~LOOM_TOKEN_BIT(OPERATOR);
    bool more = parser->token.kind < LOOM_TOKEN_COUNT && ((second >> parser->token.kind) & 1);
    if (!more) return close_keyword(parser, value, LOOM_EXPR_FOLD, next);
    top(parser)->first = value->expr;
    top(parser)->kind = FRAME_FOLD_SECOND;
    *next = AT_EXPRESSION;
    return LOOM_OK;
}

static loom_status expression_done(loom_parser *parser, part *value, size_t base, state *next) {
    if (parser->frame_count == base) {
        *next = ALL_DONE;
        return LOOM_OK;
    }
    loom_parse_frame *frame = top(parser);
    switch (frame->kind) {
    case FRAME_GROUP:
        if (parser->token.kind != LOOM_TOKEN_RPAR) return loom_parser_fail(parser, LOOM_TOKEN_BIT(RPAR));
        return close_operand(parser, value, value->expr, LOOM_TOKEN_RPAR, next);
    case FRAME_ARGUMENTS:
        return close_list(parser, value, LOOM_TOKEN_RPAR, next);
    case FRAME_ARRAY:
        return close_list(parser, value, LOOM_TOKEN_RSQB, next);
    case FRAME_INDEX:
        return close_index(parser, value, next);
    case FRAME_SLICE_STOP:
        return close_slice(parser, value, next);
    case FRAME_LET_VALUE:
        return continue_with(parser, value, LOOM_TOKEN_IN, FRAME_LET_BODY, next);
    case FRAME_LET_BODY:
        return close_keyword(parser, value, LOOM_EXPR_LET, next);
    case FRAME_SEQUENCE:
        return continue_with(parser, value, LOOM_TOKEN_DO, FRAME_LOOP_BODY, next);
    case FRAME_LOOP_BODY:
        return close_keyword(parser, value, frame->expr_kind, next);
    case FRAME_FOLD_FIRST:
        return close_fold_first(parser, value, next);
    case FRAME_FOLD_SECOND:
        return close_keyword(parser, value, LOOM_EXPR_FOLD, next);
    case FRAME_INFIX:
        break;
    }
    return loom_fail(parser->err, LOOM_INTERNAL, "the parser lost its place");
}

static loom_status step(loom_parser *parser, part *value, size_t base, state *now) {
    switch (*now) {
    case AT_EXPRESSION:
        return at_expression(parser, now);
    case AT_OPERAND:
        return at_operand(parser, value, now);
    case AFTER_OPERAND:
        return after_operand(parser, value, now);
    case EXPRESSION_DONE:
        return expression_done(parser, value, base, now);
    case ALL_DONE:
        break;
    }
    return LOOM_OK;
}

loom_status loom_parser_expression(loom_parser *parser, loom_expr **expr) {
    size_t base = parser->frame_count;
    part value = {0};
    for (state now = AT_EXPRESSION; now != ALL_DONE;)
        LOOM_TRY(step(parser, &value, base, &now));
    *expr = value.expr;
    return LOOM_OK;
}
