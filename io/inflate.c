/* inflate.c - reads a plain or gzip file as one stream of bytes, through one small buffer.
 *
 * A gzip file is a series of members (RFC 1952, 2.2), each with a CRC-32 and a length that zlib checks. Zero bytes
 * after the last member are padding (tapes, some archives); anything else there is damage. */
#include "io/inflate.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define CHUNK_BYTES ((size_t)128 << 10)
#define GZIP_WINDOW (15 + 16) /* largest window; 16 = expect a gzip header */

typedef enum stream_state { BETWEEN_MEMBERS, IN_MEMBER, AT_END } stream_state;

struct loom_stream {
    const loom_input *input;
    bool gzip;
    stream_state state; /* gzip only */
    bool any_member;
    uint64_t offset; /* of the next byte to read from the file */
    z_stream zlib;
    unsigned char chunk[CHUNK_BYTES];
};

loom_status loom_stream_open(const loom_input *input, loom_stream **stream, loom_error *err) {
    *stream = NULL;
    unsigned char magic[2] = {0, 0};
    size_t got;
    LOOM_TRY(loom_input_read(input, magic, sizeof magic, 0, &got, err));
    loom_stream *made = calloc(1, sizeof *made);
    if (!made) return loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", input->path);
    made->input = input;
    made->gzip = got == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
    if (made->gzip && inflateInit2(&made->zlib, GZIP_WINDOW) != Z_OK) {
        free(made);
        return loom_fail(err, LOOM_NO_MEMORY, "no memory to decompress %s", input->path);
    }
    *stream = made;
    return LOOM_OK;
}

void loom_stream_close(loom_stream *stream) {
    if (!stream) return;
    if (stream->gzip) inflateEnd(&stream->zlib);
    free(stream);
}

bool loom_stream_is_gzip(const loom_stream *stream) {
    return stream->gzip;
}

uint64_t loom_stream_limit(const loom_stream *stream) {
    uint64_t bytes = stream->input->bytes;
    if (!stream->gzip) return bytes;
    return bytes > UINT64_MAX / LOOM_DEFLATE_RATIO_MAX ? UINT64_MAX : bytes * LOOM_DEFLATE_RATIO_MAX;
}

loom_status loom_stream_rewind(loom_stream *stream, loom_error *err) {
    stream->offset = 0;
    if (!stream->gzip) return LOOM_OK;
    stream->state = BETWEEN_MEMBERS;
    stream->any_member = false;
    stream->zlib.avail_in = 0;
    if (inflateReset(&stream->zlib) != Z_OK)
        return loom_fail(err, LOOM_INTERNAL, "%s: the decompressor cannot be reset", stream->input->path);
    return LOOM_OK;
}

static loom_status fail_corrupt(const loom_stream *stream, const char *what, loom_error *err) {
    return loom_fail(err, LOOM_BAD_INPUT, "%s: the gzip data is damaged (%s); get a fresh copy of the file",
                     stream->input->path, what);
}

/* Fills the chunk if it is empty; avail_in stays 0 at the end of the file. */
static loom_status refill(loom_stream *stream, loom_error *err) {
    if (stream->zlib.avail_in > 0) return LOOM_OK;
    size_t got;
    LOOM_TRY(loom_input_read(stream->input, stream->chunk, CHUNK_BYTES, stream->offset, &got, err));
    stream->offset += got;
    stream->zlib.next_in = stream->chunk;
    stream->zlib.avail_in = (unsigned)got;
    return LOOM_OK;
}

/* Between members: another one, padding to the end of the file, or garbage. */
static loom_status enter_member(loom_stream *stream, loom_error *err) {
    z_stream *zlib = &stream->zlib;
    LOOM_TRY(refill(stream, err));
    if (stream->any_member && zlib->avail_in > 0 && *zlib->next_in == 0) {
        do {
            while (zlib->avail_in > 0 && *zlib->next_in == 0) {
                zlib->next_in++;
                zlib->avail_in--;
            }
            if (zlib->avail_in > 0) return fail_corrupt(stream, "other bytes follow its end", err);
            LOOM_TRY(refill(stream, err));
        } while (zlib->avail_in > 0);
    }
    if (zlib->avail_in == 0) {
        stream->state = AT_END;
        return LOOM_OK;
    }
    if (stream->any_member && *zlib->next_in != 0x1f) return fail_corrupt(stream, "other bytes follow its end", err);
    if (inflateReset(zlib) != Z_OK) return fail_corrupt(stream, "a member cannot be started", err);
    stream->any_member = true;
    stream->state = IN_MEMBER;
    return LOOM_OK;
}

static loom_status inflate_some(loom_stream *stream, loom_error *err) {
    z_stream *zlib = &stream->zlib;
    LOOM_TRY(refill(stream, err));
    if (zlib->avail_in == 0) return fail_corrupt(stream, "it ends early", err);
    switch (inflate(zlib, Z_NO_FLUSH)) {
    case Z_OK:
    case Z_BUF_ERROR:
        return LOOM_OK;
    case Z_STREAM_END:
        stream->state = BETWEEN_MEMBERS;
        return LOOM_OK;
    case Z_MEM_ERROR:
        return loom_fail(err, LOOM_NO_MEMORY, "no memory to decompress %s", stream->input->path);
    default:
        return fail_corrupt(stream, zlib->msg ? zlib->msg : "unknown reason", err);
    }
}

static loom_status read_gzip(loom_stream *stream, unsigned char *bytes, size_t length, size_t *got, loom_error *err) {
    z_stream *zlib = &stream->zlib;
    while (*got < length && stream->state != AT_END) {
        if (stream->state == BETWEEN_MEMBERS) {
            LOOM_TRY(enter_member(stream, err));
            continue;
        }
        size_t wanted = length - *got;
        unsigned portion = wanted < (1u << 30) ? (unsigned)wanted : 1u << 30;
        zlib->next_out = bytes + *got;
        zlib->avail_out = portion;
        loom_status status = inflate_some(stream, err);
        *got += portion - zlib->avail_out;
        LOOM_TRY(status);
    }
    return LOOM_OK;
}

loom_status loom_stream_read(loom_stream *stream, void *bytes, size_t length, size_t *got, loom_error *err) {
    *got = 0;
    if (stream->gzip) return read_gzip(stream, bytes, length, got, err);
    LOOM_TRY(loom_input_read(stream->input, bytes, length, stream->offset, got, err));
    stream->offset += *got;
    return LOOM_OK;
}

loom_status loom_stream_read_all(loom_stream *stream, void *bytes, size_t length, loom_error *err) {
    size_t got;
    LOOM_TRY(loom_stream_read(stream, bytes, length, &got, err));
    if (got == length) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_INPUT,
                     "%s: truncated, it holds fewer voxels than its header promises; get a complete copy of the file",
                     stream->input->path);
}

loom_status loom_stream_skip(loom_stream *stream, uint64_t length, loom_error *err) {
    unsigned char scratch[4096];
    while (length > 0) {
        size_t portion = length < sizeof scratch ? (size_t)length : sizeof scratch;
        LOOM_TRY(loom_stream_read_all(stream, scratch, portion, err));
        length -= portion;
    }
    return LOOM_OK;
}

loom_status loom_stream_end(loom_stream *stream, loom_error *err) {
    unsigned char extra;
    size_t got;
    LOOM_TRY(loom_stream_read(stream, &extra, 1, &got, err));
    if (got == 0) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_INPUT, "%s: holds more data than its header says; the header or the file is damaged",
                     stream->input->path);
}
