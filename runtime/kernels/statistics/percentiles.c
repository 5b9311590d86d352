/* percentiles.c - the rank of every voxel among the voxels of a mask.
 *
 * Ranks come from counting, not from comparing. If the values span few enough whole numbers, one table with a place
 * for each gives every rank in two passes over the image (rank_table.c). Else a float is turned into a number of the
 * same order, its key; trailing bits that no voxel uses are dropped, and if the keys span few enough numbers there is a
 * table for these. Otherwise keys are counted within buckets that fit the cache (rank_buckets.c). */
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/statistics/ranking.h"

#define TABLE_MAX (UINT64_C(1) << 20) /* places of the rank table: 4 MiB of counts, turned into ranks in place */
#define WHOLE_MAX 4194304.0f          /* 2^22: up to here whole numbers show by ROUNDER */
#define ROUNDER 12582912.0f           /* 1.5 * 2^23: a float added to it loses what is not whole */
#define SAMPLE_STEP 61                /* one value of so many is sampled: no multiple of a usual width */

/* Counts, the range of keys, and the bits that occur: of one chunk, with masks in the place of branches. */
static LOOM_SIMD void survey_chunk(const float *values, const uint8_t *truth, size_t count, loom_rank_found *found) {
    uint32_t inside = 0, nans = 0, used = 0, broken = 0;
    int32_t low = found->low, high = found->high;
    for (size_t k = 0; k < count; k++) {
        float value = values[k] + 0.0f;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        uint32_t in = truth[k] != 0 ? UINT32_MAX : 0, nan = value != value ? UINT32_MAX : 0, keep = in & ~nan;
        uint32_t key = bits ^ ((uint32_t)((int32_t)bits >> 31) & 0x7FFFFFFFu);
        int32_t least = (int32_t)((key & keep) | (0x7FFFFFFFu & ~keep));
        int32_t greatest = (int32_t)((key & keep) | (0x80000000u & ~keep));
        inside -= in;
        nans -= in & nan;
        used |= bits & keep;
        broken |= keep & (value + ROUNDER - ROUNDER != value ? UINT32_MAX : 0);
        low = least < low ? least : low;
        high = greatest > high ? greatest : high;
    }
    found->inside += inside;
    found->nans += nans;
    found->used |= used;
    found->broken |= broken;
    found->low = low;
    found->high = high;
}

static loom_status survey_part(loom_part *part) {
    const loom_ranking *work = part->state;
    uint32_t table = work->sample_tables == loom_rank_part_count(work) ? part->number : part->lane;
    uint32_t *samples = (uint32_t *)part->shared[LOOM_RANK_SAMPLES] + (size_t)table * LOOM_RANK_PREFIXES;
    loom_rank_chunk at;
    loom_rank_found here = {.low = INT32_MAX, .high = INT32_MIN};
    LOOM_TRY(loom_rank_open(part, &at));
    while (loom_rank_next(&at)) {
        survey_chunk(at.values, at.truth, at.count, &here);
        for (size_t k = 0; k < at.count; k += SAMPLE_STEP)
            if (at.truth[k] && !loom_rank_is_nan(at.values[k]))
                samples[loom_rank_code(loom_rank_key(at.values[k])) >> LOOM_RANK_PREFIX_SHIFT]++;
    }
    ((loom_rank_found *)part->shared[LOOM_RANK_FOUND])[part->number] = here;
    return LOOM_OK;
}

static uint32_t sample_tables(uint64_t voxels, uint32_t lanes) {
    uint64_t grain = LOOM_PART_VALUES;
    uint32_t parts = loom_count_parts(voxels, &grain);
    return parts < lanes ? parts : lanes;
}

static loom_status survey(loom_call *call, loom_ranking *work) {
    void *memory = NULL, *samples = NULL;
    uint32_t used = 0, broken = 0, parts = loom_rank_part_count(work);
    LOOM_TRY(loom_share(call, LOOM_RANK_FOUND, parts, sizeof(loom_rank_found), &memory));
    work->sample_tables = sample_tables(work->total, loom_lanes(call));
    LOOM_TRY(loom_share(call, LOOM_RANK_SAMPLES, (size_t)work->sample_tables * LOOM_RANK_PREFIXES, sizeof(uint32_t),
                        &samples));
    LOOM_TRY(loom_rank_run_voxels(call, LOOM_RANK_SURVEY_LOOP, work));
    loom_rank_found *all = memory;
    work->low = INT32_MAX;
    work->high = INT32_MIN;
    for (uint32_t part = 0; part < parts; part++) {
        all[part].nans_before = work->nans;
        work->inside += all[part].inside;
        work->nans += all[part].nans;
        used |= all[part].used;
        broken |= all[part].broken;
        work->low = all[part].low < work->low ? all[part].low : work->low;
        work->high = all[part].high > work->high ? all[part].high : work->high;
    }
    work->whole = broken == 0 && loom_rank_value(work->low) > -WHOLE_MAX && loom_rank_value(work->high) < WHOLE_MAX;
    work->shift = used == 0 ? 31 : (unsigned)__builtin_ctz(used);
    return LOOM_OK;
}

