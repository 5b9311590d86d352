/* field_key.c - see field_key.h. */
#include "shm/index/field_key.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* First byte of a body. Written to disk, as all below: append, never renumber. */
enum { BODY_OVERFLOW = 0x00, BODY_BLINDED = 0x01 };
/* A path is its steps and an end; names that hold bytes below STEP_LAST + 1 are left to overflow, so that the order of
 * paths is that of their steps and all paths that begin alike lie together. */
enum { PATH_END = 0x00, STEP_ITEM = 0x01, STEP_NAME = 0x02, STEP_LAST = STEP_NAME };
/* What follows the path. */
enum { TAG_OTHER = 0x00, TAG_NULL = 0x01, TAG_BOOL = 0x02, TAG_NUMBER = 0x03, TAG_NAN = 0x04, TAG_STRING = 0x05 };
/* In strings a zero byte is ESCAPED, so that the end (zero, TEXT_END) sorts before every longer string. */
enum { ESCAPED = 0xFF, TEXT_END = 0x01 };

/* ---- building a body; what does not fit is left out and remembered ---- */

static bool add(loom_field_body *body, size_t limit, uint8_t byte) {
    if (body->length >= limit) return false;
    body->bytes[body->length++] = byte;
    return true;
}

static bool add_name(loom_field_body *body, const char *name, size_t length) {
    if (!add(body, LOOM_FIELD_PATH_MAX - 1, STEP_NAME)) return false;
    for (size_t i = 0; i < length; i++)
        if ((uint8_t)name[i] <= STEP_LAST || !add(body, LOOM_FIELD_PATH_MAX - 1, (uint8_t)name[i])) return false;
    return true;
}

static void add_big_endian(loom_field_body *body, uint64_t number, unsigned bytes) {
    while (bytes-- > 0)
        body->bytes[body->length++] = (uint8_t)(number >> (8 * bytes));
}

