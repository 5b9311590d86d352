/* gc_keep.c - see gc_keep.h. */
#include "shm/care/gc_keep.h"

#include <stdlib.h>
#include <string.h>

#include "shm/care/recipe.h"

/* ---- sets ---- */

static size_t place_of(const loom_key_set *set, const loom_id *id) {
    uint64_t word;
    memcpy(&word, id->bytes, sizeof word); /* keys are SHA-256 */
    size_t at = (size_t)word & (set->capacity - 1);
    while (!loom_id_is_zero(&set->ids[at]) && !loom_id_equal(&set->ids[at], id))
        at = (at + 1) & (set->capacity - 1);
    return at;
}

static bool enlarge(loom_key_set *set) {
    loom_key_set larger = {.capacity = set->capacity == 0 ? 256 : 2 * set->capacity, .count = set->count};
    larger.ids = calloc(larger.capacity, sizeof *larger.ids);
    if (larger.ids == NULL) return false;
    for (size_t i = 0; i < set->capacity; i++)
        if (!loom_id_is_zero(&set->ids[i])) larger.ids[place_of(&larger, &set->ids[i])] = set->ids[i];
    free(set->ids);
    *set = larger;
    return true;
}

bool loom_key_set_add(loom_key_set *set, const loom_id *id, bool *fresh) {
    *fresh = false;
    if (loom_id_is_zero(id)) return true; /* no key */
    if (2 * set->count >= set->capacity && !enlarge(set)) return false;
    size_t at = place_of(set, id);
    *fresh = loom_id_is_zero(&set->ids[at]);
    set->ids[at] = *id;
    set->count += *fresh;
    return true;
}

bool loom_key_set_has(const loom_key_set *set, const loom_id *id) {
    return set->count > 0 && !loom_id_is_zero(&set->ids[place_of(set, id)]) && !loom_id_is_zero(id);
}

void loom_key_set_free(loom_key_set *set) {
    free(set->ids);
    *set = (loom_key_set){0};
}

/* ---- pins ---- */

typedef struct gathering {
    loom_key_set *set;
    loom_id *queue; /* keys whose row has not been read yet */
    size_t waiting, capacity;
    uint64_t above;
    bool exhausted;
} gathering;

static bool note_pin(const loom_pin_record *pin, void *context) {
    gathering *of = context;
    bool fresh;
    of->exhausted = !loom_key_set_add(of->set, &pin->rkey, &fresh);
    return !of->exhausted;
}

static loom_status no_memory(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while choosing what to keep");
}

loom_status loom_gc_pinned(loom_store *store, loom_key_set *set, loom_error *err) {
    gathering of = {.set = set};
    LOOM_TRY(loom_store_each_pin(store, note_pin, &of, err));
    return of.exhausted ? no_memory(err) : LOOM_OK;
}

/* ---- the closure of goals ---- */

static bool keep(gathering *of, const loom_id *rkey) {
    bool fresh;
    if (!loom_key_set_add(of->set, rkey, &fresh)) return false;
    if (!fresh) return true;
    if (of->waiting == of->capacity) {
        size_t capacity = of->capacity == 0 ? 256 : 2 * of->capacity;
        loom_id *grown = realloc(of->queue, capacity * sizeof *grown);
        if (grown == NULL) return false;
        of->queue = grown;
        of->capacity = capacity;
    }
    of->queue[of->waiting++] = *rkey;
    return true;
}

static bool note_goal(const loom_goal_record *goal, void *context) {
    gathering *of = context;
    if (goal->run > of->above) of->exhausted = !keep(of, &goal->rkey);
    return !of->exhausted;
}

/* References in a recipe are keys; in a value they are value ids, which of large results are their keys, and of others
 * lead there by a look-up. */
static bool keep_references(gathering *of, loom_store *store, const loom_value *value, bool by_value, loom_arena *arena,
                            unsigned depth) {
    if (value->type == LOOM_REFERENCE) {
        loom_result found;
        loom_row_kind kind;
        if (!keep(of, &value->reference.vid)) return false;
        if (!by_value ||
            store->ops->find(store, LOOM_BY_VID, &value->reference.vid, arena, &found, &kind, NULL) != LOOM_OK)
            return true;
        return keep(of, &found.rkey);
    }
    const loom_value *items = value->type == LOOM_SEQUENCE  ? value->sequence.items
                              : value->type == LOOM_DATASET ? value->dataset.items
                                                            : NULL;
    size_t count = value->type == LOOM_SEQUENCE ? value->sequence.count : value->dataset.count;
    for (size_t i = 0; items != NULL && i < count && depth < LOOM_VALUE_DEPTH_MAX; i++)
        if (!keep_references(of, store, &items[i], by_value, arena, depth + 1)) return false;
    for (size_t i = 0; value->type == LOOM_RECORD && i < value->record.count && depth < LOOM_VALUE_DEPTH_MAX; i++)
        if (!keep_references(of, store, &value->record.fields[i].value, by_value, arena, depth + 1)) return false;
    return true;
}

static bool keep_sources(gathering *of, loom_store *store, const loom_result *result, loom_row_kind kind,
                         loom_arena *arena) {
    loom_recipe recipe;
    if (loom_recipe_read(result->recipe, result->recipe_bytes, arena, &recipe))
        for (size_t i = 0; i < recipe.argument_count; i++)
            if (!keep_references(of, store, &recipe.arguments[i], false, arena, 0)) return false;
    bool container = result->type == LOOM_SEQUENCE || result->type == LOOM_DATASET || result->type == LOOM_RECORD;
    if (kind != LOOM_ROW_LIVE || !container) return true;
    loom_value value;
    loom_view view = {0};
    bool kept = loom_store_value(store, result, arena, &value, &view, NULL) != LOOM_OK ||
                keep_references(of, store, &value, true, arena, 0);
    loom_extent_release(&view);
    return kept;
}

loom_status loom_gc_closure(loom_store *store, uint64_t last_run, uint64_t runs, loom_key_set *set, loom_error *err) {
    gathering of = {.set = set, .above = runs >= last_run ? 0 : last_run - runs};
    loom_arena *arena = loom_arena_new();
    if (arena == NULL) return no_memory(err);
    loom_status status = runs == 0 ? LOOM_OK : loom_store_each_goal(store, note_goal, &of, err);
    while (status == LOOM_OK && !of.exhausted && of.waiting > 0) {
        loom_result result;
        loom_row_kind kind = LOOM_ROW_TOMBSTONE;
        loom_arena_reset(arena);
        status = store->ops->find(store, LOOM_BY_RKEY, &of.queue[--of.waiting], arena, &result, &kind, err);
        if (status == LOOM_OK)
            of.exhausted = !keep_sources(&of, store, &result, kind, arena);
        else if (status == LOOM_NOT_FOUND)
            status = LOOM_OK;
    }
    loom_arena_free(arena);
    free(of.queue);
    return status == LOOM_OK && of.exhausted ? no_memory(err) : status;
}
