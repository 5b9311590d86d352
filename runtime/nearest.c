/* nearest.c - see nearest.h. */
#include "runtime/nearest.h"

#include <string.h>

#include "shm/edit_distance.h"

#define EDITS_MAX 3u

const char *loom_nearest(const char *word, const char *const *words, size_t count) {
    const char *nearest = NULL;
    uint32_t least = EDITS_MAX + 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t distance = loom_edit_distance(word, strlen(word), words[i], strlen(words[i]), EDITS_MAX);
        if (distance >= least) continue;
        least = distance;
        nearest = words[i];
    }
    if (nearest == NULL) return NULL;
    size_t allowed = strlen(nearest) / 3;
    if (allowed < 1) allowed = 1;
    return least <= allowed ? nearest : NULL;
}
