/* lexer.h - tokens of ImgQL, read in context.
 *
 * Which token classes compete at a place depends on the token before it and its role (voxlogica2.md, 1.4): the parser
 * says so with a set of classes at every step. */
#ifndef LOOM_PLANNER_LEXER_H
#define LOOM_PLANNER_LEXER_H

#include <stddef.h>
#include <stdint.h>

#include "planner/ast.h"

/* Class, name in messages. In the order of the names, so that a set prints sorted. */
#define LOOM_TOKEN_LIST(X)                                                                                             \
    X(END, "$END")                                                                                                     \
    X(COLON, "COLON")                                                                                                  \
    X(COMMA, "COMMA")                                                                                                  \
    X(DO, "DO")                                                                                                        \
    X(DOLLAR, "DOLLAR_IDENTIFIER")                                                                                     \
    X(EQUAL, "EQUAL")                                                                                                  \
    X(STRING, "ESCAPED_STRING")                                                                                        \
    X(FALSE, "FALSE")                                                                                                  \
    X(FILTER, "FILTER")                                                                                                \
    X(FOLD, "FOLD")                                                                                                    \
    X(FOLD_MAX, "FOLD_MAX")                                                                                            \
    X(FOLD_MIN, "FOLD_MIN")                                                                                            \
    X(FOR, "FOR")                                                                                                      \
    X(IDENTIFIER, "IDENTIFIER")                                                                                        \
    X(IMPORT, "IMPORT")                                                                                                \
    X(IN, "IN")                                                                                                        \
    X(LET, "LET")                                                                                                      \
    X(LPAR, "LPAR")                                                                                                    \
    X(LSQB, "LSQB")                                                                                                    \
    X(OPERATOR, "OPERATOR")                                                                                            \
    X(PRINT, "PRINT")                                                                                                  \
    X(RPAR, "RPAR")                                                                                                    \
    X(RSQB, "RSQB")                                                                                                    \
    X(SAVE, "SAVE")                                                                                                    \
    X(NUMBER, "SIGNED_NUMBER")                                                                                         \
    X(TRUE, "TRUE")                                                                                                    \
    X(UPPER, "UPPER_IDENTIFIER")

typedef enum loom_token_kind {
#define LOOM_TOKEN_ENUM(name, text) LOOM_TOKEN_##name,
    LOOM_TOKEN_LIST(LOOM_TOKEN_ENUM)
#undef LOOM_TOKEN_ENUM
        LOOM_TOKEN_COUNT,
    LOOM_TOKEN_MISPLACED = LOOM_TOKEN_COUNT, /* a token, but of no class that is accepted here */
    LOOM_TOKEN_BAD                           /* no class at all matches */
} loom_token_kind;

typedef uint32_t loom_token_set;
#define LOOM_TOKEN_BIT(name) ((loom_token_set)1 << LOOM_TOKEN_##name)

typedef struct loom_token {
    loom_token_kind kind;
    const char *text;
    size_t length;
    uint32_t line, column;
} loom_token;

typedef struct loom_lexer {
    const loom_source *source;
    size_t at;
    uint32_t line;
    size_t line_start;
    uint32_t continuation; /* UTF-8 continuation bytes since line_start: columns count characters */
} loom_lexer;

const char *loom_token_name(loom_token_kind kind);

void loom_lexer_start(loom_lexer *lexer, const loom_source *source);

/* The next token among the accepted classes; LOOM_TOKEN_END at the end of input whatever is accepted. MISPLACED and
 * BAD do not move the lexer on. */
loom_token loom_lexer_next(loom_lexer *lexer, loom_token_set accepted);

#endif
