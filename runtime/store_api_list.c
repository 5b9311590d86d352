/* store_api_list.c - <voxloom/store.h>: lists and queries. A list keeps ids; each result is looked up when it comes. */
#include <stdlib.h>
#include <string.h>

#include "runtime/store_api.h"
#include "shm/query/query.h"

struct loom_list {
    loom_shelf *shelf;
    loom_id *ids;
    size_t count, capacity, at;
    bool exhausted;
    loom_arena *arena; /* of the current result */
    const char *name;
    size_t name_length;
};

static bool collect(const loom_result *result, void *context) {
    loom_list *list = context;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity != 0 ? 2 * list->capacity : 256;
        loom_id *grown = realloc(list->ids, capacity * sizeof *grown);
        list->exhausted = grown == NULL;
        if (grown == NULL) return false;
        list->ids = grown;
        list->capacity = capacity;
    }
    list->ids[list->count++] = result->rkey;
    return true;
}

static loom_status fill(loom_list *list, const char *query, size_t length, loom_error *err) {
    loom_query *parsed = NULL;
    if (query == NULL) return loom_store_each(list->shelf->store, collect, list, err);
    LOOM_TRY(loom_query_parse(query, length, list->arena, &parsed, err));
    return loom_store_query(list->shelf->store, parsed, collect, list, NULL, err);
}

static loom_status make(loom_shelf *shelf, const char *query, size_t length, loom_list **list, loom_error *err) {
    *list = NULL;
    loom_list *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_api_exhausted(err);
    made->shelf = shelf;
    made->arena = loom_arena_new();
    loom_status status = made->arena != NULL ? fill(made, query, length, err) : loom_api_exhausted(err);
    if (status == LOOM_OK && made->exhausted) status = loom_api_exhausted(err);
    if (status != LOOM_OK) {
        loom_list_free(made);
        return status;
    }
    *list = made;
    return LOOM_OK;
}

loom_status loom_shelf_list(loom_shelf *shelf, loom_list **list, loom_error *err) {
    return make(shelf, NULL, 0, list, err);
}

loom_status loom_shelf_find(loom_shelf *shelf, const char *query, size_t length, loom_list **list, loom_error *err) {
    return make(shelf, query, length, list, err);
}

uint64_t loom_list_count(const loom_list *list) {
    return list->count;
}

loom_status loom_list_next(loom_list *list, loom_item_info *info, loom_error *err) {
    list->name = NULL;
    while (list->at < list->count) {
        loom_result result;
        loom_arena_reset(list->arena);
        loom_status status = loom_store_find(list->shelf->store, &list->ids[list->at++], list->arena, &result, err);
        if (status == LOOM_NOT_FOUND) continue;
        LOOM_TRY(status);
        const loom_item_info full = loom_info_of(&result, list->arena);
        list->name = loom_name_of(&result, list->arena, &list->name_length);
        return loom_copy_out("loom_item_info", info, &full, sizeof full, sizeof full, err);
    }
    return LOOM_NOT_FOUND;
}

const char *loom_list_name(const loom_list *list, size_t *length) {
    *length = list->name != NULL ? list->name_length : 0;
    return list->name;
}

void loom_list_free(loom_list *list) {
    if (list == NULL) return;
    loom_arena_free(list->arena);
    free(list->ids);
    free(list);
}
