/* arguments.c - argument checks and result space for every kernel: see arguments.h. */
#include "runtime/kernels/base/arguments.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "shm/number.h"

const char *loom_value_kind(const loom_value *value) {
    switch (value->type) {
    case LOOM_NULL:
        return "null";
    case LOOM_BOOL:
        return "a truth value";
    case LOOM_INT:
    case LOOM_FLOAT:
        return "a number";
    case LOOM_STRING:
        return "a string";
    case LOOM_BYTES:
        return "a block of bytes";
    case LOOM_RECORD:
        return "a record";
    case LOOM_SEQUENCE:
        return "a sequence";
    case LOOM_IMAGE:
        return "an image";
    case LOOM_DATASET:
        return "a dataset";
    case LOOM_CLOSURE:
        return "a function";
    case LOOM_REFERENCE:
        return value->reference.type == LOOM_IMAGE ? "an image" : "another result";
    }
    return "an unknown value";
}

loom_status loom_value_refuse(loom_call *call, const char *where, const loom_value *value, const char *needed) {
    return loom_fail(call->err, LOOM_BAD_ARGUMENT, "%s is %s; `%s` needs %s", where, loom_value_kind(value),
                     call->op->name, needed);
}

loom_status loom_arg_refuse(loom_call *call, uint32_t position, const char *needed) {
    if (position >= call->argument_count)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "argument %u is missing; `%s` needs %s", position + 1,
                         call->op->name, needed);
    char where[32];
    snprintf(where, sizeof where, "argument %u", position + 1);
    return loom_value_refuse(call, where, &call->arguments[position], needed);
}

loom_status loom_call_resolve(loom_call *call, const loom_value *value, loom_value *resolved) {
    if (value->type != LOOM_REFERENCE) {
        *resolved = *value;
        return LOOM_OK;
    }
    if (call->services->fetch == NULL)
        return loom_fail(call->err, LOOM_INTERNAL, "`%s` got a reference that nothing can fetch", call->op->name);
    return call->services->fetch(call, value, resolved);
}

