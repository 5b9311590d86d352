/* diagnostic.c - how errors in programs are worded: the source line under the message, quoting, near misses. */
#include "planner/diagnostic.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A line is shown whole or not at all, since the caret counts its columns. */
#define LONGEST_EXCERPT 400

static void add_excerpt(loom_error *err, loom_place place) {
    const char *line = place.source->text, *end = line + place.source->length;
    for (uint32_t n = 1; n < place.line; n++) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        if (!newline) return;
        line = newline + 1;
    }
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    size_t length = (size_t)((newline ? newline : end) - line);
    if (length > 0 && length <= LONGEST_EXCERPT) loom_error_excerpt(err, line, length);
}

loom_status loom_diagnose(loom_error *err, loom_status status, loom_place place, const char *format, ...) {
    if (!err) return status;
    char message[sizeof err->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    loom_error_clear(err);
    loom_fail(err, status, "%s", message);
    if (place.source) {
        loom_error_at(err, place.source->name, place.line, place.column);
        if (place.line) add_excerpt(err, place);
    }
    return status;
}

/* Characters that Python escapes. The Unicode tables are not at hand, so of the rest only the invisible characters that
 * are likely to occur are treated as unprintable. */
static bool is_unprintable(uint32_t c) {
    return c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD || (c >= 0x2000 && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202F) || (c >= 0x205F && c <= 0x206F) || c == 0x3000 || c == 0xFEFF ||
           (c >= 0xD800 && c <= 0xF8FF) || c >= 0xE0000;
}

/* One character of UTF-8; a broken byte counts as itself. */
static size_t read_character(const char *text, size_t length, uint32_t *character) {
    const unsigned char *u = (const unsigned char *)text;
    size_t size = u[0] >= 0xF0 ? 4 : u[0] >= 0xE0 ? 3 : u[0] >= 0xC0 ? 2 : 1;
    *character = u[0];
    if (size == 1 || size > length) return 1;
    uint32_t value = u[0] & (0xFFu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((u[i] & 0xC0) != 0x80) return 1;
        value = value << 6 | (u[i] & 0x3Fu);
    }
    *character = value;
    return size;
}

static size_t escape(uint32_t c, char quote, char out[16]) {
    switch (c) {
    case '\n':
        return memcpy(out, "\\n", 2), 2;
    case '\r':
        return memcpy(out, "\\r", 2), 2;
    case '\t':
        return memcpy(out, "\\t", 2), 2;
    default:
        break;
    }
    if (c == '\\' || c == (unsigned char)quote) return out[0] = '\\', out[1] = (char)c, 2;
    if (!is_unprintable(c)) return 0;
    return (size_t)snprintf(out, 16, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
}

size_t loom_python_quote(const char *text, size_t length, char *quoted, size_t capacity) {
    char quote = memchr(text, '\'', length) && !memchr(text, '"', length) ? '"' : '\'';
    size_t used = 0;
    if (capacity < 3) return 0;
    quoted[used++] = quote;
    for (size_t at = 0; at < length;) {
        uint32_t character;
        char escaped[16];
        size_t size = read_character(text + at, length - at, &character);
        size_t escape_size = escape(character, quote, escaped);
        size_t added = escape_size ? escape_size : size;
        if (used + added + 2 > capacity) break;
        memcpy(quoted + used, escape_size ? escaped : text + at, added);
        used += added;
        at += size;
    }
    quoted[used++] = quote;
    quoted[used] = '\0';
    return used;
}
