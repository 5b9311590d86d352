/* stream_writer.c - a result written in chunks: created or resumed, then committed, suspended or aborted.
 *
 * The object is the encoded value: the content, and for text a head that says its length. While that is unknown, five
 * zero bytes stand for it and the first block stays in memory until the end. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shm/probe.h"
#include "shm/stream/stream_parts.h"
#include "shm/stream/stream_source.h"

#define ANNOUNCE_NS UINT64_C(1000000000) /* how often other processes are told how far a writer is */

struct loom_stream_writer {
    loom_store *store;
    loom_stream_state state; /* .done is kept in the entry */
    loom_stream_entry entry;
    loom_stream_sink sink;
    loom_arena *arena; /* of the recipe, and of the record that was resumed */
    loom_hold hold;    /* of a resumed record's bytes */
    bool recorded;     /* a record is in the store */
    bool resumed;      /* which has bytes ... */
    bool adopted;      /* ... that go on in place */
    bool later;        /* the head is unknown: block 0 is written last */
    bool failed;
    uint8_t *first; /* block 0, while `later` */
    uint8_t *tile;  /* what is being filled: LOOM_STREAM_TILE_BYTES */
    size_t blocks, fill;
    uint64_t announced_ns; /* when others were told last; at first, when it began */
};

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void free_writer(loom_stream_writer *writer) {
    if (writer->sink.store != NULL) loom_stream_sink_close(&writer->sink);
    if (writer->entry.store != NULL) loom_stream_leave(writer->store, &writer->entry);
    loom_store_unhold(writer->store, &writer->hold);
    loom_arena_free(writer->arena);
    free(writer->first);
    free(writer->tile);
    free(writer);
}

static loom_status no_memory(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening a stream");
}

/* ---- the record in the store ---- */

/* In one batch: the record of the stream (bulk bytes so far, or none yet) takes the place of an earlier one. */
static loom_status put_record(loom_stream_writer *writer, loom_result *record, loom_error *err) {
    loom_buffer payload = {0};
    loom_batch *batch = NULL;
    writer->state.done = atomic_load(&writer->entry.done);
    loom_status status = loom_stream_record_encode(&writer->state, &payload, err);
    record->rkey = loom_stream_record_key(&writer->state.rkey);
    record->vid = loom_sha256(payload.bytes, payload.length);
    record->type = LOOM_RECORD;
    record->payload = payload.bytes;
    record->payload_bytes = payload.length;
    record->created_ns = now_ns();
    record->expires_ns = record->created_ns + LOOM_STREAM_KEPT_S * 1000000000u;
    if (status == LOOM_OK) status = loom_row_check_result(record, err);
    if (status == LOOM_OK) status = loom_store_begin(writer->store, &batch, err);
    if (status == LOOM_OK) {
        const loom_store_ops *ops = writer->store->ops;
        status = ops->succeed(batch, &record->rkey, record, err);
        if (status == LOOM_NOT_FOUND && !writer->adopted) status = ops->put(batch, record, err);
        if (status == LOOM_OK)
            status = loom_batch_commit(batch, err);
        else
            loom_batch_abort(batch);
    }
    loom_buffer_free(&payload);
    if (status == LOOM_NOT_FOUND)
        status = loom_fail(err, LOOM_NOT_FOUND, "the suspended stream was dropped meanwhile; begin it again");
    if (status == LOOM_OK) writer->recorded = true;
    return status;
}

static loom_status drop_record(loom_store *store, const loom_id *rkey, loom_error *err) {
    loom_batch *batch;
    loom_id key = loom_stream_record_key(rkey);
    LOOM_TRY(loom_store_begin(store, &batch, err));
    loom_status status = store->ops->succeed(batch, &key, NULL, err);
    if (status == LOOM_OK) return loom_batch_commit(batch, err);
    loom_batch_abort(batch);
    return status;
}

/* ---- beginning ---- */

