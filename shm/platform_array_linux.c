/* platform_array_linux.c - platform_array.h: small arrays are malloc's, large ones mappings that begin at a huge page
 * and ask for huge pages. Where the machine grants none, they are ordinary pages. */
#include "shm/platform_array.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define LARGE ((size_t)1 << 20) /* below, what a huge page would hold in vain is too much of it */

static bool is_large(size_t bytes) {
    return bytes >= LARGE;
}

/* In whole huge pages: a neighbour's mapping must not share the last one. */
static size_t mapped_bytes(size_t bytes) {
    return (bytes + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
}

/* Addresses for `bytes`, a multiple of HUGE_PAGE, that begin at one. */
static char *reserve(size_t bytes) {
    char *start = mmap(NULL, bytes + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) return NULL;
    size_t before = (HUGE_PAGE - (uintptr_t)start % HUGE_PAGE) % HUGE_PAGE;
    if (before > 0) (void)munmap(start, before); /* else it costs addresses */
    (void)munmap(start + before + bytes, HUGE_PAGE - before);
    return start + before;
}

static void *map_new(size_t bytes) {
    char *start = reserve(bytes);
    if (!start) return NULL;
    /* In the place of the reservation, which counts as no memory: this does, and may be refused. Then the reservation
     * may be gone, and others' memory there: it is left alone, and costs addresses at worst. */
    if (mmap(start, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return NULL;
    (void)madvise(start, bytes, MADV_HUGEPAGE); /* refused where there are none */
    return start;
}

/* Both begin at a huge page, so that page tables move in whole, and huge pages stay huge. */
static void *map_larger(void *items, size_t old_bytes, size_t new_bytes) {
    if (new_bytes == old_bytes) return items;
    char *start = reserve(new_bytes);
    if (!start) return NULL;
    /* Refused: as in map_new. */
    if (mremap(items, old_bytes, new_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, start) == MAP_FAILED) return NULL;
    return start;
}

/* Not realloc and memset: new pages are zero already, and need not be there before they are used. */
static void *grow_small(void *items, size_t old_bytes, size_t new_bytes) {
    void *grown = calloc(1, new_bytes);
    if (grown && old_bytes > 0) memcpy(grown, items, old_bytes);
    if (grown) free(items);
    return grown;
}

void *loom_array_grow(void *items, size_t old_bytes, size_t new_bytes) {
    if (!is_large(new_bytes)) return grow_small(items, old_bytes, new_bytes);
    if (new_bytes > SIZE_MAX / 2) return NULL;
    if (is_large(old_bytes)) return map_larger(items, mapped_bytes(old_bytes), mapped_bytes(new_bytes));
    void *grown = map_new(mapped_bytes(new_bytes));
    if (grown && old_bytes > 0) memcpy(grown, items, old_bytes);
    if (grown) free(items);
    return grown;
}

void loom_array_free(void *items, size_t bytes) {
    if (is_large(bytes))
        (void)munmap(items, mapped_bytes(bytes));
    else
        free(items);
}
