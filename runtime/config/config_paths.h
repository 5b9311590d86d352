/* config_paths.h - settings that are several paths: kept as one text with ':' between them, written as an array. */
#ifndef LOOM_RUNTIME_CONFIG_PATHS_H
#define LOOM_RUNTIME_CONFIG_PATHS_H

#include <stddef.h>

/* Both write LOOM_PATH_BYTES at most; a leading ~/ of a path is the home folder. They return what is wrong, for a
 * message ("has an empty path"), or NULL. `texts`: each ended by a NUL, one after the other. Of a text, "a.so:b.so" and
 * what a file would say, ["a.so", "b.so"], are taken. */
const char *loom_paths_from_array(char *paths, const char *texts, size_t count);
const char *loom_paths_from_text(char *paths, const char *text);

/* As TOML: an array of strings. `capacity` is LOOM_CONFIG_TEXT_BYTES at least. */
void loom_paths_text(const char *paths, char *text, size_t capacity);

#endif
