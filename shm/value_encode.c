/* value_encode.c - values to MessagePack bytes, by msgpack-c's packer, which always chooses the shortest form.
 *
 * What is refused here is exactly what the decoder (value_decode.c) would refuse, so that everything written can be
 * read. The packer writes through a callback into a sink: a growing buffer, or a fixed array for the small values that
 * tasks exchange, where nothing may be allocated. */
#include "shm/value.h"

#include <msgpack/pack.h>
#include <string.h>

#include "shm/value_format.h"

typedef struct sink {
    loom_buffer *buffer;
    bool fixed; /* the buffer belongs to the caller and cannot grow */
    loom_status status;
} sink;

static int sink_write(void *data, const char *bytes, size_t length) {
    sink *to = data;
    loom_buffer *buffer = to->buffer;
    if (length <= buffer->capacity - buffer->length) {
        memcpy(buffer->bytes + buffer->length, bytes, length);
        buffer->length += length;
        return 0;
    }
    to->status = to->fixed ? LOOM_TOO_LARGE : loom_buffer_add(buffer, bytes, length);
    return to->status == LOOM_OK ? 0 : -1;
}

static sink *sink_of(msgpack_packer *packer) {
    return packer->data;
}

/* The status of a packing call that returned `failed`: the sink knows why. */
static loom_status packed(msgpack_packer *packer, int failed) {
    if (!failed) return LOOM_OK;
    loom_status status = sink_of(packer)->status;
    return status != LOOM_OK ? status : LOOM_INTERNAL;
}

static loom_status write_bytes(msgpack_packer *packer, const void *bytes, size_t length) {
    return length == 0 ? LOOM_OK : packed(packer, sink_write(packer->data, bytes, length));
}

static loom_status encode_value(msgpack_packer *packer, const loom_value *value, unsigned depth);

static loom_status encode_text(msgpack_packer *packer, const char *bytes, size_t length) {
    if (length > UINT32_MAX) return LOOM_TOO_LARGE;
    LOOM_TRY(packed(packer, msgpack_pack_str(packer, length)));
    return write_bytes(packer, bytes, length);
}

static loom_status encode_bytes(msgpack_packer *packer, const char *bytes, size_t length) {
    if (length > UINT32_MAX) return LOOM_TOO_LARGE;
    LOOM_TRY(packed(packer, msgpack_pack_bin(packer, length)));
    return write_bytes(packer, bytes, length);
}

static loom_status encode_array(msgpack_packer *packer, const loom_value *items, size_t count, unsigned depth) {
    LOOM_TRY(packed(packer, msgpack_pack_array(packer, count)));
    for (size_t i = 0; i < count; i++)
        LOOM_TRY(encode_value(packer, &items[i], depth + 1));
    return LOOM_OK;
}

/* An extension's header holds the length of what follows, known only afterwards: the body was written from `start` on
 * and is moved up to make room. */
static loom_status wrap_extension(msgpack_packer *packer, size_t start, int8_t type) {
    loom_buffer *buffer = sink_of(packer)->buffer;
    size_t length = buffer->length - start;
    if (length > UINT32_MAX) return LOOM_TOO_LARGE;

    uint8_t header[8];
    loom_buffer header_buffer = {.bytes = header, .capacity = sizeof header};
    sink header_sink = {.buffer = &header_buffer, .fixed = true};
    msgpack_packer header_packer = {.data = &header_sink, .callback = sink_write};
    LOOM_TRY(packed(&header_packer, msgpack_pack_ext(&header_packer, length, type)));

    LOOM_TRY(write_bytes(packer, header, header_buffer.length)); /* makes room at the end */
    memmove(buffer->bytes + start + header_buffer.length, buffer->bytes + start, length);
    memcpy(buffer->bytes + start, header, header_buffer.length);
    return LOOM_OK;
}

static loom_status write_zeros(msgpack_packer *packer, size_t length) {
    static const uint8_t zeros[256];
    for (; length > sizeof zeros; length -= sizeof zeros)
        LOOM_TRY(write_bytes(packer, zeros, sizeof zeros));
    return write_bytes(packer, zeros, length);
}

static void set_number(uint8_t *at, size_t number) {
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(number >> (24 - 8 * i));
}

/* The directory is written as zeros and filled in as the pages come. */
static loom_status encode_pages(msgpack_packer *packer, const loom_value *items, size_t count, bool tuple,
                                unsigned depth) {
    loom_buffer *buffer = sink_of(packer)->buffer;
    size_t start = buffer->length, pages = loom_page_count(count);
    size_t directory = start + LOOM_PAGED_HEAD_BYTES, first = directory + pages * LOOM_PAGED_ENTRY_BYTES;
    LOOM_TRY(write_zeros(packer, first - start));
    buffer->bytes[start] = tuple;
    set_number(buffer->bytes + start + 1, count);
    for (size_t page = 0; page < pages; page++) {
        if (buffer->length - first > UINT32_MAX) return LOOM_TOO_LARGE;
        set_number(buffer->bytes + directory + page * LOOM_PAGED_ENTRY_BYTES, buffer->length - first);
        LOOM_TRY(encode_array(packer, items + page * LOOM_SEQUENCE_PAGE_ITEMS, loom_page_items(count, page), depth));
    }
    return wrap_extension(packer, start, LOOM_EXT_PAGED);
}

