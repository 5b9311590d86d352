/* array.c - images and nested sequences as arrays: see array.h. */
#include "runtime/kernels/statistics/array.h"

#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"

/* ---- reading ---- */

static void from_image(const loom_value *image, loom_array *array) {
    const loom_image_header *header = image->image.header;
    *array = (loom_array){.dtype = header->dtype,
                          .rank = header->rank,
                          .count = loom_image_voxels(header) * header->components,
                          .values = image->image.voxels};
    for (unsigned d = 0; d < header->rank; d++)
        array->shape[d] = header->size[header->rank - 1 - d];
    if (header->components > 1) array->shape[array->rank++] = header->components;
}

/* What is read of nested sequences: first what there is, then the values. */
typedef struct nest {
    loom_call *call;
    uint32_t position;
    loom_array array;
    unsigned kinds; /* bits: a truth value, an integer, a double */
    double *doubles;
    int64_t *integers;
    uint8_t *truths;
    uint64_t filled;
} nest;

enum { TRUTH = 1, INTEGER = 2, REAL = 4 };

static void put(nest *from, const loom_value *number) {
    double real = 0;
    (void)loom_value_number(number, &real); /* it is one */
    uint64_t k = from->filled++;
    if (from->doubles != NULL)
        from->doubles[k] = real;
    else if (from->integers != NULL)
        from->integers[k] = number->type == LOOM_INT ? number->integer : (int64_t)real;
    else if (from->truths != NULL)
        from->truths[k] = number->boolean;
}

/* Sets or checks the extent of a level. `deepest` is set by the first number. */
static loom_status walk(nest *from, const loom_value *given, unsigned level, unsigned *deepest) {
    loom_value value = loom_null();
    LOOM_TRY(loom_call_resolve(from->call, given, &value));
    if (value.type == LOOM_SEQUENCE && level < LOOM_ARRAY_RANK_MAX && level < *deepest) {
        if (from->array.rank == level) from->array.shape[from->array.rank++] = value.sequence.count;
        if (from->array.shape[level] != value.sequence.count || value.sequence.count == 0)
            return loom_arg_refuse(from->call, from->position,
                                   "an image, or sequences of numbers of equal lengths that are not empty");
        for (size_t k = 0; k < value.sequence.count; k++)
            LOOM_TRY(walk(from, &value.sequence.items[k], level + 1, deepest));
        return LOOM_OK;
    }
    unsigned kind = value.type == LOOM_BOOL ? TRUTH : value.type == LOOM_INT ? INTEGER : REAL;
    if ((kind == REAL && value.type != LOOM_FLOAT) || (*deepest <= LOOM_ARRAY_RANK_MAX && *deepest != level))
        return loom_arg_refuse(from->call, from->position,
                               "an image, or sequences of numbers of equal lengths that are not empty");
    *deepest = level;
    from->kinds |= kind;
    put(from, &value);
    return LOOM_OK;
}

