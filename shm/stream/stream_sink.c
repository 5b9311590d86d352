/* stream_sink.c - an object that grows block by block at its place in an extent: hashed, encrypted where the store is,
 * and written with one pwrite a tile of two. The hash is of the bytes that were given, not of what the page cache holds
 * afterwards: what a write spoils is found when it is read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "shm/codec/bulk_codec_frames.h"
#include "shm/extent/block_hash.h"
#include "shm/platform_file.h"
#include "shm/probe.h"
#include "shm/stream/stream_parts.h"

/* Space ahead may evict results: a short stream of unknown length must not cost many. */
#define GROWTH_MIN (UINT64_C(2) << 20)
#define GROWTH_MAX (UINT64_C(256) << 20)

static loom_status no_memory(loom_error *err) {
    return loom_fail(err, LOOM_NO_MEMORY, "out of memory while writing a stream");
}

/* ---- room ---- */

static loom_status make_room(loom_stream_sink *sink, size_t number, loom_error *err) {
    if (number < sink->capacity) return LOOM_OK;
    size_t capacity = sink->capacity == 0 ? 64 : 2 * sink->capacity;
    while (capacity <= number)
        capacity *= 2;
    uint64_t *hashes = realloc(sink->hashes, capacity * sizeof *hashes);
    if (hashes == NULL) return no_memory(err);
    sink->hashes = hashes;
    if (sink->store->cipher != NULL) {
        uint8_t *table = realloc(sink->table, LOOM_CIPHER_SALT_BYTES + capacity * LOOM_CIPHER_TAG_BYTES);
        if (table == NULL) return no_memory(err);
        sink->table = table;
    }
    sink->capacity = capacity;
    return LOOM_OK;
}

static loom_status begin_cipher(loom_stream_sink *sink, loom_error *err) {
    if (sink->store->cipher == NULL || sink->cipher != NULL) return LOOM_OK;
    sink->sealed = malloc(LOOM_BLOCK_BYTES);
    if (sink->sealed == NULL) return no_memory(err);
    int failed = loom_random_bytes(sink->table, LOOM_CIPHER_SALT_BYTES);
    if (failed) return loom_fail_errno(err, failed, "cannot get random bytes for an encrypted stream");
    return loom_block_cipher_new(sink->store->cipher, sink->table, &sink->cipher, err);
}

static loom_status reserve_first(loom_stream_sink *sink, uint64_t end, loom_error *err) {
    if (sink->writer == NULL) LOOM_TRY(loom_extent_writer_open(sink->store->stored, &sink->writer, err));
    if (sink->expected >= end) return loom_extent_reserve(sink->writer, sink->expected, false, &sink->reservation, err);
    uint64_t ahead = end > GROWTH_MIN || sink->store->in_memory ? end : GROWTH_MIN;
    loom_status status = loom_extent_reserve_tail(sink->writer, ahead, &sink->reservation, NULL);
    return status == LOOM_OK ? status : loom_extent_reserve_tail(sink->writer, end, &sink->reservation, err);
}

/* Ahead by as much again, within bounds; in memory, and near the end of a disk or budget, by exactly what is missing.
 */
static loom_status reserve_up_to(loom_stream_sink *sink, uint64_t end, loom_error *err) {
    uint64_t have = sink->reservation.placement.bytes;
    if (end <= have) return LOOM_OK;
    LOOM_PROBE("reserve:stream");
    if (have == 0) return reserve_first(sink, end, err);
    uint64_t growth = have < GROWTH_MIN ? GROWTH_MIN : have > GROWTH_MAX ? GROWTH_MAX : have;
    uint64_t ahead = sink->expected >= end ? sink->expected : sink->store->in_memory ? end : have + growth;
    if (ahead > end && loom_extent_extend(sink->writer, &sink->reservation, ahead, NULL) == LOOM_OK) return LOOM_OK;
    return loom_extent_extend(sink->writer, &sink->reservation, end, err);
}

/* ---- blocks ---- */

static loom_status write_at(const loom_stream_sink *sink, uint64_t offset, const uint8_t *bytes, size_t length,
                            loom_error *err) {
    const loom_reservation *to = &sink->reservation;
    uint64_t at = to->placement.offset + offset;
    while (length > 0) {
        ssize_t done = pwrite(to->fd, bytes, length, (off_t)at);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0)
            return loom_fail_errno(err, done == 0 ? EIO : errno, "cannot write extent file %08x of %s",
                                   to->placement.extent, sink->store->path);
        bytes += done;
        at += (uint64_t)done;
        length -= (size_t)done;
    }
    return LOOM_OK;
}

