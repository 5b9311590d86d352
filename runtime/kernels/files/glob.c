/* glob.c - names in a folder by pattern: see glob.h. */
#include "runtime/kernels/files/glob.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/kernels/base/utf8.h"

#define PARTS_MAX 64
#define DEPTH_MAX 512 /* folders in folders */

/* A pattern cut at its slashes. */
typedef struct part {
    const char *text;
    size_t length;
} part;

typedef struct walk {
    const char *root;
    part parts[PARTS_MAX];
    size_t part_count;
    unsigned depth;
    loom_arena *arena;
    loom_names *names;
    loom_error *err;
} walk;

/* ---- one name ---- */

/* The set after `[` at `at`; true and *end behind its `]` if it is closed. */
static bool match_set(const char *pattern, size_t length, size_t at, uint32_t code, bool *inside, size_t *end) {
    bool negated = at < length && pattern[at] == '!';
    if (negated) at++;
    *inside = negated;
    for (bool first = true; at < length; first = false) {
        if (pattern[at] == ']' && !first) {
            *end = at + 1;
            return true;
        }
        size_t step = 0;
        uint32_t low = loom_utf8_next(pattern + at, length - at, &step), high = low;
        at += step;
        if (at + 1 < length && pattern[at] == '-' && pattern[at + 1] != ']') {
            high = loom_utf8_next(pattern + at + 1, length - at - 1, &step);
            at += 1 + step;
        }
        if (code >= low && code <= high) *inside = !negated;
    }
    return false;
}

bool loom_glob_matches(const char *pattern, size_t length, const char *name) {
    size_t name_length = strlen(name), p = 0, n = 0;
    size_t star = SIZE_MAX, resume = 0; /* the last `*`, and how much of the name it has swallowed */
    while (n < name_length) {
        size_t step = 0, p_step = 0, set_end = 0;
        bool inside = false, matched = false;
        uint32_t code = loom_utf8_next(name + n, name_length - n, &step);
        if (p < length && pattern[p] == '*') {
            star = p++;
            resume = n;
            continue;
        }
        if (p < length) {
            uint32_t wanted = loom_utf8_next(pattern + p, length - p, &p_step);
            if (wanted == '?') {
                matched = true;
            } else if (wanted == '[' && match_set(pattern, length, p + 1, code, &inside, &set_end)) {
                matched = inside;
                p_step = set_end - p;
            } else {
                matched = wanted == code;
            }
        }
        if (matched) {
            p += p_step;
            n += step;
        } else if (star != SIZE_MAX) {
            (void)loom_utf8_next(name + resume, name_length - resume, &step);
            resume += step;
            n = resume;
            p = star + 1;
        } else {
            return false;
        }
    }
    while (p < length && pattern[p] == '*')
        p++;
    return p == length;
}

/* ---- folders ---- */

static loom_status no_memory(const walk *in) {
    return loom_fail(in->err, LOOM_NO_MEMORY, "no memory to list %s", in->root);
}

static loom_status add_name(walk *in, const char *path) {
    loom_names *names = in->names;
    if (!loom_utf8_valid(path, strlen(path)))
        return loom_fail(in->err, LOOM_BAD_INPUT, "a name below %s is not UTF-8; rename it, or narrow the pattern",
                         in->root);
    if (names->count == names->capacity) {
        size_t capacity = names->capacity == 0 ? 64 : names->capacity * 2;
        const char **items = loom_arena_array(in->arena, capacity, sizeof *items);
        if (items == NULL) return no_memory(in);
        if (names->count > 0) memcpy(items, names->items, names->count * sizeof *items);
        names->items = items;
        names->capacity = capacity;
    }
    const char *copy = loom_arena_text(in->arena, path, strlen(path));
    if (copy == NULL) return no_memory(in);
    names->items[names->count++] = copy;
    return LOOM_OK;
}

/* "a/b" from "a" and "b"; "" is the root itself. In the arena. */
static char *joined(loom_arena *arena, const char *folder, const char *name) {
    size_t head = strlen(folder), tail = strlen(name);
    char *path = loom_arena_alloc(arena, head + tail + 2);
    if (path == NULL) return NULL;
    memcpy(path, folder, head);
    if (head > 0) path[head++] = '/';
    memcpy(path + head, name, tail + 1);
    return path;
}

static bool is_folder(const walk *in, const char *path, bool follow_links) {
    struct stat facts;
    char *full = joined(in->arena, in->root, path);
    if (full == NULL) return false;
    int failed = follow_links ? stat(full, &facts) : lstat(full, &facts);
    return failed == 0 && S_ISDIR(facts.st_mode);
}

static bool exists(const walk *in, const char *path) {
    struct stat facts;
    char *full = joined(in->arena, in->root, path);
    return full != NULL && stat(full, &facts) == 0;
}

static loom_status match_parts(walk *in, const char *folder, size_t next);

