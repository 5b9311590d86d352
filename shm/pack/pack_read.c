/* pack_read.c - reads a pack: nothing is believed before its checksum held, and no more memory is taken than bytes have
 * come for, whatever a length says. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "shm/pack/pack_format.h"

#define STEP_BYTES (4u << 20) /* a long record's buffer grows by this as bytes come */

struct loom_pack_reader {
    int fd;
    const char *name;
    loom_pack_header header;
    loom_pack_end counts;
    uint64_t at;
    bool skipped, ended;
    uint8_t *input; /* read ahead: bytes [from, to) */
    size_t from, to;
    uint8_t *record;
    size_t capacity;
};

#define INPUT_BYTES (1u << 18)

/* ---- bytes ---- */

/* Reads up to `length` bytes; fewer only at the end of the stream. */
static loom_status read_bytes(int fd, const char *name, void *bytes, size_t length, size_t *got, loom_error *err) {
    *got = 0;
    while (*got < length) {
        ssize_t now = read(fd, (uint8_t *)bytes + *got, length - *got);
        if (now < 0 && errno == EINTR) continue;
        if (now < 0) return loom_fail_errno(err, errno, "cannot read %s", name);
        if (now == 0) break;
        *got += (size_t)now;
    }
    return LOOM_OK;
}

static loom_status take(loom_pack_reader *reader, void *bytes, size_t length, size_t *got, loom_error *err) {
    size_t ready = reader->to - reader->from < length ? reader->to - reader->from : length;
    memcpy(bytes, reader->input + reader->from, ready);
    reader->from += ready;
    *got = ready;
    if (ready < length && length - ready >= INPUT_BYTES) { /* past the buffer */
        size_t more;
        LOOM_TRY(read_bytes(reader->fd, reader->name, (uint8_t *)bytes + ready, length - ready, &more, err));
        *got += more;
    } else if (ready < length) {
        reader->from = 0;
        LOOM_TRY(read_bytes(reader->fd, reader->name, reader->input, INPUT_BYTES, &reader->to, err));
        size_t more = reader->to < length - ready ? reader->to : length - ready;
        memcpy((uint8_t *)bytes + ready, reader->input, more);
        reader->from = more;
        *got += more;
    }
    reader->at += *got;
    return LOOM_OK;
}

static loom_status cut_short(const char *name, uint64_t at, loom_error *err) {
    return loom_fail(err, LOOM_CORRUPT, "%s is cut short: it ends at byte %llu, in the middle; make it again", name,
                     (unsigned long long)at);
}

static loom_status damaged(const char *name, uint64_t at, const char *what, loom_error *err) {
    return loom_fail(err, LOOM_CORRUPT, "%s is damaged at byte %llu: %s; use another copy", name,
                     (unsigned long long)at, what);
}

/* ---- the header ---- */

loom_status loom_pack_check_header(const loom_pack_header *header, const char *name, loom_error *err) {
    if (header->magic != LOOM_PACK_MAGIC)
        return loom_fail(err, LOOM_CORRUPT, "%s is not a backup or export of a store", name);
    if (header->version > LOOM_PACK_VERSION)
        return loom_fail(err, LOOM_NEWER_STORE, "%s was written by a newer voxloom (pack version %u); use that one",
                         name, header->version);
    if (header->check != loom_pack_header_check(header) || header->version == 0 ||
        (header->kind != LOOM_PACK_BACKUP && header->kind != LOOM_PACK_EXPORT))
        return damaged(name, 0, "its header", err);
    return LOOM_OK;
}

loom_status loom_pack_open(int fd, const char *name, loom_pack_reader **reader, loom_error *err) {
    *reader = NULL;
    loom_pack_reader *made = calloc(1, sizeof *made);
    if (made != NULL) made->input = malloc(INPUT_BYTES);
    if (made == NULL || made->input == NULL) {
        loom_pack_reader_free(made);
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading %s", name);
    }
    made->fd = fd;
    made->name = name;
    size_t got;
    loom_status status = take(made, &made->header, sizeof made->header, &got, err);
    if (status == LOOM_OK && got < sizeof made->header.magic) status = cut_short(name, got, err);
    if (status == LOOM_OK && got < sizeof made->header && made->header.magic == LOOM_PACK_MAGIC)
        status = cut_short(name, got, err);
    if (status == LOOM_OK) status = loom_pack_check_header(&made->header, name, err);
    if (status != LOOM_OK) {
        loom_pack_reader_free(made);
        return status;
    }
    *reader = made;
    return LOOM_OK;
}

const loom_pack_header *loom_pack_header_of(const loom_pack_reader *reader) {
    return &reader->header;
}

void loom_pack_reader_free(loom_pack_reader *reader) {
    if (reader == NULL) return;
    free(reader->input);
    free(reader->record);
    free(reader);
}

/* ---- records ---- */

