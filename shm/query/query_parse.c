/* query_parse.c - text to tree, by recursive descent:
 *
 *   query  = and { "or" and } .          and   = unary { "and" unary } .
 *   unary  = "not" unary | "(" query ")" | "exists" path | test .
 *   test   = path sign literal | literal sign path | path ["not"] "in" "[" [ literal { "," literal } ] "]"
 *          | path ["not"] ( "contains" | "startswith" ) string .
 */
#include <string.h>

#include "shm/query/query_tree.h"

typedef struct parser {
    loom_query_reader reader;
    loom_query *query;
    size_t path_capacity;
    unsigned nesting;
} parser;

static loom_status parse_or(parser *p, loom_query_node **node);

static const loom_token *token(const parser *p) {
    return &p->reader.token;
}

static bool is(const parser *p, const char *text) {
    const loom_token *t = token(p);
    return (t->kind == LOOM_TOKEN_WORD || t->kind == LOOM_TOKEN_SIGN) && t->length == strlen(text) &&
           memcmp(t->start, text, t->length) == 0;
}

static bool is_path(const loom_token *t) {
    return t->kind == LOOM_TOKEN_PATH || t->kind == LOOM_TOKEN_QUOTED;
}

static bool is_literal(const loom_token *t) {
    return t->kind == LOOM_TOKEN_LITERAL || t->kind == LOOM_TOKEN_QUOTED;
}

static loom_status next(parser *p) {
    return loom_query_advance(&p->reader);
}

/* ---- nodes ---- */

static loom_status new_node(parser *p, loom_query_kind kind, const char *start, loom_query_node **node) {
    *node = loom_arena_alloc(p->reader.arena, sizeof **node);
    if (*node == NULL) return loom_query_no_memory(&p->reader);
    (*node)->kind = kind;
    (*node)->text = start;
    return LOOM_OK;
}

/* What was read before the present token, without the space between. */
static void end_text(const parser *p, loom_query_node *node) {
    const char *end = token(p)->start;
    while (end > node->text && strchr(" \t\r\n", end[-1]) != NULL && end[-1] != '\0')
        end--;
    node->text_length = (size_t)(end - node->text);
}

static loom_status grow_paths(parser *p) {
    size_t capacity = p->path_capacity == 0 ? 8 : 2 * p->path_capacity;
    const loom_query_path **grown = loom_arena_array(p->reader.arena, capacity, sizeof *grown);
    if (grown == NULL) return loom_query_no_memory(&p->reader);
    if (p->query->path_count > 0) memcpy(grown, p->query->paths, p->query->path_count * sizeof *grown);
    p->query->paths = grown;
    p->path_capacity = capacity;
    return LOOM_OK;
}

static loom_status keep_path(parser *p, const loom_query_path *path, const loom_query_path **kept) {
    enum { LISTED_MAX = 64 };
    loom_query *query = p->query;
    for (size_t i = 0; i < query->path_count; i++)
        if (strcmp(query->paths[i]->text, path->text) == 0) {
            *kept = query->paths[i];
            return LOOM_OK;
        }
    *kept = loom_arena_copy(p->reader.arena, path, sizeof *path);
    if (*kept == NULL) return loom_query_no_memory(&p->reader);
    if (query->path_count == LISTED_MAX) return LOOM_OK; /* a table has no more columns anyway */
    if (query->path_count == p->path_capacity) LOOM_TRY(grow_paths(p));
    query->paths[query->path_count++] = *kept;
    return LOOM_OK;
}

static loom_status keep_values(parser *p, loom_query_node *node, const loom_value *values, size_t count) {
    node->values = loom_arena_copy(p->reader.arena, values, count * sizeof *values);
    node->value_count = count;
    return node->values != NULL ? LOOM_OK : loom_query_no_memory(&p->reader);
}

/* ---- tests ---- */

static bool sign_kind(const parser *p, loom_query_kind *kind) {
    static const struct {
        const char *sign;
        loom_query_kind kind;
    } signs[] = {{"==", LOOM_QUERY_EQ}, {"!=", LOOM_QUERY_NE}, {"<", LOOM_QUERY_LT},
                 {"<=", LOOM_QUERY_LE}, {">", LOOM_QUERY_GT},  {">=", LOOM_QUERY_GE}};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (is(p, signs[i].sign)) {
            *kind = signs[i].kind;
            return true;
        }
    return false;
}

static loom_query_kind mirrored(loom_query_kind kind) {
    switch (kind) {
    case LOOM_QUERY_LT:
        return LOOM_QUERY_GT;
    case LOOM_QUERY_LE:
        return LOOM_QUERY_GE;
    case LOOM_QUERY_GT:
        return LOOM_QUERY_LT;
    case LOOM_QUERY_GE:
        return LOOM_QUERY_LE;
    default:
        return kind;
    }
}

