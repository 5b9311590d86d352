/* program.c - reads a file whole, tells programs from plans, and plans either. */
#include "runtime/program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/check.h"

#define FILE_BYTES_MAX (UINT64_C(2) << 30)

/* Grows as it reads, so that pipes and /dev/stdin work too. */
static loom_status read_stream(FILE *file, const char *path, char **text, size_t *length, loom_error *err) {
    size_t capacity = 1u << 16;
    size_t used = 0;
    char *bytes = malloc(capacity);
    while (bytes != NULL) {
        errno = 0;
        used += fread(bytes + used, 1, capacity - used, file);
        if (used < capacity) break;
        char *grown = capacity >= FILE_BYTES_MAX ? NULL : realloc(bytes, capacity * 2);
        if (grown == NULL) break;
        bytes = grown;
        capacity *= 2;
    }
    if (bytes == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading %s", path);
    loom_status status = LOOM_OK;
    if (ferror(file) && errno == EISDIR)
        status = loom_fail(err, LOOM_BAD_INPUT, "%s is a folder; name a program (.imgql) or a plan (.json)", path);
    else if (ferror(file))
        status = loom_fail_errno(err, errno != 0 ? errno : EIO, "cannot read %s", path);
    else if (used == capacity && capacity >= FILE_BYTES_MAX)
        status = loom_fail(err, LOOM_TOO_LARGE, "%s is larger than 2 GiB; is it a program or a plan?", path);
    else if (used == capacity)
        status = loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading %s", path);
    if (status != LOOM_OK) {
        free(bytes);
        return status;
    }
    *text = bytes;
    *length = used;
    return LOOM_OK;
}

loom_status loom_program_read(const char *path, char **text, size_t *length, loom_error *err) {
    *text = NULL;
    *length = 0;
    FILE *file = fopen(path, "rbe");
    if (file == NULL) return loom_fail_errno(err, errno, "cannot open %s; check the path", path);
    loom_status status = read_stream(file, path, text, length, err);
    fclose(file);
    return status;
}

bool loom_program_is_plan(const char *source, const char *text, size_t length) {
    size_t name = strlen(source);
    if (name >= 5 && strcmp(source + name - 5, ".json") == 0) return true;
    size_t at = 0;
    while (at < length && memchr(" \t\r\n", text[at], 4) != NULL)
        at++;
    return at < length && text[at] == '{';
}

loom_status loom_program_plan(const loom_operator_table *operators, const char *source, const char *text, size_t length,
                              void (*notice)(const loom_position *position, const char *text, void *context),
                              void *context, loom_plan **plan, loom_error *err) {
    const loom_plan_options options = {.operators = operators, .notice = notice, .context = context};
    *plan = NULL;
    return loom_program_is_plan(source, text, length)
               ? loom_plan_from_json(&options, source, text, length, plan, err)
               : loom_plan_from_program(&options, source, text, length, plan, err);
}

void loom_program_quote(loom_error *err) {
    char *text = NULL;
    size_t length = 0;
    if (err->file[0] == '\0' || err->line == 0 || err->excerpt[0] != '\0') return;
    if (loom_program_read(err->file, &text, &length, NULL) != LOOM_OK) return;
    const char *line = text, *end = text + length;
    for (uint32_t n = 1; line != NULL && n < err->line; n++) {
        line = memchr(line, '\n', (size_t)(end - line));
        if (line != NULL) line++;
    }
    if (line != NULL) loom_error_excerpt(err, line, (size_t)(end - line));
    free(text);
}

loom_status loom_program_check(loom_plan *plan, loom_error *err) {
    loom_status status = loom_plan_check(plan, NULL, false, err);
    if (status != LOOM_OK) loom_program_quote(err);
    return status;
}
