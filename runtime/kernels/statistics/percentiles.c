/* percentiles.c - the rank of every voxel among the voxels of a mask.
 *
 * Ranks come from counting, not from comparing. A float is turned into an unsigned key of the same order; trailing bits
 * that no voxel uses are dropped. If the keys that occur span few enough numbers (all 8-bit and most integer images),
 * one table with a place for each gives every rank in two passes over the image. Otherwise (key, position) pairs are
 * spread into buckets by their leading bits and each bucket is sorted by radix (D. Knuth, The Art of Computer
 * Programming 3, section 5.2.5), which keeps the inner work within the cache.
 *
 * Every pass is a loop in parts. All passes over voxels have the same parts; what one of them counts, each part's own,
 * tells the next where it begins. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"

#define TABLE_MAX (UINT64_C(1) << 22) /* places of the rank table: 16 MiB of counts, turned into ranks in place */
#define BUCKET_BITS 12
#define SMALL_BUCKET 48
#define BUCKET_PARTS 256 /* buckets are sorted in so many parts, at most */

/* What is known when a pass begins; passed to parts. */
typedef struct ranking {
    uint64_t total;  /* voxels of the image */
    uint64_t inside; /* voxels of the mask */
    uint64_t nans;   /* of those, not a number */
    double correction;
    uint32_t low, high; /* least and greatest key inside, NaN left out, shifted */
    unsigned shift;     /* bits that are 0 in every float inside */
    unsigned low_bits;  /* of a key, below its bucket's number */
    uint64_t buckets, largest;
    uint64_t places; /* of a table */
} ranking;

/* What a part has found. */
typedef struct found {
    uint64_t inside, nans;
    uint64_t nans_before; /* in the parts before it */
    uint32_t low, high, used;
} found;

enum { SURVEY_LOOP, REST_LOOP, COUNT_LOOP, RANK_LOOP, SPREAD_COUNT_LOOP, SPREAD_LOOP, SORT_LOOP };
/* Shared: a found a part; a table a lane, or a counter a part and bucket; pairs; where buckets begin. */
enum { FOUND, TABLE, COUNTERS = TABLE, PAIRS, STARTS };

typedef union count_or_rank {
    uint32_t count;
    float rank;
} count_or_rank;

