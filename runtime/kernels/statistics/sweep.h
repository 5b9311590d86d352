/* sweep.h - how `loom.sweep` is asked: one pass over an image for the volumes of many comparisons with numbers.
 *
 * Its arguments are the image, a text with a letter an item, and bytes that hold the numbers of the items, in order, as
 * doubles: two for LOOM_SWEEP_BETWEEN, else one. Item k of its result, a sequence, is what `volume` gives of the
 * comparison; null where the comparison itself would refuse its arguments, or the image is none of one component: ask
 * it then, it says why. */
#ifndef LOOM_KERNELS_SWEEP_H
#define LOOM_KERNELS_SWEEP_H

#define LOOM_SWEEP_ITEMS_MAX 256u /* of one pass */

/* The letter of an item: 'a' + relation of the voxel (left) to the number, + LOOM_SWEEP_NOT where what does not hold is
 * counted. */
typedef enum loom_sweep_relation {
    LOOM_SWEEP_EQUAL,
    LOOM_SWEEP_NOT_EQUAL,
    LOOM_SWEEP_LESS,
    LOOM_SWEEP_LESS_EQUAL,
    LOOM_SWEEP_GREATER,
    LOOM_SWEEP_GREATER_EQUAL,
    LOOM_SWEEP_BETWEEN, /* from the first number to the second, both included */
    LOOM_SWEEP_RELATIONS
} loom_sweep_relation;
#define LOOM_SWEEP_NOT 8

#endif
