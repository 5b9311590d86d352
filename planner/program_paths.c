/* program_paths.c - paths as Python's pathlib computes them, since they are values in the program. */
#include "planner/program_paths.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* A program is read whole; nobody writes a gigabyte by hand. */
#define LARGEST_PROGRAM ((size_t)1 << 30)

static const char *last_component(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Where the suffix (".imgql") of a file name begins; its end if it has none. As pathlib, a leading or trailing dot
 * begins no suffix. */
static const char *suffix_of(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && dot != name && dot[1] != '\0' ? dot : name + strlen(name);
}

static bool is_program_path(const char *label) {
    bool path = strchr(label, '/') || strchr(label, '\\');
    return path && strcasecmp(suffix_of(last_component(label)), ".imgql") == 0;
}

const char *loom_real_path(loom_arena *arena, const char *path) {
    char *real = realpath(path, NULL);
    if (!real) return NULL;
    const char *copy = loom_arena_text(arena, real, strlen(real));
    free(real);
    return copy;
}

static const char *join(loom_arena *arena, const char *folder, size_t folder_length, const char *name) {
    size_t name_length = strlen(name);
    char *joined = loom_arena_alloc(arena, folder_length + name_length + 2);
    if (!joined) return NULL;
    memcpy(joined, folder, folder_length);
    joined[folder_length] = '/';
    memcpy(joined + folder_length + 1, name, name_length + 1);
    return joined;
}

/* For files that do not exist (a program given as text): components are folded without looking at the disk. */
static const char *fold_path(loom_arena *arena, const char *cwd, const char *path) {
    const char *whole = path[0] == '/' ? path : join(arena, cwd, strlen(cwd), path);
    char *out = whole ? loom_arena_alloc(arena, strlen(whole) + 2) : NULL;
    if (!out) return NULL;
    size_t used = 0;
    for (const char *at = whole; *at;) {
        size_t length = strcspn(at, "/");
        if (length == 2 && at[0] == '.' && at[1] == '.') {
            while (used && out[--used] != '/') {
            }
        } else if (length && !(length == 1 && at[0] == '.')) {
            out[used++] = '/';
            memcpy(out + used, at, length);
            used += length;
        }
        at += length;
        at += *at == '/';
    }
    if (!used) out[used++] = '/';
    out[used] = '\0';
    return out;
}

static const char *strip(loom_arena *arena, const char *label) {
    static const char blank[] = " \t\n\v\f\r";
    label += strspn(label, blank);
    size_t length = strlen(label);
    while (length && strchr(blank, label[length - 1]))
        length--;
    return loom_arena_text(arena, label, length);
}

static void split(loom_arena *arena, const char *resolved, loom_program_paths *paths) {
    const char *name = last_component(resolved);
    size_t folder = (size_t)(name - resolved);
    paths->dir = loom_arena_text(arena, resolved, folder > 1 ? folder - 1 : folder);
    paths->file = name;
    paths->stem = loom_arena_text(arena, name, (size_t)(suffix_of(name) - name));
}

/* Text that is no path of a program. */
static void describe_label(loom_arena *arena, const char *label, loom_program_paths *paths) {
    paths->dir = paths->cwd;
    paths->file = label;
    size_t length = strlen(label);
    while (length && label[length - 1] == '/')
        length--;
    const char *trimmed = loom_arena_text(arena, label, length);
    const char *name = trimmed ? last_component(trimmed) : "";
    paths->stem = trimmed ? loom_arena_text(arena, name, (size_t)(suffix_of(name) - name)) : NULL;
    bool anonymous = strcmp(label, "<input>") == 0 || strcmp(label, "<repl>") == 0;
    if (paths->stem && (anonymous || !*paths->stem)) paths->stem = "program";
}

loom_status loom_program_paths_find(loom_arena *arena, const char *source, loom_program_paths *paths, loom_error *err) {
    *paths = (loom_program_paths){.cwd = loom_real_path(arena, ".")};
    if (!paths->cwd) return loom_fail_errno(err, errno, "cannot tell the working directory");
    const char *label = strip(arena, source);
    if (label && !*label) label = "<input>";
    if (label && is_program_path(label)) {
        const char *resolved = loom_real_path(arena, label);
        if (!resolved) resolved = fold_path(arena, paths->cwd, label);
        if (resolved) split(arena, resolved, paths);
    } else if (label) {
        describe_label(arena, label, paths);
    }
    if (!paths->dir || !paths->file || !paths->stem)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while planning");
    return LOOM_OK;
}

static bool is_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode); /* reading a pipe could wait for ever */
}

const char *loom_find_import(loom_arena *arena, const char *written, const char *importer) {
    if (is_file(written)) return written;
    if (!importer || written[0] == '/') return NULL;
    const char *name = last_component(importer);
    if (name == importer) return NULL; /* the importer is in the working directory */
    const char *beside = join(arena, importer, (size_t)(name - importer) - 1, written);
    return beside && is_file(beside) ? beside : NULL;
}

static loom_status read_open(loom_arena *arena, FILE *file, const char *path, const char **text, size_t *length,
                             loom_error *err) {
    struct stat info;
    if (fstat(fileno(file), &info) != 0) return loom_fail_errno(err, errno, "cannot read %s", path);
    if (info.st_size < 0 || (uint64_t)info.st_size > LARGEST_PROGRAM)
        return loom_fail(err, LOOM_TOO_LARGE, "%s is larger than 1 GiB; it is not a program", path);
    size_t capacity = (size_t)info.st_size + 1;
    char *bytes = loom_arena_alloc(arena, capacity + 1);
    if (!bytes) return loom_fail(err, LOOM_NO_MEMORY, "out of memory reading %s", path);
    *length = fread(bytes, 1, capacity, file);
    if (ferror(file)) return loom_fail_errno(err, errno, "cannot read %s", path);
    if (*length == capacity) return loom_fail(err, LOOM_STALE_INPUT, "%s grew while it was read; run again", path);
    bytes[*length] = '\0';
    *text = bytes;
    return LOOM_OK;
}

loom_status loom_read_text(loom_arena *arena, const char *path, const char **text, size_t *length, loom_error *err) {
    if (!is_file(path)) return loom_fail(err, LOOM_BAD_PROGRAM, "%s is not a file that can be read", path);
    FILE *file = fopen(path, "rbe");
    if (!file) return loom_fail_errno(err, errno, "cannot open %s", path);
    loom_status status = read_open(arena, file, path, text, length, err);
    if (fclose(file) != 0 && status == LOOM_OK) status = loom_fail_errno(err, errno, "cannot read %s", path);
    return status;
}