loom_status loom_arg(loom_call *call, uint32_t position, const loom_value **value) {
    if (position >= call->argument_count) return loom_arg_refuse(call, position, "it");
    const loom_value *given = &call->arguments[position];
    if (given->type == LOOM_REFERENCE) {
        loom_value *fetched = loom_arena_alloc(call->arena, sizeof *fetched);
        if (fetched == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
        LOOM_TRY(loom_call_resolve(call, given, fetched));
        given = fetched;
    }
    *value = given;
    return LOOM_OK;
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool equals_ignoring_case(const char *text, size_t length, const char *word) {
    if (length != strlen(word)) return false;
    for (size_t k = 0; k < length; k++) {
        char c = text[k];
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        if (c != word[k]) return false;
    }
    return true;
}

/* Python's float(text): surrounding white space, inf, infinity and nan in any case, and single underscores between
 * digits. */
static bool number_from_text(const char *text, size_t length, double *number) {
    while (length > 0 && is_space(text[0])) {
        text++;
        length--;
    }
    while (length > 0 && is_space(text[length - 1]))
        length--;
    size_t sign = length > 0 && (text[0] == '+' || text[0] == '-');
    const char *word = text + sign;
    size_t word_length = length - sign;
    double special = 0;
    if (equals_ignoring_case(word, word_length, "inf") || equals_ignoring_case(word, word_length, "infinity"))
        special = INFINITY;
    else if (equals_ignoring_case(word, word_length, "nan"))
        special = NAN;
    if (special != 0) {
        *number = sign && text[0] == '-' ? -special : special;
        return true;
    }
    char plain[512];
    size_t used = 0;
    for (size_t k = 0; k < length; k++) {
        if (text[k] == '_') {
            bool between_digits = k > 0 && k + 1 < length && text[k - 1] >= '0' && text[k - 1] <= '9' &&
                                  text[k + 1] >= '0' && text[k + 1] <= '9';
            if (!between_digits) return false;
            continue;
        }
        if (used == sizeof plain) return false;
        plain[used++] = text[k];
    }
    return loom_number_parse(plain, used, number);
}

bool loom_value_number(const loom_value *value, double *number) {
    switch (value->type) {
    case LOOM_BOOL:
        *number = value->boolean ? 1.0 : 0.0;
        return true;
    case LOOM_INT:
        *number = (double)value->integer;
        return true;
    case LOOM_FLOAT:
        *number = value->number;
        return true;
    case LOOM_STRING:
        return number_from_text(value->text.bytes, value->text.length, number);
    default:
        return false;
    }
}

/* Python's int(text): white space, a sign, decimal digits. */
static bool integer_from_text(const char *text, size_t length, int64_t *integer) {
    while (length > 0 && is_space(text[0])) {
        text++;
        length--;
    }
    while (length > 0 && is_space(text[length - 1]))
        length--;
    bool negative = length > 0 && text[0] == '-';
    if (length > 0 && (text[0] == '-' || text[0] == '+')) {
        text++;
        length--;
    }
    if (length == 0) return false;
    int64_t sum = 0;
    for (size_t k = 0; k < length; k++) {
        if (text[k] < '0' || text[k] > '9') return false;
        int64_t digit = text[k] - '0';
        if (__builtin_mul_overflow(sum, (int64_t)10, &sum) ||
            __builtin_add_overflow(sum, negative ? -digit : digit, &sum))
            return false;
    }
    *integer = sum;
    return true;
}

bool loom_value_integer(const loom_value *value, bool text_accepted, int64_t *integer) {
    if (value->type == LOOM_INT) {
        *integer = value->integer;
        return true;
    }
    if (value->type == LOOM_FLOAT) {
        if (!(value->number >= -9007199254740992.0 && value->number <= 9007199254740992.0)) return false;
        int64_t whole = (int64_t)value->number;
        if ((double)whole != value->number) return false;
        *integer = whole;
        return true;
    }
    return text_accepted && value->type == LOOM_STRING &&
           integer_from_text(value->text.bytes, value->text.length, integer);
}

loom_status loom_arg_number(loom_call *call, uint32_t position, double *number) {
    const loom_value *value = NULL;
    LOOM_TRY(loom_arg(call, position, &value));
    if (loom_value_number(value, number)) return LOOM_OK;
    return loom_arg_refuse(call, position, value->type == LOOM_STRING ? "a number, or text that is one" : "a number");
}

loom_status loom_arg_truth(loom_call *call, uint32_t position, bool *truth) {
    if (position >= call->argument_count) return loom_arg_refuse(call, position, "a truth value");
    const loom_value *value = &call->arguments[position];
    if (value->type == LOOM_REFERENCE && value->reference.type == LOOM_IMAGE) {
        *truth = true;
        return LOOM_OK;
    }
    LOOM_TRY(loom_arg(call, position, &value));
    *truth = loom_value_is_true(value);
    return LOOM_OK;
}

loom_status loom_arg_integer(loom_call *call, uint32_t position, bool text_accepted, int64_t *integer) {
    const loom_value *value = NULL;
    LOOM_TRY(loom_arg(call, position, &value));
    if (loom_value_integer(value, text_accepted, integer)) return LOOM_OK;
    char number[LOOM_NUMBER_TEXT_BYTES];
    if (value->type == LOOM_FLOAT) {
        loom_number_repr(value->number, number);
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "argument %u is %s; `%s` needs a whole number", position + 1,
                         number, call->op->name);
    }
    return loom_arg_refuse(call, position, "a whole number");
}

loom_status loom_arg_string(loom_call *call, uint32_t position, const char **text, size_t *length) {
    const loom_value *value = NULL;
    LOOM_TRY(loom_arg(call, position, &value));
    if (value->type != LOOM_STRING) return loom_arg_refuse(call, position, "a string");
    *text = value->text.bytes;
    *length = value->text.length;
    return LOOM_OK;
}

loom_status loom_arg_path(loom_call *call, uint32_t position, const char **path) {
    const char *text = NULL;
    size_t length = 0;
    LOOM_TRY(loom_arg_string(call, position, &text, &length));
    if (length == 0 || memchr(text, 0, length) != NULL)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "argument %u is %s; `%s` needs a path", position + 1,
                         length == 0 ? "an empty string" : "text with a NUL character", call->op->name);
    *path = loom_arena_text(call->arena, text, length);
    if (*path == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
    return LOOM_OK;
}

loom_status loom_arg_sequence(loom_call *call, uint32_t position, const loom_value **sequence) {
    const loom_value *value = NULL;
    LOOM_TRY(loom_arg(call, position, &value));
    if (value->type != LOOM_SEQUENCE) return loom_arg_refuse(call, position, "a sequence");
    *sequence = value;
    return LOOM_OK;
}

loom_status loom_arg_any_image(loom_call *call, uint32_t position, const loom_value **image) {
    const loom_value *value = NULL;
    LOOM_TRY(loom_arg(call, position, &value));
    if (value->type != LOOM_IMAGE) return loom_arg_refuse(call, position, "an image");
    if (value->image.voxels == NULL)
        return loom_fail(call->err, LOOM_INTERNAL, "argument %u of `%s` is an image whose voxels are not mapped",
                         position + 1, call->op->name);
    *image = value;
    return LOOM_OK;
}

loom_status loom_arg_image(loom_call *call, uint32_t position, const loom_value **image) {
    LOOM_TRY(loom_arg_any_image(call, position, image));
    uint16_t components = (*image)->image.header->components;
    if (components == 1) return LOOM_OK;
    return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                     "argument %u is an image with %u components a voxel; `%s` needs one: take `intensity`, `red`, "
                     "`green` or `blue` of it",
                     position + 1, components, call->op->name);
}

