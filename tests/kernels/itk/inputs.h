/* inputs.h - the images that ITK was run on, by name; for C and C++, so that recorder and test make the same ones.
 *
 * A name is TYPE[xCOMPONENTS]_GRID_PATTERN, such as f32_3d_a or u8x3_2d_s.
 *   TYPE     u8 i8 u16 i16 u32 i32 u64 i64 f32 f64
 *   GRID     2d 3d 4d: odd sizes, anisotropic spacing, rotated; flat: one voxel thin; vol: 23 x 19 x 11, for filters
 *   PATTERN  a, b: anything the type holds (reals: -512 to 512 in steps of 1/64); s: small values, the zero among them;
 *            p: 0 to 99, reals also between; m: 0 and 1; w: a smooth wave of 0 to 100; n: reals with NaN, infinities
 * and both zeros (other types: as a) Everything follows from whole numbers, so it is the same on every machine. */
#ifndef LOOM_TESTS_KERNELS_ITK_INPUTS_H
#define LOOM_TESTS_KERNELS_ITK_INPUTS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ITK_INPUT_TYPES "u8 i8 u16 i16 u32 i32 u64 i64 f32 f64"

typedef struct itk_input {
    char type[4];
    unsigned components, rank;
    uint64_t size[4];
    double spacing[4], origin[4], direction[16]; /* row by row, `rank` numbers a row */
    char pattern;
} itk_input;

static inline uint64_t itk_input_count(const itk_input *input) {
    return input->size[0] * input->size[1] * input->size[2] * input->size[3] * input->components;
}

static inline int itk_input_set_grid(itk_input *input, const char *grid, size_t length) {
    static const double rotated2[4] = {0.6, -0.8, 0.8, 0.6};
    static const double rotated3[9] = {2.0 / 3,  -1.0 / 3, 2.0 / 3, 2.0 / 3, 2.0 / 3,
                                       -1.0 / 3, -1.0 / 3, 2.0 / 3, 2.0 / 3};
    static const struct {
        const char *name;
        unsigned rank;
        uint64_t size[4];
    } grids[] = {{"2d", 2, {7, 5, 1, 1}},
                 {"3d", 3, {7, 5, 3, 1}},
                 {"4d", 4, {5, 3, 4, 2}},
                 {"flat", 3, {9, 1, 5, 1}},
                 {"vol", 3, {23, 19, 11, 1}}};
    static const double spacing[4] = {0.75, 1.3, 2.5, 0.4}, origin[4] = {-12.5, 3.3, 40.0, 7.0};
    for (size_t g = 0; g < sizeof grids / sizeof grids[0]; g++) {
        if (strlen(grids[g].name) != length || memcmp(grids[g].name, grid, length) != 0) continue;
        const unsigned rank = input->rank = grids[g].rank;
        memcpy(input->size, grids[g].size, sizeof input->size);
        memcpy(input->spacing, spacing, sizeof spacing);
        memcpy(input->origin, origin, sizeof origin);
        memset(input->direction, 0, sizeof input->direction);
        for (unsigned row = 0; row < rank; row++)
            for (unsigned column = 0; column < rank; column++)
                input->direction[row * rank + column] = row > 2 || column > 2 ? row == column
                                                        : rank == 2           ? rotated2[row * 2 + column]
                                                                              : rotated3[row * 3 + column];
        return 1;
    }
    return 0;
}

/* 0 if the text is not the name of an input. */
static inline int itk_input_parse(const char *name, size_t length, itk_input *input) {
    const char *types = ITK_INPUT_TYPES;
    size_t at = 0, end;
    memset(input, 0, sizeof *input);
    while (at < length && name[at] != 'x' && name[at] != '_')
        at++;
    if (at < 2 || at > 3) return 0;
    memcpy(input->type, name, at);
    const char *found = strstr(types, input->type);
    if (found == NULL || (found[at] != ' ' && found[at] != 0)) return 0;
    input->components = 1;
    if (at < length && name[at] == 'x') {
        input->components = 0;
        for (at++; at < length && name[at] >= '0' && name[at] <= '9' && input->components < 100; at++)
            input->components = input->components * 10 + (unsigned)(name[at] - '0');
    }
    if (input->components == 0 || at >= length || name[at] != '_') return 0;
    for (end = ++at; end < length && name[end] != '_';)
        end++;
    if (!itk_input_set_grid(input, name + at, end - at) || end + 2 != length) return 0;
    input->pattern = name[end + 1];
    return strchr("abspmwn", input->pattern) != NULL;
}

