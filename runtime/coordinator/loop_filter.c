/* Long filters: first a loop over the conditions, whose parts are read as they come; then the same loop over the
 * elements that were kept. */
#include <stdlib.h>
#include <string.h>

#include "runtime/coordinator/window.h"

static loom_status no_memory(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while going through a filter; close other programs");
}

loom_status loom_filter_read(loom_session *session, loom_loop *loop, loom_window *window, loom_error *err) {
    loom_arena *arena = loom_arena_new();
    loom_value conditions;
    if (!arena) return no_memory(err);
    loom_status status = loom_step_value(session, window->part, arena, &conditions, err);
    if (status == LOOM_NOT_FOUND || status == LOOM_CORRUPT) {
        loom_error_clear(err);
        status = loom_recompute(session, window->part, status, err);
        if (status == LOOM_OK) status = loom_demand(session, window->part, err);
    } else if (status == LOOM_OK) {
        bool whole = conditions.type == LOOM_SEQUENCE &&
                     conditions.sequence.count == loom_loop_window_items(loop, window->number);
        uint8_t *kept = loop->kept + (size_t)window->number * LOOM_WINDOW_ITEMS;
        for (size_t i = 0; whole && i < conditions.sequence.count; i++)
            kept[i] = loom_value_is_true(&conditions.sequence.items[i]);
        if (!whole) status = loom_fail(err, LOOM_INTERNAL, "a part of a filter has other items; please report it");
        window->read = true;
        loop->read++;
    }
    loom_arena_free(arena);
    return status;
}

/* ---- the elements that were kept ---- */

/* Kept elements on their way into windows. Text lies in the elements of before. */
typedef struct gatherer {
    loom_loop *kept;
    loom_arena *arena, *other;
    loom_value *batch; /* of the window that is being filled */
    uint32_t count;
} gatherer;

static loom_status flush(gatherer *to) {
    loom_value window = loom_sequence(to->batch, to->count);
    uint32_t number = to->kept->window_count;
    size_t *offsets = realloc(to->kept->offsets, ((size_t)number + 2) * sizeof *offsets);
    if (!offsets) return LOOM_NO_MEMORY;
    to->kept->offsets = offsets;
    offsets[0] = 0;
    LOOM_TRY(loom_value_encode(&window, &to->kept->elements));
    offsets[number + 1] = to->kept->elements.length;
    to->kept->window_count++;
    to->kept->count += to->count;
    to->count = 0;
    return LOOM_OK;
}

/* What waits in the batch outlives the arena that it was decoded into. */
static loom_status keep_batch(gatherer *to) {
    for (uint32_t i = 0; i < to->count; i++) {
        loom_value copy;
        LOOM_TRY(loom_value_copy(to->other, &to->batch[i], &copy));
        to->batch[i] = copy;
    }
    loom_arena *full = to->arena;
    loom_arena_reset(full);
    to->arena = to->other;
    to->other = full;
    return LOOM_OK;
}

static loom_status gather_window(const loom_loop *loop, uint32_t number, gatherer *to) {
    loom_value elements;
    size_t first = loop->offsets[number], end = loop->offsets[number + 1];
    LOOM_TRY(loom_value_decode(loop->elements.bytes + first, end - first, to->arena, &elements, NULL));
    const uint8_t *kept = loop->kept + (size_t)number * LOOM_WINDOW_ITEMS;
    for (size_t i = 0; i < elements.sequence.count; i++) {
        if (!kept[i]) continue;
        to->batch[to->count++] = elements.sequence.items[i];
        if (to->count == LOOM_WINDOW_ITEMS) LOOM_TRY(flush(to));
    }
    return keep_batch(to);
}

static loom_status gather_kept(const loom_loop *loop, gatherer *to) {
    to->arena = loom_arena_new();
    to->other = loom_arena_new();
    to->batch = calloc(LOOM_WINDOW_ITEMS, sizeof *to->batch);
    loom_status status = to->arena && to->other && to->batch ? LOOM_OK : LOOM_NO_MEMORY;
    for (uint32_t w = 0; w < loop->window_count && status == LOOM_OK; w++)
        status = gather_window(loop, w, to);
    if (status == LOOM_OK && (to->count > 0 || to->kept->window_count == 0)) status = flush(to);
    if (status == LOOM_OK) {
        to->kept->parts = calloc(to->kept->window_count, sizeof *to->kept->parts);
        status = to->kept->parts ? LOOM_OK : LOOM_NO_MEMORY;
    }
    free(to->batch);
    loom_arena_free(to->arena);
    loom_arena_free(to->other);
    return status;
}

loom_status loom_filter_finish(loom_session *session, uint32_t number, loom_error *err) {
    loom_loops *loops = session->loops;
    loom_loop *loop = &loops->loops[number];
    loom_loop kept = {.node = loop->node,
                      .source = loop->node,
                      .step = loop->step,
                      .body = loop->keeps,
                      .folds = loop->folds,
                      .fold_count = loop->fold_count,
                      .fold_capacity = loop->fold_capacity};
    gatherer to = {.kept = &kept};
    loom_status status = gather_kept(loop, &to);
    loop->folds = NULL;
    loop->keeps = (loom_body){0};
    loom_loop_release(loop);
    *loop = kept;
    if (number < loops->next) loops->next = number;
    return status == LOOM_OK ? LOOM_OK : no_memory(err);
}
