/* json.c - a strict JSON reader by recursive descent: see json.h. */
#include "runtime/kernels/files/json.h"

#include <math.h>
#include <string.h>

#include "runtime/kernels/base/utf8.h"
#include "shm/number.h"

#define DEPTH_MAX 64 /* what the value encoding holds, too */

typedef struct reader {
    const char *path, *text;
    size_t length, at;
    unsigned depth;
    loom_arena *arena;
    loom_error *err;
} reader;

/* A list under construction: doubling pieces of the arena. */
typedef struct list {
    loom_field *fields;
    size_t count, capacity;
} list;

static loom_status wrong(reader *in, const char *what) {
    uint32_t line = 1, column = 1;
    for (size_t k = 0; k < in->at && k < in->length; k++) {
        column++;
        if (in->text[k] == '\n') {
            line++;
            column = 1;
        }
    }
    loom_fail(in->err, LOOM_BAD_INPUT, "not JSON: %s", what);
    loom_error_at(in->err, in->path, line, column);
    return LOOM_BAD_INPUT;
}

static loom_status no_memory(reader *in) {
    return loom_fail(in->err, LOOM_NO_MEMORY, "no memory to load %s", in->path);
}

static void skip_space(reader *in) {
    while (in->at < in->length && memchr(" \t\n\r", in->text[in->at], 4) != NULL)
        in->at++;
}

static bool take(reader *in, char c) {
    if (in->at >= in->length || in->text[in->at] != c) return false;
    in->at++;
    return true;
}

static bool take_word(reader *in, const char *word) {
    size_t length = strlen(word);
    if (in->length - in->at < length || memcmp(in->text + in->at, word, length) != 0) return false;
    in->at += length;
    return true;
}

static loom_status add(reader *in, list *items, const loom_field *field) {
    if (items->count == items->capacity) {
        size_t capacity = items->capacity == 0 ? 8 : items->capacity * 2;
        loom_field *grown = loom_arena_array(in->arena, capacity, sizeof *grown);
        if (grown == NULL) return no_memory(in);
        if (items->count > 0) memcpy(grown, items->fields, items->count * sizeof *grown);
        items->fields = grown;
        items->capacity = capacity;
    }
    items->fields[items->count++] = *field;
    return LOOM_OK;
}

static bool read_hex(reader *in, uint32_t *code) {
    if (in->length - in->at < 4) return false;
    *code = 0;
    for (int k = 0; k < 4; k++) {
        char c = in->text[in->at++];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                : 16;
        if (digit == 16) return false;
        *code = *code << 4 | digit;
    }
    return true;
}

/* After "\u": a code point, from a surrogate pair if need be. Lone surrogates have no UTF-8 and become U+FFFD. */
static loom_status read_code(reader *in, uint32_t *code) {
    if (!read_hex(in, code)) return wrong(in, "\\u needs four hexadecimal digits");
    if (*code >= 0xD800 && *code <= 0xDBFF && in->length - in->at >= 6 && in->text[in->at] == '\\' &&
        in->text[in->at + 1] == 'u') {
        size_t before = in->at;
        uint32_t low = 0;
        in->at += 2;
        if (!read_hex(in, &low)) return wrong(in, "\\u needs four hexadecimal digits");
        if (low >= 0xDC00 && low <= 0xDFFF)
            *code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
        else
            in->at = before;
    }
    if (*code >= 0xD800 && *code <= 0xDFFF) *code = 0xFFFD;
    return LOOM_OK;
}

/* Decodes the escapes of a string that ends at `end` into a copy. */
static loom_status unescape(reader *in, size_t end, loom_value *value) {
    static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char *copy = loom_arena_alloc(in->arena, end - in->at + 4);
    if (copy == NULL) return no_memory(in);
    size_t used = 0;
    while (in->at < end) {
        char c = in->text[in->at++];
        if (c != '\\') {
            copy[used++] = c;
            continue;
        }
        char kind = in->text[in->at++];
        const char *known = kind == 0 ? NULL : strchr(escapes, kind);
        if (known != NULL) {
            copy[used++] = meanings[known - escapes];
        } else if (kind == 'u') {
            uint32_t code = 0;
            LOOM_TRY(read_code(in, &code));
            used += loom_utf8_put(code, copy + used);
        } else {
            return wrong(in, "unknown escape in a string");
        }
    }
    *value = loom_string(copy, used);
    in->at = end + 1;
    return LOOM_OK;
}

/* After the opening quote. */
static loom_status read_string(reader *in, loom_value *value) {
    bool escaped = false;
    size_t end = in->at;
    for (; end < in->length && in->text[end] != '"'; end++) {
        if ((unsigned char)in->text[end] < 0x20) {
            in->at = end;
            return wrong(in, "control character in a string");
        }
        if (in->text[end] == '\\') {
            escaped = true;
            end++;
        }
    }
    if (end >= in->length) return wrong(in, "a string does not end");
    if (escaped) return unescape(in, end, value);
    *value = loom_string(in->text + in->at, end - in->at);
    in->at = end + 1;
    return LOOM_OK;
}

static size_t skip_digits(reader *in) {
    size_t start = in->at;
    while (in->at < in->length && in->text[in->at] >= '0' && in->text[in->at] <= '9')
        in->at++;
    return in->at - start;
}

