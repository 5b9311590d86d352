/* names.h - interned names: equal text, equal pointer. */
#ifndef LOOM_PLANNER_NAMES_H
#define LOOM_PLANNER_NAMES_H

#include "planner/ast.h"
#include "shm/arena.h"

typedef struct loom_names {
    loom_arena *arena; /* names and their text live here */
    loom_name **slots; /* open addressing; capacity is a power of two */
    size_t capacity;
    size_t count;
} loom_names;

/* Sets the table up with the names that the language gives a meaning of its own. False when out of memory. */
bool loom_names_start(loom_names *names, loom_arena *arena);
void loom_names_end(loom_names *names);

/* The one loom_name of these bytes; NULL when out of memory. */
loom_name *loom_names_get(loom_names *names, const char *text, size_t length);

/* Byte order of the text, which for these ASCII names is code point order; for qsort over loom_name pointers. */
int loom_name_order(const void *a, const void *b);

#endif
