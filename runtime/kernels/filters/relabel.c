/* relabel.c - RelabelComponent: labels renumbered by falling size, equal ones by label, small ones taken out.
 *
 * The voxels of each label are counted in a hash table by one worker: labels come in runs, so one look-up serves many
 * voxels, and reading is what takes the time. Then all workers write the new labels, found by binary search once a run.
 * Scratch: 32 to 64 bytes a label. */
#include <stdlib.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/filters/options.h"
#include "runtime/kernels/kernels.h"

/* A label, as a number in the order of its pixel type; `count` voxels have it. */
typedef struct entry {
    int64_t key;
    uint64_t count;
    uint64_t renamed;
} entry;

/* Open addressing, at most half full; a place is free while its count is 0. */
typedef struct table {
    entry *entries;
    uint64_t capacity, used; /* capacity: a power of two */
} table;

/* 64-bit unsigned labels keep their order as signed keys with the highest bit turned. */
#define KEY_uint64_t(value) ((int64_t)((value) ^ UINT64_C(1) << 63))
#define KEY_other(value) ((int64_t)(value))

static entry *place_of(const table *labels, int64_t key) {
    uint64_t mask = labels->capacity - 1, at = (uint64_t)key * UINT64_C(0x9E3779B97F4A7C15);
    for (at = (at ^ at >> 32) & mask; labels->entries[at].count != 0 && labels->entries[at].key != key;)
        at = (at + 1) & mask;
    return &labels->entries[at];
}

static loom_status grow(loom_call *call, table *labels) {
    table larger = {.capacity = labels->capacity == 0 ? 1024 : labels->capacity * 4, .used = labels->used};
    void *memory = NULL;
    LOOM_TRY(loom_scratch(call, larger.capacity, sizeof(entry), &memory));
    memset(memory, 0, larger.capacity * sizeof(entry));
    larger.entries = memory;
    for (uint64_t k = 0; k < labels->capacity; k++)
        if (labels->entries[k].count != 0) *place_of(&larger, labels->entries[k].key) = labels->entries[k];
    *labels = larger; /* the smaller one is freed after the call: a third more at most */
    return LOOM_OK;
}

static loom_status count_label(loom_call *call, table *labels, int64_t key, uint64_t voxels) {
    if (labels->used * 2 >= labels->capacity) LOOM_TRY(grow(call, labels));
    entry *place = place_of(labels, key);
    labels->used += place->count == 0;
    place->key = key;
    place->count += voxels;
    return LOOM_OK;
}

/* Calls of each type: count all runs; rename those of a part. */
#define DEFINE_LABELS(type_, key_)                                                                                     \
    static loom_status count_##type_(loom_call *call, const type_ *in, uint64_t count, table *labels) {                \
        for (uint64_t k = 0, end; k < count; k = end) {                                                                \
            for (end = k + 1; end < count && in[end] == in[k];)                                                        \
                end++;                                                                                                 \
            if (in[k] != 0) LOOM_TRY(count_label(call, labels, key_(in[k]), end - k));                                 \
        }                                                                                                              \
        return LOOM_OK;                                                                                                \
    }                                                                                                                  \
    static void rename_##type_(const type_ *in, type_ *out, uint64_t count, const entry *labels, uint64_t used) {      \
        for (uint64_t k = 0, end; k < count; k = end) {                                                                \
            type_ name = in[k] == 0 ? 0 : (type_)find_entry(labels, used, key_(in[k]))->renamed;                       \
            for (end = k; end < count && in[end] == in[k]; end++)                                                      \
                out[end] = name;                                                                                       \
        }                                                                                                              \
    }

