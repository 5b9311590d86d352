/* runs.c - runs of true voxels and their components: see runs.h. */
#include "runtime/kernels/spatial/runs.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/voxels.h"

/* Eight 0/1 bytes as eight bits, first voxel lowest. */
static inline uint64_t bits_of_bytes(const uint8_t *bytes) {
    uint64_t eight = 0;
    for (unsigned k = 0; k < 8; k++)
        eight |= (uint64_t)bytes[k] << (8 * k);
    return (eight * UINT64_C(0x0102040810204080)) >> 56;
}

/* Truth of some voxels that lie in a row, as the rule says. */
#define DEFINE_NONZERO(type_)                                                                                          \
    static void nonzero_##type_(const type_ *in, size_t count, uint8_t *truth) {                                       \
        for (size_t k = 0; k < count; k++)                                                                             \
            truth[k] = in[k] != 0;                                                                                     \
    }
LOOM_EACH_CTYPE(DEFINE_NONZERO)

static const uint8_t *truth_of(const loom_value *image, const loom_value *mask, bool nonzero, uint64_t first,
                               size_t count, uint8_t *buffer) {
    const uint8_t *truth = buffer;
    switch (nonzero ? image->image.header->dtype : (uint8_t)LOOM_BOOL8) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        if (dtype_ == LOOM_BOOL8)                                                                                      \
            truth = loom_as_bool(image, first, count, buffer);                                                         \
        else                                                                                                           \
            nonzero_##type_(loom_values_at(image, first), count, buffer);                                              \
        break;
        LOOM_EACH_PIXEL(CASE)
#undef CASE
    default:
        break;
    }
    if (mask == NULL) return truth;
    const uint8_t *shown = loom_values_at(mask, first);
    for (size_t k = 0; k < count; k++)
        buffer[k] = truth[k] & (shown[k] != 0);
    return buffer;
}

/* The row as bits, 64 voxels a word; the words beyond the row are 0. */
static void pack_row(const loom_value *image, const loom_value *mask, bool nonzero, uint64_t first, uint64_t width,
                     uint64_t *words) {
    for (uint64_t x = 0; x < width; x += LOOM_CHUNK) {
        uint8_t buffer[LOOM_CHUNK];
        size_t count = width - x < LOOM_CHUNK ? (size_t)(width - x) : LOOM_CHUNK;
        const uint8_t *truth = truth_of(image, mask, nonzero, first + x, count, buffer);
        for (size_t k = 0; k < count; k += 64) {
            uint64_t word = 0;
            size_t n = count - k < 64 ? count - k : 64, whole = n & ~(size_t)7;
            for (size_t j = 0; j < whole; j += 8)
                word |= bits_of_bytes(truth + k + j) << j;
            for (size_t j = whole; j < n; j++)
                word |= (uint64_t)(truth[k + j] & 1) << j;
            words[(x + k) / 64] = word;
        }
    }
}

/* Bits where a run begins: set, with the voxel before it clear. */
static inline uint64_t starts_of(uint64_t word, uint64_t before) {
    return word & ~(word << 1 | before >> 63);
}

static uint64_t count_runs(const uint64_t *words, uint64_t word_count) {
    uint64_t count = 0, before = 0;
    for (uint64_t w = 0; w < word_count; w++) {
        count += (uint64_t)__builtin_popcountll(starts_of(words[w], before));
        before = words[w];
    }
    return count;
}

/* Appends the runs of one row from number `run` on; returns the number after them. */
static uint64_t list_runs(loom_runs *runs, const uint64_t *words, uint64_t word_count, uint64_t run) {
    uint64_t before = 0, start_run = run;
    for (uint64_t w = 0; w < word_count; w++) {
        for (uint64_t starts = starts_of(words[w], before); starts != 0; starts &= starts - 1)
            runs->first[run++] = (uint32_t)(w * 64 + (uint64_t)__builtin_ctzll(starts));
        before = words[w];
    }
    /* A run ends where the next voxel is clear: as many ends as starts, in the same order. */
    for (uint64_t w = 0; w < word_count; w++) {
        uint64_t after = w + 1 < word_count ? words[w + 1] : 0;
        uint64_t ends = words[w] & ~(words[w] >> 1 | after << 63);
        for (; ends != 0; ends &= ends - 1)
            runs->last[start_run++] = (uint32_t)(w * 64 + (uint64_t)__builtin_ctzll(ends));
    }
    return run;
}

/* The root of a run, halving the path on the way (R. Tarjan, J. van Leeuwen, JACM 31(2), 1984). */
static inline uint32_t find(uint32_t *root, uint32_t run) {
    while (root[run] != run) {
        root[run] = root[root[run]];
        run = root[run];
    }
    return run;
}

