/* query_text.c - the words of a query: names, paths, literals, signs. The text is copied into the arena first, so that
 * what points into it lives as long as the query. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/number.h"
#include "shm/query/query_tree.h"

enum { PATH_STEPS_MAX = 64, INDEX_MAX = 1 << 30 };

/* ---- errors ---- */

static uint32_t characters(const char *from, const char *to) {
    uint32_t count = 0;
    for (; from < to; from++)
        count += ((uint8_t)*from & 0xC0u) != 0x80u;
    return count;
}

loom_status loom_query_fail(loom_query_reader *reader, const char *at, const char *format, ...) {
    if (reader->err == NULL) return LOOM_BAD_USAGE;
    char message[sizeof reader->err->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    for (char *c = message; *c != '\0'; c++)
        if ((uint8_t)*c < 0x20) *c = ' '; /* quoted from the query: a message is one line */
    const char *line = reader->text;
    uint32_t number = 1;
    for (const char *c = reader->text; c < at; c++)
        if (*c == '\n') line = c + 1, number++;
    loom_fail(reader->err, LOOM_BAD_USAGE, "%s", message);
    loom_error_at(reader->err, "query", number, characters(line, at) + 1);
    loom_error_excerpt(reader->err, line, (size_t)(reader->end - line));
    return LOOM_BAD_USAGE;
}

loom_status loom_query_no_memory(const loom_query_reader *reader) {
    return loom_fail(reader->err, LOOM_NO_MEMORY, "out of memory while reading a query");
}

/* ---- characters ---- */

static char peek(const loom_query_reader *reader) {
    return reader->at < reader->end ? *reader->at : '\0';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool begins_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || ((uint8_t)c & 0x80u) != 0;
}

static bool continues_name(char c) {
    return begins_name(c) || is_digit(c) || c == '-';
}

static bool is_quote(char c) {
    return c == '"' || c == '\'';
}

static void skip_space(loom_query_reader *reader) {
    while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) != NULL && *reader->at != '\0')
        reader->at++;
}

/* ---- quoted text ---- */

static int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool read_hex4(loom_query_reader *reader, uint32_t *code) {
    *code = 0;
    if (reader->end - reader->at < 4) return false;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(*reader->at++);
        if (digit < 0) return false;
        *code = *code << 4 | (uint32_t)digit;
    }
    return true;
}

static size_t put_utf8(uint32_t code, char *out) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t heads[] = {0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(heads[more] | code >> (6 * more));
    for (size_t i = 1; i <= more; i++)
        out[i] = (char)(0x80 | (code >> (6 * (more - i)) & 0x3F));
    return more + 1;
}

