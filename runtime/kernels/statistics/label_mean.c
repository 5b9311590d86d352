/* label_mean.c - every label painted with the mean of the values over it.
 *
 * Sums are doubles in raster order, as VoxLogicA-2 adds them, so one worker goes through the values; the rest is done
 * in parts. */
#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"

enum { LARGEST_LOOP, PAINT_LOOP };
enum { EXTREMES, MEANS }; /* shared */

typedef struct extremes {
    int64_t least, largest;
} extremes;

/* Sum and number of the values, then their mean. */
typedef struct label {
    double sum;
    uint64_t count;
} label;

/* Labels as whole numbers, truncated. */
static const int64_t *labels_at(const loom_value *image, uint64_t first, size_t count, int64_t *buffer) {
    loom_cast(image->image.header->dtype, loom_values_at(image, first), LOOM_I64, buffer, count);
    return buffer;
}

static size_t chunk_at(uint64_t first, uint64_t end) {
    return end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
}

static loom_status largest_part(loom_part *part) {
    const loom_value *labels = NULL;
    int64_t buffer[LOOM_CHUNK];
    extremes here = {.least = INT64_MAX, .largest = INT64_MIN};
    LOOM_TRY(loom_arg_image(part->call, 0, &labels));
    for (uint64_t first = part->first, end = first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = chunk_at(first, end);
        const int64_t *numbers = labels_at(labels, first, count, buffer);
        for (size_t k = 0; k < count; k++) {
            here.least = numbers[k] < here.least ? numbers[k] : here.least;
            here.largest = numbers[k] > here.largest ? numbers[k] : here.largest;
        }
    }
    ((extremes *)part->shared[EXTREMES])[part->number] = here;
    return LOOM_OK;
}

static loom_status paint_part(loom_part *part) {
    const loom_value *labels = NULL;
    const label *means = part->shared[MEANS];
    int64_t buffer[LOOM_CHUNK];
    LOOM_TRY(loom_arg_image(part->call, 0, &labels));
    for (uint64_t first = part->first, end = first + part->count; first < end; first += LOOM_CHUNK) {
        size_t count = chunk_at(first, end);
        const int64_t *numbers = labels_at(labels, first, count, buffer);
        float *out = (float *)part->voxels + first;
        for (size_t k = 0; k < count; k++)
            out[k] = (float)means[numbers[k]].sum;
    }
    return LOOM_OK;
}

static const loom_part_run loops[] = {[LARGEST_LOOP] = largest_part, [PAINT_LOOP] = paint_part};
const loom_loops loom_loops_label_mean = {.run = loops, .count = 2};

static loom_status find_largest(loom_call *call, uint64_t voxels, uint64_t *largest) {
    uint64_t grain = LOOM_PART_VALUES;
    uint32_t parts = loom_count_parts(voxels, &grain);
    void *memory = NULL;
    LOOM_TRY(loom_share(call, EXTREMES, parts, sizeof(extremes), &memory));
    LOOM_TRY(loom_run_parts(call, LARGEST_LOOP, voxels, LOOM_PART_VALUES, NULL, 0));
    const extremes *all = memory;
    *largest = 0;
    for (uint32_t part = 0; part < parts; part++) {
        if (all[part].least < 0)
            return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                             "argument 1 of `%s` has the label %lld; labels are whole numbers from 0 on, such as `lcc` "
                             "gives them",
                             call->op->name, (long long)all[part].least);
        if ((uint64_t)all[part].largest > *largest) *largest = (uint64_t)all[part].largest;
    }
    return LOOM_OK;
}

static void add_values(const loom_value *labels, const loom_value *values, uint64_t voxels, label *table) {
    int64_t buffer[LOOM_CHUNK];
    float numbers[LOOM_CHUNK];
    for (uint64_t first = 0; first < voxels; first += LOOM_CHUNK) {
        size_t count = chunk_at(first, voxels);
        const int64_t *at = labels_at(labels, first, count, buffer);
        const float *value = loom_as_float(values, first, count, numbers);
        for (size_t k = 0; k < count; k++) {
            table[at[k]].sum += (double)value[k];
            table[at[k]].count++;
        }
    }
}

/* Scratch: 16 bytes for every number up to the largest label. */
loom_status loom_run_label_mean(loom_call *call) {
    const loom_value *labels = NULL, *values = NULL;
    void *memory = NULL, *result = NULL;
    uint64_t largest = 0;
    LOOM_TRY(loom_arg_image(call, 0, &labels));
    LOOM_TRY(loom_arg_image(call, 1, &values));
    LOOM_TRY(loom_arg_same_domain(call, labels, 0, values, 1));
    uint64_t voxels = loom_image_voxels(labels->image.header);
    LOOM_TRY(find_largest(call, voxels, &largest));
    LOOM_TRY(loom_share(call, MEANS, (size_t)largest + 1, sizeof(label), &memory));
    label *table = memory;
    add_values(labels, values, voxels, table);
    for (uint64_t k = 0; k <= largest; k++)
        if (table[k].count > 0) table[k].sum /= (double)table[k].count;
    LOOM_TRY(loom_result_image(call, labels->image.header, LOOM_F32, 1, &result));
    return loom_run_parts(call, PAINT_LOOP, voxels, LOOM_PART_VALUES, NULL, 0);
}
