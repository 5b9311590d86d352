/* platform_array_posix.c - platform_array.h with what C has. */
#include "shm/platform_array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Not realloc and memset: new pages are zero already, and need not be there before they are used. */
void *loom_array_grow(void *items, size_t old_bytes, size_t new_bytes) {
    if (new_bytes > SIZE_MAX / 2) return NULL;
    void *grown = calloc(1, new_bytes);
    if (grown && old_bytes > 0) memcpy(grown, items, old_bytes);
    if (grown) free(items);
    return grown;
}

void loom_array_free(void *items, size_t bytes) {
    (void)bytes;
    free(items);
}
