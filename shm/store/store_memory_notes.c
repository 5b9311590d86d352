/* store_memory_notes.c - pins, goals and runs of the store in memory: two sorted lists, changed at commit. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shm/store/store_memory.h"

/* Pins in order of rkey and owner, goals in order of label and run. */
static int compare_notes(bool goal, const stored_note *a, const stored_note *b) {
    int order = goal ? 0 : memcmp(a->rkey.bytes, b->rkey.bytes, sizeof a->rkey.bytes);
    if (order == 0) order = strcmp(a->text, b->text);
    return order != 0 ? order : (a->run > b->run) - (a->run < b->run);
}

/* The first place that is not before the note; *found if it is the same. */
static size_t place_of(const stored_notes *notes, bool goal, const stored_note *note, bool *found) {
    size_t from = 0, upto = notes->count;
    while (from < upto) {
        size_t middle = from + (upto - from) / 2;
        if (compare_notes(goal, &notes->items[middle], note) < 0)
            from = middle + 1;
        else
            upto = middle;
    }
    *found = from < notes->count && compare_notes(goal, &notes->items[from], note) == 0;
    return from;
}

/* Whether the pin is there, as this batch sees it. The writer lock keeps the store's lists as they are. */
static bool is_pinned(const memory_batch *batch, const stored_note *note) {
    for (size_t i = batch->note_count; i-- > 0;)
        if (!batch->notes[i].goal && compare_notes(false, &batch->notes[i].note, note) == 0)
            return !batch->notes[i].gone;
    bool found;
    place_of(&loom_memory_of(batch->base.store)->pins, false, note, &found);
    return found;
}

static loom_status change(memory_batch *batch, const loom_id *rkey, const char *text, uint64_t run, bool goal,
                          bool gone, loom_error *err) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    char *copy = strdup(text);
    if (copy == NULL ||
        !loom_memory_make_room(&batch->notes, sizeof *batch->notes, batch->note_count, &batch->note_capacity)) {
        free(copy);
        return loom_memory_exhausted(err);
    }
    batch->notes[batch->note_count++] =
        (note_change){.note = {.rkey = *rkey,
                               .text = copy,
                               .run = run,
                               .created_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec},
                      .goal = goal,
                      .gone = gone};
    return LOOM_OK;
}

static stored_note pin_note(const loom_id *rkey, const char *owner) {
    return (stored_note){.rkey = *rkey, .text = (char *)(uintptr_t)owner};
}

loom_status loom_memory_pin(loom_batch *base, const loom_id *rkey, const char *owner, loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    LOOM_TRY(loom_memory_activate(batch, err));
    stored_note note = pin_note(rkey, owner);
    return is_pinned(batch, &note) ? LOOM_OK : change(batch, rkey, owner, 0, false, false, err);
}

loom_status loom_memory_unpin(loom_batch *base, const loom_id *rkey, const char *owner, loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    LOOM_TRY(loom_memory_activate(batch, err));
    stored_note note = pin_note(rkey, owner);
    return is_pinned(batch, &note) ? change(batch, rkey, owner, 0, false, true, err) : LOOM_NOT_FOUND;
}

loom_status loom_memory_begin_run(loom_batch *base, const char *program, uint64_t *run, loom_error *err) {
    (void)program; /* a store in memory serves one */
    memory_batch *batch = (memory_batch *)base;
    LOOM_TRY(loom_memory_activate(batch, err));
    *run = ++batch->runs;
    return LOOM_OK;
}

loom_status loom_memory_put_goal(loom_batch *base, uint64_t run, const char *label, const loom_id *rkey,
                                 loom_error *err) {
    memory_batch *batch = (memory_batch *)base;
    LOOM_TRY(loom_memory_activate(batch, err));
    return change(batch, rkey, label, run, true, false, err);
}

/* ---- commit ---- */

bool loom_memory_prepare_notes(memory_store *store, const memory_batch *batch) {
    for (size_t i = 0; i < batch->note_count; i++) {
        stored_notes *notes = batch->notes[i].goal ? &store->goals : &store->pins;
        if (!loom_memory_make_room(&notes->items, sizeof *notes->items, notes->count + i, &notes->capacity))
            return false;
    }
    return true;
}

static void apply(stored_notes *notes, note_change *change) {
    bool found;
    size_t at = place_of(notes, change->goal, &change->note, &found);
    stored_note *place = &notes->items[at];
    if (found) free(place->text);
    if (change->gone) {
        if (found) memmove(place, place + 1, (--notes->count - at) * sizeof *place);
        return;
    }
    if (!found) memmove(place + 1, place, (notes->count++ - at) * sizeof *place);
    *place = change->note;
    change->note.text = NULL; /* now the store's */
}

void loom_memory_apply_notes(memory_store *store, memory_batch *batch) {
    for (size_t i = 0; i < batch->note_count; i++)
        apply(batch->notes[i].goal ? &store->goals : &store->pins, &batch->notes[i]);
    store->runs = batch->runs;
}

void loom_memory_free_notes(stored_notes *notes) {
    for (size_t i = 0; i < notes->count; i++)
        free(notes->items[i].text);
    free(notes->items);
}

/* ---- listing ---- */

/* A copy of the list: the callback may use the store. */
static loom_status copy_notes(memory_store *store, const stored_notes *notes, stored_notes *copy, loom_error *err) {
    *copy = (stored_notes){0};
    pthread_mutex_lock(&store->lock);
    copy->items = malloc((notes->count + 1) * sizeof *copy->items);
    bool complete = copy->items != NULL;
    for (size_t i = 0; i < notes->count && complete; i++) {
        copy->items[i] = notes->items[i];
        copy->items[i].text = strdup(notes->items[i].text);
        complete = copy->items[i].text != NULL;
        if (complete) copy->count++;
    }
    pthread_mutex_unlock(&store->lock);
    if (complete) return LOOM_OK;
    loom_memory_free_notes(copy);
    return loom_memory_exhausted(err);
}

loom_status loom_memory_each_pin(loom_store *base, loom_pin_visit visit, void *context, loom_error *err) {
    memory_store *store = loom_memory_of(base);
    stored_notes copy;
    LOOM_TRY(copy_notes(store, &store->pins, &copy, err));
    bool more = true;
    for (size_t i = 0; i < copy.count && more; i++) {
        const stored_note *note = &copy.items[i];
        more =
            visit(&(loom_pin_record){.rkey = note->rkey, .owner = note->text, .created_ns = note->created_ns}, context);
    }
    loom_memory_free_notes(&copy);
    return LOOM_OK;
}

loom_status loom_memory_each_goal(loom_store *base, loom_goal_visit visit, void *context, loom_error *err) {
    memory_store *store = loom_memory_of(base);
    stored_notes copy;
    LOOM_TRY(copy_notes(store, &store->goals, &copy, err));
    bool more = true;
    for (size_t i = 0; i < copy.count && more; i++) {
        const stored_note *note = &copy.items[i];
        more = visit(
            &(loom_goal_record){
                .label = note->text, .run = note->run, .rkey = note->rkey, .created_ns = note->created_ns},
            context);
    }
    loom_memory_free_notes(&copy);
    return LOOM_OK;
}
