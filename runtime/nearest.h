/* nearest.h - "did you mean": the word of a list that a misspelt one was meant to be. */
#ifndef LOOM_RUNTIME_NEAREST_H
#define LOOM_RUNTIME_NEAREST_H

#include <stddef.h>

/* The first of the nearest words, if it is at most a third of its letters away (at least 1, at most 3 edits); else
 * NULL. */
const char *loom_nearest(const char *word, const char *const *words, size_t count);

#endif
