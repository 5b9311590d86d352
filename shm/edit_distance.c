/* Three rows of the distance matrix are enough: a swap looks back two. */
#include "shm/edit_distance.h"

#define LONGEST_COMPARED 64

uint32_t loom_edit_distance(const char *a, size_t a_length, const char *b, size_t b_length, uint32_t limit) {
    size_t apart = a_length > b_length ? a_length - b_length : b_length - a_length;
    if (apart > limit || a_length > LONGEST_COMPARED || b_length > LONGEST_COMPARED) return limit + 1;
    uint32_t rows[3][LONGEST_COMPARED + 1];
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = (uint32_t)j;
    for (size_t i = 1; i <= a_length; i++) {
        uint32_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = (uint32_t)i;
        for (size_t j = 1; j <= b_length; j++) {
            uint32_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best) best = above[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
    }
    uint32_t distance = rows[a_length % 3][b_length];
    return distance <= limit ? distance : limit + 1;
}
