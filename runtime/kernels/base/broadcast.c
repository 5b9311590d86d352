/* broadcast.c - item-by-item application: see broadcast.h. */
#include "runtime/kernels/base/broadcast.h"

#include <stdio.h>

#include "runtime/kernels/base/arguments.h"

bool loom_broadcasts(const loom_value *value) {
    return value->type == LOOM_SEQUENCE && value->sequence.count > 0;
}

static bool is_image(const loom_value *value) {
    return value->type == LOOM_IMAGE || (value->type == LOOM_REFERENCE && value->reference.type == LOOM_IMAGE);
}

loom_status loom_broadcast(loom_call *call, const loom_value *a, const loom_value *b, loom_pair_operation operation,
                           const void *context) {
    bool each_a = loom_broadcasts(a), each_b = loom_broadcasts(b);
    if (each_a && each_b && a->sequence.count != b->sequence.count)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "`%s` got sequences of %zu and %zu items; they must be as long",
                         call->op->name, a->sequence.count, b->sequence.count);
    size_t count = each_a ? a->sequence.count : b->sequence.count;
    loom_value *items = loom_arena_array(call->arena, count, sizeof *items);
    if (items == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
    for (size_t k = 0; k < count; k++) {
        const loom_value *left = each_a ? &a->sequence.items[k] : a;
        const loom_value *right = each_b ? &b->sequence.items[k] : b;
        if (is_image(left) || is_image(right))
            return loom_fail(call->err, LOOM_UNSUPPORTED,
                             "`%s` got a sequence and images; write it as `for x in ... do x %s ...`", call->op->name,
                             call->op->name);
        char where[48];
        snprintf(where, sizeof where, "item %zu of an argument", k);
        loom_value left_value = loom_null(), right_value = loom_null();
        LOOM_TRY(loom_call_resolve(call, left, &left_value));
        LOOM_TRY(loom_call_resolve(call, right, &right_value));
        LOOM_TRY(operation(call, context, where, &left_value, &right_value, &items[k]));
    }
    call->result = loom_sequence(items, count);
    return LOOM_OK;
}
