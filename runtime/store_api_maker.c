/* store_api_maker.c - <voxloom/store.h>: values made call by call, as a language binding makes them. */
#include <stdlib.h>
#include <string.h>

#include "runtime/store_api.h"

/* A record or sequence that was begun. */
typedef struct open_value {
    loom_value value; /* its type; items come at the end */
    loom_field *fields;
    size_t count, capacity;
    const char *name; /* of the next field; NULL: none yet */
    size_t name_length;
} open_value;

struct loom_maker {
    loom_arena *arena;
    open_value stack[LOOM_VALUE_DEPTH_MAX + 1];
    size_t depth;
    bool complete, failed;
    loom_value value;
};

loom_maker *loom_maker_new(void) {
    loom_maker *maker = calloc(1, sizeof *maker);
    if (maker != NULL) maker->arena = loom_arena_new();
    if (maker != NULL && maker->arena != NULL) return maker;
    free(maker);
    return NULL;
}

static void forget(loom_maker *maker) {
    for (size_t i = 0; i < maker->depth; i++)
        free(maker->stack[i].fields);
    maker->depth = 0;
}

void loom_maker_free(loom_maker *maker) {
    if (maker == NULL) return;
    forget(maker);
    loom_arena_free(maker->arena);
    free(maker);
}

void loom_maker_clear(loom_maker *maker) {
    forget(maker);
    loom_arena_reset(maker->arena);
    maker->complete = maker->failed = false;
}

static loom_status fail(loom_maker *maker, loom_status status) {
    maker->failed = true;
    return status;
}

/* Whether a value may come now. */
static bool has_place(const loom_maker *maker) {
    if (maker->failed || maker->complete) return false;
    if (maker->depth == 0) return true;
    const open_value *top = &maker->stack[maker->depth - 1];
    return top->value.type != LOOM_RECORD || top->name != NULL;
}

/* Fields serve sequences too, without names: one kind of growing array. */
static bool grow(open_value *top) {
    if (top->count < top->capacity) return true;
    size_t capacity = top->capacity != 0 ? 2 * top->capacity : 8;
    loom_field *grown = realloc(top->fields, capacity * sizeof *grown);
    if (grown == NULL) return false;
    top->fields = grown;
    top->capacity = capacity;
    return true;
}

static loom_status add(loom_maker *maker, loom_value value) {
    if (!has_place(maker)) return fail(maker, LOOM_BAD_ARGUMENT);
    if (maker->depth == 0) {
        maker->value = value;
        maker->complete = true;
        return LOOM_OK;
    }
    open_value *top = &maker->stack[maker->depth - 1];
    if (!grow(top)) return fail(maker, LOOM_NO_MEMORY);
    top->fields[top->count++] = (loom_field){.name = top->name, .name_length = top->name_length, .value = value};
    top->name = NULL;
    return LOOM_OK;
}

loom_status loom_maker_null(loom_maker *maker) {
    return add(maker, loom_null());
}

loom_status loom_maker_bool(loom_maker *maker, int32_t truth) {
    return add(maker, loom_bool(truth != 0));
}

loom_status loom_maker_int(loom_maker *maker, int64_t number) {
    return add(maker, loom_int(number));
}

loom_status loom_maker_float(loom_maker *maker, double number) {
    return add(maker, loom_float(number));
}

static loom_status add_text(loom_maker *maker, const void *text, size_t length, bool string) {
    const char *kept = loom_arena_text(maker->arena, length > 0 ? text : "", length);
    if (kept == NULL) return fail(maker, LOOM_NO_MEMORY);
    return add(maker, string ? loom_string(kept, length) : loom_bytes(kept, length));
}

loom_status loom_maker_string(loom_maker *maker, const char *text, size_t length) {
    return add_text(maker, text, length, true);
}

loom_status loom_maker_bytes(loom_maker *maker, const void *bytes, size_t length) {
    return add_text(maker, bytes, length, false);
}