static loom_status make_room(loom_pack_reader *reader, size_t bytes, loom_error *err) {
    if (bytes <= reader->capacity) return LOOM_OK;
    uint8_t *grown = realloc(reader->record, bytes);
    if (grown == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading %s", reader->name);
    reader->record = grown;
    reader->capacity = bytes;
    return LOOM_OK;
}

static loom_status take_content(loom_pack_reader *reader, size_t length, loom_error *err) {
    LOOM_TRY(make_room(reader, 1, err));
    for (size_t have = 0, got; have < length; have += got) {
        size_t step = length - have < STEP_BYTES ? length - have : STEP_BYTES;
        LOOM_TRY(make_room(reader, have + step, err));
        LOOM_TRY(take(reader, reader->record + have, step, &got, err));
        if (got < step) return cut_short(reader->name, reader->at, err);
    }
    return LOOM_OK;
}

/* Shapes that hold for every record of a type. */
static const char *wrong_shape(uint32_t type, size_t length) {
    switch (type) {
    case LOOM_PACK_OBJECT:
        return length == sizeof(loom_pack_object) ? NULL : "an object's length";
    case LOOM_PACK_ROW:
        return length > sizeof(uint64_t) ? NULL : "a row without bytes";
    case LOOM_PACK_BLOCK:
        return length > 0 ? NULL : "an empty block";
    case LOOM_PACK_MANIFEST:
        return length > 8 && (length - 8) % sizeof(loom_pack_item) == 0 ? NULL : "a manifest's length";
    case LOOM_PACK_END:
        return length == sizeof(loom_pack_end) ? NULL : "the end's length";
    default:
        return NULL;
    }
}

static void count(loom_pack_reader *reader, const loom_pack_record *record, uint64_t at) {
    loom_pack_end *counts = &reader->counts;
    counts->records++;
    if (record->type == LOOM_PACK_ROW) counts->rows++;
    if (record->type == LOOM_PACK_BLOCK) counts->object_bytes += record->length;
    if (record->type == LOOM_PACK_MANIFEST) {
        counts->items += (record->length - 8) / sizeof(loom_pack_item);
        counts->last_manifest = at;
    }
}

static loom_status check_end(loom_pack_reader *reader, const loom_pack_record *record, uint64_t at, loom_error *err) {
    if (!reader->skipped && memcmp(record->bytes, &reader->counts, offsetof(loom_pack_end, tables)) != 0)
        return damaged(reader->name, at, "its counts do not add up", err);
    uint8_t beyond;
    size_t got;
    LOOM_TRY(take(reader, &beyond, 1, &got, err));
    if (got > 0) return damaged(reader->name, at, "it goes on behind its end", err);
    reader->ended = true;
    return LOOM_OK;
}

loom_status loom_pack_next(loom_pack_reader *reader, loom_pack_record *record, loom_error *err) {
    if (reader->ended) return LOOM_NOT_FOUND;
    loom_pack_record_header header;
    uint64_t at = reader->at;
    size_t got;
    LOOM_TRY(take(reader, &header, sizeof header, &got, err));
    if (got < sizeof header) return cut_short(reader->name, reader->at, err);
    uint32_t limit = loom_pack_record_limit(header.type);
    if (limit == 0 || header.length > limit) return damaged(reader->name, at, "no record that voxloom writes", err);
    LOOM_TRY(take_content(reader, header.length, err));
    uint64_t seed = loom_pack_seed(&reader->header, header.type, header.length, at);
    if (XXH3_64bits_withSeed(reader->record, header.length, seed) != header.check)
        return damaged(reader->name, at, "a wrong checksum", err);
    const char *wrong = wrong_shape(header.type, header.length);
    if (wrong != NULL) return damaged(reader->name, at, wrong, err);
    *record = (loom_pack_record){.type = (loom_pack_type)header.type, .bytes = reader->record, .length = header.length};
    if (header.type == LOOM_PACK_END) return check_end(reader, record, at, err);
    count(reader, record, at);
    return LOOM_OK;
}

/* Moves on by `bytes` of the stream. */
static loom_status jump(loom_pack_reader *reader, uint64_t bytes, loom_error *err) {
    uint64_t ready = reader->to - reader->from;
    uint64_t within = bytes < ready ? bytes : ready;
    reader->from += (size_t)within;
    if (bytes > within && lseek(reader->fd, (off_t)(bytes - within), SEEK_CUR) < 0)
        return loom_fail_errno(err, errno, "cannot read %s", reader->name);
    reader->at += bytes;
    return LOOM_OK;
}

loom_status loom_pack_skip_object(loom_pack_reader *reader, uint64_t bytes, loom_error *err) {
    if (bytes > UINT64_C(1) << 42) return damaged(reader->name, reader->at, "an object's size", err);
    if (lseek(reader->fd, 0, SEEK_CUR) >= 0) {
        uint64_t blocks = (bytes + LOOM_PACK_BLOCK_BYTES - 1) / LOOM_PACK_BLOCK_BYTES;
        reader->skipped = true;
        return jump(reader, bytes + blocks * sizeof(loom_pack_record_header), err);
    }
    loom_pack_record record;
    for (uint64_t left = bytes; left > 0; left -= record.length) {
        loom_status status = loom_pack_next(reader, &record, err);
        if (status == LOOM_NOT_FOUND || (status == LOOM_OK && (record.type != LOOM_PACK_BLOCK || record.length > left)))
            return damaged(reader->name, reader->at, "an object without all its bytes", err);
        if (status != LOOM_OK) return status;
    }
    return LOOM_OK;
}
