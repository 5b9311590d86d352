/* recipe.h - reading how a result was computed: MessagePack [operator, version, attributes, [argument ...]]. A constant
 * argument stands as it is, any other as a reference whose id is the *rkey* that replays it. */
#ifndef LOOM_SHM_STORE_RECIPE_H
#define LOOM_SHM_STORE_RECIPE_H

#include "shm/arena.h"
#include "shm/store/storage.h"

typedef struct loom_recipe {
    const char *op;
    size_t op_bytes;
    int64_t version;
    const loom_value *attributes;
    const loom_value *arguments;
    size_t argument_count;
} loom_recipe;

/* False: no recipe (a result that was put by hand), or not one of this form. Points into the arena and the bytes. */
bool loom_recipe_read(const uint8_t *bytes, size_t length, loom_arena *arena, loom_recipe *recipe);
/* Whether the recipe's operator is meant by `name`, with or without its namespace ("simpleitk.ReadImage"). */
bool loom_recipe_is_by(const loom_recipe *recipe, const char *name);

#endif
