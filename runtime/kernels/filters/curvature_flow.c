/* curvature_flow.c - CurvatureFlow: each step moves every level line with the speed of its curvature.
 *
 * R. Malladi, J. Sethian, "Image processing via level set curvature flow", Proc. Nat. Acad. Sciences 92, 1995; the
 * differences and the order of operations, in double, are those of ITK's CurvatureFlowFunction. The result is float64,
 * as SimpleITK's. A step reads one image and writes another, so one more image of doubles is needed where there are
 * two or more steps: in place, rows of other parts would be read before or after their step by chance. Rows of doubles
 * have a place for each worker that serves all steps: scratch is kept to the end of the call, and steps may be many. */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/filters/neighbours.h"
#include "runtime/kernels/filters/options.h"
#include "runtime/kernels/kernels.h"

/* A step's state. */
typedef struct step {
    double time;
    double scale[LOOM_RANK_MAX]; /* 1 / spacing */
    enum { IMAGE, RESULT, OTHER } from, to;
} step;

enum { PAIRS_MAX = LOOM_RANK_MAX * (LOOM_RANK_MAX - 1) / 2 };

/* The rows that one row's step reads: before and after it along each axis, and on the diagonals of each pair. */
typedef struct surroundings {
    unsigned rank;
    const double *here, *before[LOOM_RANK_MAX], *after[LOOM_RANK_MAX];
    const double *low[PAIRS_MAX], *high[PAIRS_MAX]; /* both axes down; both up */
    const double *down_up[PAIRS_MAX], *up_down[PAIRS_MAX];
} surroundings;

static inline double square(double x) {
    return x * x;
}

/* Curvature times gradient length at voxel k. */
static inline double speed(const surroundings *around, unsigned rank, const double *scale, uint64_t k) {
    double first[LOOM_RANK_MAX], second[LOOM_RANK_MAX], cross[PAIRS_MAX], length = 0.0, update = 0.0;
    double here = around->here[k];
    for (unsigned i = 0, pair = 0; i < rank; i++) {
        double before = around->before[i][k], after = around->after[i][k];
        first[i] = 0.5 * (after - before) * scale[i];
        second[i] = (after - 2 * here + before) * square(scale[i]);
        for (unsigned j = i + 1; j < rank; j++, pair++)
            cross[pair] =
                0.25 *
                (around->low[pair][k] - around->down_up[pair][k] - around->up_down[pair][k] + around->high[pair][k]) *
                scale[i] * scale[j];
        length += square(first[i]);
    }
    for (unsigned i = 0; i < rank; i++) {
        double others = 0.0;
        for (unsigned j = 0; j < rank; j++)
            if (j != i) others += second[j];
        update += others * square(first[i]);
    }
    for (unsigned i = 0, pair = 0; i < rank; i++)
        for (unsigned j = i + 1; j < rank; j++, pair++)
            update -= 2 * first[i] * first[j] * cross[pair];
    return length < 1e-9 ? 0.0 : update / length;
}

#define DEFINE_STEP(rank_)                                                                                             \
    LOOM_SIMD static void step_##rank_(const surroundings *around, const step *what, double *restrict out,             \
                                       uint64_t count) {                                                               \
        for (uint64_t k = 0; k < count; k++)                                                                           \
            out[k] = around->here[k] + speed(around, rank_, what->scale, k) * what->time;                              \
    }
DEFINE_STEP(2)
DEFINE_STEP(3)
DEFINE_STEP(4)

/* The row at an offset of i along one axis and j along another; along x the row itself, shifted. */
static const double *row_at(loom_neighbours *near, unsigned axis_i, int i, unsigned axis_j, int j) {
    int offset[LOOM_RANK_MAX] = {0};
    offset[axis_i] += i;
    offset[axis_j] += j;
    return loom_neighbours_row(near, offset[1], offset[2], offset[3]) + offset[0];
}

static void look_around(loom_neighbours *near, surroundings *around) {
    around->rank = near->header->rank;
    around->here = loom_neighbours_row(near, 0, 0, 0);
    for (unsigned i = 0, pair = 0; i < around->rank; i++) {
        around->before[i] = row_at(near, i, -1, i, 0);
        around->after[i] = row_at(near, i, 1, i, 0);
        for (unsigned j = i + 1; j < around->rank; j++, pair++) {
            around->low[pair] = row_at(near, i, -1, j, -1);
            around->high[pair] = row_at(near, i, 1, j, 1);
            around->down_up[pair] = row_at(near, i, -1, j, 1);
            around->up_down[pair] = row_at(near, i, 1, j, -1);
        }
    }
}

