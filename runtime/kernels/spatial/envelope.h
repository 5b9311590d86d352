/* envelope.h - lower envelopes of parabolas along many lines at once: one axis of a distance map. */
#ifndef LOOM_KERNELS_ENVELOPE_H
#define LOOM_KERNELS_ENVELOPE_H

#include <float.h>

#include "runtime/kernels/kernel.h"

#define LOOM_FAR FLT_MAX /* a squared distance: no site in reach yet */
#define LOOM_LANES 16u   /* lines taken together: a cache line of floats */

/* Positions along one axis, as ITK rounds them. */
typedef struct loom_axis {
    uint64_t count;
    float spacing;
    const float *site;  /* where a parabola stands: float(i) * float(spacing) */
    const float *voxel; /* where it is read: float(i * spacing) */
} loom_axis;

/* Scratch: 2 floats a voxel of the axis. LOOM_BAD_ARGUMENT for positions that are no finite floats: searches along the
 * envelope would not end. count is below 2^31. */
loom_status loom_axis_make(loom_call *call, uint64_t count, double spacing, loom_axis *made);

/* Squared distances over the axes done so far (`heights`, rows of LOOM_LANES lines) to those over this axis too
 * (`result`). `work` is workspace; `heights` is overwritten. Each has `count` rows of LOOM_LANES times 4 bytes and
 * begins at a multiple of 64. By the widest instructions that this processor has; the bits are the same with all. */
void loom_envelopes(const loom_axis *along, float *restrict heights, void *restrict work, float *restrict result);

/* The same with one kind of instructions, for loom_envelopes and its test. The wide one is there when
 * LOOM_ENVELOPES_WIDE is defined, and must not be called on a processor without AVX-512F, nor for 2^27 voxels. */
void loom_envelopes_plain(const loom_axis *along, float *restrict heights, void *restrict work, float *restrict result);
#ifdef LOOM_ENVELOPES_WIDE
void loom_envelopes_avx512(const loom_axis *along, float *restrict heights, void *restrict work,
                           float *restrict result);
#endif

#endif
