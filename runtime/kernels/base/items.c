/* items.c - values as sequences of items: see items.h. */
#include "runtime/kernels/base/items.h"

#include "runtime/kernels/base/voxels.h"

static bool begins_character(char c) {
    return ((unsigned char)c & 0xC0) != 0x80;
}

static uint64_t count_characters(const char *text, size_t length) {
    uint64_t count = 0;
    for (size_t k = 0; k < length; k++)
        count += begins_character(text[k]);
    return count;
}

bool loom_items_count(const loom_value *value, uint64_t *count) {
    switch (value->type) {
    case LOOM_SEQUENCE:
        *count = value->sequence.count;
        return true;
    case LOOM_STRING:
        *count = count_characters(value->text.bytes, value->text.length);
        return true;
    case LOOM_BYTES:
        *count = value->text.length;
        return true;
    case LOOM_RECORD:
        *count = value->record.count;
        return true;
    case LOOM_IMAGE:
        *count = loom_image_voxels(value->image.header) * value->image.header->components;
        return value->image.voxels != NULL;
    default:
        return false;
    }
}

static void get_characters(const loom_value *value, uint64_t first, uint64_t count, loom_value *items) {
    const char *text = value->text.bytes;
    size_t length = value->text.length, at = 0;
    for (uint64_t skipped = 0; at < length; at++)
        if (begins_character(text[at]) && skipped++ == first) break;
    for (uint64_t k = 0; k < count; k++) {
        size_t end = at + 1;
        while (end < length && !begins_character(text[end]))
            end++;
        items[k] = loom_string(text + at, end - at);
        at = end;
    }
}

/* A pixel as Python sees it: whole for integer types. */
static loom_value pixel_at(const loom_value *image, uint64_t at) {
    uint8_t dtype = image->image.header->dtype;
    const uint8_t *pixel = (const uint8_t *)image->image.voxels + at * loom_dtype_bytes(dtype);
    if (loom_dtype_is_float(dtype)) {
        double number = 0;
        loom_cast(dtype, pixel, LOOM_F64, &number, 1);
        return loom_float(number);
    }
    int64_t whole = 0;
    loom_cast(dtype, pixel, LOOM_I64, &whole, 1);
    return dtype == LOOM_U64 && whole < 0 ? loom_float((double)(uint64_t)whole) : loom_int(whole);
}

void loom_items_get(const loom_value *value, uint64_t first, uint64_t count, loom_value *items) {
    if (value->type == LOOM_STRING) {
        get_characters(value, first, count, items);
        return;
    }
    for (uint64_t k = 0; k < count; k++) {
        uint64_t at = first + k;
        switch (value->type) {
        case LOOM_SEQUENCE:
            items[k] = value->sequence.items[at];
            break;
        case LOOM_BYTES:
            items[k] = loom_int((unsigned char)value->text.bytes[at]);
            break;
        case LOOM_RECORD:
            items[k] = loom_string(value->record.fields[at].name, value->record.fields[at].name_length);
            break;
        case LOOM_IMAGE:
            items[k] = pixel_at(value, at);
            break;
        default:
            items[k] = loom_null();
        }
    }
}