enum { IMAGE_BLOCK, ROOMS_BLOCK }; /* shared: the other image; a room a worker */

/* A room: loom_neighbours, and its rows from the next cache line on. */
#define ROWS_AT ((sizeof(loom_neighbours) + 63) & ~(size_t)63)
static uint64_t room_bytes(const loom_image_header *header) {
    return ROWS_AT + ((loom_neighbours_bytes(header) + 63) & ~UINT64_C(63));
}

/* Some rows of a step. */
static loom_status step_part(loom_part *part) {
    const loom_value *image = NULL;
    const step *what = part->state;
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    const loom_image_header *header = image->image.header;
    uint8_t *room = (uint8_t *)part->shared[ROOMS_BLOCK] + part->lane * room_bytes(header);
    loom_neighbours *near = (void *)room;
    if (*part->local == NULL) loom_neighbours_place(header, (double *)(void *)(room + ROWS_AT), near);
    *part->local = near;
    near->header = header;
    near->voxels = what->from == IMAGE    ? image->image.voxels
                   : what->from == RESULT ? part->voxels
                                          : part->shared[IMAGE_BLOCK];
    near->dtype = what->from == IMAGE ? header->dtype : LOOM_F64;
    const uint64_t width = header->size[0];
    for (uint64_t row = part->first; row < part->first + part->count; row++) {
        surroundings around;
        double *out = (double *)(what->to == RESULT ? part->voxels : part->shared[IMAGE_BLOCK]) + row * width;
        loom_neighbours_move(near, row);
        look_around(near, &around);
        (around.rank == 2 ? step_2 : around.rank == 3 ? step_3 : step_4)(&around, what, out, width);
    }
    return LOOM_OK;
}

/* No step at all: the image as float64. */
static loom_status copy_part(loom_part *part) {
    const loom_value *image = NULL;
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    loom_cast(image->image.header->dtype, loom_values_at(image, part->first), LOOM_F64,
              (double *)part->voxels + part->first, part->count);
    return LOOM_OK;
}

enum { STEP_LOOP, COPY_LOOP };
static const loom_part_run loops[] = {[STEP_LOOP] = step_part, [COPY_LOOP] = copy_part};

static uint64_t scratch(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    if (header == NULL) return 0;
    return loom_image_voxels(header) * sizeof(double) + lanes * room_bytes(header);
}
const loom_loops loom_loops_curvature_flow = {.run = loops, .count = 2, .scratch = scratch};

#define STEPS_MAX 1000000

loom_status loom_run_curvature_flow(loom_call *call) {
    const loom_value *image = NULL;
    step what = {.from = IMAGE};
    uint64_t steps = 0;
    void *voxels = NULL, *memory = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &image));
    LOOM_TRY(loom_option_number(call, 1, 0.05, &what.time));
    LOOM_TRY(loom_option_count(call, 2, 5, STEPS_MAX, &steps));
    const loom_image_header *header = image->image.header;
    for (unsigned d = 0; d < header->rank; d++)
        what.scale[d] = 1.0 / header->spacing[d];
    const uint64_t total = loom_image_voxels(header);
    LOOM_TRY(loom_result_image(call, header, LOOM_F64, 1, &voxels));
    if (steps == 0) return loom_run_parts(call, COPY_LOOP, total, LOOM_PART_VALUES, NULL, 0);
    LOOM_TRY(loom_share(call, ROOMS_BLOCK, loom_lanes(call), room_bytes(header), &memory));
    if (steps > 1) LOOM_TRY(loom_share(call, IMAGE_BLOCK, total, sizeof(double), &memory));
    for (; steps > 0; steps--) {
        what.to = steps % 2 == 1 ? RESULT : OTHER; /* the last one ends in the result */
        LOOM_TRY(loom_run_parts(call, STEP_LOOP, total / header->size[0], LOOM_PART_VALUES / header->size[0] / 16 + 2,
                                &what, sizeof what));
        what.from = what.to;
    }
    return LOOM_OK;
}
