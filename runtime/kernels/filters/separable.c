/* separable.c - weighted sums over boxes: see separable.h. Scratch, a worker: a row of doubles for each row that the
 * box reaches along y, and seven more. */
#include "runtime/kernels/filters/separable.h"

#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"

/* What parts need: the weights of all axes lie one after the other in shared memory. */
typedef struct plan {
    uint64_t radius[LOOM_RANK_MAX];
    double divisor;
    uint8_t dtype;
    bool weighted, rounded;
} plan;

typedef struct workshop {
    double *source, *along_t, *rounding; /* a row as doubles; summed along t */
    double *ring;                        /* rows summed along t and z */
    int64_t *held;                       /* which row of the slice each place of the ring holds */
    double *padded, *sum;                /* summed along t, z and y, with what lies beyond its ends; along x too */
    uint64_t slots, slice;               /* places of the ring; the slice they belong to */
} workshop;

LOOM_SIMD static void add_weighted(double *restrict sum, const double *restrict row, double weight, uint64_t count) {
    for (uint64_t k = 0; k < count; k++)
        sum[k] += row[k] * weight;
}

LOOM_SIMD static void divide(double *restrict values, double divisor, uint64_t count) {
    for (uint64_t k = 0; k < count; k++)
        values[k] /= divisor;
}

static void clear(double *values, uint64_t count) {
    memset(values, 0, count * sizeof *values);
}

/* What is left of a row when it has been an image of the result's pixel type. */
static void round_row(const plan *what, const workshop *shop, double *row, uint64_t count) {
    if (!what->rounded || what->dtype == LOOM_F64) return;
    loom_cast(LOOM_F64, row, what->dtype, shop->rounding, count);
    loom_cast(what->dtype, shop->rounding, LOOM_F64, row, count);
}

static double weight_of(const plan *what, const double *weights, unsigned axis, uint64_t k) {
    if (!what->weighted) return 1.0;
    for (unsigned d = 0; d < axis; d++)
        weights += 2 * what->radius[d] + 1;
    return weights[k];
}

/* Position + offset - radius, kept within an axis. */
static uint64_t within(uint64_t position, uint64_t offset, uint64_t radius, uint64_t size) {
    uint64_t at = position + offset;
    if (at < radius) return 0;
    return at - radius < size ? at - radius : size - 1;
}

typedef struct rows {
    const loom_value *image;
    const loom_image_header *header;
    const plan *what;
    const double *weights;
    uint64_t values; /* of a row: all components */
} rows;

static void sum_along_t(const rows *of, const workshop *shop, uint64_t y, uint64_t z, uint64_t t, double *out) {
    const uint64_t *size = of->header->size, radius = of->what->radius[3];
    uint8_t dtype = of->header->dtype;
    bool alone = of->header->rank < 4;
    if (!alone) clear(out, of->values);
    for (uint64_t k = 0; k <= 2 * radius; k++) {
        uint64_t row = (within(t, k, radius, size[3]) * size[2] + z) * size[1] + y;
        double *to = alone ? out : shop->source;
        loom_cast(dtype, loom_values_at(of->image, row * of->values), LOOM_F64, to, of->values);
        if (!alone) add_weighted(out, to, weight_of(of->what, of->weights, 3, k), of->values);
    }
    if (!alone) round_row(of->what, shop, out, of->values);
}

static const double *sum_along_z(const rows *of, workshop *shop, uint64_t y, uint64_t z, uint64_t t) {
    uint64_t place = y % shop->slots, radius = of->what->radius[2];
    double *out = shop->ring + place * of->values;
    if (shop->held[place] == (int64_t)y) return out;
    shop->held[place] = (int64_t)y;
    if (of->header->rank < 3) {
        sum_along_t(of, shop, y, z, t, out);
        return out;
    }
    clear(out, of->values);
    for (uint64_t k = 0; k <= 2 * radius; k++) {
        sum_along_t(of, shop, y, within(z, k, radius, of->header->size[2]), t, shop->along_t);
        add_weighted(out, shop->along_t, weight_of(of->what, of->weights, 2, k), of->values);
    }
    round_row(of->what, shop, out, of->values);
    return out;
}

