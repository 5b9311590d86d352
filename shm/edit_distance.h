/* edit_distance.h - how far apart two words are, for "did you mean". */
#ifndef LOOM_SHM_EDIT_DISTANCE_H
#define LOOM_SHM_EDIT_DISTANCE_H

#include <stddef.h>
#include <stdint.h>

/* Edits (insert, delete, replace, swap of neighbours) that turn one word into the other: the optimal string alignment
 * distance (F. Damerau, "A technique for computer detection and correction of spelling errors", CACM 1964). `limit` + 1
 * if it is more than `limit`, or if a word is longer than 64 bytes. Pure; thread-safe. */
uint32_t loom_edit_distance(const char *a, size_t a_length, const char *b, size_t b_length, uint32_t limit);

#endif
