/* recipe.c - see recipe.h. */
#include "shm/care/recipe.h"

#include <string.h>

bool loom_recipe_read(const uint8_t *bytes, size_t length, loom_arena *arena, loom_recipe *recipe) {
    loom_value whole;
    if (length == 0 || loom_value_decode(bytes, length, arena, &whole, NULL) != LOOM_OK) return false;
    if (whole.type != LOOM_SEQUENCE || whole.sequence.count < 4) return false; /* later versions may add parts */
    const loom_value *parts = whole.sequence.items;
    if (parts[0].type != LOOM_STRING || parts[1].type != LOOM_INT || parts[3].type != LOOM_SEQUENCE) return false;
    *recipe = (loom_recipe){.op = parts[0].text.bytes,
                            .op_bytes = parts[0].text.length,
                            .version = parts[1].integer,
                            .attributes = &parts[2],
                            .arguments = parts[3].sequence.items,
                            .argument_count = parts[3].sequence.count};
    return true;
}

static const char *base_of(const char *name, size_t length, size_t *base_length) {
    const char *base = name;
    for (size_t i = 0; i < length; i++)
        if (name[i] == '.') base = name + i + 1;
    *base_length = length - (size_t)(base - name);
    return base;
}

bool loom_recipe_is_by(const loom_recipe *recipe, const char *name) {
    size_t length = strlen(name), asked_length, stored_length;
    if (length == recipe->op_bytes && memcmp(name, recipe->op, length) == 0) return true;
    const char *asked = base_of(name, length, &asked_length);
    const char *stored = base_of(recipe->op, recipe->op_bytes, &stored_length);
    bool qualified_both = asked != name && stored != recipe->op;
    return !qualified_both && asked_length == stored_length && memcmp(asked, stored, asked_length) == 0;
}
