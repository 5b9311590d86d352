/* query_tree.h - a parsed query, as parser, evaluator and planner see it. All of it lies in the arena of the parser.
 *
 * query_text.c reads names, literals and paths; query_parse.c makes the tree; query_eval.c judges records; query_plan.c
 * chooses ranges of the index; query_run.c asks a store. */
#ifndef LOOM_SHM_QUERY_TREE_H
#define LOOM_SHM_QUERY_TREE_H

#include "shm/index/field_key.h"
#include "shm/query/query.h"

typedef enum loom_step_kind { LOOM_STEP_NAME, LOOM_STEP_ITEM, LOOM_STEP_ANY } loom_step_kind;

typedef struct loom_query_step {
    loom_step_kind kind;
    const char *name;
    size_t length;
    uint64_t item;
} loom_query_step;

typedef struct loom_query_path {
    const loom_query_step *steps;
    size_t count;
    const char *text; /* as written */
} loom_query_path;

typedef enum loom_query_kind {
    LOOM_QUERY_OR,
    LOOM_QUERY_AND,
    LOOM_QUERY_NOT,
    LOOM_QUERY_EQ,
    LOOM_QUERY_NE,
    LOOM_QUERY_LT,
    LOOM_QUERY_LE,
    LOOM_QUERY_GT,
    LOOM_QUERY_GE,
    LOOM_QUERY_IN,
    LOOM_QUERY_CONTAINS,
    LOOM_QUERY_STARTSWITH,
    LOOM_QUERY_EXISTS
} loom_query_kind;

typedef struct loom_query_node loom_query_node;
struct loom_query_node {
    loom_query_kind kind;
    loom_query_node *next;  /* the next operand of `or` and `and`: chains of any length without nesting */
    loom_query_node *first; /* operands of OR, AND, NOT */
    const loom_query_path *path;
    const loom_value *values; /* literals: one, or the list of IN */
    size_t value_count;
    const char *text; /* as written, for explanations */
    size_t text_length;
};

struct loom_query {
    loom_query_node *root;
    const loom_query_path **paths;
    size_t path_count;
};

/* ---- query_text.c ---- */

typedef enum loom_token_kind {
    LOOM_TOKEN_END,
    LOOM_TOKEN_PATH,    /* begins with a bare name: could be nothing else */
    LOOM_TOKEN_QUOTED,  /* a string; or a path that begins with a quoted name and goes no further */
    LOOM_TOKEN_LITERAL, /* number, true, false, null */
    LOOM_TOKEN_WORD,    /* or, and, not, in, contains, startswith, exists */
    LOOM_TOKEN_SIGN     /* ( ) [ ] , == != < <= > >= */
} loom_token_kind;

typedef struct loom_token {
    loom_token_kind kind;
    const char *start;
    size_t length;
    loom_value value;     /* of a literal or quoted string */
    loom_query_path path; /* of a path or quoted string */
} loom_token;

typedef struct loom_query_reader {
    const char *text, *at, *end;
    loom_token token; /* the one to be read next */
    loom_arena *arena;
    loom_error *err;
} loom_query_reader;

/* Reads the next token into reader->token. */
loom_status loom_query_advance(loom_query_reader *reader);
/* LOOM_BAD_USAGE at a place of the text. `format` gives cause and remedy. */
__attribute__((format(printf, 3, 4))) loom_status loom_query_fail(loom_query_reader *reader, const char *at,
                                                                  const char *format, ...);
loom_status loom_query_no_memory(const loom_query_reader *reader);

/* ---- query_plan.c ---- */

#define LOOM_QUERY_RANGES_MAX 1024u

typedef struct loom_query_ranges {
    loom_field_range *items; /* in the arena; every match of `node` has a key in one of them, or is under overflow */
    size_t count;
    const loom_query_node *node;
} loom_query_ranges;

/* The conjuncts that the index can answer. At most `capacity`; returns how many. */
size_t loom_query_plan(const loom_query *query, const loom_cipher *cipher, loom_arena *arena,
                       loom_query_ranges *choices, size_t capacity);

#endif
