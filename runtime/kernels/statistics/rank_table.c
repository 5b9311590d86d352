/* rank_table.c - ranks by one table with a place for each value that may occur: see ranking.h. */
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/statistics/ranking.h"

typedef union count_or_rank {
    uint32_t count;
    float rank;
} count_or_rank;

static loom_status share_table(loom_call *call, uint64_t places, count_or_rank **table) {
    void *memory = NULL;
    LOOM_TRY(loom_share(call, LOOM_RANK_TABLE, places * loom_lanes(call), sizeof(count_or_rank), &memory));
    *table = memory;
    return LOOM_OK;
}

static count_or_rank *table_of_lane(const loom_part *part, uint64_t places) {
    return (count_or_rank *)part->shared[LOOM_RANK_TABLE] + part->lane * places;
}

/* Adds the lanes' counts into the first one's table. */
static uint64_t add_lanes(loom_call *call, count_or_rank *table, uint64_t places) {
    uint32_t lanes = loom_lanes(call);
    uint64_t total = 0;
    for (uint32_t lane = 1; lane < lanes; lane++)
        for (uint64_t place = 0; place < places; place++)
            table[place].count += table[lane * places + place].count;
    for (uint64_t place = 0; place < places; place++)
        total += table[place].count;
    return total;
}

/* From counts to ranks, in place. */
static void rank_places(const loom_ranking *work, count_or_rank *table, uint64_t places) {
    uint64_t smaller = 0;
    for (uint64_t place = 0; place < places; place++) {
        uint64_t equal = table[place].count;
        if (equal == 0) continue;
        table[place].rank = loom_rank_of(work, smaller, equal);
        smaller += equal;
    }
}

/* ---- floats ---- */

/* Where values have their places: by value if all are whole, else by key, without trailing bits that are never set. */
typedef struct places {
    bool whole;
    int32_t least;
    uint32_t low;
    unsigned shift;
} places;

static places places_of(const loom_ranking *work) {
    return (places){.whole = work->whole,
                    .least = work->whole ? (int32_t)loom_rank_value(work->low) : 0,
                    .low = loom_rank_code(work->low) >> work->shift,
                    .shift = work->shift};
}

static inline uint32_t place_of(const places *of, float value) {
    if (of->whole) return (uint32_t)((int32_t)value - of->least);
    return (loom_rank_code(loom_rank_key(value)) >> of->shift) - of->low;
}

loom_status loom_rank_count_part(loom_part *part) {
    const loom_ranking *work = part->state;
    const places of = places_of(work);
    count_or_rank *table = table_of_lane(part, work->places);
    loom_rank_chunk at;
    LOOM_TRY(loom_rank_open(part, &at));
    while (loom_rank_next(&at))
        for (size_t k = 0; k < at.count; k++)
            if (at.truth[k] && !loom_rank_is_nan(at.values[k])) table[place_of(&of, at.values[k])].count++;
    return LOOM_OK;
}

loom_status loom_rank_lookup_part(loom_part *part) {
    const loom_ranking *work = part->state;
    const places of = places_of(work);
    const count_or_rank *table = part->shared[LOOM_RANK_TABLE];
    loom_rank_chunk at;
    LOOM_TRY(loom_rank_open(part, &at));
    uint64_t smaller = loom_rank_smaller_than_nan(part, work);
    while (loom_rank_next(&at)) {
        float *out = (float *)part->voxels + at.first;
        for (size_t k = 0; k < at.count; k++) {
            if (!at.truth[k])
                out[k] = -1.0f;
            else if (loom_rank_is_nan(at.values[k]))
                out[k] = loom_rank_of(work, smaller++, 1);
            else
                out[k] = table[place_of(&of, at.values[k])].rank;
        }
    }
    return LOOM_OK;
}

loom_status loom_rank_by_table(loom_call *call, const loom_ranking *work) {
    count_or_rank *table = NULL;
    LOOM_TRY(share_table(call, work->places, &table));
    LOOM_TRY(loom_rank_run_voxels(call, LOOM_RANK_COUNT_LOOP, work));
    (void)add_lanes(call, table, work->places);
    rank_places(work, table, work->places);
    return loom_rank_run_voxels(call, LOOM_RANK_LOOKUP_LOOP, work);
}

/* ---- 8 and 16 bits ----
 *
 * The place of a value are its bits, the sign turned over. Neighbours are often equal, and counting one place twice at
 * once waits for memory: so neighbours of 8 bits are counted apart. */

#define APART 4

