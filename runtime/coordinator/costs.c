/* Figures are running averages of medians: samples of a figure are gathered in groups, and the median of a group moves
 * the average by its share of at most WEIGHT_MAX samples. So one call that met a busy machine, a cold disk or a page
 * fault storm changes nothing, and a new machine or library is learnt within a few runs. */
#include "runtime/coordinator/costs.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/memo.h"

#define GROUP 15u       /* samples a median is taken of */
#define WEIGHT_MAX 100u /* samples that an average remembers */
#define VOXELS_MIN 4096 /* with fewer a call is as good as one without images */
#define ENTRIES_MAX 4096u
#define COSTS_KEY "costs"
#define TYPICAL_VOXELS (UINT64_C(2) << 20)
#define FIGURE_MAX (UINT64_C(1) << 52) /* of what is read: sums of many stay below 2^64 */

typedef struct figure {
    uint64_t average; /* 0: never measured */
    uint32_t weight;
    uint32_t count; /* of samples that wait for their group */
    uint64_t samples[GROUP];
} figure;

typedef struct operator_cost {
    figure call_ns;  /* without images */
    figure voxel_ps; /* picoseconds a voxel */
} operator_cost;

struct loom_costs {
    const loom_operator_table *operators;
    operator_cost *of;   /* by position in the table */
    loom_memo positions; /* address of an operator -> position */
    figure voxels;       /* of images */
    bool added;
};

/* ---- figures ---- */

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void fold_group(figure *it) {
    if (it->count == 0) return;
    qsort(it->samples, it->count, sizeof *it->samples, ascending);
    uint64_t median = it->samples[it->count / 2];
    uint64_t weight = it->weight + it->count;
    it->average = (it->average * it->weight + median * it->count) / weight;
    it->weight = weight < WEIGHT_MAX ? (uint32_t)weight : WEIGHT_MAX;
    it->count = 0;
}

static void add_sample(figure *it, uint64_t sample) {
    if (sample == 0) sample = 1;
    if (sample > FIGURE_MAX) sample = FIGURE_MAX;
    if (it->average == 0) it->average = sample; /* better than nothing until the group is full; weighs nothing */
    it->samples[it->count++] = sample;
    if (it->count == GROUP) fold_group(it);
}

/* ---- operators ---- */

loom_costs *loom_costs_new(const loom_operator_table *operators) {
    loom_costs *costs = calloc(1, sizeof *costs);
    if (!costs) return NULL;
    costs->operators = operators;
    costs->of = calloc(operators->count ? operators->count : 1, sizeof *costs->of);
    loom_status status = costs->of ? LOOM_OK : LOOM_NO_MEMORY;
    for (size_t i = 0; i < operators->count && status == LOOM_OK; i++)
        status = loom_memo_set(&costs->positions, (uintptr_t)operators->operators[i], (uint32_t)i);
    if (status == LOOM_OK) return costs;
    loom_costs_free(costs);
    return NULL;
}

void loom_costs_free(loom_costs *costs) {
    if (!costs) return;
    loom_memo_release(&costs->positions);
    free(costs->of);
    free(costs);
}

static operator_cost *cost_of(const loom_costs *costs, const loom_operator *op) {
    uint32_t position = loom_memo_get(&costs->positions, (uintptr_t)op);
    return position == LOOM_MEMO_NONE ? NULL : &costs->of[position];
}

/* Before anything was measured: what such kernels cost on a machine of 2020, one core. */
static uint64_t class_voxel_ps(uint16_t class) {
    static const uint64_t picoseconds[] = {[LOOM_COST_SCALAR] = 1,
                                           [LOOM_COST_VOXEL] = 1000,
                                           [LOOM_COST_FILTER] = 5000,
                                           [LOOM_COST_GLOBAL] = 20000,
                                           [LOOM_COST_FILE] = 10000};
    return picoseconds[class < sizeof picoseconds / sizeof *picoseconds ? class : LOOM_COST_VOXEL];
}

static uint64_t class_call_ns(uint16_t class) {
    return class == LOOM_COST_FILE ? 50000 : 1000;
}

uint64_t loom_costs_estimate_ns(const loom_costs *costs, const loom_operator *op, uint64_t voxels) {
    const operator_cost *cost = cost_of(costs, op);
    uint64_t call_ns = cost ? cost->call_ns.average : 0, voxel_ps = cost ? cost->voxel_ps.average : 0;
    if (call_ns == 0) call_ns = class_call_ns(op->cost);
    if (voxels == 0) return call_ns;
    if (voxel_ps == 0) voxel_ps = class_voxel_ps(op->cost);
    if (voxels > FIGURE_MAX / voxel_ps) return FIGURE_MAX;
    return call_ns + voxels * voxel_ps / 1000;
}

uint64_t loom_costs_voxel_ps(const loom_costs *costs, const loom_operator *op) {
    const operator_cost *cost = cost_of(costs, op);
    return cost ? cost->voxel_ps.average : 0;
}

uint64_t loom_costs_typical_voxels(const loom_costs *costs) {
    return costs->voxels.average ? costs->voxels.average : TYPICAL_VOXELS;
}

void loom_costs_add(loom_costs *costs, const loom_operator *op, uint64_t voxels, uint64_t ns) {
    operator_cost *cost = cost_of(costs, op);
    if (!cost) return;
    costs->added = true;
    if (ns > FIGURE_MAX / 1000) ns = FIGURE_MAX / 1000;
    if (voxels < VOXELS_MIN) {
        add_sample(&cost->call_ns, ns);
        return;
    }
    add_sample(&cost->voxel_ps, ns * 1000 / voxels);
    add_sample(&costs->voxels, voxels);
}

