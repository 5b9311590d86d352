/* lexer.c - the context-dependent lexer: longest match within a class, first class that matches wins (voxlogica2.md,
 * 1.2 to 1.4). Keywords, `:` and `=` are spellings of the identifier and operator classes, so they are recognised only
 * as whole lexemes where those classes are accepted too, and as plain prefixes where they are not. */
#include "planner/lexer.h"

#include <string.h>

static const char *const token_names[LOOM_TOKEN_COUNT] = {
#define LOOM_TOKEN_NAME(name, text) [LOOM_TOKEN_##name] = text,
    LOOM_TOKEN_LIST(LOOM_TOKEN_NAME)
#undef LOOM_TOKEN_NAME
};

const char *loom_token_name(loom_token_kind kind) {
    return kind < LOOM_TOKEN_COUNT ? token_names[kind] : "?";
}

typedef struct spelling {
    const char *text;
    loom_token_kind kind;
} spelling;

static const spelling keywords[] = {
    {"let", LOOM_TOKEN_LET},       {"for", LOOM_TOKEN_FOR},   {"in", LOOM_TOKEN_IN},       {"do", LOOM_TOKEN_DO},
    {"filter", LOOM_TOKEN_FILTER}, {"fold", LOOM_TOKEN_FOLD}, {"save", LOOM_TOKEN_SAVE},   {"print", LOOM_TOKEN_PRINT},
    {"import", LOOM_TOKEN_IMPORT}, {"true", LOOM_TOKEN_TRUE}, {"false", LOOM_TOKEN_FALSE},
};

/* Matched as prefixes. */
static const spelling prefixes[] = {
    {"max", LOOM_TOKEN_FOLD_MAX}, {"min", LOOM_TOKEN_FOLD_MIN}, {"(", LOOM_TOKEN_LPAR},
    {")", LOOM_TOKEN_RPAR},       {"[", LOOM_TOKEN_LSQB},       {"]", LOOM_TOKEN_RSQB},
    {",", LOOM_TOKEN_COMMA},      {":", LOOM_TOKEN_COLON},      {"=", LOOM_TOKEN_EQUAL},
};

static bool accepts(loom_token_set set, loom_token_kind kind) {
    return (set >> kind) & 1;
}
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
static bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}
static bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
static bool is_name_start(char c) {
    return is_lower(c) || is_upper(c) || c == '_';
}
static bool is_name_char(char c) {
    return is_name_start(c) || is_digit(c);
}
static bool is_operator_char(char c) {
    return c != '\0' && strchr("#;:_'.|!$%&/^=*-+<>?@~\\", c) != NULL;
}

/* ---- the classes: each returns the length of its match at `text`, 0 for none. `text` ends with a NUL, which no class
 * matches, so reading one character ahead is safe. ---- */

static size_t match_dollar(const char *text) {
    if (text[0] != '$' || !is_lower(text[1])) return 0;
    size_t n = 2;
    while (is_lower(text[n]) || is_digit(text[n]) || text[n] == '_')
        n++;
    return n;
}

static size_t count_digits(const char *text) {
    size_t n = 0;
    while (is_digit(text[n]))
        n++;
    return n;
}

static size_t match_exponent(const char *text) {
    if (text[0] != 'e' && text[0] != 'E') return 0;
    size_t sign = text[1] == '+' || text[1] == '-';
    size_t digits = count_digits(text + 1 + sign);
    return digits ? 1 + sign + digits : 0;
}

static size_t match_number(const char *text) {
    size_t n = text[0] == '+' || text[0] == '-';
    size_t whole = count_digits(text + n);
    n += whole;
    if (text[n] == '.') {
        size_t fraction = count_digits(text + n + 1);
        if (whole || fraction) n += 1 + fraction;
        whole += fraction;
    }
    return whole ? n + match_exponent(text + n) : 0;
}

static size_t match_operator(const char *text) {
    if (text[0] == '/' && text[1] == '/') return 0;
    size_t n = 0;
    if (!is_upper(text[0])) {
        while (is_operator_char(text[n]))
            n++;
        return n;
    }
    while (is_upper(text[n]) || is_digit(text[n]))
        n++;
    if (!is_operator_char(text[n])) return 0;
    while (is_upper(text[n]) || is_digit(text[n]) || is_operator_char(text[n]))
        n++;
    return n;
}

static size_t match_name(const char *text) {
    size_t n = 0;
    while (is_name_char(text[n]))
        n++;
    if (text[n] == '.' && is_name_start(text[n + 1])) {
        n++;
        while (is_name_char(text[n]))
            n++;
    }
    return n;
}

static size_t match_identifier(const char *text) {
    return is_lower(*text) || *text == '_' ? match_name(text) : 0;
}
static size_t match_upper(const char *text) {
    return is_upper(*text) ? match_name(text) : 0;
}

