/* components.c - through, lcc and maxvol: connected components of a set, by runs.h. */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/spatial/runs.h"

static inline uint64_t run_length(const loom_runs *runs, uint64_t run) {
    return (uint64_t)runs->last[run] - runs->first[run] + 1;
}

enum { CHOSEN = LOOM_RUNS_BLOCKS, LABELS = LOOM_RUNS_BLOCKS };
enum { PAINT_LOOP = LOOM_RUNS_LOOPS, SEEDS_LOOP, LABEL_LOOP };

/* Sets the voxels of every run whose component is chosen (a byte a run, at its root): some rows. */
static loom_status paint_part(loom_part *part) {
    const loom_runs runs = loom_runs_of_part(part, part->state);
    const uint8_t *chosen = part->shared[CHOSEN];
    uint8_t *voxels = part->voxels;
    for (uint64_t row = part->first; row < part->first + part->count; row++)
        for (uint64_t run = runs.row[row]; run < runs.row[row + 1]; run++)
            if (chosen[runs.root[run]]) memset(voxels + row * runs.width + runs.first[run], 1, run_length(&runs, run));
    return LOOM_OK;
}

static loom_status run_rows(loom_call *call, uint32_t loop, const loom_runs_state *state) {
    return loom_run_parts(call, loop, state->rows, loom_runs_rows_a_part(state), state, sizeof *state);
}

static bool any_true(const loom_value *image, uint64_t first, uint64_t count) {
    uint8_t buffer[LOOM_CHUNK];
    for (uint64_t done = 0; done < count; done += LOOM_CHUNK) {
        size_t n = count - done < LOOM_CHUNK ? (size_t)(count - done) : LOOM_CHUNK;
        const uint8_t *bytes = loom_as_u8(image, first + done, n, buffer);
        uint8_t any = 0;
        for (size_t k = 0; k < n; k++)
            any |= bytes[k];
        if (any) return true;
    }
    return false;
}

/* Chooses the components that have a run with a seed: some rows. Others may choose the same one meanwhile. */
static loom_status seeds_part(loom_part *part) {
    const loom_runs runs = loom_runs_of_part(part, part->state);
    const loom_value *seeds = NULL;
    uint8_t *chosen = part->shared[CHOSEN];
    LOOM_TRY(loom_arg_image(part->call, 0, &seeds));
    for (uint64_t row = part->first; row < part->first + part->count; row++)
        for (uint64_t run = runs.row[row]; run < runs.row[row + 1]; run++) {
            uint8_t *mark = &chosen[runs.root[run]];
            if (__atomic_load_n(mark, __ATOMIC_RELAXED)) continue;
            if (any_true(seeds, row * runs.width + runs.first[run], run_length(&runs, run)))
                __atomic_store_n(mark, 1, __ATOMIC_RELAXED);
        }
    return LOOM_OK;
}

/* Writes the label of every run: some rows. */
static loom_status label_part(loom_part *part) {
    const loom_runs runs = loom_runs_of_part(part, part->state);
    const float *label = part->shared[LABELS];
    float *out = part->voxels;
    for (uint64_t row = part->first; row < part->first + part->count; row++)
        for (uint64_t run = runs.row[row]; run < runs.row[row + 1]; run++)
            for (uint64_t x = runs.first[run]; x <= runs.last[run]; x++)
                out[row * runs.width + x] = label[run];
    return LOOM_OK;
}

static const loom_part_run loops[] = {[LOOM_RUNS_COUNT_LOOP] = loom_runs_count_part,
                                      [LOOM_RUNS_LIST_LOOP] = loom_runs_list_part,
                                      [PAINT_LOOP] = paint_part,
                                      [SEEDS_LOOP] = seeds_part,
                                      [LABEL_LOOP] = label_part};
const loom_loops loom_loops_components = {.run = loops, .count = 5};

/* Scratch of the three: that of the runs, and a byte, a float or 9 bytes a run. */
loom_status loom_run_through(loom_call *call) {
    const loom_value *seeds = NULL, *set = NULL;
    void *memory = NULL, *voxels = NULL;
    loom_runs runs = {0};
    loom_runs_state state = {0};
    LOOM_TRY(loom_arg_image(call, 0, &seeds));
    LOOM_TRY(loom_arg_image(call, 1, &set));
    LOOM_TRY(loom_arg_same_domain(call, seeds, 0, set, 1));
    LOOM_TRY(loom_runs_connect(call, 1, &runs, &state));
    LOOM_TRY(loom_share(call, CHOSEN, runs.count, 1, &memory));
    LOOM_TRY(run_rows(call, SEEDS_LOOP, &state));
    LOOM_TRY(loom_result_image(call, seeds->image.header, LOOM_BOOL8, 1, &voxels));
    return run_rows(call, PAINT_LOOP, &state);
}

loom_status loom_run_lcc(loom_call *call) {
    const loom_value *set = NULL;
    void *memory = NULL, *voxels = NULL;
    loom_runs runs = {0};
    loom_runs_state state = {0};
    LOOM_TRY(loom_arg_image(call, 0, &set));
    LOOM_TRY(loom_runs_connect(call, 0, &runs, &state));
    LOOM_TRY(loom_share(call, LABELS, runs.count, sizeof(float), &memory));
    float *label = memory;
    uint64_t labels = 0;
    for (uint64_t run = 0; run < runs.count; run++)
        label[run] = runs.root[run] == run ? (float)++labels : label[runs.root[run]];
    LOOM_TRY(loom_result_image(call, set->image.header, LOOM_F32, 1, &voxels));
    return run_rows(call, LABEL_LOOP, &state);
}

loom_status loom_run_maxvol(loom_call *call) {
    const loom_value *set = NULL;
    void *memory = NULL, *voxels = NULL;
    loom_runs runs = {0};
    loom_runs_state state = {0};
    LOOM_TRY(loom_arg_image(call, 0, &set));
    LOOM_TRY(loom_runs_connect(call, 0, &runs, &state));
    LOOM_TRY(loom_scratch(call, runs.count, sizeof(uint64_t), &memory));
    uint64_t *volume = memory;
    memset(volume, 0, runs.count * sizeof *volume);
    uint64_t largest = 0;
    for (uint64_t run = 0; run < runs.count; run++) {
        uint64_t *sum = &volume[runs.root[run]];
        *sum += run_length(&runs, run);
        if (*sum > largest) largest = *sum;
    }
    LOOM_TRY(loom_share(call, CHOSEN, runs.count, 1, &memory));
    uint8_t *chosen = memory;
    for (uint64_t run = 0; run < runs.count; run++)
        chosen[run] = volume[run] == largest;
    LOOM_TRY(loom_result_image(call, set->image.header, LOOM_BOOL8, 1, &voxels));
    return run_rows(call, PAINT_LOOP, &state);
}
