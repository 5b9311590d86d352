/* nearest.c - edit distance over short words, for "did you mean". */
#include "runtime/nearest.h"

#include <string.h>

#define WORD_MAX 127u
#define FAR 1000u

static unsigned min2(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap of neighbours) that turn a into b: the optimal string alignment distance (F.
 * Damerau, "A technique for computer detection and correction of spelling errors", CACM 1964). Words beyond 127 bytes
 * count as far. */
static unsigned edit_distance(const char *a, const char *b) {
    size_t rows = strlen(a);
    size_t columns = strlen(b);
    if (rows > WORD_MAX || columns > WORD_MAX) return FAR;
    unsigned table[3][WORD_MAX + 1]; /* row i of the distance matrix is table[i % 3] */
    for (size_t j = 0; j <= columns; j++)
        table[0][j] = (unsigned)j;
    for (size_t i = 1; i <= rows; i++) {
        unsigned *row = table[i % 3];
        const unsigned *above = table[(i - 1) % 3];
        const unsigned *above2 = table[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= columns; j++) {
            unsigned best = min2(above[j] + 1, row[j - 1] + 1);
            best = min2(best, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) best = min2(best, above2[j - 2] + 1);
            row[j] = best;
        }
    }
    return table[rows % 3][columns];
}

const char *loom_nearest(const char *word, const char *const *words, size_t count) {
    const char *nearest = NULL;
    unsigned least = FAR;
    for (size_t i = 0; i < count; i++) {
        unsigned distance = edit_distance(word, words[i]);
        if (distance >= least) continue;
        least = distance;
        nearest = words[i];
    }
    if (nearest == NULL) return NULL;
    unsigned allowed = (unsigned)(strlen(nearest) / 3);
    if (allowed < 1) allowed = 1;
    if (allowed > 3) allowed = 3;
    return least <= allowed ? nearest : NULL;
}