/* splitmix64 (S. Vigna 2015). */
static inline uint64_t itk_input_random(uint64_t k) {
    k = (k + 1) * UINT64_C(0x9E3779B97F4A7C15);
    k = (k ^ (k >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    k = (k ^ (k >> 27)) * UINT64_C(0x94D049BB133111EB);
    return k ^ (k >> 31);
}

/* 0 to 100, two periods along each axis; in 1/16 for reals. */
static inline int itk_input_wave(const itk_input *input, uint64_t k) {
    int sum = 0;
    k /= input->components;
    for (unsigned d = 0; d < 3; d++) {
        const int n = (int)input->size[d], at = (int)(k % input->size[d]) * 400 / (n > 1 ? n : 2) % 200;
        sum += at < 100 ? at : 200 - at;
        k /= input->size[d];
    }
    return sum * 16 / 3;
}

/* Value number k (component fastest) as a real, and as a whole number whose low bits are the value. */
static inline double itk_input_real(const itk_input *input, uint64_t k) {
    const uint64_t random = itk_input_random(k * 2 + (input->pattern == 'b'));
    switch (input->pattern) {
    case 's':
        return ((double)(random % 29) - 14) / 4;
    case 'p':
        return (double)(random % 3200) / 32;
    case 'm':
        return (double)(random % 3 == 0);
    case 'w':
        return itk_input_wave(input, k) / 16.0;
    case 'n':
        if (random % 8 == 0)
            return random % 16 == 0 ? NAN : random % 3 == 0 ? -0.0 : random % 3 == 1 ? INFINITY : -INFINITY;
        break;
    default:
        break;
    }
    return ((double)(random % 65536) - 32768) / 64;
}
static inline uint64_t itk_input_whole(const itk_input *input, uint64_t k) {
    const uint64_t random = itk_input_random(k * 2 + (input->pattern == 'b'));
    switch (input->pattern) {
    case 's':
        return input->type[0] == 'i' ? random % 7 - 3 : random % 5;
    case 'p':
        return random % 100;
    case 'm':
        return random % 3 == 0;
    case 'w':
        return (uint64_t)(itk_input_wave(input, k) / 16);
    default:
        return random;
    }
}

/* Bytes of a value. */
static inline size_t itk_input_bytes(const char *type) {
    return (size_t)atoi(type + 1) / 8;
}

static inline void itk_input_fill(const itk_input *input, void *values) {
    const uint64_t count = itk_input_count(input);
    const size_t bytes = itk_input_bytes(input->type);
    for (uint64_t k = 0; k < count; k++) {
        const double real = itk_input_real(input, k);
        const uint64_t whole = itk_input_whole(input, k);
        const float single = (float)real;
        const void *value = input->type[0] != 'f' ? (const void *)&whole /* little-endian */
                            : bytes == 4          ? (const void *)&single
                                                  : (const void *)&real;
        memcpy((char *)values + k * bytes, value, bytes);
    }
}

/* FNV-1a of the values, 64 bits (G. Fowler, L. C. Noll, K.-P. Vo): against differences, not against attackers. All NaNs
 * are one: which of them an operation gives is the processor's choice. */
static inline uint64_t itk_digest(const char *type, const void *values, uint64_t count) {
    uint64_t digest = UINT64_C(0xCBF29CE484222325);
    const size_t bytes = itk_input_bytes(type);
    for (uint64_t k = 0; k < count; k++) {
        unsigned char value[8];
        float single = 0;
        double real = 0;
        memcpy(value, (const char *)values + k * bytes, bytes);
        if (type[0] == 'f' && bytes == 4) memcpy(&single, value, sizeof single);
        if (type[0] == 'f' && bytes == 8) memcpy(&real, value, sizeof real);
        if (isnan(single) || isnan(real)) memset(value, 0xFF, bytes);
        for (size_t b = 0; b < bytes; b++)
            digest = (digest ^ value[b]) * UINT64_C(0x100000001B3);
    }
    return digest;
}

#endif
