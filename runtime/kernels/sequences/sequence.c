/* sequence.c - sequences as plain values: sequence, range, index, slice, subsequence, argmax, joining, vectors.
 *
 * The runtime expands sequence, index, slice and subsequence itself where items are results of their own; these kernels
 * serve the others. */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/items.h"
#include "runtime/kernels/kernels.h"

#define RANGE_MAX (INT64_C(1) << 24)

static loom_status new_items(loom_call *call, uint64_t count, loom_value **items) {
    *items = loom_arena_array(call->arena, count == 0 ? 1 : count, sizeof **items);
    if (*items != NULL) return LOOM_OK;
    return loom_fail(call->err, LOOM_NO_MEMORY, "`%s` has no memory for %llu items", call->op->name,
                     (unsigned long long)count);
}

loom_status loom_run_sequence(loom_call *call) {
    loom_value *items = NULL;
    LOOM_TRY(new_items(call, call->argument_count, &items));
    if (call->argument_count > 0) memcpy(items, call->arguments, call->argument_count * sizeof *items);
    call->result = loom_sequence(items, call->argument_count);
    return LOOM_OK;
}

loom_status loom_run_range(loom_call *call) {
    int64_t start = 0, stop = 0, count = 0;
    loom_value *items = NULL;
    if (call->argument_count > 1) LOOM_TRY(loom_arg_integer(call, 0, false, &start));
    LOOM_TRY(loom_arg_integer(call, call->argument_count > 1 ? 1 : 0, false, &stop));
    if (stop > start && (__builtin_sub_overflow(stop, start, &count) || count > RANGE_MAX))
        return loom_fail(call->err, LOOM_TOO_LARGE, "`%s` takes at most %lld items; use shorter ranges, one in another",
                         call->op->name, (long long)RANGE_MAX);
    LOOM_TRY(new_items(call, (uint64_t)count, &items));
    for (int64_t k = 0; k < count; k++)
        items[k] = loom_int(start + k);
    call->result = loom_sequence(items, (size_t)count);
    return LOOM_OK;
}

static loom_status countable(loom_call *call, const loom_value **value, uint64_t *count) {
    LOOM_TRY(loom_arg(call, 0, value));
    if (loom_items_count(*value, count)) return LOOM_OK;
    return loom_arg_refuse(call, 0, "a sequence, a string, a record or an image");
}

loom_status loom_run_index(loom_call *call) {
    const loom_value *value = NULL;
    uint64_t count = 0;
    int64_t index = 0;
    LOOM_TRY(countable(call, &value, &count));
    LOOM_TRY(loom_arg_integer(call, 1, true, &index));
    if (index < 0 || (uint64_t)index >= count)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "`%s` asks for item %lld of %llu (the first is 0)",
                         call->op->name, (long long)index, (unsigned long long)count);
    loom_items_get(value, (uint64_t)index, 1, &call->result);
    return LOOM_OK;
}

static loom_status take(loom_call *call, const loom_value *value, uint64_t count, int64_t start, int64_t stop) {
    loom_value *items = NULL;
    uint64_t end = stop < 0 ? 0 : (uint64_t)stop < count ? (uint64_t)stop : count;
    uint64_t first = start < 0 ? 0 : (uint64_t)start;
    uint64_t length = first < end ? end - first : 0;
    LOOM_TRY(new_items(call, length, &items));
    if (length > 0) loom_items_get(value, first, length, items);
    call->result = loom_sequence(items, length);
    return LOOM_OK;
}

/* A bound: null or blank text leaves it open. */
static loom_status bound(loom_call *call, uint32_t position, bool *given, int64_t *number) {
    const loom_value *value = NULL;
    LOOM_TRY(loom_arg(call, position, &value));
    bool blank = value->type == LOOM_STRING;
    for (size_t k = 0; blank && k < value->text.length; k++)
        blank = value->text.bytes[k] == ' ' || (value->text.bytes[k] >= '\t' && value->text.bytes[k] <= '\r');
    *given = value->type != LOOM_NULL && !blank;
    if (!*given) return LOOM_OK;
    return loom_arg_integer(call, position, true, number);
}

