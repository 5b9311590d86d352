/* types.c - see types.h. The letters are those of shm/operator.h. */
#include "planner/types.h"

#include <string.h>

#include "planner/domain.h"

static bool is(const loom_operator *op, const char *name) {
    return strcmp(op->name, name) == 0;
}

static bool is_one_of(const loom_operator *op, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (is(op, names[i])) return true;
    return false;
}
#define IS_ONE_OF(op, ...)                                                                                             \
    is_one_of(op, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static bool is_scalar(loom_static_type type) {
    return type >= LOOM_IS_SCALAR && type <= LOOM_IS_NULL;
}

loom_static_type loom_type_item(loom_static_type type) {
    switch (loom_type_kind(type)) {
    case LOOM_IS_SEQUENCE:
        return type >> 4;
    case LOOM_IS_STRING: /* its characters */
    case LOOM_IS_RECORD: /* its names */
        return LOOM_IS_STRING;
    case LOOM_IS_IMAGE: /* its voxels */
        return LOOM_IS_NUMBER;
    default:
        return LOOM_IS_UNKNOWN;
    }
}

loom_static_type loom_type_join(loom_static_type a, loom_static_type b) {
    if (a == b) return a;
    if (is_scalar(a) && is_scalar(b)) return LOOM_IS_SCALAR;
    /* Two kinds of sequence: what their items have in common below is rarely worth knowing. */
    bool sequences = loom_type_kind(a) == LOOM_IS_SEQUENCE && loom_type_kind(b) == LOOM_IS_SEQUENCE;
    return sequences ? LOOM_IS_SEQUENCE : LOOM_IS_UNKNOWN;
}

static loom_static_type type_of(loom_type type) {
    switch (type) {
    case LOOM_NULL:
        return LOOM_IS_NULL;
    case LOOM_BOOL:
        return LOOM_IS_TRUTH;
    case LOOM_INT:
    case LOOM_FLOAT:
        return LOOM_IS_NUMBER;
    case LOOM_STRING:
        return LOOM_IS_STRING;
    case LOOM_RECORD:
        return LOOM_IS_RECORD;
    case LOOM_SEQUENCE:
        return LOOM_IS_SEQUENCE;
    case LOOM_IMAGE:
        return LOOM_IS_IMAGE;
    default:
        return LOOM_IS_UNKNOWN;
    }
}

loom_static_type loom_type_of_value(const loom_value *value) {
    return type_of(value->type == LOOM_REFERENCE ? value->reference.type : value->type);
}

/* ---- results ---- */

static const char *short_name(const loom_operator *op) {
    const char *dot = strchr(op->name, '.');
    return dot ? dot + 1 : op->name;
}

static bool is_comparison(const loom_operator *op) {
    return IS_ONE_OF(op, "vox1.==", "vox1.!=", "vox1.<", "vox1.<=", "vox1.>", "vox1.>=");
}
static bool is_arithmetic(const loom_operator *op) {
    return IS_ONE_OF(op, "vox1.+", "vox1.-", "vox1.*", "vox1./");
}

/* An overloaded operator: what its arguments make it. */
static loom_static_type type_of_overload(const loom_operator *op, const loom_static_type *arguments, uint32_t count) {
    bool unknown = false, sequence = false, image = false, strange = false;
    loom_static_type items[2] = {LOOM_IS_UNKNOWN, LOOM_IS_UNKNOWN};
    for (uint32_t i = 0; i < count; i++) {
        unsigned kind = loom_type_kind(arguments[i]);
        unknown |= kind == LOOM_IS_UNKNOWN;
        sequence |= kind == LOOM_IS_SEQUENCE;
        image |= kind == LOOM_IS_IMAGE;
        strange |= kind == LOOM_IS_RECORD || kind == LOOM_IS_FUNCTION;
        if (i < 2) items[i] = kind == LOOM_IS_SEQUENCE ? arguments[i] >> 4 : arguments[i];
    }
    const char *name = short_name(op);
    bool logic = strcmp(name, "and") == 0 || strcmp(name, "or") == 0 || strcmp(name, "not_compat") == 0;
    if (strange || (logic && sequence)) return LOOM_IS_UNKNOWN;
    if (sequence) /* item by item */
        return count == 2 ? loom_type_sequence_of(type_of_overload(op, items, 2)) : (loom_static_type)LOOM_IS_SEQUENCE;
    if (unknown) return LOOM_IS_UNKNOWN;
    if (image) return LOOM_IS_IMAGE;
    if (logic || is_comparison(op)) return LOOM_IS_TRUTH;
    return is_arithmetic(op) ? LOOM_IS_NUMBER : LOOM_IS_SCALAR;
}

static loom_static_type type_of_fold(const char *with, const loom_static_type *arguments, uint32_t count) {
    if (count == 0) return LOOM_IS_UNKNOWN;
    loom_static_type type = loom_type_item(arguments[count - 1]);
    if (with && (strcmp(with, "&&") == 0 || strcmp(with, "||") == 0)) return LOOM_IS_TRUTH;
    if (count > 1) type = loom_type_join(type, arguments[0]);
    return type == LOOM_IS_NUMBER ? type : LOOM_IS_UNKNOWN;
}

static loom_static_type type_of_items(const loom_operator *op, const loom_static_type *arguments, uint32_t count) {
    if (is(op, "default.sequence")) {
        loom_static_type item = count > 0 ? arguments[0] : LOOM_IS_UNKNOWN;
        for (uint32_t i = 1; i < count; i++)
            item = loom_type_join(item, arguments[i]);
        return loom_type_sequence_of(item);
    }
    if (IS_ONE_OF(op, "default.range", "arrays.vector_uint32", "arrays.vector_double", "simpleitk.MinimumMaximum"))
        return loom_type_sequence_of(LOOM_IS_NUMBER);
    if (is(op, "default.dir")) return loom_type_sequence_of(LOOM_IS_STRING);
    if (IS_ONE_OF(op, "default.slice", "default.subsequence", "default.filter") && count > 0)
        return loom_type_sequence_of(loom_type_item(arguments[0]));
    return LOOM_IS_SEQUENCE;
}

loom_static_type loom_type_of_call(const loom_operator *op, const char *fold_operator,
                                   const loom_static_type *arguments, uint32_t count) {
    switch (loom_signature_result(op)) {
    case 'i':
        return LOOM_IS_IMAGE;
    case 'n':
        return LOOM_IS_NUMBER;
    case 'b':
        return LOOM_IS_TRUTH;
    case 's':
        return LOOM_IS_STRING;
    case 'r':
        return LOOM_IS_RECORD;
    case 'q':
        return type_of_items(op, arguments, count);
    case 'o':
        return type_of_overload(op, arguments, count);
    default:
        break;
    }
    if (is(op, "default.index") && count > 0) return loom_type_item(arguments[0]);
    if (is(op, "default.fold")) return type_of_fold(fold_operator, arguments, count);
    return LOOM_IS_UNKNOWN;
}

/* ---- needs ---- */

/* Python's float() takes strings: those without a digit that are not nan or infinity, it surely does not. */
static bool is_no_number(const loom_value *value) {
    if (!value || value->type != LOOM_STRING) return false;
    for (size_t i = 0; i < value->text.length; i++) {
        unsigned char byte = (unsigned char)value->text.bytes[i];
        if ((byte >= '0' && byte <= '9') || byte >= 0x80) return false; /* there are other digits */
        if (i + 2 >= value->text.length) continue;
        const char *three = value->text.bytes + i;
        bool n = (three[0] | 32) == 'n' && (three[1] | 32) == 'a' && (three[2] | 32) == 'n';
        bool f = (three[0] | 32) == 'i' && (three[1] | 32) == 'n' && (three[2] | 32) == 'f';
        if (n || f) return false;
    }
    return true;
}

static const char *need_of_letter(char letter, loom_static_type type, const loom_value *value) {
    unsigned kind = loom_type_kind(type);
    switch (letter) {
    case 'i':
        return kind == LOOM_IS_IMAGE ? NULL : "an image";
    case 'n':
        if (is_no_number(value)) return "a number";
        return is_scalar(type) && kind != LOOM_IS_NULL ? NULL : "a number";
    case 's':
        return kind == LOOM_IS_STRING || kind == LOOM_IS_SCALAR ? NULL : "a string";
    case 'q':
        return kind == LOOM_IS_SEQUENCE ? NULL : "a sequence";
    case 'r':
        return kind == LOOM_IS_RECORD ? NULL : "a record";
    case 'c':
        return kind == LOOM_IS_FUNCTION ? NULL : "a function";
    default:
        return NULL;
    }
}

const char *loom_type_need(const loom_operator *op, uint32_t position, uint32_t count, loom_static_type type,
                           const loom_value *value) {
    unsigned kind = loom_type_kind(type);
    if (kind == LOOM_IS_UNKNOWN) return NULL;
    bool nothing_to_go_through = kind == LOOM_IS_NUMBER || kind == LOOM_IS_TRUTH || kind == LOOM_IS_NULL;
    if (IS_ONE_OF(op, "default.for_loop", "default.map", "default.filter") && position == 0)
        return nothing_to_go_through ? "a sequence" : NULL;
    if (is(op, "default.fold") && position + 1 == count) return kind == LOOM_IS_SEQUENCE ? NULL : "a sequence";
    if (is_arithmetic(op) || is_comparison(op))
        return kind == LOOM_IS_RECORD || kind == LOOM_IS_NULL || is_no_number(value)
                   ? "a number, an image or a sequence"
                   : NULL;
    return need_of_letter(loom_signature_argument(op, position), type, value);
}

const char *loom_type_words(loom_static_type type) {
    static const char *const one[] = {"something", "a number, truth value or string",
                                      "a number",  "a truth value",
                                      "a string",  "null",
                                      "a record",  "a sequence",
                                      "an image",  "a function"};
    static const char *const many[] = {NULL,
                                       NULL,
                                       "a sequence of numbers",
                                       "a sequence of truth values",
                                       "a sequence of strings",
                                       NULL,
                                       "a sequence of records",
                                       "a sequence of sequences",
                                       "a sequence of images"};
    unsigned kind = loom_type_kind(type), item = loom_type_kind(type >> 4);
    if (kind == LOOM_IS_SEQUENCE && item < sizeof many / sizeof *many && many[item]) return many[item];
    return kind < sizeof one / sizeof *one ? one[kind] : one[0];
}
