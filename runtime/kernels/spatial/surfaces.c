/* surfaces.c - how far two surfaces are apart: hd95 and nsd, from masks.
 *
 * The surface of a mask is what erosion by ITK's ball of radius 1 takes away: its voxels with a neighbour inside the
 * image, not further than a diagonal in a plane, that is not in the mask. A distance is that of a voxel of one surface
 * to the other mask's boundary as `dt` has it, in physical units. Both definitions, and -1 for a mask that has no
 * surface to compare, are VoxLogicA-2's (vox1 kernels hd95 and nsd; recorded in ../shared/golden).
 *
 * hd95: 95th percentile of all distances of both surfaces (T. Heimann et al., "Comparison and evaluation of methods for
 * liver segmentation", IEEE TMI 28(8), 2009), interpolated as numpy's percentile does. nsd: how many of them are within
 * the tolerance (S. Nikolov et al., arXiv:1809.04430, with voxels in place of surface elements). */
#include <math.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/spatial/box.h"

enum { DISTANCE_LOOP, SURFACE_LOOP };
enum { DISTANCES, COUNTS }; /* shared: a map of distances a mask; a found_pair a part */

/* Distances that a part has found, of either surface. They lie one after the other where the part's voxels begin. */
typedef struct found_pair {
    uint64_t count[2];
    uint64_t first; /* voxel */
    uint64_t masks; /* bit m: mask m has a voxel here */
} found_pair;

/* ---- distance maps ---- */

/* The call of `dt` within this one, its result in memory that is there already. */
typedef struct inner_call {
    loom_call *outer;
    void *voxels;
} inner_call;