static loom_status allocate(loom_store *store, const loom_id *rkey, loom_stream_writer **writer, loom_error *err) {
    loom_stream_writer *made = calloc(1, sizeof *made);
    if (made == NULL) return no_memory(err);
    made->store = store;
    made->sink.store = store;
    made->announced_ns = now_ns();
    made->arena = loom_arena_new();
    made->tile = malloc(LOOM_STREAM_TILE_BYTES);
    loom_status status = made->arena != NULL && made->tile != NULL ? LOOM_OK : no_memory(err);
    if (status == LOOM_OK) status = loom_stream_enter(store, &made->entry, rkey, err);
    if (status == LOOM_OK)
        *writer = made;
    else
        free_writer(made);
    return status;
}

static loom_status check_store(loom_store *store, loom_error *err) {
    LOOM_TRY(loom_store_check_process(store, err));
    if (!store->writable)
        return loom_fail(err, LOOM_DENIED, "the store %s is open for reading only; open it for writing", store->path);
    if (store->ops->succeed == NULL)
        return loom_fail(err, LOOM_UNSUPPORTED, "the store %s does not take streams", store->path);
    return LOOM_OK;
}

static loom_status check_options(const loom_stream_options *options, loom_error *err) {
    if (options->type != LOOM_IMAGE && options->type != LOOM_STRING && options->type != LOOM_BYTES)
        return loom_fail(err, LOOM_UNSUPPORTED, "a %s is not written as a stream; put it as a value",
                         loom_type_name(options->type));
    if ((options->type == LOOM_IMAGE) != (options->image != NULL) ||
        (options->recipe_bytes > 0 && options->recipe == NULL))
        return loom_fail(err, LOOM_BAD_ARGUMENT, "an image, and only an image, comes with its header");
    if (options->image != NULL) LOOM_TRY(loom_image_header_check(options->image, err));
    uint64_t most = options->type == LOOM_IMAGE ? LOOM_BULK_BYTES_MAX : UINT32_MAX;
    uint64_t bytes = options->type == LOOM_IMAGE ? loom_image_bytes(options->image) : options->bytes;
    if (bytes > most)
        return loom_fail(err, LOOM_TOO_LARGE, "a stream of %llu bytes; one %s holds at most %llu",
                         (unsigned long long)bytes, loom_type_name(options->type), (unsigned long long)most);
    if (options->type == LOOM_IMAGE && options->bytes != 0 && options->bytes != bytes)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "an image of %llu bytes was announced with %llu",
                         (unsigned long long)bytes, (unsigned long long)options->bytes);
    return LOOM_OK;
}

/* What follows from the state: the head, and how much to reserve. */
static loom_status prepare(loom_stream_writer *writer, loom_error *err) {
    loom_stream_state *state = &writer->state;
    bool text = state->type != LOOM_IMAGE;
    writer->later = text && state->announced == 0;
    uint8_t head[LOOM_TEXT_HEAD_MAX];
    state->head_bytes = !text           ? 0
                        : writer->later ? LOOM_TEXT_HEAD_MAX
                                        : (uint32_t)loom_text_head(state->type, state->announced, head);
    if (state->announced > 0) writer->sink.expected = state->head_bytes + state->announced;
    if (writer->later) writer->first = malloc(LOOM_BLOCK_BYTES);
    return writer->later && writer->first == NULL ? no_memory(err) : LOOM_OK;
}

static void begin_block_zero(loom_stream_writer *writer) {
    const loom_stream_state *state = &writer->state;
    memset(writer->tile, 0, LOOM_TEXT_HEAD_MAX);
    if (state->type != LOOM_IMAGE && !writer->later) (void)loom_text_head(state->type, state->announced, writer->tile);
    writer->fill = state->head_bytes;
}

/* What was suspended under this key, or told of a writer that died. */
static loom_status forget_earlier(loom_stream_writer *writer, loom_error *err) {
    loom_id key = loom_stream_record_key(&writer->state.rkey);
    loom_result record;
    loom_status status = loom_store_find(writer->store, &key, writer->arena, &record, err);
    if (status == LOOM_OK) status = drop_record(writer->store, &writer->state.rkey, err);
    return status == LOOM_NOT_FOUND ? LOOM_OK : status;
}

