/* json_text.c - writing JSON exactly as Python does; ids depend on every byte (voxlogica2.md, 3.1). */
#include "planner/json_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shm/number.h"

#define PAGE_BYTES 65536

void loom_text_free(loom_text *text) {
    loom_buffer_free(&text->buffer);
    *text = (loom_text){0};
}

static void flush(loom_text *text) {
    if (fwrite(text->buffer.bytes, 1, text->buffer.length, text->out) != text->buffer.length) text->failed = true;
    text->buffer.length = 0;
}

void loom_text_add(loom_text *text, const char *bytes, size_t length) {
    if (text->failed) return;
    if (loom_buffer_add(&text->buffer, bytes, length) != LOOM_OK)
        text->failed = true;
    else if (text->out && text->buffer.length >= PAGE_BYTES)
        flush(text);
}

void loom_text_put(loom_text *text, const char *c_string) {
    loom_text_add(text, c_string, strlen(c_string));
}

char *loom_text_room(loom_text *text, size_t bytes) {
    if (text->failed || bytes > SIZE_MAX / 2 - text->buffer.length) return text->failed = true, NULL;
    if (text->buffer.capacity - text->buffer.length < bytes) {
        size_t capacity = 2 * (text->buffer.length + bytes);
        uint8_t *grown = realloc(text->buffer.bytes, capacity);
        if (!grown) return text->failed = true, NULL;
        text->buffer.bytes = grown;
        text->buffer.capacity = capacity;
    }
    return (char *)text->buffer.bytes + text->buffer.length;
}

void loom_text_number(loom_text *text, uint64_t number) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, number);
    loom_text_add(text, digits, (size_t)length);
}

void loom_text_integer(loom_text *text, int64_t number) {
    if (number < 0) {
        loom_text_add(text, "-", 1);
        loom_text_number(text, (uint64_t)0 - (uint64_t)number);
    } else {
        loom_text_number(text, (uint64_t)number);
    }
}

void loom_text_spaces(loom_text *text, uint32_t count) {
    static const char spaces[] = "                                ";
    for (; count >= sizeof spaces; count -= (uint32_t)sizeof spaces - 1)
        loom_text_add(text, spaces, sizeof spaces - 1);
    loom_text_add(text, spaces, count);
}

void loom_text_id(loom_text *text, const loom_id *id) {
    char hex[LOOM_ID_HEX_BYTES];
    loom_id_hex(id, hex);
    loom_text_add(text, hex, LOOM_ID_HEX_BYTES - 1);
}

bool loom_text_finish(loom_text *text) {
    if (text->out && text->buffer.length && !text->failed) flush(text);
    if (text->out && fflush(text->out) != 0) text->failed = true;
    return !text->failed;
}

/* ---- strings ---- */

static bool is_plain(unsigned char c) {
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

static void add_unit(loom_text *text, uint32_t unit) {
    char escaped[8];
    int length = snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)unit);
    loom_text_add(text, escaped, (size_t)length);
}

static void add_code_point(loom_text *text, uint32_t c) {
    if (c < 0x10000) {
        add_unit(text, c);
        return;
    }
    add_unit(text, 0xD800 + ((c - 0x10000) >> 10));
    add_unit(text, 0xDC00 + ((c - 0x10000) & 0x3FF));
}

