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

#endif
