/* parser_state.h - what parser.c (commands) and parser_expression.c share. */
#ifndef LOOM_PLANNER_PARSER_STATE_H
#define LOOM_PLANNER_PARSER_STATE_H

#include "planner/lexer.h"
#include "planner/parser.h"

typedef struct loom_parse_frame loom_parse_frame;
typedef struct loom_parse_item loom_parse_item;

typedef struct loom_parser {
    loom_names *names;
    loom_arena *arena;
    loom_lexer lexer;
    loom_token token;                /* the next token, not yet consumed */
    loom_token_set accepted;         /* the classes it was read with */
    uint32_t last_line, last_column; /* of the last consumed token: where the end of input is reported */
    loom_error *err;
    /* Work stacks of parser_expression.c: constructs that are open, and finished parts of theirs. */
    loom_parse_frame *frames;
    size_t frame_count, frame_capacity;
    loom_parse_item *items;
    size_t item_count, item_capacity;
} loom_parser;

/* Class sets of section 1.4, named by the token that was just consumed. */
#define LOOM_NAMES (LOOM_TOKEN_BIT(DOLLAR) | LOOM_TOKEN_BIT(IDENTIFIER) | LOOM_TOKEN_BIT(UPPER))
#define LOOM_CONTEXT_OPERAND                                                                                           \
    (LOOM_NAMES | LOOM_TOKEN_BIT(OPERATOR) | LOOM_TOKEN_BIT(NUMBER) | LOOM_TOKEN_BIT(STRING) | LOOM_TOKEN_BIT(TRUE) |  \
     LOOM_TOKEN_BIT(FALSE) | LOOM_TOKEN_BIT(LPAR) | LOOM_TOKEN_BIT(LSQB))
#define LOOM_CONTEXT_EXPRESSION                                                                                        \
    (LOOM_CONTEXT_OPERAND | LOOM_TOKEN_BIT(LET) | LOOM_TOKEN_BIT(FOR) | LOOM_TOKEN_BIT(FILTER) | LOOM_TOKEN_BIT(FOLD))
#define LOOM_CONTEXT_VALUE                                                                                             \
    (LOOM_CONTEXT_EXPRESSION | LOOM_TOKEN_BIT(END) | LOOM_TOKEN_BIT(COLON) | LOOM_TOKEN_BIT(COMMA) |                   \
     LOOM_TOKEN_BIT(DO) | LOOM_TOKEN_BIT(IN) | LOOM_TOKEN_BIT(RPAR) | LOOM_TOKEN_BIT(RSQB) | LOOM_TOKEN_BIT(IMPORT) |  \
     LOOM_TOKEN_BIT(PRINT) | LOOM_TOKEN_BIT(SAVE))
#define LOOM_CONTEXT_NAME (LOOM_CONTEXT_VALUE | LOOM_TOKEN_BIT(EQUAL))
#define LOOM_CONTEXT_COMMAND                                                                                           \
    (LOOM_NAMES | LOOM_TOKEN_BIT(OPERATOR) | LOOM_TOKEN_BIT(LET) | LOOM_TOKEN_BIT(SAVE) | LOOM_TOKEN_BIT(PRINT) |      \
     LOOM_TOKEN_BIT(IMPORT) | LOOM_TOKEN_BIT(END))

/* Consumes the token and reads the next one with these classes accepted. */
void loom_parser_advance(loom_parser *parser, loom_token_set accepted);
loom_place loom_parser_place(const loom_parser *parser);
/* The error for the current token, with what the parser would have taken; for tokens that the lexer refused, what it
 * accepted. */
loom_status loom_parser_fail(loom_parser *parser, loom_token_set expected);
loom_status loom_parser_no_memory(loom_parser *parser);
/* Consumes a token of that class or fails. */
loom_status loom_parser_expect(loom_parser *parser, loom_token_kind kind, loom_token_set accepted_next);
bool loom_parser_at_name(const loom_parser *parser);
const loom_name *loom_parser_name(loom_parser *parser); /* of the current token; NULL when out of memory */

/* Parses the expression that starts at the current token. */
loom_status loom_parser_expression(loom_parser *parser, loom_expr **expr);

#endif
