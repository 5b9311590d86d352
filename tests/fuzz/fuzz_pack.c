/* fuzz_pack.c - reads arbitrary bytes as a pack: front to back, passing over objects, and by its manifest. Checksums
 * would hide everything behind them, so each input is also tried with its checksums made right, as an attacker would.
 * Nothing may crash, hang or take more memory than bytes came for; every failure says why. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "shm/index/row.h"
#include "shm/pack/entry.h"
#include "shm/pack/pack_format.h"
#include "shm/platform_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) abort();
}

static volatile uint64_t sink; /* so that no read is left out */

static void touch(const void *bytes, size_t length) {
    if (length > 0) sink ^= XXH3_64bits(bytes, length);
}

static void use_row(const loom_pack_record *record) {
    uint64_t row;
    loom_result result;
    loom_row_kind kind;
    memcpy(&row, record->bytes, sizeof row);
    if (loom_row_decode(record->bytes + 8, record->length - 8, row, &result, &kind, NULL) != LOOM_OK) return;
    touch(result.payload, result.payload_bytes);
    touch(result.recipe, result.recipe_bytes);
}

static void use_record(loom_pack_reader *reader, const loom_pack_record *record, bool skip, loom_error *err) {
    loom_entry entry;
    loom_pack_object object;
    touch(record->bytes, record->length);
    if (record->type == LOOM_PACK_ROW) use_row(record);
    if (record->type == LOOM_PACK_ENTRY && loom_entry_read(record->bytes, record->length, &entry)) {
        touch(entry.key.mv_data, entry.key.mv_size);
        touch(entry.value.mv_data, entry.value.mv_size);
    }
    if (record->type != LOOM_PACK_OBJECT || !skip) return;
    memcpy(&object, record->bytes, sizeof object);
    loom_status status = loom_pack_skip_object(reader, object.bytes, err);
    require(status == LOOM_OK || status == LOOM_CORRUPT || status == LOOM_IO);
}

static void read_stream(int fd, bool skip) {
    loom_pack_reader *reader;
    loom_pack_record record;
    loom_error err = {0};
    require(lseek(fd, 0, SEEK_SET) == 0);
    loom_status status = loom_pack_open(fd, "input", &reader, &err);
    while (status == LOOM_OK && (status = loom_pack_next(reader, &record, &err)) == LOOM_OK)
        use_record(reader, &record, skip, &err);
    require(status == LOOM_NOT_FOUND || status == LOOM_CORRUPT || status == LOOM_NEWER_STORE);
    require(status == LOOM_NOT_FOUND || err.message[0] != '\0');
    loom_pack_reader_free(reader);
}

static void read_manifest(int fd) {
    loom_pack_manifest *manifest;
    loom_pack_item item;
    loom_error err = {0};
    uint64_t last = 0;
    loom_status status = loom_pack_manifest_open(fd, "input", &manifest, &err);
    while (status == LOOM_OK && (status = loom_pack_manifest_next(manifest, &item, &err)) == LOOM_OK) {
        require(item.row > last);
        last = item.row;
    }
    require(status == LOOM_NOT_FOUND || status == LOOM_CORRUPT || status == LOOM_NEWER_STORE);
    loom_pack_manifest_free(manifest);
}

static void try_bytes(const uint8_t *bytes, size_t size) {
    int fd;
    if (loom_memory_file("pack", &fd) != 0) return;
    require(write(fd, bytes, size) == (ssize_t)size);
    read_stream(fd, false);
    read_stream(fd, true);
    read_manifest(fd);
    close(fd);
}

/* Makes every checksum right, as far as the records go. */
static void make_right(uint8_t *bytes, size_t size) {
    loom_pack_header header;
    loom_pack_record_header record;
    memcpy(&header, bytes, sizeof header);
    header.magic = LOOM_PACK_MAGIC;
    header.version = LOOM_PACK_VERSION;
    header.kind = 1 + header.kind % 2;
    header.check = loom_pack_header_check(&header);
    memcpy(bytes, &header, sizeof header);
    for (size_t at = sizeof header; at + sizeof record <= size; at += sizeof record + record.length) {
        memcpy(&record, bytes + at, sizeof record);
        if (record.length > size - at - sizeof record) return;
        uint64_t seed = loom_pack_seed(&header, record.type, record.length, at);
        record.check = XXH3_64bits_withSeed(bytes + at + sizeof record, record.length, seed);
        memcpy(bytes + at, &record, sizeof record);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *bytes = calloc(1, size > 0 ? size : 1);
    if (bytes == NULL) return 0;
    if (size > 0) memcpy(bytes, data, size);
    try_bytes(bytes, size);
    if (size >= sizeof(loom_pack_header)) {
        make_right(bytes, size);
        try_bytes(bytes, size);
    }
    free(bytes);
    return 0;
}