static bool has_order(const loom_value *value) {
    return value->type == LOOM_INT || value->type == LOOM_FLOAT || value->type == LOOM_STRING;
}

static loom_status parse_sign(parser *p, const loom_token *left, loom_query_node *node) {
    (void)sign_kind(p, &node->kind);
    LOOM_TRY(next(p));
    const loom_token right = *token(p);
    bool forward = is_path(left) && is_literal(&right);
    if (!forward && !(is_literal(left) && is_path(&right)))
        return loom_query_fail(&p->reader, right.start,
                               "a path is compared with a number, a quoted string, true, false or null");
    const loom_token *literal = forward ? &right : left;
    if (!forward) node->kind = mirrored(node->kind);
    if (node->kind != LOOM_QUERY_EQ && node->kind != LOOM_QUERY_NE && !has_order(&literal->value))
        return loom_query_fail(&p->reader, literal->start,
                               "%s has no order; only numbers and strings have one, others are compared by == and !=",
                               loom_type_name(literal->value.type));
    LOOM_TRY(keep_path(p, forward ? &left->path : &right.path, &node->path));
    LOOM_TRY(keep_values(p, node, &literal->value, 1));
    LOOM_TRY(next(p));
    loom_query_kind again;
    if (sign_kind(p, &again))
        return loom_query_fail(&p->reader, token(p)->start,
                               "comparisons do not chain; write two and put \"and\" between them");
    return LOOM_OK;
}

static loom_status parse_list(parser *p, loom_query_node *node) {
    if (!is(p, "["))
        return loom_query_fail(&p->reader, token(p)->start, "a list is missing after \"in\"; write in [1, 2]");
    loom_value *values = NULL;
    size_t count = 0, capacity = 0;
    LOOM_TRY(next(p));
    while (!is(p, "]")) {
        if (!is_literal(token(p)))
            return loom_query_fail(&p->reader, token(p)->start,
                                   "a list holds numbers, quoted strings, true, false or null, with commas between");
        if (count == capacity) {
            capacity = capacity == 0 ? 8 : 2 * capacity;
            loom_value *grown = loom_arena_array(p->reader.arena, capacity, sizeof *grown);
            if (grown == NULL) return loom_query_no_memory(&p->reader);
            if (count > 0) memcpy(grown, values, count * sizeof *values);
            values = grown;
        }
        values[count++] = token(p)->value;
        LOOM_TRY(next(p));
        if (is(p, ","))
            LOOM_TRY(next(p));
        else if (!is(p, "]"))
            return loom_query_fail(&p->reader, token(p)->start, "a comma or ] is missing in this list");
    }
    node->values = values;
    node->value_count = count;
    return next(p);
}

static loom_status parse_text_operand(parser *p, loom_query_node *node) {
    if (token(p)->kind != LOOM_TOKEN_QUOTED)
        return loom_query_fail(&p->reader, token(p)->start, "a quoted string is missing here");
    LOOM_TRY(keep_values(p, node, &token(p)->value, 1));
    return next(p);
}

/* path ["not"] in, contains, startswith */
static loom_status parse_word(parser *p, const loom_token *left, loom_query_node *node) {
    LOOM_TRY(keep_path(p, &left->path, &node->path));
    node->kind = is(p, "in") ? LOOM_QUERY_IN : is(p, "contains") ? LOOM_QUERY_CONTAINS : LOOM_QUERY_STARTSWITH;
    LOOM_TRY(next(p));
    return node->kind == LOOM_QUERY_IN ? parse_list(p, node) : parse_text_operand(p, node);
}

static bool at_word_test(const parser *p) {
    return is(p, "in") || is(p, "contains") || is(p, "startswith");
}

static loom_status no_test_follows(parser *p, const loom_token *left) {
    if (is_path(left))
        return loom_query_fail(
            &p->reader, token(p)->start,
            "after the path %.100s a test is missing: ==, !=, <, <=, >, >=, in, contains or startswith",
            left->path.text);
    return loom_query_fail(&p->reader, token(p)->start, "a literal is compared with a path by ==, !=, <, <=, > or >=");
}

static loom_status parse_test(parser *p, loom_query_node **node) {
    const loom_token left = *token(p);
    loom_query_kind sign;
    if (!is_path(&left) && !is_literal(&left)) {
        const char *cause = left.kind == LOOM_TOKEN_END ? "the query ends too early" : "a test is missing here";
        return loom_query_fail(&p->reader, left.start, "%s; write one as patient.age > 60", cause);
    }
    LOOM_TRY(new_node(p, LOOM_QUERY_EQ, left.start, node));
    LOOM_TRY(next(p));
    if (sign_kind(p, &sign)) {
        LOOM_TRY(parse_sign(p, &left, *node));
        end_text(p, *node);
        return LOOM_OK;
    }
    bool negated = is_path(&left) && is(p, "not");
    if (negated) LOOM_TRY(next(p));
    if (!is_path(&left) || !at_word_test(p)) return no_test_follows(p, &left);
    LOOM_TRY(parse_word(p, &left, *node));
    end_text(p, *node);
    if (!negated) return LOOM_OK;
    loom_query_node *inner = *node;
    LOOM_TRY(new_node(p, LOOM_QUERY_NOT, inner->text, node));
    (*node)->first = inner;
    (*node)->text_length = inner->text_length;
    return LOOM_OK;
}

