/* rank_buckets.c - ranks of images with many different values: see ranking.h.
 *
 * Keys are spread into buckets of about equal population by their leading bits (the radix exchange of D. Knuth, The Art
 * of Computer Programming 3, section 5.2.2, one level of it), each part's in raster order. A bucket fits the cache;
 * there its keys are counted into cells, about one key each, and every key is replaced by its rank, in its place. Then
 * the image is gone through again: the next voxel of a bucket takes the next rank from it. So nothing is ever looked up
 * or written at random outside of the cache, and no position is kept. Where buckets begin was drawn from a sample;
 * ranks do not depend on it. */
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/statistics/ranking.h"

#define BUCKET_KEYS 4096u /* as many at least, if there are so many */
#define BUCKETS_WANTED 1024u
#define BUCKET_PARTS 512u /* buckets are ranked in so many parts, at most */
#define AHEAD                                                                                                          \
    16         /* keys that are asked for before they are needed: no CPU follows as many streams as there are buckets */
#define FEW 4u /* keys of a cell, compared without a branch */
#define SMALL_CELL 48u
#define TOGETHER 64u /* ranks are divided together */

/* ---- buckets ---- */

/* From how many samples there are of each prefix to the bucket of each. A prefix that alone would fill two is not
 * joined with what is before it: often it is one value, such as 0. Returns how many buckets there are. */
static uint64_t draw_buckets(const loom_ranking *work, uint32_t *samples) {
    uint32_t low = loom_rank_code(work->low) >> LOOM_RANK_PREFIX_SHIFT;
    uint32_t high = loom_rank_code(work->high) >> LOOM_RANK_PREFIX_SHIFT;
    uint64_t total = 0, inside = work->inside - work->nans, here = 0;
    uint32_t bucket = 0;
    for (uint32_t table = 1; table < work->sample_tables; table++)
        for (uint32_t prefix = low; prefix <= high; prefix++)
            samples[prefix] += samples[(size_t)table * LOOM_RANK_PREFIXES + prefix];
    for (uint32_t prefix = low; prefix <= high; prefix++)
        total += samples[prefix];
    uint64_t buckets = inside / BUCKET_KEYS < BUCKETS_WANTED ? inside / BUCKET_KEYS : BUCKETS_WANTED;
    uint64_t enough = buckets == 0 ? total + 1 : total / buckets + 1;
    for (uint32_t prefix = low; prefix <= high; prefix++) {
        uint64_t next = samples[prefix];
        if (here >= enough || (here > 0 && next >= 2 * enough)) {
            bucket++;
            here = 0;
        }
        samples[prefix] = bucket;
        here += next;
    }
    return (uint64_t)bucket + 1;
}

static inline uint32_t bucket_of(const uint32_t *bucket, int32_t key) {
    return bucket[loom_rank_code(key) >> LOOM_RANK_PREFIX_SHIFT];
}

loom_status loom_rank_sizes_part(loom_part *part) {
    const loom_ranking *work = part->state;
    const uint32_t *bucket = part->shared[LOOM_RANK_SAMPLES];
    uint32_t *sizes = (uint32_t *)part->shared[LOOM_RANK_STARTS] + part->number * work->buckets;
    loom_rank_chunk at;
    LOOM_TRY(loom_rank_open(part, &at));
    while (loom_rank_next(&at))
        for (size_t k = 0; k < at.count; k++)
            if (at.truth[k] && !loom_rank_is_nan(at.values[k])) sizes[bucket_of(bucket, loom_rank_key(at.values[k]))]++;
    return LOOM_OK;
}

/* From how many keys each part has of each bucket to where it puts the first of them: buckets in order, within a bucket
 * parts in order. `next`: room for a number a bucket. */
static void place_buckets(const loom_ranking *work, uint32_t *starts, uint32_t parts, uint32_t *next) {
    uint32_t sum = 0;
    memset(next, 0, work->buckets * sizeof *next);
    for (uint32_t part = 0; part < parts; part++)
        for (uint64_t b = 0; b < work->buckets; b++)
            next[b] += starts[part * work->buckets + b];
    for (uint64_t b = 0; b < work->buckets; b++) {
        uint32_t size = next[b];
        next[b] = sum;
        sum += size;
    }
    for (uint32_t part = 0; part < parts; part++)
        for (uint64_t b = 0; b < work->buckets; b++) {
            uint32_t *start = &starts[part * work->buckets + b], size = *start;
            *start = next[b];
            next[b] += size;
        }
}