static loom_status inner_image(loom_call *call, const loom_image_header *header, void **voxels) {
    const inner_call *inner = call->context;
    loom_image_header *copy = loom_arena_copy(call->arena, header, sizeof *header);
    if (copy == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", inner->outer->op->name);
    *voxels = inner->voxels;
    call->result = loom_image(copy, inner->voxels);
    return LOOM_OK;
}

static void *inner_scratch(loom_call *call, size_t bytes) {
    const inner_call *inner = call->context;
    return inner->outer->services->scratch(inner->outer, bytes);
}

static const loom_call_services inner_services = {.new_image = inner_image, .scratch = inner_scratch};

/* Unit m: the map of mask m. Two workers make both at once. */
static loom_status distance_part(loom_part *part) {
    const char dt[] = "vox1.dt";
    const loom_operator *op = loom_operator_find(loom_operators(), dt, strlen(dt));
    const loom_value *mask = NULL;
    for (uint64_t m = part->first; m < part->first + part->count; m++) {
        LOOM_TRY(loom_arg_image(part->call, (uint32_t)m, &mask));
        inner_call inner = {.outer = part->call,
                            .voxels = (float *)part->shared[DISTANCES] + m * loom_image_voxels(mask->image.header)};
        loom_call call = {.op = op,
                          .arguments = mask,
                          .argument_count = 1,
                          .services = &inner_services,
                          .context = &inner,
                          .arena = part->call->arena,
                          .err = part->call->err};
        LOOM_TRY(loom_kernel_of(op)->run(&call));
    }
    return LOOM_OK;
}

/* ---- surfaces ---- */

/* The nine rows around one of a mask, as 8-bit values; NULL outside the image. */
typedef struct rows {
    const uint8_t *at[3][3]; /* by dz + 1 and dy + 1 */
} rows;

static void find_rows(const loom_value *mask, uint64_t row, uint8_t *buffer, rows *found) {
    const loom_image_header *header = mask->image.header;
    const uint64_t width = header->size[0], height = header->size[1], depth = header->size[2];
    const uint64_t y = row % height, z = row / height;
    for (unsigned dz = 0; dz < 3; dz++)
        for (unsigned dy = 0; dy < 3; dy++, buffer += width) {
            uint64_t ny = y + dy, nz = z + dz; /* one too large */
            bool inside = ny >= 1 && ny <= height && nz >= 1 && nz <= depth;
            found->at[dz][dy] = inside ? loom_as_u8(mask, ((nz - 1) * height + ny - 1) * width, width, buffer) : NULL;
        }
}

/* What the ball around each voxel of the row has of foreground (value 1): 1 if nothing lacks. In a plane the ball is
 * the square, in space the corners of the cube are not in it. */
LOOM_SIMD static void erode_row(const rows *around, uint64_t width, uint8_t *restrict whole) {
    memset(whole, 1, width);
    for (unsigned dz = 0; dz < 3; dz++)
        for (unsigned dy = 0; dy < 3; dy++) {
            const uint8_t *row = around->at[dz][dy];
            if (row == NULL) continue;
            for (uint64_t x = 0; x < width; x++)
                whole[x] &= row[x] == 1;
            if (dz != 1 && dy != 1) continue;
            for (uint64_t x = 1; x < width; x++)
                whole[x] &= row[x - 1] == 1;
            for (uint64_t x = 0; x + 1 < width; x++)
                whole[x] &= row[x + 1] == 1;
        }
}

/* Some rows. What is found overwrites distances of voxels already passed, which nobody else reads. */
static loom_status surface_part(loom_part *part) {
    const loom_value *mask[2] = {NULL, NULL};
    LOOM_TRY(loom_arg_image(part->call, 0, &mask[0]));
    LOOM_TRY(loom_arg_image(part->call, 1, &mask[1]));
    const loom_image_header *header = mask[0]->image.header;
    const uint64_t width = header->size[0], total = loom_image_voxels(header);
    if (*part->local == NULL) LOOM_TRY(loom_scratch(part->call, width, 10, part->local));
    uint8_t *whole = *part->local, *buffer = whole + width;
    found_pair here = {.first = part->first * width};
    for (unsigned m = 0; m < 2; m++) {
        float *other = (float *)part->shared[DISTANCES] + (1 - m) * total;
        rows around;
        for (uint64_t row = part->first; row < part->first + part->count; row++) {
            find_rows(mask[m], row, buffer, &around);
            erode_row(&around, width, whole);
            const uint8_t *own = around.at[1][1];
            for (uint64_t x = 0; x < width; x++) {
                if (own[x] != 0) here.masks |= UINT64_C(1) << m;
                /* Other values than 0 and 1 pass through erosion. */
                if (own[x] == 1 && !whole[x]) other[here.first + here.count[m]++] = fabsf(other[row * width + x]);
            }
        }
    }
    ((found_pair *)part->shared[COUNTS])[part->number] = here;
    return LOOM_OK;
}

static const loom_part_run loops[] = {[DISTANCE_LOOP] = distance_part, [SURFACE_LOOP] = surface_part};

#define HALVES 65536u /* of a float's bits */

/* Both maps, what `dt` takes for each of them, rows, and the histogram of a selection. */
static uint64_t scratch(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    if (header == NULL) return 0;
    return 2 * (sizeof(float) * loom_image_voxels(header) + loom_loops_dt.scratch(call, 1)) +
           lanes * 10 * header->size[0] + HALVES * sizeof(uint64_t);
}
const loom_loops loom_loops_surfaces = {.run = loops, .count = 2, .scratch = scratch};

/* ---- the figures ---- */

/* All distances, as the parts have left them. */
typedef struct distances {
    const float *maps[2];
    const found_pair *parts;
    uint32_t part_count;
    uint64_t count;
    bool defined; /* neither mask is empty */
} distances;

static loom_status measure(loom_call *call, distances *all) {
    const loom_value *a = NULL, *b = NULL;
    void *maps = NULL, *counts = NULL;
    LOOM_TRY(loom_arg_image(call, 0, &a));
    LOOM_TRY(loom_arg_image(call, 1, &b));
    LOOM_TRY(loom_arg_same_domain(call, a, 0, b, 1));
    const loom_image_header *header = a->image.header;
    if (header->rank > 3)
        return loom_fail(call->err, LOOM_BAD_ARGUMENT,
                         "`%s` got images of %u dimensions; it needs 2 or 3: take `Extract` of both", call->op->name,
                         header->rank);
    uint64_t total = loom_image_voxels(header), grain = loom_rows_a_part(header);
    uint64_t row_count = total / header->size[0];
    all->part_count = loom_count_parts(row_count, &grain);
    LOOM_TRY(loom_share(call, DISTANCES, 2 * (size_t)total, sizeof(float), &maps));
    LOOM_TRY(loom_share(call, COUNTS, all->part_count, sizeof(found_pair), &counts));
    LOOM_TRY(loom_run_parts(call, DISTANCE_LOOP, 2, 1, NULL, 0));
    LOOM_TRY(loom_run_parts(call, SURFACE_LOOP, row_count, loom_rows_a_part(header), NULL, 0));
    all->maps[0] = (const float *)maps + total; /* surface 0 was measured in map 1 */
    all->maps[1] = maps;
    all->parts = counts;
    uint64_t masks = 0;
    for (uint32_t part = 0; part < all->part_count; part++) {
        all->count += all->parts[part].count[0] + all->parts[part].count[1];
        masks |= all->parts[part].masks;
    }
    all->defined = masks == 3;
    return LOOM_OK;
}

typedef uint64_t (*visit_distances)(const float *values, uint64_t count, void *context);

static uint64_t sum_over(const distances *all, visit_distances visit, void *context) {
    uint64_t sum = 0;
    for (uint32_t part = 0; part < all->part_count; part++)
        for (unsigned m = 0; m < 2; m++)
            sum += visit(all->maps[m] + all->parts[part].first, all->parts[part].count[m], context);
    return sum;
}

/* Selection of the k-th smallest by two histograms, of the high and of the low half of the bits: floats that are not
 * negative have the order of their bits. */
typedef struct halves {
    uint64_t *counts; /* HALVES */
    uint32_t high;
    bool low_half; /* counts the low halves of those with this high half */
} halves;

static uint64_t count_halves(const float *values, uint64_t count, void *context) {
    const halves *to = context;
    for (uint64_t k = 0; k < count; k++) {
        uint32_t bits;
        memcpy(&bits, &values[k], sizeof bits);
        if (!to->low_half)
            to->counts[bits >> 16]++;
        else if (bits >> 16 == to->high)
            to->counts[bits & 0xffff]++;
    }
    return 0;
}

/* Where the k-th falls; *k becomes its rank within. */
static uint32_t find_half(const distances *all, halves *by, uint64_t *k) {
    uint32_t place = 0;
    memset(by->counts, 0, HALVES * sizeof *by->counts);
    sum_over(all, count_halves, by);
    for (; place < HALVES - 1 && *k >= by->counts[place]; place++)
        *k -= by->counts[place];
    return place;
}

static float select_kth(const distances *all, uint64_t *counts, uint64_t k) {
    halves by = {.counts = counts};
    by.high = find_half(all, &by, &k);
    by.low_half = true;
    uint32_t bits = by.high << 16 | find_half(all, &by, &k);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Scratch: 8 bytes a voxel for the two distance maps, which need whole images, and that of `dt`. */
loom_status loom_run_hd95(loom_call *call) {
    distances all = {0};
    void *counts = NULL;
    LOOM_TRY(measure(call, &all));
    call->result = loom_float(-1.0);
    if (!all.defined || all.count == 0) return LOOM_OK;
    LOOM_TRY(loom_scratch(call, HALVES, sizeof(uint64_t), &counts));
    double place = (double)(all.count - 1) * 0.95;
    uint64_t before = (uint64_t)place;
    uint64_t after = before + 1 < all.count ? before + 1 : before;
    float low = select_kth(&all, counts, before), high = select_kth(&all, counts, after), step = high - low;
    double share = place - (double)before;
    call->result =
        loom_float(share < 0.5 ? (double)low + (double)step * share : (double)high - (double)step * (1.0 - share));
    return LOOM_OK;
}

static uint64_t count_within(const float *values, uint64_t count, void *context) {
    const float tolerance = *(const float *)context;
    uint64_t within = 0;
    for (uint64_t k = 0; k < count; k++)
        within += values[k] <= tolerance;
    return within;
}

/* Scratch: as hd95. The tolerance is compared as float32, which distances are. */
loom_status loom_run_nsd(loom_call *call) {
    distances all = {0};
    double number = 0;
    LOOM_TRY(loom_arg_number(call, 2, &number));
    LOOM_TRY(measure(call, &all));
    call->result = loom_float(-1.0);
    if (!all.defined || all.count == 0) return LOOM_OK;
    float tolerance = (float)number;
    uint64_t within = sum_over(&all, count_within, &tolerance);
    call->result = loom_float((double)within / (double)all.count);
    return LOOM_OK;
}
