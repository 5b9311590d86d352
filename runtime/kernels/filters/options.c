/* options.c - optional arguments of filters: see options.h. */
#include "runtime/kernels/filters/options.h"

#include <math.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/voxels.h"

/* Reads one number, or one an axis, with what `accept` takes. */
static loom_status each_axis(loom_call *call, uint32_t position, unsigned rank, const char *needed,
                             bool (*accept)(const loom_value *, double *), double values[LOOM_RANK_MAX]) {
    const loom_value *value = NULL;
    LOOM_TRY(loom_arg(call, position, &value));
    if (value->type != LOOM_SEQUENCE) {
        if (!accept(value, &values[0])) return loom_arg_refuse(call, position, needed);
        for (unsigned d = 1; d < rank; d++)
            values[d] = values[0];
        return LOOM_OK;
    }
    if (value->sequence.count < rank)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "argument %u has %zu items; `%s` needs %u, one an axis",
                         position + 1, value->sequence.count, call->op->name, rank);
    for (unsigned d = 0; d < rank; d++)
        if (!accept(&value->sequence.items[d], &values[d])) return loom_arg_refuse(call, position, needed);
    return LOOM_OK;
}

static bool is_finite_number(const loom_value *value, double *number) {
    return loom_value_number(value, number) && isfinite(*number);
}

static bool is_radius(const loom_value *value, double *number) {
    int64_t whole = -1;
    if (!loom_value_integer(value, false, &whole) || whole < 0 || whole > LOOM_RADIUS_MAX) return false;
    *number = (double)whole;
    return true;
}

loom_status loom_option_axes(loom_call *call, uint32_t position, unsigned rank, double otherwise,
                             double values[LOOM_RANK_MAX]) {
    for (unsigned d = 0; d < rank; d++)
        values[d] = otherwise;
    if (position >= call->argument_count) return LOOM_OK;
    return each_axis(call, position, rank, "a finite number, or a sequence of them, one an axis", is_finite_number,
                     values);
}

loom_status loom_option_radius(loom_call *call, uint32_t position, unsigned rank, uint64_t radius[LOOM_RANK_MAX]) {
    double values[LOOM_RANK_MAX] = {0};
    for (unsigned d = 0; d < rank; d++)
        values[d] = 1;
    if (position < call->argument_count)
        LOOM_TRY(each_axis(call, position, rank, "a radius: a whole number from 0 to 1000, or one an axis", is_radius,
                           values));
    for (unsigned d = 0; d < LOOM_RANK_MAX; d++)
        radius[d] = (uint64_t)values[d];
    return LOOM_OK;
}

loom_status loom_option_number(loom_call *call, uint32_t position, double otherwise, double *value) {
    *value = otherwise;
    return position < call->argument_count ? loom_arg_number(call, position, value) : LOOM_OK;
}

loom_status loom_option_truth(loom_call *call, uint32_t position, bool otherwise, bool *value) {
    *value = otherwise;
    return position < call->argument_count ? loom_arg_truth(call, position, value) : LOOM_OK;
}

loom_status loom_option_count(loom_call *call, uint32_t position, uint64_t otherwise, uint64_t most, uint64_t *value) {
    int64_t whole = 0;
    *value = otherwise;
    if (position >= call->argument_count) return LOOM_OK;
    LOOM_TRY(loom_arg_integer(call, position, false, &whole));
    if (whole < 0 || (uint64_t)whole > most)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT, "argument %u of `%s` is %lld; it takes 0 to %llu", position + 1,
                         call->op->name, (long long)whole, (unsigned long long)most);
    *value = (uint64_t)whole;
    return LOOM_OK;
}

loom_status loom_arg_whole_image(loom_call *call, uint32_t position, const loom_value **image) {
    LOOM_TRY(loom_arg_image(call, position, image));
    uint8_t dtype = (*image)->image.header->dtype;
    if (!loom_dtype_is_float(dtype)) return LOOM_OK;
    return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                     "argument %u is an image of %s; `%s` needs whole numbers: compare it with a number, or `Cast` it",
                     position + 1, loom_dtype_itk_name(dtype), call->op->name);
}
