/* figures.h - records of named numbers, which the operators of `arrays` give; and what they share. */
#ifndef LOOM_KERNELS_FIGURES_H
#define LOOM_KERNELS_FIGURES_H

#include "runtime/kernels/kernel.h"
#include "runtime/kernels/statistics/array.h"

/* The record that becomes the result of a call; complete when as many figures are added as it was opened for. */
typedef struct loom_figures {
    loom_call *call;
    loom_field *fields;
    size_t count;
} loom_figures;

loom_status loom_figures_open(loom_call *call, size_t count, loom_figures *figures);
/* Names are literals. */
void loom_figure_real(loom_figures *figures, const char *name, double number);
void loom_figure_whole(loom_figures *figures, const char *name, uint64_t number);
void loom_figure_list(loom_figures *figures, const char *name, const loom_value *items, size_t count);
/* Room for a list. */
loom_status loom_figures_list(loom_call *call, uint64_t count, loom_value **items);

/* How many values of argument 1, an array of `count`, are equal to a number: in parts, shared block 0. */
loom_status loom_count_value(loom_call *call, uint64_t count, double value, uint64_t *found);
/* How many of at most LOOM_CHUNK values are equal in both arrays. */
uint64_t loom_count_equal(const loom_array *a, const loom_array *b, uint64_t first, size_t count);

#endif
