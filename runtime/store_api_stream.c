/* store_api_stream.c - <voxloom/store.h>: results larger than memory, by name. */
#include <stdlib.h>
#include <string.h>

#include "runtime/store_api.h"
#include "shm/stream/stream.h"

struct loom_shelf_writer {
    loom_shelf *shelf;
    loom_stream_writer *stream;
    loom_id rkey;
};

struct loom_shelf_reader {
    loom_stream_reader *stream;
};

/* ---- out of memory, into the store ---- */

static loom_status make_writer(loom_shelf *shelf, const char *name, size_t name_length, loom_shelf_writer **writer,
                               loom_error *err) {
    *writer = NULL;
    loom_id rkey;
    LOOM_TRY(loom_named_key(name, name_length, &rkey, err));
    loom_shelf_writer *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_api_exhausted(err);
    *made = (loom_shelf_writer){.shelf = shelf, .rkey = rkey};
    *writer = made;
    return LOOM_OK;
}

static loom_status keep_or_free(loom_status status, loom_shelf_writer **writer) {
    if (status == LOOM_OK) return status;
    free(*writer);
    *writer = NULL;
    return status;
}

static loom_status create(loom_shelf_writer *writer, const char *name, size_t name_length, int32_t type,
                          const loom_image_info *image, loom_arena *arena, loom_error *err) {
    loom_image_header header;
    const void *unused;
    loom_stream_options options = {
        .rkey = writer->rkey, .type = (loom_type)type, .inline_bytes = writer->shelf->config.store.inline_bytes};
    if (type != LOOM_STRING && type != LOOM_BYTES && type != LOOM_IMAGE)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "strings, bytes and images can be streamed; set other values");
    if ((type == LOOM_IMAGE) != (image != NULL))
        return loom_fail(err, LOOM_BAD_ARGUMENT, "an image is streamed with its header, other values without one");
    if (image != NULL) {
        LOOM_TRY(loom_image_from_info(image, &header, &unused, err));
        options.image = &header;
        options.bytes = loom_image_bytes(&header);
    }
    LOOM_TRY(loom_named_recipe(name, name_length, arena, &options.recipe, &options.recipe_bytes, err));
    return loom_stream_writer_create(writer->shelf->store, &options, &writer->stream, err);
}

loom_status loom_shelf_write(loom_shelf *shelf, const char *name, size_t name_length, int32_t type,
                             const loom_image_info *image, loom_shelf_writer **writer, loom_error *err) {
    LOOM_TRY(make_writer(shelf, name, name_length, writer, err));
    loom_arena *arena = loom_arena_new();
    loom_status status =
        arena != NULL ? create(*writer, name, name_length, type, image, arena, err) : loom_api_exhausted(err);
    loom_arena_free(arena);
    return keep_or_free(status, writer);
}

loom_status loom_shelf_resume(loom_shelf *shelf, const char *name, size_t name_length, loom_shelf_writer **writer,
                              loom_error *err) {
    LOOM_TRY(make_writer(shelf, name, name_length, writer, err));
    return keep_or_free(loom_stream_writer_resume(shelf->store, &(*writer)->rkey, &(*writer)->stream, err), writer);
}

loom_status loom_writer_add(loom_shelf_writer *writer, const void *bytes, size_t length, loom_error *err) {
    return loom_stream_writer_write(writer->stream, bytes, length, err);
}

uint64_t loom_writer_position(const loom_shelf_writer *writer) {
    return loom_stream_writer_position(writer->stream);
}

static loom_status change_pin(loom_shelf_writer *writer, bool pins, loom_error *err) {
    loom_batch *batch = NULL;
    LOOM_TRY(loom_store_begin(writer->shelf->store, &batch, err));
    loom_status status = pins ? loom_batch_pin(batch, &writer->rkey, LOOM_PUT_OWNER, err)
                              : loom_batch_unpin(batch, &writer->rkey, LOOM_PUT_OWNER, err);
    if (status == LOOM_OK) return loom_batch_commit(batch, err);
    loom_batch_abort(batch);
    return status;
}

/* The pin comes first, so that nobody evicts what was just committed. */
loom_status loom_writer_commit(loom_shelf_writer *writer, uint32_t flags, uint8_t id[32], loom_error *err) {
    bool pins = (flags & LOOM_SET_EVICTABLE) == 0;
    loom_status status = (flags & ~(uint32_t)LOOM_SET_EVICTABLE) == 0
                             ? LOOM_OK
                             : loom_fail(err, LOOM_BAD_ARGUMENT, "a stream takes no flag but LOOM_SET_EVICTABLE");
    if (status == LOOM_OK && pins) status = change_pin(writer, true, err);
    if (status != LOOM_OK) {
        loom_writer_abort(writer);
        return status;
    }
    status = loom_stream_writer_commit(writer->stream, NULL, err);
    if (status == LOOM_OK && id != NULL) memcpy(id, writer->rkey.bytes, 32);
    if (status != LOOM_OK && status != LOOM_IRREPRODUCIBLE && pins) (void)change_pin(writer, false, NULL);
    free(writer);
    return status;
}

loom_status loom_writer_suspend(loom_shelf_writer *writer, loom_error *err) {
    loom_status status = loom_stream_writer_suspend(writer->stream, err);
    free(writer);
    return status;
}

void loom_writer_abort(loom_shelf_writer *writer) {
    if (writer == NULL) return;
    loom_stream_writer_abort(writer->stream);
    free(writer);
}

/* ---- out of the store ---- */

loom_status loom_shelf_read(loom_shelf *shelf, const uint8_t id[32], loom_shelf_reader **reader, loom_error *err) {
    *reader = NULL;
    const loom_id rkey = loom_id_of(id);
    loom_shelf_reader *made = calloc(1, sizeof *made);
    if (made == NULL) return loom_api_exhausted(err);
    loom_status status = loom_stream_reader_open(shelf->store, &rkey, &made->stream, err);
    if (status != LOOM_OK) {
        free(made);
        return status;
    }
    *reader = made;
    return LOOM_OK;
}

uint64_t loom_reader_length(const loom_shelf_reader *reader) {
    return loom_stream_reader_length(reader->stream);
}

loom_status loom_reader_next(loom_shelf_reader *reader, void *bytes, size_t capacity, size_t *got, loom_error *err) {
    return loom_stream_reader_read(reader->stream, bytes, capacity, got, err);
}

loom_status loom_reader_seek(loom_shelf_reader *reader, uint64_t position, loom_error *err) {
    return loom_stream_reader_seek(reader->stream, position, err);
}

void loom_reader_close(loom_shelf_reader *reader) {
    if (reader == NULL) return;
    loom_stream_reader_close(reader->stream);
    free(reader);
}
