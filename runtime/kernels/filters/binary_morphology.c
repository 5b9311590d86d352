/* binary_morphology.c - BinaryDilate and BinaryErode by a ball, a box or a cross.
 *
 * The set, where voxels have the foreground value (for erosion: where they have not), is packed to one bit a voxel, and
 * dilated 64 voxels at a time: rows that the element reaches are united, those that it reaches furthest along x first,
 * and what is united so far is widened before those come in that it reaches less (so every row is widened by its own
 * reach, and the sum is widened once). Widening by n takes about log2(n) shifts (P. Soille, "Morphological Image
 * Analysis", 2nd ed., Springer 2003, section 3.9: decomposition). Scratch: one bit a voxel, which all rows around are
 * read from, and two rows a worker. */
#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/filters/element.h"
#include "runtime/kernels/filters/options.h"
#include "runtime/kernels/kernels.h"

enum { PACK_LOOP, DILATE_LOOP };
enum { BITS, ROWS }; /* shared: the set; the rows of the element */

typedef struct plan {
    loom_pixel foreground, background;
    uint64_t rows; /* of the element */
    bool erode;
    bool outside; /* whether what lies beyond the edge is in the set that is dilated */
} plan;

/* X(pixel type, C type): what may be eroded. */
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

static uint64_t words_of(const loom_image_header *header) {
    return (header->size[0] + 63) / 64;
}

/* ---- packing ---- */

#define DEFINE_MEMBERS(dtype_, type_)                                                                                  \
    static void members_##dtype_(const type_ *in, uint64_t count, type_ foreground, bool erode, uint8_t *truth) {      \
        for (uint64_t k = 0; k < count; k++)                                                                           \
            truth[k] = (in[k] == foreground) ^ erode;                                                                  \
    }
EACH_WHOLE(DEFINE_MEMBERS)

static void pack(const uint8_t *truth, uint64_t count, uint64_t *words) {
    for (uint64_t k = 0; k < count; k += 64) {
        uint64_t word = 0, n = count - k < 64 ? count - k : 64, whole = n & ~UINT64_C(7);
        for (uint64_t j = 0; j < whole; j += 8) {
            uint64_t eight = 0;
            for (unsigned b = 0; b < 8; b++)
                eight |= (uint64_t)truth[k + j + b] << (8 * b);
            word |= (eight * UINT64_C(0x0102040810204080)) >> 56 << j;
        }
        for (uint64_t j = whole; j < n; j++)
            word |= (uint64_t)truth[k + j] << j;
        words[k / 64] = word;
    }
}

static void members_of(const loom_value *image, const plan *what, uint64_t first, uint64_t count, uint8_t *truth) {
    switch (image->image.header->dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        members_##dtype_(loom_values_at(image, first), count, what->foreground.as_##type_, what->erode, truth);        \
        break;
        EACH_WHOLE(CASE)
#undef CASE
    default:
        break;
    }
}

/* The set in some rows. */
static loom_status pack_part(loom_part *part) {
    const loom_value *image = NULL;
    LOOM_TRY(loom_arg_whole_image(part->call, 0, &image));
    const loom_image_header *header = image->image.header;
    const uint64_t width = header->size[0];
    for (uint64_t row = part->first; row < part->first + part->count; row++) {
        uint64_t *words = (uint64_t *)part->shared[BITS] + row * words_of(header);
        for (uint64_t x = 0; x < width; x += LOOM_CHUNK) {
            uint8_t truth[LOOM_CHUNK];
            uint64_t count = width - x < LOOM_CHUNK ? width - x : LOOM_CHUNK;
            members_of(image, part->state, row * width + x, count, truth);
            pack(truth, count, words + x / 64);
        }
    }
    return LOOM_OK;
}

/* ---- dilation of rows of bits ---- */

typedef struct line {
    uint64_t *bits, *other; /* the row; room for a row */
    uint64_t words, width;
    uint64_t outside; /* all bits, if what lies beyond the ends is in the set; else none */
} line;

static void set_tail(line *l) {
    if (l->width % 64 == 0) return;
    uint64_t inside = (UINT64_C(1) << l->width % 64) - 1;
    l->bits[l->words - 1] = (l->bits[l->words - 1] & inside) | (l->outside & ~inside);
}

static inline uint64_t word_at(const line *l, int64_t at) {
    return at < 0 || at >= (int64_t)l->words ? l->outside : l->bits[at];
}

