/* value.c - values: made, compared, copied, and judged true or false. Their encoding: value_encode.c, value_decode.c.
 */
#include "shm/value.h"

#include <stdlib.h>
#include <string.h>

const char *loom_type_name(loom_type type) {
    switch (type) {
    case LOOM_NULL:
        return "null";
    case LOOM_BOOL:
        return "bool";
    case LOOM_INT:
        return "int";
    case LOOM_FLOAT:
        return "float";
    case LOOM_STRING:
        return "string";
    case LOOM_BYTES:
        return "bytes";
    case LOOM_RECORD:
        return "record";
    case LOOM_SEQUENCE:
        return "sequence";
    case LOOM_IMAGE:
        return "image";
    case LOOM_DATASET:
        return "dataset";
    case LOOM_CLOSURE:
        return "closure";
    case LOOM_REFERENCE:
        return "reference";
    }
    return "?";
}

loom_value loom_null(void) {
    return (loom_value){.type = LOOM_NULL};
}

loom_value loom_bool(bool value) {
    return (loom_value){.type = LOOM_BOOL, .boolean = value};
}

loom_value loom_int(int64_t value) {
    return (loom_value){.type = LOOM_INT, .integer = value};
}

loom_value loom_float(double value) {
    return (loom_value){.type = LOOM_FLOAT, .number = value};
}

loom_value loom_string(const char *bytes, size_t length) {
    return (loom_value){.type = LOOM_STRING, .text = {bytes, length}};
}

loom_value loom_string_of(const char *text) {
    return loom_string(text, strlen(text));
}

loom_value loom_bytes(const void *bytes, size_t length) {
    return (loom_value){.type = LOOM_BYTES, .text = {bytes, length}};
}

loom_value loom_sequence(const loom_value *items, size_t count) {
    return (loom_value){.type = LOOM_SEQUENCE, .sequence = {items, count}};
}

loom_value loom_tuple(const loom_value *items, size_t count) {
    return (loom_value){.type = LOOM_SEQUENCE, .tuple = true, .sequence = {items, count}};
}

loom_value loom_record(const loom_field *fields, size_t count) {
    return (loom_value){.type = LOOM_RECORD, .record = {fields, count}};
}

loom_value loom_image(const loom_image_header *header, const void *voxels) {
    return (loom_value){.type = LOOM_IMAGE, .image = {header, voxels}};
}

loom_value loom_reference(loom_type type, const loom_id *vid) {
    return (loom_value){.type = LOOM_REFERENCE, .reference = {type, *vid}};
}

loom_value loom_dataset(const loom_value *metadata, const loom_value *items, size_t count) {
    return (loom_value){.type = LOOM_DATASET, .dataset = {metadata, items, count}};
}

loom_status loom_dataset_item_check(const loom_value *item) {
    if (item->type == LOOM_REFERENCE) return LOOM_OK;
    if (item->type != LOOM_RECORD) return LOOM_BAD_ARGUMENT;
    const loom_value *op = loom_record_get(item, "op"), *args = loom_record_get(item, "args");
    bool complete = op != NULL && op->type == LOOM_STRING && op->text.length > 0 && args != NULL &&
                    args->type == LOOM_SEQUENCE && !args->tuple;
    return complete ? LOOM_OK : LOOM_BAD_ARGUMENT;
}

const loom_value *loom_record_get(const loom_value *record, const char *name) {
    if (record->type != LOOM_RECORD) return NULL;
    size_t length = strlen(name);
    for (size_t i = 0; i < record->record.count; i++) {
        const loom_field *field = &record->record.fields[i];
        if (field->name_length == length && memcmp(field->name, name, length) == 0) return &field->value;
    }
    return NULL;
}

bool loom_value_is_true(const loom_value *value) {
    switch (value->type) {
    case LOOM_NULL:
        return false;
    case LOOM_BOOL:
        return value->boolean;
    case LOOM_INT:
        return value->integer != 0;
    case LOOM_FLOAT:
        return value->number != 0; /* NaN is true, as in Python */
    case LOOM_STRING:
    case LOOM_BYTES:
        return value->text.length > 0;
    case LOOM_RECORD:
        return value->record.count > 0;
    case LOOM_SEQUENCE:
        return value->sequence.count > 0;
    case LOOM_IMAGE:
    case LOOM_DATASET:
    case LOOM_CLOSURE:
    case LOOM_REFERENCE:
        return true;
    }
    return false;
}

static bool same_bytes(const void *a, size_t a_length, const void *b, size_t b_length) {
    return a_length == b_length && (a_length == 0 || memcmp(a, b, a_length) == 0);
}

static bool same_fields(const loom_value *a, const loom_value *b) {
    if (a->record.count != b->record.count) return false;
    for (size_t i = 0; i < a->record.count; i++) {
        const loom_field *x = &a->record.fields[i], *y = &b->record.fields[i];
        if (!same_bytes(x->name, x->name_length, y->name, y->name_length)) return false;
        if (!loom_value_equal(&x->value, &y->value)) return false;
    }
    return true;
}

static bool same_values(const loom_value *a, size_t a_count, const loom_value *b, size_t b_count) {
    if (a_count != b_count) return false;
    for (size_t i = 0; i < a_count; i++)
        if (!loom_value_equal(&a[i], &b[i])) return false;
    return true;
}

