/* value_decode.c - MessagePack bytes to values: a strict reader of our own.
 *
 * msgpack-c's unpacker does not fit hostile bytes under a canonical encoding: it accepts every form of a number or
 * length without telling which one it saw, so two encodings of one value would have two vids, and it builds its own
 * object tree first. This reader accepts exactly what value_encode.c writes: shortest forms only, names unique, headers
 * valid, nothing left over; and long sequences as plain arrays, as format 1 of the store had them. Every count is
 * checked against the bytes that remain before anything is allocated. */
#include "shm/value.h"

#include <stdlib.h>
#include <string.h>

#include "shm/value_format.h"

typedef struct reader {
    const uint8_t *start, *at, *end;
    loom_arena *arena;
    loom_error *err;
} reader;

/* Both return constants, so that the compiler sees that what follows LOOM_TRY has been read. */
static loom_status corrupt(const reader *in, const char *what) {
    size_t position = (size_t)(in->at - in->start);
    loom_fail(in->err, LOOM_CORRUPT, "an encoded value is damaged at byte %zu: %s", position, what);
    return LOOM_CORRUPT;
}

static loom_status no_memory(const reader *in) {
    loom_fail(in->err, LOOM_NO_MEMORY, "out of memory while decoding a value");
    return LOOM_NO_MEMORY;
}

static size_t left(const reader *in) {
    return (size_t)(in->end - in->at);
}

bool loom_type_can_be_referenced(unsigned type) {
    return type <= LOOM_DATASET;
}

static int compare_fields(const void *a, const void *b) {
    const loom_field *x = *(const loom_field *const *)a, *y = *(const loom_field *const *)b;
    size_t shorter = x->name_length < y->name_length ? x->name_length : y->name_length;
    int order = shorter > 0 ? memcmp(x->name, y->name, shorter) : 0;
    return order != 0 ? order : (x->name_length > y->name_length) - (x->name_length < y->name_length);
}

static bool same_name(const loom_field *a, const loom_field *b) {
    return compare_fields(&a, &b) == 0;
}

loom_status loom_fields_are_unique(const loom_field *fields, size_t count) {
    enum { FEW = 16 };
    if (count <= FEW) {
        for (size_t i = 1; i < count; i++)
            for (size_t j = 0; j < i; j++)
                if (same_name(&fields[i], &fields[j])) return LOOM_BAD_ARGUMENT;
        return LOOM_OK;
    }
    if (count > SIZE_MAX / sizeof(const loom_field *)) return LOOM_NO_MEMORY;
    const loom_field **sorted = malloc(count * sizeof *sorted);
    if (!sorted) return LOOM_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &fields[i];
    qsort(sorted, count, sizeof *sorted, compare_fields);
    loom_status status = LOOM_OK;
    for (size_t i = 1; i < count && status == LOOM_OK; i++)
        if (same_name(sorted[i - 1], sorted[i])) status = LOOM_BAD_ARGUMENT;
    free(sorted);
    return status;
}

/* A big-endian number of `width` bytes (1, 2, 4 or 8). */
static loom_status read_number(reader *in, unsigned width, uint64_t *number) {
    if (left(in) < width) return corrupt(in, "it ends too early");
    uint64_t read = 0;
    for (unsigned i = 0; i < width; i++)
        read = read << 8 | in->at[i];
    in->at += width;
    *number = read;
    return LOOM_OK;
}

/* A length of `width` bytes that a shorter form could not have held: at least `smallest`. */
static loom_status read_length(reader *in, unsigned width, uint64_t smallest, size_t *length) {
    uint64_t number;
    LOOM_TRY(read_number(in, width, &number));
    if (number < smallest) return corrupt(in, "a length is not in its shortest form");
    *length = (size_t)number;
    return LOOM_OK;
}

static loom_status take(reader *in, size_t length, const char **bytes) {
    if (length > left(in)) return corrupt(in, "it ends too early");
    *bytes = (const char *)in->at;
    in->at += length;
    return LOOM_OK;
}

static loom_status read_unsigned(reader *in, unsigned width, uint64_t smallest, loom_value *value) {
    uint64_t number;
    LOOM_TRY(read_number(in, width, &number));
    if (number < smallest) return corrupt(in, "an integer is not in its shortest form");
    if (number > INT64_MAX) return corrupt(in, "an integer exceeds 64 bits with sign");
    *value = loom_int((int64_t)number);
    return LOOM_OK;
}

/* `largest` is the largest negative number that needs this width. */
static loom_status read_negative(reader *in, unsigned width, int64_t largest, loom_value *value) {
    uint64_t bits;
    LOOM_TRY(read_number(in, width, &bits));
    unsigned unused = 64 - 8 * width;
    int64_t number = (int64_t)(bits << unused) >> unused; /* extends the sign */
    if (number > largest) return corrupt(in, "an integer is not in its shortest form");
    *value = loom_int(number);
    return LOOM_OK;
}

