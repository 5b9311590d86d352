/* arena.h - memory that lives and dies together.
 *
 * An arena hands out pieces of growing chunks and frees them all at once. Not thread-safe: one arena, one thread. */
#ifndef LOOM_SHM_ARENA_H
#define LOOM_SHM_ARENA_H

#include <stddef.h>

typedef struct loom_arena loom_arena;

/* A new empty arena, or NULL when out of memory. */
loom_arena *loom_arena_new(void);
/* Frees the arena and all it handed out; NULL is accepted. */
void loom_arena_free(loom_arena *arena);
/* Forgets everything handed out but keeps one chunk for reuse. */
void loom_arena_reset(loom_arena *arena);

/* `bytes` of zeroed memory aligned for any type, or NULL when out of memory; bytes = 0 gives a valid pointer. */
void *loom_arena_alloc(loom_arena *arena, size_t bytes);
/* The same for an array; NULL on overflow of count * item_bytes. */
void *loom_arena_array(loom_arena *arena, size_t count, size_t item_bytes);
/* A NUL-terminated copy of `length` bytes. */
char *loom_arena_text(loom_arena *arena, const char *text, size_t length);
/* A copy of `length` bytes. */
void *loom_arena_copy(loom_arena *arena, const void *bytes, size_t length);

#endif