/* Where the part's keys of each bucket go on: the worker's own copy. */
static loom_status next_of_part(loom_part *part, uint32_t **next) {
    const loom_ranking *work = part->state;
    if (*part->local == NULL) LOOM_TRY(loom_scratch(part->call, work->buckets, sizeof **next, part->local));
    *next = *part->local;
    memcpy(*next, (uint32_t *)part->shared[LOOM_RANK_STARTS] + part->number * work->buckets,
           work->buckets * sizeof **next);
    return LOOM_OK;
}

loom_status loom_rank_spread_part(loom_part *part) {
    const uint32_t *bucket = part->shared[LOOM_RANK_SAMPLES];
    int32_t *keys = part->shared[LOOM_RANK_KEYS];
    uint32_t *next = NULL;
    loom_rank_chunk at;
    LOOM_TRY(loom_rank_open(part, &at));
    LOOM_TRY(next_of_part(part, &next));
    while (loom_rank_next(&at))
        for (size_t k = 0; k < at.count; k++) {
            if (!at.truth[k] || loom_rank_is_nan(at.values[k])) continue;
            int32_t key = loom_rank_key(at.values[k]);
            uint32_t *place = &next[bucket_of(bucket, key)];
            __builtin_prefetch(&keys[*place + AHEAD], 1);
            keys[(*place)++] = key;
        }
    return LOOM_OK;
}

/* Also what has no key: NaN, and voxels outside of the mask. */
loom_status loom_rank_gather_part(loom_part *part) {
    const loom_ranking *work = part->state;
    const uint32_t *bucket = part->shared[LOOM_RANK_SAMPLES];
    const float *ranks = part->shared[LOOM_RANK_KEYS];
    uint32_t *next = NULL;
    loom_rank_chunk at;
    LOOM_TRY(loom_rank_open(part, &at));
    LOOM_TRY(next_of_part(part, &next));
    uint64_t smaller = loom_rank_smaller_than_nan(part, work);
    while (loom_rank_next(&at)) {
        float *out = (float *)part->voxels + at.first;
        for (size_t k = 0; k < at.count; k++) {
            if (!at.truth[k])
                out[k] = -1.0f;
            else if (loom_rank_is_nan(at.values[k]))
                out[k] = loom_rank_of(work, smaller++, 1);
            else {
                uint32_t *place = &next[bucket_of(bucket, loom_rank_key(at.values[k]))];
                __builtin_prefetch(&ranks[*place + AHEAD]);
                out[k] = ranks[(*place)++];
            }
        }
    }
    return LOOM_OK;
}

/* ---- ranks within a bucket ---- */

/* Room for one bucket: its keys in the order of their cells, the same again to sort a cell, where cells end. */
typedef struct bucket_room {
    size_t capacity; /* keys */
    int32_t *sorted, *other;
    uint32_t *cell;
} bucket_room;

/* The worker's own room, grown to so many keys; most buckets are about as large as the first. */
static loom_status room_for(loom_part *part, size_t count, bucket_room **room) {
    const loom_ranking *work = part->state;
    void *memory = NULL;
    if (*part->local == NULL) *part->local = loom_arena_alloc(part->call->arena, sizeof **room);
    if (*part->local == NULL)
        return loom_fail(part->call->err, LOOM_NO_MEMORY, "out of memory in `%s`", part->call->op->name);
    *room = *part->local;
    if (count <= (*room)->capacity) return LOOM_OK;
    size_t usual = (size_t)(2 * (work->inside - work->nans) / work->buckets);
    size_t capacity = count > usual ? count : usual;
    /* At most one more than twice as many cells as keys; and the few that are compared beyond the last key. */
    LOOM_TRY(loom_scratch(part->call, 4 * capacity + 1 + FEW, sizeof(uint32_t), &memory));
    int32_t *sorted = memory, *other = sorted + capacity + FEW;
    **room =
        (bucket_room){.capacity = capacity, .sorted = sorted, .other = other, .cell = (uint32_t *)(other + capacity)};
    return LOOM_OK;
}

static bool are_equal(const int32_t *keys, size_t count) {
    int32_t differ = 0;
    for (size_t k = 1; k < count; k++)
        differ |= keys[k] ^ keys[0];
    return differ == 0;
}

