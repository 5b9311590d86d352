/* distance.c - dt: the exact signed Euclidean distance map, in linear time.
 *
 * C. Maurer, R. Qi, V. Raghavan, "A linear time algorithm for computing exact Euclidean distance transforms of binary
 * images in arbitrary dimensions", IEEE PAMI 25(2), 2003: the lower envelope of parabolas, one axis after the other.
 * The order of the float32 operations is that of ITK's SignedMaurerDistanceMapImageFilter, because thresholds of
 * distances decide voxels and the recorded results must come out bit for bit: sites lie at float(i) * float(spacing),
 * voxels at float(i * spacing). The squared distances are worked on in place in the result: within each slice along x
 * and y, then along each further axis. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/spatial/box.h"

#define FAR FLT_MAX /* no site in reach yet */
#define LANES 16    /* columns taken together: a cache line of floats */

/* Positions along one axis, as ITK rounds them. */
typedef struct axis {
    uint64_t count;
    const float *site;  /* where a parabola stands */
    const float *voxel; /* where it is read */
} axis;

/* Workspace of one line. */
typedef struct envelope {
    float *height; /* parabolas of the lower envelope: squared distance at the site, */
    float *place;  /* and the site */
} envelope;

static loom_status make_axis(loom_call *call, uint64_t count, double spacing, axis *made) {
    void *memory = NULL;
    LOOM_TRY(loom_scratch(call, count, 2 * sizeof(float), &memory));
    float *site = memory, *voxel = site + count;
    for (uint64_t i = 0; i < count; i++) {
        site[i] = (float)i * (float)spacing;
        voxel[i] = (float)((double)i * spacing);
    }
    *made = (axis){.count = count, .site = site, .voxel = voxel};
    return LOOM_OK;
}

/* True if the middle one of three parabolas lies nowhere below the others. */
static inline bool is_hidden(float d1, float d2, float d3, float x1, float x2, float x3) {
    float a = x2 - x1, b = x3 - x2, c = x3 - x1;
    return c * d2 - b * d1 - a * d3 - a * b * c > 0;
}

/* Replaces the line's squared distances over the axes done so far by those over this axis too. */
static void transform_line(const axis *along, envelope work, float *restrict line) {
    float *restrict g = work.height, *restrict h = work.place;
    const float *restrict site = along->site, *restrict voxel = along->voxel;
    const int64_t count = (int64_t)along->count;
    int64_t top = -1;
    float g1 = 0, h1 = 0, g2 = 0, h2 = 0; /* the last two parabolas, also on the stack */
    for (int64_t i = 0; i < count; i++) {
        float d = line[i], x = site[i];
        if (d == FAR) continue;
        while (top >= 1 && is_hidden(g1, g2, d, h1, h2, x)) {
            top--;
            g2 = g1;
            h2 = h1;
            g1 = g[top > 0 ? top - 1 : 0];
            h1 = h[top > 0 ? top - 1 : 0];
        }
        top++;
        g[top] = d;
        h[top] = x;
        g1 = g2;
        h1 = h2;
        g2 = d;
        h2 = x;
    }
    if (top < 0) return;
    /* One more parabola, never the lowest, ends every search. */
    g[top + 1] = INFINITY;
    h[top + 1] = 0;
    int64_t lowest = 0;
    for (int64_t i = 0; i < count; i++) {
        float x = voxel[i];
        float d1 = g[lowest] + (h[lowest] - x) * (h[lowest] - x);
        for (;;) {
            float d2 = g[lowest + 1] + (h[lowest + 1] - x) * (h[lowest + 1] - x);
            if (d1 <= d2) break;
            lowest++;
            d1 = d2;
        }
        line[i] = d1;
    }
}

/* The first axis: sites are where the line is 0, so the nearest one to either side decides. */
static void transform_first(const axis *along, const uint8_t *restrict is_site, float *restrict line) {
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
    axis along[2]; /* x and y, or the one axis that is left */
    envelope work;
    float *block; /* LANES lines */
    loom_box inner;
    uint8_t *core; /* a slice */
} workshop;

