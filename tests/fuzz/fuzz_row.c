/* fuzz_row.c - decodes arbitrary bytes as a row of the index. What is accepted must be readable in every part and must
 * encode to the same bytes. The checksum would hide everything behind it, so each input is also tried with its checksum
 * made right, as an attacker would. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "shm/index/row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) abort();
}

static volatile uint64_t sink; /* so that no read is left out */

static uint64_t touch(const void *bytes, size_t length) {
    return length > 0 ? XXH3_64bits(bytes, length) : 0;
}

static void check_accepted(const loom_result *result, loom_row_kind kind, const uint8_t *row, size_t size) {
    sink = touch(result->payload, result->payload_bytes) ^ touch(result->recipe, result->recipe_bytes) ^
           touch(result->codec_data, result->codec_data_bytes);
    require(loom_result_range(result).bytes <= LOOM_BULK_BYTES_MAX);
    if (kind == LOOM_ROW_TOMBSTONE) {
        require(result->bulk.bytes == 0 && result->payload_bytes == 0);
        return;
    }
    if (result->bulk.bytes > 0)
        sink ^= touch(result->block_hashes, loom_extent_block_count(result->bulk.bytes) * sizeof(uint64_t));
    if (loom_row_bytes(result) != size) return; /* carries parts or header bytes of a later version */
    loom_row_header before, after;
    uint8_t *again = malloc(size);
    require(again != NULL);
    loom_row_encode(result, 7, again);
    require(loom_row_peek(row, size, &before) && loom_row_peek(again, size, &after));
    require(memcmp(&before.rkey, &after.rkey, 96) == 0 && before.hash_count == after.hash_count);
    require(before.codec == after.codec && before.stored_bytes == after.stored_bytes &&
            before.expires_ns == after.expires_ns && before.extra_bytes == after.extra_bytes);
    require(memcmp(row + sizeof before, again + sizeof after, size - sizeof after) == 0);
    free(again);
}

static void try_row(const uint8_t *row, size_t size) {
    loom_result result;
    loom_row_kind kind;
    loom_error err = {0};
    loom_status status = loom_row_decode(row, size, 7, &result, &kind, &err);
    if (status == LOOM_OK)
        check_accepted(&result, kind, row, size);
    else
        require((status == LOOM_CORRUPT || status == LOOM_NEWER_STORE) && err.message[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *row = calloc(size > 0 ? size : 1, 1); /* aligned, and its end is watched */
    if (row == NULL) return 0;
    if (size > 0) memcpy(row, data, size);
    try_row(row, size);
    if (size >= sizeof(loom_row_header)) {
        uint64_t seed = XXH3_64bits_withSeed(row, offsetof(loom_row_header, check), 7);
        uint64_t check = XXH3_64bits_withSeed(row + sizeof(loom_row_header), size - sizeof(loom_row_header), seed);
        memcpy(row + offsetof(loom_row_header, check), &check, sizeof check);
        try_row(row, size);
    }
    free(row);
    return 0;
}
