/* median.c - Median: the median over a box around each voxel; beyond the edge the nearest voxel counts, as in ITK.
 *
 * Rows are turned into unsigned keys in the order of their values (the sign bit flipped; of negative reals all bits),
 * so that four unsigned types do for ten. -0 comes before +0, which ITK takes for equal, and NaN last (negative NaN
 * first), where ITK's result depends on the order of values. The rows within reach are kept as keys, each made once for
 * a slice. Scratch, a worker: as many rows as the box reaches along y, z and t. */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/filters/median_row.h"
#include "runtime/kernels/filters/options.h"
#include "runtime/kernels/kernels.h"

/* ---- keys ---- */

/* Both ways: an integer's key is its bits with `flip` of them turned. */
#define DEFINE_FLIP(type_)                                                                                             \
    static void flip_##type_(const type_ *in, type_ *out, size_t count, type_ flip) {                                  \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k] = in[k] ^ flip;                                                                                     \
    }
DEFINE_FLIP(uint8_t)
DEFINE_FLIP(uint16_t)
DEFINE_FLIP(uint32_t)
DEFINE_FLIP(uint64_t)

#define DEFINE_REAL(type_, bits_)                                                                                      \
    static void keys_of_##type_(const type_ *in, type_ *out, size_t count) {                                           \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k] = in[k] ^ ((type_)(0 - (in[k] >> (bits_ - 1))) | (type_)1 << (bits_ - 1));                          \
    }                                                                                                                  \
    static void values_of_##type_(const type_ *in, type_ *out, size_t count) {                                         \
        for (size_t k = 0; k < count; k++)                                                                             \
            out[k] = in[k] ^ ((type_)((in[k] >> (bits_ - 1)) - 1) | (type_)1 << (bits_ - 1));                          \
    }
DEFINE_REAL(uint32_t, 32)
DEFINE_REAL(uint64_t, 64)

static void make_keys(uint8_t dtype, const void *in, void *out, size_t count) {
    switch (dtype) {
    case LOOM_I8:
        flip_uint8_t(in, out, count, (uint8_t)INT8_MIN);
        break;
    case LOOM_I16:
        flip_uint16_t(in, out, count, (uint16_t)INT16_MIN);
        break;
    case LOOM_I32:
        flip_uint32_t(in, out, count, (uint32_t)INT32_MIN);
        break;
    case LOOM_I64:
        flip_uint64_t(in, out, count, (uint64_t)INT64_MIN);
        break;
    case LOOM_F32:
        keys_of_uint32_t(in, out, count);
        break;
    case LOOM_F64:
        keys_of_uint64_t(in, out, count);
        break;
    default:
        memcpy(out, in, count * loom_dtype_bytes(dtype));
    }
}

static void make_values(uint8_t dtype, void *row, size_t count) {
    if (dtype == LOOM_F32)
        values_of_uint32_t(row, row, count);
    else if (dtype == LOOM_F64)
        values_of_uint64_t(row, row, count);
    else if (dtype == LOOM_I8 || dtype == LOOM_I16 || dtype == LOOM_I32 || dtype == LOOM_I64)
        make_keys(dtype, row, row, count); /* a flip undoes itself */
}

/* ---- rows ---- */

typedef struct box {
    uint64_t radius[LOOM_RANK_MAX];
} box;

typedef struct workshop {
    uint8_t *keys; /* of the rows within reach, each with what lies beyond its ends */
    int64_t *held; /* which row each place holds; -1: none */
    const void **lines;
    uint64_t row_bytes, slots; /* places a slice */
} workshop;

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t within(uint64_t position, uint64_t offset, uint64_t radius, uint64_t size) {
    uint64_t at = position + offset;
    if (at < radius) return 0;
    return smaller(at - radius, size - 1);
}

/* Places that rows y, slices z and volumes t in reach of each other take: different ones for each. */
static uint64_t slots_along(const loom_image_header *header, const box *what, unsigned axis) {
    return smaller(2 * what->radius[axis] + 1, header->size[axis]);
}

static uint64_t values_of(const loom_image_header *header) {
    return header->size[0] * header->components;
}

/* Where the keys of a row begin, made if they are not there. */
static const void *keys_of_row(const loom_value *image, const box *what, workshop *shop, const uint64_t at[4]) {
    const loom_image_header *header = image->image.header;
    uint64_t row = (at[3] * header->size[2] + at[2]) * header->size[1] + at[1];
    uint64_t place = 0, components = header->components, count = values_of(header);
    size_t bytes = loom_dtype_bytes(header->dtype);
    for (unsigned d = LOOM_RANK_MAX - 1; d > 0; d--)
        place = place * slots_along(header, what, d) + at[d] % slots_along(header, what, d);
    uint8_t *keys = shop->keys + place * shop->row_bytes, *begin = keys + what->radius[0] * components * bytes;
    if (shop->held[place] == (int64_t)row) return begin;
    shop->held[place] = (int64_t)row;
    make_keys(header->dtype, loom_values_at(image, row * count), begin, count);
    size_t voxel = components * bytes, last = (count - components) * bytes;
    for (uint64_t k = 0; k < what->radius[0]; k++) {
        memcpy(keys + k * voxel, begin, voxel);
        memcpy(begin + (count + k * components) * bytes, begin + last, voxel);
    }
    return begin;
}

