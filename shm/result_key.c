/* Result keys. The byte format is fixed for ever by tests/planner/test_key.c: a change would orphan every store. */
#include "shm/result_key.h"

#include <string.h>

static void add_sized(loom_hasher *hasher, const void *bytes, size_t length) {
    uint64_t prefix = length;
    loom_hasher_add(hasher, &prefix, sizeof prefix);
    if (length) loom_hasher_add(hasher, bytes, length);
}

static void add_number(loom_hasher *hasher, uint64_t number) {
    loom_hasher_add(hasher, &number, sizeof number);
}

/* The part after the last dot of the last path component: readers may choose a format by it. */
static const char *suffix_of(const char *path, size_t length, size_t *suffix_length) {
    for (size_t i = length; i > 0 && path[i - 1] != '/'; i--) {
        if (path[i - 1] != '.') continue;
        if (i == 1 || path[i - 2] == '/') break; /* ".json" is a name, not a suffix */
        *suffix_length = length - i;
        return path + i;
    }
    *suffix_length = 0;
    return "";
}

loom_id loom_result_key(loom_hasher *hasher, const loom_operator *op, const loom_key_parts *parts) {
    static const char tag[] = "loom.rkey.1";
    bool reads = (op->flags & LOOM_OP_READS_FILES) != 0;
    loom_hasher_begin(hasher);
    add_sized(hasher, tag, sizeof tag - 1);
    add_sized(hasher, op->name, strlen(op->name));
    add_number(hasher, (uint64_t)op->version);
    add_sized(hasher, parts->attributes, parts->attributes_bytes);
    uint32_t first = reads && parts->path && parts->vid_count > 0 ? 1 : 0;
    add_number(hasher, parts->vid_count);
    if (parts->vid_count > first)
        loom_hasher_add(hasher, parts->vids + first, (parts->vid_count - first) * sizeof(loom_id));
    if (reads) {
        size_t suffix_length;
        const char *suffix = suffix_of(parts->path, parts->path_length, &suffix_length);
        add_sized(hasher, suffix, suffix_length);
        add_number(hasher, parts->input_count);
        if (parts->input_count) loom_hasher_add(hasher, parts->inputs, parts->input_count * sizeof(loom_id));
    }
    return loom_hasher_end(hasher);
}
