/* json.h - JSON as Python's json.load reads it: RFC 8259, and Infinity, -Infinity and NaN.
 *
 * Whole numbers become int64 (doubles beyond 64 bits), others double. Of members with one name the last counts. */
#ifndef LOOM_KERNELS_JSON_H
#define LOOM_KERNELS_JSON_H

#include "shm/arena.h"
#include "shm/status.h"
#include "shm/value.h"

/* Reads a whole text, which must be valid UTF-8 and stay in place (strings without escapes point into it). Errors:
 * LOOM_BAD_INPUT with file, line, column; nesting is limited to 64 levels. */
loom_status loom_json_read(const char *path, const char *text, size_t length, loom_arena *arena, loom_value *value,
                           loom_error *err);

#endif
