/* config_paths.c - see config_paths.h. */
#include "runtime/config/config_paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/config/config_keys.h"
#include "runtime/config/toml_shim.h"

static const char too_long[] = "is too long in all";

/* One more behind those that are there. */
static const char *add_path(char *paths, const char *path, size_t length) {
    size_t used = strlen(paths), room = LOOM_PATH_BYTES - used;
    const char *home = length >= 2 && path[0] == '~' && path[1] == '/' ? getenv("HOME") : NULL;
    size_t skipped = home != NULL ? 1 : 0;
    if (length >= room) return too_long;
    int added = snprintf(paths + used, room, "%s%s%.*s", used > 0 ? ":" : "", home != NULL ? home : "",
                         (int)(length - skipped), path + skipped);
    return added >= 0 && (size_t)added < room ? NULL : too_long;
}

const char *loom_paths_from_array(char *paths, const char *texts, size_t count) {
    const char *problem = NULL;
    paths[0] = '\0';
    for (; count > 0 && problem == NULL; count--, texts += strlen(texts) + 1) {
        if (texts[0] == '\0') return "has an empty path";
        if (strchr(texts, ':') != NULL) return "has a path with a ':' in it";
        problem = add_path(paths, texts, strlen(texts));
    }
    return problem;
}

/* What is found in a text that should be an array. */
typedef struct array_text {
    char *paths;
    const char *problem;
} array_text;

static loom_status take_array(const loom_toml_entry *entry, void *context, loom_error *err) {
    array_text *array = context;
    (void)err;
    if (entry->kind == LOOM_TOML_TEXTS)
        array->problem = loom_paths_from_array(array->paths, entry->text, entry->text_count);
    return LOOM_OK;
}

static const char *from_array_text(char *paths, const char *text) {
    array_text array = {.paths = paths, .problem = "is no array of paths"};
    size_t capacity = strlen(text) + sizeof "paths = ";
    char *line = malloc(capacity);
    if (line == NULL) return "needs more memory than there is";
    int length = snprintf(line, capacity, "paths = %s", text);
    if (loom_toml_read(line, (size_t)length, "", take_array, &array, NULL) != LOOM_OK)
        array.problem = "is no array of paths";
    free(line);
    return array.problem;
}

const char *loom_paths_from_text(char *paths, const char *text) {
    const char *problem = NULL;
    if (text[0] == '[') return from_array_text(paths, text);
    paths[0] = '\0';
    while (*text != '\0' && problem == NULL) {
        size_t length = strcspn(text, ":");
        if (length > 0) problem = add_path(paths, text, length);
        text += length + (text[length] == ':');
    }
    return problem;
}

/* ---- as TOML ---- */

void loom_paths_text(const char *paths, char *text, size_t capacity) {
    char path[LOOM_PATH_BYTES];
    size_t used = 0;
    snprintf(text, capacity, "[]");
    while (*paths != '\0') {
        size_t length = strcspn(paths, ":");
        snprintf(path, sizeof path, "%.*s", (int)length, paths);
        text[used] = used == 0 ? '[' : ' ';
        used++;
        loom_config_quote(path, text + used, capacity - used);
        used += strlen(text + used);
        paths += length + (paths[length] == ':');
        snprintf(text + used, capacity - used, "%c", *paths != '\0' ? ',' : ']');
        used++;
    }
}
