/* axes.c - arguments with an item an axis, and where a voxel lies: see axes.h. */
#include "runtime/kernels/grid/axes.h"

#include "runtime/kernels/base/arguments.h"

static loom_status read_items(loom_call *call, uint32_t position, unsigned axes, const loom_value **items) {
    const loom_value *sequence = NULL;
    LOOM_TRY(loom_arg_sequence(call, position, &sequence));
    if (sequence->sequence.count < axes)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "argument %u has %zu items; `%s` needs %u, one an axis",
                         position + 1, sequence->sequence.count, call->op->name, axes);
    *items = sequence->sequence.items;
    return LOOM_OK;
}

loom_status loom_arg_axes(loom_call *call, uint32_t position, unsigned axes, uint64_t numbers[LOOM_RANK_MAX]) {
    const loom_value *items = NULL;
    LOOM_TRY(read_items(call, position, axes, &items));
    for (unsigned d = 0; d < axes; d++) {
        int64_t whole = -1;
        if (!loom_value_integer(&items[d], false, &whole) || whole < 0)
            return loom_arg_refuse(call, position, "a sequence of whole numbers that are not negative");
        numbers[d] = (uint64_t)whole;
    }
    return LOOM_OK;
}

loom_status loom_arg_axis_flags(loom_call *call, uint32_t position, unsigned axes, bool flags[LOOM_RANK_MAX]) {
    const loom_value *items = NULL;
    LOOM_TRY(read_items(call, position, axes, &items));
    for (unsigned d = 0; d < axes; d++) {
        double number = 0;
        if (items[d].type == LOOM_STRING || !loom_value_number(&items[d], &number))
            return loom_arg_refuse(call, position, "a sequence of truth values");
        flags[d] = number != 0;
    }
    return LOOM_OK;
}

void loom_move_origin(loom_image_header *header, const double index[LOOM_RANK_MAX]) {
    for (unsigned row = 0; row < header->rank; row++) {
        double origin = header->origin[row];
        for (unsigned d = 0; d < header->rank; d++)
            origin += header->direction[row * LOOM_RANK_MAX + d] * header->spacing[d] * index[d];
        header->origin[row] = origin + 0.0; /* no negative zero */
    }
}

loom_row loom_row_of(const uint64_t size[LOOM_RANK_MAX], uint64_t number) {
    return (loom_row){.at = {0, number % size[1], number / size[1] % size[2], number / size[1] / size[2]}};
}

uint64_t loom_row_number(const uint64_t size[LOOM_RANK_MAX], loom_row row) {
    return (row.at[3] * size[2] + row.at[2]) * size[1] + row.at[1];
}
