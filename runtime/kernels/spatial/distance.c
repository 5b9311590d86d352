/* distance.c - dt and SignedMaurerDistanceMap: the exact signed Euclidean distance map, in linear time.
 *
 * C. Maurer, R. Qi, V. Raghavan, "A linear time algorithm for computing exact Euclidean distance transforms of binary
 * images in arbitrary dimensions", IEEE PAMI 25(2), 2003: the lower envelope of parabolas, one axis after the other.
 * The order of the float32 operations is that of ITK's SignedMaurerDistanceMapImageFilter, because thresholds of
 * distances decide voxels and the recorded results must come out bit for bit: sites lie at float(i) * float(spacing),
 * voxels at float(i * spacing). The squared distances are worked on in place in the result: within each slice along x
 * and y, then along each further axis. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/filters/options.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/spatial/box.h"
#include "runtime/kernels/spatial/envelope.h"

#define WIDE (4u * LOOM_LANES) /* lines read and written together */
/* Of workspace a voxel of a line: the blocks, and as much as one to work with. */
#define WORK_BYTES ((WIDE + 2 * LOOM_LANES) * sizeof(float))

/* What is asked for: the same for each step. */
typedef struct rule {
    bool by_spacing;         /* else voxels are 1 apart */
    bool inside_is_positive; /* else negative */
    bool squared;            /* no root is taken */
    bool has_set;            /* the set stands in shared memory (SET); else it is where the image is not 0 */
    loom_pixel background;
} rule;

/* One step, over an axis or two: state of its parts. Along a further axis, lines lie in slabs that are contiguous; a
 * unit is WIDE neighbouring lines of a slab. */
typedef struct step {
    rule rule;
    unsigned axis;
    bool last; /* axis */
    uint64_t stride, units_a_slab;
} step;

enum { SET }; /* shared: a byte a voxel */

/* The image that has the set; `header` and `set` are space for it. */
static loom_status find_set(loom_part *part, loom_image_header *header, loom_value *set, const loom_value **image) {
    const step *what = part->state;
    LOOM_TRY(loom_arg_image(part->call, 0, image));
    if (!what->rule.has_set) return LOOM_OK;
    *header = *(*image)->image.header;
    header->dtype = LOOM_BOOL8;
    *set = loom_image(header, part->shared[SET]);
    *image = set;
    return LOOM_OK;
}

/* The first axis: sites are where the line is 0, so the nearest one to either side decides. */
static void transform_first(const loom_axis *along, const uint8_t *restrict is_site, float *restrict line) {
    const float *restrict site = along->site, *restrict voxel = along->voxel;
    const int64_t count = (int64_t)along->count;
    float place = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        place = is_site[i] ? site[i] : place;
        line[i] = (place - voxel[i]) * (place - voxel[i]);
    }
    place = INFINITY;
    for (int64_t i = count - 1; i >= 0; i--) {
        place = is_site[i] ? site[i] : place;
        float d = (place - voxel[i]) * (place - voxel[i]);
        line[i] = d < line[i] ? d : line[i];
    }
}

/* What one worker works with. */
typedef struct workshop {
    loom_axis along[2];                  /* x and y, or the one axis that is left */
    float *block[WIDE / LOOM_LANES + 1]; /* each LOOM_LANES lines; one is for results */
    void *work;
    loom_box inner;
    uint8_t *core; /* a strip of rows */
} workshop;

/* `lanes` (at most WIDE) neighbouring lines, whose voxels are `stride` apart: into blocks, so that memory is read by
 * cache lines. Lines that are missing to fill a block are empty. */
static void read_lines(const workshop *shop, const loom_axis *along, const float *corner, uint64_t stride,
                       uint64_t lanes) {
    for (uint64_t i = 0; i < along->count; i++)
        for (uint64_t first = 0; first < lanes; first += LOOM_LANES) {
            uint64_t count = lanes - first < LOOM_LANES ? lanes - first : LOOM_LANES;
            float *row = shop->block[first / LOOM_LANES] + i * LOOM_LANES;
            memcpy(row, corner + i * stride + first, count * sizeof *row);
            for (uint64_t lane = count; lane < LOOM_LANES; lane++)
                row[lane] = LOOM_FAR;
        }
}

/* Replaces what has been read, block by block: a result's block takes the place of the one it came from. */
static void transform_lines(workshop *shop, const loom_axis *along, uint64_t lanes) {
    float **spare = &shop->block[WIDE / LOOM_LANES];
    for (uint64_t k = 0; k * LOOM_LANES < lanes; k++) {
        float *block = shop->block[k];
        loom_envelopes(along, block, shop->work, *spare);
        shop->block[k] = *spare;
        *spare = block;
    }
}