loom_status loom_stream_writer_create(loom_store *store, const loom_stream_options *options,
                                      loom_stream_writer **writer, loom_error *err) {
    *writer = NULL;
    LOOM_TRY(check_store(store, err));
    LOOM_TRY(check_options(options, err));
    loom_stream_writer *made;
    LOOM_TRY(allocate(store, &options->rkey, &made, err));
    bool image = options->type == LOOM_IMAGE;
    made->state = (loom_stream_state){
        .rkey = options->rkey,
        .node = options->node,
        .type = options->type,
        .has_image = image,
        .announced = image ? loom_image_bytes(options->image) : options->bytes,
        .inline_bytes = options->inline_bytes != 0 ? options->inline_bytes : LOOM_STREAM_INLINE_BYTES,
        .expires_ns = options->expires_ns,
        .recipe_bytes = options->recipe_bytes,
    };
    if (image) made->state.image = *options->image;
    made->state.recipe = loom_arena_copy(made->arena, options->recipe, options->recipe_bytes);
    loom_status status = made->state.recipe != NULL ? prepare(made, err) : no_memory(err);
    if (status == LOOM_OK) status = forget_earlier(made, err);
    if (status != LOOM_OK) {
        free_writer(made);
        return status;
    }
    begin_block_zero(made);
    *writer = made;
    return LOOM_OK;
}

/* ---- blocks ---- */

/* So that readers in other processes are told how far it is; not worth a transaction for what is written in a moment.
 * The record of a resumed stream says what can be resumed, and stays. */
static loom_status announce(loom_stream_writer *writer, loom_error *err) {
    uint64_t now = now_ns();
    if (writer->resumed || now - writer->announced_ns < ANNOUNCE_NS) return LOOM_OK;
    writer->announced_ns = now;
    return put_record(writer, &(loom_result){.type = LOOM_RECORD}, err);
}

/* A whole tile, writer->tile or the caller's. */
static loom_status pass_on(loom_stream_writer *writer, const uint8_t *bytes, loom_error *err) {
    LOOM_TRY(announce(writer, err));
    if (writer->later && writer->blocks == 0) {
        memcpy(writer->first, bytes, LOOM_BLOCK_BYTES);
        LOOM_TRY(loom_stream_sink_write(&writer->sink, 1, bytes + LOOM_BLOCK_BYTES,
                                        LOOM_STREAM_TILE_BYTES - LOOM_BLOCK_BYTES, err));
    } else {
        LOOM_TRY(loom_stream_sink_write(&writer->sink, writer->blocks, bytes, LOOM_STREAM_TILE_BYTES, err));
    }
    writer->blocks += LOOM_STREAM_TILE_BYTES / LOOM_BLOCK_BYTES;
    writer->fill = 0;
    return LOOM_OK;
}

static loom_status take_chunk(loom_stream_writer *writer, const uint8_t *bytes, size_t length, size_t *taken,
                              loom_error *err) {
    if (writer->fill == 0 && length >= LOOM_STREAM_TILE_BYTES) {
        *taken = LOOM_STREAM_TILE_BYTES;
        return pass_on(writer, bytes, err);
    }
    size_t room = LOOM_STREAM_TILE_BYTES - writer->fill;
    *taken = length < room ? length : room;
    memcpy(writer->tile + writer->fill, bytes, *taken);
    writer->fill += *taken;
    if (writer->fill < LOOM_STREAM_TILE_BYTES) return LOOM_OK;
    loom_status status = pass_on(writer, writer->tile, err);
    if (status != LOOM_OK) writer->fill -= *taken; /* these were not taken */
    return status;
}

static loom_status check_room(const loom_stream_writer *writer, size_t length, loom_error *err) {
    const loom_stream_state *state = &writer->state;
    uint64_t most = state->announced != 0 ? state->announced : UINT32_MAX;
    uint64_t done = atomic_load(&writer->entry.done);
    if (done <= most && length <= most - done) return LOOM_OK;
    return loom_fail(err, LOOM_TOO_LARGE, "a stream of at most %llu bytes was given more", (unsigned long long)most);
}

