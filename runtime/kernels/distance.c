/* distance.c - dt: the exact signed Euclidean distance map, in linear time.
 *
 * C. Maurer, R. Qi, V. Raghavan, "A linear time algorithm for computing exact Euclidean distance transforms of binary
 * images in arbitrary dimensions", IEEE PAMI 25(2), 2003: the lower envelope of parabolas, one axis after the other.
 * The order of the float32 operations is that of ITK's SignedMaurerDistanceMapImageFilter, because thresholds of
 * distances decide voxels and the recorded results must come out bit for bit: sites lie at float(i) * float(spacing),
 * voxels at float(i * spacing). The squared distances are worked on in place in the result. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/kernels/arguments.h"
#include "runtime/kernels/box.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/voxels.h"

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

/* All lines along an axis whose voxels are `stride` apart, LANES neighbouring lines at a time through a small block, so
 * that memory is read and written by cache lines. */
static void transform_axis(const axis *along, envelope work, float *block, float *voxels, uint64_t stride,
                           uint64_t total) {
    for (uint64_t slab = 0; slab < total; slab += stride * along->count)
        for (uint64_t first = 0; first < stride; first += LANES) {
            uint64_t lanes = stride - first < LANES ? stride - first : LANES;
            float *corner = voxels + slab + first;
            for (uint64_t i = 0; i < along->count; i++)
                for (uint64_t lane = 0; lane < lanes; lane++)
                    block[lane * along->count + i] = corner[i * stride + lane];
            for (uint64_t lane = 0; lane < lanes; lane++)
                transform_line(along, work, block + lane * along->count);
            for (uint64_t i = 0; i < along->count; i++)
                for (uint64_t lane = 0; lane < lanes; lane++)
                    corner[i * stride + lane] = block[lane * along->count + i];
        }
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

/* The squared distances along x: each slice is eroded, and what erosion took away is the boundary. */
static void start(const loom_value *image, loom_box *inner, uint8_t *core, const axis *along, float *voxels) {
    uint64_t width = inner->width;
    for (uint64_t slice = 0; slice < inner->slices; slice++) {
        loom_box_slice(inner, slice, core);
        for (uint64_t i = 0; i < inner->slice_voxels; i += width) {
            uint64_t first = slice * inner->slice_voxels + i;
            if (mark_boundary(image, first, width, core + i))
                transform_first(along, core + i, voxels + first);
            else
                for (uint64_t x = 0; x < width; x++)
                    voxels[first + x] = FAR;
        }
    }
}

static void finish(const loom_value *image, float *voxels, uint64_t total) {
    uint8_t buffer[LOOM_CHUNK];
    for (uint64_t first = 0; first < total; first += LOOM_CHUNK) {
        size_t count = total - first < LOOM_CHUNK ? (size_t)(total - first) : LOOM_CHUNK;
        const uint8_t *truth = loom_as_bool(image, first, count, buffer);
        float *out = voxels + first;
        for (size_t k = 0; k < count; k++) {
            float distance = sqrtf(out[k]);
            out[k] = truth[k] ? 0.0f - distance : distance; /* the boundary is +0, never -0 */
        }
    }
}

/* Scratch: that of the box, a slice of bytes, and 20 floats a voxel of the longest axis. */
loom_status loom_run_dt(loom_call *call) {
    const loom_value *image = NULL;
    void *memory = NULL, *result = NULL;
    loom_box inner = {0};
    axis axes[LOOM_RANK_MAX] = {{0}};
    LOOM_TRY(loom_arg_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    uint64_t longest = 1;
    for (unsigned d = 0; d < header->rank; d++) {
        LOOM_TRY(make_axis(call, header->size[d], header->spacing[d], &axes[d]));
        if (header->size[d] > longest) longest = header->size[d];
    }
    LOOM_TRY(loom_scratch(call, longest + 1, (LANES + 2) * sizeof(float), &memory));
    float *block = memory;
    envelope work = {.height = block + LANES * longest, .place = block + (LANES + 1) * longest + 1};
    LOOM_TRY(loom_box_open(call, image, LOOM_ERODE_TRUE, &inner));
    LOOM_TRY(loom_scratch(call, inner.slice_voxels, 1, &memory));
    LOOM_TRY(loom_result_image(call, header, LOOM_F32, 1, &result));
    uint64_t total = loom_image_voxels(header);
    start(image, &inner, memory, &axes[0], result);
    uint64_t stride = header->size[0];
    for (unsigned d = 1; d < header->rank; stride *= header->size[d++])
        transform_axis(&axes[d], work, block, result, stride, total);
    finish(image, result, total);
    return LOOM_OK;
}
