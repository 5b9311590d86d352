/* folder.c - default.dir: names in a folder, and the hash of the listing that stands for it in keys. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/files/glob.h"
#include "runtime/kernels/kernels.h"

typedef struct listing {
    const char *root;
    loom_names names;
    bool full_paths;
} listing;

/* true/1/yes/on, false/0/no/off, numbers, truth values. */
static loom_status read_flag(loom_call *call, uint32_t position, bool *flag) {
    static const char *const words[] = {"false", "0", "no", "off", "true", "1", "yes", "on"};
    const loom_value *value = NULL;
    double number = 0;
    if (position >= call->argument_count) return LOOM_OK;
    LOOM_TRY(loom_arg(call, position, &value));
    if (value->type == LOOM_STRING) {
        for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
            if (strlen(words[k]) == value->text.length &&
                strncasecmp(words[k], value->text.bytes, value->text.length) == 0) {
                *flag = k >= 4;
                return LOOM_OK;
            }
    } else if (loom_value_number(value, &number)) {
        *flag = number != 0;
        return LOOM_OK;
    }
    return loom_arg_refuse(call, position, "a truth value: true, false, yes, no, on, off, 1 or 0");
}

/* The folder with a leading ~ expanded and links resolved. */
static loom_status resolve_root(loom_call *call, const char *path, const char **root) {
    const char *home = getenv("HOME");
    if (path[0] == '~' && (path[1] == '/' || path[1] == 0) && home != NULL) {
        size_t head = strlen(home), tail = strlen(path + 1);
        char *expanded = loom_arena_alloc(call->arena, head + tail + 1);
        if (expanded == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
        memcpy(expanded, home, head);
        memcpy(expanded + head, path + 1, tail + 1);
        path = expanded;
    }
    char *resolved = realpath(path, NULL);
    *root = resolved == NULL ? path : loom_arena_text(call->arena, resolved, strlen(resolved));
    free(resolved);
    if (*root == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
    return LOOM_OK;
}

static loom_status list_folder(loom_call *call, listing *found) {
    const char *path = NULL, *pattern = "*";
    bool recursive = false;
    LOOM_TRY(loom_arg_path(call, 0, &path));
    if (call->argument_count > 1) LOOM_TRY(loom_arg_path(call, 1, &pattern));
    LOOM_TRY(read_flag(call, 2, &recursive));
    LOOM_TRY(read_flag(call, 3, &found->full_paths));
    LOOM_TRY(resolve_root(call, path, &found->root));
    return loom_glob(found->root, pattern, recursive, call->arena, &found->names, call->err);
}

static int compare_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names become absolute, with links resolved, and sorted again. */
static loom_status make_full(loom_call *call, listing *found) {
    for (size_t k = 0; k < found->names.count; k++) {
        const char *name = found->names.items[k];
        size_t head = strlen(found->root), tail = strlen(name);
        char *path = loom_arena_alloc(call->arena, head + tail + 2);
        if (path == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
        memcpy(path, found->root, head);
        if (head > 0 && path[head - 1] != '/') path[head++] = '/';
        memcpy(path + head, name, tail + 1);
        char *resolved = realpath(path, NULL);
        found->names.items[k] = resolved == NULL ? path : loom_arena_text(call->arena, resolved, strlen(resolved));
        free(resolved);
        if (found->names.items[k] == NULL)
            return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
    }
    if (found->names.count > 0)
        qsort(found->names.items, found->names.count, sizeof found->names.items[0], compare_text);
    return LOOM_OK;
}

loom_status loom_run_dir(loom_call *call) {
    listing found = {0};
    LOOM_TRY(list_folder(call, &found));
    if (found.full_paths) LOOM_TRY(make_full(call, &found));
    loom_value *items = loom_arena_array(call->arena, found.names.count == 0 ? 1 : found.names.count, sizeof *items);
    if (items == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
    for (size_t k = 0; k < found.names.count; k++)
        items[k] = loom_string_of(found.names.items[k]);
    call->result = loom_sequence(items, found.names.count);
    return LOOM_OK;
}

/* The key holds what the call gives, so that a folder which moves, grows or loses a file is another input. */
loom_status loom_inputs_dir(loom_call *call, loom_input_list *list) {
    listing found = {0};
    loom_buffer text = {0};
    LOOM_TRY(list_folder(call, &found));
    if (found.full_paths) LOOM_TRY(make_full(call, &found));
    loom_status status = LOOM_OK;
    for (size_t k = 0; k < found.names.count && status == LOOM_OK; k++)
        status = loom_buffer_add(&text, found.names.items[k], strlen(found.names.items[k]) + 1);
    if (status == LOOM_OK) {
        loom_id content = loom_sha256(text.bytes, text.length);
        status = loom_input_add(list, found.root, &content);
    }
    loom_buffer_free(&text);
    return status == LOOM_OK ? LOOM_OK : loom_fail(call->err, status, "out of memory in `%s`", call->op->name);
}