static inline void join(uint32_t *root, uint32_t a, uint32_t b) {
    a = find(root, a);
    b = find(root, b);
    if (a < b)
        root[b] = a;
    else
        root[a] = b;
}

/* Joins the runs of two neighbouring rows where they touch; with a reach of 1, corners included. */
static void join_rows(loom_runs *runs, uint64_t row, uint64_t neighbour, uint64_t reach) {
    uint64_t a = runs->row[row], a_end = runs->row[row + 1];
    uint64_t b = runs->row[neighbour], b_end = runs->row[neighbour + 1];
    while (a < a_end && b < b_end) {
        if ((uint64_t)runs->last[b] + reach < runs->first[a]) {
            b++;
        } else if ((uint64_t)runs->last[a] + reach < runs->first[b]) {
            a++;
        } else {
            join(runs->root, (uint32_t)a, (uint32_t)b);
            if (runs->last[a] < runs->last[b])
                a++;
            else
                b++;
        }
    }
}

/* Joins a row with every neighbour row in begin..end - 1 that precedes it in raster order: up to 1, 4 or 13 of them. */
static void join_preceding(loom_runs *runs, const uint64_t size[LOOM_RANK_MAX], bool by_faces, uint64_t row,
                           uint64_t begin, uint64_t end) {
    if (runs->row[row] == runs->row[row + 1]) return;
    int64_t at[3] = {(int64_t)(row % size[1]), (int64_t)(row / size[1] % size[2]), (int64_t)(row / size[1] / size[2])};
    for (int dt = -1; dt <= 0; dt++)
        for (int dz = -1; dz <= (dt < 0 ? 1 : 0); dz++)
            for (int dy = -1; dy <= (dt < 0 || dz < 0 ? 1 : -1); dy++) {
                int64_t y = at[0] + dy, z = at[1] + dz, t = at[2] + dt;
                if (by_faces && abs(dy) + abs(dz) + abs(dt) > 1) continue;
                if (y < 0 || z < 0 || t < 0 || y >= (int64_t)size[1] || z >= (int64_t)size[2]) continue;
                uint64_t neighbour = ((uint64_t)t * size[2] + (uint64_t)z) * size[1] + (uint64_t)y;
                if (neighbour >= begin && neighbour < end) join_rows(runs, row, neighbour, by_faces ? 0 : 1);
            }
}

/* ---- parts ---- */

/* Slabs of so many slices are joined apart: then one slice in so many is joined by one worker alone. */
#define SLAB_SLICES 8u

uint64_t loom_runs_rows_a_part(const loom_runs_state *state) {
    return state->width < LOOM_PART_VALUES ? LOOM_PART_VALUES / state->width : 1;
}

static uint64_t slab_rows(const loom_image_header *header) {
    uint64_t rows = SLAB_SLICES * header->size[1];
    return header->size[2] * header->size[3] > 1 ? rows : header->size[1]; /* a plane is joined by one worker */
}

loom_runs loom_runs_of_part(const loom_part *part, const loom_runs_state *state) {
    uint32_t *arrays = part->shared[1];
    loom_runs runs = {
        .width = state->width, .rows = state->rows, .count = state->count, .row = part->shared[0], .first = arrays};
    if (arrays != NULL) {
        runs.last = arrays + state->count;
        runs.root = arrays + 2 * state->count;
    }
    return runs;
}

static uint64_t word_count_of(const loom_runs_state *state) {
    return (state->width + 63) / 64;
}

static loom_status row_words(loom_part *part, const loom_runs_state *state, uint64_t **words) {
    if (*part->local == NULL) LOOM_TRY(loom_scratch(part->call, word_count_of(state), sizeof(uint64_t), part->local));
    *words = *part->local;
    return LOOM_OK;
}

static loom_status images_of(loom_call *call, const loom_runs_rule *rule, const loom_value **image,
                             const loom_value **mask) {
    LOOM_TRY(loom_arg_image(call, rule->image_at, image));
    return rule->mask_at == 0 ? LOOM_OK : loom_arg_image(call, rule->mask_at, mask);
}

/* Leaves in row[r] how many runs row r has. */
loom_status loom_runs_count_part(loom_part *part) {
    const loom_runs_state *state = part->state;
    const loom_value *image = NULL, *mask = NULL;
    uint64_t *words = NULL, *row_counts = part->shared[0];
    LOOM_TRY(images_of(part->call, &state->rule, &image, &mask));
    LOOM_TRY(row_words(part, state, &words));
    for (uint64_t row = part->first; row < part->first + part->count; row++) {
        pack_row(image, mask, state->rule.nonzero, row * state->width, state->width, words);
        row_counts[row] = count_runs(words, word_count_of(state));
    }
    return LOOM_OK;
}

