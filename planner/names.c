/* names.c - the hash table of interned names.
 *
 * FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo) is good enough here: names are short, and an attacker who chooses colliding
 * names slows only the reading of his own program. */
#include "planner/names.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 1024

static uint64_t hash_text(const char *text, size_t length) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u;
    return hash ^ (hash >> 29);
}

static bool grow(loom_names *names) {
    size_t capacity = names->capacity * 2;
    loom_name **slots = calloc(capacity, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < names->capacity; i++) {
        loom_name *name = names->slots[i];
        if (!name) continue;
        size_t at = name->hash & (capacity - 1);
        while (slots[at])
            at = (at + 1) & (capacity - 1);
        slots[at] = name;
    }
    free(names->slots);
    names->slots = slots;
    names->capacity = capacity;
    return true;
}

loom_name *loom_names_get(loom_names *names, const char *text, size_t length) {
    uint64_t hash = hash_text(text, length);
    size_t at = hash & (names->capacity - 1);
    for (; names->slots[at]; at = (at + 1) & (names->capacity - 1)) {
        loom_name *name = names->slots[at];
        if (name->hash == hash && name->length == length && memcmp(name->text, text, length) == 0) return name;
    }
    if (length >= UINT32_MAX || names->count >= UINT32_MAX) return NULL;
    if (2 * (names->count + 1) > names->capacity) {
        if (!grow(names)) return NULL;
        for (at = hash & (names->capacity - 1); names->slots[at];)
            at = (at + 1) & (names->capacity - 1);
    }
    loom_name *name = loom_arena_alloc(names->arena, sizeof *name);
    char *copy = loom_arena_text(names->arena, text, length);
    if (!name || !copy) return NULL;
    name->text = copy;
    name->length = (uint32_t)length;
    name->index = (uint32_t)names->count++;
    name->hash = hash;
    names->slots[at] = name;
    return name;
}

static bool add_alias(loom_names *names, const char *text, const char *primitive) {
    loom_name *name = loom_names_get(names, text, strlen(text));
    loom_name *alias = loom_names_get(names, primitive, strlen(primitive));
    if (!name || !alias) return false;
    name->special = LOOM_SPECIAL_ALIAS;
    name->alias = alias;
    return true;
}

/* The caller's spelling decides a call's declared kind, whatever the primitive says of itself. */
static bool add_output_kinds(loom_names *names) {
    static const struct {
        const char *name;
        loom_output_kind kind;
    } kinds[] = {{"for_loop", LOOM_OUT_SEQUENCE}, {"filter", LOOM_OUT_SEQUENCE}, {"map", LOOM_OUT_SEQUENCE},
                 {"range", LOOM_OUT_SEQUENCE},    {"load", LOOM_OUT_SEQUENCE},   {"overlay", LOOM_OUT_OVERLAY}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char qualified[32] = "default.";
        strcat(qualified, kinds[i].name);
        loom_name *plain = loom_names_get(names, kinds[i].name, strlen(kinds[i].name));
        loom_name *full = loom_names_get(names, qualified, strlen(qualified));
        if (!plain || !full) return false;
        plain->output_kind = full->output_kind = kinds[i].kind;
    }
    return true;
}

static bool add_special_names(loom_names *names) {
    static const char *const maps[] = {"map", "default.map"};
    static const char *const reserved[] = {"$cwd", "$dir", "$file", "$filename", "$stem"};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        loom_name *name = loom_names_get(names, maps[i], strlen(maps[i]));
        if (!name) return false;
        name->special = LOOM_SPECIAL_MAP;
    }
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        loom_name *name = loom_names_get(names, reserved[i], strlen(reserved[i]));
        if (!name) return false;
        name->reserved = true;
    }
    return add_output_kinds(names) && add_alias(names, "!", "not_compat") &&
           add_alias(names, "&&", "bool_and_scalar") && add_alias(names, "||", "bool_or_scalar");
}

bool loom_names_start(loom_names *names, loom_arena *arena) {
    *names = (loom_names){.arena = arena, .capacity = FIRST_CAPACITY};
    names->slots = calloc(names->capacity, sizeof *names->slots);
    if (!names->slots) return false;
    return add_special_names(names);
}

void loom_names_end(loom_names *names) {
    free(names->slots);
    *names = (loom_names){0};
}

int loom_name_order(const void *a, const void *b) {
    const loom_name *left = *(const loom_name *const *)a, *right = *(const loom_name *const *)b;
    size_t shorter = left->length < right->length ? left->length : right->length;
    int order = memcmp(left->text, right->text, shorter);
    if (order) return order;
    return (left->length > right->length) - (left->length < right->length);
}
