/* store_names.c - what people call results. */
#include "runtime/store_names.h"

#include <string.h>

#include "runtime/stored_value.h"

typedef struct goal_search {
    const char *label;
    bool found;
    loom_id rkey;
} goal_search;

/* In order of label, then run: the last of a label is its newest. */
static bool match_goal(const loom_goal_record *goal, void *context) {
    goal_search *search = context;
    int order = strcmp(goal->label, search->label);
    if (order == 0) {
        search->found = true;
        search->rkey = goal->rkey;
    }
    return order <= 0;
}

/* "goal:" and "key:"; *known false when the text is neither. */
static loom_status named_key(loom_store *store, const char *text, bool *known, loom_id *rkey, loom_error *err) {
    *known = true;
    if (strncmp(text, "key:", 4) == 0) return loom_named_key(text + 4, strlen(text + 4), rkey, err);
    if (strncmp(text, "goal:", 5) == 0) {
        goal_search search = {.label = text + 5};
        LOOM_TRY(loom_store_each_goal(store, match_goal, &search, err));
        if (!search.found)
            return loom_fail(err, LOOM_NOT_FOUND, "no goal %s; `voxloom store goals` lists them", text + 5);
        *rkey = search.rkey;
        return LOOM_OK;
    }
    *known = false;
    return LOOM_OK;
}

static loom_status absent(const char *text, loom_error *err) {
    return loom_fail(err, LOOM_NOT_FOUND, "no result %s; `voxloom store ls` lists them", text);
}

loom_status loom_store_resolve(loom_store *store, const char *text, loom_arena *arena, loom_result *result,
                               loom_error *err) {
    bool known;
    loom_id rkey;
    LOOM_TRY(named_key(store, text, &known, &rkey, err));
    loom_status status = known ? loom_store_find(store, &rkey, arena, result, err)
                               : loom_store_find_prefix(store, text, arena, result, err);
    return status == LOOM_NOT_FOUND ? absent(text, err) : status;
}

loom_status loom_store_resolve_key(loom_store *store, const char *text, loom_arena *arena, loom_id *rkey,
                                   loom_error *err) {
    bool known;
    loom_result result;
    LOOM_TRY(named_key(store, text, &known, rkey, err));
    if (known) return LOOM_OK;
    loom_status status = loom_store_find_prefix(store, text, arena, &result, err);
    if (status == LOOM_OK) *rkey = result.rkey;
    if (status != LOOM_NOT_FOUND) return status;
    return loom_id_from_hex(text, strlen(text), rkey) ? LOOM_OK : absent(text, err);
}
