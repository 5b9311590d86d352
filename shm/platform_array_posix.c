/* platform_array_posix.c - platform_array.h with what C has. */
#include "shm/platform_array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *loom_array_grow(void *items, size_t old_bytes, size_t new_bytes) {
    if (new_bytes > SIZE_MAX / 2) return NULL;
    if (old_bytes == 0) return calloc(1, new_bytes); /* large: its pages are zero without being touched */
    char *grown = realloc(items, new_bytes);
    if (grown) memset(grown + old_bytes, 0, new_bytes - old_bytes);
    return grown;
}

void loom_array_free(void *items, size_t bytes) {
    (void)bytes;
    free(items);
}