static void write_row(const workshop *shop, uint64_t i, uint64_t lanes, float *row) {
    for (uint64_t first = 0; first < lanes; first += LOOM_LANES) {
        uint64_t count = lanes - first < LOOM_LANES ? lanes - first : LOOM_LANES;
        memcpy(row + first, shop->block[first / LOOM_LANES] + i * LOOM_LANES, count * sizeof *row);
    }
}

static uint64_t lanes_from(uint64_t first, uint64_t stride) {
    return stride - first < WIDE ? stride - first : WIDE;
}

/* Marks the boundary of the set, voxels with a neighbour outside it, in one row; false if there is none. */
static bool mark_boundary(const loom_value *image, uint64_t first, uint64_t width, uint8_t *restrict core) {
    uint8_t any = 0, buffer[LOOM_CHUNK];
    for (uint64_t x = 0; x < width; x += LOOM_CHUNK) {
        size_t count = width - x < LOOM_CHUNK ? (size_t)(width - x) : LOOM_CHUNK;
        const uint8_t *restrict truth = loom_as_bool(image, first + x, count, buffer);
        for (size_t k = 0; k < count; k++) {
            core[x + k] ^= truth[k];
            any |= core[x + k];
        }
    }
    return any != 0;
}

/* Along x, one row: `core` is what erosion left of it. */
static void transform_row(const loom_value *image, const workshop *shop, uint64_t first, uint8_t *core, float *voxels) {
    uint64_t width = shop->inner.width;
    if (mark_boundary(image, first, width, core))
        transform_first(&shop->along[0], core, voxels + first);
    else
        for (uint64_t x = 0; x < width; x++)
            voxels[first + x] = LOOM_FAR;
}

/* Along x, some rows of a slice. It is eroded, and what erosion took away is the boundary. */
static void transform_rows(const loom_value *image, workshop *shop, uint64_t slice, uint64_t row, uint64_t rows,
                           float *voxels) {
    const uint64_t width = shop->inner.width, end = row + rows;
    for (; row < end; row += shop->inner.strip) {
        uint64_t some = end - row < shop->inner.strip ? end - row : shop->inner.strip;
        uint64_t first = (slice * shop->inner.height + row) * width;
        loom_box_rows(&shop->inner, slice, row, some, shop->core);
        for (uint64_t k = 0; k < some; k++)
            transform_row(image, shop, first + k * width, shop->core + k * width, voxels);
    }
}

/* The squared distances within one slice. */
static void transform_slice(const loom_value *image, workshop *shop, uint64_t slice, float *voxels) {
    const uint64_t width = shop->inner.width, height = shop->inner.height, begin = slice * width * height;
    transform_rows(image, shop, slice, 0, height, voxels);
    for (uint64_t first = 0; first < width; first += WIDE) {
        const uint64_t lanes = lanes_from(first, width);
        read_lines(shop, &shop->along[1], voxels + begin + first, width, lanes);
        transform_lines(shop, &shop->along[1], lanes);
        for (uint64_t y = 0; y < height; y++)
            write_row(shop, y, lanes, voxels + begin + y * width + first);
    }
}