loom_status loom_stream_writer_write(loom_stream_writer *writer, const void *bytes, size_t length, loom_error *err) {
    LOOM_TRY(loom_store_check_process(writer->store, err));
    if (writer->failed)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "an earlier write to this stream failed; abort or suspend it");
    LOOM_TRY(check_room(writer, length, err));
    for (const uint8_t *at = bytes; length > 0;) {
        size_t taken = 0;
        loom_status status = take_chunk(writer, at, length, &taken, err);
        if (status != LOOM_OK) {
            writer->failed = true;
            return status;
        }
        at += taken;
        length -= taken;
        atomic_fetch_add(&writer->entry.done, taken);
    }
    return LOOM_OK;
}

uint64_t loom_stream_writer_position(const loom_stream_writer *writer) {
    return atomic_load(&writer->entry.done);
}

static uint64_t object_bytes(const loom_stream_writer *writer) {
    return writer->state.head_bytes + loom_stream_writer_position(writer);
}

/* Everything that is still in memory goes to the extent, with the head as far as it is known. */
static loom_status flush(loom_stream_writer *writer, loom_error *err) {
    if (writer->later && writer->blocks > 0)
        LOOM_TRY(loom_stream_sink_write(&writer->sink, 0, writer->first, LOOM_BLOCK_BYTES, err));
    if (writer->fill == 0) return LOOM_OK;
    return loom_stream_sink_write(&writer->sink, writer->blocks, writer->tile, writer->fill, err);
}

/* ---- commit ---- */

/* The head of text whose length is known only now. When all of it is still in one tile, the head may be shorter. */
static void complete_head(loom_stream_writer *writer) {
    if (!writer->later) return;
    uint8_t head[LOOM_TEXT_HEAD_MAX];
    size_t bytes = loom_text_head(writer->state.type, loom_stream_writer_position(writer), head);
    if (writer->blocks > 0) {
        memcpy(writer->first, head, bytes); /* five: a block is longer than 2^16 */
        return;
    }
    size_t shorter = LOOM_TEXT_HEAD_MAX - bytes;
    memmove(writer->tile, writer->tile + shorter, writer->fill - shorter);
    memcpy(writer->tile, head, bytes);
    writer->fill -= shorter;
    writer->state.head_bytes = (uint32_t)bytes;
}

static loom_status fill_in(loom_stream_writer *writer, loom_result *result, loom_buffer *header, loom_error *err) {
    const loom_stream_state *state = &writer->state;
    *result = (loom_result){.rkey = state->rkey,
                            .vid = state->rkey,
                            .node = state->node,
                            .type = state->type,
                            .recipe = state->recipe_bytes > 0 ? state->recipe : NULL,
                            .recipe_bytes = state->recipe_bytes,
                            .created_ns = now_ns(),
                            .expires_ns = state->expires_ns};
    complete_head(writer);
    uint64_t length = object_bytes(writer);
    if (state->type != LOOM_IMAGE && writer->blocks == 0 && length <= state->inline_bytes) {
        result->payload = writer->tile;
        result->payload_bytes = writer->fill;
        result->vid = loom_sha256(writer->tile, writer->fill);
        return LOOM_OK;
    }
    LOOM_TRY(flush(writer, err));
    loom_stream_sink_describe(&writer->sink, length, result);
    if (state->type != LOOM_IMAGE) {
        result->blob = true;
        return LOOM_OK;
    }
    loom_value image = loom_image(&state->image, NULL);
    LOOM_TRY(loom_value_encode(&image, header));
    result->payload = header->bytes;
    result->payload_bytes = header->length;
    return LOOM_OK;
}