/* ---- logic ---- */

static loom_status enter(parser *p) {
    if (p->nesting++ < LOOM_QUERY_NESTING_MAX) return LOOM_OK;
    return loom_query_fail(&p->reader, token(p)->start, "the query is nested deeper than %u; simplify it",
                           LOOM_QUERY_NESTING_MAX);
}

static loom_status parse_group(parser *p, loom_query_node **node) {
    const char *open = token(p)->start;
    LOOM_TRY(enter(p));
    LOOM_TRY(next(p));
    LOOM_TRY(parse_or(p, node));
    if (!is(p, ")") && token(p)->kind != LOOM_TOKEN_END)
        return loom_query_fail(&p->reader, token(p)->start, "\"and\", \"or\" or ) is missing here");
    if (!is(p, ")")) return loom_query_fail(&p->reader, open, "this parenthesis is not closed; add )");
    p->nesting--;
    return next(p);
}

static loom_status parse_unary(parser *p, loom_query_node **node) {
    const char *start = token(p)->start;
    if (is(p, "(")) return parse_group(p, node);
    if (is(p, "not")) {
        LOOM_TRY(enter(p));
        LOOM_TRY(new_node(p, LOOM_QUERY_NOT, start, node));
        LOOM_TRY(next(p));
        LOOM_TRY(parse_unary(p, &(*node)->first));
        p->nesting--;
        end_text(p, *node);
        return LOOM_OK;
    }
    if (!is(p, "exists")) return parse_test(p, node);
    LOOM_TRY(new_node(p, LOOM_QUERY_EXISTS, start, node));
    LOOM_TRY(next(p));
    if (!is_path(token(p))) return loom_query_fail(&p->reader, token(p)->start, "a path is missing after \"exists\"");
    LOOM_TRY(keep_path(p, &token(p)->path, &(*node)->path));
    LOOM_TRY(next(p));
    end_text(p, *node);
    return LOOM_OK;
}

typedef loom_status (*parse_operand)(parser *p, loom_query_node **node);

static loom_status parse_chain(parser *p, loom_query_kind kind, const char *word, parse_operand operand,
                               loom_query_node **node) {
    const char *start = token(p)->start;
    LOOM_TRY(operand(p, node));
    if (!is(p, word)) return LOOM_OK;
    loom_query_node *chain, **link = &(*node)->next;
    LOOM_TRY(new_node(p, kind, start, &chain));
    chain->first = *node;
    while (is(p, word)) {
        LOOM_TRY(next(p));
        LOOM_TRY(operand(p, link));
        link = &(*link)->next;
    }
    end_text(p, chain);
    *node = chain;
    return LOOM_OK;
}

static loom_status parse_and(parser *p, loom_query_node **node) {
    return parse_chain(p, LOOM_QUERY_AND, "and", parse_unary, node);
}

static loom_status parse_or(parser *p, loom_query_node **node) {
    return parse_chain(p, LOOM_QUERY_OR, "or", parse_and, node);
}

static loom_status parse_all(parser *p) {
    LOOM_TRY(next(p));
    if (token(p)->kind == LOOM_TOKEN_END)
        return loom_query_fail(&p->reader, p->reader.text, "the query is empty; write one as patient.age > 60");
    LOOM_TRY(parse_or(p, &p->query->root));
    if (token(p)->kind == LOOM_TOKEN_END) return LOOM_OK;
    if (is(p, ")")) return loom_query_fail(&p->reader, token(p)->start, "this parenthesis closes nothing; remove it");
    return loom_query_fail(&p->reader, token(p)->start,
                           "\"and\" or \"or\" is missing here (words are written in lower case)");
}

loom_status loom_query_parse(const char *text, size_t length, loom_arena *arena, loom_query **query, loom_error *err) {
    *query = NULL;
    if (length > LOOM_QUERY_BYTES_MAX)
        return loom_fail(err, LOOM_BAD_USAGE, "the query has %zu bytes; at most %u are allowed, so split it", length,
                         LOOM_QUERY_BYTES_MAX);
    const char *copy = loom_arena_text(arena, text, length);
    parser p = {.reader = {.text = copy, .at = copy, .end = copy + length, .arena = arena, .err = err}};
    p.query = loom_arena_alloc(arena, sizeof *p.query);
    if (copy == NULL || p.query == NULL) return loom_query_no_memory(&p.reader);
    LOOM_TRY(parse_all(&p));
    *query = p.query;
    return LOOM_OK;
}