/* Where no voxel has a key: NaNs, and voxels outside, which get -1. */
static loom_status rest_part(loom_part *part) {
    const loom_ranking *work = part->state;
    loom_rank_chunk at;
    float *out = part->voxels;
    LOOM_TRY(loom_rank_open(part, &at));
    uint64_t smaller = loom_rank_smaller_than_nan(part, work);
    while (loom_rank_next(&at))
        for (size_t k = 0; k < at.count; k++)
            out[at.first + k] = at.truth[k] ? loom_rank_of(work, smaller++, 1) : -1.0f;
    return LOOM_OK;
}

static const loom_part_run loops[LOOM_RANK_LOOPS] = {
    [LOOM_RANK_SURVEY_LOOP] = survey_part,
    [LOOM_RANK_REST_LOOP] = rest_part,
    [LOOM_RANK_COUNT_LOOP] = loom_rank_count_part,
    [LOOM_RANK_LOOKUP_LOOP] = loom_rank_lookup_part,
    [LOOM_RANK_COUNT_SMALL_LOOP] = loom_rank_count_small_part,
    [LOOM_RANK_LOOKUP_SMALL_LOOP] = loom_rank_lookup_small_part,
    [LOOM_RANK_SIZES_LOOP] = loom_rank_sizes_part,
    [LOOM_RANK_SPREAD_LOOP] = loom_rank_spread_part,
    [LOOM_RANK_BUCKETS_LOOP] = loom_rank_buckets_part,
    [LOOM_RANK_GATHER_LOOP] = loom_rank_gather_part,
};

static bool is_small(uint8_t dtype) {
    return loom_dtype_bytes(dtype) <= 2;
}

/* By the type: a table a worker, or samples a worker or part, the keys of all voxels and where those of each part begin
 * (at most: a mask takes less). What is beyond, room for a bucket or the table of a narrow range, the data decide. */
static uint64_t scratch(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    if (header == NULL) return 0;
    if (is_small(header->dtype)) return (uint64_t)lanes * sizeof(float) << 8 * loom_dtype_bytes(header->dtype);
    uint64_t voxels = loom_image_voxels(header);
    return sample_tables(voxels, lanes) * (uint64_t)LOOM_RANK_PREFIXES * sizeof(uint32_t) +
           loom_rank_buckets_scratch(voxels);
}
const loom_loops loom_loops_percentiles = {.run = loops, .count = LOOM_RANK_LOOPS, .scratch = scratch};

static uint64_t count_places(const loom_ranking *work) {
    if (work->whole) return (uint64_t)(loom_rank_value(work->high) - loom_rank_value(work->low)) + 1;
    return (uint64_t)(loom_rank_code(work->high) >> work->shift) - (loom_rank_code(work->low) >> work->shift) + 1;
}

/* Scratch: 256 KiB a worker for 16 bits, 1 KiB for 8. Else 1 MiB a worker, and 4 MiB a worker if the keys span at most
 * 1 Mi numbers; or 4 bytes a voxel of the mask, 16 bytes a key of the largest bucket a worker, and at most 16 KiB a
 * part (ranks of floats need all of them in order: no tile can know its own). */
loom_status loom_run_percentiles(loom_call *call) {
    const loom_value *image = NULL, *mask = NULL;
    loom_ranking work = {0};
    void *voxels = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    LOOM_TRY(loom_arg_image(call, 1, &mask));
    LOOM_TRY(loom_arg_number(call, 2, &work.correction));
    LOOM_TRY(loom_arg_same_domain(call, image, 0, mask, 1));
    const loom_image_header *header = image->image.header;
    work.total = loom_image_voxels(header);
    if (work.total > UINT32_MAX)
        return loom_fail(call->err, LOOM_TOO_LARGE, "`%s` takes images of at most 4294967295 voxels", call->op->name);
    if (is_small(header->dtype)) return loom_rank_small(call, &work);
    LOOM_TRY(survey(call, &work));
    LOOM_TRY(loom_result_image(call, header, LOOM_F32, 1, &voxels));
    if (work.inside == work.nans) return loom_rank_run_voxels(call, LOOM_RANK_REST_LOOP, &work);
    work.places = count_places(&work);
    return work.places > TABLE_MAX ? loom_rank_by_buckets(call, &work) : loom_rank_by_table(call, &work);
}
