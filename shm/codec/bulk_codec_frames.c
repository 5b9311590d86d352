/* bulk_codec_frames.c - see bulk_codec_frames.h. */
#include "shm/codec/bulk_codec_frames.h"

#include <string.h>

#include "shm/index/row.h"

loom_frames_layout loom_frames_layout_of(loom_codec codec, uint64_t bytes) {
    loom_frames_layout layout = {.count = loom_extent_block_count(bytes)};
    size_t salt = loom_codec_encrypts(codec) ? LOOM_CIPHER_SALT_BYTES : 0;
    size_t lengths = loom_codec_compresses(codec) ? layout.count * sizeof(uint32_t) : 0;
    size_t tags = loom_codec_encrypts(codec) ? layout.count * LOOM_CIPHER_TAG_BYTES : 0;
    layout.lengths = salt;
    layout.tags = salt + lengths;
    layout.bytes = salt + lengths + tags;
    return layout;
}

size_t loom_frames_bytes(loom_codec codec, uint64_t bytes) {
    return loom_frames_layout_of(codec, bytes).bytes;
}

size_t loom_frame_length(const loom_frames_layout *layout, loom_codec codec, uint64_t bytes, const uint8_t *data,
                         size_t block) {
    if (!loom_codec_compresses(codec)) return loom_block_length(bytes, block);
    uint32_t length;
    memcpy(&length, data + layout->lengths + block * sizeof length, sizeof length);
    return length;
}

static loom_status check_lengths(const loom_frames_layout *layout, loom_codec codec, uint64_t bytes,
                                 uint64_t stored_bytes, const uint8_t *data, loom_error *err) {
    uint64_t sum = 0; /* at most 2^20 blocks of 2^20 bytes */
    for (size_t i = 0; i < layout->count; i++) {
        size_t length = loom_frame_length(layout, codec, bytes, data, i);
        if (length == 0 || length > loom_block_length(bytes, i))
            return loom_fail(err, LOOM_CORRUPT, "frame %zu of %zu of a stored object has the impossible length %zu", i,
                             layout->count, length);
        sum += length;
    }
    if (sum == stored_bytes) return LOOM_OK;
    return loom_fail(err, LOOM_CORRUPT, "the frames of a stored object add up to %llu bytes; it occupies %llu",
                     (unsigned long long)sum, (unsigned long long)stored_bytes);
}

loom_status loom_frames_check(loom_codec codec, uint64_t bytes, uint64_t stored_bytes, const uint8_t *data,
                              size_t data_bytes, loom_error *err) {
    if ((unsigned)codec > LOOM_CODEC_ZSTD_AES)
        return loom_fail(err, LOOM_CORRUPT, "a stored object has the unknown codec %u", (unsigned)codec);
    if (bytes == 0 || bytes > LOOM_BULK_BYTES_MAX)
        return loom_fail(err, LOOM_CORRUPT, "a stored object has the impossible length %llu",
                         (unsigned long long)bytes);
    loom_frames_layout layout = loom_frames_layout_of(codec, bytes);
    if (data_bytes != layout.bytes || (data == NULL && data_bytes > 0))
        return loom_fail(err, LOOM_CORRUPT, "the frame table of a stored object has %zu bytes instead of %zu",
                         data_bytes, layout.bytes);
    return check_lengths(&layout, codec, bytes, stored_bytes, data, err);
}

static uint64_t pages(uint64_t bytes) {
    return (bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES;
}

uint64_t loom_frames_worth(uint64_t bytes) {
    uint64_t eighth = bytes - bytes / 8;
    uint64_t page = (pages(bytes) - 1) * LOOM_PAGE_BYTES;
    return eighth < page ? eighth : page;
}
