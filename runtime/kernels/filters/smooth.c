/* smooth.c - SmoothingRecursiveGaussian: Gaussian smoothing by recursive filters, one axis after the other.
 *
 * Axes come in ITK's order (the last one first, then x, y, ...), and after each the values are rounded to float32, as
 * there. LANES lines are filtered together, value by value, so that the recursion of each goes on in one lane of a
 * vector; lines along y, z and t lie side by side anyway. The first axis reads the image, the others work in place.
 * Scratch, a worker and axis: 4 blocks of LANES lines of doubles. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/filters/options.h"
#include "runtime/kernels/filters/recursive_gaussian.h"
#include "runtime/kernels/kernels.h"

#define LANES 16

/* Weighted sums of four values, in ITK's order. */
#define SUM4(a, wa, b, wb, c, wc, d, wd) ((a) * (wa) + (b) * (wb) + (c) * (wc) + (d) * (wd))

/* Value i of every lane at in + i * LANES; the row before the first is the first, which goes on for ever. */
LOOM_SIMD static void filter_forwards(const loom_gaussian *g, uint64_t length, const double *restrict in,
                                      double *restrict out) {
    const double *n = g->n, *d = g->d, *b = g->bn;
    for (uint64_t i = 0; i < 4; i++) {
        const double *x0 = in + i * LANES, *x1 = in + (i > 1 ? i - 1 : 0) * LANES,
                     *x2 = in + (i > 2 ? i - 2 : 0) * LANES;
        for (uint64_t k = 0; k < LANES; k++) {
            double edge = in[k], y = SUM4(x0[k], n[0], x1[k], n[1], x2[k], n[2], edge, n[3]);
            double y1 = i > 0 ? out[(i - 1) * LANES + k] * d[0] : edge * b[0];
            double y2 = i > 1 ? out[(i - 2) * LANES + k] * d[1] : edge * b[1];
            double y3 = i > 2 ? out[(i - 3) * LANES + k] * d[2] : edge * b[2];
            out[i * LANES + k] = y - (y1 + y2 + y3 + edge * b[3]);
        }
    }
    for (uint64_t i = 4; i < length; i++) {
        const double *x = in + i * LANES;
        double *y = out + i * LANES;
        for (uint64_t k = 0; k < LANES; k++) {
            double sum = SUM4(x[k], n[0], x[k - LANES], n[1], x[k - 2 * LANES], n[2], x[k - 3 * LANES], n[3]);
            y[k] =
                sum - SUM4(y[k - LANES], d[0], y[k - 2 * LANES], d[1], y[k - 3 * LANES], d[2], y[k - 4 * LANES], d[3]);
        }
    }
}

LOOM_SIMD static void filter_backwards(const loom_gaussian *g, uint64_t length, const double *restrict in,
                                       double *restrict out) {
    const double *m = g->m, *d = g->d, *b = g->bm;
    const double *last = in + (length - 1) * LANES;
    for (uint64_t i = 0; i < 4; i++) { /* from the end */
        const double *x1 = last - (i > 1 ? i - 1 : 0) * LANES, *x2 = last - (i > 2 ? i - 2 : 0) * LANES;
        double *row = out + (length - 1 - i) * LANES;
        for (uint64_t k = 0; k < LANES; k++) {
            double edge = last[k], y = SUM4(x1[k], m[0], x2[k], m[1], edge, m[2], edge, m[3]);
            double y1 = i > 0 ? row[LANES + k] * d[0] : edge * b[0];
            double y2 = i > 1 ? row[2 * LANES + k] * d[1] : edge * b[1];
            double y3 = i > 2 ? row[3 * LANES + k] * d[2] : edge * b[2];
            row[k] = y - (y1 + y2 + y3 + edge * b[3]);
        }
    }
    for (uint64_t i = length - 4; i-- > 0;) {
        const double *x = in + i * LANES;
        double *y = out + i * LANES;
        for (uint64_t k = 0; k < LANES; k++) {
            double sum =
                SUM4(x[k + LANES], m[0], x[k + 2 * LANES], m[1], x[k + 3 * LANES], m[2], x[k + 4 * LANES], m[3]);
            y[k] =
                sum - SUM4(y[k + LANES], d[0], y[k + 2 * LANES], d[1], y[k + 3 * LANES], d[2], y[k + 4 * LANES], d[3]);
        }
    }
}