/* `lanes` neighbouring lines at a time through a small block, so that memory is read and written by cache lines. Their
 * voxels are `stride` apart. */
static void transform_lines(const workshop *shop, const axis *along, float *corner, uint64_t stride, uint64_t lanes) {
    float *block = shop->block;
    for (uint64_t i = 0; i < along->count; i++)
        for (uint64_t lane = 0; lane < lanes; lane++)
            block[lane * along->count + i] = corner[i * stride + lane];
    for (uint64_t lane = 0; lane < lanes; lane++)
        transform_line(along, shop->work, block + lane * along->count);
    for (uint64_t i = 0; i < along->count; i++)
        for (uint64_t lane = 0; lane < lanes; lane++)
            corner[i * stride + lane] = block[lane * along->count + i];
}

static uint64_t lanes_from(uint64_t first, uint64_t stride) {
    return stride - first < LANES ? stride - first : LANES;
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
            voxels[first + x] = FAR;
}

/* The squared distances within one slice. It is eroded, and what erosion took away is the boundary. */
static void transform_slice(const loom_value *image, workshop *shop, uint64_t slice, float *voxels) {
    uint64_t width = shop->inner.width;
    loom_box_slice(&shop->inner, slice, shop->core);
    for (uint64_t i = 0; i < shop->inner.slice_voxels; i += width)
        transform_row(image, shop, slice * shop->inner.slice_voxels + i, shop->core + i, voxels);
    float *corner = voxels + slice * shop->inner.slice_voxels;
    for (uint64_t first = 0; first < width; first += LANES)
        transform_lines(shop, &shop->along[1], corner + first, width, lanes_from(first, width));
}

static loom_status open_workshop(loom_part *part, uint64_t longest, workshop **shop) {
    void *memory = NULL;
    LOOM_TRY(loom_scratch(part->call, 1, sizeof **shop, &memory));
    *shop = memory;
    **shop = (workshop){0};
    LOOM_TRY(loom_scratch(part->call, longest + 1, (LANES + 2) * sizeof(float), &memory));
    float *block = (*shop)->block = memory;
    (*shop)->work = (envelope){.height = block + LANES * longest, .place = block + (LANES + 1) * longest + 1};
    return LOOM_OK;
}

