/* correlation_columns.c - sliding histograms: see correlation.h. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/spatial/correlation.h"

#define SPARE 16u /* counts of a column behind the padded ones: the uncounted, and to fill a vector */

__extension__ typedef __int128 wide;

static size_t count_bytes(const loom_pattern *pattern) {
    return pattern->large ? sizeof(uint32_t) : sizeof(int16_t);
}

static uint64_t column_bytes(const loom_pattern *pattern) {
    return (pattern->padded + SPARE) * count_bytes(pattern);
}

uint64_t loom_columns_bytes(const loom_pattern *pattern) {
    return sizeof(loom_columns) + pattern->size[0] * (column_bytes(pattern) + 3 * sizeof(uint64_t)) +
           2 * column_bytes(pattern);
}

loom_status loom_columns_open(loom_call *call, const loom_pattern *pattern, loom_columns **columns) {
    const uint64_t width = pattern->size[0], bytes = column_bytes(pattern);
    void *made = NULL, *counts = NULL, *sums = NULL;
    LOOM_TRY(loom_scratch(call, 1, sizeof **columns, &made));
    LOOM_TRY(loom_scratch(call, width + 2, bytes, &counts));
    LOOM_TRY(loom_scratch(call, width, 3 * sizeof(uint64_t), &sums));
    *columns = made;
    **columns = (loom_columns){.next = UINT64_MAX,
                               .counts = counts,
                               .box = (uint8_t *)counts + width * bytes,
                               .nothing = (uint8_t *)counts + (width + 1) * bytes,
                               .inside = sums,
                               .products = (uint64_t *)sums + width,
                               .squares = (uint64_t *)sums + 2 * width};
    memset((*columns)->nothing, 0, bytes);
    return LOOM_OK;
}

/* ---- by the type of a count ---- */

#define DEFINE_COLUMNS(type_, square_)                                                                                 \
    /* Counts a row of bins in its columns, or takes it off (step -1). */                                              \
    static void count_row_##type_(type_ *counts, uint64_t stride, const uint16_t *bins, uint64_t width, int step) {    \
        for (uint64_t x = 0; x < width; x++)                                                                           \
            counts[x * stride + bins[x]] = (type_)(counts[x * stride + bins[x]] + (type_)step);                        \
    }                                                                                                                  \
    LOOM_SIMD static uint64_t replace_##type_(type_ *restrict box, const type_ *restrict enter,                        \
                                              const type_ *restrict leave, uint64_t padded) {                          \
        square_ sum = 0;                                                                                               \
        for (uint64_t b = 0; b < padded; b++) {                                                                        \
            type_ count = (type_)(box[b] + enter[b] - leave[b]);                                                       \
            box[b] = count;                                                                                            \
            sum += (square_)count * (square_)count;                                                                    \
        }                                                                                                              \
        return (uint64_t)sum;                                                                                          \
    }                                                                                                                  \
    /* Moves the box along the row. */                                                                                 \
    static void slide_##type_(const loom_columns *columns, const loom_pattern *pattern) {                              \
        const uint64_t width = pattern->size[0], radius = pattern->radius[0], stride = pattern->padded + SPARE;        \
        const type_ *counts = columns->counts, *nothing = columns->nothing;                                            \
        type_ *box = columns->box;                                                                                     \
        memset(box, 0, pattern->padded * sizeof *box);                                                                 \
        for (uint64_t x = 0; x < radius; x++)                                                                          \
            replace_##type_(box, counts + x * stride, nothing, pattern->padded);                                       \
        for (uint64_t x = 0; x < width; x++)                                                                           \
            columns->squares[x] =                                                                                      \
                replace_##type_(box, x + radius < width ? counts + (x + radius) * stride : nothing,                    \
                                x > radius ? counts + (x - radius - 1) * stride : nothing, pattern->padded);           \
    }
DEFINE_COLUMNS(int16_t, int32_t)
DEFINE_COLUMNS(uint32_t, uint64_t)

/* ---- rows ---- */

static void count_row(loom_columns *columns, const loom_pattern *pattern, const uint16_t *bins,
                      const uint64_t *reference, int step) {
    const uint64_t width = pattern->size[0], stride = pattern->padded + SPARE;
    if (pattern->large)
        count_row_uint32_t(columns->counts, stride, bins, width, step);
    else
        count_row_int16_t(columns->counts, stride, bins, width, step);
    const uint64_t sign = (uint64_t)(int64_t)step; /* unsigned numbers wrap back */
    for (uint64_t x = 0; x < width; x++) {
        columns->inside[x] += (bins[x] < pattern->bins) * sign;
        columns->products[x] += reference[bins[x]] * sign;
    }
}

