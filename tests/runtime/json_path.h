/* json_path.h - a value of a JSON text by its path: enough of a reader for run summaries, independent of the product's.
 */
#ifndef LOOM_TESTS_RUNTIME_JSON_PATH_H
#define LOOM_TESTS_RUNTIME_JSON_PATH_H

#include <stddef.h>

/* Where the value stands in the text and how long it is; NULL if the path leads nowhere or the text is malformed.
 * "goals.0.status": members by name, items by number. */
const char *json_find(const char *text, const char *path, size_t *length);

#endif
