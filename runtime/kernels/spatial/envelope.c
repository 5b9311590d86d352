/* envelope.c - the lower envelope of parabolas along lines.
 *
 * C. Maurer, R. Qi, V. Raghavan, "A linear time algorithm for computing exact Euclidean distance transforms of binary
 * images in arbitrary dimensions", IEEE PAMI 25(2), 2003. The order of the float32 operations is that of ITK's
 * SignedMaurerDistanceMapImageFilter, and so are all decisions: where rounding makes two parabolas change places, the
 * recorded results have the same. */
#include "runtime/kernels/spatial/envelope.h"

#include <math.h>
#include <stdbool.h>

#include "runtime/kernels/base/arguments.h"

loom_status loom_axis_make(loom_call *call, uint64_t count, double spacing, loom_axis *made) {
    void *memory = NULL;
    LOOM_TRY(loom_scratch(call, count, 2 * sizeof(float), &memory));
    float *site = memory, *voxel = site + count;
    for (uint64_t i = 0; i < count; i++) {
        site[i] = (float)i * (float)spacing;
        voxel[i] = (float)((double)i * spacing);
    }
    if (!isfinite((float)spacing) || !isfinite(site[count - 1]) || !isfinite(voxel[count - 1]))
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "`%s` got an axis of %llu voxels %g apart, which 32-bit floats do not hold; mend the spacing "
                         "of the image",
                         call->op->name, (unsigned long long)count, spacing);
    *made = (loom_axis){.count = count, .spacing = (float)spacing, .site = site, .voxel = voxel};
    return LOOM_OK;
}

/* True if the middle one of three parabolas lies nowhere below the others. */
static inline bool is_hidden(float d1, float d2, float d3, float x1, float x2, float x3) {
    float a = x2 - x1, b = x3 - x2, c = x3 - x1;
    return c * d2 - b * d1 - a * d3 - a * b * c > 0;
}

/* One line. `g` and `h` are the stack: heights of parabolas, and where they stand. */
static void transform_line(const loom_axis *along, float *restrict line, float *restrict g, float *restrict h) {
    const float *restrict site = along->site, *restrict voxel = along->voxel;
    const int64_t count = (int64_t)along->count;
    int64_t top = -1;
    float g1 = 0, h1 = 0, g2 = 0, h2 = 0; /* the last two parabolas, also on the stack */
    for (int64_t i = 0; i < count; i++) {
        float d = line[i], x = site[i];
        if (d == LOOM_FAR) continue;
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

void loom_envelopes_plain(const loom_axis *along, float *restrict heights, void *restrict work,
                          float *restrict result) {
    /* 3 * count + 2 floats, of LOOM_LANES * count. */
    float *line = work, *g = line + along->count, *h = g + along->count + 1;
    for (unsigned lane = 0; lane < LOOM_LANES; lane++) {
        for (uint64_t i = 0; i < along->count; i++)
            line[i] = heights[i * LOOM_LANES + lane];
        transform_line(along, line, g, h);
        for (uint64_t i = 0; i < along->count; i++)
            result[i * LOOM_LANES + lane] = line[i];
    }
}

void loom_envelopes(const loom_axis *along, float *restrict heights, void *restrict work, float *restrict result) {
#if defined(LOOM_ENVELOPES_WIDE) && !defined(LOOM_SIMD_OFF)
    /* Places are gathered by 32-bit numbers. */
    if (along->count <= INT32_MAX / LOOM_LANES && __builtin_cpu_supports("avx512f")) {
        loom_envelopes_avx512(along, heights, work, result);
        return;
    }
#endif
    loom_envelopes_plain(along, heights, work, result);
}
