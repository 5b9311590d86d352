/* json_path.c - walks a JSON text; knows where values end, not what they mean. */
#include "json_path.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *at) {
    return at + strspn(at, " \t\r\n");
}

static const char *string_end(const char *at) {
    for (at++; *at != '"'; at++) {
        if (*at == '\0') return NULL;
        if (*at == '\\' && *++at == '\0') return NULL;
    }
    return at + 1;
}

/* Just behind the value that begins at `at`. */
static const char *value_end(const char *at) {
    if (*at == '"') return string_end(at);
    if (*at != '{' && *at != '[') return at + strcspn(at, ",]} \t\r\n");
    size_t depth = 0;
    do {
        if (*at == '"') {
            at = string_end(at);
            if (!at) return NULL;
            continue;
        }
        if (*at == '\0') return NULL;
        depth += *at == '{' || *at == '[';
        depth -= *at == '}' || *at == ']';
        at++;
    } while (depth > 0);
    return at;
}

/* The value of the member or item that the first `length` characters of `step` name. */
static const char *enter(const char *at, const char *step, size_t length) {
    bool object = *at == '{';
    if (!object && *at != '[') return NULL;
    unsigned long wanted = object ? 0 : strtoul(step, NULL, 10);
    at = skip_space(at + 1);
    for (unsigned long index = 0; *at != '}' && *at != ']'; index++) {
        bool match = !object && index == wanted;
        if (object) {
            const char *end = *at == '"' ? string_end(at) : NULL;
            if (!end) return NULL;
            match = (size_t)(end - at) == length + 2 && strncmp(at + 1, step, length) == 0;
            at = skip_space(end);
            if (*at != ':') return NULL;
            at = skip_space(at + 1);
        }
        if (match) return at;
        at = value_end(at);
        if (!at) return NULL;
        at = skip_space(at);
        if (*at == ',') at = skip_space(at + 1);
        if (*at == '\0') return NULL;
    }
    return NULL;
}

const char *json_find(const char *text, const char *path, size_t *length) {
    const char *at = skip_space(text);
    while (at && *path != '\0') {
        size_t step = strcspn(path, ".");
        at = enter(at, path, step);
        path += step + (path[step] == '.');
    }
    const char *end = at ? value_end(at) : NULL;
    if (!end) return NULL;
    *length = (size_t)(end - at);
    return at;
}
