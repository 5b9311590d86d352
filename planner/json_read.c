/* json_read.c - the JSON reader: a tokenizer and a stack of open arrays and objects. */
#include "planner/json_read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "planner/diagnostic.h"
#include "planner/json_text.h"
#include "shm/number.h"

/* Deeper texts are not plans: records nest at most 1000 deep, at two levels each. */
#define DEEPEST_TEXT 4000

typedef struct open_list {
    bool object;
    size_t offset;
    size_t first; /* of its parts on the part stack */
    const char *key;
    size_t key_length;
} open_list;

typedef struct reader {
    loom_arena *arena;
    const loom_source *source;
    const char *text;
    size_t length, at;
    loom_status bad;
    loom_error *err;
    loom_json *parts;
    size_t part_count, part_capacity;
    open_list open[DEEPEST_TEXT];
    size_t depth;
    const char *key; /* of the value to come */
    size_t key_length;
} reader;

const char *loom_json_kind_name(loom_json_kind kind) {
    static const char *const names[] = {"null", "a truth value", "a number", "a string", "an array", "an object"};
    return names[kind];
}

loom_place loom_json_place(const loom_source *source, size_t offset) {
    loom_place place = {.source = source, .line = 1, .column = 1};
    for (size_t i = 0; i < offset && i < source->length; i++) {
        if (source->text[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if (((unsigned char)source->text[i] & 0xC0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

static loom_status fail(const reader *r, size_t offset, const char *message) {
    return loom_diagnose(r->err, r->bad, loom_json_place(r->source, offset), "%s", message);
}

static loom_status no_memory(const reader *r) {
    return loom_fail(r->err, LOOM_NO_MEMORY, "out of memory reading %s", r->source->name);
}

static char peek(const reader *r) {
    return r->at < r->length ? r->text[r->at] : '\0';
}

static void skip_blank(reader *r) {
    while (r->at < r->length && strchr(" \t\r\n", r->text[r->at]) && r->text[r->at])
        r->at++;
}

/* ---- strings ---- */

static bool read_hex(const reader *r, size_t at, uint32_t *unit) {
    if (r->length - at < 4) return false;
    *unit = 0;
    for (size_t i = 0; i < 4; i++) {
        char c = r->text[at + i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                : 16;
        if (digit > 15) return false;
        *unit = *unit << 4 | digit;
    }
    return true;
}

static size_t put_utf8(char *out, uint32_t c) {
    if (c < 0x80) return out[0] = (char)c, 1;
    if (c < 0x800) return out[0] = (char)(0xC0 | c >> 6), out[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000)
        return out[0] = (char)(0xE0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 63)), out[2] = (char)(0x80 | (c & 63)),
               3;
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* The escape at r->at (behind the backslash); writes at most as many bytes as it was long. */
static loom_status read_escape(reader *r, char *out, size_t *used) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char letter = peek(r);
    const char *known = letter ? strchr(letters, letter) : NULL;
    if (known) {
        out[(*used)++] = meanings[known - letters];
        r->at++;
        return LOOM_OK;
    }
    uint32_t unit, low;
    if (letter != 'u' || !read_hex(r, r->at + 1, &unit)) return fail(r, r->at - 1, "this escape is not one of JSON's");
    size_t begin = r->at - 1;
    r->at += 5;
    if (unit >= 0xD800 && unit < 0xE000) {
        bool pair = unit < 0xDC00 && peek(r) == '\\' && r->at + 1 < r->length && r->text[r->at + 1] == 'u' &&
                    read_hex(r, r->at + 2, &low) && low >= 0xDC00 && low < 0xE000;
        if (!pair) return fail(r, begin, "half of a surrogate pair: not a character");
        unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        r->at += 6;
    }
    *used += put_utf8(out + *used, unit);
    return LOOM_OK;
}

static loom_status read_escaped(reader *r, size_t begin, const char **bytes, size_t *length) {
    size_t end = begin;
    while (end < r->length && r->text[end] != '"')
        end += r->text[end] == '\\' ? 2 : 1;
    if (end >= r->length) return fail(r, begin - 1, "this string is not closed");
    char *out = loom_arena_alloc(r->arena, end - begin + 1);
    if (!out) return no_memory(r);
    size_t used = 0;
    for (r->at = begin; r->text[r->at] != '"';) {
        char c = r->text[r->at++];
        if ((unsigned char)c < 0x20)
            return fail(r, r->at - 1, "a control character in a string; write it as an escape");
        if (c == '\\')
            LOOM_TRY(read_escape(r, out, &used));
        else
            out[used++] = c;
    }
    r->at++;
    *bytes = out;
    *length = used;
    return LOOM_OK;
}

/* Strings without escapes point into the text. */
static loom_status read_string(reader *r, const char **bytes, size_t *length) {
    size_t begin = ++r->at, end = begin;
    while (end < r->length && r->text[end] != '"' && r->text[end] != '\\' && (unsigned char)r->text[end] >= 0x20)
        end++;
    if (end >= r->length) return fail(r, begin - 1, "this string is not closed");
    if (r->text[end] != '"') return read_escaped(r, begin, bytes, length);
    *bytes = r->text + begin;
    *length = end - begin;
    r->at = end + 1;
    return LOOM_OK;
}

/* ---- numbers and words ---- */

static size_t digits_at(const reader *r, size_t at) {
    size_t n = 0;
    while (at + n < r->length && r->text[at + n] >= '0' && r->text[at + n] <= '9')
        n++;
    return n;
}

/* Length of the number at `at` by RFC 8259, 0 if there is none. */
static size_t number_length(const reader *r, size_t at) {
    size_t end = at + (r->text[at] == '-'), whole = digits_at(r, end);
    if (!whole || (whole > 1 && r->text[end] == '0')) return 0;
    end += whole;
    if (end < r->length && r->text[end] == '.') {
        size_t fraction = digits_at(r, end + 1);
        if (!fraction) return 0;
        end += 1 + fraction;
    }
    if (end < r->length && (r->text[end] == 'e' || r->text[end] == 'E')) {
        size_t sign = end + 1 < r->length && (r->text[end + 1] == '+' || r->text[end + 1] == '-');
        size_t digits = digits_at(r, end + 1 + sign);
        if (!digits) return 0;
        end += 1 + sign + digits;
    }
    return end - at;
}

static bool take_word(reader *r, const char *word) {
    size_t length = strlen(word);
    if (r->length - r->at < length || memcmp(r->text + r->at, word, length) != 0) return false;
    r->at += length;
    return true;
}

static loom_status read_plain(reader *r, loom_json *value) {
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (take_word(r, words[i])) {
            value->kind = LOOM_JSON_NUMBER;
            value->text.bytes = words[i];
            value->text.length = strlen(words[i]);
            return LOOM_OK;
        }
    value->kind = LOOM_JSON_NULL;
    if (take_word(r, "null")) return LOOM_OK;
    value->kind = LOOM_JSON_BOOL;
    value->truth = peek(r) == 't';
    if (take_word(r, "true") || take_word(r, "false")) return LOOM_OK;
    value->kind = LOOM_JSON_NUMBER;
    value->text.bytes = r->text + r->at;
    value->text.length = number_length(r, r->at);
    if (!value->text.length)
        return fail(r, r->at, r->at < r->length ? "this is not JSON" : "the text ends too early; it is cut off");
    r->at += value->text.length;
    return LOOM_OK;
}

/* ---- arrays and objects ---- */

static loom_status push_part(reader *r, loom_json part) {
    if (r->part_count == r->part_capacity) {
        size_t capacity = r->part_capacity ? r->part_capacity * 2 : 256;
        loom_json *grown = realloc(r->parts, capacity * sizeof *grown);
        if (!grown) return no_memory(r);
        r->parts = grown;
        r->part_capacity = capacity;
    }
    part.key = r->key;
    part.key_length = r->key_length;
    r->parts[r->part_count++] = part;
    return LOOM_OK;
}

static loom_status open_one(reader *r) {
    if (r->depth == DEEPEST_TEXT) return fail(r, r->at, "nested too deeply to be a plan");
    r->open[r->depth++] = (open_list){
        .object = peek(r) == '{', .offset = r->at, .first = r->part_count, .key = r->key, .key_length = r->key_length};
    r->at++;
    return LOOM_OK;
}

static int key_order(const void *a, const void *b) {
    const loom_json *left = *(const loom_json *const *)a, *right = *(const loom_json *const *)b;
    if (left->key_length != right->key_length) return left->key_length < right->key_length ? -1 : 1;
    return memcmp(left->key, right->key, left->key_length);
}

static loom_status check_keys(const reader *r, const loom_json *object) {
    size_t count = object->list.count;
    const loom_json **sorted = count > 1 ? calloc(count, sizeof *sorted) : NULL;
    if (count > 1 && !sorted) return no_memory(r);
    for (size_t i = 0; i < count && sorted; i++)
        sorted[i] = &object->list.items[i];
    if (sorted) qsort(sorted, count, sizeof *sorted, key_order);
    loom_status status = LOOM_OK;
    for (size_t i = 1; i < count && status == LOOM_OK; i++)
        if (key_order(&sorted[i - 1], &sorted[i]) == 0) status = fail(r, sorted[i]->offset, "this key appears twice");
    free(sorted);
    return status;
}

/* The list on top is complete: its parts become one. */
static loom_status close_one(reader *r) {
    const open_list *list = &r->open[--r->depth];
    size_t count = r->part_count - list->first;
    loom_json value = {.kind = list->object ? LOOM_JSON_OBJECT : LOOM_JSON_ARRAY, .offset = list->offset};
    value.list.items = count ? loom_arena_copy(r->arena, r->parts + list->first, count * sizeof *r->parts)
                             : loom_arena_alloc(r->arena, 0);
    value.list.count = count;
    if (!value.list.items) return no_memory(r);
    if (list->object) LOOM_TRY(check_keys(r, &value));
    r->part_count = list->first;
    r->key = list->key;
    r->key_length = list->key_length;
    r->at++;
    return push_part(r, value);
}

static loom_status read_key(reader *r) {
    skip_blank(r);
    if (peek(r) != '"') return fail(r, r->at, "expected a key in quotes");
    LOOM_TRY(read_string(r, &r->key, &r->key_length));
    skip_blank(r);
    if (peek(r) != ':') return fail(r, r->at, "expected : behind the key");
    r->at++;
    return LOOM_OK;
}

/* Behind a value, or behind an opening bracket when `first`: closes what can be closed and finds the next value. */
static loom_status next_value(reader *r, bool first) {
    for (;; first = false) {
        skip_blank(r);
        if (r->depth == 0) return LOOM_OK;
        const open_list *list = &r->open[r->depth - 1];
        if (peek(r) == (list->object ? '}' : ']')) {
            LOOM_TRY(close_one(r));
            continue;
        }
        if (!first && peek(r) != ',')
            return fail(r, r->at,
                        r->at < r->length ? "expected , or the closing bracket"
                                          : "the text ends too early; it is cut off");
        r->at += !first;
        return list->object ? read_key(r) : LOOM_OK;
    }
}

static loom_status read_value(reader *r) {
    skip_blank(r);
    loom_json value = {.offset = r->at};
    if (peek(r) == '{' || peek(r) == '[') {
        LOOM_TRY(open_one(r));
        return next_value(r, true);
    }
    if (peek(r) == '"') {
        value.kind = LOOM_JSON_STRING;
        const char *bytes;
        size_t length;
        LOOM_TRY(read_string(r, &bytes, &length));
        value.text.bytes = bytes;
        value.text.length = length;
    } else {
        LOOM_TRY(read_plain(r, &value));
    }
    LOOM_TRY(push_part(r, value));
    return next_value(r, false);
}

static loom_status read_document(reader *r, loom_json *root) {
    do
        LOOM_TRY(read_value(r));
    while (r->depth);
    skip_blank(r);
    if (r->at < r->length) return fail(r, r->at, "text behind the end of the plan");
    *root = r->parts[0];
    return LOOM_OK;
}

loom_status loom_json_parse(loom_arena *arena, const loom_source *source, loom_status bad, loom_json *root,
                            loom_error *err) {
    reader *r = calloc(1, sizeof *r);
    if (!r) return loom_fail(err, LOOM_NO_MEMORY, "out of memory reading %s", source->name);
    r->arena = arena;
    r->source = source;
    r->text = source->text;
    r->length = source->length;
    r->bad = bad;
    r->err = err;
    loom_status status = read_document(r, root);
    free(r->parts);
    free(r);
    return status;
}

const loom_json *loom_json_member(const loom_json *object, const char *key) {
    size_t length = strlen(key);
    for (size_t i = 0; i < object->list.count; i++) {
        const loom_json *member = &object->list.items[i];
        if (member->key_length == length && memcmp(member->key, key, length) == 0) return member;
    }
    return NULL;
}

/* ---- values ---- */

typedef struct converter {
    loom_arena *arena;
    const loom_source *source;
    loom_status bad;
    loom_error *err;
} converter;

static loom_status convert(const converter *c, const loom_json *json, int depth, loom_value *value);

static loom_status convert_fail(const converter *c, const loom_json *json, const char *message) {
    return loom_diagnose(c->err, c->bad, loom_json_place(c->source, json->offset), "%s", message);
}

static loom_status convert_number(const converter *c, const loom_json *json, loom_value *value) {
    const char *text = json->text.bytes;
    size_t length = json->text.length;
    if (text[0] == 'N') return *value = loom_float(NAN), LOOM_OK;
    if (text[0] == 'I') return *value = loom_float(INFINITY), LOOM_OK;
    if (length > 1 && text[1] == 'I') return *value = loom_float(-INFINITY), LOOM_OK;
    if (memchr(text, '.', length) || memchr(text, 'e', length) || memchr(text, 'E', length)) {
        double number;
        if (!loom_number_parse(text, length, &number)) return convert_fail(c, json, "this is not a number");
        return *value = loom_float(number), LOOM_OK;
    }
    uint64_t magnitude = 0, limit = (uint64_t)INT64_MAX + (text[0] == '-');
    for (size_t i = text[0] == '-'; i < length; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (magnitude > (limit - digit) / 10)
            return convert_fail(c, json, "this integer does not fit in 64 bits; write it as a floating-point number");
        magnitude = magnitude * 10 + digit;
    }
    *value = loom_int(text[0] == '-' ? (int64_t)(0 - magnitude) : (int64_t)magnitude);
    return LOOM_OK;
}

static loom_status convert_items(const converter *c, const loom_json *json, int depth, loom_value *value) {
    loom_value *items = loom_arena_array(c->arena, json->list.count, sizeof *items);
    if (!items) return loom_fail(c->err, LOOM_NO_MEMORY, "out of memory reading %s", c->source->name);
    for (size_t i = 0; i < json->list.count; i++)
        LOOM_TRY(convert(c, &json->list.items[i], depth + 1, &items[i]));
    *value = loom_sequence(items, json->list.count);
    return LOOM_OK;
}

static loom_status convert_members(const converter *c, const loom_json *json, int depth, loom_value *value) {
    loom_field *fields = loom_arena_array(c->arena, json->list.count, sizeof *fields);
    if (!fields) return loom_fail(c->err, LOOM_NO_MEMORY, "out of memory reading %s", c->source->name);
    for (size_t i = 0; i < json->list.count; i++) {
        const loom_json *member = &json->list.items[i];
        fields[i].name = loom_arena_text(c->arena, member->key, member->key_length);
        fields[i].name_length = member->key_length;
        if (!fields[i].name) return loom_fail(c->err, LOOM_NO_MEMORY, "out of memory reading %s", c->source->name);
        LOOM_TRY(convert(c, member, depth + 1, &fields[i].value));
    }
    *value = loom_record(fields, json->list.count);
    return LOOM_OK;
}

static loom_status convert(const converter *c, const loom_json *json, int depth, loom_value *value) {
    if (depth > LOOM_JSON_DEPTH) return convert_fail(c, json, "nested too deeply for a value");
    switch (json->kind) {
    case LOOM_JSON_NULL:
        return *value = loom_null(), LOOM_OK;
    case LOOM_JSON_BOOL:
        return *value = loom_bool(json->truth), LOOM_OK;
    case LOOM_JSON_NUMBER:
        return convert_number(c, json, value);
    case LOOM_JSON_STRING:
        return *value = loom_string(json->text.bytes, json->text.length), LOOM_OK;
    case LOOM_JSON_ARRAY:
        return convert_items(c, json, depth, value);
    case LOOM_JSON_OBJECT:
        return convert_members(c, json, depth, value);
    }
    return convert_fail(c, json, "a value of no kind");
}

loom_status loom_json_to_value(loom_arena *arena, const loom_source *source, loom_status bad, const loom_json *json,
                               loom_value *value, loom_error *err) {
    converter c = {.arena = arena, .source = source, .bad = bad, .err = err};
    return convert(&c, json, 0, value);
}