/* One row of the result, as doubles. */
static const double *filter_row(const rows *of, workshop *shop, uint64_t row) {
    const uint64_t *size = of->header->size, *radius = of->what->radius;
    uint64_t y = row % size[1], slice = row / size[1], components = of->header->components;
    if (slice != shop->slice)
        for (uint64_t k = 0; k < shop->slots; k++)
            shop->held[k] = -1;
    shop->slice = slice;
    double *middle = shop->padded + radius[0] * components;
    clear(middle, of->values);
    for (uint64_t k = 0; k <= 2 * radius[1]; k++) {
        const double *line = sum_along_z(of, shop, within(y, k, radius[1], size[1]), slice % size[2], slice / size[2]);
        add_weighted(middle, line, weight_of(of->what, of->weights, 1, k), of->values);
    }
    round_row(of->what, shop, middle, of->values);
    for (uint64_t k = 0; k < radius[0] * components; k++) {
        shop->padded[k] = middle[k % components];
        middle[of->values + k] = middle[of->values - components + k % components];
    }
    clear(shop->sum, of->values);
    for (uint64_t k = 0; k <= 2 * radius[0]; k++)
        add_weighted(shop->sum, shop->padded + k * components, weight_of(of->what, of->weights, 0, k), of->values);
    if (of->what->divisor != 1.0) divide(shop->sum, of->what->divisor, of->values);
    return shop->sum;
}

static uint64_t slots_of(const loom_image_header *header, uint64_t radius) {
    return 2 * radius + 1 < header->size[1] ? 2 * radius + 1 : header->size[1];
}

static loom_status open_workshop(loom_part *part, const loom_image_header *header, const plan *what, workshop **shop) {
    void *memory = *part->local;
    *shop = memory;
    if (memory != NULL) return LOOM_OK;
    LOOM_TRY(loom_scratch(part->call, 1, sizeof **shop, &memory));
    *shop = memory;
    uint64_t values = header->size[0] * header->components, slots = slots_of(header, what->radius[1]);
    uint64_t padded = values + 2 * what->radius[0] * header->components;
    LOOM_TRY(loom_scratch(part->call, slots * values + 4 * values + padded, sizeof(double), &memory));
    double *doubles = memory;
    LOOM_TRY(loom_scratch(part->call, slots, sizeof(int64_t), &memory));
    **shop = (workshop){.source = doubles,
                        .along_t = doubles + values,
                        .sum = doubles + 2 * values,
                        .rounding = doubles + 3 * values,
                        .ring = doubles + 4 * values,
                        .padded = doubles + (4 + slots) * values,
                        .held = memory,
                        .slots = slots,
                        .slice = UINT64_MAX};
    *part->local = *shop;
    return LOOM_OK;
}

/* Some rows. */
static loom_status rows_part(loom_part *part) {
    const plan *what = part->state;
    rows of = {.what = what, .weights = part->shared[0]};
    workshop *shop = NULL;
    LOOM_TRY(loom_arg_any_image(part->call, 0, &of.image));
    of.header = of.image->image.header;
    of.values = of.header->size[0] * of.header->components;
    LOOM_TRY(open_workshop(part, of.header, what, &shop));
    for (uint64_t row = part->first; row < part->first + part->count; row++) {
        const double *sum = filter_row(&of, shop, row);
        loom_cast(LOOM_F64, sum, what->dtype, loom_values_of(part->voxels, what->dtype, row * of.values), of.values);
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {rows_part};
const loom_loops loom_loops_separable = {.run = loops, .count = 1};

loom_status loom_separable_run(loom_call *call, const loom_separable *filter, loom_dtype dtype) {
    const loom_value *image = NULL;
    void *voxels = NULL, *memory = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    plan what = {.divisor = filter->divisor, .dtype = (uint8_t)dtype, .rounded = filter->rounded};
    uint64_t weights = 0, operations = 0;
    for (unsigned d = 0; d < header->rank; d++) {
        what.radius[d] = filter->radius[d];
        what.weighted = what.weighted || filter->weights[d] != NULL;
        weights += 2 * what.radius[d] + 1;
        operations += 2 * what.radius[d] + 1;
    }
    for (unsigned d = header->rank; d < LOOM_RANK_MAX; d++)
        weights += 1;
    if (what.weighted) {
        LOOM_TRY(loom_share(call, 0, weights, sizeof(double), &memory));
        double *to = memory;
        for (unsigned d = 0; d < LOOM_RANK_MAX; d++)
            for (uint64_t k = 0; k <= 2 * what.radius[d]; k++)
                *to++ = filter->weights[d] == NULL ? 1.0 : filter->weights[d][k];
    }
    LOOM_TRY(loom_result_image(call, header, dtype, header->components, &voxels));
    uint64_t values = header->size[0] * header->components * (1 + operations / 8);
    return loom_run_parts(call, 0, header->size[1] * header->size[2] * header->size[3],
                          LOOM_PART_VALUES / values + 2 * what.radius[1], &what, sizeof what);
}