/* Every name in the folder that the part matches; `**` goes down into folders and stays at the same part. */
static loom_status match_names(walk *in, const char *folder, size_t next, DIR *listing) {
    const part *wanted = &in->parts[next];
    bool any_depth = wanted->length == 2 && memcmp(wanted->text, "**", 2) == 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(listing);
        if (entry == NULL) return LOOM_OK; /* a folder that cannot be read further counts as ended */
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (!any_depth && !loom_glob_matches(wanted->text, wanted->length, entry->d_name)) continue;
        char *path = joined(in->arena, folder, entry->d_name);
        if (path == NULL) return no_memory(in);
        if (any_depth) {
            if (is_folder(in, path, false)) LOOM_TRY(match_parts(in, path, next));
        } else if (next + 1 == in->part_count) {
            LOOM_TRY(add_name(in, path));
        } else if (is_folder(in, path, true)) {
            LOOM_TRY(match_parts(in, path, next + 1));
        }
    }
}

static bool has_wildcard(const part *wanted) {
    for (size_t k = 0; k < wanted->length; k++)
        if (strchr("*?[", wanted->text[k]) != NULL) return true;
    return false;
}

static loom_status match_parts(walk *in, const char *folder, size_t next) {
    const part *wanted = &in->parts[next];
    if (!has_wildcard(wanted)) {
        const char *name = loom_arena_text(in->arena, wanted->text, wanted->length);
        char *path = name == NULL ? NULL : joined(in->arena, folder, name);
        if (path == NULL) return no_memory(in);
        if (!exists(in, path)) return LOOM_OK;
        return next + 1 == in->part_count ? add_name(in, path) : match_parts(in, path, next + 1);
    }
    if (wanted->length == 2 && memcmp(wanted->text, "**", 2) == 0) {
        /* No folder at all, too. At the end of a pattern `**` names the folders themselves. */
        if (next + 1 < in->part_count)
            LOOM_TRY(match_parts(in, folder, next + 1));
        else
            LOOM_TRY(add_name(in, folder[0] == 0 ? "." : folder));
    }
    if (++in->depth > DEPTH_MAX)
        return loom_fail(in->err, LOOM_BAD_INPUT, "folders below %s are nested deeper than %d", in->root, DEPTH_MAX);
    char *full = joined(in->arena, in->root, folder);
    if (full == NULL) return no_memory(in);
    DIR *listing = opendir(full);
    loom_status status = listing == NULL ? LOOM_OK : match_names(in, folder, next, listing);
    if (listing != NULL) closedir(listing);
    in->depth--;
    return status;
}

/* ---- a whole pattern ---- */

static loom_status cut_pattern(walk *in, const char *pattern, bool recursive) {
    static const char any_depth[] = "**";
    if (pattern[0] == '/')
        return loom_fail(in->err, LOOM_BAD_ARGUMENT, "the pattern %s is absolute; give the folder as first argument",
                         pattern);
    if (recursive) in->parts[in->part_count++] = (part){.text = any_depth, .length = 2};
    for (const char *at = pattern; *at != 0;) {
        size_t length = strcspn(at, "/");
        bool counts = length > 0 && !(length == 1 && at[0] == '.');
        if (counts && in->part_count == PARTS_MAX)
            return loom_fail(in->err, LOOM_BAD_ARGUMENT, "the pattern has more than %d parts", PARTS_MAX);
        /* a double `**` means the same once */
        const part *last = in->part_count > 0 ? &in->parts[in->part_count - 1] : NULL;
        bool repeats = length == 2 && memcmp(at, "**", 2) == 0 && last != NULL && last->length == 2 &&
                       memcmp(last->text, "**", 2) == 0;
        if (counts && !repeats) in->parts[in->part_count++] = (part){.text = at, .length = length};
        at += length + (at[length] == '/');
    }
    if (in->part_count > (recursive ? 1u : 0u)) return LOOM_OK;
    return loom_fail(in->err, LOOM_BAD_ARGUMENT, "the pattern is empty; `*` matches every name");
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

loom_status loom_glob(const char *root, const char *pattern, bool recursive, loom_arena *arena, loom_names *names,
                      loom_error *err) {
    struct stat facts;
    walk in = {.root = root, .arena = arena, .names = names, .err = err};
    *names = (loom_names){0};
    LOOM_TRY(cut_pattern(&in, pattern, recursive));
    if (stat(root, &facts) != 0)
        return loom_fail(err, LOOM_BAD_INPUT, "cannot list %s: %s; check the path", root, strerror(errno));
    if (!S_ISDIR(facts.st_mode)) return loom_fail(err, LOOM_BAD_INPUT, "cannot list %s: it is not a folder", root);
    LOOM_TRY(match_parts(&in, "", 0));
    if (names->count == 0) return LOOM_OK;
    qsort(names->items, names->count, sizeof names->items[0], compare_names);
    size_t kept = 1;
    for (size_t k = 1; k < names->count; k++)
        if (strcmp(names->items[k], names->items[kept - 1]) != 0) names->items[kept++] = names->items[k];
    names->count = kept;
    return LOOM_OK;
}
