/* fuzz_frames.c - a hostile frame table over hostile stored bytes. What the check accepts is decoded, whole and in
 * part, on one thread and two, with hashes that are right for what a plain libzstd makes of the same frames: so what
 * comes out must be that, and everything else must be LOOM_CORRUPT without a byte.
 *
 * Input: u8 codec, u24 bytes, u8 table bytes / 4, table, stored bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#include "io/zstd_codec.h"
#include "shm/codec/bulk_codec.h"

#define BYTES_MAX (3u << 20)
#define BLOCKS_MAX 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static loom_extents *extents;
static loom_cipher *cipher;
static int bulk_fd;
static uint8_t *expected, *decoded;

static void require(bool condition) {
    if (!condition) abort();
}

static void prepare(void) {
    static loom_store *store;
    loom_error err = {0};
    if (store != NULL) return;
    loom_zstd_register();
    require(loom_store_open(&(loom_store_options){.path = ":memory:"}, &store, &err) == LOOM_OK);
    require(loom_store_inherit(store, &bulk_fd, 1) >= 1);
    require(loom_cipher_new((const uint8_t[32]){1, 2, 3}, &cipher, &err) == LOOM_OK);
    extents = loom_store_extents(store);
    expected = malloc(BYTES_MAX);
    decoded = malloc(BYTES_MAX);
    require(expected != NULL && decoded != NULL);
}

static size_t block_bytes(uint64_t bytes, size_t block) {
    uint64_t left = bytes - block * LOOM_BLOCK_BYTES;
    return left < LOOM_BLOCK_BYTES ? (size_t)left : LOOM_BLOCK_BYTES;
}

/* By the layout of SCHEMA.md. Where a frame is not sound its bytes and hash are left as zeros. */
static bool decode_simply(const loom_result *result, const uint8_t *stored, uint64_t *hashes) {
    bool sound = true;
    size_t at = 0;
    for (size_t i = 0; i < loom_extent_block_count(result->bulk.bytes); i++) {
        size_t length = block_bytes(result->bulk.bytes, i), made = length;
        uint32_t frame = (uint32_t)length;
        uint8_t *out = expected + i * LOOM_BLOCK_BYTES;
        if (result->codec == LOOM_CODEC_ZSTD) memcpy(&frame, result->codec_data + 4 * i, 4);
        if (frame == length)
            memcpy(out, stored + at, length);
        else
            made = ZSTD_decompress(out, length, stored + at, frame);
        if (made == length)
            hashes[i] = XXH3_64bits(out, length);
        else
            sound = false;
        at += frame;
    }
    return sound;
}

static void check_decoded(loom_result *result, const uint8_t *stored) {
    uint64_t hashes[BLOCKS_MAX] = {0};
    loom_error err = {0};
    result->block_hashes = hashes;
    bool sound = decode_simply(result, stored, hashes);
    uint64_t bytes = result->bulk.bytes;
    for (unsigned threads = 1; threads <= 2; threads++) {
        loom_status status = loom_bulk_decode(extents, result, cipher, 0, bytes, threads, decoded, &err);
        /* Two frames in one, or frames to skip, are sound to libzstd and not to us. */
        require(status == LOOM_OK ? sound : status == LOOM_CORRUPT);
        if (status == LOOM_OK) require(memcmp(decoded, expected, bytes) == 0);
    }
    uint64_t from = bytes / 3, length = bytes - from - bytes / 5;
    if (loom_bulk_decode(extents, result, cipher, from, length, 1, decoded, &err) == LOOM_OK && sound)
        require(memcmp(decoded, expected + from, length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 5) return 0;
    prepare();
    loom_error err = {0};
    loom_result result = {.codec = (loom_codec)(data[0] % 6)};
    result.bulk.bytes = data[1] | (uint32_t)data[2] << 8 | (uint32_t)data[3] << 16;
    result.bulk.offset = LOOM_PAGE_BYTES;
    size_t table = (size_t)data[4] * 4;
    if (table > size - 5) table = size - 5;
    uint8_t *copy = malloc(table > 0 ? table : 1); /* its end is watched */
    require(copy != NULL);
    memcpy(copy, data + 5, table);
    const uint8_t *stored = data + 5 + table;
    result.codec_data = copy;
    result.codec_data_bytes = table;
    result.stored_bytes = size - 5 - table;
    loom_status status = loom_frames_check(result.codec, result.bulk.bytes, result.stored_bytes, copy, table, &err);
    require(status == LOOM_OK || (status == LOOM_CORRUPT && err.message[0] != '\0'));
    if (status == LOOM_OK && result.bulk.bytes <= BYTES_MAX && result.stored_bytes > 0) {
        require(ftruncate(bulk_fd, LOOM_PAGE_BYTES) == 0);
        require(pwrite(bulk_fd, stored, result.stored_bytes, LOOM_PAGE_BYTES) == (ssize_t)result.stored_bytes);
        if (loom_codec_encrypts(result.codec)) {
            uint64_t hashes[BLOCKS_MAX] = {0};
            result.block_hashes = hashes;
            require(loom_bulk_decode(extents, &result, cipher, 0, result.bulk.bytes, 1, decoded, &err) != LOOM_OK);
        } else {
            check_decoded(&result, stored);
        }
    }
    free(copy);
    return 0;
}