/* ---- in the store: a record {voxels: [average, weight], operators: {name: [version, then the same of call_ns and of
 * voxel_ps]}} ---- */

static bool take_figure(const loom_value *pair, figure *out) {
    if (pair[0].type != LOOM_INT || pair[1].type != LOOM_INT) return false;
    if (pair[0].integer < 0 || (uint64_t)pair[0].integer > FIGURE_MAX) return false;
    if (pair[1].integer < 0 || pair[1].integer > WEIGHT_MAX) return false;
    *out = (figure){.average = (uint64_t)pair[0].integer, .weight = (uint32_t)pair[1].integer};
    return true;
}

static void give_figure(const figure *from, loom_value *pair) {
    pair[0] = loom_int((int64_t)from->average);
    pair[1] = loom_int(from->weight);
}

static const loom_value *read_record(loom_store *store, loom_arena *arena) {
    const void *bytes = NULL;
    size_t length = 0;
    loom_value *record = loom_arena_alloc(arena, sizeof *record);
    if (!record || loom_store_get_meta(store, COSTS_KEY, arena, &bytes, &length, NULL) != LOOM_OK) return NULL;
    if (loom_value_decode(bytes, length, arena, record, NULL) != LOOM_OK) return NULL;
    return record;
}

static const loom_value *operators_of(const loom_value *record) {
    const loom_value *operators = record ? loom_record_get(record, "operators") : NULL;
    return operators && operators->type == LOOM_RECORD ? operators : NULL;
}

static void take_operator(loom_costs *costs, const loom_field *field) {
    operator_cost taken;
    const loom_value *row = &field->value;
    const loom_operator *op = loom_operator_find(costs->operators, field->name, field->name_length);
    if (!op || row->type != LOOM_SEQUENCE || row->sequence.count != 5) return;
    const loom_value *items = row->sequence.items;
    if (items[0].type != LOOM_INT || items[0].integer != op->version) return;
    if (take_figure(items + 1, &taken.call_ns) && take_figure(items + 3, &taken.voxel_ps)) *cost_of(costs, op) = taken;
}

void loom_costs_load(loom_costs *costs, loom_store *store) {
    loom_arena *arena = loom_arena_new();
    const loom_value *record = arena ? read_record(store, arena) : NULL;
    const loom_value *operators = operators_of(record);
    for (size_t i = 0; operators && i < operators->record.count; i++)
        take_operator(costs, &operators->record.fields[i]);
    const loom_value *voxels = record ? loom_record_get(record, "voxels") : NULL;
    if (voxels && voxels->type == LOOM_SEQUENCE && voxels->sequence.count == 2)
        (void)take_figure(voxels->sequence.items, &costs->voxels);
    loom_arena_free(arena);
}

/* The field of an operator, if anything is known of it. */
static bool describe(const loom_costs *costs, size_t position, loom_arena *arena, loom_field *field) {
    const loom_operator *op = costs->operators->operators[position];
    operator_cost *cost = &costs->of[position];
    fold_group(&cost->call_ns);
    fold_group(&cost->voxel_ps);
    loom_value *items = cost->call_ns.weight + cost->voxel_ps.weight ? loom_arena_array(arena, 5, sizeof *items) : NULL;
    if (!items) return false;
    items[0] = loom_int(op->version);
    give_figure(&cost->call_ns, items + 1);
    give_figure(&cost->voxel_ps, items + 3);
    *field = (loom_field){.name = op->name, .name_length = strlen(op->name), .value = loom_sequence(items, 5)};
    return true;
}

/* What this run knows, and what is stored of operators that it does not have: plug-ins that were not loaded. */
static loom_status whole_record(loom_costs *costs, const loom_value *stored, loom_arena *arena, loom_buffer *out) {
    const loom_value *others = operators_of(stored);
    size_t most = costs->operators->count + (others ? others->record.count : 0), count = 0;
    loom_field *fields = loom_arena_array(arena, most, sizeof *fields);
    if (!fields) return LOOM_NO_MEMORY;
    for (size_t i = 0; i < costs->operators->count; i++)
        count += describe(costs, i, arena, &fields[count]);
    for (size_t i = 0; others && i < others->record.count && count < ENTRIES_MAX; i++) {
        const loom_field *field = &others->record.fields[i];
        if (!loom_operator_find(costs->operators, field->name, field->name_length)) fields[count++] = *field;
    }
    loom_value voxels[2];
    fold_group(&costs->voxels);
    give_figure(&costs->voxels, voxels);
    const loom_field parts[] = {
        {.name = "voxels", .name_length = strlen("voxels"), .value = loom_sequence(voxels, 2)},
        {.name = "operators", .name_length = strlen("operators"), .value = loom_record(fields, count)}};
    loom_value whole = loom_record(parts, 2);
    return loom_value_encode(&whole, out);
}

loom_status loom_costs_put(loom_costs *costs, loom_store *store, loom_batch *batch, loom_error *err) {
    if (!costs->added) return LOOM_OK;
    loom_buffer encoded = {0};
    loom_arena *arena = loom_arena_new();
    loom_status status = arena ? whole_record(costs, read_record(store, arena), arena, &encoded) : LOOM_NO_MEMORY;
    if (status == LOOM_OK)
        status = loom_batch_put_meta(batch, COSTS_KEY, encoded.bytes, encoded.length, err);
    else
        loom_fail(err, status, "cannot write down what operators cost: %s", loom_status_message(status));
    loom_buffer_free(&encoded);
    loom_arena_free(arena);
    return status;
}
