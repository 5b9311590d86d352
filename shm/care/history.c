/* history.c - what a store knows of results that it has, and of those that it had. */
#include <stdlib.h>
#include <string.h>

#include "shm/care/history.h"
#include "shm/store/store.h"

static loom_past past_of(const loom_result *result, loom_row_kind kind) {
    if (kind != LOOM_ROW_LIVE) return LOOM_PAST_GONE;
    return loom_result_expired(result) ? LOOM_PAST_EXPIRED : LOOM_PAST_STORED;
}

loom_status loom_store_find_past(loom_store *store, const loom_id *rkey, loom_arena *arena, loom_result *result,
                                 loom_past *past, loom_error *err) {
    loom_row_kind kind = LOOM_ROW_LIVE;
    LOOM_TRY(loom_store_check_process(store, err));
    LOOM_TRY(store->ops->find(store, LOOM_BY_RKEY, rkey, arena, result, &kind, err));
    *past = past_of(result, kind);
    return LOOM_OK;
}

typedef struct reading {
    loom_past_visit visit;
    void *context;
    uint8_t *row; /* an aligned copy */
    size_t capacity;
    bool exhausted;
} reading;

static bool visit_row(uint64_t row, const void *bytes, size_t length, void *context) {
    reading *of = context;
    loom_result result;
    loom_row_kind kind;
    if (length > of->capacity) {
        uint8_t *grown = realloc(of->row, length);
        if (grown == NULL) return !(of->exhausted = true);
        of->row = grown;
        of->capacity = length;
    }
    memcpy(of->row, bytes, length);
    if (loom_row_decode(of->row, length, row, &result, &kind, NULL) != LOOM_OK) return true; /* as if it were absent */
    return of->visit(&result, past_of(&result, kind), of->context);
}

loom_status loom_store_each_past(loom_store *store, loom_past_visit visit, void *context, loom_error *err) {
    LOOM_TRY(loom_store_check_process(store, err));
    reading of = {.visit = visit, .context = context};
    loom_status status = store->ops->scan(store, visit_row, &of, err);
    free(of.row);
    if (status == LOOM_OK && of.exhausted) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading a store");
    return status;
}