static loom_status read_float(reader *in, loom_value *value) {
    uint64_t bits;
    LOOM_TRY(read_number(in, 8, &bits));
    value->type = LOOM_FLOAT;
    memcpy(&value->number, &bits, sizeof bits); /* never through a register that would quiet a NaN */
    return LOOM_OK;
}

static loom_status read_text(reader *in, loom_type type, size_t length, loom_value *value) {
    value->type = type;
    value->text.length = length;
    return take(in, length, &value->text.bytes);
}

static loom_status read_value(reader *in, unsigned depth, loom_value *value);

static loom_status read_items(reader *in, size_t count, unsigned depth, loom_value *value) {
    if (count > left(in)) return corrupt(in, "a sequence claims more items than there are bytes");
    loom_value *items = loom_arena_array(in->arena, count, sizeof *items);
    if (!items) return no_memory(in);
    for (size_t i = 0; i < count; i++)
        LOOM_TRY(read_value(in, depth + 1, &items[i]));
    *value = loom_sequence(items, count);
    return LOOM_OK;
}

static loom_status read_name(reader *in, loom_field *field) {
    uint64_t head;
    LOOM_TRY(read_number(in, 1, &head));
    if (head >= 0xA0 && head <= 0xBF)
        field->name_length = (size_t)(head & 0x1F);
    else if (head == 0xD9)
        LOOM_TRY(read_length(in, 1, 32, &field->name_length));
    else if (head == 0xDA)
        LOOM_TRY(read_length(in, 2, 0x100, &field->name_length));
    else if (head == 0xDB)
        LOOM_TRY(read_length(in, 4, 0x10000, &field->name_length));
    else
        return corrupt(in, "a record's field has no name");
    return take(in, field->name_length, &field->name);
}

static loom_status read_fields(reader *in, size_t count, unsigned depth, loom_value *value) {
    if (count > left(in) / 2) return corrupt(in, "a record claims more fields than there are bytes");
    loom_field *fields = loom_arena_array(in->arena, count, sizeof *fields);
    if (!fields) return no_memory(in);
    for (size_t i = 0; i < count; i++) {
        LOOM_TRY(read_name(in, &fields[i]));
        LOOM_TRY(read_value(in, depth + 1, &fields[i].value));
    }
    loom_status unique = loom_fields_are_unique(fields, count);
    if (unique == LOOM_NO_MEMORY) return no_memory(in);
    if (unique != LOOM_OK) return corrupt(in, "a record has two fields of one name");
    *value = loom_record(fields, count);
    return LOOM_OK;
}

static loom_status read_image(reader *in, const char *body, size_t length, loom_value *value) {
    if (length != sizeof(loom_image_header)) return corrupt(in, "an image header has the wrong length");
    loom_image_header *header = loom_arena_copy(in->arena, body, length);
    if (!header) return no_memory(in);
    loom_error reason = {0};
    if (loom_image_header_check(header, &reason) != LOOM_OK) return corrupt(in, reason.message);
    *value = loom_image(header, NULL);
    return LOOM_OK;
}

static loom_status read_reference(reader *in, const char *body, size_t length, loom_value *value) {
    if (length != LOOM_REFERENCE_BYTES) return corrupt(in, "a reference has the wrong length");
    unsigned type = (unsigned char)body[0];
    if (!loom_type_can_be_referenced(type)) return corrupt(in, "a reference names an unknown type");
    loom_id vid;
    memcpy(vid.bytes, body + 1, sizeof vid.bytes);
    *value = loom_reference((loom_type)type, &vid);
    return LOOM_OK;
}

static bool is_array_head(uint8_t byte) {
    return (byte & 0xF0) == 0x90 || byte == 0xDC || byte == 0xDD;
}

static loom_status read_tuple(reader *in, const char *body, size_t length, unsigned depth, loom_value *value) {
    const uint8_t *first = (const uint8_t *)body;
    if (length == 0 || !is_array_head(*first)) return corrupt(in, "a tuple does not hold a sequence");
    reader inner = {.start = in->start, .at = first, .end = first + length, .arena = in->arena, .err = in->err};
    LOOM_TRY(read_value(&inner, depth, value));
    if (inner.at != inner.end) return corrupt(&inner, "a tuple is longer than its items");
    value->tuple = true;
    return LOOM_OK;
}

/* ---- long sequences, datasets ---- */

static loom_status read_page_head(reader *in, size_t *count) {
    uint64_t head;
    LOOM_TRY(read_number(in, 1, &head));
    *count = (size_t)(head & 0x0F);
    if ((head & 0xF0) == 0x90) return LOOM_OK;
    if (head != 0xDC) return corrupt(in, "a page of a sequence is no array");
    return read_length(in, 2, 16, count);
}

