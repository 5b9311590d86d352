/* array.h - an image or nested sequences of numbers as one array, as numpy sees them: for the operators of `arrays`.
 *
 * Of an image the first axis is the slowest, and components are the last one. Numbers are 64-bit integers if all are
 * whole, truth values if all are, else doubles. */
#ifndef LOOM_KERNELS_ARRAY_H
#define LOOM_KERNELS_ARRAY_H

#include "runtime/kernels/kernel.h"

#define LOOM_ARRAY_RANK_MAX 8u

typedef struct loom_array {
    uint8_t dtype;
    bool truths; /* of truth values: no differences */
    unsigned rank;
    uint64_t shape[LOOM_ARRAY_RANK_MAX];
    uint64_t count; /* values, at least 1 */
    const void *values;
} loom_array;

/* Refused: what is neither, sequences of different lengths at one level, and no values at all. */
loom_status loom_arg_array(loom_call *call, uint32_t position, loom_array *array);
/* Two arrays of one shape. */
loom_status loom_arg_two_arrays(loom_call *call, loom_array *a, loom_array *b);

/* `count` values from `first` on in another type; `buffer` has room for them. */
const double *loom_array_doubles(const loom_array *array, uint64_t first, size_t count, double *buffer);
const int64_t *loom_array_integers(const loom_array *array, uint64_t first, size_t count, int64_t *buffer);
/* 1 where a value is equal to a number, which floats compare in their own type. */
void loom_array_equal(const loom_array *array, uint64_t first, size_t count, double number, uint8_t *equal);

/* The type in which numpy computes with both. */
uint8_t loom_common_dtype(uint8_t a, uint8_t b);

#endif