loom_status loom_arg_same_domain(loom_call *call, const loom_value *a, uint32_t position_a, const loom_value *b,
                                 uint32_t position_b) {
    char why[160];
    if (loom_image_same_domain(a->image.header, b->image.header, why)) return LOOM_OK;
    return loom_fail(call->err, LOOM_BAD_DOMAIN,
                     "arguments %u and %u of `%s` are images on different grids (%s); resample one onto the other",
                     position_a + 1, position_b + 1, call->op->name, why);
}

static uint8_t pixel_family(uint8_t dtype) {
    return dtype == LOOM_BOOL8 ? LOOM_U8 : dtype;
}

loom_status loom_arg_same_pixels(loom_call *call, const loom_value *a, uint32_t position_a, const loom_value *b,
                                 uint32_t position_b) {
    const loom_image_header *left = a->image.header, *right = b->image.header;
    if (pixel_family(left->dtype) != pixel_family(right->dtype))
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "arguments %u and %u of `%s` have different pixel types (%s and %s); convert one, for "
                         "example with `intensity` or `Cast`",
                         position_a + 1, position_b + 1, call->op->name, loom_dtype_itk_name(left->dtype),
                         loom_dtype_itk_name(right->dtype));
    if (left->components != right->components)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "arguments %u and %u of `%s` have %u and %u components a voxel; take `intensity` of both",
                         position_a + 1, position_b + 1, call->op->name, left->components, right->components);
    return LOOM_OK;
}

loom_status loom_result_image(loom_call *call, const loom_image_header *like, loom_dtype dtype, uint16_t components,
                              void **voxels) {
    loom_image_header header = *like;
    header.dtype = (uint8_t)dtype;
    header.components = components;
    return call->services->new_image(call, &header, voxels);
}

loom_status loom_scratch(loom_call *call, size_t count, size_t item_bytes, void **memory) {
    size_t bytes;
    *memory = NULL;
    if (!__builtin_mul_overflow(count, item_bytes, &bytes))
        *memory = call->services->scratch(call, bytes == 0 ? 1 : bytes);
    if (*memory != NULL) return LOOM_OK;
    return loom_fail(call->err, LOOM_NO_MEMORY,
                     "`%s` was refused %zu x %zu bytes of scratch memory; close other programs or use fewer workers",
                     call->op->name, count, item_bytes);
}