static loom_status read_pages(reader *directory, reader *in, loom_value *items, size_t count, unsigned depth) {
    const uint8_t *first = in->at;
    for (size_t page = 0; page < loom_page_count(count); page++) {
        uint64_t offset;
        size_t expected = loom_page_items(count, page), found;
        LOOM_TRY(read_number(directory, LOOM_PAGED_ENTRY_BYTES, &offset));
        if (offset != (uint64_t)(in->at - first)) return corrupt(directory, "a page is not where its directory says");
        LOOM_TRY(read_page_head(in, &found));
        if (found != expected) return corrupt(in, "a page has the wrong number of items");
        for (size_t i = 0; i < expected; i++)
            LOOM_TRY(read_value(in, depth + 1, &items[page * LOOM_SEQUENCE_PAGE_ITEMS + i]));
    }
    return in->at == in->end ? LOOM_OK : corrupt(in, "a long sequence is longer than its pages");
}

static loom_status read_paged(reader *in, const char *body, size_t length, unsigned depth, loom_value *value) {
    reader directory = *in;
    directory.at = (const uint8_t *)body;
    directory.end = directory.at + length;
    uint64_t tuple, count;
    LOOM_TRY(read_number(&directory, 1, &tuple));
    LOOM_TRY(read_number(&directory, 4, &count));
    if (tuple > 1) return corrupt(&directory, "a long sequence has an unknown flag");
    if (count <= LOOM_SEQUENCE_PLAIN_MAX) return corrupt(&directory, "a short sequence is in pages");
    size_t entries = loom_page_count((size_t)count) * LOOM_PAGED_ENTRY_BYTES;
    if (entries > left(&directory) || count > left(&directory) - entries)
        return corrupt(&directory, "a sequence claims more items than there are bytes");
    loom_value *items = loom_arena_array(in->arena, (size_t)count, sizeof *items);
    if (!items) return no_memory(in);
    reader pages = directory;
    pages.at += entries;
    LOOM_TRY(read_pages(&directory, &pages, items, (size_t)count, depth));
    *value = tuple ? loom_tuple(items, (size_t)count) : loom_sequence(items, (size_t)count);
    return LOOM_OK;
}

static loom_status read_dataset(reader *in, const char *body, size_t length, unsigned depth, loom_value *value) {
    reader inner = *in;
    inner.at = (const uint8_t *)body;
    inner.end = inner.at + length;
    loom_value *metadata = loom_arena_alloc(in->arena, sizeof *metadata);
    if (!metadata) return no_memory(in);
    loom_value items;
    LOOM_TRY(read_value(&inner, depth + 1, metadata));
    if (metadata->type != LOOM_RECORD) return corrupt(&inner, "the metadata of a dataset is no record");
    LOOM_TRY(read_value(&inner, depth + 1, &items));
    if (items.type != LOOM_SEQUENCE || items.tuple) return corrupt(&inner, "the items of a dataset are no sequence");
    for (size_t i = 0; i < items.sequence.count; i++)
        if (loom_dataset_item_check(&items.sequence.items[i]) != LOOM_OK)
            return corrupt(&inner, "an item of a dataset is neither a reference nor a description");
    if (inner.at != inner.end) return corrupt(&inner, "a dataset is longer than its items");
    *value = loom_dataset(metadata, items.sequence.items, items.sequence.count);
    return LOOM_OK;
}

static bool is_fixed_extension(size_t length) {
    return length == 1 || length == 2 || length == 4 || length == 8 || length == 16;
}

static loom_status read_extension(reader *in, size_t length, unsigned depth, loom_value *value) {
    uint64_t type;
    const char *body;
    LOOM_TRY(read_number(in, 1, &type));
    LOOM_TRY(take(in, length, &body));
    switch (type) {
    case LOOM_EXT_IMAGE:
        return read_image(in, body, length, value);
    case LOOM_EXT_REFERENCE:
        return read_reference(in, body, length, value);
    case LOOM_EXT_TUPLE:
        return read_tuple(in, body, length, depth, value);
    case LOOM_EXT_DATASET:
        return read_dataset(in, body, length, depth, value);
    case LOOM_EXT_PAGED:
        return read_paged(in, body, length, depth, value);
    default:
        return corrupt(in, "it has an unknown extension type");
    }
}

static loom_status read_long_extension(reader *in, unsigned width, uint64_t smallest, unsigned depth,
                                       loom_value *value) {
    size_t length;
    LOOM_TRY(read_length(in, width, smallest, &length));
    if (is_fixed_extension(length)) return corrupt(in, "a length is not in its shortest form");
    return read_extension(in, length, depth, value);
}

