/* pack_write.c - writes a pack: records gather in one buffer, long ones go past it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "shm/pack/pack_format.h"
#include "shm/platform_file.h"

#define BUFFER_BYTES (1u << 20)
#define LONG_BYTES (64u << 10)

struct loom_pack_writer {
    int fd;
    const char *name;
    loom_pack_header header;
    loom_pack_end counts;
    uint64_t at; /* in the stream, of the next record */
    uint8_t *buffer;
    size_t filled;
    loom_pack_item *items;
    size_t item_count;
    XXH3_state_t *tables, *sum;
};

uint64_t loom_pack_seed(const loom_pack_header *header, uint32_t type, uint32_t length, uint64_t at) {
    uint64_t words[2] = {(uint64_t)type << 32 | length, at};
    return XXH3_64bits_withSeed(words, sizeof words, header->check);
}

uint64_t loom_pack_header_check(const loom_pack_header *header) {
    return XXH3_64bits(header, offsetof(loom_pack_header, check));
}

uint64_t loom_pack_row_check(uint64_t row, const void *bytes, size_t length) {
    return XXH3_64bits_withSeed(bytes, length, row);
}

uint32_t loom_pack_record_limit(uint32_t type) {
    switch (type) {
    case LOOM_PACK_FORMAT:
        return LOOM_PACK_BLOCK_BYTES;
    case LOOM_PACK_ENTRY:
    case LOOM_PACK_ROW:
        return LOOM_PACK_RECORD_BYTES_MAX;
    case LOOM_PACK_OBJECT:
        return sizeof(loom_pack_object);
    case LOOM_PACK_BLOCK:
        return LOOM_PACK_BLOCK_BYTES;
    case LOOM_PACK_MANIFEST:
        return sizeof(uint64_t) + LOOM_PACK_ITEMS_PER_RECORD * sizeof(loom_pack_item);
    case LOOM_PACK_END:
        return sizeof(loom_pack_end);
    default:
        return 0;
    }
}

static loom_status write_fully(const loom_pack_writer *writer, const uint8_t *bytes, size_t length, loom_error *err) {
    while (length > 0) {
        ssize_t wrote = write(writer->fd, bytes, length);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return loom_fail_errno(err, errno, "cannot write %s", writer->name);
        bytes += wrote;
        length -= (size_t)wrote;
    }
    return LOOM_OK;
}

static loom_status flush(loom_pack_writer *writer, loom_error *err) {
    size_t filled = writer->filled;
    writer->filled = 0;
    return write_fully(writer, writer->buffer, filled, err);
}

static loom_status append(loom_pack_writer *writer, const void *bytes, size_t length, loom_error *err) {
    if (length == 0) return LOOM_OK;
    writer->at += length;
    if (writer->filled + length > BUFFER_BYTES || length >= LONG_BYTES) LOOM_TRY(flush(writer, err));
    if (length >= LONG_BYTES) {
        LOOM_TRY(write_fully(writer, bytes, length, err));
        loom_file_write_out(writer->fd, writer->at - length, length); /* nothing happens where it is a pipe */
        return LOOM_OK;
    }
    memcpy(writer->buffer + writer->filled, bytes, length);
    writer->filled += length;
    return LOOM_OK;
}

loom_status loom_pack_begin(int fd, const char *name, const loom_pack_header *header, loom_pack_writer **writer,
                            loom_error *err) {
    *writer = NULL;
    loom_pack_writer *made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->buffer = malloc(BUFFER_BYTES);
        made->items = malloc(LOOM_PACK_ITEMS_PER_RECORD * sizeof *made->items);
        made->tables = XXH3_createState();
        made->sum = XXH3_createState();
    }
    if (made == NULL || made->buffer == NULL || made->items == NULL || made->tables == NULL || made->sum == NULL) {
        loom_pack_writer_free(made);
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while writing %s", name);
    }
    made->fd = fd;
    made->name = name;
    made->header = *header;
    made->header.magic = LOOM_PACK_MAGIC;
    made->header.version = LOOM_PACK_VERSION;
    XXH3_64bits_reset(made->tables);
    int code = loom_random_bytes(&made->header.random, sizeof made->header.random);
    made->header.check = loom_pack_header_check(&made->header);
    loom_status status = code == 0 ? append(made, &made->header, sizeof made->header, err)
                                   : loom_fail_errno(err, code, "cannot get random bytes");
    if (status != LOOM_OK) {
        loom_pack_writer_free(made);
        return status;
    }
    *writer = made;
    return LOOM_OK;
}