static loom_status write_sealed(loom_stream_sink *sink, size_t number, const uint8_t *bytes, size_t length,
                                loom_error *err) {
    uint8_t *tag = sink->table + LOOM_CIPHER_SALT_BYTES + number * LOOM_CIPHER_TAG_BYTES;
    loom_status status = loom_block_encrypt(sink->cipher, number, bytes, length, sink->sealed, tag);
    if (status != LOOM_OK) return loom_fail(err, status, "cannot encrypt a block of a stream");
    return write_at(sink, (uint64_t)number * LOOM_BLOCK_BYTES, sink->sealed, length, err);
}

loom_status loom_stream_sink_write(loom_stream_sink *sink, size_t number, const void *bytes, size_t length,
                                   loom_error *err) {
    const uint8_t *from = bytes;
    uint64_t begin = (uint64_t)number * LOOM_BLOCK_BYTES;
    size_t count = loom_extent_block_count(length);
    LOOM_TRY(make_room(sink, number + count, err));
    LOOM_TRY(begin_cipher(sink, err));
    LOOM_TRY(reserve_up_to(sink, begin + length, err));
    for (size_t i = 0; i < count; i++) {
        const uint8_t *block = from + i * LOOM_BLOCK_BYTES;
        size_t here = loom_block_length(length, i);
        sink->hashes[number + i] = loom_block_hash(block, here);
        if (sink->cipher != NULL) LOOM_TRY(write_sealed(sink, number + i, block, here, err));
    }
    if (sink->cipher == NULL) LOOM_TRY(write_at(sink, begin, from, length, err));
    LOOM_PROBE("write:stream");
    if (number + count > sink->blocks) sink->blocks = number + count;
    return LOOM_OK;
}

loom_status loom_stream_sink_adopt(loom_stream_sink *sink, const loom_result *record, loom_error *err) {
    if (record->codec != LOOM_CODEC_RAW || sink->store->cipher != NULL)
        return loom_fail(err, LOOM_BUSY, "encoded bytes do not grow in place");
    size_t blocks = loom_extent_block_count(record->bulk.bytes);
    LOOM_TRY(make_room(sink, blocks, err));
    LOOM_TRY(loom_extent_resume(sink->store->stored, &record->bulk, &sink->writer, &sink->reservation, err));
    memcpy(sink->hashes, record->block_hashes, blocks * sizeof *sink->hashes);
    sink->blocks = blocks;
    return LOOM_OK;
}

/* ---- the end ---- */

void loom_stream_sink_describe(loom_stream_sink *sink, uint64_t length, loom_result *result) {
    result->bulk = sink->reservation.placement;
    result->bulk.bytes = length;
    result->block_hashes = sink->hashes;
    result->codec = sink->cipher != NULL ? LOOM_CODEC_AES : LOOM_CODEC_RAW;
    result->stored_bytes = length;
    if (sink->cipher != NULL) {
        result->codec_data = sink->table;
        result->codec_data_bytes = loom_frames_bytes(LOOM_CODEC_AES, length);
    }
    XXH128_hash_t root =
        XXH3_128bits_withSeed(sink->hashes, loom_extent_block_count(length) * sizeof *sink->hashes, length);
    result->root[0] = root.low64;
    result->root[1] = root.high64;
}

void loom_stream_sink_finish(loom_stream_sink *sink, uint64_t length) {
    if (sink->reservation.placement.bytes == 0) return;
    /* The row is committed: what fails here leaves a few pages to gc, nothing else. */
    loom_extent_keep(sink->writer, &sink->reservation, length);
    sink->reservation.placement.bytes = length;
    (void)loom_extent_seal(sink->writer, &sink->reservation, NULL, NULL, NULL);
    sink->reservation.placement.bytes = 0;
}

void loom_stream_sink_close(loom_stream_sink *sink) {
    if (sink->writer != NULL && sink->reservation.placement.bytes > 0)
        loom_extent_abandon(sink->writer, &sink->reservation);
    loom_extent_writer_close(sink->writer);
    loom_block_cipher_free(sink->cipher);
    free(sink->hashes);
    free(sink->table);
    free(sink->sealed);
    *sink = (loom_stream_sink){.store = sink->store};
}
