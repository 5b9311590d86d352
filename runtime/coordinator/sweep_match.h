/* sweep_match.h - which tapes are volumes of a comparison of an image with numbers. */
#ifndef LOOM_RUNTIME_SWEEP_MATCH_H
#define LOOM_RUNTIME_SWEEP_MATCH_H

#include "runtime/coordinator/fuse.h"

typedef struct loom_swept_item {
    uint32_t image;    /* step */
    char letter;       /* of the comparison: kernels/statistics/sweep.h */
    uint32_t count;    /* of numbers */
    uint32_t steps[2]; /* that give them */
    double numbers[2];
    bool known; /* the numbers are; else they will be soon: they are computed from constants */
} loom_swept_item;

/* Whether the group is such an item. */
bool loom_sweep_match(loom_session *session, const loom_group *group, loom_swept_item *item);

#endif