static loom_status store_result(loom_stream_writer *writer, const loom_result *result, loom_error *err) {
    loom_batch *batch;
    loom_id key = loom_stream_record_key(&result->rkey);
    LOOM_TRY(loom_row_check_result(result, err));
    LOOM_TRY(loom_store_begin(writer->store, &batch, err));
    const loom_store_ops *ops = writer->store->ops;
    loom_status status = LOOM_OK;
    if (writer->adopted) {
        status = ops->succeed(batch, &key, result, err);
        if (status == LOOM_NOT_FOUND)
            status = loom_fail(err, LOOM_NOT_FOUND, "the suspended stream was dropped meanwhile; begin it again");
    } else {
        if (writer->recorded) status = ops->succeed(batch, &key, NULL, err);
        if (status == LOOM_OK || status == LOOM_NOT_FOUND) status = ops->put(batch, result, err);
    }
    LOOM_PROBE("append:stream");
    if (status == LOOM_OK) return loom_batch_commit(batch, err);
    loom_batch_abort(batch);
    return status;
}

static loom_status commit(loom_stream_writer *writer, loom_id *vid, loom_error *err) {
    LOOM_TRY(loom_store_check_process(writer->store, err));
    const loom_stream_state *state = &writer->state;
    if (writer->failed) return loom_fail(err, LOOM_BAD_ARGUMENT, "an earlier write to this stream failed");
    if (state->announced != 0 && loom_stream_writer_position(writer) != state->announced)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a stream of %llu bytes was committed with %llu",
                         (unsigned long long)state->announced, (unsigned long long)loom_stream_writer_position(writer));
    loom_result result;
    loom_buffer header = {0};
    loom_status status = fill_in(writer, &result, &header, err);
    if (status == LOOM_OK) status = store_result(writer, &result, err);
    if (status == LOOM_OK && result.bulk.bytes > 0) loom_stream_sink_finish(&writer->sink, result.bulk.bytes);
    if (status == LOOM_OK && vid != NULL) *vid = result.vid;
    loom_buffer_free(&header);
    return status;
}

loom_status loom_stream_writer_commit(loom_stream_writer *writer, loom_id *vid, loom_error *err) {
    loom_status status = commit(writer, vid, err);
    /* A record without bytes only told that this writer is at work. */
    if (status != LOOM_OK && status != LOOM_UNSUPPORTED && writer->recorded && !writer->resumed)
        (void)drop_record(writer->store, &writer->state.rkey, NULL);
    free_writer(writer);
    return status;
}

void loom_stream_writer_abort(loom_stream_writer *writer) {
    if (writer == NULL) return;
    if (loom_store_check_process(writer->store, NULL) == LOOM_OK) {
        loom_stream_sink_close(&writer->sink); /* first: what a row owns is still owned */
        if (writer->recorded) (void)drop_record(writer->store, &writer->state.rkey, NULL);
    }
    free_writer(writer);
}

/* ---- suspend, resume ---- */

/* On a full disk what is not a whole tile has no place: it must be written again. */
static void forget_fill(loom_stream_writer *writer) {
    uint64_t whole = (uint64_t)writer->blocks * LOOM_BLOCK_BYTES;
    atomic_store(&writer->entry.done, whole - writer->state.head_bytes);
    writer->fill = 0;
}

static loom_status suspend(loom_stream_writer *writer, loom_error *err) {
    LOOM_TRY(loom_store_check_process(writer->store, err));
    loom_result record = {.type = LOOM_RECORD};
    if (!writer->recorded)
        LOOM_TRY(put_record(writer, &(loom_result){.type = LOOM_RECORD},
                            err)); /* so that the record below is not compressed, as puts may be */
    if (loom_stream_writer_position(writer) > 0) {
        loom_status status = flush(writer, err);
        if (status == LOOM_NO_SPACE && writer->sink.blocks > 0 && writer->sink.blocks == writer->blocks) {
            forget_fill(writer);
            status = LOOM_OK;
        }
        LOOM_TRY(status);
        loom_stream_sink_describe(&writer->sink, object_bytes(writer), &record);
    }
    LOOM_TRY(put_record(writer, &record, err));
    loom_stream_sink_finish(&writer->sink, object_bytes(writer));
    return LOOM_OK;
}