static loom_status from_sequences(loom_call *call, uint32_t position, const loom_value *value, loom_array *array) {
    nest from = {.call = call, .position = position};
    unsigned deepest = UINT32_MAX;
    LOOM_TRY(walk(&from, value, 0, &deepest));
    uint64_t count = from.filled;
    uint8_t dtype = from.kinds & REAL ? LOOM_F64 : from.kinds & INTEGER ? LOOM_I64 : LOOM_BOOL8;
    void *values = loom_arena_array(call->arena, count, loom_dtype_bytes(dtype));
    if (values == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
    if (dtype == LOOM_F64)
        from.doubles = values;
    else if (dtype == LOOM_I64)
        from.integers = values;
    else
        from.truths = values;
    from.filled = 0;
    LOOM_TRY(walk(&from, value, 0, &deepest));
    *array = from.array;
    array->dtype = dtype;
    array->truths = dtype == LOOM_BOOL8;
    array->count = count;
    array->values = values;
    return LOOM_OK;
}

loom_status loom_arg_array(loom_call *call, uint32_t position, loom_array *array) {
    const loom_value *value = NULL;
    LOOM_TRY(loom_arg(call, position, &value));
    if (value->type != LOOM_IMAGE) return from_sequences(call, position, value, array);
    LOOM_TRY(loom_arg_any_image(call, position, &value));
    from_image(value, array);
    return LOOM_OK;
}

loom_status loom_arg_two_arrays(loom_call *call, loom_array *a, loom_array *b) {
    LOOM_TRY(loom_arg_array(call, 0, a));
    LOOM_TRY(loom_arg_array(call, 1, b));
    if (a->rank == b->rank && memcmp(a->shape, b->shape, sizeof a->shape) == 0) return LOOM_OK;
    return loom_fail(
        call->err, LOOM_BAD_ARGUMENT,
        "arguments 1 and 2 of `%s` have different shapes; resample or `extract` one to the size of the other",
        call->op->name);
}

/* ---- values ---- */

static const void *values_at(const loom_array *array, uint64_t first) {
    return (const uint8_t *)array->values + first * loom_dtype_bytes(array->dtype);
}

const double *loom_array_doubles(const loom_array *array, uint64_t first, size_t count, double *buffer) {
    loom_cast(array->dtype, values_at(array, first), LOOM_F64, buffer, count);
    return buffer;
}

const int64_t *loom_array_integers(const loom_array *array, uint64_t first, size_t count, int64_t *buffer) {
    loom_cast(array->dtype, values_at(array, first), LOOM_I64, buffer, count);
    return buffer;
}

#define DEFINE_EQUAL(type_)                                                                                            \
    LOOM_SIMD static void equal_##type_(const type_ *values, type_ wanted, uint8_t *restrict equal, size_t count) {    \
        for (size_t k = 0; k < count; k++)                                                                             \
            equal[k] = values[k] == wanted;                                                                            \
    }
LOOM_EACH_CTYPE(DEFINE_EQUAL)

void loom_array_equal(const loom_array *array, uint64_t first, size_t count, double number, uint8_t *equal) {
    const void *values = values_at(array, first);
    const loom_pixel wanted = loom_pixel_from_double(array->dtype, number);
    double back = 0;
    loom_cast(array->dtype, &wanted, LOOM_F64, &back, 1);
    if (!loom_dtype_is_float(array->dtype) && back != number) {
        memset(equal, 0, count); /* no such integer */
        return;
    }
    switch (array->dtype) {
#define EQUAL(dtype_, type_)                                                                                           \
    case dtype_:                                                                                                       \
        equal_##type_(values, wanted.as_##type_, equal, count);                                                        \
        break;
        LOOM_EACH_PIXEL(EQUAL)
    }
}

uint8_t loom_common_dtype(uint8_t a, uint8_t b) {
    if (a == LOOM_BOOL8) a = LOOM_U8;
    if (b == LOOM_BOOL8) b = LOOM_U8;
    if (a == b) return a;
    size_t a_bytes = loom_dtype_bytes(a), b_bytes = loom_dtype_bytes(b), bytes = a_bytes > b_bytes ? a_bytes : b_bytes;
    if (loom_dtype_is_float(a) || loom_dtype_is_float(b)) {
        size_t whole = loom_dtype_is_float(a) ? b_bytes : a_bytes;
        bool both = loom_dtype_is_float(a) && loom_dtype_is_float(b);
        return a == LOOM_F64 || b == LOOM_F64 || (!both && whole > 2) ? LOOM_F64 : LOOM_F32;
    }
    bool a_signed = a == LOOM_I8 || a == LOOM_I16 || a == LOOM_I32 || a == LOOM_I64;
    bool b_signed = b == LOOM_I8 || b == LOOM_I16 || b == LOOM_I32 || b == LOOM_I64;
    if (a_signed == b_signed) return a_bytes > b_bytes ? a : b;
    size_t unsigned_bytes = a_signed ? b_bytes : a_bytes, signed_bytes = a_signed ? a_bytes : b_bytes;
    if (signed_bytes > unsigned_bytes) return a_signed ? a : b;
    return bytes == 1 ? LOOM_I16 : bytes == 2 ? LOOM_I32 : bytes == 4 ? LOOM_I64 : LOOM_F64;
}
