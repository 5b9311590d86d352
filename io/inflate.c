/* inflate.c - reads a plain, gzip or zlib file as one stream of bytes, through one small buffer.
 *
 * A gzip file is a series of members (RFC 1952, 2.2), each with a CRC-32 and a length; zlib data (RFC 1950) is one,
 * with an Adler-32. ISA-L checks them. Zero bytes after the last member are padding (tapes, some archives); anything
 * else there is damage. ISA-L, because it inflates 1.6 times as fast as zlib and still in pieces: libdeflate, a fifth
 * faster again, wants all of the file and all of the voxels in memory. */
#include "io/inflate.h"

#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)128 << 10)

typedef enum stream_state { BETWEEN_MEMBERS, IN_MEMBER, AT_END } stream_state;

struct loom_stream {
    const loom_input *input;
    loom_packing packing; /* not AUTO */
    stream_state state;   /* packed only */
    bool any_member;
    uint64_t start;  /* of the stream in the file */
    uint64_t offset; /* of the next byte to read from the file */
    struct inflate_state isal;
    unsigned char chunk[CHUNK_BYTES];
};

static loom_status find_packing(const loom_input *input, uint64_t offset, loom_packing *packing, loom_error *err) {
    unsigned char magic[2] = {0, 0};
    size_t got;
    LOOM_TRY(loom_input_read(input, magic, sizeof magic, offset, &got, err));
    *packing = got == 2 && magic[0] == 0x1f && magic[1] == 0x8b ? LOOM_PACKING_GZIP : LOOM_PACKING_NONE;
    return LOOM_OK;
}

loom_status loom_stream_open_at(const loom_input *input, uint64_t offset, loom_packing packing, loom_stream **stream,
                                loom_error *err) {
    *stream = NULL;
    if (packing == LOOM_PACKING_AUTO) LOOM_TRY(find_packing(input, offset, &packing, err));
    loom_stream *made = calloc(1, sizeof *made);
    if (!made) return loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", input->path);
    made->input = input;
    made->packing = packing;
    made->start = offset;
    loom_stream_rewind(made);
    *stream = made;
    return LOOM_OK;
}

loom_status loom_stream_open(const loom_input *input, loom_stream **stream, loom_error *err) {
    return loom_stream_open_at(input, 0, LOOM_PACKING_AUTO, stream, err);
}

void loom_stream_close(loom_stream *stream) {
    free(stream);
}

bool loom_stream_is_gzip(const loom_stream *stream) {
    return stream->packing != LOOM_PACKING_NONE;
}

uint64_t loom_stream_limit(const loom_stream *stream) {
    uint64_t bytes = stream->input->bytes > stream->start ? stream->input->bytes - stream->start : 0;
    if (stream->packing == LOOM_PACKING_NONE) return bytes;
    return bytes > UINT64_MAX / LOOM_DEFLATE_RATIO_MAX ? UINT64_MAX : bytes * LOOM_DEFLATE_RATIO_MAX;
}

static void begin_member(loom_stream *stream) {
    isal_inflate_reset(&stream->isal);
    stream->isal.crc_flag = stream->packing == LOOM_PACKING_GZIP ? ISAL_GZIP : ISAL_ZLIB;
}

void loom_stream_rewind(loom_stream *stream) {
    stream->offset = stream->start;
    stream->state = BETWEEN_MEMBERS;
    stream->any_member = false;
    isal_inflate_init(&stream->isal);
}

static loom_status fail_corrupt(const loom_stream *stream, const char *what, loom_error *err) {
    return loom_fail(err, LOOM_BAD_INPUT, "%s: the compressed data is damaged (%s); get a fresh copy of the file",
                     stream->input->path, what);
}