/* After "\u": four hex digits, or two such for what JSON writes as a surrogate pair. 0: malformed. */
static size_t read_unicode(loom_query_reader *reader, char *out) {
    uint32_t code, low;
    if (!read_hex4(reader, &code)) return 0;
    if (code >= 0xDC00 && code <= 0xDFFF) return 0;
    if (code >= 0xD800 && code <= 0xDBFF) {
        if (reader->end - reader->at < 2 || reader->at[0] != '\\' || reader->at[1] != 'u') return 0;
        reader->at += 2;
        if (!read_hex4(reader, &low) || low < 0xDC00 || low > 0xDFFF) return 0;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    return put_utf8(code, out);
}

static loom_status read_escape(loom_query_reader *reader, char *out, size_t *used) {
    static const char names[] = "\"'\\/bfnrt", meant[] = "\"'\\/\b\f\n\r\t";
    const char *start = reader->at++; /* the backslash */
    char name = peek(reader);
    const char *known = name != '\0' ? strchr(names, name) : NULL;
    reader->at += reader->at < reader->end;
    size_t bytes = 1;
    if (known != NULL)
        out[*used] = meant[known - names];
    else if (name != 'u' || (bytes = read_unicode(reader, out + *used)) == 0)
        return loom_query_fail(reader, start,
                               "unknown escape in a string; use \\\" \\' \\\\ \\/ \\b \\f \\n \\r \\t or \\u and four "
                               "hex digits");
    *used += bytes;
    return LOOM_OK;
}

/* Where the string that begins at reader->at ends; reader->end if nowhere. */
static const char *find_quote(const loom_query_reader *reader) {
    const char *at = reader->at + 1;
    for (; at < reader->end && *at != *reader->at; at++)
        if (*at == '\\' && at + 1 < reader->end) at++;
    return at;
}

/* Escapes never grow: the result fits where the source was. */
static loom_status read_quoted(loom_query_reader *reader, const char **text, size_t *length) {
    const char *close = find_quote(reader);
    if (close == reader->end)
        return loom_query_fail(reader, reader->at, "a string does not end; close it with %c", *reader->at);
    char *out = loom_arena_alloc(reader->arena, (size_t)(close - reader->at));
    if (out == NULL) return loom_query_no_memory(reader);
    *length = 0;
    reader->at++;
    while (reader->at < close) {
        if (*reader->at == '\\')
            LOOM_TRY(read_escape(reader, out, length));
        else
            out[(*length)++] = *reader->at++;
    }
    reader->at = close + 1;
    *text = out;
    return LOOM_OK;
}

/* ---- paths ---- */

static loom_status read_name_step(loom_query_reader *reader, loom_query_step *step) {
    step->kind = LOOM_STEP_NAME;
    if (is_quote(peek(reader))) return read_quoted(reader, &step->name, &step->length);
    if (!continues_name(peek(reader)))
        return loom_query_fail(reader, reader->at,
                               "a name is missing after the dot; names with other signs than letters, digits, _ and - "
                               "are quoted: patient.\"odd name\"");
    step->name = reader->at;
    while (continues_name(peek(reader)))
        reader->at++;
    step->length = (size_t)(reader->at - step->name);
    return LOOM_OK;
}

static loom_status read_item_step(loom_query_reader *reader, loom_query_step *step) {
    const char *start = reader->at++; /* the bracket */
    skip_space(reader);
    step->kind = LOOM_STEP_ITEM;
    if (peek(reader) == '*') {
        step->kind = LOOM_STEP_ANY;
        reader->at++;
    } else {
        const char *digits = reader->at;
        for (; is_digit(peek(reader)) && step->item < INDEX_MAX; reader->at++)
            step->item = step->item * 10 + (uint64_t)(*reader->at - '0');
        if (reader->at == digits)
            return loom_query_fail(reader, start,
                                   "an item of a list is named by its number or by *: scans[0], scans[*]");
    }
    skip_space(reader);
    if (peek(reader) != ']')
        return loom_query_fail(reader, start, "an item of a list is named by its number or by *: scans[0], scans[*]");
    reader->at++;
    return LOOM_OK;
}

/* The steps behind the first one. */
static loom_status read_path(loom_query_reader *reader, loom_query_step first, loom_query_path *path) {
    loom_query_step steps[PATH_STEPS_MAX] = {first};
    size_t count = 1;
    while (peek(reader) == '.' || peek(reader) == '[') {
        if (count == PATH_STEPS_MAX)
            return loom_query_fail(reader, reader->at, "a path has more than %d steps; shorten it", PATH_STEPS_MAX);
        if (peek(reader) == '[') {
            LOOM_TRY(read_item_step(reader, &steps[count]));
        } else {
            reader->at++;
            LOOM_TRY(read_name_step(reader, &steps[count]));
        }
        count++;
    }
    path->count = count;
    path->steps = loom_arena_copy(reader->arena, steps, count * sizeof *steps);
    path->text = loom_arena_text(reader->arena, reader->token.start, (size_t)(reader->at - reader->token.start));
    return path->steps != NULL && path->text != NULL ? LOOM_OK : loom_query_no_memory(reader);
}

/* ---- tokens ---- */

static loom_status read_quoted_token(loom_query_reader *reader) {
    loom_token *token = &reader->token;
    loom_query_step first = {.kind = LOOM_STEP_NAME};
    LOOM_TRY(read_quoted(reader, &first.name, &first.length));
    token->kind = peek(reader) == '.' || peek(reader) == '[' ? LOOM_TOKEN_PATH : LOOM_TOKEN_QUOTED;
    token->value = loom_string(first.name, first.length);
    return read_path(reader, first, &token->path);
}

static bool is_word(const loom_token *token, const char *word) {
    return token->length == strlen(word) && memcmp(token->start, word, token->length) == 0;
}

static loom_status read_word_token(loom_query_reader *reader) {
    static const char *const words[] = {"or", "and", "not", "in", "contains", "startswith", "exists"};
    loom_token *token = &reader->token;
    loom_query_step first = {.kind = LOOM_STEP_NAME, .name = reader->at};
    while (continues_name(peek(reader)))
        reader->at++;
    token->length = first.length = (size_t)(reader->at - first.name);
    token->kind = LOOM_TOKEN_LITERAL;
    if (is_word(token, "true") || is_word(token, "false")) {
        token->value = loom_bool(token->length == 4);
        return LOOM_OK;
    }
    if (is_word(token, "null")) return LOOM_OK;
    token->kind = LOOM_TOKEN_WORD;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_word(token, words[i])) return LOOM_OK;
    token->kind = LOOM_TOKEN_PATH;
    return read_path(reader, first, &token->path);
}