static loom_status read_number(reader *in, loom_value *value) {
    size_t start = in->at;
    bool negative = take(in, '-'), whole = true;
    if (take_word(in, "Infinity")) {
        *value = loom_float(negative ? -INFINITY : INFINITY);
        return LOOM_OK;
    }
    size_t digits_at = in->at, digits = skip_digits(in);
    if (digits == 0 || (digits > 1 && in->text[digits_at] == '0')) return wrong(in, "a value is expected here");
    if (take(in, '.')) {
        whole = false;
        if (skip_digits(in) == 0) return wrong(in, "digits are missing after the point");
    }
    if (take(in, 'e') || take(in, 'E')) {
        whole = false;
        if (!take(in, '+')) take(in, '-');
        if (skip_digits(in) == 0) return wrong(in, "digits are missing in the exponent");
    }
    int64_t integer = 0;
    bool fits = whole;
    for (size_t k = digits_at; fits && k < in->at; k++) {
        int64_t digit = in->text[k] - '0';
        fits = !__builtin_mul_overflow(integer, (int64_t)10, &integer) &&
               !__builtin_add_overflow(integer, negative ? -digit : digit, &integer);
    }
    double number = 0;
    if (fits)
        *value = loom_int(integer);
    else if (loom_number_parse(in->text + start, in->at - start, &number))
        *value = loom_float(number);
    else
        return wrong(in, "malformed number");
    return LOOM_OK;
}

static loom_status read_value(reader *in, loom_value *value);

static loom_status read_array(reader *in, loom_value *value) {
    list items = {0};
    skip_space(in);
    bool more = !take(in, ']');
    while (more) {
        loom_field item = {0};
        LOOM_TRY(read_value(in, &item.value));
        LOOM_TRY(add(in, &items, &item));
        skip_space(in);
        more = take(in, ',');
        if (!more && !take(in, ']')) return wrong(in, "`,` or `]` is expected here");
    }
    loom_value *values = loom_arena_array(in->arena, items.count == 0 ? 1 : items.count, sizeof *values);
    if (values == NULL) return no_memory(in);
    for (size_t k = 0; k < items.count; k++)
        values[k] = items.fields[k].value;
    *value = loom_sequence(values, items.count);
    return LOOM_OK;
}

/* FNV-1a: only spreads names over a table that is discarded at once. */
static size_t hash_name(const loom_field *field) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t k = 0; k < field->name_length; k++)
        hash = (hash ^ (unsigned char)field->name[k]) * UINT64_C(1099511628211);
    return (size_t)(hash ^ hash >> 32);
}

static bool same_name(const loom_field *a, const loom_field *b) {
    return a->name_length == b->name_length && (a->name_length == 0 || memcmp(a->name, b->name, a->name_length) == 0);
}

/* A repeated name keeps its first place and its last value, as in a Python dict. */
static loom_status merge_names(reader *in, list *members) {
    size_t places = 16, kept = 0;
    while (places < members->count * 2)
        places *= 2;
    size_t *table = loom_arena_array(in->arena, places, sizeof *table); /* member number + 1; 0 is free */
    if (table == NULL) return no_memory(in);
    for (size_t k = 0; k < members->count; k++) {
        const loom_field member = members->fields[k];
        size_t place = hash_name(&member) & (places - 1);
        while (table[place] != 0 && !same_name(&members->fields[table[place] - 1], &member))
            place = (place + 1) & (places - 1);
        if (table[place] == 0) {
            members->fields[kept++] = member;
            table[place] = kept;
        } else {
            members->fields[table[place] - 1].value = member.value;
        }
    }
    members->count = kept;
    return LOOM_OK;
}

static loom_status read_object(reader *in, loom_value *value) {
    list members = {0};
    skip_space(in);
    bool more = !take(in, '}');
    while (more) {
        loom_field member = {0};
        loom_value name = loom_null();
        skip_space(in);
        if (!take(in, '"')) return wrong(in, "a name in quotes is expected here");
        LOOM_TRY(read_string(in, &name));
        member.name = name.text.bytes;
        member.name_length = name.text.length;
        skip_space(in);
        if (!take(in, ':')) return wrong(in, "`:` is expected here");
        LOOM_TRY(read_value(in, &member.value));
        LOOM_TRY(add(in, &members, &member));
        skip_space(in);
        more = take(in, ',');
        if (!more && !take(in, '}')) return wrong(in, "`,` or `}` is expected here");
    }
    if (members.count > 1) LOOM_TRY(merge_names(in, &members));
    *value = loom_record(members.fields, members.count);
    return LOOM_OK;
}

static loom_status read_value(reader *in, loom_value *value) {
    if (in->depth == DEPTH_MAX) return wrong(in, "more than 64 levels of nesting");
    in->depth++;
    skip_space(in);
    loom_status status = LOOM_OK;
    if (take(in, '{'))
        status = read_object(in, value);
    else if (take(in, '['))
        status = read_array(in, value);
    else if (take(in, '"'))
        status = read_string(in, value);
    else if (take_word(in, "true"))
        *value = loom_bool(true);
    else if (take_word(in, "false"))
        *value = loom_bool(false);
    else if (take_word(in, "null"))
        *value = loom_null();
    else if (take_word(in, "NaN"))
        *value = loom_float(NAN);
    else
        status = read_number(in, value);
    in->depth--;
    return status;
}

loom_status loom_json_read(const char *path, const char *text, size_t length, loom_arena *arena, loom_value *value,
                           loom_error *err) {
    reader in = {.path = path, .text = text, .length = length, .arena = arena, .err = err};
    LOOM_TRY(read_value(&in, value));
    skip_space(&in);
    return in.at == length ? LOOM_OK : wrong(&in, "text after the end of the value");
}
