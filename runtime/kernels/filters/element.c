/* element.c - structuring elements: see element.h.
 *
 * A ball of radius r holds the voxels whose centres lie in an ellipsoid with half-axes r + 0.5 (ITK's
 * FlatStructuringElement::Ball); no centre lies on its surface, because sums of whole numbers over odd squares never
 * make 1/4 of one. A cross holds one segment an axis. */
#include "runtime/kernels/filters/element.h"

#include <stdlib.h>

uint64_t loom_element_rows_max(const uint64_t radius[LOOM_RANK_MAX]) {
    uint64_t count = 1;
    for (unsigned d = 1; d < LOOM_RANK_MAX; d++)
        count *= 2 * radius[d] + 1;
    return count;
}

static double part_of(int64_t offset, uint64_t radius) {
    double share = (double)offset / ((double)radius + 0.5);
    return share * share;
}

/* How far the element reaches along x at an offset, or -1. */
static int64_t reach_at(loom_element_kind kind, const uint64_t radius[LOOM_RANK_MAX], const int64_t offset[4]) {
    if (kind == LOOM_BOX) return (int64_t)radius[0];
    if (kind == LOOM_CROSS) {
        int off_axes = (offset[1] != 0) + (offset[2] != 0) + (offset[3] != 0);
        return off_axes == 0 ? (int64_t)radius[0] : off_axes == 1 ? 0 : -1;
    }
    double sum = part_of(offset[1], radius[1]) + part_of(offset[2], radius[2]) + part_of(offset[3], radius[3]);
    int64_t reach = -1;
    while (reach < (int64_t)radius[0] && sum + part_of(reach + 1, radius[0]) <= 1.0)
        reach++;
    return reach;
}

static int furthest_first(const void *a, const void *b) {
    const loom_element_row *left = a, *right = b;
    if (left->reach != right->reach) return left->reach > right->reach ? -1 : 1;
    for (unsigned d = LOOM_RANK_MAX - 1; d > 0; d--)
        if (left->offset[d] != right->offset[d]) return left->offset[d] < right->offset[d] ? -1 : 1;
    return 0;
}

uint64_t loom_element_rows(loom_element_kind kind, const uint64_t radius[LOOM_RANK_MAX], loom_element_row *rows) {
    const int64_t r[4] = {0, (int64_t)radius[1], (int64_t)radius[2], (int64_t)radius[3]};
    uint64_t count = 0;
    for (int64_t t = -r[3]; t <= r[3]; t++)
        for (int64_t z = -r[2]; z <= r[2]; z++)
            for (int64_t y = -r[1]; y <= r[1]; y++) {
                int64_t reach = reach_at(kind, radius, (const int64_t[4]){0, y, z, t});
                if (reach < 0) continue;
                rows[count++] =
                    (loom_element_row){.offset = {0, (int16_t)y, (int16_t)z, (int16_t)t}, .reach = (uint32_t)reach};
            }
    qsort(rows, count, sizeof *rows, furthest_first);
    return count;
}