static void add_escaped(loom_text *text, uint32_t c) {
    static const char shorts[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = c && c < 0x80 ? strchr(shorts, (int)c) : NULL;
    if (!found) {
        add_code_point(text, c);
        return;
    }
    char escaped[2] = {'\\', letters[found - shorts]};
    loom_text_add(text, escaped, 2);
}

/* Decodes one character; bytes that are not UTF-8 are replaced by U+FFFD. */
static size_t decode(const unsigned char *bytes, size_t left, uint32_t *c) {
    *c = bytes[0];
    if (bytes[0] < 0x80) return 1;
    size_t size = bytes[0] >= 0xF0 ? 4 : bytes[0] >= 0xE0 ? 3 : 2;
    uint32_t value = bytes[0] & (0x7Fu >> size);
    bool good = bytes[0] >= 0xC2 && bytes[0] <= 0xF4 && size <= left;
    for (size_t i = 1; good && i < size; i++) {
        good = (bytes[i] & 0xC0) == 0x80;
        value = value << 6 | (bytes[i] & 0x3Fu);
    }
    *c = good ? value : 0xFFFD;
    return good ? size : 1;
}

void loom_json_string(loom_text *text, const char *bytes, size_t length) {
    const unsigned char *u = (const unsigned char *)bytes;
    loom_text_add(text, "\"", 1);
    for (size_t at = 0; at < length;) {
        size_t run = 0;
        while (at + run < length && is_plain(u[at + run]))
            run++;
        if (run) loom_text_add(text, bytes + at, run);
        at += run;
        if (at == length) break;
        uint32_t c;
        at += decode(u + at, length - at, &c);
        add_escaped(text, c);
    }
    loom_text_add(text, "\"", 1);
}

/* ---- values ---- */

void loom_json_double(loom_text *text, double number) {
    char digits[LOOM_NUMBER_TEXT_BYTES];
    if (isnan(number))
        loom_text_put(text, "NaN");
    else if (isinf(number))
        loom_text_put(text, number > 0 ? "Infinity" : "-Infinity");
    else
        loom_text_add(text, digits, loom_number_repr(number, digits));
}

static bool add_value(loom_text *text, const loom_value *value, int indent, int depth);

/* A line break before an item, in the indented form. */
static void break_line(loom_text *text, int indent) {
    if (indent < 0) return;
    loom_text_add(text, "\n", 1);
    loom_text_spaces(text, 2 * (uint32_t)indent);
}

static bool add_sequence(loom_text *text, const loom_value *value, int indent, int depth) {
    int inner = indent < 0 ? indent : indent + 1;
    if (value->sequence.count == 0) return loom_text_add(text, "[]", 2), true;
    for (size_t i = 0; i < value->sequence.count; i++) {
        loom_text_add(text, i ? "," : "[", 1);
        break_line(text, inner);
        if (!add_value(text, &value->sequence.items[i], inner, depth + 1)) return false;
    }
    break_line(text, indent);
    loom_text_add(text, "]", 1);
    return true;
}

/* UTF-8 keeps code point order under byte comparison. */
static int field_order(const void *a, const void *b) {
    const loom_field *left = *(const loom_field *const *)a, *right = *(const loom_field *const *)b;
    size_t shorter = left->name_length < right->name_length ? left->name_length : right->name_length;
    int order = memcmp(left->name, right->name, shorter);
    if (order) return order;
    return (left->name_length > right->name_length) - (left->name_length < right->name_length);
}

static bool add_fields(loom_text *text, const loom_field **fields, size_t count, int indent, int depth) {
    int inner = indent < 0 ? indent : indent + 1;
    for (size_t i = 0; i < count; i++) {
        loom_text_add(text, i ? "," : "{", 1);
        break_line(text, inner);
        loom_json_string(text, fields[i]->name, fields[i]->name_length);
        loom_text_put(text, indent < 0 ? ":" : ": ");
        if (!add_value(text, &fields[i]->value, inner, depth + 1)) return false;
    }
    break_line(text, indent);
    loom_text_add(text, "}", 1);
    return true;
}

static bool add_record(loom_text *text, const loom_value *value, int indent, int depth) {
    size_t count = value->record.count;
    if (count == 0) return loom_text_add(text, "{}", 2), true;
    const loom_field **fields = calloc(count, sizeof *fields);
    if (!fields) return text->failed = true, true;
    for (size_t i = 0; i < count; i++)
        fields[i] = &value->record.fields[i];
    if (indent < 0) qsort(fields, count, sizeof *fields, field_order);
    bool good = add_fields(text, fields, count, indent, depth);
    free(fields);
    return good;
}

static bool add_value(loom_text *text, const loom_value *value, int indent, int depth) {
    if (depth > LOOM_JSON_DEPTH) return false;
    switch (value->type) {
    case LOOM_NULL:
        return loom_text_put(text, "null"), true;
    case LOOM_BOOL:
        return loom_text_put(text, value->boolean ? "true" : "false"), true;
    case LOOM_INT:
        return loom_text_integer(text, value->integer), true;
    case LOOM_FLOAT:
        return loom_json_double(text, value->number), true;
    case LOOM_STRING:
        return loom_json_string(text, value->text.bytes, value->text.length), true;
    case LOOM_SEQUENCE:
        return add_sequence(text, value, indent, depth);
    case LOOM_RECORD:
        return add_record(text, value, indent, depth);
    case LOOM_BYTES:
    case LOOM_IMAGE:
    case LOOM_DATASET:
    case LOOM_CLOSURE:
    case LOOM_REFERENCE:
        break;
    }
    return false;
}

bool loom_json_value(loom_text *text, const loom_value *value, int indent) {
    return add_value(text, value, indent, 0);
}
