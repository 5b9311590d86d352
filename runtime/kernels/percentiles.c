/* percentiles.c - the rank of every voxel among the voxels of a mask.
 *
 * Ranks come from counting, not from comparing. A float is turned into an unsigned key of the same order; trailing bits
 * that no voxel uses are dropped. If the keys that occur span few enough numbers (all 8-bit and most integer images),
 * one table with a place for each gives every rank in two passes over the image. Otherwise (key, position) pairs are
 * spread into buckets by their leading bits and each bucket is sorted by radix (D. Knuth, The Art of Computer
 * Programming 3, section 5.2.5), which keeps the inner work within the cache. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/arguments.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/voxels.h"

#define TABLE_MAX (UINT64_C(1) << 22) /* places of the rank table: 16 MiB of counts, turned into ranks in place */
#define BUCKET_BITS 12
#define SMALL_BUCKET 48

/* What one call works on. */
typedef struct ranking {
    const loom_value *image, *mask;
    uint64_t total;  /* voxels of the image */
    uint64_t inside; /* voxels of the mask */
    uint64_t nans;   /* of those, not a number */
    double correction;
    uint32_t low, high; /* least and greatest key inside, NaN left out, shifted */
    unsigned shift;     /* bits that are 0 in every float inside */
    float *out;
} ranking;

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

static inline bool is_nan(float value) {
    return value != value;
}

static inline float rank_of(const ranking *work, uint64_t smaller, uint64_t equal) {
    return (float)(((double)smaller + work->correction * (double)equal) / (double)work->inside);
}

/* Calls of one chunk: the values and the truth of the mask. */
typedef struct chunk {
    uint64_t first;
    size_t count;
    const float *values;
    const uint8_t *truth;
    float numbers[LOOM_CHUNK];
    uint8_t bytes[LOOM_CHUNK];
} chunk;

static bool next_chunk(const ranking *work, chunk *part) {
    part->first += part->count;
    if (part->first >= work->total) return false;
    uint64_t left = work->total - part->first;
    part->count = left < LOOM_CHUNK ? (size_t)left : LOOM_CHUNK;
    part->values = loom_as_float(work->image, part->first, part->count, part->numbers);
    part->truth = loom_as_u8(work->mask, part->first, part->count, part->bytes);
    return true;
}

/* Counts, the range of keys, and the bits that occur. */
static void survey(ranking *work) {
    chunk part = {0};
    uint32_t low = UINT32_MAX, high = 0, used = 0;
    while (next_chunk(work, &part))
        for (size_t k = 0; k < part.count; k++) {
            if (!part.truth[k]) continue;
            work->inside++;
            float value = part.values[k];
            if (is_nan(value)) {
                work->nans++;
                continue;
            }
            uint32_t key = key_of(value), bits;
            value += 0.0f;
            memcpy(&bits, &value, sizeof bits);
            used |= bits;
            low = key < low ? key : low;
            high = key > high ? key : high;
        }
    if (work->inside == work->nans) return;
    work->shift = used == 0 ? 31 : (unsigned)__builtin_ctz(used);
    work->low = low >> work->shift;
    work->high = high >> work->shift;
}

/* NaNs sort last and each is a class of its own, in raster order; voxels outside get -1. */
static void fill_the_rest(const ranking *work) {
    chunk part = {0};
    uint64_t smaller = work->inside - work->nans;
    while (next_chunk(work, &part))
        for (size_t k = 0; k < part.count; k++) {
            if (!part.truth[k])
                work->out[part.first + k] = -1.0f;
            else if (is_nan(part.values[k]))
                work->out[part.first + k] = rank_of(work, smaller++, 1);
        }
}

/* ---- few keys: a table ---- */