static bool same_images(const loom_value *a, const loom_value *b) {
    if (memcmp(a->image.header, b->image.header, sizeof *a->image.header) != 0) return false;
    if (a->image.voxels == b->image.voxels) return true;
    if (!a->image.voxels || !b->image.voxels) return false;
    return memcmp(a->image.voxels, b->image.voxels, loom_image_bytes(a->image.header)) == 0;
}

bool loom_value_equal(const loom_value *a, const loom_value *b) {
    if (a->type != b->type) return false;
    switch (a->type) {
    case LOOM_NULL:
        return true;
    case LOOM_BOOL:
        return a->boolean == b->boolean;
    case LOOM_INT:
        return a->integer == b->integer;
    case LOOM_FLOAT:
        return memcmp(&a->number, &b->number, sizeof a->number) == 0;
    case LOOM_STRING:
    case LOOM_BYTES:
        return same_bytes(a->text.bytes, a->text.length, b->text.bytes, b->text.length);
    case LOOM_RECORD:
        return same_fields(a, b);
    case LOOM_SEQUENCE:
        return a->tuple == b->tuple &&
               same_values(a->sequence.items, a->sequence.count, b->sequence.items, b->sequence.count);
    case LOOM_IMAGE:
        return same_images(a, b);
    case LOOM_REFERENCE:
        return a->reference.type == b->reference.type && loom_id_equal(&a->reference.vid, &b->reference.vid);
    case LOOM_DATASET:
        return loom_value_equal(a->dataset.metadata, b->dataset.metadata) &&
               same_values(a->dataset.items, a->dataset.count, b->dataset.items, b->dataset.count);
    case LOOM_CLOSURE:
        return false; /* opaque here: their ids are compared instead */
    }
    return false;
}

static loom_status copy_within(loom_arena *arena, const loom_value *value, loom_value *copy, unsigned depth);

static loom_status copy_values(loom_arena *arena, const loom_value *values, size_t count, const loom_value **copies,
                               unsigned depth) {
    loom_value *made = loom_arena_array(arena, count, sizeof *made);
    if (!made) return LOOM_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        LOOM_TRY(copy_within(arena, &values[i], &made[i], depth));
    *copies = made;
    return LOOM_OK;
}

static loom_status copy_fields(loom_arena *arena, const loom_value *value, loom_value *copy, unsigned depth) {
    size_t count = value->record.count;
    loom_field *fields = loom_arena_array(arena, count, sizeof *fields);
    if (!fields) return LOOM_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const loom_field *from = &value->record.fields[i];
        fields[i].name = loom_arena_text(arena, from->name, from->name_length);
        if (!fields[i].name) return LOOM_NO_MEMORY;
        fields[i].name_length = from->name_length;
        LOOM_TRY(copy_within(arena, &from->value, &fields[i].value, depth + 1));
    }
    copy->record.fields = fields;
    return LOOM_OK;
}

static loom_status copy_within(loom_arena *arena, const loom_value *value, loom_value *copy, unsigned depth) {
    if (depth > LOOM_VALUE_DEPTH_MAX) return LOOM_TOO_LARGE;
    *copy = *value;
    switch (value->type) {
    case LOOM_STRING:
    case LOOM_BYTES:
        copy->text.bytes = loom_arena_text(arena, value->text.bytes, value->text.length);
        return copy->text.bytes ? LOOM_OK : LOOM_NO_MEMORY;
    case LOOM_SEQUENCE:
        return copy_values(arena, value->sequence.items, value->sequence.count, &copy->sequence.items, depth + 1);
    case LOOM_RECORD:
        return copy_fields(arena, value, copy, depth);
    case LOOM_DATASET:
        LOOM_TRY(copy_values(arena, value->dataset.metadata, 1, &copy->dataset.metadata, depth + 1));
        return copy_values(arena, value->dataset.items, value->dataset.count, &copy->dataset.items, depth + 2);
    case LOOM_IMAGE:
        copy->image.header = loom_arena_copy(arena, value->image.header, sizeof *value->image.header);
        return copy->image.header ? LOOM_OK : LOOM_NO_MEMORY;
    default:
        return LOOM_OK;
    }
}

loom_status loom_value_copy(loom_arena *arena, const loom_value *value, loom_value *copy) {
    return copy_within(arena, value, copy, 0);
}

loom_status loom_buffer_add(loom_buffer *buffer, const void *bytes, size_t length) {
    if (length > buffer->capacity - buffer->length) {
        if (length > SIZE_MAX / 2 - buffer->length) return LOOM_NO_MEMORY;
        size_t needed = buffer->length + length;
        size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity;
        while (capacity < needed)
            capacity *= 2;
        uint8_t *grown = realloc(buffer->bytes, capacity);
        if (!grown) return LOOM_NO_MEMORY;
        buffer->bytes = grown;
        buffer->capacity = capacity;
    }
    if (length > 0) memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    return LOOM_OK;
}

void loom_buffer_free(loom_buffer *buffer) {
    free(buffer->bytes);
    *buffer = (loom_buffer){0};
}