/* Workspace for lines of so many voxels, or none. */
static loom_status open_workshop(loom_part *part, uint64_t voxels, workshop **shop) {
    void *memory = NULL;
    LOOM_TRY(loom_scratch(part->call, 1, sizeof **shop, &memory));
    *shop = memory;
    **shop = (workshop){0};
    if (voxels == 0) return LOOM_OK;
    LOOM_TRY(loom_scratch(part->call, voxels + 1, WORK_BYTES, &memory)); /* one more, to begin at a cache line */
    float *block = (float *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
    for (unsigned k = 0; k < WIDE / LOOM_LANES + 1; k++, block += voxels * LOOM_LANES)
        (*shop)->block[k] = block;
    (*shop)->work = block;
    return LOOM_OK;
}

static loom_status open_axis(loom_part *part, const loom_image_header *header, unsigned d, loom_axis *along) {
    const step *what = part->state;
    return loom_axis_make(part->call, header->size[d], what->rule.by_spacing ? header->spacing[d] : 1.0, along);
}

/* What the first axis needs. */
static loom_status open_rows(loom_part *part, const loom_value *image, workshop *shop) {
    const loom_image_header *header = image->image.header;
    void *memory = NULL;
    LOOM_TRY(loom_box_open(part->call, image, LOOM_ERODE_TRUE, &shop->inner));
    LOOM_TRY(loom_scratch(part->call, shop->inner.strip * header->size[0], 1, &memory));
    shop->core = memory;
    return open_axis(part, header, 0, &shop->along[0]);
}

/* Along x and y: some slices. */
static loom_status slices_part(loom_part *part) {
    const loom_value *image = NULL;
    loom_image_header space;
    loom_value set;
    LOOM_TRY(find_set(part, &space, &set, &image));
    const loom_image_header *header = image->image.header;
    workshop *shop = *part->local;
    if (shop == NULL) {
        LOOM_TRY(open_workshop(part, header->size[1], &shop));
        LOOM_TRY(open_rows(part, image, shop));
        LOOM_TRY(open_axis(part, header, 1, &shop->along[1]));
        *part->local = shop;
    }
    shop->inner.image = image;
    for (uint64_t slice = part->first; slice < part->first + part->count; slice++)
        transform_slice(image, shop, slice, part->voxels);
    return LOOM_OK;
}

/* Along x only, where there is one slice: some rows. */
static loom_status rows_part(loom_part *part) {
    const loom_value *image = NULL;
    loom_image_header space;
    loom_value set;
    LOOM_TRY(find_set(part, &space, &set, &image));
    workshop *shop = *part->local;
    if (shop == NULL) {
        LOOM_TRY(open_workshop(part, 0, &shop));
        LOOM_TRY(open_rows(part, image, shop));
        *part->local = shop;
    }
    shop->inner.image = image;
    transform_rows(image, shop, 0, part->first, part->count, part->voxels);
    return LOOM_OK;
}

static LOOM_SIMD void sign_distances(const rule *what, const uint8_t *restrict truth, float *restrict row,
                                     uint64_t count) {
    const uint8_t positive = what->inside_is_positive;
    for (uint64_t k = 0; k < count; k++) {
        float distance = sqrtf(row[k]);
        row[k] = truth[k] != positive ? 0.0f - distance : distance; /* the boundary is +0, never -0 */
    }
}

/* As ITK: a squared distance to nothing has no sign, and the boundary is -0 if the inside is negative. */
static LOOM_SIMD void sign_squares(const rule *what, const uint8_t *restrict truth, float *restrict row,
                                   uint64_t count) {
    const uint8_t positive = what->inside_is_positive;
    for (uint64_t k = 0; k < count; k++)
        row[k] = ((truth[k] != positive) & (row[k] != LOOM_FAR)) != 0 ? -row[k] : row[k];
}

/* From squared distances to what is asked for: `count` (at most WIDE) neighbouring voxels. */
static void finish_row(const rule *what, const loom_value *image, uint64_t first, uint64_t count, float *voxels) {
    uint8_t buffer[WIDE];
    const uint8_t *truth = loom_as_bool(image, first, count, buffer);
    (what->squared ? sign_squares : sign_distances)(what, truth, voxels + first, count);
}

static loom_status further_part(loom_part *part) {
    const loom_value *image = NULL;
    const step *what = part->state;
    loom_image_header space;
    loom_value set;
    LOOM_TRY(find_set(part, &space, &set, &image));
    const loom_image_header *header = image->image.header;
    const uint64_t length = header->size[what->axis], stride = what->stride;
    float *voxels = part->voxels;
    workshop *shop = *part->local;
    if (shop == NULL) {
        LOOM_TRY(open_workshop(part, length, &shop));
        LOOM_TRY(open_axis(part, header, what->axis, &shop->along[0]));
        *part->local = shop;
    }
    for (uint64_t unit = part->first; unit < part->first + part->count; unit++) {
        uint64_t slab = unit / what->units_a_slab, line = unit % what->units_a_slab * WIDE;
        uint64_t corner = slab * stride * length + line, lanes = lanes_from(line, stride);
        read_lines(shop, &shop->along[0], voxels + corner, stride, lanes);
        transform_lines(shop, &shop->along[0], lanes);
        for (uint64_t i = 0; i < length; i++) {
            write_row(shop, i, lanes, voxels + corner + i * stride);
            if (what->last) finish_row(&what->rule, image, corner + i * stride, lanes, voxels);
        }
    }
    return LOOM_OK;
}

/* 1 where a voxel is not the background. */
#define DEFINE_DIFFER(type_)                                                                                           \
    static LOOM_SIMD void differ_##type_(const type_ *restrict in, type_ background, uint8_t *restrict out,            \
                                         uint64_t count) {                                                             \
        for (uint64_t k = 0; k < count; k++)                                                                           \
            out[k] = in[k] != background;                                                                              \
    }
