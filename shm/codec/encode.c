/* encode.c - see encode.h. The raw bytes are where a worker of this run left them: in the files of a plain store, in
 * memory of an encrypted one. */
#include "shm/codec/encode.h"

#include <stdlib.h>
#include <string.h>

#include "shm/probe.h"

typedef struct loom_encoded {
    loom_placement raw;
    loom_result result; /* bulk, codec, stored_bytes and codec_data; the rest is not used */
} loom_encoded;

static loom_codec wanted_codec(const loom_store *store) {
    bool compress = store->compression == LOOM_COMPRESS_ALWAYS;
    if (store->cipher != NULL) return compress ? LOOM_CODEC_ZSTD_AES : LOOM_CODEC_AES;
    return compress && !store->in_memory ? LOOM_CODEC_ZSTD : LOOM_CODEC_RAW;
}

/* Other rows with bulk bytes are suspended streams, which go on in place. */
static bool may_be_compressed(const loom_result *result) {
    return result->blob || result->type == LOOM_IMAGE;
}

bool loom_encode_wanted(const loom_store *store, const loom_result *raw) {
    return raw->codec == LOOM_CODEC_RAW && raw->bulk.bytes > 0 && wanted_codec(store) != LOOM_CODEC_RAW &&
           (store->cipher != NULL || may_be_compressed(raw));
}

static const loom_encoded *find_encoded(const loom_encoder *encoder, const loom_placement *raw) {
    for (size_t i = encoder->made_count; i-- > 0;)
        if (memcmp(&encoder->made[i].raw, raw, sizeof *raw) == 0) return &encoder->made[i];
    return NULL;
}

static loom_status make_room(loom_encoder *encoder, loom_error *err) {
    if (encoder->arena == NULL) encoder->arena = loom_arena_new();
    if (encoder->made_count == encoder->made_capacity) {
        size_t capacity = encoder->made_capacity == 0 ? 16 : 2 * encoder->made_capacity;
        loom_encoded *grown = realloc(encoder->made, capacity * sizeof *grown);
        if (grown != NULL) {
            encoder->made = grown;
            encoder->made_capacity = capacity;
        }
    }
    if (encoder->arena != NULL && encoder->made_count < encoder->made_capacity) return LOOM_OK;
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while encoding a result");
}

/* What would not become smaller stays where it is; encrypted it must be in any case. */
static loom_status encode_bytes(const loom_store *store, loom_encoder *encoder, loom_result *result, loom_error *err) {
    if (encoder->writer == NULL) LOOM_TRY(loom_extent_writer_open(store->stored, &encoder->writer, err));
    unsigned threads = loom_bulk_threads(result->bulk.bytes);
    loom_codec codec = wanted_codec(store);
    if (store->cipher == NULL) {
        bool smaller;
        return loom_bulk_compress(store->extents, codec, store->compression_level, NULL, encoder->writer,
                                  &(loom_bulk_options){.threads = threads}, encoder->arena, result, &smaller, err);
    }
    loom_view view;
    LOOM_TRY(loom_extent_view(store->extents, &result->bulk, false, &view, err));
    loom_status status = loom_bulk_encode(view.bytes, codec, store->compression_level, store->cipher, encoder->writer,
                                          threads, encoder->arena, result, err);
    loom_extent_release(&view);
    return status;
}

loom_status loom_encode(const loom_store *store, loom_encoder *encoder, const loom_result *raw, loom_error *err) {
    if (find_encoded(encoder, &raw->bulk) != NULL) return LOOM_OK;
    LOOM_TRY(make_room(encoder, err));
    loom_encoded made = {.raw = raw->bulk, .result = *raw};
    loom_error refused = {0};
    loom_status status = encode_bytes(store, encoder, &made.result, &refused);
    LOOM_PROBE("write:encoded");
    /* What stays raw is stored too; when it does not match its hashes, its first use will tell. */
    if ((status == LOOM_NO_SPACE || status == LOOM_CORRUPT) && store->cipher == NULL) status = LOOM_OK;
    if (status != LOOM_OK) {
        if (err != NULL) *err = refused;
        return status;
    }
    encoder->made[encoder->made_count++] = made;
    return LOOM_OK;
}

loom_result loom_encode_result(const loom_encoder *encoder, const loom_result *raw) {
    loom_result result = *raw;
    const loom_encoded *made = find_encoded(encoder, &raw->bulk);
    if (made == NULL || made->result.codec == LOOM_CODEC_RAW) return result;
    result.bulk = made->result.bulk;
    result.codec = made->result.codec;
    result.stored_bytes = made->result.stored_bytes;
    result.codec_data = made->result.codec_data;
    result.codec_data_bytes = made->result.codec_data_bytes;
    return result;
}

void loom_encoder_end(loom_encoder *encoder) {
    loom_extent_writer_close(encoder->writer);
    loom_arena_free(encoder->arena);
    free(encoder->made);
    *encoder = (loom_encoder){0};
}

bool loom_encode_keeps(const loom_store *store, const loom_result *stored, const loom_result *replacement) {
    return store->compression == LOOM_COMPRESS_ALWAYS && store->cipher == NULL &&
           loom_codec_compresses(stored->codec) && replacement->codec == LOOM_CODEC_RAW &&
           loom_row_same_value(stored, replacement);
}