/* Lists the runs of a slab of rows and joins them with each other. */
loom_status loom_runs_list_part(loom_part *part) {
    const loom_runs_state *state = part->state;
    const loom_value *image = NULL, *mask = NULL;
    uint64_t *words = NULL, end = part->first + part->count;
    LOOM_TRY(images_of(part->call, &state->rule, &image, &mask));
    LOOM_TRY(row_words(part, state, &words));
    loom_runs runs = loom_runs_of_part(part, state);
    for (uint64_t row = part->first; row < end; row++) {
        if (runs.row[row] == runs.row[row + 1]) continue;
        pack_row(image, mask, state->rule.nonzero, row * state->width, state->width, words);
        list_runs(&runs, words, word_count_of(state), runs.row[row]);
    }
    for (uint64_t run = runs.row[part->first]; run < runs.row[end]; run++)
        runs.root[run] = (uint32_t)run;
    for (uint64_t row = part->first; row < end; row++)
        join_preceding(&runs, image->image.header->size, state->rule.by_faces, row, part->first, row);
    return LOOM_OK;
}

/* ---- the whole ---- */

static loom_status count_all(loom_call *call, const loom_runs_state *state, loom_runs *runs) {
    void *memory = NULL;
    LOOM_TRY(loom_share(call, 0, runs->rows + 1, sizeof(uint64_t), &memory));
    runs->row = memory;
    LOOM_TRY(
        loom_run_parts(call, LOOM_RUNS_COUNT_LOOP, runs->rows, loom_runs_rows_a_part(state), state, sizeof *state));
    for (uint64_t row = 0; row <= runs->rows; row++) {
        uint64_t here = row < runs->rows ? runs->row[row] : 0;
        runs->row[row] = runs->count;
        runs->count += here;
    }
    if (runs->count >= UINT32_MAX)
        return loom_fail(call->err, LOOM_TOO_LARGE,
                         "`%s` found more than 4294967294 runs of voxels; smooth the mask or cut the image",
                         call->op->name);
    return LOOM_OK;
}

/* Joins the slabs: rows at the beginning of each have neighbours in those before it. */
static void join_slabs(loom_runs *runs, const loom_image_header *header, bool by_faces, uint64_t grain) {
    uint64_t reach = header->size[1] * (header->size[3] > 1 ? header->size[2] + 1 : 1) + 1;
    for (uint64_t begin = grain; begin < runs->rows; begin += grain)
        for (uint64_t row = begin; row < runs->rows && row < begin + grain && row < begin + reach; row++)
            join_preceding(runs, header->size, by_faces, row, 0, begin);
}

loom_status loom_runs_connect(loom_call *call, uint32_t image_at, loom_runs *runs, loom_runs_state *state) {
    const loom_runs_rule rule = {.image_at = image_at};
    return loom_runs_connect_by(call, &rule, runs, state);
}

loom_status loom_runs_connect_by(loom_call *call, const loom_runs_rule *rule, loom_runs *runs, loom_runs_state *state) {
    const loom_value *image = NULL;
    void *memory = NULL;
    LOOM_TRY(loom_arg_image(call, rule->image_at, &image));
    const loom_image_header *header = image->image.header;
    *runs = (loom_runs){.width = header->size[0], .rows = header->size[1] * header->size[2] * header->size[3]};
    if (runs->width > UINT32_MAX)
        return loom_fail(call->err, LOOM_TOO_LARGE, "`%s` takes rows of at most 4294967295 voxels", call->op->name);
    *state = (loom_runs_state){.width = runs->width, .rows = runs->rows, .rule = *rule};
    LOOM_TRY(count_all(call, state, runs));
    state->count = runs->count;
    LOOM_TRY(loom_share(call, 1, runs->count, 3 * sizeof(uint32_t), &memory));
    runs->first = memory;
    runs->last = runs->first + runs->count;
    runs->root = runs->first + 2 * runs->count;
    uint64_t grain = slab_rows(header);
    (void)loom_count_parts(runs->rows, &grain);
    LOOM_TRY(loom_run_parts(call, LOOM_RUNS_LIST_LOOP, runs->rows, grain, state, sizeof *state));
    join_slabs(runs, header, rule->by_faces, grain);
    /* A root is never larger than its runs, so one pass upwards finds every final root. */
    for (uint64_t run = 0; run < runs->count; run++)
        runs->root[run] = runs->root[runs->root[run]];
    return LOOM_OK;
}