/* Fills the chunk if it is empty; avail_in stays 0 at the end of the file. */
static loom_status refill(loom_stream *stream, loom_error *err) {
    if (stream->isal.avail_in > 0) return LOOM_OK;
    size_t got;
    LOOM_TRY(loom_input_read(stream->input, stream->chunk, CHUNK_BYTES, stream->offset, &got, err));
    stream->offset += got;
    stream->isal.next_in = stream->chunk;
    stream->isal.avail_in = (uint32_t)got;
    return LOOM_OK;
}

/* After the last member nothing but zero bytes may come. */
static loom_status skip_padding(loom_stream *stream, loom_error *err) {
    struct inflate_state *isal = &stream->isal;
    /* ISA-L 2.30 keeps up to seven bytes that follow zlib data. */
    if (isal->read_in_length > 0 && isal->read_in != 0) return fail_corrupt(stream, "other bytes follow its end", err);
    while (isal->avail_in > 0) {
        for (; isal->avail_in > 0 && *isal->next_in == 0; isal->avail_in--)
            isal->next_in++;
        if (isal->avail_in > 0) return fail_corrupt(stream, "other bytes follow its end", err);
        LOOM_TRY(refill(stream, err));
    }
    return LOOM_OK;
}

/* Between members: another one, padding to the end of the file, or garbage. */
static loom_status enter_member(loom_stream *stream, loom_error *err) {
    struct inflate_state *isal = &stream->isal;
    LOOM_TRY(refill(stream, err));
    bool again = stream->packing == LOOM_PACKING_GZIP && isal->avail_in > 0 && *isal->next_in == 0x1f;
    if (stream->any_member && !again) LOOM_TRY(skip_padding(stream, err));
    if (isal->avail_in == 0) {
        stream->state = AT_END;
        return LOOM_OK;
    }
    begin_member(stream);
    stream->any_member = true;
    stream->state = IN_MEMBER;
    return LOOM_OK;
}

static const char *reason_of(int result) {
    switch (result) {
    case ISAL_INCORRECT_CHECKSUM:
        return "wrong checksum or length";
    case ISAL_INVALID_WRAPPER:
    case ISAL_UNSUPPORTED_METHOD:
    case ISAL_NEED_DICT:
        return "no valid header";
    case ISAL_INVALID_LOOKBACK:
        return "a distance leads before its begin";
    default:
        return "an invalid code";
    }
}

static loom_status inflate_some(loom_stream *stream, loom_error *err) {
    struct inflate_state *isal = &stream->isal;
    LOOM_TRY(refill(stream, err));
    uint32_t in = isal->avail_in, out = isal->avail_out;
    int result = isal_inflate(isal);
    if (result < 0 || result == ISAL_NEED_DICT) return fail_corrupt(stream, reason_of(result), err);
    if (isal->block_state == ISAL_BLOCK_FINISH)
        stream->state = BETWEEN_MEMBERS;
    else if (isal->avail_in == in && isal->avail_out == out)
        return fail_corrupt(stream, "it ends early", err);
    return LOOM_OK;
}

static loom_status read_packed(loom_stream *stream, unsigned char *bytes, size_t length, size_t *got, loom_error *err) {
    struct inflate_state *isal = &stream->isal;
    while (*got < length && stream->state != AT_END) {
        if (stream->state == BETWEEN_MEMBERS) {
            LOOM_TRY(enter_member(stream, err));
            continue;
        }
        size_t wanted = length - *got;
        uint32_t portion = wanted < ((size_t)1 << 30) ? (uint32_t)wanted : (uint32_t)1 << 30;
        isal->next_out = bytes + *got;
        isal->avail_out = portion;
        loom_status status = inflate_some(stream, err);
        *got += portion - isal->avail_out;
        LOOM_TRY(status);
    }
    return LOOM_OK;
}

loom_status loom_stream_read(loom_stream *stream, void *bytes, size_t length, size_t *got, loom_error *err) {
    *got = 0;
    if (stream->packing != LOOM_PACKING_NONE) return read_packed(stream, bytes, length, got, err);
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