/* Unites the row with itself, moved by `by` voxels both ways. */
static void spread(line *l, uint64_t by) {
    int64_t whole = (int64_t)(by / 64);
    unsigned rest = (unsigned)(by % 64);
    for (int64_t w = 0; w < (int64_t)l->words; w++) {
        uint64_t up = word_at(l, w - whole), down = word_at(l, w + whole);
        if (rest != 0) {
            up = up << rest | word_at(l, w - whole - 1) >> (64 - rest);
            down = down >> rest | word_at(l, w + whole + 1) << (64 - rest);
        }
        l->other[w] = l->bits[w] | up | down;
    }
    uint64_t *swapped = l->bits;
    l->bits = l->other;
    l->other = swapped;
    set_tail(l);
}

/* Widens what is in the row by `by` voxels on both sides: a segment of reach r and its copies at most r + 1 away make a
 * longer one, at the edge too, where what lies beyond is cut off each time. */
static void widen(line *l, uint64_t by) {
    for (uint64_t reach = 0; reach < by;) {
        uint64_t step = reach + 1 < by - reach ? reach + 1 : by - reach;
        spread(l, step);
        reach += step;
    }
}

LOOM_SIMD static void unite(uint64_t *restrict into, const uint64_t *restrict from, uint64_t words) {
    for (uint64_t w = 0; w < words; w++)
        into[w] |= from[w];
}

/* The row of the dilated set at `row`. */
static void dilate_row(const loom_image_header *header, const uint64_t *set, const loom_element_row *rows,
                       uint64_t count, uint64_t row, line *l) {
    const uint64_t *size = header->size;
    const int64_t at[3] = {(int64_t)(row % size[1]), (int64_t)(row / size[1] % size[2]),
                           (int64_t)(row / size[1] / size[2])};
    uint32_t reach = rows[0].reach;
    memset(l->bits, 0, l->words * sizeof *l->bits);
    set_tail(l);
    for (uint64_t k = 0; k < count; k++) {
        int64_t y = at[0] + rows[k].offset[1], z = at[1] + rows[k].offset[2], t = at[2] + rows[k].offset[3];
        bool inside =
            y >= 0 && z >= 0 && t >= 0 && y < (int64_t)size[1] && z < (int64_t)size[2] && t < (int64_t)size[3];
        if (!inside && l->outside == 0) continue;
        if (!inside) { /* all of it is in the set */
            memset(l->bits, 0xff, l->words * sizeof *l->bits);
            return;
        }
        if (rows[k].reach < reach) widen(l, reach - rows[k].reach);
        reach = rows[k].reach;
        unite(l->bits, set + (((uint64_t)t * size[2] + (uint64_t)z) * size[1] + (uint64_t)y) * l->words, l->words);
    }
    widen(l, reach);
}

/* ---- the result ---- */

static void unpack(const uint64_t *words, uint64_t first, uint64_t count, uint8_t *truth) {
    for (uint64_t k = 0; k < count; k++)
        truth[k] = words[(first + k) / 64] >> (first + k) % 64 & 1;
}

/* Dilation: what is covered becomes foreground. Erosion: foreground that is covered becomes background. */
#define DEFINE_PAINT(dtype_, type_)                                                                                    \
    LOOM_SIMD static void paint_##dtype_(const type_ *restrict in, const uint8_t *restrict covered, uint64_t count,    \
                                         type_ foreground, type_ background, bool erode, type_ *restrict out) {        \
        if (erode)                                                                                                     \
            for (uint64_t k = 0; k < count; k++)                                                                       \
                out[k] = ((covered[k] != 0) & (in[k] == foreground)) != 0 ? background : in[k];                        \
        else                                                                                                           \
            for (uint64_t k = 0; k < count; k++)                                                                       \
                out[k] = covered[k] != 0 ? foreground : in[k];                                                         \
    }
EACH_WHOLE(DEFINE_PAINT)

static void paint(const loom_value *image, const plan *what, const uint8_t *covered, uint64_t first, uint64_t count,
                  void *voxels) {
    uint8_t dtype = image->image.header->dtype;
    void *out = loom_values_of(voxels, dtype, first);
    switch (dtype) {
#define CASE(dtype_, type_)                                                                                            \
    case dtype_:                                                                                                       \
        paint_##dtype_(loom_values_at(image, first), covered, count, what->foreground.as_##type_,                      \
                       what->background.as_##type_, what->erode, out);                                                 \
        break;
        EACH_WHOLE(CASE)
#undef CASE
    default:
        break;
    }
}