static void sort_small(int32_t *keys, size_t count) {
    for (size_t k = 1; k < count; k++) {
        int32_t moved = keys[k];
        size_t place = k;
        for (; place > 0 && keys[place - 1] > moved; place--)
            keys[place] = keys[place - 1];
        keys[place] = moved;
    }
}

/* Least significant digit first, 8 bits a pass, over the `bits` bits that may differ. Often all are one value. */
static void sort_cell(int32_t *keys, int32_t *other, size_t count, unsigned bits) {
    if (are_equal(keys, count)) return;
    if (count <= SMALL_CELL) {
        sort_small(keys, count);
        return;
    }
    int32_t *from = keys, *to = other;
    for (unsigned digit = 0; digit < bits; digit += 8) {
        size_t starts[256] = {0}, sum = 0;
        for (size_t k = 0; k < count; k++)
            starts[(uint32_t)from[k] >> digit & 255]++;
        for (unsigned value = 0; value < 256; value++) {
            size_t here = starts[value];
            starts[value] = sum;
            sum += here;
        }
        for (size_t k = 0; k < count; k++)
            to[starts[(uint32_t)from[k] >> digit & 255]++] = from[k];
        int32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys) memcpy(keys, from, count * sizeof *keys);
}

/* How many of the sorted keys are smaller than `limit`. */
static size_t count_below(const int32_t *sorted, size_t count, int64_t limit) {
    size_t low = 0;
    while (count > 0) {
        size_t half = count / 2;
        if (sorted[low + half] < limit) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

static unsigned bit_length(uint32_t number) {
    return number == 0 ? 0 : 32 - (unsigned)__builtin_clz(number);
}

static inline uint32_t cell_of(int32_t key, int32_t low, unsigned shift) {
    return ((uint32_t)key - (uint32_t)low) >> shift;
}

/* Puts the keys into cells, and sorts those with more than a few. Keys are in order of their cells then; cell[c] is
 * where cell c ends. */
static void fill_cells(const int32_t *keys, size_t count, int32_t low, unsigned shift, size_t cells,
                       const bucket_room *room) {
    uint32_t *cell = room->cell, sum = 0;
    memset(cell, 0, cells * sizeof *cell);
    for (size_t k = 0; k < count; k++)
        cell[cell_of(keys[k], low, shift)]++;
    for (size_t c = 0; c < cells; c++) {
        uint32_t size = cell[c];
        cell[c] = sum;
        sum += size;
    }
    for (size_t k = 0; k < count; k++)
        room->sorted[cell[cell_of(keys[k], low, shift)]++] = keys[k];
    for (size_t c = 0; c < cells; c++) {
        uint32_t start = c == 0 ? 0 : cell[c - 1];
        if (cell[c] - start > FEW) sort_cell(room->sorted + start, room->other, cell[c] - start, shift);
    }
}

/* Smaller keys of the bucket, and equal ones times the correction: the part of a rank that is the key's own. */
static inline double own_share(const loom_ranking *work, int32_t key, const uint32_t *cell, uint32_t at,
                               const int32_t *sorted, uint64_t before) {
    uint32_t start = at == 0 ? 0 : cell[at - 1], size = cell[at] - start;
    const int32_t *here = sorted + start;
    uint32_t smaller = 0, equal = 0;
    if (size <= FEW) { /* what follows the cell is greater */
        for (size_t j = 0; j < FEW; j++) {
            smaller += here[j] < key;
            equal += here[j] == key;
        }
    } else if (here[0] == here[size - 1]) {
        equal = size;
    } else {
        smaller = (uint32_t)count_below(here, size, key);
        equal = (uint32_t)count_below(here + smaller, size - smaller, (int64_t)key + 1);
    }
    return loom_rank_share(work, before + start + smaller, equal);
}

static LOOM_SIMD void span_of(const int32_t *keys, size_t count, int32_t *low, int32_t *high) {
    int32_t least = INT32_MAX, greatest = INT32_MIN;
    for (size_t k = 0; k < count; k++) {
        least = keys[k] < least ? keys[k] : least;
        greatest = keys[k] > greatest ? keys[k] : greatest;
    }
    *low = least;
    *high = greatest;
}

static LOOM_SIMD void write_ranks(const loom_ranking *work, const double *shares, size_t count, int32_t *keys) {
    double inside = (double)(int64_t)work->inside;
    for (size_t k = 0; k < count; k++) {
        float rank = (float)(shares[k] / inside);
        memcpy(&keys[k], &rank, sizeof rank);
    }
}

/* Replaces each key by its rank. `before`: keys of the buckets before this one. */
static loom_status rank_bucket(loom_part *part, int32_t *keys, size_t count, uint64_t before) {
    const loom_ranking *work = part->state;
    int32_t low = 0, high = 0;
    bucket_room *room = NULL;
    span_of(keys, count, &low, &high);
    if (low == high) {
        float rank = loom_rank_of(work, before, count);
        for (size_t k = 0; k < count; k++)
            memcpy(&keys[k], &rank, sizeof rank);
        return LOOM_OK;
    }
    LOOM_TRY(room_for(part, count, &room));
    uint32_t span = (uint32_t)high - (uint32_t)low;
    unsigned span_bits = bit_length(span), count_bits = bit_length((uint32_t)count);
    unsigned shift = span_bits > count_bits ? span_bits - count_bits : 0;
    low = (int32_t)((uint32_t)low & UINT32_MAX << shift); /* so that the keys of a cell differ in these bits only */
    span = (uint32_t)high - (uint32_t)low;
    fill_cells(keys, count, low, shift, (size_t)(span >> shift) + 1, room);
    for (size_t k = 0; k < FEW; k++)
        room->sorted[count + k] = INT32_MAX; /* greater than any key */
    for (size_t first = 0; first < count; first += TOGETHER) {
        double shares[TOGETHER];
        size_t n = count - first < TOGETHER ? count - first : TOGETHER;
        for (size_t k = 0; k < n; k++)
            shares[k] = own_share(work, keys[first + k], room->cell, cell_of(keys[first + k], low, shift), room->sorted,
                                  before);
        write_ranks(work, shares, n, keys + first);
    }
    return LOOM_OK;
}

/* Units are buckets. */
loom_status loom_rank_buckets_part(loom_part *part) {
    const loom_ranking *work = part->state;
    const uint32_t *starts = part->shared[LOOM_RANK_STARTS]; /* those of part 0 are the buckets' own */
    for (uint64_t b = part->first; b < part->first + part->count; b++) {
        uint64_t end = b + 1 < work->buckets ? starts[b + 1] : work->inside - work->nans;
        int32_t *keys = (int32_t *)part->shared[LOOM_RANK_KEYS] + starts[b];
        if (end > starts[b]) LOOM_TRY(rank_bucket(part, keys, (size_t)(end - starts[b]), starts[b]));
    }
    return LOOM_OK;
}

uint64_t loom_rank_buckets_scratch(uint64_t voxels) {
    uint64_t parts = voxels / LOOM_PART_VALUES + 1;
    uint64_t buckets = voxels / BUCKET_KEYS < BUCKETS_WANTED ? 2 * (voxels / BUCKET_KEYS) + 1 : 2 * BUCKETS_WANTED;
    parts = parts < LOOM_PARTS_LIMIT ? parts : LOOM_PARTS_LIMIT;
    return (voxels + parts * buckets) * sizeof(uint32_t);
}

loom_status loom_rank_by_buckets(loom_call *call, loom_ranking *work) {
    uint32_t *samples = call->shared[LOOM_RANK_SAMPLES], parts = loom_rank_part_count(work);
    void *starts = NULL, *keys = NULL, *next = NULL;
    work->buckets = draw_buckets(work, samples);
    LOOM_TRY(loom_share(call, LOOM_RANK_STARTS, work->buckets * parts, sizeof(uint32_t), &starts));
    LOOM_TRY(loom_rank_run_voxels(call, LOOM_RANK_SIZES_LOOP, work));
    LOOM_TRY(loom_scratch(call, work->buckets, sizeof(uint32_t), &next));
    place_buckets(work, starts, parts, next);
    LOOM_TRY(loom_share(call, LOOM_RANK_KEYS, work->inside - work->nans, sizeof(int32_t), &keys));
    LOOM_TRY(loom_rank_run_voxels(call, LOOM_RANK_SPREAD_LOOP, work));
    LOOM_TRY(loom_run_parts(call, LOOM_RANK_BUCKETS_LOOP, work->buckets, work->buckets / BUCKET_PARTS + 1, work,
                            sizeof *work));
    return loom_rank_run_voxels(call, LOOM_RANK_GATHER_LOOP, work);
}