/* One NaN for all: which of several an operation returns is the compiler's choice, for each processor another. */
LOOM_SIMD static void add_rounded(const double *restrict a, const double *restrict b, float *restrict out,
                                  uint64_t count) {
    for (uint64_t k = 0; k < count; k++) {
        float sum = (float)(a[k] + b[k]);
        out[k] = sum == sum ? sum : NAN;
    }
}

/* An axis of the image: its lines lie in slabs of `stride` lines side by side (components count as lines). A unit is
 * LANES lines of a slab, or of neighbouring slabs where a slab has fewer. */
typedef struct axis {
    loom_gaussian gaussian;
    uint64_t length, stride, lines;
    bool from_image; /* the first axis; others read the result */
} axis;

typedef struct workspace {
    double *in, *forwards, *backwards;
    double *line; /* LANES lines as they lie in memory, where a slab has fewer than LANES */
    float *out;
} workspace;

static bool is_narrow(const axis *along) {
    return along->stride < LANES;
}

static uint64_t units_of(const axis *along) {
    if (is_narrow(along)) return (along->lines + LANES - 1) / LANES;
    return along->lines / along->stride * ((along->stride + LANES - 1) / LANES);
}

/* Values `first` on of what is filtered, as doubles. */
static void read_values(const loom_value *image, const float *result, bool from_image, uint64_t first, uint64_t count,
                        double *out) {
    if (from_image)
        loom_cast(image->image.header->dtype, loom_values_at(image, first), LOOM_F64, out, count);
    else
        for (uint64_t k = 0; k < count; k++)
            out[k] = result[first + k];
}

/* Where line `line` begins. */
static uint64_t line_begin(const axis *along, uint64_t line) {
    return line / along->stride * along->stride * along->length + line % along->stride;
}

/* Up to LANES lines whose values lie side by side. */
static void filter_wide(const loom_value *image, const axis *along, const workspace *work, uint64_t unit,
                        float *result) {
    uint64_t groups = (along->stride + LANES - 1) / LANES, offset = unit % groups * LANES;
    uint64_t begin = unit / groups * along->stride * along->length + offset;
    uint64_t lanes = along->stride - offset < LANES ? along->stride - offset : LANES;
    if (lanes < LANES) memset(work->in, 0, along->length * LANES * sizeof(double));
    for (uint64_t i = 0; i < along->length; i++)
        read_values(image, result, along->from_image, begin + i * along->stride, lanes, work->in + i * LANES);
    filter_forwards(&along->gaussian, along->length, work->in, work->forwards);
    filter_backwards(&along->gaussian, along->length, work->in, work->backwards);
    for (uint64_t i = 0; i < along->length; i++)
        add_rounded(work->forwards + i * LANES, work->backwards + i * LANES, result + begin + i * along->stride, lanes);
}

/* LANES lines that each lie by themselves, or by few. */
static void filter_narrow(const loom_value *image, const axis *along, const workspace *work, uint64_t unit,
                          float *result) {
    uint64_t first = unit * LANES, lanes = along->lines - first < LANES ? along->lines - first : LANES;
    uint64_t span = (along->length - 1) * along->stride + 1;
    if (lanes < LANES) memset(work->in, 0, along->length * LANES * sizeof(double));
    for (uint64_t lane = 0; lane < lanes; lane++) {
        read_values(image, result, along->from_image, line_begin(along, first + lane), span, work->line);
        for (uint64_t i = 0; i < along->length; i++)
            work->in[i * LANES + lane] = work->line[i * along->stride];
    }
    filter_forwards(&along->gaussian, along->length, work->in, work->forwards);
    filter_backwards(&along->gaussian, along->length, work->in, work->backwards);
    add_rounded(work->forwards, work->backwards, work->out, along->length * LANES);
    for (uint64_t lane = 0; lane < lanes; lane++) {
        float *line = result + line_begin(along, first + lane);
        for (uint64_t i = 0; i < along->length; i++)
            line[i * along->stride] = work->out[i * LANES + lane];
    }
}

static uint64_t work_bytes(uint64_t length, uint64_t stride) {
    uint64_t line = stride < LANES ? (length - 1) * stride + 1 : 0;
    return length * LANES * (3 * sizeof(double) + sizeof(float)) + line * sizeof(double);
}

