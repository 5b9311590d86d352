/* median_row.c - medians of a row: see median_row.h.
 *
 * Both methods do the same steps for LANES voxels side by side, without branches, so the compiler makes vectors of
 * them. Boxes of up to FORGET_MAX values: selection that forgets (J. L. Smith, "Implementing median filters in XC4000E
 * FPGAs", Xcell 23, 1996): of n/2 + 2 values the smallest and the largest cannot be the median; they go, one more value
 * comes. Larger ones: bit by bit from the highest, the largest number that at most n/2 of the values lie below. */
#include "runtime/kernels/filters/median_row.h"

#include "runtime/kernels/base/simd.h"

#define LANES 32
#define FORGET_MAX 125 /* 5 x 5 x 5: beyond about 250 values of 32 bits the other is quicker */

#define DEFINE_MEDIAN(type_, bits_)                                                                                    \
    /* Moves the smallest of a[first..last] to a[first], the largest to a[last], lane by lane. */                      \
    static inline void extremes_##type_(type_(*a)[LANES], size_t first, size_t last) {                                 \
        for (size_t i = first + 1; i <= last; i++)                                                                     \
            for (size_t k = 0; k < LANES; k++) {                                                                       \
                type_ x = a[first][k], y = a[i][k];                                                                    \
                a[first][k] = x < y ? x : y;                                                                           \
                a[i][k] = x < y ? y : x;                                                                               \
            }                                                                                                          \
        for (size_t i = first + 1; i < last; i++)                                                                      \
            for (size_t k = 0; k < LANES; k++) {                                                                       \
                type_ x = a[i][k], y = a[last][k];                                                                     \
                a[i][k] = x < y ? x : y;                                                                               \
                a[last][k] = x < y ? y : x;                                                                            \
            }                                                                                                          \
    }                                                                                                                  \
                                                                                                                       \
    static inline const type_ *line_##type_(const loom_median_rows *rows, size_t number, size_t begin) {               \
        size_t taps = 2 * rows->radius + 1, tap = number % taps;                                                       \
        return (const type_ *)rows->lines[number / taps] + begin + tap * rows->step - rows->radius * rows->step;       \
    }                                                                                                                  \
                                                                                                                       \
    LOOM_SIMD static void forget_##type_(const loom_median_rows *rows, size_t begin, type_ *restrict out) {            \
        type_ a[FORGET_MAX / 2 + 2][LANES];                                                                            \
        size_t values = rows->count * (2 * rows->radius + 1), kept = values / 2 + 2;                                   \
        if (kept > values) kept = values;                                                                              \
        for (size_t i = 0; i < kept; i++) {                                                                            \
            const type_ *in = line_##type_(rows, i, begin);                                                            \
            for (size_t k = 0; k < LANES; k++)                                                                         \
                a[i][k] = in[k];                                                                                       \
        }                                                                                                              \
        /* Values a[0] .. a[last]: the smallest is given up by moving the start, the largest by being replaced. */     \
        size_t first = 0, last = kept - 1;                                                                             \
        for (size_t next = kept; next < values; next++) {                                                              \
            extremes_##type_(a, first, last);                                                                          \
            const type_ *in = line_##type_(rows, next, begin);                                                         \
            first++;                                                                                                   \
            for (size_t k = 0; k < LANES; k++)                                                                         \
                a[last][k] = in[k];                                                                                    \
        }                                                                                                              \
        if (last - first == 2) {                                                                                       \
            extremes_##type_(a, first, last);                                                                          \
            first++;                                                                                                   \
        }                                                                                                              \
        for (size_t k = 0; k < LANES; k++)                                                                             \
            out[k] = a[first][k];                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    LOOM_SIMD static void bisect_##type_(const loom_median_rows *rows, size_t begin, type_ *restrict out) {            \
        type_ found[LANES] = {0};                                                                                      \
        const size_t taps = 2 * rows->radius + 1;                                                                      \
        const uint32_t half = (uint32_t)(rows->count * taps / 2);                                                      \
        for (int bit = bits_ - 1; bit >= 0; bit--) {                                                                   \
            uint32_t below[LANES] = {0};                                                                               \
            for (size_t line = 0; line < rows->count; line++)                                                          \
                for (size_t tap = 0; tap < taps; tap++) {                                                              \
                    const type_ *in = line_##type_(rows, line * taps + tap, begin);                                    \
                    for (size_t k = 0; k < LANES; k++)                                                                 \
                        below[k] += in[k] < (type_)(found[k] | (type_)1 << bit);                                       \
                }                                                                                                      \
            for (size_t k = 0; k < LANES; k++)                                                                         \
                found[k] = (type_)(found[k] | (type_)((type_)(below[k] <= half) << bit));                              \
        }                                                                                                              \
        for (size_t k = 0; k < LANES; k++)                                                                             \
            out[k] = found[k];                                                                                         \
    }                                                                                                                  \
                                                                                                                       \
    void loom_median_row_##type_(const loom_median_rows *rows, type_ *out) {                                           \
        type_ block[LANES];                                                                                            \
        const bool few = rows->count * (2 * rows->radius + 1) <= FORGET_MAX;                                           \
        for (size_t begin = 0; begin < rows->width; begin += LANES) {                                                  \
            size_t left = rows->width - begin, count = left < LANES ? left : LANES;                                    \
            (few ? forget_##type_ : bisect_##type_)(rows, begin, block);                                               \
            for (size_t k = 0; k < count; k++)                                                                         \
                out[begin + k] = block[k];                                                                             \
        }                                                                                                              \
    }

DEFINE_MEDIAN(uint8_t, 8)
DEFINE_MEDIAN(uint16_t, 16)
DEFINE_MEDIAN(uint32_t, 32)
DEFINE_MEDIAN(uint64_t, 64)