static void rank_by_table(const ranking *work, count_or_rank *table, uint64_t places) {
    chunk part = {0};
    while (next_chunk(work, &part))
        for (size_t k = 0; k < part.count; k++)
            if (part.truth[k] && !is_nan(part.values[k]))
                table[(key_of(part.values[k]) >> work->shift) - work->low].count++;
    uint64_t smaller = 0;
    for (uint64_t place = 0; place < places; place++) {
        uint64_t equal = table[place].count;
        table[place].rank = rank_of(work, smaller, equal);
        smaller += equal;
    }
    part = (chunk){0};
    uint64_t nan_smaller = work->inside - work->nans;
    while (next_chunk(work, &part)) {
        float *out = work->out + part.first;
        for (size_t k = 0; k < part.count; k++) {
            if (!part.truth[k])
                out[k] = -1.0f;
            else if (is_nan(part.values[k]))
                out[k] = rank_of(work, nan_smaller++, 1);
            else
                out[k] = table[(key_of(part.values[k]) >> work->shift) - work->low].rank;
        }
    }
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

static void write_ranks(const ranking *work, const pair *pairs, uint64_t count, uint64_t smaller) {
    for (uint64_t k = 0; k < count;) {
        uint64_t end = k + 1;
        while (end < count && pairs[end].key == pairs[k].key)
            end++;
        float rank = rank_of(work, smaller + k, end - k);
        for (; k < end; k++)
            work->out[pairs[k].voxel] = rank;
    }
}

static loom_status rank_by_sorting(loom_call *call, const ranking *work) {
    uint32_t span = work->high - work->low;
    unsigned span_bits = span == 0 ? 1 : 32 - (unsigned)__builtin_clz(span);
    unsigned low_bits = span_bits > BUCKET_BITS ? span_bits - BUCKET_BITS : 0;
    uint64_t buckets = ((uint64_t)span >> low_bits) + 1, count = work->inside - work->nans;
    void *memory = NULL;
    LOOM_TRY(loom_scratch(call, buckets + 1, sizeof(uint64_t), &memory));
    uint64_t *start = memory;
    memset(start, 0, (buckets + 1) * sizeof *start);
    chunk part = {0};
    while (next_chunk(work, &part))
        for (size_t k = 0; k < part.count; k++)
            if (part.truth[k] && !is_nan(part.values[k]))
                start[((key_of(part.values[k]) >> work->shift) - work->low) >> low_bits]++;
    uint64_t largest = 0, sum = 0;
    for (uint64_t b = 0; b <= buckets; b++) {
        uint64_t here = start[b];
        if (here > largest) largest = here;
        start[b] = sum;
        sum += here;
    }
    LOOM_TRY(loom_scratch(call, count, sizeof(pair), &memory));
    pair *pairs = memory;
    LOOM_TRY(loom_scratch(call, largest, sizeof(pair), &memory));
    pair *other = memory;
    part = (chunk){0};
    while (next_chunk(work, &part))
        for (size_t k = 0; k < part.count; k++) {
            if (!part.truth[k] || is_nan(part.values[k])) continue;
            uint32_t key = (key_of(part.values[k]) >> work->shift) - work->low;
            pairs[start[key >> low_bits]++] = (pair){.key = key, .voxel = (uint32_t)(part.first + k)};
        }
    /* Filling moved every start to the next bucket's. */
    for (uint64_t b = 0, first = 0; b < buckets; first = start[b++]) {
        uint64_t length = start[b] - first;
        sort_bucket(pairs + first, other, length, low_bits);
        write_ranks(work, pairs + first, length, first);
    }
    fill_the_rest(work);
    return LOOM_OK;
}

/* Scratch: at most 16 MiB if the keys span at most 4 Mi numbers; else 8 bytes a voxel of the mask and 8 bytes a voxel
 * of the largest bucket (ranks of floats need all of them in order: no tile can know its own). */
loom_status loom_run_percentiles(loom_call *call) {
    ranking work = {0};
    void *memory = NULL, *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &work.image));
    LOOM_TRY(loom_arg_image(call, 1, &work.mask));
    LOOM_TRY(loom_arg_number(call, 2, &work.correction));
    LOOM_TRY(loom_arg_same_domain(call, work.image, 0, work.mask, 1));
    const loom_image_header *header = work.image->image.header;
    work.total = loom_image_voxels(header);
    if (work.total > UINT32_MAX)
        return loom_fail(call->err, LOOM_TOO_LARGE, "`%s` takes images of at most 4294967295 voxels", call->op->name);
    survey(&work);
    LOOM_TRY(loom_result_image(call, header, LOOM_F32, 1, &voxels));
    work.out = voxels;
    if (work.inside == work.nans) {
        fill_the_rest(&work);
        return LOOM_OK;
    }
    uint64_t places = (uint64_t)work.high - work.low + 1;
    if (places > TABLE_MAX) return rank_by_sorting(call, &work);
    LOOM_TRY(loom_scratch(call, places, sizeof(count_or_rank), &memory));
    memset(memory, 0, places * sizeof(count_or_rank));
    rank_by_table(&work, memory, places);
    return LOOM_OK;
}