/* Order-preserving: negative floats are flipped whole, others get the sign bit. -0 is 0. */
static inline uint32_t key_of(float value) {
    uint32_t bits;
    value += 0.0f;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static inline uint32_t place_of(const ranking *work, float value) {
    return (key_of(value) >> work->shift) - work->low;
}

static inline bool is_nan(float value) {
    return value != value;
}

static inline float rank_of(const ranking *work, uint64_t smaller, uint64_t equal) {
    return (float)(((double)smaller + work->correction * (double)equal) / (double)work->inside);
}

/* One chunk of a part: the values and the truth of the mask. */
typedef struct chunk {
    const loom_value *image, *mask;
    uint64_t first, end;
    size_t count;
    const float *values;
    const uint8_t *truth;
    float numbers[LOOM_CHUNK];
    uint8_t bytes[LOOM_CHUNK];
} chunk;

static loom_status open_part(const loom_part *part, chunk *at) {
    at->count = 0;
    at->first = part->first;
    at->end = part->first + part->count;
    LOOM_TRY(loom_arg_image(part->call, 0, &at->image));
    return loom_arg_image(part->call, 1, &at->mask);
}

static bool next_chunk(chunk *at) {
    at->first += at->count;
    if (at->first >= at->end) return false;
    uint64_t left = at->end - at->first;
    at->count = left < LOOM_CHUNK ? (size_t)left : LOOM_CHUNK;
    at->values = loom_as_float(at->image, at->first, at->count, at->numbers);
    at->truth = loom_as_u8(at->mask, at->first, at->count, at->bytes);
    return true;
}

/* Counts, the range of keys, and the bits that occur. */
static loom_status survey_part(loom_part *part) {
    chunk at;
    found here = {.low = UINT32_MAX};
    LOOM_TRY(open_part(part, &at));
    while (next_chunk(&at))
        for (size_t k = 0; k < at.count; k++) {
            if (!at.truth[k]) continue;
            here.inside++;
            float value = at.values[k];
            if (is_nan(value)) {
                here.nans++;
                continue;
            }
            uint32_t key = key_of(value), bits;
            value += 0.0f;
            memcpy(&bits, &value, sizeof bits);
            here.used |= bits;
            here.low = key < here.low ? key : here.low;
            here.high = key > here.high ? key : here.high;
        }
    ((found *)part->shared[FOUND])[part->number] = here;
    return LOOM_OK;
}

static loom_status run_voxels(loom_call *call, uint32_t loop, const ranking *work) {
    return loom_run_parts(call, loop, work->total, LOOM_PART_VALUES, work, sizeof *work);
}

static uint32_t part_count(const ranking *work) {
    uint64_t grain = LOOM_PART_VALUES;
    return loom_count_parts(work->total, &grain);
}

static loom_status survey(loom_call *call, ranking *work) {
    void *memory = NULL;
    uint32_t low = UINT32_MAX, high = 0, used = 0, parts = part_count(work);
    LOOM_TRY(loom_share(call, FOUND, parts, sizeof(found), &memory));
    LOOM_TRY(run_voxels(call, SURVEY_LOOP, work));
    found *all = memory;
    for (uint32_t part = 0; part < parts; part++) {
        all[part].nans_before = work->nans;
        work->inside += all[part].inside;
        work->nans += all[part].nans;
        used |= all[part].used;
        low = all[part].low < low ? all[part].low : low;
        high = all[part].high > high ? all[part].high : high;
    }
    if (work->inside == work->nans) return LOOM_OK;
    work->shift = used == 0 ? 31 : (unsigned)__builtin_ctz(used);
    work->low = low >> work->shift;
    work->high = high >> work->shift;
    return LOOM_OK;
}

/* NaNs sort last and each is a class of its own, in raster order: how many are smaller than the part's first one. */
static uint64_t smaller_than_nan(const loom_part *part, const ranking *work) {
    return work->inside - work->nans + ((const found *)part->shared[FOUND])[part->number].nans_before;
}

/* NaNs, and voxels outside, which get -1. */
static loom_status rest_part(loom_part *part) {
    const ranking *work = part->state;
    chunk at;
    float *out = part->voxels;
    LOOM_TRY(open_part(part, &at));
    uint64_t smaller = smaller_than_nan(part, work);
    while (next_chunk(&at))
        for (size_t k = 0; k < at.count; k++) {
            if (!at.truth[k])
                out[at.first + k] = -1.0f;
            else if (is_nan(at.values[k]))
                out[at.first + k] = rank_of(work, smaller++, 1);
        }
    return LOOM_OK;
}

/* ---- few keys: a table ---- */

static loom_status count_part(loom_part *part) {
    const ranking *work = part->state;
    count_or_rank *table = (count_or_rank *)part->shared[TABLE] + part->lane * work->places;
    chunk at;
    LOOM_TRY(open_part(part, &at));
    while (next_chunk(&at))
        for (size_t k = 0; k < at.count; k++)
            if (at.truth[k] && !is_nan(at.values[k])) table[place_of(work, at.values[k])].count++;
    return LOOM_OK;
}

static loom_status rank_part(loom_part *part) {
    const ranking *work = part->state;
    const count_or_rank *table = part->shared[TABLE];
    chunk at;
    LOOM_TRY(open_part(part, &at));
    uint64_t smaller = smaller_than_nan(part, work);
    while (next_chunk(&at)) {
        float *out = (float *)part->voxels + at.first;
        for (size_t k = 0; k < at.count; k++) {
            if (!at.truth[k])
                out[k] = -1.0f;
            else if (is_nan(at.values[k]))
                out[k] = rank_of(work, smaller++, 1);
            else
                out[k] = table[place_of(work, at.values[k])].rank;
        }
    }
    return LOOM_OK;
}

static loom_status rank_by_table(loom_call *call, const ranking *work) {
    uint32_t lanes = loom_lanes(call);
    void *memory = NULL;
    LOOM_TRY(loom_share(call, TABLE, work->places * lanes, sizeof(count_or_rank), &memory));
    LOOM_TRY(run_voxels(call, COUNT_LOOP, work));
    count_or_rank *table = memory;
    uint64_t smaller = 0;
    for (uint64_t place = 0; place < work->places; place++) {
        uint64_t equal = 0;
        for (uint32_t lane = 0; lane < lanes; lane++)
            equal += table[lane * work->places + place].count;
        table[place].rank = rank_of(work, smaller, equal);
        smaller += equal;
    }
    return run_voxels(call, RANK_LOOP, work);
}

/* ---- many keys: buckets of pairs ---- */

typedef struct pair {
    uint32_t key;
    uint32_t voxel;
} pair;

static void sort_small(pair *pairs, uint64_t count) {
    for (uint64_t k = 1; k < count; k++) {
        pair moved = pairs[k];
        uint64_t place = k;
        for (; place > 0 && pairs[place - 1].key > moved.key; place--)
            pairs[place] = pairs[place - 1];
        pairs[place] = moved;
    }
}

/* Least significant digit first, 8 bits a pass, over the bits that differ within the bucket. */
static void sort_bucket(pair *pairs, pair *other, uint64_t count, unsigned bits) {
    if (count <= SMALL_BUCKET) {
        sort_small(pairs, count);
        return;
    }
    pair *from = pairs, *to = other;
    for (unsigned digit = 0; digit < bits; digit += 8) {
        uint64_t starts[256] = {0};
        for (uint64_t k = 0; k < count; k++)
            starts[from[k].key >> digit & 255]++;
        uint64_t sum = 0;
        for (unsigned value = 0; value < 256; value++) {
            uint64_t here = starts[value];
            starts[value] = sum;
            sum += here;
        }
        for (uint64_t k = 0; k < count; k++)
            to[starts[from[k].key >> digit & 255]++] = from[k];
        pair *swap = from;
        from = to;
        to = swap;
    }
    if (from != pairs) memcpy(pairs, from, count * sizeof *pairs);
}

static void write_ranks(const ranking *work, const pair *pairs, uint64_t count, uint64_t smaller, float *out) {
    for (uint64_t k = 0; k < count;) {
        uint64_t end = k + 1;
        while (end < count && pairs[end].key == pairs[k].key)
            end++;
        float rank = rank_of(work, smaller + k, end - k);
        for (; k < end; k++)
            out[pairs[k].voxel] = rank;
    }
}

static loom_status spread_count_part(loom_part *part) {
    const ranking *work = part->state;
    uint32_t *counters = (uint32_t *)part->shared[COUNTERS] + part->number * work->buckets;
    chunk at;
    LOOM_TRY(open_part(part, &at));
    while (next_chunk(&at))
        for (size_t k = 0; k < at.count; k++)
            if (at.truth[k] && !is_nan(at.values[k])) counters[place_of(work, at.values[k]) >> work->low_bits]++;
    return LOOM_OK;
}

/* Also what has no place among the pairs. */
static loom_status spread_part(loom_part *part) {
    const ranking *work = part->state;
    uint32_t *next = (uint32_t *)part->shared[COUNTERS] + part->number * work->buckets;
    pair *pairs = part->shared[PAIRS];
    chunk at;
    LOOM_TRY(open_part(part, &at));
    while (next_chunk(&at))
        for (size_t k = 0; k < at.count; k++) {
            if (!at.truth[k] || is_nan(at.values[k])) continue;
            uint32_t key = place_of(work, at.values[k]);
            pairs[next[key >> work->low_bits]++] = (pair){.key = key, .voxel = (uint32_t)(at.first + k)};
        }
    return rest_part(part);
}

/* Units are buckets. */
static loom_status sort_part(loom_part *part) {
    const ranking *work = part->state;
    const uint32_t *starts = part->shared[STARTS];
    pair *pairs = part->shared[PAIRS];
    if (*part->local == NULL) LOOM_TRY(loom_scratch(part->call, work->largest, sizeof(pair), part->local));
    for (uint64_t b = part->first; b < part->first + part->count; b++) {
        uint64_t first = starts[b], length = starts[b + 1] - first;
        sort_bucket(pairs + first, *part->local, length, work->low_bits);
        write_ranks(work, pairs + first, length, first, part->voxels);
    }
    return LOOM_OK;
}

static const loom_part_run loops[] = {
    [SURVEY_LOOP] = survey_part,
    [REST_LOOP] = rest_part,
    [COUNT_LOOP] = count_part,
    [RANK_LOOP] = rank_part,
    [SPREAD_COUNT_LOOP] = spread_count_part,
    [SPREAD_LOOP] = spread_part,
    [SORT_LOOP] = sort_part,
};

/* By the type: a table a worker, or pairs of all voxels and counters of the parts (at most: a mask takes less). What is
 * beyond, a bucket to sort or the table of a narrow range, the data decide. */
static uint64_t scratch(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    if (header == NULL) return 0;
    uint64_t voxels = loom_image_voxels(header), bits = loom_dtype_bytes(header->dtype) * 8;
    if (bits <= 16) return lanes * sizeof(count_or_rank) << bits;
    uint64_t parts = voxels / LOOM_PART_VALUES + 1;
    parts = parts < LOOM_PARTS_LIMIT ? parts : LOOM_PARTS_LIMIT;
    return voxels * sizeof(pair) + ((uint64_t)sizeof(uint32_t) * (parts + 1) << BUCKET_BITS);
}
const loom_loops loom_loops_percentiles = {.run = loops, .count = 7, .scratch = scratch};

/* From how many pairs each part has for each bucket to where it puts the first of them: buckets in order, within a
 * bucket parts in order. */
static void place_buckets(ranking *work, uint32_t *counters, uint32_t parts, uint32_t *starts) {
    uint32_t sum = 0;
    for (uint64_t b = 0; b < work->buckets; b++) {
        starts[b] = sum;
        for (uint32_t part = 0; part < parts; part++) {
            uint32_t here = counters[part * work->buckets + b];
            counters[part * work->buckets + b] = sum;
            sum += here;
        }
        if (sum - starts[b] > work->largest) work->largest = sum - starts[b];
    }
    starts[work->buckets] = sum;
}

static loom_status rank_by_sorting(loom_call *call, ranking *work) {
    uint32_t span = work->high - work->low, parts = part_count(work);
    unsigned span_bits = span == 0 ? 1 : 32 - (unsigned)__builtin_clz(span);
    void *counters = NULL, *pairs = NULL, *starts = NULL;
    work->low_bits = span_bits > BUCKET_BITS ? span_bits - BUCKET_BITS : 0;
    work->buckets = ((uint64_t)span >> work->low_bits) + 1;
    LOOM_TRY(loom_share(call, COUNTERS, work->buckets * parts, sizeof(uint32_t), &counters));
    LOOM_TRY(run_voxels(call, SPREAD_COUNT_LOOP, work));
    LOOM_TRY(loom_share(call, STARTS, work->buckets + 1, sizeof(uint32_t), &starts));
    place_buckets(work, counters, parts, starts);
    LOOM_TRY(loom_share(call, PAIRS, work->inside - work->nans, sizeof(pair), &pairs));
    LOOM_TRY(run_voxels(call, SPREAD_LOOP, work));
    return loom_run_parts(call, SORT_LOOP, work->buckets, work->buckets / BUCKET_PARTS + 1, work, sizeof *work);
}

/* Scratch: at most 16 MiB a worker if the keys span at most 4 Mi numbers; else 8 bytes a voxel of the mask, 8 bytes a
 * voxel of the largest bucket a worker, and 16 KiB a part (ranks of floats need all of them in order: no tile can know
 * its own). */
loom_status loom_run_percentiles(loom_call *call) {
    const loom_value *image = NULL, *mask = NULL;
    ranking work = {0};
    void *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    LOOM_TRY(loom_arg_image(call, 1, &mask));
    LOOM_TRY(loom_arg_number(call, 2, &work.correction));
    LOOM_TRY(loom_arg_same_domain(call, image, 0, mask, 1));
    const loom_image_header *header = image->image.header;
    work.total = loom_image_voxels(header);
    if (work.total > UINT32_MAX)
        return loom_fail(call->err, LOOM_TOO_LARGE, "`%s` takes images of at most 4294967295 voxels", call->op->name);
    LOOM_TRY(survey(call, &work));
    LOOM_TRY(loom_result_image(call, header, LOOM_F32, 1, &voxels));
    if (work.inside == work.nans) return run_voxels(call, REST_LOOP, &work);
    work.places = (uint64_t)work.high - work.low + 1;
    return work.places > TABLE_MAX ? rank_by_sorting(call, &work) : rank_by_table(call, &work);
}