/* The indexes of an axis that the box around one of them reaches. */
typedef struct span {
    uint64_t first, end;
} span;

static span reach(const loom_pattern *pattern, unsigned axis, uint64_t index) {
    uint64_t radius = pattern->radius[axis], size = pattern->size[axis];
    return (span){.first = index > radius ? index - radius : 0,
                  .end = size - index > radius + 1 ? index + radius + 1 : size};
}

/* Rows `ys` of every slice in reach of a slice. */
static void count_rows(loom_columns *columns, const loom_pattern *pattern, const uint16_t *bins,
                       const uint64_t *reference, uint64_t slice, span ys, int step) {
    span zs = reach(pattern, 2, slice % pattern->size[2]), ts = reach(pattern, 3, slice / pattern->size[2]);
    for (uint64_t t = ts.first; t < ts.end; t++)
        for (uint64_t z = zs.first; z < zs.end; z++)
            for (uint64_t y = ys.first; y < ys.end; y++) {
                uint64_t row = (t * pattern->size[2] + z) * pattern->size[1] + y;
                count_row(columns, pattern, bins + row * pattern->size[0], reference, step);
            }
}

/* The columns of one row: from those of the row before, or anew. */
static void go_to_row(loom_columns *columns, const loom_pattern *pattern, const uint16_t *bins,
                      const uint64_t *reference, uint64_t row) {
    const uint64_t y = row % pattern->size[1], slice = row / pattern->size[1], width = pattern->size[0];
    const span now = reach(pattern, 1, y);
    if (columns->next == row && y > 0) {
        span before = reach(pattern, 1, y - 1);
        count_rows(columns, pattern, bins, reference, slice, (span){before.first, now.first}, -1);
        count_rows(columns, pattern, bins, reference, slice, (span){before.end, now.end}, 1);
    } else {
        memset(columns->counts, 0, width * column_bytes(pattern));
        memset(columns->inside, 0, width * sizeof *columns->inside);
        memset(columns->products, 0, width * sizeof *columns->products);
        count_rows(columns, pattern, bins, reference, slice, now, 1);
    }
    columns->next = row + 1;
}

static inline double real(wide number) {
    return number == (int64_t)number ? (double)(int64_t)number : (double)number;
}

/* Pearson's correlation of the box's counts h with the reference's H over k bins, from whole numbers: k sum(hH) -
 * sum(h) sum(H) over the roots of k sum(h^2) - sum(h)^2 and of the same of H. */
static void correlate_row(const loom_columns *columns, const loom_pattern *pattern, float *out) {
    const uint64_t width = pattern->size[0], radius = pattern->radius[0];
    const wide bins = pattern->bins;
    const wide spread = bins * pattern->squares - (wide)pattern->inside * pattern->inside;
    const double root = sqrt(real(spread));
    uint64_t inside = 0, products = 0;
    for (uint64_t x = 0; x < radius; x++) {
        inside += columns->inside[x];
        products += columns->products[x];
    }
    for (uint64_t x = 0; x < width; x++) {
        if (x + radius < width) {
            inside += columns->inside[x + radius];
            products += columns->products[x + radius];
        }
        if (x > radius) {
            inside -= columns->inside[x - radius - 1];
            products -= columns->products[x - radius - 1];
        }
        wide here = bins * columns->squares[x] - (wide)inside * inside;
        if (here == 0 || spread == 0)
            out[x] = here == spread ? 1.0f : 0.0f; /* both are constant, or one */
        else
            out[x] = (float)(real(bins * products - (wide)inside * pattern->inside) / (sqrt(real(here)) * root));
    }
}

void loom_columns_row(loom_columns *columns, const loom_pattern *pattern, const uint16_t *bins,
                      const uint64_t *reference, uint64_t row, float *out) {
    go_to_row(columns, pattern, bins, reference, row);
    if (pattern->large)
        slide_uint32_t(columns, pattern);
    else
        slide_int16_t(columns, pattern);
    correlate_row(columns, pattern, out);
}