loom_status loom_stream_writer_suspend(loom_stream_writer *writer, loom_error *err) {
    loom_status status = suspend(writer, err);
    free_writer(writer);
    return status;
}

/* Reads what is there, tile by tile, checked; copies it unless it goes on in place. */
static loom_status take_up(loom_stream_writer *writer, loom_source *source, loom_error *err) {
    writer->fill = 0;
    for (uint64_t at = 0; at < source->length && writer->fill == 0; at += LOOM_STREAM_TILE_BYTES) {
        uint64_t left = source->length - at;
        size_t length = left < LOOM_STREAM_TILE_BYTES ? (size_t)left : LOOM_STREAM_TILE_BYTES;
        LOOM_TRY(loom_source_read(source, at, writer->tile, length, err));
        if (length < LOOM_STREAM_TILE_BYTES) {
            writer->fill = length; /* goes on in memory */
        } else if (writer->adopted) {
            if (writer->later && at == 0) memcpy(writer->first, writer->tile, LOOM_BLOCK_BYTES);
            writer->blocks += LOOM_STREAM_TILE_BYTES / LOOM_BLOCK_BYTES;
        } else {
            LOOM_TRY(pass_on(writer, writer->tile, err));
        }
    }
    return LOOM_OK;
}

static loom_status resume(loom_stream_writer *writer, loom_source *source, loom_error *err) {
    const loom_result *record = &source->result;
    LOOM_TRY(loom_stream_record_decode(record, writer->arena, &writer->state, err));
    if (!loom_id_equal(&writer->state.rkey, &writer->entry.rkey))
        return loom_fail(err, LOOM_CORRUPT, "the record of a suspended stream is that of another");
    if (record->bulk.bytes == 0 && writer->state.done > 0) return LOOM_NOT_FOUND; /* told of a writer that died */
    /* What the record's arena holds goes with the source. */
    writer->state.recipe = loom_arena_copy(writer->arena, writer->state.recipe, writer->state.recipe_bytes);
    if (writer->state.recipe == NULL) return no_memory(err);
    uint32_t head_bytes = writer->state.head_bytes;
    LOOM_TRY(prepare(writer, err));
    if (head_bytes != writer->state.head_bytes)
        return loom_fail(err, LOOM_CORRUPT, "the record of a suspended stream does not fit its bytes");
    writer->recorded = true;
    begin_block_zero(writer);
    atomic_store(&writer->entry.done, writer->state.done);
    if (writer->state.done == 0) return LOOM_OK;
    writer->resumed = true;
    /* Text of one tile may get a shorter head at the end, and lies in memory anyhow. */
    bool may = !writer->later || source->length > LOOM_STREAM_TILE_BYTES;
    writer->adopted = may && loom_stream_sink_adopt(&writer->sink, record, NULL) == LOOM_OK;
    LOOM_TRY(take_up(writer, source, err));
    writer->hold = source->hold; /* its bytes are ours now, in place or until the copy is committed */
    source->hold = (loom_hold){0};
    return LOOM_OK;
}

loom_status loom_stream_writer_resume(loom_store *store, const loom_id *rkey, loom_stream_writer **writer,
                                      loom_error *err) {
    *writer = NULL;
    LOOM_TRY(check_store(store, err));
    loom_stream_writer *made;
    LOOM_TRY(allocate(store, rkey, &made, err));
    loom_id key = loom_stream_record_key(rkey);
    loom_source source;
    loom_status status = loom_source_open(&source, store, loom_store_hold, &key, err);
    if (status == LOOM_OK) status = resume(made, &source, err);
    loom_source_close(&source);
    if (status != LOOM_OK) {
        free_writer(made);
        return status;
    }
    *writer = made;
    return LOOM_OK;
}

loom_status loom_stream_drop(loom_store *store, const loom_id *rkey, loom_error *err) {
    LOOM_TRY(check_store(store, err));
    loom_stream_entry entry = {.next = NULL};
    LOOM_TRY(loom_stream_enter(store, &entry, rkey, err));
    loom_status status = drop_record(store, rkey, err);
    loom_stream_leave(store, &entry);
    return status;
}
