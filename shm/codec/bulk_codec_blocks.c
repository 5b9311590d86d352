/* bulk_codec_blocks.c - see bulk_codec_blocks.h. The hash is taken of what the caller gets, after decoding: bytes that
 * change in the file meanwhile, or a decoder's mistake, are caught too. */
#include "shm/codec/bulk_codec_blocks.h"
#include "shm/extent/block_hash.h"

#include <stdlib.h>
#include <string.h>

#include "shm/index/row.h"

/* Beyond this, waiting for all pages before the first block is decoded would cost more than it saves. */
#define POPULATE_BYTES_MAX (UINT64_C(64) << 20)

static loom_status check_result(const loom_result *result, const loom_cipher *cipher, loom_error *err) {
    if (result->block_hashes == NULL) return loom_fail(err, LOOM_BAD_ARGUMENT, "a result without block hashes");
    if (loom_codec_encrypts(result->codec) && cipher == NULL)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "an encrypted object cannot be read without the store's key");
    return LOOM_OK;
}

static loom_status open_codec(loom_blocks *blocks, const loom_cipher *cipher, loom_error *err) {
    const loom_result *result = blocks->result;
    if (loom_codec_compresses(result->codec)) LOOM_TRY(loom_compressor_needed(&blocks->compressor, err));
    if (!loom_codec_encrypts(result->codec)) return LOOM_OK;
    return loom_block_cipher_new(cipher, result->codec_data + blocks->layout.salt, &blocks->cipher, err);
}

static loom_status find_frames(loom_blocks *blocks, loom_error *err) {
    const loom_result *result = blocks->result;
    blocks->starts = calloc(blocks->count > 0 ? blocks->count : 1, sizeof *blocks->starts);
    if (blocks->starts == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading a stored object");
    uint64_t at = 0;
    for (size_t i = 0; i < blocks->first + blocks->count; i++) {
        if (i >= blocks->first) blocks->starts[i - blocks->first] = at;
        at += loom_frame_length(&blocks->layout, result->codec, result->bulk.bytes, result->codec_data, i);
    }
    return LOOM_OK;
}

loom_status loom_blocks_open(loom_extents *extents, const loom_result *result, const loom_cipher *cipher, size_t first,
                             size_t count, loom_blocks *blocks, loom_error *err) {
    *blocks = (loom_blocks){.result = result, .first = first, .count = count};
    LOOM_TRY(check_result(result, cipher, err));
    loom_placement range = loom_result_range(result);
    LOOM_TRY(loom_frames_check(result->codec, result->bulk.bytes, range.bytes, result->codec_data,
                               result->codec_data_bytes, err));
    blocks->layout = loom_frames_layout_of(result->codec, result->bulk.bytes);
    loom_status status = open_codec(blocks, cipher, err);
    if (status == LOOM_OK) status = find_frames(blocks, err);
    if (status == LOOM_OK)
        status = loom_extent_view(extents, &range, count == blocks->layout.count && range.bytes <= POPULATE_BYTES_MAX,
                                  &blocks->view, err);
    if (status != LOOM_OK) loom_blocks_close(blocks);
    return status;
}

void loom_blocks_close(loom_blocks *blocks) {
    loom_extent_release(&blocks->view);
    loom_block_cipher_free(blocks->cipher);
    free(blocks->starts);
    *blocks = (loom_blocks){0};
}

/* From the stored frame to raw bytes; the hash is not looked at yet. */
static loom_status decode_frame(const loom_blocks *blocks, size_t block, uint8_t *scratch, uint8_t *out) {
    const loom_result *result = blocks->result;
    const uint8_t *frame = (const uint8_t *)blocks->view.bytes + blocks->starts[block - blocks->first];
    size_t length = loom_block_length(result->bulk.bytes, block);
    size_t frame_bytes =
        loom_frame_length(&blocks->layout, result->codec, result->bulk.bytes, result->codec_data, block);
    bool compressed = frame_bytes < length;
    if (blocks->cipher != NULL) {
        const uint8_t *tag = result->codec_data + blocks->layout.tags + block * LOOM_CIPHER_TAG_BYTES;
        uint8_t *plain = compressed ? scratch : out;
        LOOM_TRY(loom_block_decrypt(blocks->cipher, block, frame, frame_bytes, plain, tag));
        frame = plain;
    }
    if (compressed) return blocks->compressor->expand(out, length, frame, frame_bytes);
    if (frame != out) memcpy(out, frame, length);
    return LOOM_OK;
}

loom_status loom_blocks_read(const loom_blocks *blocks, size_t block, uint8_t *scratch, uint8_t *out, loom_error *err) {
    const loom_result *result = blocks->result;
    size_t length = loom_block_length(result->bulk.bytes, block);
    loom_status status = decode_frame(blocks, block, scratch, out);
    if (status == LOOM_OK && loom_block_hash(out, length) != result->block_hashes[block]) status = LOOM_CORRUPT;
    if (status == LOOM_OK) return LOOM_OK;
    memset(out, 0, length);
    if (status != LOOM_CORRUPT) return loom_fail(err, status, "cannot decode block %zu of a stored object", block);
    return loom_fail(err, LOOM_CORRUPT,
                     "block %zu of %zu of the object at offset %llu of extent file %08x does not match its hash", block,
                     blocks->layout.count, (unsigned long long)result->bulk.offset, result->bulk.extent);
}