static loom_status read_integer(loom_query_reader *reader, const char *digits, size_t length) {
    char text[32];
    if (length < sizeof text) {
        memcpy(text, digits, length);
        text[length] = '\0';
        errno = 0;
        reader->token.value = loom_int(strtoimax(text, NULL, 10));
        if (errno == 0) return LOOM_OK;
    }
    return loom_query_fail(reader, digits, "this integer does not fit into 64 bits; write it with a decimal point");
}

static loom_status read_number(loom_query_reader *reader) {
    const char *start = reader->at;
    bool whole = true;
    if (*start == '-' || *start == '+') reader->at++;
    while (is_digit(peek(reader)) || peek(reader) == '.' || peek(reader) == 'e' || peek(reader) == 'E' ||
           ((peek(reader) == '-' || peek(reader) == '+') && (reader->at[-1] == 'e' || reader->at[-1] == 'E'))) {
        whole = whole && is_digit(*reader->at);
        reader->at++;
    }
    size_t length = (size_t)(reader->at - start);
    double number;
    reader->token.kind = LOOM_TOKEN_LITERAL;
    if (!loom_number_parse(start, length, &number) || begins_name(peek(reader)))
        return loom_query_fail(reader, start, "this is not a number; text is written in quotes");
    if (whole) return read_integer(reader, start, length);
    reader->token.value = loom_float(number);
    return LOOM_OK;
}

static loom_status read_sign(loom_query_reader *reader) {
    static const char *const signs[] = {"==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ","};
    static const char *const wrong[][2] = {{"=", "=="}, {"&", "and"}, {"|", "or"}, {"!", "not"}};
    size_t left = (size_t)(reader->end - reader->at);
    reader->token.kind = LOOM_TOKEN_SIGN;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t length = strlen(signs[i]);
        if (length > left || memcmp(reader->at, signs[i], length) != 0) continue;
        reader->at += length;
        return LOOM_OK;
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (*reader->at == wrong[i][0][0])
            return loom_query_fail(reader, reader->at, "%s means nothing here; write %s", wrong[i][0], wrong[i][1]);
    return loom_query_fail(reader, reader->at,
                           "a sign that means nothing here; text and odd names are written in quotes");
}

loom_status loom_query_advance(loom_query_reader *reader) {
    skip_space(reader);
    loom_token *token = &reader->token;
    *token = (loom_token){.start = reader->at, .value = loom_null()};
    if (reader->at == reader->end) return LOOM_OK;
    char c = *reader->at;
    loom_status status;
    if (is_quote(c))
        status = read_quoted_token(reader);
    else if (begins_name(c))
        status = read_word_token(reader);
    else if (is_digit(c) || c == '-' || c == '+' || c == '.')
        status = read_number(reader);
    else
        status = read_sign(reader);
    token->length = (size_t)(reader->at - token->start);
    return status;
}