/* The bits of a double in an order that memcmp sees; both zeros alike. */
static uint64_t ordered_bits(double number) {
    uint64_t bits;
    if (number == 0) number = 0;
    memcpy(&bits, &number, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

/* Integers and floats in one exact order: the largest double that is not above the number, then what is missing (below
 * 1024, the distance of doubles beneath 2^63). Going down to a double keeps the order, and among numbers that share the
 * double the rest decides. */
static void add_integer(loom_field_body *body, int64_t number) {
    double below = (double)number;
    if (below >= 0x1p63 || (int64_t)below > number) below = nextafter(below, -INFINITY);
    add_big_endian(body, ordered_bits(below), 8);
    add_big_endian(body, (uint64_t)(number - (int64_t)below), 2);
}

static void add_float(loom_field_body *body, double number) {
    add_big_endian(body, ordered_bits(number), 8);
    add_big_endian(body, 0, 2);
}

/* Cut off where the body is full: the order stays, equality becomes a question to the record. */
static bool add_text(loom_field_body *body, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (!add(body, LOOM_FIELD_BODY_MAX, (uint8_t)text[i])) return false;
        if (text[i] == 0 && !add(body, LOOM_FIELD_BODY_MAX, ESCAPED)) return false;
    }
    return true;
}

static void add_string(loom_field_body *body, const char *text, size_t length) {
    if (add_text(body, text, length) && add(body, LOOM_FIELD_BODY_MAX, 0))
        (void)add(body, LOOM_FIELD_BODY_MAX, TEXT_END);
}

static uint8_t tag_of(const loom_value *value) {
    switch (value->type) {
    case LOOM_NULL:
        return TAG_NULL;
    case LOOM_BOOL:
        return TAG_BOOL;
    case LOOM_INT:
        return TAG_NUMBER;
    case LOOM_FLOAT:
        return value->number != value->number ? TAG_NAN : TAG_NUMBER;
    case LOOM_STRING:
        return TAG_STRING;
    default:
        return TAG_OTHER;
    }
}

static void add_value(loom_field_body *body, const loom_value *value) {
    uint8_t tag = tag_of(value);
    body->bytes[body->length++] = tag; /* a path leaves room for tag and number */
    if (tag == TAG_BOOL) body->bytes[body->length++] = value->boolean;
    if (tag == TAG_STRING) add_string(body, value->text.bytes, value->text.length);
    if (tag != TAG_NUMBER) return;
    if (value->type == LOOM_INT)
        add_integer(body, value->integer);
    else
        add_float(body, value->number);
}

/* ---- blinded: the HMAC of path and value, the value as a whole ---- */

static bool blind_body(const loom_cipher *cipher, const loom_field_body *path, const loom_value *value,
                       loom_field_body *body) {
    uint8_t small[1024];
    size_t text = value->type == LOOM_STRING ? value->text.length : 0;
    loom_field_body head = *path;
    if (text > 0)
        head.bytes[head.length++] = TAG_STRING;
    else
        add_value(&head, value);
    size_t length = head.length + text;
    if (length < text) return false;
    uint8_t *bytes = length <= sizeof small ? small : malloc(length);
    if (bytes == NULL) return false;
    memcpy(bytes, head.bytes, head.length);
    if (text > 0) memcpy(bytes + head.length, value->text.bytes, text);
    loom_id id = loom_cipher_blind_bytes(cipher, "fields", bytes, length);
    if (bytes != small) free(bytes);
    body->bytes[0] = BODY_BLINDED;
    memcpy(body->bytes + 1, id.bytes, sizeof id.bytes);
    body->length = 1 + sizeof id.bytes;
    return true;
}

/* ---- the leaves of a record ---- */

typedef struct leaf_walk {
    const loom_cipher *cipher;
    loom_field_bodies *bodies;
    loom_field_body path; /* without its end */
} leaf_walk;

static bool walk(leaf_walk *at, const loom_value *value, unsigned depth);

static bool add_leaf(leaf_walk *at, const loom_value *value) {
    if (at->bodies->count == LOOM_FIELD_LEAVES_MAX) return false;
    loom_field_body path = at->path;
    if (!add(&path, LOOM_FIELD_PATH_MAX, PATH_END)) return false;
    loom_field_body *body = &at->bodies->items[at->bodies->count];
    if (at->cipher != NULL) {
        if (tag_of(value) == TAG_OTHER || tag_of(value) == TAG_NAN) return true; /* equal to nothing */
        if (!blind_body(at->cipher, &path, value, body)) return false;
    } else {
        *body = path;
        add_value(body, value);
    }
    at->bodies->count++;
    return true;
}

static bool walk_fields(leaf_walk *at, const loom_value *record, unsigned depth) {
    uint16_t before = at->path.length;
    for (size_t i = 0; i < record->record.count; i++) {
        const loom_field *field = &record->record.fields[i];
        if (!add_name(&at->path, field->name, field->name_length) || !walk(at, &field->value, depth + 1)) return false;
        at->path.length = before;
    }
    return true;
}

static bool walk_items(leaf_walk *at, const loom_value *list, unsigned depth) {
    uint16_t before = at->path.length;
    if (!add(&at->path, LOOM_FIELD_PATH_MAX - 1, STEP_ITEM)) return false;
    for (size_t i = 0; i < list->sequence.count; i++)
        if (!walk(at, &list->sequence.items[i], depth + 1)) return false;
    at->path.length = before;
    return true;
}

/* False: the record does not fit. */
static bool walk(leaf_walk *at, const loom_value *value, unsigned depth) {
    if (depth > LOOM_FIELD_DEPTH_MAX) return false;
    if (value->type == LOOM_RECORD && value->record.count > 0) return walk_fields(at, value, depth);
    if (value->type == LOOM_SEQUENCE && value->sequence.count > 0) return walk_items(at, value, depth);
    return depth == 0 || add_leaf(at, value);
}

static int compare_bodies(const void *a, const void *b) {
    const loom_field_body *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, x->length < y->length ? x->length : y->length);
    return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

static size_t unique(loom_field_body *bodies, size_t count) {
    size_t kept = count > 0;
    for (size_t i = 1; i < count; i++)
        if (compare_bodies(&bodies[i], &bodies[kept - 1]) != 0) {
            if (kept != i) bodies[kept] = bodies[i];
            kept++;
        }
    return kept;
}

void loom_field_overflow(loom_field_body *body) {
    body->bytes[0] = BODY_OVERFLOW;
    body->length = 1;
}

void loom_field_bodies_of(const loom_cipher *cipher, const loom_value *record, loom_field_bodies *bodies) {
    leaf_walk at = {.cipher = cipher, .bodies = bodies};
    bodies->count = 0;
    if (record->type == LOOM_DATASET) record = record->dataset.metadata; /* which queries ask */
    if (record->type == LOOM_RECORD && walk(&at, record, 0)) {
        qsort(bodies->items, bodies->count, sizeof *bodies->items, compare_bodies);
        bodies->count = unique(bodies->items, bodies->count);
        return;
    }
    loom_field_overflow(&bodies->items[0]);
    bodies->count = 1;
}

/* ---- ranges ---- */

static bool add_steps(loom_field_body *path, const loom_field_step *steps, size_t count) {
    if (count > LOOM_FIELD_DEPTH_MAX) return false;
    for (size_t i = 0; i < count; i++) {
        bool fits = steps[i].name != NULL ? add_name(path, steps[i].name, steps[i].length)
                                          : add(path, LOOM_FIELD_PATH_MAX - 1, STEP_ITEM);
        if (!fits) return false;
    }
    return true;
}

static void range_in_order(const loom_field_body *path, loom_field_relation relation, const loom_value *value,
                           loom_field_range *range) {
    loom_field_body whole = *path, tag = *path;
    tag.bytes[tag.length++] = tag_of(value);
    add_value(&whole, value);
    if (relation == LOOM_FIELD_BEGINS) {
        whole = tag;
        (void)add_text(&whole, value->text.bytes, value->text.length);
    }
    range->low = relation == LOOM_FIELD_BELOW ? tag : whole;
    range->high = relation == LOOM_FIELD_ABOVE ? tag : whole;
}

bool loom_field_range_of(const loom_cipher *cipher, const loom_field_step *steps, size_t count,
                         loom_field_relation relation, const loom_value *value, loom_field_range *range, bool *none) {
    loom_field_body path = {0};
    *none = false;
    if (cipher != NULL && relation != LOOM_FIELD_EQUAL) return false;
    if (!add_steps(&path, steps, count)) {
        *none = true;
        return true;
    }
    if (relation == LOOM_FIELD_EXISTS) {
        range->low = range->high = path;
        range->low.bytes[range->low.length++] = PATH_END;
        range->high.bytes[range->high.length++] = STEP_LAST;
        return true;
    }
    path.bytes[path.length++] = PATH_END;
    if (cipher == NULL) {
        range_in_order(&path, relation, value, range);
        return true;
    }
    if (!blind_body(cipher, &path, value, &range->low)) return false;
    range->high = range->low;
    return true;
}

int loom_field_place(const loom_field_range *range, const uint8_t *body, size_t length) {
    size_t common = length < range->low.length ? length : range->low.length;
    int order = memcmp(body, range->low.bytes, common);
    if (order < 0 || (order == 0 && length < range->low.length)) return -1;
    common = length < range->high.length ? length : range->high.length;
    return memcmp(body, range->high.bytes, common) > 0;
}
