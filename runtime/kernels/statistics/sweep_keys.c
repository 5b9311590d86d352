/* sweep_keys.c - see sweep_keys.h.
 *
 * The order of IEEE 754 numbers is that of their bits as integers with signs and magnitudes; so one kind of unsigned
 * key serves every type (Herf, "Radix Tricks", 2001). Each voxel costs a look into the table, two comparisons and a
 * count, however many edges there are. */
#include "runtime/kernels/statistics/sweep_keys.h"

#include <stdlib.h>
#include <string.h>

#define COPIES 4u /* of the bins, in turn: equal neighbours would wait for each other's count */

/* ---- keys ---- */

static inline uint32_t key_of_uint8_t(uint8_t value) {
    return value;
}
static inline uint32_t key_of_int8_t(int8_t value) {
    return (uint32_t)(value + 0x80);
}
static inline uint32_t key_of_uint16_t(uint16_t value) {
    return value;
}
static inline uint32_t key_of_int16_t(int16_t value) {
    return (uint32_t)(value + 0x8000);
}
static inline uint32_t key_of_uint32_t(uint32_t value) {
    return value;
}
static inline uint32_t key_of_int32_t(int32_t value) {
    return (uint32_t)value ^ UINT32_C(0x80000000);
}
static inline uint64_t key_of_uint64_t(uint64_t value) {
    return value;
}
static inline uint64_t key_of_int64_t(int64_t value) {
    return (uint64_t)value ^ UINT64_C(0x8000000000000000);
}
/* NaN: the greatest key, above that of infinity. */
static inline uint32_t key_of_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (bits << 1 == 0) bits = 0; /* -0 is 0 */
    uint32_t key = bits ^ ((uint32_t) - (bits >> 31) | UINT32_C(0x80000000));
    return value != value ? UINT32_MAX : key;
}
static inline uint64_t key_of_double(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (bits << 1 == 0) bits = 0;
    uint64_t key = bits ^ ((uint64_t) - (bits >> 63) | UINT64_C(0x8000000000000000));
    return value != value ? UINT64_MAX : key;
}

bool loom_sweep_key(uint8_t dtype, loom_pixel pixel, uint64_t *key) {
    switch (dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        *key = key_of_##type_(pixel.as_##type_);                                                                       \
        return pixel.as_##type_ == pixel.as_##type_;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        return false;
    }
}

/* ---- edges ---- */

static int by_key(const void *a, const void *b) {
    uint64_t left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return (left > right) - (left < right);
}

/* The bucket of a key; behind the last edge's there is one more for all above. */
static inline uint64_t bucket_of(const loom_sweep_edges *edges, uint64_t key) {
    uint64_t bucket = key > edges->keys[0] ? (key - edges->keys[0]) >> edges->shift : 0;
    return bucket < edges->buckets ? bucket : edges->buckets;
}

/* Whether buckets of 2^shift hold one edge each at most. */
static bool are_apart(const loom_sweep_edges *edges, uint32_t shift) {
    for (uint32_t i = 1; i < edges->count; i++)
        if ((edges->keys[i] - edges->keys[0]) >> shift == (edges->keys[i - 1] - edges->keys[0]) >> shift) return false;
    return true;
}

static void make_table(loom_sweep_edges *edges) {
    uint64_t range = edges->count ? edges->keys[edges->count - 1] - edges->keys[0] : 0;
    uint32_t shift = 63;
    while (shift > 0 && !are_apart(edges, shift))
        shift--;
    edges->buckets = 0;
    edges->shift = shift;
    if (range >> shift >= LOOM_SWEEP_BUCKETS_MAX) return;
    edges->buckets = (uint32_t)(range >> shift) + 1;
    uint32_t edge = 0;
    for (uint32_t bucket = 0; bucket <= edges->buckets; bucket++) {
        while (edge < edges->count && bucket_of(edges, edges->keys[edge]) < bucket)
            edge++;
        edges->first[bucket] = (uint16_t)edge;
    }
}