static loom_status open_workspace(loom_part *part, const axis *along, workspace **work) {
    void *memory = *part->local;
    *work = memory;
    if (memory != NULL) return LOOM_OK;
    LOOM_TRY(loom_scratch(part->call, 1, sizeof **work, &memory));
    *work = memory;
    LOOM_TRY(loom_scratch(part->call, work_bytes(along->length, along->stride), 1, &memory));
    double *doubles = memory;
    uint64_t block = along->length * LANES;
    **work = (workspace){.in = doubles,
                         .forwards = doubles + block,
                         .backwards = doubles + 2 * block,
                         .out = (float *)(doubles + 3 * block),
                         .line = doubles + 3 * block + block / 2};
    *part->local = *work;
    return LOOM_OK;
}

static loom_status axis_part(loom_part *part) {
    const loom_value *image = NULL;
    const axis *along = part->state;
    workspace *work = NULL;
    LOOM_TRY(loom_arg_any_image(part->call, 0, &image));
    LOOM_TRY(open_workspace(part, along, &work));
    for (uint64_t unit = part->first; unit < part->first + part->count; unit++)
        (is_narrow(along) ? filter_narrow : filter_wide)(image, along, work, unit, part->voxels);
    return LOOM_OK;
}
static const loom_part_run loops[] = {axis_part};

/* That of every axis: it is kept to the end of the call. */
static uint64_t scratch(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    if (header == NULL) return 0;
    uint64_t bytes = 0, stride = header->components;
    for (unsigned d = 0; d < header->rank; stride *= header->size[d++])
        bytes += work_bytes(header->size[d], stride);
    return lanes * bytes;
}
const loom_loops loom_loops_smooth = {.run = loops, .count = 1, .scratch = scratch};

static loom_status smooth_axis(loom_call *call, const loom_image_header *header, unsigned d, double sigma,
                               bool from_image) {
    axis along = {.gaussian = loom_gaussian_make(sigma / header->spacing[d]),
                  .length = header->size[d],
                  .stride = header->components,
                  .from_image = from_image};
    for (unsigned before = 0; before < d; before++)
        along.stride *= header->size[before];
    along.lines = loom_image_voxels(header) * header->components / along.length;
    return loom_run_parts(call, 0, units_of(&along), LOOM_PART_VALUES / (along.length * LANES), &along, sizeof along);
}

/* Coefficients add up to about 15 / width^4: of wider filters little is left but rounding. A constant then is off by
 * 1e-5 of itself at 1000 voxels, and anything at 100000, in ITK as here. */
#define WIDTH_MAX 1000.0

static loom_status check(loom_call *call, const loom_image_header *header, const double sigma[LOOM_RANK_MAX]) {
    for (unsigned d = 0; d < header->rank; d++) {
        if (!(sigma[d] > 0.0)) return loom_arg_refuse(call, 1, "a standard deviation above 0, in units of the spacing");
        if (header->size[d] < 4)
            return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                             "argument 1 has %llu voxels along axis %u; `%s` needs at least 4: take "
                             "`DiscreteGaussian`, or pad the image",
                             (unsigned long long)header->size[d], d + 1, call->op->name);
        double voxels = sigma[d] / header->spacing[d];
        if (!(voxels >= 1e-3 && voxels <= WIDTH_MAX))
            return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                             "`%s` got a standard deviation of %g voxels along axis %u; it takes 0.001 to %g: give "
                             "another, in units of the spacing",
                             call->op->name, voxels, d + 1, WIDTH_MAX);
    }
    return LOOM_OK;
}

/* normalizeAcrossScale (argument 3) changes nothing for order 0, in ITK as here. */
loom_status loom_run_smoothing_recursive_gaussian(loom_call *call) {
    const loom_value *image = NULL;
    double sigma[LOOM_RANK_MAX] = {0};
    bool normalize = false;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    const unsigned rank = header->rank;
    LOOM_TRY(loom_option_axes(call, 1, rank, 1.0, sigma));
    LOOM_TRY(loom_option_truth(call, 2, false, &normalize));
    LOOM_TRY(check(call, header, sigma));
    LOOM_TRY(loom_result_image(call, header, LOOM_F32, header->components, &voxels));
    LOOM_TRY(smooth_axis(call, header, rank - 1, sigma[rank - 1], true));
    for (unsigned d = 0; d + 1 < rank; d++)
        LOOM_TRY(smooth_axis(call, header, d, sigma[d], false));
    return LOOM_OK;
}