static uint64_t checksum(const loom_pack_writer *writer, uint32_t type, const void *first, size_t first_bytes,
                         const void *second, size_t second_bytes) {
    uint64_t seed = loom_pack_seed(&writer->header, type, (uint32_t)(first_bytes + second_bytes), writer->at);
    if (second_bytes == 0) return XXH3_64bits_withSeed(first_bytes > 0 ? first : "", first_bytes, seed);
    XXH3_64bits_reset_withSeed(writer->sum, seed);
    XXH3_64bits_update(writer->sum, first, first_bytes);
    XXH3_64bits_update(writer->sum, second, second_bytes);
    return XXH3_64bits_digest(writer->sum);
}

static void count(loom_pack_writer *writer, loom_pack_type type, size_t bytes) {
    writer->counts.records++;
    if (type == LOOM_PACK_ROW) writer->counts.rows++;
    if (type == LOOM_PACK_BLOCK) writer->counts.object_bytes += bytes;
}

void loom_pack_digest(loom_pack_writer *writer, const void *bytes, size_t length) {
    if (length > 0) XXH3_64bits_update(writer->tables, bytes, length);
    writer->counts.tables = XXH3_64bits_digest(writer->tables);
}

loom_status loom_pack_add(loom_pack_writer *writer, loom_pack_type type, const void *first, size_t first_bytes,
                          const void *second, size_t second_bytes, loom_error *err) {
    uint32_t limit = loom_pack_record_limit(type);
    if (first_bytes > limit || second_bytes > limit - first_bytes)
        return loom_fail(err, LOOM_TOO_LARGE, "a record of %s would have %zu bytes; at most %u are allowed",
                         writer->name, first_bytes + second_bytes, limit);
    loom_pack_record_header header = {.type = type, .length = (uint32_t)(first_bytes + second_bytes)};
    header.check = checksum(writer, type, first, first_bytes, second, second_bytes);
    if (type != LOOM_PACK_END) count(writer, type, first_bytes + second_bytes);
    LOOM_TRY(append(writer, &header, sizeof header, err));
    LOOM_TRY(append(writer, first, first_bytes, err));
    return append(writer, second, second_bytes, err);
}

static loom_status write_notes(loom_pack_writer *writer, loom_error *err) {
    if (writer->item_count == 0) return LOOM_OK;
    uint64_t before = writer->counts.last_manifest, at = writer->at;
    size_t bytes = writer->item_count * sizeof *writer->items;
    writer->counts.items += writer->item_count;
    writer->item_count = 0;
    writer->counts.last_manifest = at;
    return loom_pack_add(writer, LOOM_PACK_MANIFEST, &before, sizeof before, writer->items, bytes, err);
}

loom_status loom_pack_note(loom_pack_writer *writer, const loom_pack_item *item, loom_error *err) {
    writer->items[writer->item_count++] = *item;
    return writer->item_count < LOOM_PACK_ITEMS_PER_RECORD ? LOOM_OK : write_notes(writer, err);
}

loom_status loom_pack_finish(loom_pack_writer *writer, loom_error *err) {
    LOOM_TRY(write_notes(writer, err));
    loom_pack_end end = writer->counts;
    LOOM_TRY(loom_pack_add(writer, LOOM_PACK_END, &end, sizeof end, NULL, 0, err));
    return flush(writer, err);
}

const loom_pack_end *loom_pack_counts(const loom_pack_writer *writer) {
    return &writer->counts;
}

uint64_t loom_pack_written(const loom_pack_writer *writer) {
    return writer->at;
}

void loom_pack_writer_free(loom_pack_writer *writer) {
    if (writer == NULL) return;
    free(writer->buffer);
    free(writer->items);
    XXH3_freeState(writer->tables);
    XXH3_freeState(writer->sum);
    free(writer);
}