void loom_sweep_edges_settle(loom_sweep_edges *edges) {
    uint32_t count = 0;
    qsort(edges->keys, edges->count, sizeof edges->keys[0], by_key);
    for (uint32_t i = 0; i < edges->count; i++)
        if (i == 0 || edges->keys[i] != edges->keys[count - 1]) edges->keys[count++] = edges->keys[i];
    edges->count = count;
    edges->keys[count] = loom_dtype_bytes(edges->dtype) == 8 ? UINT64_MAX : UINT32_MAX;
    make_table(edges);
}

/* How many edges are below the key, without branches. */
static inline uint32_t edges_below(const loom_sweep_edges *edges, uint64_t key) {
    uint32_t below = 0;
    for (uint32_t left = edges->count; left > 0;) {
        uint32_t half = (left + 1) / 2;
        bool above = edges->keys[below + half - 1] < key;
        below += above ? half : 0;
        left = above ? left - half : half - 1;
    }
    return below;
}

uint32_t loom_sweep_edge_of(const loom_sweep_edges *edges, uint64_t key) {
    return edges_below(edges, key);
}

/* ---- counting ---- */

static inline uint32_t bin_at(const loom_sweep_edges *edges, uint32_t edge, uint64_t key) {
    /* The edge behind the last is the greatest key: nothing is above it. */
    return 2 * edge + (key >= edges->keys[edge]) + (key > edges->keys[edge]);
}

#define DEFINE_COUNT(type_)                                                                                            \
    static void count_##type_(const loom_sweep_edges *edges, const type_ *values, uint64_t count,                      \
                              uint32_t(*bins)[LOOM_SWEEP_BINS_MAX]) {                                                  \
        if (edges->buckets) {                                                                                          \
            for (uint64_t k = 0; k < count; k++) {                                                                     \
                uint64_t key = key_of_##type_(values[k]);                                                              \
                uint32_t edge = edges->first[bucket_of(edges, key)];                                                   \
                bins[k % COPIES][bin_at(edges, edge, key)]++;                                                          \
            }                                                                                                          \
            return;                                                                                                    \
        }                                                                                                              \
        for (uint64_t k = 0; k < count; k++) {                                                                         \
            uint64_t key = key_of_##type_(values[k]);                                                                  \
            bins[k % COPIES][bin_at(edges, edges_below(edges, key), key)]++;                                           \
        }                                                                                                              \
    }
LOOM_EACH_CTYPE(DEFINE_COUNT)

static void count_some(const loom_sweep_edges *edges, const void *values, uint64_t count,
                       uint32_t (*bins)[LOOM_SWEEP_BINS_MAX]) {
    switch (edges->dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        count_##type_(edges, values, count, bins);                                                                     \
        break;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        break;
    }
}

void loom_sweep_count(const loom_sweep_edges *edges, const void *values, uint64_t count, uint64_t *bins) {
    uint32_t copies[COPIES][LOOM_SWEEP_BINS_MAX]; /* 16 KiB: the first-level cache */
    uint32_t used = LOOM_SWEEP_BINS(edges->count);
    const uint8_t *bytes = values;
    while (count > 0) {
        uint64_t some = count < (UINT64_C(1) << 31) ? count : UINT64_C(1) << 31;
        for (uint32_t copy = 0; copy < COPIES; copy++)
            memset(copies[copy], 0, used * sizeof copies[copy][0]);
        count_some(edges, bytes, some, copies);
        for (uint32_t bin = 0; bin < used; bin++)
            for (uint32_t copy = 0; copy < COPIES; copy++)
                bins[bin] += copies[copy][bin];
        bytes += some * loom_dtype_bytes(edges->dtype);
        count -= some;
    }
}

void loom_sweep_count_histogram(const loom_sweep_edges *edges, const uint64_t *histogram, uint64_t *bins) {
    uint32_t size = loom_dtype_bytes(edges->dtype) == 1 ? 1u << 8 : 1u << 16;
    for (uint32_t bits = 0; bits < size; bits++) {
        uint64_t key = 0;
        loom_pixel pixel = {0};
        if (size == 1u << 8)
            pixel.as_uint8_t = (uint8_t)bits;
        else
            pixel.as_uint16_t = (uint16_t)bits;
        (void)loom_sweep_key(edges->dtype, pixel, &key); /* whole numbers: there is no NaN */
        bins[bin_at(edges, edges_below(edges, key), key)] += histogram[bits];
    }
}
