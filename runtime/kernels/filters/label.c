/* label.c - ConnectedComponent and RelabelComponent.
 *
 * Components are found by spatial/runs.h and numbered in raster order of their first voxels, as ITK does. Relabelling
 * counts the voxels of each label (labels come in runs, so one look-up serves many voxels) and numbers labels by
 * falling size, equal ones by label. Scratch: 16 bytes a run and 8 a row; 24 to 72 bytes a label. */
#include <stdlib.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/filters/options.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/spatial/runs.h"

/* ---- ConnectedComponent ---- */

enum { LABEL_LOOP = LOOM_RUNS_LOOPS };
enum { LABELS = LOOM_RUNS_BLOCKS };

/* Writes the labels of the runs of some rows. */
static loom_status label_part(loom_part *part) {
    const loom_runs runs = loom_runs_of_part(part, part->state);
    const uint32_t *label = part->shared[LABELS];
    for (uint64_t row = part->first; row < part->first + part->count; row++) {
        uint32_t *out = (uint32_t *)part->voxels + row * runs.width;
        for (uint64_t run = runs.row[row]; run < runs.row[row + 1]; run++)
            for (uint64_t x = runs.first[run]; x <= runs.last[run]; x++)
                out[x] = label[run];
    }
    return LOOM_OK;
}
static const loom_part_run component_loops[] = {[LOOM_RUNS_COUNT_LOOP] = loom_runs_count_part,
                                                [LOOM_RUNS_LIST_LOOP] = loom_runs_list_part,
                                                [LABEL_LOOP] = label_part};
const loom_loops loom_loops_label = {.run = component_loops, .count = 3};

/* Arguments: an image, perhaps a mask, perhaps whether corners connect. */
static loom_status read_rule(loom_call *call, const loom_value *image, loom_runs_rule *rule) {
    const loom_value *second = NULL;
    uint32_t next = 1;
    bool fully = false;
    *rule = (loom_runs_rule){.nonzero = true};
    if (call->argument_count > 1) LOOM_TRY(loom_arg(call, 1, &second));
    if (second != NULL && second->type == LOOM_IMAGE) {
        const loom_value *mask = NULL;
        LOOM_TRY(loom_arg_image(call, 1, &mask));
        uint8_t dtype = mask->image.header->dtype;
        if (dtype != LOOM_U8 && dtype != LOOM_BOOL8)
            return loom_arg_refuse(call, 1,
                                   "a mask of 8-bit unsigned integers: compare it with a number, or `Cast` it");
        LOOM_TRY(loom_arg_same_domain(call, image, 0, mask, 1));
        rule->mask_at = 1;
        next = 2;
    } else if (second != NULL && second->type == LOOM_NULL) {
        next = 2;
    } else if (call->argument_count > 2) {
        return loom_arg_refuse(call, 1, "a mask before its last argument");
    }
    LOOM_TRY(loom_option_truth(call, next, false, &fully));
    rule->by_faces = !fully;
    return LOOM_OK;
}

loom_status loom_run_connected_component(loom_call *call) {
    const loom_value *image = NULL;
    void *memory = NULL, *voxels = NULL;
    loom_runs_rule rule = {0};
    loom_runs runs = {0};
    loom_runs_state state = {0};
    LOOM_TRY(loom_arg_whole_image(call, 0, &image));
    LOOM_TRY(read_rule(call, image, &rule));
    LOOM_TRY(loom_runs_connect_by(call, &rule, &runs, &state));
    LOOM_TRY(loom_share(call, LABELS, runs.count, sizeof(uint32_t), &memory));
    uint32_t *label = memory, labels = 0;
    for (uint64_t run = 0; run < runs.count; run++)
        label[run] = runs.root[run] == run ? ++labels : label[runs.root[run]];
    LOOM_TRY(loom_result_image(call, image->image.header, LOOM_U32, 1, &voxels));
    return loom_run_parts(call, LABEL_LOOP, state.rows, loom_runs_rows_a_part(&state), &state, sizeof state);
}