static loom_status read_long_text(reader *in, loom_type type, unsigned width, uint64_t smallest, loom_value *value) {
    size_t length;
    LOOM_TRY(read_length(in, width, smallest, &length));
    return read_text(in, type, length, value);
}

static loom_status read_long_items(reader *in, unsigned width, uint64_t smallest, unsigned depth, loom_value *value) {
    size_t count;
    LOOM_TRY(read_length(in, width, smallest, &count));
    return read_items(in, count, depth, value);
}

static loom_status read_long_fields(reader *in, unsigned width, uint64_t smallest, unsigned depth, loom_value *value) {
    size_t count;
    LOOM_TRY(read_length(in, width, smallest, &count));
    return read_fields(in, count, depth, value);
}

/* Heads 0xC0..0xDF, in the order of the specification's table. */
static loom_status read_by_head(reader *in, uint8_t head, unsigned depth, loom_value *value) {
    switch (head) {
    case 0xC0:
        *value = loom_null();
        return LOOM_OK;
    case 0xC2:
    case 0xC3:
        *value = loom_bool(head == 0xC3);
        return LOOM_OK;
    case 0xC4:
        return read_long_text(in, LOOM_BYTES, 1, 0, value);
    case 0xC5:
        return read_long_text(in, LOOM_BYTES, 2, 0x100, value);
    case 0xC6:
        return read_long_text(in, LOOM_BYTES, 4, 0x10000, value);
    case 0xC7:
        return read_long_extension(in, 1, 0, depth, value);
    case 0xC8:
        return read_long_extension(in, 2, 0x100, depth, value);
    case 0xC9:
        return read_long_extension(in, 4, 0x10000, depth, value);
    case 0xCB:
        return read_float(in, value);
    case 0xCC:
        return read_unsigned(in, 1, 0x80, value);
    case 0xCD:
        return read_unsigned(in, 2, 0x100, value);
    case 0xCE:
        return read_unsigned(in, 4, 0x10000, value);
    case 0xCF:
        return read_unsigned(in, 8, UINT64_C(0x100000000), value);
    case 0xD0:
        return read_negative(in, 1, -33, value);
    case 0xD1:
        return read_negative(in, 2, (int64_t)INT8_MIN - 1, value);
    case 0xD2:
        return read_negative(in, 4, (int64_t)INT16_MIN - 1, value);
    case 0xD3:
        return read_negative(in, 8, (int64_t)INT32_MIN - 1, value);
    case 0xD4:
    case 0xD5:
    case 0xD6:
    case 0xD7:
    case 0xD8:
        return read_extension(in, (size_t)1 << (head - 0xD4), depth, value);
    case 0xD9:
        return read_long_text(in, LOOM_STRING, 1, 32, value);
    case 0xDA:
        return read_long_text(in, LOOM_STRING, 2, 0x100, value);
    case 0xDB:
        return read_long_text(in, LOOM_STRING, 4, 0x10000, value);
    case 0xDC:
        return read_long_items(in, 2, 16, depth, value);
    case 0xDD:
        return read_long_items(in, 4, 0x10000, depth, value);
    case 0xDE:
        return read_long_fields(in, 2, 16, depth, value);
    case 0xDF:
        return read_long_fields(in, 4, 0x10000, depth, value);
    default:
        return corrupt(in, "it has a head byte that is never written"); /* 0xC1, and 0xCA: floats have 64 bits */
    }
}

static loom_status read_value(reader *in, unsigned depth, loom_value *value) {
    if (depth > LOOM_VALUE_DEPTH_MAX) return corrupt(in, "it is nested too deeply");
    if (in->at == in->end) return corrupt(in, "it ends too early");
    uint8_t head = *in->at++;
    if (head < 0x80) {
        *value = loom_int(head);
        return LOOM_OK;
    }
    if (head >= 0xE0) {
        *value = loom_int((int64_t)head - 0x100);
        return LOOM_OK;
    }
    if (head < 0x90) return read_fields(in, head & 0x0F, depth, value);
    if (head < 0xA0) return read_items(in, head & 0x0F, depth, value);
    if (head < 0xC0) return read_text(in, LOOM_STRING, head & 0x1F, value);
    return read_by_head(in, head, depth, value);
}

loom_status loom_value_decode(const uint8_t *bytes, size_t length, loom_arena *arena, loom_value *value,
                              loom_error *err) {
    reader in = {.start = bytes, .at = bytes, .end = bytes + length, .arena = arena, .err = err};
    *value = loom_null();
    loom_value read = loom_null();
    LOOM_TRY(read_value(&in, 0, &read));
    if (in.at != in.end) return corrupt(&in, "bytes are left over");
    *value = read;
    return LOOM_OK;
}
