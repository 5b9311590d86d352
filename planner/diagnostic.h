/* diagnostic.h - errors that point into a program: position, source line, cause and remedy. */
#ifndef LOOM_PLANNER_DIAGNOSTIC_H
#define LOOM_PLANNER_DIAGNOSTIC_H

#include "planner/ast.h"
#include "shm/status.h"

/* Fills `err` with the place, its source line and a message, and returns the status. */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
loom_status
loom_diagnose(loom_error *err, loom_status status, loom_place place, const char *format, ...);

/* `text` quoted as Python's repr quotes a str, cut at `capacity`. Returns the length written. */
size_t loom_python_quote(const char *text, size_t length, char *quoted, size_t capacity);

/* Damerau-Levenshtein distance of two names, or `limit` + 1 if it is more than `limit` (F. Damerau, CACM 1964). */
uint32_t loom_edit_distance(const char *a, size_t a_length, const char *b, size_t b_length, uint32_t limit);

#endif
