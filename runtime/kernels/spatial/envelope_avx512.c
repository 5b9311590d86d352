/* envelope_avx512.c - envelope.c's lines, LOOM_LANES of them in step.
 *
 * One line alone costs a mispredicted branch or two a voxel. Here each step is done in all lanes, by masks, as often as
 * any lane needs it; every lane does the operations of envelope.c in its order. A lane's stack of parabolas is a list
 * through the places where they stand: a push writes the row of its place, whatever the lanes' depths are, and nothing
 * is ever scattered. What a list leads to is gathered, which only AVX-512 does fast enough to be worth it: in 16 lanes
 * of AVX2 this takes longer than the plain lines (perf/ANALYSIS.md). In a file of its own because the compiler is told
 * of the instructions by file. */
#include <immintrin.h>
#include <math.h>
#include <stdbool.h>

#include "runtime/kernels/spatial/envelope.h"

typedef float reals __attribute__((vector_size(LOOM_LANES * sizeof(float)), may_alias));
typedef int32_t wholes __attribute__((vector_size(LOOM_LANES * sizeof(int32_t)), may_alias));

#define NONE (-1)
#define INLINE static inline __attribute__((always_inline))

INLINE bool any(const wholes *mask) {
    return _mm512_test_epi32_mask((__m512i)*mask, (__m512i)*mask) != 0;
}

/* Where the mask is set, `value`, else what was there. */
INLINE void set_wholes(wholes *target, const wholes *mask, const wholes *value) {
    *target = (*value & *mask) | (*target & ~*mask);
}
INLINE void set_reals(reals *target, const wholes *mask, const reals *value) {
    *target = (reals)(((wholes)*value & *mask) | ((wholes)*target & ~*mask));
}

/* Each lane's value at its own place, in rows of lanes; of lanes without a place, some value. */
INLINE void fetch_wholes(wholes *target, const int32_t *rows, const wholes *place) {
    static const wholes lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    wholes at = (*place & (*place >= 0)) * (int32_t)LOOM_LANES + lanes;
    *target = (wholes)_mm512_i32gather_epi32((__m512i)at, rows, sizeof *rows);
}
INLINE void fetch_reals(reals *target, const float *rows, const wholes *place) {
    wholes bits;
    fetch_wholes(&bits, (const int32_t *)(const void *)rows, place);
    *target = (reals)bits;
}

/* A parabola of each lane. */
typedef struct parabolas {
    wholes place; /* NONE: there is none */
    reals height, site;
} parabolas;

INLINE void set_parabolas(parabolas *target, const wholes *mask, const parabolas *value) {
    set_wholes(&target->place, mask, &value->place);
    set_reals(&target->height, mask, &value->height);
    set_reals(&target->site, mask, &value->site);
}

/* Where the middle one of three parabolas lies nowhere below the others. */
INLINE void are_hidden(const parabolas *first, const parabolas *middle, const parabolas *last, wholes *hidden) {
    reals a = middle->site - first->site, b = last->site - middle->site, c = last->site - first->site;
    *hidden = (c * middle->height - b * first->height - a * last->height - a * b * c > 0.0f) & (first->place >= 0);
}

/* From the first place to the last: the parabolas of the envelope. Each row of `links` gets, in lanes that have a
 * parabola there, the place of the one below it on the stack. Returns the topmost. */
INLINE void build(const loom_axis *along, const float *heights, int32_t *links, wholes *topmost) {
    parabolas top = {.place = {0}}, below = {.place = {0}};
    top.place = below.place = (wholes){0} + NONE;
    for (uint64_t i = 0; i < along->count; i++) {
        parabolas pushed = {.place = (wholes){0} + (int32_t)i, .site = (reals){0} + along->site[i]};
        pushed.height = *(const reals *)(heights + i * LOOM_LANES);
        wholes active = pushed.height != LOOM_FAR, hidden;
        if (!any(&active)) continue;
        for (;;) {
            are_hidden(&below, &top, &pushed, &hidden);
            hidden &= active;
            if (!any(&hidden)) break;
            set_parabolas(&top, &hidden, &below);
            parabolas next;
            fetch_wholes(&next.place, links, &below.place);
            next.place |= ~hidden; /* no row may have been written where other lanes look */
            fetch_reals(&next.height, heights, &next.place);
            next.site = __builtin_convertvector(next.place, reals) * along->spacing;
            set_parabolas(&below, &hidden, &next);
        }
        *(wholes *)(links + i * LOOM_LANES) = top.place;
        set_parabolas(&below, &active, &top);
        set_parabolas(&top, &active, &pushed);
    }
    *topmost = top.place;
}

/* Turns the lists round: links lead upwards, and beside each stands the height of the parabola that it leads to.
 * `bottom` gets the lowest of each stack. */
INLINE void turn(const loom_axis *along, float *heights, int32_t *links, const wholes *topmost, parabolas *bottom) {
    wholes current = *topmost;
    bottom->place = (wholes){0} + NONE;
    bottom->height = (reals){0} + INFINITY;
    for (uint64_t i = along->count; i-- > 0;) {
        reals *height = (reals *)(heights + i * LOOM_LANES), own = *height;
        wholes *link = (wholes *)(links + i * LOOM_LANES), lower = *link;
        wholes mask = current == (int32_t)i, here = (wholes){0} + (int32_t)i;
        *height = bottom->height;
        *link = bottom->place;
        set_wholes(&bottom->place, &mask, &here);
        set_reals(&bottom->height, &mask, &own);
        set_wholes(&current, &mask, &lower);
    }
}

INLINE void distances(const parabolas *of, float voxel, reals *squared) {
    reals along = of->site - voxel;
    *squared = of->height + along * along;
}

/* The parabola that a link leads to; beyond the last, one that is never the lowest. */
INLINE void follow(const loom_axis *along, const float *heights, const int32_t *links, const wholes *place,
                   parabolas *next) {
    fetch_wholes(&next->place, links, place);
    fetch_reals(&next->height, heights, place);
    next->site = __builtin_convertvector(next->place & (next->place >= 0), reals) * along->spacing;
}

/* Reads the envelope at every voxel. */
INLINE void draw(const loom_axis *along, const float *heights, const int32_t *links, const parabolas *bottom,
                 float *result) {
    parabolas lowest = *bottom, next;
    const wholes empty = bottom->place < 0;
    const reals far = (reals){0} + LOOM_FAR;
    lowest.site = __builtin_convertvector(lowest.place, reals) * along->spacing;
    follow(along, heights, links, &lowest.place, &next);
    for (uint64_t i = 0; i < along->count; i++) {
        reals own, other;
        distances(&lowest, along->voxel[i], &own);
        for (;;) {
            distances(&next, along->voxel[i], &other);
            wholes passed = own > other;
            if (!any(&passed)) break;
            parabolas beyond;
            follow(along, heights, links, &next.place, &beyond);
            set_parabolas(&lowest, &passed, &next);
            set_reals(&own, &passed, &other);
            set_parabolas(&next, &passed, &beyond);
        }
        set_reals(&own, &empty, &far);
        *(reals *)(result + i * LOOM_LANES) = own;
    }
}

void loom_envelopes_avx512(const loom_axis *along, float *restrict heights, void *restrict work,
                           float *restrict result) {
    wholes topmost;
    parabolas bottom;
    build(along, heights, work, &topmost);
    turn(along, heights, work, &topmost, &bottom);
    draw(along, heights, work, &bottom, result);
}