loom_status loom_maker_reference(loom_maker *maker, int32_t type, const uint8_t value_id[32]) {
    const loom_id vid = loom_id_of(value_id);
    if (type < 0 || type > LOOM_DATASET) return fail(maker, LOOM_BAD_ARGUMENT);
    return add(maker, loom_reference((loom_type)type, &vid));
}

loom_status loom_maker_encoded(loom_maker *maker, const void *bytes, size_t length) {
    loom_value value;
    const uint8_t *kept = loom_arena_copy(maker->arena, bytes, length);
    if (kept == NULL) return fail(maker, LOOM_NO_MEMORY);
    loom_status status = loom_value_decode(kept, length, maker->arena, &value, NULL);
    if (status == LOOM_CORRUPT || (status == LOOM_OK && value.type == LOOM_IMAGE)) status = LOOM_BAD_ARGUMENT;
    return status == LOOM_OK ? add(maker, value) : fail(maker, status);
}

static loom_status begin(loom_maker *maker, loom_value value) {
    if (!has_place(maker)) return fail(maker, LOOM_BAD_ARGUMENT);
    if (maker->depth >= LOOM_VALUE_DEPTH_MAX) return fail(maker, LOOM_TOO_LARGE);
    maker->stack[maker->depth++] = (open_value){.value = value};
    return LOOM_OK;
}

loom_status loom_maker_begin_record(loom_maker *maker) {
    return begin(maker, loom_record(NULL, 0));
}

loom_status loom_maker_begin_sequence(loom_maker *maker) {
    return begin(maker, loom_sequence(NULL, 0));
}

loom_status loom_maker_begin_tuple(loom_maker *maker) {
    return begin(maker, loom_tuple(NULL, 0));
}

loom_status loom_maker_begin_dataset(loom_maker *maker) {
    return begin(maker, (loom_value){.type = LOOM_DATASET});
}

loom_status loom_maker_name(loom_maker *maker, const char *name, size_t length) {
    open_value *top = maker->depth > 0 ? &maker->stack[maker->depth - 1] : NULL;
    if (maker->failed || top == NULL || top->value.type != LOOM_RECORD || top->name != NULL)
        return fail(maker, LOOM_BAD_ARGUMENT);
    top->name = loom_arena_text(maker->arena, length > 0 ? name : "", length);
    top->name_length = length;
    return top->name != NULL ? LOOM_OK : fail(maker, LOOM_NO_MEMORY);
}

/* The collected fields as what the value wants, in the arena. */
static bool close_value(loom_arena *arena, open_value *top) {
    if (top->value.type == LOOM_RECORD) {
        top->value.record.fields = loom_arena_copy(arena, top->fields, top->count * sizeof *top->fields);
        top->value.record.count = top->count;
        return top->value.record.fields != NULL;
    }
    loom_value *items = loom_arena_array(arena, top->count, sizeof *items);
    for (size_t i = 0; i < top->count && items != NULL; i++)
        items[i] = top->fields[i].value;
    if (top->value.type == LOOM_DATASET && items != NULL) { /* whose end saw that the first is there */
        top->value = loom_dataset(&items[0], items + 1, top->count - 1);
        return true;
    }
    top->value.sequence.items = items;
    top->value.sequence.count = top->count;
    return items != NULL;
}

loom_status loom_maker_end(loom_maker *maker) {
    if (maker->failed || maker->depth == 0 || maker->stack[maker->depth - 1].name != NULL)
        return fail(maker, LOOM_BAD_ARGUMENT);
    const open_value *last = &maker->stack[maker->depth - 1];
    if (last->value.type == LOOM_DATASET && (last->count == 0 || last->fields[0].value.type != LOOM_RECORD))
        return fail(maker, LOOM_BAD_ARGUMENT);
    open_value top = maker->stack[--maker->depth];
    bool closed = close_value(maker->arena, &top);
    free(top.fields);
    return closed ? add(maker, top.value) : fail(maker, LOOM_NO_MEMORY);
}

loom_status loom_maker_value(const loom_maker *maker, const loom_value **value, loom_error *err) {
    if (!maker->complete || maker->failed)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "the value is not complete: make one, and end what was begun");
    *value = &maker->value;
    return LOOM_OK;
}