loom_status loom_run_slice(loom_call *call) {
    const loom_value *value = NULL;
    uint64_t count = 0;
    int64_t start = 0, stop = INT64_MAX;
    bool has_start = false, has_stop = false;
    LOOM_TRY(countable(call, &value, &count));
    LOOM_TRY(bound(call, 1, &has_start, &start));
    LOOM_TRY(bound(call, 2, &has_stop, &stop));
    if (has_stop && stop <= (start > 0 ? start : 0)) return take(call, value, 0, 0, 0);
    if (start < 0 && value->type == LOOM_SEQUENCE) start = start < -(int64_t)count ? 0 : start + (int64_t)count;
    return take(call, value, count, start, stop);
}

loom_status loom_run_subsequence(loom_call *call) {
    const loom_value *value = NULL;
    uint64_t count = 0;
    int64_t start = 0, stop = 0;
    LOOM_TRY(countable(call, &value, &count));
    if (call->argument_count > 2) LOOM_TRY(loom_arg_integer(call, 1, true, &start));
    LOOM_TRY(loom_arg_integer(call, call->argument_count > 2 ? 2 : 1, true, &stop));
    return take(call, value, count, start, stop);
}

loom_status loom_run_argmax(loom_call *call) {
    const loom_value *sequence = NULL;
    LOOM_TRY(loom_arg_sequence(call, 0, &sequence));
    if (sequence->sequence.count == 0)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "`%s` got an empty sequence, which has no largest item",
                         call->op->name);
    double best = 0;
    size_t at = 0;
    for (size_t k = 0; k < sequence->sequence.count; k++) {
        double number = 0;
        loom_value item = loom_null();
        LOOM_TRY(loom_call_resolve(call, &sequence->sequence.items[k], &item));
        if (item.type == LOOM_STRING || !loom_value_number(&item, &number))
            return loom_value_refuse(call, "an item of argument 1", &item, "numbers");
        if (k == 0 || number > best) {
            best = number;
            at = k;
        }
    }
    call->result = loom_int((int64_t)at);
    return LOOM_OK;
}

loom_status loom_run_concat_sequences(loom_call *call) {
    uint64_t total = 0;
    loom_value *items = NULL;
    for (uint32_t k = 0; k < call->argument_count; k++) {
        const loom_value *sequence = NULL;
        LOOM_TRY(loom_arg_sequence(call, k, &sequence));
        total += sequence->sequence.count;
    }
    LOOM_TRY(new_items(call, total, &items));
    uint64_t used = 0;
    for (uint32_t k = 0; k < call->argument_count; k++) {
        const loom_value *sequence = NULL;
        LOOM_TRY(loom_arg_sequence(call, k, &sequence));
        if (sequence->sequence.count == 0) continue;
        memcpy(items + used, sequence->sequence.items, sequence->sequence.count * sizeof *items);
        used += sequence->sequence.count;
    }
    call->result = loom_sequence(items, total);
    return LOOM_OK;
}

/* Items as numbers, truncated to 32-bit unsigned integers or left as they are. */
static loom_status vector(loom_call *call, bool whole) {
    const loom_value *value = NULL;
    uint64_t count = 0;
    loom_value *items = NULL;
    LOOM_TRY(countable(call, &value, &count));
    LOOM_TRY(new_items(call, count, &items));
    loom_items_get(value, 0, count, items);
    for (uint64_t k = 0; k < count; k++) {
        double number = 0;
        loom_value item = loom_null();
        LOOM_TRY(loom_call_resolve(call, &items[k], &item));
        bool good = loom_value_number(&item, &number) && (!whole || (number > -1.0 && number < 4294967296.0));
        if (!good)
            return loom_value_refuse(call, "an item of argument 1", &item,
                                     whole ? "numbers from 0 to 4294967295" : "numbers");
        items[k] = whole ? loom_int((int64_t)number) : loom_float(number);
    }
    call->result = loom_sequence(items, count);
    return LOOM_OK;
}

loom_status loom_run_vector_uint32(loom_call *call) {
    return vector(call, true);
}
loom_status loom_run_vector_double(loom_call *call) {
    return vector(call, false);
}