/* Of a list in the order of labels, which has it. */
static const entry *find_entry(const entry *labels, uint64_t used, int64_t key) {
    uint64_t low = 0;
    for (uint64_t high = used - 1; low < high;) {
        uint64_t middle = low + (high - low) / 2;
        if (labels[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return &labels[low];
}

#define EACH_LABEL(X)                                                                                                  \
    X(uint8_t, KEY_other)                                                                                              \
    X(int8_t, KEY_other)                                                                                               \
    X(uint16_t, KEY_other)                                                                                             \
    X(int16_t, KEY_other)                                                                                              \
    X(uint32_t, KEY_other)                                                                                             \
    X(int32_t, KEY_other)                                                                                              \
    X(uint64_t, KEY_uint64_t)                                                                                          \
    X(int64_t, KEY_other)
EACH_LABEL(DEFINE_LABELS)

/* X(pixel type, C type): what labels may be. */
#define EACH_WHOLE(X)                                                                                                  \
    X(LOOM_BOOL8, uint8_t)                                                                                             \
    X(LOOM_U8, uint8_t)                                                                                                \
    X(LOOM_I8, int8_t)                                                                                                 \
    X(LOOM_U16, uint16_t)                                                                                              \
    X(LOOM_I16, int16_t)                                                                                               \
    X(LOOM_U32, uint32_t)                                                                                              \
    X(LOOM_I32, int32_t)                                                                                               \
    X(LOOM_U64, uint64_t)                                                                                              \
    X(LOOM_I64, int64_t)

static loom_status count_labels(loom_call *call, const loom_value *image, table *labels) {
    uint64_t total = loom_image_voxels(image->image.header);
    switch (image->image.header->dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        return count_##type_(call, image->image.voxels, total, labels);
        EACH_WHOLE(CASE)
#undef CASE
    default:
        return LOOM_OK;
    }
}

static loom_status rename_part(loom_part *part) {
    const loom_value *image = NULL;
    LOOM_TRY(loom_arg_whole_image(part->call, 0, &image));
    const uint64_t *used = part->state;
    uint8_t dtype = image->image.header->dtype;
    void *out = loom_values_of(part->voxels, dtype, part->first);
    switch (dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        rename_##type_(loom_values_at(image, part->first), out, part->count, part->shared[0], *used);                  \
        break;
        EACH_WHOLE(CASE)
#undef CASE
    default:
        break;
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {rename_part};
const loom_loops loom_loops_relabel = {.run = loops, .count = 1};

static int by_label(const void *a, const void *b) {
    const entry *left = a, *right = b;
    return left->key < right->key ? -1 : left->key > right->key;
}

static int by_size(const void *a, const void *b) {
    const entry *left = a, *right = b;
    if (left->count != right->count) return left->count > right->count ? -1 : 1;
    return by_label(a, b);
}

/* The greatest label of a pixel type. */
static uint64_t most_of(uint8_t dtype) {
    unsigned bits = (unsigned)loom_dtype_bytes(dtype) * 8;
    bool is_signed = dtype == LOOM_I8 || dtype == LOOM_I16 || dtype == LOOM_I32 || dtype == LOOM_I64;
    return UINT64_MAX >> (64 - bits + is_signed);
}

/* Numbers the labels from 1 in the order they have; those of fewer voxels than `least` become 0. */
static loom_status renumber(loom_call *call, entry *labels, uint64_t used, uint64_t least, uint64_t most) {
    uint64_t next = 0;
    for (uint64_t k = 0; k < used; k++) {
        if (labels[k].count < least) continue;
        if (next == most)
            return loom_fail(
                call->err, LOOM_TOO_LARGE,
                "`%s` found more than %llu labels, which its pixel type does not hold; `Cast` the image to "
                "a larger one",
                call->op->name, (unsigned long long)most);
        labels[k].renamed = ++next;
    }
    return LOOM_OK;
}

loom_status loom_run_relabel_component(loom_call *call) {
    const loom_value *image = NULL;
    uint64_t least = 0;
    bool sorted = true;
    table labels = {0};
    void *memory = NULL, *voxels = NULL;
    LOOM_TRY(loom_arg_whole_image(call, 0, &image));
    LOOM_TRY(loom_option_count(call, 1, 0, INT64_MAX, &least));
    LOOM_TRY(loom_option_truth(call, 2, true, &sorted));
    const loom_image_header *header = image->image.header;
    LOOM_TRY(count_labels(call, image, &labels));
    LOOM_TRY(loom_share(call, 0, labels.used, sizeof(entry), &memory));
    entry *list = memory;
    for (uint64_t k = 0, next = 0; k < labels.capacity; k++)
        if (labels.entries[k].count != 0) list[next++] = labels.entries[k];
    qsort(list, labels.used, sizeof *list, sorted ? by_size : by_label);
    LOOM_TRY(renumber(call, list, labels.used, least, most_of(header->dtype)));
    qsort(list, labels.used, sizeof *list, by_label);
    LOOM_TRY(
        loom_result_image(call, header, header->dtype == LOOM_BOOL8 ? LOOM_U8 : (loom_dtype)header->dtype, 1, &voxels));
    return loom_run_parts(call, 0, loom_image_voxels(header), LOOM_PART_VALUES, &labels.used, sizeof labels.used);
}