LOOM_EACH_CTYPE(DEFINE_DIFFER)

static loom_status set_part(loom_part *part) {
    const loom_value *image = NULL;
    const step *what = part->state;
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    const void *in = loom_values_at(image, part->first);
    uint8_t *out = (uint8_t *)part->shared[SET] + part->first;
    switch (image->image.header->dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        differ_##type_(in, what->rule.background.as_##type_, out, part->count);                                        \
        break;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        break;
    }
    return LOOM_OK;
}

enum { SLICES, ROWS, FURTHER, SETS };
static const loom_part_run loops[] = {
    [SLICES] = slices_part, [ROWS] = rows_part, [FURTHER] = further_part, [SETS] = set_part};

/* A worker's: see slices_part, rows_part and further_part, which come after each other but keep what they took. */
static uint64_t scratch(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    if (header == NULL) return 0;
    uint64_t bytes = 2 * loom_box_scratch(header); /* the strip of the boundary is less than the box takes */
    for (unsigned d = 0; d < header->rank; d++)
        bytes += (d == 0 ? 0 : (header->size[d] + 1) * WORK_BYTES) + header->size[d] * 2 * sizeof(float);
    return lanes * bytes;
}
const loom_loops loom_loops_dt = {.run = loops, .count = 4, .scratch = scratch};

static uint64_t signed_maurer_scratch(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    double background = 0;
    bool has_set = header != NULL && call->argument_count > 4 && loom_value_number(&call->arguments[4], &background) &&
                   background != 0.0;
    return scratch(call, lanes) + (has_set ? loom_image_voxels(header) : 0);
}
const loom_loops loom_loops_signed_maurer = {.run = loops, .count = 4, .scratch = signed_maurer_scratch};

static loom_status run_map(loom_call *call, const loom_image_header *header, const rule *asked) {
    void *memory = NULL;
    step what = {.rule = *asked};
    bool rows = header->size[2] * header->size[3] == 1; /* one slice would be one part */
    uint64_t total = loom_image_voxels(header), stride = header->size[0] * (rows ? 1 : header->size[1]);
    if (asked->has_set) {
        LOOM_TRY(loom_share(call, SET, total, 1, &memory));
        LOOM_TRY(loom_run_parts(call, SETS, total, LOOM_PART_VALUES, &what, sizeof what));
    }
    LOOM_TRY(loom_result_image(call, header, LOOM_F32, 1, &memory));
    if (rows)
        LOOM_TRY(loom_run_parts(call, ROWS, header->size[1], loom_rows_a_part(header), &what, sizeof what));
    else
        LOOM_TRY(loom_run_parts(call, SLICES, total / stride, loom_slices_a_part(header), &what, sizeof what));
    for (unsigned d = rows ? 1 : 2; d < header->rank; stride *= header->size[d++]) {
        what.axis = d;
        what.last = d + 1 == header->rank;
        what.stride = stride;
        what.units_a_slab = (stride + WIDE - 1) / WIDE;
        uint64_t slabs = total / (stride * header->size[d]), values = WIDE * header->size[d];
        LOOM_TRY(loom_run_parts(call, FURTHER, slabs * what.units_a_slab, (LOOM_PART_VALUES + values - 1) / values,
                                &what, sizeof what));
    }
    return LOOM_OK;
}

/* Scratch: that of the box, a strip of bytes, and WORK_BYTES a voxel of each axis but the first, a worker. */
loom_status loom_run_dt(loom_call *call) {
    const loom_value *image = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    return run_map(call, image->image.header, &(rule){.by_spacing = true});
}

/* insideIsPositive, squaredDistance, useImageSpacing, backgroundValue. Scratch: that of dt, and a byte a voxel for a
 * background that is not 0 (the set is looked at along every axis, and by neighbours). */
loom_status loom_run_signed_maurer(loom_call *call) {
    const loom_value *image = NULL;
    rule asked = {0};
    double background = 0;
    LOOM_TRY(loom_arg_whole_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    LOOM_TRY(loom_option_truth(call, 1, false, &asked.inside_is_positive));
    LOOM_TRY(loom_option_truth(call, 2, true, &asked.squared));
    LOOM_TRY(loom_option_truth(call, 3, false, &asked.by_spacing));
    LOOM_TRY(loom_option_number(call, 4, 0.0, &background));
    asked.background = loom_pixel_from_double(header->dtype, background);
    asked.has_set = background != 0.0;
    return run_map(call, header, &asked);
}