static loom_status encode_sequence(msgpack_packer *packer, const loom_value *items, size_t count, bool tuple,
                                   unsigned depth) {
    if (count > UINT32_MAX) return LOOM_TOO_LARGE;
    if (count > LOOM_SEQUENCE_PLAIN_MAX) return encode_pages(packer, items, count, tuple, depth);
    if (!tuple) return encode_array(packer, items, count, depth);
    size_t start = sink_of(packer)->buffer->length;
    LOOM_TRY(encode_array(packer, items, count, depth));
    return wrap_extension(packer, start, LOOM_EXT_TUPLE);
}

static loom_status encode_dataset(msgpack_packer *packer, const loom_value *value, unsigned depth) {
    if (value->dataset.metadata == NULL || value->dataset.metadata->type != LOOM_RECORD) return LOOM_BAD_ARGUMENT;
    for (size_t i = 0; i < value->dataset.count; i++)
        LOOM_TRY(loom_dataset_item_check(&value->dataset.items[i]));
    if (depth + 1 > LOOM_VALUE_DEPTH_MAX) return LOOM_TOO_LARGE;
    size_t start = sink_of(packer)->buffer->length;
    LOOM_TRY(encode_value(packer, value->dataset.metadata, depth + 1));
    LOOM_TRY(encode_sequence(packer, value->dataset.items, value->dataset.count, false, depth + 1));
    return wrap_extension(packer, start, LOOM_EXT_DATASET);
}

static loom_status encode_record(msgpack_packer *packer, const loom_value *value, unsigned depth) {
    if (value->record.count > UINT32_MAX) return LOOM_TOO_LARGE;
    LOOM_TRY(loom_fields_are_unique(value->record.fields, value->record.count));
    LOOM_TRY(packed(packer, msgpack_pack_map(packer, value->record.count)));
    for (size_t i = 0; i < value->record.count; i++) {
        const loom_field *field = &value->record.fields[i];
        LOOM_TRY(encode_text(packer, field->name, field->name_length));
        LOOM_TRY(encode_value(packer, &field->value, depth + 1));
    }
    return LOOM_OK;
}

static loom_status encode_image(msgpack_packer *packer, const loom_image_header *header) {
    LOOM_TRY(loom_image_header_check(header, NULL));
    LOOM_TRY(packed(packer, msgpack_pack_ext(packer, sizeof *header, LOOM_EXT_IMAGE)));
    return write_bytes(packer, header, sizeof *header);
}

static loom_status encode_reference(msgpack_packer *packer, const loom_value *value) {
    if (!loom_type_can_be_referenced((unsigned)value->reference.type)) return LOOM_BAD_ARGUMENT;
    uint8_t body[LOOM_REFERENCE_BYTES];
    body[0] = (uint8_t)value->reference.type;
    memcpy(body + 1, value->reference.vid.bytes, sizeof value->reference.vid.bytes);
    LOOM_TRY(packed(packer, msgpack_pack_ext(packer, sizeof body, LOOM_EXT_REFERENCE)));
    return write_bytes(packer, body, sizeof body);
}

static loom_status encode_value(msgpack_packer *packer, const loom_value *value, unsigned depth) {
    if (depth > LOOM_VALUE_DEPTH_MAX) return LOOM_TOO_LARGE;
    switch (value->type) {
    case LOOM_NULL:
        return packed(packer, msgpack_pack_nil(packer));
    case LOOM_BOOL:
        return packed(packer, value->boolean ? msgpack_pack_true(packer) : msgpack_pack_false(packer));
    case LOOM_INT:
        return packed(packer, msgpack_pack_int64(packer, value->integer));
    case LOOM_FLOAT:
        return packed(packer, msgpack_pack_double(packer, value->number));
    case LOOM_STRING:
        return encode_text(packer, value->text.bytes, value->text.length);
    case LOOM_BYTES:
        return encode_bytes(packer, value->text.bytes, value->text.length);
    case LOOM_SEQUENCE:
        return encode_sequence(packer, value->sequence.items, value->sequence.count, value->tuple, depth);
    case LOOM_RECORD:
        return encode_record(packer, value, depth);
    case LOOM_IMAGE:
        return encode_image(packer, value->image.header);
    case LOOM_REFERENCE:
        return encode_reference(packer, value);
    case LOOM_DATASET:
        return encode_dataset(packer, value, depth);
    case LOOM_CLOSURE:
        return LOOM_UNSUPPORTED;
    }
    return LOOM_INTERNAL;
}

static loom_status encode_to(sink *to, const loom_value *value) {
    msgpack_packer packer = {.data = to, .callback = sink_write};
    return encode_value(&packer, value, 0);
}

loom_status loom_value_encode(const loom_value *value, loom_buffer *out) {
    size_t before = out->length;
    sink to = {.buffer = out};
    loom_status status = encode_to(&to, value);
    if (status != LOOM_OK) out->length = before;
    return status;
}

loom_status loom_value_encode_into(const loom_value *value, uint8_t *bytes, size_t capacity, size_t *length) {
    loom_buffer buffer = {.bytes = bytes, .capacity = capacity};
    sink to = {.buffer = &buffer, .fixed = true};
    LOOM_TRY(encode_to(&to, value));
    *length = buffer.length;
    return LOOM_OK;
}

loom_status loom_value_id(const loom_value *value, loom_id *vid) {
    uint8_t small[512];
    size_t length;
    loom_status status = loom_value_encode_into(value, small, sizeof small, &length);
    if (status == LOOM_OK) {
        *vid = loom_sha256(small, length);
        return LOOM_OK;
    }
    if (status != LOOM_TOO_LARGE) return status;
    loom_buffer buffer = {0};
    status = loom_value_encode(value, &buffer);
    if (status == LOOM_OK) *vid = loom_sha256(buffer.bytes, buffer.length);
    loom_buffer_free(&buffer);
    return status;
}
