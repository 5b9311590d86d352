/* arena.c - memory that lives and dies together: a list of chunks that double in size.
 *
 * Small requests are cut from the current chunk; a large one gets a chunk of its own. Chunks are zero when they are
 * new, without being touched if they are large. */
#include "shm/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shm/platform_array.h"

#define FIRST_CHUNK_BYTES 4096u
#define LARGEST_CHUNK_BYTES (4u << 20) /* in huge pages, see platform_array.h */
#define ALIGNMENT alignof(max_align_t)

typedef struct chunk {
    struct chunk *next;
    size_t capacity;
    size_t used;
    bool zeroed; /* what is not used yet */
    alignas(max_align_t) unsigned char bytes[];
} chunk;

struct loom_arena {
    chunk *current; /* cut from; the head of the list of ordinary chunks */
    chunk *large;   /* one request each */
    size_t next_capacity;
};

loom_arena *loom_arena_new(void) {
    loom_arena *arena = calloc(1, sizeof *arena);
    if (arena) arena->next_capacity = FIRST_CHUNK_BYTES - sizeof(chunk);
    return arena;
}

static void free_chunks(chunk *list) {
    while (list) {
        chunk *next = list->next;
        loom_array_free(list, sizeof *list + list->capacity);
        list = next;
    }
}

void loom_arena_free(loom_arena *arena) {
    if (!arena) return;
    free_chunks(arena->current);
    free_chunks(arena->large);
    free(arena);
}

void loom_arena_reset(loom_arena *arena) {
    free_chunks(arena->large);
    arena->large = NULL;
    if (!arena->current) return;
    free_chunks(arena->current->next);
    arena->current->next = NULL;
    arena->current->used = 0;
    arena->current->zeroed = false;
}

static chunk *new_chunk(size_t capacity) {
    if (capacity > SIZE_MAX - sizeof(chunk)) return NULL;
    chunk *made = loom_array_grow(NULL, 0, sizeof *made + capacity);
    if (!made) return NULL;
    made->capacity = capacity;
    made->zeroed = true;
    return made;
}

static void *alloc_large(loom_arena *arena, size_t bytes) {
    chunk *made = new_chunk(bytes);
    if (!made) return NULL;
    made->used = bytes;
    made->next = arena->large;
    arena->large = made;
    return made->bytes;
}

static chunk *add_chunk(loom_arena *arena) {
    chunk *made = new_chunk(arena->next_capacity);
    if (!made) return NULL;
    made->next = arena->current;
    arena->current = made;
    if (arena->next_capacity < LARGEST_CHUNK_BYTES) arena->next_capacity = 2 * arena->next_capacity + sizeof(chunk);
    return made;
}

/* *zeroed: the piece is. */
static void *take(loom_arena *arena, size_t bytes, bool *zeroed) {
    *zeroed = false;
    if (bytes > SIZE_MAX - ALIGNMENT) return NULL;
    size_t rounded = (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    chunk *from = arena->current;
    if (!from || rounded > from->capacity - from->used) {
        if (rounded > arena->next_capacity / 4) {
            *zeroed = true;
            return alloc_large(arena, rounded > 0 ? rounded : 1);
        }
        from = add_chunk(arena);
        if (!from) return NULL;
    }
    void *piece = from->bytes + from->used;
    from->used += rounded;
    *zeroed = from->zeroed;
    return piece;
}

void *loom_arena_alloc(loom_arena *arena, size_t bytes) {
    bool zeroed;
    void *piece = take(arena, bytes, &zeroed);
    if (piece && !zeroed) memset(piece, 0, bytes);
    return piece;
}

void *loom_arena_array(loom_arena *arena, size_t count, size_t item_bytes) {
    if (item_bytes != 0 && count > SIZE_MAX / item_bytes) return NULL;
    return loom_arena_alloc(arena, count * item_bytes);
}

char *loom_arena_text(loom_arena *arena, const char *text, size_t length) {
    if (length == SIZE_MAX) return NULL;
    bool zeroed;
    char *copy = take(arena, length + 1, &zeroed);
    if (!copy) return NULL;
    if (length > 0) memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

void *loom_arena_copy(loom_arena *arena, const void *bytes, size_t length) {
    bool zeroed;
    void *copy = take(arena, length, &zeroed);
    if (copy && length > 0) memcpy(copy, bytes, length);
    return copy;
}
