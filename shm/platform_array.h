/* platform_array.h - private arrays that grow large: the plan's nodes, a run's steps, hash tables.
 *
 * A large one begins at a huge page and grows by moving page tables, not bytes. What is in no cache then costs a look
 * at memory, not one at the page tables as well, and there is a fault for 2 MiB instead of one for 4 KiB. Twins:
 * platform_array_linux.c, platform_array_posix.c (calloc). Thread-safe as malloc is. */
#ifndef LOOM_SHM_PLATFORM_ARRAY_H
#define LOOM_SHM_PLATFORM_ARRAY_H

#include <stddef.h>

/* The array with `new_bytes`, perhaps elsewhere; what is new is zero. `items` is NULL, with 0 for `old_bytes`, or an
 * array of these functions with just `old_bytes`; new_bytes >= old_bytes, > 0. NULL: out of memory, `items` is as it
 * was. */
void *loom_array_grow(void *items, size_t old_bytes, size_t new_bytes);
/* Frees an array of `bytes`; NULL is accepted. */
void loom_array_free(void *items, size_t bytes);

#endif