#define DEFINE_BYTES(type_, sign_)                                                                                     \
    static void count_##type_(const void *source, const uint8_t *truth, size_t count, count_or_rank *table) {          \
        const type_ *in = source;                                                                                      \
        uint32_t apart[APART][256] = {0};                                                                              \
        for (size_t k = 0; k < count; k++)                                                                             \
            apart[k % APART][(uint8_t)in[k] ^ (sign_)] += truth[k] != 0;                                               \
        for (size_t place = 0; place < 256; place++)                                                                   \
            for (size_t j = 0; j < APART; j++)                                                                         \
                table[place].count += apart[j][place];                                                                 \
    }
#define DEFINE_SHORTS(type_, sign_)                                                                                    \
    static void count_##type_(const void *source, const uint8_t *truth, size_t count, count_or_rank *table) {          \
        const type_ *in = source;                                                                                      \
        for (size_t k = 0; k < count; k++)                                                                             \
            table[(uint16_t)in[k] ^ (sign_)].count += truth[k] != 0;                                                   \
    }
#define DEFINE_LOOKUP(type_, unsigned_, sign_)                                                                         \
    static LOOM_SIMD void lookup_##type_(const void *source, const uint8_t *truth, size_t count,                       \
                                         const count_or_rank *table, float *out) {                                     \
        const type_ *in = source;                                                                                      \
        for (size_t k = 0; k < count; k++) {                                                                           \
            float rank = table[(unsigned_)in[k] ^ (sign_)].rank;                                                       \
            out[k] = truth[k] != 0 ? rank : -1.0f;                                                                     \
        }                                                                                                              \
    }
DEFINE_BYTES(uint8_t, 0u)
DEFINE_BYTES(int8_t, 0x80u)
DEFINE_SHORTS(uint16_t, 0u)
DEFINE_SHORTS(int16_t, 0x8000u)
DEFINE_LOOKUP(uint8_t, uint8_t, 0u)
DEFINE_LOOKUP(int8_t, uint8_t, 0x80u)
DEFINE_LOOKUP(uint16_t, uint16_t, 0u)
DEFINE_LOOKUP(int16_t, uint16_t, 0x8000u)

typedef void (*count_values)(const void *source, const uint8_t *truth, size_t count, count_or_rank *table);
typedef void (*look_up_values)(const void *source, const uint8_t *truth, size_t count, const count_or_rank *table,
                               float *out);

static const struct small_type {
    count_values count;
    look_up_values lookup;
} small_types[] = {[LOOM_BOOL8] = {count_uint8_t, lookup_uint8_t},
                   [LOOM_U8] = {count_uint8_t, lookup_uint8_t},
                   [LOOM_I8] = {count_int8_t, lookup_int8_t},
                   [LOOM_U16] = {count_uint16_t, lookup_uint16_t},
                   [LOOM_I16] = {count_int16_t, lookup_int16_t}};

/* The mask's truth for a whole part is not at hand: chunks, as ever; the image's values need no conversion. */
loom_status loom_rank_count_small_part(loom_part *part) {
    const loom_ranking *work = part->state;
    count_or_rank *table = table_of_lane(part, work->places);
    const loom_value *image = NULL, *mask = NULL;
    uint8_t bytes[LOOM_CHUNK];
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    LOOM_TRY(loom_arg_image(part->call, 1, &mask));
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
        small_types[image->image.header->dtype].count(loom_values_at(image, first),
                                                      loom_as_u8(mask, first, count, bytes), count, table);
    }
    return LOOM_OK;
}

loom_status loom_rank_lookup_small_part(loom_part *part) {
    const count_or_rank *table = part->shared[LOOM_RANK_TABLE];
    const loom_value *image = NULL, *mask = NULL;
    uint8_t bytes[LOOM_CHUNK];
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    LOOM_TRY(loom_arg_image(part->call, 1, &mask));
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
        small_types[image->image.header->dtype].lookup(loom_values_at(image, first),
                                                       loom_as_u8(mask, first, count, bytes), count, table,
                                                       (float *)part->voxels + first);
    }
    return LOOM_OK;
}

loom_status loom_rank_small(loom_call *call, loom_ranking *work) {
    const loom_value *image = NULL;
    count_or_rank *table = NULL;
    void *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    work->places = UINT64_C(1) << 8 * loom_dtype_bytes(image->image.header->dtype);
    LOOM_TRY(share_table(call, work->places, &table));
    LOOM_TRY(loom_rank_run_voxels(call, LOOM_RANK_COUNT_SMALL_LOOP, work));
    work->inside = add_lanes(call, table, work->places);
    rank_places(work, table, work->places);
    LOOM_TRY(loom_result_image(call, image->image.header, LOOM_F32, 1, &voxels));
    return loom_rank_run_voxels(call, LOOM_RANK_LOOKUP_SMALL_LOOP, work);
}
