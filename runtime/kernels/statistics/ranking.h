/* ranking.h - what the files of `percentiles` share: how floats become keys, what is known of a ranking, its loops.
 *
 * Every pass over voxels has the same parts; what one of them counts, each part's own, tells the next where it begins.
 */
#ifndef LOOM_KERNELS_RANKING_H
#define LOOM_KERNELS_RANKING_H

#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"

#define LOOM_RANK_PREFIX_SHIFT 14 /* a code's prefix is what is left: 1/512 of a power of two */
#define LOOM_RANK_PREFIXES (UINT32_C(1) << (32 - LOOM_RANK_PREFIX_SHIFT))

/* What is known when a pass begins; passed to parts. */
typedef struct loom_ranking {
    uint64_t total;  /* voxels of the image */
    uint64_t inside; /* voxels of the mask */
    uint64_t nans;   /* of those, not a number */
    double correction;
    int32_t low, high; /* least and greatest key inside, NaN left out */
    unsigned shift;    /* bits that are 0 in every float inside */
    bool whole;        /* all are whole numbers, which a table has by value and not by key */
    uint64_t places;   /* of a table */
    uint64_t buckets;
    uint32_t sample_tables; /* one a part, or a lane where these are fewer */
} loom_ranking;

/* What a part has found. */
typedef struct loom_rank_found {
    uint64_t inside, nans;
    uint64_t nans_before; /* in the parts before it */
    int32_t low, high;
    uint32_t used, broken; /* bits that occur; not 0 if a number is not whole */
} loom_rank_found;

enum {
    LOOM_RANK_SURVEY_LOOP,
    LOOM_RANK_REST_LOOP,
    LOOM_RANK_COUNT_LOOP,
    LOOM_RANK_LOOKUP_LOOP,
    LOOM_RANK_COUNT_SMALL_LOOP,
    LOOM_RANK_LOOKUP_SMALL_LOOP,
    LOOM_RANK_SIZES_LOOP,
    LOOM_RANK_SPREAD_LOOP,
    LOOM_RANK_BUCKETS_LOOP,
    LOOM_RANK_GATHER_LOOP,
    LOOM_RANK_LOOPS
};
/* Shared: a found a part; samples by prefix, a table each part or lane, later the bucket of each prefix; a table a
 * lane, or for each part where its keys of each bucket begin; keys. */
enum { LOOM_RANK_FOUND, LOOM_RANK_SAMPLES, LOOM_RANK_TABLE, LOOM_RANK_STARTS = LOOM_RANK_TABLE, LOOM_RANK_KEYS };

/* Order-preserving: the bits of a negative float but its sign are flipped. -0 is 0. */
static inline int32_t loom_rank_key(float value) {
    uint32_t bits;
    value += 0.0f;
    memcpy(&bits, &value, sizeof bits);
    return (int32_t)(bits ^ ((uint32_t)((int32_t)bits >> 31) & 0x7FFFFFFFu));
}

/* The float that has this key. */
static inline float loom_rank_value(int32_t key) {
    float value;
    uint32_t bits = (uint32_t)key ^ ((uint32_t)(key >> 31) & 0x7FFFFFFFu);
    memcpy(&value, &bits, sizeof bits);
    return value;
}

/* A key without a sign, to be counted with. */
static inline uint32_t loom_rank_code(int32_t key) {
    return (uint32_t)key ^ 0x80000000u;
}

static inline bool loom_rank_is_nan(float value) {
    return value != value;
}

/* The rank of a value, in the arithmetic of VoxLogicA-2, before it is divided by how many voxels there are. All these
 * numbers fit an int64_t, which CPUs convert at once. */
static inline double loom_rank_share(const loom_ranking *work, uint64_t smaller, uint64_t equal) {
    return (double)(int64_t)smaller + work->correction * (double)(int64_t)equal;
}
static inline float loom_rank_of(const loom_ranking *work, uint64_t smaller, uint64_t equal) {
    return (float)(loom_rank_share(work, smaller, equal) / (double)(int64_t)work->inside);
}

/* NaNs sort last and each is a class of its own, in raster order: how many are smaller than the part's first one. */
static inline uint64_t loom_rank_smaller_than_nan(const loom_part *part, const loom_ranking *work) {
    return work->inside - work->nans +
           ((const loom_rank_found *)part->shared[LOOM_RANK_FOUND])[part->number].nans_before;
}

/* One chunk of a part: the values and the truth of the mask. */
typedef struct loom_rank_chunk {
    const loom_value *image, *mask;
    uint64_t first, end;
    size_t count;
    const float *values;
    const uint8_t *truth;
    float numbers[LOOM_CHUNK];
    uint8_t bytes[LOOM_CHUNK];
} loom_rank_chunk;

static inline loom_status loom_rank_open(const loom_part *part, loom_rank_chunk *at) {
    at->count = 0;
    at->first = part->first;
    at->end = part->first + part->count;
    LOOM_TRY(loom_arg_image(part->call, 0, &at->image));
    return loom_arg_image(part->call, 1, &at->mask);
}

static inline bool loom_rank_next(loom_rank_chunk *at) {
    at->first += at->count;
    if (at->first >= at->end) return false;
    uint64_t left = at->end - at->first;
    at->count = left < LOOM_CHUNK ? (size_t)left : LOOM_CHUNK;
    at->values = loom_as_float(at->image, at->first, at->count, at->numbers);
    at->truth = loom_as_u8(at->mask, at->first, at->count, at->bytes);
    return true;
}

static inline loom_status loom_rank_run_voxels(loom_call *call, uint32_t loop, const loom_ranking *work) {
    return loom_run_parts(call, loop, work->total, LOOM_PART_VALUES, work, sizeof *work);
}

static inline uint32_t loom_rank_part_count(const loom_ranking *work) {
    uint64_t grain = LOOM_PART_VALUES;
    return loom_count_parts(work->total, &grain);
}

/* rank_table.c: images whose keys span few numbers, and 8- and 16-bit images. */
loom_status loom_rank_by_table(loom_call *call, const loom_ranking *work);
loom_status loom_rank_small(loom_call *call, loom_ranking *work);
loom_status loom_rank_count_part(loom_part *part);
loom_status loom_rank_lookup_part(loom_part *part);
loom_status loom_rank_count_small_part(loom_part *part);
loom_status loom_rank_lookup_small_part(loom_part *part);

/* rank_buckets.c: all others. */
loom_status loom_rank_by_buckets(loom_call *call, loom_ranking *work);
loom_status loom_rank_sizes_part(loom_part *part);
loom_status loom_rank_spread_part(loom_part *part);
loom_status loom_rank_buckets_part(loom_part *part);
loom_status loom_rank_gather_part(loom_part *part);
/* Bytes that it shares for an image of so many voxels, all of them in the mask, at most. */
uint64_t loom_rank_buckets_scratch(uint64_t voxels);

#endif