static size_t match_string(const char *text, const char *end) {
    if (text[0] != '"') return 0;
    bool escaped = false;
    for (const char *c = text + 1; c < end && *c != '\n'; c++) {
        if (*c == '"' && !escaped) return (size_t)(c + 1 - text);
        escaped = *c == '\\' && !escaped;
    }
    return 0;
}

static loom_token_kind keyword_or(loom_token_kind general, const char *text, size_t length, loom_token_set accepted) {
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        const spelling *keyword = &keywords[i];
        if (accepts(accepted, keyword->kind) && strlen(keyword->text) == length &&
            memcmp(keyword->text, text, length) == 0)
            return keyword->kind;
    }
    return general;
}

static loom_token_kind punctuation_or_operator(const char *text, size_t length, loom_token_set accepted) {
    if (length == 1 && *text == ':' && accepts(accepted, LOOM_TOKEN_COLON)) return LOOM_TOKEN_COLON;
    if (length == 1 && *text == '=' && accepts(accepted, LOOM_TOKEN_EQUAL)) return LOOM_TOKEN_EQUAL;
    return LOOM_TOKEN_OPERATOR;
}

static size_t match_prefix(const char *text, loom_token_set accepted, loom_token_kind *kind) {
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t length = strlen(prefixes[i].text);
        if (!accepts(accepted, prefixes[i].kind) || strncmp(text, prefixes[i].text, length) != 0) continue;
        *kind = prefixes[i].kind;
        return length;
    }
    return 0;
}

static size_t match(const char *text, const char *end, loom_token_set accepted, loom_token_kind *kind) {
    size_t n;
    if (accepts(accepted, LOOM_TOKEN_DOLLAR) && (n = match_dollar(text))) return *kind = LOOM_TOKEN_DOLLAR, n;
    if (accepts(accepted, LOOM_TOKEN_NUMBER) && (n = match_number(text))) return *kind = LOOM_TOKEN_NUMBER, n;
    if (accepts(accepted, LOOM_TOKEN_OPERATOR) && (n = match_operator(text)))
        return *kind = punctuation_or_operator(text, n, accepted), n;
    if (accepts(accepted, LOOM_TOKEN_IDENTIFIER) && (n = match_identifier(text)))
        return *kind = keyword_or(LOOM_TOKEN_IDENTIFIER, text, n, accepted), n;
    if (accepts(accepted, LOOM_TOKEN_UPPER) && (n = match_upper(text))) return *kind = LOOM_TOKEN_UPPER, n;
    if (accepts(accepted, LOOM_TOKEN_STRING) && (n = match_string(text, end))) return *kind = LOOM_TOKEN_STRING, n;
    return match_prefix(text, accepted, kind);
}

/* ---- moving through the text ---- */

static bool is_continuation(char c) {
    return ((unsigned char)c & 0xC0) == 0x80;
}

static void pass(loom_lexer *lexer, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        lexer->continuation += is_continuation(lexer->source->text[lexer->at + i]);
    lexer->at += bytes;
}

static void pass_newline(loom_lexer *lexer) {
    lexer->at++;
    lexer->line++;
    lexer->line_start = lexer->at;
    lexer->continuation = 0;
}

static void skip_blank(loom_lexer *lexer) {
    const char *text = lexer->source->text;
    for (; lexer->at < lexer->source->length;) {
        const char *here = text + lexer->at;
        if (*here == '\n') {
            pass_newline(lexer);
        } else if (*here == ' ' || *here == '\t' || *here == '\f' || *here == '\r') {
            lexer->at++;
        } else if (here[0] == '/' && here[1] == '/') {
            const char *newline = memchr(here, '\n', lexer->source->length - lexer->at);
            pass(lexer, newline ? (size_t)(newline - here) : lexer->source->length - lexer->at);
        } else {
            return;
        }
    }
}

void loom_lexer_start(loom_lexer *lexer, const loom_source *source) {
    *lexer = (loom_lexer){.source = source, .line = 1};
}

loom_token loom_lexer_next(loom_lexer *lexer, loom_token_set accepted) {
    skip_blank(lexer);
    const char *text = lexer->source->text + lexer->at, *end = lexer->source->text + lexer->source->length;
    loom_token token = {.kind = LOOM_TOKEN_END,
                        .text = text,
                        .line = lexer->line,
                        .column = (uint32_t)(lexer->at - lexer->line_start) + 1 - lexer->continuation};
    if (text == end) return token;
    token.length = match(text, end, accepted, &token.kind);
    if (token.length) {
        if (token.kind == LOOM_TOKEN_STRING)
            pass(lexer, token.length);
        else
            lexer->at += token.length;
        return token;
    }
    token.length = match(text, end, ~(loom_token_set)0, &token.kind);
    token.kind = token.length ? LOOM_TOKEN_MISPLACED : LOOM_TOKEN_BAD;
    return token;
}