/* Some rows. */
static loom_status dilate_part(loom_part *part) {
    const loom_value *image = NULL;
    const plan *what = part->state;
    LOOM_TRY(loom_arg_whole_image(part->call, 0, &image));
    const loom_image_header *header = image->image.header;
    const uint64_t width = header->size[0], words = words_of(header);
    if (*part->local == NULL) LOOM_TRY(loom_scratch(part->call, 2 * words, sizeof(uint64_t), part->local));
    uint64_t *space = *part->local;
    for (uint64_t row = part->first; row < part->first + part->count; row++) {
        line l = {.bits = space,
                  .other = space + words,
                  .words = words,
                  .width = width,
                  .outside = what->outside ? UINT64_MAX : 0};
        dilate_row(header, part->shared[BITS], part->shared[ROWS], what->rows, row, &l);
        for (uint64_t x = 0; x < width; x += LOOM_CHUNK) {
            uint8_t covered[LOOM_CHUNK];
            uint64_t count = width - x < LOOM_CHUNK ? width - x : LOOM_CHUNK;
            unpack(l.bits, x, count, covered);
            paint(image, what, covered, row * width + x, count, part->voxels);
        }
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {[PACK_LOOP] = pack_part, [DILATE_LOOP] = dilate_part};

static uint64_t scratch(const loom_call *call, uint32_t lanes) {
    const loom_image_header *header = loom_first_image(call);
    if (header == NULL) return 0;
    uint64_t row = words_of(header) * sizeof(uint64_t);
    return (header->size[1] * header->size[2] * header->size[3] + 2 * lanes) * row;
}
const loom_loops loom_loops_binary_morphology = {.run = loops, .count = 2, .scratch = scratch};

/* Rows of the element, and what the edge is taken for. */
static loom_status read_element(loom_call *call, unsigned rank, plan *what) {
    uint64_t radius[LOOM_RANK_MAX], kind = LOOM_BALL;
    void *memory = NULL;
    LOOM_TRY(loom_option_radius(call, 1, rank, radius));
    LOOM_TRY(loom_option_count(call, 2, LOOM_BALL, UINT32_MAX, &kind));
    if (kind != LOOM_BALL && kind != LOOM_BOX && kind != LOOM_CROSS)
        return loom_fail(call->err, LOOM_UNSUPPORTED,
                         "`%s` knows the kernels sitkBall (1), sitkBox (2) and sitkCross (3), not %llu; run it in a "
                         "Python worker",
                         call->op->name, (unsigned long long)kind);
    uint64_t most = loom_element_rows_max(radius);
    if (most > 4000000)
        return loom_fail(call->err, LOOM_TOO_LARGE, "`%s` takes kernels of at most 4000000 rows; give a smaller radius",
                         call->op->name);
    LOOM_TRY(loom_share(call, ROWS, most, sizeof(loom_element_row), &memory));
    what->rows = loom_element_rows((loom_element_kind)kind, radius, memory);
    return LOOM_OK;
}

static loom_status run_morphology(loom_call *call, bool erode) {
    const loom_value *image = NULL;
    plan what = {.erode = erode};
    double background = 0, foreground = 1;
    bool edge_is_foreground = erode;
    void *memory = NULL, *voxels = NULL;
    LOOM_TRY(loom_arg_whole_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    LOOM_TRY(loom_option_number(call, 3, 0.0, &background));
    LOOM_TRY(loom_option_number(call, 4, 1.0, &foreground));
    LOOM_TRY(loom_option_truth(call, 5, erode, &edge_is_foreground));
    LOOM_TRY(read_element(call, header->rank, &what));
    what.foreground = loom_pixel_from_double(header->dtype, foreground);
    what.background = loom_pixel_from_double(header->dtype, background);
    what.outside = edge_is_foreground != erode;
    bool stays_bool = header->dtype == LOOM_BOOL8 && what.foreground.as_uint8_t <= 1 && what.background.as_uint8_t <= 1;
    const uint64_t rows = header->size[1] * header->size[2] * header->size[3];
    LOOM_TRY(loom_share(call, BITS, rows * words_of(header), sizeof(uint64_t), &memory));
    LOOM_TRY(loom_run_parts(call, PACK_LOOP, rows, LOOM_PART_VALUES / header->size[0], &what, sizeof what));
    loom_dtype dtype = header->dtype == LOOM_BOOL8 && !stays_bool ? LOOM_U8 : (loom_dtype)header->dtype;
    LOOM_TRY(loom_result_image(call, header, dtype, 1, &voxels));
    uint64_t work = header->size[0] * (1 + what.rows / 64);
    return loom_run_parts(call, DILATE_LOOP, rows, LOOM_PART_VALUES / work, &what, sizeof what);
}

loom_status loom_run_binary_dilate(loom_call *call) {
    return run_morphology(call, false);
}
loom_status loom_run_binary_erode(loom_call *call) {
    return run_morphology(call, true);
}
