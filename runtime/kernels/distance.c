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

/* Replaces line[0], line[stride], ... (squared distances over the axes done so far) by those over this axis too. */
static void transform_line(const axis *along, envelope work, float *line, uint64_t stride) {
    float *restrict g = work.height, *restrict h = work.place;
    int64_t top = -1;
    for (uint64_t i = 0; i < along->count; i++) {
        float d = line[i * stride], x = along->site[i];
        if (d == FAR) continue;
        while (top >= 1 && is_hidden(g[top - 1], g[top], d, h[top - 1], h[top], x))
            top--;
        top++;
        g[top] = d;
        h[top] = x;
    }
    if (top < 0) return;
    int64_t lowest = 0;
    for (uint64_t i = 0; i < along->count; i++) {
        float x = along->voxel[i];
        float d1 = g[lowest] + (h[lowest] - x) * (h[lowest] - x);
        while (lowest < top) {
            float d2 = g[lowest + 1] + (h[lowest + 1] - x) * (h[lowest + 1] - x);
            if (d1 <= d2) break;
            lowest++;
            d1 = d2;
        }
        line[i * stride] = d1;
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
                transform_line(along, work, block + lane * along->count, 1);
            for (uint64_t i = 0; i < along->count; i++)
                for (uint64_t lane = 0; lane < lanes; lane++)
                    corner[i * stride + lane] = block[lane * along->count + i];
        }
}

/* 0 on the boundary of the set (voxels with a neighbour outside it), FAR elsewhere, then the distances along x. */
static void start(const loom_value *image, loom_box *inner, uint8_t *core, const axis *along, envelope work,
                  float *voxels) {
    uint64_t width = inner->width;
    for (uint64_t slice = 0; slice < inner->slices; slice++) {
        loom_box_slice(inner, slice, core);
        for (uint64_t i = 0; i < inner->slice_voxels; i += width) {
            float *line = voxels + slice * inner->slice_voxels + i;
            for (uint64_t x = 0; x < width; x += LOOM_CHUNK) {
                uint8_t buffer[LOOM_CHUNK];
                size_t count = width - x < LOOM_CHUNK ? (size_t)(width - x) : LOOM_CHUNK;
                const uint8_t *truth = loom_as_bool(image, slice * inner->slice_voxels + i + x, count, buffer);
                for (size_t k = 0; k < count; k++)
                    line[x + k] = truth[k] > core[i + x + k] ? 0.0f : FAR;
            }
            transform_line(along, work, line, 1);
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

/* Scratch: that of the box, a slice of bytes, and 18 floats a voxel of the longest axis. */
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
    LOOM_TRY(loom_scratch(call, longest, (LANES + 2) * sizeof(float), &memory));
    float *block = memory;
    envelope work = {.height = block + LANES * longest, .place = block + (LANES + 1) * longest};
    LOOM_TRY(loom_box_open(call, image, LOOM_ERODE_TRUE, &inner));
    LOOM_TRY(loom_scratch(call, inner.slice_voxels, 1, &memory));
    LOOM_TRY(loom_result_image(call, header, LOOM_F32, 1, &result));
    uint64_t total = loom_image_voxels(header);
    start(image, &inner, memory, &axes[0], work, result);
    uint64_t stride = header->size[0];
    for (unsigned d = 1; d < header->rank; stride *= header->size[d++])
        transform_axis(&axes[d], work, block, result, stride, total);
    finish(image, result, total);
    return LOOM_OK;
}