static void median_of_row(const loom_value *image, const box *what, workshop *shop, uint64_t row, void *out) {
    const loom_image_header *header = image->image.header;
    const uint64_t *size = header->size, *radius = what->radius;
    uint64_t y = row % size[1], z = row / size[1] % size[2], t = row / size[1] / size[2];
    loom_median_rows rows = {
        .lines = shop->lines, .radius = radius[0], .step = header->components, .width = values_of(header)};
    for (uint64_t dt = 0; dt <= 2 * radius[3]; dt++)
        for (uint64_t dz = 0; dz <= 2 * radius[2]; dz++)
            for (uint64_t dy = 0; dy <= 2 * radius[1]; dy++) {
                uint64_t at[4] = {0, within(y, dy, radius[1], size[1]), within(z, dz, radius[2], size[2]),
                                  within(t, dt, radius[3], size[3])};
                shop->lines[rows.count++] = keys_of_row(image, what, shop, at);
            }
    switch (loom_dtype_bytes(header->dtype)) {
    case 1:
        loom_median_row_uint8_t(&rows, out);
        break;
    case 2:
        loom_median_row_uint16_t(&rows, out);
        break;
    case 4:
        loom_median_row_uint32_t(&rows, out);
        break;
    default:
        loom_median_row_uint64_t(&rows, out);
    }
    make_values(header->dtype, out, rows.width);
}

static uint64_t lines_in(const box *what) {
    uint64_t count = 1;
    for (unsigned d = 1; d < LOOM_RANK_MAX; d++)
        count *= 2 * what->radius[d] + 1;
    return count;
}

static loom_status open_workshop(loom_part *part, const loom_image_header *header, const box *what, workshop **shop) {
    void *memory = *part->local;
    *shop = memory;
    if (memory != NULL) return LOOM_OK;
    LOOM_TRY(loom_scratch(part->call, 1, sizeof **shop, &memory));
    *shop = memory;
    size_t bytes = loom_dtype_bytes(header->dtype);
    uint64_t row = (values_of(header) + 2 * what->radius[0] * header->components + LOOM_MEDIAN_SLACK) * bytes;
    **shop = (workshop){.row_bytes = (row + 15) & ~UINT64_C(15), .slots = 1};
    for (unsigned d = 1; d < LOOM_RANK_MAX; d++)
        (*shop)->slots *= slots_along(header, what, d);
    LOOM_TRY(loom_scratch(part->call, (*shop)->slots, (*shop)->row_bytes, &memory));
    memset(memory, 0, (*shop)->slots * (*shop)->row_bytes); /* what lies behind the last neighbour is read */
    (*shop)->keys = memory;
    LOOM_TRY(loom_scratch(part->call, (*shop)->slots, sizeof(int64_t), &memory));
    memset(memory, 0xff, (*shop)->slots * sizeof(int64_t));
    (*shop)->held = memory;
    LOOM_TRY(loom_scratch(part->call, lines_in(what), sizeof(void *), &memory));
    (*shop)->lines = memory;
    *part->local = *shop;
    return LOOM_OK;
}

/* Some rows. */
static loom_status rows_part(loom_part *part) {
    const loom_value *image = NULL;
    const box *what = part->state;
    workshop *shop = NULL;
    LOOM_TRY(loom_arg_any_image(part->call, 0, &image));
    const loom_image_header *header = image->image.header;
    LOOM_TRY(open_workshop(part, header, what, &shop));
    for (uint64_t row = part->first; row < part->first + part->count; row++)
        median_of_row(image, what, shop, row, loom_values_of(part->voxels, header->dtype, row * values_of(header)));
    return LOOM_OK;
}
static const loom_part_run loops[] = {rows_part};
const loom_loops loom_loops_median = {.run = loops, .count = 1};

#define BOX_MAX 1000000 /* voxels */

loom_status loom_run_median(loom_call *call) {
    const loom_value *image = NULL;
    box what = {{0}};
    void *voxels = NULL;
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    LOOM_TRY(loom_option_radius(call, 1, header->rank, what.radius));
    uint64_t rows = lines_in(&what), taps = 2 * what.radius[0] + 1;
    if (rows > BOX_MAX / taps)
        return loom_fail(call->err, LOOM_TOO_LARGE, "`%s` takes boxes of at most %d voxels; give a smaller radius",
                         call->op->name, BOX_MAX);
    LOOM_TRY(loom_result_image(call, header, (loom_dtype)header->dtype, header->components, &voxels));
    uint64_t grain = LOOM_PART_VALUES / (values_of(header) * (1 + rows * taps / 32)) + 2 * what.radius[1];
    return loom_run_parts(call, 0, header->size[1] * header->size[2] * header->size[3], grain, &what, sizeof what);
}