/* Along x and y: some slices. */
static loom_status slices_part(loom_part *part) {
    const loom_value *image = NULL;
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    const loom_image_header *header = image->image.header;
    workshop *shop = *part->local;
    if (shop == NULL) {
        void *memory = NULL;
        uint64_t longest = header->size[0] > header->size[1] ? header->size[0] : header->size[1];
        LOOM_TRY(open_workshop(part, longest, &shop));
        LOOM_TRY(loom_box_open(part->call, image, LOOM_ERODE_TRUE, &shop->inner));
        LOOM_TRY(loom_scratch(part->call, shop->inner.slice_voxels, 1, &memory));
        shop->core = memory;
        for (unsigned d = 0; d < 2; d++)
            LOOM_TRY(make_axis(part->call, header->size[d], header->spacing[d], &shop->along[d]));
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
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    const loom_image_header *header = image->image.header;
    workshop *shop = *part->local;
    if (shop == NULL) {
        void *memory = NULL;
        LOOM_TRY(open_workshop(part, header->size[0], &shop));
        LOOM_TRY(loom_box_open_rows(part->call, image, LOOM_ERODE_TRUE, &shop->inner));
        LOOM_TRY(loom_scratch(part->call, header->size[0], 1, &memory));
        shop->core = memory;
        LOOM_TRY(make_axis(part->call, header->size[0], header->spacing[0], &shop->along[0]));
        *part->local = shop;
    }
    shop->inner.image = image;
    for (uint64_t row = part->first; row < part->first + part->count; row++) {
        loom_box_row(&shop->inner, row, shop->core);
        transform_row(image, shop, row * header->size[0], shop->core, part->voxels);
    }
    return LOOM_OK;
}

/* A further axis: its lines lie in slabs that are contiguous; a unit is LANES neighbouring lines of a slab. */
typedef struct further {
    unsigned axis;
    uint64_t stride, units_a_slab;
} further;

static loom_status further_part(loom_part *part) {
    const loom_value *image = NULL;
    const further *what = part->state;
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    const loom_image_header *header = image->image.header;
    workshop *shop = *part->local;
    if (shop == NULL) {
        LOOM_TRY(open_workshop(part, header->size[what->axis], &shop));
        LOOM_TRY(make_axis(part->call, header->size[what->axis], header->spacing[what->axis], &shop->along[0]));
        *part->local = shop;
    }
    for (uint64_t unit = part->first; unit < part->first + part->count; unit++) {
        uint64_t slab = unit / what->units_a_slab, first = unit % what->units_a_slab * LANES;
        float *corner = (float *)part->voxels + slab * what->stride * header->size[what->axis] + first;
        transform_lines(shop, &shop->along[0], corner, what->stride, lanes_from(first, what->stride));
    }
    return LOOM_OK;
}

/* From squared distances to signed ones: some voxels. */
static loom_status finish_part(loom_part *part) {
    const loom_value *image = NULL;
    uint8_t buffer[LOOM_CHUNK];
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    for (uint64_t done = 0; done < part->count; done += LOOM_CHUNK) {
        size_t count = part->count - done < LOOM_CHUNK ? (size_t)(part->count - done) : LOOM_CHUNK;
        const uint8_t *truth = loom_as_bool(image, part->first + done, count, buffer);
        float *out = (float *)part->voxels + part->first + done;
        for (size_t k = 0; k < count; k++) {
            float distance = sqrtf(out[k]);
            out[k] = truth[k] ? 0.0f - distance : distance; /* the boundary is +0, never -0 */
        }
    }
    return LOOM_OK;
}

enum { SLICES, ROWS, FURTHER, FINISH };
static const loom_part_run loops[] = {
    [SLICES] = slices_part, [ROWS] = rows_part, [FURTHER] = further_part, [FINISH] = finish_part};

/* A worker's: see slices_part, rows_part and further_part, which come after each other but keep what they took. */
static uint64_t scratch(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    if (header == NULL) return 0;
    uint64_t longest = 0, axes = 0;
    for (unsigned d = 0; d < header->rank; d++) {
        if (header->size[d] > longest) longest = header->size[d];
        axes += header->size[d];
    }
    uint64_t floats = (LANES + 2) * (longest + 1) * (header->rank - 1) + 2 * axes;
    uint64_t core = header->size[0] * (loom_box_by_rows(header) ? 1 : header->size[1]);
    return lanes * (loom_box_scratch(header) + core + floats * sizeof(float));
}
const loom_loops loom_loops_dt = {.run = loops, .count = 4, .scratch = scratch};

/* Scratch: that of the box, a slice of bytes, and 20 floats a voxel of the longest axis, a worker. */
loom_status loom_run_dt(loom_call *call) {
    const loom_value *image = NULL;
    void *result = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    bool rows = loom_box_by_rows(header);
    uint64_t total = loom_image_voxels(header), stride = header->size[0] * (rows ? 1 : header->size[1]);
    LOOM_TRY(loom_result_image(call, header, LOOM_F32, 1, &result));
    if (rows)
        LOOM_TRY(loom_run_parts(call, ROWS, header->size[1], loom_rows_a_part(header), NULL, 0));
    else
        LOOM_TRY(loom_run_parts(call, SLICES, total / stride, loom_slices_a_part(header), NULL, 0));
    for (unsigned d = rows ? 1 : 2; d < header->rank; stride *= header->size[d++]) {
        further what = {.axis = d, .stride = stride, .units_a_slab = (stride + LANES - 1) / LANES};
        uint64_t slabs = total / (stride * header->size[d]), values = LANES * header->size[d];
        LOOM_TRY(loom_run_parts(call, FURTHER, slabs * what.units_a_slab, (LOOM_PART_VALUES + values - 1) / values,
                                &what, sizeof what));
    }
    return loom_run_parts(call, FINISH, total, LOOM_PART_VALUES, NULL, 0);
}
