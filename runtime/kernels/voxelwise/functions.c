/* functions.c - simpleitk's functions of one voxel that are computed in double and converted to the pixel type: square
 * root, square, exponential, logarithms, trigonometry.
 *
 * ITK's functors (itkSqrtImageFilter.h, itkSquareImageFilter.h, itkExpImageFilter.h, ...), but that the last bit is
 * that of long double (close_call.h): the C library's double functions differ between processors. Each component of a
 * vector image by itself. One pass in parts, no scratch memory. */
#include <math.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/voxelwise/arith.h"
#include "runtime/kernels/voxelwise/close_call.h"

enum { ROW = 1024 }; /* values that are worked on at a time */

typedef enum function { SQRT, SQUARE, EXP, EXP_NEGATIVE, LOG, LOG10, SIN, COS, TAN, ASIN, ACOS, ATAN } function;

#define EACH(expression_)                                                                                              \
    for (size_t k = 0; k < count; k++)                                                                                 \
        out[k] = (expression_);                                                                                        \
    break;

static LOOM_SIMD void function_row(function what, const double *in, double *restrict out, size_t count) {
    switch (what) {
    case SQRT:
        EACH(sqrt(in[k]))
    case SQUARE:
        EACH(in[k] * in[k])
    case EXP:
        EACH(exp(in[k]))
    case EXP_NEGATIVE:
        EACH(exp(-1.0 * in[k]))
    case LOG:
        EACH(log(in[k]))
    case LOG10:
        EACH(log10(in[k]))
    case SIN:
        EACH(sin(in[k]))
    case COS:
        EACH(cos(in[k]))
    case TAN:
        EACH(tan(in[k]))
    case ASIN:
        EACH(asin(in[k]))
    case ACOS:
        EACH(acos(in[k]))
    case ATAN:
        EACH(atan(in[k]))
    }
}

/* One value, rounded once. */
static double rounded(function what, long double x) {
    switch (what) {
    case SQRT:
    case SQUARE:
        break;
    case EXP:
        return (double)expl(x);
    case EXP_NEGATIVE:
        return (double)expl(-x);
    case LOG:
        return (double)logl(x);
    case LOG10:
        return (double)log10l(x);
    case SIN:
        return (double)sinl(x);
    case COS:
        return (double)cosl(x);
    case TAN:
        return (double)tanl(x);
    case ASIN:
        return (double)asinl(x);
    case ACOS:
        return (double)acosl(x);
    case ATAN:
        return (double)atanl(x);
    }
    return (double)x;
}

/* Square roots and squares are rounded correctly everywhere, and so is what functions are of 0. */
static void settle_close_calls(function what, uint8_t dtype, const double *in, double *out, size_t count) {
    if (what == SQRT || what == SQUARE) return;
    for (size_t k = 0; k < count; k++)
        if (in[k] != 0 && loom_is_close_call(dtype, out[k])) out[k] = rounded(what, (long double)in[k]);
}

static loom_status function_part(loom_part *part) {
    const loom_value *image = NULL;
    const function what = *(const function *)part->state;
    double in[ROW], out[ROW];
    LOOM_TRY(loom_arg_any_image(part->call, 0, &image));
    const uint8_t dtype = image->image.header->dtype;
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += ROW) {
        const size_t count = end - first < ROW ? (size_t)(end - first) : ROW;
        loom_cast(dtype, loom_values_at(image, first), LOOM_F64, in, count);
        function_row(what, in, out, count);
        settle_close_calls(what, dtype, in, out, count);
        loom_cast(LOOM_F64, out, (uint8_t)loom_arith_dtype(dtype), loom_values_of(part->voxels, dtype, first), count);
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {function_part};
const loom_loops loom_loops_functions = {.run = loops, .count = 1};

static loom_status run_function(loom_call *call, function what) {
    const loom_value *image = NULL;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    LOOM_TRY(loom_result_image(call, header, loom_arith_dtype(header->dtype), header->components, &voxels));
    return loom_run_parts(call, 0, loom_image_voxels(header) * header->components, LOOM_PART_VALUES, &what,
                          sizeof what);
}

loom_status loom_run_sitk_sqrt(loom_call *call) {
    return run_function(call, SQRT);
}
loom_status loom_run_sitk_square(loom_call *call) {
    return run_function(call, SQUARE);
}
loom_status loom_run_sitk_exp(loom_call *call) {
    return run_function(call, EXP);
}
loom_status loom_run_sitk_exp_negative(loom_call *call) {
    return run_function(call, EXP_NEGATIVE);
}
loom_status loom_run_sitk_log(loom_call *call) {
    return run_function(call, LOG);
}
loom_status loom_run_sitk_log10(loom_call *call) {
    return run_function(call, LOG10);
}
loom_status loom_run_sitk_sin(loom_call *call) {
    return run_function(call, SIN);
}
loom_status loom_run_sitk_cos(loom_call *call) {
    return run_function(call, COS);
}
loom_status loom_run_sitk_tan(loom_call *call) {
    return run_function(call, TAN);
}
loom_status loom_run_sitk_asin(loom_call *call) {
    return run_function(call, ASIN);
}
loom_status loom_run_sitk_acos(loom_call *call) {
    return run_function(call, ACOS);
}
loom_status loom_run_sitk_atan(loom_call *call) {
    return run_function(call, ATAN);
}
