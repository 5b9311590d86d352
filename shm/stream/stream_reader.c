/* stream_reader.c - reading a result as a stream of its content. */
#include <stdlib.h>
#include <string.h>

#include "shm/stream/stream_parts.h"
#include "shm/stream/stream_source.h"

struct loom_stream_reader {
    loom_source source;
    uint64_t begin, length; /* of the content, in the object */
    uint64_t position;
    const loom_image_header *image;
};

static loom_status damaged(const char *what, loom_error *err) {
    return loom_fail(err, LOOM_CORRUPT, "a stored result cannot be read as a stream: %s", what);
}

static loom_status find_voxels(loom_stream_reader *reader, loom_error *err) {
    const loom_result *result = &reader->source.result;
    loom_value value;
    LOOM_TRY(loom_value_decode(result->payload, result->payload_bytes, reader->source.arena, &value, err));
    if (value.type != LOOM_IMAGE) return damaged("an image without a header", err);
    if (loom_image_bytes(value.image.header) != reader->source.length)
        return damaged("an image whose header asks for other voxels", err);
    reader->image = value.image.header;
    return LOOM_OK;
}

/* Text begins behind its head, which must be of the type and say the length that is there. */
static loom_status find_text(loom_stream_reader *reader, loom_error *err) {
    uint8_t head[LOOM_TEXT_HEAD_MAX];
    size_t available = reader->source.length < sizeof head ? (size_t)reader->source.length : sizeof head;
    LOOM_TRY(loom_source_read(&reader->source, 0, head, available, err));
    uint8_t expected[LOOM_TEXT_HEAD_MAX];
    loom_type type = reader->source.result.type;
    for (size_t bytes = 1; bytes <= available; bytes++) {
        uint64_t length = reader->source.length - bytes;
        if (loom_text_head(type, length, expected) != bytes || memcmp(head, expected, bytes) != 0) continue;
        reader->begin = bytes;
        reader->length = length;
        return LOOM_OK;
    }
    return damaged("text without its head", err);
}

static loom_status find_content(loom_stream_reader *reader, loom_error *err) {
    loom_type type = reader->source.result.type;
    reader->length = reader->source.length;
    if (type == LOOM_IMAGE) return find_voxels(reader, err);
    return type == LOOM_STRING || type == LOOM_BYTES ? find_text(reader, err) : LOOM_OK;
}

static loom_status open_reader(loom_store *store, loom_source_find find, const loom_id *id, loom_stream_reader **reader,
                               loom_error *err) {
    *reader = NULL;
    loom_stream_reader *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening a stream");
    loom_status status = loom_source_open(&made->source, store, find, id, err);
    if (status == LOOM_OK) status = find_content(made, err);
    if (status != LOOM_OK) {
        loom_stream_reader_close(made);
        return status;
    }
    *reader = made;
    return LOOM_OK;
}

loom_status loom_stream_reader_open(loom_store *store, const loom_id *rkey, loom_stream_reader **reader,
                                    loom_error *err) {
    loom_status status = open_reader(store, loom_store_hold, rkey, reader, err);
    return status == LOOM_NOT_FOUND ? loom_stream_why_missing(store, rkey, err) : status;
}

loom_status loom_stream_reader_open_value(loom_store *store, const loom_id *vid, loom_stream_reader **reader,
                                          loom_error *err) {
    return open_reader(store, loom_store_hold_value, vid, reader, err);
}

loom_status loom_stream_reader_read(loom_stream_reader *reader, void *bytes, size_t capacity, size_t *got,
                                    loom_error *err) {
    *got = 0;
    LOOM_TRY(loom_store_check_process(reader->source.store, err));
    uint64_t left = reader->length - reader->position;
    size_t wanted = left < capacity ? (size_t)left : capacity;
    loom_status status = loom_source_read(&reader->source, reader->begin + reader->position, bytes, wanted, err);
    if (status != LOOM_OK) {
        memset(bytes, 0, wanted);
        return status;
    }
    reader->position += wanted;
    *got = wanted;
    return LOOM_OK;
}

loom_status loom_stream_reader_seek(loom_stream_reader *reader, uint64_t position, loom_error *err) {
    if (position > reader->length)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "position %llu is beyond the end (%llu) of a stored object",
                         (unsigned long long)position, (unsigned long long)reader->length);
    reader->position = position;
    return LOOM_OK;
}

uint64_t loom_stream_reader_tell(const loom_stream_reader *reader) {
    return reader->position;
}

uint64_t loom_stream_reader_length(const loom_stream_reader *reader) {
    return reader->length;
}

const loom_result *loom_stream_reader_result(const loom_stream_reader *reader) {
    return &reader->source.result;
}

const loom_image_header *loom_stream_reader_image(const loom_stream_reader *reader) {
    return reader->image;
}

void loom_stream_reader_close(loom_stream_reader *reader) {
    if (reader == NULL) return;
    loom_source_close(&reader->source);
    free(reader);
}
